//! CLOSE (RFC 9051 section 6.4.2) and UNSELECT (section 6.4.1).

use sterna_account::{AccountError, CommitError, Mutation, Rights, UidSet};

use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// CLOSE expunges without telling, if the user may (RFC 4314 section 4); UNSELECT leaves everything.
pub async fn run(session: &mut Session, expunge: bool) -> Outcome {
    let selected = session.selected()?;
    if expunge && !selected.read_only && selected.rights.has(Rights::EXPUNGE) {
        let step = Mutation::Expunge { container: selected.id, uids: UidSet::all(), deleted_only: true };
        match session.commit_selected(vec![step]).await {
            // Deleted a moment ago: there is nothing left to expunge.
            Ok(_) | Err(Fail::Account(AccountError::Refused(CommitError::NoSuchContainer(_)))) => {}
            Err(fail) => return Err(fail),
        }
    }
    session.selected = None;
    Ok(Reply::ok("Closed"))
}
