//! What is remembered, and how it is found.

use std::net::{IpAddr, Ipv4Addr};

use sterna_account::service::{InboundProtocol, MessageBody, Rcpt};
use sterna_account::trace::{TraceQuery, TracedMessage};
use sterna_base::{AccountId, BlobHash, ManualClock};
use sterna_formats::mail::Scanner;

use super::*;

const NOW: Timestamp = Timestamp(1_000_000_000);
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

struct World {
    _folder: tempfile::TempDir,
    clock: ManualClock,
    store: TraceStore,
    trace: Trace,
}

impl World {
    fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOW));
        let (store, trace) = TraceStore::open(folder.path(), Arc::new(clock.clone())).unwrap();
        World { _folder: folder, clock, store, trace }
    }

    fn accept(&self, number: u8, message_id: &str) -> OperationId {
        let id = OperationId([number; 16]);
        let content = format!("Message-ID: {message_id}\r\n\r\nx\r\n");
        let mut scanner = Scanner::new();
        scanner.push(content.as_bytes());
        let message = Message {
            size: content.len() as u64,
            hash: BlobHash::of(content.as_bytes()),
            summary: scanner.finish().encode().into(),
            body: MessageBody::Inline(content.into()),
        };
        let envelope = Envelope {
            sender: sender(),
            mail_from: "Zoe@Far.test".into(),
            recipients: vec![Rcpt { address: "ana@demo.test".into(), ..Rcpt::default() }],
            envelope_id: None,
            return_headers_only: false,
            eight_bit: false,
            utf8: false,
            transaction: id,
            received_hash: BlobHash::of(b"x"),
        };
        self.trace.accepted(&envelope, &message);
        id
    }

    async fn ask(&self, text: &str) -> Vec<TracedMessage> {
        self.ask_for(text, &[], Timestamp(0)).await
    }

    async fn ask_for(&self, text: &str, involving: &[&str], since: Timestamp) -> Vec<TracedMessage> {
        let involving = involving.iter().map(|address| (*address).to_owned()).collect();
        self.store.ask(TraceQuery { text: text.into(), since, limit: 10, involving }).await.unwrap()
    }

    /// Waits until an event with this detail is in the file: all before it are, too.
    async fn settled(&self) {
        let mark = OperationId([0xff; 16]);
        self.trace.refused_recipient(&sender(), "mark@demo.test", &Refusal::new(550, (5, 1, 1), mark.to_string()));
        let there = async {
            while self.ask("mark@demo.test").await.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.expect("the trace is written");
    }
}

fn sender() -> Sender {
    let (protocol, peer) = (InboundProtocol::Smtp, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    Sender { protocol, login: None, peer, helo: "far.test\x1b[2J".into(), tls: true }
}

fn whats(message: &TracedMessage) -> Vec<Traced> {
    message.events.iter().map(|event| event.what).collect()
}

#[tokio::test]
async fn a_message_is_found_by_all_of_its_names() {
    let world = World::new();
    let id = world.accept(1, "<one@far.test>");
    world.trace.verdict(id, "spf=pass".into());
    world.trace.delivered(id, "Ana@demo.test", &Destination::Account(AccountId(7)), "");
    let other = world.accept(2, "<two@far.test>");
    world.trace.refused(other, "ben@demo.test", &Refusal::new(452, (4, 2, 2), "full"));
    world.settled().await;
    let ours = id.to_string();
    for text in ["<one@far.test>", "one@far.test", &ours, "ana@demo.test", "ANA@demo.test"] {
        let found = world.ask(text).await;
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].id.as_deref(), Some(&*ours), "{text}");
        assert_eq!(whats(&found[0]), [Traced::Verdict, Traced::Delivered], "{text}");
    }
    let both = world.ask("zoe@far.test").await;
    let ids: Vec<_> = both.iter().map(|message| message.message_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["<two@far.test>", "<one@far.test>"], "the latest first");
    assert_eq!(both[0].events[0].detail, "452 4.2.2 full");
    assert_eq!(both[0].origin, "far.test [2J [192.0.2.7]", "no terminal is told anything by others");
    assert_eq!(world.ask_for("zoe@far.test", &["ana@demo.test"], Timestamp(0)).await.len(), 1);
    assert_eq!(world.ask_for("zoe@far.test", &[], NOW.plus_ms(1)).await, []);
    assert_eq!(world.ask("nobody@far.test").await, []);
}

#[tokio::test]
async fn a_refused_recipient_is_found_without_a_message() {
    let world = World::new();
    world.trace.refused_recipient(&sender(), "eve@demo.test", &Refusal::new(550, (5, 1, 1), "No such user"));
    world.settled().await;
    let found = world.ask("eve@demo.test").await;
    assert_eq!((found.len(), found[0].id.as_deref()), (1, None));
    assert!(found[0].events[0].detail.starts_with("550 5.1.1 No such user (from far.test"), "{found:?}");
}

#[tokio::test]
async fn what_is_old_is_forgotten() {
    let world = World::new();
    world.accept(1, "<one@far.test>");
    world.clock.advance_ms(1000);
    world.accept(2, "<two@far.test>");
    world.settled().await;
    assert_eq!(world.store.forget(NOW.plus_ms(1)).await.unwrap(), 1);
    assert_eq!(world.ask("<one@far.test>").await, []);
    assert_eq!(world.ask("<two@far.test>").await.len(), 1);
}

#[tokio::test]
async fn a_damaged_trace_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("trace.sqlite"), b"not a database at all, not even a small one").unwrap();
    let (store, _trace) = TraceStore::open(folder.path(), Arc::new(ManualClock::at(NOW))).unwrap();
    let query = TraceQuery { text: "x".into(), since: Timestamp(0), limit: 1, involving: vec![] };
    assert_eq!(store.ask(query).await.unwrap(), []);
}
