//! SETACTIVE (RFC 5804 section 2.8); the empty name makes no script run.

use sterna_account::scripts;

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session, name: &str) -> Outcome {
    let name = Some(name).filter(|name| !name.is_empty());
    scripts::activate(&*session.account()?, name).await?;
    session.ok();
    Ok(())
}
