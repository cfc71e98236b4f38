//! Spool files: where content too large for memory waits until its accounts have taken it.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use sterna_account::service::SpoolFile;
use sterna_base::OperationId;
use tokio::task::JoinHandle;

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

/// An open spool file. It is never flushed to the disk: what makes a message durable is what the accounts do with it.
///
/// What was given to be written is on its way while the client sends more; one piece at a time.
pub(crate) struct Spool {
    writing: JoinHandle<std::io::Result<std::fs::File>>,
    spooled: Arc<SpoolFile>,
}

impl Spool {
    /// Makes a file named for the transaction that only this user can read, with its first bytes.
    pub fn create(folder: &Path, transaction: OperationId, bytes: Vec<u8>) -> Self {
        let path = folder.join(format!("{transaction}.{EXTENSION}"));
        let spooled = Arc::new(SpoolFile { path, is_temporary: true });
        let named = spooled.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&named.path)?;
            file.write_all(&bytes).map(|()| file)
        });
        Spool { writing, spooled }
    }

    /// Appends bytes, when those before are written.
    ///
    /// # Errors
    /// When those before could not be written.
    pub async fn write(self, bytes: Vec<u8>) -> std::io::Result<Self> {
        let Spool { writing, spooled } = self;
        let (mut file, named) = (written(writing).await?, spooled.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let done = file.write_all(&bytes).map(|()| file);
            // Not before: whoever gives the file up meanwhile must not delete it under the writer.
            drop(named);
            done
        });
        Ok(Spool { writing, spooled })
    }

    /// Closes it.
    ///
    /// # Errors
    /// When the last bytes could not be written.
    pub async fn finish(self) -> std::io::Result<Arc<SpoolFile>> {
        written(self.writing).await?;
        Ok(self.spooled)
    }
}

async fn written(writing: JoinHandle<std::io::Result<std::fs::File>>) -> std::io::Result<std::fs::File> {
    writing.await.map_err(std::io::Error::other)?
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
