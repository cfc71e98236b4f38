//! When objects happen: overrides, dates taken out and put in, zones, ranges (RFC 4791 section 9.9).

use std::ops::ControlFlow;

use sterna_formats::calendar::filter::CompFilter;
use sterna_formats::calendar::freebusy::FreeBusy;
use sterna_formats::calendar::occurrences::Series;
use sterna_formats::calendar::partial::{CalendarData, Selection};
use sterna_formats::calendar::time::{parse_utc, utc_text};
use sterna_formats::calendar::{Calendar, Facts, Refusal, Zone};

fn calendar(components: &str) -> Calendar {
    let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{components}END:VCALENDAR\r\n");
    Calendar::parse(text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes()).unwrap()
}

fn event(lines: &str) -> String {
    format!("BEGIN:VEVENT\r\nUID:1\r\n{lines}\r\nEND:VEVENT\r\n")
}

fn range(from: &str, before: &str) -> (i64, i64) {
    (parse_utc(from).unwrap(), parse_utc(before).unwrap())
}

/// Starts in a range, in order, each with the SUMMARY of the component that says so.
fn starts(calendar: &Calendar, floating: &Zone, range: (i64, i64)) -> Vec<String> {
    let mut found = Vec::new();
    let complete = Series::of(calendar, floating).visit(range, &mut |instance| {
        let summary = instance.component.value("SUMMARY").unwrap_or_default();
        found.push(format!("{} {summary}", utc_text(instance.start_s)).trim().to_owned());
        ControlFlow::Continue(())
    });
    assert!(complete);
    found.sort();
    found
}

const MAY: (&str, &str) = ("20250501T000000Z", "20250601T000000Z");

#[test]
fn single_ones_are_changed_moved_and_taken_out() {
    let series = calendar(
        &[
            event("DTSTART;TZID=Europe/Berlin:20250505T100000\r\nDTEND;TZID=Europe/Berlin:20250505T110000\r\n\
                   RRULE:FREQ=DAILY;COUNT=6\r\nEXDATE;TZID=Europe/Berlin:20250506T100000\r\nEXDATE;VALUE=DATE:20250507\r\n\
                   RDATE;TZID=Europe/Berlin:20250520T100000\r\nSEQUENCE:4\r\nSUMMARY:usual"),
            // Its SEQUENCE is its own.
            event("RECURRENCE-ID:20250508T080000Z\r\nDTSTART;TZID=Europe/Berlin:20250528T090000\r\nSUMMARY:moved"),
        ]
        .concat(),
    );
    let found = starts(&series, &Zone::Utc, range(MAY.0, MAY.1));
    assert_eq!(
        found,
        [
            "20250505T080000Z usual",
            "20250509T080000Z usual",
            "20250510T080000Z usual",
            "20250520T080000Z usual",
            "20250528T070000Z moved"
        ]
    );
    let facts = Facts::of(&series).unwrap();
    assert!(facts.may_be_in(range(MAY.0, MAY.1)) && !facts.may_be_in(range("20260101T000000Z", "20270101T000000Z")));
}

#[test]
fn rules_take_out_what_they_say() {
    // Working days, as programs wrote before RFC 5545. The start is a Monday: no rule that takes out says it.
    let lines = "DTSTART:20250505T100000Z\r\nRRULE:FREQ=DAILY;COUNT=9\r\nEXRULE:FREQ=WEEKLY;BYDAY=SA,SU";
    let found = starts(&calendar(&event(lines)), &Zone::Utc, range(MAY.0, MAY.1));
    let days: Vec<&str> = found.iter().map(|found| &found[6..8]).collect();
    assert_eq!(days, ["05", "06", "07", "08", "09", "12", "13"]);
    // One that says the start takes it out, too; and where only a part is asked for.
    let lines = "DTSTART:20250505T100000Z\r\nRRULE:FREQ=DAILY\r\nEXRULE:FREQ=DAILY;INTERVAL=2";
    let late = starts(&calendar(&event(lines)), &Zone::Utc, range("20270505T000000Z", "20270509T000000Z"));
    assert_eq!(late, ["20270506T100000Z", "20270508T100000Z"]);
    let first = starts(&calendar(&event(lines)), &Zone::Utc, range(MAY.0, "20250508T000000Z"));
    assert_eq!(first, ["20250506T100000Z"]);
}

#[test]
fn this_and_all_after_it_are_moved() {
    let series = calendar(
        &[
            event("DTSTART:20250505T100000Z\r\nDTEND:20250505T110000Z\r\nRRULE:FREQ=DAILY;COUNT=4\r\nSUMMARY:old"),
            event(
                "RECURRENCE-ID;RANGE=THISANDFUTURE:20250507T100000Z\r\nDTSTART:20250507T120000Z\r\n\
                   DTEND:20250507T123000Z\r\nSUMMARY:new",
            ),
        ]
        .concat(),
    );
    let found = starts(&series, &Zone::Utc, range(MAY.0, MAY.1));
    assert_eq!(found, ["20250505T100000Z old", "20250506T100000Z old", "20250507T120000Z new", "20250508T120000Z new"]);
}

#[test]
fn clocks_that_change_keep_the_reading_of_the_wall() {
    let daily = calendar(&event("DTSTART;TZID=Europe/Berlin:20250329T023000\r\nRRULE:FREQ=DAILY;COUNT=3"));
    let found = starts(&daily, &Zone::Utc, range("20250301T000000Z", "20250501T000000Z"));
    // The 30th has no 2:30: it is an hour later on the wall.
    assert_eq!(found, ["20250329T013000Z", "20250330T013000Z", "20250331T003000Z"]);
    let windows = calendar(&event("DTSTART;TZID=Pacific Standard Time:20250701T080000"));
    assert_eq!(starts(&windows, &Zone::Utc, range("20250701T000000Z", "20250702T000000Z")), ["20250701T150000Z"]);
    let berlin = Zone::named("Europe/Berlin").unwrap();
    let day = calendar(&event("DTSTART;VALUE=DATE:20250701"));
    let evening = range("20250630T220000Z", "20250630T230000Z");
    assert_eq!((starts(&day, &berlin, evening).len(), starts(&day, &Zone::Utc, evening).len()), (1, 0));
}

#[test]
fn tasks_are_in_a_range_as_the_table_says() {
    let is_in = |lines: &str, from: &str, before: &str| {
        let task = calendar(&format!("BEGIN:VTODO\r\nUID:1\r\n{lines}\r\nEND:VTODO\r\n"));
        !starts(&task, &Zone::Utc, range(from, before)).is_empty()
    };
    let due = "DUE:20250510T120000Z";
    assert!(is_in(due, "20250510T110000Z", "20250510T120000Z") && !is_in(due, "20250510T120000Z", "20250511T000000Z"));
    let both = "DTSTART:20250501T000000Z\r\nDUE:20250510T120000Z";
    assert!(
        is_in(both, "20250505T000000Z", "20250506T000000Z") && !is_in(both, "20250511T000000Z", "20250512T000000Z")
    );
    let done = "COMPLETED:20250510T120000Z";
    assert!(
        is_in(done, "20250510T120000Z", "20250511T000000Z") && !is_in(done, "20250511T000000Z", "20250512T000000Z")
    );
    assert!(is_in("SUMMARY:no date", "20250511T000000Z", "20250512T000000Z"));
    assert!(is_in("CREATED:20250510T120000Z", "20250511T000000Z", "20250512T000000Z"));
    assert!(!is_in("CREATED:20250510T120000Z", "20250501T000000Z", "20250502T000000Z"));
}

#[test]
fn the_past_costs_nothing() {
    let since_1970 = calendar(&event("DTSTART;TZID=Europe/Berlin:19700101T090000\r\nRRULE:FREQ=DAILY"));
    let day = range("20250501T000000Z", "20250502T000000Z");
    let mut looked = 0;
    Series::of(&since_1970, &Zone::Utc).visit(day, &mut |_| {
        looked += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(looked, 1);
    // Hostile ones end, and say that they were cut off.
    let every_second = calendar(&event("DTSTART:19700101T000000Z\r\nRRULE:FREQ=SECONDLY"));
    let complete = Series::of(&every_second, &Zone::Utc)
        .visit(range("20250101T000000Z", "20260101T000000Z"), &mut |_| ControlFlow::Continue(()));
    assert!(!complete);
    let many: String = (0..10_000)
        .map(|n| {
            event(&format!(
                "RECURRENCE-ID:20250101T{:02}{:02}{:02}Z\r\nDTSTART:20250501T000000Z",
                n / 3600,
                n / 60 % 60,
                n % 60
            ))
        })
        .collect();
    let many = calendar(&(event("DTSTART:20250101T000000Z\r\nRRULE:FREQ=SECONDLY;COUNT=20000") + &many));
    assert_eq!(starts(&many, &Zone::Utc, range(MAY.0, MAY.1)).len(), 10_000);
}

#[test]
fn some_of_an_object() {
    let series = calendar(
        &[
            event("DTSTART:20250505T100000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=3\r\nSUMMARY:a\r\nX-SECRET:b"),
            event("RECURRENCE-ID:20250506T100000Z\r\nDTSTART:20250520T100000Z\r\nSUMMARY:c"),
        ]
        .concat(),
    );
    let two_days = range("20250505T000000Z", "20250507T000000Z");
    let limited = CalendarData { limit_recurrence: Some(two_days), ..CalendarData::default() };
    let text = limited.apply(&series, &Zone::Utc).unwrap();
    assert!(text.contains("RRULE") && !text.contains("SUMMARY:c"), "{text}");
    let expanded = CalendarData { expand: Some(range(MAY.0, MAY.1)), ..CalendarData::default() };
    let text = expanded.apply(&series, &Zone::Utc).unwrap();
    assert_eq!(text.matches("BEGIN:VEVENT").count(), 3);
    assert!(
        text.contains("RECURRENCE-ID:20250507T100000Z")
            && text.contains("DTSTART:20250520T100000Z")
            && !text.contains("RRULE")
    );
    let props = vec![("UID".to_owned(), false), ("SUMMARY".to_owned(), true)];
    let comps = vec![Selection { name: "VEVENT".into(), props, ..Selection::default() }];
    let comp = Some(Selection { name: "VCALENDAR".into(), comps, ..Selection::default() });
    let text = CalendarData { comp, ..CalendarData::default() }.apply(&series, &Zone::Utc).unwrap();
    assert!(
        text.contains("UID:1")
            && text.contains("SUMMARY:\r\n")
            && !text.contains("X-SECRET")
            && !text.contains("VERSION"),
        "{text}"
    );
}

#[test]
fn busy_times_say_nothing_more() {
    let mut busy = FreeBusy::default();
    let may = range(MAY.0, MAY.1);
    for lines in [
        "DTSTART:20250505T100000Z\r\nDTEND:20250505T110000Z\r\nSUMMARY:secret",
        "DTSTART:20250505T103000Z\r\nDTEND:20250505T120000Z",
        "DTSTART:20250505T100000Z\r\nDTEND:20250505T110000Z\r\nSTATUS:TENTATIVE",
        "DTSTART:20250506T100000Z\r\nDTEND:20250506T110000Z\r\nTRANSP:TRANSPARENT",
        "DTSTART:20250506T100000Z\r\nDTEND:20250506T110000Z\r\nSTATUS:CANCELLED",
    ] {
        busy.add(&calendar(&event(lines)), &Zone::Utc, may);
    }
    let stated = "BEGIN:VFREEBUSY\r\nUID:2\r\nFREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20250510T000000Z/PT2H\r\n\
        FREEBUSY;FBTYPE=FREE:20250511T000000Z/PT2H\r\nEND:VFREEBUSY\r\n";
    busy.add(&calendar(stated), &Zone::Utc, may);
    let text = busy.write(may, 0, "x");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("FREEBUSY")).collect();
    assert_eq!(
        lines,
        [
            "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20250505T100000Z/20250505T110000Z",
            "FREEBUSY;FBTYPE=BUSY:20250505T100000Z/20250505T120000Z",
            "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20250510T000000Z/20250510T020000Z"
        ]
    );
    assert!(!text.contains("secret"));
}

#[test]
fn alarms_are_asked_for_by_when_they_ring() {
    let alarm = |trigger: &str| {
        calendar(&event(&format!(
            "DTSTART:20250505T100000Z\r\nRRULE:FREQ=DAILY;COUNT=2\r\nBEGIN:VALARM\r\n{trigger}\r\nEND:VALARM"
        )))
    };
    let filter = |from: &str, before: &str| {
        let rings = CompFilter { name: "VALARM".into(), range: Some(range(from, before)), ..CompFilter::default() };
        let event = CompFilter { name: "VEVENT".into(), comps: vec![rings], ..CompFilter::default() };
        CompFilter { name: "VCALENDAR".into(), comps: vec![event], ..CompFilter::default() }
    };
    let second = filter("20250506T094500Z", "20250506T094600Z");
    assert!(second.matches(&alarm("TRIGGER:-PT15M"), &Zone::Utc));
    assert!(!second.matches(&alarm("TRIGGER:-PT5M"), &Zone::Utc));
    assert!(second.matches(&alarm("TRIGGER:-PT25M\r\nDURATION:PT10M\r\nREPEAT:1"), &Zone::Utc));
    assert!(second.matches(&alarm("TRIGGER;VALUE=DATE-TIME:20250506T094530Z"), &Zone::Utc));
}

#[test]
fn what_is_refused() {
    let refused = |components: &str| Facts::of(&calendar(components)).unwrap_err();
    assert!(matches!(refused(""), Refusal::Object(_)));
    assert!(matches!(refused("BEGIN:VEVENT\r\nDTSTART:20250101\r\nEND:VEVENT\r\n"), Refusal::Object(_)));
    assert!(matches!(refused(&event("SUMMARY:x")), Refusal::Data(_)));
    assert!(matches!(refused(&(event("DTSTART:20250101") + &event("DTSTART:20250102"))), Refusal::Object(_)));
    assert_eq!(refused("BEGIN:VPOLL\r\nUID:1\r\nEND:VPOLL\r\n"), Refusal::Component);
}

#[test]
fn busy_times_outside_a_range_are_left_out() {
    let stated = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VFREEBUSY\r\nUID:b\r\nDTSTAMP:20250101T000000Z\r\n\
        FREEBUSY:20250501T080000Z/20250501T100000Z,20250501T080000Z/PT1H,20250501T230000Z/PT2H,20250504T000000Z/PT1H\r\n\
        FREEBUSY;FBTYPE=BUSY-TENTATIVE:20250401T080000Z/P1D\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n";
    let limit_freebusy = Some(range("20250501T093000Z", "20250502T000000Z"));
    let told = CalendarData { limit_freebusy, ..CalendarData::default() };
    let told = told.apply(&Calendar::parse(stated.as_bytes()).unwrap(), &Zone::Utc).unwrap();
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("FREEBUSY")).collect();
    assert_eq!(lines, ["FREEBUSY:20250501T080000Z/20250501T100000Z,20250501T230000Z/PT2H"]);
}
