//! Mail to and from a Postfix, through nodes that are killed and data servers that are away.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::{have, have_root};
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::Installation;
use sterna_testkit::postfix::Postfix;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// An installation that sends by a Postfix, which sends by it; `None` where there can be none.
pub(crate) fn world() -> Option<(Installation, Postfix)> {
    if !have(&["postfix"]) || !have_root() {
        return None;
    }
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let postfix = Postfix::start(SocketAddr::new(at.host, at.ports.smtp));
    set(&installation, "relay.host", &postfix.address.to_string());
    Some((installation, postfix))
}

fn set(installation: &Installation, name: &str, value: &str) {
    installation.admin_ok("main", &["setting", "set", name, value]);
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: {ANA}\r\nSubject: {subject}\r\n\r\n.The terns\r\nare back.\r\n").into_bytes()
}

fn submit(installation: &Installation, to: &[&str], subject: &str) -> String {
    installation.node("main").at.submission(ANA).unwrap().deliver(ANA, to, &message(subject)).unwrap()
}

/// The text of all messages in an INBOX.
fn inbox(imap: &mut Imap) -> Vec<String> {
    imap.command("SELECT INBOX").unwrap();
    let answer = imap.command("UID SEARCH ALL").unwrap();
    let line = answer.lines.iter().find(|line| line.starts_with("* ") && line.contains("SEARCH")).unwrap().clone();
    let uids: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let fetch = |uid: u32| {
        let answer = imap.command(&format!("UID FETCH {uid} BODY.PEEK[]")).unwrap();
        answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    };
    uids.into_iter().map(fetch).collect()
}

fn queue(installation: &Installation) -> Vec<Value> {
    let text = installation.admin_ok("main", &["--json", "queue", "list"]);
    serde_json::from_str::<Vec<Value>>(&text).unwrap()
}

fn empty(installation: &Installation) {
    until("an empty queue", PATIENCE, || queue(installation).is_empty().then_some(()));
}

#[test]
fn mail_goes_to_a_postfix_and_comes_from_one() {
    let Some((installation, postfix)) = world() else { return };
    let reply = submit(&installation, &["zoe@far.test", BEN], "to both");
    assert!(reply.starts_with("250"), "{reply}");
    let received = postfix.wait_for("zoe", 1).remove(0);
    assert!(received.contains("Subject: to both\n") && received.contains("\n.The terns\n"), "{received}");
    // The one Return-Path is Postfix's own.
    assert!(received.contains("with ESMTPS") && received.matches("Return-Path:").count() == 1, "{received}");
    let mut ben = installation.node("main").at.login(BEN).unwrap();
    assert_eq!(inbox(&mut ben).len(), 1);

    postfix.submit("zoe@far.test", BEN, &message("from afar"));
    until("mail from afar", PATIENCE, || (inbox(&mut ben).len() == 2).then_some(()));
    assert!(inbox(&mut ben)[1].contains("Subject: from afar"));
    empty(&installation);

    // Nobody else's mail is passed on.
    let mut stranger = installation.node("main").at.smtp().unwrap();
    let reply = stranger.deliver("x@other.test", &["zoe@far.test"], &message("relayed")).unwrap();
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    set(&installation, "mail.networks", "127.0.0.0/8");
    until("the setting", PATIENCE, || {
        let reply = stranger.deliver("x@other.test", &["zoe@far.test"], &message("trusted")).unwrap();
        reply.starts_with("250").then_some(())
    });
    postfix.wait_for("zoe", 2);
}

#[test]
fn senders_are_told_what_a_server_refused() {
    let Some((installation, postfix)) = world() else { return };
    let reply = submit(&installation, &["nobody@far.test", "zoe@far.test"], "to one who is not");
    assert!(reply.starts_with("250"), "{reply}");
    postfix.wait_for("zoe", 1);
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    let told = until("the notification", PATIENCE, || inbox(&mut ana).pop()).0;
    for part in [
        "Subject: Your message could not be delivered",
        "Final-Recipient: rfc822; nobody@far.test",
        "Diagnostic-Code: smtp; 550 5.1.1",
        "Subject: to one who is not",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    assert!(!told.contains("zoe@far.test>"), "{told}");
    empty(&installation);

    submit(&installation, &["later@far.test"], "to one who is away");
    let waiting = until("a deferral", PATIENCE, || queue(&installation).pop().filter(|item| item["attempts"] == 1)).0;
    assert!(waiting["last_reply"].as_str().unwrap().starts_with("450 4.2.1"), "{waiting}");
    assert_eq!(waiting["recipients"][0], "later@far.test");
    installation.admin_ok("main", &["queue", "delete", "--recipient", "later@*", "--yes"]);
    empty(&installation);
}

#[test]
fn what_waits_survives_a_kill_and_arrives_once() {
    const MESSAGES: usize = 30;
    let Some((mut installation, mut postfix)) = world() else { return };
    postfix.stop();
    for number in 0..MESSAGES {
        let reply = submit(&installation, &["zoe@far.test"], &format!("number {number}"));
        assert!(reply.starts_with("250"), "{reply}");
    }
    installation.kill("main");
    installation.serve("main");
    assert_eq!(queue(&installation).len(), MESSAGES);
    postfix.serve();
    installation.admin_ok("main", &["queue", "retry", "--all"]);
    empty(&installation);
    let received = postfix.wait_for("zoe", MESSAGES);
    assert_eq!(received.len(), MESSAGES);
    for number in 0..MESSAGES {
        let subject = format!("Subject: number {number}\n");
        assert_eq!(received.iter().filter(|message| message.contains(&subject)).count(), 1, "{subject}");
    }
}

#[test]
fn mail_waits_for_a_data_server_that_is_away() {
    let Some((mut installation, postfix)) = world() else { return };
    installation.stop("alpha");
    let reply = submit(&installation, &[ANA, BEN], "to one who is on alpha");
    assert!(reply.starts_with("250"), "{reply}");
    postfix.submit("zoe@far.test", ANA, &message("from afar"));
    let waiting = until("two that wait", PATIENCE, || Some(queue(&installation)).filter(|queue| queue.len() == 2)).0;
    assert!(waiting[0]["destination"].as_str().unwrap().starts_with("account:"), "{waiting:?}");
    installation.serve("alpha");
    empty(&installation);
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    assert_eq!(inbox(&mut ana).len(), 2);
    let mut ben = installation.node("main").at.login(BEN).unwrap();
    assert_eq!(inbox(&mut ben).len(), 1);
}

#[test]
fn mail_is_sent_on_under_an_address_that_leads_back() {
    let Some((installation, postfix)) = world() else { return };
    installation.admin_ok("main", &["user", "set", ANA, "--forward", "zoe@far.test", "--forward-only", "yes"]);
    let mut stranger = installation.node("main").at.smtp().unwrap();
    let reply = stranger.deliver("zoe@far.test", &[ANA], &message("sent on")).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let received = postfix.wait_for("zoe", 1).remove(0);
    let from = received.lines().find_map(|line| line.strip_prefix("Return-Path: <")).unwrap();
    assert!(from.to_ascii_lowercase().starts_with("srs0=") && from.ends_with("=far.test=zoe@tern.test>"), "{received}");
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    assert_eq!(inbox(&mut ana), [""; 0], "no copy was wanted");

    // What can't be delivered there comes back to who sent it.
    installation.admin_ok("main", &["user", "set", ANA, "--forward", "nobody@far.test", "--forward-only", "no"]);
    let reply = stranger.deliver("zoe@far.test", &[ANA], &message("sent on in vain")).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let told = postfix.wait_for("zoe", 2);
    assert!(told.iter().any(|text| text.contains("Final-Recipient: rfc822; nobody@far.test")), "{told:?}");
    until("the copy", PATIENCE, || (inbox(&mut ana).len() == 1).then_some(()));
    // A user of ours keeps the address: it is ours to send with.
    submit(&installation, &[ANA], "from ana herself");
    empty(&installation);
}
