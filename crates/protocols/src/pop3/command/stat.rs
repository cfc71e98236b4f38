//! STAT (RFC 1939 section 5).

use crate::pop3::reply::Outcome;
use crate::pop3::session::Session;

pub fn run(session: &mut Session) -> Outcome {
    let (count, octets) = session.maildrop()?.totals();
    session.ok(&format!("{count} {octets}"));
    Ok(())
}
