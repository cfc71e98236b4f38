//! Sending to a server that says what it is told to.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::service::Rcpt;
use sterna_base::{BlobHash, OperationId, Secret, Timestamp};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::call_forward::{Asked, AsksRecipients};
use crate::delivery::Keep;
use crate::provenance::Provenance;
use crate::queue::{
    Carried, Carrier, Content, Delivered, Delivery, DeliveryId, Destination, NextHop, QueueId, QueuedEnvelope,
    QueuedRecipient, RecipientId,
};

/// Answers lines that begin with these words with these replies; others with 250. A reply that ends with "close" closes
/// the connection.
struct FakeServer {
    replies: Vec<(&'static str, &'static str)>,
    greeting: &'static str,
    seen: Arc<Mutex<Vec<String>>>,
}

impl FakeServer {
    async fn start(self) -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), self.seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (greeting, replies, seen) = (self.greeting, self.replies.clone(), self.seen.clone());
                tokio::spawn(serve(stream, greeting, replies, seen));
            }
        });
        (port, seen)
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    greeting: &'static str,
    replies: Vec<(&'static str, &'static str)>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(greeting.as_bytes()).await.unwrap();
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        seen.lock().push(line.clone());
        if in_data && line != "." {
            continue;
        }
        let known = replies.iter().find(|(start, _)| line.starts_with(start)).map(|(_, reply)| *reply);
        let reply = known.unwrap_or(if line == "DATA" { "354 go on\r\n" } else { "250 2.0.0 OK\r\n" });
        if let Some(last) = reply.strip_suffix("close") {
            let _ = stream.get_mut().write_all(last.as_bytes()).await;
            // The rest is read: what is left unread would turn the end into a reset, which may overtake the reply.
            let _ = stream.get_mut().shutdown().await;
            while stream.read_line(&mut String::new()).await.unwrap_or(0) > 0 {}
            return;
        }
        in_data = reply.starts_with("354");
        if stream.get_mut().write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Names and addresses of one world.
#[derive(Default)]
struct FakeDns {
    mx: HashMap<String, Vec<Mx>>,
    addresses: HashMap<String, Vec<IpAddr>>,
}

#[async_trait]
impl Resolver for FakeDns {
    async fn mx(&self, domain: &str) -> Result<Vec<Mx>, DnsError> {
        match domain {
            "slow.test" => Err(DnsError::Temporary("timed out".into())),
            domain => self.mx.get(domain).cloned().ok_or(DnsError::NoSuchDomain),
        }
    }
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        self.addresses.get(host).cloned().ok_or(DnsError::NoSuchDomain)
    }
    async fn txt(&self, _name: &str) -> Result<Vec<String>, DnsError> {
        Err(DnsError::NoSuchDomain)
    }
}

fn dns() -> FakeDns {
    let mx = |preference, host: &str| Mx { preference, host: host.to_owned() };
    let mut dns = FakeDns::default();
    dns.mx.insert("far.test".into(), vec![mx(10, "nowhere.far.test"), mx(20, "mx.far.test")]);
    dns.mx.insert("null.test".into(), vec![mx(0, "")]);
    dns.mx.insert("loop.test".into(), vec![mx(10, "mx.own.test")]);
    dns.addresses.insert("mx.far.test".into(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    dns
}

pub fn carrier(port: u16) -> RemoteCarrier {
    let settings = RemoteSettings { own_name: "mx.own.test".into(), port, ..RemoteSettings::default() };
    // The sender may go: what was sent last stays.
    let (_, settings) = watch::channel(settings);
    RemoteCarrier::new(Arc::new(dns()), settings)
}

pub fn delivery(domain: &str, recipients: &[&str]) -> Delivery {
    let recipient = |(number, address): (usize, &&str)| QueuedRecipient {
        id: RecipientId(number as i64),
        rcpt: Rcpt { address: (*address).to_owned(), ..Rcpt::default() },
    };
    Delivery {
        id: DeliveryId(1),
        message: QueueId(OperationId([1; 16])),
        destination: Destination::Domain(domain.to_owned()),
        attempts: 0,
        warned: false,
        envelope: QueuedEnvelope {
            mail_from: "ana@demo.test".into(),
            envelope_id: Some("id1".into()),
            return_headers_only: true,
            eight_bit: true,
            utf8: false,
            keep: Keep::Inbox,
            provenance: Provenance::default(),
            origin: String::new(),
            received: Timestamp(0),
            expires: Timestamp(1),
        },
        size_bytes: 60,
        hash: BlobHash::of(b""),
        recipients: recipients.iter().enumerate().map(recipient).collect(),
    }
}

pub fn content() -> Content {
    Content::Inline("Return-Path: <ana@demo.test>\r\nSubject: x\r\n\r\n.dot\r\n".into())
}

const EHLO: (&str, &str) =
    ("EHLO", "250-mx.far.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 SIZE 1000\r\n");

async fn server(replies: Vec<(&'static str, &'static str)>) -> (u16, Arc<Mutex<Vec<String>>>) {
    FakeServer { replies, greeting: "220 mx.far.test\r\n", seen: Arc::default() }.start().await
}

pub fn texts(carried: Carried) -> Vec<(&'static str, String)> {
    match carried {
        Carried::Unreachable(said) => vec![("unreachable", said.text)],
        Carried::Reached(results) => results
            .into_iter()
            .map(|result| match result {
                Delivered::Done(said) => ("done", said.text),
                Delivered::Relayed { said, .. } => ("relayed", said.text),
                Delivered::Deferred(said) => ("deferred", said.text),
                Delivered::Failed(said) => ("failed", said.text),
            })
            .collect(),
    }
}

#[tokio::test]
async fn a_message_goes_to_the_next_exchanger_and_over_one_connection() {
    let (port, seen) = server(vec![EHLO]).await;
    let carrier = carrier(port);
    for _ in 0..2 {
        let carried = carrier.carry(&delivery("far.test", &["x@far.test"]), content()).await;
        assert_eq!(texts(carried), [("relayed", "250 2.0.0 OK".to_owned())]);
    }
    let message = [
        "MAIL FROM:<ana@demo.test> SIZE=60 BODY=8BITMIME RET=HDRS ENVID=id1",
        "RCPT TO:<x@far.test>",
        "DATA",
        "Subject: x",
        "",
        "..dot",
        ".",
    ];
    let expected: Vec<&str> = std::iter::once("EHLO mx.own.test").chain(message).chain(message).collect();
    assert_eq!(*seen.lock(), expected);
}

#[tokio::test]
async fn an_envelope_id_is_one_parameter() {
    let (port, seen) = server(vec![EHLO]).await;
    let mut delivery = delivery("far.test", &["x@far.test"]);
    delivery.envelope.envelope_id = Some("a+b BODY=BINARYMIME".into());
    assert_eq!(texts(carrier(port).carry(&delivery, content()).await)[0].0, "relayed");
    let expected = "MAIL FROM:<ana@demo.test> SIZE=60 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+20BODY+3DBINARYMIME";
    assert_eq!(seen.lock()[1], expected);
}

#[tokio::test]
async fn each_recipient_has_its_own_answer() {
    for extensions in [EHLO, ("EHLO", "250 mx.far.test\r\n")] {
        let replies = vec![
            extensions,
            ("RCPT TO:<full@far.test>", "452 4.2.2 full\r\n"),
            ("RCPT TO:<none@far.test>", "550 5.1.1 who?\r\n"),
        ];
        let (port, _) = server(replies).await;
        let addresses = ["x@far.test", "full@far.test", "none@far.test"];
        let carried = carrier(port).carry(&delivery("far.test", &addresses), content()).await;
        let expected = [
            ("relayed", "250 2.0.0 OK".to_owned()),
            ("deferred", "452 4.2.2 full".to_owned()),
            ("failed", "550 5.1.1 who?".to_owned()),
        ];
        assert_eq!(texts(carried), expected);
    }
}

#[tokio::test]
async fn nobody_left_means_no_content() {
    for (extensions, data) in [(EHLO, "354 go\r\n"), (EHLO, "554 no\r\n"), (("EHLO", "250 mx\r\n"), "354 go\r\n")] {
        let (port, seen) = server(vec![extensions, ("RCPT", "550 5.1.1 who?\r\n"), ("DATA", data)]).await;
        let carried = carrier(port).carry(&delivery("far.test", &["none@far.test"]), content()).await;
        assert_eq!(texts(carried), [("failed", "550 5.1.1 who?".to_owned())]);
        assert!(!seen.lock().iter().any(|line| line.starts_with("Subject")));
    }
}

#[tokio::test]
async fn what_a_server_refuses_as_a_whole() {
    let (port, _) = server(vec![EHLO, ("MAIL", "421 4.7.0 go away\r\n")]).await;
    let carried = carrier(port).carry(&delivery("far.test", &["x@far.test"]), content()).await;
    assert_eq!(texts(carried), [("deferred", "421 4.7.0 go away".to_owned())]);
    let (port, _) = server(vec![EHLO, (".", "554 5.7.1 spam\r\n")]).await;
    let carried = carrier(port).carry(&delivery("far.test", &["x@far.test"]), content()).await;
    assert_eq!(texts(carried), [("failed", "554 5.7.1 spam".to_owned())]);
    let mut large = delivery("far.test", &["x@far.test"]);
    large.size_bytes = 1001;
    let carried = carrier(port).carry(&large, content()).await;
    assert_eq!(texts(carried), [("failed", "the message has 1001 bytes, and the server takes 1000".to_owned())]);
}

#[tokio::test]
async fn refusals_stand_when_the_server_hangs_up() {
    let plain = ("EHLO", "250 mx.far.test\r\n");
    for extensions in [EHLO, plain] {
        let (port, _) = server(vec![extensions, ("MAIL", "550 5.7.1 not you\r\nclose")]).await;
        let carrier = carrier(port);
        let carried = carrier.carry(&delivery("far.test", &["x@far.test"]), content()).await;
        assert_eq!(texts(carried), [("failed", "550 5.7.1 not you".to_owned())]);
        let none = ("RCPT TO:<none@far.test>", "550 5.1.1 who?\r\n");
        for (last, while_what) in [("DATA", "sending the envelope"), (".", "waiting for the answer to the content")] {
            let (port, _) = server(vec![extensions, none, (last, "close")]).await;
            let carrier = self::carrier(port);
            let carried = carrier.carry(&delivery("far.test", &["none@far.test", "x@far.test"]), content()).await;
            let closed = format!("the connection was closed while {while_what}");
            assert_eq!(texts(carried), [("failed", "550 5.1.1 who?".to_owned()), ("deferred", closed)]);
        }
    }
}

#[tokio::test]
async fn a_connection_whose_reset_fails_is_not_used_again() {
    let (port, seen) =
        server(vec![EHLO, ("RCPT", "550 5.1.1 who?\r\n"), ("DATA", "554 no\r\n"), ("RSET", "close")]).await;
    let carrier = carrier(port);
    for _ in 0..2 {
        let carried = carrier.carry(&delivery("far.test", &["none@far.test"]), content()).await;
        assert_eq!(texts(carried), [("failed", "550 5.1.1 who?".to_owned())]);
    }
    assert_eq!(seen.lock().iter().filter(|line| line.starts_with("EHLO")).count(), 2);
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_no_delivery() {
    let (port, _) = server(vec![EHLO, (".", "close")]).await;
    let carried = carrier(port).carry(&delivery("far.test", &["x@far.test"]), content()).await;
    let closed = "the connection was closed while waiting for the answer to the content";
    assert_eq!(texts(carried), [("deferred", closed.to_owned())]);
    let greeting = FakeServer { replies: vec![EHLO], greeting: "554 no service\r\n", seen: Arc::default() };
    let (port, _) = greeting.start().await;
    let carried = carrier(port).carry(&delivery("far.test", &["x@far.test"]), content()).await;
    assert_eq!(texts(carried), [("unreachable", "554 no service".to_owned())]);
}

#[tokio::test]
async fn a_relay_host_is_logged_in_at_in_the_ways_that_it_offers() {
    let log_in = |offered: &'static str, replies: Vec<(&'static str, &'static str)>| async move {
        let (port, seen) = server([vec![("EHLO", offered)], replies].concat()).await;
        let hop = NextHop { host: "127.0.0.1".into(), port };
        let credentials = Some(Credentials { user: "us".into(), password: Secret::new("terns".to_owned()) });
        let hops = vec![HopSettings { hop: hop.clone(), tls: TlsPolicy::Never, credentials }];
        let settings = RemoteSettings { own_name: "mx.own.test".into(), hops, ..RemoteSettings::default() };
        let carrier = RemoteCarrier::new(Arc::new(dns()), watch::channel(settings).1);
        let mut delivery = delivery("far.test", &["x@far.test"]);
        delivery.destination = Destination::Host(hop);
        let carried = texts(carrier.carry(&delivery, content()).await);
        let lines =
            seen.lock().iter().skip(1).take_while(|line| !line.starts_with("MAIL")).cloned().collect::<Vec<_>>();
        (carried.into_iter().next().unwrap(), lines)
    };
    let relayed = ("relayed", "250 2.0.0 OK".to_owned());
    let asks = || vec![("AUTH LOGIN", "334 VXNlcm5hbWU6\r\n"), ("dXM=", "334 UGFzc3dvcmQ6\r\n")];
    let both = log_in("250-far\r\n250 AUTH LOGIN PLAIN\r\n", asks()).await;
    assert_eq!(both, (relayed.clone(), vec!["AUTH PLAIN AHVzAHRlcm5z".to_owned()]));
    let login = log_in("250-far\r\n250 AUTH LOGIN\r\n", asks()).await;
    assert_eq!(login, (relayed, ["AUTH LOGIN", "dXM=", "dGVybnM="].map(str::to_owned).to_vec()));
    // Neither the password for a server that doesn't ask for it, nor mail for one that refuses it.
    let unasked = log_in("250-far\r\n250 AUTH LOGIN\r\n", Vec::new()).await;
    assert_eq!(unasked, (("unreachable", "250 2.0.0 OK".to_owned()), vec!["AUTH LOGIN".to_owned()]));
    let wrong = [asks(), vec![("dGVybnM=", "535 5.7.8 no\r\n")]].concat();
    assert_eq!(log_in("250-far\r\n250 AUTH LOGIN\r\n", wrong).await.0, ("unreachable", "535 5.7.8 no".to_owned()));
    let neither = log_in("250-far\r\n250 AUTH CRAM-MD5\r\n", Vec::new()).await.0;
    assert_eq!(neither, ("unreachable", "the relay host offers neither AUTH PLAIN nor AUTH LOGIN".to_owned()));
}

#[tokio::test]
async fn what_dns_says() {
    let carrier = carrier(1);
    let carry = |domain: &'static str| {
        let carrier = &carrier;
        async move { texts(carrier.carry(&delivery(domain, &["x@y"]), content()).await) }
    };
    assert_eq!(carry("none.test").await, [("failed", "the domain does not exist".to_owned())]);
    assert_eq!(carry("null.test").await, [("failed", "the domain takes no mail".to_owned())]);
    assert_eq!(carry("loop.test").await[0].0, "failed");
    assert_eq!(carry("slow.test").await[0].0, "unreachable");
}

#[tokio::test]
async fn a_server_is_asked_for_addresses_and_sent_nothing() {
    let replies = vec![
        ("RCPT TO:<zoe@", "250 2.1.5 OK\r\n"),
        ("RCPT TO:<nobody@", "550 5.1.1 no such gull\r\n"),
        ("RCPT TO:<later@", "451 4.3.0 later\r\n"),
    ];
    let (port, seen) = FakeServer { replies, greeting: "220 far\r\n", seen: Arc::default() }.start().await;
    let carrier = carrier(port);
    let there = Destination::Domain("far.test".into());
    assert_eq!(carrier.ask(&there, "zoe@far.test").await, Asked::Taken);
    let Asked::Refused(said) = carrier.ask(&there, "nobody@far.test").await else { panic!("it is refused") };
    assert_eq!((said.status, &*said.text), ((5, 1, 1), "550 5.1.1 no such gull"));
    assert!(matches!(carrier.ask(&there, "later@far.test").await, Asked::Unknown(_)));
    let Asked::Refused(said) = carrier.ask(&there, "zo\u{eb}@far.test").await else { panic!("it can't be written to") };
    assert_eq!(said.status, (5, 6, 7));
    let seen = seen.lock().clone();
    assert_eq!(seen.iter().filter(|line| line.starts_with("EHLO")).count(), 1, "one connection: {seen:?}");
    assert!(seen.iter().filter(|line| line.starts_with("MAIL")).all(|line| line == "MAIL FROM:<>"), "{seen:?}");
    assert!(!seen.iter().any(|line| line == "DATA"), "{seen:?}");
    assert_eq!(seen.iter().filter(|line| *line == "RSET").count(), 2, "before each of the next questions: {seen:?}");
    assert!(matches!(
        carrier.ask(&Destination::Domain("none.test".into()), "a@none.test").await,
        Asked::Unreachable(_)
    ));
}

#[tokio::test]
async fn a_server_that_minds_the_question_says_nothing_of_the_address() {
    let replies = vec![("MAIL FROM:<>", "550 5.7.1 no null senders here\r\n")];
    let (port, _) = FakeServer { replies, greeting: "220 far\r\n", seen: Arc::default() }.start().await;
    let asked = carrier(port).ask(&Destination::Domain("far.test".into()), "zoe@far.test").await;
    assert!(matches!(asked, Asked::NoQuestions(_)), "{asked:?}");
    let replies = vec![("MAIL FROM:<>", "451 4.7.1 come again\r\n")];
    let (port, _) = FakeServer { replies, greeting: "220 far\r\n", seen: Arc::default() }.start().await;
    let asked = carrier(port).ask(&Destination::Domain("far.test".into()), "zoe@far.test").await;
    assert!(matches!(asked, Asked::Unknown(_)), "{asked:?}");
    let replies = vec![("RCPT", "close")];
    let (port, _) = FakeServer { replies, greeting: "220 far\r\n", seen: Arc::default() }.start().await;
    let asked = carrier(port).ask(&Destination::Domain("far.test".into()), "zoe@far.test").await;
    assert!(matches!(asked, Asked::Unreachable(_)), "{asked:?}");
}
