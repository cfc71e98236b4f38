//! Spool files: where content too large for memory waits until its accounts have taken it.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use sterna_account::service::SpoolFile;
use sterna_base::OperationId;

/// An open spool file. It is never flushed to the disk: what makes a message durable is the accounts' own copy.
pub(crate) struct Spool {
    file: Option<std::fs::File>,
    spooled: Arc<SpoolFile>,
}

impl Spool {
    /// Makes a file named for the transaction that only this user can read.
    pub async fn create(folder: &Path, transaction: OperationId) -> std::io::Result<Self> {
        let path = folder.join(format!("{transaction}.eml"));
        tokio::task::spawn_blocking(move || {
            let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            Ok(Spool { file: Some(file), spooled: Arc::new(SpoolFile { path }) })
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
