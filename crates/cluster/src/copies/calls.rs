//! The calls between a copy and the account that it follows, and between the main node and both. Fields are only added,
//! with a default.

use serde::{Deserialize, Serialize};
use sterna_account::follow::Progress;
use sterna_account::{Digest, Role};
use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid};

use super::acks::{EqualAt, Waiting};
use super::throttle::Speed;
use crate::moving::core::answers::{FollowingSaid, Said};
use crate::moving::core::step::End;

/// The last part of each call's path, behind `/v1/copies/ACCOUNT/`.
pub mod path {
    #![allow(missing_docs)] // each is described at its body below
    pub const PAGE: &str = "page";
    pub const BLOBS: &str = "blobs";
    pub const BLOB: &str = "blob";
    pub const CONTAINERS: &str = "containers";
    pub const CONTAINER_PAGE: &str = "container-page";
    /// What a node that holds a copy asks; the others are the main node's.
    pub const OF_FOLLOWERS: [&str; 5] = [PAGE, BLOBS, BLOB, CONTAINERS, CONTAINER_PAGE];
    /// What the account's server asks a node that holds a copy: to ask for pages now.
    pub const NEWS: &str = "news";
    pub const STATE: &str = "state";
    pub const SEAL: &str = "seal";
    pub const READY: &str = "ready";
}

/// [`path::PAGE`]: asks for what a copy lacks; answered with [`sterna_account::follow::Page`].
#[derive(Debug, Serialize, Deserialize)]
pub struct PageCall {
    /// How far the copy is.
    pub after: Progress,
    /// At most so many rows; capped by the answering node.
    pub rows_max: u64,
    /// Where the copy was last equal to the account that it asks, durably: its acknowledgement. `None` when it has not
    /// found out yet.
    #[serde(default)]
    pub equal: Option<EqualAt>,
}

/// [`path::BLOBS`]: answered with the blobs that are still there, in the order asked, at least one of them and not more
/// than [`crate::limits::COPIED_BLOBS_BYTES_MAX`] of contents.
#[derive(Debug, Serialize, Deserialize)]
pub struct BlobsCall {
    /// Which.
    pub hashes: Vec<BlobHash>,
}

/// [`path::CONTAINER_PAGE`]: asks for a container in which a copy differs; answered with
/// [`sterna_account::follow::ContainerPage`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ContainerPageCall {
    /// Which.
    pub id: ContainerId,
    /// After which UID.
    pub after: Uid,
    /// At most so many rows; capped by the answering node.
    pub rows_max: u64,
}

/// [`path::SEAL`]: the main node seals the account, which takes no more commits; answered with [`CopyState`], whose
/// modseq and digest are final.
#[derive(Debug, Serialize, Deserialize)]
pub struct SealCall {
    /// The epoch under which it is active; another one is refused.
    pub epoch: Epoch,
}

/// [`path::READY`]: the main node asks a copy to become equal to the sealed account and to take the next epoch;
/// answered with [`CopyState`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadyCall {
    /// Where the sealed account ends.
    pub end: End,
    /// The epoch to take.
    pub epoch: Epoch,
}

/// [`path::STATE`]: how a store is, whatever its role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyState {
    /// Its role.
    pub role: Role,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its modseq.
    pub modseq: Modseq,
    /// Its digest.
    pub digest: Digest,
    /// The number of its last kept answer.
    pub answers: u64,
    /// Bytes of its live items.
    #[serde(default)]
    pub bytes: u64,
    /// Its live items.
    #[serde(default)]
    pub items: u64,
    /// How its following goes, if it follows.
    #[serde(default)]
    pub following: Option<FollowingSaid>,
    /// How far the source was when it was last heard of; numbers that were skipped by takeovers the copy has not heard
    /// of are not counted.
    #[serde(default)]
    pub source_modseq: Modseq,
    /// Bytes of the source's live items then.
    #[serde(default)]
    pub source_bytes: u64,
    /// The source's live items then.
    #[serde(default)]
    pub source_items: u64,
    /// Bytes of contents fetched since the node started to follow.
    #[serde(default)]
    pub fetched_bytes: u64,
    /// Since when it has been equal whenever it asked; `None` while it is not.
    #[serde(default)]
    pub equal_since: Option<Timestamp>,
    /// How long ago it was equal for the last time, in milliseconds; `None` when it was not since its node started.
    #[serde(default)]
    pub equal_ms: Option<u64>,
    /// How long its node did not hear of the source's node, in milliseconds.
    #[serde(default)]
    pub source_silent_ms: Option<u64>,
    /// Why it does not go on at present, for the operator.
    #[serde(default)]
    pub trouble: Option<String>,
    /// How often it was found to differ from its source.
    #[serde(default)]
    pub differed: u64,
    /// How fast copies go on its node, and why not faster; `None` when there is nothing to copy.
    #[serde(default)]
    pub speed: Option<Speed>,
    /// Of a copy: whether its rows are those that the account had at `modseq`, and nothing of a later change is there.
    #[serde(default)]
    pub is_settled: bool,
    /// Of a copy: whether it ever was equal to the account. If not, whole folders may be missing.
    #[serde(default)]
    pub is_complete: bool,
    /// Of an account: the copies for which its commits wait in vain.
    #[serde(default)]
    pub waiting: Vec<Waiting>,
}

impl CopyState {
    /// What the main node's decisions need of it.
    pub fn said(&self) -> Said {
        let CopyState { role, epoch, modseq, digest, answers, following, .. } = self.clone();
        Said { role, epoch, modseq, digest, answers, following }
    }
}
