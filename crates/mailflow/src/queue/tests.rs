//! The queue and its runner, with a carrier that says what it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::service::{MessageBody, Rcpt, SpoolFile};
use sterna_base::{AccountId, BlobHash, ManualClock, OperationId, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::news::New;
use super::*;
use crate::delivery::Keep;
use crate::provenance::{Provenance, Vouched};

const NOW: Timestamp = Timestamp(1_000_000_000);
const HOUR_MS: i64 = 3_600_000;
/// How long anything in these tests may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at that nobody tells of; spinning would take the processor from what it waits for.
const POLL: Duration = Duration::from_millis(1);

/// Tells of each try, and answers as the destination's script says; `Done` when there is none.
struct Scripted {
    tries: mpsc::UnboundedSender<Tried>,
    scripts: Mutex<BTreeMap<Destination, Carried>>,
    /// Whether the next try panics.
    panics: AtomicBool,
    /// Whether servers keep silent at the end of a content.
    silent: watch::Sender<bool>,
}

#[derive(Debug, PartialEq, Eq)]
struct Tried {
    destination: Destination,
    message: QueueId,
    recipients: Vec<String>,
    content: Vec<u8>,
    provenance: Provenance,
}

#[async_trait]
impl Carrier for Scripted {
    async fn carry(&self, delivery: &Delivery, content: Content) -> Carried {
        let content = match content {
            Content::Inline(bytes) => bytes.to_vec(),
            Content::File(path) => std::fs::read(path).unwrap(),
        };
        let recipients = delivery.recipients.iter().map(|recipient| recipient.rcpt.address.clone()).collect();
        let scripted = self.scripts.lock().get(&delivery.destination).cloned();
        let (destination, message) = (delivery.destination.clone(), delivery.message);
        let provenance = delivery.envelope.provenance.clone();
        self.tries.send(Tried { destination, message, recipients, content, provenance }).unwrap();
        assert!(!self.panics.swap(false, Ordering::Relaxed), "the carrier panics as it was told");
        self.silent.subscribe().wait_for(|silent| !silent).await.unwrap();
        scripted.unwrap_or_else(|| Carried::Reached(vec![Delivered::Done(Said::default()); delivery.recipients.len()]))
    }
}

/// Keeps what would be told.
#[derive(Default)]
struct Told(Mutex<Vec<(String, bool)>>, AtomicBool);

#[async_trait]
impl Notifier for Told {
    async fn notification(&self, delivery: &Delivery, outcomes: &[Outcome], warned: bool) -> Option<NewMessage> {
        assert!(!self.1.swap(false, Ordering::Relaxed), "the notifier panics as it was told");
        for (outcome, recipient) in outcomes.iter().zip(&delivery.recipients) {
            let failed = matches!(outcome.result, Delivered::Failed(_));
            if failed || warned {
                self.0.lock().push((recipient.rcpt.address.clone(), failed));
            }
        }
        None
    }
}

struct World {
    folder: tempfile::TempDir,
    queue: Arc<Queue>,
    clock: ManualClock,
    carrier: Arc<Scripted>,
    told: Arc<Told>,
    tries: mpsc::UnboundedReceiver<Tried>,
    runner: tokio::task::JoinHandle<()>,
    settings: watch::Sender<RunnerSettings>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(NOW);
        let (sender, tries) = mpsc::unbounded_channel();
        let carrier = Arc::new(Scripted {
            tries: sender,
            scripts: Mutex::default(),
            panics: AtomicBool::default(),
            silent: watch::Sender::new(false),
        });
        let (settings, _) = watch::channel(RunnerSettings::default());
        let told = Arc::new(Told::default());
        let queue = Queue::open(folder.path()).unwrap();
        let runner = run(&queue, &carrier, &told, &clock, &settings);
        World { folder, queue, clock, carrier, told, tries, runner, settings }
    }

    /// As after a crash: nothing is told to anybody.
    async fn restart(&mut self) {
        self.runner.abort();
        let _ = (&mut self.runner).await;
        self.queue = Queue::open(self.folder.path()).unwrap();
        self.runner = run(&self.queue, &self.carrier, &self.told, &self.clock, &self.settings);
    }

    async fn add(&self, number: u8, body: MessageBody, to: &[(&str, &[&str])]) -> QueueId {
        let id = QueueId(OperationId([number; 16]));
        let times = self.settings.borrow().times;
        let now = sterna_base::Clock::now(&self.clock);
        let expires = now.plus_ms(times.lifetime_ms);
        let envelope = QueuedEnvelope {
            mail_from: "ana@demo.test".into(),
            envelope_id: None,
            return_headers_only: false,
            eight_bit: false,
            utf8: false,
            keep: Keep::Inbox,
            provenance: provenance(),
            origin: "test".into(),
            received: now,
            expires,
        };
        let rcpt = |address: &&str| Rcpt { address: (*address).to_owned(), ..Rcpt::default() };
        let delivery = |(destination, recipients): &(&str, &[&str])| NewDelivery {
            destination: destination.parse().unwrap(),
            recipients: recipients.iter().map(rcpt).collect(),
            next: now,
            deadline: times.deadline(now, expires, false),
        };
        let deliveries = to.iter().map(delivery).collect();
        let message = NewMessage { id, envelope, body, size_bytes: 4, hash: BlobHash::of(b"body"), deliveries };
        self.queue.add(message).await.unwrap();
        id
    }

    fn script(&self, destination: &str, carried: Carried) {
        self.carrier.scripts.lock().insert(destination.parse().unwrap(), carried);
    }

    /// With how many it was done, and with how many not because of their tries.
    async fn act(&self, filter: Filter, action: Action) -> (u64, u64) {
        self.act_patiently(filter, action, Duration::ZERO).await
    }

    async fn act_patiently(&self, filter: Filter, action: Action, patience: Duration) -> (u64, u64) {
        let now = sterna_base::Clock::now(&self.clock);
        let acted = self.queue.act(filter, action, now, patience).await.unwrap();
        (acted.deliveries, acted.under_way)
    }

    async fn tried(&mut self) -> Tried {
        tokio::time::timeout(PATIENCE, self.tries.recv()).await.expect("a try").unwrap()
    }

    /// Lets time pass once all that was due has been tried and written down.
    async fn later(&self, ms: i64) {
        let now = sterna_base::Clock::now(&self.clock);
        let is_waiting = async || {
            let found = self.queue.destinations(None, 10).await.unwrap();
            found.iter().all(|(_, first)| *first > now)
        };
        let waiting = async {
            while !is_waiting().await {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("everything is tried in time");
        self.clock.advance_ms(ms);
        self.queue.news.tell_all();
    }

    /// Hour after hour, until the queue is empty: a try that is under way when the clock moves waits once more.
    async fn hours_until_empty(&self) {
        let passing = async {
            while !self.queue.is_empty() {
                self.later(HOUR_MS).await;
                let _ =
                    tokio::time::timeout(Duration::from_millis(50), self.until(|world| world.queue.is_empty())).await;
            }
        };
        tokio::time::timeout(PATIENCE, passing).await.expect("the queue is empty in time");
    }

    async fn until(&self, holds: impl Fn(&World) -> bool) {
        let waiting = async {
            while !holds(self) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it holds in time");
    }
}

fn run(
    queue: &Arc<Queue>,
    carrier: &Arc<Scripted>,
    told: &Arc<Told>,
    clock: &ManualClock,
    settings: &watch::Sender<RunnerSettings>,
) -> tokio::task::JoinHandle<()> {
    let clock = Arc::new(clock.clone());
    let runner = Runner::new(queue.clone(), carrier.clone(), told.clone(), clock, settings.subscribe());
    tokio::spawn(runner.run(CancellationToken::new()))
}

fn provenance() -> Provenance {
    let vouched = Vouched::Domains(vec!["far.test".into(), "other.test".into()]);
    Provenance { is_verified: true, is_submitted: true, vouched }
}

fn inline() -> MessageBody {
    MessageBody::Inline("body".into())
}

fn said(text: &str) -> Said {
    Said { text: text.into(), status: (4, 0, 0), ..Said::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_to_each_destination_and_is_gone() {
    let mut world = World::new();
    let id =
        world.add(1, inline(), &[("domain:a.test", &["x@a.test", "y@a.test"]), ("account:7", &["z@demo.test"])]).await;
    let mut tried = [world.tried().await, world.tried().await];
    tried.sort_by(|a, b| a.destination.cmp(&b.destination));
    assert_eq!(tried[0].destination, Destination::Account(AccountId(7)));
    assert_eq!((tried[1].message, &tried[1].recipients[..]), (id, &["x@a.test".to_owned(), "y@a.test".into()][..]));
    assert_eq!(tried[1].content, b"body");
    world.until(|world| world.queue.is_empty()).await;
    assert_eq!(world.told.0.lock()[..], []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_wait_are_tried_again() {
    let mut world = World::new();
    let results =
        vec![Delivered::Done(Said::default()), Delivered::Deferred(said("later")), Delivered::Failed(said("never"))];
    world.script("domain:a.test", Carried::Reached(results));
    world.add(1, inline(), &[("domain:a.test", &["done@a.test", "waits@a.test", "failed@a.test"])]).await;
    assert_eq!(world.tried().await.recipients.len(), 3);
    world.until(|world| *world.told.0.lock() == [("failed@a.test".to_owned(), true)]).await;
    world.script("domain:a.test", Carried::Reached(vec![Delivered::Done(Said::default())]));
    world.later(HOUR_MS).await;
    assert_eq!(world.tried().await.recipients, ["waits@a.test"]);
    world.until(|world| world.queue.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_there_after_a_restart() {
    let mut world = World::new();
    world.script("domain:a.test", Carried::Unreachable(said("no route")));
    let path = world.folder.path().join("spooled");
    std::fs::write(&path, b"a large body").unwrap();
    let large = MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: true }));
    world.add(1, large, &[("domain:a.test", &["x@a.test"])]).await;
    assert_eq!(world.tried().await.content, b"a large body");
    world.restart().await;
    assert_eq!(world.queue.len(), 1);
    world.script("domain:a.test", Carried::Reached(vec![Delivered::Done(Said::default())]));
    world.hours_until_empty().await;
    let tried = world.tried().await;
    assert_eq!((&tried.content[..], tried.provenance), (&b"a large body"[..], provenance()));
    let left = || std::fs::read_dir(world.folder.path().join("contents")).unwrap().count();
    world.until(|_| left() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_is_asked_for_one_message_and_holds_up_nobody() {
    let mut world = World::new();
    world.script("domain:dead.test", Carried::Unreachable(said("no route")));
    for number in 0..50 {
        world.add(number, inline(), &[("domain:dead.test", &["x@dead.test"])]).await;
    }
    world.add(200, inline(), &[("domain:well.test", &["x@well.test"])]).await;
    let mut asked = BTreeMap::new();
    while !asked.contains_key("domain:well.test") {
        *asked.entry(world.tried().await.destination.to_string()).or_insert(0) += 1;
    }
    world.until(|world| world.queue.len() == 50).await;
    // Some may have been on their way when the first failed.
    let dead = asked.get("domain:dead.test").copied().unwrap_or(0);
    assert!(dead <= 6, "{dead} of 50 were tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_hear_of_what_takes_long_and_of_what_is_given_up() {
    let mut world = World::new();
    world.script("domain:a.test", Carried::Unreachable(said("no route")));
    world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    world.tried().await;
    world.until(|world| world.told.0.lock().is_empty()).await;
    world.later(4 * HOUR_MS).await;
    world.until(|world| *world.told.0.lock() == [("x@a.test".to_owned(), false)]).await;
    world.later(5 * 24 * HOUR_MS).await;
    world.until(|world| world.told.0.lock().len() == 2).await;
    assert_eq!(world.told.0.lock()[1], ("x@a.test".to_owned(), true));
    world.until(|world| world.queue.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_twice_is_one_message() {
    let world = World::new();
    world.script("domain:a.test", Carried::Unreachable(said("no route")));
    world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    assert_eq!(world.queue.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_window_goes_through_the_store() {
    let mut world = World::new();
    let count = 2 * lane::WINDOW + 10;
    world.script("domain:a.test", Carried::Unreachable(said("no route")));
    let adding = (0..count).map(|number| {
        let queue = world.queue.clone();
        async move {
            let id = QueueId(OperationId(u128::try_from(number).unwrap().to_be_bytes()));
            let delivery = NewDelivery {
                destination: Destination::Domain("a.test".into()),
                recipients: vec![Rcpt { address: format!("u{number}@a.test"), ..Rcpt::default() }],
                next: NOW,
                deadline: NOW.plus_ms(HOUR_MS * 10_000),
            };
            let envelope = envelope(NOW.plus_ms(HOUR_MS * 10_000));
            let (hash, deliveries) = (BlobHash::of(b"body"), vec![delivery]);
            let message = NewMessage { id, envelope, body: inline(), size_bytes: 4, hash, deliveries };
            queue.add(message).await.unwrap();
        }
    });
    adding.collect::<tokio::task::JoinSet<()>>().join_all().await;
    world.script("domain:a.test", Carried::Reached(vec![Delivered::Done(Said::default())]));
    world.hours_until_empty().await;
    let mut reached = std::collections::BTreeSet::new();
    while let Ok(tried) = world.tries.try_recv() {
        reached.extend(tried.recipients);
    }
    assert_eq!(reached.len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_panics_takes_no_place_for_ever() {
    let mut world = World::new();
    world.settings.send_modify(|settings| settings.tries_most = 1);
    world.carrier.panics.store(true, Ordering::Relaxed);
    let id = world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    assert_eq!(world.tried().await.message, id);
    world.add(2, inline(), &[("domain:b.test", &["x@b.test"])]).await;
    assert_eq!(world.tried().await.destination.to_string(), "domain:b.test");
    world.hours_until_empty().await;
    assert_eq!(world.tried().await.message, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_comes_to_nothing_is_made_again() {
    let mut world = World::new();
    world.told.1.store(true, Ordering::Relaxed);
    let id = world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    assert_eq!(world.tried().await.message, id);
    // Nobody tells the runner to look at everything again: it has a timer of its own.
    let far = NOW.plus_ms(HOUR_MS * 100_000);
    let wakes = || New { id: DeliveryId(1 << 40), destination: "domain:b.test".parse().unwrap(), due: far };
    let passing = async {
        while !world.queue.is_empty() {
            world.clock.advance_ms(attempt::TRY_AGAIN_MS);
            world.queue.news.tell(vec![wakes()]);
            tokio::time::sleep(POLL * 20).await;
        }
    };
    tokio::time::timeout(PATIENCE, passing).await.expect("it is tried again");
    assert_eq!(world.tried().await.message, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_is_written_down_however_long_it_takes() {
    let mut world = World::new();
    let other = rusqlite::Connection::open(world.folder.path().join("queue.sqlite")).unwrap();
    other.busy_timeout(PATIENCE).unwrap();
    let trigger = "CREATE TRIGGER fails BEFORE DELETE ON recipient BEGIN SELECT RAISE(ROLLBACK, 'no'); END";
    other.execute_batch(trigger).unwrap();
    world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    world.tried().await;
    // Long enough for the first failure; a slow machine only makes the test weaker.
    tokio::time::sleep(POLL * 50).await;
    assert_eq!(world.queue.len(), 1);
    other.execute_batch("DROP TRIGGER fails").unwrap();
    world.until(|world| world.queue.is_empty()).await;
    assert!(world.tries.try_recv().is_err(), "it was sent once");
}

/// Of a notification that came now.
fn envelope(expires: Timestamp) -> QueuedEnvelope {
    QueuedEnvelope {
        mail_from: String::new(),
        envelope_id: None,
        return_headers_only: false,
        eight_bit: false,
        utf8: false,
        keep: Keep::Inbox,
        provenance: Provenance::default(),
        origin: String::new(),
        received: NOW,
        expires,
    }
}

#[tokio::test]
async fn a_dead_destination_is_postponed_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path()).unwrap();
    let destination = Destination::Domain("a.test".into());
    let delivery = |number: i64| NewDelivery {
        destination: destination.clone(),
        recipients: vec![Rcpt { address: format!("u{number}@a.test"), ..Rcpt::default() }],
        next: NOW,
        deadline: NOW.plus_ms(if number == 1 { 0 } else { HOUR_MS }),
    };
    let envelope = envelope(NOW.plus_ms(HOUR_MS));
    let (id, hash) = (QueueId(OperationId([1; 16])), BlobHash::of(b"body"));
    let deliveries = (1..=1202).map(delivery).collect();
    queue.add(NewMessage { id, envelope, body: inline(), size_bytes: 4, hash, deliveries }).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("queue.sqlite")).unwrap();
    let trigger = "CREATE TRIGGER fails BEFORE UPDATE ON delivery WHEN old.id = 1100
        BEGIN SELECT RAISE(ABORT, 'no'); END";
    other.execute_batch(trigger).unwrap();
    let due =
        || other.query_row("SELECT COUNT(*) FROM delivery WHERE next_ms <= ?1", [NOW.0], |row| row.get::<_, i64>(0));
    let next = NOW.plus_ms(HOUR_MS);
    queue.postpone(destination.clone(), NOW, next, said("no route")).await.unwrap_err();
    assert_eq!(due().unwrap(), 202, "what was written before stays");
    other.execute_batch("DROP TRIGGER fails").unwrap();
    queue.postpone(destination.clone(), NOW, next, said("no route")).await.unwrap();
    assert_eq!(due().unwrap(), 1, "a sender must be told");
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_hold_release_reroute_and_delete() {
    let mut world = World::new();
    world.script("domain:a.test", Carried::Unreachable(said("no route")));
    world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    world.add(2, inline(), &[("domain:a.test", &["y_@a.test", "z@a.test"])]).await;
    world.tried().await;
    let queue = world.queue.clone();
    let list = |filter: Filter| {
        let queue = queue.clone();
        async move { queue.list(filter, DeliveryId(0), 10).await.unwrap() }
    };
    let recipient = |pattern: &str| Filter { recipient: Some(pattern.into()), ..Filter::default() };
    assert_eq!(list(Filter::default()).await.len(), 2);
    assert_eq!(list(recipient("*@a.test")).await.len(), 2);
    let found = list(recipient("y_@*")).await;
    assert_eq!((found.len(), &found[0].recipients[..]), (1, &["y_@a.test".to_owned(), "z@a.test".into()][..]));
    assert_eq!(list(recipient("%")).await, []);
    assert_eq!(world.act(recipient("x@*"), Action::Hold).await, (1, 0));
    assert!(list(Filter { held: Some(true), ..Filter::default() }).await[0].held);
    let second = Filter { id: Some(QueueId(OperationId([2; 16]))), ..Filter::default() };
    let elsewhere = Destination::Host("relay.test:26".parse().unwrap());
    assert_eq!(world.act(second, Action::Reroute(elsewhere.clone())).await, (1, 0));
    while world.tried().await.destination != elsewhere {}
    world.until(|world| world.queue.len() == 1).await;
    world.script("domain:a.test", Carried::Reached(vec![Delivered::Done(Said::default())]));
    world.later(HOUR_MS).await;
    assert_eq!(list(Filter::default()).await[0].recipients, ["x@a.test"], "what is held is not tried");
    assert_eq!(world.act(Filter::default(), Action::Delete).await, (1, 0));
    assert!(world.queue.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_tried_is_neither_rerouted_nor_deleted() {
    let elsewhere = || Action::Reroute("host:relay.test:26".parse().unwrap());
    for action in [elsewhere(), Action::Delete] {
        let mut world = World::new();
        world.carrier.silent.send_replace(true);
        world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
        assert_eq!(world.tried().await.recipients, ["x@a.test"]);
        world.clock.advance_ms(HOUR_MS);
        // The server may have it by now.
        assert_eq!(world.act(Filter::default(), action.clone()).await, (0, 1));
        // What changes only when it is tried next is done, and nothing is tried a second time by that.
        for other in [Action::Hold, Action::Release, Action::Retry] {
            assert_eq!(world.act(Filter::default(), other).await, (1, 0));
        }
        // It took it: there is nothing left to reroute.
        let acting = world.act_patiently(Filter::default(), action, PATIENCE);
        let ending = async { world.carrier.silent.send_replace(false) };
        assert_eq!(tokio::join!(acting, ending).0, (0, 0));
        world.until(|world| world.queue.is_empty()).await;
        assert!(world.tries.try_recv().is_err(), "once");
    }
    // It did not take it: it goes the other way, once.
    let mut world = World::new();
    world.script("domain:a.test", Carried::Reached(vec![Delivered::Deferred(said("later"))]));
    world.carrier.silent.send_replace(true);
    world.add(1, inline(), &[("domain:a.test", &["x@a.test"])]).await;
    world.tried().await;
    let acting = world.act_patiently(Filter::default(), elsewhere(), PATIENCE);
    let ending = async { world.carrier.silent.send_replace(false) };
    assert_eq!(tokio::join!(acting, ending).0, (1, 0));
    assert_eq!(world.tried().await.destination.to_string(), "host:relay.test:26");
    world.until(|world| world.queue.is_empty()).await;
    assert!(world.tries.try_recv().is_err(), "once");
}
