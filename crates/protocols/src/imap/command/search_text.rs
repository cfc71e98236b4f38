//! What SEARCH finds inside messages: header fields and texts.
//!
//! A message is read piece by piece: its header, then one text part after the other. Attachments are not read at all.
//! Decoding and comparing happen on blocking threads, and all searches together hold a bounded number of bytes.

use std::collections::BTreeSet;
use std::ops::Range;

use sterna_account::{Account, Item};
use sterna_formats::imap::command::SearchKey;
use sterna_formats::mail::text::{body_texts, header_text};
use sterna_formats::mail::{Part, PartBody, Summary, fields};
use tokio::sync::Semaphore;

use super::section;
use crate::imap::limits::SEARCHED_BYTES_MAX;
use crate::imap::reply::{Fail, Reply};

/// What the searches of a process share: one permit for each KiB that may be held.
pub struct SearchMemory(Semaphore);

impl Default for SearchMemory {
    fn default() -> Self {
        SearchMemory(Semaphore::new((SEARCHED_BYTES_MAX / 1024) as usize))
    }
}

/// What was found in one message, in lower case.
#[derive(Debug, Default)]
pub struct Inside {
    /// Fields of the header: names and values.
    pub header: Vec<(Vec<u8>, String)>,
    /// The texts looked for that stand in the body.
    pub in_body: BTreeSet<String>,
}

/// The texts that a search looks for in bodies.
pub fn body_needles(key: &SearchKey, needles: &mut BTreeSet<String>) {
    match key {
        SearchKey::Body(text) | SearchKey::Text(text) => drop(needles.insert(text.clone())),
        SearchKey::Not(inner) => body_needles(inner, needles),
        SearchKey::Or(pair) => {
            body_needles(&pair.0, needles);
            body_needles(&pair.1, needles);
        }
        SearchKey::And(keys) => keys.iter().for_each(|key| body_needles(key, needles)),
        _ => {}
    }
}

/// Reads a message's header, and as much of its texts as it takes to find these.
pub async fn look(
    memory: &SearchMemory,
    account: &dyn Account,
    item: &Item,
    summary: &Summary,
    needles: &BTreeSet<String>,
) -> Result<Inside, Fail> {
    let read_header = |bytes: &[u8], inside: &mut Inside| {
        let lower = |field: sterna_formats::mail::Field<'_>| {
            (field.name.to_ascii_lowercase(), header_text(field.value).to_lowercase())
        };
        inside.header = fields(bytes).map(lower).collect();
    };
    let inside = piece(memory, account, item, 0..summary.root.body_start, Inside::default(), read_header).await?;
    let mut parts = Vec::new();
    text_parts(&summary.root, &mut parts);
    let mut left = needles.clone();
    let mut inside = inside;
    for part in parts {
        if left.is_empty() {
            break;
        }
        let wanted = left.clone();
        let read_text = move |bytes: &[u8], inside: &mut Inside| {
            let texts = match part.kind {
                Kind::Header => fields(bytes).map(|field| header_text(field.value).to_lowercase()).collect(),
                Kind::Text => body_texts(bytes).iter().map(|text| text.to_lowercase()).collect::<Vec<_>>(),
            };
            inside.in_body.extend(wanted.into_iter().filter(|wanted| texts.iter().any(|text| text.contains(wanted))));
        };
        inside = piece(memory, account, item, part.range, inside, read_text).await?;
        left.retain(|needle| !inside.in_body.contains(needle));
    }
    Ok(inside)
}

/// Reads one piece and looks at it on a blocking thread.
async fn piece(
    memory: &SearchMemory,
    account: &dyn Account,
    item: &Item,
    range: Range<u64>,
    mut inside: Inside,
    look: impl FnOnce(&[u8], &mut Inside) + Send + 'static,
) -> Result<Inside, Fail> {
    let broken = || Fail::Reply(Reply::no("A message can't be searched").code("SERVERBUG"));
    let range = section::cut(range, None);
    let kibibytes = (range.end - range.start).min(SEARCHED_BYTES_MAX).div_ceil(1024);
    let _held = memory.0.acquire_many(kibibytes as u32).await.map_err(|_| broken())?;
    let bytes = section::read_all(account, item, range).await?;
    let looked = tokio::task::spawn_blocking(move || {
        look(&bytes, &mut inside);
        inside
    });
    looked.await.map_err(|_| broken())
}

/// A part of a body in which there may be text.
struct TextPart {
    kind: Kind,
    range: Range<u64>,
}

enum Kind {
    /// The header of a message inside.
    Header,
    /// A part with its header: a text, or a message that is itself encoded.
    Text,
}

/// The parts that may have text in them, in their order.
fn text_parts(part: &Part, found: &mut Vec<TextPart>) {
    match &part.body {
        PartBody::Multipart(parts) => parts.iter().for_each(|part| text_parts(part, found)),
        PartBody::Message(inner) => {
            found.push(TextPart { kind: Kind::Header, range: inner.1.header_start..inner.1.body_start });
            text_parts(&inner.1, found);
        }
        PartBody::Single => {
            let media_type = &part.content_type.media_type;
            if media_type.eq_ignore_ascii_case(b"text") || media_type.eq_ignore_ascii_case(b"message") {
                found.push(TextPart { kind: Kind::Text, range: part.header_start..part.end });
            }
        }
    }
}
