//! The engine of a single machine: one SQLite file for each account, in write-ahead mode with full synchronisation.
//!
//! A delivery is one transaction with one flush: rows, summary and body go into the same file. Bodies above
//! [`INLINE_BLOB_BYTES_MAX`](sterna_base::limits::INLINE_BLOB_BYTES_MAX) are files beside it ([`blob_files`]), flushed
//! before the transaction that refers to them.

mod aside;
mod blob_files;
mod connection;
mod containers;
mod contents;
mod duplicate;
mod error;
mod filling;
mod follow;
mod forks;
mod inspection;
mod items;
mod page;
mod read;
mod rows;
mod schema;
mod search;
mod settle;
mod store;
#[cfg(test)]
mod tests;
mod transaction;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::params;
use sterna_account::follow::Progress;
use sterna_account::search::SearchIndex;
use sterna_account::{AsideName, Digest, Engine, Read, Role, Store, StoreError};
use sterna_base::{AccountId, Epoch, Timestamp};

use crate::disk::{Disk, RealDisk};
use crate::settle::Equality;
use blob_files::BlobFiles;
use connection::Purpose;
use error::{file_error, store_error};
pub use inspection::Inspection;
use rows::sql;
pub use schema::FORMAT;
use store::SqliteStore;

/// The file of an account in its folder.
const FILE_NAME: &str = "account.sqlite";

/// Folders between the root and the accounts, so that a million accounts don't share one folder.
const SHARDS: u64 = 256;

/// SQLite files below one folder.
#[derive(Debug)]
pub struct SqliteEngine {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    log_pages_per_checkpoint: i64,
}

impl SqliteEngine {
    /// The accounts below this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        SqliteEngine::on_disk(root, Arc::new(RealDisk))
    }

    /// The same on another disk: tests give one that fails.
    pub fn on_disk(root: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Self {
        SqliteEngine { root: root.into(), disk, log_pages_per_checkpoint: connection::LOG_PAGES_PER_CHECKPOINT }
    }

    /// With checkpoints after another number of pages: tests want to see many.
    pub fn with_log_pages_per_checkpoint(self, pages: u32) -> Self {
        SqliteEngine { log_pages_per_checkpoint: i64::from(pages), ..self }
    }

    /// Makes a folder and those above it. Also existing ones are flushed: their maker's flush may have failed.
    fn create_folders(&self, folder: &Path) -> std::io::Result<()> {
        match self.root.parent() {
            Some(above) if folder == self.root && !above.exists() => fs::create_dir_all(above)?,
            _ if folder != self.root => self.create_folders(folder.parent().unwrap_or(&self.root))?,
            _ => {}
        }
        self.disk.create_folder(folder)
    }

    fn folder(&self, account: AccountId) -> PathBuf {
        self.root.join(format!("{:02x}", account.0 % SHARDS)).join(account.to_string())
    }
}

impl SqliteEngine {
    /// Makes an account's file under another name and renames it, so that a file of that name is always whole.
    fn create_file(&self, account: AccountId, epoch: Epoch, role: Role, path: &Path) -> Result<(), StoreError> {
        let new = path.with_extension("new");
        for leftover in [new.clone(), connection::log_path(&new)] {
            match self.disk.remove_file(&leftover) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file_error(&error)),
                _ => {}
            }
        }
        let conn = connection::open(self.disk.as_ref(), &new, Purpose::Create)?;
        schema::migrate(&conn)?;
        let statement = "INSERT INTO account (account, modseq, epoch, role, next_container, next_blob, \
             last_uid_validity, bytes_max, items_max, bytes_used, items_used, digest) \
             VALUES (?1, 0, ?2, ?3, 1, 1, 0, NULL, NULL, 0, 0, ?4)";
        let digest = Digest::default().0.to_le_bytes();
        let values = params![sql(account.0), sql(epoch.0), role as u8, digest.as_slice()];
        conn.execute(statement, values).map_err(store_error)?;
        if role == Role::Follower {
            // One without this row would be a copy that was active: whole up to its own head.
            follow::set_progress(&conn, account, Progress::start(), Equality::Never)?;
        }
        connection::checkpoint(&conn)?;
        drop(conn);
        let place = || {
            self.disk.rewrite(&new)?;
            self.disk.rename(&new, path)
        };
        place().map_err(|error| file_error(&error))
    }

    /// The search index of an account, for a look that changes nothing; `None` when there is none.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn inspect_search_index(&self, account: AccountId) -> Result<Option<Box<dyn SearchIndex>>, StoreError> {
        let index = search::inspect(&self.folder(account))?;
        Ok(index.map(|index| Box::new(index) as Box<dyn SearchIndex>))
    }

    /// Opens the store in a folder.
    fn open_in(&self, folder: &Path, account: AccountId) -> Result<SqliteStore, StoreError> {
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            return Err(StoreError::NoSuchAccount(account));
        }
        connection::opening(self.disk.as_ref(), &path, || {
            let filled_in = filling::discard_torn(self, folder, account)?;
            let unclean = connection::adopt_log(self.disk.as_ref(), &path)?;
            let conn = connection::open(self.disk.as_ref(), &path, Purpose::Write)?;
            schema::migrate(&conn)?;
            let files = Arc::new(BlobFiles::new(folder.join("blobs"), self.disk.clone()));
            let (disk, path) = (self.disk.clone(), path.clone());
            let mut store = SqliteStore::new(conn, account, path, files, disk, self.log_pages_per_checkpoint);
            if unclean {
                store.check_sums()?;
            }
            if let Some(epoch) = filled_in {
                store.resume_filling(epoch)?;
            }
            Ok(store)
        })
    }

    /// Looks at an account's store beside whoever has it open, and changes nothing of it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or why it can't be read; [`StoreError::OlderFormat`] when a migration has to run
    /// first.
    pub fn inspect(&self, account: AccountId) -> Result<Inspection, StoreError> {
        let folder = self.folder(account);
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            return Err(StoreError::NoSuchAccount(account));
        }
        if filling::is_torn(self.disk.as_ref(), &folder)? {
            let cause = "its first copy was under way when the machine or its disk failed; the node begins it anew";
            return Err(StoreError::Corrupt(cause.into()));
        }
        Inspection::open(self.disk.as_ref(), &path, account, BlobFiles::new(folder.join("blobs"), self.disk.clone()))
    }

    /// Removes a store's folder, durably.
    fn remove_folder(&self, folder: &Path) -> Result<(), StoreError> {
        match self.disk.remove_folder(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file_error(&error)),
            Ok(()) => {
                let parent = folder.parent().unwrap_or(&self.root);
                self.disk.sync_folder(parent).map_err(|error| file_error(&error))
            }
        }
    }
}

impl Engine for SqliteEngine {
    fn create(&self, account: AccountId, epoch: Epoch, role: Role, _now: Timestamp) -> Result<(), StoreError> {
        let folder = self.folder(account);
        let path = folder.join(FILE_NAME);
        let disk = self.disk.as_ref();
        connection::opening(disk, &path, || {
            self.create_folders(&folder).map_err(|error| file_error(&error))?;
            filling::discard_torn(self, &folder, account)?;
            if !path.exists() {
                self.create_file(account, epoch, role, &path)?;
            }
            disk.sync_folder(&folder).map_err(|error| file_error(&error))?;
            let conn = connection::open(disk, &path, Purpose::Read)?;
            let found = conn.query_row("SELECT epoch FROM account", [], |row| row.get::<_, i64>(0));
            if found.map_err(store_error)? != sql(epoch.0) {
                return Err(StoreError::Corrupt(format!("account {account} exists with another epoch")));
            }
            Ok(())
        })
    }

    fn open(&self, account: AccountId) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.open_in(&self.folder(account), account)?))
    }

    fn delete(&self, account: AccountId) -> Result<(), StoreError> {
        self.remove_folder(&self.folder(account))
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

    fn set_aside(&self, account: AccountId, note: &[u8], now: Timestamp) -> Result<AsideName, StoreError> {
        aside::set(self, account, note, now)
    }

    fn asides(&self) -> Result<Vec<(AsideName, Vec<u8>)>, StoreError> {
        aside::list(self)
    }

    fn set_aside_note(&self, name: AsideName, note: &[u8]) -> Result<(), StoreError> {
        aside::set_note(self, name, note)
    }

    fn open_aside(&self, name: AsideName) -> Result<Box<dyn Read>, StoreError> {
        Ok(Box::new(self.open_in(&aside::folder(self, name), name.account)?))
    }

    fn search_index(&self, account: AccountId) -> Result<Option<Box<dyn SearchIndex>>, StoreError> {
        Ok(Some(Box::new(search::open(&self.folder(account))?)))
    }

    fn delete_search_index(&self, account: AccountId) -> Result<(), StoreError> {
        search::delete(&self.folder(account))
    }

    fn delete_aside(&self, name: AsideName) -> Result<(), StoreError> {
        self.remove_folder(&aside::folder(self, name))
    }
}

fn folders(root: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(file_error(&error)),
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()),
    }
}
