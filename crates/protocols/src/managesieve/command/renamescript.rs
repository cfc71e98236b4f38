//! RENAMESCRIPT (RFC 5804 section 2.11).

use sterna_account::scripts;

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session, from: &str, to: &str) -> Outcome {
    scripts::rename(&*session.account()?, from, to).await?;
    session.ok();
    Ok(())
}
