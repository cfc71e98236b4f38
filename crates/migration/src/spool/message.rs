//! Message files: `423.` holds the message with UID 423, as it went over the wire. From some size on they are never
//! whole in memory: they are read once for their sum, and once more when they are sent.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use super::SpoolError;
use super::index::Entry;
use crate::limits::{LITERAL_MEMORY_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::target::message::Body;

/// Bytes read at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// Finds the file of a message, and compares its length.
///
/// # Errors
/// [`SpoolError`] when it isn't there, or as long as it should be.
pub fn find(folders: &[PathBuf], entry: &Entry) -> Result<PathBuf, SpoolError> {
    let name = format!("{}.", entry.uid);
    for folder in folders {
        let path = folder.join(&name);
        match path.metadata() {
            Ok(found) if !found.is_file() => return Err(SpoolError::damaged(&path, "it is no file")),
            Ok(found) if found.len() != u64::from(entry.size) => {
                let text = format!("it has {} bytes, and should have {}", found.len(), entry.size);
                return Err(SpoolError::damaged(&path, text));
            }
            Ok(found) if found.len() > MESSAGE_BYTES_MAX => {
                return Err(SpoolError::damaged(&path, "it is longer than any message may be"));
            }
            Ok(_) => return Ok(path),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(SpoolError::unreadable(&path, &error)),
        }
    }
    let path = folders.first().map(|folder| folder.join(&name)).unwrap_or_default();
    Err(SpoolError::damaged(&path, "it is missing"))
}

/// Reads a message and compares its SHA-1.
///
/// # Errors
/// [`SpoolError`] when it is another one.
pub fn open(path: &Path, entry: &Entry) -> Result<Body, SpoolError> {
    let size = u64::from(entry.size);
    let mut file = File::open(path).map_err(|error| SpoolError::unreadable(path, &error))?;
    let (mut sum, mut length) = (digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY), 0);
    let is_short = size <= LITERAL_MEMORY_BYTES_MAX;
    let (mut buffer, mut memory) = (vec![0; BUFFER_BYTES], Vec::new());
    loop {
        let read = match file.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(SpoolError::unreadable(path, &error)),
        };
        if read == 0 {
            break;
        }
        sum.update(&buffer[..read]);
        length += read as u64;
        if length > size {
            break;
        }
        if is_short {
            memory.extend_from_slice(&buffer[..read]);
        }
    }
    if length != size || sum.finish().as_ref() != entry.guid {
        return Err(SpoolError::damaged(path, "it is another message than its SHA-1 says"));
    }
    if is_short {
        return Ok(Body::Memory(memory.into()));
    }
    file.seek(SeekFrom::Start(0)).map_err(|error| SpoolError::unreadable(path, &error))?;
    Ok(Body::File(file, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uid: u32, text: &[u8]) -> Entry {
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text);
        Entry {
            uid,
            internal_date: 0,
            size: u32::try_from(text.len()).unwrap(),
            last_updated: 0,
            flags: 0,
            keywords: 0,
            saved: 0,
            guid: sum.as_ref().try_into().unwrap(),
            modseq: 1,
            thread: 0,
            created_modseq: 0,
        }
    }

    #[test]
    fn files_are_what_they_should_be_or_named() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [first.path().to_owned(), second.path().to_owned()];
        let long = vec![b'x'; 300_000];
        std::fs::write(first.path().join("1."), "short").unwrap();
        std::fs::write(second.path().join("2."), &long).unwrap();
        let short = open(&find(&folders, &entry(1, b"short")).unwrap(), &entry(1, b"short")).unwrap();
        assert!(matches!(short, Body::Memory(text) if text == "short"));
        let path = find(&folders, &entry(2, &long)).unwrap();
        assert!(matches!(open(&path, &entry(2, &long)).unwrap(), Body::File(_, 300_000)));
        for (wanted, cause) in [(entry(3, b"x"), "is missing"), (entry(1, b"longer"), "it has 5 bytes")] {
            assert!(find(&folders, &wanted).unwrap_err().to_string().contains(cause), "{cause}");
        }
        let other = entry(1, b"SHORT");
        let error = open(&find(&folders, &other).unwrap(), &other).unwrap_err();
        assert!(error.to_string().contains("another message"), "{error}");
        std::fs::create_dir(first.path().join("4.")).unwrap();
        assert!(find(&folders, &entry(4, b"x")).is_err());
    }
}
