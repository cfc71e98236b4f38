//! Search indexes of a running installation: what administrators see of them, and what users find meanwhile.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::run;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, errors, succeeded};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";

/// How long an index may take until it has some messages.
const FED_WITHIN: Duration = Duration::from_secs(60);

/// How many messages a text is in.
fn found(imap: &mut Imap, text: &str) -> usize {
    let answer = imap.command(&format!("SEARCH TEXT {text}")).unwrap();
    let line = answer.lines.iter().find(|line| line.contains("SEARCH")).unwrap_or_else(|| panic!("{answer:?}"));
    line.split_once("SEARCH").map_or(0, |(_, numbers)| numbers.split_whitespace().count())
}

fn status(installation: &Installation, server: &str) -> Value {
    let text = installation.admin_ok(server, &["--json", "search", "status", ANA]);
    let list: Value = serde_json::from_str(&text).unwrap();
    list[0].clone()
}

/// Waits until the index has so many messages and all changes.
fn fed(installation: &Installation, server: &str, messages: u64) {
    until("the index", FED_WITHIN, || {
        let status = status(installation, server);
        (status["state"] == "complete" && status["messages"] == messages).then_some(())
    });
}

#[test]
fn indexes_are_fed_shown_made_again_and_checked() {
    let mut installation = Installation::standard();
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    for n in 0..20 {
        let message = format!("From: x@y.test\r\nSubject: t{n}\r\n\r\nThe terns of day{n} are back.\r\n");
        assert!(ana.append("INBOX", message.as_bytes()).unwrap().ok());
    }
    ana.command("SELECT INBOX").unwrap();
    assert_eq!((found(&mut ana, "ERNS"), found(&mut ana, "ay1")), (20, 11), "before it is fed");
    fed(&installation, "alpha", 20);
    assert_eq!((found(&mut ana, "ERNS"), found(&mut ana, "ay1")), (20, 11), "after");

    // The account is on alpha, and so is its index.
    let elsewhere = installation.admin("beta", &["search", "rebuild", ANA]);
    assert!(!elsewhere.status.success() && errors(&elsewhere).contains("account where"), "{}", errors(&elsewhere));
    installation.admin_ok("alpha", &["search", "rebuild", "--all", "--dry-run"]);
    assert_eq!(status(&installation, "alpha")["messages"], 20);
    installation.admin_ok("alpha", &["search", "rebuild", "--all"]);
    assert_eq!(found(&mut ana, "ay1"), 11, "while it is made again");
    fed(&installation, "alpha", 20);
    let table = installation.admin_ok("alpha", &["search", "status"]);
    assert!(table.contains("LAG") && table.contains(ANA), "{table}");

    let dir = installation.folder().join("alpha").to_string_lossy().into_owned();
    succeeded("a check online", &run(&["check", "--deep", "--dir", &dir]));
    installation.stop("alpha");
    let index = std::fs::read_dir(installation.folder().join("alpha/accounts")).unwrap();
    let mut folders: Vec<_> = index.map(|entry| entry.unwrap().path()).collect();
    let mut damaged = 0;
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.ends_with("search.sqlite") {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[100..].fill(0x55);
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0);
    let check = run(&["check", "--deep", "--dir", &dir]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(!check.status.success() && text.contains("search index: ") && text.contains("search rebuild"), "{text}");
    installation.serve("alpha");
    let (mut ana, _) = until("alpha to serve", FED_WITHIN, || {
        let mut ana = installation.node("main").at.login(ANA).ok()?;
        ana.command("SELECT INBOX").ok().filter(|answer| answer.ok())?;
        Some(ana)
    });
    assert_eq!(found(&mut ana, "ay1"), 11, "with a damaged index");
    fed(&installation, "alpha", 20);
    succeeded("a check of the mended one", &run(&["check", "--deep", "--dir", &dir]));
}
