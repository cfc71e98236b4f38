//! When the objects of calendars are, kept in memory: a query looks here which of them it may mean, and reads those.
//!
//! It is made from what is stored beside the objects, moved on by what changed since, and can be made again at any
//! time. Without it, a query for a week would read something of every object that the calendar ever had.

use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, ContainerId, Epoch, Modseq, Uid};
use sterna_formats::calendar::{Facts, Span};

use crate::kept::Kept;
use crate::{Account, AccountError, Change, Cursor, Head, Item, ItemParts, UidSet};

/// Objects of which it is kept when they are; about 32 bytes each.
const KEPT_OBJECTS_MAX: usize = 1_000_000;

/// What a calendar without objects counts as against [`KEPT_OBJECTS_MAX`].
const EMPTY_OBJECTS: usize = 16;

/// What is stored beside objects, and nothing else.
const FACTS: ItemParts = ItemParts { summary: true, body: false, summary_start: false };

/// The spans of many calendars. Cheap to clone.
#[derive(Clone)]
pub struct KeptSpans(Arc<Mutex<Kept<(AccountId, ContainerId), Arc<Spans>>>>);

impl Default for KeptSpans {
    fn default() -> Self {
        KeptSpans(Arc::new(Mutex::new(Kept::new(KEPT_OBJECTS_MAX))))
    }
}

impl KeptSpans {
    /// The objects of a calendar that may be meant, by UID: those of which this is true, and those of which nothing is
    /// known. Some of them may be gone.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn possible(
        &self,
        account: &dyn Account,
        container: ContainerId,
        is_possible: impl Fn(Span) -> bool,
    ) -> Result<Vec<Uid>, AccountError> {
        let head = account.head().await?;
        self.possible_at(account, &head, container, is_possible).await
    }

    /// The same for who knows the account's head from just now.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn possible_at(
        &self,
        account: &dyn Account,
        head: &Head,
        container: ContainerId,
        is_possible: impl Fn(Span) -> bool,
    ) -> Result<Vec<Uid>, AccountError> {
        let spans = self.current(account, head, container).await?;
        let of = spans.objects.iter().filter(|(_, span)| span.is_none_or(&is_possible));
        Ok(of.map(|(uid, _)| *uid).collect())
    }

    async fn current(
        &self,
        account: &dyn Account,
        head: &Head,
        container: ContainerId,
    ) -> Result<Arc<Spans>, AccountError> {
        let key = (account.id(), container);
        let known = self.0.lock().get(&key).cloned();
        // Another epoch may have another history: a standby copy took over that lacks what was here.
        let spans = match known.filter(|spans| spans.epoch == head.epoch) {
            Some(spans) if spans.synced >= head.modseq => return Ok(spans),
            Some(mut spans) => {
                Arc::make_mut(&mut spans).move_on(account, container).await?;
                spans
            }
            None => Arc::new(Spans::read(account, container, head.epoch, head.modseq).await?),
        };
        let weight = spans.objects.len() + EMPTY_OBJECTS;
        self.0.lock().keep(key, spans.clone(), weight);
        Ok(spans)
    }
}

/// The objects of one calendar.
#[derive(Clone)]
struct Spans {
    epoch: Epoch,
    /// Up to where it is true.
    synced: Modseq,
    /// By UID; `None` when another version wrote what is stored beside it.
    objects: Vec<(Uid, Option<Span>)>,
}

impl Spans {
    /// All of them; what is committed meanwhile is taken in again by the next query.
    async fn read(
        account: &dyn Account,
        container: ContainerId,
        epoch: Epoch,
        synced: Modseq,
    ) -> Result<Self, AccountError> {
        let mut spans = Spans { epoch, synced, objects: Vec::new() };
        let mut after = Uid(0);
        loop {
            let uids = UidSet::range(after.next(), Uid::MAX);
            let items = account.items(container, &uids, FACTS, PAGE_ITEMS_MAX).await?;
            spans.objects.extend(items.iter().map(entry));
            match items.last() {
                Some(last) if items.len() == PAGE_ITEMS_MAX && last.uid < Uid::MAX => after = last.uid,
                _ => return Ok(spans),
            }
        }
    }

    async fn move_on(&mut self, account: &dyn Account, container: ContainerId) -> Result<(), AccountError> {
        let mut cursor = Cursor::since(self.synced);
        loop {
            let page = account.container_changes(container, cursor, PAGE_ITEMS_MAX).await?;
            let mut changed = Vec::new();
            for row in &page.rows {
                match row {
                    Change::Item(item) => changed.push(item.uid),
                    Change::Expunged(expunged) => self.remove(expunged.uid),
                    _ => {}
                }
            }
            changed.sort_unstable();
            for some in changed.chunks(PAGE_ITEMS_MAX) {
                let uids = UidSet::from_ranges(some.iter().map(|uid| (*uid, *uid)).collect());
                let items = account.items(container, &uids, FACTS, some.len()).await?;
                items.iter().for_each(|item| self.put(entry(item)));
            }
            match page.next {
                Some(next) => cursor = next,
                None => {
                    self.synced = self.synced.max(page.head);
                    return Ok(());
                }
            }
        }
    }

    fn put(&mut self, object: (Uid, Option<Span>)) {
        match self.objects.binary_search_by_key(&object.0, |(uid, _)| *uid) {
            Ok(at) => self.objects[at] = object,
            Err(at) => self.objects.insert(at, object),
        }
    }

    fn remove(&mut self, uid: Uid) {
        if let Ok(at) = self.objects.binary_search_by_key(&uid, |(uid, _)| *uid) {
            self.objects.remove(at);
        }
    }
}

fn entry(item: &Item) -> (Uid, Option<Span>) {
    (item.uid, item.summary.as_deref().and_then(Facts::decode).map(|facts| facts.span()))
}
