//! The spool of a Cyrus server that doesn't run any more: its files are read and told to a replica as `sync_client`
//! would have told them, so that the receiving side ([`crate::cyrus`]) checks and keeps them as any other replication.
//!
//! Facts of the formats are those of the published source of cyrus-imapd (2.4 to 3.8) and of what Debian's 3.6 writes.
//! Nothing is written into the spool, and nothing of it is trusted: each file can be torn or foreign, and is named
//! then.

pub mod annotations;
pub mod client;
pub mod config;
pub mod database;
pub mod disk;
pub mod fields;
pub mod header;
pub mod index;
pub mod layout;
pub mod list;
pub mod mailbox;
pub mod message;
pub mod records;
mod rest;
pub mod scripts;
pub mod send;
pub mod survey;
pub mod users;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Why bytes are not what their format prescribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bad(pub &'static str);

/// Why a file of the spool can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The system doesn't give it.
    #[error("{} can't be read: {cause}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// It is not what it should be.
    #[error("{} is damaged: {cause}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

impl SpoolError {
    /// What the system says of a file.
    pub fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        SpoolError::Unreadable { path: path.to_owned(), cause: error.to_string() }
    }

    /// What is wrong with a file.
    pub fn damaged(path: &Path, cause: impl ToString) -> Self {
        SpoolError::Damaged { path: path.to_owned(), cause: cause.to_string() }
    }
}

/// Reads a file of limited length; `None` when there is none.
///
/// # Errors
/// [`SpoolError`].
pub fn read_file(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, SpoolError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(SpoolError::unreadable(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| SpoolError::unreadable(path, &error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(SpoolError::damaged(path, format!("it is longer than {bytes_max} bytes")));
    }
    Ok(Some(bytes))
}
