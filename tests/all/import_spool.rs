//! `sterna import cyrus send`: the files of Debian's Cyrus, which was killed, become an account with the same UIDs.

use std::fs;

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::cyrus::{ADMIN, Cyrus};
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, PASSWORD, errors};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

/// Messages there.
const MESSAGES: usize = 5;

/// A Cyrus with a user who has flagged, expunged and kept messages, and doesn't run any more.
fn dead() -> Cyrus {
    let mut cyrus = Cyrus::start(1, ("nobody", "x"));
    let mut admin = Imap::login("127.0.0.1", cyrus.port, ADMIN, "x").unwrap();
    assert!(admin.command("CREATE user/ana").unwrap().ok());
    let mut ana = cyrus.login("ana");
    for number in 0..MESSAGES {
        let message = format!("From: x@y.test\r\nSubject: spooled {number}\r\n\r\nNumber {number}.\r\n");
        assert!(ana.append("INBOX", message.as_bytes()).unwrap().ok());
    }
    for command in ["SELECT INBOX", "STORE 2 +FLAGS (\\Flagged terns)", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"] {
        assert!(ana.command(command).unwrap().ok(), "{command}");
    }
    cyrus.kill();
    cyrus
}

#[test]
fn the_files_of_a_dead_server_become_an_account() {
    if !binary::have_root() {
        return;
    }
    let cyrus = dead();
    let installation = Installation::standard();
    installation.admin_ok("main", &["user", "set", BEN, "--admin", "yes"]);
    installation.admin_ok("main", &["user", "set", ANA, "--suspended", "yes"]);
    let at = installation.node("main").at;
    let file = installation.folder().join("password");
    fs::write(&file, PASSWORD).unwrap();
    let conf = cyrus.folder().join("imapd.conf").to_string_lossy().into_owned();
    let first = ["--json", "import", "cyrus", "send", "--conf", &conf];
    let told = |more: &[&str]| {
        let output = installation.admin("main", &[&first[..], more].concat());
        let said: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", errors(&output)));
        (output.status.code(), said, errors(&output))
    };

    // What would be sent, without anybody to send it to.
    let (code, said, noted) = told(&["--dry-run"]);
    assert_eq!((code, &said[0]["user"], &said[0]["messages"]), (Some(0), &"ana".into(), &4.into()), "{said} {noted}");
    let (to, file) = (format!("{}:{}", at.host, at.ports.cyrus), file.to_string_lossy().into_owned());
    let send = ["--to", &to, "--login", BEN, "--password-file", &file, "--encryption", "none"];
    let (code, said, noted) = told(&send);
    assert_eq!((code, &said[0]["sent"]), (Some(0), &4.into()), "{said} {noted}");
    let (code, said, noted) = told(&send);
    assert_eq!(code, Some(3), "nothing to do: {said} {noted}");

    // As after any other replication: it is compared, and switched.
    installation.admin_ok("main", &["import", "cyrus", "status", "ana"]);
    installation.admin_ok("main", &["import", "cyrus", "switch", "ana"]);
    let mut ana = at.login(ANA).unwrap();
    assert!(ana.command("SELECT INBOX").unwrap().ok());
    let found = ana.command("UID FETCH 1:* (FLAGS)").unwrap().lines.join("\n");
    for uid in 2..=MESSAGES {
        assert!(found.contains(&format!("UID {uid}")), "{found}");
    }
    assert!(found.contains("\\Flagged") && found.contains("terns") && !found.contains("UID 1 "), "{found}");
    let (code, said, _) = told(&send);
    assert_eq!(code, Some(3), "nothing that was there is missing here: {said}");
}

#[test]
fn what_is_damaged_is_named_and_left_out_only_when_somebody_says_so() {
    if !binary::have_root() {
        return;
    }
    let cyrus = dead();
    let found = std::process::Command::new("find").arg(cyrus.folder().join("spool")).args(["-name", "3."]).output();
    let path = String::from_utf8(found.unwrap().stdout).unwrap();
    fs::write(path.trim(), "not what it was").unwrap();
    let conf = cyrus.folder().join("imapd.conf").to_string_lossy().into_owned();
    let tried = binary::run(&["import", "cyrus", "send", "--conf", &conf, "--dry-run"]);
    let said = errors(&tried);
    assert_eq!(tried.status.code(), Some(1), "{said}");
    assert!(said.contains("INBOX") || said.contains("user.ana"), "{said}");
    assert!(said.contains("UID 3") && said.contains(path.trim()) && said.contains("--leave-out-damaged"), "{said}");
}
