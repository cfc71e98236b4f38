//! Bytes to types and back: mail, SMTP, IMAP, POP3, SASL. No input or output happens here.

pub mod dnsbl;
pub mod imap;
pub mod mail;
pub mod managesieve;
pub mod mutf7;
pub mod pop3;
pub mod sasl;
pub mod smtp;
