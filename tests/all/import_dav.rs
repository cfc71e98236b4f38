//! `sterna import dav` from Debian's Radicale: names, colours and objects stay; each pass brings what changed; what the
//! source loses isn't lost here too.

use std::fs;
use std::net::Ipv4Addr;

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::cyrus::{ADMIN, Cyrus};
use sterna_testkit::http::Http;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, errors};
use sterna_testkit::radicale::{PASSWORD, Radicale};

use crate::dav_rights::Dav;

const ANA: &str = "ana@tern.test";
const HERE: &str = "/dav/calendars/ana@tern.test";
const BOOKS: &str = "/dav/addressbooks/ana@tern.test";

fn event(uid: &str, summary: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20250101T000000Z\r\n\
         DTSTART:20250310T100000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY\r\nSUMMARY:{summary}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

fn task(uid: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VTODO\r\nUID:{uid}\r\nDTSTAMP:20250101T000000Z\r\n\
         SUMMARY:Count terns\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
    )
}

fn card(uid: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:Zoë & {uid}\r\nN:{uid};Zoë;;;\r\nEND:VCARD\r\n")
}

/// Makes a calendar at the source.
fn calendar(radicale: &Radicale, path: &str, name: &str, component: &str) {
    let body = format!(
        "<C:mkcalendar xmlns=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\" xmlns:I=\"http://apple.com/ns/ical/\">\
         <set><prop><displayname>{name}</displayname><I:calendar-color>#aa3355</I:calendar-color>\
         <C:supported-calendar-component-set><C:comp name=\"{component}\"/></C:supported-calendar-component-set>\
         </prop></set></C:mkcalendar>"
    );
    radicale.ask("ana", "MKCALENDAR", path, &body);
}

/// Ana's calendars, tasks and cards at the source.
fn fill(radicale: &Radicale) {
    calendar(radicale, "/ana/default/", "Mine", "VEVENT");
    calendar(radicale, "/ana/f%C3%BCr%20alle/", "Für alle / Work", "VEVENT");
    calendar(radicale, "/ana/tasks/", "To do", "VTODO");
    let book = "<mkcol xmlns=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:carddav\"><set><prop><resourcetype><collection/>\
        <C:addressbook/></resourcetype><displayname>Friends</displayname></prop></set></mkcol>";
    radicale.ask("ana", "MKCOL", "/ana/friends/", book);
    for n in 0..120 {
        radicale.ask(
            "ana",
            "PUT",
            &format!("/ana/default/e{n}.ics"),
            &event(&format!("event-{n}"), "Terns &lt;&amp; gulls"),
        );
    }
    radicale.ask("ana", "PUT", "/ana/f%C3%BCr%20alle/a%20b.ics", &event("odd", "An odd name"));
    radicale.ask("ana", "PUT", "/ana/tasks/t.ics", &task("task"));
    for n in 0..60 {
        radicale.ask("ana", "PUT", &format!("/ana/friends/{n}.vcf"), &card(&format!("card-{n}")));
    }
}

/// Runs an import of ana's; its exit code, her part of what it printed, and what was said.
fn import(installation: &Installation, url: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    import_as("ana", installation, url, more)
}

fn import_as(login: &str, installation: &Installation, url: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let file = installation.folder().join("source-password");
    fs::write(&file, PASSWORD).unwrap();
    let file = file.to_string_lossy();
    let first = ["--json", "import", "dav", "--url", url, "--login", login, "--to", ANA, "--password-file", &file];
    let output = installation.admin("main", &[&first[..], more].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let value: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {}", errors(&output)));
    (output.status.code(), value["accounts"][0].clone(), errors(&output))
}

/// The names in a collection here.
fn names(ana: &mut Dav, path: &str) -> Vec<String> {
    let listed = ana.propfind(path, "1", "<getetag/>").texts("D:href");
    let names = listed.iter().filter_map(|href| href.rsplit('/').next()).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn text(ana: &mut Dav, path: &str) -> String {
    ana.is(200, "GET", path, &[], "").body
}

#[test]
fn collections_come_as_they_are_and_each_pass_brings_what_changed() {
    let Some(radicale) = Radicale::start(&["ana"]) else { return };
    fill(&radicale);
    let installation = Installation::standard();
    let (code, done, said) = import(&installation, &radicale.url(), &[]);
    assert_eq!((code, &done["messages"]), (Some(0), &Value::from(182)), "{done} {said}");
    let mut ana = Dav::of(&installation, ANA);
    // What somebody had from the beginning is where invitations go here, too.
    assert_eq!(names(&mut ana, &format!("{HERE}/Calendar/")).len(), 120);
    assert_eq!(names(&mut ana, &format!("{HERE}/Tasks/")), ["t.ics"]);
    assert_eq!(names(&mut ana, &format!("{BOOKS}/Contacts/")).len(), 60);
    let odd = format!("{HERE}/F%C3%BCr%20alle%20_%20Work");
    for (here, there) in [
        (format!("{odd}/a%20b.ics"), "/ana/f%C3%BCr%20alle/a%20b.ics"),
        (format!("{HERE}/Calendar/e7.ics"), "/ana/default/e7.ics"),
        (format!("{BOOKS}/Contacts/7.vcf"), "/ana/friends/7.vcf"),
    ] {
        assert_eq!(text(&mut ana, &here), radicale.ask("ana", "GET", there, "").body);
    }
    let about =
        ana.propfind(&format!("{odd}/"), "0", "<displayname/><calendar-color xmlns=\"http://apple.com/ns/ical/\"/>");
    assert!(about.body.contains("Für alle / Work") && about.body.contains("#aa3355"), "{about:?}");

    let (code, again, _) = import(&installation, &radicale.url(), &[]);
    assert_eq!((code, &again["messages"], &again["expunged"]), (Some(0), &Value::from(0), &Value::from(0)), "{again}");

    radicale.ask("ana", "PUT", "/ana/default/e7.ics", &event("event-7", "Changed there"));
    radicale.ask("ana", "PUT", "/ana/default/new.ics", &event("new", "New"));
    radicale.ask("ana", "DELETE", "/ana/default/e8.ics", "");
    // What is changed here in between is as it is there again, if that changed; else it stays.
    for (name, uid) in [("e7", "event-7"), ("e9", "event-9")] {
        ana.is(204, "PUT", &format!("{HERE}/Calendar/{name}.ics"), &[], &event(uid, "Changed here"));
    }
    let (code, done, _) = import(&installation, &radicale.url(), &["--final"]);
    assert_eq!((&done["messages"], &done["expunged"]), (&Value::from(2), &Value::from(1)), "{done}");
    assert!(text(&mut ana, &format!("{HERE}/Calendar/e7.ics")).contains("Changed there"));
    assert!(done["notes"].to_string().contains("e7.ics: it was changed here"), "{done}");
    let difference = done["differences"][0].as_str().unwrap_or_default();
    assert!(code == Some(1) && difference.starts_with("Mine/e9.ics: it was changed here; delete it"), "{done}");
    ana.is(204, "DELETE", &format!("{HERE}/Calendar/e9.ics"), &[], "");
    let (code, done, said) = import(&installation, &radicale.url(), &["--final"]);
    assert_eq!((code, &done["compared"]), (Some(0), &Value::from(182)), "{done} {said}");
    assert!(said.contains("every object here is the one there"), "{said}");
}

#[test]
fn a_sweep_brings_what_is_new_and_touches_nothing() {
    let Some(radicale) = Radicale::start(&["ana"]) else { return };
    fill(&radicale);
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    // What is here of the same UID is the same object: before the first pass it gives way, under its name.
    ana.is(201, "PUT", &format!("{HERE}/Calendar/own.ics"), &[], &event("event-1", "Invited here"));
    let (code, done, _) = import(&installation, &radicale.url(), &[]);
    assert_eq!(code, Some(0), "{done}");
    assert!(text(&mut ana, &format!("{HERE}/Calendar/own.ics")).contains("Terns"));

    // Users work here from now on.
    ana.is(204, "PUT", &format!("{HERE}/Calendar/e2.ics"), &[], &event("event-2", "Changed here"));
    ana.is(204, "DELETE", &format!("{HERE}/Calendar/e3.ics"), &[], "");
    ana.is(201, "PUT", &format!("{HERE}/Calendar/here.ics"), &[], &event("both", "Made here"));
    for (name, uid) in [("e2", "event-2"), ("both", "both"), ("late", "late")] {
        radicale.ask("ana", "PUT", &format!("/ana/default/{name}.ics"), &event(uid, "Written there"));
    }
    radicale.ask("ana", "DELETE", "/ana/default/e4.ics", "");
    let (code, done, said) = import(&installation, &radicale.url(), &["--sweep"]);
    assert_eq!(
        (code, &done["messages"], &done["expunged"]),
        (Some(0), &Value::from(1), &Value::from(0)),
        "{done} {said}"
    );
    assert!(text(&mut ana, &format!("{HERE}/Calendar/late.ics")).contains("Written there"));
    assert!(text(&mut ana, &format!("{HERE}/Calendar/e2.ics")).contains("Changed here"));
    assert!(text(&mut ana, &format!("{HERE}/Calendar/here.ics")).contains("Made here"));
    assert!(done["notes"].to_string().contains("both.ics: what is here of the same UID is other"), "{done}");
    ana.is(200, "GET", &format!("{HERE}/Calendar/e4.ics"), &[], "");
    ana.is(404, "GET", &format!("{HERE}/Calendar/e3.ics"), &[], "");
}

#[test]
fn a_source_that_fails_is_named_and_loses_nothing_here() {
    let Some(mut radicale) = Radicale::start(&["ana"]) else { return };
    fill(&radicale);
    let installation = Installation::standard();
    let refused = |url: &str, more: &[&str], expected: &str| {
        let (code, done, said) = import(&installation, url, more);
        let error = done["error"].as_str().map_or_else(|| done["damaged"].to_string(), str::to_owned);
        assert!(code == Some(1) && error.contains(expected), "{expected}: {done} {said}");
    };
    // Only one collection, and what is wrong with it.
    let (code, done, _) = import(&installation, &format!("{}ana/friends/", radicale.url()), &[]);
    assert_eq!((code, &done["folders"], &done["messages"]), (Some(0), &Value::from(1), &Value::from(60)), "{done}");
    let (code, done, _) = import_as("ben", &installation, &radicale.url(), &["--another-source"]);
    assert!(code == Some(1) && done["error"].to_string().contains("the log-in is refused: 401"), "{done}");
    let (code, _, _) = import(&installation, &radicale.url(), &[]);
    assert_eq!(code, Some(0));
    // Somebody deletes most of it there.
    for n in 0..119 {
        radicale.ask("ana", "DELETE", &format!("/ana/default/e{n}.ics"), "");
    }
    refused(&radicale.url(), &[], "119 of 120 objects are gone at the source");
    let mut ana = Dav::of(&installation, ANA);
    assert_eq!(names(&mut ana, &format!("{HERE}/Calendar/")).len(), 120);
    let (code, done, _) = import(&installation, &radicale.url(), &["--allow-removals"]);
    assert_eq!((code, &done["expunged"]), (Some(0), &Value::from(119)), "{done}");
    // Another server by that name of the account isn't taken for the first one.
    refused(&radicale.url(), &["--source-name", "another"], "--another-source");
    radicale.stop();
    refused(&radicale.url(), &[], "can't be reached");
    let bad = installation.admin("main", &["import", "dav", "--url", "ftp://x/", "--login", "a", "--to", ANA]);
    assert!(!bad.status.success(), "{bad:?}");
}

#[test]
fn they_come_from_cyrus_too() {
    if !binary::have_root() {
        return;
    }
    let cyrus = Cyrus::start(1, ("nobody", "x"));
    let mut admin = Imap::login("127.0.0.1", cyrus.port, ADMIN, "x").unwrap();
    assert!(admin.command("CREATE user/ana").unwrap().ok());
    let ask = |method: &str, path: &str, body: &str| {
        let mut http = Http::connect(Ipv4Addr::LOCALHOST.into(), cyrus.http, Some(("ana", "x"))).unwrap();
        let kind = if path.ends_with(".vcf") { "text/vcard" } else { "text/calendar" };
        let kind = if body.starts_with('<') { "application/xml" } else { kind };
        let answer = http.request(method, path, &[("Content-Type", kind), ("Depth", "0")], body).unwrap();
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    };
    // Cyrus makes both when somebody looks for the first time.
    let principal = "<propfind xmlns=\"DAV:\"><prop><displayname/></prop></propfind>";
    for home in ["/dav/calendars/user/ana/", "/dav/addressbooks/user/ana/"] {
        ask("PROPFIND", home, principal);
    }
    for n in 0..60 {
        ask("PUT", &format!("/dav/calendars/user/ana/Default/e{n}.ics"), &event(&format!("event-{n}"), "Terns"));
    }
    ask("PUT", "/dav/addressbooks/user/ana/Default/c.vcf", &card("card"));
    let installation = Installation::standard();
    let url = format!("http://127.0.0.1:{}/", cyrus.http);
    let (code, done, said) = import(&installation, &url, &[]);
    assert_eq!((code, &done["messages"]), (Some(0), &Value::from(61)), "{done} {said}");
    let mut ana = Dav::of(&installation, ANA);
    assert_eq!(names(&mut ana, &format!("{HERE}/Calendar/")).len(), 60);
    let there = ask("GET", "/dav/calendars/user/ana/Default/e7.ics", "").body;
    assert_eq!(text(&mut ana, &format!("{HERE}/Calendar/e7.ics")), there);
    assert_eq!(names(&mut ana, &format!("{BOOKS}/Contacts/")), ["c.vcf"]);
    ask("DELETE", "/dav/calendars/user/ana/Default/e7.ics", "");
    let (code, done, said) = import(&installation, &url, &["--final"]);
    assert_eq!(
        (code, &done["expunged"], &done["compared"]),
        (Some(0), &Value::from(1), &Value::from(60)),
        "{done} {said}"
    );
}
