//! A store that failed is reopened and checked before it is used again.

use sterna_account::local::REOPEN_WAIT_MS;
use sterna_account::*;
use sterna_base::*;

use crate::watched::{accounts, append, begin};

fn io() -> StoreError {
    StoreError::Io("the disk is gone".into())
}

#[tokio::test]
async fn a_failed_store_is_reopened_after_a_while_and_checked() {
    let (accounts, log, clock) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    account.commit(OperationId::random(), append("kept")).await.unwrap();
    assert_eq!(*log.checks.lock(), 0, "nothing was wrong with it");
    *log.failure.lock() = Some(io());
    let operation = OperationId::random();
    assert_eq!(account.commit(operation, append("lost")).await, Err(AccountError::Store(io())));
    let begun = log.batches.borrow().len();
    assert_eq!(account.commit(operation, append("lost")).await, Err(AccountError::Store(io())));
    assert_eq!(account.head().await, Err(AccountError::Store(io())));
    assert_eq!((log.batches.borrow().len(), log.opened.lock().len()), (begun, 1), "nobody tries again so soon");
    clock.advance_ms(REOPEN_WAIT_MS);
    assert!(!account.commit(operation, append("lost")).await.unwrap().repeated);
    assert_eq!((*log.checks.lock(), log.opened.lock().len()), (1, 2));
    assert_eq!(log.open.borrow().len(), 1, "the one that failed is closed");
    assert_eq!(account.head().await.unwrap().quota.items_used, 2);
}

#[tokio::test]
async fn a_store_that_breaks_an_invariant_stays_closed() {
    let (accounts, log, clock) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    *log.failure.lock() = Some(io());
    account.commit(OperationId::random(), append("lost")).await.unwrap_err();
    *log.damaged.lock() = true;
    for _ in 0..2 {
        clock.advance_ms(REOPEN_WAIT_MS);
        let refused = account.commit(OperationId::random(), append("lost")).await;
        assert!(matches!(refused, Err(AccountError::Store(StoreError::Corrupt(_)))), "{refused:?}");
        assert!(matches!(accounts.get(AccountId(1)).await.err(), Some(AccountError::Store(StoreError::Corrupt(_)))));
    }
    assert_eq!(*log.open.borrow(), []);
    *log.damaged.lock() = false;
    clock.advance_ms(REOPEN_WAIT_MS);
    account.commit(OperationId::random(), append("taken")).await.unwrap();
}

#[tokio::test]
async fn everybody_who_waits_hears_of_the_failure() {
    let (accounts, log, clock) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    log.hold();
    *log.failure.lock() = Some(io());
    let first = begin(account.commit(OperationId::random(), append("first")));
    log.batches_begun(1).await;
    let waiting: Vec<_> = (0..5).map(|_| begin(account.commit(OperationId::random(), append("x")))).collect();
    log.release();
    assert_eq!(first.await, Err(AccountError::Store(io())));
    for commit in waiting {
        let stopped = commit.await;
        assert!(matches!(stopped, Err(AccountError::Store(StoreError::Stopped(_)))), "{stopped:?}");
    }
    clock.advance_ms(REOPEN_WAIT_MS);
    assert_eq!(account.head().await.unwrap().quota.items_used, 0);
}

#[tokio::test]
async fn a_full_disk_stops_nothing() {
    let (accounts, log, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let full = StoreError::DiskFull("no room".into());
    *log.failure.lock() = Some(full.clone());
    let refused = account.commit(OperationId::random(), append("later")).await;
    assert!(refused.as_ref().is_err_and(AccountError::is_temporary));
    assert_eq!(refused, Err(AccountError::Store(full)));
    account.commit(OperationId::random(), append("now")).await.unwrap();
    assert_eq!(log.opened.lock().len(), 1);
}
