//! The search index beside an open store: one connection that writes, and some that are asked.

use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::AccountId;

use super::feeding::FeedQueue;
use crate::search::feed::{feed, is_of};
use crate::search::{DocumentReader, Fed, SearchIndex};
use crate::{Engine, Read, Role, StoreError};

/// Most connections that are kept to be asked.
const KEPT_MAX: usize = 2;

/// See the module.
pub struct IndexSlot {
    engine: Arc<dyn Engine>,
    account: AccountId,
    queue: Arc<FeedQueue>,
    writer: Mutex<Option<Box<dyn SearchIndex>>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// How often the index was deleted: a connection to an older one is not kept.
    deleted: u64,
    connections: Vec<Box<dyn SearchIndex>>,
    /// Whether a search had trouble with it: it is deleted before it is fed again.
    is_suspect: bool,
}

impl IndexSlot {
    /// Beside the store of this account.
    pub fn new(engine: Arc<dyn Engine>, account: AccountId, queue: Arc<FeedQueue>) -> Self {
        IndexSlot { engine, account, queue, writer: Mutex::default(), kept: Mutex::default() }
    }

    /// There may be something to be fed.
    pub fn mark(&self) {
        self.queue.mark(self.account);
    }

    /// A copy that follows another one has no index: what it takes may be of any age, and nobody searches in it. It is
    /// made when the copy serves. Blocking.
    pub fn settle(&self, role: Role) {
        if matches!(role, Role::Follower | Role::Ready)
            && let Err(error) = self.delete()
        {
            // It is looked at again before it is used: one of another history is not.
            tracing::warn!(account = %self.account, %error, "the search index of a copy could not be deleted");
        }
    }

    /// Asks the index something; without one when there is none that can be used. Blocking.
    pub fn ask<T>(
        &self,
        question: impl FnOnce(Option<&dyn SearchIndex>, &mut dyn FnMut(StoreError)) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut trouble = None;
        let (deleted, mut index) = {
            let mut kept = self.kept.lock();
            (kept.deleted, if kept.is_suspect { None } else { kept.connections.pop() })
        };
        if index.is_none() && !self.kept.lock().is_suspect {
            index = self.engine.search_index(self.account).unwrap_or_else(|error| {
                trouble = Some(error);
                None
            });
        }
        let answer = question(index.as_deref(), &mut |error| trouble = Some(error));
        if let Some(error) = trouble {
            if matches!(error, StoreError::DiskFull(_)) {
                // There is nothing wrong with it.
                return answer;
            }
            tracing::warn!(account = %self.account, %error, "the search index can't be used; it is made again");
            self.kept.lock().is_suspect = true;
            self.mark();
            return answer;
        }
        let mut kept = self.kept.lock();
        if kept.deleted == deleted && kept.connections.len() < KEPT_MAX {
            kept.connections.extend(index);
        }
        answer
    }

    /// Takes a batch of changes into the index; `None` when this engine has none. An index that can't be used is
    /// deleted, and is begun anew with the next batch. Blocking.
    pub fn feed(&self, read: &dyn Read, reader: Option<&dyn DocumentReader>) -> Result<Option<Fed>, StoreError> {
        let mut writer = self.writer.lock();
        if self.kept.lock().is_suspect {
            self.delete_locked(&mut writer)?;
        }
        let fed = self.feed_locked(&mut writer, read, reader);
        if let Err(StoreError::Corrupt(_) | StoreError::NewerFormat { .. }) = &fed {
            self.delete_locked(&mut writer)?;
        }
        fed
    }

    fn feed_locked(
        &self,
        writer: &mut Option<Box<dyn SearchIndex>>,
        read: &dyn Read,
        reader: Option<&dyn DocumentReader>,
    ) -> Result<Option<Fed>, StoreError> {
        if writer.is_none() {
            *writer = self.engine.search_index(self.account)?;
        }
        let Some(index) = writer else { return Ok(None) };
        if let Some(progress) = index.progress()?
            && !is_of(&progress, &read.head()?)
        {
            return Err(StoreError::Corrupt("the index is one of another history of the account".into()));
        }
        let fed = feed(read, index.as_mut(), reader)?;
        if !fed.has_more {
            // It is not needed for a while.
            *writer = None;
        }
        Ok(Some(fed))
    }

    /// Deletes the index. Blocking.
    pub fn delete(&self) -> Result<(), StoreError> {
        self.delete_locked(&mut self.writer.lock())
    }

    fn delete_locked(&self, writer: &mut Option<Box<dyn SearchIndex>>) -> Result<(), StoreError> {
        *writer = None;
        let mut kept = self.kept.lock();
        kept.connections.clear();
        self.engine.delete_search_index(self.account)?;
        kept.deleted += 1;
        kept.is_suspect = false;
        Ok(())
    }
}
