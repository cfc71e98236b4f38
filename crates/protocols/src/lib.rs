//! The protocols that clients speak: one folder each, one file per command. They know the model and the doors of
//! `sterna_account`, and name no engine and no directory.

pub mod account_sessions;
pub mod dav;
mod failure;
mod grants;
pub mod imap;
mod io;
pub mod listener;
mod lmtp;
pub mod managesieve;
pub mod message;
mod owners;
pub mod pop3;
pub mod postfix;
mod sasl;
pub mod smtp;
