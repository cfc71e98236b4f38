//! What tests share: the built program, running installations, small clients that show every byte, awkward messages.
//!
//! Nothing here is part of a release.

pub mod addresses;
pub mod authority;
pub mod binary;
pub mod cyrus;
pub mod daemon;
pub mod demo;
pub mod disk;
pub mod dns;
pub mod dovecot;
pub mod exim;
pub mod failpoints;
pub mod filters;
pub mod http;
pub mod imap;
pub mod installation;
pub mod ledger;
pub mod moving;
pub mod network;
pub mod postfix;
pub mod postgres;
pub mod radicale;
pub mod raw;
pub mod slapd;
pub mod smtp;
pub mod time;
pub mod unbound;
pub mod wait;
pub mod web;
mod writers;
pub mod zoo;
