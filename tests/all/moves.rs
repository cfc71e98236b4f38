//! Accounts that are moved while they are used, and whatever ends in the middle of it.

#![allow(clippy::print_stdout, clippy::print_stderr)] // what a failed test shows, and how long each step took

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::Installation;
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::wait::until;

const BEN: &str = "ben@tern.test";
const LMTP_SENDERS: usize = 2;
const APPENDERS: usize = 2;
const MOVES: usize = 6;

/// Acknowledgements between two moves.
const ACKNOWLEDGED_BETWEEN_MOVES: usize = 30;

/// How long a move of a small account may take, on a machine that does other things as well.
const MOVED_WITHIN: Duration = Duration::from_secs(60);

/// How long a restarted node may take until its users are served.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

/// Where the account lives, by the main node.
fn server_of(installation: &Installation, address: &str) -> Option<String> {
    let output = installation.admin("main", &["--json", "account", "where", address]);
    let value: Value = serde_json::from_slice(&output.stdout).ok()?;
    value["server"].as_str().map(str::to_owned)
}

fn begin_move(installation: &Installation, address: &str, to: &str) {
    installation.admin_ok("main", &["account", "move", address, "--to", to, "--detach"]);
}

/// The same when the target may just have ended, which refuses the move.
fn try_begin_move(installation: &Installation, address: &str, to: &str) -> bool {
    installation.admin("main", &["account", "move", address, "--to", to, "--detach"]).status.success()
}

/// Shows the nodes' logs when a test fails.
struct ShowLogs<'a>(&'a Installation);

impl Drop for ShowLogs<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in ["main", "alpha", "beta"] {
                eprintln!("--- {node}\n{}", self.0.node(node).log());
            }
        }
    }
}

fn is_moved(installation: &Installation, address: &str, to: &str) {
    let _show = ShowLogs(installation);
    until(&format!("{address} is on {to}"), MOVED_WITHIN, || {
        (server_of(installation, address).as_deref() == Some(to)).then_some(())
    });
}

/// Every account of these nodes holds every invariant, in whatever role it is.
fn is_sound(installation: &Installation) {
    for node in ["main", "alpha", "beta"] {
        let dir = installation.folder().join(node).to_string_lossy().into_owned();
        let output = sterna_testkit::binary::run(&["check", "--deep", "--dir", &dir]);
        sterna_testkit::installation::succeeded(&format!("check of {node}"), &output);
    }
}

#[test]
fn sessions_and_deliveries_live_through_moves() {
    let installation = Installation::standard();
    let edge = installation.node("main").at;
    let mut observer = edge.login(BEN).unwrap();
    assert!(observer.command("CREATE Ledger").unwrap().ok());
    let before = ["INBOX", "Ledger"].map(|mailbox| uid_status(&mut observer, mailbox).unwrap());
    let mut selected: Vec<Imap> = (0..4).map(|_| edge.login(BEN).unwrap()).collect();
    for session in &mut selected {
        assert!(session.command("SELECT INBOX").unwrap().ok());
    }

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        for sender in 0..LMTP_SENDERS {
            scope.spawn(move || ledger.send_by_lmtp(&mut edge.lmtp().unwrap(), BEN, sender));
        }
        for appender in 0..APPENDERS {
            scope.spawn(move || ledger.append_by_imap(&mut edge.login(BEN).unwrap(), "Ledger", appender));
        }
        for number in 0..MOVES {
            ledger.grows_by(ACKNOWLEDGED_BETWEEN_MOVES);
            let to = ["alpha", "beta"][number % 2];
            begin_move(&installation, BEN, to);
            is_moved(&installation, BEN, to);
            for session in &mut selected {
                let answer = session.command("UID FETCH 1:* (FLAGS)").unwrap();
                assert!(answer.ok(), "{answer:?}");
            }
        }
        ledger.grows_by(ACKNOWLEDGED_BETWEEN_MOVES);
        assert_eq!(ledger.refusals(), 0, "writes wait for a move, they are not refused");
    });
    ledger.compare(&mut observer, "INBOX", "lmtp-", before[0].0);
    ledger.compare(&mut observer, "Ledger", "append-", before[1].0);
    // What a session knows without a look at the mailbox is what a new one finds.
    let mut fresh = edge.login(BEN).unwrap();
    assert!(fresh.command("SELECT INBOX").unwrap().ok());
    let now = fresh.command("UID SEARCH ALL").unwrap().lines;
    for session in &mut selected {
        assert!(session.command("NOOP").unwrap().ok());
        let known = session.command("UID SEARCH ALL").unwrap().lines;
        assert_eq!(known.last(), now.last());
    }
    is_sound(&installation);
}

/// The step at which a node ends, and which node that is when ben moves from beta to alpha.
const FAILPOINTS: [(&str, &str); 12] = [
    // First: later there is a store on alpha, kept for the way back.
    ("target-made", "alpha"),
    ("main-copying", "main"),
    ("target-applied", "alpha"),
    ("main-cut-over", "main"),
    ("source-sealing", "beta"),
    ("source-sealed", "beta"),
    ("main-sealed", "main"),
    ("target-ready", "alpha"),
    ("main-ready", "main"),
    ("main-committed", "main"),
    ("target-activating", "alpha"),
    ("target-active", "alpha"),
];

#[test]
fn a_node_that_ends_at_any_step_of_a_move_loses_nothing() {
    let mut installation = Installation::new();
    let failpoints = installation.folder().join("failpoints");
    fs::create_dir(&failpoints).unwrap();
    installation.set_environment("STERNA_FAILPOINTS", &failpoints.to_string_lossy());
    installation.start_main("main", Default::default());
    for (name, roles) in [("edge", "edge"), ("alpha", "data"), ("beta", "data")] {
        installation.join_and_serve(name, roles, Default::default());
    }
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(BEN, "beta");
    let edge = installation.node("edge").at;
    let mut observer = until("ben may log in", SERVED_WITHIN, || edge.login(BEN).ok()).0;
    let validity = until("ben is served", SERVED_WITHIN, || uid_status(&mut observer, "INBOX")).0.0;

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        scope.spawn(move || ledger.send_by_lmtp(&mut edge.lmtp().unwrap(), BEN, 0));
        for (failpoint, node) in FAILPOINTS {
            ledger.grows_by(5);
            fs::write(failpoints.join(failpoint), b"").unwrap();
            let begun = try_begin_move(&installation, BEN, "alpha");
            let show = ShowLogs(&installation);
            until(&format!("{node} reaches {failpoint}"), MOVED_WITHIN, || {
                (!failpoints.join(failpoint).exists()).then_some(())
            });
            drop(show);
            installation.wait_for_end(node);
            let restarted = Instant::now();
            installation.serve(node);
            until(&format!("ben is served after {failpoint}"), SERVED_WITHIN, || {
                uid_status(&mut observer, "INBOX").filter(|status| status.0 == validity)
            });
            println!("{failpoint}: served {} ms after the restart", restarted.elapsed().as_millis());
            ledger.grows_by(5);
            if !begun {
                begin_move(&installation, BEN, "alpha");
            }
            is_moved(&installation, BEN, "alpha");
            begin_move(&installation, BEN, "beta");
            is_moved(&installation, BEN, "beta");
        }
    });
    ledger.compare(&mut observer, "INBOX", "lmtp-", validity);
    is_sound(&installation);
}
