//! Servers, and what is placed on them.

use rusqlite::{OptionalExtension, params};
use sterna_base::{AccountId, NodeId};

use super::{Reader, Versioned, page};
use crate::index::{self, number};
use crate::model::{PendingStore, Placement, Server};
use crate::placement_policy::Candidate;
use crate::row::RowKind;
use crate::{StorageError, row};

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// Where an account lives.
    pub fn placement(&self, account: AccountId) -> Result<Option<Versioned<Placement>>, StorageError> {
        self.row(&row::account_key(account))
    }

    /// The stores of an account that are being made or deleted: few.
    pub fn pending_stores_of(&self, account: AccountId) -> Result<Vec<PendingStore>, StorageError> {
        let found = self.pending_keys(account, None)?.into_iter().map(|key| self.row::<PendingStore>(&key));
        Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().map(|found| found.value).collect())
    }

    /// The store of an account on a server that is being made or deleted.
    pub fn pending_store(&self, account: AccountId, server: NodeId) -> Result<Option<PendingStore>, StorageError> {
        Ok(self.pending_stores_of(account)?.into_iter().find(|pending| pending.server == server))
    }

    /// The keys of the rows that tell of an account's pending stores, on one server or on all.
    pub(crate) fn pending_keys(&self, account: AccountId, on: Option<NodeId>) -> Result<Vec<String>, StorageError> {
        let sql = "SELECT row_key, server FROM dir_pending_store WHERE account_id = $1 ORDER BY server";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([number(account.0)], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let on = on.map(|server| server.to_string());
        Ok(rows.into_iter().filter(|(_, at)| on.as_ref().is_none_or(|on| on == at)).map(|(key, _)| key).collect())
    }

    /// Stores that are being made or deleted, by account and server after `after`, at most `limit`.
    pub fn pending_stores(
        &self,
        after: Option<(AccountId, NodeId)>,
        limit: usize,
    ) -> Result<Vec<PendingStore>, StorageError> {
        let sql = "SELECT row_key FROM dir_pending_store WHERE (account_id, server) > ($1, $2)
            ORDER BY account_id, server LIMIT $3";
        let (account, server) = after.map_or((0, String::new()), |(account, at)| (number(account.0), at.to_string()));
        self.rows_by_key(sql, params![account, server, page(limit)])
    }

    /// The accounts placed on a server, by id after `after`, at most `limit`.
    pub fn placed_on(&self, server: NodeId, after: AccountId, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT account_id FROM dir_placement WHERE server = $1 AND account_id > $2
            ORDER BY account_id LIMIT $3";
        let ids = self.ids(sql, params![server.to_string(), number(after.0), page(limit)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    /// A server by id.
    pub fn server(&self, id: NodeId) -> Result<Option<Versioned<Server>>, StorageError> {
        self.row(&row::server_key(id))
    }

    /// A server by name.
    pub fn server_named(&self, name: &str) -> Result<Option<Versioned<Server>>, StorageError> {
        let sql = "SELECT server FROM dir_server_name WHERE name = $1";
        let key: Option<String> =
            self.conn.prepare_cached(sql)?.query_row([name.trim().to_lowercase()], |row| row.get(0)).optional()?;
        key.map_or(Ok(None), |key| self.row(&key))
    }

    /// The servers by name: few, at most [`crate::SERVERS_MAX`].
    pub fn servers(&self) -> Result<Vec<Versioned<Server>>, StorageError> {
        let mut statement = self.conn.prepare_cached("SELECT server FROM dir_server_name ORDER BY name LIMIT $1")?;
        let keys = statement
            .query_map([page(crate::SERVERS_MAX)], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let found = keys.into_iter().map(|key| self.row(&key)).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The servers as the placement policy sees them.
    pub fn candidates(&self) -> Result<Vec<Candidate>, StorageError> {
        self.servers()?
            .into_iter()
            .map(|server| {
                let accounts = self.accounts_on(server.value.id)?;
                Ok(Candidate { server: server.value, accounts })
            })
            .collect()
    }

    /// How many accounts are placed on a server.
    pub fn accounts_on(&self, server: NodeId) -> Result<u64, StorageError> {
        self.count(&format!("server/{server}"))
    }

    /// How many entries of a kind there are.
    pub fn entry_count(&self, kind: RowKind) -> Result<u64, StorageError> {
        self.count(&index::kind_count(kind))
    }

    /// How many domains there are.
    pub fn domain_count(&self) -> Result<u64, StorageError> {
        self.count("domains")
    }

    /// How many members a group has itself.
    pub fn member_count(&self, group: AccountId) -> Result<u64, StorageError> {
        self.count(&format!("members/{:016x}", group.0))
    }
}
