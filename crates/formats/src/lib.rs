//! Bytes to types and back: mail, SMTP, IMAP. No input or output happens here.

pub mod mail;
pub mod smtp;
