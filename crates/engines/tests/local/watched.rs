//! The model, watched: it counts what is asked of it, holds commits up, and fails on demand.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use sterna_account::follow::{Applied, ContainerPage, CopiedBlob, FollowError, Page, Progress};
use sterna_account::local::LocalAccounts;
use sterna_account::store::BlobWriter;
use sterna_account::*;
use sterna_base::*;
use sterna_engines::memory::MemoryEngine;
use tokio::sync::watch;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub const INBOX: ContainerId = ContainerId(1);

/// How long a test waits for what must come; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test sees of the engine and sets in it.
#[derive(Default)]
pub struct Log {
    /// Sizes of the batches, as they begin.
    pub batches: watch::Sender<Vec<usize>>,
    /// Accounts in the order in which their stores were opened.
    pub opened: Mutex<Vec<AccountId>>,
    /// Stores that are open.
    pub open: watch::Sender<Vec<AccountId>>,
    /// How often the files were checked.
    pub checks: Mutex<usize>,
    /// The next commit fails so, and the store with it.
    pub failure: Mutex<Option<StoreError>>,
    /// Whether readers see a wrong sum.
    pub damaged: Mutex<bool>,
    held: Mutex<bool>,
    released: Condvar,
}

impl Log {
    /// Commits wait from now on.
    pub fn hold(&self) {
        *self.held.lock() = true;
    }

    /// Commits go on.
    pub fn release(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }

    /// Waits until no other stores are open.
    pub async fn open_are(&self, accounts: &[u64]) {
        let is_so = |open: &Vec<AccountId>| open.iter().map(|account| account.0).eq(accounts.iter().copied());
        let mut open = self.open.subscribe();
        let waited = tokio::time::timeout(PATIENCE, open.wait_for(is_so)).await;
        assert!(waited.is_ok(), "open are {:?}, not {accounts:?}", self.open.borrow());
    }

    /// Waits until so many batches have begun.
    pub async fn batches_begun(&self, count: usize) {
        self.batches.subscribe().wait_for(|batches| batches.len() >= count).await.unwrap();
    }
}

#[derive(Default)]
pub struct WatchedEngine {
    inner: MemoryEngine,
    pub log: Arc<Log>,
}

impl Engine for WatchedEngine {
    fn create(&self, account: AccountId, epoch: Epoch, role: Role, now: Timestamp) -> Result<(), StoreError> {
        self.inner.create(account, epoch, role, now)
    }

    fn open(&self, account: AccountId) -> Result<Box<dyn Store>, StoreError> {
        let store = self.inner.open(account)?;
        self.log.opened.lock().push(account);
        self.log.open.send_modify(|open| open.push(account));
        Ok(Box::new(WatchedStore { account, store, log: self.log.clone(), stopped: false }))
    }

    fn delete(&self, account: AccountId) -> Result<(), StoreError> {
        self.inner.delete(account)
    }

    fn accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        self.inner.accounts()
    }

    fn set_aside(&self, account: AccountId, note: &[u8], now: Timestamp) -> Result<AsideName, StoreError> {
        self.inner.set_aside(account, note, now)
    }

    fn asides(&self) -> Result<Vec<(AsideName, Vec<u8>)>, StoreError> {
        self.inner.asides()
    }

    fn set_aside_note(&self, name: AsideName, note: &[u8]) -> Result<(), StoreError> {
        self.inner.set_aside_note(name, note)
    }

    fn open_aside(&self, name: AsideName) -> Result<Box<dyn Read>, StoreError> {
        self.inner.open_aside(name)
    }

    fn delete_aside(&self, name: AsideName) -> Result<(), StoreError> {
        self.inner.delete_aside(name)
    }
}

struct WatchedStore {
    account: AccountId,
    store: Box<dyn Store>,
    log: Arc<Log>,
    stopped: bool,
}

impl Drop for WatchedStore {
    fn drop(&mut self) {
        self.log.open.send_modify(|open| {
            let at = open.iter().position(|account| *account == self.account).unwrap();
            open.remove(at);
        });
    }
}

impl Store for WatchedStore {
    fn commit(
        &mut self,
        commits: &[Commit],
        now: Timestamp,
    ) -> Result<Vec<Result<Committed, CommitError>>, StoreError> {
        self.log.batches.send_modify(|batches| batches.push(commits.len()));
        let mut held = self.log.held.lock();
        self.log.released.wait_while(&mut held, |held| *held);
        drop(held);
        if let Some(error) = self.log.failure.lock().take() {
            self.stopped = !matches!(error, StoreError::DiskFull(_));
            return Err(error);
        }
        if self.stopped {
            return Err(StoreError::Stopped("as the test wanted".into()));
        }
        self.store.commit(commits, now)
    }

    fn stage_blob(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.store.stage_blob()
    }

    fn purge(&mut self, before: Timestamp, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.store.purge(before, now, limit)
    }

    fn set_role(&mut self, epoch: Epoch, role: Role, now: Timestamp) -> Result<(), CommitError> {
        self.store.set_role(epoch, role, now)
    }

    fn follow(&mut self, page: &Page, blobs: Vec<CopiedBlob>, now: Timestamp) -> Result<Applied, FollowError> {
        self.store.follow(page, blobs, now)
    }

    fn forget_container(&mut self, id: ContainerId, rows_max: usize) -> Result<u64, FollowError> {
        self.store.forget_container(id, rows_max)
    }

    fn follow_container(
        &mut self,
        page: &ContainerPage,
        blobs: Vec<CopiedBlob>,
        now: Timestamp,
    ) -> Result<(), FollowError> {
        self.store.follow_container(page, blobs, now)
    }

    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        Ok(Box::new(WatchedReader { reader: self.store.reader()?, log: self.log.clone() }))
    }

    fn check_files(&self) -> Result<Vec<String>, StoreError> {
        *self.log.checks.lock() += 1;
        self.store.check_files()
    }
}

struct WatchedReader {
    reader: Box<dyn Read>,
    log: Arc<Log>,
}

/// Hands every question on, except that a damaged account counts one item too many.
macro_rules! read_through {
    ($kind:ident, $field:ident, $head:expr) => {
        impl Read for $kind {
            fn head(&self) -> Result<Head, StoreError> {
                let correct: fn(&Self, Head) -> Head = $head;
                self.$field.head().map(|head| correct(self, head))
            }
            fn containers(&self) -> Result<Vec<Container>, StoreError> {
                self.$field.containers()
            }
            fn container(&self, id: ContainerId) -> Result<Option<Container>, StoreError> {
                self.$field.container(id)
            }
            fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, StoreError> {
                self.$field.containers_on_path(kind, path)
            }
            fn item_flags(&self, id: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, StoreError> {
                self.$field.item_flags(id, after, limit)
            }
            fn items(
                &self,
                id: ContainerId,
                uids: &UidSet,
                parts: ItemParts,
                limit: usize,
            ) -> Result<Vec<Item>, StoreError> {
                self.$field.items(id, uids, parts, limit)
            }
            fn item_named(&self, id: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
                self.$field.item_named(id, name, parts)
            }
            fn expunged(
                &self,
                id: ContainerId,
                since: Modseq,
                after: Uid,
                limit: usize,
            ) -> Result<Vec<Expunged>, StoreError> {
                self.$field.expunged(id, since, after, limit)
            }
            fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
                self.$field.changes(after, limit)
            }
            fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, StoreError> {
                self.$field.blob(hash, range)
            }
            fn blobs(&self, after: Option<BlobHash>, limit: usize) -> Result<Vec<(BlobHash, u64, u64)>, StoreError> {
                self.$field.blobs(after, limit)
            }
            fn page(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Result<Page, StoreError> {
                self.$field.page(after, rows_max, answers_max)
            }
            fn container_page(&self, id: ContainerId, after: Uid, rows: usize) -> Result<ContainerPage, StoreError> {
                self.$field.container_page(id, after, rows)
            }
            fn forks(&self) -> Result<Vec<fork::Fork>, StoreError> {
                self.$field.forks()
            }
            fn progress(&self) -> Result<Progress, StoreError> {
                self.$field.progress()
            }
            fn copied_blobs(&self, hashes: &[BlobHash], bytes_max: u64) -> Result<Vec<CopiedBlob>, StoreError> {
                self.$field.copied_blobs(hashes, bytes_max)
            }
            fn lacking(&self, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError> {
                self.$field.lacking(hashes)
            }
        }
    };
}

read_through!(WatchedStore, store, |_, head| head);
read_through!(WatchedReader, reader, |this, mut head| {
    head.quota.items_used += u64::from(*this.log.damaged.lock());
    head
});

/// Accounts 1 to `count` over a watched engine, each with its first containers, all closed; and the clock.
pub async fn accounts(count: u64, open_stores_max: usize) -> (LocalAccounts, Arc<Log>, ManualClock) {
    let engine = WatchedEngine::default();
    let (log, clock) = (engine.log.clone(), ManualClock::at(NOW));
    for id in 1..=count {
        engine.create(AccountId(id), Epoch(1), Role::Active, NOW).unwrap();
        let mutations = first_containers::mutations();
        let first = Commit { operation: OperationId::random(), epoch: Epoch(1), mutations };
        engine.open(AccountId(id)).unwrap().commit(&[first], NOW).unwrap().remove(0).unwrap();
    }
    log.opened.lock().clear();
    log.batches.send_replace(Vec::new());
    (LocalAccounts::with_limit(Arc::new(engine), Arc::new(clock.clone()), open_stores_max), log, clock)
}

pub fn append(text: &str) -> Vec<Mutation> {
    let content = Content::Inline(Bytes::copy_from_slice(text.as_bytes()));
    let item = NewItem {
        content,
        summary: None,
        internal_date: None,
        flags: FlagSet::default(),
        name: None,
        object_uid: None,
    };
    vec![Mutation::Append { container: INBOX, item }]
}

/// Begins a call and lets it come as far as it can without waiting: a commit then stands in its queue.
pub fn begin<'a, T>(call: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    // Without the runtime's turns, which would make a hundredth call wait for nothing.
    let mut call: Pin<Box<dyn Future<Output = T> + Send + 'a>> = Box::pin(tokio::task::unconstrained(call));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    call
}
