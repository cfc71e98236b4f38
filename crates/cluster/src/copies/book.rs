//! What the cluster asks the directory about copies. The server wires a directory copy behind this.

use async_trait::async_trait;
use sterna_account::AccountError;
use sterna_base::{AccountId, NodeId};
use tokio::sync::watch;

use crate::nodes::Placement;

/// What the directory says of the copies of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyFacts {
    /// Where it lives; `None` when there is no such account (any more).
    pub placement: Option<Placement>,
    /// Who holds copies of it besides.
    pub copies: Vec<CopyHolder>,
}

/// One node that holds a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyHolder {
    /// Who.
    pub node: NodeId,
    /// Whether commits are acknowledged only when this copy has them durably, too.
    pub is_awaited: bool,
}

impl CopyFacts {
    /// Whether this node is to hold a copy.
    pub fn is_holder(&self, node: NodeId) -> bool {
        self.copies.iter().any(|copy| copy.node == node)
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

    /// Grows whenever something may have changed.
    fn changed(&self) -> watch::Receiver<u64>;
}
