//! Taking a large blob into an account of this node.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use sterna_base::BlobHash;
use sterna_base::limits::BLOB_CHUNK_BYTES;

use super::blocking;
use crate::account::{BlobUpload, unreadable};
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

    async fn finish_with_file(mut self: Box<Self>, path: PathBuf) -> Result<(BlobHash, u64), AccountError> {
        let mut writer = self.writer.take().ok_or_else(gone)?;
        let taken_in = tokio::task::spawn_blocking(move || {
            if !writer.link(&path)? {
                copy(&path, &mut *writer)?;
            }
            Ok(writer.finish()?)
        });
        taken_in.await.unwrap_or_else(|error| Err(unreadable(&io::Error::other(error))))
    }
}

fn copy(path: &Path, writer: &mut dyn BlobWriter) -> Result<(), AccountError> {
    let mut file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut chunk = vec![0; BLOB_CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => writer.write(&chunk[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
}
