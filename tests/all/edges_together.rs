//! Edges that know together who brought mail, also while the main node or one of them is away.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::smtp::Smtp;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 9);
const PATIENCE: Duration = Duration::from_secs(60);

fn world() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data", Place::default());
    for edge in ["east", "west"] {
        installation.join_and_serve(edge, "edge", Place::default());
    }
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    installation
}

fn rcpt(installation: &Installation, edge: &str, from: &str) -> String {
    let at = installation.node(edge).at;
    let mut smtp = Smtp::connect_from(STRANGER.into(), (at.host, at.ports.smtp).into(), "EHLO").unwrap();
    let reply = smtp.command(&format!("MAIL FROM:<{from}>")).unwrap();
    if reply.starts_with("250") { smtp.command(&format!("RCPT TO:<{ANA}>")).unwrap() } else { reply }
}

/// Senders and their states on an edge.
fn greylist(installation: &Installation, edge: &str) -> Vec<(String, String)> {
    let rows: Vec<Value> = serde_json::from_str(&installation.admin_ok(edge, &["--json", "greylist", "list"])).unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "sender"), text(row, "state"))).collect()
}

fn knows(installation: &Installation, edge: &str, sender: &str, state: &str) {
    let row = (sender.to_owned(), state.to_owned());
    until(&format!("{row:?} on {edge}"), PATIENCE, || greylist(installation, edge).contains(&row).then_some(()));
}

#[test]
fn who_waited_at_one_edge_need_not_wait_at_another() {
    let mut installation = world();
    for (name, value) in [("mail.greylist-delay-seconds", "1"), ("mail.greylist", "on"), ("mail.dmarc", "off")] {
        installation.admin_ok("main", &["config", "set", name, value]);
    }
    until("greylisting in force", PATIENCE, || {
        rcpt(&installation, "east", "a@far.test").starts_with("450").then_some(())
    });
    until("a second try", PATIENCE, || rcpt(&installation, "east", "a@far.test").starts_with("250").then_some(()));
    knows(&installation, "west", "a@far.test", "passed");
    let reply = rcpt(&installation, "west", "a@far.test");
    assert!(reply.starts_with("250"), "{reply}");

    // The main node is not needed for it, and an edge that was away hears what happened.
    installation.kill("main");
    installation.stop("west");
    assert!(rcpt(&installation, "east", "b@far.test").starts_with("450"));
    installation.serve("west");
    knows(&installation, "west", "b@far.test", "waiting");

    let deleted = installation.admin_ok("west", &["--json", "greylist", "delete", "--sender", "b@*", "--yes"]);
    assert!(!greylist(&installation, "west").iter().any(|(sender, _)| sender == "b@far.test"), "{deleted}");
    until("the deletion on the other edge", PATIENCE, || {
        (!greylist(&installation, "east").iter().any(|(sender, _)| sender == "b@far.test")).then_some(())
    });
    installation.serve("main");
    // The main node has no greylist of its own, and tells each of the edges' rows once.
    let rows = greylist(&installation, "main");
    assert_eq!(rows.iter().filter(|(sender, _)| sender == "a@far.test").count(), 1, "{rows:?}");

    installation.admin_ok("main", &["greylist", "allow", "127.0.1.0/24", "Far.test"]);
    installation.admin_ok("main", &["greylist", "allow", "far.test", "--remove"]);
    let shown = installation.admin_ok("main", &["--json", "greylist", "allow"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["value"], "127.0.1.0/24");
    until("the network in force", PATIENCE, || {
        rcpt(&installation, "west", "new@far.test").starts_with("250").then_some(())
    });
    let wrong = installation.admin("main", &["greylist", "allow", "not a network"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("192.0.2.0/24"), "{wrong:?}");
}

#[test]
fn what_is_sent_by_one_edge_counts_on_the_others() {
    let installation = world();
    installation.admin_ok("main", &["config", "set", "mail.greylist", "on"]);
    installation.admin_ok("main", &["config", "set", "submission.messages-per-hour", "3"]);
    let mail = |edge: &str| {
        let mut smtp = installation.node(edge).at.submission(ANA).unwrap();
        smtp.command(&format!("MAIL FROM:<{ANA}>")).unwrap()
    };
    // Both edges have the settings, since west has greylisted somebody by now.
    for edge in ["east", "west"] {
        let from = format!("{edge}@far.test");
        until("the settings in force", PATIENCE, || rcpt(&installation, edge, &from).starts_with("450").then_some(()));
    }
    for _ in 0..3 {
        assert!(mail("east").starts_with("250"));
    }
    assert!(mail("east").starts_with("450 4.7.1"));
    // The greylist comes with the same answer as the counts.
    assert!(rcpt(&installation, "east", "later@far.test").starts_with("450"));
    knows(&installation, "west", "later@far.test", "waiting");
    let reply = mail("west");
    assert!(reply.starts_with("450 4.7.1"), "{reply}");
}
