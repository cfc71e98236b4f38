//! What administrators set for the mail of the whole installation: in force at once on every node, looked back on, and
//! undone.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    let text = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The largest message that a node says it takes.
fn size(installation: &Installation, node: &str) -> String {
    let mut smtp = installation.node(node).at.smtp().unwrap();
    let reply = smtp.command("EHLO client.test").unwrap();
    let line = reply.lines().find_map(|line| line.get(4..)?.strip_prefix("SIZE "));
    line.unwrap_or_else(|| panic!("{reply}")).to_owned()
}

#[test]
fn a_setting_is_in_force_everywhere_and_can_be_undone() {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.join_and_serve("second", "edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    let nodes = ["main", "second"];
    let before = size(&installation, "main");
    installation.admin_ok("main", &["config", "set", "mail.message-bytes", "70000"]);
    for node in nodes {
        until("the new size", PATIENCE, || (size(&installation, node) == "70000").then_some(()));
        let mut smtp = installation.node(node).at.smtp().unwrap();
        // Before a byte of it is sent, where it is told, and at its end where not.
        let reply = smtp.command("MAIL FROM:<zoe@far.test> SIZE=80000").unwrap();
        assert!(reply.starts_with("552 5.3.4"), "{reply}");
        let large = [&b"Subject: large\r\n\r\n"[..], &b"0123456789\r\n".repeat(7000)].concat();
        let reply = smtp.deliver("zoe@far.test", &[ANA], &large).unwrap();
        assert!(reply.starts_with("552 5.3.4"), "{reply}");
    }
    let history = json(&installation, &["config", "history"]);
    let change = &history[0];
    let expected = ("mail.message-bytes", "70000");
    assert_eq!((&change["name"], &change["after"]), (&expected.0.into(), &expected.1.into()), "{history}");
    assert!(change["at"].is_string() && change["by"].is_string() && change["before"].is_null(), "{change}");
    installation.admin_ok("main", &["config", "revert", &change["change"].to_string()]);
    for node in nodes {
        until("the former size", PATIENCE, || (size(&installation, node) == before).then_some(()));
    }
    let history = json(&installation, &["config", "history"]);
    assert_eq!(history[0]["reverts"], change["change"], "{history}");
}

#[test]
fn senders_are_told_in_the_language_of_their_domain() {
    let Some((installation, _postfix)) = crate::sending::world() else { return };
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    let mut subjects = move || -> Vec<String> {
        ana.command("SELECT INBOX").unwrap();
        let answer = ana.command("UID FETCH 1:* (BODY.PEEK[])").unwrap();
        answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    };
    for (number, language) in ["fr", "de", "en"].into_iter().enumerate() {
        installation.admin_ok("main", &["config", "set", "language", language, "--domain", "tern.test"]);
        let message = format!("From: {ANA}\r\nSubject: {number}\r\nMessage-ID: <{number}@tern.test>\r\n\r\nx\r\n");
        let mut smtp = installation.node("main").at.submission(ANA).unwrap();
        let reply = smtp.deliver(ANA, &["nobody@far.test"], message.as_bytes()).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
        let told = until("the notification", PATIENCE, || Some(subjects()).filter(|all| all.len() > number)).0;
        let told = &told[number];
        for part in [&format!("Content-Language: {language}\r\n"), "Final-Recipient: rfc822; nobody@far.test"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    // What was said is in the trace, as far back as one asks.
    for since in ["1h", "30m"] {
        let found = json(&installation, &["trace", "nobody@far.test", "--since", since]);
        assert!(found.to_string().contains("550 5.1.1"), "{found}");
    }
    assert_eq!(installation.admin("main", &["trace", ANA, "--since", "yesterday"]).status.code(), Some(2));
}
