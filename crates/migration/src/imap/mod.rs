//! `sterna import imap`: any IMAP server as a source, asked as little as its extensions allow (CONDSTORE and QRESYNC,
//! RFC 7162).

pub mod account;
pub mod apply;
pub mod client;
pub mod fetch;
pub mod folders;
pub mod pass;
pub mod state;
pub mod value;
pub mod verify;
pub mod wire;
