//! What the driver of moves asks the directory, and tells it. The server wires the main node's directory behind this.

use async_trait::async_trait;
use sterna_base::{AccountId, Clock, Epoch, JobId, Timestamp};
use tokio::sync::watch;

use super::core::step::MoveView;

/// One move that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveEntry {
    /// The move.
    pub view: MoveView,
    /// What it is part of.
    pub job: JobId,
    /// What people want of it.
    pub wish: Wish,
}

/// What people want of a job's moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To go on.
    GoOn,
    /// To stop before the next cut-over.
    Pause,
    /// To be taken back.
    GiveUp,
}

/// The directory failed, or refused; the text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BookError(pub String);

/// The rows about moves.
#[async_trait]
pub trait MoveBook: Send + Sync {
    /// Moves that are not over, those under way before those that are planned, at most `limit`.
    ///
    /// # Errors
    /// [`BookError`]; the same holds for every method here.
    async fn moves(&self, limit: usize) -> Result<Vec<MoveEntry>, BookError>;

    /// The move of this account, unless it is over.
    async fn entry(&self, account: AccountId) -> Result<Option<MoveEntry>, BookError>;

    /// Planned becomes copying.
    async fn start_copying(&self, account: AccountId) -> Result<(), BookError>;

    /// Copying becomes a cut-over; the directory hands out its epoch.
    async fn start_cut_over(&self, account: AccountId, deadline: Timestamp) -> Result<(), BookError>;

    /// Places the account on the target: the only commit point.
    async fn commit(&self, account: AccountId, epoch: Epoch) -> Result<(), BookError>;

    /// Takes the move back: to be tried again, or for good.
    async fn abort(&self, account: AccountId, retry: bool, reason: &str) -> Result<(), BookError>;

    /// Takes the move back for good, and says why to whoever looks.
    async fn fail(&self, account: AccountId, reason: &str) -> Result<(), BookError>;

    /// Lets copies go that were kept for the way back, when their time is over, and forgets old jobs.
    async fn expire_copies(&self, clock: &dyn Clock) -> Result<(), BookError>;

    /// Moves that may be under way at a time.
    async fn parallel(&self) -> usize;

    /// How long a cut-over may take before it is given up, in milliseconds; longer than
    /// [`super::core::limits::CUT_OVER_MS`] is as long as that.
    async fn cut_over_ms(&self) -> i64;

    /// Grows whenever something may have changed.
    fn changed(&self) -> watch::Receiver<u64>;
}
