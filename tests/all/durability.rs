//! Accounts whose acknowledgements wait for their standby copies.

#![allow(clippy::print_stderr)] // what a failed test shows

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::wait::until;

const BEN: &str = "ben@tern.test";
const LMTP_SENDERS: usize = 2;
const APPENDERS: usize = 2;

/// Acknowledgements between two events.
const ACKNOWLEDGED_BETWEEN: usize = 30;

/// How long a small copy may take until it is awaited, and a server until its users are served.
const WITHIN: Duration = Duration::from_secs(60);

/// Shows the nodes' logs when a test fails.
struct ShowLogs<'a>(&'a Installation, &'a [&'a str]);

impl Drop for ShowLogs<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.1 {
                eprintln!("--- {node}\n{}", self.0.node(node).log());
            }
        }
    }
}

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    let output = installation.admin("main", &[&["--json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}, {text}"))
}

/// The standby copy of an account.
fn standby(installation: &Installation, address: &str) -> Value {
    json(installation, &["account", "standby", address])[0].clone()
}

fn stand_by(installation: &Installation, address: &str, on: &str, durability: &str) {
    let arguments = ["account", "standby", address, "--on", on, "--durability", durability];
    installation.admin_ok("main", &arguments);
}

fn is_awaited(installation: &Installation, address: &str) {
    until("the copy is awaited", WITHIN, || (standby(installation, address)["stage"] == "awaited").then_some(()));
}

#[test]
fn what_was_acknowledged_survives_its_server() {
    let mut installation = Installation::standard();
    let edge = installation.node("main").at;
    let mut observer = edge.login(BEN).unwrap();
    assert!(observer.command("CREATE Ledger").unwrap().ok());
    let before = ["INBOX", "Ledger"].map(|mailbox| uid_status(&mut observer, mailbox).unwrap());

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        ledger.is_written(scope, edge, BEN, LMTP_SENDERS, (APPENDERS, "Ledger"));
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        // It is made under load, and nobody is refused for it.
        stand_by(&installation, BEN, "alpha", "2");
        is_awaited(&installation, BEN);
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        assert_eq!(ledger.refusals(), 0);

        for (lost, to) in [("beta", "alpha"), ("alpha", "beta")] {
            installation.kill(lost);
            let show = ShowLogs(&installation, &["main", "alpha", "beta"]);
            ledger.is_refused();
            let failover = ["server", "failover", lost, "--to", to, "--account", BEN];
            // A server that was just started is found again after a moment.
            let told = || json(&installation, &[&failover[..], &["--dry-run"]].concat());
            let (told, _) =
                until("it can be taken over", WITHIN, || Some(told()).filter(|told| told["accounts"][0].is_object()));
            assert_eq!((&told["safe"], &told["behind"], &told["unknown"]), (&1.into(), &0.into(), &0.into()), "{told}");
            installation.admin_ok("main", &[&failover[..], &["--yes"]].concat());
            // Nobody waits for the lost server: what it has is not known.
            assert_eq!(standby(&installation, BEN)["stage"], "seeding");
            ledger.grows_by(ACKNOWLEDGED_BETWEEN);
            drop(show);
            installation.serve(lost);
            is_awaited(&installation, BEN);
            ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        }
    });
    ledger.compare(&mut observer, "INBOX", "lmtp-", before[0].0);
    ledger.compare(&mut observer, "Ledger", "append-", before[1].0);
}

#[test]
fn while_the_copy_is_away_nothing_is_acknowledged_and_nothing_lost() {
    // Here the account is on the node of its sessions.
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.join_and_serve("alpha", "data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(BEN, "main");
    let edge = installation.node("main").at;
    let mut observer = edge.login(BEN).unwrap();
    let validity = uid_status(&mut observer, "INBOX").unwrap().0;
    stand_by(&installation, BEN, "alpha", "2");
    is_awaited(&installation, BEN);

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        let _show = ShowLogs(&installation, &["main", "alpha"]);
        for sender in 0..LMTP_SENDERS {
            scope.spawn(move || ledger.send_by_lmtp(&mut edge.lmtp().unwrap(), BEN, sender));
        }
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        installation.freeze("alpha");
        ledger.is_refused();
        ledger.is_refused();
        // It can be read, and the administrator is told.
        assert!(uid_status(&mut observer, "INBOX").is_some());
        let status = json(&installation, &["status"]).to_string();
        assert!(status.contains("1 accounts take no changes since"), "{status}");
        assert!(status.contains("standby main --on alpha --durability 1"), "{status}");
        assert!(standby(&installation, BEN)["waiting_since"].is_string());
        installation.thaw("alpha");
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        assert!(standby(&installation, BEN)["waiting_since"].is_null());

        // Whoever gives up the second disk is served at once, with the copy still away.
        installation.freeze("alpha");
        ledger.is_refused();
        stand_by(&installation, BEN, "alpha", "1");
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        installation.thaw("alpha");
        stand_by(&installation, BEN, "alpha", "2");
        is_awaited(&installation, BEN);
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
    });

    // What was awaited is awaited after a restart, before anybody else is heard of.
    installation.kill("alpha");
    installation.kill("main");
    installation.serve("main");
    let refused = edge.lmtp().unwrap().send(&[BEN], b"Subject: too early\r\n\r\nx\r\n", 1).unwrap();
    assert!(refused[0].starts_with("451 4."), "{refused:?}");
    installation.serve("alpha");
    let mut observer = edge.login(BEN).unwrap();
    let sent = |subject: &str| {
        let message = format!("Subject: {subject}\r\n\r\nx\r\n");
        edge.lmtp().unwrap().send(&[BEN], message.as_bytes(), 1).unwrap()[0].starts_with("250").then_some(())
    };
    until("the copy is back", WITHIN, || sent("lmtp-after"));
    let answer = observer.command("EXAMINE INBOX").unwrap();
    assert!(answer.ok());
    let found = observer.command("UID SEARCH SUBJECT \"too early\"").unwrap();
    assert_eq!(found.lines, ["* SEARCH"], "refused before it was done");
    assert!(uid_status(&mut observer, "INBOX").is_some_and(|status| status.0 == validity));
}
