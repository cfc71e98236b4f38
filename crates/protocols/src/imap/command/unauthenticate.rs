//! UNAUTHENTICATE (RFC 8437): back to the state before log-in, for another user on the same connection.

use super::capability;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// Nothing of the user stays: not the mailbox, not what was switched on, not what is known of groups. Encryption stays.
pub fn run(session: &mut Session) -> Outcome {
    session.forget_user();
    let code = format!("CAPABILITY {}", capability::list(session));
    Ok(Reply::ok("You are nobody again").code(code))
}
