//! Bringing an index up to date by "changes since", a bounded batch at a time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sterna_base::{BlobHash, ContainerId, Modseq};
use sterna_formats::mail::fold::{fold, words};
use sterna_formats::mail::text::header_text;

use super::documents::{DocumentReader, Documents};
use super::index::{Document, Field, IndexBatch, IndexProgress, IndexedItem, SearchIndex};
use super::look::{DOCUMENT_BYTES_MAX, Stopped, Text, Wanted, each_text, summary};
use crate::{Change, ContainerKind, Cursor, Head, Item, ItemParts, Read, StoreError, UidSet};

/// Changes in one batch.
pub const BATCH_ROWS_MAX: usize = 128;

/// Bytes of messages in one batch; a longer message is a batch of its own.
pub const BATCH_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long a batch takes in messages: documents that are slow to be read must not hold up other accounts. One message
/// is taken in any case.
pub const BATCH_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes of one piece of a message (its header, a text part) that are looked at. A message with a longer piece is
/// indexed in part, and read by every search.
pub const INDEXED_PIECE_BYTES_MAX: u64 = 8 * 1024 * 1024;

const _: () = assert!(DOCUMENT_BYTES_MAX <= INDEXED_PIECE_BYTES_MAX);

/// Different words of one message that are indexed; one with more is indexed in part.
pub const INDEXED_WORDS_MAX: usize = 100_000;

/// What a batch was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Whether there is more to be done.
    pub has_more: bool,
    /// Up to where the index has all changes.
    pub reached: Modseq,
    /// Messages that were read.
    pub documents: usize,
}

/// Whether the index may be one of this account: of the history that it has now.
pub fn is_of(progress: &IndexProgress, head: &Head) -> bool {
    let same = |&(epoch, modseq, digest): &_| match () {
        () if epoch > head.epoch || modseq > head.modseq => false,
        () if modseq == head.modseq => digest == head.digest,
        () => true,
    };
    progress.reached.modseq <= head.modseq && progress.whole_at.as_ref().is_none_or(same)
}

/// Takes a batch of changes into the index. Attached documents that this process doesn't read are given to the reader.
///
/// # Errors
/// When the account can't be read, or the index can't be written; nothing was done then.
pub fn feed(
    read: &dyn Read,
    index: &mut dyn SearchIndex,
    reader: Option<&dyn DocumentReader>,
) -> Result<Fed, StoreError> {
    let progress = index.progress()?;
    let whole_at = progress.and_then(|progress| progress.whole_at);
    let mut reached = progress.map_or_else(Cursor::start, |progress| progress.reached);
    let changes = read.changes(reached, BATCH_ROWS_MAX)?;
    let contents: BTreeSet<BlobHash> = changes.rows.iter().filter_map(content).collect();
    let lacking = index.lacking(&contents.into_iter().collect::<Vec<_>>())?;
    let mut batch = Batch::new(read, Documents::new(reader, Some(&*index)));
    batch.lacking.extend(lacking);
    let mut is_full = false;
    for row in &changes.rows {
        if !batch.take(row)? {
            is_full = true;
            break;
        }
        reached = row.cursor();
    }
    let has_more = is_full || changes.next.is_some();
    let mut progress = IndexProgress { reached, whole_at };
    if !has_more {
        progress.reached = Cursor::since(changes.head).max(reached);
        let head = read.head()?;
        if head.modseq == changes.head {
            progress.whole_at = Some((head.epoch, head.modseq, head.digest));
        }
    }
    let Batch { mut taken, documents, .. } = batch;
    taken.texts = documents.into_texts();
    taken.progress = Some(progress);
    index.apply(&taken)?;
    Ok(Fed { has_more, reached: progress.reached.modseq, documents: taken.documents.len() })
}

fn content(change: &Change) -> Option<BlobHash> {
    match change {
        Change::Item(item) => Some(item.blob),
        _ => None,
    }
}

struct Batch<'a> {
    read: &'a dyn Read,
    /// Contents that the index does not have.
    lacking: HashSet<BlobHash>,
    taken: IndexBatch,
    bytes: u64,
    is_mail: HashMap<ContainerId, bool>,
    documents: Documents<'a>,
    begun: Instant,
}

impl<'a> Batch<'a> {
    fn new(read: &'a dyn Read, documents: Documents<'a>) -> Self {
        let (lacking, taken) = (HashSet::new(), IndexBatch::default());
        Batch { read, lacking, taken, bytes: 0, is_mail: HashMap::new(), documents, begun: Instant::now() }
    }

    /// Takes a change, unless it is one too many.
    fn take(&mut self, change: &Change) -> Result<bool, StoreError> {
        match change {
            Change::Expunged(gone) => self.taken.gone.push((gone.container, gone.uid)),
            Change::Item(row) if self.is_mail(row.container)? => {
                if self.lacking.contains(&row.blob) {
                    let bytes = self.bytes + row.size;
                    let is_long = bytes > BATCH_BYTES_MAX || self.begun.elapsed() >= BATCH_TIME_MAX;
                    if is_long && self.bytes > 0 {
                        return Ok(false);
                    }
                    self.bytes = bytes;
                    let parts = ItemParts { summary: true, body: true, ..ItemParts::default() };
                    let items = self.read.items(row.container, &UidSet::one(row.uid), parts, 1)?;
                    // One that is gone by now has a later change that says so.
                    let Some(item) = items.first().filter(|item| item.blob == row.blob) else { return Ok(true) };
                    self.taken.documents.push(document(self.read, item, &self.documents)?);
                    self.lacking.remove(&row.blob);
                }
                let (container, uid, content) = (row.container, row.uid, row.blob);
                self.taken.placed.push(IndexedItem { container, uid, content });
            }
            // Items of a container that was deleted have tombstones of their own.
            Change::Item(_) | Change::Container(_) | Change::ContainerDeleted { .. } => {}
        }
        Ok(true)
    }

    fn is_mail(&mut self, id: ContainerId) -> Result<bool, StoreError> {
        if let Some(known) = self.is_mail.get(&id) {
            return Ok(*known);
        }
        let is_mail = self.read.container(id)?.is_some_and(|container| container.kind == ContainerKind::Mail);
        self.is_mail.insert(id, is_mail);
        Ok(is_mail)
    }
}

/// The words of a message.
fn document(read: &dyn Read, item: &Item, documents: &Documents<'_>) -> Result<Document, StoreError> {
    let (words, attached) = (BTreeSet::new(), Vec::new());
    let mut document = Document { content: item.blob, words, attached, is_partial: false };
    let summary = summary(read, item)?;
    if let Some(subject) = &summary.envelope.subject {
        document.add(Field::Subject, &fold(&header_text(subject)));
    }
    let wanted = Wanted { header: true, part_headers: true, body: true };
    let looked = each_text(read, item, &summary, wanted, INDEXED_PIECE_BYTES_MAX, documents, &mut |text| {
        match text {
            Text::Field { name, value } => {
                document.add(Field::Header, &fold(&String::from_utf8_lossy(name)));
                document.add(Field::Header, value);
                if let Some(field) = Field::of_header(name) {
                    document.add(field, value);
                }
            }
            Text::PartField { name, value } => {
                document.add(Field::Header, &fold(&String::from_utf8_lossy(name)));
                document.add(Field::Header, value);
            }
            Text::Body(text) => document.add(Field::Body, text),
            Text::Document(text) => document.add(Field::Document, text),
        }
        if document.is_partial { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    document.attached = documents.take_met();
    match looked {
        Ok(()) => Ok(document),
        Err(Stopped::TooLarge(_) | Stopped::NotNow) => Ok(Document { is_partial: true, ..document }),
        // A damaged message must not hold up the others; whoever searches is told of it.
        Err(Stopped::Store(StoreError::Corrupt(cause))) => {
            tracing::warn!(content = %item.blob, cause, "a message can't be indexed");
            Ok(Document { is_partial: true, ..document })
        }
        Err(Stopped::Store(error)) => Err(error),
    }
}

impl Document {
    fn add(&mut self, field: Field, folded: &str) {
        for word in words(folded) {
            if self.words.len() >= INDEXED_WORDS_MAX {
                self.is_partial = true;
                return;
            }
            self.words.insert((field, word.to_owned()));
        }
    }
}
