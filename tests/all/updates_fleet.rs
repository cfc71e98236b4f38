//! Several servers are brought to another version and back, under load, with whoever is in the way: servers that are
//! killed at any step, that are away, and that don't work afterwards.

use std::fs;

use serde_json::Value;
use sterna_testkit::failpoints::Strike;
use sterna_testkit::installation::{Installation, errors};
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::wait::until;

use crate::updates::{NEW, OLD, PATIENCE, Programs, runs};

const SERVERS: [&str; 3] = ["main", "alpha", "edge"];

/// A main node, a data server with ana's account, and an edge; each has both versions.
fn fleet(programs: &Programs) -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main", programs.place());
    installation.join_and_serve("alpha", "data", programs.place());
    installation.join_and_serve("edge", "edge", programs.place());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user("ana@tern.test", "alpha");
    // The first version that starts in a folder is the latest that is there.
    programs.install(NEW);
    installation.admin_ok("main", &["update", "policy", "pinned", NEW]);
    installation
}

/// A plan that can be applied.
fn ready(installation: &Installation) {
    for step in ["prepare", "check", "download"] {
        installation.admin_ok("main", &["update", step]);
    }
}

fn state(installation: &Installation) -> Option<Value> {
    let output = installation.admin("main", &["--json", "update", "status"]);
    serde_json::from_slice(&output.stdout).ok()
}

/// Waits until the update is in this phase.
fn comes_to(installation: &Installation, phase: &str) -> Value {
    let (state, _) = until(&format!("the update is {phase}"), PATIENCE, || {
        state(installation).filter(|state| state["phase"] == phase)
    });
    state
}

fn all_run(installation: &Installation, version: &str) {
    SERVERS.iter().for_each(|server| runs(installation, server, version));
}

#[test]
fn a_fleet_is_updated_and_rolled_back_under_load() {
    let programs = Programs::new();
    let installation = fleet(&programs);
    let at = installation.node("edge").at;
    let mut imap = at.login("ana@tern.test").unwrap();
    assert!(imap.command("CREATE Work").unwrap().ok());
    let (uid_validity, _) = uid_status(&mut imap, "INBOX").unwrap();
    let ledger = Ledger::default();
    ready(&installation);
    std::thread::scope(|scope| {
        let end = ledger.end_later();
        scope.spawn(|| ledger.deliver(|| at.lmtp(), "ana@tern.test", 0));
        scope.spawn(|| ledger.work(|| at.login("ana@tern.test"), "Work", 0));
        ledger.grows_by(10);
        installation.admin_ok("main", &["update", "apply", "--yes"]);
        all_run(&installation, NEW);
        ledger.grows_by(10);
        installation.admin_ok("main", &["update", "rollback", "--yes"]);
        all_run(&installation, OLD);
        ledger.grows_by(10);
        drop(end);
    });
    let mut imap = at.login("ana@tern.test").unwrap();
    ledger.compare(&mut imap, "INBOX", "lmtp-", uid_validity);
    let history = installation.admin_ok("main", &["update", "history"]);
    // Data servers first, then the main node, edges last; back in the other order.
    let asked: Vec<&str> = SERVERS.into_iter().filter(|name| history.contains(&format!("{name}: {NEW}"))).collect();
    assert_eq!(asked, SERVERS, "{history}");
    let place = |text: &str| history.find(text).unwrap_or_else(|| panic!("{text}: {history}"));
    assert!(place(&format!("edge: {NEW}")) < place(&format!("main: {NEW}")), "the latest first: {history}");
    assert!(place(&format!("main: {NEW}")) < place(&format!("alpha: {NEW}")), "the latest first: {history}");
}

#[test]
fn whoever_is_killed_while_an_update_goes_on_it_goes_on() {
    let programs = Programs::new();
    let mut installation = fleet(&programs);
    let steps = [
        ("main", "update-asking"),
        ("main", "update-asked"),
        ("main", "update-proven"),
        ("main", "handover-recorded"),
        ("main", "handover-stopped"),
        ("alpha", "handover-recorded"),
        ("edge", "handover-stopped"),
    ];
    for (server, failpoint) in steps {
        ready(&installation);
        installation.arm(server, failpoint, Strike::End);
        installation.admin_ok("main", &["update", "apply", "--yes", "--detach"]);
        installation.ends_at(server, failpoint);
        installation.serve(server);
        comes_to(&installation, "rolled");
        all_run(&installation, NEW);
        installation.admin_ok("main", &["update", "rollback", "--yes"]);
        comes_to(&installation, "rolled-back");
        all_run(&installation, OLD);
    }
}

#[test]
fn a_version_that_does_not_come_to_serve_stops_the_update_and_the_one_before_runs_again() {
    let programs = Programs::new();
    let mut installation = fleet(&programs);
    ready(&installation);
    installation.arm("alpha", "version-starts", Strike::End);
    installation.admin_ok("main", &["update", "apply", "--yes", "--detach"]);
    installation.ends_at("alpha", "version-starts");
    installation.serve("alpha");
    let stopped = comes_to(&installation, "stopped");
    assert!(stopped["reason"].as_str().unwrap().contains("alpha could not serve with 0.2.0"), "{stopped}");
    all_run(&installation, OLD);
    // An administrator has looked, and lets it go on.
    installation.admin_ok("main", &["update", "resume"]);
    comes_to(&installation, "rolled");
    all_run(&installation, NEW);
}

#[test]
fn a_server_that_does_not_work_with_the_new_version_goes_back_by_itself() {
    let programs = Programs::new();
    let installation = fleet(&programs);
    ready(&installation);
    // Where mail is tried with there is something else: the version serves, and takes no mail.
    let in_the_way = installation.node("alpha").dir.join("update-trial");
    fs::write(&in_the_way, "").unwrap();
    let output = installation.admin("main", &["update", "apply", "--yes"]);
    assert!(!output.status.success(), "it stops: {}", errors(&output));
    let stopped = comes_to(&installation, "stopped");
    let reason = stopped["reason"].as_str().unwrap();
    assert!(reason.contains("alpha runs 0.2.0 and does not work: a message can't be delivered"), "{reason}");
    all_run(&installation, OLD);
    until("it says so", PATIENCE, || {
        state(&installation)
            .filter(|state| state["reason"].as_str().is_some_and(|text| text.contains("runs 0.1.0 again")))
    });
    fs::remove_file(&in_the_way).unwrap();
    installation.admin_ok("main", &["update", "resume"]);
    comes_to(&installation, "rolled");
    all_run(&installation, NEW);
    installation.admin_ok("main", &["update", "finish", "--yes"]);
}

#[test]
fn a_server_that_sleeps_is_left_out_and_follows() {
    let programs = Programs::new();
    let mut installation = fleet(&programs);
    installation.kill("alpha");
    installation.admin_ok("main", &["update", "prepare"]);
    installation.admin_ok("main", &["update", "check"]);
    installation.admin_ok("main", &["update", "download"]);
    installation.admin_ok("main", &["update", "apply", "--yes"]);
    let rolled = comes_to(&installation, "rolled");
    assert_eq!(rolled["reason"], "not yet: alpha");
    let refused = installation.admin("main", &["update", "finish", "--yes"]);
    assert!(errors(&refused).contains("alpha does not answer"), "{}", errors(&refused));
    installation.serve("alpha");
    all_run(&installation, NEW);
    until("all are there", PATIENCE, || {
        installation.admin("main", &["update", "finish", "--yes"]).status.success().then_some(())
    });
}

#[test]
fn a_server_that_hangs_while_it_is_checked_is_named_and_must_be_looked_at_before_it_changes() {
    let programs = Programs::new();
    let installation = fleet(&programs);
    installation.admin_ok("main", &["update", "prepare"]);
    installation.freeze("alpha");
    // It ends although alpha says nothing, and says so.
    let checked = installation.admin("main", &["--json", "update", "check"]);
    let state: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let servers = state["check"]["servers"].as_array().unwrap_or_else(|| panic!("{state}"));
    let alpha = servers.iter().find(|part| part["server"] == "alpha").unwrap_or_else(|| panic!("{state}"));
    assert_eq!((&alpha["state"], &state["check"]["is_over"]), (&Value::from("away"), &Value::from(true)), "{state}");
    installation.thaw("alpha");
    installation.admin_ok("main", &["update", "download"]);
    until("alpha answers, and was not looked at", PATIENCE, || {
        let refused = errors(&installation.admin("main", &["update", "apply", "--yes"]));
        refused.contains("alpha answers now and did not when the plan was checked").then_some(())
    });
    all_run(&installation, OLD);
    ready(&installation);
    installation.admin_ok("main", &["update", "apply", "--yes"]);
    all_run(&installation, NEW);
}

#[test]
fn a_pause_holds_and_a_second_update_is_refused() {
    let programs = Programs::new();
    let mut installation = fleet(&programs);
    ready(&installation);
    installation.arm("alpha", "handover-stopped", Strike::Stop);
    installation.admin_ok("main", &["update", "apply", "--yes", "--detach"]);
    until("alpha stands", PATIENCE, || installation.is_reached("alpha", "handover-stopped").then_some(()));
    installation.admin_ok("main", &["update", "pause"]);
    let refused = |arguments: &[&str]| {
        let output = installation.admin("main", arguments);
        assert!(!output.status.success(), "{arguments:?}");
        errors(&output)
    };
    assert!(refused(&["update", "prepare"]).contains("update 1 is paused"));
    assert!(refused(&["update", "apply", "--yes"]).contains("update 1 is paused"));
    installation.thaw("alpha");
    runs(&installation, "alpha", NEW);
    runs(&installation, "main", OLD);
    // Over a restart as well.
    installation.stop("main");
    installation.serve("main");
    assert_eq!(comes_to(&installation, "paused")["plan"]["number"], 1);
    runs(&installation, "main", OLD);
    installation.admin_ok("main", &["update", "resume"]);
    comes_to(&installation, "rolled");
    all_run(&installation, NEW);
}
