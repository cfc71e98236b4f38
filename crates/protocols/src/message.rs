//! Bytes of stored messages, and what is known of them: for the sessions of IMAP and POP3.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use sterna_account::{Account, AccountError, Item, StoreError};
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_formats::mail::{Envelope, Scanner, Summary};

/// The envelope of the summary that was stored, or one made again from the message.
pub async fn envelope(account: &dyn Account, item: &Item) -> Result<Envelope, AccountError> {
    match item.summary.as_deref().map(Summary::decode_envelope) {
        Some(Ok(envelope)) => Ok(envelope),
        _ => Ok(summary(account, item).await?.envelope),
    }
}

/// The summary that was stored, or one made again from the message.
pub async fn summary(account: &dyn Account, item: &Item) -> Result<Summary, AccountError> {
    match item.summary.as_deref().map(Summary::decode) {
        Some(Ok(summary)) => Ok(summary),
        _ => scan(account, item).await,
    }
}

/// The summary made again from the message.
pub async fn scan(account: &dyn Account, item: &Item) -> Result<Summary, AccountError> {
    let mut scanner = Scanner::new();
    let mut offset = 0;
    while offset < item.size {
        let piece = read(account, item, offset..item.size).await?;
        offset += piece.len() as u64;
        scanner.push(&piece);
    }
    Ok(scanner.finish())
}

/// Some bytes of a message, at most one chunk; at least one of a range that is not empty.
pub async fn read(account: &dyn Account, item: &Item, range: Range<u64>) -> Result<Bytes, AccountError> {
    let end = range.end.min(range.start.saturating_add(BLOB_CHUNK_BYTES as u64));
    let piece = match &item.body {
        _ if range.is_empty() => Bytes::new(),
        // A stored summary that does not fit its message is an error to tell, not a slice to panic on.
        Some(body) if end > body.len() as u64 => Bytes::new(),
        Some(body) => body.slice(range.start as usize..end as usize),
        None => account.blob(item.blob, range.start..end).await?,
    };
    if piece.is_empty() && !range.is_empty() {
        return Err(AccountError::Store(StoreError::Corrupt(format!("blob {} is shorter than its item", item.blob))));
    }
    Ok(piece)
}

/// All bytes of a range that is known to be small.
pub async fn read_all(account: &dyn Account, item: &Item, range: Range<u64>) -> Result<BytesMut, AccountError> {
    let mut bytes = BytesMut::new();
    let mut offset = range.start;
    while offset < range.end {
        let piece = read(account, item, offset..range.end).await?;
        offset += piece.len() as u64;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
