//! Accounts whose data server fails when told to.

use std::collections::HashMap;
use std::future::pending;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::account::BlobUpload;
use sterna_account::search::{Filter, Found};
use sterna_account::service::Accounts;
use sterna_account::{
    Account, AccountError, Changes, Committed, Container, ContainerKind, Cursor, Expunged, Head, Item, ItemFlags,
    ItemParts, Mutation, StoreError, UidSet,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, OperationId, Uid};
use tokio::sync::watch;

/// What an account's commits do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing fails.
    Nothing,
    /// The data server can't be reached.
    Down,
    /// The commit is done, and its answer is lost.
    LostAnswer,
    /// Nothing ever comes back.
    Silent,
    /// The disk is full.
    DiskFull,
}

/// Hands out accounts that fail.
pub struct FlakyAccounts {
    inner: Arc<dyn Accounts>,
    faults: Mutex<HashMap<AccountId, Fault>>,
    calls: Arc<AtomicUsize>,
}

impl FlakyAccounts {
    pub fn new(inner: Arc<dyn Accounts>) -> Self {
        FlakyAccounts { inner, faults: Mutex::default(), calls: Arc::default() }
    }

    /// How often accounts were asked for something.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn fail(&self, account: AccountId, fault: Fault) {
        self.faults.lock().insert(account, fault);
    }

    pub fn mend(&self) {
        self.faults.lock().clear();
    }
}

#[async_trait]
impl Accounts for FlakyAccounts {
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        let inner = self.inner.open(account).await?;
        let fault = self.faults.lock().get(&account).copied().unwrap_or(Fault::Nothing);
        Ok(Arc::new(FlakyAccount { inner, fault, calls: self.calls.clone() }))
    }
}

struct FlakyAccount {
    inner: Arc<dyn Account>,
    fault: Fault,
    calls: Arc<AtomicUsize>,
}

impl FlakyAccount {
    fn read(&self) -> Result<&dyn Account, AccountError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Down => Err(AccountError::Unavailable("alpha is down".into())),
            _ => Ok(&*self.inner),
        }
    }
}

#[async_trait]
impl Account for FlakyAccount {
    fn id(&self) -> AccountId {
        self.inner.id()
    }

    async fn head(&self) -> Result<Head, AccountError> {
        self.read()?.head().await
    }

    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        self.read()?.containers().await
    }

    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        self.read()?.container(id).await
    }

    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        self.read()?.containers_on_path(kind, path).await
    }

    async fn item_flags(
        &self,
        container: ContainerId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<ItemFlags>, AccountError> {
        self.read()?.item_flags(container, after, limit).await
    }

    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        self.read()?.items(container, uids, parts, limit).await
    }

    async fn item_named(
        &self,
        container: ContainerId,
        name: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        self.read()?.item_named(container, name, parts).await
    }

    async fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        self.read()?.expunged(container, since, after, limit).await
    }

    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        self.read()?.changes(after, limit).await
    }

    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        self.read()?.container_changes(container, after, limit).await
    }
    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.read()?.blob(hash, range).await
    }

    async fn search(&self, container: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        self.read()?.search(container, filter, uids).await
    }

    async fn relevancy(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, u8)>, AccountError> {
        self.read()?.relevancy(container, filter, uids).await
    }

    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Nothing => self.inner.commit(operation, mutations).await,
            Fault::Down => Err(AccountError::Unavailable("alpha is down".into())),
            Fault::LostAnswer => {
                self.inner.commit(operation, mutations).await?;
                Err(AccountError::Unavailable("the answer was lost".into()))
            }
            Fault::Silent => pending().await,
            Fault::DiskFull => Err(StoreError::DiskFull("no space left on device".into()).into()),
        }
    }

    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        self.read()?.stage_blob().await
    }

    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.read()?.staged_blob(hash, range).await
    }

    fn watch(&self) -> watch::Receiver<Modseq> {
        self.inner.watch()
    }
}
