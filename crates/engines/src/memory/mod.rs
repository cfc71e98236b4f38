//! The model: accounts as plain maps, everything that can be derived derived anew at each question. It is what the
//! conformance suite holds every other engine against, so it is written to be believed, not to be fast: a commit works
//! on a copy of the account and takes the account's place when nothing refused it.
//!
//! It keeps nothing when the process ends. Tests of other crates use it where a disk would only cost time.

mod blobs;
mod containers;
mod follow;
mod items;
mod page;
mod read;
mod state;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_account::{Engine, Role, Store, StoreError};
use sterna_base::{AccountId, Epoch, Timestamp};

use read::Reader;
use state::State;
use store::MemoryStore;

/// An account that stores and readers share.
type Shared = Arc<Mutex<State>>;

/// Accounts in memory. They outlive their stores, as files would.
#[derive(Default)]
pub struct MemoryEngine {
    accounts: Mutex<BTreeMap<AccountId, Shared>>,
}

impl MemoryEngine {
    /// Without any account.
    pub fn new() -> Self {
        MemoryEngine::default()
    }

    /// Another engine with the same accounts as they are now, as a copy of the files would be.
    pub fn copied(&self) -> Self {
        let accounts = self.accounts.lock();
        let copies = accounts.iter().map(|(id, state)| (*id, Arc::new(Mutex::new(state.lock().clone()))));
        MemoryEngine { accounts: Mutex::new(copies.collect()) }
    }
}

impl Engine for MemoryEngine {
    fn create(&self, account: AccountId, epoch: Epoch, role: Role, now: Timestamp) -> Result<(), StoreError> {
        let mut accounts = self.accounts.lock();
        let new = || Arc::new(Mutex::new(State::new(account, epoch, role, now)));
        let state = accounts.entry(account).or_insert_with(new);
        if state.lock().epoch == epoch {
            Ok(())
        } else {
            Err(StoreError::Corrupt(format!("account {account} exists with another epoch")))
        }
    }

    fn open(&self, account: AccountId) -> Result<Box<dyn Store>, StoreError> {
        let state = self.accounts.lock().get(&account).cloned().ok_or(StoreError::NoSuchAccount(account))?;
        Ok(Box::new(MemoryStore { reader: Reader { state } }))
    }

    fn delete(&self, account: AccountId) -> Result<(), StoreError> {
        self.accounts.lock().remove(&account);
        Ok(())
    }

    fn accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        Ok(self.accounts.lock().keys().copied().collect())
    }
}
