//! Account calls, the answering side: this node's accounts for the other nodes.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sterna_account::local::{LocalAccount, LocalAccounts};
use sterna_account::{Account, CommitError, ItemParts};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Epoch};

use super::body::{next_piece, whole};
use super::calls::{
    BlobCall, ChangesCall, CommitCall, ContainerCall, ContainerChangesCall, ContainersOnPathCall, ExpungedCall,
    ItemFlagsCall, ItemNamedCall, ItemsCall, LookUpCall, NAMES_AT_ONCE, ObjectCall, Page, SearchCall, Staged,
    UidsNamedCall, path,
};
use super::fault::FaultKind;
use super::wire;
use crate::copies::Keeper;
use crate::limits::{
    CALL_BODY_BYTES_MAX, ITEMS_WITH_BODY_MAX, ITEMS_WITH_SUMMARY_MAX, UPLOAD_BYTES_MAX, UPLOAD_STALL_MS,
};
use crate::nodes::{Misplaced, PlacementCheck};

/// The accounts that live on this node, and who may be served.
pub struct AccountsService {
    local: Arc<LocalAccounts>,
    check: Arc<dyn PlacementCheck>,
    keeper: Option<Arc<Keeper>>,
}

impl AccountsService {
    /// Serves the accounts that `local` opens, as far as `check` lets it.
    pub fn new(local: Arc<LocalAccounts>, check: Arc<dyn PlacementCheck>) -> Arc<Self> {
        Arc::new(AccountsService { local, check, keeper: None })
    }

    /// The same, where accounts may have been moved to this node: one whose role the directory has just changed is
    /// looked after before it is used.
    pub fn kept(local: Arc<LocalAccounts>, check: Arc<dyn PlacementCheck>, keeper: Arc<Keeper>) -> Arc<Self> {
        Arc::new(AccountsService { local, check, keeper: Some(keeper) })
    }

    /// The account, if the caller's idea of its placement is right.
    pub(crate) async fn open(&self, account: AccountId, epoch: Epoch) -> Result<Arc<LocalAccount>, FaultKind> {
        match self.check.check(account, epoch).await {
            Ok(()) => {
                let handle = self.local.get(account).await?;
                if let Some(keeper) = &self.keeper
                    && !handle.is_active().await?
                {
                    keeper.look_after(account).await?;
                }
                Ok(handle)
            }
            Err(Misplaced::NotHere) => Err(FaultKind::NoSuchAccount(account)),
            Err(Misplaced::WrongEpoch { current }) => Err(FaultKind::Commit(CommitError::WrongEpoch { current })),
            Err(Misplaced::Unknown(error)) => Err(error.into()),
        }
    }

    /// A commit goes to the store with the epoch that the caller believes in, not with the store's own: a caller who is
    /// behind must not write. It is answered when every copy that is awaited has it, too.
    async fn commit(&self, account: &LocalAccount, epoch: Epoch, body: &[u8]) -> Result<Bytes, FaultKind> {
        let CommitCall { operation, mutations } = unpack(body)?;
        let committed = match &self.keeper {
            Some(keeper) => keeper.awaited().commit(account, epoch, operation, mutations).await?,
            None => account.commit_at(epoch, operation, mutations).await?,
        };
        pack(&committed)
    }

    /// Answers one call. Blobs are answered with their bytes, everything else with MessagePack.
    pub(crate) async fn call(
        &self,
        account: AccountId,
        epoch: Epoch,
        method: &str,
        body: Incoming,
    ) -> Result<Bytes, FaultKind> {
        // A staged blob is nobody's until a commit refers to it, and that one is checked. So staging goes on through a
        // move, and the caller's handle carries the blob to where the account is by then.
        match method {
            path::STAGE_BLOB => return stage_blob(&*self.local.get(account).await?, body).await,
            path::STAGED_BLOB => {
                let call: BlobCall = unpack(&whole(body, CALL_BODY_BYTES_MAX).await?)?;
                return Ok(self.local.get(account).await?.staged_blob(call.hash, call.start..call.end).await?);
            }
            _ => {}
        }
        let account = self.open(account, epoch).await?;
        let body = whole(body, CALL_BODY_BYTES_MAX).await?;
        if method == path::COMMIT {
            return self.commit(&account, epoch, &body).await;
        }
        answer(&account, method, &body).await
    }
}

/// One method that reads, its arguments and its answer.
async fn answer(account: &LocalAccount, method: &str, body: &[u8]) -> Result<Bytes, FaultKind> {
    match method {
        path::HEAD => pack(&account.head().await?),
        path::CONTAINERS => pack(&account.containers().await?),
        path::CONTAINER => {
            let call: ContainerCall = unpack(body)?;
            pack(&account.container(call.container).await?)
        }
        path::CONTAINERS_ON_PATH => {
            let call: ContainersOnPathCall = unpack(body)?;
            pack(&account.containers_on_path(call.kind, &call.path).await?)
        }
        path::ITEM_FLAGS => {
            let call: ItemFlagsCall = unpack(body)?;
            let limit = cap(call.limit, PAGE_ITEMS_MAX);
            page(account.item_flags(call.container, call.after, limit).await?, limit, call.limit)
        }
        path::ITEMS => {
            let call: ItemsCall = unpack(body)?;
            let limit = cap(call.limit, items_max(call.parts));
            page(account.items(call.container, &call.uids, call.parts, limit).await?, limit, call.limit)
        }
        path::ITEM_NAMED => {
            let call: ItemNamedCall = unpack(body)?;
            pack(&account.item_named(call.container, &call.name, call.parts).await?)
        }
        path::OBJECT => {
            let call: ObjectCall = unpack(body)?;
            pack(&account.object(call.container, &call.object_uid, call.parts).await?)
        }
        path::UIDS_NAMED => {
            let call: UidsNamedCall = unpack(body)?;
            pack(&account.uids_named(call.container, &call.names[..call.names.len().min(NAMES_AT_ONCE)]).await?)
        }
        path::LOOK_UP => {
            let call: LookUpCall = unpack(body)?;
            pack(&account.look_up(&call.lookups).await?)
        }
        path::EXPUNGED => {
            let call: ExpungedCall = unpack(body)?;
            let limit = cap(call.limit, PAGE_ITEMS_MAX);
            page(account.expunged(call.container, call.since, call.after, limit).await?, limit, call.limit)
        }
        path::CHANGES => {
            let call: ChangesCall = unpack(body)?;
            pack(&account.changes(call.after, cap(call.limit, PAGE_ITEMS_MAX)).await?)
        }
        path::CONTAINER_CHANGES => {
            let call: ContainerChangesCall = unpack(body)?;
            let limit = cap(call.limit, PAGE_ITEMS_MAX);
            pack(&account.container_changes(call.container, call.after, limit).await?)
        }
        path::SEARCH => {
            let call: SearchCall = unpack(body)?;
            pack(&account.search(call.container, &call.filter, &call.uids).await?)
        }
        path::RELEVANCY => {
            let call: SearchCall = unpack(body)?;
            pack(&account.relevancy(call.container, &call.filter, &call.uids).await?)
        }
        path::BLOB => {
            let call: BlobCall = unpack(body)?;
            Ok(account.blob(call.hash, call.start..call.end).await?)
        }
        _ => Err(FaultKind::NoRoute),
    }
}

/// Takes in a blob as it comes; memory holds one piece. A body that breaks off leaves nothing behind.
async fn stage_blob(account: &LocalAccount, mut body: Incoming) -> Result<Bytes, FaultKind> {
    let mut upload = account.stage_copied_blob().await?;
    let mut taken_bytes = 0;
    while let Some(piece) = next_piece(&mut body, UPLOAD_STALL_MS).await? {
        taken_bytes += piece.len() as u64;
        if taken_bytes > UPLOAD_BYTES_MAX {
            return Err(FaultKind::TooLarge { bytes_max: UPLOAD_BYTES_MAX });
        }
        upload.write(piece).await?;
    }
    let (hash, size_bytes) = upload.finish().await?;
    pack(&Staged { hash, size_bytes })
}

/// Bodies and summaries are what makes an answer large.
fn items_max(parts: ItemParts) -> usize {
    match parts {
        ItemParts { body: true, .. } => ITEMS_WITH_BODY_MAX,
        ItemParts { summary: true, .. } => ITEMS_WITH_SUMMARY_MAX,
        _ => PAGE_ITEMS_MAX,
    }
}

fn cap(asked: u64, limit: usize) -> usize {
    usize::try_from(asked).map_or(limit, |asked| asked.min(limit))
}

fn page<T: Serialize>(rows: Vec<T>, limit: usize, asked: u64) -> Result<Bytes, FaultKind> {
    let more = rows.len() == limit && (limit as u64) < asked;
    pack(&Page { rows, more })
}

fn pack<T: Serialize>(value: &T) -> Result<Bytes, FaultKind> {
    wire::pack(value).map_err(|error| FaultKind::Other(error.to_string()))
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FaultKind> {
    wire::unpack(bytes).map_err(|error| FaultKind::Malformed(error.to_string()))
}
