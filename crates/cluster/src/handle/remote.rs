//! An account on another node.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sterna_account::account::BlobUpload;
use sterna_account::search::{Filter, Found};
use sterna_account::{
    Account, AccountError, Answer, Changes, Committed, Container, ContainerKind, Cursor, Expunged, Head, Item,
    ItemFlags, ItemParts, Lookup, Mutation, UidSet,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, OperationId, Uid};
use tokio::sync::watch;

use super::doubt::after_doubt;
use super::upload::RemoteUpload;
use super::watches::PeerWatches;
use crate::limits::LOST_REPEATS_MAX;
use crate::nodes::Placement;
use crate::rpc::calls::{
    BlobCall, ChangesCall, CommitCall, ContainerCall, ContainerChangesCall, ContainersOnPathCall, ExpungedCall,
    ItemFlagsCall, ItemNamedCall, ItemsCall, LookUpCall, NAMES_AT_ONCE, Nothing, ObjectCall, Page, SearchCall,
    UidsNamedCall, path,
};
use crate::rpc::peer::{Call, Peer};
use crate::rpc::peers::Peers;
use crate::rpc::wire;

/// A handle to an account under one placement. Every call may be repeated, so a call whose answer was lost is: reads
/// change nothing, and a commit keeps its operation id.
pub struct RemoteAccount {
    account: AccountId,
    epoch: Epoch,
    peer: Arc<Peer>,
    watches: Arc<PeerWatches>,
}

impl RemoteAccount {
    /// The account as the directory places it.
    pub fn new(peers: &Peers, account: AccountId, placement: Placement) -> Self {
        let peer = peers.peer(placement.node);
        RemoteAccount { account, epoch: placement.epoch, peer, watches: peers.watches(placement.node) }
    }

    pub(super) fn call_to(&self, method: &str) -> Call {
        Call::account(format!("/v1/accounts/{}/{method}", self.account), self.epoch)
    }

    async fn bytes<A: Serialize>(&self, method: &str, arguments: &A) -> Result<Bytes, AccountError> {
        let body = wire::pack(arguments).map_err(|error| self.malformed(&error))?;
        self.repeated(method, body).await.0
    }

    /// The answer, and how many answers were lost before.
    async fn repeated(&self, method: &str, body: Bytes) -> (Result<Bytes, AccountError>, usize) {
        let call = self.call_to(method);
        let mut repeats = 0;
        loop {
            match self.peer.call(&call, body.clone()).await {
                Err(error) if error.is_lost() && repeats < LOST_REPEATS_MAX => {
                    tracing::debug!(account = %self.account, method, %error, "repeating a call whose answer was lost");
                    repeats += 1;
                }
                answer => return (answer.map_err(AccountError::from), repeats),
            }
        }
    }

    async fn call<A: Serialize, R: DeserializeOwned>(&self, method: &str, arguments: &A) -> Result<R, AccountError> {
        let bytes = self.bytes(method, arguments).await?;
        wire::unpack(&bytes).map_err(|error| self.malformed(&error))
    }

    /// Asks for page after page until the limit is reached or there is no more. `next` is told how many are still
    /// wanted and the last row there is.
    async fn pages<A, R>(
        &self,
        method: &str,
        limit: usize,
        next: impl Fn(u64, Option<&R>) -> A + Send + Sync,
    ) -> Result<Vec<R>, AccountError>
    where
        A: Serialize + Send + Sync,
        R: DeserializeOwned + Send + Sync,
    {
        let mut rows: Vec<R> = Vec::new();
        loop {
            let arguments = next((limit - rows.len()) as u64, rows.last());
            let page: Page<R> = self.call(method, &arguments).await?;
            let progress = !page.rows.is_empty();
            rows.extend(page.rows);
            rows.truncate(limit);
            if !(page.more && progress && rows.len() < limit) {
                return Ok(rows);
            }
        }
    }

    pub(super) fn malformed(&self, cause: &dyn std::fmt::Display) -> AccountError {
        self.peer.malformed(cause).into()
    }
}

/// The UIDs of the set that come after `last`.
fn uids_after(uids: &UidSet, last: Uid) -> UidSet {
    let ranges = uids.ranges().iter().filter(|(_, high)| *high > last);
    UidSet::from_ranges(ranges.map(|&(low, high)| (low.max(last.next()), high)).collect())
}

#[async_trait]
impl Account for RemoteAccount {
    fn id(&self) -> AccountId {
        self.account
    }

    async fn head(&self) -> Result<Head, AccountError> {
        self.call(path::HEAD, &Nothing {}).await
    }

    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        self.call(path::CONTAINERS, &Nothing {}).await
    }

    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        self.call(path::CONTAINER, &ContainerCall { container: id }).await
    }

    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        self.call(path::CONTAINERS_ON_PATH, &ContainersOnPathCall { kind, path: path.to_vec() }).await
    }

    async fn item_flags(
        &self,
        container: ContainerId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<ItemFlags>, AccountError> {
        self.pages(path::ITEM_FLAGS, limit, |limit, last: Option<&ItemFlags>| ItemFlagsCall {
            container,
            after: last.map_or(after, |last| last.uid),
            limit,
        })
        .await
    }

    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        self.pages(path::ITEMS, limit, |limit, last: Option<&Item>| ItemsCall {
            container,
            uids: last.map_or_else(|| uids.clone(), |last| uids_after(uids, last.uid)),
            parts,
            limit,
        })
        .await
    }

    async fn item_named(
        &self,
        container: ContainerId,
        name: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        self.call(path::ITEM_NAMED, &ItemNamedCall { container, name: name.to_owned(), parts }).await
    }

    async fn object(
        &self,
        container: ContainerId,
        object_uid: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        self.call(path::OBJECT, &ObjectCall { container, object_uid: object_uid.to_owned(), parts }).await
    }

    async fn uids_named(&self, container: ContainerId, names: &[String]) -> Result<Vec<Option<Uid>>, AccountError> {
        let mut uids = Vec::with_capacity(names.len());
        for some in names.chunks(NAMES_AT_ONCE) {
            let call = UidsNamedCall { container, names: some.to_vec() };
            uids.extend(self.call::<_, Vec<Option<Uid>>>(path::UIDS_NAMED, &call).await?);
        }
        Ok(uids)
    }

    async fn look_up(&self, lookups: &[Lookup]) -> Result<Vec<Answer>, AccountError> {
        self.call(path::LOOK_UP, &LookUpCall { lookups: lookups.to_vec() }).await
    }

    async fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        self.pages(path::EXPUNGED, limit, |limit, last: Option<&Expunged>| ExpungedCall {
            container,
            since,
            after: last.map_or(after, |last| last.uid),
            limit,
        })
        .await
    }

    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        self.call(path::CHANGES, &ChangesCall { after, limit: limit as u64 }).await
    }

    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        let call = ContainerChangesCall { container, after, limit: limit as u64 };
        self.call(path::CONTAINER_CHANGES, &call).await
    }

    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.bytes(path::BLOB, &BlobCall { hash, start: range.start, end: range.end }).await
    }

    async fn search(&self, container: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        self.call(path::SEARCH, &SearchCall { container, filter: filter.clone(), uids: uids.clone() }).await
    }

    async fn relevancy(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, u8)>, AccountError> {
        self.call(path::RELEVANCY, &SearchCall { container, filter: filter.clone(), uids: uids.clone() }).await
    }

    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        let body = wire::pack(&CommitCall { operation, mutations }).map_err(|error| self.malformed(&error))?;
        let (answer, lost) = self.repeated(path::COMMIT, body).await;
        let answer = answer.map_err(|error| if lost > 0 { after_doubt(error) } else { error })?;
        wire::unpack(&answer).map_err(|error| self.malformed(&error))
    }

    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        let call = Call { content_type: wire::BYTES, ..self.call_to(path::STAGE_BLOB) };
        Ok(Box::new(RemoteUpload::start(self.peer.clone(), call)))
    }

    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.bytes(path::STAGED_BLOB, &BlobCall { hash, start: range.start, end: range.end }).await
    }

    fn watch(&self) -> watch::Receiver<Modseq> {
        self.watches.watch(self.account, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_set_begins_after_the_last_uid() {
        let set = UidSet::from_ranges(vec![(Uid(1), Uid(3)), (Uid(5), Uid(9)), (Uid(12), Uid::MAX)]);
        assert_eq!(uids_after(&set, Uid(0)), set);
        assert_eq!(uids_after(&set, Uid(6)).ranges(), [(Uid(7), Uid(9)), (Uid(12), Uid::MAX)]);
        assert!(uids_after(&set, Uid::MAX).is_empty());
    }
}
