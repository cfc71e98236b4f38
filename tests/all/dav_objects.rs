//! Calendar objects and meetings as programs of users make them, where the owner is not on the node that they ask.

use sterna_testkit::installation::Installation;

use crate::dav_rights::Dav;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const CLEO: &str = "cleo@tern.test";
const CALENDAR: &str = "/dav/calendars/ana@tern.test/Calendar/";

fn object(uid: &str, components: &[&str]) -> String {
    let components: String = components
        .iter()
        .map(|lines| {
            format!("BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20250101T000000Z\r\n{}\r\nEND:VEVENT\r\n", lines.trim_end())
        })
        .collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\n{components}END:VCALENDAR\r\n")
}

/// The names in a collection.
fn names(user: &mut Dav, path: &str) -> Vec<String> {
    let listed = user.propfind(path, "1", "<getetag/>").texts("D:href");
    listed
        .iter()
        .filter_map(|href| href.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The path of the only object in somebody's calendar, and its text.
fn only(user: &mut Dav, who: &str) -> (String, String) {
    let path = format!("/dav/calendars/{who}/Calendar/");
    let found = names(user, &path);
    let [name] = &found[..] else { panic!("{who}: {found:?}") };
    let path = path + name;
    let text = text(user, &path);
    (path, text)
}

fn text(user: &mut Dav, path: &str) -> String {
    user.is(200, "GET", path, &[], "").body.replace("\r\n ", "")
}

#[test]
fn what_rfc_7986_has_is_kept_as_it_came() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let lines = "DTSTART:20250310T100000Z\r\nSUMMARY:Terns\r\nCOLOR:turquoise\r\n\
        IMAGE;VALUE=URI;DISPLAY=BADGE;FMTTYPE=image/png:https://tern.test/i.png\r\n\
        CONFERENCE;VALUE=URI;FEATURE=PHONE,MODERATOR;LABEL=Call:tel:+1-412-555-0123,,,654321\r\n\
        ATTENDEE;EMAIL=b@far.test;X-A=\"b,c\":urn:uuid:9ec8a1b0-0000-4000-8000-000000000000";
    let head = "NAME:Work\r\nDESCRIPTION:All of it\r\nUID:calendar\r\nLAST-MODIFIED:20250101T000000Z\r\n\
        URL:https://tern.test/a\r\nREFRESH-INTERVAL;VALUE=DURATION:P1W\r\nSOURCE;VALUE=URI:https://tern.test/a.ics\r\n";
    let sent = object("seven", &[lines]).replace("BEGIN:VEVENT", &format!("{head}BEGIN:VEVENT"));
    let path = format!("{CALENDAR}seven.ics");
    let tag = ana.is(201, "PUT", &path, &[], &sent).header("etag").expect("it is stored as it came").to_owned();
    let got = ana.is(200, "GET", &path, &[], "");
    assert_eq!((got.body.as_str(), got.header("etag")), (sent.as_str(), Some(tag.as_str())));
    let told = "<C:calendar-multiget xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop><C:calendar-data>\
        <C:comp name='VCALENDAR'><C:prop name='NAME'/><C:comp name='VEVENT'><C:prop name='CONFERENCE'/></C:comp></C:comp>\
        </C:calendar-data></prop><href>/dav/calendars/ana@tern.test/Calendar/seven.ics</href></C:calendar-multiget>";
    let part = ana.is(207, "REPORT", CALENDAR, &[("Depth", "1")], told).texts("C:calendar-data").remove(0);
    assert!(part.contains("NAME:Work") && part.contains("FEATURE=PHONE,MODERATOR"), "{part}");
    assert!(!part.contains("COLOR") && !part.contains("SOURCE"), "{part}");
}

#[test]
fn a_series_since_1970_goes_on_otherwise_from_one_time_on() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let series = "DTSTART:19700105T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY\r\nSUMMARY:Weekly";
    let later = "RECURRENCE-ID;RANGE=THISANDFUTURE:20250310T090000Z\r\nDTSTART:20250310T140000Z\r\nDURATION:PT30M\r\n\
        SUMMARY:In the afternoon";
    ana.is(201, "PUT", &format!("{CALENDAR}one.ics"), &[], &object("one", &[series, later]));
    let mut week = |start: &str, end: &str| {
        let query = format!(
            "<C:calendar-query xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop><C:calendar-data>\
             <C:expand start='{start}' end='{end}'/></C:calendar-data></prop><C:filter><C:comp-filter name='VCALENDAR'>\
             <C:comp-filter name='VEVENT'><C:time-range start='{start}' end='{end}'/></C:comp-filter></C:comp-filter>\
             </C:filter></C:calendar-query>"
        );
        let found = ana.is(207, "REPORT", CALENDAR, &[("Depth", "1")], &query).texts("C:calendar-data").concat();
        let starts = found.lines().filter(|line| line.starts_with("DTSTART:"));
        starts.map(|line| line.trim_end_matches("&#13;").trim_end().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(week("20250303T000000Z", "20250304T000000Z"), ["DTSTART:20250303T090000Z"]);
    assert_eq!(week("20250310T000000Z", "20250311T000000Z"), ["DTSTART:20250310T140000Z"]);
    assert_eq!(week("20260309T000000Z", "20260310T000000Z"), ["DTSTART:20260309T140000Z"], "also a year later");
    assert!(week("20260309T080000Z", "20260309T110000Z").is_empty(), "and not as before");
}

#[test]
fn another_one_comes_instead_and_another_time_is_proposed() {
    let installation = Installation::standard();
    installation.create_user(CLEO, "alpha");
    let [mut ana, mut ben, mut cleo] = [ANA, BEN, CLEO].map(|user| Dav::of(&installation, user));
    let lines = format!(
        "DTSTART:20250303T100000Z\r\nDTEND:20250303T110000Z\r\nSUMMARY:Terns\r\nORGANIZER:mailto:{ANA}\r\n\
         ATTENDEE;PARTSTAT=ACCEPTED:mailto:{ANA}\r\nATTENDEE;RSVP=TRUE:mailto:{BEN}"
    );
    let own = format!("{CALENDAR}one.ics");
    ana.is(201, "PUT", &own, &[], &object("one", &[&lines]));
    let (path, copy) = only(&mut ben, BEN);

    // Ben proposes another time: nothing changes, and Ana's programs show it.
    let outbox = |who: &str| format!("/dav/calendars/{who}/outbox/");
    let post = [("Content-Type", "text/calendar")];
    let proposed = copy
        .replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:COUNTER")
        .replace("DTSTART:20250303T10", "DTSTART:20250303T15")
        .replace("DTEND:20250303T11", "DTEND:20250303T16");
    let answer = ben.is(200, "POST", &outbox(BEN), &post, &proposed);
    assert!(answer.body.contains("2.0;Success"), "{answer:?}");
    let of_ana = "/dav/calendars/ana@tern.test/inbox/";
    let waiting = names(&mut ana, of_ana);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let counter = text(&mut ana, &format!("{of_ana}{}", waiting[0]));
    assert!(counter.contains("METHOD:COUNTER") && counter.contains("DTSTART:20250303T150000Z"), "{counter}");
    assert!(text(&mut ana, &own).contains("DTSTART:20250303T100000Z"));
    // She declines that; and nobody proposes something for a meeting that is somebody else's.
    let declined = counter.replace("METHOD:COUNTER", "METHOD:DECLINECOUNTER");
    let answer = ana.is(200, "POST", &outbox(ANA), &post, &declined);
    assert!(answer.body.contains("2.0;Success"), "{answer:?}");
    let of_ben = "/dav/calendars/ben@tern.test/inbox/";
    let mut told = names(&mut ben, of_ben).into_iter().map(|name| text(&mut ben, &format!("{of_ben}{name}")));
    assert!(told.any(|text| text.contains("METHOD:DECLINECOUNTER")));
    drop(told);
    assert_eq!(only(&mut ben, BEN).1, copy);
    let refused = cleo.is(403, "POST", &outbox(CLEO), &post, &proposed);
    assert!(refused.body.contains("attendee-allowed"), "{refused:?}");

    // Cleo comes instead: she is invited by Ben, and Ana knows of both.
    let instead = format!("ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO=\"mailto:{CLEO}\":mailto:{BEN}");
    let delegated = copy.replace(&format!("ATTENDEE;RSVP=TRUE:mailto:{BEN}"), &instead);
    assert_ne!(delegated, copy);
    ben.is(204, "PUT", &path, &[], &delegated);
    let noted = text(&mut ana, &own);
    assert!(
        noted.contains("PARTSTAT=DELEGATED") && noted.contains(&format!("DELEGATED-TO=\"mailto:{CLEO}\"")),
        "{noted}"
    );
    let (path, invited) = only(&mut cleo, CLEO);
    assert!(invited.contains(&format!("DELEGATED-FROM=\"mailto:{BEN}\"")), "{invited}");
    let accepted = invited.replace("PARTSTAT=NEEDS-ACTION", "PARTSTAT=ACCEPTED");
    assert_ne!(accepted, invited);
    cleo.is(204, "PUT", &path, &[], &accepted);
    let noted = text(&mut ana, &own);
    let line = noted.lines().find(|line| line.ends_with(&format!("mailto:{CLEO}"))).unwrap_or_default();
    assert!(line.contains("PARTSTAT=ACCEPTED"), "{noted}");
    installation.is_sound();
}
