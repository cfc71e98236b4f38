//! Sending a large blob to another node, piece by piece, never more than a few pieces in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::AccountError;
use sterna_account::account::BlobUpload;
use sterna_base::BlobHash;
use sterna_base::limits::BLOB_CHUNK_BYTES;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::limits::{CALL_TIMEOUT_MS, UPLOAD_QUEUE_MAX};
use crate::rpc::CallError;
use crate::rpc::body::{Payload, Piece};
use crate::rpc::calls::Staged;
use crate::rpc::peer::{Call, Peer};
use crate::rpc::wire;

/// An upload under way. Dropped before [`BlobUpload::finish`], its stream is reset and nothing stays behind.
pub struct RemoteUpload {
    peer: Arc<Peer>,
    pieces: mpsc::Sender<Piece>,
    answer: Option<JoinHandle<Result<Bytes, CallError>>>,
}

impl RemoteUpload {
    /// Starts sending.
    pub(super) fn start(peer: Arc<Peer>, call: Call) -> Self {
        let (pieces, queue) = mpsc::channel(UPLOAD_QUEUE_MAX);
        let sending = peer.clone();
        let answer = tokio::spawn(async move {
            let answer = sending.open(&call, Payload::Pieces(queue)).await?;
            sending.take(answer, call.answer_bytes_max).await
        });
        RemoteUpload { peer, pieces, answer: Some(answer) }
    }

    async fn send(&mut self, piece: Piece) -> Result<(), AccountError> {
        let limit = Duration::from_millis(CALL_TIMEOUT_MS);
        match timeout(limit, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Err(_) => Err(self.timed_out()),
            // The other side hung up before the end; its answer says why.
            Ok(Err(_)) => match self.answer().await {
                Err(error) => Err(error),
                Ok(_) => Err(self.cut("it answered before the end of the upload")),
            },
        }
    }

    async fn answer(&mut self) -> Result<Bytes, AccountError> {
        match self.answer.take() {
            Some(mut task) => match timeout(Duration::from_millis(CALL_TIMEOUT_MS), &mut task).await {
                Ok(Ok(answer)) => Ok(answer?),
                Ok(Err(error)) => Err(self.cut(&error)),
                Err(_) => {
                    task.abort();
                    Err(self.timed_out())
                }
            },
            None => Err(self.cut("the upload failed before")),
        }
    }

    fn timed_out(&self) -> AccountError {
        CallError::TimedOut { node: self.peer.name(), timeout_ms: CALL_TIMEOUT_MS }.into()
    }

    fn cut(&self, cause: &(impl std::fmt::Display + ?Sized)) -> AccountError {
        CallError::Lost { node: self.peer.name(), cause: cause.to_string() }.into()
    }
}

#[async_trait]
impl BlobUpload for RemoteUpload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), AccountError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(BLOB_CHUNK_BYTES));
            self.send(Piece::Data(piece)).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(BlobHash, u64), AccountError> {
        self.send(Piece::End).await?;
        let answer = self.answer().await?;
        let staged: Staged = wire::unpack(&answer).map_err(|error| self.cut(&error))?;
        Ok((staged.hash, staged.size_bytes))
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        if let Some(task) = self.answer.take() {
            task.abort();
        }
    }
}
