//! What the cluster asks the directory about copies. The server wires a directory copy behind this.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sterna_account::AccountError;
use sterna_base::{AccountId, Epoch, NodeId};
use tokio::sync::watch;

use crate::nodes::Placement;

/// What the directory says of the copies of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyFacts {
    /// Where it lives; `None` when there is no such account (any more).
    pub placement: Option<Placement>,
    /// The directory's modseq when it was placed there.
    pub placed_at: u64,
    /// Who holds copies of it besides.
    pub copies: Vec<CopyHolder>,
}

/// One node that holds a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyHolder {
    /// Who.
    pub node: NodeId,
    /// Whether it may take over without the placement's server having been asked.
    pub is_standby: bool,
    /// How far a copy is that commits are to wait for; `None` when they never do.
    pub stage: Option<CopyStage>,
    /// The version of what the directory says of it.
    pub version: u64,
}

/// How far a copy is that commits are to wait for (decision 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyStage {
    /// It has not caught up yet: nothing waits for it.
    Seeding,
    /// It has caught up, and commits wait for it. What was acknowledged shortly before may be missing.
    Joining,
    /// Commits wait for it, and it has everything that was ever acknowledged.
    Awaited,
}

/// How far a copy is, as a node saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// Of which account.
    pub account: AccountId,
    /// Where the copy is.
    pub copy: NodeId,
    /// Under which placement the account's server saw it.
    pub epoch: Epoch,
    /// The version of what the directory said of it then.
    pub version: u64,
    /// How far it is.
    pub stage: CopyStage,
}

impl CopyFacts {
    /// Whether this node is to hold a copy.
    pub fn is_holder(&self, node: NodeId) -> bool {
        self.copies.iter().any(|copy| copy.node == node)
    }

    /// How far the copy on this node is.
    pub fn stage(&self, node: NodeId) -> Option<CopyStage> {
        self.copies.iter().find(|copy| copy.node == node)?.stage
    }
}

/// Where copies are to be.
#[async_trait]
pub trait CopyBook: Send + Sync {
    /// What the directory says of this account.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`] when the directory can't be read.
    async fn facts(&self, account: AccountId) -> Result<CopyFacts, AccountError>;

    /// Accounts of which this node is to hold a copy, by id after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`] when the directory can't be read.
    async fn copies_on(
        &self,
        node: NodeId,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<AccountId>, AccountError>;

    /// Accounts whose placement or copies changed after `since`, each once, and how far the directory was.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`] when the directory can't be read.
    async fn changed_since(&self, since: u64) -> Result<(Vec<AccountId>, u64), AccountError>;

    /// Tells the main node how far a copy is. What is out of date is refused; it may be repeated.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`] when the main node can't be reached, or refuses.
    async fn report(&self, report: StageReport) -> Result<(), AccountError>;

    /// Whether what the directory says of copies on this node changed after `since`; a failover away from a node makes
    /// one there. `true` also when that is too long ago to be looked up quickly.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`] when the directory can't be read.
    async fn copies_changed(&self, node: NodeId, since: u64) -> Result<bool, AccountError>;

    /// Grows whenever something may have changed: the directory's modseq.
    fn changed(&self) -> watch::Receiver<u64>;
}

/// Before a copy on this node is damaged on purpose, or when it was found gone: nothing is promised of it any more.
///
/// # Errors
/// When the main node can't be told. The copy must be left as it is then.
pub(super) async fn take_back(book: &dyn CopyBook, node: NodeId, account: AccountId) -> Result<(), AccountError> {
    let facts = book.facts(account).await?;
    let held = facts.copies.iter().find(|copy| copy.node == node);
    let (Some(CopyHolder { stage: Some(CopyStage::Joining | CopyStage::Awaited), version, .. }), Some(placement)) =
        (held, facts.placement)
    else {
        return Ok(());
    };
    tracing::error!(%account, "the standby copy that acknowledgements wait for is gone or damaged; it is made again");
    let (epoch, version) = (placement.epoch, *version);
    book.report(StageReport { account, copy: node, epoch, version, stage: CopyStage::Seeding }).await
}
