//! What broken, huge and hostile clients send by DAV, and what two of them do to each other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_testkit::installation::{Installation, PASSWORD};
use sterna_testkit::raw::Raw;
use sterna_testkit::wait::{pass, until};

use crate::dav_rights::{Dav, event};

const ANA: &str = "ana@tern.test";
const CALENDAR: &str = "/dav/calendars/ana@tern.test/Calendar/";
const BOOK: &str = "/dav/addressbooks/ana@tern.test/Contacts/";
const FILES: &str = "/dav/files/ana@tern.test/";

/// The status of a request whose bytes are what they are.
fn raw(installation: &Installation, method: &str, path: &str, headers: &str, body: &[u8], announced: usize) -> String {
    let at = installation.node("main").at;
    let mut stream = TcpStream::connect((at.host, at.ports.http)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let login = STANDARD.encode(format!("{ANA}:{PASSWORD}"));
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nConnection: close\r\n{headers}\
         Content-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Who is refused early may have the rest of the body refused, too.
    let _ = stream.write_all(body);
    if announced > body.len() {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn hostile_objects_are_kept_as_they_came_or_refused_with_their_reason() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let put =
        |name: &str, bytes: &[u8]| raw(&installation, "PUT", &format!("{CALENDAR}{name}"), "", bytes, bytes.len());
    // Bytes of another encoding are no iCalendar (RFC 5545 section 3.1.4), and nothing is guessed.
    let latin = event("latin").into_bytes();
    let at = latin.windows(6).position(|part| part == b"secret").unwrap();
    let latin = [&latin[..at], b"caf\xe9", &latin[at..]].concat();
    let refused = put("latin.ics", &latin);
    assert!(status(&refused) == "403" && refused.contains("valid-calendar-data"), "{refused}");
    let card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c\r\nFN:caf\xe9\r\nN:x;;;;\r\nEND:VCARD\r\n";
    let refused = raw(&installation, "PUT", &format!("{BOOK}c.vcf"), "", card, card.len());
    assert!(status(&refused) == "403" && refused.contains("valid-address-data"), "{refused}");
    // A group that is in itself, and one that is in the other, are cards as others are.
    for (name, member) in [("one", "two"), ("two", "one"), ("self", "self")] {
        let card = format!(
            "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:urn:uuid:{name}\r\nKIND:group\r\nFN:{name}\r\n\
             MEMBER:urn:uuid:{member}\r\nEND:VCARD\r\n"
        );
        ana.is(201, "PUT", &format!("{BOOK}{name}.vcf"), &[], &card);
        assert_eq!(ana.is(200, "GET", &format!("{BOOK}{name}.vcf"), &[], "").body, card);
    }
    let deep = "BEGIN:VEVENT\r\n".repeat(100) + &"END:VEVENT\r\n".repeat(100);
    let deep = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{deep}END:VCALENDAR\r\n");
    assert_eq!(status(&put("deep.ics", deep.as_bytes())), "403");
    let huge = event("huge").replace("secret", &"x".repeat(11 * 1024 * 1024));
    let refused = put("huge.ics", huge.as_bytes());
    assert!(status(&refused) == "413" || refused.is_empty(), "{}", &refused[..refused.len().min(300)]);
    ana.is(404, "GET", &format!("{CALENDAR}huge.ics"), &[], "");

    // Ten thousand changed times, and one for every second that ever will be: kept, and asked about in bounded time.
    let overrides: String = (0..10_000)
        .map(|n: u32| {
            let (day, hour, minute) = (1 + n / 1440, n / 60 % 24, n % 60);
            format!(
                "BEGIN:VEVENT\r\nUID:many\r\nDTSTAMP:20250101T000000Z\r\nRECURRENCE-ID:202501{day:02}T{hour:02}{minute:02}00Z\r\n\
                 DTSTART:202502{day:02}T{hour:02}{minute:02}30Z\r\nEND:VEVENT\r\n"
            )
        })
        .collect();
    let many = event("many").replace("20250310T1", "20250101T0").replace("SUMMARY", "RRULE:FREQ=MINUTELY\r\nSUMMARY");
    let many = many.replace("END:VCALENDAR", &format!("{overrides}END:VCALENDAR"));
    ana.is(201, "PUT", &format!("{CALENDAR}many.ics"), &[], &many);
    let endless = event("endless").replace("SUMMARY", "RRULE:FREQ=SECONDLY\r\nSUMMARY");
    ana.is(201, "PUT", &format!("{CALENDAR}endless.ics"), &[], &endless);
    assert_eq!(ana.is(200, "GET", &format!("{CALENDAR}endless.ics"), &[], "").body, endless);
    let query = |data: &str, end: &str| {
        format!(
            "<C:calendar-query xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop>{data}</prop><C:filter>\
             <C:comp-filter name='VCALENDAR'><C:comp-filter name='VEVENT'><C:time-range start='20250401T000000Z' \
             end='{end}'/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"
        )
    };
    let found = ana.is(207, "REPORT", CALENDAR, &[("Depth", "1")], &query("<getetag/>", "20250401T000100Z"));
    assert_eq!(found.texts("D:href").len(), 2, "{found:?}");
    let expand = "<C:calendar-data><C:expand start='20250401T000000Z' end='20260401T000000Z'/></C:calendar-data>";
    let refused = ana.ask("REPORT", CALENDAR, &[("Depth", "1")], &query(expand, "20260401T000000Z"));
    assert!(
        refused.status == 403 && refused.body.contains("max-instances"),
        "{} {}",
        refused.status,
        refused.body.len()
    );
    let busy = "<C:free-busy-query xmlns:C='urn:ietf:params:xml:ns:caldav'><C:time-range start='20250401T000000Z' \
        end='20350401T000000Z'/></C:free-busy-query>";
    let answer = ana.ask("REPORT", CALENDAR, &[("Depth", "1")], busy);
    assert!(answer.status == 200 || answer.body.contains("max-instances"), "{} {}", answer.status, answer.body.len());
    installation.is_sound();
}

#[test]
fn hostile_requests_are_refused_and_harm_nobody() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let nested = format!("{}{}", "<a xmlns='DAV:'>".repeat(40), "</a>".repeat(40));
    let wide = format!("<propfind xmlns='DAV:'><prop>{}</prop></propfind>", "<x/>".repeat(200_000));
    let lol = "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><propfind \
        xmlns='DAV:'><prop><displayname>&b;</displayname></prop></propfind>";
    let outside = "<!DOCTYPE l SYSTEM 'file:///etc/passwd'><propfind xmlns='DAV:'><allprop/></propfind>";
    for body in [&nested, &wide, lol, outside, "<propfind xmlns='DAV:'><prop>", "\u{0}", "{}"] {
        for method in ["PROPFIND", "PROPPATCH", "REPORT", "LOCK", "ACL"] {
            let answer = ana.ask(method, CALENDAR, &[("Depth", "0")], body);
            let is_refused = matches!(answer.status, 400 | 403 | 405 | 413 | 415);
            assert!(is_refused, "{method} {}: {answer:?}", &body[..body.len().min(60)]);
        }
    }
    let long = "x".repeat(5 * 1024 * 1024);
    let answer = raw(&installation, "PROPFIND", CALENDAR, "Depth: 0\r\n", long.as_bytes(), long.len());
    assert!(status(&answer) == "413" || answer.is_empty(), "{}", &answer[..answer.len().min(200)]);
    for path in ["/dav/", "/dav/calendars/ana@tern.test/", CALENDAR, FILES] {
        let refused = ana.is(403, "PROPFIND", path, &[("Depth", "infinity")], "");
        assert!(refused.body.contains("propfind-finite-depth"), "{refused:?}");
        ana.is(403, "PROPFIND", path, &[], "");
        ana.is(400, "PROPFIND", path, &[("Depth", "7")], "");
    }
    // Many at once of what is refused leave room for what is not.
    let flood: Vec<_> = (0..8)
        .map(|_| {
            let mut user = Dav::of(&installation, ANA);
            std::thread::spawn(move || (0..50).for_each(|_| drop(user.is(403, "PROPFIND", CALENDAR, &[], ""))))
        })
        .collect();
    ana.propfind(CALENDAR, "0", "<displayname/>");
    flood.into_iter().for_each(|one| one.join().unwrap());

    let file = format!("{FILES}a.txt");
    ana.is(201, "PUT", &file, &[], "a");
    for (status, method, headers) in [
        (412, "PUT", vec![("If-Match", "\"other\"")]),
        (412, "PUT", vec![("If-Match", "nonsense")]),
        (412, "PUT", vec![("If-Match", "W/\"weak\"")]),
        (412, "PUT", vec![("If-None-Match", "*")]),
        (400, "PUT", vec![("If", "nonsense")]),
        (400, "PUT", vec![("If", "(<unclosed")]),
        (412, "PUT", vec![("If", "(<urn:uuid:00000000-0000-0000-0000-000000000000>)")]),
        (400, "PUT", vec![("Content-Range", "bytes 0-1/2")]),
        (400, "COPY", vec![]),
        (400, "COPY", vec![("Destination", "nonsense")]),
        (502, "COPY", vec![("Destination", "https://elsewhere.test/dav/x")]),
        (409, "COPY", vec![("Destination", "/etc/passwd")]),
        (403, "COPY", vec![("Destination", &file)]),
        (403, "MOVE", vec![("Destination", &file)]),
        (400, "MOVE", vec![("Destination", "/dav/files/ana@tern.test/..%2Fx")]),
        (405, "BREW", vec![]),
    ] {
        let answer = ana.ask(method, &file, &headers, "b");
        assert_eq!(answer.status, status, "{method} {headers:?}: {answer:?}");
        assert_eq!(ana.is(200, "GET", &file, &[], "").body, "a", "{method} {headers:?}");
    }
    ana.is(201, "MKCOL", &format!("{FILES}d/"), &[], "");
    for into in ["d/", "d/e/", "d/e"] {
        ana.is(403, "MOVE", &format!("{FILES}d/"), &[("Destination", &format!("{FILES}{into}"))], "");
    }
    // A body that breaks off is not half a file.
    raw(&installation, "PUT", &format!("{FILES}half.txt"), "", b"half", 100);
    ana.is(404, "GET", &format!("{FILES}half.txt"), &[], "");
    installation.is_sound();
}

#[test]
fn names_with_odd_characters_lead_back_or_are_refused() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let odd = [
        "a b",
        "&amp;",
        "<tag>",
        "\"quoted\"",
        "'",
        "100%",
        "a+b",
        "a;b=c",
        "?",
        "#",
        "[x]",
        "{y}",
        "~",
        "^`|",
        ".hidden",
        "...",
        "trailing ",
        " leading",
        "ä",
        "a\u{308}",
        "日本語",
        "🐦",
        "\u{202e}rtl",
        "CON",
        "C:",
        "\\",
        "@",
        "!$'()*,",
    ];
    for name in odd {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("{FILES}{encoded}");
        ana.is(201, "PUT", &path, &[], name);
        let listed = ana.propfind(FILES, "1", "<displayname/>");
        let found = listed.texts("D:href").into_iter().find(|href| {
            let answer = ana.ask("GET", &href.replace("&amp;", "&"), &[], "");
            answer.status == 200 && answer.body == name
        });
        let href = found.unwrap_or_else(|| panic!("{name}: {listed:?}"));
        ana.is(204, "DELETE", &href.replace("&amp;", "&"), &[], "");
        ana.is(404, "GET", &path, &[], "");
        // The same as a folder, with something in it.
        ana.is(201, "MKCOL", &format!("{path}/"), &[], "");
        ana.is(201, "PUT", &format!("{path}/{encoded}"), &[], name);
        let inner =
            ana.propfind(&path, "1", "<getetag/>").texts("D:href").into_iter().find(|href| !href.ends_with('/'));
        assert_eq!(ana.is(200, "GET", &inner.unwrap().replace("&amp;", "&"), &[], "").body, name);
        ana.is(204, "DELETE", &path, &[], "");
    }
    for bad in ["%00", "a%2Fb", "..", "%2e%2e", "%", "%zz", "%ff%fe"] {
        let answer = ana.ask("PUT", &format!("{FILES}{bad}"), &[], "x");
        assert!(matches!(answer.status, 400 | 403 | 405), "{bad}: {answer:?}");
    }
    for bad in ["%0a", "%0D%0Ax", "%7f", &"x".repeat(600)] {
        let answer = ana.is(403, "PUT", &format!("{FILES}{bad}"), &[], "x");
        assert!(answer.body.contains("name-allowed"), "{bad}: {answer:?}");
    }
    installation.is_sound();
}

#[test]
fn a_lock_that_is_left_behind_ends() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let (file, lock) = (
        format!("{FILES}a.txt"),
        "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>",
    );
    ana.is(201, "PUT", &file, &[], "a");
    let given = ana.is(200, "LOCK", &file, &[("Timeout", "Infinite, Second-4100000000")], lock);
    let seconds: u64 = given.texts("D:timeout")[0].strip_prefix("Second-").unwrap().parse().unwrap();
    assert!(seconds <= 3600, "{given:?}");
    let token = given.header("lock-token").unwrap().to_owned();
    // Another program of the same user doesn't hold it, and can look it up and take it away.
    let mut other = Dav::of(&installation, ANA);
    other.is(423, "PUT", &file, &[], "b");
    other.is(423, "DELETE", &file, &[], "");
    let found = other.propfind(&file, "0", "<lockdiscovery/>");
    assert!(found.body.contains(token.trim_matches(['<', '>'])), "{found:?}");
    other.is(204, "UNLOCK", &file, &[("Lock-Token", &token)], "");
    other.is(204, "PUT", &file, &[], "b");
    // A short one ends by itself.
    ana.is(200, "LOCK", &file, &[("Timeout", "Second-1")], lock);
    until("the lock's end", Duration::from_secs(30), || {
        (other.ask("PUT", &file, &[], "c").status == 204).then_some(())
    });
    installation.is_sound();
}

/// A connection of which a refused body wasn't read would be closed, perhaps under the client's next request.
#[test]
fn who_is_refused_before_the_body_came_asks_again_on_the_same_connection() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    for path in ["/api/v1/roles/none", "/dav/calendars/ana@tern.test/Calendar/none.ics"] {
        let mut raw = Raw::connect(at.host, at.ports.http).unwrap();
        for _ in 0..3 {
            let head =
                format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n");
            raw.send(head.as_bytes()).unwrap();
            // The body comes when it is refused already.
            pass(Duration::from_millis(100));
            raw.send(b"unwanted\n").unwrap();
            let answer = raw.line().unwrap().unwrap_or_default();
            assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer:?}");
            let mut length = 0;
            while let Some(line) = raw.line().unwrap().filter(|line| !line.is_empty()) {
                let line = line.to_ascii_lowercase();
                assert!(line != "connection: close", "{path}");
                length = line.strip_prefix("content-length: ").map_or(length, |length| length.parse().unwrap());
            }
            raw.read_exact(&mut vec![0; length]).unwrap();
        }
    }
}
