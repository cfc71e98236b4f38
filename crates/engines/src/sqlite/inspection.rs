//! Looking at an account's file beside the program that may have it open.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use sterna_account::{Read, StoreError};
use sterna_base::AccountId;

use super::blob_files::BlobFiles;
use super::connection::{self, Purpose};
use super::error::store_error;
use super::read::Reader;
use super::schema;
use crate::disk::Disk;

/// One committed state of an account, read without changing a byte of its files.
///
/// Opening a store adopts its log, which writes over what another program is about to write, and runs migrations. This
/// does neither, and leaves the log where it is when it ends.
pub struct Inspection {
    reader: Reader,
}

impl Inspection {
    pub(super) fn open(disk: &dyn Disk, path: &Path, account: AccountId, files: BlobFiles) -> Result<Self, StoreError> {
        let conn = connection::open(disk, path, Purpose::Read)?;
        begin(&conn).map_err(store_error)?;
        schema::must_be_current(&conn)?;
        Ok(Inspection { reader: Reader { conn, account, files: Arc::new(files) } })
    }

    /// What the account is. Large blobs are files of their own: one that is purged meanwhile is not there any more.
    pub fn read(&self) -> &dyn Read {
        &self.reader
    }

    /// SQLite's `integrity_check`; empty when all is well.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn check_files(&self) -> Result<Vec<String>, StoreError> {
        self.reader.check_files()
    }
}

/// From here on every statement sees the state of the first one.
fn begin(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.execute_batch("BEGIN DEFERRED")
}
