//! Mail routing derived again: what changed, what is wrong, and the files of a Postfix that wants files.

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::{have, have_root};
use sterna_testkit::installation::{Installation, errors};
use sterna_testkit::postfix::Postfix;
use sterna_testkit::smtp::Smtp;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn run(installation: &Installation, more: &[&str]) -> (Value, Option<i32>) {
    let words = [&["--json", "mail", "maintenance", "run"], more].concat();
    let output: Output = installation.admin("main", &words);
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|error| panic!("{error}: {}", errors(&output))), output.status.code())
}

fn problems(report: &Value) -> Vec<String> {
    let what = |problem: &Value| problem["what"].as_str().unwrap().to_owned();
    report["problems"].as_array().unwrap().iter().map(what).collect()
}

fn changes(report: &Value) -> Vec<String> {
    let line = |change: &Value| {
        let text = |name: &str| change[name].as_str().unwrap_or("-").to_owned();
        format!("{} {}: {} -> {}", text("table"), text("key"), text("before"), text("after"))
    };
    report["changes"]["shown"].as_array().unwrap().iter().map(line).collect()
}

/// All is well with tern.test.
fn world() -> Installation {
    let installation = Installation::standard();
    installation.admin_ok("main", &["domain", "set", "tern.test", "--postmaster", ANA]);
    installation
}

#[test]
fn what_changed_and_what_is_wrong_is_said() {
    let installation = Installation::standard();
    let admin = |words: &[&str]| drop(installation.admin_ok("main", words));
    let (first, code) = run(&installation, &["--dry-run"]);
    assert_eq!((code, &first["last"]), (Some(1), &Value::Null));
    assert!(problems(&first)[0].starts_with("mail for postmaster@tern.test reaches nobody"), "{first}");
    assert_eq!(problems(&first).len(), 1, "{first}");
    admin(&["domain", "set", "tern.test", "--postmaster", ANA]);
    let (first, code) = run(&installation, &[]);
    assert_eq!((code, &first["last"], problems(&first)), (Some(0), &Value::Null, vec![]));
    let (again, code) = run(&installation, &[]);
    assert_eq!((code, changes(&again)), (Some(0), vec![]));
    assert!(again["last"].is_string());
    let shown = installation.admin_ok("main", &["mail", "maintenance", "run"]);
    assert!(shown.contains("Nothing changed since") && shown.ends_with("OK\n"), "{shown}");

    admin(&["user", "set", ANA, "--alias", "a@tern.test"]);
    admin(&["group", "create", "all@tern.test", "--member", ANA]);
    let (changed, code) = run(&installation, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(
        changes(&changed),
        [
            "virtual-mailboxes a@tern.test: - -> OK",
            "virtual-mailboxes all@tern.test: - -> OK",
            "virtual-aliases a@tern.test: - -> ana@tern.test",
            "sender-logins a@tern.test: - -> a@tern.test, ana@tern.test",
            "sender-logins ana@tern.test: ana@tern.test -> a@tern.test, ana@tern.test",
        ]
    );

    admin(&["group", "set", "all@tern.test", "--remove-member", ANA]);
    admin(&["user", "set", ANA, "--forward", BEN, "--forward", "gone@tern.test"]);
    admin(&["user", "set", BEN, "--forward", ANA]);
    admin(&["config", "set", "mail.networks", "0.0.0.0/0"]);
    admin(&["config", "set", "unknown-recipients", "127.255.255.1:9", "--domain", "tern.test"]);
    let (wrong, code) = run(&installation, &[]);
    let problems = problems(&wrong);
    assert_eq!(code, Some(1));
    for expected in [
        "nobody is in the group all@tern.test",
        "ana@tern.test sends its mail on to gone@tern.test, which nobody has",
        "mail goes around in a circle: ana@tern.test -> ben@tern.test -> ana@tern.test",
        "mail.networks has 0.0.0.0/0",
        "127.255.255.1:9 (unknown-recipients of tern.test) can't be reached",
    ] {
        assert!(problems.iter().any(|what| what.starts_with(expected)), "{expected}: {problems:#?}");
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert!(changes(&wrong).contains(&"virtual-mailboxes @tern.test: - -> OK".to_owned()), "{wrong}");
    assert!(changes(&wrong).contains(&"virtual-mailboxes all@tern.test: OK -> -".to_owned()), "{wrong}");
}

#[test]
fn mail_that_waits_for_nobody_is_found() {
    let installation = world();
    installation.admin_ok("main", &["config", "set", "relay.host", "127.255.255.1:9"]);
    let submit = || {
        let mut smtp = installation.node("main").at.submission(ANA).unwrap();
        smtp.deliver(ANA, &["zoe@far.test"], b"Subject: x\r\n\r\nx\r\n").unwrap()
    };
    until("mail that goes by the relay host", PATIENCE, || {
        assert!(submit().starts_with("250"));
        let queue = installation.admin_ok("main", &["--json", "queue", "list"]);
        queue.contains("host:127.255.255.1:9").then_some(())
    });
    let (report, _) = run(&installation, &[]);
    let named = |report: &Value| problems(report).into_iter().find(|what| what.contains("127.255.255.1:9"));
    assert!(named(&report).unwrap().contains("(relay.host) can't be reached"), "{report}");
    installation.admin_ok("main", &["config", "set", "relay.host", ""]);
    let (report, code) = run(&installation, &[]);
    let found = named(&report).unwrap_or_else(|| panic!("{report}"));
    assert!(found.contains("deliveries wait for host:127.255.255.1:9: no relay host"), "{found}");
    assert_eq!(code, Some(1));
    installation.admin_ok("main", &["queue", "delete", "--all", "--yes"]);
    assert_eq!(run(&installation, &[]).1, Some(0));
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: zoe@far.test\r\nSubject: {subject}\r\n\r\nThe terns are back.\r\n").into_bytes()
}

#[test]
fn a_postfix_reads_the_files() {
    if !have(&["postfix", "postmap"]) || !have_root() {
        return;
    }
    let installation = world();
    installation.admin_ok("main", &["domain", "set", "tern.test", "--alias", "sterna.test"]);
    installation.admin_ok("main", &["user", "set", BEN, "--alias", "b@tern.test"]);
    let folder = tempfile::Builder::new().prefix("sterna-tables").tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let at = folder.path().display().to_string();
    let (report, code) = run(&installation, &["--write", &at]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report["written"].as_array().unwrap().len() >= 15, "seven tables, their databases, and reverse-paths");
    let more = format!(
        "recipient_delimiter = +\nvirtual_mailbox_domains = hash:{at}/virtual-domains\n\
         virtual_mailbox_maps = hash:{at}/virtual-mailboxes, regexp:{at}/reverse-paths.regexp\n\
         virtual_alias_maps = hash:{at}/virtual-aliases\ntransport_maps = hash:{at}/transport\n\
         smtpd_sender_login_maps = hash:{at}/sender-logins\n\
         smtpd_recipient_restrictions = reject_unlisted_recipient, permit_mynetworks, reject\n"
    );
    let main = installation.node("main").at;
    let postfix = Postfix::start_with(SocketAddr::new(main.host, main.ports.smtp), &more);
    let hand_in = |to: &str| {
        let mut smtp = Smtp::connect(&postfix.address.ip().to_string(), postfix.address.port(), "EHLO").unwrap();
        smtp.deliver("zoe@far.test", &[to], &message(to)).unwrap()
    };
    for taken in ["ana+x@tern.test", "b@sterna.test", "postmaster@sterna.test"] {
        assert!(hand_in(taken).starts_with("250"), "{taken}");
    }
    assert!(hand_in("eve@tern.test").starts_with("550 5.1.1"), "{}", hand_in("eve@tern.test"));
    let count = |user: &str| {
        let mut imap = main.login(user).unwrap();
        let answer = imap.command("STATUS INBOX (MESSAGES)").unwrap();
        answer.lines.iter().find_map(|line| line.split("MESSAGES ").nth(1)?.trim_end_matches(')').parse::<u32>().ok())
    };
    until("mail by way of Postfix", PATIENCE, || (count(ANA) == Some(2) && count(BEN) == Some(1)).then_some(()));
    for table in ["hash", "texthash"] {
        let logins = postfix.look_up(&format!("{table}:{at}/sender-logins"), "b@tern.test");
        assert_eq!(logins.as_deref(), Some("b@tern.test, ben@tern.test"));
    }
    let srs = postfix.look_up(&format!("regexp:{at}/reverse-paths.regexp"), "SRS0=x=1=far.test=zoe@tern.test");
    assert_eq!(srs.as_deref(), Some("OK"));

    // Postfix sees by itself that its tables are others now.
    installation.create_user("eve@tern.test", "alpha");
    run(&installation, &["--write", &at]);
    until("the new user in Postfix", PATIENCE, || hand_in("eve@tern.test").starts_with("250").then_some(()));
    std::fs::write(folder.path().join("transport"), "tern.test smtp:[192.0.2.1]\n").unwrap();
    let refused = installation.admin("main", &["mail", "maintenance", "run", "--write", &at]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(errors(&refused).contains("/transport") && errors(&refused).contains("was not made by"), "{refused:?}");
}
