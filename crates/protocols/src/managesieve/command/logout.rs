//! LOGOUT (RFC 5804 section 2.3).

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    session.answer("OK", None, "Good-bye");
    session.ended = true;
    Ok(())
}
