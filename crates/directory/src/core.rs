//! The blocking core: one connection that writes. [`crate::Directory`] puts it behind an asynchronous face.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use sterna_base::{Clock, InstallationId, Modseq, NodeId};

use crate::model::Migration;
use crate::read::Reader;
use crate::request::{Done, Request};
use crate::write::Write;
use crate::{RequestError, StorageError, requests, schema, write};

/// What a node does with its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is the main node of this installation: takes requests.
    Main(InstallationId),
    /// It keeps a copy: takes the main node's changes.
    Copy,
}

/// What a node is, as far as its own copy of the directory knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is the main node; `None` when that was never handed over, and its configuration says it.
    pub is_main: Option<bool>,
    /// The last migration.
    pub migration: Option<Migration>,
}

/// Writes one directory.
pub struct Core {
    pub(crate) conn: Connection,
    pub(crate) mode: Mode,
    /// Set when a write failed in a way that leaves unknown what is on the disk.
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Core {
    /// Opens the file, makes it when there is none, runs its migrations.
    ///
    /// # Errors
    /// When the file can't be opened, has a later format, or belongs to a node with another role or installation.
    pub fn open(path: &Path, mode: Mode) -> Result<Self, StorageError> {
        let mut conn = Connection::open(path)?;
        schema::prepare(&conn)?;
        schema::migrate(&mut conn)?;
        let mut core = Core { conn, mode, stopped: Arc::default() };
        core.check_owner()?;
        Ok(core)
    }

    /// Opens a file to be read beside the program that may write it, and changes nothing of it.
    ///
    /// # Errors
    /// When the file can't be opened or has another format.
    pub fn inspect(path: &Path) -> Result<Self, StorageError> {
        let conn = Self::open_reader(path)?;
        schema::must_be_current(&conn)?;
        Ok(Core { conn, mode: Mode::Copy, stopped: Arc::default() })
    }

    /// Makes the copy in this file the directory of the main node, if it says that this node is the main one and has
    /// all that the one before it wrote: its last change is the one that says so ([`Request::HandOverMain`]).
    ///
    /// # Errors
    /// When the file can't be opened or has a later format.
    pub fn take_over(path: &Path, node: NodeId) -> Result<Standing, StorageError> {
        let mut conn = Connection::open(path)?;
        schema::prepare(&conn)?;
        schema::migrate(&mut conn)?;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let reader = Reader::new(&tx);
        let (head, main, migration) = (reader.head()?, reader.main_node()?, reader.migration()?);
        let is_main = main.map(|main| main.value.server == node && head.modseq >= main.modseq);
        if is_main == Some(true) {
            tx.execute("UPDATE dir_head SET is_copy = 0 WHERE id = 1", [])?;
        }
        tx.commit()?;
        Ok(Standing { is_main, migration: migration.map(|found| found.value) })
    }

    /// A connection that only reads, for another thread.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn open_reader(path: &Path) -> Result<Connection, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        schema::prepare(&conn)?;
        Ok(conn)
    }

    /// A main node's file carries its installation; a copy's file is never opened as a main node's by mistake, because
    /// two main nodes would both give out ids and epochs.
    fn check_owner(&mut self) -> Result<(), StorageError> {
        let Mode::Main(installation) = self.mode else { return Ok(()) };
        let is_copy: bool = self.conn.query_row("SELECT is_copy FROM dir_head WHERE id = 1", [], |row| row.get(0))?;
        match self.reader().head()?.installation {
            _ if is_copy => Err(StorageError::IsCopy),
            Some(found) if found != installation => Err(StorageError::OtherInstallation(found)),
            Some(_) => Ok(()),
            None => {
                let sql = "UPDATE dir_head SET installation = $1 WHERE id = 1";
                self.conn.execute(sql, [installation.to_string()])?;
                Ok(())
            }
        }
    }

    /// Reads through the writing connection.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.conn)
    }

    /// Does a request in one transaction. When this returns `Ok`, a power cut loses nothing of it. With `dry_run`
    /// everything is checked and nothing is kept; ids in the answer are then those that the next request would get.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn submit(&mut self, request: &Request, clock: &dyn Clock, dry_run: bool) -> Result<Done, RequestError> {
        if self.mode == Mode::Copy {
            return Err(RequestError::NotMain);
        }
        self.check_running()?;
        let result = self.transact(request, clock, dry_run);
        if let Err(RequestError::Storage(error)) = &result {
            self.note_doubt(error);
        }
        result
    }

    fn transact(&mut self, request: &Request, clock: &dyn Clock, dry_run: bool) -> Result<Done, RequestError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut write = Write::begin(&tx, clock.now(), dry_run)?;
        let before: Modseq = write.before();
        let created = requests::run(&mut write, request)?;
        let modseq = write.finish()?;
        let leaves = matches!(request, Request::HandOverMain { .. });
        if leaves {
            write::become_copy(&tx, modseq)?;
        }
        if dry_run {
            tx.rollback()?;
        } else {
            tx.commit()?;
            if leaves {
                self.mode = Mode::Copy;
            }
        }
        Ok(Done { modseq, changed: modseq != before, created })
    }

    pub(crate) fn check_running(&self) -> Result<(), StorageError> {
        if self.stopped.load(Ordering::Acquire) { Err(StorageError::Stopped) } else { Ok(()) }
    }

    /// Stops all writing after an error that leaves unknown what is on the disk.
    pub(crate) fn note_doubt(&self, error: &StorageError) {
        if leaves_doubt(error) {
            self.stopped.store(true, Ordering::Release);
        }
    }
}

/// Whether after this error nobody knows what the disk has. A full disk and a lock held by another leave the file as it
/// was.
fn leaves_doubt(error: &StorageError) -> bool {
    match error {
        StorageError::Sqlite(error) => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
        _ => false,
    }
}
