//! INBOXes as log-ins saw them, shared by the sessions of this process and kept for the next log-ins: clients of POP3
//! log in every few minutes to find that nothing is new. The next one asks what changed since, and reads no more than
//! that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sterna_account::{
    Account, AccountError, Change, Container, ContainerKind, Cursor, Head, Item, ItemParts, StoreError, SystemFlag,
    UidSet,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, ContainerId, Epoch, Modseq, Uid, UidValidity};
use sterna_formats::mail::Summary;

use super::limits::{CHANGES_MAX, KEPT_ROWS_MAX};
use crate::message;
use sterna_account::kept::Kept;

/// The parts of the items that a picture is made of.
const PARTS: ItemParts = ItemParts { summary: false, body: false, summary_start: true };

/// What a picture without messages counts as against [`KEPT_ROWS_MAX`].
const EMPTY_ROWS: usize = 16;

/// One message. What is not here (its content's name) is read when it is sent: so a message takes 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its UID in the INBOX.
    pub uid: Uid,
    /// Whether it has `\Seen`.
    pub seen: bool,
    /// Bytes as they are sent, without byte-stuffing (RFC 1939 section 11).
    pub octets: u64,
}

/// An INBOX at one time.
#[derive(Debug)]
pub struct Picture {
    pub inbox: ContainerId,
    pub uid_validity: UidValidity,
    /// Rising by UID.
    pub rows: Vec<Row>,
    /// Of all rows.
    pub octets: u64,
    /// Another epoch may have another history: a standby copy took over that lacks what was here.
    epoch: Epoch,
    /// Everything up to this modseq of the account is in it; some of what is newer may be.
    synced: AtomicU64,
}

/// Those that are kept.
pub struct Pictures(Mutex<Kept<AccountId, Arc<Picture>>>);

impl Default for Pictures {
    fn default() -> Self {
        Pictures(Mutex::new(Kept::new(KEPT_ROWS_MAX)))
    }
}

impl Pictures {
    /// The INBOX of an account as it is now.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn now(&self, account: &dyn Account) -> Result<Arc<Picture>, AccountError> {
        // The modseq first: what is committed while rows are read is applied once more by the next log-in.
        let head = account.head().await?;
        let inbox = inbox(account).await?;
        let kept = self.0.lock().get(&account.id()).cloned();
        let kept = kept.filter(|kept| kept.epoch == head.epoch && kept.inbox == inbox.id);
        let picture = match kept {
            Some(kept) if inbox.highest_modseq <= kept.synced() => {
                // What changed elsewhere in the account is not to be asked for again.
                kept.synced.fetch_max(head.modseq.0, Ordering::Relaxed);
                return Ok(kept);
            }
            Some(kept) => match kept.moved_on(account).await? {
                Some(picture) => picture,
                None => Picture::read(account, &inbox, &head).await?,
            },
            None => Picture::read(account, &inbox, &head).await?,
        };
        let picture = Arc::new(picture);
        self.0.lock().keep(account.id(), picture.clone(), picture.rows.len() + EMPTY_ROWS);
        Ok(picture)
    }
}

impl Picture {
    /// Costs in proportion to the messages, and reads of each no more than its row.
    async fn read(account: &dyn Account, inbox: &Container, head: &Head) -> Result<Self, AccountError> {
        let last = Uid(inbox.uid_next.0.saturating_sub(1));
        let rows = rows(account, inbox.id, UidSet::range(Uid(1), last)).await?;
        Ok(Picture::of(inbox.id, inbox.uid_validity, rows, head.epoch, head.modseq))
    }

    fn of(inbox: ContainerId, uid_validity: UidValidity, rows: Vec<Row>, epoch: Epoch, synced: Modseq) -> Self {
        let octets = rows.iter().map(|row| row.octets).sum();
        Picture { inbox, uid_validity, rows, octets, epoch, synced: AtomicU64::new(synced.0) }
    }

    fn synced(&self) -> Modseq {
        Modseq(self.synced.load(Ordering::Relaxed))
    }

    /// The next picture; `None` when so much has changed in the account that reading it anew costs less.
    async fn moved_on(&self, account: &dyn Account) -> Result<Option<Self>, AccountError> {
        let mut touched: BTreeMap<Uid, Option<bool>> = BTreeMap::new();
        let (mut cursor, mut changes) = (Cursor::since(self.synced()), 0);
        let synced = loop {
            let page = account.changes(cursor, PAGE_ITEMS_MAX).await?;
            changes += page.rows.len();
            for change in page.rows {
                match change {
                    Change::Item(item) if item.container == self.inbox => {
                        touched.insert(item.uid, Some(item.flags.has(SystemFlag::Seen)));
                    }
                    Change::Expunged(gone) if gone.container == self.inbox => {
                        touched.insert(gone.uid, None);
                    }
                    _ => {}
                }
            }
            match page.next {
                None => break page.head,
                Some(_) if changes >= CHANGES_MAX => return Ok(None),
                Some(next) => cursor = next,
            }
        };
        let mut next: Vec<Row> = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            match touched.remove(&row.uid) {
                None => next.push(*row),
                Some(Some(seen)) => next.push(Row { seen, ..*row }),
                Some(None) => {}
            }
        }
        let new: UidSet = touched.into_iter().filter_map(|(uid, seen)| seen.map(|_| uid)).collect();
        next.extend(rows(account, self.inbox, new).await?);
        next.sort_unstable_by_key(|row| row.uid);
        Ok(Some(Picture::of(self.inbox, self.uid_validity, next, self.epoch, synced)))
    }
}

async fn inbox(account: &dyn Account) -> Result<Container, AccountError> {
    let path = ["INBOX".to_owned()];
    let inbox = account.containers_on_path(ContainerKind::Mail, &path).await?.pop();
    inbox.ok_or_else(|| AccountError::Store(StoreError::Corrupt("the account has no INBOX".to_owned())))
}

/// The messages among these UIDs.
async fn rows(account: &dyn Account, inbox: ContainerId, uids: UidSet) -> Result<Vec<Row>, AccountError> {
    let mut rows = Vec::new();
    let mut left = uids;
    while !left.is_empty() {
        let page = account.items(inbox, &left, PARTS, PAGE_ITEMS_MAX).await?;
        let complete = page.len() < PAGE_ITEMS_MAX;
        for item in page {
            let (octets, seen) = (octets(account, &item).await?, item.flags.has(SystemFlag::Seen));
            rows.push(Row { uid: item.uid, seen, octets });
        }
        let Some(last) = rows.last().map(|row| row.uid).filter(|_| !complete) else { break };
        let after = left.ranges().iter().filter(|(_, high)| *high > last);
        left = UidSet::from_ranges(after.map(|(low, high)| ((*low).max(last.next()), *high)).collect());
    }
    Ok(rows)
}

/// Of a message whose summary can't be used the bytes are counted: there is no other way to know of its line ends.
async fn octets(account: &dyn Account, item: &Item) -> Result<u64, AccountError> {
    match item.summary.as_deref().map(Summary::decode_sizes) {
        Some(Ok(sizes)) => Ok(sizes.crlf_size),
        _ => Ok(message::scan(account, item).await?.crlf_size),
    }
}
