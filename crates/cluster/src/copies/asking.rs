//! How a copy asks the account that it follows.

use bytes::Bytes;

use super::follower::{CopyError, Follower};
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
        let call = Call::copy(format!("/v1/copies/{}/{method}", self.account));
        Ok(self.peers.peer(self.source.node).call(&call, body).await?)
    }
}
