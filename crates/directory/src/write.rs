//! Writing: one transaction, one modseq, rows and indexes and digest together.

use rusqlite::{Connection, params};
use sterna_account::Digest;
use sterna_base::{InstallationId, Modseq, Timestamp};

use crate::StorageError;
use crate::index::{self, number};
use crate::model::Counter;
use crate::read::Reader;
use crate::row::{Change, Content, Cursor, RowKind};

/// An open transaction of the main node. Every row written takes the same modseq; a transaction that writes nothing
/// takes none.
pub(crate) struct Write<'c> {
    pub(crate) reader: Reader<'c>,
    /// The time of the request.
    pub(crate) now: Timestamp,
    /// Whether all of this will be rolled back.
    pub(crate) dry_run: bool,
    modseq: Modseq,
    digest: Digest,
    touched: bool,
}

impl<'c> Write<'c> {
    pub(crate) fn begin(conn: &'c Connection, now: Timestamp, dry_run: bool) -> Result<Self, StorageError> {
        let reader = Reader::new(conn);
        let head = reader.head()?;
        Ok(Write { reader, now, dry_run, modseq: head.modseq.next(), digest: head.digest, touched: false })
    }

    /// The directory's modseq before this transaction.
    pub(crate) fn before(&self) -> Modseq {
        Modseq(self.modseq.0 - 1)
    }

    /// Writes a row. One that is already so is left alone and keeps its modseq.
    pub(crate) fn put<T: Content>(&mut self, value: &T) -> Result<(), StorageError> {
        self.put_at(T::KIND, &value.key(), value)
    }

    /// Deletes a row; there being none is success.
    pub(crate) fn delete(&mut self, kind: RowKind, key: &str) -> Result<(), StorageError> {
        if self.reader.content(kind, key)?.is_none() {
            return Ok(());
        }
        self.store(kind, key, None)
    }

    /// Takes the next number of a counter.
    pub(crate) fn next_number(&mut self, counter: &str) -> Result<u64, StorageError> {
        let last = self.reader.counter(counter)? + 1;
        self.put_at(RowKind::Counter, counter, &Counter { last })?;
        Ok(last)
    }

    fn put_at<T: serde::Serialize>(&mut self, kind: RowKind, key: &str, value: &T) -> Result<(), StorageError> {
        let content = serde_json::to_string(value).map_err(|error| StorageError::Damaged(error.to_string()))?;
        if self.reader.content(kind, key)?.is_some_and(|(old, _)| old == content) {
            return Ok(());
        }
        self.store(kind, key, Some(content))
    }

    fn store(&mut self, kind: RowKind, key: &str, content: Option<String>) -> Result<(), StorageError> {
        let change = Change { kind: kind as u16, key: key.to_owned(), modseq: self.modseq, content };
        store(self.reader.conn, &mut self.digest, &change)?;
        self.touched = true;
        Ok(())
    }

    /// Writes the head; the caller commits. Gives the directory's modseq.
    pub(crate) fn finish(self) -> Result<Modseq, StorageError> {
        if !self.touched {
            return Ok(self.before());
        }
        let sql = "UPDATE dir_head SET modseq = $1, digest = $2 WHERE id = 1";
        self.reader.conn.prepare_cached(sql)?.execute(params![number(self.modseq.0), self.digest.to_string()])?;
        Ok(self.modseq)
    }
}

/// Puts a row in the place of the one with its kind and key, with indexes and digest. Used by main node and followers.
pub(crate) fn store(conn: &Connection, digest: &mut Digest, change: &Change) -> Result<(), StorageError> {
    use rusqlite::OptionalExtension;
    let sql = "SELECT modseq, content FROM dir_row WHERE kind = $1 AND row_key = $2";
    let old: Option<Change> = conn
        .prepare_cached(sql)?
        .query_row(params![change.kind, change.key], |row| {
            Ok(Change {
                kind: change.kind,
                key: change.key.clone(),
                modseq: Modseq(row.get::<_, i64>(0)?.unsigned_abs()),
                content: row.get(1)?,
            })
        })
        .optional()?;
    if let Some(old) = &old {
        digest.remove(old.digest());
    }
    digest.add(change.digest());
    let sql = "INSERT INTO dir_row (kind, row_key, modseq, content) VALUES ($1, $2, $3, $4)
        ON CONFLICT (kind, row_key) DO UPDATE SET modseq = excluded.modseq, content = excluded.content";
    conn.prepare_cached(sql)?.execute(params![change.kind, change.key, number(change.modseq.0), change.content])?;
    if let Some(kind) = RowKind::from_number(change.kind) {
        let before = old.as_ref().and_then(|old| old.content.as_deref());
        index::update(conn, kind, &change.key, before, change.content.as_deref())?;
    }
    Ok(())
}

/// The main node's directory becomes a copy that is complete up to here.
pub(crate) fn become_copy(conn: &Connection, modseq: Modseq) -> Result<(), StorageError> {
    let position = Cursor::since(modseq);
    let sql = "UPDATE dir_head SET is_copy = 1, position_modseq = $1, position_kind = $2, position_key = $3
        WHERE id = 1";
    conn.prepare_cached(sql)?.execute(params![number(position.modseq.0), position.kind, position.key])?;
    Ok(())
}

/// Records how far a follower is.
pub(crate) fn set_position(
    conn: &Connection,
    installation: InstallationId,
    modseq: Modseq,
    digest: Digest,
    position: &Cursor,
) -> Result<(), StorageError> {
    let sql = "UPDATE dir_head SET installation = $1, modseq = $2, digest = $3, is_copy = 1,
        position_modseq = $4, position_kind = $5, position_key = $6 WHERE id = 1";
    conn.prepare_cached(sql)?.execute(params![
        installation.to_string(),
        number(modseq.0),
        digest.to_string(),
        number(position.modseq.0),
        position.kind,
        position.key
    ])?;
    Ok(())
}
