//! What is remembered of runs: up to where each source was read, and what came of the last runs. A SQLite file of the
//! main node; without it everything is read again once.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use sterna_base::{Modseq, Timestamp};

use super::ldap::search::Mark;

/// The file's name in the node's folder.
const FILE_NAME: &str = "sources.sqlite";

/// The format that this version writes.
const FORMAT: i64 = 1;

/// Runs of one source that are remembered.
const RUNS_EACH_MAX: i64 = 200;

const TABLES: &str = "
CREATE TABLE mark (
    source TEXT NOT NULL PRIMARY KEY,
    config BIGINT NOT NULL,
    full_at BIGINT NOT NULL,
    mark TEXT NOT NULL
);
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    who TEXT NOT NULL,
    is_full INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    held INTEGER NOT NULL,
    log TEXT NOT NULL
);
CREATE INDEX run_by_source ON run (source, number);
";

/// Why nothing was remembered or found.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// The file can't be read or written.
    #[error("{FILE_NAME}: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A later version wrote it.
    #[error("{FILE_NAME} has format {0}, and this version knows {FORMAT}")]
    NewerFormat(i64),
    /// The node is ending.
    #[error("the node is ending")]
    Ending,
}

/// Up to where a source was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The version of the source's row that it was read by; by another one everything is read again.
    pub config: Modseq,
    /// When everything was compared last.
    pub full_at: Timestamp,
    /// Up to where.
    pub mark: Mark,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "SourceRun")]
pub struct Run {
    /// Rising.
    pub number: i64,
    /// Which source.
    pub source: String,
    /// When it began.
    #[serde(serialize_with = "as_time")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// When it ended; null while it is under way.
    #[serde(serialize_with = "as_time_if")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended_at: Option<Timestamp>,
    /// Who wanted it, for people; empty is the schedule.
    pub by: String,
    /// Whether everything was compared.
    pub full: bool,
    /// "running", "done", "held" (removals were held back), "failed" or "interrupted".
    pub outcome: String,
    /// Steps that were done.
    pub done: i64,
    /// Steps that could not be done, and entries that can't be used.
    pub failed: i64,
    /// Steps that were held back.
    pub held: i64,
    /// Line by line what was done and why not; only where one run is asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log: String,
}

fn as_time<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::admin::time(*at))
}

fn as_time_if<S: serde::Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => as_time(at, to),
        None => to.serialize_none(),
    }
}

/// The file. Cheap to clone.
#[derive(Clone)]
pub struct RunBook {
    conn: Arc<Mutex<Connection>>,
}

impl RunBook {
    /// Opens the file, and makes it where there is none; runs that a former process began are noted as interrupted.
    /// Blocks.
    ///
    /// # Errors
    /// [`RunsError`].
    pub fn open(folder: &Path) -> Result<Self, RunsError> {
        let conn = Connection::open(folder.join(FILE_NAME))?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        match conn.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => conn.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"))?,
            FORMAT => {}
            newer => return Err(RunsError::NewerFormat(newer)),
        }
        conn.execute("UPDATE run SET outcome = 'interrupted' WHERE outcome = 'running'", [])?;
        Ok(RunBook { conn: Arc::new(Mutex::new(conn)) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, RunsError> {
        let conn = self.conn.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut conn.lock())).await;
        Ok(done.map_err(|_| RunsError::Ending)??)
    }

    /// Up to where a source was read.
    pub async fn position(&self, source: String) -> Result<Option<Position>, RunsError> {
        self.run(move |conn| {
            let sql = "SELECT config, full_at, mark FROM mark WHERE source = $1";
            let position = |row: &Row<'_>| {
                let mark: String = row.get(2)?;
                let config = Modseq(row.get::<_, i64>(0)?.unsigned_abs());
                let mark = serde_json::from_str(&mark).unwrap_or_default();
                Ok(Position { config, full_at: Timestamp(row.get(1)?), mark })
            };
            conn.query_row(sql, [source], position).optional()
        })
        .await
    }

    /// Notes up to where it was read; `None` forgets it.
    pub async fn set_position(&self, source: String, position: Option<Position>) -> Result<(), RunsError> {
        self.run(move |conn| {
            let Some(Position { config, full_at, mark }) = position else {
                return conn.execute("DELETE FROM mark WHERE source = $1", [source]).map(|_| ());
            };
            let sql = "INSERT INTO mark (source, config, full_at, mark) VALUES ($1, $2, $3, $4)
                ON CONFLICT (source) DO UPDATE SET config = excluded.config, full_at = excluded.full_at,
                    mark = excluded.mark";
            let mark = serde_json::to_string(&mark).unwrap_or_default();
            let config = i64::try_from(config.0).unwrap_or(i64::MAX);
            conn.execute(sql, params![source, config, full_at.0, mark]).map(|_| ())
        })
        .await
    }

    /// Notes that a run begins; gives its number.
    pub async fn begin(&self, source: String, by: String, is_full: bool, now: Timestamp) -> Result<i64, RunsError> {
        self.run(move |conn| {
            let sql = "INSERT INTO run (source, started_at, who, is_full, outcome, done, failed, held, log)
                VALUES ($1, $2, $3, $4, 'running', 0, 0, 0, '')";
            conn.execute(sql, params![source, now.0, by, is_full])?;
            let number = conn.last_insert_rowid();
            let sql = "DELETE FROM run WHERE source = $1 AND number IN
                (SELECT number FROM run WHERE source = $1 ORDER BY number DESC LIMIT -1 OFFSET $2)";
            conn.execute(sql, params![source, RUNS_EACH_MAX])?;
            Ok(number)
        })
        .await
    }

    /// Notes how a run ended.
    pub async fn end(&self, run: Run) -> Result<(), RunsError> {
        self.run(move |conn| {
            let sql = "UPDATE run SET ended_at = $1, is_full = $2, outcome = $3, done = $4, failed = $5, held = $6,
                log = $7 WHERE number = $8";
            let Run { number, ended_at, full, outcome, done, failed, held, log, .. } = run;
            let ended_at = ended_at.map(|at| at.0);
            conn.execute(sql, params![ended_at, full, outcome, done, failed, held, log, number]).map(|_| ())
        })
        .await
    }

    /// The last runs, of one source or of all, the newest first, without their logs.
    pub async fn list(&self, source: Option<String>, before: Option<i64>, limit: usize) -> Result<Vec<Run>, RunsError> {
        self.run(move |conn| {
            let sql = "SELECT number, source, started_at, ended_at, who, is_full, outcome, done, failed, held, ''
                FROM run WHERE ($1 IS NULL OR source = $1) AND ($2 IS NULL OR number < $2)
                ORDER BY number DESC LIMIT $3";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = conn.prepare_cached(sql)?;
            statement.query_map(params![source, before, limit], run_of)?.collect()
        })
        .await
    }

    /// One run, with its log.
    pub async fn get(&self, number: i64) -> Result<Option<Run>, RunsError> {
        self.run(move |conn| {
            let sql = "SELECT number, source, started_at, ended_at, who, is_full, outcome, done, failed, held, log
                FROM run WHERE number = $1";
            conn.query_row(sql, [number], run_of).optional()
        })
        .await
    }
}

fn run_of(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        number: row.get(0)?,
        source: row.get(1)?,
        started_at: Timestamp(row.get(2)?),
        ended_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        by: row.get(4)?,
        full: row.get(5)?,
        outcome: row.get(6)?,
        done: row.get(7)?,
        failed: row.get(8)?,
        held: row.get(9)?,
        log: row.get(10)?,
    })
}
