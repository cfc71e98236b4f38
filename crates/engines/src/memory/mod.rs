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
use sterna_account::{AsideName, Engine, Read, Role, Store, StoreError};
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
    asides: Mutex<BTreeMap<AsideName, Aside>>,
}

/// A store that was put aside, and its note.
type Aside = (Shared, Vec<u8>);

impl MemoryEngine {
    /// Without any account.
    pub fn new() -> Self {
        MemoryEngine::default()
    }

    /// Another engine with the same accounts as they are now, as a copy of the files would be.
    pub fn copied(&self) -> Self {
        let copy = |state: &Shared| Arc::new(Mutex::new(state.lock().clone()));
        let accounts = self.accounts.lock().iter().map(|(id, state)| (*id, copy(state))).collect();
        let asides = self.asides.lock();
        let asides = asides.iter().map(|(name, (state, note))| (*name, (copy(state), note.clone()))).collect();
        MemoryEngine { accounts: Mutex::new(accounts), asides: Mutex::new(asides) }
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

    fn set_aside(&self, account: AccountId, note: &[u8], now: Timestamp) -> Result<AsideName, StoreError> {
        let state = self.accounts.lock().remove(&account).ok_or(StoreError::NoSuchAccount(account))?;
        let mut asides = self.asides.lock();
        let mut name = AsideName { at: now, account };
        while asides.contains_key(&name) {
            name.at = name.at.plus_ms(1);
        }
        asides.insert(name, (state, note.to_vec()));
        Ok(name)
    }

    fn asides(&self) -> Result<Vec<(AsideName, Vec<u8>)>, StoreError> {
        Ok(self.asides.lock().iter().map(|(name, (_, note))| (*name, note.clone())).collect())
    }

    fn set_aside_note(&self, name: AsideName, note: &[u8]) -> Result<(), StoreError> {
        let mut asides = self.asides.lock();
        asides.get_mut(&name).ok_or(StoreError::NoSuchAccount(name.account))?.1 = note.to_vec();
        Ok(())
    }

    fn open_aside(&self, name: AsideName) -> Result<Box<dyn Read>, StoreError> {
        let state = self.asides.lock().get(&name).map(|(state, _)| state.clone());
        Ok(Box::new(Reader { state: state.ok_or(StoreError::NoSuchAccount(name.account))? }))
    }

    fn delete_aside(&self, name: AsideName) -> Result<(), StoreError> {
        self.asides.lock().remove(&name);
        Ok(())
    }
}
