//! Data servers that are lost without being dead: their accounts are taken over without anybody being asked, and they
//! neither serve nor acknowledge meanwhile. What they had besides is kept and counted.

#![allow(clippy::print_stderr)] // what a failed test shows

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use sterna_cluster::moving::core::lease::LEASE_MS;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place, errors, succeeded};
use sterna_testkit::ledger::{Ledger, messages, uid_status};
use sterna_testkit::network::Network;
use sterna_testkit::wait::{pass, until};

/// At durability 1.
const ANA: &str = "ana@tern.test";
/// At durability 2.
const BEN: &str = "ben@tern.test";
/// Without a standby copy.
const CLEO: &str = "cleo@tern.test";

/// After so many seconds a lost server is failed over.
const AFTER_SECONDS: &str = "10";
/// How long a silence, the failover and its leases may take; most of it is for two busy cores.
const TAKEN_WITHIN: Duration = Duration::from_secs(90);
/// Until a copy is equal, and an old server a follower again.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(60);
/// Longer than any lease.
const LEASE_OVER: Duration = Duration::from_millis(2 * LEASE_MS);
/// Messages that only the lost server gets.
const ALONE: usize = 3;
/// Acknowledgements between two events.
const ACKNOWLEDGED_BETWEEN: usize = 20;

/// Shows the nodes' logs when a test fails.
struct ShowLogs<'a>(&'a Installation);

impl Drop for ShowLogs<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.0.nodes() {
                eprintln!("--- {}\n{}", node.name, node.log());
            }
        }
    }
}

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    let text = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}, {text}"))
}

/// What the status says; it ends with another code when it has findings.
fn status(installation: &Installation) -> String {
    String::from_utf8_lossy(&installation.admin("main", &["status"]).stdout).into_owned()
}

/// `sterna aside` on a node.
fn aside(installation: &Installation, node: &str, arguments: &[&str]) -> Output {
    let folder = installation.node(node).dir.to_string_lossy().into_owned();
    installation.admin(node, &[&["--json", "--dir", &folder, "aside"], arguments].concat())
}

/// What is set aside on a node of an account.
fn asides(installation: &Installation, node: &str, address: &str) -> Vec<Value> {
    let text = succeeded("sterna aside list", &aside(installation, node, &["list"]));
    let listed: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let all = listed["items"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|one| one["address"] == address).collect()
}

/// A main node that is an edge, and the data servers alpha and beta, of which alpha is an edge, too.
fn installed(place: impl Fn(&str) -> Place) -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge", place("main"));
    installation.join_and_serve("alpha", "data,edge", place("alpha"));
    installation.join_and_serve("beta", "data", place("beta"));
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.admin_ok("main", &["setting", "set", "failover.after-seconds", AFTER_SECONDS]);
    installation.admin_ok("main", &["setting", "set", "failover.lag-seconds", "60"]);
    installation
}

fn stand_by(installation: &Installation, address: &str, durability: &str) {
    installation.admin_ok("main", &["account", "standby", address, "--on", "beta", "--durability", durability]);
    until("the copy is equal", FOLLOWS_WITHIN, || {
        let copy = json(installation, &["account", "standby", address])[0].clone();
        (copy["equal_since"].is_string() && (durability == "1" || copy["stage"] == "awaited")).then_some(())
    });
}

fn server_of(installation: &Installation, address: &str) -> Value {
    json(installation, &["account", "get", address])["server"].clone()
}

fn is_taken_over(installation: &Installation, address: &str) {
    until("it is taken over", TAKEN_WITHIN, || (server_of(installation, address) == "beta").then_some(()));
}

fn append(imap: &mut Imap, subject: &str) -> bool {
    let message = format!("Subject: {subject}\r\n\r\nWritten once, read once.\r\n");
    imap.append("INBOX", message.as_bytes()).is_ok_and(|answer| answer.ok())
}

fn subjects(imap: &mut Imap) -> Vec<String> {
    messages(imap, "INBOX").into_iter().map(|message| message.subject).collect()
}

#[test]
fn a_server_that_is_cut_off_is_taken_over_and_acknowledges_nothing() {
    let Some(network) = Network::new(&["main", "alpha", "beta"]) else { return };
    let installation = installed(|name| network.place(name));
    for user in [ANA, BEN, CLEO] {
        installation.create_user(user, "alpha");
    }
    let _show = ShowLogs(&installation);
    let (edge, alpha) = (installation.node("main").at, installation.node("alpha").at);
    let at_main = |user| network.inside("main", || edge.login(user));
    let at_alpha = |user| network.inside("alpha", || alpha.login(user)).unwrap();
    stand_by(&installation, ANA, "1");
    stand_by(&installation, BEN, "2");

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        let mut lmtp = network.inside("main", || edge.lmtp()).unwrap();
        scope.spawn(move || ledger.send_by_lmtp(&mut lmtp, BEN, 0));
        let [mut ana, mut ben, mut cleo] = [ANA, BEN, CLEO].map(at_alpha);
        assert!(append(&mut ana, "everywhere") && append(&mut cleo, "before"));
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        until("the copy has it", FOLLOWS_WITHIN, || {
            let copy = json(&installation, &["account", "standby", ANA])[0].clone();
            (copy["lag"] == 0 && copy["equal_since"].is_string()).then_some(())
        });

        // Nobody copies what comes now. The main node's lease lets it be acknowledged all the same, at durability 1.
        for (from, to) in [("alpha", "beta"), ("beta", "alpha")] {
            network.cut_way(from, to);
        }
        pass(LEASE_OVER);
        let mut alone = (0..ALONE).filter(|number| append(&mut ana, &format!("alone-{number}"))).count();
        assert_eq!(alone, ALONE);
        network.cut("alpha");
        until("the last lease is over", TAKEN_WITHIN, || {
            let acknowledged = append(&mut ana, &format!("late-{alone}"));
            alone += usize::from(acknowledged);
            (!acknowledged).then_some(())
        });
        let refused = |imap: &mut Imap, subject: &str| {
            let answer = imap.append("INBOX", format!("Subject: {subject}\r\n\r\nx\r\n").as_bytes()).unwrap();
            assert!(answer.status.starts_with("NO [UNAVAILABLE]"), "{answer:?}");
            assert!(uid_status(imap, "INBOX").is_none());
        };
        refused(&mut ben, "never");

        // Others are served, with nobody's help, and it knows of nothing.
        for user in [ANA, BEN] {
            is_taken_over(&installation, user);
        }
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        let mut ana_at_main = until("ana is served", TAKEN_WITHIN, || at_main(ANA).ok()).0;
        until("ana's mailbox is served", TAKEN_WITHIN, || append(&mut ana_at_main, "elsewhere").then_some(()));
        refused(&mut ana, "never");
        refused(&mut ben, "never");
        // Nobody could take this one over.
        assert!(append(&mut cleo, "meanwhile"));
        assert_eq!(server_of(&installation, CLEO), "alpha");
        let told = status(&installation);
        assert!(told.contains("began without being asked"), "{told}");

        for (from, to) in [("alpha", "beta"), ("beta", "alpha")] {
            network.heal_way(from, to);
        }
        network.heal("alpha");
        let counted = || asides(&installation, "alpha", ANA).into_iter().find(|one| one["lost"].is_object());
        let (lost, _) = until("what is lost is counted", FOLLOWS_WITHIN, counted);
        // One more may have been done when the lease ended, and was not acknowledged for that.
        let items = lost["lost"]["items"].as_u64().and_then(|items| usize::try_from(items).ok()).unwrap();
        assert!((alone..=alone + 1).contains(&items) && lost["commits"] == items, "{alone}: {lost}");
        until("the status tells", FOLLOWS_WITHIN, || status(&installation).contains("sterna aside list").then_some(()));
        until("alpha follows", FOLLOWS_WITHIN, || {
            let copy = json(&installation, &["account", "standby", ANA])[0].clone();
            (copy["server"] == "alpha" && copy["lag"] == 0).then_some(())
        });
        // The session that sat there goes on with what the account is now.
        until("the session goes on", FOLLOWS_WITHIN, || uid_status(&mut ana, "INBOX"));
        assert_eq!(subjects(&mut ana), ["everywhere", "elsewhere"]);
        // No UID that alpha gave alone is another message's now.
        let uids: Vec<usize> = messages(&mut ana, "INBOX").iter().map(|message| message.uid as usize).collect();
        assert!(uids[1] > uids[0] + alone, "{uids:?}");
        exported_and_deleted(&installation, lost["name"].as_str().unwrap(), items);
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
    });
    let mut ben = at_main(BEN).unwrap();
    let validity = uid_status(&mut ben, "INBOX").unwrap().0;
    ledger.compare(&mut ben, "INBOX", "lmtp-", validity);
    assert_eq!(subjects(&mut at_main(CLEO).unwrap()), ["before", "meanwhile"]);
}

/// What was set aside comes out whole, and goes only when that is said twice.
fn exported_and_deleted(installation: &Installation, name: &str, messages: usize) {
    let to = installation.folder().join("lost");
    let text = to.to_string_lossy();
    succeeded("sterna aside export", &aside(installation, "alpha", &["export", name, "--to", &text]));
    let is_message = |path: &Path| path.extension().is_some_and(|extension| extension == "eml");
    let files: Vec<_> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.iter().filter(|path| is_message(path)).count(), messages, "{files:?}");
    let refused = aside(installation, "alpha", &["delete", name]);
    assert!(!refused.status.success() && errors(&refused).contains("--yes"), "{refused:?}");
    succeeded("sterna aside delete", &aside(installation, "alpha", &["delete", name, "--yes"]));
    assert!(asides(installation, "alpha", ANA).is_empty());
}

#[test]
fn a_server_that_stood_still_is_taken_over_and_loses_nothing_it_acknowledged() {
    let installation = installed(|_| Place::default());
    installation.create_user(BEN, "alpha");
    let (edge, alpha) = (installation.node("main").at, installation.node("alpha").at);
    let mut observer = edge.login(BEN).unwrap();
    assert!(["Ledger", "Frozen"].iter().all(|name| observer.command(&format!("CREATE {name}")).unwrap().ok()));
    let before = ["INBOX", "Ledger", "Frozen"].map(|mailbox| uid_status(&mut observer, mailbox).unwrap().0);
    stand_by(&installation, BEN, "2");

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        let _show = ShowLogs(&installation);
        ledger.is_written(scope, edge, BEN, 1, (1, "Ledger"));
        // This one stands still with it, in the middle of something, and goes on when it does.
        ledger.is_written(scope, alpha, BEN, 0, (1, "Frozen"));
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        ledger.stands.store(true, std::sync::atomic::Ordering::SeqCst);
        installation.freeze("alpha");
        is_taken_over(&installation, BEN);
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        installation.thaw("alpha");
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
        until("alpha follows", FOLLOWS_WITHIN, || {
            let copy = json(&installation, &["account", "standby", BEN])[0].clone();
            (copy["server"] == "alpha" && copy["stage"] == "awaited").then_some(())
        });
        ledger.grows_by(ACKNOWLEDGED_BETWEEN);
    });
    ledger.compare(&mut observer, "INBOX", "lmtp-", before[0]);
    ledger.compare(&mut observer, "Ledger", "append-Ledger", before[1]);
    ledger.compare(&mut observer, "Frozen", "append-Frozen", before[2]);
}

#[test]
fn an_account_is_served_while_one_of_those_who_could_take_it_over_answers() {
    let mut installation = installed(|_| Place::default());
    installation.admin_ok("main", &["setting", "set", "failover.after-seconds", "0"]);
    for user in [ANA, BEN, CLEO] {
        installation.create_user(user, "alpha");
    }
    stand_by(&installation, ANA, "1");
    stand_by(&installation, BEN, "2");
    let alpha = installation.node("alpha").at;
    let [mut ana, mut ben, mut cleo] = [ANA, BEN, CLEO].map(|user| alpha.login(user).unwrap());
    // The main node is away: the copy's server says that nobody took anything over.
    installation.kill("main");
    pass(LEASE_OVER);
    assert!([&mut ana, &mut ben, &mut cleo].into_iter().all(|imap| append(imap, "without main")));
    // Nobody is there whom a failover needs; who has no copy goes on.
    installation.kill("beta");
    until("the leases end", TAKEN_WITHIN, || (!append(&mut ana, "late")).then_some(()));
    pass(LEASE_OVER);
    assert!(uid_status(&mut ana, "INBOX").is_none() && uid_status(&mut ben, "INBOX").is_none());
    assert!(append(&mut cleo, "alone"));
    let log = installation.node("alpha").log();
    assert!(log.contains("serve_alone"), "{log}");
    // The main node says so, too. What is acknowledged by two waits for the copy all the same.
    installation.serve("main");
    until("ana is served", FOLLOWS_WITHIN, || append(&mut ana, "without beta").then_some(()));
    until("ben can read", FOLLOWS_WITHIN, || uid_status(&mut ben, "INBOX"));
    assert!(!append(&mut ben, "on one disk"));
    installation.serve("beta");
    until("ben is served", FOLLOWS_WITHIN, || append(&mut ben, "on two disks").then_some(()));
    assert_eq!(server_of(&installation, ANA), "alpha");
}
