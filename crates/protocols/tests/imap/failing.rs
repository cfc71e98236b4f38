//! An account that fails: for the dialogs of what clients are told then.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::account::BlobUpload;
use sterna_account::search::{Filter, Found};
use sterna_account::service::Accounts;
use sterna_account::{
    Account, AccountError, Changes, Committed, Container, ContainerKind, Cursor, Expunged, Head, Item, ItemFlags,
    ItemParts, Mutation, UidSet,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, OperationId, Uid};
use tokio::sync::watch;

/// What fails with this once it is set.
pub type Fault = Arc<Mutex<Option<AccountError>>>;

/// An account whose reading of items, and whose commits, may fail, or only the news of it.
pub struct Failing {
    pub account: Arc<dyn Account>,
    pub fault: Fault,
    pub news: Fault,
    /// Contents can't be read from this byte on.
    pub broken_from: u64,
    /// Whether it can list all of its containers.
    pub can_list: bool,
}

impl Failing {
    /// Nothing fails yet.
    pub fn new(account: Arc<dyn Account>) -> Self {
        Failing { account, fault: Fault::default(), news: Fault::default(), broken_from: u64::MAX, can_list: true }
    }

    fn fail(&self) -> Result<(), AccountError> {
        self.fault.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Account for Failing {
    fn id(&self) -> AccountId {
        self.account.id()
    }
    async fn head(&self) -> Result<Head, AccountError> {
        self.account.head().await
    }
    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        if !self.can_list {
            return Err(AccountError::Unavailable("all containers were asked for".into()));
        }
        self.account.containers().await
    }
    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        self.account.container(id).await
    }
    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        self.account.containers_on_path(kind, path).await
    }
    async fn item_flags(&self, id: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, AccountError> {
        self.account.item_flags(id, after, limit).await
    }
    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        self.fail()?;
        self.account.items(container, uids, parts, limit).await
    }
    async fn item_named(&self, id: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, AccountError> {
        self.account.item_named(id, name, parts).await
    }
    async fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        self.account.expunged(container, since, after, limit).await
    }
    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        self.news.lock().unwrap().clone().map_or(Ok(()), Err)?;
        self.account.changes(after, limit).await
    }
    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        self.account.container_changes(container, after, limit).await
    }
    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        if range.start >= self.broken_from {
            return Err(AccountError::Unavailable("the rest is elsewhere".into()));
        }
        self.account.blob(hash, range).await
    }
    async fn search(&self, id: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        self.fail()?;
        self.account.search(id, filter, uids).await
    }
    async fn relevancy(&self, id: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Vec<(Uid, u8)>, AccountError> {
        self.fail()?;
        self.account.relevancy(id, filter, uids).await
    }
    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        self.fail()?;
        self.account.commit(operation, mutations).await
    }
    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        self.account.stage_blob().await
    }
    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.account.staged_blob(hash, range).await
    }
    fn watch(&self) -> watch::Receiver<Modseq> {
        self.account.watch()
    }
}

/// The one account of a server.
pub struct Only(pub Arc<Failing>);

#[async_trait]
impl Accounts for Only {
    async fn open(&self, _account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        Ok(self.0.clone())
    }
}
