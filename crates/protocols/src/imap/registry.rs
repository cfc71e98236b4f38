//! The open views of this process, and which messages are recent.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sterna_account::{Account, AccountError, ItemParts, UidSet};
use sterna_base::{AccountId, ContainerId, Modseq, Timestamp, Uid};

use super::view::{KeptPictures, View};

type Key = (AccountId, ContainerId);

/// Views by mailbox. A view goes with its last session, its picture stays for a while.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Mutex<Maps>>,
    kept: KeptPictures,
    /// When this process began to serve.
    began: Timestamp,
}

#[derive(Default)]
struct Maps {
    views: HashMap<Key, Weak<View>>,
    /// `\Recent` of RFC 3501: the first UID that no session of this process was told of. Not kept over a restart: a
    /// durable write with every SELECT is a high price for a flag that IMAP4rev2 did away with.
    recent: HashMap<Key, Uid>,
}

/// Mailboxes whose recent messages are remembered at once; about 40 bytes each.
const RECENT_MAX: usize = 1_000_000;

/// UIDs that are looked at first for those that came since the start, and after how many the rest is taken for older.
const RECENT_SPAN_MIN: u32 = 64;
const RECENT_SPAN_MAX: u32 = 2048;

/// Views looked through for dead ones when the map has doubled.
const SWEEP_MIN: usize = 256;

impl Registry {
    /// Of a process that begins to serve at this time.
    pub fn new(began: Timestamp) -> Self {
        Registry { shared: Arc::default(), kept: KeptPictures::default(), began }
    }

    /// The view of a mailbox, loaded if nobody has it open.
    pub async fn view(&self, account: &Arc<dyn Account>, id: ContainerId) -> Result<Arc<View>, AccountError> {
        let key = (account.id(), id);
        let known = self.shared.lock().views.get(&key).and_then(Weak::upgrade);
        if let Some(view) = known {
            view.refresh(Modseq::ZERO).await?;
            return Ok(view);
        }
        let view = Arc::new(View::load(account.clone(), id, &self.kept).await?);
        let mut maps = self.shared.lock();
        // Two sessions may have loaded it at the same time: the first one counts.
        if let Some(first) = maps.views.get(&key).and_then(Weak::upgrade) {
            return Ok(first);
        }
        if maps.views.len() >= SWEEP_MIN && maps.views.len() == maps.views.capacity() {
            maps.views.retain(|_, view| view.strong_count() > 0);
        }
        maps.views.insert(key, Arc::downgrade(&view));
        Ok(view)
    }

    /// The first recent UID of a mailbox whose next UID is this. With `claim` no later session sees these as recent.
    ///
    /// A mailbox that nobody asked about since this process began has those as recent that came since then. Who was
    /// told of older ones is not known any more; RFC 3501 section 2.3.2 would have them all recent, which would make a
    /// restart an event for every client.
    ///
    /// # Errors
    /// When the account can't be asked.
    pub async fn recent(
        &self,
        account: &dyn Account,
        id: ContainerId,
        uid_next: Uid,
        claim: bool,
    ) -> Result<Uid, AccountError> {
        let key = (account.id(), id);
        let known = self.shared.lock().recent.get(&key).copied();
        let found = match known {
            Some(first) => first,
            None => first_saved_since(account, id, uid_next, self.began).await?,
        };
        let mut maps = self.shared.lock();
        if maps.recent.len() >= RECENT_MAX {
            maps.recent.clear();
        }
        // Another session may have claimed them meanwhile.
        let first = *maps.recent.entry(key).or_insert(found);
        if claim {
            maps.recent.insert(key, first.max(uid_next));
        }
        Ok(first.min(uid_next))
    }

    /// The session that has this mailbox open was told of everything up to there.
    pub fn claim(&self, key: Key, uid_next: Uid) {
        let mut maps = self.shared.lock();
        let first = maps.recent.entry(key).or_insert(uid_next);
        *first = uid_next.max(*first);
    }
}

/// The first UID after the last message that was saved before this time; goes back from the newest one, so that it
/// costs what came since, not what is there.
async fn first_saved_since(
    account: &dyn Account,
    id: ContainerId,
    uid_next: Uid,
    time: Timestamp,
) -> Result<Uid, AccountError> {
    let (mut high, mut span) = (uid_next.0.saturating_sub(1), RECENT_SPAN_MIN);
    while high > 0 && uid_next.0 - high <= RECENT_SPAN_MAX {
        let low = high.saturating_sub(span).max(1);
        let uids = UidSet::range(Uid(low), Uid(high));
        let found = account.items(id, &uids, ItemParts::default(), (high - low + 1) as usize).await?;
        if let Some(old) = found.iter().rev().find(|item| item.saved_at < time) {
            return Ok(old.uid.next());
        }
        high = low - 1;
        span *= 2;
    }
    Ok(Uid(high + 1))
}
