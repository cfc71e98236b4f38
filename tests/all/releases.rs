//! Folders of nodes as releases left them (`tests/releases`): this version opens each, and finds what was put there.
//!
//! `releases.txt` has a line for each: its version, and the commit that it was built of, from which it can be built
//! again. `cargo xtask keep-release` adds this version; whoever publishes one does that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::installation::{Installation, Place, succeeded};
use sterna_testkit::ledger::{messages, uid_status};

/// Messages in the INBOX of a folder that is kept, and one that stands for another mailbox, with a flag.
const MESSAGES: usize = 3;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("releases")
}

/// The versions, and their commits.
fn releases() -> Vec<(String, String)> {
    let text = fs::read_to_string(kept().join("releases.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let parts = lines.map(|line| line.split_once(' ').unwrap_or_else(|| panic!("{line}: a version and a commit")));
    parts.map(|(version, commit)| (version.to_owned(), commit.trim().to_owned())).collect()
}

/// What is written down of what a folder has, to be compared.
fn found(installation: &Installation) -> Value {
    let mut imap = installation.node("main").at.login("ana@tern.test").unwrap();
    let (validity, next) = uid_status(&mut imap, "INBOX").unwrap();
    let inbox = messages(&mut imap, "INBOX");
    assert!(imap.command("SELECT Work").unwrap().ok());
    let flags = imap.command("FETCH 1 (UID FLAGS)").unwrap().lines;
    let flagged = flags.iter().find(|line| line.contains("FETCH")).cloned().unwrap_or_default();
    let user = installation.admin_ok("main", &["--json", "user", "get", "ana@tern.test"]);
    let user: Value = serde_json::from_str(&user).unwrap();
    serde_json::json!({
        "uid_validity": validity,
        "uid_next": next,
        "inbox": inbox.iter().map(|message| format!("{message:?}")).collect::<Vec<_>>(),
        // \Recent is for who sees it first.
        "work": flagged.replace("\\Recent", "").replace(" )", ")").replace("( ", "("),
        "aliases": user["aliases"],
    })
}

#[test]
fn folders_of_all_releases_open_and_have_what_was_put_there() {
    let releases = releases();
    assert!(!releases.is_empty());
    for (version, commit) in releases {
        assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}: {commit}");
        let folder = tempfile::tempdir().unwrap();
        let archive = kept().join(format!("{version}.tar.gz"));
        let unpacked = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path()).output();
        succeeded("tar", &unpacked.unwrap());
        let expected = fs::read_to_string(kept().join(format!("{version}.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let mut installation = Installation::new();
        installation.adopt("main", &folder.path().join("main"));
        // Twice: what was brought to this version's formats is not brought there again. And the first time it is killed
        // while it does that.
        installation.serve("main");
        installation.kill("main");
        for _ in 0..2 {
            installation.serve("main");
            assert_eq!(found(&installation), expected, "{version}");
            installation.stop("main");
            let checked = binary::run(&["check", "--deep", "--dir", &installation.node("main").dir.to_string_lossy()]);
            succeeded(&format!("sterna check of {version}"), &checked);
        }
    }
}

/// `cargo xtask keep-release` runs this, with the commit.
#[test]
fn keep_a_release() {
    let Ok(commit) = std::env::var("STERNA_KEEP_RELEASE") else { return };
    let version = String::from_utf8(binary::run(&["--version"]).stdout).unwrap();
    let version = version.trim().strip_prefix("sterna ").unwrap().to_owned();
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user("ana@tern.test", "main");
    installation.admin_ok("main", &["user", "set", "ana@tern.test", "--alias", "anna@tern.test"]);
    let at = installation.node("main").at;
    let mut lmtp = at.lmtp().unwrap();
    for number in 0..MESSAGES {
        let message = format!("From: <ben@example.org>\r\nSubject: kept {number}\r\n\r\nText {number}\r\n");
        let answer = lmtp.deliver("ben@example.org", &["ana@tern.test"], message.as_bytes()).unwrap();
        assert!(answer.starts_with('2'), "{answer}");
    }
    let mut imap = at.login("ana@tern.test").unwrap();
    assert!(imap.command("CREATE Work").unwrap().ok());
    assert!(imap.append("Work", b"Subject: other\r\n\r\nWith a flag\r\n").unwrap().ok());
    assert!(imap.command("SELECT Work").unwrap().ok());
    assert!(imap.command("STORE 1 FLAGS (\\Flagged kept)").unwrap().ok());
    drop(imap);
    let expected = serde_json::to_string_pretty(&found(&installation)).unwrap();
    installation.stop("main");
    let dir = installation.node("main").dir.clone();
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--exclude=*.sock", "-czf"]);
    tar.arg(kept().join(format!("{version}.tar.gz"))).arg("-C").arg(dir.parent().unwrap()).arg("main");
    succeeded("tar", &tar.output().unwrap());
    fs::write(kept().join(format!("{version}.json")), format!("{expected}\n")).unwrap();
    let list = kept().join("releases.txt");
    let text = fs::read_to_string(&list).unwrap();
    let others = text.lines().filter(|line| !line.starts_with(&format!("{version} ")));
    let text: String =
        others.map(str::to_owned).chain([format!("{version} {commit}")]).map(|line| line + "\n").collect();
    fs::write(&list, text).unwrap();
}
