//! STATUS (RFC 9051 section 6.3.11): from the mailbox's row, whatever its size.

use bytes::BufMut;
use sterna_account::{Account, Container, Rights};
use sterna_formats::imap::command::StatusItem;
use sterna_formats::imap::write::{self, number};

use super::object_id::mailbox_id;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mailbox: &str, items: &[StatusItem]) -> Outcome {
    session.enabled.condstore |= items.contains(&StatusItem::HighestModseq);
    let located = session.locate(mailbox).await?;
    let container = located.get(Rights::READ)?;
    write(session, &located.shown(), located.mailboxes.account.as_ref(), container, items).await?;
    Ok(Reply::ok("Done"))
}

/// `* STATUS name (..)`
pub async fn write(
    session: &mut Session,
    mailbox: &str,
    account: &dyn Account,
    container: &Container,
    items: &[StatusItem],
) -> Result<(), Fail> {
    let utf8 = session.enabled.utf8;
    let mut recent = 0;
    if items.contains(&StatusItem::Recent) && container.counts.items > 0 {
        let from = session.shared.registry.recent(account, container.id, container.uid_next, false).await?;
        recent = u64::from(container.uid_next.0 - from.0).min(container.counts.items);
    }
    let out = &mut session.io.output;
    out.extend_from_slice(b"* STATUS ");
    write::mailbox(mailbox, utf8, out);
    out.put_u8(b' ');
    write::list(items, out, |item, out| {
        if *item == StatusItem::MailboxId {
            let id = mailbox_id(account.id(), container.id);
            return out.extend_from_slice(format!("MAILBOXID ({id})").as_bytes());
        }
        let counts = container.counts;
        let (name, value) = match item {
            StatusItem::Messages => ("MESSAGES", counts.items),
            StatusItem::Recent => ("RECENT", recent),
            StatusItem::UidNext => ("UIDNEXT", u64::from(container.uid_next.0)),
            StatusItem::UidValidity => ("UIDVALIDITY", u64::from(container.uid_validity.0)),
            StatusItem::Unseen => ("UNSEEN", counts.unseen),
            StatusItem::Deleted => ("DELETED", counts.deleted),
            StatusItem::Size => ("SIZE", counts.bytes),
            // In the unit of quotas (RFC 9208 section 4.1.4), so that they can be compared.
            StatusItem::DeletedStorage => ("DELETED-STORAGE", counts.deleted_bytes.div_ceil(1024)),
            StatusItem::MailboxId => return,
            StatusItem::HighestModseq => ("HIGHESTMODSEQ", container.highest_modseq.0),
        };
        out.extend_from_slice(name.as_bytes());
        out.put_u8(b' ');
        number(value, out);
    });
    out.extend_from_slice(b"\r\n");
    Ok(())
}
