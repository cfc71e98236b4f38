//! PUTSCRIPT (RFC 5804 section 2.6): a script that can't run is not stored.

use bytes::Bytes;
use sterna_account::scripts::{self, Scripts};

use super::checkscript;
use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session, name: &str, content: Vec<u8>) -> Outcome {
    let account = session.account()?;
    let limits = session.shared.checker.limits();
    // What has no room is not read at all.
    Scripts::read(&*account).await?.has_space(name, content.len() as u64, limits)?;
    let content = Bytes::from(content);
    checkscript::check(session, content.clone()).await?;
    scripts::put(&*account, name, content, limits).await?;
    session.ok();
    Ok(())
}
