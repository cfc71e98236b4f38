//! A machine takes another one's place: the rows that say how far that is, and who is the main node.

use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Modseq, NodeId};

use super::copies::drop_copy_row;
use super::job;
use super::moves::put_new_copy;
use super::{found, names_server};
use crate::model::{CopyPurpose, MainNode, Migration, MigrationPhase, Pace, Roles, Server};
use crate::names::{self, invalid};
use crate::row::{self, RowKind};
use crate::write::Write;
use crate::{COPIES_PER_REQUEST_MAX, LEFT_BEHIND_MAX, MOVES_PER_REQUEST_MAX, RequestError};

pub(crate) fn begin(write: &mut Write<'_>, from: NodeId, to: NodeId, by: &str) -> Result<(), RequestError> {
    if let Some(old) = write.reader.migration()?.map(|found| found.value)
        && !old.phase.is_over()
    {
        if (old.from, old.to) == (from, to) {
            return Ok(());
        }
        let (old_from, old_to) = (names_server(write, old.from)?, names_server(write, old.to)?);
        return Err(RequestError::InUse { by: format!("{old_to} is taking the place of {old_from} already") });
    }
    super::update::none_under_way(write)?;
    let source = found(write.reader.server(from)?, "server", from, None)?;
    let target = found(write.reader.server(to)?, "server", to, None)?;
    if from == to {
        return Err(invalid("to", "a server can't take its own place"));
    }
    if source.roles.data && !target.roles.data {
        return Err(invalid("to", format!("{} holds accounts, so {} has to", source.name, target.name)));
    }
    let (with_main, target_name) = (source.roles.main, target.name.clone());
    // Nothing comes to live there before the switch, or giving it up would lose it.
    write.put(&Server { accepts_new_accounts: false, weight: source.weight, ..target })?;
    Ok(write.put(&Migration {
        from,
        to,
        with_main,
        phase: MigrationPhase::Syncing,
        pace: Pace::Rolling,
        job: None,
        by: names::one_line(by),
        begun_at: write.now,
        changed_at: write.now,
        left_behind: Vec::new(),
        names: (source.name, target_name),
    })?)
}

fn current(write: &Write<'_>, expect: Option<Modseq>) -> Result<Migration, RequestError> {
    found(write.reader.migration()?, "migration", "under way", expect)
}

pub(crate) fn set(
    write: &mut Write<'_>,
    expect: Option<Modseq>,
    phase: MigrationPhase,
    pace: Option<Pace>,
) -> Result<(), RequestError> {
    let old = current(write, None)?;
    let pace = pace.unwrap_or(old.pace);
    if old.phase == phase {
        return Ok(write.put(&Migration { pace, ..old })?);
    }
    let old = current(write, expect)?;
    if !old.phase.may_become(phase) {
        let reason = format!("a migration that is {} can't become {}", old.phase.name(), phase.name());
        return Err(invalid("phase", reason));
    }
    match phase {
        MigrationPhase::Switching => exchange(write, old.from, old.to)?,
        MigrationPhase::Returning => exchange(write, old.to, old.from)?,
        MigrationPhase::Switched => is_all_on(write, &old, old.to)?,
        MigrationPhase::Syncing => is_all_on(write, &old, old.from)?,
        MigrationPhase::Finishing => may_leave(write, old.from)?,
        MigrationPhase::Done => {
            let copies = write.reader.copy_count(old.from)?;
            if copies > 0 {
                return Err(RequestError::InUse { by: format!("{copies} copies on the old machine") });
            }
            is_all_on(write, &old, old.to)?;
        }
        MigrationPhase::Aborting | MigrationPhase::Aborted => {}
    }
    Ok(write.put(&Migration { phase, pace, job: None, changed_at: write.now, ..old })?)
}

/// New accounts, and the domains that are bound to servers, go where everything goes.
fn exchange(write: &mut Write<'_>, leaving: NodeId, taking: NodeId) -> Result<(), RequestError> {
    let old = found(write.reader.server(leaving)?, "server", leaving, None)?;
    let new = found(write.reader.server(taking)?, "server", taking, None)?;
    let (accepts, standby) = (old.accepts_new_accounts, old.standby.filter(|standby| standby.server != taking));
    write.put(&Server { accepts_new_accounts: accepts, standby, draining: false, ..new })?;
    write.put(&Server { accepts_new_accounts: false, ..old })?;
    let mut after = String::new();
    loop {
        let page = write.reader.domains(&after, PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.value.name);
        for found in page.into_iter().filter(|found| found.value.servers.contains(&leaving)) {
            let mut domain = found.value;
            domain.servers.retain(|server| *server != taking);
            for server in domain.servers.iter_mut().filter(|server| **server == leaving) {
                *server = taking;
            }
            write.put(&domain)?;
        }
    }
}

fn is_all_on(write: &Write<'_>, row: &Migration, server: NodeId) -> Result<(), RequestError> {
    let other = if server == row.to { row.from } else { row.to };
    let (left, name) = (write.reader.accounts_on(other)?, names_server(write, other)?);
    if left > 0 {
        return Err(RequestError::InUse { by: format!("{left} accounts still live on {name}") });
    }
    let roles = write.reader.server(server)?.map(|found| found.value.roles).unwrap_or_default();
    if row.with_main && !roles.main {
        return Err(RequestError::InUse { by: format!("{name} is still the main node") });
    }
    Ok(())
}

/// What nobody else would have is not given up with a machine.
fn may_leave(write: &Write<'_>, leaving: NodeId) -> Result<(), RequestError> {
    let mut after = AccountId(0);
    loop {
        let page = write.reader.copies_on(leaving, after, PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.account;
        if page.iter().any(|copy| matches!(copy.purpose, CopyPurpose::Standby { .. })) {
            let name = names_server(write, leaving)?;
            return Err(RequestError::InUse { by: format!("standby copies on {name}") });
        }
    }
}

/// Accounts of the old machine that the new one holds no copy of get one.
pub(crate) fn follow(write: &mut Write<'_>) -> Result<(), RequestError> {
    let row = current(write, None)?;
    if !matches!(row.phase, MigrationPhase::Syncing | MigrationPhase::Switching) {
        return Ok(());
    }
    for account in write.reader.placed_without_copy(row.from, row.to, COPIES_PER_REQUEST_MAX)? {
        match put_new_copy(write, account, row.to, CopyPurpose::Migrating) {
            // Its old store there is on its way out; the next round sees to it.
            Err(RequestError::StoreLeaving { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Accounts that live where they are not to stay are planned to move.
pub(crate) fn plan(write: &mut Write<'_>) -> Result<(), RequestError> {
    let row = current(write, None)?;
    let (from, to) = match row.phase {
        MigrationPhase::Switching => (row.from, row.to),
        MigrationPhase::Returning => (row.to, row.from),
        _ => return Ok(()),
    };
    let accounts = write.reader.placed_without_move(from, MOVES_PER_REQUEST_MAX)?;
    if accounts.is_empty() {
        return Ok(());
    }
    let (old, new) = (names_server(write, from)?, names_server(write, to)?);
    let what = format!("migrate from {old} to {new}");
    let moves = accounts.into_iter().map(|account| (account, to)).collect();
    let job = job::migrate(write, row.job, what, row.by.clone(), moves)?;
    Ok(write.put(&Migration { job: Some(job), ..row })?)
}

/// Copies that nobody needs any more are given up, some of them: those made for a migration that is aborted, or those
/// on a machine that leaves, whose disk goes with it.
pub(crate) fn drop_copies(write: &mut Write<'_>) -> Result<(), RequestError> {
    let row = current(write, None)?;
    let mut after = AccountId(0);
    let (server, leaves) = match row.phase {
        MigrationPhase::Aborting => (row.to, false),
        MigrationPhase::Finishing => (row.from, true),
        _ => return Ok(()),
    };
    let mut left = COPIES_PER_REQUEST_MAX;
    loop {
        let page = write.reader.copies_on(server, after, PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { break };
        after = last.account;
        for copy in page {
            match copy.purpose {
                _ if left == 0 => return Ok(()),
                CopyPurpose::Migrating if !leaves => drop_copy_row(write, &copy)?,
                CopyPurpose::Kept { .. } | CopyPurpose::Migrating if leaves => {
                    write.delete(RowKind::Copy, &row::store_key(copy.account, copy.server))?;
                }
                _ => continue,
            }
            left -= 1;
        }
    }
    if leaves {
        for pending in write.reader.pending_stores_on(server, COPIES_PER_REQUEST_MAX)? {
            for key in write.reader.pending_keys(pending, Some(server))? {
                write.delete(RowKind::PendingStore, &key)?;
            }
        }
    }
    Ok(())
}

/// The old machine has heard that it is done, or nobody waits for that: it is no server of the installation any more.
pub(crate) fn forget(write: &mut Write<'_>) -> Result<(), RequestError> {
    let row = current(write, None)?;
    match (row.phase, write.reader.server(row.from)?) {
        (MigrationPhase::Done, Some(server)) => {
            super::server::delete(write, row.from, None)?;
            let names = (server.value.name, row.names.1.clone());
            Ok(write.put(&Migration { names, ..row })?)
        }
        _ => Ok(()),
    }
}

/// From this on another node is the main one. The caller makes this directory a copy in the same transaction, so that
/// it is the last change that this node ever makes of it.
pub(crate) fn hand_over(write: &mut Write<'_>, to: NodeId, left_behind: &[String]) -> Result<(), RequestError> {
    let row = current(write, None)?;
    let wanted = match row.phase {
        MigrationPhase::Switching => row.to,
        MigrationPhase::Returning => row.from,
        _ => return Err(invalid("to", format!("the migration is {}", row.phase.name()))),
    };
    if wanted != to || !row.with_main {
        return Err(invalid("to", format!("{} is not to become the main node", names_server(write, to)?)));
    }
    let servers = write.reader.servers()?;
    for Server { roles, .. } in servers.iter().map(|found| &found.value).filter(|server| server.id == to) {
        if roles.main {
            return Err(invalid("to", "it is the main node already"));
        }
    }
    for server in servers.into_iter().map(|found| found.value) {
        let main = server.id == to;
        if server.roles.main != main {
            let roles = Roles { main, ..server.roles };
            write.put(&Server { roles, ..server })?;
        }
    }
    let left_behind = left_behind.iter().take(LEFT_BEHIND_MAX).map(|name| names::one_line(name)).collect();
    write.put(&Migration { left_behind, ..row })?;
    let term = write.reader.main_node()?.map_or(0, |found| found.value.term) + 1;
    Ok(write.put(&MainNode { server: to, term, since: write.now })?)
}
