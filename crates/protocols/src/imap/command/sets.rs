//! Sequence sets in a session: which messages a client means.

use sterna_account::UidSet;
use sterna_base::Uid;
use sterna_formats::imap::SequenceSet;
use sterna_formats::imap::command::PartialRange;

use super::search_result::slice;

use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Reply};
use crate::imap::selected::Selected;

/// Messages looked at in one go to find a range of positions.
const PARTIAL_STEP: usize = 4096;

/// A set made ready for walking through a mailbox.
#[derive(Clone, Debug)]
pub struct Wanted {
    ranges: Vec<(u32, u32)>,
    by_uid: bool,
    after: Uid,
}

impl Wanted {
    /// What the client named, by UID or by sequence number.
    ///
    /// # Errors
    /// BAD for numbers that no message has; `*` is one of them in an empty mailbox (RFC 9051 section 9, `seq-number`).
    pub fn new(selected: &Selected, set: &SequenceSet, by_uid: bool) -> Result<Self, Fail> {
        let after = Uid(0);
        if *set == SequenceSet::Saved {
            let saved: UidSet = selected.saved.iter().copied().collect();
            let ranges = saved.ranges().iter().map(|(low, high)| (low.0, high.0)).collect();
            return Ok(Wanted { ranges, by_uid: true, after });
        }
        let (star, count) = {
            let picture = selected.view.picture();
            let count = picture.count(selected.position);
            (if by_uid { picture.last_uid(selected.position).map_or(0, |uid| uid.0) } else { count }, count)
        };
        let mut ranges = set.resolve(star);
        if !by_uid && ranges.iter().any(|(low, high)| *low == 0 || *high > count) {
            return Err(Reply::bad("There is no message of that number").into());
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Ok(Wanted { ranges: merged, by_uid, after })
    }

    /// Every message.
    pub fn all() -> Self {
        Wanted { ranges: vec![(1, u32::MAX)], by_uid: true, after: Uid(0) }
    }

    /// These.
    pub fn of(uids: &UidSet) -> Self {
        let ranges = uids.ranges().iter().map(|(low, high)| (low.0, high.0)).collect();
        Wanted { ranges, by_uid: true, after: Uid(0) }
    }

    /// The UIDs of a set that was made by UID, as far as there can be messages.
    pub fn uids(&self, selected: &Selected) -> UidSet {
        let last = selected.position.next.0.saturating_sub(1);
        let known = self.ranges.iter().map(|(low, high)| (*low, (*high).min(last))).filter(|(low, high)| low <= high);
        UidSet::from_ranges(known.map(|(low, high)| (Uid(low), Uid(high))).collect())
    }

    /// Those of its messages that pass, and of these the ones in a range of positions (RFC 9394 section 3.3).
    pub fn part(mut self, selected: &Selected, range: PartialRange, passes: impl Fn(&Picked) -> bool) -> Self {
        let mut uids = Vec::new();
        loop {
            let picked = self.next(selected, PARTIAL_STEP);
            if picked.is_empty() {
                break;
            }
            uids.extend(picked.iter().filter(|picked| passes(picked)).map(|picked| picked.uid));
        }
        let uids: UidSet = slice(range, &uids).iter().copied().collect();
        let ranges = uids.ranges().iter().map(|(low, high)| (low.0, high.0)).collect();
        Wanted { ranges, by_uid: true, after: Uid(0) }
    }

    /// The next messages, at most `limit`; empty at the end.
    pub fn next(&mut self, selected: &Selected, limit: usize) -> Vec<Picked> {
        let picked = selected.view.picture().pick(selected.position, &self.ranges, self.by_uid, self.after, limit);
        self.after = picked.last().map_or(self.after, |last| last.uid);
        picked
    }
}

/// The UIDs of a set in SEARCH, where numbers that no message has match nothing: clients ask for `1:*` without knowing
/// whether there is a message.
pub fn searched_uids(selected: &Selected, set: &SequenceSet, by_uid: bool) -> Result<UidSet, Fail> {
    let count = selected.view.picture().count(selected.position);
    let set = match set {
        SequenceSet::Ranges(_) if !by_uid => {
            let known = set.resolve(count).into_iter().map(|(low, high)| (low.max(1), high.min(count)));
            SequenceSet::Ranges(known.filter(|(low, high)| low <= high).map(|(a, b)| (Some(a), Some(b))).collect())
        }
        set => set.clone(),
    };
    uids(selected, &set, by_uid)
}

/// The UIDs of a set. By UID the ranges stay ranges, whatever exists; by number they are those of the messages meant.
pub fn uids(selected: &Selected, set: &SequenceSet, by_uid: bool) -> Result<UidSet, Fail> {
    let mut wanted = Wanted::new(selected, set, by_uid)?;
    if wanted.by_uid {
        let ranges = wanted.ranges.iter().filter(|(_, high)| *high > 0);
        // Messages that the client was not told of yet are not meant by `*` or a large number.
        let last = selected.position.next.0.saturating_sub(1);
        let known = ranges.map(|(low, high)| ((*low).max(1), (*high).min(last))).filter(|(low, high)| low <= high);
        return Ok(UidSet::from_ranges(known.map(|(low, high)| (Uid(low), Uid(high))).collect()));
    }
    let mut uids = UidSet::new();
    loop {
        let picked = wanted.next(selected, usize::MAX);
        if picked.is_empty() {
            return Ok(uids);
        }
        picked.iter().for_each(|picked| uids.push(picked.uid));
    }
}
