//! What a power cut leaves.
//!
//! Files are apart from their names: a flush of a file makes its bytes durable, a flush of a folder its entries. What
//! was not flushed reaches the disk in any selection and any order that the order of overlapping writes allows,
//! sector by sector. That is harsher than any one file system, and what POSIX promises.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::log::Event;

/// Writes are torn at these borders.
const SECTOR_BYTES: u64 = 512;

#[derive(Clone)]
enum Change {
    Write { offset: u64, bytes: Box<[u8]> },
    Truncate(u64),
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Will be durable with the next flush.
    Pending,
    /// A flush of it failed: later flushes pass it over.
    Forgotten,
}

#[derive(Clone, Default)]
struct File {
    /// What is on the disk for certain.
    durable: Vec<u8>,
    changes: Vec<(Change, State)>,
}

#[derive(Clone)]
enum Entry {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl Entry {
    /// The folder whose flush makes it durable.
    fn folder(&self) -> Option<&Path> {
        match self {
            Entry::Link(path, _) | Entry::Unlink(path) | Entry::Rename(_, path) => path.parent(),
        }
    }
}

/// Number of a folder among the files.
const FOLDER: usize = usize::MAX;

/// A disk with what is durable and what is not.
pub struct Machine {
    files: Vec<File>,
    /// Names as programs see them.
    names: BTreeMap<PathBuf, usize>,
    /// Names on the disk for certain.
    durable_names: BTreeMap<PathBuf, usize>,
    entries: Vec<Entry>,
}

impl Machine {
    /// A disk after these events; `root` is durable.
    pub fn replay(root: &Path, events: &[Event]) -> Self {
        let durable_names = BTreeMap::from([(root.to_owned(), FOLDER)]);
        let (files, entries) = (Vec::new(), Vec::new());
        let mut machine = Machine { files, names: durable_names.clone(), durable_names, entries };
        for event in events {
            machine.apply(event);
        }
        machine
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::CreateFolder(path) => self.entry(Entry::Link(path.clone(), FOLDER)),
            Event::CreateFile(path) => {
                self.files.push(File::default());
                self.entry(Entry::Link(path.clone(), self.files.len() - 1));
            }
            Event::Write { path, offset, bytes } => {
                self.change(path, Change::Write { offset: *offset, bytes: bytes.clone() });
            }
            Event::Truncate { path, length } => self.change(path, Change::Truncate(*length)),
            Event::Rename { from, to } => self.entry(Entry::Rename(from.clone(), to.clone())),
            Event::Remove(path) => self.entry(Entry::Unlink(path.clone())),
            Event::Sync(path) => {
                if let Some(file) = self.file(path) {
                    file.flush();
                }
            }
            Event::SyncFailed(path) => {
                for (_, state) in self.file(path).into_iter().flat_map(|file| &mut file.changes) {
                    *state = State::Forgotten;
                }
            }
            Event::SyncFolder(folder) => {
                for entry in std::mem::take(&mut self.entries) {
                    if entry.folder() == Some(folder) {
                        enter(&mut self.durable_names, &entry);
                    } else {
                        self.entries.push(entry);
                    }
                }
            }
        }
    }

    fn entry(&mut self, entry: Entry) {
        enter(&mut self.names, &entry);
        self.entries.push(entry);
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        self.names.get(path).and_then(|&number| self.files.get_mut(number))
    }

    fn change(&mut self, path: &Path, change: Change) {
        if let Some(file) = self.file(path) {
            file.changes.push((change, State::Pending));
        }
    }

    /// Decides the fate of everything that is not durable.
    pub fn cut_power(mut self, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let how = Fate::of(&mut dice);
        for entry in std::mem::take(&mut self.entries) {
            if how.keeps(&mut dice) {
                enter(&mut self.durable_names, &entry);
            }
        }
        for file in &mut self.files {
            for (change, _) in std::mem::take(&mut file.changes) {
                match change {
                    Change::Truncate(length) if how.keeps(&mut dice) => file.durable.resize(length as usize, 0),
                    Change::Truncate(_) => {}
                    Change::Write { offset, bytes } => write_torn(&mut file.durable, offset, &bytes, how, &mut dice),
                }
            }
        }
        self
    }

    /// Writes the durable files below `root` to the folder `into`.
    pub fn write(&self, root: &Path, into: &Path) -> io::Result<()> {
        for (path, &number) in &self.durable_names {
            let is_reachable = |folder: &Path| !folder.starts_with(root) || self.durable_names.contains_key(folder);
            let Ok(relative) = path.strip_prefix(root) else { continue };
            if !path.ancestors().skip(1).all(is_reachable) {
                continue;
            }
            let target = into.join(relative);
            match self.files.get(number) {
                Some(file) => std::fs::write(target, &file.durable)?,
                None => std::fs::create_dir_all(target)?,
            }
        }
        Ok(())
    }
}

impl File {
    fn flush(&mut self) {
        // What was forgotten stays undecided until the power is cut; what was written over it later is durable, and
        // must be so whatever becomes of the forgotten.
        let changes = std::mem::take(&mut self.changes);
        if changes.iter().all(|(_, state)| *state == State::Pending) {
            for (change, _) in changes {
                apply(&mut self.durable, &change);
            }
            return;
        }
        let mut undecided: Vec<(Change, State)> = Vec::new();
        for (change, state) in changes {
            if state == State::Forgotten {
                undecided.push((change, state));
                continue;
            }
            apply(&mut self.durable, &change);
            undecided = undecided.into_iter().flat_map(|(old, state)| outside(old, &change, state)).collect();
        }
        self.changes = undecided;
    }
}

/// What is left of an undecided change once a later one is durable.
fn outside(old: Change, durable: &Change, state: State) -> Vec<(Change, State)> {
    let Change::Write { offset, bytes } = old else { return Vec::new() };
    let end = offset + bytes.len() as u64;
    let (low, high) = match durable {
        Change::Write { offset, bytes } => (*offset, offset + bytes.len() as u64),
        Change::Truncate(length) => (*length, u64::MAX),
    };
    let piece = |from: u64, to: u64| {
        let (from, to) = (from.max(offset), to.min(end));
        (from < to).then(|| {
            let bytes = bytes[(from - offset) as usize..(to - offset) as usize].into();
            (Change::Write { offset: from, bytes }, state)
        })
    };
    [piece(offset, low), piece(high, end)].into_iter().flatten().collect()
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(length) => content.resize(*length as usize, 0),
        Change::Write { offset, bytes } => put(content, *offset, bytes),
    }
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let end = offset as usize + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset as usize..end].copy_from_slice(bytes);
}

fn enter(names: &mut BTreeMap<PathBuf, usize>, entry: &Entry) {
    match entry {
        Entry::Link(path, number) => drop(names.insert(path.clone(), *number)),
        Entry::Unlink(path) => names.retain(|name, _| !name.starts_with(path)),
        Entry::Rename(from, to) => {
            if let Some(number) = names.remove(from) {
                names.insert(to.clone(), number);
            }
        }
    }
}

fn write_torn(content: &mut Vec<u8>, offset: u64, bytes: &[u8], how: Fate, dice: &mut Dice) {
    let end = offset + bytes.len() as u64;
    let mut at = offset;
    while at < end {
        let border = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        if how.keeps(dice) {
            put(content, at, &bytes[(at - offset) as usize..(border - offset) as usize]);
        }
        at = border;
    }
}

/// How much of what was not flushed survives this cut.
#[derive(Clone, Copy)]
enum Fate {
    All,
    Nothing,
    Half,
    Most,
}

impl Fate {
    fn of(dice: &mut Dice) -> Self {
        match dice.roll(6) {
            0 => Fate::All,
            1 => Fate::Nothing,
            2 | 3 => Fate::Half,
            _ => Fate::Most,
        }
    }

    fn keeps(self, dice: &mut Dice) -> bool {
        match self {
            Fate::All => true,
            Fate::Nothing => false,
            Fate::Half => dice.roll(2) == 0,
            Fate::Most => dice.roll(16) != 0,
        }
    }
}

/// Numbers from a seed (SplitMix64): the same cut every time.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
