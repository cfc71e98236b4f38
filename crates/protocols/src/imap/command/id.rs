//! ID (RFC 2971): for statistics and problem reports only.

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub fn run(session: &mut Session, fields: &[(Vec<u8>, Option<Vec<u8>>)]) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
    let name = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"name"));
    if let Some((_, Some(value))) = name {
        tracing::debug!(peer = %session.peer, client = text(value), "IMAP client");
        if let Some(user) = &session.user {
            user.place.note_client(&text(value));
        }
    }
    session.io.output.extend_from_slice(b"* ID (\"name\" \"Sterna\")\r\n");
    Ok(Reply::ok("Done"))
}
