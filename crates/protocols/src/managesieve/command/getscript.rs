//! GETSCRIPT (RFC 5804 section 2.9).

use sterna_account::scripts::{self, ScriptError};

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session, name: &str) -> Outcome {
    let text = scripts::text(&*session.account()?, name).await?.ok_or(ScriptError::NoSuchScript)?;
    // Always a literal: clients that take the first octets for it are many.
    session.io.output.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
    session.io.output.extend_from_slice(&text);
    session.io.output.extend_from_slice(b"\r\n");
    session.ok();
    Ok(())
}
