//! Stores that are being made or deleted.

use sterna_base::{AccountId, NodeId};

use super::entry::FIRST_EPOCH;
use super::found;
use super::job::End;
use crate::model::PendingStore;
use crate::names::invalid;
use crate::placement_policy::NoServer;
use crate::row::RowKind;
use crate::write::Write;
use crate::{JobEventKind, RequestError, StorageError, job_event};

pub(crate) fn reserve(write: &mut Write<'_>, server: NodeId) -> Result<AccountId, RequestError> {
    let server = found(write.reader.server(server)?, "server", server, None)?;
    if !server.roles.data {
        return Err(NoServer::NotData(server.name).into());
    }
    let account = super::reserve(write)?;
    write.put(&PendingStore { account, server: server.id, since: write.now, deleting: false, epoch: None })?;
    Ok(account)
}

/// The reservation becomes a placement: from now on somebody names the store.
pub(crate) fn claim(write: &mut Write<'_>, account: AccountId, server: NodeId) -> Result<(), RequestError> {
    let stores = write.reader.pending_stores_of(account)?;
    match stores.iter().find(|pending| !pending.deleting) {
        None if stores.is_empty() => Err(invalid("id", "it was not reserved")),
        None => Err(invalid("id", "its reservation was given up")),
        Some(pending) if pending.server != server => Err(invalid("server", "the id was reserved for another server")),
        Some(_) => Ok(forget(write, account, server)?),
    }
}

pub(crate) fn give_up(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    let stores = write.reader.pending_stores_of(account)?;
    if stores.is_empty() {
        return Err(RequestError::NoSuch { what: "account", id: account.to_string() });
    }
    for pending in stores.into_iter().filter(|pending| !pending.deleting) {
        forget(write, account, pending.server)?;
        write.put(&PendingStore { deleting: true, epoch: Some(FIRST_EPOCH), ..pending })?;
    }
    Ok(())
}

/// An account loses its entry: every store that may be anywhere is to be deleted.
pub(crate) fn abandon(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    // Before the move ends: a store may have taken the epoch of its cut-over.
    let epoch = super::moves::handed_out(write, account)?;
    for copy in write.reader.copies_of(account)? {
        super::copies::drop_copy_row(write, &copy)?;
    }
    if let Some(row) = write.reader.move_of(account)? {
        job_event::of_move(write, &row.value, JobEventKind::PutAway, "the account is deleted")?;
        super::moves::end(write, &row.value, End::Aborted)?;
    }
    let Some(placement) = write.reader.placement(account)? else { return Ok(()) };
    let server = placement.value.server;
    Ok(write.put(&PendingStore { account, server, since: write.now, deleting: true, epoch })?)
}

/// Repeating it is success: the answer may have been lost.
pub(crate) fn gone(write: &mut Write<'_>, account: AccountId, server: NodeId) -> Result<(), RequestError> {
    match write.reader.pending_store(account, server)? {
        Some(pending) if !pending.deleting => Err(invalid("account", "its store is not being deleted")),
        _ => Ok(forget(write, account, server)?),
    }
}

/// The row has the key that was usual when it was written: in format 1, that of the account alone.
fn forget(write: &mut Write<'_>, account: AccountId, server: NodeId) -> Result<(), StorageError> {
    for key in write.reader.pending_keys(account, Some(server))? {
        write.delete(RowKind::PendingStore, &key)?;
    }
    Ok(())
}
