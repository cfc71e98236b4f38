//! Feeding the search indexes of this node, in the background: one account after the other, a batch each, so that a
//! large one doesn't keep the others waiting. No commit waits for it.

use std::time::Duration;

use sterna_base::{AccountId, Modseq};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::due::DueQueue;
use super::{LocalAccount, LocalAccounts};
use crate::search::{Fed, IndexProgress, IndexStatus};
use crate::{AccountError, StoreError};

/// How long after a change an account is fed: what comes meanwhile is one batch. A search reads what is not fed.
const FEED_DELAY: Duration = Duration::from_millis(1000);

/// How long an account waits whose index could not be fed.
const FEED_AGAIN: Duration = Duration::from_secs(60);

/// The pause after a batch, in times that the batch took, while users or copies are there: the disk and the processors
/// are theirs first, and their searches read what is not fed.
const PAUSE_BESIDE_OTHERS: u32 = 3;

/// The same while nobody is there, as a part of the time that the batch took.
const PAUSE_ALONE_DIVISOR: u32 = 4;

/// Accounts that are to be fed, each once, by when.
#[derive(Default)]
pub struct FeedQueue(DueQueue);

impl FeedQueue {
    /// There may be something to be fed, after a while.
    pub fn mark(&self, account: AccountId) {
        self.0.put(account, Instant::now() + FEED_DELAY);
    }
}

/// How far an account's index is, for administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchStatus {
    /// The account's modseq.
    pub modseq: Modseq,
    /// How far the index is; `None` for one that was not begun.
    pub progress: Option<IndexProgress>,
    /// What it has.
    pub index: IndexStatus,
}

impl LocalAccounts {
    /// Feeds the indexes of this node's accounts for as long as it is polled, one at a time: the processors are for
    /// those who wait. The work is done on the threads of that runtime, which should give way to all others.
    pub async fn feed_indexes(&self, runtime: &Handle) {
        let queue = self.shared.feeds.clone();
        loop {
            let account = queue.0.next().await;
            let (begun, waits) = (Instant::now(), self.shared.latency.noted());
            let fed = match self.get(account).await {
                Ok(handle) => handle.feed_index(runtime).await,
                Err(error) => Err(error),
            };
            match fed {
                Ok(Some(Fed { has_more, .. })) => {
                    // Also when this account is done: many that get a message each are as much work as one.
                    let (took, is_alone) = (begun.elapsed(), self.shared.latency.noted() == waits);
                    sleep(if is_alone { took / PAUSE_ALONE_DIVISOR } else { took * PAUSE_BESIDE_OTHERS }).await;
                    if has_more {
                        queue.0.put(account, Instant::now());
                    }
                }
                Ok(None) | Err(AccountError::NoSuchAccount(_)) => {}
                // Whoever writes mail says so; the index waits for room quietly.
                Err(AccountError::Store(StoreError::DiskFull(_))) => {
                    queue.0.put(account, Instant::now() + FEED_AGAIN);
                }
                Err(error) => {
                    tracing::warn!(%account, %error, "the search index was not fed; searches read meanwhile");
                    queue.0.put(account, Instant::now() + FEED_AGAIN);
                }
            }
        }
    }
}

impl LocalAccount {
    /// Takes a batch of changes into the account's search index; `None` when there is nothing to feed: the engine has
    /// no index, or this copy serves nobody. It is done on a thread of that runtime.
    ///
    /// # Errors
    /// When the store can't be read, or the index can't be written.
    pub async fn feed_index(&self, runtime: &Handle) -> Result<Option<Fed>, AccountError> {
        let store = self.store().await?;
        if !store.is_active() {
            return Ok(None);
        }
        let reader = self.shared()?.document_reader.get().cloned();
        Ok(store.with_index_on(runtime, move |read, index| index.feed(read, reader.as_deref())).await?)
    }

    /// Deletes the account's search index, and sees to it that it is made again.
    ///
    /// # Errors
    /// When it can't be deleted.
    pub async fn rebuild_index(&self) -> Result<(), AccountError> {
        let store = self.store().await?;
        store
            .with_index(|_, index| {
                index.delete()?;
                index.mark();
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// How far the account's index is; `None` when the engine has none.
    ///
    /// # Errors
    /// When the store or the index can't be read.
    pub async fn index_status(&self) -> Result<Option<SearchStatus>, AccountError> {
        let store = self.store().await?;
        let status = store.with_index(|read, index| {
            let modseq = read.head()?.modseq;
            index.ask(|index, _| {
                let Some(index) = index else { return Ok(None) };
                Ok(Some(SearchStatus { modseq, progress: index.progress()?, index: index.status()? }))
            })
        });
        Ok(status.await?)
    }
}
