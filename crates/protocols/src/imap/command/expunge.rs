//! EXPUNGE (RFC 9051 section 6.4.3) and UID EXPUNGE (section 6.4.9).

use sterna_account::{Mutation, Rights, UidSet};
use sterna_formats::imap::SequenceSet;

use super::sets;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// The expunges are told by whatever tells everything else.
pub async fn run(session: &mut Session, set: Option<SequenceSet>) -> Outcome {
    let selected = session.writable(Rights::EXPUNGE)?;
    let uids = match set {
        None => UidSet::all(),
        Some(set) => sets::uids(selected, &set, true)?,
    };
    let step = Mutation::Expunge { container: selected.id, uids, deleted_only: true };
    let committed = session.commit_selected(vec![step]).await?;
    let reply = Reply::ok("Expunged");
    Ok(if session.enabled.condstore { reply.code(format!("HIGHESTMODSEQ {}", committed.modseq)) } else { reply })
}
