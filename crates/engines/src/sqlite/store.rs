//! The store of one account: the writing connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, params};
use sterna_account::commit::OPERATION_RETENTION_MS;
use sterna_account::follow::{Applied, ContainerPage, CopiedBlob, FollowError, Page, Progress};
use sterna_account::fork::Fork;
use sterna_account::store::BlobWriter;
use sterna_account::{
    Changes, Commit, CommitError, Committed, Container, ContainerKind, Content, Cursor, Expunged, Head, Item,
    ItemFlags, ItemParts, Mutation, Read, Role, Store, StoreError, UidSet,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid};

use super::blob_files::BlobFiles;
use super::connection::{self, Purpose};
use super::error::store_error;
use super::filling::Filling;
use super::read::Reader;
use super::rows::sql;
use super::{contents, follow, settle, transaction};
use crate::disk::Disk;
use crate::settle::Equality;

/// How old a blob that nothing refers to must be before it is taken for abandoned: one day.
const STAGED_KEPT_MS: i64 = 24 * 3600 * 1000;

/// One account's store.
pub struct SqliteStore {
    reader: Reader,
    path: PathBuf,
    disk: Arc<dyn Disk>,
    /// Pages in the log after which a checkpoint follows a commit.
    pages_per_checkpoint: i64,
    /// Pages in the log at which the next checkpoint is due.
    checkpoint_at: i64,
    /// Whether the page cache is large, because many pages of another copy come one after the other.
    has_large_cache: bool,
    /// While a first copy is filled.
    filling: Option<Filling>,
    /// Set by the first failure that leaves it unknown what reached the disk.
    stopped: Option<String>,
}

impl SqliteStore {
    /// Over an open connection.
    pub fn new(
        conn: Connection,
        account: AccountId,
        path: PathBuf,
        files: Arc<BlobFiles>,
        disk: Arc<dyn Disk>,
        pages_per_checkpoint: i64,
    ) -> Self {
        let reader = Reader { conn, account, files };
        SqliteStore {
            reader,
            path,
            disk,
            pages_per_checkpoint,
            checkpoint_at: pages_per_checkpoint,
            has_large_cache: false,
            filling: None,
            stopped: None,
        }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Goes on to fill a first copy of this epoch.
    pub fn resume_filling(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        self.filling = Some(Filling::resume(&self.reader.conn, epoch)?);
        Ok(())
    }

    /// Begins to fill a copy that was never equal. More than one page is to come: one is flushed as cheaply.
    fn begin_filling(&mut self) -> Result<(), StoreError> {
        if self.filling.is_some() || self.reader.progress_now()?.1 != Equality::Never {
            return Ok(());
        }
        let epoch = self.reader.head()?.epoch;
        let begun = Filling::begin(self.disk.as_ref(), &self.reader.conn, self.folder(), epoch);
        self.filling = Some(begun.inspect_err(|error| self.fail(error))?);
        Ok(())
    }

    /// Makes durable what was filled.
    fn end_filling(&mut self) -> Result<(), StoreError> {
        if self.filling.is_none() {
            return Ok(());
        }
        let ended = Filling::end(self.disk.as_ref(), &self.reader.conn, self.folder());
        match &ended {
            Ok(()) => self.filling = None,
            Err(error) => self.fail(error),
        }
        ended
    }

    /// The cheap part of a check, for stores that were not closed in peace: the account's row belongs to its
    /// containers.
    pub fn check_sums(&self) -> Result<(), StoreError> {
        let stored = self.reader.head()?.digest;
        if stored != self.reader.digest_of_containers()? {
            return Err(StoreError::Corrupt("the account's digest is not that of its containers".into()));
        }
        Ok(())
    }

    /// What follows a durable change: a checkpoint when the log is long. Its failure doesn't take back what was
    /// acknowledged, but the store takes nothing more.
    fn keep_log_short(&mut self) {
        let mut run = || {
            let pages = connection::log_pages(&self.reader.conn)?;
            if pages < self.checkpoint_at {
                // A log that began anew is due at the first mark again.
                let is_new = pages < self.checkpoint_at - self.pages_per_checkpoint;
                return Ok(if is_new { self.pages_per_checkpoint } else { self.checkpoint_at });
            }
            match &mut self.filling {
                Some(filling) => filling.checkpoint(&self.reader.conn, pages)?,
                None => connection::checkpoint(&self.reader.conn)?,
            }
            Ok(pages + self.pages_per_checkpoint)
        };
        match run() {
            Ok(due) => self.checkpoint_at = due,
            // The log stays, and is checkpointed when there is room.
            Err(StoreError::DiskFull(_)) => self.checkpoint_at += self.pages_per_checkpoint,
            Err(error) => self.stop(&error),
        }
    }

    fn stop(&mut self, error: &StoreError) {
        tracing::error!(account = %self.reader.account, %error, "the store takes no more changes until it is reopened");
        self.stopped = Some(error.to_string());
        if let Some(filling) = &self.filling {
            filling.give_up(self.disk.as_ref(), self.folder());
        }
    }

    fn check_running(&self) -> Result<(), StoreError> {
        self.stopped.as_ref().map_or(Ok(()), |cause| Err(StoreError::Stopped(cause.clone())))
    }

    fn sql(&self, statement: &str) -> Result<(), StoreError> {
        self.reader.conn.execute_batch(statement).map_err(store_error)
    }

    /// Runs a change in one transaction. A refusal is rolled back; a failure stops the store, too, unless the disk is
    /// just full.
    fn transact<T, E: Ending>(&mut self, change: impl FnOnce(&Reader) -> Result<T, E>) -> Result<T, E> {
        self.check_running()?;
        let run = || {
            self.sql("BEGIN IMMEDIATE")?;
            let result = change(&self.reader);
            if let Some(failure) = result.as_ref().err().and_then(Ending::failure) {
                return Err(failure.clone());
            }
            self.sql(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
            Ok(result)
        };
        match run() {
            Ok(result) => {
                self.keep_log_short();
                result
            }
            Err(failure) => {
                self.fail(&failure);
                Err(failure.into())
            }
        }
    }

    /// What becomes of blobs after a copied page is durable.
    fn settle_files(&self, adopted: &[BlobHash], unreferenced: Vec<BlobHash>) {
        adopted.iter().for_each(|hash| self.reader.files.adopted(*hash));
        self.remove_files(unreferenced);
    }

    /// After a failed statement outside any savepoint.
    fn fail(&mut self, error: &StoreError) {
        let rolled_back = self.reader.conn.is_autocommit() || self.sql("ROLLBACK").is_ok();
        if !matches!(error, StoreError::DiskFull(_)) || !rolled_back {
            self.stop(error);
        }
    }

    /// Removes files of blobs that no row mentions any more. Another commit of the same batch may have brought a blob
    /// back, so each is looked up again; one that stays for an error is found by a later purge.
    fn remove_files(&self, hashes: Vec<BlobHash>) {
        for hash in hashes {
            if self.knows(hash).is_ok_and(|known| !known) {
                self.reader.files.remove(hash);
            }
        }
    }

    fn knows(&self, hash: BlobHash) -> Result<bool, StoreError> {
        let statement = "SELECT count(*) FROM blob WHERE account = ?1 AND hash = ?2";
        let mut statement = self.reader.conn.prepare_cached(statement).map_err(store_error)?;
        let values = params![sql(self.reader.account.0), hash.0.as_slice()];
        let count: i64 = statement.query_row(values, |row| row.get(0)).map_err(store_error)?;
        Ok(count > 0)
    }

    /// One after the other, each in a savepoint: a refusal undoes only its own.
    fn commit_all(&self, commits: &[Commit], now: Timestamp) -> Result<(Vec<Answer>, Vec<BlobHash>), StoreError> {
        let (mut answers, mut unreferenced) = (Vec::with_capacity(commits.len()), Vec::new());
        for commit in commits {
            self.sql("SAVEPOINT one")?;
            match transaction::run(&self.reader, commit, now) {
                Ok((answer, files)) => {
                    self.sql("RELEASE one")?;
                    unreferenced.extend(files);
                    answers.push(Ok(answer));
                }
                Err(CommitError::Store(error)) => return Err(error),
                Err(refusal) => {
                    self.sql("ROLLBACK TO one; RELEASE one")?;
                    answers.push(Err(refusal));
                }
            }
        }
        Ok((answers, unreferenced))
    }

    fn purge_rows(reader: &Reader, before: Timestamp, limit: i64) -> Result<(u64, Vec<BlobHash>), CommitError> {
        let account = sql(reader.account.0);
        let statement = "SELECT container, uid, blob FROM expunged WHERE account = ?1 AND blob IS NOT NULL AND \
             expunged_at < ?2 ORDER BY expunged_at, container, uid LIMIT ?3";
        let mut statement = reader.conn.prepare_cached(statement).map_err(store_error)?;
        let found = statement.query_map(params![account, before.0, limit], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        let found = found.and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>).map_err(store_error)?;
        let mut files = Vec::new();
        for &(container, uid, blob) in &found {
            let forget = "UPDATE expunged SET blob = NULL, size = 0, name = NULL \
                 WHERE account = ?1 AND container = ?2 AND uid = ?3";
            reader.execute(forget, params![account, container, uid])?;
            let refer = "UPDATE blob SET refs = refs - 1 WHERE account = ?1 AND blob = ?2";
            reader.execute(refer, params![account, blob])?;
            files.extend(contents::drop_unreferenced(reader, blob)?);
        }
        Ok((found.len() as u64, files))
    }
}

/// What a change may end with: a refusal, or a failure of the store.
trait Ending: From<StoreError> {
    /// The failure, if it is one.
    fn failure(&self) -> Option<&StoreError>;
}

impl Ending for CommitError {
    fn failure(&self) -> Option<&StoreError> {
        if let CommitError::Store(failure) = self { Some(failure) } else { None }
    }
}

impl Ending for FollowError {
    fn failure(&self) -> Option<&StoreError> {
        if let FollowError::Store(failure) = self { Some(failure) } else { None }
    }
}

type Answer = Result<Committed, CommitError>;

/// The blobs that a commit names.
fn stored(commit: &Commit) -> impl Iterator<Item = BlobHash> + '_ {
    commit.mutations.iter().filter_map(|mutation| match mutation {
        Mutation::Append { item, .. } | Mutation::Put { item, .. } => match item.content {
            Content::Stored(hash) => Some(hash),
            Content::Inline(_) => None,
        },
        _ => None,
    })
}

impl Store for SqliteStore {
    fn commit(&mut self, commits: &[Commit], now: Timestamp) -> Result<Vec<Answer>, StoreError> {
        self.check_running()?;
        let result = self.sql("BEGIN IMMEDIATE").and_then(|()| {
            let done = self.commit_all(commits, now)?;
            self.sql("COMMIT")?;
            Ok(done)
        });
        match result {
            Ok((answers, unreferenced)) => {
                let done = commits.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
                for hash in done.flat_map(|(commit, _)| stored(commit)) {
                    self.reader.files.adopted(hash);
                }
                self.remove_files(unreferenced);
                self.keep_log_short();
                Ok(answers)
            }
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        }
    }

    fn stage_blob(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.check_running()?;
        Ok(self.reader.files.writer())
    }

    fn purge(&mut self, before: Timestamp, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let oldest = now.0 - OPERATION_RETENTION_MS;
        let done = self.transact::<_, CommitError>(|reader| {
            let (rows, files) = Self::purge_rows(reader, before, limit as i64)?;
            let account = sql(reader.account.0);
            let room = (limit as i64).saturating_sub(rows.cast_signed());
            let statement = "DELETE FROM operation WHERE account = ?1 AND number IN \
                 (SELECT number FROM operation WHERE account = ?1 AND done_at < ?2 ORDER BY number LIMIT ?3)";
            let operations = reader.execute(statement, params![account, oldest, room])?;
            Ok((rows + operations as u64, files))
        });
        let (rows, files) = match done {
            Ok(done) => done,
            Err(CommitError::Store(error)) => return Err(error),
            Err(other) => return Err(StoreError::Corrupt(other.to_string())),
        };
        self.remove_files(files);
        if rows == 0 {
            for (path, hash) in self.reader.files.older_than(now.plus_ms(-STAGED_KEPT_MS)) {
                if hash.is_none_or(|hash| self.knows(hash).is_ok_and(|known| !known)) {
                    self.reader.files.remove_abandoned(&path, hash);
                }
            }
        }
        Ok(rows)
    }

    fn set_role(&mut self, epoch: Epoch, role: Role, now: Timestamp) -> Result<(), CommitError> {
        self.end_filling()?;
        self.transact(|reader| {
            let head = reader.head()?;
            if epoch < head.epoch {
                return Err(CommitError::WrongEpoch { current: head.epoch });
            }
            match (role, reader.progress_now()?.1) {
                (Role::Follower, _) | (_, Equality::Now) | (Role::Active, Equality::Before) => {}
                _ => return Err(CommitError::NotEqual),
            }
            if role == Role::Active && head.role == Role::Follower {
                settle::take_over(reader, epoch, now)?;
            }
            let account = sql(reader.account.0);
            if role == Role::Active {
                // From now on its own head is how far it is.
                reader.execute("DELETE FROM progress WHERE account = ?1", [account])?;
            }
            let statement = "UPDATE account SET epoch = ?2, role = ?3 WHERE account = ?1";
            reader.execute(statement, params![account, sql(epoch.0), role as u8])?;
            Ok(())
        })
    }

    fn follow(&mut self, page: &Page, blobs: Vec<CopiedBlob>, now: Timestamp) -> Result<Applied, FollowError> {
        let copied = follow::by_hash(blobs)?;
        if self.has_large_cache == page.is_last {
            connection::set_large_cache(&self.reader.conn, !page.is_last)?;
            self.has_large_cache = !page.is_last;
        }
        self.check_running()?;
        // What makes it equal is durable like all that comes after.
        if page.is_last { self.end_filling() } else { self.begin_filling() }?;
        let (applied, done) = self.transact(|reader| follow::page(reader, page, copied, now))?;
        self.settle_files(&done.adopted, done.unreferenced);
        Ok(applied)
    }

    fn forget_container(&mut self, id: ContainerId, rows_max: usize) -> Result<u64, FollowError> {
        let (rows, done) = self.transact(|reader| follow::forget_container(reader, id, rows_max))?;
        self.settle_files(&done.adopted, done.unreferenced);
        Ok(rows)
    }

    fn follow_container(
        &mut self,
        page: &ContainerPage,
        blobs: Vec<CopiedBlob>,
        now: Timestamp,
    ) -> Result<(), FollowError> {
        let copied = follow::by_hash(blobs)?;
        let done = self.transact(|reader| follow::container_page(reader, page, copied, now))?;
        self.settle_files(&done.adopted, done.unreferenced);
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        let disk = self.disk.as_ref();
        let conn = connection::opening(disk, &self.path, || connection::open(disk, &self.path, Purpose::Read))?;
        Ok(Box::new(Reader { conn, account: self.reader.account, files: self.reader.files.clone() }))
    }

    fn check_files(&self) -> Result<Vec<String>, StoreError> {
        self.reader.check_files()
    }
}

impl Drop for SqliteStore {
    /// What was filled so far needs no note any more, and is not lost with the next start of the machine.
    fn drop(&mut self) {
        if self.stopped.is_none()
            && let Err(error) = self.end_filling()
        {
            tracing::warn!(account = %self.reader.account, %error, "a first copy under way was closed unflushed");
        }
    }
}

impl Read for SqliteStore {
    fn head(&self) -> Result<Head, StoreError> {
        self.reader.head()
    }
    fn containers(&self) -> Result<Vec<Container>, StoreError> {
        self.reader.containers()
    }
    fn container(&self, id: ContainerId) -> Result<Option<Container>, StoreError> {
        self.reader.container(id)
    }
    fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, StoreError> {
        self.reader.containers_on_path(kind, path)
    }
    fn item_flags(&self, container: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, StoreError> {
        self.reader.item_flags(container, after, limit)
    }
    fn items(&self, id: ContainerId, uids: &UidSet, parts: ItemParts, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.reader.items(id, uids, parts, limit)
    }
    fn item_named(&self, container: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
        self.reader.item_named(container, name, parts)
    }
    fn object(&self, container: ContainerId, uid: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
        self.reader.object(container, uid, parts)
    }
    fn expunged(&self, id: ContainerId, since: Modseq, after: Uid, limit: usize) -> Result<Vec<Expunged>, StoreError> {
        self.reader.expunged(id, since, after, limit)
    }
    fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        self.reader.changes(after, limit)
    }
    fn container_changes(&self, id: ContainerId, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        self.reader.container_changes(id, after, limit)
    }
    fn blob(&self, hash: BlobHash, range: std::ops::Range<u64>) -> Result<bytes::Bytes, StoreError> {
        self.reader.blob(hash, range)
    }
    fn blobs(&self, after: Option<BlobHash>, limit: usize) -> Result<Vec<(BlobHash, u64, u64)>, StoreError> {
        self.reader.blobs(after, limit)
    }
    fn page(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Result<Page, StoreError> {
        self.reader.page(after, rows_max, answers_max)
    }
    fn container_page(&self, id: ContainerId, after: Uid, rows_max: usize) -> Result<ContainerPage, StoreError> {
        self.reader.container_page(id, after, rows_max)
    }
    fn progress(&self) -> Result<Progress, StoreError> {
        self.reader.progress()
    }
    fn forks(&self) -> Result<Vec<Fork>, StoreError> {
        self.reader.forks()
    }
    fn copied_blobs(&self, hashes: &[BlobHash], bytes_max: u64) -> Result<Vec<CopiedBlob>, StoreError> {
        self.reader.copied_blobs(hashes, bytes_max)
    }
    fn lacking(&self, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError> {
        self.reader.lacking(hashes)
    }
}
