//! DELETE (RFC 9051 section 6.3.5).

use sterna_account::Mutation;

use crate::imap::names::Names;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// A mailbox with others inside is refused: the RFC allows it, and nobody is surprised by a name that can't be opened.
pub async fn run(session: &mut Session, mailbox: &str) -> Outcome {
    let account = session.account()?;
    let container = Names::load(account.as_ref()).await?.get(mailbox)?.id;
    session.commit(vec![Mutation::DeleteContainer { container }]).await?;
    if session.selected.as_ref().is_some_and(|selected| selected.id == container) {
        session.leave_deleted();
    }
    Ok(Reply::ok("Deleted"))
}
