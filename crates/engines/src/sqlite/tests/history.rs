//! Histories from a seed, and what was acknowledged in them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::check::{Depth, check};
use sterna_account::commit::Expect;
use sterna_account::{
    Commit, CommitError, Container, ContainerKind, Content, Digest, Engine, FlagAction, FlagSet, Keyword, Mutation,
    NewItem, Read, Role, Store, StoreError, SystemFlag, UidSet, first_containers,
};
use sterna_base::{AccountId, BlobHash, Epoch, Modseq, OperationId, Timestamp, Uid};

use crate::faults::{Dice, FaultyDisk};
use crate::sqlite::SqliteEngine;

pub const ACCOUNT: AccountId = AccountId(0x1234);

/// Checkpoints often, so that every history has many.
pub const PAGES_PER_CHECKPOINT: u32 = 40;

/// A large blob: the smallest that never goes inline.
const LARGE_BYTES: usize = sterna_base::limits::INLINE_BLOB_BYTES_MAX + 1;

/// An account on a faulty disk that lives through a history.
pub struct History {
    pub disk: Arc<FaultyDisk>,
    pub engine: SqliteEngine,
    pub store: Option<Box<dyn Store>>,
    pub dice: Dice,
    pub now: Timestamp,
    /// After how many events which state was acknowledged, in their order.
    pub acknowledged: Vec<(usize, Modseq, Digest)>,
    counter: u64,
}

impl History {
    /// An account that is not made yet.
    pub fn new(root: &Path, seed: u64) -> Self {
        let disk = FaultyDisk::new(root);
        let engine = SqliteEngine::on_disk(root, disk.clone()).with_log_pages_per_checkpoint(PAGES_PER_CHECKPOINT);
        let now = Timestamp::from_seconds(1_800_000_000);
        History { disk, engine, store: None, dice: Dice(seed), now, acknowledged: Vec::new(), counter: seed << 32 }
    }

    /// Makes the account and its first containers.
    pub fn create(&mut self) -> Result<(), StoreError> {
        self.engine.create(ACCOUNT, Epoch(1), Role::Active, self.now)?;
        self.store = Some(self.engine.open(ACCOUNT)?);
        self.acknowledge();
        if self.store().containers()?.is_empty() {
            let first = self.commit_of(first_containers::mutations());
            self.commit(&[first]).map(drop)?;
        }
        Ok(())
    }

    pub fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap().as_mut()
    }

    /// Kills the process and starts another: what was written is still in the system's cache. The account lives on in
    /// the folder `into`.
    pub fn kill(&mut self, into: &Path) -> Result<(), StoreError> {
        let disk = self.disk.killed_copy(into).unwrap();
        self.store = None;
        let engine = SqliteEngine::on_disk(into, disk.clone()).with_log_pages_per_checkpoint(PAGES_PER_CHECKPOINT);
        (self.disk, self.engine) = (disk, engine);
        self.reopen()
    }

    /// Closes the store and opens it again.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.store = None;
        self.store = Some(self.engine.open(ACCOUNT)?);
        Ok(())
    }

    /// What is there now was acknowledged.
    pub fn acknowledge(&mut self) {
        let head = self.store().head().unwrap();
        self.acknowledged.push((self.disk.events(), head.modseq, head.digest));
    }

    /// Does commits and notes the state that was acknowledged.
    pub fn commit(&mut self, commits: &[Commit]) -> Result<Vec<Result<(), CommitError>>, StoreError> {
        let now = self.now;
        let answers = self.store().commit(commits, now)?;
        self.acknowledge();
        Ok(answers.into_iter().map(|answer| answer.map(drop)).collect())
    }

    pub fn commit_of(&mut self, mutations: Vec<Mutation>) -> Commit {
        self.counter += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.counter.to_le_bytes());
        Commit { operation: OperationId(id), epoch: Epoch(1), mutations }
    }

    /// One step of the history: mostly a batch of commits, now and then a purge or a reopening.
    pub fn step(&mut self) -> Result<(), StoreError> {
        self.now = self.now.plus_ms(60_000);
        match self.dice.roll(20) {
            0 => {
                let (before, now) = (self.now.plus_ms(-300_000), self.now);
                self.store().purge(before, now, 20).map(drop)
            }
            1 => self.reopen(),
            _ => {
                let count = 1 + self.dice.roll(3);
                let batch: Vec<Commit> = (0..count).map(|_| self.any_commit()).collect::<Result<_, _>>()?;
                let answers = self.commit(&batch)?;
                let is_allowed = |answer: &Result<(), CommitError>| {
                    !matches!(answer, Err(CommitError::Store(_) | CommitError::WrongEpoch { .. }))
                };
                assert!(answers.iter().all(is_allowed), "{answers:?}");
                Ok(())
            }
        }
    }

    fn any_commit(&mut self) -> Result<Commit, StoreError> {
        let count = 1 + self.dice.roll(3);
        let mutations = (0..count).map(|_| self.any_mutation()).collect::<Result<Vec<_>, _>>()?;
        Ok(self.commit_of(mutations))
    }

    fn any_mutation(&mut self) -> Result<Mutation, StoreError> {
        let containers = self.store().containers()?;
        let (one, other) = (self.pick(&containers), self.pick(&containers));
        let uids = self.uids(&one);
        Ok(match self.dice.roll(16) {
            0..6 => Mutation::Append { container: one.id, item: self.item(None)? },
            6 | 7 => Mutation::StoreFlags {
                container: one.id,
                uids,
                action: [FlagAction::Add, FlagAction::Remove, FlagAction::Replace][self.dice.roll(3) as usize],
                flags: self.flags(),
                unchanged_since: None,
            },
            8 | 9 => Mutation::Copy { from: one.id, uids, to: other.id, expunge: self.dice.roll(2) == 0 },
            10 => Mutation::Expunge { container: one.id, uids, deleted_only: self.dice.roll(2) == 0 },
            11 => {
                let name = format!("n{}", self.dice.roll(4));
                Mutation::Put { container: one.id, item: self.item(Some(name))?, expect: Expect::Any }
            }
            12 => Mutation::Remove { container: one.id, name: format!("n{}", self.dice.roll(4)) },
            13 => Mutation::CreateContainer {
                parent: (self.dice.roll(2) == 0).then_some(one.id),
                kind: ContainerKind::Mail,
                name: format!("c{}", self.dice.roll(50)),
                special_use: None,
            },
            14 => Mutation::DeleteContainer { container: one.id },
            _ => Mutation::RenameContainer {
                container: one.id,
                parent: (self.dice.roll(2) == 0).then_some(other.id),
                name: format!("r{}", self.dice.roll(50)),
            },
        })
    }

    fn pick(&mut self, containers: &[Container]) -> Container {
        containers[self.dice.roll(containers.len() as u64) as usize].clone()
    }

    fn uids(&mut self, container: &Container) -> UidSet {
        let any = |dice: &mut Dice| Uid(1 + dice.roll(u64::from(container.uid_next.0)) as u32);
        UidSet::range(any(&mut self.dice), any(&mut self.dice))
    }

    fn flags(&mut self) -> FlagSet {
        let mut flags = FlagSet::default();
        for flag in SystemFlag::ALL {
            if self.dice.roll(3) == 0 {
                flags = flags.with(flag);
            }
        }
        if self.dice.roll(2) == 0 {
            flags.insert(Keyword::new(format!("k{}", self.dice.roll(6))).unwrap());
        }
        flags
    }

    fn item(&mut self, name: Option<String>) -> Result<NewItem, StoreError> {
        let content = match self.dice.roll(12) {
            0 => Content::Stored(self.stage()?),
            n => Content::Inline(self.bytes(if n < 4 { 9000 } else { 300 })),
        };
        let summary = Some(self.bytes(60));
        Ok(NewItem { content, summary, internal_date: None, flags: self.flags(), name, object_uid: None })
    }

    /// A large blob that is durable when this returns.
    fn stage(&mut self) -> Result<BlobHash, StoreError> {
        let tag = self.dice.roll(5) as u8;
        let (start, end) = (vec![tag; LARGE_BYTES - 100], [tag + 1; 100]);
        let mut writer = self.store().stage_blob()?;
        let spooled = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(spooled.path(), [&start[..], &end].concat()).unwrap();
        if self.dice.roll(2) == 0 || !writer.link(spooled.path())? {
            writer.write(&start)?;
            writer.write(&end)?;
        }
        Ok(writer.finish()?.0)
    }

    /// Few different contents, so that they share blobs.
    fn bytes(&mut self, max: u64) -> Bytes {
        let length = 1 + self.dice.roll(max) as usize;
        let tag = self.dice.roll(8) as u8;
        vec![tag; length].into()
    }

    /// Cuts the power after this many events and looks at what is left: everything acknowledged by then, or one step
    /// more, and every invariant.
    pub fn check_cut(&self, events: usize, seed: u64) {
        let folder = tempfile::tempdir().unwrap();
        self.disk.crash_copy(events, seed, folder.path()).unwrap();
        let at = self.acknowledged.partition_point(|(when, ..)| *when <= events);
        let engine = SqliteEngine::new(folder.path());
        if at == 0 {
            engine.create(ACCOUNT, Epoch(1), Role::Active, self.now).unwrap();
        }
        let mut store =
            engine.open(ACCOUNT).unwrap_or_else(|error| panic!("after event {events}, seed {seed}: {error}"));
        let head = store.head().unwrap();
        let state = (head.modseq, head.digest);
        let allowed = &self.acknowledged[at.saturating_sub(1)..self.acknowledged.len().min(at + 1)];
        assert!(
            at == 0 || allowed.iter().any(|(_, modseq, digest)| (*modseq, *digest) == state),
            "after event {events}, seed {seed}: found {state:?}, acknowledged {allowed:?}"
        );
        assert_sound(store.as_mut());
        let containers = store.containers().unwrap();
        if let Some(container) = containers.first() {
            let content = Content::Inline(Bytes::from_static(b"after the cut"));
            let item = NewItem {
                content,
                summary: None,
                internal_date: None,
                flags: FlagSet::default(),
                name: None,
                object_uid: None,
            };
            let mutations = vec![Mutation::Append { container: container.id, item }];
            let commit = Commit { operation: OperationId([0xff; 16]), epoch: Epoch(1), mutations };
            store.commit(&[commit], self.now).unwrap().remove(0).unwrap();
            assert_sound(store.as_mut());
        }
    }
}

/// Every invariant of the account and of its file.
pub fn assert_sound(store: &mut dyn Store) {
    let read: Box<dyn Read> = store.reader().unwrap();
    assert_eq!(check(read.as_ref(), Depth { contents: true }).unwrap(), []);
    assert_eq!(store.check_files().unwrap(), Vec::<String>::new());
}
