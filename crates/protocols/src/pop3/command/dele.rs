//! DELE (RFC 1939 section 5): marks a message, which goes with QUIT.

use crate::pop3::reply::Outcome;
use crate::pop3::session::Session;

pub fn run(session: &mut Session, number: u32) -> Outcome {
    let maildrop = session.maildrop()?;
    maildrop.message(number)?;
    maildrop.delete(number);
    session.ok("Marked; it goes when you QUIT");
    Ok(())
}
