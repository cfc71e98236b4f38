//! The orders that mailboxes were sorted in, kept for the next SORT: webmail asks for the same one at every page. What
//! is compared never changes while a message lives, so only new messages are read, and those that are gone are passed
//! over.

use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::{AccountId, ContainerId, Uid};
use sterna_formats::imap::command::SortCriterion;

use super::limits::{KEPT_SORT_BYTES_MAX, KEPT_SORT_MESSAGES_MIN};
use super::order::Key;
use super::picture::Picked;
use sterna_account::kept::Kept;

/// What a message in a kept order needs besides its key.
const MESSAGE_BYTES: usize = 48;

/// A result that is so many times smaller than what is kept of its mailbox is read rather than picked out.
const PICK_RATIO: usize = 40;

/// The order of a mailbox by some criteria.
pub type OrderOf = (AccountId, ContainerId, Arc<[SortCriterion]>);

/// Those of all mailboxes.
pub struct KeptSorts(Mutex<Kept<OrderOf, Arc<Sorted>>>);

impl Default for KeptSorts {
    fn default() -> Self {
        KeptSorts(Mutex::new(Kept::new(KEPT_SORT_BYTES_MAX)))
    }
}

impl KeptSorts {
    /// What is kept that is of use for so many messages; `None` when it is better not to ask, and not to keep.
    pub fn get(&self, order: &OrderOf, messages: usize) -> Option<Arc<Sorted>> {
        let known = self.0.lock().get(order).cloned();
        match known {
            Some(known) => (known.sorted.len() <= messages.saturating_mul(PICK_RATIO)).then_some(known),
            None => (messages >= KEPT_SORT_MESSAGES_MIN).then(Arc::default),
        }
    }

    /// Keeps an order for the next.
    pub fn keep(&self, order: OrderOf, sorted: Arc<Sorted>) {
        let bytes = sorted.bytes;
        self.0.lock().keep(order, sorted, bytes);
    }
}

/// Messages in their order.
#[derive(Default)]
pub struct Sorted {
    sorted: Vec<(Key, Uid)>,
    /// The same, rising.
    uids: Vec<Uid>,
    bytes: usize,
}

impl Sorted {
    /// Those of these messages, by UID, that it does not have.
    pub fn missing(&self, found: &[Picked]) -> Vec<Picked> {
        missing(self.uids.iter().copied(), found)
    }

    /// With these as well. Those that are not in the mailbox any more go when they have become many; `all` are all
    /// messages of the mailbox, if these were asked for.
    pub fn with(&self, messages: Vec<(Key, Picked)>, all: Option<&[Picked]>) -> Self {
        let mut sorted = self.sorted.clone();
        if let Some(all) = all.filter(|all| sorted.len() > all.len() + all.len() / 4) {
            sorted.retain(|(_, uid)| all.binary_search_by_key(uid, |picked| picked.uid).is_ok());
        }
        sorted.extend(messages.into_iter().map(|(key, picked)| (key, picked.uid)));
        // A long run that is sorted already, and what is new: this merges them. The UID is a part of the key.
        sorted.sort();
        let mut uids: Vec<Uid> = sorted.iter().map(|(_, uid)| *uid).collect();
        uids.sort_unstable();
        let bytes = sorted.iter().map(|(key, _)| key.len() + MESSAGE_BYTES).sum();
        Sorted { sorted, uids, bytes }
    }

    /// These messages, which are given by UID, in the order; those it does not have were expunged meanwhile.
    pub fn pick(&self, found: &[Picked]) -> Vec<Picked> {
        let places = Places::of(found);
        self.sorted.iter().filter_map(|(_, uid)| places.at(*uid).map(|at| found[at])).collect()
    }
}

/// Those of these messages, by UID, that are not among the known ones, which rise.
pub fn missing(known: impl Iterator<Item = Uid>, found: &[Picked]) -> Vec<Picked> {
    let mut known = known.peekable();
    let is_missing = |picked: &&Picked| {
        while known.next_if(|uid| *uid < picked.uid).is_some() {}
        known.next_if_eq(&picked.uid).is_none()
    };
    found.iter().filter(is_missing).copied().collect()
}

/// Where messages stand in a list by UID. UIDs mostly stand close together: then a table has them all.
struct Places<'a> {
    found: &'a [Picked],
    first: u32,
    /// One more than the place; zero is none.
    table: Vec<u32>,
}

impl<'a> Places<'a> {
    fn of(found: &'a [Picked]) -> Self {
        let (first, last) = (found.first().map_or(0, |picked| picked.uid.0), found.last().map_or(0, |last| last.uid.0));
        let span = (last - first) as usize + 1;
        let mut table = Vec::new();
        if span <= found.len().saturating_mul(8) {
            table.resize(span, 0);
            for (place, picked) in (1..).zip(found) {
                table[(picked.uid.0 - first) as usize] = place;
            }
        }
        Places { found, first, table }
    }

    fn at(&self, uid: Uid) -> Option<usize> {
        if self.table.is_empty() {
            return self.found.binary_search_by_key(&uid, |picked| picked.uid).ok();
        }
        let place = *self.table.get(uid.0.checked_sub(self.first)? as usize)?;
        place.checked_sub(1).map(|place| place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sterna_account::Flags;
    use sterna_base::Modseq;

    fn message(uid: u32) -> Picked {
        Picked { sequence: uid, uid: Uid(uid), modseq: Modseq(1), flags: Flags::default() }
    }

    fn keyed(letter: u8, uid: u32) -> (Key, Picked) {
        (Arc::from([letter, uid as u8]), message(uid))
    }

    fn uids(messages: &[Picked]) -> Vec<u32> {
        messages.iter().map(|picked| picked.uid.0).collect()
    }

    #[test]
    fn new_messages_find_their_places_and_old_ones_keep_theirs() {
        let all: Vec<Picked> = [1, 2, 3, 5, 90].map(message).to_vec();
        let kept = Sorted::default();
        assert_eq!(uids(&kept.missing(&all)), [1, 2, 3, 5, 90]);
        let kept = kept.with(vec![keyed(b'c', 1), keyed(b'a', 2), keyed(b'b', 5)], None);
        assert_eq!(uids(&kept.missing(&all)), [3, 90]);
        let kept = kept.with(vec![keyed(b'b', 3), keyed(b'a', 90)], None);
        assert_eq!((uids(&kept.missing(&all)), uids(&kept.pick(&all))), (vec![], vec![2, 90, 3, 5, 1]));
        // Some of them, close together and not.
        assert_eq!(uids(&kept.pick(&all[..3])), [2, 3, 1]);
        assert_eq!(uids(&kept.pick(&all[3..])), [90, 5]);
        assert_eq!(uids(&kept.pick(&[])), [0; 0]);
        // Those that are gone go.
        let left = [message(5), message(90)];
        let kept = kept.with(Vec::new(), Some(&left));
        assert_eq!((kept.sorted.len(), kept.bytes), (2, 2 * (2 + MESSAGE_BYTES)));
        assert_eq!(uids(&kept.missing(&all)), [1, 2, 3]);
    }

    #[test]
    fn few_messages_are_not_kept_and_not_picked_out_of_very_many() {
        let kept = KeptSorts::default();
        let order: OrderOf = (AccountId(1), ContainerId(1), Arc::from([]));
        assert!(kept.get(&order, KEPT_SORT_MESSAGES_MIN - 1).is_none());
        assert!(kept.get(&order, KEPT_SORT_MESSAGES_MIN).is_some());
        let many = (0..200).map(|uid| keyed(b'a', uid)).collect();
        kept.keep(order.clone(), Arc::new(Sorted::default().with(many, None)));
        assert!(kept.get(&order, 4).is_none());
        assert!(kept.get(&order, 5).is_some());
    }
}
