//! A full disk refuses what needs space and harms nothing; when there is space again the store goes on by itself.

use sterna_account::StoreError;

use super::history::{History, assert_sound};
use crate::faults::Fault;

const STEPS: usize = 12;

/// Lives until the disk is full, tries once more, gets space, and lives on. False when the history ended before.
fn survive(writes: u64) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), 11);
    history.disk.plan(Fault::Full(writes));
    let result = history.create().and_then(|()| (0..STEPS).try_for_each(|_| history.step()));
    if let Err(error) = &result {
        assert!(matches!(error, StoreError::DiskFull(_)), "write {writes}: {error:?}");
    }
    // Where the disk was full when the store was opened anew, it is not open.
    let last = history.acknowledged.last().copied().filter(|_| history.store.is_some());
    if let (Err(_), Some((_, modseq, digest))) = (&result, last) {
        let quota = sterna_account::Mutation::SetQuota { bytes_max: None, items_max: Some(1_000_000) };
        let commit = history.commit_of(vec![quota]);
        let again = history.commit(std::slice::from_ref(&commit));
        assert!(matches!(again, Err(StoreError::DiskFull(_))), "write {writes}: {again:?}");
        let head = history.store().head().unwrap();
        assert_eq!((head.modseq, head.digest), (modseq, digest), "write {writes}");
    }
    let happened = history.disk.repair();
    if history.store.is_none() && !history.acknowledged.is_empty() {
        history.reopen().unwrap();
    }
    if history.acknowledged.is_empty() || history.store().containers().unwrap().is_empty() {
        history.create().unwrap();
    }
    for _ in 0..4 {
        history.step().unwrap();
    }
    assert_sound(history.store());
    let last = history.disk.events();
    history.check_cut(last, writes);
    happened
}

#[test]
fn every_write_may_find_the_disk_full() {
    let count = (0..).take_while(|n| survive(n * 3)).count();
    assert!(count > 10, "only {count} writes");
}
