//! Stores are open once, and closed when others are used more.

use sterna_account::*;
use sterna_base::*;

use crate::watched::{accounts, append, begin};

#[tokio::test]
async fn the_store_unused_for_longest_is_closed() {
    let (accounts, log, _) = accounts(4, 2).await;
    let mut handles = Vec::new();
    for (id, open) in [(1, &[1][..]), (2, &[1, 2]), (1, &[1, 2]), (3, &[1, 3]), (4, &[3, 4])] {
        let handle = accounts.get(AccountId(id)).await.unwrap();
        assert_eq!(handle.head().await.unwrap().account, AccountId(id));
        handles.push(handle);
        log.open_are(open).await;
    }
    // Handles outlive their stores.
    for (handle, open) in handles.iter().zip([[4, 1], [1, 2], [1, 2], [1, 3], [3, 4]]) {
        assert_eq!(handle.head().await.unwrap().account, handle.id());
        log.open_are(&open).await;
    }
}

#[tokio::test]
async fn a_store_with_a_commit_under_way_stays_open_though_its_caller_gave_up() {
    let (accounts, log, _) = accounts(3, 1).await;
    let one = accounts.get(AccountId(1)).await.unwrap();
    let mut follower = one.watch();
    let start = *follower.borrow_and_update();
    log.hold();
    let commit = begin(one.commit(OperationId::random(), append("x")));
    log.batches_begun(1).await;
    drop(commit);
    for id in [2, 3] {
        accounts.get(AccountId(id)).await.unwrap();
        assert!(log.open.borrow().contains(&AccountId(1)));
    }
    one.head().await.unwrap();
    assert_eq!(*log.opened.lock(), [1, 2, 3].map(AccountId), "never a second time beside itself");
    log.release();
    follower.wait_for(|modseq| *modseq > start).await.unwrap();
}

#[tokio::test]
async fn two_who_ask_at_the_same_time_share_one_store() {
    let (accounts, log, _) = accounts(1, 10).await;
    let (one, other) = (begin(accounts.get(AccountId(1))), begin(accounts.get(AccountId(1))));
    assert!(std::sync::Arc::ptr_eq(&one.await.unwrap(), &other.await.unwrap()));
    assert_eq!(*log.opened.lock(), [AccountId(1)]);
}

#[tokio::test]
async fn a_deleted_account_is_gone_for_its_handles_and_may_be_made_again() {
    let (accounts, log, _) = accounts(1, 10).await;
    let handle = accounts.get(AccountId(1)).await.unwrap();
    accounts.delete(AccountId(1)).await.unwrap();
    accounts.delete(AccountId(1)).await.unwrap();
    let gone = AccountError::NoSuchAccount(AccountId(1));
    assert_eq!(handle.commit(OperationId::random(), append("x")).await, Err(gone.clone()));
    assert_eq!(accounts.get(AccountId(1)).await.err(), Some(gone));
    assert_eq!(*log.open.borrow(), []);
    accounts.create(AccountId(1), Epoch(1)).await.unwrap();
    assert_eq!(accounts.get(AccountId(1)).await.unwrap().head().await.unwrap().modseq, Modseq::ZERO);
}

#[tokio::test]
async fn closing_waits_for_the_commits_under_way() {
    let (accounts, log, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    log.hold();
    let operation = OperationId::random();
    let commit = begin(account.commit(operation, append("x")));
    log.batches_begun(1).await;
    let close = begin(accounts.close());
    log.release();
    close.await;
    assert!(!commit.await.unwrap().repeated);
}
