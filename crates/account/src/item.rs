//! Items: messages, events, cards, files, scripts, settings.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, ContainerId, Modseq, Timestamp, Uid};

use crate::Flags;

/// The narrow part of an item: what a mailbox view holds for each message, so that opening a folder of 100,000
/// messages reads no more than it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFlags {
    /// Its number in the container.
    pub uid: Uid,
    /// The last commit that touched it.
    pub modseq: Modseq,
    /// Its flags.
    pub flags: Flags,
}

/// One live item as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Where it is.
    pub container: ContainerId,
    /// Its number there.
    pub uid: Uid,
    /// The last commit that touched it.
    pub modseq: Modseq,
    /// Its flags.
    pub flags: Flags,
    /// Its content's name.
    pub blob: BlobHash,
    /// Its content's length in bytes.
    pub size: u64,
    /// INTERNALDATE of a message (RFC 9051 section 2.3.3); the time of the write for everything else.
    pub internal_date: Timestamp,
    /// When it came into this container (SAVEDATE, RFC 8514).
    pub saved_at: Timestamp,
    /// The name of a DAV resource, a subscription, a setting; unique in the container. `None` for messages.
    pub name: Option<String>,
    /// What the content calls itself, for calendar objects and cards: their UID (RFC 5545 section 3.8.4.7, RFC 6350
    /// section 6.7.6); unique in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_uid: Option<String>,
    /// The summary stored with the content ([`sterna_formats`] gives its layout); filled when asked for by
    /// [`ItemParts::summary`] or [`ItemParts::summary_start`], and empty when the content has none.
    #[serde(default)]
    pub summary: Option<Bytes>,
    /// The content itself; filled when asked for by [`ItemParts::body`] and not longer than
    /// [`sterna_base::limits::INLINE_BLOB_BYTES_MAX`], so that a run of small messages costs one call.
    #[serde(default)]
    pub body: Option<Bytes>,
}

/// How much of a summary [`ItemParts::summary_start`] gives: its version and its sizes
/// ([`sterna_formats::mail::Sizes`]).
pub const SUMMARY_START_BYTES: usize = sterna_formats::mail::SIZES_BYTES_MAX;

/// Which costly parts of items a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ItemParts {
    /// Fill [`Item::summary`].
    pub summary: bool,
    /// Fill [`Item::body`] of small items.
    pub body: bool,
    /// Fill [`Item::summary`] with only the first [`SUMMARY_START_BYTES`] of it, where the sizes stand: for what needs
    /// those of a whole mailbox. With [`ItemParts::summary`] all of it comes.
    #[serde(default)]
    pub summary_start: bool,
}

/// What is left of an expunged item: a fact with a modseq, because absence can't be interpreted. For the retention time
/// the content is kept too; then only the tombstone stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expunged {
    /// Where it was.
    pub container: ContainerId,
    /// Its number there, never given to another item.
    pub uid: Uid,
    /// The commit that expunged it. Purging the content later is housekeeping of each copy and takes no modseq.
    pub modseq: Modseq,
    /// When it was expunged.
    pub expunged_at: Timestamp,
    /// What it was, while it is retained; `None` after the purge.
    pub retained: Option<Retained>,
}

/// An expunged item's data during the retention time: all that is needed to bring it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// Its content's name.
    pub blob: BlobHash,
    /// Its content's length in bytes.
    pub size: u64,
    /// Its flags when it was expunged.
    pub flags: Flags,
    /// Its internal date.
    pub internal_date: Timestamp,
    /// Its name, if it had one.
    pub name: Option<String>,
}
