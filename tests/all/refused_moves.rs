//! Moves that can't be done, or not yet: each is refused in words that say what to do, and the account is served where
//! it was. And servers whose name, roles and address change while they serve.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::addresses;
use sterna_testkit::disk::Disk;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

/// How long a small installation may take to settle, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(90);

/// Messages of ana, and how long each is: at the slowest speed that can be set, a copy takes most of a minute.
const MESSAGES: usize = 30;
const MESSAGE_BYTES: usize = 100 * 1024;

/// Room for an empty node; less than what every server keeps free.
const TINY_DISK_BYTES: usize = 64 * 1024 * 1024;

fn installation() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge", Place::default());
    installation.ignore_disk();
    installation.join_and_serve("alpha", "data", Place::default());
    installation.join_and_serve("beta", "data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "alpha");
    installation.create_user(BEN, "alpha");
    installation
}

fn json_of(installation: &Installation, arguments: &[&str]) -> Value {
    let output = installation.admin("main", &[&["--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
}

fn server_of(installation: &Installation, address: &str) -> String {
    json_of(installation, &["account", "where", address])["server"].as_str().unwrap().to_owned()
}

fn count(imap: &mut Imap) -> usize {
    let answer = imap.command("SELECT INBOX").unwrap();
    let exists = answer.lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    exists.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

/// Delivers a message and reads it: she is served.
fn is_served(installation: &Installation, address: &str) {
    let at = installation.node("main").at;
    let mut imap = at.login(address).unwrap();
    let before = count(&mut imap);
    let replies = at.lmtp().unwrap().send(&[address], b"Subject: still here\r\n\r\nHello.\r\n", 1).unwrap();
    assert!(replies[0].starts_with("250"), "{replies:?}");
    assert_eq!(count(&mut imap), before + 1);
}

fn move_to(installation: &Installation, address: &str, to: &str) -> (Option<i32>, String) {
    let output = installation.admin("main", &["account", "move", address, "--to", to, "--detach"]);
    (output.status.code(), errors(&output))
}

/// It is refused with these words, and the account stays where it was and is served.
fn is_refused(installation: &Installation, address: &str, to: &str, words: &[&str]) {
    let before = server_of(installation, address);
    let (code, said) = move_to(installation, address, to);
    assert_ne!(code, Some(0), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not said: {said}");
    }
    assert_eq!(server_of(installation, address), before);
    is_served(installation, address);
}

#[test]
fn what_cannot_be_moved_is_refused_and_stays_served() {
    let disk = Disk::new(TINY_DISK_BYTES);
    let mut installation = installation();
    is_served(&installation, ANA);
    is_refused(&installation, ANA, "nowhere", &["nowhere", "sterna server list"]);
    is_refused(&installation, ANA, "main", &["main", "data"]);
    let (code, said) = move_to(&installation, "eve@tern.test", "beta");
    assert!(code != Some(0) && said.contains("eve@tern.test"), "{said}");
    let (code, said) = move_to(&installation, ANA, "alpha");
    assert!(code == Some(3) && said.contains("is there already"), "{code:?}: {said}");
    if let Some(disk) = &disk {
        let place = Place { dir: Some(disk.path().join("tiny")), ..Place::default() };
        installation.join_and_serve("tiny", "data", place);
        is_refused(&installation, ANA, "tiny", &["tiny has", "free", "don't fit", "name another server"]);
        installation.kill("tiny");
    }
    installation.kill("beta");
    is_refused(&installation, ANA, "beta", &["beta doesn't answer", "nothing was begun", "sterna server get beta"]);
    installation.serve("beta");
    let (begun, _) = until("beta answers again", PATIENCE, || {
        let output = installation.admin("main", &["account", "move", BEN, "--to", "beta", "--dry-run"]);
        output.status.success().then_some(output)
    });
    assert!(String::from_utf8_lossy(&begun.stdout).contains(BEN), "{begun:?}");
}

#[test]
fn a_job_is_limited_paused_and_aborted_and_nobody_else_can_move_its_accounts() {
    let installation = installation();
    let at = installation.node("main").at;
    let mut lmtp = at.lmtp().unwrap();
    for number in 0..MESSAGES {
        let mut message = format!("Subject: long {number}\r\n\r\n").into_bytes();
        while message.len() < MESSAGE_BYTES {
            message.extend_from_slice(b"Arctic terns see two summers a year, and more daylight than anybody else.\r\n");
        }
        assert!(lmtp.send(&[ANA], &message, 1).unwrap()[0].starts_with("250"));
    }
    installation.admin_ok("main", &["setting", "set", "move.bytes-per-second", "65536"]);
    let job = installation.admin_ok("main", &["account", "move", ANA, "--to", "beta", "--detach"]).trim().to_owned();
    assert!(job.parse::<u64>().is_ok(), "--detach prints the id and nothing else: {job}");
    let (shown, _) = until("the limit is told", PATIENCE, || {
        let shown = installation.admin_ok("main", &["job", "show", &job]);
        shown.contains("limited by move.bytes-per-second").then_some(shown)
    });
    assert!(shown.contains(&format!("{ANA}: copying from alpha to beta")), "{shown}");
    assert!(shown.contains("of 64.0 KiB/s allowed"), "{shown}");
    is_refused(&installation, ANA, "beta", &["it is moving to beta already", &job, "sterna job"]);

    // Two administrators want the same account at once.
    let attempts = [vec!["account", "move", BEN], vec!["account", "move", "--pattern", "b*@tern.test"]];
    let begun: Vec<bool> = std::thread::scope(|scope| {
        let installation = &installation;
        let run = |which: Vec<&'static str>| {
            let arguments = [which, vec!["--to", "beta", "--detach"]].concat();
            scope.spawn(move || {
                let output = installation.admin("main", &arguments);
                let said = errors(&output);
                let is_clear = ["moving", "is there already"].iter().any(|words| said.contains(words));
                assert!(output.status.success() || is_clear, "{said}");
                output.status.success()
            })
        };
        let threads: Vec<_> = attempts.into_iter().map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(begun.iter().filter(|begun| **begun).count(), 1, "{begun:?}");
    until("ben is on beta", PATIENCE, || (server_of(&installation, BEN) == "beta").then_some(()));

    installation.admin_ok("main", &["job", "pause", &job]);
    assert!(installation.admin_ok("main", &["job", "show", &job]).contains("paused"));
    assert_eq!(json_of(&installation, &["status"])["problems"].as_array().unwrap().len(), 1, "it may be forgotten");
    installation.admin_ok("main", &["job", "resume", &job]);
    installation.admin_ok("main", &["job", "abort", &job]);
    let followed = installation.admin("main", &["job", "watch", &job]);
    let said = String::from_utf8_lossy(&followed.stdout);
    assert!(followed.status.code() == Some(1) && said.contains("0 of 1 accounts moved, 1 taken back"), "{said}");
    assert_eq!(server_of(&installation, ANA), "alpha");
    is_served(&installation, ANA);

    installation.admin_ok("main", &["setting", "set", "move.bytes-per-second", "0"]);
    until("the copy that was begun is gone", PATIENCE, || {
        (move_to(&installation, ANA, "beta").0 == Some(0)).then_some(())
    });
    until("ana is on beta", PATIENCE, || (server_of(&installation, ANA) == "beta").then_some(()));
    is_served(&installation, ANA);
}

/// The one file of this kind below a folder.
fn store_below(folder: &Path) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension().and_then(|extension| extension.to_str()) {
                _ if entry.is_dir() => folders.push(entry),
                Some("sqlite") => return entry,
                _ => {}
            }
        }
    }
    panic!("there is no store");
}

#[test]
fn a_copy_that_differs_is_copied_again_and_told_of() {
    let mut installation = installation();
    is_served(&installation, ANA);
    installation.admin_ok("main", &["account", "standby", ANA, "--on", "beta"]);
    let equal = |installation: &Installation| {
        let copies = json_of(installation, &["account", "standby", ANA]);
        copies[0]["equal_since"].is_string().then_some(())
    };
    until("the standby copy", PATIENCE, || equal(&installation));
    // What no program of ours does: a disk that gives back something else.
    installation.stop("beta");
    let store = rusqlite::Connection::open(store_below(&installation.node("beta").dir.join("accounts"))).unwrap();
    let flipped: String = store.query_row("SELECT hex(digest) FROM account", [], |row| row.get(0)).unwrap();
    let flipped: String = flipped.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect();
    assert_eq!(store.execute(&format!("UPDATE account SET digest = X'{flipped}'"), []).unwrap(), 1);
    drop(store);
    installation.serve("beta");
    is_served(&installation, ANA);
    until("the alarm", PATIENCE, || {
        let status = json_of(&installation, &["status"]);
        let problems = status["problems"].as_array().unwrap().clone();
        let of_beta =
            problems.iter().find(|problem| problem["what"].as_str().unwrap().contains("differed from its source"));
        of_beta
            .filter(|problem| problem["server"] == "beta" && problem["remedy"].as_str().unwrap().contains("dmesg"))
            .cloned()
    });
    assert_eq!(server_of(&installation, ANA), "alpha");
    until("the copy is whole again", PATIENCE, || equal(&installation));
    installation.admin_ok("main", &["account", "move", ANA, "--to", "beta"]);
    assert_eq!(server_of(&installation, ANA), "beta");
    is_served(&installation, ANA);
}

#[test]
fn a_server_changes_its_name_roles_and_address_while_it_serves() {
    let mut installation = installation();
    let mut session = installation.node("main").at.login(ANA).unwrap();
    assert_eq!(count(&mut session), 0);
    let shown = installation.admin_ok("main", &["server", "list"]);
    let heading = shown.lines().next().unwrap_or_default().to_owned();
    for column in ["ACCOUNTS", "USED", "FREE", "DISK", "LOAD", "ANSWERS"] {
        assert!(heading.contains(column), "{shown}");
    }
    installation.admin_ok("main", &["server", "set", "alpha", "--name", "store1"]);
    assert_eq!(server_of(&installation, ANA), "store1");
    is_served(&installation, ANA);
    assert!(session.command("NOOP").unwrap().ok());
    let refused = installation.admin("main", &["server", "set", "store1", "--roles", "edge"]);
    assert!(errors(&refused).contains("2 accounts live there"), "{}", errors(&refused));
    installation.admin_ok("main", &["server", "set", "store1", "--roles", "data,edge"]);
    let shown = installation.admin_ok("main", &["server", "show", "store1"]);
    assert!(shown.contains("data, edge") && shown.contains("disk") && shown.contains("GiB"), "{shown}");
    is_served(&installation, ANA);

    // The machine gets another address, and its configuration says so only to itself.
    installation.stop("alpha");
    let (config, old) = (installation.node("alpha").dir.join("sterna.toml"), installation.node("alpha").at.cluster);
    let [free] = addresses::free(old.ip());
    let text = fs::read_to_string(&config).unwrap();
    let moved = text.replace(&format!("listen = \"{old}\""), &format!("listen = \"{free}\""));
    assert_ne!(moved, text, "{text}");
    fs::write(&config, moved).unwrap();
    installation.serve("alpha");
    installation.admin_ok("main", &["server", "set", "store1", "--address", &free.to_string()]);
    until("it is reached at its new address", PATIENCE, || {
        (json_of(&installation, &["server", "get", "store1"])["answers"] == true).then_some(())
    });
    is_served(&installation, ANA);
    assert!(session.command("NOOP").unwrap().ok(), "the session is the one from the beginning");
    assert_eq!(count(&mut session), 3);
}
