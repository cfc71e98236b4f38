//! When somebody can be had at all (VAVAILABILITY, RFC 7953).

use std::ops::ControlFlow;

use super::freebusy::Busy;
use super::occurrences::Series;
use super::time::{Duration, Moment};
use super::{Calendar, Zone};
use crate::content_line::Component;

/// Most pieces that a range is cut into; beyond it the rest of what is said is passed over.
const PIECES_MAX: usize = 20_000;

/// A piece of the range, and how it is; `None` is free.
type Piece = (i64, i64, Option<Busy>);

/// The times of a range at which somebody can't be had, as the VAVAILABILITY components of an object say. Floating
/// times
/// are those of this zone.
pub fn unavailable(calendar: &Calendar, floating: &Zone, range: (i64, i64)) -> Vec<(i64, i64, Busy)> {
    let mut said: Vec<&Component> = calendar.objects().filter(|object| object.name == "VAVAILABILITY").collect();
    // One counts for highest, nine for lowest, and so does none (RFC 7953 section 3.1): what counts for more comes
    // last.
    said.sort_by_key(|component| {
        let priority = component.value("PRIORITY").and_then(|text| text.trim().parse::<u8>().ok()).unwrap_or(0);
        std::cmp::Reverse(if priority == 0 { 10 } else { priority })
    });
    let mut pieces: Vec<Piece> = vec![(range.0, range.1, None)];
    for component in said {
        let Some(window) = window(component, calendar, floating, range) else { continue };
        paint(&mut pieces, window, busy_type(component));
        for (start, end) in available(component, calendar, floating, window) {
            paint(&mut pieces, (start.max(window.0), end.min(window.1)), None);
        }
    }
    pieces.into_iter().filter_map(|(start, end, busy)| Some((start, end, busy?))).collect()
}

/// What the component is about within the range.
fn window(component: &Component, calendar: &Calendar, floating: &Zone, range: (i64, i64)) -> Option<(i64, i64)> {
    let moment = |name: &str| component.property(name).and_then(|property| Moment::of(property, &calendar.zones));
    let start = moment("DTSTART");
    let end = moment("DTEND").map(|end| end.instant(floating)).or_else(|| {
        let length = component.value("DURATION").and_then(Duration::parse)?;
        Some(length.after(start.as_ref()?, floating))
    });
    let from = start.map_or(range.0, |start| start.instant(floating).max(range.0));
    let before = end.map_or(range.1, |end| end.min(range.1));
    (from < before).then_some((from, before))
}

/// BUSYTYPE (RFC 7953 section 3.2).
fn busy_type(component: &Component) -> Option<Busy> {
    Some(match component.value("BUSYTYPE").map(|text| text.trim().to_ascii_uppercase()).as_deref() {
        Some("BUSY") => Busy::Busy,
        Some("BUSY-TENTATIVE") => Busy::Tentative,
        _ => Busy::Unavailable,
    })
}

/// The times that AVAILABLE components name; those with one UID are one series.
fn available(component: &Component, calendar: &Calendar, floating: &Zone, range: (i64, i64)) -> Vec<(i64, i64)> {
    let (mut found, mut seen) = (Vec::new(), std::collections::HashSet::new());
    let all = || component.components.iter().filter(|below| below.name == "AVAILABLE");
    for uid in all().map(|below| below.value("UID").unwrap_or_default()) {
        if !seen.insert(uid) {
            continue;
        }
        // What without a UID can't be told apart is as many series.
        let of_uid = all().filter(|below| below.value("UID").unwrap_or_default() == uid);
        let groups: Vec<Vec<Component>> = match uid {
            "" => of_uid.map(|below| vec![below.clone()]).collect(),
            _ => vec![of_uid.cloned().collect()],
        };
        for mut components in groups {
            components.iter_mut().for_each(|below| below.name = "VEVENT".to_owned());
            let root = Component { name: "VCALENDAR".to_owned(), components, ..Component::default() };
            let series = Calendar { root, zones: calendar.zones.clone() };
            Series::of(&series, floating).visit(range, &mut |instance| {
                found.push((instance.start_s, instance.end_s));
                if found.len() > PIECES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        }
    }
    found
}

/// Makes a part of the pieces so.
fn paint(pieces: &mut Vec<Piece>, (from, before): (i64, i64), busy: Option<Busy>) {
    if from >= before || pieces.len() > PIECES_MAX {
        return;
    }
    let first = pieces.partition_point(|(_, end, _)| *end <= from);
    let last = pieces.partition_point(|(start, ..)| *start < before);
    let mut new: Vec<Piece> = Vec::with_capacity(3);
    if let Some((start, _, was)) = pieces.get(first).filter(|(start, ..)| *start < from) {
        new.push((*start, from, *was));
    }
    new.push((from, before, busy));
    if let Some((_, end, was)) = last.checked_sub(1).and_then(|at| pieces.get(at)).filter(|(_, end, _)| *end > before) {
        new.push((before, *end, *was));
    }
    pieces.splice(first..last, new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::time::{parse_utc, utc_text};

    fn told(lines: &str, from: &str, before: &str) -> Vec<String> {
        let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n", lines.replace('\n', "\r\n"));
        let calendar = Calendar::parse(text.as_bytes()).unwrap();
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let range = (parse_utc(from).unwrap(), parse_utc(before).unwrap());
        let found = unavailable(&calendar, &berlin, range);
        found
            .iter()
            .map(|(start, end, busy)| format!("{}-{} {busy:?}", &utc_text(*start)[6..13], &utc_text(*end)[6..13]))
            .collect()
    }

    const OFFICE: &str = "BEGIN:VAVAILABILITY\nUID:a\nBEGIN:AVAILABLE\nUID:b\nDTSTART:20250106T090000\n\
        DTEND:20250106T170000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU\nEND:AVAILABLE\nEND:VAVAILABILITY\n";

    #[test]
    fn office_hours_leave_the_rest() {
        let monday_and_tuesday = told(OFFICE, "20250303T000000Z", "20250305T000000Z");
        let rest = ["03T0000-03T0800 Unavailable", "03T1600-04T0800 Unavailable", "04T1600-05T0000 Unavailable"];
        assert_eq!(monday_and_tuesday, rest);
        // Entirely within, and entirely outside.
        assert!(told(OFFICE, "20250303T090000Z", "20250303T100000Z").is_empty());
        assert_eq!(told(OFFICE, "20250305T090000Z", "20250305T100000Z"), ["05T0900-05T1000 Unavailable"]);
    }

    #[test]
    fn what_counts_for_more_wins() {
        let holiday = "BEGIN:VAVAILABILITY\nUID:c\nPRIORITY:1\nBUSYTYPE:BUSY\nDTSTART:20250303T120000Z\n\
            DTEND:20250304T120000Z\nEND:VAVAILABILITY\n";
        let both = told(&format!("{holiday}{OFFICE}"), "20250303T080000Z", "20250304T160000Z");
        assert_eq!(both, ["03T1200-04T1200 Busy"]);
        // Nothing is said of what is before and after.
        assert_eq!(told(holiday, "20250301T000000Z", "20250310T000000Z"), ["03T1200-04T1200 Busy"]);
    }
}
