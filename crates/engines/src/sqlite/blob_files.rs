//! Large bodies as files named by their hash: temporary file, fsync, rename, fsync of the folder.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;

use sterna_account::StoreError;
use sterna_account::store::BlobWriter;
use sterna_base::{BlobHash, Timestamp};

use super::error::file_error;
use crate::disk::{Disk, DiskFile};

/// The large blobs of one account.
#[derive(Debug)]
pub struct BlobFiles {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    /// Folders that are durable for certain: found so or made by this process.
    folders: Mutex<HashSet<PathBuf>>,
    /// Blobs that were taken in and wait for the commit that refers to them. The same content may be an older item's,
    /// whose last row goes meanwhile: then the file must stay.
    staged: Mutex<HashSet<BlobHash>>,
}

impl BlobFiles {
    /// Those in this folder; it is made with the first blob.
    pub fn new(folder: PathBuf, disk: Arc<dyn Disk>) -> Self {
        BlobFiles { folder, disk, folders: Mutex::default(), staged: Mutex::default() }
    }

    /// Makes a folder durable once in the life of a store. That it exists is not enough: its maker's flush may have
    /// failed.
    fn ensure_folder(&self, folder: &Path) -> std::io::Result<()> {
        if !self.folders.lock().contains(folder) {
            self.disk.create_folder(folder)?;
            self.folders.lock().insert(folder.to_owned());
        }
        Ok(())
    }

    /// Where a blob is, if it is there: in a folder of the first byte, so that no folder grows too long.
    pub fn path(&self, hash: BlobHash) -> PathBuf {
        let name = hash.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// The blob's length, if it is there.
    pub fn size(&self, hash: BlobHash) -> Result<Option<u64>, StoreError> {
        match fs::metadata(self.path(hash)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error(&error)),
        }
    }

    /// Begins to write a blob. Its file is made with the first bytes.
    pub fn writer(self: &Arc<Self>) -> Box<dyn BlobWriter> {
        let (hasher, size) = (blake3::Hasher::new(), 0);
        Box::new(Writer { files: self.clone(), file: None, is_linked: false, hasher, size })
    }

    /// A name for a blob that is not finished.
    fn unfinished(&self) -> std::io::Result<PathBuf> {
        self.ensure_folder(&self.folder)?;
        let number = u64::from_le_bytes(sterna_base::ids::random_bytes());
        Ok(self.folder.join(format!("{TEMPORARY}{number:016x}")))
    }

    /// A commit refers to this blob now: it goes with its last row.
    pub fn adopted(&self, hash: BlobHash) {
        self.staged.lock().remove(&hash);
    }

    /// Removes a blob that no row refers to; there being none is success. One that is staged stays: its commit is on
    /// the way, or it is abandoned and found by a later purge.
    pub fn remove(&self, hash: BlobHash) {
        // Held until the file is gone, so that nobody stages it in between.
        let staged = self.staged.lock();
        if staged.contains(&hash) {
            return;
        }
        if let Err(error) = self.disk.remove_file(&self.path(hash))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%hash, %error, "a blob that nothing refers to could not be removed");
        }
    }

    /// Removes an abandoned file.
    pub fn remove_abandoned(&self, path: &Path, hash: Option<BlobHash>) {
        let mut staged = self.staged.lock();
        if let Some(hash) = hash {
            staged.remove(&hash);
        }
        if let Err(error) = self.disk.remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "an abandoned file could not be removed");
        }
    }

    /// The blobs, and the remains of unfinished ones, that were last written before this time.
    pub fn older_than(&self, before: Timestamp) -> Vec<(PathBuf, Option<BlobHash>)> {
        let mut old = Vec::new();
        for folder in entries(&self.folder) {
            if folder.is_file() {
                old.extend(is_older(&folder, before).then_some((folder, None)));
                continue;
            }
            for file in entries(&folder) {
                let hash = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                if is_older(&file, before) {
                    old.push((file, hash));
                }
            }
        }
        old
    }
}

/// How unfinished files begin.
const TEMPORARY: &str = "new-";

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_older(path: &Path, before: Timestamp) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|ms| ms < before.0))
}

/// One blob on its way in.
struct Writer {
    files: Arc<BlobFiles>,
    /// Where it is until it is finished.
    file: Option<(PathBuf, Box<dyn DiskFile>)>,
    /// Whether that is another name of a file that was there.
    is_linked: bool,
    hasher: blake3::Hasher,
    size: u64,
}

impl Writer {
    fn file(&mut self) -> std::io::Result<&mut Box<dyn DiskFile>> {
        let (_, file) = match &mut self.file {
            Some(open) => open,
            none => {
                let path = self.files.unfinished()?;
                let file = self.files.disk.create_file(&path)?;
                none.insert((path, file))
            }
        };
        Ok(file)
    }

    /// Flushes it and gives it its name.
    fn place(&mut self, target: &Path) -> std::io::Result<()> {
        self.file()?.sync()?;
        let folder = target.parent().unwrap_or(&self.files.folder);
        let is_durable = self.files.folders.lock().contains(folder);
        if !is_durable {
            self.files.disk.make_folder(folder)?;
        }
        if let Some((path, _)) = &self.file {
            self.files.disk.rename(path, target)?;
            // Of two names of one file, taken in before, a rename leaves both.
            if self.is_linked && path.exists() {
                self.files.disk.remove_file(path)?;
            }
            self.file = None;
        }
        // Both names together, of a new folder and of the file in it: file systems with a journal write it once.
        if !is_durable {
            self.files.disk.sync_folder(&self.files.folder)?;
            self.files.folders.lock().insert(folder.to_owned());
        }
        self.files.disk.sync_folder(folder)
    }
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file().and_then(|file| file.write_all(bytes)).map_err(|error| file_error(&error))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn link(&mut self, file: &Path) -> Result<bool, StoreError> {
        debug_assert!(self.file.is_none(), "a file is taken in as a whole");
        let linked: std::io::Result<_> =
            self.files.unfinished().and_then(|path| Ok((self.files.disk.link_file(file, &path)?, path)));
        // Whatever stands in the way: a copy succeeds, or says it better.
        let Ok((linked, path)) = linked else { return Ok(false) };
        let content = fs::File::open(&path);
        (self.file, self.is_linked) = (Some((path, linked)), true);
        // The name must be that of what is in the file by now, not of what once was to be in it.
        let hashed = content.and_then(|content| Ok(self.hasher.update_reader(content)?.count()));
        self.size = hashed.map_err(|error| file_error(&error))?;
        Ok(true)
    }

    fn finish(mut self: Box<Self>) -> Result<(BlobHash, u64), StoreError> {
        let hash = BlobHash(*self.hasher.finalize().as_bytes());
        let target = self.files.path(hash);
        self.files.staged.lock().insert(hash);
        self.place(&target).map_err(|error| file_error(&error))?;
        Ok((hash, self.size))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            let _ = self.files.disk.remove_file(path);
        }
    }
}
