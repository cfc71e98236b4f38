//! Who is the main node, and which machine takes another one's place.

use rusqlite::params;
use sterna_base::{AccountId, NodeId};

use super::{Reader, Versioned, page};
use crate::model::{MainNode, Migration};
use crate::{StorageError, row};

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The main node, once that was handed over; before, it is the one that founded the installation.
    pub fn main_node(&self) -> Result<Option<Versioned<MainNode>>, StorageError> {
        self.row(row::ONLY_KEY)
    }

    /// The last migration, also one that is over.
    pub fn migration(&self) -> Result<Option<Versioned<Migration>>, StorageError> {
        self.row(row::ONLY_KEY)
    }

    /// Accounts that live on one server and of which the other one is to hold no copy: the first `limit`.
    pub fn placed_without_copy(
        &self,
        server: NodeId,
        on: NodeId,
        limit: usize,
    ) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT account_id FROM dir_placement WHERE server = $1 AND NOT EXISTS (
            SELECT 1 FROM dir_copy WHERE dir_copy.account_id = dir_placement.account_id AND dir_copy.server = $2
        ) ORDER BY account_id LIMIT $3";
        let ids = self.ids(sql, params![server.to_string(), on.to_string(), page(limit)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    /// Accounts that live on a server and don't move, nor failed to: the first `limit`.
    pub fn placed_without_move(&self, server: NodeId, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT account_id FROM dir_placement WHERE server = $1 AND NOT EXISTS (
            SELECT 1 FROM dir_move WHERE dir_move.account_id = dir_placement.account_id
        ) ORDER BY account_id LIMIT $2";
        let ids = self.ids(sql, params![server.to_string(), page(limit)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    /// Accounts of which a store on this server is being made or deleted: the first `limit`.
    pub(crate) fn pending_stores_on(&self, server: NodeId, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT account_id FROM dir_pending_store WHERE server = $1 ORDER BY account_id LIMIT $2";
        let ids = self.ids(sql, params![server.to_string(), page(limit)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    /// How many accounts, of those on one server, have a copy on the other one.
    pub fn placed_with_copy(&self, server: NodeId, on: NodeId) -> Result<u64, StorageError> {
        let sql = "SELECT COUNT(*) FROM dir_placement JOIN dir_copy ON dir_copy.account_id = dir_placement.account_id
            WHERE dir_placement.server = $1 AND dir_copy.server = $2";
        let params = params![server.to_string(), on.to_string()];
        let count: i64 = self.conn.prepare_cached(sql)?.query_row(params, |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}
