//! Notes that an import keeps in the account: short ones within a commit, long ones beside it.

use bytes::Bytes;
use sterna_account::{Account, AccountError, Content, Item};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;

/// A content as a commit takes it.
///
/// # Errors
/// When the account can't be written; the same holds for reading.
pub async fn stored(account: &dyn Account, bytes: Bytes) -> Result<Content, AccountError> {
    if bytes.len() <= INLINE_BLOB_BYTES_MAX {
        return Ok(Content::Inline(bytes));
    }
    let mut upload = account.stage_blob().await?;
    upload.write(bytes).await?;
    Ok(Content::Stored(upload.finish().await?.0))
}

/// All of the content of an item that was asked for with its body.
///
/// # Errors
/// When the account can't be read.
pub async fn of(account: &dyn Account, item: &Item) -> Result<Bytes, AccountError> {
    if let Some(body) = &item.body {
        return Ok(body.clone());
    }
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < item.size {
        let piece = account.blob(item.blob, bytes.len() as u64..item.size).await?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}
