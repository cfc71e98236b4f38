//! Accounts of a node in every role: who is served, what a seal means, and copies that follow.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sterna_account::account::BlobUpload;
use sterna_account::follow::*;
use sterna_account::local::{LocalAccount, LocalAccounts, SEALED_READS_MS_MAX};
use sterna_account::*;
use sterna_base::*;
use sterna_engines::memory::MemoryEngine;

use crate::watched::{INBOX, NOW, accounts, append, begin};

const SEALED: AccountError = AccountError::Refused(CommitError::Sealed);

/// Another node with an empty copy of account 1.
async fn copy() -> (LocalAccounts, Arc<LocalAccount>) {
    let node = LocalAccounts::new(Arc::new(MemoryEngine::new()), Arc::new(ManualClock::at(NOW)));
    node.create_follower(AccountId(1), Epoch(1)).await.unwrap();
    node.create_follower(AccountId(1), Epoch(1)).await.unwrap();
    let account = node.get(AccountId(1)).await.unwrap();
    (node, account)
}

/// Follows to the end, as a node would that asks another.
async fn follow(source: &LocalAccount, copy: &LocalAccount) -> Applied {
    loop {
        let page = source.page(copy.progress().await.unwrap(), 3, 3).await.unwrap();
        let lacking = copy.lacking(page.blobs()).await.unwrap();
        let blobs = source.copied_blobs(lacking, u64::MAX).await.unwrap();
        for blob in blobs.iter().filter(|blob| matches!(blob.content, Content::Stored(_))) {
            let mut upload = copy.stage_copied_blob().await.unwrap();
            let mut start = 0;
            while start < blob.size {
                let bytes = source.copied_range(blob.hash, start..blob.size).await.unwrap();
                start += bytes.len() as u64;
                upload.write(bytes).await.unwrap();
            }
            assert_eq!(upload.finish().await.unwrap().0, blob.hash);
        }
        let applied = copy.follow(page, blobs).await.unwrap();
        if applied.is_equal {
            return applied;
        }
    }
}

async fn answers(account: &LocalAccount) -> [Result<(), AccountError>; 5] {
    [
        account.head().await.map(drop),
        account.item_flags(INBOX, Uid(0), 9).await.map(drop),
        account.changes(Cursor::start(), 9).await.map(drop),
        account.stage_blob().await.map(drop),
        account.commit(OperationId::random(), append("x")).await.map(drop),
    ]
}

#[tokio::test]
async fn only_an_active_copy_serves() {
    let (accounts, ..) = accounts(1, 10).await;
    let source = accounts.get(AccountId(1)).await.unwrap();
    let (_node, copy) = copy().await;
    assert_eq!(answers(&copy).await, [const { Err(SEALED) }; 5]);
    let applied = follow(&source, &copy).await;
    assert_eq!(answers(&copy).await, [const { Err(SEALED) }; 5]);
    assert_eq!(copy.head_of_copy().await.unwrap().modseq, applied.modseq);
    copy.set_role(Epoch(2), Role::Ready).await.unwrap();
    assert_eq!(answers(&copy).await, [const { Err(SEALED) }; 5]);
    copy.set_role(Epoch(2), Role::Active).await.unwrap();
    assert_eq!(answers(&copy).await, [const { Ok(()) }; 5]);
}

#[tokio::test]
async fn a_sealed_account_is_read_for_a_while() {
    let (accounts, ..) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let reads = |account: &Arc<LocalAccount>| {
        let account = account.clone();
        async move { account.head().await.map(drop) }
    };
    account.head().await.unwrap();
    tokio::time::pause();
    account.set_role(Epoch(1), Role::Sealed).await.unwrap();
    tokio::time::advance(Duration::from_millis(SEALED_READS_MS_MAX)).await;
    assert_eq!(reads(&account).await, Ok(()));
    // Said again, it does not begin again.
    account.set_role(Epoch(1), Role::Sealed).await.unwrap();
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(reads(&account).await, Err(SEALED));
    assert_eq!(account.stage_blob().await.map(drop), Err(SEALED));
    assert!(account.head_of_copy().await.is_ok() && account.page(Progress::start(), 9, 9).await.is_ok());
    account.set_role(Epoch(2), Role::Active).await.unwrap();
    assert_eq!(reads(&account).await, Ok(()));
    account.set_role(Epoch(2), Role::Sealed).await.unwrap();
    assert_eq!(reads(&account).await, Ok(()));
    // Found sealed by a node that starts: nobody knows for how long.
    accounts.close().await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    assert_eq!(reads(&account).await, Err(SEALED));
}

#[tokio::test]
async fn a_seal_waits_for_the_commits_under_way_and_what_it_finds_is_final() {
    let (accounts, log, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    log.hold();
    let under_way = begin(account.commit(OperationId::random(), append("under way")));
    log.batches_begun(1).await;
    let seal = begin(account.set_role(Epoch(1), Role::Sealed));
    let late = begin(account.commit(OperationId::random(), append("in the queue")));
    log.release();
    seal.await.unwrap();
    let head = account.head_of_copy().await.unwrap();
    let committed = under_way.await.unwrap().modseq;
    // Whichever came first: what was acknowledged is in the head, and what is not in it was refused.
    match late.await {
        Ok(late) => assert_eq!(late.modseq, head.modseq),
        Err(error) => assert_eq!((error, head.modseq), (SEALED, committed)),
    }
    assert_eq!(account.commit(OperationId::random(), append("late")).await, Err(SEALED));
    assert_eq!(account.head_of_copy().await.unwrap(), head);
}

#[tokio::test]
async fn sessions_hear_of_what_a_copy_followed_when_it_becomes_the_account() {
    let (accounts, ..) = accounts(1, 10).await;
    let source = accounts.get(AccountId(1)).await.unwrap();
    let (_node, copy) = copy().await;
    let mut watch = copy.watch();
    assert_eq!(*watch.borrow_and_update(), Modseq::ZERO);
    source.commit(OperationId::random(), append("1")).await.unwrap();
    let applied = follow(&source, &copy).await;
    assert_eq!(*watch.borrow_and_update(), applied.modseq);
    copy.set_role(Epoch(2), Role::Active).await.unwrap();
    let done = copy.commit(OperationId::random(), append("2")).await.unwrap();
    assert_eq!(*watch.borrow_and_update(), done.modseq);
}

#[tokio::test]
async fn a_long_content_goes_along_and_the_old_one_follows_back() {
    let (accounts, ..) = accounts(1, 10).await;
    let source = accounts.get(AccountId(1)).await.unwrap();
    let (_node, copy) = copy().await;
    let mut upload: Box<dyn BlobUpload> = source.stage_blob().await.unwrap();
    for _ in 0..3 {
        upload.write(Bytes::from(vec![5; sterna_base::limits::BLOB_CHUNK_BYTES])).await.unwrap();
    }
    let (hash, size) = upload.finish().await.unwrap();
    let mut mutations = append("");
    if let Mutation::Append { item, .. } = &mut mutations[0] {
        item.content = Content::Stored(hash);
    }
    source.commit(OperationId::random(), mutations).await.unwrap();
    follow(&source, &copy).await;
    source.set_role(Epoch(1), Role::Sealed).await.unwrap();
    let head = source.head_of_copy().await.unwrap();
    let applied = follow(&source, &copy).await;
    assert_eq!((applied.modseq, applied.digest), (head.modseq, head.digest));
    copy.set_role(Epoch(2), Role::Ready).await.unwrap();
    copy.set_role(Epoch(2), Role::Active).await.unwrap();
    assert_eq!(copy.blob(hash, size - 1..size).await.unwrap().as_ref(), [5]);
    source.set_role(Epoch(2), Role::Follower).await.unwrap();
    copy.commit(OperationId::random(), append("at the new place")).await.unwrap();
    let back = follow(&copy, &source).await;
    assert_eq!(back.digest, copy.head_of_copy().await.unwrap().digest);
}

#[tokio::test]
async fn a_container_that_differs_is_forgotten_and_copied() {
    let (accounts, ..) = accounts(1, 10).await;
    let source = accounts.get(AccountId(1)).await.unwrap();
    source.commit(OperationId::random(), (0..5).flat_map(|n| append(&n.to_string())).collect()).await.unwrap();
    let (_node, copy) = copy().await;
    let mut page = source.page(Progress::start(), 99, 99).await.unwrap();
    page.rows.retain(|row| row.cursor().uid != Uid(3));
    page.is_last = false;
    let blobs = source.copied_blobs(page.blobs(), u64::MAX).await.unwrap();
    copy.follow(page, blobs).await.unwrap();
    let page = source.page(copy.progress().await.unwrap(), 99, 99).await.unwrap();
    assert_eq!(copy.follow(page, Vec::new()).await, Err(FollowError::Differs(Vec::new())));
    assert_eq!(copy.set_role(Epoch(2), Role::Ready).await, Err(AccountError::Refused(CommitError::NotEqual)));
    let [ours, theirs] = [copy.containers_of_copy().await.unwrap(), source.containers_of_copy().await.unwrap()];
    assert_eq!(differing(&ours, &theirs), [INBOX]);
    copy.forget_container(INBOX).await.unwrap();
    let page = source.container_page(INBOX, Uid(0), 99).await.unwrap();
    let lacking = copy.lacking(page.blobs()).await.unwrap();
    let blobs = source.copied_blobs(lacking, u64::MAX).await.unwrap();
    copy.follow_container(page, blobs).await.unwrap();
    follow(&source, &copy).await;
}

#[tokio::test]
async fn retention_goes_on_in_every_role() {
    let (accounts, ..) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let expunge = |uid| Mutation::Expunge { container: INBOX, uids: UidSet::one(Uid(uid)), deleted_only: false };
    let appended = (0..3).flat_map(|n| append(&n.to_string())).collect();
    account.commit(OperationId::random(), appended).await.unwrap();
    account.commit(OperationId::random(), (1..=3).map(expunge).collect()).await.unwrap();
    for role in [Role::Sealed, Role::Follower, Role::Ready] {
        account.set_role(Epoch(1), role).await.unwrap();
        assert_eq!(account.purge(NOW.plus_ms(1), 1).await.unwrap(), 1, "{role:?}");
    }
}
