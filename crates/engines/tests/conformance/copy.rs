//! A copy of a bed's account on another node.

use sterna_account::check::{Depth, check};
use sterna_account::follow::*;
use sterna_account::*;
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_base::*;

use crate::bed::*;

pub struct Copy {
    pub store: Box<dyn Store>,
}

impl Copy {
    pub fn new(bed: &Bed) -> Self {
        bed.other.create(ACCOUNT, Epoch(1), Role::Follower, NOW).unwrap();
        Copy { store: bed.other.open(ACCOUNT).unwrap() }
    }

    /// The page after what is here.
    pub fn page(&self, bed: &Bed, rows: usize) -> Page {
        bed.store().page(&self.store.progress().unwrap(), rows, rows).unwrap()
    }

    /// The blobs that must come with rows; long ones are staged.
    pub fn fetch(&self, bed: &Bed, hashes: &[BlobHash]) -> Vec<CopiedBlob> {
        let lacking = self.store.lacking(hashes).unwrap();
        let blobs = bed.store().copied_blobs(&lacking, u64::MAX).unwrap();
        for blob in blobs.iter().filter(|blob| matches!(blob.content, Content::Stored(_))) {
            let mut writer = self.store.stage_blob().unwrap();
            for start in (0..blob.size).step_by(BLOB_CHUNK_BYTES) {
                writer.write(&bed.store().blob(blob.hash, start..blob.size).unwrap()).unwrap();
            }
            assert_eq!(writer.finish().unwrap(), (blob.hash, blob.size));
        }
        blobs
    }

    pub fn apply(&mut self, bed: &Bed, page: &Page) -> Result<Applied, FollowError> {
        let blobs = self.fetch(bed, &page.blobs());
        self.store.follow(page, blobs, bed.now)
    }

    /// Takes one page of so many rows; whether it was the last.
    pub fn pull(&mut self, bed: &Bed, rows: usize) -> bool {
        let applied = self.apply(bed, &self.page(bed, rows)).unwrap();
        self.check();
        applied.is_equal
    }

    /// Takes pages until everything is the same.
    pub fn pull_all(&mut self, bed: &Bed, rows: usize) {
        while !self.pull(bed, rows) {}
        self.assert_same(bed);
    }

    /// Forgets a container and takes its pages.
    pub fn copy_anew(&mut self, bed: &Bed, id: ContainerId, rows: usize) {
        while self.store.forget_container(id, rows).unwrap() > 0 {
            self.check();
        }
        let mut after = Some(Uid(0));
        while let Some(uid) = after {
            let page = bed.store().container_page(id, uid, rows).unwrap();
            assert!(page.rows.len() <= rows);
            let blobs = self.fetch(bed, &page.blobs());
            self.store.follow_container(&page, blobs, bed.now).unwrap();
            self.check();
            after = page.next;
        }
    }

    pub fn check(&self) {
        assert_eq!(check(self.store.as_ref(), Depth { contents: true }).unwrap(), []);
    }

    /// Every row is the source's, and every number that is given out.
    pub fn assert_same(&self, bed: &Bed) {
        let start = Progress::start();
        let [theirs, ours] = [bed.store(), self.store.as_ref()].map(|store| {
            let mut page = store.page(&start, usize::MAX, usize::MAX).unwrap();
            (page.head.role, page.head.epoch) = (Role::Active, Epoch(0));
            page
        });
        assert_eq!(ours, theirs);
        let parts = ItemParts { summary: true, body: true, ..ItemParts::default() };
        for container in &theirs.containers {
            let [theirs, ours] = [bed.store(), self.store.as_ref()]
                .map(|store| store.items(container.id, &UidSet::all(), parts, usize::MAX).unwrap());
            assert_eq!(ours, theirs);
        }
    }
}
