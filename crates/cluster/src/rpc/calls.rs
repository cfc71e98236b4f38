//! The account calls: one request and one answer type for each method of [`sterna_account::Account`]. Fields are only
//! added, with a default.

use serde::{Deserialize, Serialize};
use sterna_account::search::Filter;
use sterna_account::{ContainerKind, Cursor, ItemParts, Lookup, Mutation, UidSet};
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Uid};

/// The last part of each call's path.
pub mod path {
    #![allow(missing_docs)] // each is the name of the method it calls
    pub const HEAD: &str = "head";
    pub const CONTAINERS: &str = "containers";
    pub const CONTAINER: &str = "container";
    pub const CONTAINERS_ON_PATH: &str = "containers-on-path";
    pub const ITEM_FLAGS: &str = "item-flags";
    pub const ITEMS: &str = "items";
    pub const ITEM_NAMED: &str = "item-named";
    pub const OBJECT: &str = "object";
    /// [`Account::uids_named`](sterna_account::Account::uids_named)
    pub const UIDS_NAMED: &str = "uids-named";
    pub const LOOK_UP: &str = "look-up";
    pub const EXPUNGED: &str = "expunged";
    pub const CHANGES: &str = "changes";
    pub const CONTAINER_CHANGES: &str = "container-changes";
    pub const BLOB: &str = "blob";
    pub const SEARCH: &str = "search";
    pub const RELEVANCY: &str = "relevancy";
    pub const COMMIT: &str = "commit";
    pub const STAGE_BLOB: &str = "stage-blob";
    pub const STAGED_BLOB: &str = "staged-blob";
}

/// A call without arguments.
#[derive(Serialize, Deserialize)]
pub struct Nothing {}

/// [`path::CONTAINER`]
#[derive(Serialize, Deserialize)]
pub struct ContainerCall {
    /// Which.
    pub container: ContainerId,
}

/// [`path::CONTAINERS_ON_PATH`]
#[derive(Serialize, Deserialize)]
pub struct ContainersOnPathCall {
    /// Of which kind.
    pub kind: ContainerKind,
    /// The names, from the top.
    pub path: Vec<String>,
}

/// [`path::ITEM_FLAGS`]; answered with a [`Page`].
#[derive(Serialize, Deserialize)]
pub struct ItemFlagsCall {
    /// Where.
    pub container: ContainerId,
    /// After which UID.
    pub after: Uid,
    /// At most so many; the answering node has a limit of its own.
    pub limit: u64,
}

/// [`path::ITEMS`]; answered with a [`Page`].
#[derive(Serialize, Deserialize)]
pub struct ItemsCall {
    /// Where.
    pub container: ContainerId,
    /// Which.
    pub uids: UidSet,
    /// With what.
    pub parts: ItemParts,
    /// At most so many; the answering node has a limit of its own.
    pub limit: u64,
}

/// Names in one [`UidsNamedCall`].
pub const NAMES_AT_ONCE: usize = 1000;

/// [`path::UIDS_NAMED`]
#[derive(Serialize, Deserialize)]
pub struct UidsNamedCall {
    /// Where.
    pub container: ContainerId,
    /// The names, at most [`NAMES_AT_ONCE`].
    pub names: Vec<String>,
}

/// [`path::LOOK_UP`]
#[derive(Serialize, Deserialize)]
pub struct LookUpCall {
    /// What is asked.
    pub lookups: Vec<Lookup>,
}

/// [`path::ITEM_NAMED`]
#[derive(Serialize, Deserialize)]
pub struct ItemNamedCall {
    /// Where.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
    /// With what.
    pub parts: ItemParts,
}

/// [`path::OBJECT`]
#[derive(Serialize, Deserialize)]
pub struct ObjectCall {
    /// Where.
    pub container: ContainerId,
    /// What it calls itself.
    pub object_uid: String,
    /// With what.
    pub parts: ItemParts,
}

/// [`path::EXPUNGED`]; answered with a [`Page`].
#[derive(Serialize, Deserialize)]
pub struct ExpungedCall {
    /// Where.
    pub container: ContainerId,
    /// Since when.
    pub since: Modseq,
    /// After which UID.
    pub after: Uid,
    /// At most so many; the answering node has a limit of its own.
    pub limit: u64,
}

/// [`path::CHANGES`]
#[derive(Serialize, Deserialize)]
pub struct ChangesCall {
    /// After what.
    pub after: Cursor,
    /// At most so many; the answering node has a limit of its own.
    pub limit: u64,
}

/// [`path::CONTAINER_CHANGES`]
#[derive(Serialize, Deserialize)]
pub struct ContainerChangesCall {
    /// Of which container.
    pub container: ContainerId,
    /// After what.
    pub after: Cursor,
    /// At most so many; the answering node has a limit of its own.
    pub limit: u64,
}

/// [`path::BLOB`]; answered with the bytes themselves.
#[derive(Serialize, Deserialize)]
pub struct BlobCall {
    /// Which.
    pub hash: BlobHash,
    /// From this byte.
    pub start: u64,
    /// To before this byte.
    pub end: u64,
}

/// [`path::SEARCH`]
#[derive(Serialize, Deserialize)]
pub struct SearchCall {
    /// Where.
    pub container: ContainerId,
    /// What they must be like.
    pub filter: Filter,
    /// Which.
    pub uids: UidSet,
}

/// [`path::COMMIT`]
#[derive(Serialize, Deserialize)]
pub struct CommitCall {
    /// Names the commit for ever.
    pub operation: OperationId,
    /// What to do.
    pub mutations: Vec<Mutation>,
}

/// The answer to [`path::STAGE_BLOB`].
#[derive(Serialize, Deserialize)]
pub struct Staged {
    /// Its name.
    pub hash: BlobHash,
    /// Its length.
    pub size_bytes: u64,
}

/// Rows, and whether the answering node stopped at its own limit and has more of what was asked for.
#[derive(Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Ask again after the last one.
    #[serde(default)]
    pub more: bool,
}

/// A record from the watcher: two bytes of length (big endian), then MessagePack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchAsk {
    /// Which account.
    pub account: sterna_base::AccountId,
    /// Under which placement; `None` ends the watch.
    pub epoch: Option<sterna_base::Epoch>,
}

/// A record to the watcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchTell {
    /// Which account.
    pub account: sterna_base::AccountId,
    /// Its modseq now; `None` when it can't be watched here (any more).
    pub modseq: Option<Modseq>,
}
