//! A message as filters see it, while it changes from one to the next. Its header is in memory, its body stays where it
//! is; it is written anew once, at the end, and only if something changed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::service::{Message, MessageBody, SpoolFile};

use super::field::field;
use super::verdict::Change;
use crate::auth::{HEADER_BYTES_MAX, header, header_of, replace};
use crate::limits::SPOOL_CHUNK_BYTES;

/// See the module.
#[derive(Clone, Debug)]
pub struct Draft {
    received: Message,
    received_header_bytes: usize,
    fields: Vec<Vec<u8>>,
    /// The empty line behind the fields, if there is one.
    end: &'static [u8],
    /// A body that a filter put in the place of the received one, and its length.
    body: Option<(MessageBody, u64)>,
    is_changed: bool,
}

impl Draft {
    /// Of a received message; `None` when its header is longer than [`HEADER_BYTES_MAX`].
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn of(received: Message) -> io::Result<Option<Self>> {
        let Some(bytes) = header_of(&received.body).await? else { return Ok(None) };
        let fields: Vec<Vec<u8>> = header::fields(&bytes).map(<[u8]>::to_vec).collect();
        let end: &[u8] = if fields.iter().map(Vec::len).sum::<usize>() < bytes.len() { b"\r\n" } else { b"" };
        let received_header_bytes = bytes.len();
        Ok(Some(Draft { received, received_header_bytes, fields, end, body: None, is_changed: false }))
    }

    /// The fields of the header, each with its folded lines and its CRLF; a Return-Path of ours is the first.
    pub fn fields(&self) -> &[Vec<u8>] {
        &self.fields
    }

    /// The length of the whole message in bytes.
    pub fn size(&self) -> u64 {
        self.header_bytes() as u64 + self.body_size()
    }

    fn header_bytes(&self) -> usize {
        self.fields.iter().map(Vec::len).sum::<usize>() + self.end.len()
    }

    fn body_size(&self) -> u64 {
        let received = self.received.size.saturating_sub(self.received_header_bytes as u64);
        self.body.as_ref().map_or(received, |(_, size)| *size)
    }

    /// The whole message, piece by piece.
    pub fn read(&self) -> DraftReader {
        DraftReader { header: Some([&self.fields.concat(), self.end].concat().into()), ..self.read_body() }
    }

    /// The body, piece by piece.
    pub fn read_body(&self) -> DraftReader {
        let (body, start) = match &self.body {
            Some((body, _)) => (body, 0),
            None => (&self.received.body, self.received_header_bytes),
        };
        let rest = match body {
            MessageBody::Inline(bytes) => Rest::Inline(bytes.slice(start.min(bytes.len())..)),
            MessageBody::Spooled(spooled) => Rest::Closed(spooled.clone(), start as u64),
        };
        DraftReader { header: None, rest }
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| header::value(field, name).is_some())
    }

    /// Changes it. Returns whether that could be done: not with a name that is none, or when the header became longer
    /// than [`HEADER_BYTES_MAX`].
    pub fn change(&mut self, change: Change) -> bool {
        let done = match change {
            Change::Append { name, value } => self.put(self.fields.len(), &name, &value),
            Change::Insert { at, name, value } => {
                let own = self.fields.first().is_some_and(|field| header::value(field, "Return-Path").is_some());
                let at = at.saturating_add(usize::from(own)).min(self.fields.len());
                self.put(at, &name, &value)
            }
            Change::Replace { name, number, value } => self.replace(&name, number, &value),
            Change::Remove { name } => {
                self.fields.retain(|field| header::value(field, &name).is_none());
                true
            }
            Change::Body { body, size } => {
                self.body = Some((body, size));
                self.end_last_field();
                self.end = b"\r\n";
                true
            }
        };
        self.is_changed |= done;
        done
    }

    fn put(&mut self, at: usize, name: &str, value: &str) -> bool {
        let Some(field) = field(name, value) else { return false };
        if self.header_bytes() + field.len() > HEADER_BYTES_MAX {
            return false;
        }
        self.end_last_field();
        self.fields.insert(at, field);
        true
    }

    /// The last line of a message that is nothing but a header may have no end.
    fn end_last_field(&mut self) {
        if let Some(last) = self.fields.last_mut().filter(|last| !last.ends_with(b"\r\n")) {
            last.extend_from_slice(b"\r\n");
        }
    }

    fn replace(&mut self, name: &str, number: i64, value: &str) -> bool {
        let named = |field: &Vec<u8>| header::value(field, name).is_some();
        let mut places = (0..self.fields.len()).filter(|&at| named(&self.fields[at]));
        let nth = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX).saturating_sub(1);
        let place = if number < 0 { places.rev().nth(nth) } else { places.nth(nth) };
        match (place, value.is_empty()) {
            (Some(place), true) => drop(self.fields.remove(place)),
            (Some(place), false) => {
                let Some(field) = field(name, value) else { return false };
                if self.header_bytes() + field.len() > HEADER_BYTES_MAX + self.fields[place].len() {
                    return false;
                }
                self.fields[place] = field;
            }
            (None, true) => return false,
            (None, false) => return self.put(self.fields.len(), name, value),
        }
        true
    }

    /// Takes out fields that only we may write. Nothing is changed when there are none.
    pub fn strip(&mut self, names: &[&str]) {
        let before = self.fields.len();
        self.fields.retain(|field| !names.iter().any(|name| header::value(field, name).is_some()));
        self.is_changed |= self.fields.len() != before;
    }

    /// The message as it is now; written to a folder when it changed and is large.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub async fn finish(self, spool_folder: PathBuf) -> io::Result<Message> {
        if !self.is_changed {
            return Ok(self.received);
        }
        let header = [&self.fields.concat(), self.end].concat();
        match self.body {
            None => replace(self.received, self.received_header_bytes, header, spool_folder).await,
            Some((body, size)) => replace(Message { body, size, ..self.received }, 0, header, spool_folder).await,
        }
    }
}

/// Reads a draft. Files are read on other threads than those of async work.
#[derive(Debug)]
pub struct DraftReader {
    header: Option<Bytes>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Inline(Bytes),
    Closed(Arc<SpoolFile>, u64),
    Open(Arc<SpoolFile>, File),
    Ended,
}

impl DraftReader {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the file can't be read; nothing more comes then.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(header) = self.header.take().filter(|header| !header.is_empty()) {
            return Ok(Some(header));
        }
        match std::mem::replace(&mut self.rest, Rest::Ended) {
            Rest::Ended => Ok(None),
            Rest::Inline(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
            rest => {
                let reading = tokio::task::spawn_blocking(move || rest.piece());
                let (piece, rest) = reading.await.map_err(io::Error::other)??;
                self.rest = rest;
                Ok(piece)
            }
        }
    }
}

impl Rest {
    fn piece(self) -> io::Result<(Option<Bytes>, Rest)> {
        let (spooled, mut file) = match self {
            Rest::Closed(spooled, start) => {
                let mut file = File::open(&spooled.path)?;
                file.seek(SeekFrom::Start(start))?;
                (spooled, file)
            }
            Rest::Open(spooled, file) => (spooled, file),
            Rest::Inline(_) | Rest::Ended => return Ok((None, Rest::Ended)),
        };
        let mut piece = Vec::with_capacity(SPOOL_CHUNK_BYTES);
        (&mut file).take(SPOOL_CHUNK_BYTES as u64).read_to_end(&mut piece)?;
        Ok(if piece.is_empty() { (None, Rest::Ended) } else { (Some(piece.into()), Rest::Open(spooled, file)) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, text};
    use super::*;

    const CONTENT: &str = "Return-Path: <a@b>\r\nReceived: x\r\n\ty\r\nX: 1\r\nx: 2\r\nSubject: z\r\n\r\nBody\r\n";

    async fn draft(content: &str) -> Draft {
        Draft::of(message(content)).await.unwrap().unwrap()
    }

    async fn read(draft: &Draft) -> String {
        let (mut reader, mut all) = (draft.read(), Vec::new());
        while let Some(piece) = reader.next().await.unwrap() {
            all.extend_from_slice(&piece);
        }
        assert_eq!(draft.size(), all.len() as u64);
        String::from_utf8(all).unwrap()
    }

    fn named(name: &str, number: i64, value: &str) -> Change {
        Change::Replace { name: name.to_owned(), number, value: value.to_owned() }
    }

    #[tokio::test]
    async fn fields_are_where_filters_want_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = draft(CONTENT).await;
        assert_eq!(read(&draft).await, CONTENT);
        draft.strip(&["Y"]);
        assert!(!draft.is_changed);
        let (name, value) = ("N".to_owned(), " n".to_owned());
        assert!(draft.change(Change::Append { name: name.clone(), value: value.clone() }));
        assert!(draft.change(Change::Insert { at: 0, name: name.clone(), value: " top".to_owned() }));
        assert!(draft.change(Change::Insert { at: 2, name: name.clone(), value: " third".to_owned() }));
        assert!(draft.change(Change::Insert { at: 999, name, value }));
        assert!(draft.change(named("x", -1, " last")));
        assert!(draft.change(named("X", 1, "")));
        assert!(draft.change(named("Subject", 2, " new")));
        assert!(!draft.change(named("Missing", 1, "")));
        assert!(!draft.change(named("Not a name", 1, " x")));
        draft.strip(&["received"]);
        let expected = "Return-Path: <a@b>\r\nN: top\r\nN: third\r\nx: last\r\nSubject: z\r\nN: n\r\nN: n\r\n\
            Subject: new\r\n\r\nBody\r\n";
        assert_eq!(read(&draft).await, expected);
        let finished = draft.finish(folder.path().to_owned()).await.unwrap();
        assert_eq!(text(&finished), expected);
        assert_eq!(finished.hash, sterna_base::BlobHash::of(expected.as_bytes()));
    }

    #[tokio::test]
    async fn a_body_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        for (content, header) in [(CONTENT, CONTENT.strip_suffix("Body\r\n").unwrap()), ("A: b", "A: b\r\n\r\n")] {
            let mut draft = draft(content).await;
            draft.change(Change::Body { body: MessageBody::Inline("New\r\n".into()), size: 5 });
            draft.change(Change::Append { name: "C".into(), value: " d".into() });
            let header = header.replace("\r\n\r\n", "\r\nC: d\r\n\r\n");
            assert_eq!(read(&draft).await, format!("{header}New\r\n"));
            assert_eq!(text(&draft.finish(folder.path().to_owned()).await.unwrap()), format!("{header}New\r\n"));
        }
    }

    #[tokio::test]
    async fn a_large_message_is_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let content = format!("{CONTENT}{}", "0123456789\r\n".repeat(100_000));
        let path = folder.path().join("large.eml");
        std::fs::write(&path, &content).unwrap();
        let body = MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: true }));
        let mut draft = Draft::of(Message { body, ..message(&content) }).await.unwrap().unwrap();
        assert_eq!(read(&draft).await, content);
        draft.change(Change::Remove { name: "x".to_owned() });
        let expected = content.replace("X: 1\r\nx: 2\r\n", "");
        assert!(read(&draft).await == expected);
        let finished = draft.finish(folder.path().to_owned()).await.unwrap();
        assert!(text(&finished) == expected);
    }

    #[tokio::test]
    async fn headers_have_an_end_and_a_limit() {
        let mut draft = draft("A: b").await;
        draft.change(Change::Append { name: "C".to_owned(), value: " d".to_owned() });
        assert_eq!(read(&draft).await, "A: b\r\nC: d\r\n");
        let value = " x".repeat(10_000);
        let added = (0..1000).take_while(|_| draft.change(Change::Append { name: "C".into(), value: value.clone() }));
        assert!(added.count() < 100);
        assert!(draft.size() as usize <= HEADER_BYTES_MAX);
    }
}
