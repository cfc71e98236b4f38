//! Reading: every method is one statement or a few, over a connection of its own.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use sterna_account::follow::{ContainerPage, CopiedBlob, Page, Progress};
use sterna_account::fork::Fork;
use sterna_account::{
    Change, Changes, Container, ContainerKind, Cursor, Digest, Expunged, Head, Item, ItemFlags, ItemParts, Read,
    SUMMARY_START_BYTES, StoreError, UidSet,
};
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, Uid};

use super::blob_files::BlobFiles;
use super::error::{file_error, store_error};
use super::rows::{self, Numbers, sql};

/// A reader of one account.
pub struct Reader {
    pub conn: Connection,
    pub account: AccountId,
    pub files: Arc<BlobFiles>,
}

impl Reader {
    pub fn id(&self) -> i64 {
        sql(self.account.0)
    }

    /// Runs a statement and maps its rows.
    pub fn list<T>(
        &self,
        statement: &str,
        values: impl rusqlite::Params,
        map: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        let rows = statement.query_map(values, map).map_err(store_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(store_error)
    }

    /// The account's row.
    pub fn head_row(&self) -> Result<(Head, Numbers), StoreError> {
        let statement = format!("SELECT {} FROM account WHERE account = ?1", rows::ACCOUNT);
        let mut statement = self.conn.prepare_cached(&statement).map_err(store_error)?;
        let found = statement.query_row([self.id()], rows::head).optional().map_err(store_error)?;
        found.ok_or(StoreError::NoSuchAccount(self.account))
    }

    /// What the account's digest must be by the rows of its containers and their tombstones.
    pub fn digest_of_containers(&self) -> Result<Digest, StoreError> {
        let mut digest = Digest::default();
        for container in self.containers()? {
            digest.add(Digest::of_container(&container));
        }
        let deleted = "SELECT container, modseq FROM container_deleted WHERE account = ?1";
        let rows = self.list(deleted, [self.id()], |row| {
            let (id, modseq): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Digest::of_deleted_container(ContainerId(id.cast_unsigned()), Modseq(modseq.cast_unsigned())))
        })?;
        rows.into_iter().for_each(|row| digest.add(row));
        Ok(digest)
    }

    /// SQLite's own check of the file; empty when all is well.
    pub fn check_files(&self) -> Result<Vec<String>, StoreError> {
        let lines = self.list("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    fn must_live(&self, container: ContainerId) -> Result<(), StoreError> {
        self.container(container)?.map(drop).ok_or(StoreError::NoSuchContainer(container))
    }

    /// Asks several questions of one committed state.
    pub fn snapshot<T>(&self, ask: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        // The writing connection asks inside its own transaction, too.
        if !self.conn.is_autocommit() {
            return ask();
        }
        let transaction = self.conn.unchecked_transaction().map_err(store_error)?;
        let answer = ask()?;
        transaction.finish().map_err(store_error)?;
        Ok(answer)
    }

    /// Live items that satisfy a condition, with the parts that were asked for. The summary comes with the row: both
    /// tables are read in their own order then.
    fn list_items(
        &self,
        condition: &str,
        values: impl rusqlite::Params,
        parts: ItemParts,
    ) -> Result<Vec<Item>, StoreError> {
        let summary = match parts {
            ItemParts { summary: true, .. } => ", b.summary".to_owned(),
            ItemParts { summary_start: true, .. } => format!(", substr(b.summary, 1, {SUMMARY_START_BYTES})"),
            _ => String::new(),
        };
        let statement = format!(
            "SELECT {}{summary} FROM item i JOIN blob b ON b.account = i.account AND b.blob = i.blob WHERE {condition}",
            rows::ITEM
        );
        let found = self.list(&statement, values, |row| {
            let (mut item, blob) = rows::item(row)?;
            if !summary.is_empty() {
                item.summary = row.get::<_, Option<Vec<u8>>>(rows::ITEM_COLUMNS)?.map(Bytes::from);
            }
            Ok((item, blob))
        })?;
        found.into_iter().map(|row| self.fill_body(row, parts)).collect()
    }

    fn fill_body(&self, (mut item, blob): (Item, i64), parts: ItemParts) -> Result<Item, StoreError> {
        if parts.body && item.size <= INLINE_BLOB_BYTES_MAX as u64 {
            let inside = self.bytes("SELECT data FROM blob_data WHERE account = ?1 AND blob = ?2", blob)?;
            item.body = match inside {
                Some(bytes) => Some(bytes),
                None => Some(self.file_range(item.blob, 0..item.size)?),
            };
        }
        Ok(item)
    }

    /// See [`Read::container_changes`]; inside a transaction.
    fn container_changes_now(&self, id: ContainerId, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        self.must_live(id)?;
        let head = self.head()?.modseq;
        let one_more = sql_limit(limit).saturating_add(1);
        // A cursor in another container stands before or after all rows of this one with its modseq.
        let uid = match after.container.cmp(&id) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => i64::from(after.uid.0),
            std::cmp::Ordering::Greater => i64::from(u32::MAX),
        };
        let at = params![self.id(), sql(id.0), sql_bound(after.modseq.0), uid, one_more];
        let items = format!(
            "SELECT {} FROM item i JOIN blob b ON b.account = i.account AND b.blob = i.blob WHERE i.account = ?1 \
             AND i.container = ?2 AND i.name IS NOT NULL AND (i.modseq, i.uid) > (?3, ?4) \
             ORDER BY i.modseq, i.uid LIMIT ?5",
            rows::ITEM
        );
        let mut found = self.list(&items, at, |row| rows::item(row).map(|(item, _)| Change::Item(item)))?;
        let expunged = format!(
            "SELECT {} FROM expunged e LEFT JOIN blob b ON b.account = e.account AND b.blob = e.blob \
             WHERE e.account = ?1 AND e.container = ?2 AND (e.modseq, e.uid) > (?3, ?4) \
             AND (e.name IS NOT NULL OR e.blob IS NULL) ORDER BY e.modseq, e.uid LIMIT ?5",
            rows::EXPUNGED
        );
        found.extend(self.list(&expunged, at, |row| rows::expunged(row).map(Change::Expunged))?);
        found.sort_unstable_by_key(Change::cursor);
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| is_more).map(Change::cursor);
        Ok(Changes { rows: found, head, next })
    }

    /// See [`Read::changes`]; inside a transaction.
    pub fn changes_now(&self, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        let head = self.head()?.modseq;
        let one_more = sql_limit(limit).saturating_add(1);
        let (modseq, container) = (sql_bound(after.modseq.0), sql_bound(after.container.0));
        let at = params![self.id(), modseq, container, after.uid.0, one_more];
        let own = params![self.id(), modseq, container, one_more];
        let containers = format!(
            "SELECT {} FROM container WHERE account = ?1 AND (modseq > ?2 OR (modseq = ?2 AND container > ?3)) \
             ORDER BY modseq, container LIMIT ?4",
            rows::CONTAINER
        );
        let mut found = self.list(&containers, own, |row| rows::container(row).map(Change::Container))?;
        let deleted = "SELECT container, modseq FROM container_deleted WHERE account = ?1 AND \
             (modseq > ?2 OR (modseq = ?2 AND container > ?3)) ORDER BY modseq, container LIMIT ?4";
        found.extend(self.list(deleted, own, |row| {
            let (id, modseq): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (id, modseq) = (ContainerId(id.cast_unsigned()), Modseq(modseq.cast_unsigned()));
            Ok(Change::ContainerDeleted { id, modseq })
        })?);
        let items = format!(
            "SELECT {} FROM item i JOIN blob b ON b.account = i.account AND b.blob = i.blob \
             WHERE i.account = ?1 AND (i.modseq, i.container, i.uid) > (?2, ?3, ?4) \
             ORDER BY i.modseq, i.container, i.uid LIMIT ?5",
            rows::ITEM
        );
        found.extend(self.list(&items, at, |row| rows::item(row).map(|(item, _)| Change::Item(item)))?);
        let tombstones = format!(
            "SELECT {} FROM expunged e LEFT JOIN blob b ON b.account = e.account AND b.blob = e.blob \
             WHERE e.account = ?1 AND (e.modseq, e.container, e.uid) > (?2, ?3, ?4) \
             ORDER BY e.modseq, e.container, e.uid LIMIT ?5",
            rows::EXPUNGED
        );
        found.extend(self.list(&tombstones, at, |row| rows::expunged(row).map(Change::Expunged))?);
        found.sort_unstable_by_key(Change::cursor);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(Change::cursor);
        Ok(Changes { rows: found, head, next })
    }

    pub fn bytes(&self, statement: &str, blob: i64) -> Result<Option<Bytes>, StoreError> {
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        let found = statement.query_row(params![self.id(), blob], |row| row.get::<_, Option<Vec<u8>>>(0));
        Ok(found.optional().map_err(store_error)?.flatten().map(Bytes::from))
    }

    pub fn file_range(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, StoreError> {
        let file = File::open(self.files.path(hash)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::NoSuchBlob(hash),
            _ => file_error(&error),
        })?;
        let length = file.metadata().map_err(|error| file_error(&error))?.len();
        let (start, end) = cut(range, length);
        let mut bytes = vec![0; (end - start) as usize];
        file.read_exact_at(&mut bytes, start).map_err(|error| file_error(&error))?;
        Ok(bytes.into())
    }
}

/// A limit in SQL; `usize::MAX` is none.
pub fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A number that rows are compared with. Askers may name more than any row holds: [`Cursor::since`] names the largest
/// container there could be.
fn sql_bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The range within the blob, at most one chunk.
fn cut(range: Range<u64>, length: u64) -> (u64, u64) {
    let start = range.start.min(length);
    let end = range.end.min(length).max(start);
    (start, end.min(start + BLOB_CHUNK_BYTES as u64))
}

impl Read for Reader {
    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.head_row()?.0)
    }

    fn containers(&self) -> Result<Vec<Container>, StoreError> {
        let statement = format!("SELECT {} FROM container WHERE account = ?1 ORDER BY container", rows::CONTAINER);
        self.list(&statement, [self.id()], rows::container)
    }

    fn container(&self, id: ContainerId) -> Result<Option<Container>, StoreError> {
        let statement = format!("SELECT {} FROM container WHERE account = ?1 AND container = ?2", rows::CONTAINER);
        let mut statement = self.conn.prepare_cached(&statement).map_err(store_error)?;
        statement.query_row(params![self.id(), sql(id.0)], rows::container).optional().map_err(store_error)
    }

    fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, StoreError> {
        let statement = format!(
            "SELECT {} FROM container WHERE account = ?1 AND parent = ?2 AND kind = ?3 AND name = ?4",
            rows::CONTAINER
        );
        self.snapshot(|| {
            let mut found: Vec<Container> = Vec::new();
            for name in path {
                let parent = sql(found.last().map_or(0, |parent| parent.id.0));
                let mut statement = self.conn.prepare_cached(&statement).map_err(store_error)?;
                let values = params![self.id(), parent, kind as u8, name];
                match statement.query_row(values, rows::container).optional().map_err(store_error)? {
                    Some(container) => found.push(container),
                    None => break,
                }
            }
            Ok(found)
        })
    }

    fn item_flags(&self, container: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, StoreError> {
        let statement = format!(
            "SELECT {} FROM item WHERE account = ?1 AND container = ?2 AND uid > ?3 ORDER BY uid LIMIT ?4",
            rows::ITEM_FLAGS
        );
        let values = params![self.id(), sql(container.0), after.0, sql_limit(limit)];
        self.snapshot(|| {
            self.must_live(container)?;
            self.list(&statement, values, rows::item_flags)
        })
    }

    fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let condition = "i.account = ?1 AND i.container = ?2 AND i.uid BETWEEN ?3 AND ?4 ORDER BY i.uid LIMIT ?5";
        self.snapshot(|| {
            self.must_live(container)?;
            let mut items = Vec::new();
            for &(low, high) in uids.ranges() {
                let room = limit - items.len();
                if room == 0 {
                    break;
                }
                let values = params![self.id(), sql(container.0), low.0, high.0, sql_limit(room)];
                items.extend(self.list_items(condition, values, parts)?);
            }
            Ok(items)
        })
    }

    fn item_named(&self, container: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
        let condition = "i.account = ?1 AND i.container = ?2 AND i.name = ?3";
        self.snapshot(|| {
            self.must_live(container)?;
            let found = self.list_items(condition, params![self.id(), sql(container.0), name], parts)?;
            Ok(found.into_iter().next())
        })
    }

    fn object(&self, container: ContainerId, object_uid: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
        let condition = "i.account = ?1 AND i.container = ?2 AND i.object_uid = ?3";
        self.snapshot(|| {
            self.must_live(container)?;
            let found = self.list_items(condition, params![self.id(), sql(container.0), object_uid], parts)?;
            Ok(found.into_iter().next())
        })
    }

    fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, StoreError> {
        let statement = format!(
            "SELECT {} FROM expunged e LEFT JOIN blob b ON b.account = e.account AND b.blob = e.blob \
             WHERE e.account = ?1 AND e.container = ?2 AND e.uid > ?3 AND e.modseq > ?4 ORDER BY e.uid LIMIT ?5",
            rows::EXPUNGED
        );
        let values = params![self.id(), sql(container.0), after.0, sql_bound(since.0), sql_limit(limit)];
        self.list(&statement, values, rows::expunged)
    }

    fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        // In one state, as there are four tables.
        self.snapshot(|| self.changes_now(after, limit))
    }

    fn container_changes(&self, container: ContainerId, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        self.snapshot(|| self.container_changes_now(container, after, limit))
    }

    fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, StoreError> {
        let statement = "SELECT b.in_file, b.size, b.blob FROM blob b WHERE b.account = ?1 AND b.hash = ?2";
        let found = self.list(statement, params![self.id(), hash.0.as_slice()], |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        let Some((false, size, blob)) = found.first().copied() else { return self.file_range(hash, range) };
        let (start, end) = cut(range, size.cast_unsigned());
        let statement = "SELECT substr(data, ?3, ?4) FROM blob_data WHERE account = ?1 AND blob = ?2";
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        let values = params![self.id(), blob, sql(start) + 1, sql(end - start)];
        // It may have been purged since the question before.
        let found: Option<Vec<u8>> = statement.query_row(values, |row| row.get(0)).optional().map_err(store_error)?;
        found.map(Bytes::from).ok_or(StoreError::NoSuchBlob(hash))
    }

    fn blobs(&self, after: Option<BlobHash>, limit: usize) -> Result<Vec<(BlobHash, u64, u64)>, StoreError> {
        let statement = "SELECT hash, size, refs FROM blob WHERE account = ?1 AND hash > ?2 ORDER BY hash LIMIT ?3";
        let after = after.map_or_else(Vec::new, |hash| hash.0.to_vec());
        self.list(statement, params![self.id(), after, sql_limit(limit)], |row| {
            let (size, refs): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok((rows::hash(row, 0)?, size.cast_unsigned(), refs.cast_unsigned()))
        })
    }

    fn page(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Result<Page, StoreError> {
        self.snapshot(|| self.page_now(after, rows_max, answers_max))
    }

    fn container_page(&self, id: ContainerId, after: Uid, rows_max: usize) -> Result<ContainerPage, StoreError> {
        self.snapshot(|| self.container_page_now(id, after, rows_max))
    }

    fn forks(&self) -> Result<Vec<Fork>, StoreError> {
        self.snapshot(|| self.forks_now())
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        self.snapshot(|| Ok(self.progress_now()?.0))
    }

    fn copied_blobs(&self, hashes: &[BlobHash], bytes_max: u64) -> Result<Vec<CopiedBlob>, StoreError> {
        self.snapshot(|| self.copied_blobs_now(hashes, bytes_max))
    }

    fn lacking(&self, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError> {
        self.snapshot(|| self.lacking_now(hashes))
    }
}
