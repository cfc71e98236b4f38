//! Messages that came and whose mailbox has not been told yet: small ones in memory, the rest in temporary files.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;

use aws_lc_rs::digest;
use bytes::Bytes;

use crate::limits::LITERAL_MEMORY_BYTES_MAX;
use crate::target::message::Body;

/// Bytes of messages that one session holds in memory; more goes into files.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Messages that one session holds; `sync_client` sends 1024 between two mailboxes.
const MESSAGES_MAX: usize = 16_384;

/// See the module.
#[derive(Default)]
pub struct Staging {
    found: HashMap<String, Staged>,
    memory_bytes: u64,
}

enum Staged {
    Memory(Bytes),
    File(File, u64),
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StagingError {
    /// Its content is not what its SHA-1 says.
    #[error("a message came that is another one than its SHA-1 says: {0}")]
    Wrong(String),
    /// More than are ever on their way.
    #[error("more than {MESSAGES_MAX} messages without their mailboxes")]
    TooMany,
    /// No room for temporary files.
    #[error("a temporary file can't be written: {0}")]
    Disk(String),
}

/// One that is coming.
pub struct Incoming {
    guid: String,
    size: u64,
    sum: digest::Context,
    memory: Vec<u8>,
    file: Option<File>,
}

impl Incoming {
    /// Takes bytes.
    ///
    /// # Errors
    /// [`StagingError::Disk`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), StagingError> {
        self.sum.update(bytes);
        match &mut self.file {
            // Into the system's memory: a temporary file is never flushed.
            Some(file) => file.write_all(bytes).map_err(|error| StagingError::Disk(error.to_string())),
            None => {
                self.memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl Staging {
    /// A message begins.
    ///
    /// # Errors
    /// [`StagingError`].
    pub fn begin(&self, guid: String, size: u64) -> Result<Incoming, StagingError> {
        if self.found.len() >= MESSAGES_MAX {
            return Err(StagingError::TooMany);
        }
        let in_memory = size <= LITERAL_MEMORY_BYTES_MAX && self.memory_bytes + size <= MEMORY_BYTES_MAX;
        let file = match in_memory {
            true => None,
            false => Some(tempfile::tempfile().map_err(|error| StagingError::Disk(error.to_string()))?),
        };
        let sum = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        Ok(Incoming { guid, size, sum, memory: Vec::new(), file })
    }

    /// It is complete.
    ///
    /// # Errors
    /// [`StagingError::Wrong`].
    pub fn end(&mut self, incoming: Incoming) -> Result<(), StagingError> {
        let Incoming { guid, size, sum, memory, file } = incoming;
        if hex(sum.finish().as_ref()) != guid {
            return Err(StagingError::Wrong(guid));
        }
        let staged = match file {
            Some(file) => Staged::File(file, size),
            None => {
                self.memory_bytes += size;
                Staged::Memory(memory.into())
            }
        };
        self.found.insert(guid, staged);
        Ok(())
    }

    /// A message, if it came.
    ///
    /// # Errors
    /// [`StagingError::Disk`].
    pub fn get(&self, guid: &str) -> Result<Option<Body>, StagingError> {
        match self.found.get(guid) {
            None => Ok(None),
            Some(Staged::Memory(bytes)) => Ok(Some(Body::Memory(bytes.clone()))),
            Some(Staged::File(file, size)) => {
                let file = file.try_clone().map_err(|error| StagingError::Disk(error.to_string()))?;
                Ok(Some(Body::File(file, *size)))
            }
        }
    }

    /// Lets all go: their mailboxes have come.
    pub fn clear(&mut self) {
        *self = Staging::default();
    }
}

/// SHA-1 of something short.
pub fn sha1(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
