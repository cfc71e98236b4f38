//! "What changed since n?": the one question of every reader.

use serde::{Deserialize, Serialize};
use sterna_base::{ContainerId, Modseq, Uid};

use crate::{Container, Expunged, Item};

/// One row that changed, as it is now. A row that changed twice since n appears once, at its last modseq.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A container was made or its own row changed.
    Container(Container),
    /// A container is gone with everything in it. Its items have tombstones of their own with the same modseq.
    ContainerDeleted {
        /// Which one; the id is never given again.
        id: ContainerId,
        /// The commit that deleted it.
        modseq: Modseq,
    },
    /// An item was made or changed; without summary and body.
    Item(Item),
    /// An item was expunged.
    Expunged(Expunged),
}

impl Change {
    /// Whether it is an item of this container that has a name, or what is left of one. What was purged has lost its
    /// name and is among them: somebody may have known it by one.
    pub fn is_named_item_of(&self, container: ContainerId) -> bool {
        match self {
            Change::Item(item) => item.container == container && item.name.is_some(),
            Change::Expunged(row) => {
                row.container == container && row.retained.as_ref().is_none_or(|retained| retained.name.is_some())
            }
            Change::Container(_) | Change::ContainerDeleted { .. } => false,
        }
    }

    /// Where this row stands in the order of changes.
    pub fn cursor(&self) -> Cursor {
        match self {
            Change::Container(c) => Cursor { modseq: c.modseq, container: c.id, uid: Uid(0) },
            Change::ContainerDeleted { id, modseq } => Cursor { modseq: *modseq, container: *id, uid: Uid(0) },
            Change::Item(i) => Cursor { modseq: i.modseq, container: i.container, uid: i.uid },
            Change::Expunged(e) => Cursor { modseq: e.modseq, container: e.container, uid: e.uid },
        }
    }
}

/// A place in the order of changes: by modseq, then container (its own row first), then UID. One commit may touch more
/// rows than a page holds, so a modseq alone can't say how far a reader got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The row's modseq.
    pub modseq: Modseq,
    /// The row's container.
    pub container: ContainerId,
    /// The item, or zero for the container's own row.
    pub uid: Uid,
}

impl Cursor {
    /// After everything up to and including modseq n: "since n".
    pub fn since(modseq: Modseq) -> Self {
        Cursor { modseq, container: ContainerId(u64::MAX), uid: Uid::MAX }
    }

    /// Whether all rows of this modseq are before it.
    pub fn is_past(&self, modseq: Modseq) -> bool {
        *self >= Cursor::since(modseq)
    }

    /// Before everything.
    pub fn start() -> Self {
        Cursor::since(Modseq::ZERO)
    }
}

/// A page of changes in the order of [`Cursor`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The rows; at most the limit asked for.
    pub rows: Vec<Change>,
    /// The account's modseq when the page was read.
    pub head: Modseq,
    /// Where to go on; `None` when the page reaches the head.
    pub next: Option<Cursor>,
}
