//! How a copy asks the account that it follows.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::book::take_back;
use super::follower::{CopyError, Follower};
use crate::limits::{CLOSE_BYTES_MAX, CLOSE_ROWS_MAX};
use crate::moving::core::answers::FollowingSaid;
use crate::rpc::peer::Call;
use crate::rpc::wire;

impl Follower {
    pub(super) async fn ask<C: serde::Serialize, A: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        call: &C,
    ) -> Result<A, CopyError> {
        let bytes = self.ask_bytes(method, call).await?;
        wire::unpack(&bytes).map_err(|error| CopyError::Malformed(error.to_string()))
    }

    pub(super) async fn ask_bytes<C: serde::Serialize>(&self, method: &str, call: &C) -> Result<Bytes, CopyError> {
        let body = wire::pack(call).map_err(|error| CopyError::Malformed(error.to_string()))?;
        let is_urgent = self.is_urgent();
        if !is_urgent {
            self.throttle.wait(Duration::MAX).await;
        }
        let call = Call { is_urgent, ..Call::copy(format!("/v1/copies/{}/{method}", self.account)) };
        let answer = self.peers.peer(self.source.node).call(&call, body).await?;
        self.throttle.take(answer.len() as u64, is_urgent);
        Ok(answer)
    }

    /// Whether a cut-over or somebody's acknowledgement waits for this copy, or soon may: it follows closely. What has
    /// much to catch up with has time.
    fn is_urgent(&self) -> bool {
        let is_close = |said: &FollowingSaid| {
            said.equal_at.is_some()
                && !said.differs
                && said.lag.rows <= CLOSE_ROWS_MAX
                && said.lag.bytes <= CLOSE_BYTES_MAX
        };
        let is_waited_for = self.cut_overs.load(Ordering::Relaxed) > 0 || self.is_awaited.load(Ordering::Relaxed);
        is_waited_for || self.said().as_ref().is_some_and(is_close)
    }

    /// Nothing is promised of this copy from now on.
    pub(super) async fn take_back(&self) -> Result<(), CopyError> {
        Ok(take_back(&*self.book, self.peers.identity().node(), self.account).await?)
    }
}
