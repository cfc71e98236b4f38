//! Retention, driven by a clock that the test moves.

use async_trait::async_trait;
use sterna_account::retention::{Retention, purge_all};
use sterna_account::*;
use sterna_base::*;

use crate::watched::{INBOX, accounts, append};

const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;

/// The same for every account but those of which nothing is known.
struct Kept {
    retention_ms: i64,
    unknown: Vec<AccountId>,
}

impl Kept {
    fn for_ms(retention_ms: i64) -> Self {
        Kept { retention_ms, unknown: Vec::new() }
    }
}

#[async_trait]
impl Retention for Kept {
    async fn retention_ms(&self, account: AccountId) -> Option<i64> {
        (!self.unknown.contains(&account)).then_some(self.retention_ms)
    }
}

#[tokio::test]
async fn expunged_items_of_every_account_go_when_their_time_is_over() {
    let (accounts, _, clock) = accounts(3, 2).await;
    for id in 1..=3 {
        let account = accounts.get(AccountId(id)).await.unwrap();
        account.commit(OperationId::random(), [append("gone"), append("kept")].concat()).await.unwrap();
        let expunge = Mutation::Expunge { container: INBOX, uids: UidSet::one(Uid(1)), deleted_only: false };
        account.commit(OperationId::random(), vec![expunge]).await.unwrap();
        clock.advance_ms(1000);
    }
    // The answers of the operations are as old as the items: they would be purged with them.
    let kept = Kept::for_ms(WEEK_MS - 10_000);
    let purge = || purge_all(&accounts, &kept, &clock);
    clock.advance_ms(WEEK_MS - 10_000 - 3000);
    assert_eq!(purge().await.unwrap(), 0);
    clock.advance_ms(1);
    assert_eq!(purge().await.unwrap(), 1);
    clock.advance_ms(2000);
    assert_eq!(purge().await.unwrap(), 2);
    for id in 1..=3 {
        let account = accounts.get(AccountId(id)).await.unwrap();
        let gone = BlobHash::of(b"gone");
        let missing = AccountError::Store(StoreError::NoSuchBlob(gone));
        assert_eq!(account.blob(gone, 0..9).await, Err(missing));
        assert_eq!(account.blob(BlobHash::of(b"kept"), 0..9).await.unwrap().as_ref(), b"kept");
        assert_eq!(account.expunged(INBOX, Modseq::ZERO, Uid(0), 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_account_that_fails_does_not_keep_the_others_from_their_purge() {
    let (accounts, log, clock) = accounts(2, 10).await;
    for id in 1..=2 {
        let account = accounts.get(AccountId(id)).await.unwrap();
        account.commit(OperationId::random(), append("gone")).await.unwrap();
        let expunge = Mutation::Expunge { container: INBOX, uids: UidSet::all(), deleted_only: false };
        account.commit(OperationId::random(), vec![expunge]).await.unwrap();
    }
    *log.failure.lock() = Some(StoreError::Io("the disk is gone".into()));
    let first = accounts.get(AccountId(1)).await.unwrap();
    first.commit(OperationId::random(), append("lost")).await.unwrap_err();
    clock.advance_ms(1);
    assert_eq!(purge_all(&accounts, &Kept::for_ms(0), &clock).await.unwrap(), 1);
}

#[tokio::test]
async fn nothing_goes_of_an_account_of_which_nothing_is_known() {
    let (accounts, _, clock) = accounts(2, 10).await;
    for id in 1..=2 {
        let account = accounts.get(AccountId(id)).await.unwrap();
        account.commit(OperationId::random(), append("gone")).await.unwrap();
        let expunge = Mutation::Expunge { container: INBOX, uids: UidSet::all(), deleted_only: false };
        account.commit(OperationId::random(), vec![expunge]).await.unwrap();
    }
    clock.advance_ms(1);
    let kept = Kept { retention_ms: 0, unknown: vec![AccountId(1)] };
    assert_eq!(purge_all(&accounts, &kept, &clock).await.unwrap(), 1);
    let first = accounts.get(AccountId(1)).await.unwrap();
    assert_eq!(first.blob(BlobHash::of(b"gone"), 0..9).await.unwrap().as_ref(), b"gone");
}
