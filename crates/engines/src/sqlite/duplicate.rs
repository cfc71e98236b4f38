//! A second copy of an account's files on the same disk, to be tried out and thrown away.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::config::DbConfig;
use sterna_account::StoreError;
use sterna_base::AccountId;

use super::connection::{self, Purpose};
use super::error::{file_error, store_error};
use super::{FILE_NAME, SqliteEngine, filling};

/// Where large bodies are, in an account's folder.
const BLOBS: &str = "blobs";

impl SqliteEngine {
    /// One committed state of an account as an account of `other`, while somebody else may write this one. Bodies that
    /// are files get a second name; what is removed here afterwards is still there. The search index is not copied, and
    /// nothing is flushed.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or why it can't be read or written.
    pub fn duplicate(&self, account: AccountId, other: &SqliteEngine) -> Result<(), StoreError> {
        let (from, to) = (self.folder(account), other.folder(account));
        let path = from.join(FILE_NAME);
        if !path.exists() {
            return Err(StoreError::NoSuchAccount(account));
        }
        if filling::is_torn(self.disk.as_ref(), &from)? {
            return Err(StoreError::Corrupt("its first copy is begun anew; try again when it is there".into()));
        }
        fs::create_dir_all(&to).map_err(|error| file_error(&error))?;
        // Before, because what is not referred to any more may be removed meanwhile; and after, for what came.
        link_all(&from.join(BLOBS), &to.join(BLOBS)).map_err(|error| file_error(&error))?;
        let conn = connection::open(self.disk.as_ref(), &path, Purpose::Write)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(store_error)?;
        conn.execute("VACUUM INTO ?1", [to.join(FILE_NAME).to_string_lossy()]).map_err(store_error)?;
        link_all(&from.join(BLOBS), &to.join(BLOBS)).map_err(|error| file_error(&error))
    }
}

/// Gives every file below a folder a second name in another one; where the disk can't do that, a copy.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link_all(&old, &new)?;
            continue;
        }
        let linked = match fs::hard_link(&old, &new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            Err(_) => fs::copy(&old, &new).map(drop),
            Ok(()) => Ok(()),
        };
        match linked {
            // It was removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked?,
        }
    }
    Ok(())
}
