//! Some accounts take a message, some can't now: nothing is lost, and nobody gets it twice.

use super::flaky::Fault;
use super::*;
use InboundProtocol::{Lmtp, Smtp};

const BOTH: [&str; 2] = ["ana@demo.test", "ben@demo.test"];

#[tokio::test]
async fn the_next_try_reaches_only_who_has_it_not() {
    for fault in [Fault::Down, Fault::LostAnswer, Fault::DiskFull] {
        let world = World::new().await;
        world.flaky.fail(BEN, fault);
        let answers = world.deliver(Smtp, &BOTH, "x\r\n").await;
        assert_eq!(codes(&answers), [250, if fault == Fault::DiskFull { 452 } else { 451 }], "{fault:?}");
        // Once more while ben is still away, then for good.
        world.deliver(Smtp, &BOTH, "x\r\n").await;
        world.flaky.mend();
        assert_eq!(codes(&world.deliver(Smtp, &BOTH, "x\r\n").await), [250, 250]);
        assert_eq!(world.counts().await, [1, 1, 0], "{fault:?}");
        // That was the end of it: the same bytes on purpose are a new message.
        world.deliver(Smtp, &BOTH, "x\r\n").await;
        assert_eq!(world.counts().await, [2, 2, 0], "{fault:?}");
        world.check().await;
    }
}

#[tokio::test]
async fn other_bytes_and_other_senders_are_other_messages() {
    let world = World::new().await;
    world.flaky.fail(BEN, Fault::Down);
    world.deliver(Smtp, &BOTH, "x\r\n").await;
    world.flaky.mend();
    world.deliver(Smtp, &BOTH, "y\r\n").await;
    let mut other = envelope(Smtp, &BOTH, "x\r\n");
    other.mail_from = "somebody@else.test".into();
    let message = world.message(b"x\r\n".to_vec());
    assert_eq!(codes(&world.flow.deliver(other, message).await), [250, 250]);
    assert_eq!(world.counts().await, [3, 2, 0]);
}

#[tokio::test]
async fn it_is_remembered_over_a_restart() {
    let mut world = World::new().await;
    world.flaky.fail(BEN, Fault::Down);
    world.deliver(Smtp, &BOTH, "x\r\n").await;
    world.flaky.mend();
    world.restart();
    assert_eq!(codes(&world.deliver(Smtp, &BOTH, "x\r\n").await), [250, 250]);
    assert_eq!(world.counts().await, [1, 1, 0]);
    assert_eq!(std::fs::read_dir(world.folder.path().join("repeats")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_client_may_come_again_in_two_parts() {
    let world = World::new().await;
    world.flaky.fail(BEN, Fault::Down);
    world.deliver(Smtp, &BOTH, "x\r\n").await;
    world.flaky.mend();
    assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], "x\r\n").await), [250]);
    assert_eq!(codes(&world.deliver(Smtp, &["ben@demo.test"], "x\r\n").await), [250]);
    assert_eq!(world.counts().await, [1, 1, 0]);
}

#[tokio::test]
async fn with_lmtp_only_the_deferred_come_again() {
    let world = World::new().await;
    world.flaky.fail(BEN, Fault::Down);
    let answers = world.deliver(Lmtp, &["ana@demo.test", "staff@demo.test", "ben@demo.test"], "x\r\n").await;
    assert_eq!(codes(&answers), [250, 451, 451]);
    world.flaky.mend();
    assert_eq!(codes(&world.deliver(Lmtp, &["staff@demo.test", "ben@demo.test"], "x\r\n").await), [250, 250]);
    assert_eq!(world.counts().await, [1, 1, 1]);
}

#[tokio::test]
async fn a_group_that_is_new_in_the_next_try_does_not_lose_its_message() {
    let world = World::new().await;
    world.flaky.fail(BEN, Fault::Down);
    world.deliver(Smtp, &BOTH, "x\r\n").await;
    world.flaky.mend();
    // ana and ben have a history, cyd has none.
    assert_eq!(
        codes(&world.deliver(Smtp, &["staff@demo.test", "ana@demo.test", "ben@demo.test"], "x\r\n").await),
        [250, 250, 250]
    );
    assert_eq!(world.counts().await, [1, 1, 1]);
}

#[tokio::test]
async fn a_data_server_that_is_silent_costs_its_users_a_delay_and_nobody_else() {
    let world = World::new().await;
    assert_eq!(codes(&world.deliver(Lmtp, &BOTH, "first\r\n").await), [250, 250]);
    world.flaky.fail(BEN, Fault::Silent);
    tokio::time::pause();
    let answers = world.deliver(Lmtp, &BOTH, "x\r\n").await;
    assert_eq!(codes(&answers), [250, 451]);
    assert_eq!(answers[1].as_ref().unwrap_err().enhanced, (4, 3, 0));
}
