//! After a failed flush or write nothing more is taken until the store is reopened, and then everything acknowledged is
//! there, also after a power cut that follows.

use sterna_account::StoreError;

use super::history::{History, assert_sound};
use crate::faults::Fault;

/// Steps before the test gives up waiting for the failure: the history has fewer flushes than that.
const STEPS: usize = 12;

/// Steps after reopening.
const STEPS_AFTER: usize = 4;

/// How the process ends that saw the failure.
#[derive(Clone, Copy)]
enum End {
    /// It closes the store, as far as that goes.
    Closed,
    /// It gets no chance to.
    Killed,
}

/// Lives until the planned failure, reopens, lives on, and cuts the power at some instants since. False when the
/// history ended before the failure.
fn survive(fault: Fault, end: End) -> bool {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut history = History::new(folder.path(), 7);
    history.disk.plan(fault);
    let mut run = || {
        history.create()?;
        (0..STEPS).try_for_each(|_| history.step())
    };
    let result = run();
    let happened = history.disk.repair();
    if let Err(error) = &result {
        assert!(happened && matches!(error, StoreError::Io(_) | StoreError::Stopped(_)), "{fault:?}: {error:?}");
    }
    if history.acknowledged.is_empty() {
        history.create().unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    } else {
        let (_, modseq, digest) = *history.acknowledged.last().unwrap();
        let reopened = match end {
            End::Closed => history.reopen(),
            End::Killed => history.kill(killed.path()),
        };
        reopened.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let head = history.store().head().unwrap();
        assert!(head.modseq > modseq || (head.modseq, head.digest) == (modseq, digest), "{fault:?} lost something");
        history.acknowledge();
        if history.store().containers().unwrap().is_empty() {
            history.create().unwrap();
        }
    }
    assert_sound(history.store());
    let reopened = history.disk.events();
    for _ in 0..STEPS_AFTER {
        history.step().unwrap();
    }
    let last = history.disk.events();
    for cut in 0..4 {
        let events = reopened + history.dice.roll((last - reopened) as u64 + 1) as usize;
        history.check_cut(events, cut);
    }
    happened
}

#[test]
fn every_flush_may_fail() {
    let count = (0..).take_while(|n| survive(Fault::SyncFails(*n), End::Closed)).count();
    assert!(count > 20, "only {count} flushes");
}

#[test]
fn every_flush_may_fail_and_the_process_may_die_of_it() {
    let count = (0..).take_while(|n| survive(Fault::SyncFails(*n), End::Killed)).count();
    assert!(count > 20, "only {count} flushes");
}

#[test]
fn writes_may_fail() {
    let count = (0..).take_while(|n| survive(Fault::WriteFails(n * 7), End::Closed)).count();
    assert!(count > 10, "only {count} writes");
}

#[test]
fn a_store_that_failed_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), 3);
    history.create().unwrap();
    history.disk.plan(Fault::SyncFails(0));
    let quota = sterna_account::Mutation::SetQuota { bytes_max: Some(1), items_max: None };
    let commit = history.commit_of(vec![quota]);
    let failed = history.commit(std::slice::from_ref(&commit));
    assert!(matches!(failed, Err(StoreError::Io(_))), "{failed:?}");
    let now = history.now;
    assert!(matches!(history.commit(std::slice::from_ref(&commit)), Err(StoreError::Stopped(_))));
    assert!(matches!(history.store().purge(now, now, 1), Err(StoreError::Stopped(_))));
    assert!(matches!(history.store().stage_blob().err(), Some(StoreError::Stopped(_))));
    assert!(history.store().head().is_ok());
    history.reopen().unwrap();
    history.commit(&[commit]).unwrap()[0].as_ref().unwrap();
    assert_eq!(history.store().head().unwrap().quota.bytes_max, Some(1));
}
