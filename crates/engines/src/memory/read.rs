//! Reading: filters over the maps.

use std::ops::Range;

use bytes::Bytes;
use sterna_account::follow::{ContainerPage, CopiedBlob, Page, Progress};
use sterna_account::fork::Fork;
use sterna_account::{
    Change, Changes, Container, ContainerKind, Cursor, Expunged, Head, Item, ItemFlags, ItemParts, Read,
    SUMMARY_START_BYTES, StoreError, UidSet,
};
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::{BlobHash, ContainerId, Modseq, Uid};

use super::Shared;
use super::state::{Contents, State};

/// A reader of one account.
pub struct Reader {
    pub state: Shared,
}

impl Read for Reader {
    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.state.lock().head())
    }

    fn containers(&self) -> Result<Vec<Container>, StoreError> {
        let state = self.state.lock();
        Ok(state.containers.keys().filter_map(|id| state.container(*id)).collect())
    }

    fn container(&self, id: ContainerId) -> Result<Option<Container>, StoreError> {
        Ok(self.state.lock().container(id))
    }

    fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, StoreError> {
        let mut found: Vec<Container> = Vec::new();
        for name in path {
            let parent = found.last().map(|parent| parent.id);
            let is_meant = |child: &Container| child.parent == parent && child.kind == kind && child.name == *name;
            match self.containers()?.into_iter().find(is_meant) {
                Some(container) => found.push(container),
                None => break,
            }
        }
        Ok(found)
    }

    fn item_flags(&self, container: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, StoreError> {
        let state = self.state.lock();
        state.must_live(container)?;
        let narrow = |item: &Item| ItemFlags { uid: item.uid, modseq: item.modseq, flags: item.flags };
        Ok(state.items_of(container).filter(|item| item.uid > after).take(limit).map(narrow).collect())
    }

    fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let state = self.state.lock();
        state.must_live(container)?;
        let chosen = state.items_of(container).filter(|item| uids.contains(item.uid)).take(limit);
        Ok(chosen.map(|item| state.with_parts(item, parts)).collect())
    }

    fn item_named(&self, container: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
        let state = self.state.lock();
        state.must_live(container)?;
        Ok(state.named(container, name).map(|item| state.with_parts(item, parts)))
    }

    fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, StoreError> {
        let state = self.state.lock();
        let chosen = state.expunged_of(container).filter(|row| row.modseq > since && row.uid > after);
        Ok(chosen.take(limit).cloned().collect())
    }

    fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        Ok(self.state.lock().changes(after, limit))
    }

    fn container_changes(&self, id: ContainerId, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        let state = self.state.lock();
        state.must_live(id)?;
        let Changes { mut rows, head, .. } = state.changes(after, usize::MAX);
        rows.retain(|row| row.is_named_item_of(id));
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| is_more).map(Change::cursor);
        Ok(Changes { rows, head, next })
    }

    fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, StoreError> {
        let bytes = self.state.lock().bytes_of(hash).ok_or(StoreError::NoSuchBlob(hash))?;
        let length = bytes.len() as u64;
        let start = range.start.min(length);
        let end = range.end.clamp(start, length).min(start + BLOB_CHUNK_BYTES as u64);
        Ok(bytes.slice(start as usize..end as usize))
    }

    fn blobs(&self, after: Option<BlobHash>, limit: usize) -> Result<Vec<(BlobHash, u64, u64)>, StoreError> {
        let state = self.state.lock();
        let later = state.contents.iter().filter(|(hash, _)| after.is_none_or(|after| **hash > after));
        let row =
            |(hash, contents): (&BlobHash, &Contents)| (*hash, contents.bytes.len() as u64, state.references(*hash));
        Ok(later.take(limit).map(row).collect())
    }

    fn page(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Result<Page, StoreError> {
        Ok(self.state.lock().page(after, rows_max, answers_max))
    }

    fn container_page(&self, id: ContainerId, after: Uid, rows_max: usize) -> Result<ContainerPage, StoreError> {
        Ok(self.state.lock().container_page(id, after, rows_max))
    }

    fn forks(&self) -> Result<Vec<Fork>, StoreError> {
        Ok(self.state.lock().forks.clone())
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        Ok(self.state.lock().progress().0)
    }

    fn copied_blobs(&self, hashes: &[BlobHash], bytes_max: u64) -> Result<Vec<CopiedBlob>, StoreError> {
        Ok(self.state.lock().copied_blobs(hashes, bytes_max))
    }

    fn lacking(&self, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError> {
        let state = self.state.lock();
        Ok(hashes.iter().copied().filter(|hash| !state.contents.contains_key(hash)).collect())
    }
}

impl State {
    /// See [`Read::changes`].
    pub fn changes(&self, after: Cursor, limit: usize) -> Changes {
        let deleted = |(id, modseq): (&ContainerId, &Modseq)| Change::ContainerDeleted { id: *id, modseq: *modseq };
        let mut rows: Vec<Change> =
            self.containers.keys().filter_map(|id| self.container(*id)).map(Change::Container).collect();
        rows.extend(self.deleted_containers.iter().map(deleted));
        rows.extend(self.items.values().cloned().map(Change::Item));
        rows.extend(self.expunged.values().cloned().map(Change::Expunged));
        rows.retain(|row| row.cursor() > after);
        rows.sort_by_key(Change::cursor);
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| is_more).map(Change::cursor);
        Changes { rows, head: self.modseq, next }
    }

    fn must_live(&self, id: ContainerId) -> Result<(), StoreError> {
        if self.containers.contains_key(&id) { Ok(()) } else { Err(StoreError::NoSuchContainer(id)) }
    }

    fn with_parts(&self, item: &Item, parts: ItemParts) -> Item {
        let mut item = item.clone();
        let contents = self.contents.get(&item.blob);
        if parts.summary || parts.summary_start {
            item.summary = contents.and_then(|contents| contents.summary.clone());
        }
        if let Some(summary) = item.summary.as_mut().filter(|_| !parts.summary) {
            summary.truncate(SUMMARY_START_BYTES);
        }
        if parts.body && item.size <= INLINE_BLOB_BYTES_MAX as u64 {
            item.body = contents.map(|contents| contents.bytes.clone());
        }
        item
    }
}
