//! The log of jobs: what became of each move, and what was said about the job. It stays when the moves' rows are gone.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, JobId, Timestamp};

use crate::index::{self, number};
use crate::model::{Job, Move, MovePhase};
use crate::names;
use crate::read::{Reader, id, page};
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Events of all jobs that are looked back on; the next one takes the place of the oldest.
pub const JOB_EVENTS_MAX: u64 = 65_536;

/// The counter of events.
const COUNTER: &str = "job-event";

/// Something that happened in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Rising, and never given out twice.
    pub number: u64,
    /// Of which job.
    pub job: JobId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: JobEventKind,
    /// More about it, for people: what the job is, or why a move was given up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub says: String,
    /// The account that it happened to; `None` when it is about the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<MovedAccount>,
}

/// An account, and its way, in an event. The names are those of then: a server that was emptied is often removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedAccount {
    /// Which.
    pub account: AccountId,
    /// Its address.
    pub address: String,
    /// The name of the server where it was.
    pub from: String,
    /// The name of the server where it was to go.
    pub to: String,
    /// When the copy was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the cut-over was begun, from which nobody could write until the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_over_at: Option<Timestamp>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobEventKind {
    /// The job was begun.
    Begun,
    /// Nothing new is begun until it goes on.
    Paused,
    /// It goes on.
    Resumed,
    /// It is being aborted.
    Aborting,
    /// It is over: all was done, or given up.
    Ended,
    /// An account lives where it was to go.
    Moved,
    /// An attempt was given up; another one follows.
    Retried,
    /// A move was given up for good.
    Failed,
    /// A move that had failed is planned once more.
    PlannedAgain,
    /// A move was put away: somebody said so, or something more urgent was done to the account.
    PutAway,
}

impl JobEventKind {
    /// The word for people and programs: "begun", "moved", "put-away".
    pub fn name(self) -> &'static str {
        match self {
            JobEventKind::Begun => "begun",
            JobEventKind::Paused => "paused",
            JobEventKind::Resumed => "resumed",
            JobEventKind::Aborting => "aborting",
            JobEventKind::Ended => "ended",
            JobEventKind::Moved => "moved",
            JobEventKind::Retried => "retried",
            JobEventKind::Failed => "failed",
            JobEventKind::PlannedAgain => "planned-again",
            JobEventKind::PutAway => "put-away",
        }
    }
}

impl Content for JobEvent {
    const KIND: RowKind = RowKind::JobEvent;
    fn key(&self) -> String {
        key(self.number)
    }
}

fn key(number: u64) -> String {
    format!("{:04x}", number % JOB_EVENTS_MAX)
}

/// Something was said about a job, or it is over.
pub(crate) fn of_job(write: &mut Write<'_>, job: &Job, what: JobEventKind, says: &str) -> Result<(), RequestError> {
    put(write, job.id, what, says, None)
}

/// Something happened to a move, which is as this row says until then.
pub(crate) fn of_move(write: &mut Write<'_>, row: &Move, what: JobEventKind, says: &str) -> Result<(), RequestError> {
    let name = |write: &Write<'_>, id| -> Result<String, StorageError> {
        Ok(write.reader.server(id)?.map_or_else(|| id.to_string(), |found| found.value.name))
    };
    let address = match write.reader.entry(row.account)? {
        Some(found) => write.reader.address_text(&found.value.entry().address)?,
        None => None,
    };
    let moved = MovedAccount {
        account: row.account,
        address: address.unwrap_or_else(|| format!("account {}", row.account)),
        from: name(write, row.from)?,
        to: name(write, row.to)?,
        started_at: row.started_at,
        cut_over_at: matches!(row.phase, MovePhase::CutOver { .. }).then_some(row.changed_at),
    };
    put(write, row.job, what, says, Some(moved))
}

fn put(
    write: &mut Write<'_>,
    job: JobId,
    what: JobEventKind,
    says: &str,
    moved: Option<MovedAccount>,
) -> Result<(), RequestError> {
    let number = write.next_number(COUNTER)?;
    let (at, says) = (write.now, names::one_line(says));
    Ok(write.put(&JobEvent { number, job, at, what, says, moved })?)
}

/// The index over these rows. An older version, for which the file's format is the same, leaves it alone; so it is
/// made again whenever the file is opened.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS dir_job_event (
    number BIGINT NOT NULL PRIMARY KEY,
    job_id BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS dir_job_event_by_job ON dir_job_event (job_id, number);
DELETE FROM dir_job_event;
";

/// Makes the index of the rows that are there.
pub(crate) fn make_index(conn: &Connection) -> Result<(), StorageError> {
    conn.execute_batch(TABLE)?;
    crate::schema::index_rows(conn, RowKind::JobEvent)
}

pub(crate) fn index(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: JobEvent = index::read(RowKind::JobEvent, key, content)?;
    let sql = "INSERT INTO dir_job_event (number, job_id) VALUES ($1, $2)
        ON CONFLICT (number) DO UPDATE SET job_id = excluded.job_id";
    conn.prepare_cached(sql)?.execute(params![number(row.number), number(row.job.0)])?;
    Ok(())
}

pub(crate) fn unindex(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: JobEvent = index::read(RowKind::JobEvent, key, content)?;
    conn.prepare_cached("DELETE FROM dir_job_event WHERE number = $1")?.execute([number(row.number)])?;
    Ok(())
}

impl Reader<'_> {
    /// The events of a job, the latest first, before the number `before` (`None`: from the latest), at most `limit`.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn job_events(&self, job: JobId, before: Option<u64>, limit: usize) -> Result<Vec<JobEvent>, StorageError> {
        let sql = "SELECT number FROM dir_job_event WHERE job_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let before = before.map_or(i64::MAX, number);
        let numbers = statement.query_map(params![number(job.0), before, page(limit)], |row| id(row, 0))?;
        let rows = numbers.collect::<Result<Vec<_>, _>>()?.into_iter();
        let rows = rows.map(|number| Ok(self.row(&key(number))?.map(|found| found.value)));
        Ok(rows.collect::<Result<Vec<Option<JobEvent>>, StorageError>>()?.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    fn events(conn: &Connection, job: u64) -> Vec<u64> {
        let found = Reader::new(conn).job_events(JobId(job), None, usize::MAX).unwrap();
        found.into_iter().map(|event| event.number).collect()
    }

    #[test]
    fn the_latest_take_the_place_of_the_oldest() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn).unwrap();
        let mut write = Write::begin(&conn, Timestamp(1), false).unwrap();
        let (at, what) = (Timestamp(1), JobEventKind::Begun);
        for (number, job) in [(1, 1), (2, 1), (3, 2), (JOB_EVENTS_MAX + 1, 2), (JOB_EVENTS_MAX + 3, 2)] {
            let event = JobEvent { number, job: JobId(job), at, what, says: String::new(), moved: None };
            write.put(&event).unwrap();
        }
        assert_eq!(events(&conn, 1), [2]);
        assert_eq!(events(&conn, 2), [JOB_EVENTS_MAX + 3, JOB_EVENTS_MAX + 1]);
        // A version that doesn't know these rows wrote some and left the index alone.
        conn.execute("DELETE FROM dir_job_event WHERE number = 2", []).unwrap();
        schema::migrate(&mut conn).unwrap();
        assert_eq!((events(&conn, 1), events(&conn, 2).len()), (vec![2], 2));
    }
}
