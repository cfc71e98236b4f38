//! QUIT (RFC 1939 sections 4 and 6): what is marked goes now, all of it or nothing.

use crate::pop3::reply::{Fail, Outcome, Refusal, SYS_PERM, SYS_TEMP};
use crate::pop3::session::{Session, State};

pub async fn run(session: &mut Session) -> Outcome {
    session.ended = true;
    let State::Transaction(maildrop) = &mut session.state else {
        session.ok("Good-bye");
        return Ok(());
    };
    let Err(error) = maildrop.update().await else {
        session.ok("Good-bye");
        return Ok(());
    };
    session.log_failure("QUIT", &error);
    let text = if error.is_uncertain() {
        "Nobody knows whether the marked messages were removed; look again later"
    } else {
        "None of the marked messages was removed"
    };
    let code = if error.is_temporary() { SYS_TEMP } else { SYS_PERM };
    Err(Fail::Refused(Refusal::new(text).code(code)))
}
