//! What is changed in a message that goes on to an address elsewhere, instead of or after its delivery here.

use std::io;

use bytes::Bytes;
use sterna_account::service::{Message, MessageBody};
use sterna_formats::mail;

use crate::auth;

/// The field that says to whom a message was delivered before it was sent on. Whoever finds itself there has sent the
/// message on before.
const DELIVERED_TO: &str = "Delivered-To";

/// Whether a message was sent on before by whoever has one of these addresses.
pub fn was_here(message: &[u8], is_own: impl Fn(&str) -> bool) -> bool {
    let mut delivered = mail::fields(message).filter(|field| field.is(DELIVERED_TO.as_bytes()));
    delivered.any(|field| is_own(String::from_utf8_lossy(&field.unfolded()).trim()))
}

/// The fields that a message gets from whoever sends it on, with their CRLF; `seal` is its ARC set.
pub fn fields(from: &str, seal: &str) -> String {
    format!("{DELIVERED_TO}: {from}\r\n{seal}")
}

/// The content with new fields behind Return-Path, which is the first field where it is.
pub fn behind_return_path(content: &[u8], new: &str) -> Bytes {
    let first = mail::fields(content).next();
    let first = first.filter(|field| field.is(b"Return-Path") && content.starts_with(field.raw));
    let at = first.map_or(0, |field| field.raw.len());
    [&content[..at], new.as_bytes(), &content[at..]].concat().into()
}

/// The message with such fields in front of the others, behind a Return-Path. One whose header is too long for that
/// goes as it is: how often it was received still ends a loop.
///
/// # Errors
/// When its file can't be read, or another one can't be written.
pub async fn with_fields(message: &Message, fields: &str) -> io::Result<Message> {
    let folder = match &message.body {
        MessageBody::Spooled(spooled) => spooled.path.parent().map(std::path::Path::to_owned),
        MessageBody::Inline(_) => None,
    };
    auth::with_fields(message, fields, folder.unwrap_or_else(std::env::temp_dir)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_seen() {
        let message = b"Return-Path: <>\r\nDelivered-To: Ana@A.test\r\nSubject: x\r\n\r\nDelivered-To: ben@a.test\r\n";
        let is = |address: &'static str| move |found: &str| found.eq_ignore_ascii_case(address);
        assert!(was_here(message, is("ana@a.test")));
        assert!(!was_here(message, is("ben@a.test")));
    }
}
