//! The file of the lessons that wait to be taught: each message of an account once, with what was said of it last.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use sterna_account::AccountError;
use sterna_base::{AccountId, BlobHash, Timestamp};

use super::DELAY_MS;
use crate::filter::rspamd::Lesson;

/// Most lessons; further ones are not taken.
pub const LESSONS_MAX: i64 = 100_000;
/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The layout.
const FORMAT: i64 = 1;

const TABLES: &str = "
CREATE TABLE lesson (
    account BIGINT NOT NULL,
    blob BLOB NOT NULL,
    size_bytes BIGINT NOT NULL,
    spam INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    next_ms BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (account, blob)
) WITHOUT ROWID;
CREATE INDEX lesson_by_next ON lesson (next_ms);
";

/// Lessons can't be written down.
#[derive(Debug, thiserror::Error)]
pub enum LearningError {
    /// SQLite says so.
    #[error("the file of lessons: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It is of another version.
    #[error("the file of lessons is of format {0}, which this version does not know")]
    Format(i64),
    /// The messages can't be looked at.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The node ends.
    #[error("the node is ending")]
    Ending,
}

/// A lesson that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose message.
    pub account: AccountId,
    /// Its content.
    pub blob: BlobHash,
    /// Its length in bytes.
    pub size: u64,
    /// What it is.
    pub lesson: Lesson,
    /// When somebody said so.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// It goes.
    Done,
    /// It is tried again then.
    Again(Timestamp),
}

/// The open file. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// Opens it or makes it. Blocks.
    pub fn open(path: &Path) -> Result<Self, LearningError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let tx = connection.transaction()?;
        match tx.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
            FORMAT => {}
            0 => {
                tx.execute_batch(TABLES)?;
                tx.pragma_update(None, "user_version", FORMAT)?;
            }
            other => return Err(LearningError::Format(other)),
        }
        tx.commit()?;
        Ok(Store(Arc::new(Mutex::new(connection))))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, LearningError> {
        let connection = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut connection.lock())).await;
        Ok(done.map_err(|_| LearningError::Ending)??)
    }

    /// Writes lessons down, in the place of earlier ones about the same messages that say otherwise. Who says the same
    /// again does not put it off.
    pub async fn add(
        &self,
        messages: Vec<(AccountId, BlobHash, u64)>,
        lesson: Lesson,
        now: Timestamp,
    ) -> Result<(), LearningError> {
        self.with(move |connection| {
            let tx = connection.transaction()?;
            let mut room = LESSONS_MAX - tx.query_row("SELECT COUNT(*) FROM lesson", [], |row| row.get::<_, i64>(0))?;
            for (account, blob, size) in messages {
                let sql = "INSERT INTO lesson (account, blob, size_bytes, spam, at_ms, next_ms, attempts)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) ON CONFLICT (account, blob) DO UPDATE
                    SET spam = ?4, at_ms = ?5, next_ms = ?6, attempts = 0 WHERE spam <> ?4";
                if room <= 0 {
                    tracing::warn!(%account, "too many lessons wait for rspamd: not all is learned from");
                    break;
                }
                let (spam, next) = (lesson == Lesson::Spam, now.0 + DELAY_MS);
                let row = params![account.0 as i64, &blob.0[..], size as i64, spam, now.0, next];
                room -= tx.prepare_cached(sql)?.execute(row)? as i64;
            }
            tx.commit()
        })
        .await
    }

    /// Some of those whose time has come, the oldest first.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Row>, LearningError> {
        self.with(move |connection| {
            let sql = "SELECT account, blob, size_bytes, spam, at_ms, attempts FROM lesson WHERE next_ms <= ?1
                ORDER BY next_ms LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map(params![now.0, limit as i64], row)?.collect()
        })
        .await
    }

    /// When the next one is due.
    pub async fn next(&self) -> Result<Option<Timestamp>, LearningError> {
        self.with(|connection| {
            let sql = "SELECT next_ms FROM lesson ORDER BY next_ms LIMIT 1";
            connection.prepare_cached(sql)?.query_row([], |row| row.get(0).map(Timestamp)).optional()
        })
        .await
    }

    /// What becomes of a row, unless somebody has said something else of the message meanwhile.
    pub async fn settle(&self, row: Row, learnt: Learnt) -> Result<(), LearningError> {
        self.with(move |connection| {
            let (account, blob, at) = (row.account.0 as i64, row.blob.0, row.at.0);
            match learnt {
                Learnt::Done => {
                    let sql = "DELETE FROM lesson WHERE account = ?1 AND blob = ?2 AND at_ms = ?3";
                    connection.prepare_cached(sql)?.execute(params![account, &blob[..], at])
                }
                Learnt::Again(next) => {
                    let sql = "UPDATE lesson SET next_ms = ?4, attempts = attempts + 1
                        WHERE account = ?1 AND blob = ?2 AND at_ms = ?3";
                    connection.prepare_cached(sql)?.execute(params![account, &blob[..], at, next.0])
                }
            }
        })
        .await
        .map(drop)
    }
}

fn row(row: &SqlRow<'_>) -> Result<Row, rusqlite::Error> {
    Ok(Row {
        account: AccountId(row.get::<_, i64>(0)? as u64),
        blob: BlobHash(row.get(1)?),
        size: row.get::<_, i64>(2)?.unsigned_abs(),
        lesson: if row.get(3)? { Lesson::Spam } else { Lesson::Ham },
        at: Timestamp(row.get(4)?),
        attempts: row.get(5)?,
    })
}
