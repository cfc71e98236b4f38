//! Bodies of messages on their way into an account.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use sterna_account::{Account, AccountError, Content, FlagSet, NewItem, StoreError};
use sterna_base::Timestamp;
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_formats::mail::Scanner;

/// A message as it came.
#[derive(Debug)]
pub enum Body {
    /// A short one.
    Memory(Bytes),
    /// A long one, in a temporary file, and its length in bytes.
    File(File, u64),
}

impl Body {
    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Body::Memory(bytes) => bytes.len() as u64,
            Body::File(_, size) => *size,
        }
    }
}

/// A message ready to be committed: long ones are in the account then, durably.
///
/// # Errors
/// When the account can't take it, or the temporary file can't be read.
pub async fn item(
    account: &dyn Account,
    body: Body,
    flags: FlagSet,
    internal_date: Option<Timestamp>,
) -> Result<NewItem, AccountError> {
    let mut scanner = Scanner::new();
    let content = match body {
        Body::Memory(bytes) => {
            scanner.push(&bytes);
            Content::Inline(bytes)
        }
        Body::File(mut file, _) => {
            let mut upload = account.stage_blob().await?;
            let unreadable = |error: std::io::Error| AccountError::Store(StoreError::Io(error.to_string()));
            file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
            loop {
                let read = tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; BLOB_CHUNK_BYTES];
                    let length = file.read(&mut piece)?;
                    piece.truncate(length);
                    Ok((file, Bytes::from(piece)))
                });
                let joined = read.await.map_err(|error| AccountError::Store(StoreError::Io(error.to_string())))?;
                let piece = joined.map_err(unreadable)?;
                file = piece.0;
                if piece.1.is_empty() {
                    break;
                }
                scanner.push(&piece.1);
                upload.write(piece.1).await?;
            }
            Content::Stored(upload.finish().await?.0)
        }
    };
    let summary = Some(Bytes::from(scanner.finish().encode()));
    Ok(NewItem { content, summary, internal_date, flags, name: None, object_uid: None })
}
