//! A Postfix in front of Sterna: it asks the directory whom it may take mail for, and hands it to the right edge.

use std::net::SocketAddr;
use std::time::Duration;

use sterna_testkit::binary::{have, have_root};
use sterna_testkit::installation::Installation;
use sterna_testkit::postfix::Postfix;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// Postfix is the mail exchanger of tern.test, and has no list of anything.
fn world() -> Option<(Installation, Postfix)> {
    if !have(&["postfix", "postmap"]) || !have_root() {
        return None;
    }
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let map = |table: &str| format!("socketmap:inet:{}:{}:{table}", at.host, at.ports.socketmap);
    let more = format!(
        "virtual_mailbox_domains = {}\nvirtual_mailbox_maps = {}\nvirtual_alias_maps =\n\
         transport_maps = tcp:{}:{}\nsmtpd_sender_login_maps = {}\n\
         smtpd_recipient_restrictions = reject_unlisted_recipient, permit_mynetworks, reject\n",
        map("virtual-domains"),
        map("virtual-mailboxes"),
        at.host,
        at.ports.transport,
        map("sender-logins"),
    );
    let postfix = Postfix::start_with(SocketAddr::new(at.host, at.ports.smtp), &more);
    Some((installation, postfix))
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: zoe@far.test\r\nSubject: {subject}\r\n\r\nThe terns are back.\r\n").into_bytes()
}

#[test]
fn postfix_takes_mail_for_those_whom_the_directory_knows() {
    let Some((installation, postfix)) = world() else { return };
    let refused = |to: &str| {
        let host = postfix.address.ip().to_string();
        let mut smtp = sterna_testkit::smtp::Smtp::connect(&host, postfix.address.port(), "EHLO").unwrap();
        smtp.deliver("zoe@far.test", &[to], &message("for nobody")).unwrap()
    };
    assert!(refused("eve@tern.test").starts_with("550 5.1.1"), "{}", refused("eve@tern.test"));
    postfix.submit("zoe@far.test", "ana+post@tern.test", &message("for ana"));
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    let arrived = || {
        let answer = ana.command("STATUS INBOX (MESSAGES)").ok()?;
        answer.lines.iter().any(|line| line.contains("MESSAGES 1")).then_some(())
    };
    until("mail by way of Postfix", PATIENCE, arrived);
    // Who is made now is known now.
    installation.create_user("eve@tern.test", "alpha");
    let taken =
        until("the new user in Postfix", PATIENCE, || Some(refused("eve@tern.test")).filter(|r| r.starts_with("250")));
    assert!(taken.0.contains("queued"), "{}", taken.0);
}

#[test]
fn every_table_says_what_holds_at_once() {
    let Some((installation, postfix)) = world() else { return };
    let at = installation.node("main").at;
    let ask = |table: &str, key: &str| {
        postfix.look_up(&format!("socketmap:inet:{}:{}:{table}", at.host, at.ports.socketmap), key)
    };
    let admin = |words: &[&str]| drop(installation.admin_ok("main", words));
    let present = Some("OK".to_owned());
    assert_eq!((ask("virtual-domains", "tern.test"), ask("virtual-domains", "far.test")), (present.clone(), None));
    assert_eq!((ask("virtual-mailboxes", ANA), ask("virtual-mailboxes", "eve@tern.test")), (present.clone(), None));
    assert_eq!(ask("virtual-mailboxes", "@tern.test"), None);
    admin(&["config", "set", "catch-all", ANA, "--domain", "tern.test"]);
    assert_eq!(ask("virtual-mailboxes", "eve@tern.test"), present);
    admin(&["config", "set", "catch-all", "", "--domain", "tern.test"]);

    // Notifications to reverse-paths of ours have a mailbox, too; those that somebody made up have none.
    admin(&["config", "set", "srs.keys", "secret"]);
    let now = sterna_base::Clock::now(&sterna_base::SystemClock);
    let of = |key| sterna_mailflow::srs::Srs::new([key]).forward("zoe@far.test", "tern.test", now).unwrap();
    let known = || ask("virtual-mailboxes", &of("secret")).map(|_| ());
    until("a reverse-path of ours in the tables", PATIENCE, known);
    assert_eq!(ask("virtual-mailboxes", &of("guess")), None);

    assert_eq!(ask("virtual-aliases", ANA), None, "it stands for itself");
    admin(&["user", "set", ANA, "--alias", "a@tern.test", "--forward", "ana@home.test"]);
    assert_eq!(ask("virtual-aliases", "a@tern.test").as_deref(), Some(ANA), "Sterna sends on");
    admin(&["group", "create", "team@tern.test", "--member", ANA, "--member", BEN]);
    assert_eq!(ask("virtual-aliases", "team@tern.test"), None, "members are Sterna's to find");

    assert_eq!(ask("sender-logins", "a@tern.test").as_deref(), Some("a@tern.test, ana@tern.test"));
    assert_eq!(ask("sender-logins", "team@tern.test"), None);
    admin(&["group", "set", "team@tern.test", "--sender", BEN]);
    assert_eq!(ask("sender-logins", "team@tern.test").as_deref(), Some(BEN));
    // Sterna's own submission holds people to the same.
    let send = |user: &str, from: &str| {
        let mut smtp = at.submission(user).unwrap();
        smtp.deliver(from, &[ANA], &message("from the team")).unwrap()
    };
    assert!(send(BEN, "team@tern.test").starts_with("250"));
    assert!(send(ANA, "team@tern.test").starts_with("553 5.7.1"));

    let here = format!("lmtp:inet:[{}]:{}", at.host, at.ports.lmtp);
    for key in [ANA, "tern.test", "nobody@tern.test"] {
        assert_eq!(ask("transport", key).as_deref(), Some(&*here), "{key}");
        let by_tcp = postfix.look_up(&format!("tcp:{}:{}", at.host, at.ports.transport), key);
        assert_eq!(by_tcp.as_deref(), Some(&*here), "{key}");
    }
    assert_eq!(ask("transport", "zoe@far.test"), None);
}
