//! An account on one engine, and short words for what the cases do with it.

use bytes::Bytes;
use sterna_account::check::{Depth, check};
use sterna_account::commit::Expect;
use sterna_account::*;
use sterna_base::*;
use sterna_engines::memory::MemoryEngine;
use sterna_engines::sqlite::SqliteEngine;

pub const ACCOUNT: AccountId = AccountId(9);
pub const INBOX: ContainerId = ContainerId(1);
pub const ARCHIVE: ContainerId = ContainerId(2);
pub const TRASH: ContainerId = ContainerId(6);
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub const DAY_MS: i64 = 24 * 3600 * 1000;

/// An open account with its first containers. Cases move its time.
pub struct Bed {
    pub engine: Box<dyn Engine>,
    /// Another node's, for copies of the account.
    pub other: Box<dyn Engine>,
    open: Option<Box<dyn Store>>,
    pub now: Timestamp,
}

/// Runs a case on SQLite.
pub fn on_sqlite(case: fn(&mut Bed)) {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(Box::new(SqliteEngine::new(folder.path())), Box::new(SqliteEngine::new(other.path())), case);
}

/// Runs a case on the model.
pub fn on_memory(case: fn(&mut Bed)) {
    run(Box::new(MemoryEngine::new()), Box::new(MemoryEngine::new()), case);
}

fn run(engine: Box<dyn Engine>, other: Box<dyn Engine>, case: fn(&mut Bed)) {
    let mut bed = Bed::new(engine, other);
    case(&mut bed);
    bed.check();
    bed.reopen();
    bed.check();
}

impl Bed {
    pub fn new(engine: Box<dyn Engine>, other: Box<dyn Engine>) -> Self {
        engine.create(ACCOUNT, Epoch(1), Role::Active, NOW).unwrap();
        let open = Some(engine.open(ACCOUNT).unwrap());
        let mut bed = Bed { engine, other, open, now: NOW };
        bed.done(first_containers::mutations());
        bed
    }

    pub fn store(&self) -> &dyn Store {
        self.open.as_deref().unwrap()
    }

    /// Puts another node's copy in the place of this one.
    pub fn take_over(&mut self, copy: Box<dyn Store>) {
        self.open = Some(copy);
        std::mem::swap(&mut self.engine, &mut self.other);
    }

    pub fn store_mut(&mut self) -> &mut dyn Store {
        self.open.as_deref_mut().unwrap()
    }

    /// Every invariant holds.
    pub fn check(&self) {
        assert_eq!(check(self.store(), Depth { contents: true }).unwrap(), []);
        assert_eq!(self.store().check_files().unwrap(), Vec::<String>::new());
    }

    /// Closes the store and opens it again.
    pub fn reopen(&mut self) {
        self.open = None;
        self.open = Some(self.engine.open(ACCOUNT).unwrap());
    }

    pub fn commit(&mut self, mutations: Vec<Mutation>) -> Result<Committed, CommitError> {
        self.send(&commit(mutations))
    }

    pub fn send(&mut self, commit: &Commit) -> Result<Committed, CommitError> {
        let now = self.now;
        self.store_mut().commit(std::slice::from_ref(commit), now).unwrap().remove(0)
    }

    /// Commits what must be taken; its outcomes.
    pub fn done(&mut self, mutations: Vec<Mutation>) -> Vec<Outcome> {
        self.commit(mutations).unwrap().outcomes
    }

    pub fn head(&self) -> Head {
        self.store().head().unwrap()
    }

    /// Takes in a blob in two pieces, not yet referred to.
    pub fn stage(&mut self, bytes: &[u8]) -> BlobHash {
        let mut writer = self.store().stage_blob().unwrap();
        let (one, other) = bytes.split_at(bytes.len() / 2);
        writer.write(one).unwrap();
        writer.write(other).unwrap();
        let (hash, size) = writer.finish().unwrap();
        assert_eq!((hash, size), (BlobHash::of(bytes), bytes.len() as u64));
        hash
    }

    /// Purges what was expunged before `now` minus `age_ms`, until nothing is left to purge; how many rows went.
    pub fn purge(&mut self, age_ms: i64) -> u64 {
        let (before, now) = (self.now.plus_ms(-age_ms), self.now);
        let mut total = 0;
        loop {
            match self.store_mut().purge(before, now, 10).unwrap() {
                0 => return total,
                rows => total += rows,
            }
        }
    }

    /// Everything that changed after n, read in pages of this size.
    pub fn changes(&self, since: Modseq, page: usize) -> Vec<Change> {
        let (mut rows, mut cursor) = (Vec::new(), Cursor::since(since));
        loop {
            let changes = self.store().changes(cursor, page).unwrap();
            assert_eq!(changes.head, self.head().modseq);
            assert!(changes.rows.len() <= page);
            rows.extend(changes.rows);
            match changes.next {
                Some(next) => cursor = next,
                None => return rows,
            }
        }
    }

    /// The live items of a container as (UID, content).
    pub fn texts(&self, container: ContainerId) -> Vec<(u32, String)> {
        let parts = ItemParts { summary: false, body: true, ..ItemParts::default() };
        let items = self.store().items(container, &UidSet::all(), parts, usize::MAX).unwrap();
        items.into_iter().map(|item| (item.uid.0, String::from_utf8(item.body.unwrap().into()).unwrap())).collect()
    }

    pub fn container(&self, id: ContainerId) -> Container {
        self.store().container(id).unwrap().unwrap()
    }
}

pub fn commit(mutations: Vec<Mutation>) -> Commit {
    Commit { operation: OperationId::random(), epoch: Epoch(1), mutations }
}

pub fn item(text: &str, name: Option<&str>) -> NewItem {
    let content = Content::Inline(Bytes::copy_from_slice(text.as_bytes()));
    NewItem {
        content,
        summary: None,
        internal_date: None,
        flags: FlagSet::default(),
        name: name.map(str::to_owned),
        object_uid: None,
    }
}

pub fn append(text: &str) -> Mutation {
    Mutation::Append { container: INBOX, item: item(text, None) }
}

pub fn append_stored(hash: BlobHash) -> Mutation {
    Mutation::Append { container: INBOX, item: NewItem { content: Content::Stored(hash), ..item("", None) } }
}

pub fn put(text: &str, name: Option<&str>, expect: Expect) -> Mutation {
    Mutation::Put { container: INBOX, item: item(text, name), expect }
}

pub fn create(parent: Option<ContainerId>, name: &str) -> Mutation {
    Mutation::CreateContainer { parent, kind: ContainerKind::Mail, name: name.to_owned(), special_use: None }
}

pub fn rename(container: ContainerId, parent: Option<ContainerId>, name: &str) -> Mutation {
    Mutation::RenameContainer { container, parent, name: name.to_owned() }
}

pub fn delete(container: ContainerId) -> Mutation {
    Mutation::DeleteContainer { container }
}

pub fn expunge(container: ContainerId, uids: UidSet) -> Mutation {
    Mutation::Expunge { container, uids, deleted_only: false }
}

pub fn copy(from: ContainerId, uids: UidSet, to: ContainerId) -> Mutation {
    Mutation::Copy { from, uids, to, expunge: false }
}

pub fn move_items(from: ContainerId, uids: UidSet, to: ContainerId) -> Mutation {
    Mutation::Copy { from, uids, to, expunge: true }
}

pub fn uids(numbers: &[u32]) -> UidSet {
    numbers.iter().map(|&number| Uid(number)).collect()
}

/// The UID that an append or a put gave.
pub fn uid(outcome: &Outcome) -> Uid {
    match outcome {
        Outcome::Appended { uid, .. } => *uid,
        other => panic!("{other:?}"),
    }
}

/// The id that a creation gave.
pub fn id(outcome: &Outcome) -> ContainerId {
    match outcome {
        Outcome::Container { id, .. } => *id,
        other => panic!("{other:?}"),
    }
}
