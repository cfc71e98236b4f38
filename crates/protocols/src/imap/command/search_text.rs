//! What SEARCH finds inside messages: header fields and texts.
//!
//! A message is read piece by piece: its header, then one text part after the other. Attachments are not read at all.
//! Decoding and comparing happen on blocking threads, and all searches together hold a bounded number of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use sterna_account::{Account, Item};
use sterna_formats::imap::command::SearchKey;
use sterna_formats::mail::text::{body_texts, header_text};
use sterna_formats::mail::{Part, PartBody, Summary, fields};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::section;
use crate::imap::limits::SEARCHED_BYTES_MAX;
use crate::imap::reply::{Fail, Reply};

/// What the searches of a process share: one permit for each KiB that may be held.
pub struct SearchMemory(Arc<Semaphore>);

impl Default for SearchMemory {
    fn default() -> Self {
        SearchMemory(Arc::new(Semaphore::new((SEARCHED_BYTES_MAX / 1024) as usize)))
    }
}

impl SearchMemory {
    /// Waits for room for so many bytes, or for all there is. Whoever holds some must not wait for more.
    ///
    /// # Errors
    /// Never while the process runs.
    pub async fn hold(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Fail> {
        let kibibytes = bytes.min(SEARCHED_BYTES_MAX).div_ceil(1024) as u32;
        let held = self.0.clone().acquire_many_owned(kibibytes).await;
        held.map_err(|_| Reply::no("The server is ending").code("UNAVAILABLE").into())
    }
}

/// What a search looks for inside messages, in lower case.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    /// Texts in fields of the header, by the fields' names.
    fields: BTreeMap<Vec<u8>, BTreeSet<String>>,
    /// Texts of TEXT: anywhere.
    anywhere: BTreeSet<String>,
    /// Texts of BODY.
    body: BTreeSet<String>,
}

impl Needles {
    /// Those of a key and of the keys in it.
    pub fn of(key: &SearchKey) -> Self {
        let mut needles = Needles::default();
        needles.add(key);
        needles
    }

    fn add(&mut self, key: &SearchKey) {
        match key {
            SearchKey::Body(text) => drop(self.body.insert(text.clone())),
            SearchKey::Text(text) => drop(self.anywhere.insert(text.clone())),
            SearchKey::Header { name, text } => {
                self.fields.entry(name.clone()).or_default().insert(text.clone());
            }
            SearchKey::Not(inner) => self.add(inner),
            SearchKey::Or(pair) => {
                self.add(&pair.0);
                self.add(&pair.1);
            }
            SearchKey::And(keys) => keys.iter().for_each(|key| self.add(key)),
            _ => {}
        }
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.anywhere.is_empty() && self.body.is_empty()
    }

    /// Looks through a header.
    fn in_header(&self, header: &[u8], inside: &mut Inside) {
        for field in fields(header) {
            let name = field.name.to_ascii_lowercase();
            let value = header_text(field.value).to_lowercase();
            if let Some(texts) = self.fields.get(&name) {
                let found = texts.iter().filter(|text| value.contains(*text)).cloned();
                inside.fields.entry(name.clone()).or_default().extend(found);
            }
            if !self.anywhere.is_empty() {
                let line = format!("{}: {value}", String::from_utf8_lossy(&name));
                inside.texts.extend(self.anywhere.iter().filter(|text| line.contains(*text)).cloned());
            }
        }
    }
}

/// Which of the needles were found in one message.
#[derive(Debug, Default)]
pub struct Inside {
    fields: BTreeMap<Vec<u8>, BTreeSet<String>>,
    texts: BTreeSet<String>,
    body: BTreeSet<String>,
}

impl Inside {
    /// HEADER
    pub fn has_field(&self, name: &[u8], text: &str) -> bool {
        self.fields.get(name).is_some_and(|texts| texts.contains(text))
    }

    /// BODY
    pub fn has_in_body(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// TEXT
    pub fn has_anywhere(&self, text: &str) -> bool {
        self.texts.contains(text) || self.body.contains(text)
    }
}

/// Reads a message's header, and as much of its texts as it takes to find what is looked for.
pub async fn look(
    memory: &SearchMemory,
    account: &dyn Account,
    item: &Item,
    summary: &Summary,
    needles: &Arc<Needles>,
) -> Result<Inside, Fail> {
    let mut inside = Inside::default();
    if !needles.fields.is_empty() || !needles.anywhere.is_empty() {
        let needles = needles.clone();
        let read_header = move |bytes: &[u8], inside: &mut Inside| needles.in_header(bytes, inside);
        inside = piece(memory, account, item, 0..summary.root.body_start, inside, read_header).await?;
    }
    let mut parts = Vec::new();
    text_parts(&summary.root, &mut parts);
    let mut left: BTreeSet<String> = needles.body.union(&needles.anywhere).cloned().collect();
    // What TEXT found in the header need not be in the body.
    left.retain(|text| needles.body.contains(text) || !inside.texts.contains(text));
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
            inside.body.extend(wanted.into_iter().filter(|wanted| texts.iter().any(|text| text.contains(wanted))));
        };
        inside = piece(memory, account, item, part.range, inside, read_text).await?;
        left.retain(|needle| !inside.body.contains(needle));
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
    let _held = memory.hold(range.end - range.start).await?;
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
