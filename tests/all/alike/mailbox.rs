//! A mailbox as one client knows it: only what the server has told, by the rules of RFC 9051 section 7.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::Value;

/// Sets longer than this are not looked into: no mailbox here is as large.
const SET_MAX: u32 = 100_000;

/// A selected mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    pub name: String,
    /// The UIDs by sequence number; `None` where only EXISTS has told of a message.
    pub uids: Vec<Option<u32>>,
    /// The flags last told.
    pub flags: BTreeMap<u32, BTreeSet<String>>,
    pub read_only: bool,
}

impl Mailbox {
    pub fn exists(&mut self, count: usize) -> Result<(), String> {
        if count < self.uids.len() {
            return Err(format!("EXISTS {count} while {} were told", self.uids.len()));
        }
        self.uids.resize(count, None);
        Ok(())
    }

    pub fn expunge(&mut self, sequence: usize) -> Result<(), String> {
        if sequence == 0 || sequence > self.uids.len() {
            return Err(format!("EXPUNGE {sequence} of {}", self.uids.len()));
        }
        if let Some(uid) = self.uids.remove(sequence - 1) {
            self.flags.remove(&uid);
        }
        Ok(())
    }

    /// Messages that are gone; `earlier` than the client's last look, they are among those that it knows.
    pub fn vanished(&mut self, uids: &BTreeSet<u32>, earlier: bool) {
        // Those of which the client knows only that they are there have UIDs above all that it knows.
        let last = self.uids.iter().flatten().max().copied().unwrap_or(0);
        let mut unknown = uids.iter().filter(|uid| **uid > last && !earlier).count();
        self.uids.retain(|uid| match uid {
            Some(uid) => !uids.contains(uid),
            None if unknown > 0 => {
                unknown -= 1;
                false
            }
            None => true,
        });
        self.flags.retain(|uid, _| !uids.contains(uid));
    }

    /// What a FETCH response says of UID and flags; the UID that it is about, if it is known.
    pub fn fetched(&mut self, sequence: usize, items: &[Value]) -> Result<Option<u32>, String> {
        if sequence == 0 || sequence > self.uids.len() {
            return Err(format!("FETCH {sequence} of {}", self.uids.len()));
        }
        if let Some(uid) = item(items, "UID").and_then(Value::number) {
            let known = &mut self.uids[sequence - 1];
            if known.is_some_and(|known| u64::from(known) != uid) {
                return Err(format!("message {sequence} has UID {uid}, and had {known:?}"));
            }
            *known = Some(uid as u32);
        }
        let uid = self.uids[sequence - 1];
        if let (Some(uid), Some(flags)) = (uid, item(items, "FLAGS")) {
            self.flags.insert(uid, flags.list().iter().filter_map(flag).collect());
        }
        Ok(uid)
    }

    /// Completes what a SELECT with QRESYNC told with what the client had kept (RFC 7162 section 3.2.5).
    pub fn resynchronised(&mut self, kept: &Mailbox, vanished: &BTreeSet<u32>) -> Result<(), String> {
        let kept_uids = kept.uids.iter().flatten().filter(|uid| !vanished.contains(uid));
        let uids: BTreeSet<u32> = kept_uids.chain(self.uids.iter().flatten()).copied().collect();
        let fits = uids.len() == self.uids.len()
            && uids.iter().zip(&self.uids).all(|(uid, told)| told.is_none_or(|told| told == *uid));
        if !fits {
            return Err(format!("QRESYNC leaves the client with {uids:?}, and told {:?}", self.uids));
        }
        for (uid, flags) in kept.flags.iter().filter(|(uid, _)| uids.contains(uid)) {
            self.flags.entry(*uid).or_insert_with(|| flags.clone());
        }
        self.uids = uids.into_iter().map(Some).collect();
        Ok(())
    }

    /// The UIDs rise with the sequence numbers.
    pub fn check(&self) -> Result<(), String> {
        let known: Vec<u32> = self.uids.iter().flatten().copied().collect();
        if known.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(format!("UIDs don't rise: {known:?}")) }
    }

    /// The UIDs that a set of sequence numbers or UIDs means here.
    pub fn meant(&self, set: &str, by_uid: bool) -> BTreeSet<u32> {
        let last = if by_uid { self.uids.iter().flatten().max().copied() } else { Some(self.uids.len() as u32) };
        let numbers = expand(set, last.unwrap_or(0));
        let known = self.uids.iter().enumerate().filter_map(|(at, uid)| Some((at as u32 + 1, (*uid)?)));
        known.filter(|(at, uid)| numbers.contains(if by_uid { uid } else { at })).map(|(_, uid)| uid).collect()
    }

    pub fn uid_of(&self, sequence: u64) -> Option<u32> {
        *self.uids.get((sequence as usize).checked_sub(1)?)?
    }
}

/// The value of an item in a FETCH response.
pub fn item<'a>(items: &'a [Value], name: &str) -> Option<&'a Value> {
    let at = items.iter().step_by(2).position(|item| item.string().is_some_and(|is| is.eq_ignore_ascii_case(name)))?;
    items.get(at * 2 + 1)
}

/// A flag in one spelling. `\Recent` is each server's own: see `permitted`.
fn flag(value: &Value) -> Option<String> {
    value.string().map(|flag| flag.to_lowercase()).filter(|flag| flag != "\\recent")
}

/// The numbers of a set.
pub fn expand(set: &str, last: u32) -> BTreeSet<u32> {
    let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
    let mut numbers = BTreeSet::new();
    for range in set.split(',') {
        let (from, to) = range.split_once(':').unwrap_or((range, range));
        let (from, to) = (number(from), number(to));
        numbers.extend((from.min(to)..=from.max(to)).take(SET_MAX as usize));
    }
    numbers
}
