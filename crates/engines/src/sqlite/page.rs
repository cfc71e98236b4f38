//! Reading for another copy: pages, and the blobs that go with them.

use std::collections::BTreeSet;

use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use sterna_account::follow::{ContainerPage, CopiedBlob, KeptAnswer, Page, Progress, rows_within_bytes, within_bytes};
use sterna_account::{Change, Container, Content, Cursor, Read, StoreError};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp, Uid, UidValidity};

use super::error::store_error;
use super::read::{Reader, sql_limit};
use super::rows::{self, sql};
use crate::settle::Equality;

impl Reader {
    /// See [`Read::page`]; inside a transaction.
    pub fn page_now(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Result<Page, StoreError> {
        let (head, numbers) = self.head_row()?;
        let changes = self.changes_now(after.rows, rows_max)?;
        let mut rows = changes.rows;
        let fits = rows_within_bytes(&rows);
        let reaches_head = changes.next.is_none() && fits == rows.len();
        rows.truncate(fits);
        let containers = self.containers_of(&rows)?;
        let answers = self.answers(after.answers, answers_max)?;
        let last_answer = answers.last().map_or(after.answers, |answer| answer.number);
        let is_last = reaches_head && !self.has_answers_after(last_answer)?;
        Ok(Page {
            after: *after,
            rows,
            containers,
            answers,
            next_container: ContainerId(numbers.next_container),
            last_uid_validity: UidValidity(u32::try_from(numbers.last_uid_validity).unwrap_or(u32::MAX)),
            last_answer: numbers.operations,
            head,
            forks: self.forks_now()?,
            is_last,
        })
    }

    /// The live containers of these rows, by id.
    fn containers_of(&self, rows: &[Change]) -> Result<Vec<Container>, StoreError> {
        let ids: BTreeSet<ContainerId> = rows.iter().map(|row| row.cursor().container).collect();
        let found = ids.into_iter().map(|id| self.container(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    fn answers(&self, after: u64, answers_max: usize) -> Result<Vec<KeptAnswer>, StoreError> {
        let statement = "SELECT number, operation, done_at, answer FROM operation WHERE account = ?1 AND number > ?2 \
             ORDER BY number LIMIT ?3";
        let found = self.list(statement, params![self.id(), sql(after), sql_limit(answers_max)], |row| {
            let (number, operation): (i64, [u8; 16]) = (row.get(0)?, row.get(1)?);
            Ok((number.cast_unsigned(), OperationId(operation), Timestamp(row.get(2)?), row.get::<_, Vec<u8>>(3)?))
        })?;
        let fits = within_bytes(found.iter().map(|(.., bytes)| bytes.len() as u64));
        let kept = found.into_iter().take(fits).map(|(number, operation, done_at, bytes)| {
            let answer = postcard::from_bytes(&bytes);
            let answer = answer.map_err(|_| StoreError::Corrupt(format!("the answer of operation {number}")))?;
            Ok(KeptAnswer { number, operation, done_at, answer })
        });
        kept.collect()
    }

    fn has_answers_after(&self, number: u64) -> Result<bool, StoreError> {
        let statement = "SELECT 1 FROM operation WHERE account = ?1 AND number > ?2 LIMIT 1";
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        statement.exists(params![self.id(), sql(number)]).map_err(store_error)
    }

    /// See [`Read::container_page`]; inside a transaction.
    pub fn container_page_now(
        &self,
        id: ContainerId,
        after: Uid,
        rows_max: usize,
    ) -> Result<ContainerPage, StoreError> {
        let own = match self.container(id)? {
            Some(container) => Some(Change::Container(container)),
            None => self.deleted(id)?.map(|modseq| Change::ContainerDeleted { id, modseq }),
        };
        let one_more = sql_limit(rows_max).saturating_add(1);
        let at = params![self.id(), sql(id.0), after.0, one_more];
        let items = format!(
            "SELECT {} FROM item i JOIN blob b ON b.account = i.account AND b.blob = i.blob \
             WHERE i.account = ?1 AND i.container = ?2 AND i.uid > ?3 ORDER BY i.uid LIMIT ?4",
            rows::ITEM
        );
        let mut found = self.list(&items, at, |row| rows::item(row).map(|(item, _)| Change::Item(item)))?;
        let tombstones = Read::expunged(self, id, Modseq::ZERO, after, rows_max.saturating_add(1))?;
        found.extend(tombstones.into_iter().map(Change::Expunged));
        found.sort_unstable_by_key(|row| row.cursor().uid);
        let fits = rows_within_bytes(&found).min(rows_max.max(1));
        let more = found.len() > fits;
        found.truncate(fits);
        let next = found.last().filter(|_| more).map(|row| row.cursor().uid);
        Ok(ContainerPage { id, own, rows: found, next })
    }

    /// The modseq at which a container was deleted, if it was.
    pub fn deleted(&self, id: ContainerId) -> Result<Option<Modseq>, StoreError> {
        let statement = "SELECT modseq FROM container_deleted WHERE account = ?1 AND container = ?2";
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        let found = statement.query_row(params![self.id(), sql(id.0)], |row| row.get::<_, i64>(0)).optional();
        Ok(found.map_err(store_error)?.map(|modseq| Modseq(modseq.cast_unsigned())))
    }

    /// How far this copy is, and whether it is equal to what it follows; inside a transaction. Without a row of its own
    /// it was active: it got to its own head.
    pub fn progress_now(&self) -> Result<(Progress, Equality), StoreError> {
        let statement = "SELECT modseq, container, uid, answers, is_equal FROM progress WHERE account = ?1";
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        let found = statement.query_row([self.id()], rows::progress).optional().map_err(store_error)?;
        if let Some(found) = found {
            return Ok(found);
        }
        let (head, numbers) = self.head_row()?;
        Ok((Progress { rows: Cursor::since(head.modseq), answers: numbers.operations }, Equality::Now))
    }

    /// See [`Read::copied_blobs`]; inside a transaction.
    pub fn copied_blobs_now(&self, hashes: &[BlobHash], bytes_max: u64) -> Result<Vec<CopiedBlob>, StoreError> {
        let statement = "SELECT blob, size, in_file, summary FROM blob WHERE account = ?1 AND hash = ?2";
        let (mut blobs, mut bytes) = (Vec::new(), 0);
        for &hash in hashes {
            let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
            let found = statement.query_row(params![self.id(), hash.0.as_slice()], |row| {
                let summary: Option<Vec<u8>> = row.get(3)?;
                let (blob, size, in_file): (i64, i64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((blob, size.cast_unsigned(), in_file, summary.map(Bytes::from)))
            });
            let Some((blob, size, in_file, summary)) = found.optional().map_err(store_error)? else { continue };
            let is_long = size > INLINE_BLOB_BYTES_MAX as u64;
            bytes += if is_long { 0 } else { size } + summary.as_ref().map_or(0, |summary| summary.len() as u64);
            if !blobs.is_empty() && bytes > bytes_max {
                break;
            }
            let content = match self.content_of(hash, blob, size, in_file) {
                Ok(_) if is_long => Content::Stored(hash),
                Ok(bytes) => Content::Inline(bytes),
                Err(StoreError::NoSuchBlob(_)) => continue,
                Err(error) => return Err(error),
            };
            blobs.push(CopiedBlob { hash, size, summary, content });
        }
        Ok(blobs)
    }

    /// The bytes of a blob that is not long; nothing of a long one that is there.
    fn content_of(&self, hash: BlobHash, blob: i64, size: u64, in_file: bool) -> Result<Bytes, StoreError> {
        let length = if size > INLINE_BLOB_BYTES_MAX as u64 { 0 } else { size };
        if in_file {
            return self.file_range(hash, 0..length);
        }
        let inside = self.bytes("SELECT data FROM blob_data WHERE account = ?1 AND blob = ?2", blob)?;
        inside.ok_or(StoreError::NoSuchBlob(hash))
    }

    /// See [`Read::lacking`]; inside a transaction.
    pub fn lacking_now(&self, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError> {
        let mut lacking = Vec::new();
        for &hash in hashes {
            if self.blob_number(hash)?.is_none() {
                lacking.push(hash);
            }
        }
        Ok(lacking)
    }

    /// The number of a blob that rows refer to.
    pub fn blob_number(&self, hash: BlobHash) -> Result<Option<i64>, StoreError> {
        let statement = "SELECT blob FROM blob WHERE account = ?1 AND hash = ?2";
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        statement.query_row(params![self.id(), hash.0.as_slice()], |row| row.get(0)).optional().map_err(store_error)
    }
}
