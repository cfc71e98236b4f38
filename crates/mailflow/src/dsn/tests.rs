//! What notifications look like.

use sterna_base::{ManualClock, Timestamp};
use sterna_testkit::dns::DnsServer;

use super::report::{Action, Report, Reported};
use super::*;
use crate::auth::keys::{self, KeyAlgorithm};
use crate::auth::{OpenKey, Origin, Signer, Verifier, header_of};
use crate::delivery::Keep;
use crate::outbound::OutboundSettings;
use crate::provenance::Provenance;
use crate::remote::Dns;
use crate::tests::FakeRecipients;

fn envelope() -> QueuedEnvelope {
    QueuedEnvelope {
        mail_from: "ana@demo.test".into(),
        envelope_id: Some("QQ314159".into()),
        return_headers_only: false,
        eight_bit: false,
        utf8: false,
        keep: Keep::Inbox,
        provenance: Provenance::default(),
        origin: String::new(),
        received: Timestamp::from_seconds(1_000_000_000),
        expires: Timestamp::from_seconds(1_000_432_000),
    }
}

fn report(language: Language, recipients: Vec<Reported<'_>>) -> String {
    let envelope = envelope();
    let report = Report {
        own_name: "mx.demo.test",
        id: "0123".into(),
        envelope: &envelope,
        recipients,
        unnamed: 0,
        original: b"Subject: hello\r\n\r\nbody\r\n",
        is_whole: true,
        now: Timestamp::from_seconds(1_000_000_100),
        language,
    };
    String::from_utf8(report.message_within(INLINE_BLOB_BYTES_MAX)).unwrap()
}

#[test]
fn programs_read_why() {
    let said = Said {
        host: "mx.far.test [192.0.2.1]".into(),
        text: "550 5.1.1 No such\r\nuser".into(),
        status: (5, 1, 1),
        is_reply: true,
    };
    let failed =
        Reported { address: "ben@far.test", original: Some("rfc822;b@x"), action: Action::Failed, said: &said };
    let message = report(Language::English, vec![failed]);
    for line in [
        "Reporting-MTA: dns; mx.demo.test\r\n",
        "Original-Envelope-Id: QQ314159\r\n",
        "Original-Recipient: rfc822;b@x\r\nFinal-Recipient: rfc822; ben@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Remote-MTA: dns; mx.far.test\r\nDiagnostic-Code: smtp; 550 5.1.1 No such  user\r\n",
        "Content-Type: message/rfc822\r\n",
        "\r\nSubject: hello\r\n\r\nbody\r\n\r\n--=_0123--\r\n",
    ] {
        assert!(message.contains(line), "{line:?} is not in {message}");
    }
    assert!(message.starts_with("Return-Path: <>\r\n"));
}

#[test]
fn a_report_is_as_long_as_a_row_at_most() {
    let said =
        Said { host: "mx.far.test [192.0.2.1]".into(), text: "x".repeat(900), status: (5, 1, 1), is_reply: true };
    let original = format!("Subject: {}\r\n\r\n{}", "hello ".repeat(20), "body ".repeat(9_000));
    let envelope = envelope();
    let message = |addresses: &[String]| {
        let reported = |address| Reported { address, original: None, action: Action::Failed, said: &said };
        let report = Report {
            own_name: "mx.demo.test",
            id: "0123".into(),
            envelope: &envelope,
            recipients: addresses.iter().map(|address| reported(address.as_str())).collect(),
            unnamed: 0,
            original: original.as_bytes(),
            is_whole: true,
            now: Timestamp::from_seconds(1_000_000_100),
            language: Language::English,
        };
        let message = report.message_within(INLINE_BLOB_BYTES_MAX);
        assert!(message.len() <= INLINE_BLOB_BYTES_MAX, "{} bytes", message.len());
        String::from_utf8(message).unwrap()
    };
    let addresses = |count: usize, bytes: usize| -> Vec<String> {
        (0..count).map(|number| format!("{number:0bytes$}@far.test")).collect()
    };
    let few = message(&addresses(2, 10));
    assert!(few.contains("body body") && few.contains(&said.text));
    let some = message(&addresses(60, 10));
    assert!(!some.contains("body body") && some.contains("hello hello") && some.contains(&said.text));
    let all = addresses(REPORTED_MAX, 10);
    let many = message(&all);
    assert!(all.iter().all(|address| many.contains(&format!("Final-Recipient: rfc822; {address}\r\n"))));
    assert!(many.contains(&"x".repeat(160)) && !many.contains(&"x".repeat(161)) && !many.contains("(+"));
    assert!(message(&addresses(REPORTED_MAX, 240)).contains("  … (+100)\r\n"));
}

#[test]
fn people_read_it_in_their_language() {
    let said = Said { text: "no route".into(), status: (4, 4, 1), ..Said::default() };
    let delayed = || vec![Reported { address: "ben@far.test", original: None, action: Action::Delayed, said: &said }];
    let message = report(Language::of("de-AT"), delayed());
    assert!(message.contains("Content-Language: de\r\n"));
    assert!(message.contains("Es wird weiter versucht bis Fri, 14 Sep 2001"));
    assert!(message.contains("Will-Retry-Until: Fri, 14 Sep 2001"));
    let message = report(Language::of("fr"), delayed());
    assert!(message.contains("Subject: =?utf-8?B?Vm90cmUgbWVzc2FnZSBlc3QgcmV0YXJkw6k=?=\r\n"), "{message}");
    assert!(report(Language::of("xx"), delayed()).contains("Subject: Your message is delayed\r\n"));
}

#[test]
fn notify_says_what_is_told() {
    let rcpt = |notify: Option<&str>| Rcpt { notify: notify.map(str::to_owned), ..Rcpt::default() };
    let failed = Delivered::Failed(Said::default());
    let deferred = Delivered::Deferred(Said::default());
    let relayed = |tells_sender| Delivered::Relayed { said: Said::default(), tells_sender };
    assert_eq!(action(&rcpt(None), &failed, false), Some(Action::Failed));
    assert_eq!(action(&rcpt(Some("NEVER")), &failed, false), None);
    assert_eq!(action(&rcpt(Some("SUCCESS")), &failed, false), None);
    assert_eq!(action(&rcpt(None), &deferred, false), None);
    assert_eq!(action(&rcpt(None), &deferred, true), Some(Action::Delayed));
    assert_eq!(action(&rcpt(Some("FAILURE")), &deferred, true), None);
    assert_eq!(action(&rcpt(None), &relayed(false), false), None);
    assert_eq!(action(&rcpt(Some("success,delay")), &relayed(false), false), Some(Action::Relayed));
    assert_eq!(action(&rcpt(Some("SUCCESS")), &relayed(true), false), None);
}

#[test]
fn a_header_ends_where_it_ends() {
    assert_eq!(header(b"A: b\r\nC: d\r\n\r\nbody"), b"A: b\r\nC: d\r\n");
    assert_eq!(header(b"A: b\r\nC: d"), b"A: b\r\n");
    assert_eq!(header(b""), b"");
}

#[test]
fn notifications_are_signed_by_the_domain_of_this_host() {
    let dns = DnsServer::start();
    let key = keys::generate(KeyAlgorithm::Ed25519).unwrap();
    dns.txt(&keys::record_name("s1", "demo.test"), &keys::record(KeyAlgorithm::Ed25519, &key.public));
    let open = OpenKey { algorithm: KeyAlgorithm::Ed25519, selector: "s1".into(), private: key.private };
    let signer = Arc::new(Signer::new("demo.test", &[open]).unwrap());
    let signers = Signers::new([("demo.test".to_owned(), signer)].into());
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path()).unwrap();
    let settings = OutboundSettings { own_name: "mx.demo.test".into(), ..OutboundSettings::default() };
    let outbound = Arc::new(Outbound::new(Arc::new(FakeRecipients), watch::channel(settings).1));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000_000_000)));
    let dsn = Dsn::new(queue, outbound, clock).with_signers(watch::channel(signers).1);
    let mut delivery = crate::remote::tests::delivery("far.test", &["ben@far.test"]);
    delivery.envelope.mail_from = "zoe@other.test".into();
    let outcome = Outcome { recipient: delivery.recipients[0].id, result: Delivered::Failed(Said::default()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let told = dsn.notification(&delivery, &[outcome], false).await.unwrap();
        let MessageBody::Inline(bytes) = &told.body else { panic!("it is small") };
        assert_eq!((told.size_bytes, told.hash), (bytes.len() as u64, BlobHash::of(bytes)));
        let text = String::from_utf8_lossy(bytes).into_owned();
        assert!(text.starts_with("Return-Path: <>\r\nDKIM-Signature: "), "{text}");
        let verifier = Verifier::new(&Dns::new(&[dns.address]).unwrap());
        let peer = "192.0.2.7".parse().unwrap();
        let origin = Origin { peer, helo: "mx.demo.test", mail_from: "", own_name: "mx.far.test" };
        let header = header_of(&told.body).await.unwrap().unwrap();
        let verdict = verifier.verify(&origin, &header, &told.body).await.unwrap();
        assert_eq!(verdict.dkim.iter().map(|dkim| dkim.outcome.to_string()).collect::<Vec<_>>(), ["pass"]);
    });
}
