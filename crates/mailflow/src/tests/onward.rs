//! Mail that goes to an account and further on: neither copy is lost, and none goes twice.

use super::flaky::Fault;
use super::*;
use crate::queue::{DeliveryId, Filter};
use InboundProtocol::{Lmtp, Smtp};

const FORWARDS: &str = "ben.forwards@demo.test";

/// Destination, recipients and reverse-path of everything in the queue.
async fn queued(world: &World) -> Vec<(String, Vec<String>, String)> {
    let all = world.queue.list(Filter::default(), DeliveryId(0), 100).await.unwrap();
    let mut all: Vec<_> = all.into_iter().map(|item| (item.destination, item.recipients, item.sender)).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_copy_that_the_mailbox_can_not_take_waits_for_it() {
    for (protocol, fault) in
        [(Smtp, Fault::DiskFull), (Smtp, Fault::Down), (Lmtp, Fault::DiskFull), (Lmtp, Fault::Down)]
    {
        let world = World::new().await.with_queue();
        world.flaky.fail(BEN, fault);
        assert_eq!(codes(&world.deliver(protocol, &[FORWARDS], "x\r\n").await), [250], "{protocol:?} {fault:?}");
        let queued = queued(&world).await;
        let to: Vec<_> = queued.iter().map(|(destination, ..)| &**destination).collect();
        assert_eq!(to, ["account:2", "domain:far.test"], "{protocol:?} {fault:?}");
        assert_eq!(queued[0].2, "sender@other.test", "the account is told who sent it");
        assert!(queued[1].2.starts_with("SRS0=") && queued[1].2.ends_with("@demo.test"), "{queued:?}");
    }
}

#[tokio::test]
async fn who_comes_again_for_another_recipient_sends_nothing_on_twice() {
    let world = World::new().await.with_queue();
    world.flaky.fail(ANA, Fault::DiskFull);
    for _ in 0..3 {
        assert_eq!(codes(&world.deliver(Smtp, &[FORWARDS, "ana@demo.test"], "x\r\n").await), [250, 452]);
        assert_eq!(queued(&world).await.len(), 1, "one copy for far.test");
    }
    world.flaky.mend();
    assert_eq!(codes(&world.deliver(Smtp, &[FORWARDS, "ana@demo.test"], "x\r\n").await), [250, 250]);
    assert_eq!((world.counts().await, queued(&world).await.len()), ([1, 1, 0], 1));
    // That was the end of it: the same bytes on purpose are a new message.
    world.deliver(Smtp, &[FORWARDS], "x\r\n").await;
    assert_eq!(queued(&world).await.len(), 2);
}

#[tokio::test]
async fn many_ways_to_one_address_are_one() {
    let world = World::new().await.with_queue();
    let recipients = [FORWARDS, "ben.forwards+x@demo.test", FORWARDS];
    assert_eq!(codes(&world.deliver(Smtp, &recipients, "x\r\n").await), [250, 250, 250]);
    let queued = queued(&world).await;
    assert_eq!((queued.len(), &queued[0].1[..]), (1, &["ben@far.test".to_owned()][..]));
    assert_eq!(world.counts().await, [0, 1, 0]);
}

/// The content of what is in the queue for another server.
async fn content(world: &World) -> String {
    let item = world.queue.list(Filter::default(), DeliveryId(0), 100).await.unwrap().pop().unwrap();
    match world.queue.content(item.id).await.unwrap().unwrap() {
        crate::queue::Content::Inline(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        crate::queue::Content::File(path) => std::fs::read_to_string(path).unwrap(),
    }
}

#[tokio::test]
async fn what_comes_back_is_not_sent_on_again() {
    let world = World::new().await.with_queue();
    world.deliver(Smtp, &[FORWARDS], "Subject: x\r\n\r\ny\r\n").await;
    let sent_on = content(&world).await;
    assert!(sent_on.starts_with(&format!("Delivered-To: {FORWARDS}\r\nReceived: ")), "{sent_on}");
    // A copy is kept each time; without one there is somebody to be told.
    assert_eq!(codes(&world.deliver(Smtp, &[FORWARDS], &sent_on).await), [250]);
    assert_eq!((world.counts().await, queued(&world).await.len()), ([0, 2, 0], 1));
    let only = "only.forwards@demo.test";
    assert_eq!(codes(&world.deliver(Smtp, &[only], &sent_on).await), [250]);
    let again = format!("Delivered-To: {only}\r\n{sent_on}");
    assert_eq!(codes(&world.deliver(Smtp, &[only, "ana@demo.test"], &again).await), [554, 250]);
    assert_eq!(queued(&world).await.len(), 2);
}

#[tokio::test]
async fn a_large_message_that_is_sent_on_stays_whole() {
    let world = World::new().await.with_queue();
    let body = "The terns are back.\r\n".repeat(INLINE_BLOB_BYTES_MAX / 16);
    world.deliver(Smtp, &[FORWARDS], &format!("Subject: x\r\n\r\n{body}")).await;
    let sent_on = content(&world).await;
    assert!(sent_on.starts_with("Delivered-To: ") && sent_on.ends_with(&body), "{} bytes", sent_on.len());
}
