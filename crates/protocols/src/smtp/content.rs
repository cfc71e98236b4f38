//! Content on its way in: hashed, scanned, counted, and kept in memory or in a spool file.

use std::path::PathBuf;

use bytes::Bytes;
use sterna_account::service::{Message, MessageBody};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, OperationId, Timestamp};
use sterna_formats::mail::Scanner;
use sterna_formats::smtp::{HopCounter, LineEndings, Reply};

use super::fixups::Fixups;
use super::spool::Spool;

/// What a content is begun with.
pub(crate) struct ContentStart {
    /// The transaction's name.
    pub id: OperationId,
    /// Return-Path and Received.
    pub trace: String,
    /// Largest content of the client.
    pub bytes_max: u64,
    /// Most Received fields of the client's.
    pub hops_max: u32,
    /// Where large ones go.
    pub spool_folder: PathBuf,
    /// Whether missing fields are added.
    pub fixups: bool,
    /// Whether bare CR and LF are content (BODY=BINARYMIME).
    pub binary: bool,
    /// This server, for a Message-ID.
    pub host: String,
    /// The time of the Date field.
    pub now: Timestamp,
}

/// Takes content in. What makes it refused is remembered, not told at once: the client must be able to finish.
pub(crate) struct Content {
    start: ContentStart,
    whole: blake3::Hasher,
    scanner: Scanner,
    received: blake3::Hasher,
    received_bytes: u64,
    size: u64,
    memory: Vec<u8>,
    spool: Option<Spool>,
    fixups: Option<Fixups>,
    endings: LineEndings,
    hops: HopCounter,
    refused: Option<Reply>,
}

impl Content {
    pub fn new(start: ContentStart) -> Self {
        let mut content = Content {
            whole: blake3::Hasher::new(),
            scanner: Scanner::new(),
            received: blake3::Hasher::new(),
            received_bytes: 0,
            size: 0,
            memory: Vec::new(),
            spool: None,
            fixups: start.fixups.then(Fixups::default),
            endings: LineEndings::default(),
            hops: HopCounter::default(),
            refused: None,
            start,
        };
        let trace = std::mem::take(&mut content.start.trace);
        content.keep(trace.as_bytes());
        content
    }

    /// Bytes the client sent.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Whether the content is refused already.
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Why it is refused already.
    pub fn refusal(&self) -> Option<Reply> {
        self.refused.clone()
    }

    /// Refuses the content; the first reason stands. What was kept is let go.
    pub fn refuse(&mut self, reply: Reply) {
        self.refused.get_or_insert(reply);
        self.memory = Vec::new();
        self.spool = None;
        self.fixups = None;
    }

    /// The next bytes of the client.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received_bytes += bytes.len() as u64;
        if self.is_refused() {
            return;
        }
        if self.received_bytes > self.start.bytes_max {
            return self.refuse(too_big());
        }
        if !self.start.binary {
            self.endings.feed(bytes);
        }
        self.hops.feed(bytes);
        if self.hops.hops() > self.start.hops_max {
            return self.refuse(mail_loop());
        }
        self.received.update(bytes);
        match &mut self.fixups {
            None => self.keep(bytes),
            Some(fixups) => {
                if let Some(fixed) = fixups.push(bytes, self.start.id, &self.start.host, self.start.now) {
                    self.keep_fixed(fixed);
                }
            }
        }
    }

    fn keep_fixed(&mut self, (fields, held): (String, Vec<u8>)) {
        self.fixups = None;
        self.keep(fields.as_bytes());
        self.keep(&held);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.scanner.push(bytes);
        self.size += bytes.len() as u64;
        self.memory.extend_from_slice(bytes);
    }

    /// Moves what is too much for memory to the spool file. To be called after every few pieces.
    pub async fn spill(&mut self) {
        if self.memory.len() > INLINE_BLOB_BYTES_MAX {
            self.spill_all().await;
        }
    }

    async fn spill_all(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if let Err(error) = self.write_spool(memory).await {
            let reply = self.not_spooled(&error);
            self.refuse(reply);
        }
    }

    fn not_spooled(&self, error: &std::io::Error) -> Reply {
        tracing::error!(folder = %self.start.spool_folder.display(), %error, "a message could not be spooled");
        if error.kind() == std::io::ErrorKind::StorageFull {
            Reply::new(452, (4, 3, 1), "No space for this message now; try again later")
        } else {
            Reply::new(451, (4, 3, 0), "The message could not be taken in; try again later")
        }
    }

    async fn write_spool(&mut self, bytes: Vec<u8>) -> std::io::Result<()> {
        self.spool = Some(match self.spool.take() {
            Some(spool) => spool.write(bytes).await?,
            None => Spool::create(&self.start.spool_folder, self.start.id, bytes),
        });
        Ok(())
    }

    /// The message and the hash of what the client sent; or why it is refused.
    pub async fn finish(mut self) -> Result<(Message, BlobHash), Reply> {
        if self.endings.has_bare() {
            self.refuse(bare_line_ending());
        }
        if let Some(mut fixups) = self.fixups.take() {
            let fixed = fixups.finish(self.start.id, &self.start.host, self.start.now);
            self.keep_fixed(fixed);
        }
        if self.spool.is_some() || self.memory.len() > INLINE_BLOB_BYTES_MAX {
            self.spill_all().await;
        }
        if let Some(reply) = self.refused {
            return Err(reply);
        }
        let body = match self.spool.take() {
            Some(spool) => MessageBody::Spooled(spool.finish().await.map_err(|error| self.not_spooled(&error))?),
            None => MessageBody::Inline(Bytes::from(std::mem::take(&mut self.memory))),
        };
        let summary = Bytes::from(self.scanner.finish().encode());
        let hash = BlobHash(*self.whole.finalize().as_bytes());
        let received = BlobHash(*self.received.finalize().as_bytes());
        Ok((Message { body, size: self.size, hash, summary }, received))
    }
}

/// The content is over the limit (RFC 1870 section 6.1).
pub(crate) fn too_big() -> Reply {
    Reply::new(552, (5, 3, 4), "The message is larger than this server takes")
}

/// A message that comes by again and again must end somewhere: its sender gets it back (RFC 5321 section 6.3).
fn mail_loop() -> Reply {
    Reply::new(554, (5, 4, 6), "The message has passed too many servers; it goes in a loop")
}

/// See docs/decisions/0003-smtp-line-endings.md.
fn bare_line_ending() -> Reply {
    Reply::new(554, (5, 6, 0), "The message has a bare CR or LF; lines must end with CRLF (RFC 5321 section 2.3.8)")
}
