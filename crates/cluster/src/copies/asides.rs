//! Stores of this node that were set aside, because they had commits that the account lacks: what is noted of them, and
//! how many there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sterna_account::aside::Lost;
use sterna_account::fork::Fork;
use sterna_account::local::LocalAccounts;
use sterna_account::{AsideName, StoreError};
use sterna_base::{AccountId, Epoch, Modseq, NodeId, Timestamp};

/// What is noted of a store that is set aside. Fields are only added, with a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AsideNote {
    /// Where the account went on without it.
    pub fork: Fork,
    /// Up to where it has a history of its own.
    pub modseq: Modseq,
    /// Commits that it has since then.
    pub commits: u64,
    /// Who has the account since.
    pub account_on: NodeId,
    /// What it has and the account lacks; `None` until the new copy beside it is equal.
    #[serde(default)]
    pub lost: Option<Lost>,
}

/// One store that is set aside, as others are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aside {
    /// Whose.
    pub account: AccountId,
    /// Since when.
    pub at: Timestamp,
    /// The epoch under which the account went on elsewhere.
    pub epoch: Epoch,
    /// Commits that it has and the account lacks.
    pub commits: u64,
    /// What these are; `None` while that is not counted yet.
    #[serde(default)]
    pub lost: Option<Lost>,
}

impl Aside {
    fn new(name: AsideName, note: &AsideNote) -> Self {
        let AsideNote { fork, commits, lost, .. } = *note;
        Aside { account: name.account, at: name.at, epoch: fork.epoch, commits, lost }
    }
}

/// The stores that are set aside on this node.
pub struct Asides {
    local: Arc<LocalAccounts>,
    /// Those whose loss is not counted yet.
    uncounted: Mutex<BTreeMap<AsideName, AsideNote>>,
}

impl Asides {
    /// Of these accounts.
    pub fn new(local: Arc<LocalAccounts>) -> Arc<Self> {
        Arc::new(Asides { local, uncounted: Mutex::default() })
    }

    /// Looks for those that were not counted before the node was started.
    ///
    /// # Errors
    /// When they can't be listed.
    pub async fn load(&self) -> Result<(), StoreError> {
        let found = self.notes().await?;
        let uncounted = found.into_iter().filter(|(_, note)| note.lost.is_none());
        self.uncounted.lock().extend(uncounted);
        Ok(())
    }

    async fn notes(&self) -> Result<Vec<(AsideName, AsideNote)>, StoreError> {
        let found = self.local.asides().await?;
        Ok(found.into_iter().filter_map(|(name, note)| Some((name, serde_json::from_slice(&note).ok()?))).collect())
    }

    /// All that there are, oldest first.
    ///
    /// # Errors
    /// When they can't be listed.
    pub async fn list(&self) -> Result<Vec<Aside>, StoreError> {
        Ok(self.notes().await?.iter().map(|(name, note)| Aside::new(*name, note)).collect())
    }

    /// Sets an account's store aside.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn set(&self, account: AccountId, note: AsideNote) -> Result<(), StoreError> {
        let commits = note.commits;
        let name = self.local.set_aside(account, pack(&note)?).await?;
        tracing::error!(
            %account, epoch = %note.fork.epoch, commits, at = name.at.0,
            "this server's copy of an account has commits that were acknowledged before its failover and that the \
             account lacks; it is kept aside, and a new copy is made (sterna aside list)"
        );
        self.uncounted.lock().insert(name, note);
        Ok(())
    }

    /// Counts what those of an account have that its copy here, which is equal now, lacks.
    ///
    /// # Errors
    /// When it can't be counted or written down.
    pub async fn count(&self, account: AccountId) -> Result<(), StoreError> {
        let due: Vec<_> = {
            let uncounted = self.uncounted.lock();
            uncounted.iter().filter(|(name, _)| name.account == account).map(|(n, note)| (*n, note.clone())).collect()
        };
        for (name, note) in due {
            let counted = self.local.lost_since(name, note.fork).await;
            let lost = match counted {
                // Somebody deleted it.
                Err(StoreError::NoSuchAccount(_)) => None,
                counted => Some(counted?),
            };
            if let Some(lost) = lost {
                let Lost { commits, items, changed, expunged, containers, .. } = lost;
                tracing::error!(
                    %account, commits, items, changed, expunged, containers,
                    "so much is in what was set aside of an account and not in the account"
                );
                self.local.set_aside_note(name, pack(&AsideNote { lost: Some(lost), ..note })?).await?;
            }
            self.uncounted.lock().remove(&name);
        }
        Ok(())
    }

    /// Whether something of this account waits to be counted.
    pub fn is_uncounted(&self, account: AccountId) -> bool {
        self.uncounted.lock().keys().any(|name| name.account == account)
    }
}

fn pack(note: &AsideNote) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(note).map_err(|error| StoreError::Io(error.to_string()))
}
