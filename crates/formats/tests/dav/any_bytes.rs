//! Nothing that a client sends makes a reader panic, and what was read is written so that it is read again the same.

use proptest::prelude::*;
use sterna_formats::calendar::{self, Calendar, Zone};
use sterna_formats::card;
use sterna_formats::content_line::{parse, write};
use sterna_formats::dav::headers::{If, Tags};
use sterna_formats::dav::report::Report;
use sterna_formats::dav::request::{Propfind, acl, lock, mkcol, proppatch};
use sterna_formats::dav::{Element, href};

/// Lines that look like something.
fn line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "BEGIN:VCALENDAR",
        "END:VCALENDAR",
        "BEGIN:VEVENT",
        "END:VEVENT",
        "BEGIN:VTODO",
        "END:VTODO",
        "BEGIN:VCARD",
        "END:VCARD",
        "BEGIN:VTIMEZONE",
        "END:VTIMEZONE",
        "BEGIN:STANDARD",
        "END:STANDARD",
        "UID:1",
        "VERSION:2.0",
        "DTSTART:20250101T000000Z",
        "DTSTART;TZID=X:20250101T000000",
        "DTSTART;VALUE=DATE:20250101",
        "DURATION:P1D",
        "DTEND:20240101T000000Z",
        "RRULE:FREQ=SECONDLY",
        "RRULE:FREQ=YEARLY;BYWEEKNO=53;COUNT=9",
        "RDATE:20250102T000000Z",
        "EXDATE;VALUE=DATE:20250101",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20250102T000000Z",
        "TZID:X",
        "TZOFFSETFROM:+0100",
        "TZOFFSETTO:-2300",
        "A;B=\"c",
        "A;B=c^n,\"d;e\":f\\,g\\",
        " folded",
        "x.y.Z:1",
        ":",
        ";",
    ]);
    prop_oneof![8 => words.prop_map(str::to_owned), 1 => ".{0,40}"]
}

fn read_all(bytes: &[u8]) {
    if let Ok(components) = parse(bytes) {
        let mut text = String::new();
        components.iter().for_each(|component| write(component, &mut text));
        assert_eq!(parse(text.as_bytes()), Ok(components), "{text}");
    }
    if let Ok(read) = Calendar::parse(bytes) {
        let floating = Zone::named("Europe/Berlin").unwrap();
        let range = (1_735_689_600, 1_767_225_600);
        let mut seen = 0;
        calendar::occurrences::Series::of(&read, &floating).visit(range, &mut |instance| {
            assert!(instance.is_in(range) && instance.end_s >= instance.start_s);
            seen += 1;
            if seen > 100 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
        });
        if let Ok(facts) = calendar::Facts::of(&read) {
            assert!(seen == 0 || facts.may_be_in(range), "{facts:?}");
            assert_eq!(calendar::Facts::decode(&facts.encode()), Some(facts));
        }
    }
    if let Ok(card) = card::parse(bytes) {
        let _ = card::Facts::of(&card);
    }
    let _ = (Report::parse(bytes), Propfind::parse(bytes), acl(bytes), lock(bytes), mkcol(bytes), proppatch(bytes));
    if let Ok(element) = Element::parse(bytes) {
        let mut text = String::new();
        element.write(&mut text);
        assert_eq!(Element::parse(text.as_bytes()), Ok(element), "{text}");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (If::parse(text), Tags::parse(text), href::path_of(text), href::authority_of(text));
        if let Ok((parts, _)) = href::parts(text) {
            let again = href::join(parts.iter().map(String::as_str), false);
            assert_eq!(href::parts(&again).map(|(parts, _)| parts), Ok(parts));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn lines_in_any_order_are_read(lines in prop::collection::vec(line(), 0..20)) {
        read_all(lines.join("\r\n").as_bytes());
        let wrapped = format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\nEND:VCALENDAR", lines.join("\r\n"));
        read_all(wrapped.as_bytes());
    }

    #[test]
    fn xml_of_any_kind_is_read(text in "(<[/?!]?[a-z:]{0,6}( [a-z:]{0,6}='[a-zA-Z:&;#<]{0,6}')?/?>|[a-z&;<>\\]\\[]{0,4}){0,12}") {
        read_all(text.as_bytes());
    }
}
