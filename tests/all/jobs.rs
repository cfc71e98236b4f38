//! Moves, drains, standby copies and failovers as administrators do them, on real nodes.

use std::time::Duration;

use serde_json::{Value, json};
use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::wait;

/// How long a small installation may take to settle.
const PATIENCE: Duration = Duration::from_secs(60);

/// A main node that holds no accounts, two data servers, and three people on alpha with a message each.
fn with_people() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge", Place::default());
    installation.join_and_serve("alpha", "data", Place::default());
    installation.join_and_serve("beta", "data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    let at = installation.node("main").at;
    let mut lmtp = at.lmtp().unwrap();
    for name in ["ana", "ben", "eve"] {
        let address = format!("{name}@tern.test");
        installation.create_user(&address, "alpha");
        assert!(lmtp.send(&[&address], b"Subject: before\r\n\r\nHello.\r\n", 1).unwrap()[0].starts_with("250"));
    }
    installation
}

fn json_of(installation: &Installation, arguments: &[&str]) -> Value {
    let text = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

fn server_of(installation: &Installation, address: &str) -> String {
    json_of(installation, &["account", "where", address])["server"].as_str().unwrap().to_owned()
}

fn messages(installation: &Installation, address: &str) -> usize {
    let mut imap = installation.node("main").at.login(address).unwrap();
    let select = imap.command("SELECT INBOX").unwrap();
    assert!(select.ok(), "{select:?}");
    imap.command("UID SEARCH ALL").unwrap().lines[0].split(' ').skip(2).count()
}

#[test]
fn accounts_move_are_watched_and_move_back() {
    let installation = with_people();
    let lines = installation.admin_ok("main", &["--json", "account", "move", "ana@tern.test", "--to", "beta"]);
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["done"], &last["failed"]), (&json!("done"), &json!(1), &json!(0)), "{lines}");
    assert_eq!(
        (server_of(&installation, "ana@tern.test").as_str(), messages(&installation, "ana@tern.test")),
        ("beta", 1)
    );

    let detached = installation.admin_ok("main", &["account", "move", "--from", "alpha", "--to", "beta", "--detach"]);
    let end = installation.admin_ok("main", &["job", "follow", detached.trim()]);
    assert!(end.contains("is done: 2 of 2 accounts moved"), "{end}");
    assert_eq!(json_of(&installation, &["job", "list", "--active"]), json!([]));

    let mut lmtp = installation.node("main").at.lmtp().unwrap();
    assert!(lmtp.send(&["ana@tern.test"], b"Subject: since\r\n\r\nHello.\r\n", 1).unwrap()[0].starts_with("250"));
    installation.admin_ok("main", &["account", "move", "ana@tern.test", "--back"]);
    assert_eq!(
        (server_of(&installation, "ana@tern.test").as_str(), messages(&installation, "ana@tern.test")),
        ("alpha", 2)
    );
}

#[test]
fn a_server_is_drained_and_removed() {
    let installation = with_people();
    let said = installation.admin_ok("main", &["server", "drain", "alpha"]);
    assert!(said.contains("is done: 3 of 3 accounts moved"), "{said}");
    assert_eq!(server_of(&installation, "ben@tern.test"), "beta");
    let kept = installation.admin("main", &["server", "remove", "alpha", "--yes"]);
    assert!(!kept.status.success() && errors(&kept).contains("it holds 3 copies"), "{}", errors(&kept));
    for address in ["ana@tern.test", "ben@tern.test", "eve@tern.test"] {
        installation.admin_ok("main", &["account", "release", address, "--on", "alpha", "--yes"]);
    }
    installation.admin_ok("main", &["server", "remove", "alpha", "--yes"]);
    assert_eq!(json_of(&installation, &["server", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(messages(&installation, "eve@tern.test"), 1);
}

#[test]
fn a_lost_server_is_failed_over_without_a_loss() {
    let mut installation = with_people();
    installation.admin_ok("main", &["server", "standby", "alpha", "--on", "beta"]);
    let bytes = |installation: &Installation| {
        let copies = json_of(installation, &["server", "standby", "alpha"]);
        let copies = copies.as_array().unwrap();
        let is_complete = copies.len() == 3 && copies.iter().all(|copy| copy["equal_since"].is_string());
        is_complete.then(|| copies.iter().filter_map(|copy| copy["bytes"].as_u64()).sum::<u64>())
    };
    let (before, _) = wait::until("the standby copies", PATIENCE, || bytes(&installation));
    let mut lmtp = installation.node("main").at.lmtp().unwrap();
    assert!(lmtp.send(&["ana@tern.test"], b"Subject: last\r\n\r\nHello.\r\n", 1).unwrap()[0].starts_with("250"));
    // An acknowledgement does not wait for the copy.
    wait::until("the copy has the message", PATIENCE, || bytes(&installation).filter(|now| *now > before));
    let alive = installation.admin("main", &["server", "failover", "alpha", "--to", "beta", "--yes"]);
    assert!(errors(&alive).contains("alpha answers"), "{}", errors(&alive));

    installation.kill("alpha");
    let said = installation.admin_ok("main", &["server", "failover", "alpha", "--to", "beta", "--yes"]);
    assert!(said.contains("3 accounts have a standby copy that can take over"), "{said}");
    assert!(said.contains("the copy had all that it had heard of"), "{said}");
    let served = || (messages(&installation, "ana@tern.test") == 2).then_some(());
    wait::until("ana's mail on beta", PATIENCE, served);
    assert_eq!(server_of(&installation, "eve@tern.test"), "beta");
    installation.serve("alpha");
    let follows = || {
        let copies = json_of(&installation, &["server", "standby", "beta"]);
        let copies = copies.as_array().unwrap();
        (copies.len() == 3 && copies.iter().all(|copy| copy["equal_since"].is_string())).then_some(())
    };
    wait::until("alpha to follow", PATIENCE, follows);
}
