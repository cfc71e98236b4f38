//! Cyrus' key-value databases: skiplist, twoskip and flat files. Which one a file is shows in its first bytes, whatever
//! the settings say.

pub mod flat;
pub mod skiplist;
pub mod twoskip;

use std::path::Path;

use super::{Bad, SpoolError, read_file};
use crate::limits::DATABASE_BYTES_MAX;

/// What skiplist and twoskip files begin with.
const FAMILY: &[u8] = b"\xa1\x02\x8b\x0d";
/// Where Berkeley DB has its own mark, and which ones: hashes and trees, in both orders of bytes.
const BERKELEY: (usize, [[u8; 4]; 4]) =
    (12, [[0x00, 0x05, 0x31, 0x62], [0x62, 0x31, 0x05, 0x00], [0x00, 0x06, 0x15, 0x61], [0x61, 0x15, 0x06, 0x00]]);
/// What SQLite files begin with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Takes a key and its value.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// Gives all pairs of a database, each key once.
///
/// # Errors
/// [`Bad`]; what came before it came from what is intact.
pub fn pairs(bytes: &[u8], visit: Visit<'_>) -> Result<(), Bad> {
    let mark = bytes.get(BERKELEY.0..BERKELEY.0 + 4);
    if bytes.starts_with(twoskip::MAGIC) {
        twoskip::pairs(bytes, visit)
    } else if bytes.starts_with(skiplist::MAGIC) {
        skiplist::pairs(bytes, visit)
    } else if bytes.starts_with(FAMILY) {
        Err(Bad("it is a database of a kind that isn't known"))
    } else if bytes.starts_with(SQLITE) {
        Err(Bad("it is a database of SQLite; make it a twoskip file with cvt_cyrusdb"))
    } else if mark.is_some_and(|mark| BERKELEY.1.iter().any(|known| known == mark)) {
        Err(Bad("it is a Berkeley DB; make it a twoskip file with cvt_cyrusdb"))
    } else {
        flat::pairs(bytes, visit)
    }
}

/// The same of a file; `false` when there is none.
///
/// # Errors
/// [`SpoolError`].
pub fn read(path: &Path, visit: Visit<'_>) -> Result<bool, SpoolError> {
    let Some(bytes) = read_file(path, DATABASE_BYTES_MAX)? else { return Ok(false) };
    pairs(&bytes, visit).map_err(|cause| SpoolError::damaged(path, cause))?;
    Ok(true)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All pairs as text.
    pub fn texts(bytes: &[u8]) -> Result<Vec<(String, String)>, Bad> {
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs(bytes, &mut |key, value| found.push((text(key), text(value))))?;
        Ok(found)
    }

    /// Cuts and changes a file everywhere: there may be errors, and nothing else.
    pub fn torture(bytes: &[u8]) {
        for at in 0..bytes.len() {
            let _ = texts(&bytes[..at]);
            for wrong in [0x00, 0x01, 0x2b, 0x7f, 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] = wrong;
                let _ = texts(&changed);
            }
        }
    }

    #[test]
    fn other_databases_are_named() {
        assert_eq!(texts(b""), Ok(Vec::new()));
        let berkeley = [&[0; 12][..], &[0x62, 0x31, 5, 0], &[0; 8]].concat();
        for other in [&b"SQLite format 3\0..."[..], &berkeley, b"\xa1\x02\x8b\x0dzeroskip file\0\0\0"] {
            assert!(texts(other).unwrap_err().0.starts_with("it is a "), "{other:?}");
        }
    }
}
