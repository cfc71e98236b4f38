//! CLOSE (RFC 9051 section 6.4.2) and UNSELECT (section 6.4.1).

use sterna_account::{Mutation, UidSet};
use sterna_base::OperationId;

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// CLOSE expunges without telling; UNSELECT leaves everything.
pub async fn run(session: &mut Session, expunge: bool) -> Outcome {
    let account = session.account()?;
    let Some(selected) = session.selected.take() else { return Ok(Reply::bad("Select a mailbox first")) };
    if expunge && !selected.read_only {
        let step = Mutation::Expunge { container: selected.id, uids: UidSet::all(), deleted_only: true };
        account.commit(OperationId::random(), vec![step]).await?;
    }
    Ok(Reply::ok("Closed"))
}
