//! STATUS (RFC 9051 section 6.3.11): from the mailbox's row, whatever its size.

use bytes::BufMut;
use sterna_account::Container;
use sterna_formats::imap::command::StatusItem;
use sterna_formats::imap::write::{self, number};

use crate::imap::names::Names;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mailbox: &str, items: &[StatusItem]) -> Outcome {
    let account = session.account()?;
    let names = Names::load(account.as_ref()).await?;
    session.enabled.condstore |= items.contains(&StatusItem::HighestModseq);
    let container = names.get(mailbox)?;
    write(session, mailbox, container, items);
    Ok(Reply::ok("Done"))
}

/// `* STATUS name (..)`
pub fn write(session: &mut Session, mailbox: &str, container: &Container, items: &[StatusItem]) {
    let utf8 = session.enabled.utf8;
    let key = session.user.as_ref().map(|user| (user.account.id(), container.id));
    let recent_from = key.map(|key| session.shared.registry.recent(key, container.uid_next, false));
    let out = &mut session.io.output;
    out.extend_from_slice(b"* STATUS ");
    write::mailbox(mailbox, utf8, out);
    out.put_u8(b' ');
    write::list(items, out, |item, out| {
        let counts = container.counts;
        let recent = recent_from.map_or(0, |first| container.uid_next.0.saturating_sub(first.0));
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
