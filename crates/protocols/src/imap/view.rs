//! One view of an open mailbox, shared by the sessions of this process, moved on by "changes since", never rebuilt.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use sterna_account::{Account, AccountError, Change, Cursor, StoreError};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{ContainerId, Modseq, Uid};

use tokio::sync::watch;

use super::picture::Picture;

/// A shared view.
pub struct View {
    account: Arc<dyn Account>,
    /// Held as long as the view lives: news come to those who listen.
    news: watch::Receiver<Modseq>,
    picture: RwLock<Picture>,
    /// One session at a time asks what changed; the others find it done.
    refreshing: tokio::sync::Mutex<()>,
    /// Up to which modseq each session knows of expunges.
    told: Mutex<HashMap<u64, Modseq>>,
    next_session: AtomicU64,
}

impl View {
    /// Reads the narrow rows of a mailbox.
    pub async fn load(account: Arc<dyn Account>, id: ContainerId) -> Result<Self, AccountError> {
        let news = account.watch();
        // The modseq first: what is committed while the pages are read is applied again by the next refresh.
        let synced = account.head().await?.modseq;
        let container = account.container(id).await?.ok_or(AccountError::Store(StoreError::NoSuchContainer(id)))?;
        let mut rows = Vec::with_capacity(container.counts.items as usize);
        let mut after = Uid(0);
        loop {
            let page = account.item_flags(id, after, PAGE_ITEMS_MAX).await?;
            let complete = page.len() < PAGE_ITEMS_MAX;
            after = page.last().map_or(after, |row| row.uid);
            rows.extend(page);
            if complete {
                break;
            }
        }
        Ok(View {
            account,
            news,
            picture: RwLock::new(Picture::new(synced, container, rows)),
            refreshing: tokio::sync::Mutex::default(),
            told: Mutex::default(),
            next_session: AtomicU64::new(0),
        })
    }

    /// The mailbox as it was at the last refresh. Held for moments, never across a wait.
    pub fn picture(&self) -> RwLockReadGuard<'_, Picture> {
        self.picture.read()
    }

    /// Asks what changed since the last time; cheap when nothing did.
    pub async fn refresh(&self) -> Result<(), AccountError> {
        let newest = *self.news.borrow();
        if newest <= self.picture.read().synced {
            return Ok(());
        }
        let _one = self.refreshing.lock().await;
        let synced = self.picture.read().synced;
        if newest <= synced {
            return Ok(());
        }
        let id = self.picture.read().container.id;
        let mut cursor = Cursor::since(synced);
        let mut changes = Vec::new();
        // All pages are taken in at once. A session that saw half of them would count messages or tell of expunges that
        // are newer than `synced`, and would tell of them again.
        let head = loop {
            let page = self.account.changes(cursor, PAGE_ITEMS_MAX).await?;
            changes.extend(page.rows.into_iter().filter(|change| is_of(change, id)));
            match page.next {
                Some(next) => cursor = next,
                None => break page.head,
            }
        };
        let mut picture = self.picture.write();
        changes.iter().for_each(|change| picture.apply(change));
        picture.synced = picture.synced.max(head);
        let told = self.told.lock().values().min().copied();
        let synced = picture.synced;
        picture.compact(told.unwrap_or(synced));
        Ok(())
    }

    /// A new session that knows of expunges up to there.
    pub fn enter(&self, told: Modseq) -> u64 {
        let session = self.next_session.fetch_add(1, Ordering::Relaxed);
        self.told.lock().insert(session, told);
        session
    }

    /// A session was told of expunges up to there.
    pub fn told(&self, session: u64, modseq: Modseq) {
        self.told.lock().insert(session, modseq);
    }

    /// A session left.
    pub fn leave(&self, session: u64) {
        self.told.lock().remove(&session);
    }
}

/// Whether a row belongs to this mailbox.
fn is_of(change: &Change, mailbox: ContainerId) -> bool {
    match change {
        Change::Container(container) => container.id == mailbox,
        Change::ContainerDeleted { id, .. } => *id == mailbox,
        Change::Item(item) => item.container == mailbox,
        Change::Expunged(expunged) => expunged.container == mailbox,
    }
}
