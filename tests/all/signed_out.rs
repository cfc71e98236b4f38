//! Whoever may not log in any more is logged out, on every edge, and nobody else is; and what was deleted by a slip
//! comes back as it was.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Doors, Installation, PASSWORD, Place};
use sterna_testkit::raw::Raw;
use sterna_testkit::wait;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

/// How long an edge may take to hear of a user.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// Two edges, and two people on the first.
fn two_edges() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.join_and_serve("beta", "edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    for user in [ANA, BEN] {
        installation.create_user(user, "main");
    }
    installation
}

fn edge(installation: &Installation, name: &str) -> Doors {
    installation.node(name).at
}

/// A log-in at an edge that hears of the directory from the main node.
fn login(at: Doors, user: &str, password: &str) -> Imap {
    let try_it = || Imap::login(&at.host.to_string(), at.ports.imap, user, password).ok();
    wait::until("the edge knows the user", KNOWN_WITHIN, try_it).0
}

/// A session that idles.
fn idle(at: Doors, user: &str, password: &str) -> Raw {
    drop(login(at, user, password));
    let mut raw = Raw::connect(at.host, at.ports.imap).unwrap();
    raw.send(format!("l LOGIN {user} \"{password}\"\r\n").as_bytes()).unwrap();
    raw.expect("l OK").unwrap();
    raw.send(b"n ID (\"name\" \"Tern Mail\")\r\n").unwrap();
    raw.expect("n OK").unwrap();
    raw.send(b"s SELECT INBOX\r\n").unwrap();
    raw.expect("s OK").unwrap();
    raw.send(b"i IDLE\r\n").unwrap();
    raw.expect("+ ").unwrap();
    raw
}

fn is_told(raw: &mut Raw) {
    raw.expect("* BYE [UNAVAILABLE] You were signed out").unwrap();
    assert!(raw.is_closed().unwrap());
}

fn still_idles(mut raw: Raw) {
    raw.send(b"DONE\r\n").unwrap();
    raw.expect("i OK").unwrap();
}

fn connections(installation: &Installation, user: &str) -> Vec<Value> {
    let text = installation.admin_ok("main", &["--json", "user", "connections", user]);
    let found: Value = serde_json::from_str(&text).unwrap();
    found.as_array().unwrap_or_else(|| panic!("{found}")).clone()
}

#[test]
fn who_is_suspended_or_has_another_password_is_logged_out_everywhere() {
    let installation = two_edges();
    let (here, there) = (edge(&installation, "main"), edge(&installation, "beta"));
    let (mut one, mut two, bens) = (idle(here, ANA, PASSWORD), idle(there, ANA, PASSWORD), idle(there, BEN, PASSWORD));
    let mut submission = here.submission(ANA).unwrap();
    installation.admin_ok("main", &["user", "set", ANA, "--name", "Ana"]);
    installation.admin_ok("main", &["user", "set", ANA, "--suspended", "yes"]);
    is_told(&mut one);
    is_told(&mut two);
    let reply = submission.command("NOOP").and_then(|_| submission.command("NOOP"));
    let is_ended = match &reply {
        Ok(reply) => reply.starts_with("421"),
        Err(error) => {
            matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
        }
    };
    assert!(is_ended, "{reply:?}");
    assert!(here.login(ANA).is_err());
    installation.admin_ok("main", &["user", "set", ANA, "--suspended", "no"]);

    let mut one = idle(here, ANA, PASSWORD);
    let file = installation.folder().join("another");
    std::fs::write(&file, "another sesame").unwrap();
    installation.admin_ok("main", &["user", "set", ANA, "--password-file", &file.to_string_lossy()]);
    is_told(&mut one);
    let one = idle(here, ANA, "another sesame");

    let text = installation.admin_ok("main", &["--json", "app-password", "create", ANA, "phone"]);
    let made: Value = serde_json::from_str(&text).unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["password"].as_str().unwrap());
    let mut phone = idle(there, ANA, secret);
    installation.admin_ok("main", &["app-password", "delete", ANA, id, "--yes"]);
    is_told(&mut phone);
    // What was opened with the password goes on.
    still_idles(one);
    still_idles(bens);
}

#[test]
fn sessions_are_listed_and_ended_one_by_one() {
    let installation = two_edges();
    let (here, there) = (edge(&installation, "main"), edge(&installation, "beta"));
    let (one, mut two) = (idle(here, ANA, PASSWORD), idle(there, ANA, PASSWORD));
    let found = connections(&installation, ANA);
    let places: Vec<_> = found.iter().map(|one| one["server"].as_str().unwrap()).collect();
    assert_eq!(places, ["main", "beta"]);
    assert_eq!((&found[1]["protocol"], &found[1]["client"]), (&"imap".into(), &"Tern Mail".into()));
    installation.admin_ok("main", &["user", "disconnect", ANA, "--id", found[1]["id"].as_str().unwrap(), "--yes"]);
    is_told(&mut two);
    still_idles(one);
    let gone = installation.admin("main", &["user", "disconnect", ANA, "--id", "main:999", "--yes"]);
    assert_eq!(gone.status.code(), Some(3), "there was no such session");
    drop(login(there, BEN, PASSWORD));
}

#[test]
fn who_is_deleted_by_a_slip_comes_back_with_everything() {
    let installation = two_edges();
    let here = edge(&installation, "main");
    let mut lmtp = here.lmtp().unwrap();
    let message = b"Subject: kept\r\n\r\nStill here.\r\n";
    assert!(lmtp.deliver("x@far.test", &[ANA], message).unwrap().starts_with("250"));
    let mut session = idle(here, ANA, PASSWORD);
    let deleted = installation.admin_ok("main", &["--json", "user", "delete", ANA, "--yes"]);
    let deleted: Value = serde_json::from_str(&deleted).unwrap();
    is_told(&mut session);
    assert!(here.login(ANA).is_err());
    let mut lmtp = here.lmtp().unwrap();
    assert!(lmtp.command("MAIL FROM:<x@far.test>").unwrap().starts_with("250"));
    let refused = lmtp.command(&format!("RCPT TO:<{ANA}>")).unwrap();
    assert!(refused.starts_with("550"), "{refused}");

    installation.admin_ok("main", &["bin", "restore", &deleted["id"].to_string()]);
    let mut ana = login(here, ANA, PASSWORD);
    let seen = ana.command("SELECT INBOX").unwrap();
    assert!(seen.lines.contains(&"* 1 EXISTS".to_owned()), "{seen:?}");
    let text = ana.command("FETCH 1 BODY.PEEK[TEXT]").unwrap();
    assert_eq!(text.literals, [b"Still here.\r\n".to_vec()]);
    assert!(here.lmtp().unwrap().deliver("x@far.test", &[ANA], message).unwrap().starts_with("250"));
    drop(ana);

    installation.admin_ok("main", &["user", "delete", ANA, "--yes"]);
    installation.admin_ok("main", &["bin", "delete", &deleted["id"].to_string(), "--yes"]);
    let gone = installation.admin("main", &["bin", "restore", &deleted["id"].to_string()]);
    assert_eq!(gone.status.code(), Some(1));
    installation.create_user(ANA, "main");
    let mut new = here.login(ANA).unwrap();
    let seen = new.command("SELECT INBOX").unwrap();
    assert!(seen.lines.contains(&"* 0 EXISTS".to_owned()), "{seen:?}");
}
