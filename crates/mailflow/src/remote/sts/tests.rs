//! Policies from a server of the tests' own, with and without it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_base::{ManualClock, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::remote::dns::{DnsError, Mx};
use crate::remote::tls_tests::Authority;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// A DNS with texts, in which everybody is here.
#[derive(Default)]
struct Texts(Mutex<HashMap<String, Vec<String>>>);

impl Texts {
    fn set(&self, name: &str, text: &str) {
        self.0.lock().insert(name.to_owned(), vec![text.to_owned()]);
    }
}

#[async_trait]
impl Resolver for Texts {
    async fn mx(&self, _domain: &str) -> Result<Vec<Mx>, DnsError> {
        Ok(Vec::new())
    }
    async fn addresses(&self, _host: &str) -> Result<Vec<IpAddr>, DnsError> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        self.0.lock().get(name).cloned().ok_or(DnsError::NoSuchDomain)
    }
}

/// A web server that says the same to everybody, and counts.
struct Web {
    port: u16,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Web {
    async fn start(authority: &Authority, name: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
        let acceptor = tokio_rustls::TlsAcceptor::from(authority.server(name));
        let (says, counts) = (answer.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                assert!(request.starts_with(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n"));
                counts.fetch_add(1, Ordering::SeqCst);
                let text = says.lock().clone();
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Web { port, answer, asked }
    }

    fn says(&self, head: &str, body: &str) {
        *self.answer.lock() = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    }

    fn publishes(&self, mode: &str, max_age: u64) {
        let body = format!("version: STSv1\r\nmode: {mode}\r\nmx: mx.a.test\r\nmax_age: {max_age}\r\n");
        self.says("200 OK\r\nContent-Type: text/plain; charset=utf-8", &body);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct World {
    web: Web,
    dns: Arc<Texts>,
    clock: ManualClock,
    folder: tempfile::TempDir,
    authority: Authority,
}

impl World {
    /// With a policy of a.test that its certificate is good for.
    async fn new() -> Self {
        let authority = Authority::new();
        let web = Web::start(&authority, "mta-sts.a.test").await;
        web.publishes("enforce", 7 * 24 * 3600);
        let dns = Arc::new(Texts::default());
        dns.set("_mta-sts.a.test", "v=STSv1; id=1;");
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000_000));
        World { web, dns, clock, folder: tempfile::tempdir().unwrap(), authority }
    }

    fn open(&self) -> MtaSts {
        let sts = MtaSts::open(self.folder.path(), self.dns.clone(), Arc::new(self.clock.clone())).unwrap();
        sts.with_https(self.authority.trust(), self.web.port)
    }
}

fn mode(found: &Found) -> Option<Mode> {
    found.policy.as_ref().map(|policy| policy.mode)
}

fn kind(found: &Found) -> Option<FailureKind> {
    found.failure.as_ref().map(|failure| failure.kind)
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_outlives_a_restart_and_dns() {
    let world = World::new().await;
    let sts = world.open();
    let (first, second) = tokio::join!(sts.of("a.test"), sts.of("a.test"));
    assert_eq!((mode(&first), mode(&second), world.web.asked()), (Some(Mode::Enforce), Some(Mode::Enforce), 1));
    assert!(first.policy.unwrap().names("mx.a.test"));
    assert_eq!(mode(&sts.of("other.test").await), None);
    world.dns.0.lock().clear();
    let sts = world.open();
    assert_eq!((mode(&sts.of("a.test").await), world.web.asked()), (Some(Mode::Enforce), 1));
    world.clock.advance_ms(7 * 24 * HOUR_MS);
    assert_eq!(mode(&sts.of("a.test").await), None, "it has ended");
}

#[tokio::test]
async fn a_new_id_brings_a_new_policy_and_age_does_too() {
    let world = World::new().await;
    let sts = world.open();
    sts.of("a.test").await;
    world.web.publishes("testing", 7 * 24 * 3600);
    assert_eq!(mode(&sts.of("a.test").await), Some(Mode::Enforce));
    world.dns.set("_mta-sts.a.test", "v=STSv1; id=2;");
    assert_eq!(mode(&sts.of("a.test").await), Some(Mode::Testing));
    world.clock.advance_ms(23 * HOUR_MS);
    sts.refresh().await;
    assert_eq!(world.web.asked(), 2);
    world.clock.advance_ms(HOUR_MS);
    world.web.publishes("none", 60);
    sts.refresh().await;
    assert_eq!((mode(&sts.of("a.test").await), world.web.asked()), (None, 3));
}

#[tokio::test]
async fn what_can_not_be_fetched_changes_nothing_and_is_not_asked_for_at_once_again() {
    let world = World::new().await;
    let sts = world.open();
    sts.of("a.test").await;
    world.dns.set("_mta-sts.a.test", "v=STSv1; id=2;");
    for (head, body, expected) in [
        ("302 Found\r\nLocation: https://mta-sts.a.test/other", "", FailureKind::StsPolicyFetchError),
        ("200 OK\r\nContent-Type: text/html", "version: STSv1", FailureKind::StsPolicyFetchError),
        ("200 OK\r\nContent-Type: text/plain", "version: STSv1", FailureKind::StsPolicyInvalid),
        ("200 OK\r\nContent-Type: text/plain", &"x: y\r\n".repeat(20_000), FailureKind::StsPolicyFetchError),
        ("nonsense", "", FailureKind::StsPolicyFetchError),
    ] {
        world.web.says(head, body);
        world.clock.advance_ms(HOUR_MS);
        let asked = world.web.asked();
        for _ in 0..2 {
            let found = sts.of("a.test").await;
            assert_eq!((mode(&found), kind(&found)), (Some(Mode::Enforce), Some(expected)), "{head}");
        }
        assert_eq!(world.web.asked(), asked + 1, "{head}");
    }
    world.dns.set("_mta-sts.b.test", "v=STSv1; id=1;");
    let found = sts.of("b.test").await;
    assert_eq!((mode(&found), kind(&found)), (None, Some(FailureKind::StsWebpkiInvalid)), "another's certificate");
}
