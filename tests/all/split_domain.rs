//! A domain that is split between Sterna and a Postfix: who exists there is asked there, before mail is taken.

use std::net::SocketAddr;
use std::time::Duration;

use sterna_testkit::binary::{have, have_root};
use sterna_testkit::installation::Installation;
use sterna_testkit::postfix::Postfix;
use sterna_testkit::smtp::Smtp;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
/// Who is at the other server.
const ZOE: &str = "zoe@tern.test";
/// Who is nowhere.
const EVE: &str = "eve@tern.test";
const STRANGER: &str = "sam@sink.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// An installation and the Postfix that has the other half of its domain.
fn world() -> Option<(Installation, Postfix)> {
    if !have(&["postfix", "postmap"]) || !have_root() {
        return None;
    }
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let more = "virtual_mailbox_domains = far.test, tern.test\n\
         virtual_mailbox_maps = inline:{ {zoe@far.test = zoe/}, {zoe@tern.test = zoe/} }\n\
         smtpd_recipient_restrictions = reject_unlisted_recipient, permit_mynetworks, reject\n";
    let postfix = Postfix::start_with(SocketAddr::new(at.host, at.ports.smtp), more);
    let hop = postfix.address.to_string();
    installation.admin_ok("main", &["config", "set", "unknown-recipients", &hop, "--domain", "tern.test"]);
    Some((installation, postfix))
}

fn message(from: &str) -> Vec<u8> {
    format!("From: {from}\r\nSubject: to the other half\r\n\r\nThe terns are back.\r\n").into_bytes()
}

/// The reply to RCPT, or to MAIL when that is refused.
fn rcpt(mut smtp: Smtp, from: &str, to: &str) -> String {
    let reply = smtp.command(&format!("MAIL FROM:<{from}>")).unwrap();
    if reply.starts_with("250") { smtp.command(&format!("RCPT TO:<{to}>")).unwrap() } else { reply }
}

fn empty(installation: &Installation) {
    let is_empty = || (installation.admin_ok("main", &["--json", "queue", "list"]).trim() == "[]").then_some(());
    until("an empty queue", PATIENCE, is_empty);
}

#[test]
fn who_is_unknown_on_both_sides_is_refused_while_the_sender_waits() {
    let Some((installation, mut postfix)) = world() else { return };
    let at = installation.node("main").at;
    let stranger = |to: &str| rcpt(at.smtp().unwrap(), STRANGER, to);
    let refused = until("the other server is asked", PATIENCE, || {
        let reply = stranger(EVE);
        reply.starts_with("550").then_some(reply)
    });
    assert_eq!(refused.0, "550 5.1.1 No such address here\r\n");
    let reply = at.smtp().unwrap().deliver(STRANGER, &[ZOE], &message(STRANGER)).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    assert!(postfix.wait_for("zoe", 1)[0].contains("Subject: to the other half"));
    assert!(stranger(ANA).starts_with("250"), "who is here is asked for nowhere");
    let lmtp = || Smtp::connect(&at.host.to_string(), at.ports.lmtp, "LHLO").unwrap();
    assert!(rcpt(lmtp(), STRANGER, EVE).starts_with("550 5.1.1"));
    assert!(rcpt(at.submission(ANA).unwrap(), ANA, EVE).starts_with("550 5.1.1"), "a user hears it at once, too");

    postfix.stop();
    assert!(stranger(ZOE).starts_with("250") && stranger(EVE).starts_with("550"), "what is known still counts");
    let new = "new@tern.test";
    assert!(stranger(new).starts_with("451 4.4.1"), "{}", stranger(new));
    // A user's message waits here, and so does who would be told of it.
    let reply = at.submission(ANA).unwrap().deliver(ANA, &[new], &message(ANA)).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    installation.admin_ok("main", &["queue", "delete", "--all", "--yes"]);
    installation.admin_ok("main", &["config", "set", "unknown-recipients-check", "accept", "--domain", "tern.test"]);
    until("all are taken blindly", PATIENCE, || stranger(new).starts_with("250").then_some(()));
    postfix.serve();
    empty(&installation);
}

/// `smtpd_recipient_restrictions` as our documentation tells administrators to write them.
fn documented_restrictions() -> String {
    let page = include_str!("../../docs/admin/postfix-in-front.md");
    let lines = page.lines().map(|line| line.strip_prefix("    ").unwrap_or_default());
    let lines = lines.skip_while(|line| !line.starts_with("smtpd_recipient_restrictions"));
    lines.take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_postfix_in_front_refuses_them_too() {
    let Some((installation, other)) = world() else { return };
    let at = installation.node("main").at;
    let map = |table: &str| format!("socketmap:inet:{}:{}:{table}", at.host, at.ports.socketmap);
    let more = format!(
        "virtual_mailbox_domains = {}\nvirtual_mailbox_maps = {}\nvirtual_alias_maps =\ntransport_maps = {}\n\
         smtpd_sender_login_maps = {}\nmynetworks = 192.0.2.1/32\n{}",
        map("virtual-domains"),
        map("virtual-mailboxes"),
        map("transport"),
        map("sender-logins"),
        documented_restrictions().replace("socketmap:inet:127.0.0.1:7710:closed-groups", &map("closed-groups")),
    );
    let front = Postfix::start_with(SocketAddr::new(at.host, at.ports.smtp), &more);
    let connect = || Smtp::connect(&front.address.ip().to_string(), front.address.port(), "EHLO").unwrap();
    assert!(rcpt(connect(), STRANGER, EVE).starts_with("550 5.1.1"), "{}", rcpt(connect(), STRANGER, EVE));
    assert!(rcpt(connect(), STRANGER, ANA).starts_with("250"), "{}", rcpt(connect(), STRANGER, ANA));
    let reply = rcpt(connect(), STRANGER, "kim@elsewhere.test");
    assert!(reply.contains("Relay access denied"), "it relays for nobody: {reply}");
    front.submit(STRANGER, ZOE, &message(STRANGER));
    assert_eq!(other.wait_for("zoe", 1).len(), 1);

    installation.admin_ok("main", &["group", "create", "team@tern.test", "--member", ANA]);
    assert!(rcpt(connect(), STRANGER, "team@tern.test").starts_with("250"), "it is open");
    installation.admin_ok("main", &["group", "set", "team@tern.test", "--internal-senders-only", "yes"]);
    let reply = rcpt(connect(), STRANGER, "team@tern.test");
    assert!(reply.starts_with("554 5.7.1"), "{reply}");
    // Had Postfix let it pass: what counts here is the reverse-path, which Postfix holds its users to.
    let lmtp = || Smtp::connect(&at.host.to_string(), at.ports.lmtp, "LHLO").unwrap();
    for (from, code) in [(STRANGER, "550 5.7.1"), ("", "550 5.7.1"), (EVE, "550 5.7.1"), (ANA, "250")] {
        let reply = rcpt(lmtp(), from, "team@tern.test");
        assert!(reply.starts_with(code), "{from}: {reply}");
    }
    assert!(rcpt(lmtp(), STRANGER, ANA).starts_with("250"));
}
