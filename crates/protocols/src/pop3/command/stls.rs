//! STLS (RFC 2595 section 4).

use crate::pop3::reply::{Fail, Outcome, Refusal};
use crate::pop3::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    if session.io.is_encrypted() {
        return Err(Fail::Bad("The connection is encrypted already".into()));
    }
    if !session.io.can_upgrade() {
        return Err(Refusal::new("This server has no certificate").into());
    }
    session.upgrading = true;
    session.ok("Begin TLS");
    Ok(())
}
