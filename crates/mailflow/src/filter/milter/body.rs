//! A body that a milter puts in the place of another, while it comes.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::service::{MessageBody, SpoolFile};
use sterna_base::OperationId;
use sterna_base::limits::{INLINE_BLOB_BYTES_MAX, MESSAGE_BYTES_MAX};

/// In memory while it is small, then in a file.
pub struct NewBody {
    folder: PathBuf,
    memory: Vec<u8>,
    file: Option<(std::fs::File, Arc<SpoolFile>)>,
    size: u64,
}

impl NewBody {
    /// None yet.
    pub fn new(folder: &Path) -> Self {
        NewBody { folder: folder.to_owned(), memory: Vec::new(), file: None, size: 0 }
    }

    /// The next piece.
    ///
    /// # Errors
    /// When it can't be written, or is longer than messages can be.
    pub async fn push(mut self, piece: &Bytes) -> io::Result<Self> {
        self.size += piece.len() as u64;
        if self.size > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("a new body that is longer than messages can be"));
        }
        self.memory.extend_from_slice(piece);
        if self.memory.len() <= INLINE_BLOB_BYTES_MAX {
            return Ok(self);
        }
        tokio::task::spawn_blocking(move || self.spill()).await.map_err(io::Error::other)?
    }

    fn spill(mut self) -> io::Result<Self> {
        let (mut file, spooled) = match self.file.take() {
            Some(file) => file,
            None => {
                let path = self.folder.join(format!("{}.eml", OperationId::random()));
                let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                (file, Arc::new(SpoolFile { path, is_temporary: true }))
            }
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        self.file = Some((file, spooled));
        Ok(self)
    }

    /// The body and its length.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn finish(self) -> io::Result<(MessageBody, u64)> {
        if self.file.is_none() {
            return Ok((MessageBody::Inline(self.memory.into()), self.size));
        }
        let spilled = tokio::task::spawn_blocking(move || self.spill()).await.map_err(io::Error::other)??;
        let size = spilled.size;
        let spooled = spilled.file.map(|(_, spooled)| spooled).ok_or(io::ErrorKind::NotFound)?;
        Ok((MessageBody::Spooled(spooled), size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_ones_go_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for pieces in [0, 1, 3, 40] {
            let mut body = NewBody::new(folder.path());
            let piece = Bytes::from(vec![b'x'; 60_000]);
            for _ in 0..pieces {
                body = body.push(&piece).await.unwrap();
            }
            let (body, size) = body.finish().await.unwrap();
            let bytes = match &body {
                MessageBody::Inline(bytes) => bytes.to_vec(),
                MessageBody::Spooled(spooled) => std::fs::read(&spooled.path).unwrap(),
            };
            assert_eq!((bytes.len() as u64, size), (pieces * 60_000, pieces * 60_000));
            assert_eq!(matches!(body, MessageBody::Spooled(_)), pieces > 2);
        }
    }
}
