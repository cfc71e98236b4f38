//! Reading for another copy: pages, and the blobs that go with them.

use std::collections::BTreeSet;

use sterna_account::follow::{ContainerPage, CopiedBlob, KeptAnswer, Page, Progress, rows_within_bytes, within_bytes};
use sterna_account::{Change, Content};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, ContainerId, Uid, UidValidity};

use super::state::State;

impl State {
    /// See [`sterna_account::Read::page`].
    pub fn page(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Page {
        let changes = self.changes(after.rows, rows_max);
        let mut rows = changes.rows;
        let fits = rows_within_bytes(&rows);
        let reaches_head = changes.next.is_none() && fits == rows.len();
        rows.truncate(fits);
        let ids: BTreeSet<ContainerId> = rows.iter().map(|row| row.cursor().container).collect();
        let later: Vec<&KeptAnswer> = self.answers.range(after.answers + 1..).map(|(_, kept)| kept).collect();
        let bytes = |kept: &&KeptAnswer| postcard::to_stdvec(&kept.answer).map_or(0, |bytes| bytes.len() as u64);
        let fits = within_bytes(later.iter().take(answers_max).map(bytes));
        Page {
            after: *after,
            containers: ids.into_iter().filter_map(|id| self.container(id)).collect(),
            rows,
            is_last: reaches_head && fits == later.len(),
            answers: later.into_iter().take(fits).cloned().collect(),
            next_container: ContainerId(self.next_container),
            last_uid_validity: UidValidity(u32::try_from(self.last_uid_validity).unwrap_or(u32::MAX)),
            last_answer: self.operations,
            head: self.head(),
            forks: self.forks.clone(),
        }
    }

    /// See [`sterna_account::Read::container_page`].
    pub fn container_page(&self, id: ContainerId, after: Uid, rows_max: usize) -> ContainerPage {
        let deleted = self.deleted_containers.get(&id).map(|modseq| Change::ContainerDeleted { id, modseq: *modseq });
        let own = self.container(id).map(Change::Container).or(deleted);
        let mut rows: Vec<Change> = self.items_of(id).cloned().map(Change::Item).collect();
        rows.extend(self.expunged_of(id).cloned().map(Change::Expunged));
        rows.retain(|row| row.cursor().uid > after);
        rows.sort_by_key(|row| row.cursor().uid);
        let fits = rows_within_bytes(&rows).min(rows_max.max(1));
        let is_more = rows.len() > fits;
        rows.truncate(fits);
        let next = rows.last().filter(|_| is_more).map(|row| row.cursor().uid);
        ContainerPage { id, own, rows, next }
    }

    /// See [`sterna_account::Read::copied_blobs`].
    pub fn copied_blobs(&self, hashes: &[BlobHash], bytes_max: u64) -> Vec<CopiedBlob> {
        let (mut blobs, mut bytes) = (Vec::new(), 0);
        for &hash in hashes {
            let Some(contents) = self.contents.get(&hash) else { continue };
            let size = contents.bytes.len() as u64;
            let is_long = size > INLINE_BLOB_BYTES_MAX as u64;
            let summary = contents.summary.clone();
            bytes += if is_long { 0 } else { size } + summary.as_ref().map_or(0, |summary| summary.len() as u64);
            if !blobs.is_empty() && bytes > bytes_max {
                break;
            }
            let content = if is_long { Content::Stored(hash) } else { Content::Inline(contents.bytes.clone()) };
            blobs.push(CopiedBlob { hash, size, summary, content });
        }
        blobs
    }
}
