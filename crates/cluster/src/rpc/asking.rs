//! Calls whose body and answer are JSON, and calls that may be repeated.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::CallError;
use super::peer::{Call, Peer};
use super::wire;

impl Peer {
    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// [`CallError`]; nothing is repeated here.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(
        self: &Arc<Self>,
        call: &Call,
        question: &Q,
    ) -> Result<A, CallError> {
        let body = self.json(question)?;
        self.read(&self.call(call, body).await?)
    }

    /// Calls, and calls again once when the answer was lost: for what may be repeated.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn call_again_if_lost(self: &Arc<Self>, call: &Call, body: Bytes) -> Result<Bytes, CallError> {
        match self.call(call, body.clone()).await {
            Err(error) if error.is_lost() => self.call(call, body).await,
            answer => answer,
        }
    }

    /// A body for this peer.
    pub(crate) fn json<Q: Serialize>(&self, question: &Q) -> Result<Bytes, CallError> {
        wire::to_json(question).map_err(|error| self.malformed(&error))
    }

    /// What this peer's answer says.
    pub(crate) fn read<A: DeserializeOwned>(&self, answer: &[u8]) -> Result<A, CallError> {
        wire::from_json(answer).map_err(|error| self.malformed(&error))
    }

    /// What is said to or by this peer can't be written or read.
    pub(crate) fn malformed(&self, cause: &dyn Display) -> CallError {
        CallError::Malformed { node: self.name(), cause: cause.to_string() }
    }
}
