//! What a mailbox looks like: the messages that a view holds, and which of them a session knows.
//!
//! Expunged messages stay in the array until every session was told; [`Ghosts`] counts them, so that a sequence number
//! is an index less those that are hidden. A new message costs the same in a folder of fifty and of five hundred
//! thousand.

use std::collections::VecDeque;

use sterna_account::{Change, Container, Flags, ItemFlags};
use sterna_base::{Modseq, Uid};

use super::ghosts::Ghosts;
use super::limits::CHANGES_KEPT;

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub uid: Uid,
    pub modseq: Modseq,
    pub flags: Flags,
    /// Zero while it lives; the commit that expunged it afterwards.
    pub gone: Modseq,
}

/// How far a session was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Messages from this UID on are unknown to it.
    pub next: Uid,
    /// Expunges after this are unknown to it.
    pub expunges: Modseq,
    /// Changes of flags after this are unknown to it.
    pub flags: Modseq,
}

/// A message with its sequence number in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    pub sequence: u32,
    pub uid: Uid,
    pub modseq: Modseq,
    pub flags: Flags,
}

/// The messages of a mailbox as of one modseq.
#[derive(Debug)]
pub struct Picture {
    /// The account's modseq up to which this is true.
    pub synced: Modseq,
    /// The mailbox's row.
    pub container: Container,
    /// Whether the mailbox was deleted.
    pub deleted: bool,
    entries: Vec<Entry>,
    /// The expunged entries.
    ghosts: Ghosts,
    /// The latest changes of flags, by modseq.
    changes: VecDeque<(Modseq, Uid)>,
    /// `changes` has everything after this.
    changes_since: Modseq,
}

impl Picture {
    /// From the rows read after the account was at this modseq, by UID.
    pub fn new(synced: Modseq, container: Container, rows: Vec<ItemFlags>) -> Self {
        let entry = |row: ItemFlags| Entry { uid: row.uid, modseq: row.modseq, flags: row.flags, gone: Modseq::ZERO };
        let entries = rows.into_iter().map(entry).collect();
        let (ghosts, changes) = (Ghosts::default(), VecDeque::new());
        Picture { synced, container, deleted: false, entries, ghosts, changes, changes_since: synced }
    }

    /// Takes it out of a view that ends. No session lags, so nothing has to be remembered for one.
    pub fn take(&mut self) -> Self {
        self.compact(self.synced);
        Picture {
            synced: self.synced,
            container: self.container.clone(),
            deleted: self.deleted,
            entries: std::mem::take(&mut self.entries),
            ghosts: std::mem::take(&mut self.ghosts),
            changes: VecDeque::new(),
            changes_since: self.synced,
        }
    }

    /// How many messages it holds, those among them that are gone.
    pub fn weight(&self) -> usize {
        self.entries.len()
    }

    /// Takes in one row of "changes since", whichever container it is of.
    pub fn apply(&mut self, change: &Change) {
        let id = self.container.id;
        match change {
            Change::Container(container) if container.id == id => self.container = container.clone(),
            Change::ContainerDeleted { id: deleted, .. } if *deleted == id => self.deleted = true,
            Change::Item(item) if item.container == id => {
                let entry = Entry { uid: item.uid, modseq: item.modseq, flags: item.flags, gone: Modseq::ZERO };
                match self.index(item.uid) {
                    Ok(at) if self.entries[at].modseq < item.modseq => self.entries[at] = entry,
                    Ok(_) => return,
                    Err(at) => self.entries.insert(at, entry),
                }
                self.remember(item.modseq, item.uid);
            }
            Change::Expunged(expunged) if expunged.container == id => {
                if let Ok(at) = self.index(expunged.uid)
                    && self.entries[at].gone == Modseq::ZERO
                {
                    self.entries[at].gone = expunged.modseq;
                    self.ghosts.push(expunged.uid, expunged.modseq);
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, modseq: Modseq, uid: Uid) {
        self.changes.push_back((modseq, uid));
        if self.changes.len() > CHANGES_KEPT
            && let Some((dropped, _)) = self.changes.pop_front()
        {
            self.changes_since = self.changes_since.max(dropped);
        }
    }

    /// Forgets expunged messages that every session knows to be gone. Rare enough to cost each expunge little.
    pub fn compact(&mut self, told_everywhere: Modseq) {
        // Counts only what can go: one session that lags must not make every change cost a walk through the folder.
        let forgettable = self.ghosts.known(told_everywhere);
        if forgettable < 64.max(self.entries.len() / 8) {
            return;
        }
        self.entries.retain(|entry| entry.gone == Modseq::ZERO || entry.gone > told_everywhere);
        self.ghosts.forget(told_everywhere);
    }

    fn index(&self, uid: Uid) -> Result<usize, usize> {
        match self.entries.last() {
            // A new message is the usual case.
            Some(last) if last.uid < uid => Err(self.entries.len()),
            _ => self.entries.binary_search_by_key(&uid, |entry| entry.uid),
        }
    }

    /// Entries before this index that the session doesn't count any more.
    fn hidden_before(&self, index: usize, position: Position) -> usize {
        let next = self.entries.get(index).map_or(Uid::MAX, |entry| entry.uid);
        self.ghosts.before(next, position.expunges)
    }

    fn is_visible(entry: &Entry, position: Position) -> bool {
        entry.uid < position.next && (entry.gone == Modseq::ZERO || entry.gone > position.expunges)
    }

    /// How many messages the session counts.
    pub fn count(&self, position: Position) -> u32 {
        let end = self.entries.partition_point(|entry| entry.uid < position.next);
        (end - self.hidden_before(end, position)) as u32
    }

    /// The highest UID that the session counts.
    pub fn last_uid(&self, position: Position) -> Option<Uid> {
        let end = self.entries.partition_point(|entry| entry.uid < position.next);
        let count = (end - self.hidden_before(end, position)) as u32;
        let last = self.entries.get(self.index_of(count, position)).filter(|_| count > 0);
        last.map(|entry| entry.uid)
    }

    /// How many messages from this UID on the session counts.
    pub fn count_from(&self, uid: Uid, position: Position) -> u32 {
        let before = Position { next: position.next.min(uid), ..position };
        self.count(position) - self.count(before)
    }

    /// The index of a sequence number that exists.
    fn index_of(&self, sequence: u32, position: Position) -> usize {
        // The first index up to which so many are counted.
        let (mut low, mut high) = (0, self.entries.len());
        while low < high {
            let middle = low.midpoint(high);
            if middle + 1 - self.hidden_before(middle + 1, position) < sequence as usize {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The next messages among these rising ranges, after a UID, at most `limit`. Ranges are of UIDs or of sequence
    /// numbers.
    pub fn pick(
        &self,
        position: Position,
        ranges: &[(u32, u32)],
        by_uid: bool,
        after: Uid,
        limit: usize,
    ) -> Vec<Picked> {
        let end = self.entries.partition_point(|entry| entry.uid < position.next);
        let first = self.entries.partition_point(|entry| entry.uid <= after);
        let count = self.count(position);
        let mut picked = Vec::new();
        for &(low, high) in ranges {
            let start = if by_uid {
                self.entries.partition_point(|entry| entry.uid.0 < low)
            } else if low == 0 || low > count {
                continue;
            } else {
                self.index_of(low, position)
            };
            let start = start.max(first);
            let mut sequence = start - self.hidden_before(start, position);
            for entry in self.entries.get(start..end).unwrap_or_default() {
                if if by_uid { entry.uid.0 > high } else { sequence >= high as usize } {
                    break;
                }
                if !Self::is_visible(entry, position) {
                    continue;
                }
                sequence += 1;
                let Entry { uid, modseq, flags, .. } = *entry;
                picked.push(Picked { sequence: sequence as u32, uid, modseq, flags });
                if picked.len() == limit {
                    return picked;
                }
            }
        }
        picked
    }

    /// A message that the session counts.
    pub fn find(&self, uid: Uid, position: Position) -> Option<Picked> {
        self.pick(position, &[(uid.0, uid.0)], true, Uid(0), 1).pop()
    }

    /// Messages whose flags changed after the session was told, rising, without repetition.
    pub fn changed(&self, position: Position) -> Vec<Uid> {
        if position.flags >= self.synced {
            return Vec::new();
        }
        let mut uids: Vec<Uid> = if position.flags >= self.changes_since {
            let from = self.changes.partition_point(|(modseq, _)| *modseq <= position.flags);
            self.changes.range(from..).map(|(_, uid)| *uid).filter(|uid| *uid < position.next).collect()
        } else {
            let end = self.entries.partition_point(|entry| entry.uid < position.next);
            let changed = self.entries[..end].iter().filter(|entry| entry.modseq > position.flags);
            changed.map(|entry| entry.uid).collect()
        };
        uids.sort_unstable();
        uids.dedup();
        uids
    }

    /// Sequence numbers to announce as expunged, one after the other, each in the numbering after the one before. Costs
    /// in proportion to these, however many others are still remembered.
    pub fn expunged(&self, position: Position) -> Vec<u32> {
        let untold = self.ghosts.after(position.expunges).into_iter().filter(|uid| *uid < position.next);
        // Neither those announced before it nor those that are hidden are counted: all with a lower UID.
        let sequence = |uid| Some((self.index(uid).ok()? - self.ghosts.before(uid, Modseq(u64::MAX))) as u32 + 1);
        untold.filter_map(sequence).collect()
    }

    /// UIDs to announce as vanished, rising.
    pub fn vanished(&self, position: Position) -> Vec<Uid> {
        let untold = self.ghosts.after(position.expunges).into_iter();
        untold.filter(|uid| *uid < position.next).collect()
    }

    /// The first message without `\Seen`.
    pub fn first_unseen(&self, position: Position) -> Option<u32> {
        let seen = |entry: &Entry| entry.flags.has(sterna_account::SystemFlag::Seen);
        let index = self.entries.iter().position(|entry| Self::is_visible(entry, position) && !seen(entry))?;
        Some((index - self.hidden_before(index, position)) as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use sterna_account::{ContainerKind, Expunged};
    use sterna_base::{ContainerId, Timestamp, UidValidity};

    use super::*;

    fn mailbox() -> Container {
        Container {
            id: ContainerId(1),
            parent: None,
            kind: ContainerKind::Mail,
            name: "INBOX".into(),
            special_use: None,
            uid_validity: UidValidity(1),
            uid_next: Uid(1),
            modseq: Modseq(1),
            highest_modseq: Modseq(1),
            counts: sterna_account::Counts::default(),
            keywords: Vec::new(),
            digest: sterna_account::Digest::default(),
            acl: sterna_account::Acl::default(),
        }
    }

    /// A session as its client sees it: the UIDs in the order of their numbers.
    struct Client {
        position: Position,
        uids: Vec<u32>,
    }

    impl Client {
        fn hears(&mut self, picture: &Picture, next: Uid) {
            for sequence in picture.expunged(self.position) {
                self.uids.remove(sequence as usize - 1);
            }
            self.position.expunges = picture.synced;
            self.uids.extend(
                (self.position.next.0..next.0).filter(|uid| {
                    picture.index(Uid(*uid)).is_ok_and(|index| picture.entries[index].gone == Modseq::ZERO)
                }),
            );
            self.position.next = next;
        }

        fn agrees(&self, picture: &Picture) {
            let Client { position, uids } = self;
            let count = uids.len() as u32;
            assert_eq!(picture.count(*position), count);
            assert_eq!(picture.last_uid(*position).map(|uid| uid.0), uids.last().copied());
            let middle = uids.get(uids.len() / 2).copied().unwrap_or(1);
            assert_eq!(
                picture.count_from(Uid(middle), *position) as usize,
                uids.iter().filter(|uid| **uid >= middle).count()
            );
            let picked = |ranges: &[(u32, u32)], by_uid| -> Vec<(u32, u32)> {
                let picked = picture.pick(*position, ranges, by_uid, Uid(0), usize::MAX);
                picked.iter().map(|picked| (picked.sequence, picked.uid.0)).collect()
            };
            let numbered: Vec<(u32, u32)> = (1..).zip(uids.iter().copied()).collect();
            assert_eq!(picked(&[(1, u32::MAX)], true), numbered);
            for (sequence, uid) in &numbered {
                assert_eq!(picked(&[(*sequence, *sequence)], false), [(*sequence, *uid)]);
            }
            let upper = &numbered[numbered.len() / 2..];
            assert_eq!(picked(&[(middle, u32::MAX)], true), upper);
            assert_eq!(picked(&[(upper.first().map_or(1, |first| first.0), count)], false), upper);
        }
    }

    #[test]
    fn every_session_counts_what_it_was_told_however_far_it_lags() {
        let id = ContainerId(1);
        let mut picture = Picture::new(Modseq(0), mailbox(), Vec::new());
        let start = Position { next: Uid(1), expunges: Modseq(0), flags: Modseq(0) };
        let mut clients = [(); 3].map(|()| Client { position: start, uids: Vec::new() });
        let (mut live, mut next, mut random) = (Vec::new(), 1, 3_u64);
        for step in 1..600_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chance = (random >> 33) as usize;
            let modseq = Modseq(step);
            if live.is_empty() || chance % 5 < 2 {
                let item = ItemFlags { uid: Uid(next), modseq, flags: Flags::default() };
                let entry = Entry { uid: item.uid, modseq, flags: item.flags, gone: Modseq::ZERO };
                picture.entries.push(entry);
                live.push(next);
                next += 1;
            } else {
                let uid = Uid(live.remove(chance / 5 % live.len()));
                let expunged = Expunged { container: id, uid, modseq, expunged_at: Timestamp(0), retained: None };
                picture.apply(&Change::Expunged(expunged));
            }
            picture.synced = modseq;
            for (at, client) in clients.iter_mut().enumerate() {
                if chance.is_multiple_of(3 + at * at * 60) {
                    client.hears(&picture, Uid(next));
                }
            }
            let told = clients.iter().map(|client| client.position.expunges).min();
            picture.compact(told.unwrap_or(modseq));
            clients.iter().for_each(|client| client.agrees(&picture));
        }
        assert!(picture.entries.len() < live.len() + 400, "nothing was forgotten");
    }
}
