//! NAMESPACE (RFC 2342).

use crate::imap::mailboxes::{OTHERS, SHARED};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    let line = format!("* NAMESPACE ((\"\" \"/\")) ((\"{OTHERS}/\" \"/\")) ((\"{SHARED}/\" \"/\"))\r\n");
    session.io.output.extend_from_slice(line.as_bytes());
    Ok(Reply::ok("Done"))
}
