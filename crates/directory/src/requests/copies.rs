//! Copies that are there for the way back or for the loss of a server.

use sterna_base::{AccountId, NodeId, Timestamp};

use super::job::{allowed, check_count};
use super::moves::{handed_out, put_new_copy};
use super::{found, names_server};
use crate::model::{Copy, CopyPurpose, Durability, MovePhase, PendingStore, Server, ServerStandby, StandbyStage};
use crate::names::invalid;
use crate::placement_policy::NoServer;
use crate::request::StageReport;
use crate::row::{self, RowKind};
use crate::write::Write;
use crate::{COPIES_PER_REQUEST_MAX, RequestError};

pub(crate) fn put_standby(
    write: &mut Write<'_>,
    accounts: &[AccountId],
    server: NodeId,
    durability: Durability,
) -> Result<(), RequestError> {
    check_count(accounts.len())?;
    let target = found(write.reader.server(server)?, "server", server, None)?;
    if !target.roles.data {
        return Err(NoServer::NotData(target.name).into());
    }
    for &account in accounts {
        let placement = found(write.reader.placement(account)?, "account", account, None)?;
        if placement.server == server {
            return Err(invalid("server", format!("account {account} lives on {}", target.name)));
        }
        let purpose = CopyPurpose::Standby { durability };
        let old = write.reader.copy(account, server)?.map(|found| found.value);
        match old.map(|copy| copy.purpose) {
            Some(old) if old == purpose => continue,
            Some(CopyPurpose::Moving) => return Err(moving(write, account)?),
            Some(CopyPurpose::Migrating) => {
                let by = format!("the migration to {}", target.name);
                return Err(RequestError::InUse { by });
            }
            Some(CopyPurpose::Standby { .. }) => {}
            Some(CopyPurpose::Kept { .. }) | None => check_open(write, account, &target)?,
        }
        match old {
            Some(copy) => write.put(&Copy { purpose, since: write.now, stage: StandbyStage::Seeding, ..copy })?,
            None => put_new_copy(write, account, server, purpose)?,
        }
    }
    Ok(())
}

/// Takes down how far a standby copy of durability 2 is. What was reported already is success; what was reported of a
/// row or a placement that is no longer there is refused, because it says nothing of the new one.
pub(crate) fn set_stage(write: &mut Write<'_>, report: &StageReport) -> Result<(), RequestError> {
    let StageReport { account, copy: server, by, epoch, expect, stage } = *report;
    let placement = found(write.reader.placement(account)?, "account", account, None)?;
    let row = write.reader.copy(account, server)?;
    let of = format!("of account {account} on {}", names_server(write, server)?);
    let row = row.ok_or_else(|| RequestError::NoSuch { what: "standby copy", id: of.clone() })?;
    if row.value.purpose != (CopyPurpose::Standby { durability: Durability::Two }) {
        return Err(RequestError::NoSuch { what: "standby copy", id: of });
    }
    if row.value.stage == stage {
        return Ok(());
    }
    // Whoever holds the copy may say at any time that it is not what it was: that only takes a promise back.
    if by == server && stage == StandbyStage::Seeding {
        return Ok(write.put(&Copy { stage, ..row.value })?);
    }
    if placement.epoch != epoch || placement.server != by {
        return Err(RequestError::Moved { expected: epoch, found: placement.epoch });
    }
    let copy = found(Some(row), "standby copy", of, Some(expect))?;
    match (copy.stage, stage) {
        (StandbyStage::Seeding, StandbyStage::Joining) | (StandbyStage::Joining, StandbyStage::Awaited) => {
            Ok(write.put(&Copy { stage, ..copy })?)
        }
        (from, to) => Err(invalid("stage", format!("a copy that is {} does not become {}", from.name(), to.name()))),
    }
}

/// Where the accounts of a domain may be, their copies may be, and nowhere else.
fn check_open(write: &Write<'_>, account: AccountId, server: &Server) -> Result<(), RequestError> {
    if server.draining {
        return Err(NoServer::Draining(server.name.clone()).into());
    }
    let allowed = allowed(write, account)?;
    if !allowed.is_empty() && !allowed.contains(&server.id) {
        return Err(NoServer::NotAllowed(server.name.clone()).into());
    }
    Ok(())
}

/// An account that came to live on a server gets the standby copy that the server's accounts have. Where it may not be,
/// is not yet gone, or is one too many, it has none: that must not stop what it came by.
pub(crate) fn stand_by(write: &mut Write<'_>, account: AccountId, server: &Server) -> Result<(), RequestError> {
    let Some(ServerStandby { server, durability }) = server.standby else { return Ok(()) };
    match put_standby(write, &[account], server, durability) {
        Err(RequestError::Storage(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn moving(write: &Write<'_>, account: AccountId) -> Result<RequestError, RequestError> {
    let row = found(write.reader.move_of(account)?, "move", account, None)?;
    Ok(RequestError::Moving { account, job: row.job })
}

/// There being none is success.
pub(crate) fn drop(write: &mut Write<'_>, account: AccountId, server: NodeId) -> Result<(), RequestError> {
    if write.reader.placement(account)?.is_some_and(|placement| placement.value.server == server) {
        let by = format!("account {account} lives on {}", names_server(write, server)?);
        return Err(RequestError::InUse { by });
    }
    let Some(copy) = write.reader.copy(account, server)?.map(|found| found.value) else { return Ok(()) };
    if is_target(write, account, server)? {
        return Err(moving(write, account)?);
    }
    drop_copy_row(write, &copy)
}

/// Whether the account is moving to the server, or is to.
fn is_target(write: &Write<'_>, account: AccountId, server: NodeId) -> Result<bool, RequestError> {
    let row = write.reader.move_of(account)?;
    Ok(row.is_some_and(|row| row.value.to == server && row.value.phase != MovePhase::Failed))
}

/// From now on nobody names the store, which is to be deleted.
pub(crate) fn drop_copy_row(write: &mut Write<'_>, copy: &Copy) -> Result<(), RequestError> {
    write.delete(RowKind::Copy, &row::store_key(copy.account, copy.server))?;
    let (account, server) = (copy.account, copy.server);
    let epoch = handed_out(write, account)?;
    Ok(write.put(&PendingStore { account, server, since: write.now, deleting: true, epoch })?)
}

/// A store that nobody names is to be deleted: only that of an account that lives elsewhere, because one of which the
/// directory knows nothing may be all that there is of it.
pub(crate) fn drop_store(write: &mut Write<'_>, account: AccountId, server: NodeId) -> Result<(), RequestError> {
    found(write.reader.server(server)?, "server", server, None)?;
    let placement = found(write.reader.placement(account)?, "account", account, None)?;
    if placement.server == server || write.reader.copy(account, server)?.is_some() {
        let by = format!("account {account} on {}", names_server(write, server)?);
        return Err(RequestError::InUse { by });
    }
    if is_target(write, account, server)? {
        return Err(moving(write, account)?);
    }
    if write.reader.pending_store(account, server)?.is_some() {
        return Ok(());
    }
    let epoch = handed_out(write, account)?;
    Ok(write.put(&PendingStore { account, server, since: write.now, deleting: true, epoch })?)
}

/// A store that is being deleted is not made again before it is gone: the word to delete it may still be on its way.
pub(crate) fn not_leaving(write: &Write<'_>, account: AccountId, server: NodeId) -> Result<(), RequestError> {
    match write.reader.pending_store(account, server)? {
        None => Ok(()),
        Some(_) => Err(RequestError::StoreLeaving { account, server: names_server(write, server)? }),
    }
}

pub(crate) fn expire(write: &mut Write<'_>, before: Timestamp) -> Result<(), RequestError> {
    for copy in write.reader.expired_copies(before.min(write.now), COPIES_PER_REQUEST_MAX)? {
        // On the way back it is needed after all.
        if !is_target(write, copy.account, copy.server)? {
            drop_copy_row(write, &copy)?;
        }
    }
    Ok(())
}
