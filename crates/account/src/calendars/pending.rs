//! What the owner of an account has to tell others, while nobody else has it: written in the commit that makes it
//! necessary, so that no crash comes between.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use sterna_base::{ContainerId, OperationId, Timestamp, Uid};
use sterna_formats::calendar::itip::Message;
use sterna_formats::content_line::Component;

use super::{body, content};
use crate::scheduling::Outgoing;
use crate::{Account, AccountError, Content, FlagSet, ItemParts, Mutation, NewItem, UidSet};

/// Most messages that are looked at in one go.
pub const PENDING_MAX: usize = 1000;

/// Messages ready to be sent. Those who are told the same share its text.
pub fn all_outgoing(messages: &[Message]) -> Vec<Outgoing> {
    let mut texts: HashMap<*const Component, Bytes> = HashMap::new();
    let one = |message: &Message| {
        let text = texts.entry(Arc::as_ptr(&message.calendar)).or_insert_with(|| Bytes::from(message.text()));
        Outgoing { text: text.clone(), ..of(message, Bytes::new()) }
    };
    messages.iter().map(one).collect()
}

/// A message ready to be sent.
pub fn outgoing(message: &Message) -> Outgoing {
    of(message, Bytes::from(message.text()))
}

fn of(message: &Message, text: Bytes) -> Outgoing {
    let (sender, recipient) = (message.sender.clone(), message.recipient.clone());
    Outgoing { id: OperationId::random(), sender, recipient, text, is_automatic: false }
}

/// The steps that keep messages; their outcomes name them, in their order. What several are told is stored once: it is
/// staged before, as is what is long.
///
/// # Errors
/// When the account can't be written.
pub async fn keep(
    account: &dyn Account,
    outbox: ContainerId,
    messages: &[Outgoing],
) -> Result<Vec<Mutation>, AccountError> {
    let mut contents: HashMap<usize, Content> = HashMap::new();
    let mut steps = Vec::with_capacity(messages.len());
    for message in messages {
        let key = message.text.as_ptr().addr();
        let content = match contents.get(&key) {
            Some(content) => content.clone(),
            None => {
                let is_shared = messages.iter().filter(|other| other.text.as_ptr().addr() == key).nth(1).is_some();
                let made = kept_content(account, message.text.clone(), is_shared).await?;
                contents.entry(key).or_insert(made).clone()
            }
        };
        let item = NewItem {
            content,
            summary: None,
            internal_date: None,
            flags: FlagSet::default(),
            name: None,
            object_uid: Some(head(message)),
        };
        steps.push(Mutation::Append { container: outbox, item });
    }
    Ok(steps)
}

async fn kept_content(account: &dyn Account, text: Bytes, is_shared: bool) -> Result<Content, AccountError> {
    if !is_shared {
        return Ok(content(account, text).await?.0);
    }
    let mut upload = account.stage_blob().await?;
    upload.write(text).await?;
    Ok(Content::Stored(upload.finish().await?.0))
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
        let message = match &item.object_uid {
            Some(head) => with_head(head, bytes),
            None => parse(&bytes),
        };
        // What nobody can read stays, and is in nobody's way.
        found.extend(message.map(|message| (item.uid, message)));
    }
    Ok(found)
}

/// What is kept of a message beside its text: unique, because the id is.
fn head(message: &Outgoing) -> String {
    format!("{}\n{}\n{}", message.id, message.sender, message.recipient)
}

fn with_head(head: &str, text: Bytes) -> Option<Outgoing> {
    let mut lines = head.split('\n').map(str::to_owned);
    let (id, sender, recipient) = (lines.next()?.parse().ok()?, lines.next()?, lines.next()?);
    Some(Outgoing { id, sender, recipient, text, is_automatic: false })
}

/// As former versions have kept it: the head and the text in one.
fn parse(bytes: &Bytes) -> Option<Outgoing> {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next()?).ok().map(str::to_owned);
    let (id, sender, recipient) = (text()?.parse().ok()?, text()?, text()?);
    let rest = lines.next()?;
    Some(Outgoing { id, sender, recipient, text: bytes.slice_ref(rest), is_automatic: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let text = Bytes::from_static(b"BEGIN:VCALENDAR\nEND:VCALENDAR\n");
        let message = Outgoing {
            id: OperationId([7; 16]),
            sender: "a@x".into(),
            recipient: "b@y".into(),
            text,
            is_automatic: false,
        };
        assert_eq!(with_head(&head(&message), message.text.clone()), Some(message.clone()));
        let former = [head(&message).as_bytes(), b"\n", &message.text[..]].concat();
        assert_eq!(parse(&Bytes::from(former)), Some(message));
        assert_eq!(with_head("a\nb", Bytes::new()), None);
        assert_eq!(parse(&Bytes::from_static(b"a\nb")), None);
    }
}
