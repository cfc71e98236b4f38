//! A small disk of its own (tmpfs), which can be filled to the last byte.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binary;

/// What fills it is written in pieces of this size first, then byte by byte of a page.
const PIECE_BYTES: usize = 64 * 1024;

/// What may be written while the disk is being filled.
const SLACK_BYTES: usize = 4 * 1024 * 1024;

/// A mounted disk; unmounted when it is dropped.
pub struct Disk {
    folder: TempDir,
    size_bytes: usize,
}

impl Disk {
    /// A disk of this size, or `None` with a printed reason where we may not mount one.
    ///
    /// # Panics
    /// In CI, when it can't be mounted: CI skips nothing.
    pub fn new(size_bytes: usize) -> Option<Self> {
        if !binary::have_root() || !binary::have(&["mount"]) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
        let options = format!("size={size_bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting {}", folder.path().display());
        Some(Disk { folder, size_bytes })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all space that is left: makes the disk hardly larger than what is on it, and writes the rest full.
    ///
    /// # Panics
    /// When that fails for another reason than a full disk.
    pub fn fill(&self) {
        let used = rustix::fs::statvfs(self.path()).map(|disk| (disk.f_blocks - disk.f_bfree) * disk.f_frsize);
        let used = used.unwrap_or_else(|error| panic!("{}: {error}", self.path().display()));
        // Somebody may be writing.
        self.resize(usize::try_from(used).unwrap_or(usize::MAX) + SLACK_BYTES);
        let file = OpenOptions::new().create(true).append(true).open(self.filler());
        let mut file = file.unwrap_or_else(|error| panic!("the filler: {error}"));
        for size in [PIECE_BYTES, 1] {
            loop {
                match file.write(&vec![0x54; size]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the filler: {error}"),
                }
            }
        }
    }

    /// Gives the space back.
    ///
    /// # Panics
    /// When it wasn't filled.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap_or_else(|error| panic!("the filler: {error}"));
        self.resize(self.size_bytes);
    }

    fn resize(&self, size_bytes: usize) {
        let options = format!("remount,size={size_bytes}");
        let mounted = Command::new("mount").args(["-o", &options]).arg(self.path()).status();
        assert!(mounted.is_ok_and(|status| status.success()), "resizing {}", self.path().display());
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}
