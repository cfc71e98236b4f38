//! Spool files: where content too large for memory waits until its accounts have taken it.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use sterna_account::service::SpoolFile;
use sterna_base::OperationId;

/// The ending of spool files' names.
const EXTENSION: &str = "eml";

/// Makes the spool folder, readable for this user only, and deletes what a crash left there: those messages were never
/// acknowledged, and their senders still have them. Blocks; for the start of a node, before its listeners.
///
/// # Errors
/// When the folder can't be made or read.
pub fn prepare_spool(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// An open spool file. It is never flushed to the disk: what makes a message durable is the accounts' own copy.
pub(crate) struct Spool {
    file: Option<std::fs::File>,
    spooled: Arc<SpoolFile>,
}

impl Spool {
    /// Makes a file named for the transaction that only this user can read.
    pub async fn create(folder: &Path, transaction: OperationId) -> std::io::Result<Self> {
        let path = folder.join(format!("{transaction}.{EXTENSION}"));
        tokio::task::spawn_blocking(move || {
            let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            Ok(Spool { file: Some(file), spooled: Arc::new(SpoolFile { path, is_temporary: true }) })
        })
        .await
        .map_err(std::io::Error::other)?
    }

    /// Appends bytes.
    pub async fn write(&mut self, bytes: Vec<u8>) -> std::io::Result<()> {
        // Taken out while another thread writes; a failed write leaves none behind, and nothing more can be written.
        let mut file = self.file.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let file = tokio::task::spawn_blocking(move || file.write_all(&bytes).map(|()| file))
            .await
            .map_err(std::io::Error::other)??;
        self.file = Some(file);
        Ok(())
    }

    /// Closes it.
    pub fn finish(self) -> Arc<SpoolFile> {
        self.spooled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_is_deleted_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("a/spool");
        prepare_spool(&spool).unwrap();
        std::fs::write(spool.join("1.eml"), "x").unwrap();
        std::fs::write(spool.join("notes"), "x").unwrap();
        prepare_spool(&spool).unwrap();
        let left: Vec<_> = std::fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes"]);
    }
}
