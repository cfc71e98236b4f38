//! SETMETADATA (RFC 5464 section 4.3): all entries of a command or none.

use std::collections::HashSet;

use bytes::Bytes;
use sterna_account::commit::Expect;
use sterna_account::{Content, FlagSet, Mutation, NewItem};

use super::metadata::{self, Subject};
use crate::imap::limits::{METADATA_ENTRIES_MAX, METADATA_ROWS_MAX, METADATA_VALUE_BYTES_MAX};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mailbox: &str, entries: Vec<(String, Option<Vec<u8>>)>) -> Outcome {
    let subject = Subject::find(session, mailbox).await?;
    let is_shared = |entry: &str| entry.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("/shared"));
    if subject.mailbox.is_none() && entries.iter().any(|(entry, _)| is_shared(entry)) {
        return Ok(Reply::no("What is said about the server is its administrator's").code("NOPERM"));
    }
    if entries.iter().any(|(entry, _)| entry.eq_ignore_ascii_case(metadata::SPECIAL_USE)) {
        return Ok(Reply::no("The use of a mailbox can't be changed").code("USEATTR"));
    }
    if entries.iter().any(|(_, value)| value.as_ref().is_some_and(|value| value.len() > METADATA_VALUE_BYTES_MAX)) {
        let code = format!("METADATA MAXSIZE {METADATA_VALUE_BYTES_MAX}");
        return Ok(Reply::no("The value is too long").code(code));
    }
    let keys: HashSet<String> =
        entries.iter().filter(|(_, value)| value.is_some()).map(|(entry, _)| subject.key(entry)).collect();
    let container = if keys.is_empty() {
        match subject.container().await? {
            Some(container) => container.id,
            None => return Ok(Reply::ok("Done")),
        }
    } else {
        subject.make_container(session).await?
    };
    if !keys.is_empty() {
        let known = metadata::rows(subject.account.as_ref(), container).await?;
        let known: HashSet<&str> = known.iter().filter_map(|item| item.name.as_deref()).collect();
        let new = keys.iter().filter(|key| !known.contains(key.as_str()));
        let is_too_many = |scope: fn(&str) -> bool| {
            // Private entries of others don't count here, nor do shared ones among private ones.
            let own = known.iter().filter(|key| subject.entry_of(key).is_some() && scope(key)).count();
            let more = new.clone().filter(|key| scope(key)).count();
            more > 0 && own + more > METADATA_ENTRIES_MAX
        };
        let is_full = new.clone().count() > 0 && known.len() + new.clone().count() > METADATA_ROWS_MAX;
        if is_full || is_too_many(|key| key.starts_with('/')) || is_too_many(|key| !key.starts_with('/')) {
            return Ok(Reply::no("There are too many entries").code("METADATA TOOMANY"));
        }
    }
    let steps = entries.into_iter().map(|(entry, value)| {
        let name = subject.key(&entry);
        match value {
            None => Mutation::Remove { container, name },
            Some(value) => {
                let (content, name) = (Content::Inline(Bytes::from(value)), Some(name));
                let (summary, internal_date, flags) = (None, None, FlagSet::default());
                let item = NewItem { content, summary, internal_date, flags, name, object_uid: None };
                Mutation::Put { container, item, expect: Expect::Any }
            }
        }
    });
    let committed = session.commit(subject.account.as_ref(), steps.collect()).await?;
    session.metadata_news.is_own(subject.account.id(), committed.modseq);
    Ok(Reply::ok("Done"))
}
