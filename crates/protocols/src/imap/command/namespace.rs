//! NAMESPACE (RFC 2342): everything is personal, until mailboxes can be shared.

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    session.io.output.extend_from_slice(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    Ok(Reply::ok("Done"))
}
