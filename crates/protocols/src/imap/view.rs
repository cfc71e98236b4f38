//! One view of an open mailbox, shared by the sessions of this process, moved on by "changes since", never rebuilt.
//! When its last session leaves, its picture is kept for the next one: clients come and go, and open the same
//! mailboxes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use sterna_account::{Account, AccountError, Change, Container, Cursor, ItemFlags, StoreError};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, ContainerId, Epoch, Modseq, Uid};
use tokio::sync::watch;

use super::limits::{KEPT_COMMITS_MAX, KEPT_ENTRIES_MAX};
use super::picture::Picture;
use sterna_account::kept::Kept;

/// Spans of a large mailbox that are read at the same time; an account has as many readers.
const SPANS_MAX: usize = 4;

/// What a picture without messages counts as against [`KEPT_ENTRIES_MAX`].
const EMPTY_ENTRIES: usize = 16;

/// The pictures of mailboxes that nobody has open.
#[derive(Clone)]
pub struct KeptPictures(Arc<Mutex<Kept<(AccountId, ContainerId), (Epoch, Picture)>>>);

impl Default for KeptPictures {
    fn default() -> Self {
        KeptPictures(Arc::new(Mutex::new(Kept::new(KEPT_ENTRIES_MAX))))
    }
}

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
    /// When it was loaded. Another epoch may have another history: a standby copy took over that lacks what was here.
    epoch: Epoch,
    kept: KeptPictures,
}

impl View {
    /// Moves the kept picture of a mailbox on, or reads its narrow rows.
    pub async fn load(account: Arc<dyn Account>, id: ContainerId, kept: &KeptPictures) -> Result<Self, AccountError> {
        let news = account.watch();
        // The modseq first: what is committed while the pages are read is applied again by the next refresh.
        let head = account.head().await?;
        let left = kept.0.lock().take(&(account.id(), id));
        let is_of_use = |(epoch, picture): &(Epoch, Picture)| {
            *epoch == head.epoch && head.modseq.0 <= picture.synced.0.saturating_add(KEPT_COMMITS_MAX)
        };
        let picture = match left.filter(is_of_use) {
            Some((_, picture)) => picture,
            None => {
                let container = account.container(id).await?;
                let container = container.ok_or(AccountError::Store(StoreError::NoSuchContainer(id)))?;
                let rows = rows(&account, &container).await?;
                Picture::new(head.modseq, container, rows)
            }
        };
        let view = View {
            account,
            news,
            picture: RwLock::new(picture),
            refreshing: tokio::sync::Mutex::default(),
            told: Mutex::default(),
            next_session: AtomicU64::new(0),
            epoch: head.epoch,
            kept: kept.clone(),
        };
        view.refresh(head.modseq).await?;
        Ok(view)
    }

    /// The mailbox as it was at the last refresh. Held for moments, never across a wait.
    pub fn picture(&self) -> RwLockReadGuard<'_, Picture> {
        self.picture.read()
    }

    /// Asks what changed since the last time; cheap when nothing did. `known` is a modseq that the account is known to
    /// have reached, from a commit or otherwise.
    pub async fn refresh(&self, known: Modseq) -> Result<(), AccountError> {
        let newest = known.max(*self.news.borrow());
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

impl Drop for View {
    fn drop(&mut self) {
        let picture = self.picture.get_mut().take();
        if !picture.deleted {
            let (key, weight) = ((self.account.id(), picture.container.id), picture.weight() + EMPTY_ENTRIES);
            self.kept.0.lock().keep(key, (self.epoch, picture), weight);
        }
    }
}

/// The narrow rows of a mailbox. The pages of a cold one lie all over the disk: a large mailbox is read in spans of
/// UIDs at the same time, so that the disk, the processors and the way to another node don't wait for one another.
async fn rows(account: &Arc<dyn Account>, container: &Container) -> Result<Vec<ItemFlags>, AccountError> {
    let count = container.counts.items as usize;
    let spans = (count / PAGE_ITEMS_MAX + 1).min(SPANS_MAX) as u32;
    // What was delivered since the container was read belongs to the next refresh.
    let last = container.uid_next.0.saturating_sub(1);
    let bound = |span: u32| Uid((u64::from(last) * u64::from(span) / u64::from(spans)) as u32);
    let mut reading = tokio::task::JoinSet::new();
    for span in 0..spans {
        let (account, id, after, end) = (account.clone(), container.id, bound(span), bound(span + 1));
        reading.spawn(async move { Ok::<_, AccountError>((span, span_rows(account.as_ref(), id, after, end).await?)) });
    }
    let mut read: Vec<Vec<ItemFlags>> = Vec::new();
    read.resize_with(spans as usize, Vec::new);
    while let Some(joined) = reading.join_next().await {
        let ended = |error| AccountError::Store(StoreError::Io(format!("a mailbox could not be read: {error}")));
        let (span, rows) = joined.map_err(ended)??;
        read[span as usize] = rows;
    }
    let mut all = Vec::with_capacity(count);
    all.extend(read.into_iter().flatten());
    Ok(all)
}

/// The rows with UIDs after `after` and up to `end`, page by page.
async fn span_rows(
    account: &dyn Account,
    id: ContainerId,
    mut after: Uid,
    end: Uid,
) -> Result<Vec<ItemFlags>, AccountError> {
    let mut rows = Vec::new();
    while after < end {
        // No more rows than UIDs: the last page doesn't read what the next span reads.
        let limit = PAGE_ITEMS_MAX.min((end.0 - after.0) as usize);
        let mut page = account.item_flags(id, after, limit).await?;
        let complete = page.len() < limit;
        after = page.last().map_or(end, |row| row.uid);
        page.retain(|row| row.uid <= end);
        rows.append(&mut page);
        if complete {
            break;
        }
    }
    Ok(rows)
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
