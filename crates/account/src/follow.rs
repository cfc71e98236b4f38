//! Following: how one copy of an account becomes, and stays, the same as another.
//!
//! A follower asks the copy it follows for pages, fetches the blobs it lacks, and applies each page in one durable
//! transaction. It computes sums and digests itself; at the end of the pages its digest is the other's, or a fault was
//! found. Live moves, standby copies and migrations differ only in who asks and when it ends.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp, Uid, UidValidity};

use crate::fork::Fork;
use crate::{Change, CommitError, Committed, Container, Content, Cursor, Digest, Head, StoreError};

/// Most rows in one page.
pub const PAGE_ROWS_MAX: usize = 2000;
/// Most bytes of contents that the rows of one page refer to, and most bytes of its answers, unless the first alone has
/// more: a page with its blobs is held in memory and applied in one transaction.
pub const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most kept answers of operations in one page.
pub const PAGE_OPERATIONS_MAX: usize = 2000;

/// How far a follower is. Stored with what it applied, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last row that was applied.
    pub rows: Cursor,
    /// The last kept answer that was applied: [`KeptAnswer::number`].
    pub answers: u64,
}

impl Progress {
    /// Nothing was applied yet.
    pub fn start() -> Self {
        Progress { rows: Cursor::start(), answers: 0 }
    }
}

/// A page of what a follower lacks, read in one state of the copy that it follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Where it begins: the follower's place when it asked.
    pub after: Progress,
    /// Rows after the follower's place, in the order of [`Cursor`], at most [`PAGE_ROWS_MAX`].
    pub rows: Vec<Change>,
    /// The live containers of these rows, by id, as they are in this state. A container's own row may come much later
    /// in the order than its items, which must not wait for it.
    pub containers: Vec<Container>,
    /// Kept answers after the follower's place, by number, at most [`PAGE_OPERATIONS_MAX`].
    pub answers: Vec<KeptAnswer>,
    /// The number of the container that is made next: ids are never given twice, wherever the account lives.
    pub next_container: ContainerId,
    /// The last UIDVALIDITY that was given.
    pub last_uid_validity: UidValidity,
    /// The number of the last operation. Its answer may be purged already; the number is not given again.
    pub last_answer: u64,
    /// The account in this state. Its digest is what the follower's must be when `is_last`.
    pub head: Head,
    /// Where standby copies took over in this account's history, oldest first.
    #[serde(default)]
    pub forks: Vec<Fork>,
    /// Whether rows and answers reach the head.
    pub is_last: bool,
}

impl Page {
    /// How far a follower is that applied it.
    pub fn end(&self) -> Progress {
        if self.is_last {
            return Progress { rows: Cursor::since(self.head.modseq), answers: self.last_answer };
        }
        Progress {
            rows: self.rows.last().map_or(self.after.rows, Change::cursor),
            answers: self.answers.last().map_or(self.after.answers, |answer| answer.number),
        }
    }

    /// Whether rows and answers rise from where the page begins: false for one that was put together wrongly.
    pub fn is_in_order(&self) -> bool {
        let mut row = self.after.rows;
        let rows = self.rows.iter().all(|next| std::mem::replace(&mut row, next.cursor()) < next.cursor());
        let mut number = self.after.answers;
        rows && self.answers.iter().all(|next| std::mem::replace(&mut number, next.number) < next.number)
    }

    /// The blobs that its rows refer to, each once, in the order of the rows.
    pub fn blobs(&self) -> Vec<BlobHash> {
        blobs_of(&self.rows)
    }

    /// Takes out what refers to blobs that the source no longer has. An item that lost its content has a newer form,
    /// which a later page brings; a content that was only retained was purged.
    pub fn forget_blobs(&mut self, gone: &[BlobHash]) {
        let rows = self.rows.len();
        forget_blobs(&mut self.rows, gone);
        self.is_last &= self.rows.len() == rows;
    }
}

/// One container as the source has it, in pages: for a copy in which it differs. Its rows may be newer than the
/// follower's place; the pages that follow bring them again, or newer ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerPage {
    /// Which one.
    pub id: ContainerId,
    /// Its own row or its tombstone; `None` when the source never had it.
    pub own: Option<Change>,
    /// Its items and tombstones by UID, as many as a [`Page`] may have.
    pub rows: Vec<Change>,
    /// After which UID to go on; `None` when these were the last.
    pub next: Option<Uid>,
}

impl ContainerPage {
    /// The blobs that its rows refer to, each once, in the order of the rows.
    pub fn blobs(&self) -> Vec<BlobHash> {
        blobs_of(&self.rows)
    }

    /// As [`Page::forget_blobs`].
    pub fn forget_blobs(&mut self, gone: &[BlobHash]) {
        forget_blobs(&mut self.rows, gone);
    }
}

/// The blob that a row refers to, and its length.
pub fn blob_of(row: &Change) -> Option<(BlobHash, u64)> {
    match row {
        Change::Item(item) => Some((item.blob, item.size)),
        Change::Expunged(expunged) => expunged.retained.as_ref().map(|retained| (retained.blob, retained.size)),
        Change::Container(_) | Change::ContainerDeleted { .. } => None,
    }
}

fn blobs_of(rows: &[Change]) -> Vec<BlobHash> {
    let mut seen = HashSet::new();
    let hashes = rows.iter().filter_map(blob_of).map(|(hash, _)| hash);
    hashes.filter(|hash| seen.insert(*hash)).collect()
}

fn forget_blobs(rows: &mut Vec<Change>, gone: &[BlobHash]) {
    let gone: HashSet<_> = gone.iter().copied().collect();
    rows.retain_mut(|row| {
        let is_gone = blob_of(row).is_some_and(|(hash, _)| gone.contains(&hash));
        match row {
            Change::Item(_) => !is_gone,
            Change::Expunged(expunged) => {
                if is_gone {
                    expunged.retained = None;
                }
                true
            }
            Change::Container(_) | Change::ContainerDeleted { .. } => true,
        }
    });
}

/// How many of these rows a page takes: as many as [`PAGE_BYTES_MAX`] allows, and at least one.
pub fn rows_within_bytes(rows: &[Change]) -> usize {
    let sizes = rows.iter().map(|row| blob_of(row).map_or(0, |(_, size)| size));
    within_bytes(sizes)
}

/// How many of these sizes fit into [`PAGE_BYTES_MAX`], and at least one.
pub fn within_bytes(sizes: impl Iterator<Item = u64>) -> usize {
    let mut total = 0_u64;
    let fits = |(at, size): &(usize, u64)| {
        total = total.saturating_add(*size);
        *at == 0 || total <= PAGE_BYTES_MAX
    };
    sizes.enumerate().take_while(fits).count()
}

/// The containers in which two copies differ, by id, given all live containers of both at the same modseq.
pub fn differing(ours: &[Container], theirs: &[Container]) -> Vec<ContainerId> {
    let digests = |containers: &[Container]| -> BTreeMap<ContainerId, Digest> {
        containers.iter().map(|container| (container.id, Digest::of_container(container))).collect()
    };
    let (ours, theirs) = (digests(ours), digests(theirs));
    let ids: BTreeSet<_> = ours.keys().chain(theirs.keys()).copied().collect();
    ids.into_iter().filter(|id| ours.get(id) != theirs.get(id)).collect()
}

/// The kept answer of an operation: a commit that is repeated at the new place is answered, not done again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Counts the account's operations; the same in every copy.
    pub number: u64,
    /// The operation.
    pub operation: OperationId,
    /// When it was done.
    pub done_at: Timestamp,
    /// What was answered.
    pub answer: Committed,
}

/// A blob on its way to another copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedBlob {
    /// Its name.
    pub hash: BlobHash,
    /// Its length in bytes.
    pub size: u64,
    /// The summary kept with it.
    pub summary: Option<Bytes>,
    /// Its content: inside, or staged by [`crate::Store::stage_blob`] when it is applied. A source gives `Stored` for
    /// one that is too long to be given inside; the follower then reads it by ranges and stages it.
    pub content: Content,
}

/// What applying a page came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// How far the follower is now.
    pub progress: Progress,
    /// The follower's modseq: the source's when the page was the last one.
    pub modseq: Modseq,
    /// The follower's digest.
    pub digest: Digest,
    /// Whether it was the source's state when the page was read.
    pub is_equal: bool,
}

/// Why a page was not applied. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowError {
    /// This copy doesn't follow: it is active or sealed.
    #[error("this copy of the account does not follow another one")]
    NotFollowing,
    /// The page does not begin where this copy ends, is out of order, or is another account's.
    #[error("the page begins elsewhere than this copy ends")]
    NotNext,
    /// A blob of the page is not here and did not come with it.
    #[error("blob {0} is missing")]
    NoSuchBlob(BlobHash),
    /// What came under a blob's name is not its content.
    #[error("what came as blob {0} is another content")]
    WrongBlob(BlobHash),
    /// At the source's head the sums differ. The containers are those of the page that do; compare all of them
    /// ([`differing`]) when there is none. Copy them again ([`crate::Store::forget_container`]); when no container
    /// differs, or that doesn't help, copy the account anew.
    #[error("the copy differs from its source")]
    Differs(Vec<ContainerId>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for FollowError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => FollowError::Store(error),
            CommitError::NoSuchContainer(id) => FollowError::Differs(vec![id]),
            other => FollowError::Store(StoreError::Corrupt(other.to_string())),
        }
    }
}
