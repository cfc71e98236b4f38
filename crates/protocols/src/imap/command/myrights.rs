//! MYRIGHTS (RFC 4314 section 3.5).

use sterna_account::Rights;

use super::acl;
use crate::imap::reply::{Outcome, Reply, no_mailbox};
use crate::imap::rights::ASKING;
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mailbox: &str) -> Outcome {
    let located = session.locate(mailbox).await?;
    let container = located.find(ASKING).ok_or_else(no_mailbox)?;
    let rights = located.mailboxes.rights(container);
    write(session, &located.shown(), rights);
    Ok(Reply::ok("Done"))
}

/// `* MYRIGHTS mailbox rights`
pub fn write(session: &mut Session, mailbox: &str, rights: Rights) {
    acl::line(session, "MYRIGHTS", mailbox, &[&rights.with_old_letters()]);
}
