//! Verification with a real DNS, and without one.

use std::net::SocketAddr;
use std::time::Duration;

use sterna_account::service::MessageBody;
use sterna_testkit::dns::{self, DnsServer};

use super::verdict::{Outcome, Verdict, Wish};
use super::verify::{DNS_TIMEOUT, Origin, Verifier, header_of};
use crate::remote::Dns;

/// Where tests' mail comes from.
const PEER: &str = "192.0.2.7";

fn verifier(server: SocketAddr) -> Verifier {
    Verifier::new(&Dns::new(&[server]).unwrap())
}

fn origin(mail_from: &'static str) -> Origin<'static> {
    Origin { peer: PEER.parse().unwrap(), helo: "mx.a.test", mail_from, own_name: "mx.tern.test" }
}

async fn verify(verifier: &Verifier, mail_from: &'static str, message: &[u8]) -> Verdict {
    let body = MessageBody::Inline(message.to_vec().into());
    let header = header_of(&body).await.unwrap().unwrap();
    verifier.verify(&origin(mail_from), &header, &body).await.unwrap()
}

/// The server's own runtime can't be used inside of another.
fn run<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(work)
}

const MESSAGE: &[u8] = b"Received: by mx.tern.test\r\nFrom: Ana <ana@a.test>\r\nSubject: x\r\n\r\ntext\r\n";

#[test]
fn domains_say_who_may_send_for_them() {
    let world = DnsServer::start();
    world.txt("a.test", "v=spf1 ip4:192.0.2.0/24 -all");
    world.txt("b.test", "v=spf1 ip4:198.51.100.0/24 -all");
    world.txt("c.test", "v=spf1 a:mx.c.test ~all");
    world.address("mx.c.test", PEER.parse().unwrap());
    world.txt("d.test", "v=spf1 ip4:nonsense");
    world.txt("mx.a.test", "v=spf1 ip4:192.0.2.7 -all");
    let verifier = verifier(world.address);
    for (mail_from, outcome, domain) in [
        ("ana@a.test", Outcome::Pass, "a.test"),
        ("ana@B.test", Outcome::Fail, "b.test"),
        ("ana@c.test", Outcome::Pass, "c.test"),
        ("ana@d.test", Outcome::PermError, "d.test"),
        ("ana@nowhere.test", Outcome::None, "nowhere.test"),
        ("", Outcome::Pass, "mx.a.test"),
    ] {
        let spf = run(verify(&verifier, mail_from, MESSAGE)).spf;
        assert_eq!((spf.outcome, &*spf.domain, spf.is_helo), (outcome, domain, mail_from.is_empty()), "{mail_from}");
    }
}

#[test]
fn authors_domains_say_what_they_want() {
    let world = DnsServer::start();
    world.txt("a.test", "v=spf1 ip4:192.0.2.7 -all");
    world.txt("_dmarc.a.test", "v=DMARC1; p=reject");
    world.txt("other.test", "v=spf1 ip4:192.0.2.7 -all");
    let verifier = verifier(world.address);
    let dmarc = |mail_from| {
        let dmarc = run(verify(&verifier, mail_from, MESSAGE)).dmarc;
        (dmarc.outcome, dmarc.wish)
    };
    assert_eq!(dmarc("ana@a.test"), (Outcome::Pass, Wish::Reject));
    assert_eq!(dmarc("ana@other.test"), (Outcome::Fail, Wish::Reject), "another's SPF says nothing of the author");
    assert_eq!(dmarc(""), (Outcome::Fail, Wish::Reject));
    world.remove("_dmarc.a.test");
    assert_eq!(dmarc("ana@other.test"), (Outcome::None, Wish::None));
    world.txt("_dmarc.a.test", "v=DMARC1; p=quarantine");
    assert_eq!(dmarc("ana@other.test"), (Outcome::Fail, Wish::Quarantine));
    let two = run(verify(&verifier, "x@a.test", b"From: a@a.test, b@b.test\r\n\r\n"));
    assert_eq!((two.dmarc.outcome, &*two.dmarc.domain), (Outcome::None, ""));
}

#[test]
fn a_dns_that_is_gone_is_noted() {
    let world = DnsServer::start();
    let verifier = verifier(world.address);
    drop(world);
    let verdict = run(async {
        tokio::time::pause();
        verify(&verifier, "ana@a.test", MESSAGE).await
    });
    assert_eq!((verdict.spf.outcome, verdict.dmarc.outcome), (Outcome::TempError, Outcome::TempError));
    assert_eq!(verdict.dmarc.domain, "a.test");
}

#[test]
fn a_dns_that_is_silent_costs_one_message_its_time_and_not_the_next() {
    let (address, _udp, _tcp) = dns::silent();
    let verifier = verifier(address);
    let signed = [
        &b"DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=s; h=from; bh=AAAA; b=AAAA; c=relaxed/relaxed\r\n"[..],
        MESSAGE,
    ]
    .concat();
    run(async {
        tokio::time::pause();
        let begin = tokio::time::Instant::now();
        let verdict = verify(&verifier, "ana@a.test", &signed).await;
        assert_eq!((verdict.spf.outcome, verdict.dmarc.outcome), (Outcome::TempError, Outcome::TempError));
        assert!(begin.elapsed() < DNS_TIMEOUT + Duration::from_secs(1), "{:?}", begin.elapsed());
        let begin = tokio::time::Instant::now();
        verify(&verifier, "ana@a.test", &signed).await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    });
}

/// Who forges chooses the domains that are asked, and their DNS: their silence must not make the author's uncertain.
#[test]
fn a_silent_signer_does_not_help_a_forgery() {
    let world = DnsServer::start();
    world.txt("a.test", "v=spf1 -all");
    world.txt("_dmarc.a.test", "v=DMARC1; p=reject");
    let verifier = verifier(dns::muffled(world.address, "slow"));
    // It waits for two seconds instead of twenty.
    verifier.note(true);
    // The hash is right, so that only the keys are missing.
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"text\r\n");
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash.as_ref());
    let signature = |domain: &str| {
        format!("DKIM-Signature: v=1; a=rsa-sha256; d={domain}; s=s; h=from; bh={hash}; b=AAAA; c=relaxed/relaxed\r\n")
    };
    let message = [signature("slow.test").as_bytes(), signature("a.test").as_bytes(), MESSAGE].concat();
    let verdict = run(verify(&verifier, "x@slow.test", &message));
    assert_eq!((verdict.dmarc.outcome, verdict.dmarc.wish), (Outcome::Fail, Wish::Reject), "{verdict:?}");
    assert_eq!(verdict.spf.outcome, Outcome::TempError);
    let of = |domain: &str| verdict.dkim.iter().find(|dkim| dkim.domain == domain).unwrap().outcome;
    assert_eq!(of("slow.test"), Outcome::TempError);
    assert_ne!(of("a.test"), Outcome::TempError);
}
