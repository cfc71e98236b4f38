//! One open store: its writer with group commit, and its readers.
//!
//! Commits that arrive while a flush is under way wait in a queue and share the next flush. The first that finds no
//! leader starts one on a blocking thread; the leader takes all that wait, commits them as one batch, answers them, and
//! goes on until the queue is empty. A caller that gives up changes nothing: its commit is done all the same, and its
//! operation id will answer it when it asks again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use sterna_base::{AccountId, Clock, Epoch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::blocking;
use crate::{Commit, CommitError, Committed, Content, Engine, Head, Mutation, Read, Store, StoreError};

/// Most commits that wait for one account; later ones wait for a place, they don't fail.
pub const COMMITS_WAITING_MAX: usize = 1024;

/// Most commits that share a flush.
pub const COMMITS_PER_BATCH_MAX: usize = 256;

/// Most bytes of inline contents in one batch, so that one transaction stays small.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most readers of one account at the same time.
pub const READERS_MAX: usize = 4;

type Answer = Result<Committed, CommitError>;

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
    clock: Arc<dyn Clock>,
    epoch: RwLock<Epoch>,
}

/// An open store.
pub struct OpenStore {
    inner: Arc<Inner>,
    places: Arc<Semaphore>,
    reading: Arc<Semaphore>,
}

impl OpenStore {
    /// Opens an account's store; one that failed before is checked before it is used again.
    pub async fn open(
        engine: Arc<dyn Engine>,
        account: AccountId,
        clock: Arc<dyn Clock>,
        suspect: bool,
    ) -> Result<(Self, Head), StoreError> {
        let (store, reader, head) = blocking(move || {
            let store = engine.open(account)?;
            if suspect && let Some(finding) = store.check_files()?.into_iter().next() {
                return Err(StoreError::Corrupt(finding));
            }
            let reader = store.reader()?;
            let head = reader.head()?;
            Ok((store, reader, head))
        })
        .await?;
        let inner = Inner {
            store: Mutex::new(store),
            queue: Mutex::default(),
            readers: Mutex::new(vec![reader]),
            clock,
            epoch: RwLock::new(head.epoch),
        };
        let (places, reading) = (Semaphore::new(COMMITS_WAITING_MAX), Semaphore::new(READERS_MAX));
        let store = OpenStore { inner: Arc::new(inner), places: Arc::new(places), reading: Arc::new(reading) };
        Ok((store, head))
    }

    /// The epoch under which the store takes commits.
    pub fn epoch(&self) -> Epoch {
        *self.inner.epoch.read()
    }

    /// Reads the epoch again after it was set.
    pub async fn refresh_epoch(&self) -> Result<(), StoreError> {
        let head = self.read(|read| read.head()).await?;
        *self.inner.epoch.write() = head.epoch;
        Ok(())
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
        let joined = tokio::task::spawn_blocking(move || change(inner.store.lock().as_mut())).await;
        joined.unwrap_or_else(|error| Err(StoreError::Io(format!("a store's thread ended: {error}")).into()))
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
            let kept = inner.readers.lock().pop();
            let reader = match kept {
                Some(reader) => reader,
                None => inner.store.lock().reader()?,
            };
            let answer = question(reader.as_ref());
            if answer.is_ok() || matches!(answer, Err(StoreError::NoSuchBlob(_) | StoreError::NoSuchContainer(_))) {
                inner.readers.lock().push(reader);
            }
            answer
        })
        .await
    }

    /// Waits until no commit is under way.
    pub async fn drain(&self) {
        // Whoever holds all places is alone.
        let _alone = self.places.acquire_many(COMMITS_WAITING_MAX as u32).await;
        self.places.close();
    }
}

impl Inner {
    /// Commits batch after batch until nobody waits. Blocking.
    fn lead(&self) {
        loop {
            let batch = {
                let mut queue = self.queue.lock();
                let batch = take_batch(&mut queue.waiting);
                queue.has_leader = !batch.is_empty();
                batch
            };
            if batch.is_empty() {
                return;
            }
            self.commit_batch(batch);
        }
    }

    fn commit_batch(&self, batch: Vec<Waiting>) {
        let mut commits = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for Waiting { commit, answer, _place } in batch {
            commits.push(commit);
            answers.push((answer, _place));
        }
        // A panic in an engine must not leave the account without a leader for ever: it stops the store, which is then
        // reopened and checked.
        let call = AssertUnwindSafe(|| self.store.lock().commit(&commits, self.clock.now()));
        let result = catch_unwind(call).unwrap_or_else(|_| Err(StoreError::Stopped("the engine panicked".into())));
        match result {
            Ok(results) => {
                for ((answer, _place), result) in answers.into_iter().zip(results) {
                    let _ = answer.send(result); // whoever gave up will ask again with the same operation id
                }
            }
            Err(error) => {
                for (answer, _place) in answers {
                    let _ = answer.send(Err(CommitError::Store(error.clone())));
                }
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
