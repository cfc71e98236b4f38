//! The engine of a single machine: one SQLite file for each account, in write-ahead mode with full synchronisation.
//!
//! A delivery is one transaction with one flush: rows, summary and body go into the same file. Bodies above
//! [`INLINE_BLOB_BYTES_MAX`](sterna_base::limits::INLINE_BLOB_BYTES_MAX) are files beside it ([`blob_files`]), flushed
//! before the transaction that refers to them.

mod blob_files;
mod containers;
mod contents;
mod error;
mod items;
mod read;
mod rows;
mod schema;
mod store;
mod transaction;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, params};
use sterna_account::{Digest, Engine, Role, Store, StoreError};
use sterna_base::atomic_file::sync_folder;
use sterna_base::{AccountId, Epoch, Timestamp};

use blob_files::BlobFiles;
use error::{file_error, store_error};
use rows::sql;
use store::SqliteStore;

/// The file of an account in its folder.
const FILE_NAME: &str = "account.sqlite";

/// Folders between the root and the accounts, so that a million accounts don't share one folder.
const SHARDS: u64 = 256;

/// Page cache of one connection. Small: a node has a thousand accounts open, and the system's cache is behind it.
const CACHE_KIB: i64 = 512;

/// How large the write-ahead log may stay after a checkpoint.
const LOG_BYTES_MAX: i64 = 4 * 1024 * 1024;

/// How long a statement waits for another connection's lock. Only a checkpoint or another program can hold one.
const BUSY_MS: u64 = 10_000;

/// Prepared statements kept by a connection.
const STATEMENTS_KEPT: usize = 64;

/// SQLite files below one folder.
#[derive(Debug)]
pub struct SqliteEngine {
    root: PathBuf,
}

impl SqliteEngine {
    /// The accounts below this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        SqliteEngine { root: root.into() }
    }

    fn folder(&self, account: AccountId) -> PathBuf {
        self.root.join(format!("{:02x}", account.0 % SHARDS)).join(account.to_string())
    }
}

/// Opens a connection; the writing one makes the file if it isn't there.
fn open_connection(path: &Path, create: bool) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let open = || {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        conn.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(conn)
    };
    open().map_err(store_error)
}

impl Engine for SqliteEngine {
    fn create(&self, account: AccountId, epoch: Epoch, _now: Timestamp) -> Result<(), StoreError> {
        let folder = self.folder(account);
        fs::create_dir_all(&folder).map_err(|error| file_error(&error))?;
        let conn = open_connection(&folder.join(FILE_NAME), true)?;
        schema::migrate(&conn)?;
        let statement = "INSERT INTO account (account, modseq, epoch, role, next_container, next_blob, \
             last_uid_validity, bytes_max, items_max, bytes_used, items_used, digest) \
             VALUES (?1, 0, ?2, ?3, 1, 1, 0, NULL, NULL, 0, 0, ?4) ON CONFLICT (account) DO NOTHING";
        let digest = Digest::default().0.to_le_bytes();
        let values = params![sql(account.0), sql(epoch.0), Role::Active as u8, digest.as_slice()];
        conn.execute(statement, values).map_err(store_error)?;
        let found: i64 = conn.query_row("SELECT epoch FROM account", [], |row| row.get(0)).map_err(store_error)?;
        if found != sql(epoch.0) {
            return Err(StoreError::Corrupt(format!("account {account} exists with epoch {found}")));
        }
        drop(conn);
        for folder in folder.ancestors().take(3) {
            sync_folder(folder).map_err(|error| file_error(&error))?;
        }
        Ok(())
    }

    fn open(&self, account: AccountId) -> Result<Box<dyn Store>, StoreError> {
        let folder = self.folder(account);
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            return Err(StoreError::NoSuchAccount(account));
        }
        let conn = open_connection(&path, false)?;
        schema::migrate(&conn)?;
        let files = Arc::new(BlobFiles::new(folder.join("blobs")));
        Ok(Box::new(SqliteStore::new(conn, account, path, files)))
    }

    fn delete(&self, account: AccountId) -> Result<(), StoreError> {
        let folder = self.folder(account);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file_error(&error)),
            Ok(()) => {
                let parent = folder.parent().unwrap_or(&self.root);
                sync_folder(parent).map_err(|error| file_error(&error))
            }
        }
    }

    fn accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        let mut accounts = Vec::new();
        for shard in folders(&self.root)? {
            for folder in folders(&shard)? {
                let name = folder.file_name().and_then(|name| name.to_str());
                let id: Option<AccountId> = name.and_then(|name| name.parse().ok());
                accounts.extend(id.filter(|_| folder.join(FILE_NAME).exists()));
            }
        }
        accounts.sort_unstable();
        Ok(accounts)
    }
}

fn folders(root: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(file_error(&error)),
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()),
    }
}
