//! Group commit: who waits shares a flush, and who gives up loses nothing.

use sterna_account::check::{Depth, check};
use sterna_account::*;
use sterna_base::*;

use crate::watched::{INBOX, accounts, append, begin};

#[tokio::test]
async fn commits_that_wait_share_a_flush() {
    let (accounts, log, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let start = account.head().await.unwrap().modseq.0;
    log.hold();
    let first = begin(account.commit(OperationId::random(), append("first")));
    log.batches_begun(1).await;
    let waiting: Vec<_> =
        (0..300).map(|n| begin(account.commit(OperationId::random(), append(&n.to_string())))).collect();
    log.release();
    assert_eq!(first.await.unwrap().modseq, Modseq(start + 1));
    for (n, commit) in (2..).zip(waiting) {
        let done = commit.await.unwrap();
        assert_eq!((done.modseq, done.repeated), (Modseq(start + n), false), "in the order in which they came");
    }
    assert_eq!(*log.batches.borrow(), [1, 256, 44]);
    let findings = account.read(|read| check(read, Depth { contents: true })).await.unwrap();
    assert_eq!(findings, []);
}

#[tokio::test]
async fn a_large_content_does_not_make_a_batch_without_end() {
    let (accounts, log, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    log.hold();
    let first = begin(account.commit(OperationId::random(), append("first")));
    log.batches_begun(1).await;
    let large = "x".repeat(sterna_base::limits::INLINE_BLOB_BYTES_MAX);
    let waiting: Vec<_> = (0..100).map(|_| begin(account.commit(OperationId::random(), append(&large)))).collect();
    log.release();
    first.await.unwrap();
    for commit in waiting {
        commit.await.unwrap();
    }
    assert_eq!(*log.batches.borrow(), [1, 64, 36], "8 MiB share a flush");
}

#[tokio::test]
async fn a_refusal_is_answered_to_its_own_caller() {
    let (accounts, log, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    log.hold();
    let first = begin(account.commit(OperationId::random(), append("first")));
    log.batches_begun(1).await;
    let good = begin(account.commit(OperationId::random(), append("good")));
    let delete = vec![Mutation::DeleteContainer { container: INBOX }];
    let refused = begin(account.commit(OperationId::random(), delete));
    let other = begin(account.commit_at(Epoch(2), OperationId::random(), append("other epoch")));
    log.release();
    assert!(first.await.is_ok() && good.await.is_ok());
    assert_eq!(refused.await, Err(AccountError::Refused(CommitError::InboxStays)));
    assert_eq!(other.await, Err(AccountError::Refused(CommitError::WrongEpoch { current: Epoch(1) })));
    assert_eq!(*log.batches.borrow(), [1, 3]);
}

#[tokio::test]
async fn who_gives_up_neither_loses_nor_repeats_a_commit() {
    let (accounts, log, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let mut follower = account.watch();
    let start = follower.borrow_and_update().0;
    log.hold();
    let (leader, queued) = (OperationId::random(), OperationId::random());
    let lead = begin(account.commit(leader, append("leader")));
    log.batches_begun(1).await;
    let follow = begin(account.commit(queued, append("queued")));
    drop(lead);
    drop(follow);
    log.release();
    // Both are done, and those that follow the account hear of it.
    follower.wait_for(|modseq| modseq.0 == start + 2).await.unwrap();
    for (n, operation, text) in [(1, leader, "leader"), (2, queued, "queued")] {
        let again = account.commit(operation, append(text)).await.unwrap();
        assert_eq!((again.modseq, again.repeated), (Modseq(start + n), true));
    }
    assert_eq!(account.head().await.unwrap().quota.items_used, 2);
}
