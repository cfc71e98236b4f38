//! A server that says what it is told to, is away, or keeps silent.

use std::collections::BTreeSet;

use sterna_account::service::{Recipients, Target};
use sterna_base::{AccountId, ManualClock, Timestamp};
use tokio::sync::watch;

use super::answers::{ANSWERS_MAX, REFUSED_FRESH_MS, REFUSED_KEPT_MS, TAKEN_FRESH_MS, TAKEN_KEPT_MS};
use super::*;
use crate::outbound::OutboundSettings;
use crate::tests::FakeRecipients;

const ZOE: &str = "zoe@split.test";

/// What it answers next, and how often it was asked.
#[derive(Default)]
struct FakeServer {
    answer: Mutex<Option<Asked>>,
    asked: Mutex<Vec<String>>,
    /// Where it is.
    addresses: Mutex<Vec<IpAddr>>,
}

#[async_trait]
impl AsksRecipients for FakeServer {
    async fn ask(&self, _: &Destination, address: &str) -> Asked {
        self.asked.lock().push(address.to_owned());
        let answer = self.answer.lock().clone();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    async fn addresses(&self, _: &Destination) -> Vec<IpAddr> {
        self.addresses.lock().clone()
    }
}

struct World {
    server: Arc<FakeServer>,
    clock: ManualClock,
    calls: Arc<CallForward>,
}

fn said(text: &str, status: (u8, u16, u16)) -> Said {
    Said { host: "old.test".into(), text: text.into(), status, is_reply: true }
}

fn elsewhere(address: &str) -> Route {
    Route { targets: Vec::new(), external: vec![address.to_owned()] }
}

impl World {
    fn new() -> Self {
        let (server, clock) = (Arc::new(FakeServer::default()), ManualClock::at(Timestamp::from_seconds(1_000_000)));
        let mut settings = OutboundSettings::default();
        for name in ["split.test", "blind.test"] {
            settings.routes.insert(name.to_owned(), "old.test:26".parse().unwrap());
        }
        settings.asked = BTreeSet::from(["split.test".to_owned()]);
        let recipients: Arc<dyn Recipients> = Arc::new(FakeRecipients);
        let outbound = Arc::new(Outbound::new(recipients, watch::channel(settings).1));
        let calls = CallForward::new(outbound, server.clone(), Arc::new(clock.clone()));
        World { server, clock, calls: Arc::new(calls) }
    }

    fn says(&self, answer: Asked) {
        *self.server.answer.lock() = Some(answer);
    }

    async fn ask(&self, address: &str) -> Result<(), Refusal> {
        self.calls.existence(&elsewhere(address), address, None).await.or_refusal()
    }

    fn questions(&self) -> usize {
        self.server.asked.lock().len()
    }
}

fn code(answer: Result<(), Refusal>) -> u16 {
    answer.err().map_or(250, |refusal| refusal.code)
}

#[tokio::test]
async fn answers_are_kept_and_asked_for_again() {
    let world = World::new();
    world.says(Asked::Taken);
    assert_eq!((code(world.ask(ZOE).await), code(world.ask("zoe@SPLIT.test").await), world.questions()), (250, 250, 1));
    world.says(Asked::Refused(said("550 5.1.1 gone", (5, 1, 1))));
    world.clock.advance_ms(TAKEN_FRESH_MS);
    let refusal = world.ask(ZOE).await.unwrap_err();
    assert_eq!((refusal.code, refusal.enhanced, &*refusal.text), (550, (5, 1, 1), "No such address here"));
    assert_eq!(refusal.cause.as_deref(), Some("old.test says 550 5.1.1 gone"));
    assert_eq!((code(world.ask(ZOE).await), world.questions()), (550, 2));
    world.says(Asked::Taken);
    world.clock.advance_ms(REFUSED_FRESH_MS);
    assert_eq!((code(world.ask(ZOE).await), world.questions()), (250, 3), "who was made meanwhile is found");
}

#[tokio::test]
async fn what_is_known_is_used_while_the_server_is_away() {
    let world = World::new();
    world.says(Asked::Taken);
    assert_eq!(code(world.ask(ZOE).await), 250);
    world.says(Asked::Refused(said("550 no", (5, 0, 0))));
    assert_eq!(world.ask("nobody@split.test").await.unwrap_err().enhanced, (5, 1, 1));
    world.says(Asked::Unknown(said("451 the database is away", (4, 3, 0))));
    world.clock.advance_ms(REFUSED_KEPT_MS - 1);
    assert_eq!((code(world.ask(ZOE).await), code(world.ask("nobody@split.test").await)), (250, 550));
    assert_eq!(code(world.ask("new@split.test").await), 451, "nothing is known of it");
    world.clock.advance_ms(1);
    assert_eq!(code(world.ask("nobody@split.test").await), 451, "it is too long ago");
    world.clock.advance_ms(TAKEN_KEPT_MS);
    assert_eq!(code(world.ask(ZOE).await), 451);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_silent_costs_a_bounded_time_and_then_none() {
    let world = World::new();
    for number in 0..3 {
        let begun = Instant::now();
        assert_eq!(code(world.ask(&format!("a{number}@split.test")).await), 451);
        assert_eq!(begun.elapsed(), ANSWER_WAIT_MAX);
    }
    let begun = Instant::now();
    assert_eq!((code(world.ask(ZOE).await), world.questions()), (451, 3), "it rests");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    tokio::time::advance(Duration::from_secs(30)).await;
    world.says(Asked::Taken);
    assert_eq!(code(world.ask(ZOE).await), 250);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_are_held_to_a_few_questions() {
    let world = World::new();
    let asking: Vec<_> = (0..QUESTIONS_PER_SERVER_MAX * 3)
        .map(|number| {
            let calls = world.calls.clone();
            tokio::spawn(async move {
                let address = format!("a{number}@split.test");
                calls.existence(&elsewhere(&address), &address, None).await
            })
        })
        .collect();
    tokio::time::sleep(ANSWER_WAIT_MAX / 2).await;
    assert_eq!(world.questions(), QUESTIONS_PER_SERVER_MAX);
    for asking in asking {
        assert!(matches!(asking.await.unwrap(), Existence::Unknown(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_queue_is_no_reason_to_let_a_server_rest() {
    let world = World::new();
    let ask = |number: usize| {
        let calls = world.calls.clone();
        tokio::spawn(async move {
            let address = format!("a{number}@split.test");
            calls.existence(&elsewhere(&address), &address, None).await
        })
    };
    let _silent: Vec<_> = (0..QUESTIONS_PER_SERVER_MAX).map(ask).collect();
    tokio::task::yield_now().await;
    let begun = Instant::now();
    for asking in (100..120).map(ask).collect::<Vec<_>>() {
        assert!(matches!(asking.await.unwrap(), Existence::Unknown(_)));
    }
    assert_eq!((begun.elapsed(), world.questions()), (PLACE_WAIT_MAX, QUESTIONS_PER_SERVER_MAX));
    let servers = world.calls.servers.lock();
    assert!(servers.values().all(|server| server.breaker.known().is_none()), "nothing was learnt of it");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_to_be_asked_is_named_until_it_answers() {
    let world = World::new();
    let no = said(&format!("550 5.7.1 no null senders {}", "\u{eb}".repeat(1000)), (5, 7, 1));
    world.says(Asked::NoQuestions(no));
    for number in 0..5 {
        assert_eq!(code(world.ask(&format!("a{number}@split.test")).await), 451);
    }
    assert_eq!(world.questions(), 3, "it rests");
    let refusing = world.calls.refusing();
    assert_eq!((refusing.len(), refusing[0].said.text.chars().count()), (1, TEXT_CHARS_MAX));
    assert_eq!(refusing[0].destination.to_string(), "host:old.test:26");
    tokio::time::advance(Duration::from_secs(30)).await;
    world.says(Asked::Taken);
    assert_eq!(code(world.ask(ZOE).await), 250);
    assert_eq!(world.calls.refusing(), []);
}

#[tokio::test(start_paused = true)]
async fn two_servers_that_point_at_each_other_do_not_ask_in_a_circle() {
    let world = World::new();
    let [there, stranger]: [IpAddr; 2] = ["192.0.2.26", "198.51.100.7"].map(|text| text.parse().unwrap());
    *world.server.addresses.lock() = vec![there];
    let ask = |peer| {
        let calls = world.calls.clone();
        tokio::spawn(async move { calls.existence(&elsewhere(ZOE), ZOE, Some(peer)).await })
    };
    let first = ask(stranger);
    tokio::task::yield_now().await;
    assert_eq!(code(ask(there).await.unwrap().or_refusal()), 550, "it asks because it does not have it");
    let second = ask(stranger);
    tokio::task::yield_now().await;
    assert_eq!(world.questions(), 2, "strangers get an answer of the server's own");
    first.abort();
    second.abort();
    let _ = tokio::join!(first, second);
    world.says(Asked::Taken);
    assert_eq!(ask(there).await.unwrap(), Existence::Exists, "its mail is taken as anybody's");
}

#[tokio::test]
async fn only_the_unknown_of_domains_that_want_it_are_asked_for() {
    let world = World::new();
    world.says(Asked::Refused(said("550 no", (5, 1, 1))));
    assert_eq!(code(world.ask("zoe@blind.test").await), 250, "the setting says so");
    let known = Route { targets: vec![Target { account: AccountId(1), detail: None }], external: Vec::new() };
    assert_eq!(world.calls.existence(&known, ZOE, None).await, Existence::Exists);
    let forwarded = elsewhere("other@split.test");
    assert_eq!(world.calls.existence(&forwarded, ZOE, None).await, Existence::Exists, "it is a forward");
    assert_eq!(world.questions(), 0);
}

#[test]
fn memory_has_an_end() {
    let mut answers = Answers::default();
    let key = |number: usize| Key::new(&Destination::Domain("a".into()), &format!("{number}@split.test"));
    for number in 0..ANSWERS_MAX * 3 {
        answers.put(key(number), None, Timestamp(0));
    }
    assert!(answers.len() <= 2 * ANSWERS_MAX);
    assert!(answers.get(&key(ANSWERS_MAX * 3 - 1), Timestamp(0)).is_some());
    assert!(answers.get(&key(0), Timestamp(0)).is_none());
    for number in 0..ANSWERS_MAX * 3 {
        answers.put(key(ANSWERS_MAX * 4 + number), Some(Said::default()), Timestamp(0));
    }
    assert!(answers.get(&key(ANSWERS_MAX * 3 - 1), Timestamp(0)).is_some(), "names that are tried drive out none");
    assert!(answers.len() <= 4 * ANSWERS_MAX);
    answers.put(key(ANSWERS_MAX * 3 - 1), Some(Said::default()), Timestamp(0));
    assert!(answers.get(&key(ANSWERS_MAX * 3 - 1), Timestamp(0)).unwrap().refused.is_some());
}
