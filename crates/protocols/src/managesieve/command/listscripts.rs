//! LISTSCRIPTS (RFC 5804 section 2.7).

use sterna_account::scripts::Scripts;

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session) -> Outcome {
    let scripts = Scripts::read(&*session.account()?).await?;
    for script in &scripts.scripts {
        session.string(script.name.as_bytes());
        session.io.output.extend_from_slice(if script.active { b" ACTIVE\r\n" } else { b"\r\n" });
    }
    session.ok();
    Ok(())
}
