//! COPY (RFC 9051 section 6.4.7) and MOVE (section 6.4.8, RFC 6851).

use bytes::BytesMut;
use sterna_account::{Mutation, Outcome as Done};
use sterna_formats::imap::{SequenceSet, write};

use super::sets;
use crate::imap::names::Names;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, set: &SequenceSet, mailbox: &str, uid: bool, expunge: bool) -> Outcome {
    let account = session.account()?;
    let selected = if expunge { session.writable()? } else { session.selected()? };
    let uids = sets::uids(selected, set, uid)?;
    let from = selected.id;
    let names = Names::load(account.as_ref()).await?;
    let Some(to) = names.find(mailbox).map(|container| container.id) else {
        return Ok(Reply::no("There is no such mailbox").code("TRYCREATE"));
    };
    let committed = session.commit(vec![Mutation::Copy { from, uids, to, expunge }]).await?;
    let Some(Done::Copied { uid_validity, pairs }) = committed.outcomes.into_iter().next() else {
        return Ok(Reply::no("The server could not do that").code("SERVERBUG"));
    };
    if pairs.is_empty() {
        return Ok(Reply::ok("Nothing to do"));
    }
    let (mut old, mut new) = (BytesMut::new(), BytesMut::new());
    write::sequence_set(pairs.iter().map(|(old, _)| old.0), &mut old);
    write::sequence_set(pairs.iter().map(|(_, new)| new.0), &mut new);
    let code = format!("COPYUID {uid_validity} {} {}", String::from_utf8_lossy(&old), String::from_utf8_lossy(&new));
    if expunge {
        // RFC 6851 section 4.3: COPYUID in an untagged OK, before the expunges.
        session.io.output.extend_from_slice(format!("* OK [{code}] Moved\r\n").as_bytes());
        return Ok(Reply::ok("Moved"));
    }
    Ok(Reply::ok("Copied").code(code))
}
