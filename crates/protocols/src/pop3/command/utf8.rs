//! UTF8 (RFC 6856 section 2).
//!
//! Names and passwords are UTF-8 for everybody, and messages are sent as they are stored to everybody: a client that
//! has not said UTF8 has coped with 8-bit headers since before there was a word for it, and one that is refused its
//! message (`[UTF8]`) or given a rewritten one, whose signature no longer holds, is worse off. So there is nothing to
//! switch on.

use crate::pop3::reply::Outcome;
use crate::pop3::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    session.ok("UTF-8 it is");
    Ok(())
}
