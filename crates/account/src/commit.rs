//! Commits: how an account changes.
//!
//! A commit is a list of mutations done whole or not at all. It takes the next modseq and stamps it on every row that
//! it touches. Its operation id is kept for [`OPERATION_RETENTION_MS`], so that a commit whose answer was lost is
//! answered when it comes again, not repeated.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, OperationId, Timestamp, Uid, UidValidity};

use crate::{Acl, AclEntry, ContainerKind, FlagSet, Identifier, Rights, SpecialUse, StoreError, UidSet};

/// How long the answers of commits are kept to answer repetitions: seven days.
pub const OPERATION_RETENTION_MS: i64 = 7 * 24 * 3600 * 1000;

/// Most mutations in one commit.
pub const MUTATIONS_MAX: usize = 4096;

/// Largest [`Mutation::SetNumbers::modseq_min`]: no server counts that far, and more than as many are left.
pub const MODSEQ_MIN_MAX: Modseq = Modseq(1 << 61);

/// UIDVALIDITYs at the end of their range that another server's do not use up: a container that gets one of these has
/// it, and the account goes on counting from where it was.
pub const UID_VALIDITIES_KEPT: u32 = 1 << 20;

/// Something to be done to an account, whole or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Names this commit for ever.
    pub operation: OperationId,
    /// Under which placement the sender believes to write; must be the store's own.
    pub epoch: Epoch,
    /// What to do, in this order.
    pub mutations: Vec<Mutation>,
}

impl Commit {
    /// The modseq that it takes, if it changes anything, in an account that is at this one.
    pub fn modseq_after(&self, head: Modseq) -> Modseq {
        let floors = self.mutations.iter().filter_map(|mutation| match mutation {
            Mutation::SetNumbers { modseq_min, .. } => Some(*modseq_min),
            _ => None,
        });
        floors.fold(head, Modseq::max).next()
    }
}

/// Stands for the container that was made last in the same commit, in [`Mutation::SetAcl`], [`Mutation::Put`] and
/// [`Mutation::RenameContainer`]: who may see it and what is known of it is decided before anybody can see it.
pub const MADE: ContainerId = ContainerId(u64::MAX);

/// The steps that give what was made before them in the same commit these rights.
pub fn given_alike(acl: &Acl) -> Vec<Mutation> {
    let give = |entry: &AclEntry| {
        let AclEntry { identifier, negative, rights } = *entry;
        Mutation::SetAcl { container: MADE, identifier, negative, rights }
    };
    acl.entries().iter().map(give).collect()
}

/// One step of a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// Makes a container. Outcome: [`Outcome::Container`].
    CreateContainer {
        /// Where it hangs.
        parent: Option<ContainerId>,
        /// What its items are.
        kind: ContainerKind,
        /// The last part of its path.
        name: String,
        /// What it is for; refused with [`CommitError::SpecialUseTaken`] when another container has that use.
        special_use: Option<SpecialUse>,
    },
    /// Renames a container or hangs it elsewhere; UIDs and UIDVALIDITY stay. Outcome: [`Outcome::Done`].
    RenameContainer {
        /// Which.
        container: ContainerId,
        /// Its new parent.
        parent: Option<ContainerId>,
        /// Its new name.
        name: String,
    },
    /// Deletes a container that has no children; its items go into retention. Outcome: [`Outcome::Done`].
    DeleteContainer {
        /// Which.
        container: ContainerId,
    },
    /// Appends an item under a new UID. Outcome: [`Outcome::Appended`].
    Append {
        /// Where.
        container: ContainerId,
        /// What.
        item: NewItem,
    },
    /// Appends an item under a UID that another server gave it, and that is not less than the container's UIDNEXT;
    /// refused with [`CommitError::Unexpected`] otherwise. Outcome: [`Outcome::Appended`].
    AppendAt {
        /// Where.
        container: ContainerId,
        /// Its UID.
        uid: Uid,
        /// What.
        item: NewItem,
    },
    /// Gives a container the numbers that it had on another server, so that clients of that one keep what they have of
    /// it. Outcome: [`Outcome::Done`].
    SetNumbers {
        /// Which.
        container: ContainerId,
        /// Its UIDVALIDITY. Refused with [`CommitError::Unexpected`] when it has another one and ever had an item.
        uid_validity: UidValidity,
        /// What its UIDNEXT is at least from now on.
        uid_next: Uid,
        /// What the container's HIGHESTMODSEQ is more than from now on: clients that saw so many changes elsewhere hear
        /// of every one that is made here. At most [`MODSEQ_MIN_MAX`].
        modseq_min: Modseq,
        /// What its UIDNEXT must be now, when that matters: what others put into it in between is not the other
        /// server's. Refused with [`CommitError::Unexpected`] when it is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect_uid_next: Option<Uid>,
    },
    /// Writes a named item: replaces the content under its UID when the name exists, appends otherwise.
    /// Outcome: [`Outcome::Appended`].
    Put {
        /// Where.
        container: ContainerId,
        /// What; its name must be there.
        item: NewItem,
        /// Only if the name is as expected (an ETag, RFC 9110 section 13).
        expect: Expect,
    },
    /// Expunges a named item. Outcome: [`Outcome::Expunged`], empty when there was none.
    Remove {
        /// Where.
        container: ContainerId,
        /// Its name.
        name: String,
    },
    /// Copies items (RFC 9051 section 6.4.7) or moves them (RFC 6851). UIDs that don't exist are passed over. Flags and
    /// internal dates go along. A move to the same container gives new UIDs. Outcome: [`Outcome::Copied`].
    Copy {
        /// From where.
        from: ContainerId,
        /// Which.
        uids: UidSet,
        /// To where.
        to: ContainerId,
        /// Whether the originals are expunged in the same commit.
        expunge: bool,
    },
    /// Changes flags. Items whose flags are already so keep their modseq. Outcome: [`Outcome::Flagged`].
    StoreFlags {
        /// Where.
        container: ContainerId,
        /// Which; UIDs that don't exist are passed over.
        uids: UidSet,
        /// Add, remove, replace.
        action: FlagAction,
        /// Which flags.
        flags: FlagSet,
        /// Leave items alone that changed after this (UNCHANGEDSINCE, RFC 7162 section 3.1.3).
        unchanged_since: Option<Modseq>,
    },
    /// Expunges items. Outcome: [`Outcome::Expunged`].
    Expunge {
        /// Where.
        container: ContainerId,
        /// Which; UIDs that don't exist are passed over.
        uids: UidSet,
        /// Only those with `\Deleted` (EXPUNGE, UID EXPUNGE).
        deleted_only: bool,
    },
    /// Changes who may do what with a container. Outcome: [`Outcome::Done`].
    SetAcl {
        /// Which.
        container: ContainerId,
        /// Whose entry.
        identifier: Identifier,
        /// Whether it is the entry that takes rights away.
        negative: bool,
        /// What the entry says from now on; none removes it.
        rights: Rights,
    },
    /// Goes on only while a container at the top is as the sender knows it: what was decided by its items still holds.
    /// Stands before the mutations that depend on it, and touches nothing. Refused with [`CommitError::Unexpected`].
    /// Outcome: [`Outcome::Done`].
    ExpectContainer {
        /// Of which kind.
        kind: ContainerKind,
        /// How it is called.
        name: String,
        /// Its [`crate::Container::highest_modseq`]; `None` expects that there is no such container.
        highest_modseq: Option<Modseq>,
    },
    /// Sets the most bytes and items the account may hold; `None` lifts the limit. Outcome: [`Outcome::Done`].
    SetQuota {
        /// Bytes of all live items.
        bytes_max: Option<u64>,
        /// Number of all live items.
        items_max: Option<u64>,
    },
    /// Makes the container of this kind that is about the one that was made last ([`ContainerKind::about`]): whose name
    /// nobody knows before the commit. It is the one made last from then on. Outcome: [`Outcome::Container`].
    CreateAbout {
        /// What its items are.
        kind: ContainerKind,
    },
}

/// An item to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewItem {
    /// The content.
    pub content: Content,
    /// The summary to keep with the content, if it has one.
    pub summary: Option<Bytes>,
    /// INTERNALDATE; `None` takes the time of the commit.
    pub internal_date: Option<Timestamp>,
    /// Flags by name.
    pub flags: FlagSet,
    /// The name, for items that have one.
    pub name: Option<String>,
    /// What the content calls itself ([`crate::Item::object_uid`]), for those that do. Refused with
    /// [`CommitError::ObjectUidTaken`] when another item of the container is called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_uid: Option<String>,
}

impl NewItem {
    /// An item that has a name and a content, and nothing else that would have to be said.
    pub fn named(name: impl Into<String>, content: Content) -> Self {
        NewItem {
            content,
            summary: None,
            internal_date: None,
            flags: FlagSet::default(),
            name: Some(name.into()),
            object_uid: None,
        }
    }
}

/// Where an item's content is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Here: at most [`sterna_base::limits::INLINE_BLOB_BYTES_MAX`] bytes.
    Inline(Bytes),
    /// Already in the account: staged by [`crate::Store::stage_blob`] (durable before this commit) or held by another
    /// item. Refused with [`CommitError::NoSuchBlob`] when it is not there.
    Stored(BlobHash),
}

/// What must be true of a name before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// Anything.
    #[default]
    Any,
    /// It doesn't exist (`If-None-Match: *`).
    Absent,
    /// It exists with this content (`If-Match`).
    Content(BlobHash),
}

/// How [`Mutation::StoreFlags`] combines the flags given with those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagAction {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// What a commit did. Kept with its operation id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The modseq it took. A commit that changed no row takes none; this is then the account's modseq.
    pub modseq: Modseq,
    /// One for each mutation, in their order.
    pub outcomes: Vec<Outcome>,
    /// Whether this is the kept answer of an earlier commit with the same operation id.
    #[serde(default)]
    pub repeated: bool,
}

/// What one mutation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done; there is nothing to add.
    Done,
    /// A container was made.
    Container {
        /// Its id.
        id: ContainerId,
        /// Its UIDVALIDITY.
        uid_validity: UidValidity,
    },
    /// An item was written.
    Appended {
        /// Of its container.
        uid_validity: UidValidity,
        /// Its number.
        uid: Uid,
    },
    /// Items were copied.
    Copied {
        /// Of the container they went to.
        uid_validity: UidValidity,
        /// From and to, in the order of the source.
        pairs: Vec<(Uid, Uid)>,
    },
    /// Flags were changed.
    Flagged {
        /// Items whose flags are now different; they have the commit's modseq.
        changed: UidSet,
        /// Items that `unchanged_since` spared.
        modified: UidSet,
    },
    /// Items were expunged.
    Expunged {
        /// Which.
        uids: UidSet,
    },
}

/// Why a commit was not done. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitError {
    /// The sender's epoch is not the store's: the account was moved, or the sender is behind.
    #[error("the account is at epoch {current}, the commit came with another")]
    WrongEpoch {
        /// The store's epoch.
        current: Epoch,
    },
    /// The account is sealed for a move; it will be served from the new place, or again from here.
    #[error("the account is sealed")]
    Sealed,
    /// This copy is not equal to the one that it follows, so it can't take its place: it must follow to the end first.
    #[error("the copy is not equal to the one that it follows")]
    NotEqual,
    /// No such container (any more).
    #[error("there is no container {0}")]
    NoSuchContainer(ContainerId),
    /// A container of that name (and kind) exists there, or one above it would become its own parent.
    #[error("a container of that name exists")]
    NameTaken,
    /// Another item of the container calls itself so ([`NewItem::object_uid`]).
    #[error("another item has the same UID")]
    ObjectUidTaken {
        /// The other one's name; empty when it has none.
        name: String,
    },
    /// A name that is empty, too long, or has a control character or the hierarchy separator.
    #[error("the name is not allowed")]
    InvalidName,
    /// Another container has that special use.
    #[error("another container has that special use")]
    SpecialUseTaken,
    /// The INBOX can't be deleted or hung elsewhere.
    #[error("the INBOX stays")]
    InboxStays,
    /// The container has children.
    #[error("the container has children")]
    HasChildren,
    /// A limit of [`sterna_base::limits`] would be passed; which one.
    #[error("limit reached: {0}")]
    Limit(String),
    /// The quota of bytes or items would be passed.
    #[error("over quota")]
    OverQuota,
    /// A [`Content::Stored`] blob is not there.
    #[error("the account has no blob {0}")]
    NoSuchBlob(BlobHash),
    /// The item, or the container, is not as expected.
    #[error("the account is not as expected")]
    Unexpected,
    /// The mutation doesn't make sense (a `Put` without a name, too long an inline content).
    #[error("invalid: {0}")]
    Invalid(String),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
