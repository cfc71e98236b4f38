//! An account of this node as its own sessions have it: its commits wait for the copies that are awaited.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::account::BlobUpload;
use sterna_account::local::LocalAccount;
use sterna_account::search::{Filter, Found};
use sterna_account::{
    Account, AccountError, Answer, Changes, Committed, Container, ContainerKind, Cursor, Expunged, Head, Item,
    ItemFlags, ItemParts, Lookup, Mutation, UidSet,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, OperationId, Uid};
use tokio::sync::watch;

use super::awaited::Awaited;

/// See the module.
pub(super) struct KeptAccount {
    pub local: Arc<LocalAccount>,
    pub awaited: Arc<Awaited>,
}

#[async_trait]
impl Account for KeptAccount {
    fn id(&self) -> AccountId {
        self.local.id()
    }

    async fn head(&self) -> Result<Head, AccountError> {
        self.local.head().await
    }

    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        self.local.containers().await
    }

    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        self.local.container(id).await
    }

    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        self.local.containers_on_path(kind, path).await
    }

    async fn item_flags(
        &self,
        container: ContainerId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<ItemFlags>, AccountError> {
        self.local.item_flags(container, after, limit).await
    }

    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        self.local.items(container, uids, parts, limit).await
    }

    async fn item_named(
        &self,
        container: ContainerId,
        name: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        self.local.item_named(container, name, parts).await
    }

    async fn object(
        &self,
        container: ContainerId,
        object_uid: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        self.local.object(container, object_uid, parts).await
    }

    async fn uids_named(&self, container: ContainerId, names: &[String]) -> Result<Vec<Option<Uid>>, AccountError> {
        self.local.uids_named(container, names).await
    }

    async fn look_up(&self, lookups: &[Lookup]) -> Result<Vec<Answer>, AccountError> {
        self.local.look_up(lookups).await
    }

    async fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        self.local.expunged(container, since, after, limit).await
    }

    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        self.local.changes(after, limit).await
    }

    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        self.local.container_changes(container, after, limit).await
    }

    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.local.blob(hash, range).await
    }

    async fn search(&self, container: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        self.local.search(container, filter, uids).await
    }

    async fn relevancy(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, u8)>, AccountError> {
        self.local.relevancy(container, filter, uids).await
    }

    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        let epoch = self.local.epoch().await?;
        self.awaited.commit(&self.local, epoch, operation, mutations).await
    }

    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        self.local.stage_blob().await
    }

    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.local.staged_blob(hash, range).await
    }

    fn watch(&self) -> watch::Receiver<Modseq> {
        self.local.watch()
    }
}
