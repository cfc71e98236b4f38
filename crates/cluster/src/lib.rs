//! Nodes of one installation speak to each other here, over mutual TLS and HTTP/2 and nothing else.
//!
//! - [`ca::Authority`] signs, [`identity::Identity`] is who a node is, [`join`] lets a new node in with a one-time
//!   token.
//! - [`nodes`] are the questions the directory answers.
//!
//! It moves rows and blobs and never looks inside them; it names no engine, no protocol and no directory type.

pub mod ca;
pub mod identity;
pub mod limits;
pub mod nodes;
pub mod peer_name;
pub mod tls;
