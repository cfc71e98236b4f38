//! Following: how one copy of an account becomes, and stays, the same as another.
//!
//! A follower asks the copy it follows for pages, fetches the blobs it lacks, and applies each page in one durable
//! transaction. It computes sums and digests itself; at the end of the pages its digest is the other's, or a fault was
//! found. Live moves, standby copies and migrations differ only in who asks and when it ends.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp, UidValidity};

use crate::{Change, Committed, Container, Content, Cursor, Digest, Head, StoreError};

/// Most rows in one page.
pub const PAGE_ROWS_MAX: usize = 2000;
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
    /// The account in this state. Its digest is what the follower's must be when `is_last`.
    pub head: Head,
    /// Whether rows and answers reach the head.
    pub is_last: bool,
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
    /// The page does not begin where this copy ends.
    #[error("the page begins elsewhere than this copy ends")]
    NotNext,
    /// A blob of the page is not here and did not come with it.
    #[error("blob {0} is missing")]
    NoSuchBlob(BlobHash),
    /// At the source's head the digests differ: these containers must be copied again.
    #[error("the copy differs from its source in {} containers", .0.len())]
    Differs(Vec<ContainerId>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
