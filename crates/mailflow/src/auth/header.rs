//! The header of a message that is in: looked at, changed, and put back in front of the rest.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::service::{Message, MessageBody, SpoolFile};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, OperationId};
use sterna_formats::mail::Scanner;

use crate::limits::SPOOL_CHUNK_BYTES;

/// Longest header of a message that can be verified, signed or changed, in bytes. Real ones are a hundredth of it.
pub const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// The header with the empty line after it, or all of a message that is nothing but a header; `None` when it is longer
/// than [`HEADER_BYTES_MAX`]. Blocks for messages in files.
///
/// # Errors
/// When the file can't be read.
pub fn read(body: &MessageBody) -> io::Result<Option<Bytes>> {
    let (bytes, is_whole) = match body {
        MessageBody::Inline(bytes) => (bytes.clone(), true),
        MessageBody::Spooled(spooled) => start_of(&spooled.path)?,
    };
    Ok(match end(&bytes) {
        Some(end) => Some(bytes.slice(..end)),
        None => is_whole.then_some(bytes),
    })
}

fn start_of(path: &Path) -> io::Result<(Bytes, bool)> {
    let mut start = Vec::new();
    let mut file = File::open(path)?;
    loop {
        let searched = start.len().saturating_sub(3);
        let count = (&mut file).take(SPOOL_CHUNK_BYTES as u64).read_to_end(&mut start)?;
        let is_enough = end(&start[searched..]).is_some() || start.len() > HEADER_BYTES_MAX;
        if count == 0 || is_enough {
            return Ok((start.into(), count == 0));
        }
    }
}

/// Where the header ends, after its empty line.
fn end(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The fields of a header, each with its folded lines and its last CRLF; the empty line is none.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields(header)
}

/// See [`fields`].
pub struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() || self.0 == b"\r\n" {
            return None;
        }
        let is_end = |at: &usize| !matches!(self.0.get(at + 1), Some(b' ' | b'\t'));
        let end = memchr::memchr_iter(b'\n', self.0).find(is_end).map_or(self.0.len(), |at| at + 1);
        let (field, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(field)
    }
}

/// The value of a field if it has this name.
pub fn value<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (start, rest) = field.split_at_checked(name.len())?;
    let colon = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    (start.eq_ignore_ascii_case(name.as_bytes()) && rest[colon] == b':').then(|| &rest[colon + 1..])
}

/// A header with new fields, after a Return-Path if that comes first (RFC 5321 section 4.4 wants it there), and
/// without those that are not to stay.
pub fn with(header: &[u8], new: &str, stays: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut changed = Vec::with_capacity(header.len() + new.len());
    let mut length = 0;
    let mut new = Some(new);
    for field in fields(header) {
        length += field.len();
        let is_first = length == field.len();
        if !(is_first && value(field, "Return-Path").is_some()) {
            changed.extend_from_slice(new.take().unwrap_or_default().as_bytes());
        }
        if stays(field) {
            changed.extend_from_slice(field);
        }
    }
    changed.extend_from_slice(new.unwrap_or_default().as_bytes());
    changed.extend_from_slice(&header[length..]);
    changed
}

/// The message with another header in place of its own, which is `old_bytes` long. Blocks when the message is large.
///
/// # Errors
/// When a file can't be read or written.
pub fn replace(message: &Message, old_bytes: usize, header: Vec<u8>, spool_folder: &Path) -> io::Result<Message> {
    let mut made = Made { hasher: blake3::Hasher::new(), scanner: Scanner::new(), size: 0 };
    let body = match &message.body {
        MessageBody::Inline(bytes) if header.len() + bytes.len() - old_bytes <= INLINE_BLOB_BYTES_MAX => {
            let whole = [&header[..], &bytes[old_bytes..]].concat();
            made.push(&whole);
            MessageBody::Inline(whole.into())
        }
        MessageBody::Inline(bytes) => spool(spool_folder, &mut made, &header, &mut &bytes[old_bytes..])?,
        MessageBody::Spooled(spooled) => {
            let mut file = File::open(&spooled.path)?;
            file.seek(SeekFrom::Start(old_bytes as u64))?;
            spool(spool_folder, &mut made, &header, &mut file)?
        }
    };
    let hash = BlobHash(*made.hasher.finalize().as_bytes());
    Ok(Message { body, size: made.size, hash, summary: made.scanner.finish().encode().into() })
}

/// What is known of a message while it is written.
struct Made {
    hasher: blake3::Hasher,
    scanner: Scanner,
    size: u64,
}

impl Made {
    fn push(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.scanner.push(bytes);
        self.size += bytes.len() as u64;
    }
}

/// Never flushed, as all spool files: what makes a message durable is the accounts' or the queue's own copy.
fn spool(folder: &Path, made: &mut Made, header: &[u8], rest: &mut dyn Read) -> io::Result<MessageBody> {
    let path = folder.join(format!("{}.eml", OperationId::random()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let spooled = Arc::new(SpoolFile { path, is_temporary: true });
    made.push(header);
    file.write_all(header)?;
    let mut chunk = vec![0; SPOOL_CHUNK_BYTES];
    loop {
        let count = rest.read(&mut chunk)?;
        if count == 0 {
            return Ok(MessageBody::Spooled(spooled));
        }
        made.push(&chunk[..count]);
        file.write_all(&chunk[..count])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> Message {
        let body = MessageBody::Inline(bytes.to_vec().into());
        Message { body, size: bytes.len() as u64, hash: BlobHash::of(bytes), summary: Bytes::new() }
    }

    #[test]
    fn fields_are_put_in_and_taken_out() {
        let header = b"Return-Path: <a@b>\r\nReceived: x\r\n\ty\r\nBad: 1\r\n 2\r\nSubject: z\r\n\r\n";
        let changed = with(header, "New: n\r\n", |field| value(field, "bad").is_none());
        let expected = "Return-Path: <a@b>\r\nNew: n\r\nReceived: x\r\n\ty\r\nSubject: z\r\n\r\n";
        assert_eq!(String::from_utf8(changed).unwrap(), expected);
        let kept = |header: &[u8]| String::from_utf8(with(header, "New: n\r\n", |_| true)).unwrap();
        assert_eq!(kept(b"\r\n"), "New: n\r\n\r\n");
        assert_eq!(kept(b"Return-Path: <>\r\n\r\n"), "Return-Path: <>\r\nNew: n\r\n\r\n");
        assert_eq!(kept(b"A: b\r\nReturn-Path: <>\r\n"), "New: n\r\nA: b\r\nReturn-Path: <>\r\n");
    }

    #[test]
    fn a_message_gets_another_header_whatever_its_size() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 10, INLINE_BLOB_BYTES_MAX - 8, INLINE_BLOB_BYTES_MAX + 100, 3 * INLINE_BLOB_BYTES_MAX] {
            let content = [&b"A: b\r\n\r\n"[..], &b"x".repeat(size)].concat();
            let mut old = message(&content);
            if content.len() > INLINE_BLOB_BYTES_MAX {
                let path = folder.path().join("old.eml");
                std::fs::write(&path, &content).unwrap();
                old.body = MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: true }));
            }
            let header = read(&old.body).unwrap().unwrap();
            assert_eq!(header, "A: b\r\n\r\n");
            let new = replace(&old, header.len(), with(&header, "New: n\r\n", |_| true), folder.path()).unwrap();
            let found = match &new.body {
                MessageBody::Inline(bytes) => bytes.to_vec(),
                MessageBody::Spooled(spooled) => std::fs::read(&spooled.path).unwrap(),
            };
            let expected = [&b"New: n\r\n"[..], &content].concat();
            assert!(found == expected, "{size}");
            assert_eq!((new.size, new.hash), (expected.len() as u64, BlobHash::of(&expected)));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_endless_header_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endless.eml");
        std::fs::write(&path, b"A: b\r\n".repeat(HEADER_BYTES_MAX / 4)).unwrap();
        let body = MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: true }));
        assert_eq!(read(&body).unwrap(), None);
    }
}
