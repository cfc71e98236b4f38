//! Connections to an account's file, and its write-ahead log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sterna_account::StoreError;

use super::error::{file_error, store_error};
use crate::disk::Disk;

/// Page cache of one connection. Small: a node has a thousand accounts open, and the system's cache is behind it.
const CACHE_KIB: i64 = 512;

/// Page cache of a store while it is filled from another copy: its indexes are hit everywhere by hashes.
const LARGE_CACHE_KIB: i64 = 24 * 1024;

/// How large the write-ahead log may stay after a checkpoint.
const LOG_BYTES_MAX: i64 = 4 * 1024 * 1024;

/// Pages in the log after which a commit is followed by a checkpoint: two more flushes for some hundred deliveries.
pub const LOG_PAGES_PER_CHECKPOINT: i64 = 1000;

/// How long a statement waits for another connection's lock. Only a checkpoint or another program can hold one.
const BUSY_MS: u64 = 10_000;

/// Prepared statements kept by a connection.
const STATEMENTS_KEPT: usize = 64;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Makes the file if it isn't there.
    Create,
    /// Writes a file that exists.
    Write,
    /// Only reads.
    Read,
}

/// Opens a connection.
pub fn open(disk: &dyn Disk, path: &Path, purpose: Purpose) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if purpose == Purpose::Create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let open = || {
        let conn = match disk.vfs() {
            None => Connection::open_with_flags(path, flags)?,
            Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        };
        conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        // Else each statement with a bound LIMIT is planned again at each use: another limit may want another plan.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", false)?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        conn.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        // SQLite's own checkpoints keep their errors to themselves; a failed flush must stop the store.
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        conn.pragma_update(None, "query_only", purpose == Purpose::Read)?;
        Ok(conn)
    };
    open().map_err(store_error)
}

/// Makes the page cache large, or as small as it was.
pub fn set_large_cache(conn: &Connection, is_large: bool) -> Result<(), StoreError> {
    let cache_kib = if is_large { LARGE_CACHE_KIB } else { CACHE_KIB };
    conn.pragma_update(None, "cache_size", -cache_kib).map_err(store_error)
}

/// Opens something, with the right word for a full disk: SQLite says only "unable to open" when it can't make its log.
pub fn opening<T>(disk: &dyn Disk, path: &Path, open: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    open().map_err(|error| match error {
        StoreError::Io(cause) if is_full(disk, path) => StoreError::DiskFull(cause),
        error => error,
    })
}

/// Whether there is no room for another small file beside this one.
fn is_full(disk: &dyn Disk, path: &Path) -> bool {
    /// One block: files of a few bytes may live in an inode.
    const PROBE_BYTES: usize = 4096;
    let probe = path.with_extension(format!("probe-{}", u64::from_le_bytes(sterna_base::ids::random_bytes())));
    let written = disk.create_file(&probe).and_then(|mut file| {
        file.write_all(&[0; PROBE_BYTES])?;
        file.sync()
    });
    if probe.exists()
        && let Err(error) = disk.remove_file(&probe)
    {
        tracing::warn!(path = %probe.display(), %error, "a file of no use could not be removed");
    }
    written.is_err_and(|error| matches!(file_error(&error), StoreError::DiskFull(_)))
}

/// The log beside an account's file.
pub fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Makes the log that an unclean end left durable, before SQLite reads it; whether there was one.
///
/// After a failed flush Linux holds pages for clean that never reached the disk. SQLite would believe such a log, build
/// on it, and lose with the next power cut what it acknowledged since. Writing the log over itself makes the pages
/// dirty again, and the flush an honest one.
pub fn adopt_log(disk: &dyn Disk, path: &Path) -> Result<bool, StoreError> {
    let path = log_path(path);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file_error(&error)),
        Ok(metadata) if metadata.len() == 0 => Ok(false),
        Ok(_) => disk.rewrite(&path).map(|()| true).map_err(|error| file_error(&error)),
    }
}

/// Pages in the log.
pub fn log_pages(conn: &Connection) -> Result<i64, StoreError> {
    let mut statement = conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)").map_err(store_error)?;
    statement.query_row([], |row| row.get(1)).map_err(store_error)
}

/// Moves all that the log has into the file, and waits for readers that are in the way.
pub fn checkpoint_all(conn: &Connection) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached("PRAGMA wal_checkpoint(FULL)").map_err(store_error)?;
    let is_whole = statement.query_row([], |row| {
        let (is_busy, pages, moved): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(!is_busy && pages == moved)
    });
    if is_whole.map_err(store_error)? {
        Ok(())
    } else {
        Err(StoreError::Io("somebody reads the account for so long that its log can't be emptied".into()))
    }
}

/// Moves what the log has into the file, as far as readers allow, without waiting for them.
pub fn checkpoint(conn: &Connection) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)").map_err(store_error)?;
    statement.query_row([], |_| Ok(())).map_err(store_error)
}
