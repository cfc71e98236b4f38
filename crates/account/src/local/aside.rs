//! Stores of this node that were put aside; see [`crate::Engine::set_aside`].

use sterna_base::AccountId;

use super::{LocalAccounts, Slot, blocking};
use crate::aside::{Lost, lost};
use crate::fork::Fork;
use crate::{AsideName, StoreError};

impl LocalAccounts {
    /// Puts an account's store aside; handles to it answer [`crate::AccountError::NoSuchAccount`] from then on.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn set_aside(&self, account: AccountId, note: Vec<u8>) -> Result<AsideName, StoreError> {
        let handle = self.handle(account);
        // Held until the store is elsewhere, so that nobody opens it meanwhile.
        let mut slot = handle.store.lock().await;
        if let Slot::Open(store) = std::mem::replace(&mut *slot, Slot::Deleted) {
            store.drain().await;
        }
        let (engine, now) = (self.shared.engine.clone(), self.shared.clock.now());
        let done = blocking(move || engine.set_aside(account, &note, now)).await;
        self.shared.handles.lock().remove(&account);
        done
    }

    /// Those that there are, oldest first, with their notes.
    ///
    /// # Errors
    /// When they can't be listed.
    pub async fn asides(&self) -> Result<Vec<(AsideName, Vec<u8>)>, StoreError> {
        let engine = self.shared.engine.clone();
        blocking(move || engine.asides()).await
    }

    /// Replaces the note of one.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn set_aside_note(&self, name: AsideName, note: Vec<u8>) -> Result<(), StoreError> {
        let engine = self.shared.engine.clone();
        blocking(move || engine.set_aside_note(name, &note)).await
    }

    /// What one has since the fork that this node's store of the account lacks.
    ///
    /// # Errors
    /// When one of both can't be read.
    pub async fn lost_since(&self, name: AsideName, fork: Fork) -> Result<Lost, StoreError> {
        let engine = self.shared.engine.clone();
        let aside = blocking(move || engine.open_aside(name)).await?;
        let store = self.get(name.account).await.map_err(|error| StoreError::Stopped(error.to_string()))?;
        let counted = store.read(move |read| lost(aside.as_ref(), &fork, Some(read))).await;
        counted.map_err(|error| StoreError::Stopped(error.to_string()))
    }
}
