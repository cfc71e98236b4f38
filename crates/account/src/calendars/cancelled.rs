//! Meetings that were called off before the invitation to them came: messages that go different ways overtake each
//! other, and the older one must change nothing (RFC 5546 section 2.1.5).

use bytes::Bytes;
use sterna_base::{BlobHash, Timestamp};
use sterna_formats::calendar::Calendar;
use sterna_formats::calendar::itip::{self, Version};

use crate::commit::Expect;
use crate::{
    Account, AccountError, ContainerKind, Content, FlagSet, ItemParts, Mutation, NewItem, UidSet, container_named,
};

/// The name of the container, which stands at the top.
const CONTAINER: &str = "cancelled";

/// How long it is remembered: longer than any message waits in a queue.
const REMEMBERED_MS: i64 = 35 * 24 * 3600 * 1000;

/// What one account remembers at most; beyond it the oldest goes first.
const REMEMBERED_MAX: u64 = 2000;

/// How many of the oldest are looked at, to be tidied away, when something is added.
const TIDIED_MAX: usize = 32;

/// Whether an invitation is older than a cancellation that was here before.
///
/// # Errors
/// When the account can't be read.
pub async fn is_cancelled(account: &dyn Account, message: &Calendar) -> Result<bool, AccountError> {
    let Some((key, version)) = key(message) else { return Ok(false) };
    let path = [CONTAINER.to_owned()];
    let Some(container) = account.containers_on_path(ContainerKind::Answered, &path).await?.pop() else {
        return Ok(false);
    };
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let body = account.item_named(container.id, &key, parts).await?.and_then(|item| item.body);
    let known = body.as_deref().and_then(|body| postcard::from_bytes::<(i64, i64)>(body).ok());
    Ok(known.is_some_and(|(sequence, stamp_s)| version <= Version { sequence, stamp_s }))
}

/// The steps that remember a cancellation of a whole meeting; none for one of single times.
///
/// # Errors
/// When the account can't be read or written.
pub async fn remembered(
    account: &dyn Account,
    message: &Calendar,
    now: Timestamp,
) -> Result<Vec<Mutation>, AccountError> {
    let Some((key, version)) = key(message) else { return Ok(Vec::new()) };
    let container = container_named(account, ContainerKind::Answered, CONTAINER).await?;
    let is_full = container.counts.items >= REMEMBERED_MAX;
    let oldest = account.items(container.id, &UidSet::all(), ItemParts::default(), TIDIED_MAX).await?;
    let over = oldest.into_iter().filter(|item| is_full || item.internal_date <= now);
    let over = over.filter_map(|item| item.name).filter(|name| *name != key);
    let mut steps: Vec<Mutation> = over.map(|name| Mutation::Remove { container: container.id, name }).collect();
    let bytes = postcard::to_stdvec(&(version.sequence, version.stamp_s)).unwrap_or_default();
    let item = NewItem {
        content: Content::Inline(Bytes::from(bytes)),
        summary: None,
        internal_date: Some(now.plus_ms(REMEMBERED_MS)),
        flags: FlagSet::default(),
        name: Some(key),
        object_uid: None,
    };
    steps.push(Mutation::Put { container: container.id, item, expect: Expect::Any });
    Ok(steps)
}

/// Whose meeting it is, behind a hash, and which version of it; `None` when it is about single times only.
fn key(message: &Calendar) -> Option<(String, Version)> {
    let (uid, organizer, version) = itip::whole(message)?;
    let hash = BlobHash::of(format!("{organizer}\n{uid}").as_bytes()).to_string();
    Some((hash[..32].to_owned(), version))
}
