//! The followed side: pages and blobs of this node's accounts for those who are to hold copies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sterna_account::Account;
use sterna_account::follow::{PAGE_OPERATIONS_MAX, PAGE_ROWS_MAX};
use sterna_account::local::{LocalAccount, LocalAccounts};
use sterna_base::{AccountId, NodeId, failpoint};

use super::awaited::Awaited;
use super::book::{CopyBook, CopyStage};
use super::calls::{BlobsCall, ContainerPageCall, PageCall, path};
use super::throttle::Throttle;
use crate::limits::THROTTLED_ANSWER_MS_MAX;
use crate::rpc::calls::BlobCall;
use crate::rpc::fault::FaultKind;
use crate::rpc::wire;

/// The accounts of this node, as copies see them.
pub struct CopySource {
    local: Arc<LocalAccounts>,
    book: Arc<dyn CopyBook>,
    throttle: Arc<Throttle>,
    awaited: Arc<Awaited>,
}

impl CopySource {
    /// Answers those whom `book` names, as fast as `throttle` allows; what they acknowledge is told `awaited`.
    pub fn new(
        local: Arc<LocalAccounts>,
        book: Arc<dyn CopyBook>,
        throttle: Arc<Throttle>,
        awaited: Arc<Awaited>,
    ) -> Self {
        CopySource { local, book, throttle, awaited }
    }

    /// Answers one call of a node that holds a copy; one that is urgent doesn't wait.
    pub(crate) async fn call(
        &self,
        caller: NodeId,
        account: AccountId,
        method: &str,
        is_urgent: bool,
        body: &[u8],
    ) -> Result<Bytes, FaultKind> {
        let facts = self.book.facts(account).await?;
        if !facts.is_holder(caller) {
            return Err(FaultKind::NoCopyThere(caller));
        }
        let stage = facts.stage(caller);
        let is_urgent = is_urgent || matches!(stage, Some(CopyStage::Joining | CopyStage::Awaited));
        let account = self.local.get(account).await?;
        // Before anything is waited for: somebody may wait for this.
        let turn = match stage {
            Some(_) => Some(self.heard(&account, caller, method, body).await?),
            None => None,
        };
        if !is_urgent {
            self.throttle.wait(Duration::from_millis(THROTTLED_ANSWER_MS_MAX)).await;
        }
        let answer = match (method, turn) {
            (path::PAGE, Some(turn)) => self.page_of_awaited(&account, caller, turn, body).await?,
            _ => self.answer(&account, method, body).await?,
        };
        self.throttle.take(answer.len() as u64, is_urgent);
        Ok(answer)
    }

    /// Notes that a copy asked, and what it acknowledged with that.
    async fn heard(&self, account: &LocalAccount, caller: NodeId, method: &str, body: &[u8]) -> Result<u64, FaultKind> {
        let equal = if method == path::PAGE { unpack::<PageCall>(body)?.equal } else { None };
        Ok(self.awaited.heard(account.id(), caller, equal).await?)
    }

    /// A page, with a look at how far the copy is after it.
    async fn page_of_awaited(
        &self,
        account: &LocalAccount,
        caller: NodeId,
        turn: u64,
        body: &[u8],
    ) -> Result<Bytes, FaultKind> {
        let call: PageCall = unpack(body)?;
        let page = account.page(call.after, rows_max(call.rows_max), PAGE_OPERATIONS_MAX).await?;
        let reached = (page.is_last && call.equal.is_some()).then_some(caller);
        self.awaited.report(account.id(), turn, page.head.modseq, reached);
        pack(&page)
    }

    async fn answer(&self, account: &LocalAccount, method: &str, body: &[u8]) -> Result<Bytes, FaultKind> {
        match method {
            path::PAGE => {
                let call: PageCall = unpack(body)?;
                failpoint::reached("source-paging");
                pack(&account.page(call.after, rows_max(call.rows_max), PAGE_OPERATIONS_MAX).await?)
            }
            path::CONTAINERS => pack(&account.containers_of_copy().await?),
            path::CONTAINER_PAGE => {
                let call: ContainerPageCall = unpack(body)?;
                pack(&account.container_page(call.id, call.after, rows_max(call.rows_max)).await?)
            }
            path::BLOBS => {
                let call: BlobsCall = unpack(body)?;
                pack(&account.copied_blobs(call.hashes, self.throttle.answer_bytes_max() as u64).await?)
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
