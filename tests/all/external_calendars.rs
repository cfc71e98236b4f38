//! Calendars that others publish, and birthdays of contacts: from a real server that does
//! everything wrong, too.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use sterna_testkit::installation::{Installation, errors};
use sterna_testkit::wait::until;

use crate::dav_rights::Dav;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const HOME: &str = "/dav/calendars/ana@tern.test/";

/// Waits for something to be so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    until(what, Duration::from_secs(60), || is_so().then_some(()));
}

/// What a path answers: status, further headers, body.
type Page = (u16, String, Vec<u8>);

/// Publishes files by HTTP.
struct Publisher {
    at: SocketAddr,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    /// The heads of all requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Publisher {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (pages, asked) = (Arc::<Mutex<HashMap<String, Page>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (served, heard) = (pages.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let (served, heard) = (served.clone(), heard.clone());
                std::thread::spawn(move || {
                    let mut head = String::new();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while reader.read_line(&mut head).unwrap_or(0) > 2 {}
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let (mut status, headers, mut body) =
                        served.lock().get(&path).cloned().unwrap_or((404, String::new(), Vec::new()));
                    let tag = headers.lines().find_map(|line| line.strip_prefix("ETag: "));
                    if tag.is_some_and(|tag| head.contains(&format!("if-none-match: {}", tag.trim()))) {
                        (status, body) = (304, Vec::new());
                    }
                    heard.lock().push(head);
                    let length =
                        if status == 304 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
                    let answer = format!("HTTP/1.1 {status} x\r\n{length}{headers}Connection: close\r\n\r\n");
                    // Whoever has enough hangs up.
                    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&body));
                });
            }
        });
        Publisher { at, pages, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    fn put(&self, path: &str, status: u16, headers: &str, body: impl Into<Vec<u8>>) {
        self.pages.lock().insert(path.to_owned(), (status, headers.to_owned(), body.into()));
    }

    fn asked(&self) -> usize {
        self.asked.lock().len()
    }
}

fn event(uid: &str, summary: &str, stamp: &str) -> String {
    format!(
        "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:{stamp}T000000Z\r\nDTSTART:20250310T100000Z\r\nSUMMARY:{summary}\r\n\
         END:VEVENT\r\n"
    )
}

fn file(events: &[String]) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Holidays\r\nREFRESH-INTERVAL;VALUE=DURATION:PT2H\r\n{}\
         END:VCALENDAR\r\n",
        events.concat()
    )
}

/// Names that are there and gone since a token, and the next one.
fn sync(dav: &mut Dav, path: &str, token: &str) -> (usize, usize, String) {
    let body = format!(
        "<sync-collection xmlns='DAV:'><sync-token>{token}</sync-token><sync-level>1</sync-level>\
         <prop><getetag/></prop></sync-collection>"
    );
    let answer = dav.is(207, "REPORT", path, &[], &body);
    let gone = answer.texts("D:response").iter().filter(|response| response.contains("404 Not Found")).count();
    (answer.texts("D:response").len() - gone, gone, answer.texts("D:sync-token").remove(0))
}

fn subscribed(installation: &Installation, url: &str) -> String {
    let told = installation.admin_ok("main", &["--json", "calendar", "subscribe", ANA, url]);
    let told: Value = serde_json::from_str(&told).unwrap();
    told["calendar"].as_str().unwrap().to_owned()
}

/// Fetches now: whether that went well, and what is told.
fn refresh(installation: &Installation, calendar: &str) -> (bool, Value) {
    let output = installation.admin("main", &["--json", "calendar", "refresh", ANA, calendar]);
    let text = String::from_utf8_lossy(&output.stdout);
    let told = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {}", errors(&output)));
    (output.status.success(), told)
}

#[test]
fn a_published_calendar_is_kept_in_step_with() {
    let installation = Installation::standard();
    let publisher = Publisher::start();
    let one = event("one", "first", "20250101");
    publisher.put("/a.ics", 200, "ETag: \"v1\"\r\n", file(&[one.clone(), event("two", "second", "20250101")]));
    // Nobody reaches into the network of the server by it.
    let calendar = subscribed(&installation, &publisher.url("/a.ics"));
    let (good, told) = refresh(&installation, &calendar);
    assert!(!good && told["error"].as_str().unwrap().contains("private network"), "{told}");
    assert_eq!(publisher.asked(), 0);
    installation.admin_ok("main", &["config", "set", "calendar.external-networks", "127.0.0.0/8"]);
    wait_until("alpha to know the setting", || refresh(&installation, &calendar).0);

    let path = format!("{HOME}{calendar}/");
    let mut ana = Dav::of(&installation, ANA);
    let shown = ana.propfind(&path, "0", "<displayname/><resourcetype/><S:source/><current-user-privilege-set/>");
    assert!(shown.body.contains(">Holidays<") && shown.body.contains("<C:calendar/>"), "{shown:?}");
    assert!(shown.body.contains("<D:read/>") && !shown.body.contains("<D:bind/>"), "{shown:?}");
    let (there, gone, token) = sync(&mut ana, &path, "");
    assert_eq!((there, gone), (2, 0));
    // The same file is not sent again, and a file that only has new stamps is no change.
    assert!(refresh(&installation, &calendar).0);
    assert!(publisher.asked.lock().last().unwrap().contains("if-none-match: \"v1\""));
    publisher.put(
        "/a.ics",
        200,
        "ETag: \"v2\"\r\n",
        file(&[event("one", "first", "20250202"), event("two", "second", "20250202")]),
    );
    assert!(refresh(&installation, &calendar).0);
    assert_eq!(sync(&mut ana, &path, &token).0, 0);
    publisher.put("/a.ics", 200, "", file(&[one.clone(), event("three", "third", "20250303")]));
    let (good, told) = refresh(&installation, &calendar);
    assert!(good && told["items"] == 2 && told["refresh_minutes"] == 120, "{told}");
    let (there, gone, token) = sync(&mut ana, &path, &token);
    assert_eq!((there, gone), (1, 1));

    // Nobody writes it; it is its owner's to name, to share and to take away.
    ana.is(403, "PUT", &format!("{path}mine.ics"), &[], &crate::dav_rights::event("mine"));
    let listed = ana.propfind(&path, "1", "<getetag/>");
    let item = listed.texts("D:href").into_iter().find(|href| href.ends_with(".ics")).unwrap();
    ana.is(403, "DELETE", &item, &[], "");
    ana.is(200, "GET", &item, &[], "");
    installation.admin_ok("main", &["account", "acl", "set", ANA, BEN, "lr", "--calendar", &calendar]);
    let mut ben = Dav::of(&installation, BEN);
    let seen = ben.propfind(&path, "0", "<displayname/><S:source/>");
    assert!(seen.body.contains(">Holidays<") && !seen.body.contains("a.ics"), "{seen:?}");

    // It moves with its account, and goes on there.
    installation.move_to(ANA, "beta");
    let (there, gone, token) = sync(&mut ana, &path, &token);
    assert_eq!((there, gone), (0, 0));
    publisher.put("/a.ics", 200, "", file(&[one]));
    assert!(refresh(&installation, &calendar).0);
    assert_eq!(sync(&mut ana, &path, &token).1, 1);
    let again = installation.admin("main", &["calendar", "subscribe", ANA, &publisher.url("/a.ics")]);
    assert!(!again.status.success() && errors(&again).contains("already"), "{}", errors(&again));
    installation.admin_ok("main", &["calendar", "unsubscribe", ANA, &calendar, "--yes"]);
    ana.is(404, "PROPFIND", &path, &[("Depth", "0")], "");
    installation.is_sound();
}

#[test]
fn what_goes_wrong_is_told_and_takes_nothing_away() {
    let installation = Installation::standard();
    let publisher = Publisher::start();
    // Other addresses of this machine stay forbidden.
    installation.admin_ok("main", &["config", "set", "calendar.external-networks", "127.0.0.1"]);
    let good = file(&[event("one", "first", "20250101"), event("two", "second", "20250101")]);
    publisher.put("/a.ics", 200, "", good.clone());
    // As a program of a user subscribes.
    let mut ana = Dav::of(&installation, ANA);
    let path = format!("{HOME}away/");
    let body = |href: &str| {
        format!(
            "<mkcol xmlns='DAV:' xmlns:S='http://calendarserver.org/ns/'><set><prop><resourcetype><collection/>\
             <S:subscribed/></resourcetype><displayname>Away</displayname><S:source><href>{href}</href></S:source>\
             </prop></set></mkcol>"
        )
    };
    ana.is(403, "MKCOL", &path, &[], &body("file:///etc/passwd"));
    ana.is(404, "PROPFIND", &path, &[("Depth", "0")], "");
    ana.is(201, "MKCOL", &path, &[], &body(&publisher.url("/a.ics")));
    wait_until("the first fetch", || refresh(&installation, "away").0);
    let (there, _, token) = sync(&mut ana, &path, "");
    assert_eq!(there, 2);
    let bad = event("bad", "no beginning", "20250101").replace("DTSTART:20250310T100000Z\r\n", "");
    let huge = format!("BEGIN:VCALENDAR\r\n{}END:VCALENDAR\r\n", "X-A:".to_owned() + &"a".repeat(33 << 20) + "\r\n");
    let port = publisher.at.port();
    // Each of these has a copy of the zone: a small file of 70 MiB.
    let zone = format!("BEGIN:VTIMEZONE\r\nTZID:Z\r\nX-A:{}\r\nEND:VTIMEZONE\r\n", "a".repeat(60_000));
    let zoned = |at: usize| event(&at.to_string(), "x", "20250101").replace("DTSTART:", "DTSTART;TZID=Z:");
    let zoned = file(&[zone].into_iter().chain((0..1200).map(zoned)).collect::<Vec<_>>());
    let cases: [(&str, u16, String, Vec<u8>); 12] = [
        ("500", 500, String::new(), b"oops".to_vec()),
        ("no such file", 404, String::new(), Vec::new()),
        ("private network", 302, format!("Location: http://127.0.0.2:{port}/a.ics\r\n"), Vec::new()),
        ("private network", 302, format!("Location: http://[::1]:{port}/a.ics\r\n"), Vec::new()),
        ("can't be connected to", 302, "Location: http://127.0.0.1:1/a.ics\r\n".to_owned(), Vec::new()),
        ("304", 304, String::new(), Vec::new()),
        ("64 MiB", 200, String::new(), zoned.into_bytes()),
        ("more than 5 times", 302, "Location: /a.ics\r\n".to_owned(), Vec::new()),
        ("no iCalendar file", 200, String::new(), b"<html>Please log in</html>".to_vec()),
        ("cut off", 200, String::new(), good.as_bytes()[..good.len() - 40].to_vec()),
        ("32 MiB", 200, String::new(), huge.into_bytes()),
        ("compressed", 200, "Content-Encoding: gzip\r\n".to_owned(), good.clone().into_bytes()),
    ];
    for (at, (says, status, headers, body)) in cases.into_iter().enumerate() {
        publisher.put("/a.ics", status, &headers, body);
        let (good, told) = refresh(&installation, "away");
        assert!(!good && told["error"].as_str().unwrap().contains(says), "{says}: {told}");
        assert_eq!(told["failures"], at + 1, "{told}");
    }
    // A bad part hinders nothing else, and what is missing beside it is gone.
    publisher.put("/a.ics", 200, "", file(&[event("one", "changed", "20250101"), bad.clone()]));
    let (good, told) = refresh(&installation, "away");
    assert!(good && told["error"].as_str().unwrap().contains("DTSTART"), "{told}");
    let (there, gone, token) = sync(&mut ana, &path, &token);
    assert_eq!((told["items"].as_u64(), there, gone), (Some(1), 1, 1));
    // What can't be stored keeps its older version; of a broken file nobody knows what is missing.
    publisher.put("/a.ics", 200, "", file(&[bad.replace("UID:bad", "UID:one"), event("three", "x", "20250101")]));
    let (good, told) = refresh(&installation, "away");
    let (there, gone, token) = sync(&mut ana, &path, &token);
    assert_eq!((good, told["items"].as_u64(), there, gone), (true, Some(2), 1, 0), "{told}");
    publisher.put("/a.ics", 200, "", file(&[event("four", "x", "20250101"), "BEGIN:VEVENT\r\nUID:x\r\n".to_owned()]));
    let (good, told) = refresh(&installation, "away");
    assert_eq!((good, told["items"].as_u64(), sync(&mut ana, &path, &token).1), (true, Some(3), 0), "{told}");
    // A server that asks for patience gets it.
    publisher.put("/a.ics", 503, "Retry-After: 864000\r\n", "");
    let (_, told) = refresh(&installation, "away");
    let next = told["next_at"].as_str().unwrap().to_owned();
    let listed = installation.admin_ok("main", &["--json", "calendar", "list", ANA]);
    assert!(listed.contains(&next) && listed.contains("503"), "{listed}");
    ana.is(204, "DELETE", &path, &[], "");
    assert!(!installation.admin_ok("main", &["--json", "calendar", "list", ANA]).contains("away"));
    installation.is_sound();
}

fn card(uid: &str, lines: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{uid}\r\nN:;{uid};;;\r\n{lines}END:VCARD\r\n")
}

#[test]
fn birthdays_of_contacts_are_a_calendar() {
    const BOOK: &str = "/dav/addressbooks/ana@tern.test/Contacts/";
    let installation = Installation::standard();
    installation.admin_ok("main", &["config", "set", "language", "de", "--domain", "tern.test"]);
    let mut ana = Dav::of(&installation, ANA);
    let path = format!("{HOME}birthdays/");
    ana.is(201, "PUT", &format!("{BOOK}none.vcf"), &[], &card("None", ""));
    ana.is(201, "PUT", &format!("{BOOK}leap.vcf"), &[], &card("Leap", "BDAY:1980-02-29\r\nX-ANNIVERSARY:20010714\r\n"));
    let mut other = Dav::of(&installation, ANA);
    let mut is_there = |ana: &mut Dav, count: usize| {
        wait_until(&format!("{count} days"), || {
            if other.ask("PROPFIND", &path, &[("Depth", "0")], "").status != 207 {
                return count == 0;
            }
            sync(ana, &path, "").0 == count
        });
    };
    is_there(&mut ana, 2);
    assert!(ana.propfind(&path, "0", "<displayname/>").body.contains(">Geburtstage<"));
    let query = "<C:calendar-query xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop><C:calendar-data/></prop>\
        <C:filter><C:comp-filter name='VCALENDAR'><C:comp-filter name='VEVENT'><C:time-range \
        start='20270227T000000Z' end='20270302T000000Z'/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>";
    let found = ana.is(207, "REPORT", &path, &[("Depth", "1")], query).texts("C:calendar-data");
    assert!(found.len() == 1 && found[0].contains("Geburtstag: Leap (1980)"), "{found:?}");
    // What changes in the book changes there, and nothing else.
    let token = sync(&mut ana, &path, "").2;
    ana.is(201, "PUT", &format!("{BOOK}more.vcf"), &[], &card("More", "BDAY:--0101\r\n"));
    ana.is(204, "PUT", &format!("{BOOK}none.vcf"), &[], &card("None", "NOTE:x\r\n"));
    is_there(&mut ana, 3);
    assert_eq!(sync(&mut ana, &path, &token).0, 1);
    ana.is(204, "PUT", &format!("{BOOK}leap.vcf"), &[], &card("Leap", "BDAY:1980-02-28\r\n"));
    is_there(&mut ana, 2);
    ana.is(204, "DELETE", &format!("{BOOK}more.vcf"), &[], "");
    is_there(&mut ana, 1);
    // It goes with its account, and goes on there.
    installation.move_to(ANA, "beta");
    ana.is(201, "PUT", &format!("{BOOK}late.vcf"), &[], &card("Late", "BDAY:19990909\r\n"));
    is_there(&mut ana, 2);
    ana.is(403, "PUT", &format!("{path}own.ics"), &[], &crate::dav_rights::event("own"));
    // Whoever deletes it doesn't want it, until they do.
    ana.is(204, "DELETE", &path, &[], "");
    ana.is(201, "PUT", &format!("{BOOK}later.vcf"), &[], &card("Later", "BDAY:19990910\r\n"));
    wait_until("it to be off", || {
        installation.admin_ok("main", &["--json", "calendar", "birthdays", ANA]).contains("false")
    });
    is_there(&mut ana, 0);
    installation.admin_ok("main", &["calendar", "birthdays", ANA, "on"]);
    is_there(&mut ana, 3);
    installation.admin_ok("main", &["calendar", "birthdays", ANA, "off"]);
    is_there(&mut ana, 0);
    installation.is_sound();
}
