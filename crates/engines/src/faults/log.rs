//! What happened on a disk, and what is to fail.

use std::io;
use std::path::{Path, PathBuf};

use super::Fault;

/// One change of a disk.
#[derive(Clone, Debug)]
pub enum Event {
    CreateFolder(PathBuf),
    CreateFile(PathBuf),
    Write {
        path: PathBuf,
        offset: u64,
        bytes: Box<[u8]>,
    },
    Truncate {
        path: PathBuf,
        length: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// A file, or a folder with all that is in it.
    Remove(PathBuf),
    Sync(PathBuf),
    /// A flush that failed: what it should have flushed may never be, and later flushes don't try it again.
    SyncFailed(PathBuf),
    SyncFolder(PathBuf),
}

impl Event {
    /// The same event in a copy of the folder.
    pub fn moved(&self, root: &Path, into: &Path) -> Event {
        let moved = |path: &Path| path.strip_prefix(root).map_or_else(|_| path.to_owned(), |rest| into.join(rest));
        let mut event = self.clone();
        match &mut event {
            Event::Write { path, .. } | Event::Truncate { path, .. } => *path = moved(path),
            Event::Rename { from, to } => (*from, *to) = (moved(from), moved(to)),
            Event::CreateFolder(path)
            | Event::CreateFile(path)
            | Event::Remove(path)
            | Event::Sync(path)
            | Event::SyncFailed(path)
            | Event::SyncFolder(path) => *path = moved(path),
        }
        event
    }
}

/// EIO: what a broken disk says.
const EIO: i32 = 5;

/// ENOSPC: what a full disk says.
const ENOSPC: i32 = 28;

/// The memory of a disk.
#[derive(Debug, Default)]
pub struct Log {
    pub events: Vec<Event>,
    /// Pieces of SQLite's files that were read.
    pub reads: u64,
    planned: Option<Fault>,
    happened: bool,
}

impl Log {
    pub fn plan(&mut self, fault: Fault) {
        self.planned = Some(fault);
        self.happened = false;
    }

    pub fn repair(&mut self) -> bool {
        self.planned = None;
        std::mem::take(&mut self.happened)
    }

    /// Before anything that needs space.
    pub fn write(&mut self) -> io::Result<()> {
        match self.planned {
            Some(Fault::Full(0)) => {
                self.happened = true;
                Err(io::Error::from_raw_os_error(ENOSPC))
            }
            Some(Fault::WriteFails(0)) => {
                self.happened = true;
                self.planned = None;
                Err(io::Error::from_raw_os_error(EIO))
            }
            Some(Fault::Full(n)) => {
                self.planned = Some(Fault::Full(n - 1));
                Ok(())
            }
            Some(Fault::WriteFails(n)) => {
                self.planned = Some(Fault::WriteFails(n - 1));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Before any flush.
    pub fn sync(&mut self) -> io::Result<()> {
        match self.planned {
            Some(Fault::SyncFails(0)) => {
                self.happened = true;
                self.planned = None;
                Err(io::Error::from_raw_os_error(EIO))
            }
            Some(Fault::SyncFails(n)) => {
                self.planned = Some(Fault::SyncFails(n - 1));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A flush of a file.
    pub fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        let done = self.sync();
        let event = if done.is_ok() { Event::Sync } else { Event::SyncFailed };
        self.events.push(event(path.to_owned()));
        done
    }
}
