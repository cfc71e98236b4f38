//! Dumps that Debian's `pg_dump` makes of databases with the schema of BlueMind 4, in each of its forms, and what is
//! read of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sterna_migration::archive::Manifest;
use sterna_migration::bluemind::{ACCOUNTS, DECLARATION, Kind, REPORT, ReadError, Report, read};
use sterna_testkit::binary;
use sterna_testkit::postgres::Postgres;

const CONTAINERS: &str = include_str!("bluemind/containers.sql");
const DIRECTORY: &str = include_str!("bluemind/directory.sql");
const DATA: &str = include_str!("bluemind/data.sql");

/// The forms of dumps, by the options that make them.
const FORMS: [(&str, &[&str]); 4] = [
    ("plain", &[]),
    ("custom", &["-Fc"]),
    ("uncompressed", &["-Fc", "-Z0"]),
    // Without owners, rights and comments, as it is often done.
    ("bare", &["-Fc", "-O", "-x", "--no-comments"]),
];

fn start() -> Option<Postgres> {
    if Postgres::programs().is_none() {
        assert!(!binary::have(&["the programs of PostgreSQL"]));
        return None;
    }
    let postgres = Postgres::start();
    postgres.create("bj", &format!("{CONTAINERS}{DIRECTORY}"));
    postgres.create("bj-data", &format!("{CONTAINERS}{DATA}"));
    Some(postgres)
}

/// All files below a folder with their contents.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let (mut found, mut left) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                left.push(entry);
            } else {
                let name = entry.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read_to_string(&entry).unwrap());
            }
        }
    }
    found
}

fn read_into(directory: PathBuf, data: PathBuf, folder: &Path) -> Result<Report, ReadError> {
    read(&directory, &[data], folder, |_| {})
}

#[test]
fn every_form_of_dump_says_the_same() {
    let Some(postgres) = start() else { return };
    let place = tempfile::tempdir().unwrap();
    let mut before: Option<BTreeMap<String, String>> = None;
    for (form, options) in FORMS {
        let (directory, data) = (place.path().join(format!("{form}.bj")), place.path().join(format!("{form}.data")));
        postgres.dump("bj", options, &directory);
        postgres.dump("bj-data", options, &data);
        let folder = place.path().join(form);
        read_into(directory, data, &folder).unwrap();
        let found = files(&folder);
        if let Some(before) = &before {
            assert_eq!(before, &found, "{form}");
        }
        before = Some(found);
    }
    let found = before.unwrap();
    people(&found[DECLARATION]);
    shares(&found);
    objects(&found);
    report(&serde_json::from_str(&found[REPORT]).unwrap());
}

fn people(declaration: &str) {
    let declared: toml::Table = toml::from_str(declaration).unwrap();
    let named = |section: &str, address: &str| {
        let all = declared[section].as_array().unwrap();
        let found = all
            .iter()
            .find(|one| one.get("address").or(one.get("name")).and_then(|name| name.as_str()) == Some(address));
        found.unwrap_or_else(|| panic!("{address} is not in {declaration}")).as_table().unwrap().clone()
    };
    let texts = |value: &toml::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let domain = named("domains", "tern.test");
    assert_eq!(texts(&domain["aliases"]), ["alias.test", "tern.example"]);
    assert_eq!(domain["description"].as_str(), Some("Terns, and \"others\""));
    named("domains", "sister.test");
    let ana = named("users", "ana@tern.test");
    assert_eq!(texts(&ana["aliases"]), ["ana@sister.test", "ana.nandu@tern.test", "sales@tern.test"]);
    assert_eq!(ana["display_name"].as_str(), Some("Ana María Ñandú"));
    assert_eq!(ana["unit"].as_str(), Some("Sales/North-East"));
    assert_eq!(ana["quota_bytes"].as_integer(), Some(1 << 30));
    assert_eq!(texts(&ana["senders"]), ["ben@tern.test"]);
    assert!(ana["password_hash"].as_str().unwrap().starts_with("$pbkdf2$i=1000,l=24$obLD1OX2"), "{ana}");
    let ben = named("users", "ben@tern.test");
    assert_eq!(texts(&ben["aliases"]), ["ben@sister.test", "sales@sister.test"]);
    assert_eq!((ben["login"].as_str(), ben.get("quota_bytes")), (Some("benjamin"), None));
    assert_eq!(texts(&ben["forward_to"]), ["ben@elsewhere.test", "second@elsewhere.test"]);
    assert_eq!((ben["forward_only"].as_bool(), ben.get("password_hash")), (Some(false), None));
    let cleo = named("users", "cleo@tern.test");
    assert_eq!((cleo["suspended"].as_bool(), cleo["hidden"].as_bool()), (Some(true), Some(true)));
    // A group without an address stands for its members.
    assert_eq!(texts(&named("mailboxes", "info@tern.test")["senders"]), ["ben@tern.test", "cleo@tern.test"]);
    let room = named("resources", "blue@tern.test")["resource"].as_table().unwrap().clone();
    assert_eq!((room["kind"].as_str(), room["answers"].as_str()), (Some("room"), Some("auto")));
    assert_eq!((room["capacity"].as_integer(), texts(&room["managers"])), (Some(12), vec!["ben@tern.test".to_owned()]));
    let team = named("groups", "team@tern.test");
    assert_eq!(texts(&team["members"]), ["ana@tern.test", "eve@elsewhere.test"]);
    assert_eq!(team["external_members"].as_bool(), Some(true));
    assert_eq!(named("contacts", "eve@elsewhere.test")["domain"].as_str(), Some("tern.test"));
}

fn shares(files: &BTreeMap<String, String>) {
    let mut told: Vec<String> = Vec::new();
    for (_, text) in files.iter().filter(|(name, _)| name.ends_with("/manifest.json")) {
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        told.extend(manifest.shares.into_iter().map(|share| {
            let name = share.name.unwrap_or_else(|| "-".to_owned());
            [manifest.address.clone(), share.kind, name, share.identifier, share.rights].join(" ")
        }));
    }
    let holidays = told.iter().find(|line| line.starts_with("holidays")).unwrap();
    assert!(holidays.ends_with(" calendar Calendar @tern.test read"), "{holidays}");
    for expected in [
        "ana@tern.test calendar Calendar ben@tern.test write",
        "ana@tern.test calendar Calendar @tern.test freebusy",
        "ana@tern.test address-book Contacts team@tern.test read",
        "ana@tern.test mailbox - ben@tern.test lr",
        "info@tern.test mailbox - ben@tern.test lrswipkte",
        "info@tern.test mailbox - cleo@tern.test lrswipkte",
        "info@tern.test mailbox - team@tern.test lr",
        "blue@tern.test calendar Calendar ben@tern.test manage",
    ] {
        assert!(told.iter().any(|line| line == expected), "{expected}: {told:#?}");
    }
    assert_eq!(told.len(), 9, "{told:#?}");
}

/// The lines of an object, unfolded.
fn lines(files: &BTreeMap<String, String>, name: &str) -> Vec<String> {
    let text = files.get(&format!("{ACCOUNTS}/{name}")).unwrap_or_else(|| panic!("{name}: {:?}", files.keys()));
    text.replace("\r\n ", "").lines().map(str::to_owned).collect()
}

fn has(lines: &[String], expected: &[&str]) {
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "{line}: {lines:#?}");
    }
}

fn objects(files: &BTreeMap<String, String>) {
    let series = lines(files, "ana@tern.test/calendars/Calendar/series-1.ics");
    has(
        &series,
        &[
            "UID:series-1@tern.test",
            "DTSTAMP:20240203T040507Z",
            "TZID:Europe/Paris",
            "DTSTART;TZID=Europe/Paris:20260324T093000",
            "DTEND;TZID=Europe/Paris:20260324T094500",
            "SUMMARY:Stand-up\\; \"daily\"\\, \\\\o/",
            "LOCATION:Blue room\\, 2nd floor",
            "X-ALT-DESC;FMTTYPE=text/html:<p>Agenda:<br/>one &amp\\; two</p>",
            "CLASS:PRIVATE",
            "STATUS:CONFIRMED",
            "TRANSP:OPAQUE",
            "RRULE:FREQ=WEEKLY;UNTIL=20260630T220000Z;BYDAY=TU",
            "EXDATE;TZID=Europe/Paris:20260407T093000",
            "ORGANIZER;CN=Ana:mailto:ana@tern.test",
            "ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=TRUE;CN=\"Ben, the ^'other^'\":mailto:ben@tern.test",
            "ATTENDEE;CUTYPE=ROOM;ROLE=NON-PARTICIPANT;PARTSTAT=NEEDS-ACTION:mailto:blue@tern.test",
            "ATTACH;FILENAME=agenda.pdf:https://bm.tern.test/fh/1",
            "ACTION:DISPLAY",
            "TRIGGER:-PT15M",
            "CATEGORIES:Wichtig",
            "RECURRENCE-ID;TZID=Europe/Paris:20260331T093000",
            "SEQUENCE:1",
        ],
    );
    let at = |text: &str| series.iter().position(|line| line.starts_with(text)).unwrap();
    assert!(at("RRULE") < at("RECURRENCE-ID"), "the master is first");
    let day = lines(files, "ana@tern.test/calendars/Projects-2026/day_1.ics");
    has(&day, &["DTSTART;VALUE=DATE:19870501", "DTEND;VALUE=DATE:19870502", "RRULE:FREQ=YEARLY", "UID:day/1"]);
    let task = lines(files, "ana@tern.test/calendars/Tasks/task-1.ics");
    has(&task, &["DUE;VALUE=DATE:20260105", "COMPLETED:20260104T120000Z", "STATUS:COMPLETED", "PERCENT-COMPLETE:100"]);
    let note = lines(files, "ana@tern.test/calendars/Notes/note-1.ics");
    has(&note, &["BEGIN:VJOURNAL", "SUMMARY:Shopping", "DESCRIPTION:milk\\nbread"]);
    let card = lines(files, "ana@tern.test/contacts/Contacts/card-1.vcf");
    has(
        &card,
        &[
            "FN:Dr. Zoë Łuczak",
            "N:Łuczak;Zoë;;;",
            "BDAY:1987-05-01",
            "ORG:Terns\\, Ltd.;;Research",
            "NOTE:One\\nTwo\\; three",
            "ADR;TYPE=HOME:;;1\\, rue de l'Église;Paris;;75001;France",
            "TEL;TYPE=CELL,VOICE:+33 1 23",
            "TEL:0123",
            "EMAIL;TYPE=WORK;PREF=1:zoe@example.test",
            "URL:https://zoe.test/a,b",
            "CATEGORIES:Wichtig",
        ],
    );
    let group = lines(files, "ana@tern.test/contacts/Contacts/card-2.vcf");
    has(&group, &["X-ADDRESSBOOKSERVER-MEMBER;X-CN=Zoë:urn:uuid:card-1"]);
    has(&group, &["X-ADDRESSBOOKSERVER-MEMBER;X-CN=Max:mailto:max@example.test"]);
    has(&lines(files, "ana@tern.test/contacts/Collected/card-3.vcf"), &["FN:only@mail.test"]);
    let filters = files[&format!("{ACCOUNTS}/ana@tern.test/sieve/filters.sieve")].clone();
    let filters: Vec<String> = filters.lines().map(str::to_owned).collect();
    has(
        &filters,
        &[
            "require [\"fileinto\", \"imap4flags\", \"mailbox\"];",
            "if header :is \"from\" \"spam@bad.test\" {",
            "if allof (header :contains \"subject\" \"[terns]\", not header :is \"from\" \"boss@tern.test\") {",
            "    addflag \"\\\\Flagged\";",
            "    fileinto :create \"Lists/Terns\";",
        ],
    );
    let vacation = lines(files, "ana@tern.test/sieve/vacation.sieve");
    assert!(vacation[0].starts_with("# absence: {\"from\":\"2026-08-01\",\"until\":\"2026-08-14\""), "{vacation:?}");
    has(&vacation, &["include :personal :optional \"filters\";"]);
    let manifest = files[&format!("{ACCOUNTS}/ana@tern.test/manifest.json")].clone();
    assert!(manifest.contains("\"active_script\": \"vacation\""), "{manifest}");
    assert!(manifest.contains("\"url\": \"https://example.net/f.ics\""), "{manifest}");
    let manifest = files[&format!("{ACCOUNTS}/cleo@tern.test/manifest.json")].clone();
    assert!(manifest.contains("\"active_script\": null"), "{manifest}");
}

/// Kind by kind: read, written, left out, and a word of the reason.
fn report(report: &Report) {
    let expected = [
        (Kind::Domains, 1, 1, 0, ""),
        (Kind::Users, 4, 3, 2, "Nobody: there is no address"),
        (Kind::SharedMailboxes, 3, 3, 0, ""),
        (Kind::Resources, 1, 1, 0, ""),
        (Kind::Groups, 2, 1, 2, "silent"),
        (Kind::Contacts, 1, 1, 0, ""),
        (Kind::Quotas, 1, 1, 0, ""),
        (Kind::Forwards, 1, 1, 0, ""),
        (Kind::Vacations, 2, 2, 0, ""),
        (Kind::Filters, 3, 2, 1, "SOUNDSLIKE"),
        (Kind::Passwords, 2, 1, 1, "ben@tern.test"),
        (Kind::Calendars, 7, 6, 1, "u-gone"),
        (Kind::Events, 4, 3, 1, "broken: it has no start"),
        (Kind::TaskLists, 1, 1, 0, ""),
        (Kind::Tasks, 1, 1, 0, ""),
        (Kind::AddressBooks, 3, 3, 0, ""),
        (Kind::Cards, 4, 4, 0, ""),
        (Kind::Notes, 1, 1, 0, ""),
        (Kind::Shares, 10, 9, 1, "x-calendar-public-1"),
        (Kind::Subscriptions, 2, 1, 1, "calendar:gone"),
        (Kind::Identities, 1, 0, 1, "signatures"),
        (Kind::UserSettings, 1, 0, 1, "language"),
        (Kind::SystemSettings, 3, 0, 3, "mynetworks = 127.0.0.0/8, 192.0.2.0/24"),
    ];
    for (kind, read, written, left_out, word) in expected {
        let tally = &report.kinds[&kind];
        assert_eq!((tally.read, tally.written, tally.left_out), (read, written, left_out), "{kind:?}: {tally:#?}");
        assert!(tally.reasons.iter().any(|reason| reason.contains(word)) || word.is_empty(), "{kind:?}: {tally:#?}");
    }
    assert_eq!(report.kinds.len(), expected.len(), "{report:#?}");
    let told = serde_json::to_string(report).unwrap();
    assert!(told.contains("sw_password = (not shown)"), "{told}");
}

#[test]
fn what_is_no_whole_dump_is_refused_with_the_way_out() {
    let Some(postgres) = start() else { return };
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name);
    for (name, options) in [("custom", &["-Fc"][..]), ("plain", &[]), ("inserts", &["--inserts"]), ("tar", &["-Ft"])] {
        postgres.dump("bj", options, &file(name));
    }
    postgres.dump("bj-data", &["-Fc"], &file("data"));
    let cut = |name: &str, keep: fn(usize) -> usize| {
        let whole = fs::read(file(name)).unwrap();
        let path = file(&format!("{name}-cut-{}", keep(whole.len())));
        fs::write(&path, &whole[..keep(whole.len())]).unwrap();
        path
    };
    fs::write(file("text"), "hello\n".repeat(100)).unwrap();
    fs::write(file("empty"), "").unwrap();
    let bad = [
        (file("text"), "no dump"),
        (file("empty"), "no dump"),
        (file("inserts"), "--inserts"),
        (file("tar"), "no dump"),
        (file("data"), "t_directory_entry"),
        (cut("plain", |length| length * 2 / 3), "ends within"),
        (cut("plain", |length| length - 100), "last lines are missing"),
        (cut("custom", |length| length * 2 / 3), ""),
        (cut("custom", |length| length - 10), ""),
        (cut("custom", |_| 40), ""),
        (file("nowhere"), "No such file"),
    ];
    for (path, word) in bad {
        let folder = file("out");
        let error = read_into(path.clone(), file("data"), &folder).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(word) && told.contains(&*path.to_string_lossy()), "{path:?}: {told}");
        assert!(!folder.exists(), "{path:?}: nothing is written");
    }
    // A folder that has something is not written into.
    let error = read_into(file("custom"), file("data"), place.path()).unwrap_err();
    assert!(matches!(error, ReadError::NotEmpty(_)), "{error}");
}
