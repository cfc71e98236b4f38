//! Blobs that were staged and whose commits are on their way. An account may be moved in between: then the commit finds
//! no blob where the account is now, and the blob is carried there.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::account::BlobUpload;
use sterna_account::{Account, AccountError, StoreError};
use sterna_base::BlobHash;
use sterna_base::limits::BLOB_CHUNK_BYTES;

use crate::limits::STAGED_REMEMBERED_MAX;
use crate::nodes::Placement;

/// Where the blobs of one account were staged, the last ones at the end.
#[derive(Default)]
pub(super) struct StagedBlobs(Mutex<VecDeque<(BlobHash, Placement)>>);

impl StagedBlobs {
    /// Where a blob was staged last.
    pub fn at(&self, hash: BlobHash) -> Option<Placement> {
        self.0.lock().iter().rev().find(|(staged, _)| *staged == hash).map(|(_, at)| *at)
    }

    /// An upload whose blob is remembered when it is finished.
    pub fn upload(self: &Arc<Self>, inner: Box<dyn BlobUpload>, at: Placement) -> Box<dyn BlobUpload> {
        Box::new(StagedUpload { inner, at, staged: self.clone() })
    }

    fn finished(&self, hash: BlobHash, at: Placement) {
        let mut staged = self.0.lock();
        staged.retain(|(known, _)| *known != hash);
        if staged.len() >= STAGED_REMEMBERED_MAX {
            staged.pop_front();
        }
        staged.push_back((hash, at));
    }
}

struct StagedUpload {
    inner: Box<dyn BlobUpload>,
    at: Placement,
    staged: Arc<StagedBlobs>,
}

#[async_trait]
impl BlobUpload for StagedUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), AccountError> {
        self.inner.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<(BlobHash, u64), AccountError> {
        let (hash, size) = self.inner.finish().await?;
        self.staged.finished(hash, self.at);
        Ok((hash, size))
    }

    async fn finish_with_file(self: Box<Self>, path: PathBuf) -> Result<(BlobHash, u64), AccountError> {
        let (hash, size) = self.inner.finish_with_file(path).await?;
        self.staged.finished(hash, self.at);
        Ok((hash, size))
    }
}

/// What is staged is promised to nobody: whoever sent it is told to send it again.
fn gone(error: AccountError) -> AccountError {
    match error {
        AccountError::Store(StoreError::NoSuchBlob(_)) | AccountError::NoSuchAccount(_) => {
            AccountError::Unavailable(format!("what was staged on the server that had the account is gone: {error}"))
        }
        error => error,
    }
}

/// Stages a blob at `to` that is staged at `from`, piece by piece.
///
/// # Errors
/// When one of them fails, or the blob is no longer there.
pub(super) async fn carry(from: &dyn Account, hash: BlobHash, to: &dyn Account) -> Result<(), AccountError> {
    let mut upload = to.stage_blob().await?;
    let mut start = 0;
    loop {
        let piece = from.staged_blob(hash, start..start + BLOB_CHUNK_BYTES as u64).await.map_err(gone)?;
        if piece.is_empty() {
            break;
        }
        start += piece.len() as u64;
        upload.write(piece).await?;
    }
    let (staged, _) = upload.finish().await?;
    if staged != hash {
        return Err(AccountError::Unavailable(format!("blob {hash} came with other bytes than its name says")));
    }
    Ok(())
}
