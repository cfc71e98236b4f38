//! USER (RFC 1939 section 7).

use crate::pop3::reply::{Outcome, Refusal};
use crate::pop3::session::{Session, State};

pub fn run(session: &mut Session, name: String) -> Outcome {
    if session.login_disabled() {
        return Err(Refusal::new("Begin with STLS; passwords need encryption").into());
    }
    session.state = State::Authorization { name: Some(name) };
    // Not whether there is such a user.
    session.ok("And the password?");
    Ok(())
}
