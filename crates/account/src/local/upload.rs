//! Taking a large blob into an account of this node.

use async_trait::async_trait;
use bytes::Bytes;
use sterna_base::BlobHash;

use super::blocking;
use crate::account::BlobUpload;
use crate::store::BlobWriter;
use crate::{AccountError, StoreError};

/// Hands the pieces to the engine's writer on blocking threads. After an error the writer is gone, and with it what was
/// written.
pub struct Upload {
    writer: Option<Box<dyn BlobWriter>>,
}

impl Upload {
    /// Into this writer.
    pub fn new(writer: Box<dyn BlobWriter>) -> Self {
        Upload { writer: Some(writer) }
    }
}

fn gone() -> AccountError {
    AccountError::Store(StoreError::Stopped("an earlier piece of this blob could not be written".into()))
}

#[async_trait]
impl BlobUpload for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), AccountError> {
        let mut writer = self.writer.take().ok_or_else(gone)?;
        let written = blocking(move || {
            writer.write(&bytes)?;
            Ok(writer)
        });
        self.writer = Some(written.await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(BlobHash, u64), AccountError> {
        let writer = self.writer.take().ok_or_else(gone)?;
        Ok(blocking(move || writer.finish()).await?)
    }
}
