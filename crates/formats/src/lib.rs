//! Bytes to types and back: mail, SMTP, IMAP, SASL. No input or output happens here.

pub mod imap;
pub mod mail;
pub mod mutf7;
pub mod sasl;
pub mod smtp;
