//! What a mailbox looks like: the messages that a view holds, and which of them a session knows.
//!
//! Expunged messages stay in the array until every session was told; their UIDs are in a short sorted list, so that a
//! sequence number is an index less the few that are hidden. A new message costs the same in a folder of fifty and of
//! five hundred thousand.

use std::collections::VecDeque;

use sterna_account::{Change, Container, Flags, ItemFlags};
use sterna_base::{Modseq, Uid};

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
    /// UID and modseq of the expunged entries, by UID.
    ghosts: Vec<(Uid, Modseq)>,
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
        let (ghosts, changes) = (Vec::new(), VecDeque::new());
        Picture { synced, container, deleted: false, entries, ghosts, changes, changes_since: synced }
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
                    let place = self.ghosts.partition_point(|(uid, _)| *uid < expunged.uid);
                    self.ghosts.insert(place, (expunged.uid, expunged.modseq));
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
        let forgettable = self.ghosts.iter().filter(|(_, gone)| *gone <= told_everywhere).count();
        if forgettable < 64.max(self.entries.len() / 8) {
            return;
        }
        self.entries.retain(|entry| entry.gone == Modseq::ZERO || entry.gone > told_everywhere);
        self.ghosts.retain(|(_, gone)| *gone > told_everywhere);
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
        let Some(entry) = self.entries.get(index.wrapping_sub(1)) else { return 0 };
        let ghosts = &self.ghosts[..self.ghosts.partition_point(|(uid, _)| *uid <= entry.uid)];
        ghosts.iter().filter(|(_, gone)| *gone <= position.expunges).count()
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
        self.entries[..end].iter().rev().find(|entry| Self::is_visible(entry, position)).map(|entry| entry.uid)
    }

    /// The index of a sequence number that exists.
    fn index_of(&self, sequence: u32, position: Position) -> usize {
        let mut index = sequence as usize - 1;
        loop {
            let moved = sequence as usize - 1 + self.hidden_before(index + 1, position);
            if moved == index {
                return index;
            }
            index = moved;
        }
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
                if !Self::is_visible(entry, position) {
                    continue;
                }
                sequence += 1;
                if if by_uid { entry.uid.0 > high } else { sequence > high as usize } {
                    break;
                }
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

    /// Sequence numbers to announce as expunged, one after the other, each in the numbering after the one before. One
    /// walk through the expunged: a whole folder may go at once.
    pub fn expunged(&self, position: Position) -> Vec<u32> {
        let mut sequences = Vec::new();
        let ghosts = self.ghosts.iter().take_while(|(uid, _)| *uid < position.next);
        for (not_counted, (uid, gone)) in ghosts.enumerate() {
            if *gone > position.expunges
                && let Ok(index) = self.index(*uid)
            {
                sequences.push((index - not_counted) as u32 + 1);
            }
        }
        sequences
    }

    /// The first message without `\Seen`.
    pub fn first_unseen(&self, position: Position) -> Option<u32> {
        let seen = |entry: &Entry| entry.flags.has(sterna_account::SystemFlag::Seen);
        let index = self.entries.iter().position(|entry| Self::is_visible(entry, position) && !seen(entry))?;
        Some((index - self.hidden_before(index, position)) as u32 + 1)
    }
}
