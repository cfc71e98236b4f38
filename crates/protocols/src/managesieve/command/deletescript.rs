//! DELETESCRIPT (RFC 5804 section 2.10).

use sterna_account::scripts;

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session, name: &str) -> Outcome {
    scripts::delete(&*session.account()?, name).await?;
    session.ok();
    Ok(())
}
