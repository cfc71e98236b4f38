//! A copy that is filled for the first time: nobody relies on it before it was equal to its source once, so its pages
//! are not flushed one by one (decision 25).
//!
//! What is flushed page by page is written twice, to the log and to the file. Without that the log is written over
//! again and again in the system's memory, and mostly never reaches the disk. The price: a power cut may leave a file
//! that is torn. A note in the account's folder says of which start of the machine the pages are; after another start
//! the copy is thrown away and begins anew. A process that ends loses nothing: what it wrote is the system's.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sterna_account::{Role, StoreError};
use sterna_base::{AccountId, Epoch};

use super::error::{file_error, store_error};
use super::{FILE_NAME, SqliteEngine, connection};
use crate::disk::Disk;

/// The note in the account's folder.
const NOTE: &str = "filling";

/// Pages that go into the file between two flushes: 64 MiB. All at once at the end would keep others waiting for long.
const UNFLUSHED_PAGES_MAX: i64 = 16 * 1024;

/// In the place of a start of the machine: no start is called so.
const FAILED: &str = "failed";

/// What the note says.
struct Note {
    epoch: Epoch,
    /// The start of the machine ([`Disk::boot`]).
    boot: String,
}

/// The state of a store that is being filled.
#[derive(Debug)]
pub struct Filling {
    epoch: Epoch,
    /// Pages that went into the file since the last flush.
    unflushed_pages: i64,
}

impl Filling {
    /// Begins: from here on commits are not flushed.
    pub fn begin(disk: &dyn Disk, conn: &Connection, folder: &Path, epoch: Epoch) -> Result<Self, StoreError> {
        write_note(disk, folder, epoch, disk.boot()).map_err(|error| file_error(&error))?;
        Self::resume(conn, epoch)
    }

    /// Goes on with what an earlier process of this start of the machine began ([`discard_torn`]).
    pub fn resume(conn: &Connection, epoch: Epoch) -> Result<Self, StoreError> {
        set_flushes(conn, false)?;
        Ok(Filling { epoch, unflushed_pages: 0 })
    }

    /// A checkpoint, which is flushed now and then.
    pub fn checkpoint(&mut self, conn: &Connection, pages: i64) -> Result<(), StoreError> {
        self.unflushed_pages += pages;
        let is_due = self.unflushed_pages >= UNFLUSHED_PAGES_MAX;
        if is_due {
            set_flushes(conn, true)?;
        }
        let done = connection::checkpoint(conn);
        if is_due {
            set_flushes(conn, false)?;
            self.unflushed_pages = 0;
        }
        done
    }

    /// A flush failed: nobody knows what reached the disk, so the copy begins anew when it is opened again.
    pub fn give_up(&self, disk: &dyn Disk, folder: &Path) {
        if let Err(error) = write_note(disk, folder, self.epoch, FAILED) {
            tracing::error!(folder = %folder.display(), %error, "a first copy that failed could not be marked as such");
        }
    }

    /// Ends: all that was written is durable, and what comes is flushed. When it fails the note stays.
    pub fn end(disk: &dyn Disk, conn: &Connection, folder: &Path) -> Result<(), StoreError> {
        set_flushes(conn, true)?;
        // SQLite flushes the file when a checkpoint moves something into it, so there must be something.
        conn.execute_batch("UPDATE account SET account = account").map_err(store_error)?;
        connection::checkpoint_all(conn)?;
        remove_note(disk, folder).map_err(|error| file_error(&error))
    }
}

/// Whether what is there may be torn.
pub fn is_torn(disk: &dyn Disk, folder: &Path) -> Result<bool, StoreError> {
    Ok(read_note(folder)?.is_some_and(|note| note.boot != disk.boot()))
}

/// Puts an empty copy in the place of one whose pages a power cut may have torn. The epoch of one that is being filled
/// and is whole.
pub fn discard_torn(engine: &SqliteEngine, folder: &Path, account: AccountId) -> Result<Option<Epoch>, StoreError> {
    let disk = engine.disk.as_ref();
    let Some(note) = read_note(folder)? else { return Ok(None) };
    if note.boot == disk.boot() {
        return Ok(Some(note.epoch));
    }
    tracing::warn!(%account, "the first copy of an account was under way when the machine or its disk failed; it begins anew");
    let path = folder.join(FILE_NAME);
    let log = connection::log_path(&path);
    // The note goes last: until then this begins anew.
    if log.exists() {
        disk.remove_file(&log).map_err(|error| file_error(&error))?;
    }
    engine.create_file(account, note.epoch, Role::Follower, &path)?;
    let forget = || {
        disk.sync_folder(folder)?;
        remove_note(disk, folder)
    };
    forget().map_err(|error| file_error(&error))?;
    Ok(None)
}

/// Durable before anything is relied on that needs no note.
fn remove_note(disk: &dyn Disk, folder: &Path) -> std::io::Result<()> {
    disk.remove_file(&note_path(folder))?;
    disk.sync_folder(folder)
}

fn set_flushes(conn: &Connection, are_on: bool) -> Result<(), StoreError> {
    conn.pragma_update(None, "synchronous", if are_on { "FULL" } else { "OFF" }).map_err(store_error)
}

fn note_path(folder: &Path) -> PathBuf {
    folder.join(NOTE)
}

/// Durable before anything is written that needs it.
fn write_note(disk: &dyn Disk, folder: &Path, epoch: Epoch, boot: &str) -> std::io::Result<()> {
    let (path, new) = (note_path(folder), folder.join("filling.new"));
    if new.exists() {
        disk.remove_file(&new)?;
    }
    let mut file = disk.create_file(&new)?;
    file.write_all(format!("{epoch} {boot}\n").as_bytes())?;
    file.sync()?;
    disk.rename(&new, &path)?;
    disk.sync_folder(folder)
}

fn read_note(folder: &Path) -> Result<Option<Note>, StoreError> {
    let text = match fs::read_to_string(note_path(folder)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| file_error(&error))?,
    };
    let note = text.trim_end().split_once(' ').and_then(|(epoch, boot)| {
        let (epoch, boot) = (Epoch(epoch.parse().ok()?), boot.to_owned());
        Some(Note { epoch, boot })
    });
    note.map(Some).ok_or_else(|| StoreError::Corrupt(format!("the note {NOTE} beside the store can't be read")))
}
