//! The texts of attached documents.
//!
//! Office documents are read here. Others need a [`DocumentReader`], which may do so in another process; what it found
//! is kept in the index, so that every document is given to it once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;

use sterna_base::BlobHash;
use sterna_formats::mail::office;

use super::SearchIndex;

/// How far into a file its mark may be (ISO 32000-1, annex H.3.4.1).
const MARK_WITHIN_BYTES: usize = 1024;

/// That a document could not be read now, and may be later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNow;

/// Reads documents whose formats are not safe to be read here.
pub trait DocumentReader: Send + Sync {
    /// The text of a PDF; empty when it has none, or will never be read: it is damaged, too large, too slow. Blocking.
    ///
    /// # Errors
    /// [`NotNow`] when that has nothing to do with the document.
    fn pdf_text(&self, pdf: &[u8]) -> Result<String, NotNow>;
}

/// The texts of documents, with those that an index keeps.
pub(super) struct Documents<'a> {
    reader: Option<&'a dyn DocumentReader>,
    index: Option<&'a dyn SearchIndex>,
    /// What the index does not keep yet.
    texts: RefCell<HashMap<BlobHash, String>>,
    /// What was met since this was last asked.
    met: RefCell<Vec<BlobHash>>,
}

impl<'a> Documents<'a> {
    /// With this reader, if there is one, and what this index keeps.
    pub fn new(reader: Option<&'a dyn DocumentReader>, index: Option<&'a dyn SearchIndex>) -> Self {
        Documents { reader, index, texts: RefCell::default(), met: RefCell::default() }
    }

    /// Shows the text of a document, if it is one that is known.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn read(
        &self,
        document: &[u8],
        show: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, NotNow> {
        if let Some(text) = office::text(document) {
            return Ok(show(&text));
        }
        let Some(reader) = self.reader.filter(|_| is_pdf(document)) else { return Ok(ControlFlow::Continue(())) };
        let hash = BlobHash::of(document);
        self.met.borrow_mut().push(hash);
        if let Some(text) = self.texts.borrow().get(&hash) {
            return Ok(show(text));
        }
        // An index that can't be asked is found out by others.
        if let Some(Ok(Some(text))) = self.index.map(|index| index.kept_text(hash)) {
            return Ok(show(&text));
        }
        let text = reader.pdf_text(document)?;
        let shown = show(&text);
        self.texts.borrow_mut().insert(hash, text);
        Ok(shown)
    }

    /// The documents that were met since this was last asked, each of which the index keeps or is in
    /// [`Documents::into_texts`].
    pub fn take_met(&self) -> Vec<BlobHash> {
        std::mem::take(&mut self.met.borrow_mut())
    }

    /// The texts that the index does not keep yet.
    pub fn into_texts(self) -> Vec<(BlobHash, String)> {
        self.texts.into_inner().into_iter().collect()
    }
}

fn is_pdf(document: &[u8]) -> bool {
    let beginning = &document[..document.len().min(MARK_WITHIN_BYTES)];
    beginning.windows(5).any(|mark| mark == b"%PDF-")
}
