//! CLOSE (RFC 9051 section 6.4.2) and UNSELECT (section 6.4.1).

use sterna_account::{AccountError, CommitError, Mutation, Rights, UidSet};

use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// CLOSE expunges without telling, if the user may (RFC 4314 section 4); UNSELECT leaves everything.
pub async fn run(session: &mut Session, expunge: bool) -> Outcome {
    let mut reply = Reply::ok("Closed");
    let selected = session.selected()?;
    if expunge && !selected.read_only && selected.rights.has(Rights::EXPUNGE) {
        let container = selected.id;
        if session.enabled.qresync {
            // What others did, so that the modseq at the end says no more than the client knows.
            session.tell(true).await?;
        }
        let told = session.selected()?.view.picture().synced;
        let step = Mutation::Expunge { container, uids: UidSet::all(), deleted_only: true };
        match session.commit_selected(vec![step]).await {
            // Deleted a moment ago: there is nothing left to expunge.
            Ok(committed) if session.enabled.qresync && committed.modseq.0 == told.0 + 1 => {
                reply = reply.code(format!("HIGHESTMODSEQ {}", committed.modseq));
            }
            Ok(_) | Err(Fail::Account(AccountError::Refused(CommitError::NoSuchContainer(_)))) => {}
            Err(fail) => return Err(fail),
        }
    }
    session.selected = None;
    Ok(reply)
}
