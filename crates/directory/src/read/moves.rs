//! Copies, moves and jobs.

use rusqlite::params;
use sterna_base::{AccountId, JobId, NodeId, Timestamp};

use super::{Reader, Versioned, id, page};
use crate::index::number;
use crate::model::{Copy, Job, Move, MovePhase};
use crate::{StorageError, row};

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The copy of an account that a server is to hold.
    pub fn copy(&self, account: AccountId, server: NodeId) -> Result<Option<Versioned<Copy>>, StorageError> {
        self.row(&row::store_key(account, server))
    }

    /// The copies of an account, by server: at most [`crate::COPIES_PER_ACCOUNT_MAX`].
    pub fn copies_of(&self, account: AccountId) -> Result<Vec<Copy>, StorageError> {
        let sql = "SELECT account_id, server FROM dir_copy WHERE account_id = $1 ORDER BY server";
        self.copies(sql, params![number(account.0)])
    }

    /// The copies that a server is to hold, by account after `after`, at most `limit`.
    pub fn copies_on(&self, server: NodeId, after: AccountId, limit: usize) -> Result<Vec<Copy>, StorageError> {
        let sql = "SELECT account_id, server FROM dir_copy WHERE server = $1 AND account_id > $2
            ORDER BY account_id LIMIT $3";
        self.copies(sql, params![server.to_string(), number(after.0), page(limit)])
    }

    /// Kept copies whose time ended by then, those that ended first, at most `limit`.
    pub fn expired_copies(&self, before: Timestamp, limit: usize) -> Result<Vec<Copy>, StorageError> {
        let sql = "SELECT account_id, server FROM dir_copy WHERE kept_until <= $1
            ORDER BY kept_until, account_id, server LIMIT $2";
        self.copies(sql, params![before.0, page(limit)])
    }

    fn copies(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<Copy>, StorageError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let keys = statement.query_map(params, |row| Ok((AccountId(id(row, 0)?), row.get::<_, String>(1)?)))?;
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let rows = keys.into_iter().map(|(account, server)| {
            let server = server.parse().map_err(|_| StorageError::Damaged(format!("server id {server}")))?;
            Ok(self.copy(account, server)?.map(|found| found.value))
        });
        Ok(rows.collect::<Result<Vec<_>, StorageError>>()?.into_iter().flatten().collect())
    }

    /// How many copies a server is to hold.
    pub fn copy_count(&self, server: NodeId) -> Result<u64, StorageError> {
        self.count(&format!("copies/{server}"))
    }

    /// The move of an account, also one that failed.
    pub fn move_of(&self, account: AccountId) -> Result<Option<Versioned<Move>>, StorageError> {
        self.row(&row::account_key(account))
    }

    /// Moves by account after `after`, at most `limit`.
    pub fn moves(&self, after: AccountId, limit: usize) -> Result<Vec<Move>, StorageError> {
        let sql = "SELECT account_id FROM dir_move WHERE account_id > $1 ORDER BY account_id LIMIT $2";
        self.moves_by(sql, params![number(after.0), page(limit)])
    }

    /// Moves of a job that are not done, by account after `after`, at most `limit`.
    pub fn moves_of_job(&self, job: JobId, after: AccountId, limit: usize) -> Result<Vec<Move>, StorageError> {
        let sql = "SELECT account_id FROM dir_move WHERE job_id = $1 AND account_id > $2 ORDER BY account_id LIMIT $3";
        self.moves_by(sql, params![number(job.0), number(after.0), page(limit)])
    }

    /// Moves of a job in a phase (of a cut-over, with any deadline), by account after `after`, at most `limit`.
    pub fn moves_in_phase(
        &self,
        job: JobId,
        phase: MovePhase,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<Move>, StorageError> {
        let sql = "SELECT account_id FROM dir_move WHERE job_id = $1 AND phase = $2 AND account_id > $3
            ORDER BY account_id LIMIT $4";
        self.moves_by(sql, params![number(job.0), phase.number(), number(after.0), page(limit)])
    }

    fn moves_by(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<Move>, StorageError> {
        let ids = self.ids(sql, params)?;
        self.collect(ids, |id| Ok(self.move_of(AccountId(id))?.map(|found| found.value)))
    }

    /// How many moves of a job are planned or under way: counts them one by one.
    pub(crate) fn moves_left(&self, job: JobId) -> Result<u64, StorageError> {
        let sql = "SELECT COUNT(*) FROM dir_move WHERE job_id = $1 AND phase < $2";
        let params = params![number(job.0), MovePhase::Failed.number()];
        Ok(self.conn.prepare_cached(sql)?.query_row(params, |row| id(row, 0))?)
    }

    /// How many moves go to a server, without those that failed.
    pub fn move_count(&self, to: NodeId) -> Result<u64, StorageError> {
        self.count(&format!("moves/{to}"))
    }

    /// A job by id.
    pub fn job(&self, id: JobId) -> Result<Option<Versioned<Job>>, StorageError> {
        self.row(&row::job_key(id))
    }

    /// Jobs, the latest first, before `before` (`None`: from the latest), at most `limit`.
    pub fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StorageError> {
        let sql = "SELECT job_id FROM dir_job WHERE job_id < $1 ORDER BY job_id DESC LIMIT $2";
        let before = before.map_or(i64::MAX, |id| number(id.0));
        let ids = self.ids(sql, params![before, page(limit)])?;
        self.collect(ids, |id| Ok(self.job(JobId(id))?.map(|found| found.value)))
    }

    /// Jobs that are over, the oldest first, at most `limit`.
    pub(crate) fn ended_jobs(&self, limit: usize) -> Result<Vec<Job>, StorageError> {
        let sql = "SELECT job_id FROM dir_job WHERE is_over = 1 ORDER BY job_id LIMIT $1";
        let ids = self.ids(sql, params![page(limit)])?;
        self.collect(ids, |id| Ok(self.job(JobId(id))?.map(|found| found.value)))
    }

    /// How many jobs are over: counts them one by one.
    pub(crate) fn ended_job_count(&self) -> Result<u64, StorageError> {
        let sql = "SELECT COUNT(*) FROM dir_job WHERE is_over = 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([], |row| id(row, 0))?)
    }

    /// Jobs that are not over, the oldest first, after `after`, at most `limit`.
    pub fn active_jobs(&self, after: JobId, limit: usize) -> Result<Vec<Job>, StorageError> {
        let sql = "SELECT job_id FROM dir_job WHERE is_over = 0 AND job_id > $1 ORDER BY job_id LIMIT $2";
        let ids = self.ids(sql, params![number(after.0), page(limit)])?;
        self.collect(ids, |id| Ok(self.job(JobId(id))?.map(|found| found.value)))
    }
}
