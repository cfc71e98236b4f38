//! Lines of a file of any length, one in memory at a time.

use std::io::{self, BufRead, Read};

/// Longest line that is read: a photograph that nobody folded.
pub const PHYSICAL_LINE_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Physical lines with their places.
pub(super) struct Lines<R> {
    reader: R,
    /// The number of the last line that was read, from one on.
    pub number: usize,
    /// Where the next one begins, in bytes.
    pub offset: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Lines { reader, number: 0, offset: 0, line: Vec::new() }
    }

    /// Where the next line begins, and that line without its end; `None` at the end of the file.
    ///
    /// # Errors
    /// When the file can't be read, or a line is too long.
    pub fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let start = self.offset;
        self.line.clear();
        let mut bounded = (&mut self.reader).take(PHYSICAL_LINE_BYTES_MAX as u64 + 1);
        let count = bounded.read_until(b'\n', &mut self.line)?;
        if count == 0 {
            return Ok(None);
        }
        if count > PHYSICAL_LINE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 10 MiB"));
        }
        self.number += 1;
        self.offset += count as u64;
        let mut line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if start == 0 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        Ok(Some((start, line)))
    }
}

/// Name and value of a content line, if it is one: `SUMMARY;LANGUAGE=de:x` is `SUMMARY` and `x`.
pub(super) fn name_and_value(line: &[u8]) -> Option<(String, &[u8])> {
    let end = line.iter().position(|byte| matches!(byte, b':' | b';'))?;
    let name = std::str::from_utf8(&line[..end]).ok()?.trim().to_ascii_uppercase();
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((name, line[colon + 1..].trim_ascii()))
}

/// Whether a line goes on with the one before it.
pub(super) fn is_folded(line: &[u8]) -> bool {
    line.starts_with(b" ") || line.starts_with(b"\t")
}
