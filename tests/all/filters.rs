//! Mail passes ClamAV, rspamd and milters, as Debian has them, and goes on without them as it was set.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::have;
use sterna_testkit::filters::{Clamd, GTUBE, INFECTED, OpenDkim, PythonMilter, Rspamd};
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// One node that does everything, with ana and ben, which verifies nothing.
fn one() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    installation.create_user(BEN, "main");
    set(&installation, "mail.dmarc", "off");
    installation
}

fn set(installation: &Installation, name: &str, value: &str) {
    installation.admin_ok("main", &["config", "set", name, value]);
}

fn mail(subject: &str, text: &str) -> Vec<u8> {
    format!("From: Zoe <zoe@far.test>\r\nTo: {ANA}\r\nMessage-ID: <{subject}@far.test>\r\nSubject: {subject}\r\n\r\n{text}\r\n")
        .into_bytes()
}

/// The reply to a message of a stranger.
fn hand_in(installation: &Installation, message: &[u8]) -> String {
    installation.node("main").at.smtp().unwrap().deliver("zoe@far.test", &[ANA], message).unwrap()
}

/// The reply to a message of ana's.
fn submit(installation: &Installation, message: &[u8]) -> String {
    installation.node("main").at.submission(ANA).unwrap().deliver(ANA, &[BEN], message).unwrap()
}

/// Hands in until a setting is in force, which is when the reply begins like this.
fn until_reply(installation: &Installation, message: &[u8], start: &str) -> String {
    until(start, PATIENCE, || Some(hand_in(installation, message)).filter(|reply| reply.starts_with(start))).0
}

fn texts(installation: &Installation, user: &str, mailbox: &str) -> Vec<String> {
    let mut imap: Imap = installation.node("main").at.login(user).unwrap();
    imap.command(&format!("SELECT {mailbox}")).unwrap();
    let answer = imap.command("UID SEARCH ALL").unwrap();
    // A mailbox that isn't there yet is empty.
    let found = answer.lines.iter().find(|line| line.starts_with("* ") && line.contains("SEARCH"));
    let Some(line) = found.cloned() else { return Vec::new() };
    let uids: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let fetch = |uid: u32| {
        let answer = imap.command(&format!("UID FETCH {uid} BODY.PEEK[]")).unwrap();
        answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    };
    uids.into_iter().map(fetch).collect()
}

fn last(installation: &Installation, user: &str, mailbox: &str) -> String {
    texts(installation, user, mailbox).pop().unwrap_or_else(|| panic!("{mailbox} of {user} is empty"))
}

/// What the trace has of a message once a filter's word is in it.
fn traced(installation: &Installation, subject: &str, part: &str) -> String {
    let id = format!("<{subject}@far.test>");
    until(part, PATIENCE, || {
        let output = installation.admin("main", &["--json", "trace", &id]);
        let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        let text = answer.to_string();
        text.contains(part).then_some(text)
    })
    .0
}

/// What `sterna status` says while something is wrong.
fn problems(installation: &Installation) -> String {
    String::from_utf8_lossy(&installation.admin("main", &["status"]).stdout).into_owned()
}

#[test]
fn clamav_finds_what_it_knows() {
    if !have(&["clamd"]) {
        return;
    }
    let installation = one();
    let mut clamd = Clamd::start(1_000_000);
    set(&installation, "clamav.address", &clamd.address());
    let infected = mail("infected", INFECTED);
    let reply = until_reply(&installation, &infected, "550 5.7.1");
    assert!(reply.contains("The message is infected: Tern.Test"), "{reply}");
    assert!(submit(&installation, &infected).starts_with("550 5.7.1"));
    let spread = [&mail("spread", "")[..], &b"0123456789\r\n".repeat(60_000), INFECTED.as_bytes(), b"\r\n"].concat();
    assert!(hand_in(&installation, &spread).starts_with("550 5.7.1"), "far behind, and in a spool file");
    traced(&installation, "infected", "filter clamav: refused: Tern.Test");
    let forged = [&b"X-Virus-Status: Clean (forged)\r\n"[..], &mail("clean", "The terns are back.")].concat();
    assert!(hand_in(&installation, &forged).starts_with("250"));
    let text = last(&installation, ANA, "INBOX");
    assert!(text.contains("X-Virus-Status: Clean\r\n") && !text.contains("forged"), "{text}");

    // Larger than it takes: what is done is a setting.
    let large = [&mail("large", INFECTED)[..], &b"0123456789\r\n".repeat(120_000)].concat();
    assert!(hand_in(&installation, &large).starts_with("250"));
    traced(&installation, "large", "filter clamav: accepted: too large");
    set(&installation, "clamav.when-too-large", "refuse");
    until_reply(&installation, &large, "552 5.3.4");

    set(&installation, "clamav.when-found", "quarantine");
    until_reply(&installation, &infected, "250");
    assert!(last(&installation, ANA, "Junk").contains("X-Virus-Status: Infected (Tern.Test"));
    assert!(submit(&installation, &infected).starts_with("550 5.7.1"), "there is no Junk where it would go");

    clamd.stop();
    let clean = mail("meanwhile", "The terns are back.");
    let reply = hand_in(&installation, &clean);
    assert!(reply.starts_with("451 4.7.1"), "{reply}");
    until("the problem in the status", PATIENCE, || {
        hand_in(&installation, &clean);
        problems(&installation).contains("its filter clamav can't be asked").then_some(())
    });
    set(&installation, "clamav.when-down", "refuse");
    until_reply(&installation, &clean, "550 5.7.1");
    set(&installation, "clamav.when-down", "accept");
    until_reply(&installation, &clean, "250");
    traced(&installation, "meanwhile", "filter clamav: accepted: down:");
    clamd.serve();
    set(&installation, "clamav.when-found", "refuse");
    until_reply(&installation, &infected, "550 5.7.1");
    until("no problem in the status", PATIENCE, || (!problems(&installation).contains("clamav")).then_some(()));
    set(&installation, "clamav.applies-to", "submitted");
    until_reply(&installation, &infected, "250");
    assert!(submit(&installation, &infected).starts_with("550 5.7.1"));
}

#[test]
fn rspamd_says_what_is_spam_and_rules_read_it() {
    if !have(&["rspamd"]) {
        return;
    }
    let installation = one();
    let mut rspamd = Rspamd::start();
    set(&installation, "rspamd.password", Rspamd::PASSWORD);
    set(&installation, "rspamd.address", &rspamd.http.to_string());
    let shown = installation.admin_ok("main", &["config", "list"]);
    assert!(!shown.contains(Rspamd::PASSWORD), "{shown}");
    let reply = until_reply(&installation, &mail("gtube", GTUBE), "554 5.7.1");
    assert!(reply.to_lowercase().contains("gtube"), "{reply}");
    traced(&installation, "gtube", "filter rspamd: refused: reject");
    let large = [&mail("large", "")[..], &b"0123456789\r\n".repeat(60_000), b"tern-spam\r\n"].concat();
    assert!(hand_in(&installation, &large).starts_with("250"));
    assert!(last(&installation, ANA, "Junk").contains("TERN_SPAM"), "far behind, and in a spool file");
    let reply = hand_in(&installation, &mail("later", "tern-later"));
    assert!(reply.starts_with("451 4.7.1 The terns sleep"), "{reply}");

    let forged = b"X-Spam-Status: No, score=-99\r\nX-Gull: away with it\r\n";
    assert!(hand_in(&installation, &[&forged[..], &mail("spam", "tern-spam")].concat()).starts_with("250"));
    let text = last(&installation, ANA, "Junk");
    assert!(
        text.contains("X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=6.50 required=15.00\r\n\ttests=TERN_SPAM\r\n"),
        "{text}"
    );
    assert!(!text.contains("-99") && !text.contains("X-Gull"), "{text}");
    assert!(text.contains("X-Tern: nobody from 127."), "{text}");
    assert!(hand_in(&installation, &[&forged[..], &mail("ham", "The terns are back.")].concat()).starts_with("250"));
    let text = last(&installation, ANA, "INBOX");
    assert!(text.contains("X-Spam-Status: No, score=0.00 required=15.00\r\n") && !text.contains("-99"), "{text}");

    // Users' mail is not looked at, unless that is set; their rules see what was found.
    let spam = mail("spam", "tern-spam");
    assert!(submit(&installation, &mail("mine", GTUBE)).starts_with("250"));
    set(&installation, "rspamd.when-spam", "mark");
    let script = "require [\"spamtestplus\", \"relational\", \"comparator-i;ascii-numeric\", \"fileinto\", \"mailbox\"];\n\
        if spamtest :percent :value \"ge\" :comparator \"i;ascii-numeric\" \"100\" { fileinto :create \"Sure\"; }\n";
    let file = installation.folder().join("spam.sieve");
    std::fs::write(&file, script).unwrap();
    installation.admin_ok("main", &["sieve", "put", ANA, "spam", &file.to_string_lossy()]);
    installation.admin_ok("main", &["sieve", "activate", ANA, "spam"]);
    until("the rule", PATIENCE, || {
        hand_in(&installation, &spam);
        texts(&installation, ANA, "Sure").pop()
    });
    set(&installation, "rspamd.applies-to", "all");
    until("users' mail is looked at", PATIENCE, || {
        submit(&installation, &mail("mine", GTUBE)).starts_with("554 5.7.1").then_some(())
    });
    assert!(submit(&installation, &spam).starts_with("250"));
    let text = last(&installation, BEN, "INBOX");
    assert!(text.contains("X-Tern: ana@tern.test from 127.") && !text.contains("X-Spam"), "{text}");

    // Not knowing its word, we get no answer; and without it mail goes on.
    set(&installation, "rspamd.password", "wrong");
    set(&installation, "rspamd.when-down", "defer");
    until_reply(&installation, &spam, "451 4.7.1");
    rspamd.stop();
    until_reply(&installation, &spam, "451 4.7.1");
    set(&installation, "rspamd.when-down", "accept");
    until_reply(&installation, &spam, "250");
    traced(&installation, "spam", "filter rspamd: accepted: down:");
}

#[test]
fn milters_have_their_say_at_each_step() {
    if !have(&["python3", "opendkim"]) {
        return;
    }
    let installation = one();
    installation.create_user("cyd@tern.test", "main");
    let mut milter = PythonMilter::start();
    set(&installation, "milter.addresses", &milter.address());
    let mut smtp = installation.node("main").at.smtp().unwrap();
    until("the setting", PATIENCE, || {
        let mail_from = smtp.command("MAIL FROM:<zoe@far.test>").unwrap();
        assert!(mail_from.starts_with("250"), "{mail_from}");
        let refused = smtp.command("RCPT TO:<cyd@tern.test>").unwrap();
        let is_in_force = refused.starts_with("550 5.7.9 The milter knows cyd");
        if !is_in_force {
            smtp.command("RSET").unwrap();
        }
        is_in_force.then_some(())
    });
    // The others are taken in the same transaction.
    assert!(smtp.command(&format!("RCPT TO:<{ANA}>")).unwrap().starts_with("250"));
    assert!(smtp.command("DATA").unwrap().starts_with("354"));
    let reply = smtp.command("Received: by far.test\r\nSubject: plain\r\n\r\nThe terns are back.\r\n.").unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let text = last(&installation, ANA, "INBOX");
    let found = text.lines().find(|line| line.starts_with("X-Milter: ")).unwrap_or_else(|| panic!("{text}"));
    assert!(found.contains("helo=client.test from=<zoe@far.test> user=None"), "{found}");
    assert!(found.contains(&format!("rcpt=<{ANA}> bytes=21")), "{found}");

    until("the refused recipient in the trace", PATIENCE, || {
        let output = installation.admin("main", &["--json", "trace", "cyd@tern.test"]);
        String::from_utf8_lossy(&output.stdout).contains("The milter knows cyd").then_some(())
    });
    for (subject, start) in [("refused", "554 5.7.8 The milter refuses"), ("later", "451 4.7.1"), ("discarded", "250")]
    {
        let reply = hand_in(&installation, &mail(subject, "x"));
        assert!(reply.starts_with(start), "{subject}: {reply}");
    }
    traced(&installation, "discarded", "thrown away");
    assert!(hand_in(&installation, &mail("odd", "x")).starts_with("250"));
    assert_eq!((texts(&installation, ANA, "INBOX").len(), texts(&installation, ANA, "Junk").len()), (1, 1));
    traced(&installation, "odd", "into Junk: the milter finds it odd");
    assert!(hand_in(&installation, &mail("changed", "x")).starts_with("250"));
    assert_eq!(texts(&installation, ANA, "INBOX").len(), 1, "she was taken out");
    let text = last(&installation, BEN, "INBOX");
    assert!(text.starts_with("Return-Path: <gull@other.test>\r\nX-First: inserted\r\nReceived: "), "{text:.300}");
    assert!(
        text.contains("\r\nSubject: new\r\n") && text.contains("\r\nX-Last: a\r\n\tb\r\nX-Milter: "),
        "{text:.900}"
    );
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(body == format!("{}\r\nThe end.\r\n", "x".repeat(70_000)), "{}", body.len());
    assert!(submit(&installation, &mail("mine", "x")).starts_with("250"));
    assert!(last(&installation, BEN, "INBOX").contains("user=ana@tern.test"));
    assert!(submit(&installation, &mail("odd", "x")).starts_with("550 5.7.1"));

    milter.stop();
    assert!(hand_in(&installation, &mail("down", "x")).starts_with("451 4.7.1"));
    set(&installation, "milter.addresses", &format!("{},accept", milter.address()));
    until_reply(&installation, &mail("down", "x"), "250");
    traced(&installation, "down", "accepted: down:");
    milter.serve();
    until_reply(&installation, &mail("refused", "x"), "554 5.7.8");
}

#[test]
fn several_filters_are_asked_in_order() {
    if !have(&["rspamd", "opendkim", "clamd", "openssl"]) {
        return;
    }
    let installation = one();
    let (clamd, rspamd, opendkim) = (Clamd::start(1_000_000), Rspamd::start(), OpenDkim::start("tern.test"));
    let milters = format!("{} {},submitted", rspamd.milter, opendkim.address());
    set(&installation, "clamav.address", &clamd.address());
    set(&installation, "milter.addresses", &milters);
    until_reply(&installation, &mail("gtube", GTUBE), "554 5.7.1");
    let both = mail("both", &format!("{GTUBE}\r\n{INFECTED}"));
    let reply = hand_in(&installation, &both);
    assert!(reply.starts_with("550 5.7.1 The message is infected"), "{reply}");
    set(&installation, "filter.order", "milter clamav");
    until_reply(&installation, &both, "554 5.7.1");

    let from_ana =
        format!("From: {ANA}\r\nTo: {BEN}\r\nDate: Sun, 22 Nov 2026 07:00:00 +0000\r\nSubject: signed\r\n\r\nx\r\n");
    assert!(submit(&installation, from_ana.as_bytes()).starts_with("250"));
    let text = last(&installation, BEN, "INBOX");
    assert!(text.contains("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=tern.test; s=tern;"), "{text}");
    assert!(text.contains("X-Tern: "), "rspamd saw it, too: {text}");
    assert!(hand_in(&installation, &mail("plain", "x")).starts_with("250"));
    assert!(!last(&installation, ANA, "INBOX").contains("DKIM-Signature"));
}
