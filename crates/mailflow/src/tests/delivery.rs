//! Messages arrive, whole, once for each account.

use super::*;
use crate::Keep;
use crate::sieve::Wanted;
use crate::targets::Delivered;
use InboundProtocol::{Lmtp, Smtp};
use sterna_account::Mutation;

#[tokio::test]
async fn each_account_gets_it_once_with_the_same_body() {
    let world = World::new().await;
    let recipients = ["ana@demo.test", "ana.alias@demo.test", "staff@demo.test", "ana+lists@demo.test"];
    let answers = world.deliver(Lmtp, &recipients, "Subject: x\r\n\r\ntext\r\n").await;
    assert_eq!(codes(&answers), [250, 250, 250, 250]);
    assert_eq!(world.counts().await, [1, 1, 1]);
    let (ana, ben) = (&world.items(ANA).await[0], &world.items(BEN).await[0]);
    assert_eq!(ana.blob, ben.blob);
    assert!(ana.body.as_ref().unwrap().ends_with(b"Subject: x\r\n\r\ntext\r\n"));
    assert!(ana.summary.as_ref().is_some_and(|summary| !summary.is_empty()));
    assert_eq!(ana.internal_date, Timestamp::from_seconds(1_000_000_000));
    world.check().await;
}

#[tokio::test]
async fn the_same_bytes_sent_twice_arrive_twice() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test", "ben@demo.test"], "x\r\n").await), [250, 250]);
    }
    assert_eq!(world.counts().await, [2, 2, 0]);
    world.check().await;
}

#[tokio::test]
async fn a_large_body_is_staged_from_the_spool_file() {
    let world = World::new().await;
    let body = [&b"Subject: large\r\n\r\n"[..], &b"0123456789\r\n".repeat(60_000)].concat();
    let answers = {
        let message = world.message(body.clone());
        assert!(matches!(message.body, MessageBody::Spooled(_)));
        world.flow.deliver(envelope(Lmtp, &["ana@demo.test", "ben@demo.test"], "large"), message).await
    };
    assert_eq!(codes(&answers), [250, 250]);
    for id in [ANA, BEN] {
        let items = world.items(id).await;
        assert_eq!(blob(&world, id, &items[0]).await, body);
    }
    let is_left = || {
        let mut files = std::fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files.any(|path| path.extension().is_some_and(|extension| extension == "eml"))
    };
    let removed = async {
        while is_left() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), removed).await.expect("the spool file goes");
    world.check().await;
}

#[tokio::test]
async fn a_spool_file_that_changed_is_not_delivered() {
    let world = World::new().await;
    let mut message = world.message(b"x".repeat(2 * INLINE_BLOB_BYTES_MAX));
    message.hash = BlobHash::of(b"something else");
    let answers = world.flow.deliver(envelope(Lmtp, &["ana@demo.test"], "x"), message).await;
    assert_eq!(codes(&answers), [451]);
    assert_eq!(world.counts().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_full_mailbox_refuses_for_good_where_that_is_set() {
    let world = World::new().await;
    let cyd = world.local.open(super::CYD).await.unwrap();
    let quota = sterna_account::Mutation::SetQuota { bytes_max: Some(10), items_max: None };
    cyd.commit(OperationId::random(), vec![quota]).await.unwrap();
    let answers = world.deliver(Lmtp, &["u2@demo.test"], "x\r\n").await;
    assert_eq!(codes(&answers), [552]);
    assert_eq!(answers[0].as_ref().unwrap_err().enhanced, (5, 2, 2));
    assert_eq!(world.counts().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_full_mailbox_defers_its_own_recipients_only() {
    let world = World::new().await;
    let ana = world.local.open(ANA).await.unwrap();
    let quota = sterna_account::Mutation::SetQuota { bytes_max: Some(10), items_max: None };
    ana.commit(OperationId::random(), vec![quota]).await.unwrap();
    let answers = world.deliver(Lmtp, &["ana@demo.test", "ben@demo.test", "staff@demo.test"], "x\r\n").await;
    assert_eq!(codes(&answers), [452, 250, 452]);
    assert_eq!(answers[0].as_ref().unwrap_err().enhanced, (4, 2, 2));
    assert_eq!(world.counts().await, [0, 1, 1]);
    world.check().await;
}

#[tokio::test]
async fn who_comes_again_to_a_full_mailbox_for_too_long_is_refused() {
    let world = World::new().await;
    let ana = world.local.open(ANA).await.unwrap();
    let quota = |bytes_max| vec![sterna_account::Mutation::SetQuota { bytes_max, items_max: None }];
    ana.commit(OperationId::random(), quota(Some(10))).await.unwrap();
    let code = async || codes(&world.deliver(Lmtp, &["ana@demo.test"], "x\r\n").await)[0];
    assert_eq!(code().await, 452);
    world.clock.advance_ms(3_599_999);
    assert_eq!(code().await, 452);
    world.clock.advance_ms(1);
    assert_eq!(code().await, 552);
    // Once there was room it begins anew.
    ana.commit(OperationId::random(), quota(None)).await.unwrap();
    assert_eq!(code().await, 250);
    ana.commit(OperationId::random(), quota(Some(10))).await.unwrap();
    assert_eq!(code().await, 452);
}

#[tokio::test]
async fn thirty_two_senders_at_once() {
    let world = Arc::new(World::new().await);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..32 {
        let world = world.clone();
        senders.spawn(async move {
            for n in 0..4 {
                let content = format!("Subject: {sender}.{n}\r\n\r\n");
                let answers = world.deliver(Lmtp, &["staff@demo.test", "ana@demo.test"], &content).await;
                assert_eq!(codes(&answers), [250, 250]);
            }
        });
    }
    while let Some(joined) = senders.join_next().await {
        joined.unwrap();
    }
    assert_eq!(world.counts().await, [128, 128, 128]);
    let uids: Vec<u32> = world.items(ANA).await.iter().map(|item| item.uid.0).collect();
    assert_eq!(uids, (1..=128).collect::<Vec<_>>());
}

#[tokio::test]
async fn junk_goes_to_junk_or_else_to_the_inbox() {
    let world = World::new().await;
    let deliverer = Deliverer::new(Arc::new(FakeRecipients), world.flaky.clone(), sieve(&world.clock, &world.queue));
    let message = world.message(b"Subject: x\r\n\r\n".to_vec());
    let wanted = Wanted { keep: Keep::Junk, ..Wanted::default() };
    let deliver = || deliverer.deliver(ANA, OperationId::random(), &message, &wanted);
    assert_eq!(deliver().await, Delivered::Done);
    assert_eq!(world.counts().await, [0, 0, 0]);
    let account = world.local.open(ANA).await.unwrap();
    let containers = account.containers().await.unwrap();
    let junk = containers.iter().find(|container| container.special_use == Some(SpecialUse::Junk)).unwrap();
    assert_eq!(junk.counts.items, 1);
    account.commit(OperationId::random(), vec![Mutation::DeleteContainer { container: junk.id }]).await.unwrap();
    assert_eq!(deliver().await, Delivered::Done);
    assert_eq!(world.counts().await, [1, 0, 0]);
    world.check().await;
}
