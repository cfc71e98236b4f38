//! GETMETADATA (RFC 5464 section 4.2).

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use sterna_account::{Item, ItemParts, UidSet};
use sterna_base::Uid;
use sterna_formats::imap::command::MetadataDepth;

use super::metadata::{self, Subject};
use crate::imap::limits::STEP_BODIES;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(
    session: &mut Session,
    mailbox: &str,
    max_size: Option<u64>,
    depth: MetadataDepth,
    entries: &[String],
) -> Outcome {
    let subject = Subject::find(session, mailbox).await?;
    let mut longest = None;
    let fits = |size: u64, longest: &mut Option<u64>| {
        let fits = max_size.is_none_or(|max| size <= max);
        if !fits {
            *longest = Some(size.max(longest.unwrap_or(0)));
        }
        fits
    };
    if depth == MetadataDepth::Zero {
        let container = subject.container().await?;
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(value) = subject.computed(entry) {
                found.push((entry.clone(), Some(value)));
                continue;
            }
            let item = match &container {
                Some(container) => subject.account.item_named(container.id, &subject.key(entry), PARTS).await?,
                None => None,
            };
            match item {
                Some(item) if fits(item.size, &mut longest) => {
                    let value = metadata::value(subject.account.as_ref(), &item).await?;
                    found.push((entry.clone(), Some(value)));
                }
                Some(_) => {}
                None => found.push((entry.clone(), None)),
            }
        }
        metadata::write(session, &subject.name, &found);
    } else {
        let is_meant = |entry: &str| entries.iter().any(|top| is_below(entry, top, depth));
        let mut computed: Vec<_> = [metadata::SPECIAL_USE].into_iter().filter(|entry| is_meant(entry)).collect();
        computed.retain(|entry| subject.computed(entry).is_some());
        let values = computed.into_iter().map(|entry| (entry.to_owned(), subject.computed(entry)));
        metadata::write(session, &subject.name, &values.collect::<Vec<_>>());
        let wanted = meant(&subject, is_meant).await?;
        let sizes: BTreeMap<Uid, String> =
            wanted.into_iter().filter(|(item, _)| fits(item.size, &mut longest)).map(|(i, e)| (i.uid, e)).collect();
        send(session, &subject, &sizes).await?;
    }
    let reply = Reply::ok("Done");
    Ok(match longest {
        Some(size) => reply.code(format!("METADATA LONGENTRIES {size}")),
        None => reply,
    })
}

const PARTS: ItemParts = ItemParts { summary: false, body: true, summary_start: false };

/// Whether an entry is this one or so far below it (section 4.2.2).
fn is_below(entry: &str, top: &str, depth: MetadataDepth) -> bool {
    let Some(start) = entry.get(..top.len()).filter(|start| start.eq_ignore_ascii_case(top)) else { return false };
    let below = &entry[start.len()..];
    let components = below.matches('/').count();
    below.is_empty() || below.starts_with('/') && (depth == MetadataDepth::Infinity || components == 1)
}

/// The rows of these entries, as far as the user sees them.
async fn meant(subject: &Subject, is_meant: impl Fn(&str) -> bool) -> Result<Vec<(Item, String)>, Fail> {
    let Some(container) = subject.container().await? else { return Ok(Vec::new()) };
    let rows = metadata::rows(subject.account.as_ref(), container.id).await?;
    let meant = |item: Item| {
        let entry = item.name.as_deref().and_then(|name| subject.entry_of(name))?.to_owned();
        is_meant(&entry).then_some((item, entry))
    };
    Ok(rows.into_iter().filter_map(meant).collect())
}

/// Sends them with their values, some at a time.
async fn send(session: &mut Session, subject: &Subject, wanted: &BTreeMap<Uid, String>) -> Result<(), Fail> {
    let Some(container) = subject.container().await?.filter(|_| !wanted.is_empty()) else { return Ok(()) };
    let all: Vec<Uid> = wanted.keys().copied().collect();
    for part in all.chunks(STEP_BODIES) {
        let uids: UidSet = part.iter().copied().collect();
        let items = subject.account.items(container.id, &uids, PARTS, part.len()).await?;
        let mut values: HashMap<Uid, Bytes> = HashMap::new();
        for item in items {
            values.insert(item.uid, metadata::value(subject.account.as_ref(), &item).await?);
        }
        let found = part.iter().filter_map(|uid| Some((wanted.get(uid)?.clone(), Some(values.remove(uid)?))));
        metadata::write(session, &subject.name, &found.collect::<Vec<_>>());
        session.io.flush_if_full().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_is_counted_in_components() {
        use MetadataDepth::{Infinity, One};
        for (entry, top, one, infinity) in [
            ("/shared/a", "/shared/a", true, true),
            ("/shared/a/b", "/Shared/A", true, true),
            ("/shared/a/b/c", "/shared/a", false, true),
            ("/shared/ab", "/shared/a", false, false),
            ("/shared", "/shared/a", false, false),
            ("/private/a", "/shared", false, false),
        ] {
            assert_eq!([is_below(entry, top, One), is_below(entry, top, Infinity)], [one, infinity], "{entry} {top}");
        }
    }
}
