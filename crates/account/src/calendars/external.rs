//! Calendars that are published elsewhere as one file, kept in an account as calendars that can only be read.
//!
//! What is known of one ([`External`]) is an item among the notes about its container: it moves with the account and
//! goes with the calendar. The data server that holds the account fetches the file; [`replace`] makes the items those
//! of the file, and touches only what is different.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{BlobHash, ContainerId, OperationId, Timestamp, Uid};
use sterna_formats::calendar::feed::{FEED_OBJECTS_MAX, FeedObject, say_the_same};

use super::receive::put;
use super::writing::Writer;
use super::{body, is_elsewhere_named, make_derived, name_shown_step, note_item, shown_name};
use crate::commit::{Expect, MADE};
use crate::{
    Account, AccountError, CommitError, Container, ContainerKind, Content, Item, ItemParts, Mutation, NewItem, UidSet,
};

/// The name of the item that says where a calendar is from.
pub const RECORD: &str = "external-calendar";

/// The version of its layout, in its first byte.
const VERSION: u8 = 1;

/// Most external calendars of one account.
pub const EXTERNAL_MAX: usize = 100;

/// How often a change is tried that others hinder by theirs.
const UPDATE_TRIES_MAX: usize = 8;

/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 4096;

/// Longest error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 300;

/// How often a file is asked for when nobody says: every six hours.
const REFRESH_S_DEFAULT: i64 = 6 * 3600;

/// The shortest time between two questions: whoever publishes has other readers.
pub const REFRESH_S_MIN: i64 = 15 * 60;

/// The longest.
pub const REFRESH_S_MAX: i64 = 30 * 24 * 3600;

/// How long after a first failure it is tried again; each further one waits twice as long.
const RETRY_S: i64 = 5 * 60;

/// Times of [`External::next_at`] below this are no times, but count how often somebody has asked for the file since it
/// was fetched: a fetch that began before the last of them doesn't answer it.
const ASKED_BELOW: Timestamp = Timestamp(1_000_000);

/// The longest wait after failures.
const RETRY_S_MAX: i64 = 24 * 3600;

/// What is known of an external calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// Where the file is; with a password in it, if there has to be one.
    pub url: String,
    /// How often the owner wants it to be fetched, in seconds.
    pub refresh_s: Option<i64>,
    /// How often the file says that it changes, in seconds.
    pub suggested_s: Option<i64>,
    /// The entity tag that came with it.
    pub etag: Option<String>,
    /// When the server said that it changed, as it said it.
    pub last_modified: Option<String>,
    /// When it is to be fetched.
    pub next_at: Timestamp,
    /// When it was fetched the last time, or found to be the same.
    pub fetched_at: Option<Timestamp>,
    /// When that was tried the last time.
    pub tried_at: Option<Timestamp>,
    /// How often it has failed since it went well.
    pub failures: u32,
    /// Why, the last time; or what could not be read of the file.
    pub error: Option<String>,
}

impl External {
    /// To be fetched at once.
    pub fn new(url: String, refresh_s: Option<i64>) -> Self {
        External {
            url,
            refresh_s,
            suggested_s: None,
            etag: None,
            last_modified: None,
            next_at: Timestamp(0),
            fetched_at: None,
            tried_at: None,
            failures: 0,
            error: None,
        }
    }

    /// How often it is fetched, in seconds: as its owner says, else as the file says.
    pub fn interval_s(&self) -> i64 {
        self.refresh_s.or(self.suggested_s).unwrap_or(REFRESH_S_DEFAULT).clamp(REFRESH_S_MIN, REFRESH_S_MAX)
    }

    /// Asks for it to be fetched at once, also when it is being fetched: that may have begun before the file changed.
    pub fn ask(&mut self) {
        let next = Timestamp(self.next_at.0.saturating_add(1));
        self.next_at = if self.is_asked_for() && next < ASKED_BELOW { next } else { Timestamp(0) };
    }

    /// Whether it is to be fetched at once, and no fetch that began after that was asked has ended.
    pub fn is_asked_for(&self) -> bool {
        self.next_at < ASKED_BELOW
    }

    /// Takes over what a fetch has found out, that began when this was `began`; whether it was of this file at all.
    /// What the owner said meanwhile stays, and so does the question of who asked meanwhile.
    pub fn fetched(&mut self, began: &External, fetched: &External) -> bool {
        if self.url != began.url {
            return false;
        }
        let next_at = if self.next_at == began.next_at { fetched.next_at } else { self.next_at };
        *self = External { refresh_s: self.refresh_s, next_at, ..fetched.clone() };
        true
    }

    /// It went well; what could not be read of the file is said.
    pub fn succeeded(&mut self, now: Timestamp, unreadable: Option<String>) {
        (self.fetched_at, self.tried_at, self.failures) = (Some(now), Some(now), 0);
        self.error = unreadable.map(shortened);
        self.next_at = now.plus_ms(self.interval_s() * 1000);
    }

    /// It failed; the server may have said when to come again.
    pub fn failed(&mut self, now: Timestamp, why: String, not_before_s: Option<i64>) {
        let wait_s = RETRY_S.saturating_mul(1 << self.failures.min(20)).min(RETRY_S_MAX);
        let wait_s = wait_s.max(not_before_s.unwrap_or(0).min(REFRESH_S_MAX));
        (self.tried_at, self.failures) = (Some(now), self.failures.saturating_add(1));
        self.error = Some(shortened(why));
        self.next_at = now.plus_ms(wait_s * 1000);
    }

    fn encode(&self) -> Vec<u8> {
        // Writing into a vector can't fail; were it to, an empty content is no record.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version == VERSION { postcard::from_bytes(rest).ok() } else { None }
    }
}

fn shortened(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect()
}

/// Makes an external calendar, which is shown under its own name or under `shown`; it is fetched soon after.
///
/// # Errors
/// [`CommitError::NameTaken`] when there is a calendar of that name, [`CommitError::Limit`] when there are too many, or
/// when the account can't be written.
pub async fn subscribe(
    account: &dyn Account,
    name: &str,
    shown: Option<&str>,
    external: &External,
) -> Result<ContainerId, AccountError> {
    let all = account.containers().await?;
    if is_elsewhere_named(&all, name) {
        return Err(AccountError::Refused(CommitError::NameTaken));
    }
    check_room(&all)?;
    let mut notes = vec![noted(MADE, external)];
    notes.extend(shown.map(|shown| name_shown_step(MADE, shown)));
    make_derived(account, name, notes).await
}

/// Whether there is room for another external calendar.
///
/// # Errors
/// [`CommitError::Limit`]
pub fn check_room(all: &[Container]) -> Result<(), AccountError> {
    let count = all.iter().filter(|one| one.kind == ContainerKind::DerivedCalendar).count();
    let limit = || CommitError::Limit("external calendars of one account".to_owned());
    if count < EXTERNAL_MAX { Ok(()) } else { Err(AccountError::Refused(limit())) }
}

/// The step that notes an external calendar in the container of what is noted about it.
pub fn noted(notes: ContainerId, external: &External) -> Mutation {
    let item = NewItem::named(RECORD, Content::Inline(Bytes::from(external.encode())));
    Mutation::Put { container: notes, item, expect: Expect::Any }
}

/// Changes what is known of an external calendar, unless `change` says to leave it; whether that was done. It is not
/// when the calendar is gone: nothing is made anew. What somebody notes meanwhile is not lost, `change` is asked again.
///
/// # Errors
/// When the account can't be read or written.
pub async fn update(
    account: &dyn Account,
    calendar: ContainerId,
    mut change: impl FnMut(&mut External) -> bool + Send,
) -> Result<bool, AccountError> {
    let path = [ContainerKind::about(Some(calendar))];
    let parts = ItemParts { body: true, ..ItemParts::default() };
    for _ in 0..UPDATE_TRIES_MAX {
        let Some(notes) = account.containers_on_path(ContainerKind::Metadata, &path).await?.pop() else { break };
        let Some(item) = account.item_named(notes.id, RECORD, parts).await? else { break };
        let Some(mut external) = item.body.and_then(|body| External::decode(&body)) else { break };
        if !change(&mut external) {
            break;
        }
        let new = NewItem::named(RECORD, Content::Inline(Bytes::from(external.encode())));
        let step = Mutation::Put { container: notes.id, item: new, expect: Expect::Content(item.blob) };
        match account.commit(OperationId::random(), vec![step]).await {
            Ok(_) => return Ok(true),
            Err(AccountError::Refused(CommitError::Unexpected)) => {}
            Err(AccountError::Refused(CommitError::NoSuchContainer(_))) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Shows a calendar by the name that its file says, if nobody has said another one and the calendar is still there.
///
/// # Errors
/// When the account can't be read or written.
pub async fn name_by_file(account: &dyn Account, calendar: ContainerId, name: &str) -> Result<(), AccountError> {
    let path = [ContainerKind::about(Some(calendar))];
    let Some(notes) = account.containers_on_path(ContainerKind::Metadata, &path).await?.pop() else { return Ok(()) };
    if shown_name(account, calendar).await?.is_some() {
        return Ok(());
    }
    account.commit(OperationId::random(), vec![name_shown_step(notes.id, name)]).await.map(drop)
}

/// What is known of an external calendar; `None` when the container is none.
///
/// # Errors
/// When the account can't be read.
pub async fn read(account: &dyn Account, calendar: ContainerId) -> Result<Option<External>, AccountError> {
    let found = note_item(account, calendar, RECORD).await?;
    Ok(found.and_then(|body| External::decode(&body)))
}

/// All external calendars of an account, by name. How many items each has is at least as new as what is known of it:
/// after a fetch nobody is told how many there were before.
///
/// # Errors
/// When the account can't be read.
pub async fn list(account: &dyn Account) -> Result<Vec<(Container, External)>, AccountError> {
    let mut known = HashMap::new();
    for calendar in calendars(account).await? {
        if let Some(external) = read(account, calendar.id).await? {
            known.insert(calendar.id, external);
        }
    }
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = calendars(account).await?;
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found.into_iter().filter_map(|one| known.remove(&one.id).map(|external| (one, external))).collect())
}

async fn calendars(account: &dyn Account) -> Result<Vec<Container>, AccountError> {
    let mut containers = account.containers().await?;
    containers.retain(|container| container.kind == ContainerKind::DerivedCalendar);
    Ok(containers)
}

/// The steps that take an external calendar away, with what is noted about it.
///
/// # Errors
/// When the account can't be read.
pub async fn removed(account: &dyn Account, calendar: ContainerId) -> Result<Vec<Mutation>, AccountError> {
    let path = [ContainerKind::about(Some(calendar))];
    let notes = account.containers_on_path(ContainerKind::Metadata, &path).await?.pop();
    let steps = notes.into_iter().map(|notes| notes.id).chain([calendar]);
    Ok(steps.map(|container| Mutation::DeleteContainer { container }).collect())
}

/// What became of the items of a calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// New ones.
    pub created: usize,
    /// Ones that say something else now.
    pub changed: usize,
    /// Ones that are gone.
    pub removed: usize,
}

/// What stays of a calendar although it is not among the objects of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep<'a> {
    /// Everything: the file is broken, and nobody knows what is missing.
    All,
    /// What has these UIDs: the file has them, but they can't be stored.
    Uids(&'a [String]),
}

/// Makes the items of a calendar those of a file. What says the same stays untouched.
///
/// # Errors
/// [`CommitError::Limit`] when the calendar would have more than [`FEED_OBJECTS_MAX`] items; nothing is done. When the
/// account can't be read or written, what was done before stays, and the next time goes on.
pub async fn replace(
    account: &dyn Account,
    calendar: ContainerId,
    objects: Vec<FeedObject>,
    keep: Keep<'_>,
) -> Result<Replaced, AccountError> {
    let mut there = items(account, calendar).await?;
    let (mut done, mut writer) = (Replaced::default(), Writer::new(account));
    let wanted: HashSet<String> = objects.iter().map(|object| name_of(&object.facts.uid)).collect();
    let left = left_over(there.keys(), &wanted, keep);
    let new = wanted.iter().filter(|name| !there.contains_key(*name)).count();
    if there.len() - left.len() + new > FEED_OBJECTS_MAX {
        let limit = "objects of an external calendar, with those that are no longer in a file that can't be read whole";
        return Err(AccountError::Refused(CommitError::Limit(limit.to_owned())));
    }
    for name in left {
        writer.push(Mutation::Remove { container: calendar, name }).await?;
        done.removed += 1;
    }
    for object in objects {
        let name = name_of(&object.facts.uid);
        let text = Bytes::from(object.text.clone());
        match there.remove(&name) {
            Some(item) if item.blob == BlobHash::of(&text) => continue,
            Some(item) => {
                let old = body(account, &item).await?;
                let compared = tokio::task::spawn_blocking(move || say_the_same(&old, &text)).await;
                if compared.unwrap_or(false) {
                    continue;
                }
                done.changed += 1;
            }
            None => done.created += 1,
        }
        let place = (calendar, name);
        writer.push(put(account, place, &object.text, &object.facts, Expect::Any).await?).await?;
    }
    writer.flush().await?;
    Ok(done)
}

/// What is to go, of what is there.
fn left_over<'a>(there: impl Iterator<Item = &'a String>, wanted: &HashSet<String>, keep: Keep<'_>) -> Vec<String> {
    let Keep::Uids(uids) = keep else { return Vec::new() };
    let kept: HashSet<String> = uids.iter().map(|uid| name_of(uid)).collect();
    there.filter(|name| !wanted.contains(*name) && !kept.contains(*name)).cloned().collect()
}

/// The items of a calendar by name.
pub(super) async fn items(account: &dyn Account, calendar: ContainerId) -> Result<HashMap<String, Item>, AccountError> {
    let (mut found, mut after) = (HashMap::new(), Uid(0));
    loop {
        let uids = UidSet::range(after.next(), Uid::MAX);
        let page = account.items(calendar, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
        let last = page.last().map(|item| item.uid);
        let count = page.len();
        found.extend(page.into_iter().filter_map(|item| Some((item.name.clone()?, item))));
        match last {
            Some(last) if count == PAGE_ITEMS_MAX && last < Uid::MAX => after = last,
            _ => return Ok(found),
        }
    }
}

/// A name that the UID leads to: whoever has read it once finds it again.
fn name_of(uid: &str) -> String {
    format!("{}.ics", &BlobHash::of(uid.as_bytes()).to_string()[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_missing_goes() {
        let there = ["one", "two", "three"].map(name_of);
        let wanted = HashSet::from([name_of("one")]);
        assert_eq!(left_over(there.iter(), &wanted, Keep::All), Vec::<String>::new());
        assert_eq!(left_over(there.iter(), &wanted, Keep::Uids(&["two".to_owned()])), [name_of("three")]);
    }

    #[test]
    fn who_asks_during_a_fetch_is_not_answered_by_it() {
        let now = Timestamp(2_000_000_000);
        let mut known = External::new("https://x.test/a.ics".to_owned(), None);
        for _ in 0..3 {
            // The first time it is new; then somebody has asked.
            let began = known.clone();
            assert!(began.is_asked_for());
            let mut fetched = began.clone();
            fetched.succeeded(now, None);
            known.ask();
            known.refresh_s = Some(3600);
            assert!(known.fetched(&began, &fetched) && known.is_asked_for() && known.fetched_at == Some(now));
            assert_eq!(known.refresh_s, Some(3600));
            let began = known.clone();
            assert!(known.fetched(&began, &fetched) && !known.is_asked_for());
            known.ask();
        }
        let other = External::new("https://x.test/b.ics".to_owned(), None);
        assert!(!known.fetched(&other, &other));
    }

    #[test]
    fn what_is_known_is_read_again_and_waits_grow() {
        let mut external = External::new("https://x.test/a.ics".to_owned(), None);
        let now = Timestamp(1_000_000);
        let mut waits = Vec::new();
        for _ in 0..12 {
            external.failed(now, "no\nanswer".to_owned(), None);
            waits.push((external.next_at.0 - now.0) / 1000);
        }
        assert_eq!(&waits[..3], [300, 600, 1200]);
        assert_eq!(waits.last(), Some(&RETRY_S_MAX));
        assert_eq!((external.failures, external.error.as_deref()), (12, Some("noanswer")));
        external.failed(now, String::new(), Some(7 * 24 * 3600));
        assert_eq!(external.next_at, now.plus_ms(7 * 24 * 3600 * 1000), "when the server said");
        external.suggested_s = Some(1);
        external.succeeded(now, None);
        assert_eq!((external.next_at, external.failures), (now.plus_ms(REFRESH_S_MIN * 1000), 0));
        external.refresh_s = Some(3600);
        assert_eq!(external.interval_s(), 3600);
        assert_eq!(External::decode(&external.encode()), Some(external));
        assert_eq!(External::decode(&[]), None);
    }
}
