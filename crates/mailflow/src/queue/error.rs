//! What can go wrong with the queue's own store.

/// The queue's store can't be read or written. Whoever handed a message in keeps it.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQLite says so.
    #[error("the queue's file can't be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system says so.
    #[error("a message file of the queue can't be read or written")]
    Io(#[from] std::io::Error),
    /// A row isn't what it must be.
    #[error("the queue is damaged: {0}")]
    Damaged(String),
    /// Written by another version.
    #[error("the queue has format {found}; this version knows {known}: start the version that wrote it")]
    OtherFormat {
        /// In the file.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// An earlier write failed; nothing is written before the file is opened again.
    #[error("an earlier write to the queue failed; restart the node once its disk is well")]
    Stopped,
    /// The write was rolled back; the next one may succeed.
    #[error("the queue could not be written: {0}")]
    NotKept(String),
    /// The thread that writes is gone: the node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// There are as many messages as the limit allows.
    #[error("the queue is full; see what waits with `sterna queue list`, or raise queue.messages-max")]
    Full,
}

impl QueueError {
    /// With what stands behind it, for the log.
    pub fn cause(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// Whether after this error nobody knows what the disk has. A full disk leaves the file as it was.
    pub fn leaves_doubt(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure};
        let QueueError::Sqlite(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(SystemIoFailure | DatabaseCorrupt | NotADatabase))
    }
}
