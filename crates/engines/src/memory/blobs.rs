//! Contents: taken in, staged, counted and dropped.

use std::collections::BTreeSet;

use bytes::Bytes;
use sterna_account::store::BlobWriter;
use sterna_account::{CommitError, Content, NewItem, StoreError};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, Timestamp};

use super::Shared;
use super::state::{Contents, Staged, State};

/// How old a blob that nothing refers to must be before it is taken for abandoned: one day.
const STAGED_KEPT_MS: i64 = 24 * 3600 * 1000;

impl State {
    /// The content of a new item, taken in if it is not there; its name and length.
    pub fn take_in(&mut self, new: &NewItem) -> Result<(BlobHash, u64), CommitError> {
        let (hash, bytes) = match &new.content {
            Content::Inline(bytes) if bytes.len() > INLINE_BLOB_BYTES_MAX => {
                let what = format!("an inline content of more than {INLINE_BLOB_BYTES_MAX} bytes");
                return Err(CommitError::Invalid(what));
            }
            Content::Inline(bytes) => (BlobHash::of(bytes), bytes.clone()),
            Content::Stored(hash) => (*hash, self.bytes_of(*hash).ok_or(CommitError::NoSuchBlob(*hash))?),
        };
        let size = bytes.len() as u64;
        let contents = self.contents.entry(hash).or_insert(Contents { bytes, summary: None });
        if contents.summary.is_none() {
            contents.summary.clone_from(&new.summary);
        }
        Ok((hash, size))
    }

    /// The bytes of a blob, whether rows refer to it or it is staged.
    pub fn bytes_of(&self, hash: BlobHash) -> Option<Bytes> {
        let contents = self.contents.get(&hash).map(|contents| contents.bytes.clone());
        contents.or_else(|| self.staged.get(&hash).map(|staged| staged.bytes.clone()))
    }

    /// How many rows refer to a blob: live items and retained ones.
    pub fn references(&self, hash: BlobHash) -> u64 {
        let live = self.items.values().filter(|item| item.blob == hash).count();
        let retained = self.expunged.values().filter_map(|expunged| expunged.retained.as_ref());
        (live + retained.filter(|retained| retained.blob == hash).count()) as u64
    }

    /// Drops contents without references. Staged blobs that got a reference are staged no longer.
    pub fn settle_blobs(&mut self) {
        let retained = self.expunged.values().filter_map(|expunged| expunged.retained.as_ref());
        let mut referred: BTreeSet<BlobHash> = retained.map(|retained| retained.blob).collect();
        referred.extend(self.items.values().map(|item| item.blob));
        self.contents.retain(|hash, _| referred.contains(hash));
        self.staged.retain(|hash, _| !referred.contains(hash));
    }

    /// Drops staged blobs that were never referred to.
    pub fn drop_abandoned(&mut self, now: Timestamp) {
        self.staged.retain(|_, staged| staged.staged_at >= now.plus_ms(-STAGED_KEPT_MS));
    }
}

/// One blob on its way in.
pub struct Writer {
    pub state: Shared,
    pub bytes: Vec<u8>,
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(BlobHash, u64), StoreError> {
        let bytes = Bytes::from(self.bytes);
        let (hash, size) = (BlobHash::of(&bytes), bytes.len() as u64);
        let mut state = self.state.lock();
        let staged_at = state.latest;
        state.staged.insert(hash, Staged { bytes, staged_at });
        Ok((hash, size))
    }
}
