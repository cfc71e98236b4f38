//! What the cluster asks the directory: who belongs to the installation, and where an account lives. The server wires a
//! directory copy behind these traits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sterna_account::AccountError;
use sterna_base::{AccountId, Epoch, NodeId};
use tokio::sync::watch;

use crate::limits::PLACEMENTS_REMEMBERED_MAX;

/// What a node does; a node has one or more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// Owns the directory and the installation's CA.
    Main,
    /// Holds accounts.
    Data,
    /// Speaks to the world.
    Edge,
}

/// The roles of one node.
pub type NodeRoles = BTreeSet<NodeRole>;

/// One node as the directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its id, for ever.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// `host:port` of its cluster listener; may change.
    pub address: String,
    /// Whether it holds accounts.
    pub is_data: bool,
    /// Whether it speaks to the world.
    pub is_edge: bool,
}

/// The nodes of the installation. Asked on every call, so it answers from memory; there are never many nodes.
pub trait Nodes: Send + Sync {
    /// The node of this id; `None` when the installation has none (any more), and then its calls are refused.
    fn node(&self, id: NodeId) -> Option<NodeEntry>;

    /// The node that owns the directory; the only one whose control calls are taken.
    fn main(&self) -> Option<NodeId>;

    /// The nodes that hold accounts, in the order of their ids. Each of them has a copy of the directory, and tells it
    /// to those that can't reach the main node.
    fn data_nodes(&self) -> Vec<NodeId>;
}

/// Where an account lives, and under which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The data node.
    pub node: NodeId,
    /// Grows with every change of the placement.
    pub epoch: Epoch,
}

/// Where accounts live.
#[async_trait]
pub trait Placements: Send + Sync {
    /// The placement of this account, if there is such an account. Asked once for each handle and change of the
    /// directory, and once for each call that comes from another node.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`] when the directory can't be read.
    async fn placement(&self, account: AccountId) -> Result<Option<Placement>, AccountError>;

    /// Grows whenever a placement may have changed (the directory's modseq will do).
    fn changed(&self) -> watch::Receiver<u64>;
}

/// Why a node won't act for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The account is not placed on this node.
    NotHere,
    /// It is, but under another epoch than the caller believes.
    WrongEpoch {
        /// The epoch this node knows.
        current: Epoch,
    },
    /// This node's directory can't be read.
    Unknown(AccountError),
}

/// Asked before every call that another node makes for an account. The store checks the epoch again inside each commit;
/// this one keeps reads from being answered by a copy that is no longer the account.
#[async_trait]
pub trait PlacementCheck: Send + Sync {
    /// Whether this node serves the account under this epoch.
    ///
    /// # Errors
    /// [`Misplaced`]; the caller then looks for the new placement.
    async fn check(&self, account: AccountId, epoch: Epoch) -> Result<(), Misplaced>;
}

/// The check against this node's own copy of the directory. It remembers placements until the directory changes,
/// because it is asked on every call.
pub struct DirectoryCheck {
    placements: Arc<dyn Placements>,
    node: NodeId,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// The directory's state when these were looked up.
    seen: u64,
    placements: HashMap<AccountId, Option<Placement>>,
}

impl DirectoryCheck {
    /// The check of this node.
    pub fn new(placements: Arc<dyn Placements>, node: NodeId) -> Arc<Self> {
        Arc::new(DirectoryCheck { placements, node, remembered: Mutex::default() })
    }

    async fn placement(&self, account: AccountId) -> Result<Option<Placement>, AccountError> {
        let seen = *self.placements.changed().borrow();
        {
            let mut remembered = self.remembered.lock();
            if remembered.seen != seen || remembered.placements.len() >= PLACEMENTS_REMEMBERED_MAX {
                *remembered = Remembered { seen, placements: HashMap::new() };
            }
            if let Some(placement) = remembered.placements.get(&account) {
                return Ok(*placement);
            }
        }
        let placement = self.placements.placement(account).await?;
        let mut remembered = self.remembered.lock();
        if remembered.seen == seen {
            remembered.placements.insert(account, placement);
        }
        Ok(placement)
    }
}

#[async_trait]
impl PlacementCheck for DirectoryCheck {
    async fn check(&self, account: AccountId, epoch: Epoch) -> Result<(), Misplaced> {
        match self.placement(account).await {
            Ok(Some(here)) if here.node == self.node && here.epoch == epoch => Ok(()),
            Ok(Some(here)) if here.node == self.node => Err(Misplaced::WrongEpoch { current: here.epoch }),
            Ok(_) => Err(Misplaced::NotHere),
            Err(error) => Err(Misplaced::Unknown(error)),
        }
    }
}
