//! A copy of the directory as it would be after a switch, for a rehearsal of it (decision 69).

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use sterna_base::{AccountId, Clock, Epoch, NodeId};

use crate::model::{MainNode, Migration, MigrationPhase, Placement, Roles, Server};
use crate::row::{self, RowKind};
use crate::write::Write;
use crate::{Core, StorageError, schema};

impl Core {
    /// Makes the file of a directory that nobody else has what it would be after the switch, as far as these accounts
    /// go: `node` is the main node and does everything, and has those of them of which it held a copy. Gives their
    /// epochs. Blocking.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn rehearse(
        path: &Path,
        node: NodeId,
        accounts: &[AccountId],
        clock: &dyn Clock,
    ) -> Result<Vec<(AccountId, Epoch)>, StorageError> {
        let mut conn = Connection::open(path)?;
        schema::prepare(&conn)?;
        schema::migrate(&mut conn)?;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut write = Write::begin(&tx, clock.now(), false)?;
        switch(&mut write, node)?;
        let mut placed = Vec::new();
        for account in accounts {
            placed.extend(place(&mut write, *account, node)?.map(|epoch| (*account, epoch)));
        }
        write.finish()?;
        tx.execute("UPDATE dir_head SET is_copy = 0 WHERE id = 1", [])?;
        tx.commit()?;
        Ok(placed)
    }
}

fn switch(write: &mut Write<'_>, node: NodeId) -> Result<(), StorageError> {
    for server in write.reader.servers()?.into_iter().map(|found| found.value) {
        let roles = match server.id == node {
            true => Roles { main: true, data: true, edge: true },
            false => Roles { main: false, ..server.roles },
        };
        write.put(&Server { roles, ..server })?;
    }
    if let Some(row) = write.reader.migration()?.map(|found| found.value) {
        write.put(&Migration { phase: MigrationPhase::Switched, job: None, changed_at: write.now, ..row })?;
    }
    let term = write.reader.main_node()?.map_or(0, |found| found.value.term) + 1;
    write.put(&MainNode { server: node, term, since: write.now })
}

fn place(write: &mut Write<'_>, account: AccountId, node: NodeId) -> Result<Option<Epoch>, StorageError> {
    let copy = row::store_key(account, node);
    let placement = write.reader.placement(account)?.map(|found| found.value);
    let (Some(placement), true) = (placement, write.reader.content(RowKind::Copy, &copy)?.is_some()) else {
        return Ok(None);
    };
    let epoch = Epoch(placement.epoch.0 + 1);
    write.put(&Placement { server: node, epoch, ..placement })?;
    write.delete(RowKind::Copy, &copy)?;
    Ok(Some(epoch))
}
