//! Bytes to types and back: mail, calendars, cards, SMTP, IMAP, POP3, DAV, SASL, milter, discovery. No input or output
//! happens here.

pub mod calendar;
pub mod card;
pub mod content_line;
pub mod dav;
pub mod discovery;
pub mod dnsbl;
mod entity;
pub mod imap;
pub mod interchange;
pub mod mail;
pub mod managesieve;
pub mod milter;
pub mod mutf7;
pub mod network;
pub mod passage;
pub mod pop3;
pub mod sasl;
pub mod smtp;
