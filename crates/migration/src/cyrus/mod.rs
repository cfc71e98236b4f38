//! The server side of Cyrus replication: the old server's own `sync_client` brings its users here, and goes on bringing
//! what changes until they are switched.
//!
//! The protocol compares states (facts: cyrus-imapd's `docsrc/developer/replication-protocol.md`, and what version
//! 3.6 is seen to send). What the other side must find again, its own modseqs among it, is kept in a [`mirror`]; mail
//! itself is in the accounts, with UIDs and UIDVALIDITY. Sums over both sides agree, or `sync_client` says so.

pub mod apply;
pub mod arrive;
pub mod crc;
pub mod dlist;
pub mod doors;
pub mod get;
pub mod mailbox;
pub mod mirror;
pub mod names;
pub mod session;
pub mod staging;
pub mod users;
pub mod verify;
