//! Contents: blobs, their references, and where their bytes are.

use bytes::Bytes;
use rusqlite::params;
use sterna_account::{CommitError, Content, NewItem};
use sterna_base::BlobHash;
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;

use super::error::store_error;
use super::rows::{hash, sql};
use super::transaction::Transaction;

impl Transaction<'_> {
    /// The blob of a new item: found, taken in, or adopted from its file. Its references are counted by whoever writes
    /// the row that refers to it.
    pub fn content(&mut self, new: &NewItem) -> Result<(i64, BlobHash, u64), CommitError> {
        match &new.content {
            Content::Inline(bytes) if bytes.len() > INLINE_BLOB_BYTES_MAX => {
                Err(CommitError::Invalid(format!("an inline content of more than {INLINE_BLOB_BYTES_MAX} bytes")))
            }
            Content::Inline(bytes) => {
                let hash = BlobHash::of(bytes);
                if let Some((blob, size)) = self.find(hash, new.summary.as_ref())? {
                    return Ok((blob, hash, size));
                }
                let size = bytes.len() as u64;
                Ok((self.add_inline(hash, bytes, new.summary.as_ref())?, hash, size))
            }
            Content::Stored(hash) => {
                if let Some((blob, size)) = self.find(*hash, new.summary.as_ref())? {
                    return Ok((blob, *hash, size));
                }
                let size = self.files().size(*hash)?.ok_or(CommitError::NoSuchBlob(*hash))?;
                Ok((self.add_blob(*hash, size, true, new.summary.as_ref())?, *hash, size))
            }
        }
    }

    /// A blob that is there, with its size. A summary that it lacks is added.
    fn find(&self, hash: BlobHash, summary: Option<&Bytes>) -> Result<Option<(i64, u64)>, CommitError> {
        let statement = "SELECT blob, size, summary IS NULL FROM blob WHERE account = ?1 AND hash = ?2";
        let mut statement = self.conn().prepare_cached(statement).map_err(store_error)?;
        let values = params![self.id(), hash.0.as_slice()];
        let mut rows = statement.query(values).map_err(store_error)?;
        let Some(row) = rows.next().map_err(store_error)? else { return Ok(None) };
        let read = || Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?));
        let (blob, size, bare) = read().map_err(store_error)?;
        drop(rows);
        if let Some(summary) = summary.filter(|_| bare) {
            let statement = "UPDATE blob SET summary = ?3 WHERE account = ?1 AND blob = ?2";
            self.reader.execute(statement, params![self.id(), blob, summary.as_ref()])?;
        }
        Ok(Some((blob, size.cast_unsigned())))
    }

    /// Takes a content into the account's file.
    pub fn add_inline(&mut self, hash: BlobHash, bytes: &Bytes, summary: Option<&Bytes>) -> Result<i64, CommitError> {
        let blob = self.add_blob(hash, bytes.len() as u64, false, summary)?;
        let statement = "INSERT INTO blob_data (account, blob, data) VALUES (?1, ?2, ?3)";
        self.reader.execute(statement, params![self.id(), blob, bytes.as_ref()])?;
        Ok(blob)
    }

    pub fn add_blob(
        &mut self,
        hash: BlobHash,
        size: u64,
        in_file: bool,
        summary: Option<&Bytes>,
    ) -> Result<i64, CommitError> {
        let blob = sql(self.numbers.next_blob);
        self.numbers.next_blob += 1;
        let statement = "INSERT INTO blob (account, blob, hash, size, refs, in_file, summary) \
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)";
        let summary = summary.map(|summary| summary.as_ref());
        let values = params![self.id(), blob, hash.0.as_slice(), sql(size), in_file, summary];
        self.reader.execute(statement, values)?;
        Ok(blob)
    }

    /// Counts references to a blob; one that loses its last goes.
    pub fn refer(&mut self, blob: i64, by: i64) -> Result<(), CommitError> {
        let statement = "UPDATE blob SET refs = refs + ?3 WHERE account = ?1 AND blob = ?2";
        self.reader.execute(statement, params![self.id(), blob, by])?;
        if by < 0 {
            self.unreferenced.extend(drop_unreferenced(self.reader, blob)?);
        }
        Ok(())
    }
}

/// Deletes a blob's rows if nothing refers to it; the hash if it has a file to be removed after the flush.
pub fn drop_unreferenced(reader: &super::read::Reader, blob: i64) -> Result<Option<BlobHash>, CommitError> {
    let account = sql(reader.account.0);
    let statement = "DELETE FROM blob WHERE account = ?1 AND blob = ?2 AND refs = 0 RETURNING in_file, hash";
    let mut statement = reader.conn.prepare_cached(statement).map_err(store_error)?;
    let mut rows = statement.query(params![account, blob]).map_err(store_error)?;
    let Some(row) = rows.next().map_err(store_error)? else { return Ok(None) };
    let (in_file, hash) = (row.get::<_, bool>(0).map_err(store_error)?, hash(row, 1).map_err(store_error)?);
    while rows.next().map_err(store_error)?.is_some() {}
    drop(rows);
    if in_file {
        return Ok(Some(hash));
    }
    reader.execute("DELETE FROM blob_data WHERE account = ?1 AND blob = ?2", params![account, blob])?;
    Ok(None)
}
