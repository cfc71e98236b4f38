//! DELETE (RFC 9051 section 6.3.5).

use sterna_account::{Mutation, Rights};

use super::metadata;
use crate::grants;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::selected::Selected;
use crate::imap::session::Session;

/// A mailbox with others inside is refused: the RFC allows it, and nobody is surprised by a name that can't be opened.
pub async fn run(session: &mut Session, mailbox: &str) -> Outcome {
    let located = session.locate(mailbox).await?;
    let found = located.get(Rights::DELETE_MAILBOX)?;
    let (container, grantees) = (found.id, found.acl.grantees().collect());
    let account = &located.mailboxes.account;
    let mut steps = vec![Mutation::DeleteContainer { container }];
    // What was noted about it goes with it (RFC 5464 section 4.1).
    if let Some(notes) = metadata::container_about(account.as_ref(), Some(container)).await? {
        steps.push(Mutation::DeleteContainer { container: notes.id });
    }
    session.commit(account.as_ref(), steps).await?;
    let is_meant = |selected: &Selected| selected.id == container && selected.account.id() == account.id();
    if session.selected.as_ref().is_some_and(is_meant) {
        session.leave("The mailbox was deleted");
    }
    grants::withdraw_unused(session.shared.shares.as_ref(), account, grantees).await;
    Ok(Reply::ok("Deleted"))
}
