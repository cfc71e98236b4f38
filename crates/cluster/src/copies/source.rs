//! The followed side: pages and blobs of this node's accounts for those who are to hold copies.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sterna_account::follow::{PAGE_OPERATIONS_MAX, PAGE_ROWS_MAX};
use sterna_account::local::LocalAccounts;
use sterna_base::{AccountId, NodeId};

use super::book::CopyBook;
use super::calls::{BlobsCall, ContainerPageCall, PageCall, path};
use crate::limits::COPIED_BLOBS_BYTES_MAX;
use crate::rpc::calls::BlobCall;
use crate::rpc::fault::FaultKind;
use crate::rpc::wire;

/// The accounts of this node, as copies see them.
pub struct CopySource {
    local: Arc<LocalAccounts>,
    book: Arc<dyn CopyBook>,
}

impl CopySource {
    /// Answers those whom `book` names.
    pub fn new(local: Arc<LocalAccounts>, book: Arc<dyn CopyBook>) -> Self {
        CopySource { local, book }
    }

    /// Answers one call of a node that holds a copy.
    pub(crate) async fn call(
        &self,
        caller: NodeId,
        account: AccountId,
        method: &str,
        body: &[u8],
    ) -> Result<Bytes, FaultKind> {
        if !self.book.facts(account).await?.is_holder(caller) {
            return Err(FaultKind::NoCopyThere(caller));
        }
        let account = self.local.get(account).await?;
        match method {
            path::PAGE => {
                let call: PageCall = unpack(body)?;
                pack(&account.page(call.after, rows_max(call.rows_max), PAGE_OPERATIONS_MAX).await?)
            }
            path::CONTAINERS => pack(&account.containers_of_copy().await?),
            path::CONTAINER_PAGE => {
                let call: ContainerPageCall = unpack(body)?;
                pack(&account.container_page(call.id, call.after, rows_max(call.rows_max)).await?)
            }
            path::BLOBS => {
                let call: BlobsCall = unpack(body)?;
                pack(&account.copied_blobs(call.hashes, COPIED_BLOBS_BYTES_MAX as u64).await?)
            }
            path::BLOB => {
                let call: BlobCall = unpack(body)?;
                Ok(account.copied_range(call.hash, call.start..call.end).await?)
            }
            _ => Err(FaultKind::NoRoute),
        }
    }
}

fn rows_max(asked: u64) -> usize {
    usize::try_from(asked).map_or(PAGE_ROWS_MAX, |rows| rows.clamp(1, PAGE_ROWS_MAX))
}

fn pack<T: Serialize>(value: &T) -> Result<Bytes, FaultKind> {
    wire::pack(value).map_err(|error| FaultKind::Other(error.to_string()))
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FaultKind> {
    wire::unpack(bytes).map_err(|error| FaultKind::Malformed(error.to_string()))
}
