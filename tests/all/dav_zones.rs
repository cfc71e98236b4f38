//! Time zones as clients of other products write them, and by reference (RFC 7809).

use sterna_testkit::installation::Installation;

use crate::dav_rights::{Dav, event};

const CALENDAR: &str = "/dav/calendars/ana@tern.test/Calendar/";

fn at(uid: &str, zone: &str, wall: &str) -> String {
    let zoned = format!("DTSTART;TZID={zone}:{wall}\r\nDURATION:PT1H\r\n");
    event(uid).replace("DTSTART:20250310T100000Z\r\nDTEND:20250310T110000Z\r\n", &zoned)
}

/// The names of what happens in an hour.
fn at_hour(ana: &mut Dav, hour: &str) -> Vec<String> {
    let query = format!(
        "<C:calendar-query xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop><getetag/></prop><C:filter>\
         <C:comp-filter name='VCALENDAR'><C:comp-filter name='VEVENT'><C:time-range start='{hour}0000Z' \
         end='{hour}0001Z'/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"
    );
    let found = ana.is(207, "REPORT", CALENDAR, &[("Depth", "1")], &query).texts("D:href");
    found.iter().map(|href| href.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn names_of_other_products_mean_what_they_say() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, "ana@tern.test");
    // As Outlook, Exchange, Thunderbird's libraries and Lotus write them; the last one brings its own rules.
    let own = "BEGIN:VTIMEZONE\r\nTZID:Our office\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0300\r\n\
        TZOFFSETTO:+0300\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT";
    for (name, zone, hour) in [
        ("iana", "Europe/Berlin", "20250710T08"),
        ("windows", "W. Europe Standard Time", "20250710T08"),
        ("pacific", "Pacific Standard Time", "20250710T17"),
        ("libical", "/freeassociation.sourceforge.net/Europe/Berlin", "20250710T08"),
        ("mozilla", "/mozilla.org/20070129_1/America/New_York", "20250710T14"),
        ("office", "Our office", "20250710T07"),
    ] {
        let object = at(name, zone, "20250710T100000");
        let object = if name == "office" { object.replacen("BEGIN:VEVENT", own, 1) } else { object };
        ana.is(201, "PUT", &format!("{CALENDAR}{name}.ics"), &[], &object);
        let found = at_hour(&mut ana, hour);
        assert!(found.contains(&format!("{name}.ics")), "{name}: {found:?}");
    }
    installation.is_sound();
}

#[test]
fn zones_by_reference_are_told_as_clients_want_them() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, "ana@tern.test");
    let options = ana.is(200, "OPTIONS", "/dav/", &[], "");
    assert!(options.header("dav").unwrap().contains("calendar-no-timezone"), "{options:?}");
    let (path, short) = (format!("{CALENDAR}one.ics"), at("one", "Europe/Berlin", "20250710T100000"));
    let made = ana.is(201, "PUT", &path, &[("CalDAV-Timezones", "F")], &short);
    // It is stored as it came. Who says nothing may know no names.
    let full = ana.is(200, "GET", &path, &[], "");
    assert_eq!(full.etag(), made.etag());
    assert!(full.body.contains("BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin"), "{full:?}");
    assert_eq!(ana.is(200, "GET", &path, &[("CalDAV-Timezones", "T")], "").body, full.body);
    assert_eq!(ana.is(200, "GET", &path, &[("CalDAV-Timezones", "F")], "").body, short);
    ana.is(204, "PUT", &path, &[], &full.body);
    assert_eq!(ana.is(200, "GET", &path, &[("CalDAV-Timezones", "F")], "").body, short);
    let multiget = format!(
        "<C:calendar-multiget xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop><C:calendar-data/></prop>\
         <href>{path}</href></C:calendar-multiget>"
    );
    for (wants, is_told) in [("T", true), ("F", false)] {
        let headers = [("Depth", "1"), ("CalDAV-Timezones", wants)];
        let told = ana.is(207, "REPORT", CALENDAR, &headers, &multiget);
        assert_eq!(told.body.contains("BEGIN:VTIMEZONE"), is_told, "{told:?}");
    }
    // The zone of a calendar's floating times, by its name.
    let patch = |zone: &str| {
        format!(
            "<propertyupdate xmlns='DAV:'><set><prop><calendar-timezone-id xmlns='urn:ietf:params:xml:ns:caldav'>{zone}\
             </calendar-timezone-id></prop></set></propertyupdate>"
        )
    };
    let refused = ana.is(207, "PROPPATCH", CALENDAR, &[], &patch("Atlantis/Port"));
    assert!(refused.body.contains("valid-timezone"), "{refused:?}");
    let set = ana.is(207, "PROPPATCH", CALENDAR, &[], &patch("America/New_York"));
    assert!(set.body.contains("200 OK"), "{set:?}");
    let told = ana.propfind(CALENDAR, "0", "<C:calendar-timezone/>");
    assert!(told.body.contains("TZID:America/New_York"), "{told:?}");
    let floating = event("floating").replace("T100000Z", "T100000").replace("T110000Z", "T110000");
    ana.is(201, "PUT", &format!("{CALENDAR}floating.ics"), &[], &floating);
    assert_eq!(at_hour(&mut ana, "20250310T14"), ["floating.ics"]);
    installation.is_sound();
}

/// Hours that name no zone are those of their owner's first calendar, whichever calendars the one who asks may see.
#[test]
fn whoever_asks_is_told_the_same_hours() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, "ana@tern.test");
    let mut ben = Dav::of(&installation, "ben@tern.test");
    let home = "/dav/calendars/ana@tern.test/";
    let set = |value: &str| {
        format!(
            "<propertyupdate xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><set><prop>{value}</prop></set>\
             </propertyupdate>"
        )
    };
    let zone = |name: &str| set(&format!("<C:calendar-timezone-id>{name}</C:calendar-timezone-id>"));
    ana.is(201, "MKCALENDAR", &format!("{home}travel/"), &[], "");
    for (path, name) in [(CALENDAR, "Europe/Berlin"), (&*format!("{home}travel/"), "America/New_York")] {
        assert!(ana.is(207, "PROPPATCH", path, &[], &zone(name)).body.contains("200 OK"));
    }
    let hours = "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VAVAILABILITY\nUID:v\nBEGIN:AVAILABLE\nUID:w\n\
        DTSTART:20250303T090000\nDTEND:20250303T170000\nRRULE:FREQ=DAILY\nEND:AVAILABLE\nEND:VAVAILABILITY\n\
        END:VCALENDAR";
    let availability = set(&format!("<C:calendar-availability>{hours}</C:calendar-availability>"));
    assert!(ana.is(207, "PROPPATCH", &format!("{home}inbox/"), &[], &availability).body.contains("200 OK"));
    let acl = ["account", "acl", "set", "ana@tern.test", "ben@tern.test", "read", "--calendar", "travel"];
    installation.admin_ok("main", &acl);
    let query = "<C:free-busy-query xmlns:C='urn:ietf:params:xml:ns:caldav'><C:time-range start='20250310T000000Z' \
        end='20250311T000000Z'/></C:free-busy-query>";
    for user in [&mut ana, &mut ben] {
        let told = user.is(200, "REPORT", home, &[("Depth", "1")], query).body;
        assert!(told.contains("BUSY-UNAVAILABLE:20250310T000000Z/20250310T080000Z"), "{told}");
        assert!(told.contains("BUSY-UNAVAILABLE:20250310T160000Z/20250311T000000Z"), "{told}");
    }
}
