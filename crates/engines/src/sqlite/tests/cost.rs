//! What one new message costs does not depend on how many there are: counted, not timed.

use bytes::Bytes;
use sterna_account::{Commit, Content, Engine, FlagSet, Mutation, NewItem, Role, Store, first_containers};
use sterna_base::{AccountId, ContainerId, Epoch, OperationId, Timestamp};

use crate::disk::Disk;
use crate::faults::FaultyDisk;
use crate::sqlite::SqliteEngine;

const INBOX: ContainerId = ContainerId(1);

fn deliver(store: &mut dyn Store, numbers: std::ops::Range<u64>) {
    for first in numbers.clone().step_by(200) {
        let batch: Vec<Commit> = (first..numbers.end.min(first + 200))
            .map(|n| {
                let content = Content::Inline(Bytes::from(format!("message {n}").repeat(20)));
                let summary = Some(Bytes::from_static(&[0; 200]));
                let item = NewItem {
                    content,
                    summary,
                    internal_date: None,
                    flags: FlagSet::default(),
                    name: None,
                    object_uid: None,
                };
                let mutations = vec![Mutation::Append { container: INBOX, item }];
                Commit { operation: OperationId::random(), epoch: Epoch(1), mutations }
            })
            .collect();
        let answers = store.commit(&batch, Timestamp(1_800_000_000_000)).unwrap();
        assert!(answers.iter().all(Result::is_ok));
    }
}

/// Flushes and writes of one delivery, the mean of 50 in an account that has `count` messages.
fn cost_at(count: u64) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new(folder.path());
    let engine = SqliteEngine::on_disk(folder.path(), disk.clone());
    engine.create(AccountId(1), Epoch(1), Role::Active, Timestamp(0)).unwrap();
    let mut store = engine.open(AccountId(1)).unwrap();
    let first = Commit { operation: OperationId::random(), epoch: Epoch(1), mutations: first_containers::mutations() };
    store.commit(&[first], Timestamp(0)).unwrap().remove(0).unwrap();
    deliver(store.as_mut(), 0..count);
    drop(store);
    let mut store = engine.open(AccountId(1)).unwrap();
    deliver(store.as_mut(), count..count + 1);
    let (syncs, writes) = disk.counts();
    for n in 0..50 {
        deliver(store.as_mut(), count + 1 + n..count + 2 + n);
    }
    let (syncs_after, writes_after) = disk.counts();
    assert!(disk.vfs().is_some());
    ((syncs_after - syncs) as f64 / 50.0, (writes_after - writes) as f64 / 50.0)
}

#[test]
fn a_delivery_costs_one_flush_and_as_many_writes_in_a_large_folder_as_in_a_small_one() {
    let (small, large) = (cost_at(100), cost_at(20_000));
    assert_eq!((small.0, large.0), (1.0, 1.0), "flushes");
    // A frame of the log is two writes. A tree of 200 times as many rows is one level deeper, if at all.
    assert!(large.1 < small.1 + 10.0, "writes: {small:?}, {large:?}");
}

/// Flushes and writes of one page with one message, the mean of 50, in a copy that has `count` messages.
fn cost_of_following_at(count: u64) -> (f64, f64) {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source_engine = SqliteEngine::new(there.path());
    source_engine.create(AccountId(1), Epoch(1), Role::Active, Timestamp(0)).unwrap();
    let mut source = source_engine.open(AccountId(1)).unwrap();
    let first = Commit { operation: OperationId::random(), epoch: Epoch(1), mutations: first_containers::mutations() };
    source.commit(&[first], Timestamp(0)).unwrap().remove(0).unwrap();
    deliver(source.as_mut(), 0..count);
    let disk = FaultyDisk::new(here.path());
    let engine = SqliteEngine::on_disk(here.path(), disk.clone());
    engine.create(AccountId(1), Epoch(1), Role::Follower, Timestamp(0)).unwrap();
    let mut copy = engine.open(AccountId(1)).unwrap();
    while !follow(source.as_ref(), copy.as_mut()) {}
    drop(copy);
    let mut copy = engine.open(AccountId(1)).unwrap();
    let (syncs, writes) = disk.counts();
    for n in count..count + 50 {
        deliver(source.as_mut(), n..n + 1);
        assert!(follow(source.as_ref(), copy.as_mut()));
    }
    let (syncs_after, writes_after) = disk.counts();
    for _ in 0..5 {
        assert!(follow(source.as_ref(), copy.as_mut()));
    }
    assert_eq!(disk.counts(), (syncs_after, writes_after), "a look without news costs nothing");
    ((syncs_after - syncs) as f64 / 50.0, (writes_after - writes) as f64 / 50.0)
}

fn follow(source: &dyn Store, copy: &mut dyn Store) -> bool {
    let page = source.page(&copy.progress().unwrap(), 2000, 2000).unwrap();
    let blobs = source.copied_blobs(&copy.lacking(&page.blobs()).unwrap(), u64::MAX).unwrap();
    copy.follow(&page, blobs, Timestamp(0)).unwrap().is_equal
}

#[test]
fn a_page_costs_one_flush_and_as_many_writes_in_a_large_copy_as_in_a_small_one() {
    let (small, large) = (cost_of_following_at(100), cost_of_following_at(20_000));
    // A checkpoint falls among them, with two more.
    assert!(small.0 < 1.1 && large.0 < 1.1, "flushes: {small:?}, {large:?}");
    assert!(large.1 < small.1 + 10.0, "writes: {small:?}, {large:?}");
}
