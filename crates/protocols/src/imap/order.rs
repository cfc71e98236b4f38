//! The result of a SORT that is kept up to date (CONTEXT=SORT, RFC 5267): where in it messages stand.
//!
//! Keys are compared byte by byte and kept with the result, so that a change is found by halving and no other message
//! is read again. A change of many messages goes through the result once.

use std::collections::HashMap;
use std::sync::Arc;

use sterna_base::Uid;
use sterna_formats::imap::command::SortCriterion;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{CONTEXT_BYTES_MAX, CONTEXT_MESSAGE_BYTES};
use super::picture::Picked;

/// Where a message stands among others; the UID is a part of it, so no two are the same.
pub type Key = Arc<[u8]>;

/// What sorted results of all sessions share: one permit for each KiB that may be held.
pub struct ContextMemory(Arc<Semaphore>);

impl Default for ContextMemory {
    fn default() -> Self {
        ContextMemory(Arc::new(Semaphore::new((CONTEXT_BYTES_MAX / 1024) as usize)))
    }
}

/// A sorted result.
pub struct Order {
    criteria: Arc<[SortCriterion]>,
    sorted: Vec<Key>,
    keys: HashMap<Uid, Key>,
    bytes: u64,
    memory: Arc<Semaphore>,
    held: Vec<OwnedSemaphorePermit>,
    held_kib: u64,
}

/// Messages that stand beside each other, and where the first of them stands, from 1.
pub type Run = (u32, Vec<Picked>);

impl Order {
    /// Of the messages with these keys; `None` when there is no room for them.
    pub fn new(memory: &ContextMemory, criteria: Arc<[SortCriterion]>, messages: Vec<(Key, Picked)>) -> Option<Self> {
        let (memory, held) = (memory.0.clone(), Vec::new());
        let (sorted, keys) = (Vec::new(), HashMap::new());
        let mut order = Order { criteria, sorted, keys, bytes: 0, memory, held, held_kib: 0 };
        order.add(messages).map(|_| order)
    }

    /// What it is sorted by.
    pub fn criteria(&self) -> Arc<[SortCriterion]> {
        self.criteria.clone()
    }

    /// Puts messages in, and says where: for who does it run by run. `None` when there is no room, and nothing was
    /// done.
    pub fn add(&mut self, messages: Vec<(Key, Picked)>) -> Option<Vec<Run>> {
        let bytes: u64 = messages.iter().map(|(key, _)| size(key)).sum();
        let wanted_kib = (self.bytes + bytes).div_ceil(1024);
        if wanted_kib > self.held_kib {
            let more = u32::try_from(wanted_kib - self.held_kib).ok()?;
            self.held.push(self.memory.clone().try_acquire_many_owned(more).ok()?);
            self.held_kib = wanted_kib;
        }
        self.bytes += bytes;
        for (key, picked) in &messages {
            self.keys.insert(picked.uid, key.clone());
        }
        self.sorted.extend(messages.iter().map(|(key, _)| key.clone()));
        // Two runs that are sorted, or nearly: this merges them.
        self.sorted.sort();
        let mut placed: Vec<(u32, Picked)> =
            messages.iter().filter_map(|(key, picked)| Some((self.position(key)?, *picked))).collect();
        placed.sort_unstable_by_key(|(position, _)| *position);
        Some(runs(placed))
    }

    /// Takes messages out, and says where they were: for who does it run by run, from the end.
    pub fn remove(&mut self, messages: &[Picked]) -> Vec<Run> {
        let key_of = |picked: &Picked| Some((self.position(self.keys.get(&picked.uid)?)?, *picked));
        let mut placed: Vec<(u32, Picked)> = messages.iter().filter_map(key_of).collect();
        placed.sort_unstable_by_key(|(position, _)| *position);
        for (_, picked) in &placed {
            if let Some(key) = self.keys.remove(&picked.uid) {
                self.bytes -= size(&key);
            }
        }
        let (mut at, mut gone) = (0, placed.iter().map(|(position, _)| *position).peekable());
        self.sorted.retain(|_| {
            at += 1;
            gone.next_if_eq(&at).is_none()
        });
        let mut runs = runs(placed);
        runs.reverse();
        runs
    }

    fn position(&self, key: &Key) -> Option<u32> {
        self.sorted.binary_search(key).ok().and_then(|at| u32::try_from(at + 1).ok())
    }
}

/// What a message in a result needs.
fn size(key: &Key) -> u64 {
    key.len() as u64 + CONTEXT_MESSAGE_BYTES
}

/// Puts those together that stand beside each other.
fn runs(placed: Vec<(u32, Picked)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (position, picked) in placed {
        match runs.last_mut() {
            Some((first, run)) if *first as usize + run.len() == position as usize => run.push(picked),
            _ => runs.push((position, vec![picked])),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use sterna_account::Flags;
    use sterna_base::Modseq;

    fn message(letter: u8, uid: u32) -> (Key, Picked) {
        let picked = Picked { sequence: uid, uid: Uid(uid), modseq: Modseq(1), flags: Flags::default() };
        (Arc::from([letter, uid as u8]), picked)
    }

    fn uids(runs: Vec<Run>) -> Vec<(u32, Vec<u32>)> {
        runs.into_iter().map(|(at, run)| (at, run.into_iter().map(|picked| picked.uid.0).collect())).collect()
    }

    #[test]
    fn positions_follow_what_comes_and_goes() {
        let memory = ContextMemory::default();
        let all = vec![message(b'c', 1), message(b'a', 2), message(b'b', 3)];
        let mut order = Order::new(&memory, Arc::from([]), all.clone()).unwrap();
        let added = order.add(vec![message(b'b', 5), message(b'b', 4), message(b'z', 6)]).unwrap();
        assert_eq!(uids(added), [(3, vec![4, 5]), (6, vec![6])]);
        let gone = order.remove(&[all[0].1, all[1].1, message(b'b', 4).1, message(b'x', 99).1]);
        assert_eq!(uids(gone), [(5, vec![1]), (3, vec![4]), (1, vec![2])]);
        assert_eq!(uids(order.remove(&[all[2].1])), [(1, vec![3])]);
        assert_eq!(order.bytes, 2 * (2 + CONTEXT_MESSAGE_BYTES));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let memory = ContextMemory(Arc::new(Semaphore::new(1)));
        let few = (0..4).map(|uid| message(b'a', uid)).collect();
        let mut order = Order::new(&memory, Arc::from([]), few).unwrap();
        assert!(order.add((4..40).map(|uid| message(b'a', uid)).collect()).is_none());
        assert!(Order::new(&memory, Arc::from([]), vec![message(b'a', 1)]).is_none());
        drop(order);
        assert!(Order::new(&memory, Arc::from([]), vec![message(b'a', 1)]).is_some());
    }
}
