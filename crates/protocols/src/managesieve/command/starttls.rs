//! STARTTLS (RFC 5804 section 2.2).

use crate::managesieve::reply::{Fail, Outcome, Refusal};
use crate::managesieve::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    if session.io.is_encrypted() {
        return Err(Fail::Bad("The connection is encrypted already".into()));
    }
    if !session.io.can_upgrade() {
        return Err(Refusal::new("This server has no certificate").into());
    }
    session.upgrading = true;
    session.answer("OK", None, "Begin TLS");
    Ok(())
}
