//! A copy that follows loses nothing that it was told it has: power cuts, failed flushes and full disks between any two
//! writes.

use std::path::Path;
use std::sync::Arc;

use sterna_account::follow::{Applied, CopiedBlob, FollowError, Progress};
use sterna_account::{Content, Digest, Engine, Role, Store, StoreError};
use sterna_base::Epoch;
use sterna_base::limits::BLOB_CHUNK_BYTES;

use super::history::{ACCOUNT, History, PAGES_PER_CHECKPOINT, assert_sound};
use crate::faults::{Dice, Fault, FaultyDisk};
use crate::sqlite::SqliteEngine;

/// Steps of the source while it is followed.
const STEPS: usize = 12;

/// A source that lives on, and its copy on a faulty disk.
struct Following {
    source: History,
    disk: Arc<FaultyDisk>,
    engine: SqliteEngine,
    copy: Option<Box<dyn Store>>,
    dice: Dice,
    /// After how many events which state was acknowledged, in their order.
    acknowledged: Vec<(usize, Progress, Digest)>,
    /// After how many events the copy was equal to its source for the first time: before, it may begin anew.
    equal_from: Option<usize>,
}

impl Following {
    fn new(there: &Path, here: &Path, seed: u64) -> Self {
        let mut source = History::new(there, seed);
        source.create().unwrap();
        for _ in 0..STEPS {
            source.step().unwrap();
        }
        let disk = FaultyDisk::new(here);
        let engine = SqliteEngine::on_disk(here, disk.clone()).with_log_pages_per_checkpoint(PAGES_PER_CHECKPOINT);
        Following { source, disk, engine, copy: None, dice: Dice(seed), acknowledged: Vec::new(), equal_from: None }
    }

    fn create(&mut self) -> Result<(), StoreError> {
        self.engine.create(ACCOUNT, Epoch(1), Role::Follower, self.source.now)?;
        self.reopen()?;
        self.acknowledge();
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.copy = None;
        self.copy = Some(self.engine.open(ACCOUNT)?);
        Ok(())
    }

    fn copy(&mut self) -> &mut dyn Store {
        self.copy.as_mut().unwrap().as_mut()
    }

    fn acknowledge(&mut self) {
        let events = self.disk.events();
        let copy = self.copy();
        let state = (copy.progress().unwrap(), copy.head().unwrap().digest);
        self.acknowledged.push((events, state.0, state.1));
    }

    /// Takes a page of some rows.
    fn pull(&mut self) -> Result<Applied, FollowError> {
        let rows = 1 + self.dice.roll(12) as usize;
        let applied = pull(&mut self.source, self.copy.as_mut().unwrap().as_mut(), rows)?;
        self.acknowledge();
        if applied.is_equal {
            self.equal_from.get_or_insert(self.disk.events());
        }
        Ok(applied)
    }

    /// The source lives on while its copy follows, now and then after being opened anew or purged.
    fn run(&mut self) -> Result<(), FollowError> {
        for step in 0..STEPS {
            self.source.step().unwrap();
            match step % 5 {
                3 => self.reopen()?,
                4 => {
                    let now = self.source.now;
                    self.copy().purge(now.plus_ms(-300_000), now, 20)?;
                }
                _ => {}
            }
            for _ in 0..3 {
                self.pull()?;
            }
        }
        Ok(())
    }

    /// Follows to the end: the copy is then the source.
    fn finish(&mut self) {
        while !self.pull().unwrap().is_equal {}
        finish(&mut self.source, self.copy.as_mut().unwrap().as_mut());
        self.equal_from.get_or_insert(self.disk.events());
    }

    /// Whether the copy may be empty after so many events.
    fn may_begin_anew(&self, events: usize) -> bool {
        self.equal_from.is_none_or(|from| events < from)
    }
}

/// How far an empty copy is.
fn nothing() -> (Progress, Digest) {
    (Progress::start(), Digest::default())
}

fn pull(source: &mut History, copy: &mut dyn Store, rows: usize) -> Result<Applied, FollowError> {
    let source = source.store();
    let page = source.page(&copy.progress()?, rows, rows)?;
    let lacking = copy.lacking(&page.blobs())?;
    let blobs = source.copied_blobs(&lacking, u64::MAX)?;
    for blob in blobs.iter().filter(|blob| matches!(blob.content, Content::Stored(_))) {
        // One that fails is in nobody's way and is staged again.
        stage(source, copy, blob).or_else(|_| stage(source, copy, blob))?;
    }
    let now = sterna_base::Timestamp(0);
    copy.follow(&page, blobs, now)
}

fn stage(source: &dyn Store, copy: &dyn Store, blob: &CopiedBlob) -> Result<(), StoreError> {
    let mut writer = copy.stage_blob()?;
    for start in (0..blob.size).step_by(BLOB_CHUNK_BYTES) {
        writer.write(&source.blob(blob.hash, start..blob.size)?)?;
    }
    assert_eq!(writer.finish()?.0, blob.hash);
    Ok(())
}

fn finish(source: &mut History, copy: &mut dyn Store) {
    while !pull(source, copy, 50).unwrap().is_equal {}
    let (ours, theirs) = (copy.head().unwrap(), source.store().head().unwrap());
    assert_eq!((ours.modseq, ours.digest, ours.quota), (theirs.modseq, theirs.digest, theirs.quota));
    assert_sound(copy);
}

/// Cuts the power after so many events, looks at what is left, and follows on.
fn check_cut(following: &mut Following, events: usize, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    following.disk.crash_copy(events, seed, folder.path()).unwrap();
    let at = following.acknowledged.partition_point(|(when, ..)| *when <= events);
    let engine = SqliteEngine::new(folder.path());
    if at == 0 {
        engine.create(ACCOUNT, Epoch(1), Role::Follower, following.source.now).unwrap();
    }
    let mut copy = engine.open(ACCOUNT).unwrap_or_else(|error| panic!("after event {events}, seed {seed}: {error}"));
    let state = (copy.progress().unwrap(), copy.head().unwrap().digest);
    let end = following.acknowledged.len().min(at + 1);
    let allowed = &following.acknowledged[at.saturating_sub(1)..end];
    assert!(
        at == 0
            || allowed.iter().any(|(_, progress, digest)| (*progress, *digest) == state)
            || (following.may_begin_anew(events) && state == nothing()),
        "after event {events}, seed {seed}: found {state:?}, acknowledged {allowed:?}"
    );
    assert_sound(copy.as_mut());
    finish(&mut following.source, copy.as_mut());
}

#[test]
fn a_power_cut_at_any_instant_takes_nothing_back() {
    for seed in [21, 22] {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut following = Following::new(there.path(), here.path(), seed);
        following.create().unwrap();
        following.run().unwrap();
        following.finish();
        let last = following.disk.events() as u64;
        for cut in 0..30 {
            let events = following.dice.roll(last + 1) as usize;
            check_cut(&mut following, events, seed << 32 | cut);
        }
        for n in (0..following.acknowledged.len()).step_by(4) {
            let (events, ..) = following.acknowledged[n];
            check_cut(&mut following, events, n as u64);
        }
    }
}

#[test]
fn a_first_copy_goes_on_after_its_process_was_killed() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut following = Following::new(there.path(), here.path(), 24);
    following.create().unwrap();
    for kill in 0..4 {
        assert!(!following.pull().unwrap().is_equal, "it is killed in the midst of it ({kill})");
        let (killed, before) = (tempfile::tempdir().unwrap(), *following.acknowledged.last().unwrap());
        let disk = following.disk.killed_copy(killed.path()).unwrap();
        let engine = SqliteEngine::on_disk(killed.path(), disk.clone());
        let mut copy = engine.open(ACCOUNT).unwrap();
        assert_eq!((copy.progress().unwrap(), copy.head().unwrap().digest), (before.1, before.2));
        finish(&mut following.source, copy.as_mut());
        let cut = tempfile::tempdir().unwrap();
        disk.crash_copy(disk.events(), kill, cut.path()).unwrap();
        let found = SqliteEngine::new(cut.path()).open(ACCOUNT).unwrap();
        assert_eq!(found.head().unwrap(), copy.head().unwrap(), "once it is equal it stays");
    }
}

/// Follows until the planned failure, then opens the copy anew if it must be, and follows to the end. False when all
/// was over before the failure.
fn survive(fault: Fault) -> bool {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut following = Following::new(there.path(), here.path(), 23);
    following.disk.plan(fault);
    let result = following.create().map_err(FollowError::Store).and_then(|()| following.run());
    let is_full = matches!(fault, Fault::Full(_));
    if let Err(error) = &result {
        let FollowError::Store(error) = error else { panic!("{fault:?}: {error:?}") };
        assert_eq!(matches!(error, StoreError::DiskFull(_)), is_full, "{fault:?}: {error:?}");
    }
    let before = following.acknowledged.last().map(|(_, progress, digest)| (*progress, *digest));
    if result.is_err() && before.is_some() && following.copy.is_some() && !is_full {
        let again = following.pull();
        assert!(matches!(again, Err(FollowError::Store(StoreError::Stopped(_)))), "{fault:?}: {again:?}");
    }
    let happened = following.disk.repair();
    assert!(happened || result.is_ok());
    match before {
        None => following.create().unwrap(),
        // A full disk harms nothing: the store goes on by itself.
        Some(state) if is_full && following.copy.is_some() => {
            let copy = following.copy();
            assert_eq!((copy.progress().unwrap(), copy.head().unwrap().digest), state, "{fault:?}");
        }
        Some(state) => {
            following.reopen().unwrap();
            let copy = following.copy();
            let found = (copy.progress().unwrap(), copy.head().unwrap().digest);
            // The page whose answer was lost may be there.
            let is_there = found == state || found.0.rows > state.0.rows || found.0.answers > state.0.answers;
            assert!(is_there || (following.equal_from.is_none() && found == nothing()), "{fault:?}");
        }
    }
    assert_sound(following.copy());
    following.finish();
    following.acknowledge();
    let last = following.disk.events();
    check_cut(&mut following, last, 0);
    happened
}

#[test]
fn every_flush_may_fail_while_following() {
    let count = (0..).take_while(|n| survive(Fault::SyncFails(n * 3))).count();
    assert!(count > 15, "only {count} flushes");
}

#[test]
fn writes_may_fail_while_following() {
    let count = (0..).take_while(|n| survive(Fault::WriteFails(n * 61))).count();
    assert!(count > 10, "only {count} writes");
}

#[test]
fn the_disk_may_be_full_while_following() {
    let count = (0..).take_while(|n| survive(Fault::Full(n * 61))).count();
    assert!(count > 10, "only {count} writes");
}
