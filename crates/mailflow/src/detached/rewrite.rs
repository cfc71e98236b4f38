//! Writes a message's body anew, with other parts in the places of some.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sterna_account::service::{MessageBody, SpoolFile};

use crate::limits::SPOOL_CHUNK_BYTES;

/// Characters of a line of base64 (RFC 2045 section 6.8).
const BASE64_LINE: usize = 76;

/// A part that shows a text. Its lines are ASCII, so that every way takes it.
pub fn text_part(text: &str) -> Vec<u8> {
    let mut part = b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\n\
        Content-Transfer-Encoding: base64\r\n"
        .to_vec();
    // The first line end below is the empty line behind the header.
    for line in STANDARD.encode(text).as_bytes().chunks(BASE64_LINE) {
        part.extend_from_slice(b"\r\n");
        part.extend_from_slice(line);
    }
    part
}

/// Writes what is in the range, with other bytes in the places of these ranges, which rise. Blocking.
///
/// # Errors
/// When a file can't be read or written.
pub fn write(
    body: &MessageBody,
    range: Range<u64>,
    replaced: &[(Range<u64>, Vec<u8>)],
    path: PathBuf,
) -> io::Result<(MessageBody, u64)> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let spooled = Arc::new(SpoolFile { path, is_temporary: true });
    let (mut at, mut size) = (range.start, 0);
    for (old, new) in replaced {
        size += copy(body, at..old.start, &mut out)?;
        out.write_all(new)?;
        size += new.len() as u64;
        at = old.end;
    }
    size += copy(body, at..range.end, &mut out)?;
    Ok((MessageBody::Spooled(spooled), size))
}

fn copy(body: &MessageBody, range: Range<u64>, out: &mut File) -> io::Result<u64> {
    let length = range.end.saturating_sub(range.start);
    match body {
        MessageBody::Inline(bytes) => {
            let piece = bytes.get(range.start as usize..range.end as usize);
            out.write_all(piece.ok_or(io::ErrorKind::UnexpectedEof)?)?;
        }
        MessageBody::Spooled(spooled) => {
            let mut file = File::open(&spooled.path)?;
            file.seek(SeekFrom::Start(range.start))?;
            if io::copy(&mut file.take(length), out)? != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    Ok(length)
}

/// Reads a range of a message in pieces. Files are read on other threads than those of async work.
pub struct Reader {
    body: MessageBody,
    left: Range<u64>,
}

impl Reader {
    /// Of this range.
    pub fn new(body: MessageBody, range: Range<u64>) -> Self {
        Reader { body, left: range }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the file can't be read.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let end = self.left.end.min(self.left.start + SPOOL_CHUNK_BYTES as u64);
        let range = self.left.start..end;
        self.left.start = end;
        let piece = match &self.body {
            MessageBody::Inline(bytes) if end <= bytes.len() as u64 => {
                bytes.slice(range.start as usize..range.end as usize)
            }
            MessageBody::Inline(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            MessageBody::Spooled(spooled) => {
                let spooled = spooled.clone();
                let read = tokio::task::spawn_blocking(move || {
                    let mut file = File::open(&spooled.path)?;
                    file.seek(SeekFrom::Start(range.start))?;
                    let mut piece = vec![0; (range.end - range.start) as usize];
                    file.read_exact(&mut piece)?;
                    Ok::<_, io::Error>(Bytes::from(piece))
                });
                read.await.map_err(io::Error::other)??
            }
        };
        Ok(Some(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_replaced_wherever_the_message_is() {
        let folder = tempfile::tempdir().unwrap();
        let content = b"0123456789abcdefghij";
        let path = folder.path().join("spooled");
        std::fs::write(&path, content).unwrap();
        let spooled = MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: true }));
        for (n, body) in [MessageBody::Inline(Bytes::from_static(content)), spooled].into_iter().enumerate() {
            let replaced = [(4..6, b"-".to_vec()), (10..20, b"++".to_vec())];
            let (written, size) = write(&body, 2..20, &replaced, folder.path().join(n.to_string())).unwrap();
            let text = super::super::tests::bytes_of(&written);
            assert_eq!((text.as_slice(), size), (&b"23-6789++"[..], 9));
            assert!(write(&body, 2..21, &[], folder.path().join("none")).is_err());
        }
    }

    #[test]
    fn a_text_is_a_part() {
        let part = text_part(&"é".repeat(60));
        let text = String::from_utf8(part).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.ends_with("Content-Transfer-Encoding: base64"));
        assert!(body.lines().all(|line| line.len() <= 76) && !body.ends_with('\n'));
        assert_eq!(STANDARD.decode(body.replace("\r\n", "")).unwrap(), "é".repeat(60).as_bytes());
    }
}
