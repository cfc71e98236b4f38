//! Reports as other domains get them.

use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sterna_account::edge_reports::{SeenAnswer, SeenQuestion};
use sterna_base::{ManualClock, NodeId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::auth::Signers;
use crate::outbound::{Outbound, OutboundSettings};
use crate::queue::{Content, DeliveryId, Filter, Queue};
use crate::remote::tls_tests::Authority;
use crate::remote::{DnsError, FailureKind, Mx, PolicyUsed, Resolver, TlsFailure, Trust};
use crate::tests::FakeRecipients;

/// A DNS of texts, in which everybody is here.
struct Texts(HashMap<&'static str, &'static str>);

#[async_trait]
impl Resolver for Texts {
    async fn mx(&self, _domain: &str) -> Result<Vec<Mx>, DnsError> {
        Ok(Vec::new())
    }
    async fn addresses(&self, _host: &str) -> Result<Vec<IpAddr>, DnsError> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        match self.0.get(name) {
            Some(&"silent") => Err(DnsError::Temporary("silent".to_owned())),
            Some(text) => Ok(vec![(*text).to_owned()]),
            None => Err(DnsError::NoSuchDomain),
        }
    }
}

struct World {
    clock: ManualClock,
    queue: Arc<Queue>,
    sender: Sender,
    _folder: tempfile::TempDir,
}

/// The day that everything happens on: the first of January 2026.
const DAY: i64 = 20_454;

impl World {
    fn new(texts: &[(&'static str, &'static str)], trust: Trust, https_port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(DAY * DAY_SECONDS + 1));
        let settings = ReportSettings {
            dmarc: true,
            tls: true,
            organization: "Terns & Co".to_owned(),
            contact: Some("postmaster@demo.test".to_owned()),
            own_name: "mx.demo.test".to_owned(),
        };
        let settings = watch::channel(settings).1;
        let reports = Reports::open(&folder.path().join("reports"), Arc::new(clock.clone()), settings).unwrap();
        let queue = Queue::open(&folder.path().join("queue")).unwrap();
        let outbound = Outbound::new(Arc::new(FakeRecipients), watch::channel(OutboundSettings::default()).1);
        let sender = Sender {
            reports: Arc::new(reports),
            edges: Arc::new(OneEdge),
            resolver: Arc::new(Texts(texts.iter().copied().collect())),
            queue: queue.clone(),
            outbound: Arc::new(outbound),
            signers: watch::channel(Signers::default()).1,
            trust,
            https_port,
        };
        World { clock, queue, sender, _folder: folder }
    }

    async fn send_next_day(&self) {
        let wait_ms = send::due(DAY).0 - Clock::now(&self.clock).0;
        self.clock.advance_ms(wait_ms);
        self.sender.send_due().await;
    }

    /// The messages in the queue, by their recipients.
    async fn queued(&self) -> HashMap<String, String> {
        let mut all = HashMap::new();
        for item in self.queue.list(Filter::default(), DeliveryId(0), 100).await.unwrap() {
            let Some(Content::Inline(bytes)) = self.queue.content(item.id).await.unwrap() else { panic!("small") };
            assert_eq!(item.sender, "postmaster@demo.test");
            all.insert(item.recipients.join(" "), String::from_utf8(bytes.to_vec()).unwrap());
        }
        all
    }
}

fn unpacked(compressed: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    text
}

/// The report in a message.
fn attached(message: &str) -> String {
    let part = message.split("Content-Transfer-Encoding: base64").nth(1).unwrap();
    let encoded: String = part.split("\r\n\r\n").nth(1).unwrap().split_whitespace().collect();
    unpacked(&STANDARD.decode(encoded).unwrap())
}

fn seen(header_from: &str, disposition: &str) -> dmarc::Seen {
    dmarc::Seen {
        source: "192.0.2.7".parse().unwrap(),
        disposition: disposition.to_owned(),
        is_forwarded: false,
        dkim_aligned: true,
        spf_aligned: false,
        header_from: header_from.to_owned(),
        envelope_from: "list.test".to_owned(),
        dkim: vec![("a.test".to_owned(), "s1".to_owned(), "pass".to_owned())],
        spf: ("list<&>.test".to_owned(), "mfrom".to_owned(), "softfail".to_owned()),
    }
}

#[tokio::test]
async fn domains_hear_once_a_day_who_used_their_names() {
    let world = World::new(
        &[
            (
                "_dmarc.a.test",
                "v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:d@a.test,mailto:r@reports.test,mailto:x@other.test,mailto:small@a.test!10",
            ),
            ("a.test._report._dmarc.reports.test", "v=DMARC1;"),
            ("_dmarc.silent.test", "silent"),
            ("_dmarc.mute.test", "v=DMARC1; p=none"),
        ],
        Trust::default(),
        0,
    );
    let reports = &world.sender.reports;
    for from in ["a.test", "a.test", "sub.a.test", "silent.test", "mute.test", "none.test"] {
        reports.saw_message(&seen(from, "none"));
    }
    reports.saw_message(&seen("a.test", "reject"));
    world.sender.send_due().await;
    assert!(world.queued().await.is_empty(), "the day is not over");
    world.send_next_day().await;
    let queued = world.queued().await;
    let mut to: Vec<_> = queued.keys().map(String::as_str).collect();
    to.sort_unstable();
    assert_eq!(to, ["d@a.test", "r@reports.test"], "other.test has not said that it takes them");
    let message = &queued["d@a.test"];
    for part in [
        "From: \"Terns & Co\" <postmaster@demo.test>\r\nTo: <d@a.test>\r\nSubject: Report Domain: a.test\r\n Submitter: demo.test\r\n",
        "Content-Type: application/gzip\r\n",
        "filename=\"demo.test!a.test!1767225600!1767311999!",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let xml = attached(message);
    let flat: String = xml.lines().collect();
    for part in [
        "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"><version>1.0</version><report_metadata><org_name>Terns &amp; Co</org_name>",
        "<date_range><begin>1767225600</begin><end>1767311999</end></date_range>",
        "<policy_published><domain>a.test</domain><discovery_method>treewalk</discovery_method><p>reject</p><sp>none</sp>\
         <adkim>s</adkim><aspf>r</aspf><testing>n</testing></policy_published>",
        "<row><source_ip>192.0.2.7</source_ip><count>2</count><policy_evaluated><disposition>none</disposition>\
         <dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>a.test</header_from>\
         <envelope_from>list.test</envelope_from></identifiers><auth_results><dkim><domain>a.test</domain>\
         <selector>s1</selector><result>pass</result></dkim><spf><domain>list&lt;&amp;&gt;.test</domain>\
         <scope>mfrom</scope><result>softfail</result></spf></auth_results>",
        "<count>1</count><policy_evaluated><disposition>reject</disposition>",
        "<header_from>sub.a.test</header_from>",
    ] {
        assert!(flat.contains(part), "{part:?} is not in {flat}");
    }
    // Nobody hears it twice, and who could not be asked is asked again for some days.
    world.sender.send_due().await;
    assert_eq!(world.queued().await.len(), 2);
    assert!(reports.store.next(Kind::Dmarc, DAY + 1, None).unwrap().is_some_and(|left| left.domain == "silent.test"));
    world.clock.advance_ms(4 * DAY_SECONDS * 1000);
    world.sender.send_due().await;
    assert_eq!(reports.store.next(Kind::Dmarc, i64::MAX, None).unwrap(), None);
}

const EAST: NodeId = NodeId([1; 16]);
const WEST: NodeId = NodeId([2; 16]);

/// Two edges of one installation that ask each other; the second can be away.
struct Both {
    own: NodeId,
    reports: [Arc<Reports>; 2],
    is_away: Arc<AtomicBool>,
}

#[async_trait]
impl Edges for Both {
    async fn all(&self) -> Option<(NodeId, Vec<NodeId>)> {
        Some((self.own, vec![EAST, WEST]))
    }
    async fn seen(&self, edge: NodeId, question: &SeenQuestion) -> Option<SeenAnswer> {
        let away = edge == WEST && self.is_away.load(Ordering::Relaxed);
        let reports = &self.reports[usize::from(edge == WEST)];
        if away { None } else { Some(reports.seen(question.clone()).await.unwrap()) }
    }
}

#[tokio::test]
async fn a_domain_hears_once_of_an_installation_with_several_edges() {
    let texts = [("_dmarc.a.test", "v=DMARC1; p=reject; rua=mailto:d@a.test")];
    let world = || World::new(&texts, Trust::default(), 0);
    let (mut east, mut west) = (world(), world());
    let (reports, is_away) = ([east.sender.reports.clone(), west.sender.reports.clone()], Arc::<AtomicBool>::default());
    for (own, world) in [(EAST, &mut east), (WEST, &mut west)] {
        let (reports, is_away) = (reports.clone(), is_away.clone());
        world.sender.edges = Arc::new(Both { own, reports, is_away });
    }
    for (world, disposition) in [(&east, "none"), (&west, "none"), (&west, "none"), (&west, "reject")] {
        world.sender.reports.saw_message(&seen("a.test", disposition));
    }
    west.send_next_day().await;
    assert!(west.queued().await.is_empty(), "it is the other one's turn");
    east.send_next_day().await;
    for world in [&west, &east, &west] {
        world.sender.send_due().await;
    }
    assert!(west.queued().await.is_empty());
    let xml: String = attached(&east.queued().await["d@a.test"]).lines().collect();
    for (count, disposition) in [(3, "none"), (1, "reject")] {
        let part = format!("<count>{count}</count><policy_evaluated><disposition>{disposition}");
        assert!(xml.contains(&part), "{part:?} is not in {xml}");
    }
    assert_eq!(reports[0].store.next(Kind::Dmarc, i64::MAX, None).unwrap(), None);

    // The next day is the other one's, which is away: after a day nobody waits for it any longer.
    east.sender.reports.saw_message(&seen("a.test", "none"));
    is_away.store(true, Ordering::Relaxed);
    for expected in [1, 2] {
        east.clock.advance_ms(DAY_SECONDS * 1000);
        east.sender.send_due().await;
        assert_eq!(east.queue.len(), expected);
    }
}

#[tokio::test]
async fn domains_hear_how_tls_to_them_went() {
    let authority = Authority::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.server("tls.b.test"));
    let posted = tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let (mut head, mut length) = (Vec::new(), 0);
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        for line in head.lines() {
            length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        (head, body)
    });
    let texts = [
        ("_smtp._tls.b.test", "v=TLSRPTv1; rua=https://tls.b.test/v1/report"),
        ("_smtp._tls.c.test", "v=TLSRPTv1;rua=mailto:tls@else.test"),
    ];
    let world = World::new(&texts, authority.trust(), port);
    let observed = |domain: &str, policy: PolicyUsed, failure: Option<FailureKind>| Observation {
        domain: domain.to_owned(),
        policy,
        host: format!("mx.{domain}"),
        address: Some(Ipv4Addr::LOCALHOST.into()),
        failure: failure.map(|kind| TlsFailure::new(kind, "why\r\nnot")),
    };
    let sts =
        || PolicyUsed::Sts(vec!["version: STSv1".to_owned(), "mode: testing".to_owned()], vec!["mx.b.test".to_owned()]);
    let reports = &world.sender.reports;
    for failure in [None, None, Some(FailureKind::CertificateExpired), Some(FailureKind::CertificateExpired)] {
        reports.observe(observed("b.test", sts(), failure));
    }
    reports.observe(observed("b.test", PolicyUsed::None, None));
    reports.observe(observed("c.test", PolicyUsed::Tlsa(vec!["3 1 1 07".to_owned()]), None));
    reports.observe(observed("none.test", PolicyUsed::None, None));
    world.send_next_day().await;
    let (head, body) = posted.await.unwrap();
    assert!(
        head.starts_with("post /v1/report http/1.1\r\n") && head.contains("content-type: application/tlsrpt+gzip"),
        "{head}"
    );
    let report: Value = serde_json::from_str(&unpacked(&body)).unwrap();
    assert_eq!(report["organization-name"], "Terns & Co");
    assert_eq!(report["date-range"]["start-datetime"], "2026-01-01T00:00:00Z");
    assert_eq!(report["date-range"]["end-datetime"], "2026-01-01T23:59:59Z");
    let by_type = |name: &str| {
        let policies = report["policies"].as_array().unwrap();
        policies.iter().find(|policy| policy["policy"]["policy-type"] == name).unwrap().clone()
    };
    let found = by_type("sts");
    assert_eq!(found["policy"]["policy-string"][1], "mode: testing");
    assert_eq!(found["policy"]["mx-host"][0], "mx.b.test");
    assert_eq!(found["summary"]["total-successful-session-count"], 2);
    assert_eq!(found["summary"]["total-failure-session-count"], 2);
    let detail = &found["failure-details"][0];
    assert_eq!(
        (
            &detail["result-type"],
            &detail["failed-session-count"],
            &detail["receiving-ip"],
            &detail["failure-reason-code"]
        ),
        (&Value::from("certificate-expired"), &Value::from(2), &Value::from("127.0.0.1"), &Value::from("whynot"))
    );
    assert_eq!(by_type("no-policy-found")["summary"]["total-successful-session-count"], 1);

    let queued = world.queued().await;
    let message = &queued["tls@else.test"];
    for part in [
        "TLS-Report-Domain: c.test\r\nTLS-Report-Submitter: demo.test\r\n",
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "Content-Type: application/tlsrpt+gzip\r\n",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let report: Value = serde_json::from_str(&attached(message)).unwrap();
    assert_eq!(report["policies"][0]["policy"]["policy-string"][0], "3 1 1 07");
    assert_eq!(reports.store.next(Kind::Tls, i64::MAX, None).unwrap(), None);
}
