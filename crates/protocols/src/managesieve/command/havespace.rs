//! HAVESPACE (RFC 5804 section 2.5).

use sterna_account::scripts::{ScriptError, Scripts};
use sterna_account::{AccountError, CommitError};

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub async fn run(session: &mut Session, name: &str, size: u64) -> Outcome {
    let account = session.account()?;
    let scripts = Scripts::read(&*account).await?;
    scripts.has_space(name, size, session.shared.checker.limits())?;
    let quota = account.head().await?.quota;
    let freed = scripts.named(name).map_or(0, |script| script.size);
    let used = quota.bytes_used.saturating_sub(freed).saturating_add(size);
    if quota.bytes_max.is_some_and(|most| used > most) {
        return Err(ScriptError::Account(AccountError::Refused(CommitError::OverQuota)).into());
    }
    session.ok();
    Ok(())
}
