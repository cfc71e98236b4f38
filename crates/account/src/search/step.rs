//! One step of a search: what the index decides, and then as many messages as there is time for.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sterna_base::{ContainerId, Uid};
use sterna_formats::imap::date::Date;
use sterna_formats::mail::Summary;
use sterna_formats::mail::fold::fold;
use sterna_formats::mail::text::{header_text, sent_day};

use super::ask::at_most;
use super::documents::{DocumentReader, Documents};
use super::feed::is_of;
use super::index::SearchIndex;
use super::look::{Stopped, Text, Wanted, each_text, summary};
use super::needle::Needle;
use super::{Filter, Found};
use crate::{Change, Item, ItemParts, Read, StoreError, UidSet};

/// How long a step reads messages before it answers.
pub const STEP_TIME_MAX: Duration = Duration::from_millis(200);

/// Messages that are read from the store at once.
const ITEMS_AT_ONCE: usize = 64;

/// Changes that the index has not seen and that are looked through for new messages; behind that, all that the
/// mailbox has is compared with the index.
const LAG_ROWS_MAX: usize = 4096;

/// What a step may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes of one piece of a message.
    pub piece_bytes_max: u64,
    /// How long it reads messages. One message is looked at in any case.
    pub time_max: Duration,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// With an answer.
    Found(Found),
    /// It found nothing out, because the next message has a piece of so many bytes: ask again with that allowance.
    Needs(u64),
}

/// Does a step. An index that can't be asked, or is not one of this account, is left out; `trouble` hears of it.
///
/// # Errors
/// When the store can't be read.
pub fn step(
    read: &dyn Read,
    index: Option<&dyn SearchIndex>,
    reader: Option<&dyn DocumentReader>,
    container: ContainerId,
    filter: &Filter,
    uids: &UidSet,
    allowance: Allowance,
    trouble: &mut dyn FnMut(StoreError),
) -> Result<Stepped, StoreError> {
    let begun = Instant::now();
    let mut leaves = Vec::new();
    filter.leaves(&mut leaves);
    let search = Search { read, index, reader, container, filter, leaves };
    let mut narrowed = None;
    if let Some(index) = index
        && !search.leaves.is_empty()
    {
        let asked = index.snapshot(&mut || {
            narrowed = Some(search.narrow(index, uids)?);
            Ok(())
        });
        if let Err(error) = asked {
            narrowed = None;
            trouble(error);
        }
    }
    let narrowed = narrowed.unwrap_or_else(|| Narrowed { matching: Vec::new(), open: uids.clone() });
    search.read_open(narrowed, allowance, begun)
}

/// What the index decided.
struct Narrowed {
    matching: Vec<Uid>,
    open: UidSet,
}

struct Search<'a> {
    read: &'a dyn Read,
    /// For the texts that it keeps.
    index: Option<&'a dyn SearchIndex>,
    reader: Option<&'a dyn DocumentReader>,
    container: ContainerId,
    filter: &'a Filter,
    /// The filters on texts, in the order in which they are met.
    leaves: Vec<&'a Filter>,
}

/// What is known of a message.
#[derive(Clone, Copy)]
struct Known<'a> {
    item: Option<&'a Item>,
    summary: Option<&'a Summary>,
    leaves: &'a [Option<bool>],
}

/// Whether a message matches; `None` when more must be known. `leaf` counts the filters on texts met so far, so every
/// filter is visited.
fn test(filter: &Filter, known: Known<'_>, leaf: &mut usize) -> Option<bool> {
    match filter {
        Filter::Const(answer) => Some(*answer),
        Filter::Not(inner) => test(inner, known, leaf).map(|answer| !answer),
        Filter::And(inner) => all(inner.iter().map(|filter| test(filter, known, leaf))),
        Filter::Or(inner) => all(inner.iter().map(|filter| test(filter, known, leaf).map(|no| !no))).map(|no| !no),
        Filter::Larger(size) => known.item.map(|item| item.size > *size),
        Filter::Smaller(size) => known.item.map(|item| item.size < *size),
        Filter::Internal(span) => known.item.map(|item| span.contains(item.internal_date)),
        Filter::Saved(span) => known.item.map(|item| span.contains(item.saved_at)),
        Filter::Content(hash) => known.item.map(|item| item.blob == *hash),
        Filter::Sent(span) => known.summary.map(|summary| {
            let day = summary.envelope.date.as_deref().and_then(sent_day);
            let midnight = day.and_then(|(year, month, day)| Date::new(year, month, day)).and_then(Date::midnight);
            midnight.is_some_and(|midnight| span.contains(midnight))
        }),
        filter if filter.is_on_subject() && known.summary.is_some() => {
            *leaf += 1;
            let subject = known.summary?.envelope.subject.as_deref();
            Some(subject.is_some_and(|subject| {
                let value = &fold(&header_text(subject));
                Needle::of(filter).is_in(&Text::Field { name: b"subject", value })
            }))
        }
        // A filter on texts.
        _ => {
            *leaf += 1;
            known.leaves.get(*leaf - 1).copied().flatten()
        }
    }
}

/// Whether all are true. All are looked at.
fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for answer in answers {
        all = match (all, answer) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    all
}

impl Search<'_> {
    /// Decides what the index can decide.
    fn narrow(&self, index: &dyn SearchIndex, uids: &UidSet) -> Result<Narrowed, StoreError> {
        if let Some(progress) = index.progress()?
            && !is_of(&progress, &self.read.head()?)
        {
            return Err(StoreError::Corrupt("the index is one of another history of the account".into()));
        }
        let mut said = Vec::with_capacity(self.leaves.len());
        for leaf in &self.leaves {
            said.push(leaf.ask(index)?);
        }
        let partial = index.partial()?;
        let candidates = at_most(self.filter, &said, &mut 0).map(|mut docs| {
            docs.unite(&partial);
            docs
        });
        let unseen = self.unseen(index, uids)?;
        let known = match (&candidates, &unseen) {
            (Some(docs), Some(_)) => index.items_of(self.container, docs)?,
            _ => index.items(self.container, uids)?,
        };
        let known: Vec<(Uid, u32)> = known.into_iter().filter(|(uid, _)| uids.contains(*uid)).collect();
        let mut open = match unseen {
            // What has changed and is known already is decided below.
            Some(changed) => without(&changed, &known),
            None => without(uids, &known),
        };
        let (mut matching, mut undecided) = (Vec::new(), Vec::new());
        let mut leaves = vec![None; said.len()];
        for (uid, doc) in known {
            let is_partial = partial.contains(doc);
            for (leaf, said) in leaves.iter_mut().zip(&said) {
                *leaf = said.as_ref().and_then(|said| match () {
                    () if said.sure.contains(doc) => Some(true),
                    () if is_partial || said.perhaps.contains(doc) => None,
                    () => Some(false),
                });
            }
            match test(self.filter, Known { item: None, summary: None, leaves: &leaves }, &mut 0) {
                Some(true) => matching.push(uid),
                Some(false) => {}
                None => undecided.push((uid, uid)),
            }
        }
        if !undecided.is_empty() {
            undecided.extend(open.ranges());
            open = UidSet::from_ranges(undecided);
        }
        Ok(Narrowed { matching, open })
    }

    /// The items that the index may not have, and some that it has; `None` when it is too far behind.
    fn unseen(&self, index: &dyn SearchIndex, uids: &UidSet) -> Result<Option<UidSet>, StoreError> {
        let Some(progress) = index.progress()? else { return Ok(None) };
        let mut after = progress.reached;
        let mut unseen = Vec::new();
        let mut rows = 0;
        loop {
            let changes = self.read.changes(after, LAG_ROWS_MAX / 4)?;
            rows += changes.rows.len();
            unseen.extend(changes.rows.iter().filter_map(|change| match change {
                Change::Item(item) if item.container == self.container && uids.contains(item.uid) => {
                    Some((item.uid, item.uid))
                }
                _ => None,
            }));
            match changes.next {
                None => return Ok(Some(UidSet::from_ranges(unseen))),
                Some(_) if rows >= LAG_ROWS_MAX => return Ok(None),
                Some(next) => after = next,
            }
        }
    }

    /// Reads what is open, until time is up.
    fn read_open(&self, narrowed: Narrowed, allowance: Allowance, begun: Instant) -> Result<Stepped, StoreError> {
        let Narrowed { mut matching, open } = narrowed;
        let parts = ItemParts { summary: self.needs_summary(), body: !self.leaves.is_empty(), ..ItemParts::default() };
        let mut after = Uid(0);
        let mut has_looked = false;
        'reading: loop {
            let rest = above(&open, after);
            if rest.is_empty() {
                break;
            }
            let items = self.read.items(self.container, &rest, parts, ITEMS_AT_ONCE)?;
            let is_last = items.len() < ITEMS_AT_ONCE;
            for item in items {
                if has_looked && begun.elapsed() >= allowance.time_max {
                    break 'reading;
                }
                match self.look(&item, allowance.piece_bytes_max) {
                    Ok(true) => matching.push(item.uid),
                    Ok(false) => {}
                    Err(Stopped::TooLarge(bytes)) if !has_looked => return Ok(Stepped::Needs(bytes)),
                    Err(Stopped::TooLarge(_)) => break 'reading,
                    Err(Stopped::NotNow) => {}
                    Err(Stopped::Store(error)) => return Err(error),
                }
                (after, has_looked) = (item.uid, true);
            }
            if is_last {
                after = Uid::MAX;
            }
        }
        let matching = matching.into_iter().collect();
        Ok(Stepped::Found(Found { matching, open: above(&open, after) }))
    }

    fn needs_summary(&self) -> bool {
        fn needs(filter: &Filter) -> bool {
            match filter {
                Filter::Not(inner) => needs(inner),
                Filter::And(inner) | Filter::Or(inner) => inner.iter().any(needs),
                Filter::Sent(_) => true,
                filter => filter.is_leaf(),
            }
        }
        needs(self.filter)
    }

    /// Whether a message matches: by its row, its summary, and if that is not enough by its texts.
    fn look(&self, item: &Item, piece_bytes_max: u64) -> Result<bool, Stopped> {
        let mut leaves = vec![None; self.leaves.len()];
        let known = Known { item: Some(item), summary: None, leaves: &leaves };
        if let Some(answer) = test(self.filter, known, &mut 0) {
            return Ok(answer);
        }
        let summary = summary(self.read, item)?;
        let known = Known { item: Some(item), summary: Some(&summary), leaves: &leaves };
        if let Some(answer) = test(self.filter, known, &mut 0) {
            return Ok(answer);
        }
        let mut needles: Vec<Needle<'_>> = self.leaves.iter().map(|leaf| Needle::of(leaf)).collect();
        let wanted = Wanted {
            header: needles.iter().any(Needle::wants_header),
            part_headers: needles.iter().any(Needle::wants_part_headers),
            body: needles.iter().any(Needle::wants_body),
        };
        let mut answer = None;
        let documents = Documents::new(self.reader, self.index);
        let looked = each_text(self.read, item, &summary, wanted, piece_bytes_max, &documents, &mut |text| {
            let mut has_news = false;
            for (leaf, needle) in leaves.iter_mut().zip(&mut needles) {
                if leaf.is_none() && needle.is_in(&text) {
                    (*leaf, has_news) = (Some(true), true);
                }
            }
            if has_news {
                answer =
                    test(self.filter, Known { item: Some(item), summary: Some(&summary), leaves: &leaves }, &mut 0);
            }
            if answer.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match looked {
            // It is as if the document had no text; the reader logged it.
            Ok(()) | Err(Stopped::NotNow) => {}
            Err(stopped) => return Err(stopped),
        }
        // What was not found by now isn't there.
        let leaves: Vec<Option<bool>> = leaves.iter().map(|leaf| Some(*leaf == Some(true))).collect();
        let known = Known { item: Some(item), summary: Some(&summary), leaves: &leaves };
        Ok(answer.or_else(|| test(self.filter, known, &mut 0)).unwrap_or(false))
    }
}

/// Those of the set that come after this one.
fn above(uids: &UidSet, after: Uid) -> UidSet {
    let ranges = uids.ranges().iter().filter(|(_, high)| *high > after);
    UidSet::from_ranges(ranges.map(|&(low, high)| (low.max(after.next()), high)).collect())
}

/// Those of the set that are not among these, which rise.
fn without(uids: &UidSet, known: &[(Uid, u32)]) -> UidSet {
    let mut ranges = Vec::new();
    let mut known = known.iter().map(|(uid, _)| *uid).peekable();
    for &(low, high) in uids.ranges() {
        let mut from = low.0;
        while known.next_if(|uid| *uid < low).is_some() {}
        while let Some(uid) = known.next_if(|uid| *uid <= high) {
            if from < uid.0 {
                ranges.push((Uid(from), Uid(uid.0 - 1)));
            }
            match uid.0.checked_add(1) {
                Some(next) => from = next,
                None => return UidSet::from_ranges(ranges),
            }
        }
        if from <= high.0 {
            ranges.push((Uid(from), high));
        }
    }
    UidSet::from_ranges(ranges)
}
