//! What an engine implements: one account each, blocking. Protocol sessions never see this; they hold an
//! [`crate::Account`].

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid};

use crate::fork::Fork;
use crate::search::SearchIndex;
use crate::{
    Changes, Commit, CommitError, Committed, Container, ContainerKind, Cursor, Digest, Expunged, Item, ItemFlags,
    ItemParts, UidSet,
    follow::{Applied, ContainerPage, CopiedBlob, FollowError, Page, Progress},
};

/// The account as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose data this is.
    pub account: AccountId,
    /// The modseq of the last commit.
    pub modseq: Modseq,
    /// The epoch under which commits are taken.
    pub epoch: Epoch,
    /// Whether this copy may be written and read.
    pub role: Role,
    /// Limits and what is used of them.
    pub quota: Quota,
    /// Sum over the containers' rows ([`Digest::of_container`]) and the containers' tombstones.
    pub digest: Digest,
}

/// What a copy of an account is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Role {
    /// Serves and takes commits.
    Active = 1,
    /// Takes no commits: a move is about to be committed.
    Sealed = 2,
    /// Takes the pages of another copy, and serves nobody ([`crate::follow`]).
    Follower = 3,
    /// A follower that was equal to the sealed copy and has the epoch after its; it waits for the directory's word.
    Ready = 4,
}

impl Role {
    /// The role with this stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Role::Active, Role::Sealed, Role::Follower, Role::Ready].into_iter().find(|role| *role as u8 == number)
    }
}

/// Limits of an account and what is used of them. Live items count; expunged ones in retention do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quota {
    /// Most bytes; `None` is no limit.
    pub bytes_max: Option<u64>,
    /// Most items; `None` is no limit.
    pub items_max: Option<u64>,
    /// Bytes of all live items.
    pub bytes_used: u64,
    /// Number of all live items.
    pub items_used: u64,
}

/// Why a store could not answer. The text names the cause for the operator; clients get their protocol's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreError {
    /// There is no store for this account here.
    #[error("there is no store of account {0} here")]
    NoSuchAccount(AccountId),
    /// The disk is full; nothing was written. Free space, and it goes on by itself.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// Reading or writing failed. After a failed write or fsync the store takes nothing more until it is reopened and
    /// checked, because nobody can say what reached the disk.
    #[error("input/output error: {0}")]
    Io(String),
    /// An earlier write failed; the store must be reopened first.
    #[error("the store stopped after a failed write: {0}")]
    Stopped(String),
    /// What is stored breaks an invariant.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The file was written by a newer version.
    #[error("the store has format {found}, this version reads up to {supported}; start the newer version again")]
    NewerFormat {
        /// In the file.
        found: u32,
        /// By this binary.
        supported: u32,
    },
    /// The file was written by an older version and is only read, so that it can't be brought up to this one.
    #[error("the store has format {found}, and it is brought to {supported} when the node opens it; start the node")]
    OlderFormat {
        /// In the file.
        found: u32,
        /// By this binary.
        supported: u32,
    },
    /// No such blob.
    #[error("the account has no blob {0}")]
    NoSuchBlob(BlobHash),
    /// No such container.
    #[error("there is no container {0}")]
    NoSuchContainer(ContainerId),
}

/// Reading an account. Every call sees one committed state; two calls may see two.
pub trait Read: Send {
    /// The account as a whole.
    ///
    /// # Errors
    /// When the store can't be read; the same holds for every method here.
    fn head(&self) -> Result<Head, StoreError>;

    /// All live containers, by id.
    fn containers(&self) -> Result<Vec<Container>, StoreError>;

    /// One container, if it lives.
    fn container(&self, id: ContainerId) -> Result<Option<Container>, StoreError>;

    /// The live containers of this kind on a path of names from the top, in its order, as far as they exist: the last
    /// one is the one of the whole path when there are as many as names. Costs what the path costs, in an account of
    /// any size.
    fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, StoreError>;

    /// The narrow rows of live items with a UID greater than `after`, by UID, at most `limit`.
    /// Fails with [`StoreError::NoSuchContainer`].
    fn item_flags(&self, container: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, StoreError>;

    /// The live items among these UIDs, by UID, at most `limit`; UIDs that don't exist are passed over.
    fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError>;

    /// The live item of this name.
    fn item_named(&self, container: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, StoreError>;

    /// The live item that calls itself so ([`Item::object_uid`]). An engine without an index for it reads all items.
    fn object(&self, container: ContainerId, object_uid: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
        let mut after = Uid(0);
        while after < Uid::MAX {
            let uids = UidSet::range(after.next(), Uid::MAX);
            let page = self.items(container, &uids, ItemParts::default(), sterna_base::limits::PAGE_ITEMS_MAX)?;
            let Some(last) = page.last().map(|item| item.uid) else { return Ok(None) };
            if let Some(found) = page.iter().find(|item| item.object_uid.as_deref() == Some(object_uid)) {
                let uids = UidSet::range(found.uid, found.uid);
                return Ok(self.items(container, &uids, parts, 1)?.pop());
            }
            after = last;
        }
        Ok(None)
    }

    /// The UIDs of the live items of these names, in their order; `None` for a name that nobody has.
    fn uids_named(&self, container: ContainerId, names: &[String]) -> Result<Vec<Option<Uid>>, StoreError> {
        let uid = |name: &String| Ok(self.item_named(container, name, ItemParts::default())?.map(|item| item.uid));
        names.iter().map(uid).collect()
    }

    /// Tombstones of a container with a modseq greater than `since`, by UID after `after`, at most `limit`
    /// (VANISHED, RFC 7162 section 3.2.10).
    fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, StoreError>;

    /// What changed after the cursor, at most `limit` rows.
    fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, StoreError>;

    /// The same of one container's named items alone, live and expunged: what collections that clients keep in step
    /// with need. Its own row is not among them. Costs what is given, in a container of any size; an engine without an
    /// index for it reads all changes.
    fn container_changes(&self, container: ContainerId, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        let (mut rows, mut at) = (Vec::new(), after);
        loop {
            let page = self.changes(at, sterna_base::limits::PAGE_ITEMS_MAX)?;
            rows.extend(page.rows.into_iter().filter(|row| row.is_named_item_of(container)));
            let is_full = rows.len() > limit;
            rows.truncate(limit);
            match page.next {
                Some(next) if !is_full => at = next,
                _ => {
                    let next = rows.last().filter(|_| is_full).map(crate::Change::cursor);
                    return Ok(Changes { rows, head: page.head, next });
                }
            }
        }
    }

    /// Bytes of a blob: the range, cut to the blob's length and to [`sterna_base::limits::BLOB_CHUNK_BYTES`].
    /// Blobs of live items, of retained ones and staged ones can be read.
    fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// Every blob the account holds with its length and the number of rows (live and retained) that the store believes
    /// refer to it, by hash after `after`, at most `limit`: what a check compares with the rows.
    fn blobs(&self, after: Option<BlobHash>, limit: usize) -> Result<Vec<(BlobHash, u64, u64)>, StoreError>;

    /// What a follower lacks that got so far, read in one state: at most so many rows and answers, and no more than
    /// [`crate::follow::PAGE_BYTES_MAX`] allows. Costs what the page costs, in an account of any size.
    fn page(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Result<Page, StoreError>;

    /// One container for a follower in which it differs: its rows by UID after this one.
    fn container_page(&self, id: ContainerId, after: Uid, rows_max: usize) -> Result<ContainerPage, StoreError>;

    /// How far this copy is. One that never followed, or was active since, got to its own head: from there it can
    /// follow another.
    fn progress(&self) -> Result<Progress, StoreError>;

    /// Where standby copies took over in this copy's history, oldest first.
    fn forks(&self) -> Result<Vec<Fork>, StoreError>;

    /// These blobs for another copy, in this order, until they have `bytes_max` bytes, but at least one. Those that are
    /// not there any more are left out: of the ones before the last that is given, and all when none is. A long one is
    /// given as [`crate::Content::Stored`], to be read by [`Read::blob`].
    fn copied_blobs(&self, hashes: &[BlobHash], bytes_max: u64) -> Result<Vec<CopiedBlob>, StoreError>;

    /// Those of these blobs that no row here refers to, in their order: what must come with a page. A staged one is
    /// among them.
    fn lacking(&self, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError>;
}

/// Writing an account: there is one of these for each open account.
pub trait Store: Read {
    /// Does these commits in their order, each whole or not at all, and makes all of them durable with one flush before
    /// it returns. One that fails doesn't touch the others.
    ///
    /// # Errors
    /// When the store itself failed: then none of them is acknowledged, and the store has stopped
    /// (except for [`StoreError::DiskFull`], after which nothing was written and it goes on).
    fn commit(&mut self, commits: &[Commit], now: Timestamp)
    -> Result<Vec<Result<Committed, CommitError>>, StoreError>;

    /// Starts to take in a large blob. Does not block: files are made with the first bytes.
    fn stage_blob(&self) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// Purges the contents of items expunged before `before`, the answers of operations older than
    /// [`crate::commit::OPERATION_RETENTION_MS`] before `now`, and blobs that nothing refers to and that were staged
    /// more than a day ago; in small commits, at most `limit` rows in one call. Returns how many rows it purged: call
    /// again until zero. Takes no modseq.
    fn purge(&mut self, before: Timestamp, now: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// Sets epoch and role, durably, on the word of the directory. The epoch never goes back: a smaller one is
    /// [`CommitError::WrongEpoch`].
    ///
    /// A follower gets another role only while it is equal to the copy that it follows: [`CommitError::NotEqual`].
    /// There is one exception, for a failover: one that was equal before and is behind becomes [`Role::Active`] as it
    /// is. What is half there of the last changes is put in order by a commit of its own; what is not there is lost. A
    /// follower that becomes active at once notes that as a [`Fork`], whether it was equal or not.
    fn set_role(&mut self, epoch: Epoch, role: Role, now: Timestamp) -> Result<(), CommitError>;

    /// Applies a page, whole or not at all, with the place where it ends; durably, once the copy was equal. One that
    /// never was may be back at its start after the machine failed. The rows of a page may be of another
    /// time than those that are here: a name that another row holds here is taken from it, because that row's newer
    /// form is on its way. Blobs that its rows refer to and that are not here must come with it
    /// ([`Read::lacking`]); a long one is staged before. When the page is the last one, the sums here must be the
    /// source's. A page that was applied already is [`FollowError::NotNext`].
    ///
    /// # Errors
    /// [`FollowError`]; nothing was applied then.
    fn follow(&mut self, page: &Page, blobs: Vec<CopiedBlob>, now: Timestamp) -> Result<Applied, FollowError>;

    /// Forgets a container, its items and its tombstones in a copy that follows, because it differs from the source's:
    /// at most so many rows in one call. Returns how many it forgot: call again until zero, then bring the
    /// container's pages. If that is broken off, the next last page differs again.
    ///
    /// # Errors
    /// [`FollowError::NotFollowing`], or when the store failed.
    fn forget_container(&mut self, id: ContainerId, rows_max: usize) -> Result<u64, FollowError>;

    /// Applies a page of one container that was forgotten, durably. Can be repeated.
    ///
    /// # Errors
    /// [`FollowError`]; nothing was applied then.
    fn follow_container(
        &mut self,
        page: &ContainerPage,
        blobs: Vec<CopiedBlob>,
        now: Timestamp,
    ) -> Result<(), FollowError>;

    /// Another reader of the same account, for another thread; sees what is committed.
    fn reader(&self) -> Result<Box<dyn Read>, StoreError>;

    /// The engine's own check of its files (SQLite's `integrity_check`); empty when all is well. What every engine must
    /// hold is in [`crate::check`].
    fn check_files(&self) -> Result<Vec<String>, StoreError>;
}

/// Takes in one large blob, in pieces.
pub trait BlobWriter: Send {
    /// The next bytes.
    ///
    /// # Errors
    /// When they can't be written; drop the writer then, and nothing stays behind.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Takes in the whole of a file that nobody writes any more by giving it one more name; [`BlobWriter::finish`]
    /// makes it durable. Nothing may have been written before. `false` when it must be written instead: not every
    /// store has files, and names can't be given across file systems.
    ///
    /// # Errors
    /// When the file can't be read.
    fn link(&mut self, _file: &Path) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Makes the blob durable and gives its name and length. It stays staged until a commit refers to it.
    ///
    /// # Errors
    /// When it can't be made durable.
    fn finish(self: Box<Self>) -> Result<(BlobHash, u64), StoreError>;
}

/// Opens the stores of a node.
pub trait Engine: Send + Sync {
    /// Makes the store of an account, durably, with no container in it: [`Role::Active`] for a new account,
    /// [`Role::Follower`] for a copy, which can follow from the start. Existing already with this epoch is success,
    /// whatever became of its role, so that the call can be repeated.
    ///
    /// # Errors
    /// When it can't be made.
    fn create(&self, account: AccountId, epoch: Epoch, role: Role, now: Timestamp) -> Result<(), StoreError>;

    /// Opens an account's store, running the migrations of its format. The caller sees to it that an account is open
    /// once.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or why it can't be opened.
    fn open(&self, account: AccountId) -> Result<Box<dyn Store>, StoreError>;

    /// Deletes an account's store and all that belongs to it.
    ///
    /// # Errors
    /// When it can't be deleted; there being none is success.
    fn delete(&self, account: AccountId) -> Result<(), StoreError>;

    /// The accounts that have a store here, by id.
    ///
    /// # Errors
    /// When they can't be listed.
    fn accounts(&self) -> Result<Vec<AccountId>, StoreError>;

    /// Puts an account's store aside, durably, with a note: the account has no store here then. There being none is
    /// [`StoreError::NoSuchAccount`]; it must not be open.
    ///
    /// # Errors
    /// When it can't be done; the store is where it was then.
    fn set_aside(&self, account: AccountId, note: &[u8], now: Timestamp) -> Result<AsideName, StoreError>;

    /// The stores that were put aside, oldest first, with their notes.
    ///
    /// # Errors
    /// When they can't be listed.
    fn asides(&self) -> Result<Vec<(AsideName, Vec<u8>)>, StoreError>;

    /// Replaces the note of a store that was put aside.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`] when there is none of this name, or why it can't be written.
    fn set_aside_note(&self, name: AsideName, note: &[u8]) -> Result<(), StoreError>;

    /// Opens a store that was put aside, to be read.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or why it can't be opened.
    fn open_aside(&self, name: AsideName) -> Result<Box<dyn Read>, StoreError>;

    /// The index for searches beside an account's store, made if there is none; `None` when this engine has none.
    ///
    /// # Errors
    /// When it can't be opened. [`StoreError::Corrupt`] and [`StoreError::NewerFormat`] ask for it to be deleted.
    fn search_index(&self, account: AccountId) -> Result<Option<Box<dyn SearchIndex>>, StoreError> {
        let _ = account;
        Ok(None)
    }

    /// Deletes that index, so that it is made anew; there being none is success. Whoever has it open sees the old one.
    ///
    /// # Errors
    /// When it can't be deleted.
    fn delete_search_index(&self, account: AccountId) -> Result<(), StoreError> {
        let _ = account;
        Ok(())
    }

    /// Deletes a store that was put aside; there being none is success.
    ///
    /// # Errors
    /// When it can't be deleted.
    fn delete_aside(&self, name: AsideName) -> Result<(), StoreError>;
}

/// A store that was put aside: whose, and when. An account has at most one of each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AsideName {
    /// When, to the millisecond.
    pub at: Timestamp,
    /// Whose data it has.
    pub account: AccountId,
}

/// How people and folders call it: `ACCOUNT-MILLISECONDS`.
impl fmt::Display for AsideName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.account, self.at.0)
    }
}

/// A text that is no [`AsideName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a store that was put aside")]
pub struct InvalidAsideName;

impl FromStr for AsideName {
    type Err = InvalidAsideName;

    fn from_str(text: &str) -> Result<Self, InvalidAsideName> {
        let (account, at) = text.split_once('-').ok_or(InvalidAsideName)?;
        let at = Timestamp(at.parse().map_err(|_| InvalidAsideName)?);
        Ok(AsideName { at, account: account.parse().map_err(|_| InvalidAsideName)? })
    }
}
