//! CHECKSCRIPT (RFC 5804 section 2.12).

use bytes::Bytes;
use sterna_account::scripts::{SCRIPT_BYTES_MAX, ScriptError};

use crate::managesieve::reply::{Outcome, Refusal};
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session, content: Vec<u8>) -> Outcome {
    check(session, content.into()).await?;
    session.ok();
    Ok(())
}

/// Whether it is a script, of a size that scripts can have.
pub async fn check(session: &Session, content: Bytes) -> Outcome {
    let checker = &session.shared.checker;
    let most = checker.limits().script_bytes.min(SCRIPT_BYTES_MAX);
    if content.len() as u64 > most {
        return Err(ScriptError::TooLarge(most).into());
    }
    checker.check(content).await.map_err(|fault| Refusal::new(fault.to_string()).into())
}
