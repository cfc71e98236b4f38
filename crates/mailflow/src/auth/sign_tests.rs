//! What we sign is good to us, and what was changed is not.

use std::io::Write;
use std::process::{Command, Stdio};
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
        let set = run(world.verifier.seal(&results(domain), &body, &signer)).unwrap().unwrap();
        let start = format!("ARC-Authentication-Results: i={number}; {domain};\r\n\tspf=pass");
        assert!(set.contains(&start), "{set}");
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
    let signer = world.signer("third.test", &[KeyAlgorithm::Rsa2048]);
    let broken = MessageBody::Inline(message.replace("are back", "are gone").into());
    assert_eq!(run(world.verifier.seal(&results("third.test"), &broken, &signer)).unwrap(), None);
}

/// As the gate writes them.
fn results(authserv_id: &str) -> String {
    format!(
        "{authserv_id}; spf=pass smtp.mailfrom=ana@a.test; dkim=none; dmarc=pass (p=reject dis=none) header.from=a.test"
    )
}

/// The implementation that Debian has in Python, which shares nothing with ours.
const DKIMPY: &str = r#"
import dkim, sys
records = dict(line.split('\t', 1) for line in open(sys.argv[2]).read().splitlines())
find = lambda name, timeout=5: records[name.decode().rstrip('.')].encode()
message = sys.stdin.buffer.read()
if sys.argv[1] == 'verify':
    for index in range(int(sys.argv[3])):
        assert dkim.DKIM(message).verify(idx=index, dnsfunc=find), index
elif sys.argv[1] == 'arc':
    verdict, results, reason = dkim.arc_verify(message, dnsfunc=find)
    assert verdict == dkim.CV_Pass, (verdict, results, reason)
else:
    key = open(sys.argv[3], 'rb').read()
    sys.stdout.buffer.write(dkim.sign(message, b'theirs', b'a.test', key) + message)
"#;

/// Runs it; `None` where it is not installed.
fn dkimpy(arguments: &[&str], message: &[u8]) -> Option<Vec<u8>> {
    if !sterna_testkit::binary::have(&["dkimsign"]) {
        return None;
    }
    let mut command = Command::new("/usr/bin/python3");
    let command = command.args(["-c", DKIMPY]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn another_implementation_agrees() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    let mut text = String::new();
    let mut signer = |domain: &str, algorithms: &[KeyAlgorithm]| {
        let key = |algorithm: &KeyAlgorithm| {
            let new = keys::generate(*algorithm).unwrap();
            let selector = algorithm.name().to_owned();
            let (name, record) = (keys::record_name(&selector, domain), keys::record(*algorithm, &new.public));
            world.dns.txt(&name, &record);
            text += &format!("{name}\t{record}\n");
            OpenKey { algorithm: *algorithm, selector, private: new.private }
        };
        let keys: Vec<OpenKey> = algorithms.iter().map(key).collect();
        (Signer::new(domain, &keys).unwrap(), keys)
    };
    let (author, keys) = signer("a.test", &[KeyAlgorithm::Rsa2048, KeyAlgorithm::Ed25519]);
    let (forwarder, _) = signer("forward.test", &[KeyAlgorithm::Rsa2048]);
    std::fs::write(&records, text).unwrap();
    let records = records.to_str().unwrap();

    let signed = author.sign(&MessageBody::Inline(MESSAGE.into())).unwrap() + MESSAGE;
    if dkimpy(&["verify", records, "2"], signed.as_bytes()).is_none() {
        return;
    }
    let body = MessageBody::Inline(signed.clone().into());
    let set = run(world.verifier.seal(&results("forward.test"), &body, &forwarder)).unwrap().unwrap();
    dkimpy(&["arc", records], (set + &signed).as_bytes());

    let pem = folder.path().join("key.pem");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &keys[0].private);
    let lines = encoded.as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect::<Vec<_>>();
    let pem_text = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    std::fs::write(&pem, pem_text).unwrap();
    let theirs = dkimpy(&["sign", records, pem.to_str().unwrap()], MESSAGE.as_bytes()).unwrap();
    let text = std::fs::read_to_string(records).unwrap();
    let (_, record) = text.lines().next().and_then(|line| line.split_once('\t')).unwrap();
    world.dns.txt("theirs._domainkey.a.test", record);
    assert_eq!(outcomes(&world.verify(&theirs)), [(Outcome::Pass, "rsa-sha256")]);
}
