//! Contents that are too large for a row: one file each, named by the message.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::message::QueueId;

/// The folder with the files.
#[derive(Clone, Debug)]
pub struct Files(PathBuf);

impl Files {
    /// Makes the folder when it isn't there. Blocks.
    ///
    /// # Errors
    /// When it can't.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Files(folder.to_owned()))
    }

    /// Where a message's content is.
    pub fn path(&self, id: QueueId) -> PathBuf {
        self.0.join(id.to_string())
    }

    /// Takes a spool file over; durable when this returns. Blocks. The spool file may be removed afterwards: it is
    /// linked where that is possible, else copied.
    ///
    /// # Errors
    /// When it can't.
    pub fn add(&self, id: QueueId, spooled: &Path) -> io::Result<()> {
        let path = self.path(id);
        match fs::hard_link(spooled, &path) {
            Ok(()) => {}
            // A repeated request.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => drop(fs::copy(spooled, &path)?),
        }
        sterna_base::shared_file::sync(&File::open(&path)?)?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes the file of a message that is gone, if it had one. Blocks. One that stays is removed at the next start.
    pub fn remove(&self, id: QueueId) {
        match fs::remove_file(self.path(id)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%id, %error, "the file of a message that left the queue could not be removed"),
        }
    }

    /// Removes the files of messages that are not in the queue: the node went down in between. Blocks.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn sweep(&self, is_known: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(&is_known) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}
