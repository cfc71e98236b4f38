//! STARTTLS (RFC 9051 section 6.2.1).

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    if session.io.is_encrypted() || session.user.is_some() {
        return Ok(Reply::bad("The connection is encrypted or logged in already"));
    }
    if !session.io.can_upgrade() {
        return Ok(Reply::no("This server has no certificate"));
    }
    session.upgrading = true;
    Ok(Reply::ok("Begin TLS"))
}
