//! What the cluster asks the directory: who belongs to the installation, and where an account lives. The server wires a
//! directory copy behind these traits; all of them answer from memory.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Epoch, NodeId};
use tokio::sync::watch;

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
}

/// The nodes of the installation.
pub trait Nodes: Send + Sync {
    /// The node of this id; `None` when the installation has none (any more), and then its calls are refused.
    fn node(&self, id: NodeId) -> Option<NodeEntry>;

    /// The node that owns the directory; the only one whose control calls are taken.
    fn main(&self) -> Option<NodeId>;
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
pub trait Placements: Send + Sync {
    /// The placement of this account, if there is such an account.
    fn placement(&self, account: AccountId) -> Option<Placement>;

    /// Grows whenever a placement may have changed (the directory's modseq will do).
    fn changed(&self) -> watch::Receiver<u64>;
}

/// Why a node won't act for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The account is not placed on this node.
    NotHere,
    /// It is, but under another epoch than the caller believes.
    WrongEpoch {
        /// The epoch this node knows.
        current: Epoch,
    },
}

/// Asked before every call that another node makes for an account. The store checks the epoch again inside each commit;
/// this one keeps reads from being answered by a copy that is no longer the account.
pub trait PlacementCheck: Send + Sync {
    /// Whether this node serves the account under this epoch.
    ///
    /// # Errors
    /// [`Misplaced`]; the caller then looks for the new placement.
    fn check(&self, account: AccountId, epoch: Epoch) -> Result<(), Misplaced>;
}

/// The check against this node's own copy of the directory.
pub struct DirectoryCheck<P> {
    /// Where accounts live.
    pub placements: P,
    /// This node.
    pub node: NodeId,
}

impl<P: std::ops::Deref<Target: Placements> + Send + Sync> PlacementCheck for DirectoryCheck<P> {
    fn check(&self, account: AccountId, epoch: Epoch) -> Result<(), Misplaced> {
        match self.placements.placement(account) {
            Some(here) if here.node == self.node && here.epoch == epoch => Ok(()),
            Some(here) if here.node == self.node => Err(Misplaced::WrongEpoch { current: here.epoch }),
            _ => Err(Misplaced::NotHere),
        }
    }
}
