//! Nodes of one installation speak to each other here, over mutual TLS and HTTP/2 and nothing else.
//!
//! - [`ca::Authority`] signs, [`Identity`] is who a node is, [`join`] lets a new node in with a one-time token,
//!   [`renew`] keeps its certificate fresh.
//! - [`ClusterNode`] listens, [`Peers`] calls, [`ControlClient`] is the main node's hand on the others.
//! - [`PlacedAccounts`] opens accounts wherever the directory places them.
//! - [`Follower`] keeps a copy of the directory.
//! - [`nodes`] are the questions that the directory answers.
//!
//! It moves rows and blobs and never looks inside them; it names no engine, no protocol and no directory type.

pub mod ca;
pub mod copies;
pub mod follow;
pub mod handle;
pub mod identity;
pub mod join;
pub mod limits;
pub mod migration;
pub mod moving;
pub mod nodes;
pub mod peer_name;
pub mod renew;
pub mod rpc;
pub mod tls;
mod tls_note;
pub mod update;

pub use follow::{DirectoryLog, FollowStatus, Follower, LogFollower};
pub use handle::PlacedAccounts;
pub use identity::Identity;
pub use nodes::{NodeEntry, NodeRole, NodeRoles, Nodes, Placement, PlacementCheck, Placements};
pub use rpc::accounts::AccountsService;
pub use rpc::control::{
    ControlClient, CopiesStatus, FirewallStatus, InstalledVersion, NodeControl, NodeStatus, NotedShare, OverLimit,
    RunVersion, ShareRefused, StageRefused,
};
pub use rpc::{BindError, CallError, ClusterNode, Peers, Services};
