//! What the owner of an account has to tell others, while nobody else has it: written in the commit that makes it
//! necessary, so that no crash comes between.

use bytes::Bytes;
use sterna_base::{ContainerId, OperationId, Timestamp, Uid};
use sterna_formats::calendar::itip::Message;

use super::{body, content};
use crate::scheduling::Outgoing;
use crate::{Account, AccountError, FlagSet, ItemParts, Mutation, NewItem, UidSet};

/// Most messages that are looked at in one go.
pub const PENDING_MAX: usize = 1000;

/// A message ready to be sent.
pub fn outgoing(message: &Message) -> Outgoing {
    let (sender, recipient) = (message.sender.clone(), message.recipient.clone());
    Outgoing { id: OperationId::random(), sender, recipient, text: Bytes::from(message.text()) }
}

/// The step that keeps a message; its outcome names it. A long one is staged before.
///
/// # Errors
/// When the account can't be written.
pub async fn keep(account: &dyn Account, outbox: ContainerId, message: &Outgoing) -> Result<Mutation, AccountError> {
    let (content, _) = content(account, written(message)).await?;
    let item = NewItem {
        content,
        summary: None,
        internal_date: None,
        flags: FlagSet::default(),
        name: None,
        object_uid: None,
    };
    Ok(Mutation::Append { container: outbox, item })
}

/// The step that forgets messages.
pub fn forget(outbox: ContainerId, uids: &[Uid]) -> Mutation {
    let uids = UidSet::from_ranges(uids.iter().map(|uid| (*uid, *uid)).collect());
    Mutation::Expunge { container: outbox, uids, deleted_only: false }
}

/// Those that were written before this, oldest first: younger ones are on their way.
///
/// # Errors
/// When the account can't be read.
pub async fn kept(
    account: &dyn Account,
    outbox: ContainerId,
    before: Timestamp,
) -> Result<Vec<(Uid, Outgoing)>, AccountError> {
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let mut found = Vec::new();
    let mut items = account.items(outbox, &UidSet::all(), parts, PENDING_MAX).await?;
    items.retain(|item| item.saved_at < before);
    for item in items {
        let bytes = body(account, &item).await?;
        // What nobody can read stays, and is in nobody's way.
        found.extend(parse(&bytes).map(|message| (item.uid, message)));
    }
    Ok(found)
}

fn written(message: &Outgoing) -> Bytes {
    let head = format!("{}\n{}\n{}\n", message.id, message.sender, message.recipient);
    [head.as_bytes(), &message.text[..]].concat().into()
}

fn parse(bytes: &Bytes) -> Option<Outgoing> {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next()?).ok().map(str::to_owned);
    let (id, sender, recipient) = (text()?.parse().ok()?, text()?, text()?);
    let rest = lines.next()?;
    Some(Outgoing { id, sender, recipient, text: bytes.slice_ref(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let text = Bytes::from_static(b"BEGIN:VCALENDAR\nEND:VCALENDAR\n");
        let message = Outgoing { id: OperationId([7; 16]), sender: "a@x".into(), recipient: "b@y".into(), text };
        assert_eq!(parse(&written(&message)), Some(message));
        assert_eq!(parse(&Bytes::from_static(b"a\nb")), None);
    }
}
