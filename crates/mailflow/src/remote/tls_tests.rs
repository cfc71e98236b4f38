//! TLS to servers that have the right certificates, and to those that don't.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use sterna_base::{ManualClock, OperationId, Timestamp};
use sterna_testkit::binary::have;
use sterna_testkit::dns::DnsServer;
use sterna_testkit::unbound::Unbound;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::connection::Wire;
use super::dane::{Proven, SecureResolver, Tlsa};
use super::tests::{content, delivery, texts};
use super::*;
use crate::queue::{Carrier, Content};

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Those of the same name would be taken for one another, and then be found to have signed nothing.
        params.distinguished_name.push(DnType::CommonName, OperationId::random().to_string());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    pub fn trust(&self) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Trust::of(roots)
    }

    /// The certificates that a server of this name shows, its own first.
    fn chain(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let own = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (vec![own, self.certificate.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        server(self.chain(name))
    }
}

fn server((chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// Takes all mail; offers STARTTLS if it has a certificate. Its port.
async fn exchanger(tls: Option<Arc<ServerConfig>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(Box::new(stream), tls.clone()));
        }
    });
    port
}

async fn session(wire: Box<dyn Wire>, tls: Option<Arc<ServerConfig>>) -> Option<()> {
    let mut stream = BufReader::new(wire);
    stream.write_all(b"220 mx\r\n").await.ok()?;
    let (mut is_encrypted, mut in_data) = (false, false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let reply: &[u8] = match line.trim_end() {
            "." => {
                in_data = false;
                b"250 taken\r\n"
            }
            _ if in_data => continue,
            "DATA" => {
                in_data = true;
                b"354 go on\r\n"
            }
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").await.ok()?;
                let acceptor = TlsAcceptor::from(tls.clone().unwrap());
                stream = BufReader::new(Box::new(acceptor.accept(stream.into_inner()).await.ok()?));
                is_encrypted = true;
                continue;
            }
            line if line.starts_with("EHLO") && tls.is_some() && !is_encrypted => b"250-mx\r\n250 STARTTLS\r\n",
            line if line.starts_with("MAIL") && !is_encrypted => b"250 in the clear\r\n",
            _ => b"250 OK\r\n",
        };
        stream.write_all(reply).await.ok()?;
    }
}

/// Everything is here; far.test has the exchangers mx.far.test and then other.far.test.
#[derive(Default)]
struct Names {
    tlsa: Vec<Tlsa>,
    /// These instead, since they were changed.
    changed: Arc<Mutex<Option<Vec<Tlsa>>>>,
    /// What is not proven.
    insecure: Vec<&'static str>,
    /// What is forged.
    bogus: Vec<&'static str>,
    unable: bool,
}

fn exchangers() -> Vec<Mx> {
    let mx = |preference, host: &str| Mx { preference, host: host.to_owned() };
    vec![mx(10, "mx.far.test"), mx(20, "other.far.test")]
}

#[async_trait]
impl Resolver for Names {
    async fn mx(&self, _domain: &str) -> Result<Vec<Mx>, DnsError> {
        Ok(exchangers())
    }
    async fn addresses(&self, _host: &str) -> Result<Vec<IpAddr>, DnsError> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
    async fn txt(&self, _name: &str) -> Result<Vec<String>, DnsError> {
        Ok(Vec::new())
    }
}

impl Names {
    fn proven<T>(&self, what: &str, value: T) -> Result<Proven<T>, DnsError> {
        if self.bogus.contains(&what) {
            return Err(DnsError::Temporary("forged".to_owned()));
        }
        Ok(Proven { value, is_secure: !self.insecure.contains(&what) })
    }
}

#[async_trait]
impl SecureResolver for Names {
    async fn probe(&self) -> Result<(), String> {
        if self.unable { Err("no signatures".to_owned()) } else { Ok(()) }
    }
    async fn mx(&self, _domain: &str) -> Result<Proven<Vec<Mx>>, DnsError> {
        self.proven("mx", exchangers())
    }
    async fn addresses(&self, _host: &str) -> Result<Proven<Vec<IpAddr>>, DnsError> {
        self.proven("addresses", vec![Ipv4Addr::LOCALHOST.into()])
    }
    async fn tlsa(&self, host: &str, _port: u16) -> Result<Proven<Vec<Tlsa>>, DnsError> {
        let is_first = host == "mx.far.test";
        if let Some(changed) = self.changed.lock().clone() {
            return self.proven("tlsa", changed);
        }
        self.proven("tlsa", if is_first { self.tlsa.clone() } else { Vec::new() })
    }
}

/// Remembers what it is told.
#[derive(Default)]
struct Seen(Mutex<Vec<Observation>>);

impl TlsObserver for Seen {
    fn observe(&self, seen: Observation) {
        self.0.lock().push(seen);
    }
}

impl Seen {
    /// Host and kind of failure of everything, once.
    fn all(&self) -> Vec<(String, Option<FailureKind>)> {
        let seen = std::mem::take(&mut *self.0.lock());
        seen.into_iter().map(|seen| (seen.host, seen.failure.map(|failure| failure.kind))).collect()
    }
}

struct World {
    carrier: RemoteCarrier,
    seen: Arc<Seen>,
    sts: Arc<MtaSts>,
    settings: watch::Sender<RemoteSettings>,
    _folder: tempfile::TempDir,
}

impl World {
    /// With a policy of far.test, if it has one.
    async fn new(port: u16, authority: &Authority, policy: Option<&str>, names: Names) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000_000_000)));
        let sts = Arc::new(MtaSts::open(folder.path(), Arc::new(Names::default()), clock.clone()).unwrap());
        if let Some(policy) = policy {
            sts.keep("far.test", policy).await;
        }
        let settings = RemoteSettings { port, mta_sts: true, dane: true, ..RemoteSettings::default() };
        let seen = Arc::new(Seen::default());
        let settings = watch::Sender::new(settings);
        let carrier = RemoteCarrier::new(Arc::new(Names::default()), settings.subscribe());
        let carrier = carrier.with_sts(sts.clone()).with_trust(authority.trust()).with_observer(seen.clone());
        let carrier = carrier.with_dane(Arc::new(Dane::new(Arc::new(names), clock)));
        World { carrier, seen, sts, settings, _folder: folder }
    }

    /// What becomes of a message, in a word and in the other's.
    async fn send(&self) -> (&'static str, String) {
        let carried = self.carrier.carry(&delivery("far.test", &["x@far.test"]), content()).await;
        texts(carried).remove(0)
    }
}

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n")
}

/// Without DNSSEC.
fn plain() -> Names {
    Names { unable: true, ..Names::default() }
}

#[tokio::test]
async fn an_enforced_policy_wants_its_hosts_and_good_certificates() {
    let authority = Authority::new();
    let good = exchanger(Some(authority.server("mx.far.test"))).await;
    let enforced = policy("enforce", "mx.far.test");
    let world = World::new(good, &authority, Some(&enforced), plain()).await;
    assert_eq!(world.send().await.0, "relayed");
    assert_eq!(world.seen.all(), [("mx.far.test".to_owned(), None)]);

    // The policy names the second one only, which has the certificate of the first.
    let other = policy("enforce", "other.far.test");
    let world = World::new(good, &authority, Some(&other), plain()).await;
    let (what, why) = world.send().await;
    assert!(what == "unreachable" && why.contains("certificate"), "{what}: {why}");
    let expected = [
        ("mx.far.test".to_owned(), Some(FailureKind::ValidationFailure)),
        ("other.far.test".to_owned(), Some(FailureKind::CertificateHostMismatch)),
    ];
    assert_eq!(world.seen.all(), expected);

    // Reports of just that arrive all the same.
    let report = || Content::Inline("TLS-Required: no\r\nSubject: x\r\n\r\nx\r\n".into());
    let carried = world.carrier.carry(&delivery("far.test", &["x@far.test"]), report()).await;
    assert_eq!(texts(carried)[0].0, "relayed");
    assert_eq!(world.seen.all(), []);
    assert_eq!(world.send().await.0, "unreachable", "its connection is no other message's");

    let none = exchanger(None).await;
    let world = World::new(none, &authority, Some(&enforced), plain()).await;
    assert_eq!(world.send().await.0, "unreachable");
    assert_eq!(world.seen.all()[0].1, Some(FailureKind::StartTlsNotSupported));

    let unknown = exchanger(Some(Authority::new().server("mx.far.test"))).await;
    let world = World::new(unknown, &authority, Some(&enforced), plain()).await;
    assert_eq!(world.send().await.0, "unreachable");
    assert_eq!(world.seen.all()[0].1, Some(FailureKind::CertificateNotTrusted));
}

#[tokio::test]
async fn a_policy_that_is_tried_out_costs_nobody_a_message() {
    let authority = Authority::new();
    let unknown = exchanger(Some(Authority::new().server("mx.far.test"))).await;
    let none = exchanger(None).await;
    for (port, mx, expected) in [
        (unknown, "mx.far.test", vec![FailureKind::CertificateNotTrusted]),
        (none, "mx.far.test", vec![FailureKind::StartTlsNotSupported]),
        (unknown, "*.else.test", vec![FailureKind::ValidationFailure, FailureKind::CertificateNotTrusted]),
    ] {
        let world = World::new(port, &authority, Some(&policy("testing", mx)), plain()).await;
        assert_eq!(world.send().await.0, "relayed");
        let kinds: Vec<_> = world.seen.all().into_iter().filter_map(|(_, kind)| kind).collect();
        assert_eq!(kinds, expected);
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

fn key_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    rustls::server::ParsedCertificate::try_from(certificate).unwrap().subject_public_key_info().to_vec()
}

#[tokio::test]
async fn certificates_are_those_of_dns() {
    let (web, own) = (Authority::new(), Authority::new());
    // DANE-EE is good whatever the name; DANE-TA is not.
    let (misnamed, named) = (own.chain("elsewhere.test"), own.chain("mx.far.test"));
    let domain = own.chain("far.test");
    let sha512 = |bytes: &[u8]| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes).as_ref().to_vec();
    let root = own.certificate.clone();
    for (shown, usage, selector, matching, data, is_good) in [
        (&misnamed, 3, 1, 1, sha256(&key_of(&misnamed.0[0])), true),
        (&misnamed, 3, 0, 2, sha512(&misnamed.0[0]), true),
        (&misnamed, 3, 0, 0, misnamed.0[0].to_vec(), true),
        (&misnamed, 3, 1, 1, sha256(&key_of(&named.0[0])), false),
        (&misnamed, 2, 0, 1, sha256(&root), false),
        (&named, 2, 0, 1, sha256(&root), true),
        (&named, 2, 1, 1, sha256(&key_of(&root)), true),
        (&named, 2, 0, 0, root.to_vec(), true),
        (&domain, 2, 0, 1, sha256(&root), true),
        (&named, 2, 0, 1, sha256(&web.certificate), false),
    ] {
        let port = exchanger(Some(server((shown.0.clone(), shown.1.clone_key())))).await;
        let names = Names { tlsa: vec![Tlsa { usage, selector, matching, data }], ..Names::default() };
        let world = World::new(port, &web, None, names).await;
        // The second exchanger has no records: it gets the message when the first is not who it must be.
        assert_eq!(world.send().await.0, "relayed");
        let first = world.seen.all().remove(0);
        assert_eq!(first.0, "mx.far.test");
        assert_eq!(first.1.is_none(), is_good, "{usage} {selector} {matching}: {first:?}");
    }
}

#[tokio::test]
async fn what_dns_does_not_prove_is_not_asked_for() {
    let authority = Authority::new();
    let port = exchanger(Some(Authority::new().server("mx.far.test"))).await;
    let wrong = || vec![Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] }];
    for what in ["mx", "addresses", "tlsa"] {
        let names = Names { tlsa: wrong(), insecure: vec![what], ..Names::default() };
        let world = World::new(port, &authority, None, names).await;
        assert_eq!(world.send().await.0, "relayed", "{what} is not proven");
        assert_eq!(world.seen.all(), [("mx.far.test".to_owned(), None)], "{what}");
        let names = Names { tlsa: wrong(), bogus: vec![what], ..Names::default() };
        let world = World::new(port, &authority, None, names).await;
        assert_eq!(world.send().await.0, "unreachable", "{what} is forged");
    }
    let world = World::new(port, &authority, None, Names { tlsa: wrong(), unable: true, ..Names::default() }).await;
    assert_eq!(world.send().await.0, "relayed", "DNSSEC can't be had");
    // Records that nothing can match still want TLS.
    let unusable = || vec![Tlsa { usage: 1, selector: 1, matching: 1, data: vec![7; 32] }];
    let world = World::new(port, &authority, None, Names { tlsa: unusable(), ..Names::default() }).await;
    assert_eq!(world.send().await.0, "relayed");
    assert_eq!(world.seen.all()[0].1, Some(FailureKind::TlsaInvalid));
    let none = exchanger(None).await;
    let world = World::new(none, &authority, None, Names { tlsa: unusable(), ..Names::default() }).await;
    assert_eq!(world.send().await.0, "relayed", "by the other one");
    let kinds: Vec<_> = world.seen.all().into_iter().filter_map(|(_, kind)| kind).collect();
    let without = FailureKind::StartTlsNotSupported;
    assert_eq!(kinds, [FailureKind::TlsaInvalid, without, without]);
}

/// DANE comes before MTA-STS.
#[tokio::test]
async fn dns_counts_for_more_than_a_policy() {
    let (web, own) = (Authority::new(), Authority::new());
    let shown = own.chain("mx.far.test");
    let right = Tlsa { usage: 3, selector: 1, matching: 1, data: sha256(&key_of(&shown.0[0])) };
    let port = exchanger(Some(server(shown))).await;
    let enforced = policy("enforce", "mx.far.test");
    let world = World::new(port, &web, Some(&enforced), Names { tlsa: vec![right], ..Names::default() }).await;
    assert_eq!(world.send().await.0, "relayed");
    assert!(matches!(&world.seen.0.lock()[0].policy, PolicyUsed::Tlsa(records) if records[0].starts_with("3 1 1 ")));
    let wrong = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
    let right_by_web = exchanger(Some(web.server("mx.far.test"))).await;
    let names = Names { tlsa: vec![wrong], ..Names::default() };
    let world = World::new(right_by_web, &web, Some(&enforced), names).await;
    assert_eq!(world.send().await.0, "unreachable");
}

/// A connection that waits was made by what held then.
#[tokio::test]
async fn what_is_asked_for_meanwhile_holds_for_connections_that_wait() {
    let (web, own) = (Authority::new(), Authority::new());
    let shown = own.chain("mx.far.test");
    let right = Tlsa { usage: 3, selector: 1, matching: 1, data: sha256(&key_of(&shown.0[0])) };
    let port = exchanger(Some(server(shown))).await;
    // How many connections are made: each is told of.
    let made = |world: &World| world.seen.all().len();

    let changed = Arc::new(Mutex::new(None));
    let world = World::new(port, &web, None, Names { changed: changed.clone(), ..Names::default() }).await;
    assert_eq!((world.send().await.0, made(&world)), ("relayed", 1));
    assert_eq!((world.send().await.0, made(&world)), ("relayed", 0), "it waited");
    *changed.lock() = Some(vec![right]);
    assert_eq!((world.send().await.0, made(&world)), ("relayed", 1), "what waits was made without looking");
    assert_eq!((world.send().await.0, made(&world)), ("relayed", 0));
    *changed.lock() = Some(vec![Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] }]);
    assert_eq!(world.send().await.0, "unreachable", "no server has that certificate");

    let world = World::new(port, &web, None, plain()).await;
    assert_eq!((world.send().await.0, made(&world)), ("relayed", 1));
    world.sts.keep("far.test", &policy("enforce", "*.far.test")).await;
    assert_eq!(world.send().await.0, "unreachable", "the policy wants a certificate of an authority");

    let world = World::new(port, &web, None, plain()).await;
    assert_eq!((world.send().await.0, made(&world)), ("relayed", 1));
    world.settings.send_modify(|settings| settings.tls = TlsPolicy::Verify);
    assert_eq!(world.send().await.0, "unreachable", "the administrator wants one");
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn signed_answers_are_told_from_unsigned_ones() {
    let zone = DnsServer::signed();
    zone.mx("far.test", 10, "mx.far.test");
    zone.address("mx.far.test", Ipv4Addr::LOCALHOST.into());
    zone.tlsa("mx.far.test", 25, (3, 1, 1), &[7; 32]);
    let secure = SecureDns::new(&[zone.address], Some(zone.anchors())).unwrap();
    run(async {
        secure.probe().await.unwrap();
        let found = secure.mx("far.test").await.unwrap();
        assert!(found.is_secure && found.value[0].host == "mx.far.test", "{found:?}");
        assert!(secure.addresses("mx.far.test").await.unwrap().is_secure);
        let records = secure.tlsa("mx.far.test", 25).await.unwrap();
        let expected = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
        assert_eq!(records, Proven { value: vec![expected], is_secure: true });
        assert_eq!(secure.tlsa("mx.far.test", 26).await.unwrap().value, []);
        assert!(secure.mx("mx.far.test").await.unwrap().value.is_empty());
        assert_eq!(secure.mx("none.test").await, Err(DnsError::NoSuchDomain));
    });
    // Somebody else's keys, or none at all.
    let other = SecureDns::new(&[zone.address], Some(DnsServer::signed().anchors())).unwrap();
    run(async {
        other.probe().await.unwrap_err();
        assert!(matches!(other.mx("far.test").await, Err(DnsError::Temporary(_))));
    });
    let unsigned = DnsServer::start();
    unsigned.mx("far.test", 10, "mx.far.test");
    let unable = SecureDns::new(&[unsigned.address], Some(zone.anchors())).unwrap();
    run(async { unable.probe().await.unwrap_err() });
}

/// Most domains are not signed, and name servers are asked by way of others: DANE must not hurt mail to them.
#[test]
fn unsigned_domains_below_a_signed_root_are_as_usual() {
    if !have(&["unbound"]) {
        return;
    }
    let (zone, plain) = (DnsServer::signed(), DnsServer::of("plain.test"));
    zone.mx("far.test", 10, "mx.far.test");
    zone.address("mx.far.test", Ipv4Addr::LOCALHOST.into());
    zone.tlsa("mx.far.test", 25, (3, 1, 1), &[7; 32]);
    zone.delegate("plain.test");
    plain.mx("plain.test", 10, "mx.plain.test");
    plain.address("mx.plain.test", Ipv4Addr::LOCALHOST.into());
    let unbound = Unbound::start(&[(".", zone.address), ("plain.test", plain.address)]);
    let secure = SecureDns::new(&[unbound.address], Some(zone.anchors())).unwrap();
    run(async {
        secure.probe().await.unwrap();
        assert!(secure.mx("far.test").await.unwrap().is_secure);
        assert!(secure.tlsa("mx.far.test", 25).await.unwrap().is_secure);
        assert_eq!(secure.mx("none.test").await, Err(DnsError::NoSuchDomain));
        let found = secure.mx("plain.test").await.unwrap();
        assert_eq!((found.value.len(), found.is_secure), (1, false));
        let found = secure.addresses("mx.plain.test").await.unwrap();
        assert_eq!((found.value.len(), found.is_secure), (1, false));
        assert_eq!(secure.mx("mx.plain.test").await.unwrap().value, []);
        assert_eq!(secure.mx("none.plain.test").await, Err(DnsError::NoSuchDomain));
        let none = secure.tlsa("mx.plain.test", 25).await.unwrap();
        assert_eq!((none.value.len(), none.is_secure), (0, false));
    });
    // Answers that are not those of who signed are none.
    zone.forge("mx.far.test", "192.0.2.66".parse().unwrap());
    let secure = SecureDns::new(&[zone.address], Some(zone.anchors())).unwrap();
    run(async { assert!(matches!(secure.addresses("mx.far.test").await, Err(DnsError::Temporary(_)))) });
}
