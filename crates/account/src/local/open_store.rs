//! One open store: its writer with group commit, and its readers.
//!
//! Commits that arrive while a flush is under way wait in a queue and share the next flush. The first that finds no
//! leader starts one on a blocking thread; the leader takes all that wait, commits them as one batch, answers them, and
//! goes on until the queue is empty. A caller that gives up changes nothing: its commit is done all the same, and its
//! operation id will answer it when it asks again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use sterna_base::{AccountId, Clock, Epoch, Modseq};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

use super::feeding::FeedQueue;
use super::index_slot::IndexSlot;
use super::{blocking, blocking_on};
use crate::check::{Depth, check};
use crate::follow::{Applied, CopiedBlob, FollowError, Page};
use crate::store::BlobWriter;
use crate::{Commit, CommitError, Committed, Container, Content, Engine, Mutation, Read, Role, Store, StoreError};

/// Most commits that wait for one account; later ones wait for a place, they don't fail.
pub const COMMITS_WAITING_MAX: usize = 1024;

/// Most commits that share a flush.
pub const COMMITS_PER_BATCH_MAX: usize = 256;

/// Most bytes of inline contents in one batch, so that one transaction stays small.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most containers of an account that are kept in memory as they were read last.
pub const CONTAINERS_KEPT_MAX: usize = 256;

/// Most readers of one account at the same time.
pub const READERS_MAX: usize = 4;

/// How long a sealed account may still be read: a cut-over takes less. Later another copy may have become the account,
/// and what is here is old.
pub const SEALED_READS_MS_MAX: u64 = 3000;

/// What a session wants from a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To read.
    Read,
    /// To stage a blob for a commit.
    Stage,
}

type Answer = Result<Committed, CommitError>;

/// Where an answer goes, and the place in the queue that it frees.
type Reply = (oneshot::Sender<Answer>, OwnedSemaphorePermit);

struct Waiting {
    commit: Commit,
    answer: oneshot::Sender<Answer>,
    _place: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    has_leader: bool,
}

struct Inner {
    store: Mutex<Box<dyn Store>>,
    queue: Mutex<Queue>,
    readers: Mutex<Vec<Box<dyn Read>>>,
    containers: Mutex<Option<KnownContainers>>,
    /// How often the store was written to other than by commits.
    writes: AtomicU64,
    clock: Arc<dyn Clock>,
    standing: RwLock<Standing>,
    modseq: watch::Sender<Modseq>,
    index: IndexSlot,
}

/// All containers as they were read last. A session asks for them several times in one request, mostly in vain.
struct KnownContainers {
    /// The account's modseq and the number of other writes before they were read: what is acknowledged since has
    /// changed one of them.
    at: (Modseq, u64),
    containers: Vec<Container>,
}

/// What the store is at present, kept beside it so that no read has to look first.
#[derive(Clone, Copy)]
struct Standing {
    epoch: Epoch,
    role: Role,
    /// When it was sealed by this process; `None` for one that was found sealed, whose time may be over long ago.
    sealed_at: Option<Instant>,
}

/// An open store.
pub struct OpenStore {
    inner: Arc<Inner>,
    places: Arc<Semaphore>,
    reading: Arc<Semaphore>,
}

impl OpenStore {
    /// Opens an account's store; one that failed before is checked before it is used again. `modseq` follows the
    /// account from then on.
    pub async fn open(
        engine: Arc<dyn Engine>,
        account: AccountId,
        clock: Arc<dyn Clock>,
        modseq: watch::Sender<Modseq>,
        feeds: Arc<FeedQueue>,
        suspect: bool,
    ) -> Result<Self, StoreError> {
        let index = IndexSlot::new(engine.clone(), account, feeds);
        let (store, reader, head, index) = blocking(move || {
            let store = engine.open(account)?;
            let reader = store.reader()?;
            if suspect {
                check_suspect(store.as_ref(), reader.as_ref())?;
            }
            let head = reader.head()?;
            index.settle(head.role);
            Ok((store, reader, head, index))
        })
        .await?;
        let inner = Inner {
            store: Mutex::new(store),
            queue: Mutex::default(),
            readers: Mutex::new(vec![reader]),
            containers: Mutex::default(),
            writes: AtomicU64::default(),
            clock,
            standing: RwLock::new(Standing { epoch: head.epoch, role: head.role, sealed_at: None }),
            modseq,
            index,
        };
        inner.announce(head.modseq);
        let (places, reading) = (Semaphore::new(COMMITS_WAITING_MAX), Semaphore::new(READERS_MAX));
        Ok(OpenStore { inner: Arc::new(inner), places: Arc::new(places), reading: Arc::new(reading) })
    }

    /// Whether nothing is under way: commits, reads and the like go on when their callers give up, and a store must not
    /// be opened a second time beside them.
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// The epoch under which the store takes commits.
    pub fn epoch(&self) -> Epoch {
        self.inner.standing.read().epoch
    }

    /// Whether sessions may read here, and stage blobs: what another copy is about to replace, or has replaced, or is
    /// not yet whole, must not be shown to anybody.
    pub fn serves(&self, what: Use) -> bool {
        let Standing { role, sealed_at, .. } = *self.inner.standing.read();
        let is_recent = |sealed: Instant| sealed.elapsed() <= Duration::from_millis(SEALED_READS_MS_MAX);
        match (role, what) {
            (Role::Active, _) => true,
            (Role::Sealed, Use::Read) => sealed_at.is_some_and(is_recent),
            _ => false,
        }
    }

    /// Whether this copy takes commits.
    pub fn is_active(&self) -> bool {
        self.inner.standing.read().role == Role::Active
    }

    /// Sets epoch and role, after the batch that is under way. Goes on when its caller gives up.
    pub async fn set_role(&self, epoch: Epoch, role: Role) -> Result<(), CommitError> {
        let inner = self.inner.clone();
        self.write(move |store| {
            store.set_role(epoch, role, inner.clock.now())?;
            {
                let mut standing = inner.standing.write();
                let was_sealed = standing.role == Role::Sealed;
                let sealed_at = if was_sealed { standing.sealed_at } else { Some(Instant::now()) };
                *standing = Standing { epoch, role, sealed_at: sealed_at.filter(|_| role == Role::Sealed) };
            }
            inner.index.settle(role);
            inner.announce(store.head()?.modseq);
            Ok(())
        })
        .await
    }

    /// Applies a page of the copy that this one follows. Goes on when its caller gives up.
    pub async fn follow(&self, page: Page, blobs: Vec<CopiedBlob>) -> Result<Applied, FollowError> {
        let inner = self.inner.clone();
        self.write(move |store| {
            let applied = store.follow(&page, blobs, inner.clock.now())?;
            if applied.is_equal {
                inner.announce(applied.modseq);
            }
            Ok(applied)
        })
        .await
    }

    /// Does a commit; several at the same time share a flush.
    pub async fn commit(&self, commit: Commit) -> Answer {
        let stopped = || CommitError::Store(StoreError::Stopped("the store is closing".into()));
        let place = self.places.clone().acquire_owned().await.map_err(|_| stopped())?;
        let (answer, receiver) = oneshot::channel();
        let lead = {
            let mut queue = self.inner.queue.lock();
            queue.waiting.push_back(Waiting { commit, answer, _place: place });
            !std::mem::replace(&mut queue.has_leader, true)
        };
        if lead {
            let inner = self.inner.clone();
            tokio::task::spawn_blocking(move || inner.lead());
        }
        receiver.await.map_err(|_| stopped())?
    }

    /// Runs a closure with the store itself, after the batch that is under way.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T, E> + Send + 'static,
    {
        let inner = self.inner.clone();
        let work = move || {
            let mut store = inner.store.lock();
            let changed = change(store.as_mut());
            inner.writes.fetch_add(1, Ordering::Release);
            changed
        };
        let joined = tokio::task::spawn_blocking(work).await;
        joined.unwrap_or_else(|error| Err(StoreError::Io(format!("a store's thread ended: {error}")).into()))
    }

    /// Starts to take in a large blob. Nothing is written yet, so that it needs no thread of its own unless the store
    /// is at work.
    pub async fn stage_blob(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        let idle = self.inner.store.try_lock().map(|store| store.stage_blob());
        match idle {
            Some(begun) => begun,
            None => self.write(|store| store.stage_blob()).await,
        }
    }

    /// All containers; read only when something was written since they were read last.
    pub async fn containers(&self) -> Result<Vec<Container>, StoreError> {
        let at = (*self.inner.modseq.borrow(), self.inner.writes.load(Ordering::Acquire));
        if let Some(known) = &*self.inner.containers.lock()
            && known.at == at
        {
            return Ok(known.containers.clone());
        }
        let containers = self.read(|read| read.containers()).await?;
        let known = KnownContainers { at, containers: containers.clone() };
        *self.inner.containers.lock() = Some(known).filter(|_| containers.len() <= CONTAINERS_KEPT_MAX);
        Ok(containers)
    }

    /// Runs a closure with a reader; never waits for the writer once the reader exists.
    pub async fn read<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = self.reading.clone().acquire_owned().await;
        let inner = self.inner.clone();
        blocking(move || {
            let _permit = permit;
            let reader = inner.reader()?;
            inner.ask(reader, question)
        })
        .await
    }

    /// The same with the search index.
    pub async fn with_index<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read, &IndexSlot) -> Result<T, StoreError> + Send + 'static,
    {
        let inner = self.inner.clone();
        self.read(move |read| question(read, &inner.index)).await
    }

    /// The same on the threads of another runtime, which may give way to ours.
    pub async fn with_index_on<T, F>(&self, runtime: &Handle, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read, &IndexSlot) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = self.reading.clone().acquire_owned().await;
        let inner = self.inner.clone();
        // Here, as it may take the store's lock: a thread that gives way must not hold what commits wait for.
        let reader = blocking(move || inner.reader()).await?;
        let inner = self.inner.clone();
        blocking_on(runtime, move || {
            let _permit = permit;
            inner.ask(reader, |read| question(read, &inner.index))
        })
        .await
    }

    /// Waits until no commit is under way, nor anything else that writes.
    pub async fn drain(&self) {
        // Whoever holds all places is alone with what takes none: purges, and pages of other copies.
        let _alone = self.places.acquire_many(COMMITS_WAITING_MAX as u32).await;
        self.places.close();
        let inner = self.inner.clone();
        // It fails only when the runtime ends, and then nobody writes any more.
        let _ = tokio::task::spawn_blocking(move || drop(inner.store.lock())).await;
    }
}

/// What a store that failed must pass before it is used again: the engine's check of its files, and every invariant of
/// the rows. Contents are not read: that would keep a large account closed for minutes.
fn check_suspect(store: &dyn Store, reader: &dyn Read) -> Result<(), StoreError> {
    let in_files = store.check_files()?.into_iter().next();
    let finding = match in_files {
        Some(finding) => Some(finding),
        None => check(reader, Depth::default())?.into_iter().next().map(|finding| finding.to_string()),
    };
    finding.map_or(Ok(()), |finding| Err(StoreError::Corrupt(finding)))
}

impl Inner {
    /// A reader that was kept, or a new one. Blocking: a new one takes the store's lock.
    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        let kept = self.readers.lock().pop();
        kept.map_or_else(|| self.store.lock().reader(), Ok)
    }

    /// Asks a reader, and keeps it unless it failed. Blocking.
    fn ask<T>(
        &self,
        reader: Box<dyn Read>,
        question: impl FnOnce(&dyn Read) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let answer = question(reader.as_ref());
        if answer.is_ok() || matches!(answer, Err(StoreError::NoSuchBlob(_) | StoreError::NoSuchContainer(_))) {
            self.readers.lock().push(reader);
        }
        answer
    }

    /// Tells those that follow the account. The store does it, not the caller of a commit: that one may have given up.
    fn announce(&self, modseq: Modseq) {
        self.modseq.send_if_modified(|known| {
            let newer = modseq > *known;
            *known = modseq.max(*known);
            newer
        });
        self.index.mark();
    }

    /// Commits batch after batch until nobody waits. Blocking.
    fn lead(self: Arc<Self>) {
        loop {
            let batch = take_batch(&mut self.queue.lock().waiting);
            let (answers, result) = self.commit_batch(batch);
            let is_last = {
                let mut queue = self.queue.lock();
                queue.has_leader = !queue.waiting.is_empty();
                !queue.has_leader
            };
            if is_last {
                // Before the answers: whoever has one may count on nothing being under way any more.
                drop(self);
                return answer(answers, result);
            }
            answer(answers, result);
        }
    }

    /// Does a batch, and says to whom the results go.
    fn commit_batch(&self, batch: Vec<Waiting>) -> (Vec<Reply>, Result<Vec<Answer>, StoreError>) {
        let mut commits = Vec::with_capacity(batch.len());
        let mut replies = Vec::with_capacity(batch.len());
        for Waiting { commit, answer, _place } in batch {
            commits.push(commit);
            replies.push((answer, _place));
        }
        // A panic in an engine must not leave the account without a leader for ever: it stops the store, which is then
        // reopened and checked.
        let call = AssertUnwindSafe(|| self.store.lock().commit(&commits, self.clock.now()));
        let result = catch_unwind(call).unwrap_or_else(|_| Err(StoreError::Stopped("the engine panicked".into())));
        if let Ok(results) = &result
            && let Some(modseq) = results.iter().flatten().map(|committed| committed.modseq).max()
        {
            self.announce(modseq);
        }
        (replies, result)
    }
}

/// Answers a batch. Whoever gave up will ask again with the same operation id.
fn answer(replies: Vec<Reply>, result: Result<Vec<Answer>, StoreError>) {
    match result {
        Ok(results) => {
            for ((reply, _place), result) in replies.into_iter().zip(results) {
                let _ = reply.send(result);
            }
        }
        Err(error) => {
            for (reply, _place) in replies {
                let _ = reply.send(Err(CommitError::Store(error.clone())));
            }
        }
    }
}

/// The next commits that share a flush: at least one if any waits.
fn take_batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut bytes = 0;
    let mut count = 0;
    for next in waiting.iter().take(COMMITS_PER_BATCH_MAX) {
        bytes += next.commit.mutations.iter().map(inline_bytes).sum::<usize>();
        if count > 0 && bytes > BATCH_BYTES_MAX {
            break;
        }
        count += 1;
    }
    waiting.drain(..count).collect()
}

fn inline_bytes(mutation: &Mutation) -> usize {
    match mutation {
        Mutation::Append { item, .. } | Mutation::Put { item, .. } => match &item.content {
            Content::Inline(bytes) => bytes.len(),
            Content::Stored(_) => 0,
        },
        _ => 0,
    }
}
