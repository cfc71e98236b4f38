//! The switch is tried before it is done, on copies that are thrown away.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::installation::{Installation, Place, errors, succeeded};
use sterna_testkit::ledger::uid_status;
use sterna_testkit::wait::until;

use super::migrating::{NEW, OLD, WITHIN, is_so, state};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
/// Longer than what lies in an account's own file.
const LARGE_BYTES: usize = 400_000;

fn single() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok(OLD, &["domain", "create", "tern.test"]);
    for user in [ANA, BEN] {
        installation.create_user(user, OLD);
        until(&format!("{user} is served"), WITHIN, || {
            uid_status(&mut installation.node(OLD).at.login(user).ok()?, "INBOX")
        });
    }
    installation.admin_ok(OLD, &["account", "create", "office@tern.test"]);
    installation
}

/// The new machine follows, and has everything of so many accounts.
fn follow(installation: &mut Installation, accounts: u64) {
    let text = installation.admin_ok(OLD, &["--json", "migrate", "token"]);
    let token: Value = serde_json::from_str(&text).unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    succeeded("migrate from", &installation.migrate_from(NEW, OLD, &token, Place::default()));
    installation.serve(NEW);
    is_equal(installation, accounts);
}

fn is_equal(installation: &Installation, accounts: u64) {
    is_so(installation, ("everything is equal", WITHIN), &[OLD], |state| {
        state["copies"]["accounts"] == accounts && state["copies"]["equal"] == accounts
    });
}

fn rehearse(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(binary::sterna());
    command.arg("--dir").arg(folder).args(["--json", "migrate", "rehearse"]).args(more).output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", errors(output)))
}

/// The files of large bodies below a folder.
fn blobs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => blobs(&path, found),
            false if path.components().any(|part| part.as_os_str() == "blobs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn a_switch_is_rehearsed_and_what_is_damaged_is_named() {
    // Without root it needs namespaces of users, which not every system lets be made.
    if !binary::have_root() || !binary::have(&["unshare", "ip"]) {
        return;
    }
    let mut installation = single();
    let mut imap = installation.node(OLD).at.login(BEN).unwrap();
    let large = format!("Subject: large\r\n\r\n{}\r\n", "a tern flies far\r\n".repeat(LARGE_BYTES / 18));
    assert!(imap.append("INBOX", large.as_bytes()).unwrap().ok());
    follow(&mut installation, 3);
    let (old, new) = (installation.node(OLD).dir.clone(), installation.node(NEW).dir.clone());
    let refused = rehearse(&old, &[]);
    assert!(!refused.status.success() && errors(&refused).contains("the machine that is left"), "{}", errors(&refused));
    let refused = rehearse(&new, &["--account", "office@tern.test"]);
    assert!(errors(&refused).contains("office@tern.test is not"), "{}", errors(&refused));

    let before = uid_status(&mut imap, "INBOX");
    let output = rehearse(&new, &["--account", BEN]);
    let told = report(&output);
    assert!(output.status.success(), "{told} {}", errors(&output));
    assert_eq!((told["checked"].as_u64(), told["damaged"].as_array().map(Vec::len)), (Some(3), Some(0)), "{told}");
    let tried = told["tried"].as_array().unwrap();
    assert_eq!(tried.len(), 2, "{told}");
    let ben = tried.iter().find(|one| one["address"] == BEN).unwrap();
    assert_eq!((&ben["messages"], &ben["is_in_inbox"]), (&1.into(), &true.into()), "{told}");
    // Nothing of it is left, and nobody but the rehearsal saw its message.
    assert!(!new.join("rehearsal").exists());
    assert_eq!(uid_status(&mut imap, "INBOX"), before);
    assert_eq!(state(&installation, OLD).unwrap()["phase"], "syncing");

    let mut found = Vec::new();
    blobs(&new.join("accounts"), &mut found);
    let blob = found.first().expect("a large body is a file");
    let whole = std::fs::read(blob).unwrap();
    let mut damaged = whole.clone();
    damaged[LARGE_BYTES / 2] ^= 1;
    std::fs::write(blob, damaged).unwrap();
    let output = rehearse(&new, &[]);
    let told = report(&output);
    assert!(!output.status.success(), "{told}");
    assert_eq!(told["damaged"][0]["account"], BEN, "{told}");

    // Mended, it is as before, and what was rehearsed can be done.
    std::fs::write(blob, whole).unwrap();
    assert!(rehearse(&new, &[]).status.success());
    installation.admin_ok(OLD, &["migrate", "switch", "--yes", "--detach"]);
    is_so(&installation, ("the migration is switched", WITHIN), &[OLD, NEW], |state| state["phase"] == "switched");
    let refused = rehearse(&new, &[]);
    assert!(errors(&refused).contains("sterna migrate from"), "{}", errors(&refused));
}
