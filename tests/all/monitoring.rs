//! What programs that watch a node are told: whether it lives, whether it serves, and its numbers in Prometheus' text
//! exposition format 0.0.4.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::http::{Answer, Http};
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Doors, Installation, PASSWORD, Place};
use sterna_testkit::wait;

/// How long a node may take to do what was asked of it.
const PATIENCE: Duration = Duration::from_secs(60);

fn get(at: Doors, path: &str) -> Answer {
    Http::connect(at.host, at.ports.http, None).unwrap().request("GET", path, &[], "").unwrap()
}

/// The samples of a page, by name and labels as they are written. Everything that the format forbids fails.
fn parsed(page: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    assert!(page.ends_with('\n'), "the last line ends, too");
    let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let (mut helped, mut current) = (BTreeSet::new(), String::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !text.is_empty() && helped.insert(name.to_owned()), "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge" | "histogram" | "summary"), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(helped.contains(name) && types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            name.clone_into(&mut current);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (name, labels) = series.split_once('{').map_or((series, None), |(name, rest)| (name, Some(rest)));
        assert_eq!(name, current, "the samples of a family stand together: {line}");
        if let Some(labels) = labels {
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
            for label in labels.split("\",") {
                let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(name) && !name.contains(':') && !value.trim_end_matches('"').contains('"'), "{line}");
            }
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

fn numbers(at: Doors) -> BTreeMap<String, f64> {
    let answer = get(at, "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parsed(&answer.body)
}

#[test]
fn a_node_tells_that_it_serves_and_counts_what_it_does() {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user("ana@tern.test", "main");
    let at = installation.node("main").at;
    assert_eq!((get(at, "/healthz").status, get(at, "/healthz").body.as_str()), (200, "ok\n"));
    let ready = get(at, "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    assert_eq!(ready.header("cache-control"), Some("no-store"));

    let before = numbers(at);
    let of = |samples: &BTreeMap<String, f64>, series: &str| samples.get(series).copied().unwrap_or_default();
    assert_eq!(of(&before, "sterna_ready"), 1.0);
    let accepted = of(&before, "sterna_logins_total{result=\"accepted\"}");
    let mut lmtp = at.lmtp().unwrap();
    for n in 0..3 {
        let text = format!("Subject: number {n}\r\n\r\nHello.\r\n");
        assert!(lmtp.send(&["ana@tern.test"], text.as_bytes(), 1).unwrap()[0].starts_with("250"));
    }
    let mut imap = at.login("ana@tern.test").unwrap();
    assert!(imap.command("NOOP").unwrap().ok());
    let wrong = Imap::connect(&at.host.to_string(), at.ports.imap);
    let refused = wrong.unwrap().command("LOGIN ana@tern.test \"wrong\"").unwrap();
    assert!(!refused.ok(), "{refused:?}");
    let after = numbers(at);
    let deliveries = "sterna_deliveries_total";
    assert_eq!(of(&after, deliveries) - of(&before, deliveries), 3.0);
    assert_eq!(of(&after, "sterna_logins_total{result=\"accepted\"}") - accepted, 1.0);
    assert_eq!(of(&after, "sterna_logins_total{result=\"refused\"}"), 1.0);
    assert_eq!(of(&after, "sterna_sessions_opened_total{protocol=\"imap\"}"), 1.0);
    assert_eq!(of(&after, "sterna_sessions{protocol=\"imap\"}"), 1.0);
    assert!(imap.command("LOGOUT").unwrap().ok());
    drop(imap);
    let is_over = || (of(&numbers(at), "sterna_sessions{protocol=\"imap\"}") == 0.0).then_some(());
    wait::until("the session to be over", PATIENCE, is_over);
    // Who somebody is and whom they write to is nobody's who only counts.
    let page = get(at, "/metrics").body;
    for word in ["ana", "tern.test", PASSWORD, "number 1"] {
        assert!(!page.contains(word), "{word}: {page}");
    }

    // Whoever asks while it ends is refused or told so: nobody hears that it is ready.
    let mut open = Http::connect(at.host, at.ports.http, None).unwrap();
    assert_eq!(open.request("GET", "/readyz", &[], "").unwrap().status, 200);
    installation.stop("main");
    assert!(open.request("GET", "/readyz", &[], "").map_or(true, |answer| answer.status == 503));
    installation.serve("main");
    assert_eq!(get(at, "/readyz").status, 200);
    assert_eq!(of(&numbers(at), deliveries), 0.0, "counted since the start");
}

#[test]
fn the_doctor_names_the_server_that_is_gone_and_nothing_of_it_before() {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.ignore_disk();
    installation.join_and_serve("alpha", "data", Place::default());
    let doctor = |installation: &Installation| {
        let output = installation.admin("main", &["--json", "doctor"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{output:?}: {error}"));
        let problems = found["problems"].as_array().unwrap().clone();
        let of_alpha: Vec<Value> = problems.into_iter().filter(|problem| problem["server"] == "alpha").collect();
        (output.status.success(), of_alpha, found)
    };
    // Alpha follows the directory a moment after it has joined.
    let is_calm = || {
        let (_, of_alpha, found) = doctor(&installation);
        of_alpha.is_empty().then_some(found)
    };
    wait::until("alpha in order", PATIENCE, is_calm);
    installation.kill("alpha");
    let (is_fine, of_alpha, found) = doctor(&installation);
    assert!(!is_fine, "{found}");
    let [problem] = &of_alpha[..] else { panic!("{found}") };
    assert!(problem["what"].as_str().unwrap().contains("does not answer"), "{problem}");
    assert!(!problem["remedy"].as_str().unwrap().is_empty(), "{problem}");
}

/// An hour that has begun today, by this machine's clock, and isn't the one at which reports are made by default.
fn an_hour_before() -> u32 {
    let output = Command::new("date").arg("+%-H").output().unwrap();
    let hour: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    if hour == 7 { 6 } else { hour }
}

#[test]
fn the_morning_mail_tells_administrators_what_is_wrong() {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.ignore_disk();
    installation.join_and_serve("alpha", "data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    for user in ["ada@tern.test", "ben@tern.test"] {
        installation.create_user(user, "main");
    }
    installation.admin_ok("main", &["user", "set", "ada@tern.test", "--admin", "yes"]);
    installation.kill("alpha");
    installation.admin_ok("main", &["config", "set", "reports.health-hour", &an_hour_before().to_string()]);
    let at = installation.node("main").at;
    let mail_of = |user: &str| {
        let mut imap = at.login(user).unwrap();
        imap.command("SELECT INBOX").unwrap();
        let found = imap.command("UID FETCH 1:* BODY.PEEK[]").unwrap();
        found.literals.iter().map(|message| String::from_utf8_lossy(message)).collect::<String>()
    };
    let (mail, _) =
        wait::until("the mail", PATIENCE, || Some(mail_of("ada@tern.test")).filter(|mail| mail.contains("alpha")));
    for text in ["Auto-Submitted: auto-generated", "To: <ada@tern.test>", "alpha: ", "New:"] {
        assert!(mail.contains(text), "{text}: {mail}");
    }
    assert!(!mail_of("ben@tern.test").contains("alpha"), "who administrates nothing is told nothing");
}
