//! A disk that fails on demand and remembers everything, for tests: what would be left after a power cut at this
//! instant?
//!
//! [`FaultyDisk`] is both the [`Disk`](crate::disk::Disk) of the files beside a database and an SQLite VFS (a shim over
//! SQLite's own). Everything really happens, in real files below one folder, and is logged; flushes are only logged.
//! From the log [`FaultyDisk::crash_copy`] makes what a power cut after any event may have left: what was not flushed
//! is kept, dropped or torn at the choice of a seed.
//!
//! Compiled for tests only (feature `faults`). The only unsafe code of the workspace is in [`vfs`].

mod crash;
mod log;
mod vfs;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, RealDisk};
pub use crash::Dice;
use log::{Event, Log};

/// A failure to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The nth flush from now (zero is the next) fails with EIO; those after it succeed, as on Linux, which forgets.
    SyncFails(u64),
    /// The nth write from now and all after it find the disk full, until [`FaultyDisk::repair`].
    Full(u64),
    /// The nth write from now fails with EIO.
    WriteFails(u64),
}

/// A disk of a test.
#[derive(Debug)]
pub struct FaultyDisk {
    root: PathBuf,
    vfs_name: String,
    log: Arc<Mutex<Log>>,
}

impl FaultyDisk {
    /// Watches everything below this folder, which must exist and counts as durable. The VFS stays registered to the
    /// end of the process: SQLite may keep pointers to it.
    pub fn new(root: &Path) -> Arc<Self> {
        let log = Arc::new(Mutex::new(Log::default()));
        let vfs_name = vfs::register(log.clone());
        Arc::new(FaultyDisk { root: root.to_owned(), vfs_name, log })
    }

    /// Lets something fail.
    pub fn plan(&self, fault: Fault) {
        self.log.lock().plan(fault);
    }

    /// Forgets the failures to come; a full disk has room again. Returns whether the planned failure happened.
    pub fn repair(&self) -> bool {
        self.log.lock().repair()
    }

    /// How many events there were so far: where the power can be cut.
    pub fn events(&self) -> usize {
        self.log.lock().events.len()
    }

    /// How many flushes of files and folders were done so far, and how many writes.
    pub fn counts(&self) -> (u64, u64) {
        let log = self.log.lock();
        let is_sync = |event: &&Event| matches!(event, Event::Sync(_) | Event::SyncFolder(_));
        let is_write = |event: &&Event| matches!(event, Event::Write { .. });
        let count = |which: &dyn Fn(&&Event) -> bool| log.events.iter().filter(which).count() as u64;
        (count(&is_sync), count(&is_write))
    }

    /// How often SQLite read a page from a file because its cache hadn't it: a walk through a large table shows here.
    pub fn reads(&self) -> u64 {
        self.log.lock().reads
    }

    /// Makes, in the folder `into`, what a power cut after this many events may have left of `root`.
    ///
    /// # Errors
    /// When the copy can't be written.
    pub fn crash_copy(&self, events: usize, seed: u64, into: &Path) -> io::Result<()> {
        let log = self.log.lock();
        crash::Machine::replay(&self.root, &log.events[..events]).cut_power(seed).write(&self.root, into)
    }
}

impl FaultyDisk {
    /// A disk as it is after the process was killed: the copy `into` has what programs see, flushed or not, and what is
    /// durable of it is remembered. Shared memory is gone.
    ///
    /// # Errors
    /// When the copy can't be written.
    pub fn killed_copy(&self, into: &Path) -> io::Result<Arc<Self>> {
        copy_files(&self.root, into)?;
        let copy = FaultyDisk::new(into);
        let events = self.log.lock().events.iter().map(|event| event.moved(&self.root, into)).collect();
        copy.log.lock().events = events;
        Ok(copy)
    }
}

fn copy_files(from: &Path, into: &Path) -> io::Result<()> {
    std::fs::create_dir_all(into)?;
    for entry in std::fs::read_dir(from)? {
        let (path, target) = entry.map(|entry| (entry.path(), into.join(entry.file_name())))?;
        if path.is_dir() {
            copy_files(&path, &target)?;
        } else if !path.to_string_lossy().ends_with("-shm") {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

impl Disk for FaultyDisk {
    fn vfs(&self) -> Option<&str> {
        Some(&self.vfs_name)
    }

    fn boot(&self) -> &str {
        "before the power cut"
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if !path.is_dir() {
            self.log.lock().write()?;
            std::fs::create_dir(path)?;
            self.log.lock().events.push(Event::CreateFolder(path.to_owned()));
        }
        Ok(())
    }

    fn create_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.log.lock().write()?;
        let file = RealDisk.create_file(path)?;
        self.log.lock().events.push(Event::CreateFile(path.to_owned()));
        Ok(Box::new(LoggedFile { file, path: path.to_owned(), offset: 0, log: self.log.clone() }))
    }

    fn link_file(&self, from: &Path, to: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.log.lock().write()?;
        let file = RealDisk.link_file(from, to)?;
        let bytes: Box<[u8]> = std::fs::read(to)?.into();
        let (path, offset) = (to.to_owned(), bytes.len() as u64);
        // Not a byte of it is flushed, as far as anybody knows.
        let written = Event::Write { path: path.clone(), offset: 0, bytes };
        self.log.lock().events.extend([Event::CreateFile(path.clone()), written]);
        Ok(Box::new(LoggedFile { file, path, offset, log: self.log.clone() }))
    }

    fn rewrite(&self, path: &Path) -> io::Result<()> {
        self.log.lock().write()?;
        let bytes = std::fs::read(path)?.into();
        let mut log = self.log.lock();
        log.events.push(Event::Write { path: path.to_owned(), offset: 0, bytes });
        log.sync_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)?;
        self.log.lock().events.push(Event::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)?;
        self.log.lock().events.push(Event::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_folder(path)?;
        self.log.lock().events.push(Event::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut log = self.log.lock();
        log.sync()?;
        log.events.push(Event::SyncFolder(path.to_owned()));
        Ok(())
    }
}

/// A file of [`FaultyDisk`].
struct LoggedFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    offset: u64,
    log: Arc<Mutex<Log>>,
}

impl DiskFile for LoggedFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.log.lock().write()?;
        self.file.write_all(bytes)?;
        let (path, offset) = (self.path.clone(), self.offset);
        self.log.lock().events.push(Event::Write { path, offset, bytes: bytes.into() });
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.log.lock().sync_file(&self.path)
    }
}
