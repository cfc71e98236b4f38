//! UNAUTHENTICATE (RFC 5804 section 2.14.1).

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    session.forget_user();
    session.ok();
    Ok(())
}
