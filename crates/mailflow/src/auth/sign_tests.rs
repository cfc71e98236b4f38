//! What we sign is good to us, and what was changed is not.

use std::sync::Arc;

use sterna_account::service::{MessageBody, SpoolFile};
use sterna_testkit::dns::DnsServer;

use super::keys::{self, KeyAlgorithm, Published};
use super::verdict::{Outcome, Verdict};
use super::verify::header_of;
use super::{OpenKey, Origin, Signer, Verifier};
use crate::remote::Dns;

const MESSAGE: &str = "From: Ana <ana@a.test>\r\nTo: ben@b.test\r\nSubject: the  terns\r\nDate: Thu, 01 Jan 1970 \
    00:00:00 +0000\r\n\r\nThe terns \r\nare back.\r\n\r\n\r\n";

/// A domain with keys, and a DNS that has them.
struct World {
    dns: DnsServer,
    resolver: Dns,
    verifier: Verifier,
}

impl World {
    fn new() -> Self {
        let dns = DnsServer::start();
        let resolver = Dns::new(&[dns.address]).unwrap();
        let verifier = Verifier::new(&resolver);
        World { dns, resolver, verifier }
    }

    fn signer(&self, domain: &str, algorithms: &[KeyAlgorithm]) -> Signer {
        let key = |algorithm: &KeyAlgorithm| {
            let new = keys::generate(*algorithm).unwrap();
            let selector = algorithm.name().to_owned();
            self.dns.txt(&keys::record_name(&selector, domain), &keys::record(*algorithm, &new.public));
            let found = run(keys::published(&self.resolver, domain, &selector, &new.public));
            assert_eq!(found, Published::Yes);
            OpenKey { algorithm: *algorithm, selector, private: new.private }
        };
        Signer::new(domain, &algorithms.iter().map(key).collect::<Vec<_>>()).unwrap()
    }

    fn verify(&self, message: &[u8]) -> Verdict {
        self.verify_body(&MessageBody::Inline(message.to_vec().into()))
    }

    fn verify_body(&self, body: &MessageBody) -> Verdict {
        run(async {
            let header = header_of(body).await.unwrap().unwrap();
            self.verifier.verify(&origin(), &header, body).await.unwrap()
        })
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn origin() -> Origin<'static> {
    let peer = "192.0.2.7".parse().unwrap();
    Origin { peer, helo: "mx.a.test", mail_from: "ana@a.test", own_name: "mx.tern.test" }
}

fn outcomes(verdict: &Verdict) -> Vec<(Outcome, &str)> {
    verdict.dkim.iter().map(|dkim| (dkim.outcome, &*dkim.algorithm)).collect()
}

#[test]
fn both_kinds_of_keys_sign_and_changes_are_found() {
    use KeyAlgorithm::{Ed25519, Rsa2048};
    let world = World::new();
    world.dns.txt("_dmarc.a.test", "v=DMARC1; p=reject");
    let signer = world.signer("a.test", &[Rsa2048, Ed25519]);
    let fields = signer.sign(&MessageBody::Inline(MESSAGE.into())).unwrap();
    assert_eq!(fields.matches("DKIM-Signature: ").count(), 2, "{fields}");
    let signed = fields + MESSAGE;
    let verdict = world.verify(signed.as_bytes());
    let both = |outcome| vec![(outcome, "rsa-sha256"), (outcome, "ed25519-sha256")];
    assert_eq!(outcomes(&verdict), both(Outcome::Pass), "{verdict:?}");
    assert_eq!(verdict.dmarc.outcome, Outcome::Pass);
    for (from, to, outcome) in [
        ("The terns", "The gulls", Outcome::Fail),
        ("Subject: the", "Subject: those", Outcome::Fail),
        ("From: Ana", "From: Eve <eve@a.test>\r\nFrom: Ana", Outcome::Fail),
        ("Subject: the  terns", "subject:  the terns ", Outcome::Pass),
        ("\r\nDate: ", "\r\nList-Id: <terns.a.test>\r\nDate: ", Outcome::Pass),
    ] {
        let changed = signed.replace(from, to);
        assert_ne!(changed, signed);
        assert_eq!(outcomes(&world.verify(changed.as_bytes())), both(outcome), "{from} became {to}");
    }
    world.dns.remove("rsa-2048._domainkey.a.test");
    let verdict = world.verify(signed.as_bytes());
    assert_eq!(verdict.dkim[0].outcome, Outcome::PermError, "{verdict:?}");
    assert_eq!(verdict.dkim[1].outcome, Outcome::Pass);
    let other = keys::generate(Rsa2048).unwrap();
    let found = |public: &str| run(keys::published(&world.resolver, "a.test", "rsa-2048", public));
    assert_eq!(found(&other.public), Published::Missing);
    world.dns.txt("rsa-2048._domainkey.a.test", "v=DKIM1; p=AAAA");
    assert_eq!(found(&other.public), Published::Differs("v=DKIM1; p=AAAA".to_owned()));
}

#[test]
fn a_message_in_a_file_is_signed_and_verified_piece_by_piece() {
    let world = World::new();
    let signer = world.signer("a.test", &[KeyAlgorithm::Rsa2048]);
    let folder = tempfile::tempdir().unwrap();
    let spooled = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: true }))
    };
    let large = MESSAGE.to_owned() + &"a line \t of  the body \r\n".repeat(50_000);
    let fields = signer.sign(&spooled("unsigned.eml", large.as_bytes())).unwrap();
    let mut signed = (fields + &large).into_bytes();
    assert_eq!(world.verify_body(&spooled("signed.eml", &signed)).dkim[0].outcome, Outcome::Pass);
    let last = signed.len() - 10;
    signed[last] = b'?';
    assert_eq!(world.verify_body(&spooled("changed.eml", &signed)).dkim[0].outcome, Outcome::Fail);
}

#[test]
fn sha_1_proves_nothing() {
    let world = World::new();
    let signer = world.signer("a.test", &[KeyAlgorithm::Rsa2048]);
    let fields = signer.sign(&MessageBody::Inline(MESSAGE.into())).unwrap();
    let verdict = world.verify((fields.replace("rsa-sha256", "rsa-sha1") + MESSAGE).as_bytes());
    assert_eq!(outcomes(&verdict), [(Outcome::PermError, "rsa-sha1")]);
}

#[test]
fn what_is_passed_on_is_sealed_and_each_seal_holds() {
    let world = World::new();
    world.dns.txt("a.test", "v=spf1 ip4:192.0.2.7 -all");
    world.dns.txt("_dmarc.a.test", "v=DMARC1; p=reject");
    let mut message = MESSAGE.to_owned();
    for (number, domain) in [(1, "list.test"), (2, "forward.test")] {
        let signer = world.signer(domain, &[KeyAlgorithm::Rsa2048]);
        let body = MessageBody::Inline(message.clone().into());
        let set = run(world.verifier.seal(&origin(), &body, &signer, domain)).unwrap().unwrap();
        assert!(set.contains(&format!("ARC-Authentication-Results: i={number}; {domain}")), "{set}");
        message = set + &message;
        let arc = world.verify(message.as_bytes()).arc;
        assert_eq!(
            (arc.outcome, arc.instances, arc.sealers.len(), arc.dmarc_passed),
            (Outcome::Pass, number, number as usize, true)
        );
        assert_eq!(arc.sealers.last().unwrap(), domain);
    }
    let changed = world.verify(message.replace("are back", "are gone").as_bytes()).arc;
    assert_eq!(changed.outcome, Outcome::Fail, "{changed:?}");
}
