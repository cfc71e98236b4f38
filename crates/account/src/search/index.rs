//! What an engine's index of an account can do. It is derived: whatever happens to it, it can be made again.

use std::collections::BTreeSet;

use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, Uid};

use super::phrase::Phrase;
use crate::{Cursor, Digest, StoreError, UidSet};

/// Where in a message a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// In its From fields.
    From,
    /// In its To fields.
    To,
    /// In its Cc fields.
    Cc,
    /// In its Bcc fields.
    Bcc,
    /// In the Subject of its envelope.
    Subject,
    /// Anywhere in its header, names of fields included, or in the headers of its parts.
    Header,
    /// In its texts.
    Body,
    /// In the texts of attached documents.
    Document,
}

impl Field {
    /// The field of a header that has a place of its own.
    pub fn of_header(name: &[u8]) -> Option<Field> {
        [(&b"from"[..], Field::From), (b"to", Field::To), (b"cc", Field::Cc), (b"bcc", Field::Bcc)]
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map(|(_, field)| field)
    }
}

/// A message as an index has it. Copies of one content are one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its content.
    pub content: BlobHash,
    /// Its folded words.
    pub words: BTreeSet<(Field, String)>,
    /// Documents attached to it whose texts are kept, by their bytes.
    pub attached: Vec<BlobHash>,
    /// Whether there is more in it than `words`: it was too long, or could not be read. It is read by every search.
    pub is_partial: bool,
}

/// Where a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedItem {
    /// In which container.
    pub container: ContainerId,
    /// Under which number.
    pub uid: Uid,
    /// The content.
    pub content: BlobHash,
}

/// What an index takes in at once, whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct IndexBatch {
    /// Contents that are new to it.
    pub documents: Vec<Document>,
    /// Texts of documents that are attached to these, and were not kept yet.
    pub texts: Vec<(BlobHash, String)>,
    /// Items that are new to it; their contents are in it by then.
    pub placed: Vec<IndexedItem>,
    /// Items that are gone.
    pub gone: Vec<(ContainerId, Uid)>,
    /// How far it is then.
    pub progress: Option<IndexProgress>,
}

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexProgress {
    /// What it has of the account's changes.
    pub reached: Cursor,
    /// The epoch and the digest of the account when it had all of its changes, and their modseq: an account that has
    /// another digest at that modseq has another history, and the index is of no use for it.
    pub whole_at: Option<(Epoch, Modseq, Digest)>,
}

/// What an index has, for administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IndexStatus {
    /// Contents.
    pub documents: u64,
    /// Contents of which it has only a part.
    pub partial: u64,
    /// Items.
    pub items: u64,
    /// Different words.
    pub words: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
}

/// Numbers of documents.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DocSet {
    bits: Vec<u64>,
}

impl DocSet {
    /// Adds one.
    pub fn insert(&mut self, doc: u32) {
        let at = doc as usize / 64;
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        self.bits[at] |= 1 << (doc % 64);
    }

    /// Whether it is in it.
    pub fn contains(&self, doc: u32) -> bool {
        self.bits.get(doc as usize / 64).is_some_and(|bits| bits & 1 << (doc % 64) != 0)
    }

    /// Those that are in both.
    pub fn intersect(&mut self, other: &DocSet) {
        self.bits.truncate(other.bits.len());
        self.bits.iter_mut().zip(&other.bits).for_each(|(mine, theirs)| *mine &= theirs);
    }

    /// Those that are in either.
    pub fn unite(&mut self, other: &DocSet) {
        if self.bits.len() < other.bits.len() {
            self.bits.resize(other.bits.len(), 0);
        }
        self.bits.iter_mut().zip(&other.bits).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }

    /// All, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits
            .iter()
            .enumerate()
            .flat_map(|(at, bits)| (0..64).filter(move |bit| bits & 1 << bit != 0).map(move |bit| at as u32 * 64 + bit))
    }
}

/// What an index says of a phrase in one field.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Matches {
    /// Documents that have it, as sure as if they had been read.
    pub sure: DocSet,
    /// Others that may have it. Those in neither have it not, unless the index has only a part of them.
    pub perhaps: DocSet,
}

/// An index of one account, blocking. Every call sees one state of it; inside a snapshot all calls see the same.
pub trait SearchIndex: Send {
    /// Asks several questions of one state.
    ///
    /// # Errors
    /// Those of the questions, and when there is no such state.
    fn snapshot(&self, questions: &mut dyn FnMut() -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// How far it is; `None` for one that is new.
    ///
    /// # Errors
    /// When it can't be read or is damaged; the same holds for every method here. Make it again then.
    fn progress(&self) -> Result<Option<IndexProgress>, StoreError>;

    /// Those of these contents that it does not have, in their order.
    fn lacking(&self, contents: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError>;

    /// The text of an attached document with these bytes, if it is attached to a message that it has.
    fn kept_text(&self, document: BlobHash) -> Result<Option<String>, StoreError>;

    /// Takes in a batch. An item that it has already stays as it is.
    fn apply(&mut self, batch: &IndexBatch) -> Result<(), StoreError>;

    /// Where a phrase with at least one run is; `None` when finding that out would take longer than reading.
    fn find(&self, field: Field, phrase: &Phrase) -> Result<Option<Matches>, StoreError>;

    /// The documents that have a form of a folded word in a field, as sure as if they had been read.
    fn find_forms(&self, field: Field, word: &str) -> Result<DocSet, StoreError>;

    /// The documents of which it has only a part.
    fn partial(&self) -> Result<DocSet, StoreError>;

    /// The items of a container among these that it has, by UID, with their documents.
    fn items(&self, container: ContainerId, uids: &UidSet) -> Result<Vec<(Uid, u32)>, StoreError>;

    /// The items of a container with these documents, by UID.
    fn items_of(&self, container: ContainerId, docs: &DocSet) -> Result<Vec<(Uid, u32)>, StoreError>;

    /// How many documents it has, and how many different words they have on average.
    fn lengths(&self) -> Result<(u64, f64), StoreError>;

    /// The same as [`SearchIndex::items`], with how many different words each document has.
    fn items_with_lengths(&self, container: ContainerId, uids: &UidSet) -> Result<Vec<(Uid, u32, u32)>, StoreError>;

    /// A page of all items that it has, after this place: what a check compares with the account.
    fn page(&self, after: (ContainerId, Uid), limit: usize) -> Result<Vec<IndexedItem>, StoreError>;

    /// What it has.
    fn status(&self) -> Result<IndexStatus, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(docs: &[u32]) -> DocSet {
        let mut set = DocSet::default();
        docs.iter().for_each(|doc| set.insert(*doc));
        set
    }

    #[test]
    fn sets_of_documents() {
        let (mut a, b) = (set(&[1, 64, 500]), set(&[0, 64]));
        assert_eq!(a.iter().collect::<Vec<_>>(), [1, 64, 500]);
        assert!(a.contains(500) && !a.contains(499) && !b.contains(500));
        let mut both = a.clone();
        both.intersect(&b);
        assert_eq!(both.iter().collect::<Vec<_>>(), [64]);
        a.unite(&b);
        assert_eq!((a.len(), a.iter().next()), (4, Some(0)));
        assert!(!a.is_empty() && DocSet::default().is_empty());
    }
}
