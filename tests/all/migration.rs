//! A new machine takes the place of one that is everything, while that is used.

use serde_json::{Value, json};
use sterna_testkit::failpoints::Strike;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place, errors, succeeded};
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::moving::ShowLogs;
use sterna_testkit::wait::until;

use super::migrating::{ENDS, NEW, OLD, WITHIN, is_so, is_taken, state};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

/// Acknowledgements before, between and after the steps.
const ACKNOWLEDGED: usize = 20;

/// A machine that is everything, with two users.
fn single() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok(OLD, &["domain", "create", "tern.test"]);
    installation.create_user(ANA, OLD);
    installation.create_user(BEN, OLD);
    until("ben is served", WITHIN, || {
        let mut imap = installation.node(OLD).at.login(BEN).ok()?;
        uid_status(&mut imap, "INBOX")
    });
    installation
}

fn token(installation: &Installation) -> String {
    let text = installation.admin_ok(OLD, &["--json", "migrate", "token"]);
    let token: Value = serde_json::from_str(&text).unwrap();
    token["token"].as_str().unwrap().to_owned()
}

/// The new machine follows.
fn pair(installation: &mut Installation) {
    let token = token(installation);
    succeeded("migrate from", &installation.migrate_from(NEW, OLD, &token, Place::default()));
    installation.serve(NEW);
}

/// Waits until the main node, whichever it is, says that the migration is there.
fn is_at(installation: &Installation, phase: &str) {
    let what = format!("the migration is {phase}");
    is_so(installation, (&what, WITHIN), &[OLD, NEW], |state| state["phase"] == phase);
}

fn is_synced(installation: &Installation) {
    is_so(installation, ("everything is equal", WITHIN), &[OLD], |state| {
        state["copies"]["accounts"] == 2 && state["copies"]["equal"] == 2
    });
}

fn roles(installation: &Installation, node: &str) -> Vec<String> {
    let text = installation.admin_ok(node, &["--json", "server", "get", node]);
    let server: Value = serde_json::from_str(&text).unwrap();
    server["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap().to_owned()).collect()
}

/// Nobody may act as two main nodes: a change is taken by the one and refused by the other.
fn is_main(installation: &Installation, main: &str, other: Option<&str>) {
    let name = format!("{main}-{}.test", installation.node(main).log().len());
    until(&format!("{main} takes changes"), WITHIN, || {
        installation.admin(main, &["domain", "create", &name]).status.success().then_some(())
    });
    if let Some(other) = other {
        let refused = installation.admin(other, &["domain", "create", &format!("no-{name}")]);
        assert!(!refused.status.success() && errors(&refused).contains(main), "{}", errors(&refused));
    }
}

fn moves_with_load(pace: &[&str]) {
    let mut installation = single();
    let (old, ledger) = (installation.node(OLD).at, Ledger::default());
    std::fs::write(installation.node(OLD).dir.join("notes.txt"), "the administrator's").unwrap();
    let mut observer = old.login(BEN).unwrap();
    assert!(observer.command("CREATE Ledger").unwrap().ok());
    let before = ["INBOX", "Ledger"].map(|mailbox| uid_status(&mut observer, mailbox).unwrap());
    let mut selected: Vec<Imap> = (0..2).map(|_| old.login(BEN).unwrap()).collect();
    for session in &mut selected {
        assert!(session.command("SELECT INBOX").unwrap().ok());
    }
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        ledger.is_written(scope, old, BEN, 2, (1, "Ledger"));
        ledger.grows_by(ACKNOWLEDGED);
        pair(&mut installation);
        is_synced(&installation);
        ledger.grows_by(ACKNOWLEDGED);
        {
            let _show = ShowLogs(&installation);
            installation.admin_ok(OLD, &[&["migrate", "switch", "--yes"], pace].concat());
        }
        is_at(&installation, "switched");
        // Whoever still speaks with the old machine is served by it: from the new one.
        ledger.grows_by(ACKNOWLEDGED);
        for session in &mut selected {
            assert!(session.command("UID FETCH 1:* (FLAGS)").unwrap().ok());
        }
        assert_eq!(ledger.refusals(), 0, "writes wait, they are not refused");
    });
    for address in [ANA, BEN] {
        assert_eq!(installation.server_of(address).as_deref(), Some(NEW));
    }
    is_main(&installation, NEW, Some(OLD));
    // Every file of Sterna's own is accounted for; the administrator's is named.
    assert_eq!(state(&installation, NEW).unwrap()["left_behind"], json!(["notes.txt"]));
    assert_eq!((roles(&installation, NEW), roles(&installation, OLD)), all_and_rest());
    let new = installation.node(NEW).at;
    let mut observer = new.login(BEN).unwrap();
    ledger.compare(&mut observer, "INBOX", "lmtp-", before[0].0);
    ledger.compare(&mut observer, "Ledger", "append-", before[1].0);

    // The old machine is let go, ends, and can't be started again.
    drop((observer, selected));
    installation.admin_ok(NEW, &["migrate", "finish", "--yes"]);
    installation.wait_for_end(OLD);
    until("the old machine is no server any more", WITHIN, || {
        let listed = installation.admin_ok(NEW, &["--json", "server", "list"]);
        let listed: Value = serde_json::from_str(&listed).ok()?;
        listed.as_array()?.iter().all(|server| server["name"] != OLD).then_some(())
    });
    let ended = installation.try_serve(OLD);
    assert!(ended.is_some_and(|status| !status.success()), "it serves again");
    assert!(installation.node(OLD).log().contains("took this one's place"), "{}", installation.node(OLD).log());
    ledger.compare(&mut new.login(BEN).unwrap(), "Ledger", "append-", before[1].0);
}

fn all_and_rest() -> (Vec<String>, Vec<String>) {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    (named(&["main", "data", "edge"]), named(&["data", "edge"]))
}

#[test]
fn a_machine_takes_anothers_place_while_that_is_used() {
    moves_with_load(&[]);
}

#[test]
fn all_accounts_go_at_once_when_that_is_wanted() {
    moves_with_load(&["--at-once"]);
}

#[test]
fn everything_comes_back_with_what_was_done_since() {
    let mut installation = single();
    let (ledger, old) = (Ledger::default(), installation.node(OLD).at);
    let validity = uid_status(&mut old.login(BEN).unwrap(), "INBOX").unwrap().0;
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        scope.spawn(move || ledger.deliver(|| old.lmtp(), BEN, 0));
        ledger.grows_by(ACKNOWLEDGED);
        pair(&mut installation);
        is_synced(&installation);
        installation.admin_ok(OLD, &["migrate", "switch", "--yes", "--detach"]);
        is_at(&installation, "switched");
        ledger.grows_by(ACKNOWLEDGED);
        // What the new main node did since is not lost either.
        is_main(&installation, NEW, Some(OLD));
        installation.admin_ok(NEW, &["migrate", "back", "--yes", "--detach"]);
        is_home(&installation);
        is_main(&installation, OLD, Some(NEW));
        ledger.grows_by(ACKNOWLEDGED);
    });
    ledger.compare(&mut old.login(BEN).unwrap(), "INBOX", "lmtp-", validity);
    let domains = installation.admin_ok(OLD, &["domain", "list"]);
    assert!(domains.contains(&format!("{NEW}-")), "what the new main node made is not there: {domains}");

    // And once more, for good or not: a migration that was taken back can be given up.
    installation.admin_ok(OLD, &["migrate", "abort", "--yes"]);
    is_at(&installation, "aborted");
}

#[test]
fn a_token_works_once_and_only_one_machine_takes_a_place() {
    let mut installation = single();
    let (first, second) = (token(&installation), token(&installation));
    let ordinary = installation.token(&[]);
    let refused = |output: std::process::Output, texts: &[&str]| {
        let said = errors(&output);
        assert!(!output.status.success() && texts.iter().all(|text| said.contains(text)), "{said}");
    };
    refused(installation.migrate_from("other", OLD, &ordinary, Place::default()), &["sterna migrate token"]);
    let main = installation.node(OLD).at.cluster.to_string();
    let joined = installation.init("other", "data", Place::default(), &["--join", &main, "--token", &first]);
    refused(joined, &["sterna migrate from"]);
    succeeded("migrate from", &installation.migrate_from(NEW, OLD, &first, Place::default()));
    refused(installation.migrate_from("other", OLD, &first, Place::default()), &["was used by node"]);
    refused(installation.migrate_from("other", OLD, &second, Place::default()), &["taking a place", "migrate abort"]);
    refused(installation.admin(OLD, &["migrate", "token"]), &["already", "sterna migrate status"]);
    // It was never started: nothing is equal, and nothing is switched.
    refused(installation.admin(OLD, &["migrate", "switch", "--yes"]), &["doesn't answer", "Start it"]);
    installation.serve(NEW);
    is_synced(&installation);
    installation.admin_ok(OLD, &["migrate", "switch", "--yes", "--dry-run"]);
}

/// Ends a node at each step, on the way there and on the way back: started again, it goes on by itself.
#[test]
fn whoever_ends_in_the_middle_goes_on_there() {
    let mut installation = single();
    let (ledger, old) = (Ledger::default(), installation.node(OLD).at);
    let validity = uid_status(&mut old.login(BEN).unwrap(), "INBOX").unwrap().0;
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        scope.spawn(move || ledger.deliver(|| old.lmtp(), BEN, 0));
        ledger.grows_by(ACKNOWLEDGED);
        pair(&mut installation);
        is_synced(&installation);
        for (number, (node, failpoint)) in ENDS.into_iter().enumerate() {
            installation.arm(node, failpoint, Strike::End);
            is_taken(&installation, (OLD, "switch"), WITHIN, Some((node, failpoint)));
            installation.ends_at(node, failpoint);
            installation.serve(node);
            is_at(&installation, "switched");
            is_main(&installation, NEW, Some(OLD));
            grows(&installation, ledger);
            let back = [(OLD, "migration-installed-one"), (NEW, "migration-handed-over")].get(number);
            if let Some((node, failpoint)) = back {
                installation.arm(node, failpoint, Strike::End);
            }
            is_taken(&installation, (NEW, "back"), WITHIN, back.copied());
            if let Some((node, failpoint)) = back {
                installation.ends_at(node, failpoint);
                installation.serve(node);
            }
            is_home(&installation);
            is_main(&installation, OLD, Some(NEW));
            grows(&installation, ledger);
        }
    });
    ledger.compare(&mut old.login(BEN).unwrap(), "INBOX", "lmtp-", validity);
}

/// Mail is taken.
fn grows(installation: &Installation, ledger: &Ledger) {
    let _show = ShowLogs(installation);
    ledger.grows_by(2);
}

/// Everything is on the old machine again, which is the main node.
fn is_home(installation: &Installation) {
    is_so(installation, ("everything is back", WITHIN), &[OLD], |state| {
        state["phase"] == "syncing" && state["main"] == OLD && state["copies"]["equal"] == 2
    });
}
