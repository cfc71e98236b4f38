//! `sterna import bluemind`: dumps that Debian's `pg_dump` made become people who log in with the passwords they had,
//! with their calendars, contacts, filters and shares.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::postgres::Postgres;

const CONTAINERS: &str = include_str!("../../crates/migration/tests/bluemind/containers.sql");
const DIRECTORY: &str = include_str!("../../crates/migration/tests/bluemind/directory.sql");
const DATA: &str = include_str!("../../crates/migration/tests/bluemind/data.sql");

/// What Ana's password was there.
const PASSWORD: &str = "correct horse";

/// What happens there after the first dumps.
const LATER: &str = "
    UPDATE t_calendar_vevent SET summary = 'Moved' WHERE recurid_timestamp IS NULL AND summary LIKE 'Stand-up%';
    DELETE FROM t_addressbook_vcard WHERE formated_name = 'Friends';
    DELETE FROM t_container_item WHERE uid = 'card-2';
";

fn dumps(postgres: &Postgres, folder: &Path) -> (PathBuf, PathBuf) {
    let (directory, data) = (folder.join("bj.dump"), folder.join("bj-data.dump"));
    postgres.dump("bj", &["-Fc"], &directory);
    postgres.dump("bj-data", &[], &data);
    (directory, data)
}

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    let said = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn a_bluemind_comes_by_its_dumps() {
    if Postgres::programs().is_none() {
        assert!(!binary::have(&["the programs of PostgreSQL"]));
        return;
    }
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    let postgres = Postgres::start();
    postgres.create("bj", &format!("{CONTAINERS}{DIRECTORY}"));
    postgres.create("bj-data", &format!("{CONTAINERS}{DATA}"));
    let (directory, data) = dumps(&postgres, installation.folder());
    let folder = installation.folder().join("bluemind");
    let [directory, data, folder] = [&directory, &data, &folder].map(|path| path.to_string_lossy().into_owned());

    // Reading needs no node, and brings nothing.
    let read = ["import", "bluemind", "read", "--directory", &directory, "--data", &data, &folder];
    let output = installation.admin("main", &read);
    let (said, noted) = (String::from_utf8_lossy(&output.stdout).into_owned(), errors(&output));
    assert_eq!(output.status.code(), Some(0), "{said} {noted}");
    assert!(noted.contains("passwords: ben@tern.test: its form isn't taken"), "{noted}");
    assert!(said.contains("shared mailboxes"), "{said}");
    assert_eq!(json(&installation, &["domain", "list"]), Value::Array(Vec::new()));
    // What is only tried is not done.
    let tried = installation.admin("main", &["import", "bluemind", "bring", &folder, "--dry-run"]);
    assert_eq!(tried.status.code(), Some(0), "{}", errors(&tried));
    assert_eq!(json(&installation, &["domain", "list"]), Value::Array(Vec::new()));

    let bring = ["import", "bluemind", "bring", &folder];
    let output = installation.admin("main", &bring);
    assert_eq!(output.status.code(), Some(0), "{} {}", String::from_utf8_lossy(&output.stdout), errors(&output));
    people(&installation);
    contents(&installation);
    shares(&installation);
    // Nobody is invited, and nothing is answered: that was done there.
    assert_eq!(json(&installation, &["queue", "list"]), Value::Array(Vec::new()));
    // A second time there is nothing to do.
    let again = installation.admin("main", &bring);
    assert_eq!(again.status.code(), Some(3), "{} {}", String::from_utf8_lossy(&again.stdout), errors(&again));

    // The last time, after nobody writes there any more: what changed there changes here.
    postgres.execute("bj-data", LATER);
    dumps(&postgres, installation.folder());
    let last = format!("{folder}-last");
    installation.admin_ok("main", &["import", "bluemind", "read", "--directory", &directory, "--data", &data, &last]);
    let output = installation.admin("main", &["--json", "import", "bluemind", "bring", &last, "--follow"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let calendar = installation.admin_ok("main", &["export", "ics", "ana@tern.test"]);
    assert!(calendar.contains("SUMMARY:Moved") && calendar.contains("SUMMARY:Stand-up\\, later"), "{calendar}");
    let cards = installation.admin_ok("main", &["export", "vcf", "ana@tern.test"]);
    assert!(cards.contains("FN:Dr. Zoë Łuczak") && !cards.contains("FN:Friends"), "{cards}");
}

fn people(installation: &Installation) {
    let ana = json(installation, &["user", "get", "ana@tern.test"]);
    assert_eq!((&ana["unit"], &ana["quota_bytes"]), (&Value::from("Sales/North-East"), &Value::from(1 << 30)));
    assert_eq!(texts(&ana["senders"]), ["ben@tern.test"]);
    let ben = json(installation, &["user", "get", "benjamin"]);
    assert_eq!(ben["address"], "ben@tern.test");
    assert_eq!(texts(&ben["forward_to"]), ["ben@elsewhere.test", "second@elsewhere.test"]);
    let cleo = json(installation, &["user", "get", "cleo@tern.test"]);
    assert_eq!((&cleo["suspended"], &cleo["hidden"]), (&Value::Bool(true), &Value::Bool(true)));
    let room = json(installation, &["resource", "get", "blue@tern.test"]);
    assert_eq!(texts(&room["resource"]["managers"]), ["ben@tern.test"]);
    // She logs in with the password that she had there; whoever has no other one doesn't.
    let doors = installation.node("main").at;
    let log_in =
        |user: &str, password: &str| Imap::login(&doors.host.to_string(), doors.ports.imap, user, password).is_ok();
    assert!(log_in("ana@tern.test", PASSWORD) && !log_in("ana@tern.test", "correct horsf"));
    assert!(log_in("ana@alias.test", PASSWORD), "after the hash was made again, and by another name of the domain");
    assert!(!log_in("ben@tern.test", "a"));
}

fn contents(installation: &Installation) {
    let calendar = installation.admin_ok("main", &["export", "ics", "ana@tern.test"]);
    for line in ["UID:series-1@tern.test", "RRULE:FREQ=WEEKLY;UNTIL=20260630T220000Z;BYDAY=TU", "CATEGORIES:Wichtig"] {
        assert!(calendar.contains(line), "{line}: {calendar}");
    }
    let projects = installation.admin_ok("main", &["export", "ics", "ana@tern.test", "--collection", "Projects-2026"]);
    assert!(projects.contains("DTSTART;VALUE=DATE:19870501"), "{projects}");
    let cards = installation.admin_ok("main", &["export", "vcf", "ana@tern.test"]);
    assert!(cards.contains("FN:Dr. Zoë Łuczak") && cards.contains("X-ADDRESSBOOKSERVER-KIND:group"), "{cards}");
    let published = installation.admin_ok("main", &["--json", "calendar", "list", "ana@tern.test"]);
    assert!(published.contains("https://example.net/f.ics"), "{published}");
    let scripts = json(installation, &["sieve", "list", "ana@tern.test"]);
    let active: Vec<&Value> = scripts.as_array().unwrap().iter().filter(|one| one["active"] == true).collect();
    assert_eq!((scripts.as_array().unwrap().len(), &active[0]["name"]), (2, &Value::from("vacation")), "{scripts}");
}

fn shares(installation: &Installation) {
    let told = |account: &str| -> Vec<String> {
        let listed = json(installation, &["account", "acl", "list", account]);
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        let one = |entry: &Value| [text(entry, "mailbox"), text(entry, "identifier"), text(entry, "rights")].join(" ");
        listed.as_array().unwrap().iter().map(one).collect()
    };
    let ana = told("ana@tern.test");
    for expected in ["Calendar ben@tern.test lrwite", "Calendar @tern.test 9", "Contacts team@tern.test lr"] {
        assert!(ana.iter().any(|line| line == expected), "{expected}: {ana:?}");
    }
    assert!(ana.iter().any(|line| line == "INBOX ben@tern.test lr"), "{ana:?}");
    let info = told("info@tern.test");
    assert!(info.iter().any(|line| line == "INBOX cleo@tern.test lrswipkte"), "{info:?}");
}
