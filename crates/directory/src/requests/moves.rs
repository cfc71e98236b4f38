//! One account on its way: each step is a row, and the placement changes in one place only.
//!
//! Epochs are handed out here and nowhere else. The largest that was ever handed out for an account is that of its
//! placement or that of its move, because whatever ends a cut-over places the account beyond the move's epoch.

use sterna_base::{AccountId, Epoch, NodeId, Timestamp};

use super::copies::{drop_copy_row, not_leaving, stand_by};
use super::job::{self, End};
use super::{found, names_server};
use crate::model::{Copy, CopyPurpose, Durability, JobKind, Move, MovePhase, Placement, StandbyStage};
use crate::names::{self, invalid};
use crate::placement_policy::NoServer;
use crate::row::{self, RowKind};
use crate::settings;
use crate::write::Write;
use crate::{COPIES_PER_ACCOUNT_MAX, JobEventKind, RequestError, job_event};

/// Longest cut-over that can be asked for, in milliseconds: nobody can write for as long.
const CUT_OVER_MS_MAX: i64 = 10 * 60 * 1000;

pub(crate) fn start(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    let row = found(write.reader.move_of(account)?, "move", account, None)?;
    match row.phase {
        MovePhase::Planned => {}
        MovePhase::Copying | MovePhase::CutOver { .. } => return Ok(()),
        MovePhase::Failed => return Err(wrong_phase(&row)),
    }
    if job::check_running(write, &row)? == JobKind::Failover {
        return Err(invalid("account", "its move is a failover, which takes over at once and copies nothing"));
    }
    let server = found(write.reader.server(row.to)?, "server", row.to, None)?;
    if !server.roles.data {
        return Err(NoServer::NotData(server.name).into());
    }
    if write.reader.copy(account, row.to)?.is_none() {
        put_new_copy(write, account, row.to, CopyPurpose::Moving)?;
    }
    let started_at = row.started_at.or(Some(write.now));
    Ok(write.put(&Move { phase: MovePhase::Copying, started_at, changed_at: write.now, ..row })?)
}

/// A copy where there is none yet.
pub(crate) fn put_new_copy(
    write: &mut Write<'_>,
    account: AccountId,
    server: NodeId,
    purpose: CopyPurpose,
) -> Result<(), RequestError> {
    not_leaving(write, account, server)?;
    if write.reader.copies_of(account)?.len() >= COPIES_PER_ACCOUNT_MAX {
        return Err(RequestError::Limit { what: "copies of one account", limit: COPIES_PER_ACCOUNT_MAX });
    }
    Ok(write.put(&Copy { account, server, purpose, since: write.now, stage: StandbyStage::Seeding })?)
}

pub(crate) fn cut_over(write: &mut Write<'_>, account: AccountId, deadline: Timestamp) -> Result<Epoch, RequestError> {
    let row = found(write.reader.move_of(account)?, "move", account, None)?;
    match (row.phase, row.epoch) {
        (MovePhase::CutOver { .. }, Some(epoch)) => return Ok(epoch),
        (MovePhase::Copying, _) => {}
        _ => return Err(wrong_phase(&row)),
    }
    job::check_running(write, &row)?;
    if deadline <= write.now || deadline > write.now.plus_ms(CUT_OVER_MS_MAX) {
        return Err(invalid("deadline", "it must be in the future, at most ten minutes from now"));
    }
    let placement = found(write.reader.placement(account)?, "placement", account, None)?;
    let epoch = next_epoch(&placement, Some(&row));
    let phase = MovePhase::CutOver { deadline };
    write.put(&Move { phase, epoch: Some(epoch), changed_at: write.now, ..row })?;
    Ok(epoch)
}

/// Beyond every epoch that was handed out for the account.
fn next_epoch(placement: &Placement, row: Option<&Move>) -> Epoch {
    let handed_out = row.and_then(|row| row.epoch).unwrap_or_default();
    Epoch(placement.epoch.max(handed_out).0 + 1)
}

/// The latest epoch that was handed out for an account; `None` when it is nowhere.
pub(crate) fn handed_out(write: &Write<'_>, account: AccountId) -> Result<Option<Epoch>, RequestError> {
    let Some(placement) = write.reader.placement(account)? else { return Ok(None) };
    let of_move = write.reader.move_of(account)?.and_then(|row| row.value.epoch);
    Ok(Some(placement.value.epoch.max(of_move.unwrap_or_default())))
}

pub(crate) fn commit(write: &mut Write<'_>, account: AccountId, epoch: Epoch) -> Result<(), RequestError> {
    let old = found(write.reader.placement(account)?, "placement", account, None)?;
    if old.epoch == epoch {
        return Ok(());
    }
    let moved = RequestError::Moved { expected: epoch, found: old.epoch };
    let Some(row) = write.reader.move_of(account)?.map(|found| found.value) else { return Err(moved) };
    let is_cut_over = matches!(row.phase, MovePhase::CutOver { .. });
    if !is_cut_over || row.epoch != Some(epoch) || old.epoch >= epoch {
        return Err(moved);
    }
    let until = write.now.plus_ms(settings::rollback_ms(&write.reader)?);
    let (purpose, stage) = (CopyPurpose::Kept { until }, StandbyStage::Seeding);
    let kept = Copy { account, server: old.server, purpose, since: write.now, stage };
    write.put(&Placement { account, server: row.to, epoch })?;
    write.delete(RowKind::Copy, &row::store_key(account, row.to))?;
    write.put(&kept)?;
    let target = found(write.reader.server(row.to)?, "server", row.to, None)?;
    job_event::of_move(write, &row, JobEventKind::Moved, "")?;
    end(write, &row, End::Done)?;
    stand_by(write, account, &target)
}

/// The move is over, and so is its row.
pub(crate) fn end(write: &mut Write<'_>, row: &Move, how: End) -> Result<(), RequestError> {
    write.delete(RowKind::Move, &row::account_key(row.account))?;
    job::count(write, row, how)
}

/// Gives the epoch with which the account was placed again, if a cut-over was under way.
pub(crate) fn abort(
    write: &mut Write<'_>,
    account: AccountId,
    retry: bool,
    reason: &str,
) -> Result<Option<Epoch>, RequestError> {
    let Some(row) = write.reader.move_of(account)?.map(|found| found.value) else { return Ok(None) };
    let epoch = release(write, &row)?;
    if retry && row.phase == MovePhase::Failed {
        again(write, row)?;
    } else if retry && job::is_wanted(write, &row)? {
        let phase = if row.phase.has_copy() { MovePhase::Copying } else { row.phase };
        given_up_once(write, row, phase, reason)?;
    } else {
        drop_moving_copy(write, &row)?;
        job_event::of_move(write, &row, JobEventKind::PutAway, reason)?;
        end(write, &row, End::Aborted)?;
    }
    Ok(epoch)
}

pub(crate) fn fail(write: &mut Write<'_>, account: AccountId, reason: &str) -> Result<Option<Epoch>, RequestError> {
    let row = found(write.reader.move_of(account)?, "move", account, None)?;
    if row.phase == MovePhase::Failed {
        return Ok(None);
    }
    let epoch = release(write, &row)?;
    drop_moving_copy(write, &row)?;
    given_up_once(write, row.clone(), MovePhase::Failed, reason)?;
    job::count(write, &row, End::Failed)?;
    Ok(epoch)
}

/// A move ends because something more urgent is done to its account.
pub(crate) fn give_way(write: &mut Write<'_>, row: &Move) -> Result<(), RequestError> {
    release(write, row)?;
    drop_moving_copy(write, row)?;
    job_event::of_move(write, row, JobEventKind::PutAway, "its server was lost, and its standby copy takes over")?;
    end(write, row, End::Aborted)
}

/// Ends a cut-over for good: the account is placed where it lives, beyond the epoch that the target may have taken. So
/// a commit that comes late finds another epoch, and the source has the word that lets it go on.
fn release(write: &mut Write<'_>, row: &Move) -> Result<Option<Epoch>, RequestError> {
    if !matches!(row.phase, MovePhase::CutOver { .. }) {
        return Ok(None);
    }
    let placement = found(write.reader.placement(row.account)?, "placement", row.account, None)?;
    let epoch = next_epoch(&placement, Some(row));
    write.put(&Placement { epoch, ..placement })?;
    Ok(Some(epoch))
}

fn given_up_once(write: &mut Write<'_>, row: Move, phase: MovePhase, reason: &str) -> Result<(), RequestError> {
    let what = if phase == MovePhase::Failed { JobEventKind::Failed } else { JobEventKind::Retried };
    job_event::of_move(write, &row, what, reason)?;
    let (attempts, failed) = (row.attempts.saturating_add(1), Some(names::one_line(reason)));
    Ok(write.put(&Move { phase, epoch: None, attempts, failed, changed_at: write.now, ..row })?)
}

/// A failed move is planned once more. Much may have changed since it failed.
fn again(write: &mut Write<'_>, row: Move) -> Result<(), RequestError> {
    let from = found(write.reader.placement(row.account)?, "placement", row.account, None)?.server;
    let server = found(write.reader.server(row.to)?, "server", row.to, None)?;
    if !server.roles.data {
        return Err(NoServer::NotData(server.name).into());
    }
    if from == row.to {
        return Err(invalid("account", format!("it lives on {} already", server.name)));
    }
    job::plan_again(write, row.job)?;
    job_event::of_move(write, &row, JobEventKind::PlannedAgain, "")?;
    Ok(write.put(&Move { from, phase: MovePhase::Planned, attempts: 0, changed_at: write.now, ..row })?)
}

/// A copy that was there before the move, for another purpose, stays.
fn drop_moving_copy(write: &mut Write<'_>, row: &Move) -> Result<(), RequestError> {
    match write.reader.copy(row.account, row.to)?.map(|found| found.value) {
        Some(copy) if copy.purpose == CopyPurpose::Moving => drop_copy_row(write, &copy),
        _ => Ok(()),
    }
}

/// What the standby copy of an account on a server waits for.
pub(crate) fn standby_on(write: &Write<'_>, account: AccountId, server: NodeId) -> Result<Durability, RequestError> {
    match write.reader.copy(account, server)?.map(|found| found.value.purpose) {
        Some(CopyPurpose::Standby { durability }) => Ok(durability),
        _ => {
            let id = format!("of account {account} on {}", names_server(write, server)?);
            Err(RequestError::NoSuch { what: "standby copy", id })
        }
    }
}

pub(crate) fn fail_over(
    write: &mut Write<'_>,
    account: AccountId,
    to: NodeId,
    expect: Epoch,
) -> Result<Epoch, RequestError> {
    let old = found(write.reader.placement(account)?, "placement", account, None)?;
    if old.server == to && old.epoch > expect {
        return Ok(old.epoch);
    }
    if old.epoch != expect {
        return Err(RequestError::Moved { expected: expect, found: old.epoch });
    }
    if old.server == to {
        return Err(invalid("to", format!("account {account} lives on {} already", names_server(write, to)?)));
    }
    let durability = standby_on(write, account, to)?;
    let row = write.reader.move_of(account)?.map(|found| found.value);
    let epoch = next_epoch(&old, row.as_ref());
    let purpose = CopyPurpose::Standby { durability };
    write.put(&Placement { account, server: to, epoch })?;
    write.delete(RowKind::Copy, &row::store_key(account, to))?;
    // What the lost server has is not known: nothing waits for it before it has caught up.
    let stage = StandbyStage::Seeding;
    write.put(&Copy { account, server: old.server, purpose, since: write.now, stage })?;
    match row {
        None => {}
        Some(row) if row.to == to => {
            job_event::of_move(write, &row, JobEventKind::Moved, "its standby copy took over")?;
            end(write, &row, End::Done)?;
        }
        Some(row) if matches!(row.phase, MovePhase::CutOver { .. }) => {
            given_up_once(write, Move { from: to, ..row }, MovePhase::Copying, "its server was lost; copying goes on")?;
        }
        Some(row) => write.put(&Move { from: to, ..row })?,
    }
    Ok(epoch)
}

fn wrong_phase(row: &Move) -> RequestError {
    RequestError::WrongPhase { account: row.account, phase: row.phase.name() }
}
