//! STATUS (RFC 9051 section 6.3.11): from the mailbox's row, whatever its size.

use bytes::BufMut;
use sterna_account::{Container, Rights};
use sterna_base::AccountId;
use sterna_formats::imap::command::StatusItem;
use sterna_formats::imap::write::{self, number};

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mailbox: &str, items: &[StatusItem]) -> Outcome {
    session.enabled.condstore |= items.contains(&StatusItem::HighestModseq);
    let located = session.locate(mailbox).await?;
    let container = located.get(Rights::READ)?;
    write(session, &located.shown(), located.mailboxes.account.id(), container, items);
    Ok(Reply::ok("Done"))
}

/// `* STATUS name (..)`
pub fn write(session: &mut Session, mailbox: &str, account: AccountId, container: &Container, items: &[StatusItem]) {
    let utf8 = session.enabled.utf8;
    let recent_from = session.shared.registry.recent((account, container.id), container.uid_next, false);
    let out = &mut session.io.output;
    out.extend_from_slice(b"* STATUS ");
    write::mailbox(mailbox, utf8, out);
    out.put_u8(b' ');
    write::list(items, out, |item, out| {
        let counts = container.counts;
        let recent = container.uid_next.0.saturating_sub(recent_from.0);
        let (name, value) = match item {
            StatusItem::Messages => ("MESSAGES", counts.items),
            StatusItem::Recent => ("RECENT", u64::from(recent).min(counts.items)),
            StatusItem::UidNext => ("UIDNEXT", u64::from(container.uid_next.0)),
            StatusItem::UidValidity => ("UIDVALIDITY", u64::from(container.uid_validity.0)),
            StatusItem::Unseen => ("UNSEEN", counts.unseen),
            StatusItem::Deleted => ("DELETED", counts.deleted),
            StatusItem::Size => ("SIZE", counts.bytes),
            StatusItem::HighestModseq => ("HIGHESTMODSEQ", container.highest_modseq.0),
        };
        out.extend_from_slice(name.as_bytes());
        out.put_u8(b' ');
        number(value, out);
    });
    out.extend_from_slice(b"\r\n");
}
