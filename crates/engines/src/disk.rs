//! The few things that stores do with files beside SQLite's own, behind a narrow trait, so that tests can cut the power
//! and fill the disk between any two of them.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use sterna_base::{Clock, SystemClock};

/// Changes of files and folders. Reading needs no trait: it can't lose anything.
pub trait Disk: Debug + Send + Sync {
    /// The SQLite VFS through which databases on this disk are opened; `None` is SQLite's own.
    fn vfs(&self) -> Option<&str> {
        None
    }

    /// Names the time since this machine started: what was written and not flushed is still there while this is the
    /// same.
    fn boot(&self) -> &str;

    /// Makes a folder in one that exists, durably; existing already is success.
    ///
    /// # Errors
    /// Whatever the file system says; the same holds for every method here.
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.make_folder(path)?;
        path.parent().map_or(Ok(()), |parent| self.sync_folder(parent))
    }

    /// Makes a folder in one that exists; existing already is success. Durable after [`Disk::sync_folder`] of that
    /// other one.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a new file, open for writing.
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file that nobody writes any more a second name, and opens it by that, to be flushed; it is as if it had
    /// been written now. The file may be outside of this disk's folders, on the same file system.
    fn link_file(&self, from: &Path, to: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Writes a file's content over itself and flushes it: what was read from the system's cache is then on the disk.
    fn rewrite(&self, path: &Path) -> io::Result<()>;

    /// Gives a file its final name; durable after [`Disk::sync_folder`] of the folder that it goes to.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and all that is in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder's entries durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file being written from its beginning.
pub trait DiskFile: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all bytes durable (not the file's name: that is its folder's matter).
    ///
    /// # Errors
    /// Whatever the file system says; nobody knows then what reached the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// Linux names every start. Where that can't be read, every process is a start of its own: the careful answer.
static BOOT: LazyLock<String> = LazyLock::new(|| {
    let named = fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned());
    let own = || format!("process-{:032x}", u128::from_le_bytes(sterna_base::ids::random_bytes()));
    named.ok().filter(|id| !id.is_empty()).unwrap_or_else(own)
});

impl Disk for RealDisk {
    fn boot(&self) -> &str {
        &BOOT
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            done => done,
        }
    }

    fn create_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn link_file(&self, from: &Path, to: &Path) -> io::Result<Box<dyn DiskFile>> {
        fs::hard_link(from, to)?;
        let file = File::open(to)?;
        // What is old and that nothing refers to is purged: a message may have waited for days before it gets here.
        let now_ms = SystemClock.now().0.unsigned_abs();
        file.set_modified(UNIX_EPOCH + Duration::from_millis(now_ms))?;
        Ok(Box::new(LinkedFile(file)))
    }

    fn rewrite(&self, path: &Path) -> io::Result<()> {
        let content = fs::read(path)?;
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&content, 0)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        sterna_base::atomic_file::sync_folder(path)
    }
}

/// A second name of a file.
struct LinkedFile(File);

impl DiskFile for LinkedFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        sterna_base::shared_file::sync(&self.0)
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}
