//! REPLACE and UID REPLACE (RFC 8508): a message takes the place of another one.

use std::sync::Arc;

use sterna_account::{Account, ItemParts, Mutation, Outcome as Done, Rights, UidSet};
use sterna_base::{ContainerId, Modseq, Uid};
use sterna_formats::imap::SequenceSet;

use super::append::append_uid;
use super::sets;
use crate::imap::reply::{Fail, Outcome, Reply, no_mailbox};
use crate::imap::session::Session;

/// The message that is to go.
pub struct Replaced {
    account: Arc<dyn Account>,
    container: ContainerId,
    uid: Uid,
    /// Bytes that it leaves.
    pub size: u64,
}

impl Replaced {
    /// The message that the client named, if it may be expunged (RFC 8508 section 4.1).
    ///
    /// # Errors
    /// BAD when there is no message of that number; NO when there is none of that UID, or it may not go.
    pub async fn find(session: &mut Session, set: &SequenceSet, uid: bool) -> Result<Replaced, Fail> {
        if session.selected.is_none() && !session.mailbox_gone {
            return Err(Reply::bad("Select a mailbox first").into());
        }
        session.catch_up(false).await?;
        if session.selected.is_none() {
            return Err(no_mailbox().into());
        }
        if session.enabled.uid_only && !uid {
            return Err(Reply::bad("Only UIDs name messages in this session").code("UIDREQUIRED").into());
        }
        let selected = session.writable(Rights::DELETE | Rights::EXPUNGE)?;
        let uids = sets::uids(selected, set, uid)?;
        let (account, container) = (selected.account.clone(), selected.id);
        let found = account.items(container, &uids, ItemParts::default(), 1).await?;
        let item = found.into_iter().next().ok_or_else(|| Reply::no("The message is not there"))?;
        Ok(Replaced { account, container, uid: item.uid, size: item.size })
    }

    /// Whether it is in this account.
    pub fn is_in(&self, account: &dyn Account) -> bool {
        self.account.id() == account.id()
    }

    fn expunge(&self) -> Mutation {
        let uids: UidSet = [self.uid].into_iter().collect();
        Mutation::Expunge { container: self.container, uids, deleted_only: false }
    }

    /// Puts the new message in and takes the old one out: one commit, or two when they are in different accounts. Then
    /// an interruption leaves both messages, never none.
    pub async fn commit(self, session: &mut Session, account: &dyn Account, steps: Vec<Mutation>) -> Outcome {
        let expunge = self.expunge();
        let outcomes = if self.is_in(account) {
            // The old one first: its bytes make room for the new one.
            let steps = std::iter::once(expunge).chain(steps).collect();
            session.commit(account, steps).await?.outcomes
        } else {
            let appended = session.commit(account, steps).await?.outcomes;
            session.commit(self.account.as_ref(), vec![expunge]).await?;
            appended
        };
        let appended: Vec<Done> = outcomes.into_iter().filter(|done| matches!(done, Done::Appended { .. })).collect();
        // RFC 8508 section 4.3: in an untagged OK, before the old message is expunged.
        let code = append_uid(&appended)?;
        session.io.output.extend_from_slice(format!("* OK [{code}] The replacement is there\r\n").as_bytes());
        let modseq: Modseq = session.committed_to(self.account.as_ref());
        let reply = Reply::ok("Replaced");
        Ok(if session.enabled.qresync { reply.code(format!("HIGHESTMODSEQ {modseq}")) } else { reply })
    }
}
