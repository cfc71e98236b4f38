//! Mail from other servers is verified with a real DNS, and without one.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::{have, have_root};
use sterna_testkit::dns::DnsServer;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::postfix::Postfix;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const ZOE: &str = "zoe@far.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// One node that does everything, with ana.
fn one() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    installation
}

fn set(installation: &Installation, name: &str, value: &str) {
    installation.admin_ok("main", &["setting", "set", name, value]);
}

fn mail(header: &str, subject: &str) -> Vec<u8> {
    format!("{header}From: Zoe <{ZOE}>\r\nTo: {ANA}\r\nSubject: {subject}\r\n\r\nThe terns are back.\r\n").into_bytes()
}

/// The reply to a message that a stranger hands in.
fn hand_in(installation: &Installation, from: &str, message: &[u8]) -> String {
    installation.node("main").at.smtp().unwrap().deliver(from, &[ANA], message).unwrap()
}

/// The texts of a mailbox.
fn texts(imap: &mut Imap, mailbox: &str) -> Vec<String> {
    imap.command(&format!("SELECT {mailbox}")).unwrap();
    let answer = imap.command("UID SEARCH ALL").unwrap();
    let line = answer.lines.iter().find(|line| line.starts_with("* ") && line.contains("SEARCH")).unwrap().clone();
    let uids: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let fetch = |uid: u32| {
        let answer = imap.command(&format!("UID FETCH {uid} BODY.PEEK[]")).unwrap();
        answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    };
    uids.into_iter().map(fetch).collect()
}

/// The last text of ana's INBOX without folding.
fn last(installation: &Installation) -> String {
    let mut imap = installation.node("main").at.login(ANA).unwrap();
    texts(&mut imap, "INBOX").pop().unwrap().replace("\r\n\t", " ")
}

#[test]
fn results_are_written_and_forged_ones_taken_out() {
    let installation = one();
    installation.dns.txt("far.test", "v=spf1 ip4:127.0.0.0/8 -all");
    installation.dns.txt("_dmarc.far.test", "v=DMARC1; p=reject");
    let forged = "Authentication-Results: main; dkim=pass header.d=bank.test\r\n\
        Authentication-Results: elsewhere.test; spf=fail\r\n";
    let reply = hand_in(&installation, ZOE, &mail(forged, "verified"));
    assert!(reply.starts_with("250"), "{reply}");
    let text = last(&installation);
    let ours = "Authentication-Results: main; spf=pass smtp.mailfrom=zoe@far.test; dkim=none; \
        dmarc=pass (p=reject dis=none) header.from=far.test\r\nReceived-SPF: pass receiver=main; client-ip=127.0.0.1;";
    assert!(text.starts_with(&format!("Return-Path: <{ZOE}>\r\n{ours}")), "{text}");
    assert!(!text.contains("bank.test") && text.contains("elsewhere.test; spf=fail"), "{text}");

    // Who is trusted is not asked, and neither are users.
    set(&installation, "mail.networks", "127.0.0.0/8");
    until("the setting", PATIENCE, || {
        let reply = hand_in(&installation, "other@nowhere.test", &mail("", "trusted"));
        reply.starts_with("250").then_some(())
    });
    assert!(!last(&installation).contains("Authentication-Results"));
    let mut submission = installation.node("main").at.submission(ANA).unwrap();
    let own = format!("{forged}From: {ANA}\r\nSubject: own\r\n\r\nx\r\n");
    assert!(submission.deliver(ANA, &[ANA], own.as_bytes()).unwrap().starts_with("250"));
    let text = last(&installation);
    assert!(!text.contains("bank.test") && text.contains("elsewhere.test; spf=fail"), "{text}");
}

#[test]
fn what_has_no_author_goes_into_junk() {
    let installation = one();
    for header in ["", "From: a@far.test, b@other.test\r\n", "From: nobody\r\n"] {
        let message = format!("{header}Subject: whose?\r\n\r\nx\r\n");
        let reply = hand_in(&installation, ZOE, message.as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
    let mut imap = installation.node("main").at.login(ANA).unwrap();
    assert_eq!((texts(&mut imap, "INBOX").len(), texts(&mut imap, "Junk").len()), (0, 3));
}

#[test]
fn what_its_authors_domain_wants_refused_is_refused() {
    let installation = one();
    installation.dns.txt("_dmarc.far.test", "v=DMARC1; p=reject");
    let large = [&mail("", "large")[..], &b"0123456789\r\n".repeat(60_000)].concat();
    for message in [&mail("", "forged")[..], &large] {
        let reply = hand_in(&installation, "x@other.test", message);
        assert!(reply.starts_with("550 5.7.26 far.test"), "{reply}");
    }
    installation.dns.remove("_dmarc.far.test");
    installation.dns.txt("_dmarc.far.test", "v=DMARC1; p=quarantine");
    let reply = hand_in(&installation, "x@other.test", &large);
    assert!(reply.starts_with("250"), "{reply}");
    let mut imap = installation.node("main").at.login(ANA).unwrap();
    assert!(texts(&mut imap, "INBOX").is_empty());
    let junk = texts(&mut imap, "Junk").pop().unwrap();
    assert!(junk.contains("dmarc=fail (p=quarantine dis=quarantine) header.from=far.test"), "{}", &junk[..500]);
    assert!(junk.ends_with("0123456789\r\n") && junk.len() > large.len());

    set(&installation, "mail.dmarc", "mark");
    until("the setting", PATIENCE, || {
        hand_in(&installation, "x@other.test", &mail("", "marked"));
        (!texts(&mut imap, "INBOX").is_empty()).then_some(())
    });
    assert!(last(&installation).contains("dmarc=fail (p=quarantine dis=none)"));
    set(&installation, "mail.dmarc", "off");
    until("the setting", PATIENCE, || {
        hand_in(&installation, "x@other.test", &mail("", "not looked at"));
        (!last(&installation).contains("Authentication-Results")).then_some(())
    });
}

#[test]
fn mail_is_taken_although_dns_is_gone() {
    let mut installation = one();
    drop(std::mem::replace(&mut installation.dns, DnsServer::start()));
    let reply = hand_in(&installation, ZOE, &mail("", "unverified"));
    assert!(reply.starts_with("250"), "{reply}");
    let text = last(&installation);
    assert!(text.contains("spf=temperror") && text.contains("dmarc=temperror (p=none dis=none)"), "{text}");
}

/// A command whose answer is JSON.
fn json(installation: &Installation, arguments: &[&str]) -> Value {
    let text = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Makes a key of near.test, publishes it, and signs with it; its selector.
fn key(near: &Installation, arguments: &[&str]) -> String {
    let made = json(near, &[&["dkim"], arguments].concat());
    let (selector, name) = (made["selector"].as_str().unwrap(), made["record_name"].as_str().unwrap());
    let refused = near.admin("main", &["dkim", "activate", "near.test", selector]);
    let cause = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && cause.contains("DNS has no such record"), "{cause}");
    near.dns.txt(name, made["record"].as_str().unwrap());
    near.admin_ok("main", &["dkim", "activate", "near.test", selector]);
    selector.to_owned()
}

#[test]
fn signed_mail_goes_by_mx_records_from_one_installation_to_another() {
    if !have_root() {
        return;
    }
    let mut near = Installation::new();
    near.start_main("main", Place::default());
    near.join_and_serve("alpha", "data", Place::default());
    near.join_and_serve("edge", "edge", Place::default());
    near.admin_ok("main", &["domain", "create", "near.test"]);
    near.create_user("ana@near.test", "alpha");
    let mut far = Installation::new();
    far.set_nameserver(near.dns.address);
    let place = far.exchanger();
    let exchanger = place.at.unwrap().host;
    far.start_main("main,edge,data", place);
    far.admin_ok("main", &["domain", "create", "far.test"]);
    far.create_user(ZOE, "main");

    // The first exchanger is dead: nobody listens there.
    near.dns.mx("far.test", 10, "dead.far.test");
    near.dns.mx("far.test", 20, "mx.far.test");
    near.dns.address("dead.far.test", "127.255.255.1".parse().unwrap());
    near.dns.address("mx.far.test", exchanger);
    near.dns.txt("_dmarc.near.test", "v=DMARC1; p=reject");
    let rsa = key(&near, &["generate", "near.test"]);
    let ed = key(&near, &["generate", "near.test", "--algorithm", "ed25519"]);

    let send = |subject: &str| {
        let message = format!("From: Ana <ana@near.test>\r\nTo: {ZOE}\r\nSubject: {subject}\r\n\r\nThe terns.\r\n");
        let mut smtp = near.node("edge").at.submission("ana@near.test").unwrap();
        let reply = smtp.deliver("ana@near.test", &[ZOE], message.as_bytes()).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    };
    let mut zoe = far.node("main").at.login(ZOE).unwrap();
    let mut receive = |subject: &str| {
        let subject = format!("Subject: {subject}\r\n");
        until("the message", PATIENCE, || texts(&mut zoe, "INBOX").into_iter().find(|text| text.contains(&subject))).0
    };
    // The edge opens its keys a moment after it has heard of them.
    let (_, (first, _)) = (0..)
        .map(|number| {
            (number, {
                send(&format!("signed {number}"));
                let text = receive(&format!("signed {number}"));
                let signatures = text.matches("DKIM-Signature:").count();
                (text, signatures)
            })
        })
        .find(|(number, (_, signatures))| *signatures == 2 || *number > 50)
        .unwrap();
    let results = first.replace("\r\n\t", " ");
    for selector in [&rsa, &ed] {
        assert!(results.contains(&format!("dkim=pass header.d=near.test header.s={selector}")), "{results}");
    }
    assert!(results.contains("dmarc=pass (p=reject dis=none) header.from=near.test"), "{results}");
    assert!(near.node("edge").dir.join("signing.secret").exists());
    assert!(!near.node("alpha").dir.join("signing.secret").exists(), "data servers don't sign");

    // What somebody changes on the way is refused, because its author's domain wants it so.
    let changed = first.split_once("\r\n\r\n").map(|(header, _)| format!("{header}\r\n\r\nThe gulls.\r\n")).unwrap();
    let mut stranger = far.node("main").at.smtp().unwrap();
    let reply = stranger.deliver("eve@other.test", &[ZOE], changed.as_bytes()).unwrap();
    assert!(reply.starts_with("550 5.7.26"), "{reply}");
    let reply = stranger.deliver("list@other.test", &[ZOE], first.as_bytes()).unwrap();
    assert!(reply.starts_with("250"), "{reply}");

    // A new key takes over; the former one retires, and can be taken away.
    let newer = key(&near, &["generate", "near.test", "--selector", "newer"]);
    let keys = json(&near, &["dkim", "list", "near.test"]);
    let state = |selector: &str| {
        keys.as_array().unwrap().iter().find(|key| key["selector"] == selector).unwrap()["state"].clone()
    };
    assert_eq!((state(&rsa), state(&ed), state(&newer)), ("retired".into(), "active".into(), "active".into()));
    assert!(!near.admin("main", &["dkim", "remove", "near.test", &newer, "--yes"]).status.success());
    near.admin_ok("main", &["dkim", "remove", "near.test", &rsa, "--yes"]);
    let mut number = 0;
    until("the new key", PATIENCE, || {
        number += 1;
        send(&format!("newer {number}"));
        receive(&format!("newer {number}")).contains("header.s=newer").then_some(())
    });
}

/// Another implementation's word on ARC.
const ARC_VERIFY: &str = r#"
import dkim, sys
records = dict(line.split('\t', 1) for line in open(sys.argv[1]).read().splitlines())
find = lambda name, timeout=5: records[name.decode().rstrip('.')].encode()
verdict, results, reason = dkim.arc_verify(sys.stdin.buffer.read(), dnsfunc=find)
assert verdict == dkim.CV_Pass, (verdict, results, reason)
assert results[0]['as-domain'] == b'near.test', results
"#;

fn arc_holds(records: &std::path::Path, message: &str) {
    let mut command = Command::new("/usr/bin/python3");
    command.arg("-c").arg(ARC_VERIFY).arg(records);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message.replace('\n', "\r\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{message}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_sent_on_is_sealed_with_what_was_found_out() {
    if !have(&["postfix", "dkimsign"]) || !have_root() {
        return;
    }
    let mut near = Installation::new();
    near.start_main("main,edge", Place::default());
    near.join_and_serve("alpha", "data", Place::default());
    near.admin_ok("main", &["domain", "create", "near.test"]);
    for user in ["ana@near.test", "ben@near.test"] {
        near.create_user(user, "alpha");
    }
    let at = near.node("main").at;
    let postfix = Postfix::start(SocketAddr::new(at.host, at.ports.smtp));
    set(&near, "relay.host", &postfix.address.to_string());
    near.dns.txt("other.test", "v=spf1 ip4:127.0.0.0/8 -all");
    near.dns.txt("_dmarc.other.test", "v=DMARC1; p=reject");
    let selector = key(&near, &["generate", "near.test"]);
    let keys = json(&near, &["dkim", "list", "near.test"]);
    let (name, record) = (keys[0]["record_name"].as_str().unwrap(), keys[0]["record"].as_str().unwrap());
    let records = near.folder().join("records");
    std::fs::write(&records, format!("{name}\t{record}\n")).unwrap();
    near.admin_ok("main", &["user", "set", "ana@near.test", "--forward", "zoe@far.test"]);
    let script = near.folder().join("script.sieve");
    std::fs::write(&script, "redirect \"zoe@far.test\";\n").unwrap();
    near.admin_ok("main", &["sieve", "put", "ben@near.test", "on", &script.to_string_lossy(), "--activate"]);

    let mut smtp = near.node("main").at.smtp().unwrap();
    let arrived = |subject: &str| {
        let subject = format!("Subject: {subject}\n");
        until("the message", PATIENCE, || postfix.messages("zoe").into_iter().find(|text| text.contains(&subject))).0
    };
    let mut hand_in = |to: &str, subject: &str| {
        // Postfix adds what is missing of these, and seals are over what is missing, too.
        let usual = format!(
            "Message-ID: <{}@other.test>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n",
            subject.replace(' ', ".")
        );
        let header = format!("{usual}From: Zoe <zoe@other.test>\r\nTo: {to}\r\nSubject: {subject}\r\n");
        let forged = "Authentication-Results: main; dmarc=pass header.from=bank.test\r\n";
        let message = format!("{forged}{header}\r\nThe terns.\r\n");
        let reply = smtp.deliver("zoe@other.test", &[to], message.as_bytes()).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    };
    let mut send = |to: &str, subject: &str| {
        hand_in(to, subject);
        arrived(subject)
    };
    // The edge opens its key a moment after it has heard of it.
    let mut number = 0;
    let sealed = until("a seal", PATIENCE, || {
        number += 1;
        Some(send("ana@near.test", &format!("forwarded {number}"))).filter(|text| text.contains("ARC-Seal:"))
    });
    let redirected = send("ben@near.test", "redirected");
    // What waited for its account is sealed with what was found out before it waited.
    near.stop("alpha");
    hand_in("ben@near.test", "redirected later");
    near.serve("alpha");
    let later = arrived("redirected later");
    for (text, from) in [(sealed.0, "ana@near.test"), (redirected, "ben@near.test"), (later, "ben@near.test")] {
        assert!(text.contains(&format!("Delivered-To: {from}\n")), "{text}");
        assert!(text.contains(&format!("s={selector}; d=near.test")) && !text.contains("bank.test"), "{text}");
        let unfolded = text.replace("\n\t", " ");
        let results = "ARC-Authentication-Results: i=1; main; spf=pass smtp.mailfrom=zoe@other.test; dkim=none; \
            dmarc=pass (p=reject dis=none) header.from=other.test";
        assert!(unfolded.contains(results), "{unfolded}");
        arc_holds(&records, &text);
    }
}
