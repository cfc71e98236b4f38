//! Jobs: what moves are planned in.

use sterna_base::{AccountId, JobId, NodeId};

use super::found;
use crate::model::{Copy, CopyPurpose, Job, JobKind, JobState, Move, MovePhase};
use crate::names::{self, invalid};
use crate::placement_policy::{self, NoServer};
use crate::request::{JobChange, NewJob};
use crate::row::{self, JOB_COUNTER, RowKind};
use crate::write::Write;
use crate::{
    JOB_KEPT_MS, JOBS_KEPT_MAX, JOBS_PRUNED_MAX, JobEventKind, MOVES_PER_REQUEST_MAX, RequestError, job_event,
};

/// Which servers an account may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Targets {
    /// Those that take accounts of its domain.
    Open,
    /// Those where a copy of it is kept, whatever else was decided about them since: a way back is always open.
    Kept,
    /// Those that have a standby copy of it.
    Standby,
    /// The machine that takes another one's place: it is open for nothing else.
    Successor,
}

/// Moves of a migration, in a job of their own or in one that is there.
pub(crate) fn migrate(
    write: &mut Write<'_>,
    id: Option<JobId>,
    what: String,
    by: String,
    moves: Vec<(AccountId, NodeId)>,
) -> Result<JobId, RequestError> {
    plan_all(write, &NewJob { id, kind: JobKind::Migration, what, moves, by }, Targets::Successor)
}

pub(crate) fn begin(write: &mut Write<'_>, new: &NewJob) -> Result<JobId, RequestError> {
    let targets = match new.kind {
        JobKind::Failover => Targets::Standby,
        JobKind::Migration => return Err(invalid("kind", "a migration plans its moves by itself")),
        _ => Targets::Open,
    };
    plan_all(write, new, targets)
}

pub(crate) fn move_back(
    write: &mut Write<'_>,
    accounts: &[AccountId],
    what: &str,
    by: &str,
) -> Result<JobId, RequestError> {
    check_count(accounts.len())?;
    let mut moves = Vec::with_capacity(accounts.len());
    for account in accounts {
        found(write.reader.placement(*account)?, "account", account, None)?;
        let copies = write.reader.copies_of(*account)?;
        let kept = copies.iter().filter(|copy| matches!(copy.purpose, CopyPurpose::Kept { .. }));
        let latest: Option<&Copy> = kept.max_by_key(|copy| copy.since);
        let latest = latest.ok_or_else(|| RequestError::NoSuch { what: "kept copy", id: account.to_string() })?;
        moves.push((*account, latest.server));
    }
    let new = NewJob { id: None, kind: JobKind::Move, what: what.to_owned(), moves, by: by.to_owned() };
    plan_all(write, &new, Targets::Kept)
}

pub(crate) fn check_count(count: usize) -> Result<(), RequestError> {
    if count > MOVES_PER_REQUEST_MAX {
        return Err(RequestError::Limit { what: "accounts in one request", limit: MOVES_PER_REQUEST_MAX });
    }
    Ok(())
}

fn plan_all(write: &mut Write<'_>, new: &NewJob, targets: Targets) -> Result<JobId, RequestError> {
    check_count(new.moves.len())?;
    let (what, by) = (names::display("what", &new.what)?, names::display("by", &new.by)?);
    let mut job = match new.id {
        Some(id) => continued(write, id, new.kind, what)?,
        None => {
            let job = Job {
                id: JobId(0),
                kind: new.kind,
                what,
                state: JobState::Running,
                created_at: write.now,
                ended_at: None,
                total: 0,
                done: 0,
                failed: 0,
                aborted: 0,
                by,
            };
            if let Some(id) = repeated(write, &job, &new.moves)? {
                return Ok(id);
            }
            Job { id: JobId(write.next_number(JOB_COUNTER)?), ..job }
        }
    };
    if new.id.is_none() {
        job_event::of_job(write, &job, JobEventKind::Begun, &job.what)?;
    }
    for (account, to) in &new.moves {
        plan(write, &mut job, *account, *to, targets)?;
    }
    settle(write, job.clone())?;
    Ok(job.id)
}

/// The job that further moves are added to.
fn continued(write: &Write<'_>, id: JobId, kind: JobKind, what: String) -> Result<Job, RequestError> {
    let mut job = found(write.reader.job(id)?, "job", id, None)?;
    if job.kind != kind {
        return Err(invalid("kind", format!("job {id} is a {}", job.kind.name())));
    }
    reopen(&mut job)?;
    if !what.is_empty() {
        job.what = what;
    }
    Ok(job)
}

/// A job that is done goes on when there is more to do; nobody is to go on with one that was aborted.
fn reopen(job: &mut Job) -> Result<(), RequestError> {
    match job.state {
        JobState::Running | JobState::Paused => {}
        JobState::Done => (job.state, job.ended_at) = (JobState::Running, None),
        JobState::Aborting | JobState::Aborted => return Err(RequestError::JobState { id: job.id, state: job.state }),
    }
    Ok(())
}

/// The job that this very request began: its answer was lost.
fn repeated(write: &Write<'_>, job: &Job, moves: &[(AccountId, NodeId)]) -> Result<Option<JobId>, RequestError> {
    let Some((first, _)) = moves.first() else { return Ok(None) };
    let Some(first) = write.reader.move_of(*first)? else { return Ok(None) };
    let Some(old) = write.reader.job(first.value.job)?.map(|found| found.value) else { return Ok(None) };
    if (old.kind, &old.what, &old.by) != (job.kind, &job.what, &job.by) {
        return Ok(None);
    }
    for (account, to) in moves {
        let same = write.reader.move_of(*account)?.is_some_and(|found| is_planned(&found.value, old.id, *to));
        if !same {
            return Ok(None);
        }
    }
    Ok(Some(old.id))
}

fn is_planned(row: &Move, job: JobId, to: NodeId) -> bool {
    row.job == job && row.to == to && row.phase != MovePhase::Failed
}

fn plan(
    write: &mut Write<'_>,
    job: &mut Job,
    account: AccountId,
    to: NodeId,
    targets: Targets,
) -> Result<(), RequestError> {
    let from = found(write.reader.placement(account)?, "account", account, None)?.server;
    let server = found(write.reader.server(to)?, "server", to, None)?;
    match write.reader.move_of(account)?.map(|found| found.value) {
        None => job.total += 1,
        Some(row) if is_planned(&row, job.id, to) => return Ok(()),
        // The server is lost, and with it what was under way.
        Some(row) if targets == Targets::Standby && row.job != job.id && row.phase != MovePhase::Failed => {
            super::moves::give_way(write, &row)?;
            job.total += 1;
        }
        Some(row) if row.phase != MovePhase::Failed => return Err(RequestError::Moving { account, job: row.job }),
        // What failed is planned anew; in another job it stays counted as failed.
        Some(row) if row.job == job.id => job.failed = job.failed.saturating_sub(1),
        Some(_) => job.total += 1,
    }
    if from == to {
        return Err(invalid("moves", format!("account {account} lives on {} already", server.name)));
    }
    match targets {
        Targets::Open => placement_policy::check_target(&server, &allowed(write, account)?)?,
        Targets::Kept | Targets::Successor if !server.roles.data => return Err(NoServer::NotData(server.name).into()),
        Targets::Kept | Targets::Successor => {}
        Targets::Standby => super::moves::standby_on(write, account, to).map(|_| ())?,
    }
    Ok(write.put(&Move {
        account,
        from,
        to,
        phase: MovePhase::Planned,
        epoch: None,
        job: job.id,
        attempts: 0,
        failed: None,
        planned_at: write.now,
        started_at: None,
        changed_at: write.now,
    })?)
}

/// The servers of an account's domain; empty is every one.
pub(crate) fn allowed(write: &Write<'_>, account: AccountId) -> Result<Vec<NodeId>, RequestError> {
    Ok(write.reader.domain_of(account)?.map(|domain| domain.servers).unwrap_or_default())
}

pub(crate) fn set(write: &mut Write<'_>, id: JobId, change: JobChange) -> Result<(), RequestError> {
    let mut job = found(write.reader.job(id)?, "job", id, None)?;
    let before = job.state;
    job.state = match (change, job.state) {
        (JobChange::Pause, JobState::Running | JobState::Paused) => JobState::Paused,
        (JobChange::Resume, JobState::Running | JobState::Paused) => JobState::Running,
        (JobChange::Abort, JobState::Running | JobState::Paused) => JobState::Aborting,
        (JobChange::Abort, JobState::Aborting | JobState::Aborted) => return Ok(()),
        (_, state) => return Err(RequestError::JobState { id, state }),
    };
    let what = match change {
        JobChange::Pause => JobEventKind::Paused,
        JobChange::Resume => JobEventKind::Resumed,
        JobChange::Abort => JobEventKind::Aborting,
    };
    if job.state != before {
        job_event::of_job(write, &job, what, "")?;
    }
    settle(write, job)
}

/// A move that had failed is planned once more.
pub(crate) fn plan_again(write: &mut Write<'_>, id: JobId) -> Result<(), RequestError> {
    let mut job = found(write.reader.job(id)?, "job", id, None)?;
    reopen(&mut job)?;
    job.failed = job.failed.saturating_sub(1);
    settle(write, job)
}

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Failed,
    Aborted,
}

/// Counts a move that is no longer under way.
pub(crate) fn count(write: &mut Write<'_>, row: &Move, end: End) -> Result<(), RequestError> {
    // Failed moves were counted when they failed.
    if row.phase == MovePhase::Failed {
        return Ok(());
    }
    let mut job = found(write.reader.job(row.job)?, "job", row.job, None)?;
    match end {
        End::Done => job.done += 1,
        End::Failed => job.failed += 1,
        End::Aborted => job.aborted += 1,
    }
    settle(write, job)
}

/// Writes a job, which is over if nothing is left of it.
fn settle(write: &mut Write<'_>, mut job: Job) -> Result<(), RequestError> {
    if job.left() == 0 && !job.state.is_over() {
        job.state = if job.state == JobState::Aborting { JobState::Aborted } else { JobState::Done };
        job.ended_at = Some(write.now);
        job_event::of_job(write, &job, JobEventKind::Ended, "")?;
    }
    Ok(write.put(&job)?)
}

pub(crate) fn prune(write: &mut Write<'_>) -> Result<(), RequestError> {
    let before = write.now.plus_ms(-JOB_KEPT_MS);
    let mut beyond = write.reader.ended_job_count()?.saturating_sub(JOBS_KEPT_MAX);
    for job in write.reader.ended_jobs(JOBS_PRUNED_MAX)? {
        let is_old = job.ended_at.is_some_and(|ended| ended < before);
        if !is_old && beyond == 0 {
            break;
        }
        // What failed is still to be tried again, or dismissed.
        if write.reader.moves_of_job(job.id, AccountId(0), 1)?.is_empty() {
            write.delete(RowKind::Job, &row::job_key(job.id))?;
            beyond = beyond.saturating_sub(1);
        }
    }
    Ok(())
}

/// Whether a move is to be tried again: not in a job that is being aborted.
pub(crate) fn is_wanted(write: &Write<'_>, row: &Move) -> Result<bool, RequestError> {
    let job = found(write.reader.job(row.job)?, "job", row.job, None)?;
    Ok(job.state != JobState::Aborting)
}

/// Nothing new is begun in a job that doesn't run.
pub(crate) fn check_running(write: &Write<'_>, row: &Move) -> Result<JobKind, RequestError> {
    let job = found(write.reader.job(row.job)?, "job", row.job, None)?;
    if job.state != JobState::Running {
        return Err(RequestError::JobState { id: job.id, state: job.state });
    }
    Ok(job.kind)
}
