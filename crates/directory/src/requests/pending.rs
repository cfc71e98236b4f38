//! Stores that are being made or deleted.

use sterna_base::{AccountId, NodeId};

use super::found;
use crate::model::PendingStore;
use crate::names::invalid;
use crate::placement_policy::NoServer;
use crate::row::{self, RowKind};
use crate::write::Write;
use crate::{RequestError, StorageError};

pub(crate) fn reserve(write: &mut Write<'_>, server: NodeId) -> Result<AccountId, RequestError> {
    let server = found(write.reader.server(server)?, "server", server, None)?;
    if !server.roles.data {
        return Err(NoServer::NotData(server.name).into());
    }
    let account = super::reserve(write)?;
    write.put(&PendingStore { account, server: server.id, since: write.now, deleting: false })?;
    Ok(account)
}

/// The reservation becomes a placement: from now on somebody names the store.
pub(crate) fn claim(write: &mut Write<'_>, account: AccountId, server: NodeId) -> Result<(), RequestError> {
    match write.reader.pending_store(account)?.map(|found| found.value) {
        None => Err(invalid("id", "it was not reserved")),
        Some(pending) if pending.deleting => Err(invalid("id", "its reservation was given up")),
        Some(pending) if pending.server != server => Err(invalid("server", "the id was reserved for another server")),
        Some(_) => Ok(write.delete(RowKind::PendingStore, &row::account_key(account))?),
    }
}

pub(crate) fn give_up(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    let pending = found(write.reader.pending_store(account)?, "account", account, None)?;
    Ok(write.put(&PendingStore { deleting: true, ..pending })?)
}

/// An account that was placed loses its entry: its store is to be deleted.
pub(crate) fn abandon(write: &mut Write<'_>, account: AccountId) -> Result<(), StorageError> {
    let Some(placement) = write.reader.placement(account)? else { return Ok(()) };
    write.put(&PendingStore { account, server: placement.value.server, since: write.now, deleting: true })
}

/// Repeating it is success: the answer may have been lost.
pub(crate) fn gone(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    match write.reader.pending_store(account)? {
        Some(pending) if !pending.value.deleting => Err(invalid("account", "its store is not being deleted")),
        _ => Ok(write.delete(RowKind::PendingStore, &row::account_key(account))?),
    }
}
