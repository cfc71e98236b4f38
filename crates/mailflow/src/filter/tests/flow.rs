//! What filters say, as the mail flow does it.

use sterna_account::SpecialUse;
use sterna_account::service::{Accounts, InboundProtocol};
use sterna_base::Clock;

use super::*;
use crate::filter::{Action, EnvelopeChange};
use crate::outbound::{Outbound, OutboundSettings};
use crate::queue::{DeliveryId, Filter};
use crate::tests::{ANA, FakeRecipients, World, codes, sieve};
use crate::{Deliverer, Mailflow, Repeats};

/// The world with filters.
async fn world(filters: Vec<(Arc<dyn ContentFilter>, Common)>) -> World {
    let mut world = World::new().await;
    let repeats = Repeats::open(&world.folder.path().join("repeats"), Clock::now(&world.clock)).unwrap();
    let deliverer = Deliverer::new(Arc::new(FakeRecipients), world.flaky.clone(), sieve(&world.clock, &world.queue));
    let settings = OutboundSettings { own_name: "mx.demo.test".into(), ..OutboundSettings::default() };
    let outbound = Outbound::new(Arc::new(FakeRecipients), tokio::sync::watch::channel(settings).1);
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let flow = Mailflow::new(Arc::new(FakeRecipients), Arc::new(deliverer), clock.clone(), repeats);
    let filters = Arc::new(Filters::of(filters, clock, world.folder.path().to_owned()));
    world.flow = Arc::new(flow.with_queue(world.queue.clone(), Arc::new(outbound)).with_filters(filters));
    world
}

fn doing(action: Action, envelope: Vec<EnvelopeChange>) -> Vec<(Arc<dyn ContentFilter>, Common)> {
    let look =
        move |_: &Facts<'_>, _| Ok(Verdict { envelope: envelope.clone(), ..Verdict::new(action.clone(), "because") });
    vec![(Fake::new("fake", look) as Arc<dyn ContentFilter>, common(WhenDown::Defer))]
}

#[tokio::test]
async fn what_is_thrown_away_is_acknowledged_and_nowhere() {
    let world = world(doing(Action::Discard, Vec::new())).await;
    let answers = world.deliver(InboundProtocol::Smtp, &["ana@demo.test", "ben@demo.test"], "A: b\r\n\r\n").await;
    assert_eq!((codes(&answers), world.counts().await), (vec![250, 250], [0, 0, 0]));
    world.check().await;
}

#[tokio::test]
async fn lmtp_is_filtered_by_who_hands_in() {
    let world = world(doing(Action::Discard, Vec::new())).await;
    let answers = world.deliver(InboundProtocol::Lmtp, &["ana@demo.test"], "A: b\r\n\r\n").await;
    assert_eq!((codes(&answers), world.counts().await), (vec![250], [1, 0, 0]));
}

#[tokio::test]
async fn recipients_come_and_go() {
    let change = vec![
        EnvelopeChange::RemoveRcpt("ana@demo.test".to_owned()),
        EnvelopeChange::AddRcpt("u2@demo.test".to_owned()),
        EnvelopeChange::AddRcpt("archive@far.test".to_owned()),
    ];
    let world = world(doing(Action::Accept, change)).await;
    let answers = world.deliver(InboundProtocol::Smtp, &["ana@demo.test", "ben@demo.test"], "A: b\r\n\r\n").await;
    assert_eq!((codes(&answers), world.counts().await), (vec![250, 250], [0, 1, 1]));
    let waiting = world.queue.list(Filter::default(), DeliveryId(0), 100).await.unwrap();
    let waiting: Vec<_> = waiting.into_iter().flat_map(|item| item.recipients).collect();
    assert_eq!(waiting, ["archive@far.test"]);
}

#[tokio::test]
async fn who_was_added_and_can_not_be_reached_now_makes_the_client_come_again() {
    let add = vec![EnvelopeChange::AddRcpt("broken@demo.test".to_owned())];
    let world = world(doing(Action::Accept, add)).await;
    let protocol = InboundProtocol::Smtp;
    for _ in 0..2 {
        let answers = world.deliver(protocol, &["ana@demo.test", "ben@demo.test"], "A: b\r\n\r\n").await;
        assert_eq!(codes(&answers), [451, 250]);
    }
    assert_eq!(world.counts().await, [1, 1, 0], "nobody has it twice");
    let add = vec![EnvelopeChange::AddRcpt("nowhere@demo.test".to_owned())];
    let world = self::world(doing(Action::Accept, add)).await;
    let answers = world.deliver(protocol, &["ana@demo.test"], "A: b\r\n\r\n").await;
    assert_eq!(codes(&answers), [250], "that is not the client's fault");
}

#[tokio::test]
async fn quarantine_is_junk() {
    let world = world(doing(Action::Quarantine, Vec::new())).await;
    let answers = world.deliver(InboundProtocol::Smtp, &["ana@demo.test"], "A: b\r\n\r\n").await;
    assert_eq!((codes(&answers), world.counts().await), (vec![250], [0, 0, 0]), "not in the INBOX");
    let containers = world.local.open(ANA).await.unwrap().containers().await.unwrap();
    let junk = containers.iter().find(|found| found.special_use == Some(SpecialUse::Junk)).unwrap();
    assert_eq!(junk.counts.items, 1);
}
