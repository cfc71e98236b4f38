//! COPY (RFC 9051 section 6.4.7) and MOVE (section 6.4.8, RFC 6851).

use std::sync::Arc;

use sterna_account::{Account, Mutation, Outcome as Done, Rights};
use sterna_base::{ContainerId, Uid, UidValidity};
use sterna_formats::imap::{SequenceSet, write};

use super::{carry, sets};
use crate::imap::mailboxes::is_elsewhere;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::rights;
use crate::imap::session::Session;

/// The mailbox that messages are put into.
pub struct Target {
    pub account: Arc<dyn Account>,
    pub container: ContainerId,
    pub rights: Rights,
}

impl Target {
    /// The mailbox of this name, if the user may put messages there.
    ///
    /// # Errors
    /// TRYCREATE when one of the user's own is missing; NONEXISTENT or NOPERM for those of others.
    pub async fn find(session: &mut Session, mailbox: &str) -> Result<Target, Fail> {
        let located = session.locate(mailbox).await?;
        if !is_elsewhere(mailbox) && located.container().is_none() {
            return Err(Reply::no("There is no such mailbox").code("TRYCREATE").into());
        }
        let container = located.get(Rights::INSERT)?;
        let (rights, container) = (located.mailboxes.rights(container), container.id);
        Ok(Target { account: located.mailboxes.account, container, rights })
    }
}

/// Messages that were copied: the UIDVALIDITY of where they are now, and their UIDs before and after.
pub struct Copied {
    pub uid_validity: UidValidity,
    pub pairs: Vec<(Uid, Uid)>,
}

pub async fn run(session: &mut Session, set: &SequenceSet, mailbox: &str, uid: bool, expunge: bool) -> Outcome {
    let needed = Rights::DELETE | Rights::EXPUNGE;
    let selected = if expunge { session.writable(needed)? } else { session.selected()? };
    let uids = sets::uids(selected, set, uid)?;
    let (from, account) = (selected.id, selected.account.clone());
    let target = Target::find(session, mailbox).await?;
    // Inside an account it is one commit, unless flags are to be left behind.
    let copied = if target.account.id() == account.id() && rights::every_flag(target.rights) {
        let step = Mutation::Copy { from, uids, to: target.container, expunge };
        let committed = session.commit(account.as_ref(), vec![step]).await?;
        match committed.outcomes.into_iter().next() {
            Some(Done::Copied { uid_validity, pairs }) => Copied { uid_validity, pairs },
            _ => return Ok(Reply::no("The server could not do that").code("SERVERBUG")),
        }
    } else {
        carry::run(session, account.as_ref(), from, uids, &target, expunge).await?
    };
    let Copied { uid_validity, pairs } = copied;
    if pairs.is_empty() {
        return Ok(Reply::ok("Nothing to do"));
    }
    let (mut old, mut new) = (Vec::new(), Vec::new());
    write::sequence_set(pairs.iter().map(|(old, _)| old.0), &mut old);
    write::sequence_set(pairs.iter().map(|(_, new)| new.0), &mut new);
    let code = format!("COPYUID {uid_validity} {} {}", String::from_utf8_lossy(&old), String::from_utf8_lossy(&new));
    if expunge {
        // RFC 6851 section 4.3: COPYUID in an untagged OK, before the expunges.
        session.io.output.extend_from_slice(format!("* OK [{code}] Moved\r\n").as_bytes());
        let reply = Reply::ok("Moved");
        let modseq = session.committed_to(account.as_ref());
        let known = session.enabled.qresync;
        return Ok(if known { reply.code(format!("HIGHESTMODSEQ {modseq}")) } else { reply });
    }
    Ok(Reply::ok("Copied").code(code))
}
