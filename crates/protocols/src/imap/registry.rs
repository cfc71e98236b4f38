//! The open views of this process, and which messages are recent.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sterna_account::{Account, AccountError};
use sterna_base::{AccountId, ContainerId, Modseq, Uid};

use super::view::View;

type Key = (AccountId, ContainerId);

/// Views by mailbox. A view goes with its last session.
#[derive(Clone, Default)]
pub struct Registry {
    shared: Arc<Mutex<Maps>>,
}

#[derive(Default)]
struct Maps {
    views: HashMap<Key, Weak<View>>,
    /// `\Recent` of RFC 3501: the first UID that no session of this process was told of. Not kept over a restart, which
    /// the RFC allows and IMAP4rev2 did away with.
    recent: HashMap<Key, Uid>,
}

/// Mailboxes whose recent messages are remembered at once; about 40 bytes each.
const RECENT_MAX: usize = 1_000_000;

/// Views looked through for dead ones when the map has doubled.
const SWEEP_MIN: usize = 256;

impl Registry {
    /// The view of a mailbox, loaded if nobody has it open.
    pub async fn view(&self, account: &Arc<dyn Account>, id: ContainerId) -> Result<Arc<View>, AccountError> {
        let key = (account.id(), id);
        let known = self.shared.lock().views.get(&key).and_then(Weak::upgrade);
        if let Some(view) = known {
            view.refresh(Modseq::ZERO).await?;
            return Ok(view);
        }
        let view = Arc::new(View::load(account.clone(), id).await?);
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

    /// The first recent UID of a mailbox whose next UID is this; with `claim` no later session sees these as recent.
    pub fn recent(&self, key: Key, uid_next: Uid, claim: bool) -> Uid {
        let mut maps = self.shared.lock();
        if maps.recent.len() >= RECENT_MAX {
            // As after a restart: what came before is not recent.
            maps.recent.clear();
        }
        let first = maps.recent.get(&key).copied().unwrap_or(uid_next);
        if claim {
            maps.recent.insert(key, uid_next);
        } else {
            maps.recent.entry(key).or_insert(uid_next);
        }
        first.min(uid_next)
    }
}
