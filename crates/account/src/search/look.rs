//! The texts of a message: what a search reads, and what an index has the words of. It is one function for both, so
//! that they can't disagree.
//!
//! A message is read piece by piece: its header, then one text part after the other. Attachments that are no texts are
//! read only for their texts, when these are wanted.

use std::ops::{ControlFlow, Range};

use bytes::{Bytes, BytesMut};
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_formats::mail::file_name::encoded_file_name;
use sterna_formats::mail::fold::fold;
use sterna_formats::mail::text::{body_texts, header_text};
use sterna_formats::mail::{Part, PartBody, Scanner, Summary, fields, transfer};

use super::documents::Documents;
use crate::{Item, Read, StoreError};

/// A text of a message, folded.
pub enum Text<'a> {
    /// A field of its header.
    Field {
        /// In lower case.
        name: &'a [u8],
        /// The value, decoded.
        value: &'a str,
    },
    /// A field of a part's header.
    PartField {
        /// In lower case.
        name: &'a [u8],
        /// The value, decoded.
        value: &'a str,
    },
    /// A text of the body.
    Body(&'a str),
    /// The text of an attached document.
    Document(&'a str),
}

/// What of a message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its header.
    pub header: bool,
    /// Its parts' headers.
    pub part_headers: bool,
    /// Its texts, and those of attached documents.
    pub body: bool,
}

/// Longest attached document, as it is encoded, that is looked into.
pub const DOCUMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Why the texts of a message were not all looked at.
#[derive(Debug)]
pub enum Stopped {
    /// A piece has more bytes than may be held; so many.
    TooLarge(u64),
    /// The store could not answer.
    Store(StoreError),
    /// A document could not be read now; all other texts were looked at.
    NotNow,
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Store(error)
    }
}

/// The summary that was stored, or one made again from the message.
pub fn summary(read: &dyn Read, item: &Item) -> Result<Summary, StoreError> {
    if let Some(Ok(summary)) = item.summary.as_deref().map(Summary::decode) {
        return Ok(summary);
    }
    let mut scanner = Scanner::new();
    let mut offset = 0;
    while offset < item.size {
        let piece = chunk(read, item, offset..item.size)?;
        offset += piece.len() as u64;
        scanner.push(&piece);
    }
    Ok(scanner.finish())
}

/// Shows the wanted texts of a message until the visitor has seen enough.
///
/// # Errors
/// [`Stopped::TooLarge`] before a piece of more than `piece_bytes_max` is read; [`Stopped::NotNow`] at the end.
pub(super) fn each_text(
    read: &dyn Read,
    item: &Item,
    summary: &Summary,
    wanted: Wanted,
    piece_bytes_max: u64,
    documents: &Documents<'_>,
    visit: &mut dyn FnMut(Text<'_>) -> ControlFlow<()>,
) -> Result<(), Stopped> {
    if wanted.header {
        let header = piece(read, item, 0..summary.root.body_start, piece_bytes_max)?;
        let mut show = |name: &[u8], value: &str| visit(Text::Field { name, value });
        if each_field(&header, &mut show).is_break() {
            return Ok(());
        }
    }
    let mut pieces = Vec::new();
    pieces_of(&summary.root, true, &mut pieces);
    let mut is_whole = true;
    for (kind, part) in pieces {
        let range = match kind {
            Kind::PartHeader | Kind::InnerHeader => part.header_start..part.body_start,
            Kind::Text => part.header_start..part.end,
            Kind::Document => part.body_start..part.end,
        };
        let is_wanted = match kind {
            Kind::PartHeader => wanted.part_headers,
            Kind::InnerHeader | Kind::Text | Kind::Document => wanted.body,
        };
        if !is_wanted || range.is_empty() {
            continue;
        }
        let bytes = piece(read, item, range, piece_bytes_max)?;
        let shown = match kind {
            Kind::PartHeader => {
                let mut show = |name: &[u8], value: &str| visit(Text::PartField { name, value });
                let name = encoded_file_name(part);
                let shown = name.map_or(ControlFlow::Continue(()), |name| show(b"filename", &fold(&name)));
                if shown.is_break() { shown } else { each_field(&bytes, &mut show) }
            }
            Kind::Document => {
                let document = transfer::decode(part.encoding.as_deref(), &bytes);
                let shown = documents.read(&document, &mut |text| visit(Text::Document(&fold(text))));
                is_whole &= shown.is_ok();
                shown.unwrap_or(ControlFlow::Continue(()))
            }
            Kind::InnerHeader => each_field(&bytes, &mut |_, value| visit(Text::Body(value))),
            Kind::Text => body_texts(&bytes).iter().try_for_each(|text| visit(Text::Body(&fold(text)))),
        };
        if shown.is_break() {
            return Ok(());
        }
    }
    if is_whole { Ok(()) } else { Err(Stopped::NotNow) }
}

fn each_field(header: &[u8], show: &mut dyn FnMut(&[u8], &str) -> ControlFlow<()>) -> ControlFlow<()> {
    fields(header).try_for_each(|field| show(&field.name.to_ascii_lowercase(), &fold(&header_text(field.value))))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The header of a part.
    PartHeader,
    /// The header of a message inside.
    InnerHeader,
    /// A part with its header: a text, or a message that is itself encoded.
    Text,
    /// What may be a document.
    Document,
}

/// The pieces of a body in which there may be text, in their order.
fn pieces_of<'a>(part: &'a Part, is_message: bool, pieces: &mut Vec<(Kind, &'a Part)>) {
    if !is_message {
        pieces.push((Kind::PartHeader, part));
    }
    match &part.body {
        PartBody::Multipart(parts) => parts.iter().for_each(|part| pieces_of(part, false, pieces)),
        PartBody::Message(inner) => {
            pieces.push((Kind::InnerHeader, &inner.1));
            pieces_of(&inner.1, true, pieces);
        }
        PartBody::Single => {
            let media_type = &part.content_type.media_type;
            if media_type.eq_ignore_ascii_case(b"text") || media_type.eq_ignore_ascii_case(b"message") {
                pieces.push((Kind::Text, part));
            } else if media_type.eq_ignore_ascii_case(b"application") && part.body_size() <= DOCUMENT_BYTES_MAX {
                pieces.push((Kind::Document, part));
            }
        }
    }
}

/// All bytes of a range that is not too large.
fn piece(read: &dyn Read, item: &Item, range: Range<u64>, bytes_max: u64) -> Result<Bytes, Stopped> {
    // A stored summary that is damaged may say that something ends before it begins.
    let length = range.end.saturating_sub(range.start);
    if length > bytes_max {
        return Err(Stopped::TooLarge(length));
    }
    let first = chunk(read, item, range.clone())?;
    if first.len() as u64 >= length {
        return Ok(first);
    }
    let mut bytes = BytesMut::from(&first[..]);
    while (bytes.len() as u64) < length {
        bytes.extend_from_slice(&chunk(read, item, range.start + bytes.len() as u64..range.end)?);
    }
    Ok(bytes.freeze())
}

/// Some bytes of a message, at most one chunk; at least one of a range that is not empty.
fn chunk(read: &dyn Read, item: &Item, range: Range<u64>) -> Result<Bytes, StoreError> {
    let end = range.end.min(range.start.saturating_add(BLOB_CHUNK_BYTES as u64));
    let piece = match &item.body {
        _ if range.is_empty() => return Ok(Bytes::new()),
        Some(body) if end > body.len() as u64 => Bytes::new(),
        Some(body) => body.slice(range.start as usize..end as usize),
        None => read.blob(item.blob, range.start..end)?,
    };
    if piece.is_empty() {
        return Err(StoreError::Corrupt(format!("blob {} is shorter than its item", item.blob)));
    }
    Ok(piece)
}
