//! Calls between nodes: HTTP/2 over mutual TLS. Account calls carry MessagePack with named fields, control calls JSON,
//! blobs plain bytes. Fields are only ever added, unknown ones are ignored.

pub mod accounts;
mod asking;
pub mod body;
pub mod calls;
pub mod control;
pub mod fault;
pub mod listener;
pub mod peer;
pub mod peers;
mod routes;
pub mod watches;
pub mod wire;

pub use fault::{CallError, Fault, FaultKind};
pub use listener::{BindError, ClusterNode, Services};
pub use peers::Peers;
