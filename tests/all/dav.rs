//! Calendars, address books and files over DAV: what the protocols say, word by word.

use std::io;

use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::Installation;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const CALENDAR: &str = "/dav/calendars/ana@tern.test/Calendar/";
const CONTACTS: &str = "/dav/addressbooks/ana@tern.test/Contacts/";

fn event(uid: &str, lines: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n\
         DTSTAMP:20250101T000000Z\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

fn card(uid: &str, name: &str, more: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:{name};;;;\r\n{more}END:VCARD\r\n")
}

/// A dialog with one user's connection.
struct Dav(Http);

impl Dav {
    fn of(installation: &Installation, user: &str) -> Self {
        Dav(installation.node("main").at.dav(user).unwrap())
    }

    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.0
            .request(method, path, headers, body)
            .unwrap_or_else(|error: io::Error| panic!("{method} {path}: {error}"))
    }

    /// Asks, and expects this status.
    fn is(&mut self, status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.ask(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        answer
    }

    fn put(&mut self, path: &str, body: &str) -> Answer {
        self.is(201, "PUT", path, &[("If-None-Match", "*")], body)
    }

    fn propfind(&mut self, path: &str, depth: &str, props: &str) -> Answer {
        let body = format!(
            "<propfind xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav' xmlns:A='urn:ietf:params:xml:ns:carddav' \
             xmlns:S='http://calendarserver.org/ns/' xmlns:I='http://apple.com/ns/ical/'><prop>{props}</prop></propfind>"
        );
        self.is(207, "PROPFIND", path, &[("Depth", depth)], &body)
    }

    fn report(&mut self, path: &str, body: &str) -> Answer {
        self.is(207, "REPORT", path, &[("Depth", "1")], body)
    }

    /// The hrefs that were told with what is there, those that are gone, and the new token.
    fn sync(&mut self, path: &str, token: &str) -> (Vec<String>, Vec<String>, String) {
        let body = format!(
            "<sync-collection xmlns='DAV:'><sync-token>{token}</sync-token><sync-level>1</sync-level>\
             <prop><getetag/></prop></sync-collection>"
        );
        let answer = self.report(path, &body);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for response in answer.texts("D:response") {
            let href = response.split("<D:href>").nth(1).unwrap().split('<').next().unwrap();
            let name = href.rsplit('/').next().unwrap().to_owned();
            if response.contains("404 Not Found") { gone.push(name) } else { there.push(name) }
        }
        there.sort();
        gone.sort();
        (there, gone, answer.texts("D:sync-token").remove(0))
    }
}

#[test]
fn clients_find_their_way_from_the_name_of_the_host() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let mut nobody = Dav(Http::connect(at.host, at.ports.http, None).unwrap());
    for known in ["/.well-known/caldav", "/.well-known/carddav"] {
        let answer = nobody.is(301, "PROPFIND", known, &[], "");
        assert_eq!(answer.header("location"), Some("/dav/"));
    }
    let refused = nobody.is(401, "PROPFIND", "/dav/", &[], "");
    assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic ")));
    let mut liar = Dav(Http::connect(at.host, at.ports.http, Some((ANA, "wrong"))).unwrap());
    liar.is(401, "OPTIONS", "/dav/", &[], "");

    let mut ana = Dav::of(&installation, ANA);
    let options = ana.is(200, "OPTIONS", "/dav/", &[], "");
    assert!(options.header("dav").is_some_and(|dav| dav.contains("calendar-access") && dav.contains("addressbook")));
    let root = ana.propfind("/dav/", "0", "<current-user-principal/>");
    let principal = "/dav/principals/users/ana@tern.test/";
    assert!(root.body.contains(principal), "{root:?}");
    let homes =
        ana.propfind(principal, "0", "<C:calendar-home-set/><A:addressbook-home-set/><C:calendar-user-address-set/>");
    assert!(homes.body.contains("/dav/calendars/ana@tern.test/") && homes.body.contains("mailto:ana@tern.test"));
    let calendars = ana.propfind("/dav/calendars/ana@tern.test/", "1", "<resourcetype/><displayname/><S:getctag/>");
    assert_eq!(calendars.body.matches("<C:calendar/>").count(), 2, "{calendars:?}");
    let books = ana.propfind("/dav/addressbooks/ana@tern.test/", "1", "<resourcetype/>");
    // The directory's is one, too.
    assert_eq!(books.body.matches("<A:addressbook/>").count(), 2, "{books:?}");
    // Nobody sees what belongs to others, and nothing is said of who there is.
    ana.is(404, "PROPFIND", "/dav/calendars/nobody@tern.test/", &[("Depth", "0")], "");
    let of_ben = ana.propfind("/dav/calendars/ben@tern.test/", "1", "<resourcetype/>");
    assert!(!of_ben.body.contains("<C:calendar/>"), "{of_ben:?}");
    ana.is(403, "PROPFIND", "/dav/", &[("Depth", "infinity")], "");
    ana.is(400, "PROPFIND", "/dav/", &[("Depth", "0")], "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>");
}

#[test]
fn events_are_kept_as_they_came_and_under_their_conditions() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let path = format!("{CALENDAR}one.ics");
    let text = event(
        "one",
        "DTSTART:20250310T100000Z\r\nDTEND:20250310T110000Z\r\nSUMMARY:Terns\\, early\r\nX-ODD;A=\"b;c\":d",
    );
    let made = ana.put(&path, &text);
    let got = ana.is(200, "GET", &path, &[], "");
    assert_eq!((got.body.as_str(), got.etag()), (text.as_str(), made.etag()));
    assert_eq!(got.header("content-type"), Some("text/calendar; charset=utf-8; component=vevent"));
    assert_eq!(ana.is(200, "HEAD", &path, &[], "").header("content-length"), Some(text.len().to_string().as_str()));
    ana.is(304, "GET", &path, &[("If-None-Match", &made.etag())], "");
    ana.is(412, "PUT", &path, &[("If-None-Match", "*")], &text);

    // Two clients change the same: the second hears of it.
    let later = text.replace("early", "late");
    let changed = ana.is(204, "PUT", &path, &[("If-Match", &made.etag())], &later);
    assert_ne!(changed.etag(), made.etag());
    ana.is(412, "PUT", &path, &[("If-Match", &made.etag())], &text);
    ana.is(412, "DELETE", &path, &[("If-Match", &made.etag())], "");

    // One UID is one resource.
    let conflict = ana.is(403, "PUT", &format!("{CALENDAR}two.ics"), &[], &text);
    assert!(conflict.body.contains("<C:no-uid-conflict><D:href>") && conflict.body.contains(&path), "{conflict:?}");
    let other = ana.is(403, "PUT", &path, &[], &text.replace("UID:one", "UID:other"));
    assert!(other.body.contains("no-uid-conflict"));
    for (bad, condition) in [
        ("no calendar", "C:valid-calendar-data"),
        ("BEGIN:VCALENDAR\r\nEND:VEVENT\r\n", "C:valid-calendar-data"),
        (&*text.replace("UID:one\r\n", ""), "C:valid-calendar-object-resource"),
        (&*text.replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:REQUEST"), "C:valid-calendar-object-resource"),
        (&*text.replace("VEVENT", "VTODO").replace("UID:one", "UID:x"), "C:supported-calendar-component"),
    ] {
        let refused = ana.is(403, "PUT", &format!("{CALENDAR}bad.ics"), &[], bad);
        assert!(refused.body.contains(condition), "{condition}: {refused:?}");
    }
    ana.is(409, "PUT", "/dav/calendars/ana@tern.test/Nowhere/a.ics", &[], &text);
    ana.is(204, "DELETE", &path, &[("If-Match", &changed.etag())], "");
    ana.is(404, "GET", &path, &[], "");
    // Names with every odd character lead back.
    let odd = format!("{CALENDAR}a%20b%26%3C%C3%A4%F0%9D%84%9E%3F%23%25.ics");
    ana.put(&odd, &event("odd", "DTSTART:20250101"));
    let listed = ana.propfind(CALENDAR, "1", "<getetag/>");
    assert!(listed.body.contains("a%20b%26%3C%C3%A4%F0%9D%84%9E%3F%23%25.ics"), "{listed:?}");
    ana.is(400, "GET", &format!("{CALENDAR}a%2Fb"), &[], "");
}

#[test]
fn queries_find_what_happens_when() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let zone = "DTSTART;TZID=Europe/Berlin:19700101T090000\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY\r\nSUMMARY:Since 1970";
    ana.put(&format!("{CALENDAR}daily.ics"), &event("daily", zone));
    ana.put(&format!("{CALENDAR}day.ics"), &event("day", "DTSTART;VALUE=DATE:20250501\r\nSUMMARY:All day"));
    let weekly = "DTSTART:20250505T120000Z\r\nDTEND:20250505T130000Z\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n\
        EXDATE:20250512T120000Z\r\nSUMMARY:Weekly";
    ana.put(&format!("{CALENDAR}weekly.ics"), &event("weekly", weekly));
    let endless = "DTSTART:19700101T000000Z\r\nRRULE:FREQ=SECONDLY\r\nTRANSP:TRANSPARENT\r\nSUMMARY:Hostile";
    ana.put(&format!("{CALENDAR}hostile.ics"), &event("hostile", endless));
    let query = |start: &str, end: &str, data: &str| {
        format!(
            "<C:calendar-query xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop><getetag/>{data}</prop>\
             <C:filter><C:comp-filter name='VCALENDAR'><C:comp-filter name='VEVENT'>\
             <C:time-range start='{start}' end='{end}'/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"
        )
    };
    let mut names = |start: &str, end: &str| {
        let answer = ana.report(CALENDAR, &query(start, end, ""));
        let mut names: Vec<String> =
            answer.texts("D:href").iter().map(|href| href.rsplit('/').next().unwrap().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names("20250501T100000Z", "20250501T110000Z"), "day.ics hostile.ics");
    assert_eq!(names("20250505T070000Z", "20250505T130000Z"), "daily.ics hostile.ics weekly.ics");
    assert_eq!(names("20250512T120000Z", "20250512T130000Z"), "hostile.ics", "what was taken out");
    assert_eq!(names("20250519T120000Z", "20250519T130000Z"), "hostile.ics weekly.ics");
    assert_eq!(names("20250526T120000Z", "20250526T130000Z"), "hostile.ics", "only three");
    assert_eq!(names("19650101T000000Z", "19650102T000000Z"), "");
    // What is kept of when events are follows every change, whoever makes it.
    let mut other = Dav::of(&installation, ANA);
    let (path, at) = (format!("{CALENDAR}moved.ics"), |day: &str| event("moved", &format!("DTSTART:{day}T100000Z")));
    other.put(&path, &at("19650101"));
    assert_eq!(names("19650101T000000Z", "19650102T000000Z"), "moved.ics");
    other.is(204, "PUT", &path, &[], &at("19640101"));
    assert_eq!(names("19650101T000000Z", "19650102T000000Z"), "");
    assert_eq!(names("19640101T000000Z", "19640102T000000Z"), "moved.ics");
    other.is(204, "DELETE", &path, &[], "");
    assert_eq!(names("19640101T000000Z", "19640102T000000Z"), "");
    let single = "<C:calendar-data><C:expand start='20250519T000000Z' end='20250520T000000Z'/></C:calendar-data>";
    ana.is(204, "DELETE", &format!("{CALENDAR}hostile.ics"), &[], "");
    let expanded = ana.report(CALENDAR, &query("20250519T000000Z", "20250520T000000Z", single));
    assert!(
        expanded.body.contains("RECURRENCE-ID:20250519T120000Z") && !expanded.body.contains("RRULE"),
        "{expanded:?}"
    );
    assert!(expanded.body.contains("DTSTART:20250519T070000Z"), "in summer it is two hours earlier in UTC");
    let busy = ana.is(
        200,
        "REPORT",
        CALENDAR,
        &[("Depth", "1")],
        "<C:free-busy-query xmlns:C='urn:ietf:params:xml:ns:caldav'>\
         <C:time-range start='20250519T000000Z' end='20250520T000000Z'/></C:free-busy-query>",
    );
    let periods = busy.body.lines().filter(|line| line.starts_with("FREEBUSY")).collect::<Vec<_>>();
    assert_eq!(
        periods,
        [
            "FREEBUSY;FBTYPE=BUSY:20250519T070000Z/20250519T080000Z",
            "FREEBUSY;FBTYPE=BUSY:20250519T120000Z/20250519T130000Z"
        ]
    );
    let get = format!(
        "<C:calendar-multiget xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop><C:calendar-data/></prop>\
         <href>{CALENDAR}day.ics</href><href>{CALENDAR}gone.ics</href></C:calendar-multiget>"
    );
    let got = ana.report(CALENDAR, &get);
    assert!(got.body.contains("SUMMARY:All day") && got.body.contains("404 Not Found"), "{got:?}");
    let broken = ana.ask("REPORT", CALENDAR, &[], "<C:calendar-query xmlns:C='urn:ietf:params:xml:ns:caldav'/>");
    assert!(broken.status == 403 && broken.body.contains("valid-filter"), "{broken:?}");
}

#[test]
fn cards_are_found_by_what_they_say() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    ana.put(&format!("{CONTACTS}1.vcf"), &card("1", "Ünal", "EMAIL;TYPE=WORK:u@far.test\r\n"));
    ana.put(&format!("{CONTACTS}2.vcf"), &card("2", "Zoe", "TEL;TYPE=HOME:1\r\n"));
    let refused = ana.is(403, "PUT", &format!("{CONTACTS}3.vcf"), &[], "BEGIN:VCARD\r\nVERSION:2.1\r\nEND:VCARD\r\n");
    assert!(refused.body.contains("A:supported-address-data"), "{refused:?}");
    let mut found = |filter: &str| {
        let body = format!(
            "<A:addressbook-query xmlns='DAV:' xmlns:A='urn:ietf:params:xml:ns:carddav'>\
             <prop><A:address-data><A:prop name='FN'/></A:address-data></prop>{filter}</A:addressbook-query>"
        );
        ana.report(CONTACTS, &body).texts("D:href").len()
    };
    assert_eq!(found("<A:filter/>"), 2);
    let text = |name: &str, text: &str| {
        format!("<A:prop-filter name='{name}'><A:text-match>{text}</A:text-match></A:prop-filter>")
    };
    assert_eq!(found(&format!("<A:filter>{}</A:filter>", text("FN", "üNA"))), 1, "i;unicode-casemap");
    assert_eq!(found(&format!("<A:filter>{}{}</A:filter>", text("FN", "zoe"), text("EMAIL", "far.test"))), 2);
    assert_eq!(found(&format!("<A:filter test='allof'>{}{}</A:filter>", text("FN", "zoe"), text("EMAIL", "far"))), 0);
    assert_eq!(found("<A:filter><A:prop-filter name='TEL'><A:is-not-defined/></A:prop-filter></A:filter>"), 1);
}

#[test]
fn clients_keep_in_step_by_what_changed() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let (none, _, empty) = ana.sync(CONTACTS, "");
    assert!(none.is_empty());
    for n in 0..5 {
        ana.put(&format!("{CONTACTS}{n}.vcf"), &card(&n.to_string(), "Someone", ""));
    }
    let (there, gone, token) = ana.sync(CONTACTS, &empty);
    assert_eq!((there.len(), gone.len()), (5, 0));
    assert_eq!(ana.sync(CONTACTS, &token), (vec![], vec![], token.clone()));
    ana.is(204, "DELETE", &format!("{CONTACTS}1.vcf"), &[], "");
    ana.is(204, "PUT", &format!("{CONTACTS}2.vcf"), &[], &card("2", "Another", ""));
    ana.is(204, "DELETE", &format!("{CONTACTS}3.vcf"), &[], "");
    ana.put(&format!("{CONTACTS}3.vcf"), &card("3", "Again", ""));
    let (there, gone, _) = ana.sync(CONTACTS, &token);
    assert_eq!((there.join(" "), gone.join(" ")), ("2.vcf 3.vcf".into(), "1.vcf".into()));
    // Piece by piece it is the same.
    let mut at = token;
    let mut seen = Vec::new();
    loop {
        let body = format!(
            "<sync-collection xmlns='DAV:'><sync-token>{at}</sync-token><sync-level>1</sync-level>\
             <limit><nresults>1</nresults></limit><prop><getetag/></prop></sync-collection>"
        );
        let answer = ana.report(CONTACTS, &body);
        at = answer.texts("D:sync-token").remove(0);
        seen.extend(answer.texts("D:href"));
        if !answer.body.contains("number-of-matches-within-limits") {
            break;
        }
        assert!(seen.len() < 20, "{answer:?}");
    }
    for name in ["1.vcf", "2.vcf", "3.vcf"] {
        assert!(seen.iter().any(|href| href.ends_with(name)), "{seen:?}");
    }
    for bad in ["nonsense", "urn:sterna:sync:1:1", &at.replace(|c: char| c.is_ascii_digit(), "9")] {
        let body = format!("<sync-collection xmlns='DAV:'><sync-token>{bad}</sync-token><prop/></sync-collection>");
        let answer = ana.is(403, "REPORT", CONTACTS, &[], &body);
        assert!(answer.body.contains("valid-sync-token"), "{answer:?}");
    }
}

#[test]
fn calendars_are_made_named_and_deleted() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let home = "/dav/calendars/ana@tern.test/";
    let made = "<C:mkcalendar xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav' xmlns:I='http://apple.com/ns/ical/'>\
        <set><prop><displayname>Wörk &amp; play</displayname><I:calendar-color>#FF0000</I:calendar-color>\
        <C:supported-calendar-component-set><C:comp name='VTODO'/></C:supported-calendar-component-set></prop></set></C:mkcalendar>";
    ana.is(201, "MKCALENDAR", &format!("{home}work/"), &[], made);
    ana.is(405, "MKCALENDAR", &format!("{home}work/"), &[], "");
    let props = "<displayname/><I:calendar-color/><C:supported-calendar-component-set/><I:calendar-order/>";
    let told = ana.propfind(&format!("{home}work/"), "0", props);
    assert!(told.body.contains("Wörk &amp; play") && told.body.contains("#FF0000"), "{told:?}");
    assert!(told.body.contains("name=\"VTODO\"") && !told.body.contains("name=\"VEVENT\""), "{told:?}");
    let change = "<propertyupdate xmlns='DAV:' xmlns:I='http://apple.com/ns/ical/'><set><prop>\
        <I:calendar-order>7</I:calendar-order></prop></set><remove><prop><displayname/></prop></remove></propertyupdate>";
    ana.is(207, "PROPPATCH", &format!("{home}work/"), &[], change);
    let told = ana.propfind(&format!("{home}work/"), "0", props);
    assert!(told.body.contains(">7</") && told.body.contains("<D:displayname>work</D:displayname>"), "{told:?}");
    let protected = "<propertyupdate xmlns='DAV:'><set><prop><getetag>x</getetag><displayname>y</displayname></prop></set></propertyupdate>";
    let refused = ana.is(207, "PROPPATCH", &format!("{home}work/"), &[], protected);
    assert!(refused.body.contains("cannot-modify-protected-property") && refused.body.contains("424"), "{refused:?}");
    // Extended MKCOL makes an address book, and a plain one in the home of calendars nothing.
    let book = "<mkcol xmlns='DAV:' xmlns:A='urn:ietf:params:xml:ns:carddav'><set><prop><resourcetype><collection/>\
        <A:addressbook/></resourcetype><displayname>Friends</displayname></prop></set></mkcol>";
    ana.is(201, "MKCOL", "/dav/addressbooks/ana@tern.test/friends/", &[], book);
    ana.is(403, "MKCOL", &format!("{home}plain/"), &[], "");
    // A task moves between lists with its tag and its UID.
    let task = event("t", "DUE:20250101T000000Z").replace("VEVENT", "VTODO");
    let tag = ana.put(&format!("{home}work/t.ics"), &task).etag();
    let there = ("Destination", "http://test/dav/calendars/ana@tern.test/Tasks/t2.ics");
    ana.is(201, "MOVE", &format!("{home}work/t.ics"), &[there], "");
    assert_eq!(ana.is(200, "GET", &format!("{home}Tasks/t2.ics"), &[], "").etag(), tag);
    let there = ("Destination", "http://test/dav/calendars/ana@tern.test/Calendar/t.ics");
    ana.is(403, "COPY", &format!("{home}Tasks/t2.ics"), &[there], "");
    ana.is(204, "DELETE", &format!("{home}work/"), &[], "");
    ana.is(404, "PROPFIND", &format!("{home}work/"), &[("Depth", "0")], "");
}

#[test]
fn what_is_shared_is_seen_with_the_rights_that_were_given() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let path = format!("{CALENDAR}one.ics");
    let text = event("one", "DTSTART:20250310T100000Z");
    ana.put(&path, &text);
    ben.is(409, "PUT", &format!("{CALENDAR}two.ics"), &[], &event("two", "DTSTART:20250310T100000Z"));
    ben.is(404, "PROPFIND", CALENDAR, &[("Depth", "0")], "");
    let quota = ana.propfind(CALENDAR, "0", "<quota-used-bytes/><current-user-privilege-set/><owner/>");
    assert!(quota.body.contains(&format!("<D:quota-used-bytes>{}<", text.len())), "{quota:?}");
    assert!(quota.body.contains("<D:all/>") && quota.body.contains("/dav/principals/users/ana@tern.test/"));
}
