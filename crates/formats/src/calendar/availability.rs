//! When somebody can be had at all (VAVAILABILITY, RFC 7953).

use std::cmp::Reverse;
use std::ops::ControlFlow;

use super::freebusy::Busy;
use super::occurrences::Series;
use super::time::{Duration, Moment};
use super::{Calendar, Zone};
use crate::content_line::Component;

/// Most times that are said about one range; beyond it the rest is passed over, and that is said.
const PIECES_MAX: usize = 20_000;

/// A piece of the range, and how it is; `None` is free.
type Piece = (i64, i64, Option<Busy>);

/// What VAVAILABILITY components say about a range, from as many objects as there are: which of them counts for more is
/// known only when all are (RFC 7953 section 4).
#[derive(Clone, Debug, Default)]
pub struct Availability {
    said: Vec<Said>,
    pieces: usize,
    /// Whether something was left out because there was too much of it.
    pub is_cut: bool,
}

/// What one component says.
#[derive(Clone, Debug)]
struct Said {
    /// The lowest is 10, the highest 1.
    priority: u8,
    window: (i64, i64),
    busy: Busy,
    available: Vec<(i64, i64)>,
}

impl Availability {
    /// Adds what an object says. Floating times are those of this zone.
    pub fn add(&mut self, calendar: &Calendar, floating: &Zone, range: (i64, i64)) {
        for component in calendar.objects().filter(|object| object.name == "VAVAILABILITY") {
            let Some(window) = window(component, calendar, floating, range) else { continue };
            let priority = component.value("PRIORITY").and_then(|text| text.trim().parse::<u8>().ok()).unwrap_or(0);
            let room = PIECES_MAX.saturating_sub(self.pieces + 1);
            let available = available(component, calendar, floating, window, room);
            self.pieces += 1 + available.len();
            if self.pieces > PIECES_MAX {
                self.is_cut = true;
                return;
            }
            // One counts for highest, nine for lowest, and so does none (RFC 7953 section 3.1).
            let priority = if priority == 0 { 10 } else { priority };
            self.said.push(Said { priority, window, busy: busy_type(component), available });
        }
    }

    /// The times of the range at which somebody can't be had.
    pub fn unavailable(mut self, range: (i64, i64)) -> Vec<(i64, i64, Busy)> {
        // What counts for more comes last; of what counts the same the busier (RFC 7953 section 4).
        self.said.sort_by_key(|said| (Reverse(said.priority), said.busy));
        let mut pieces: Vec<Piece> = vec![(range.0, range.1, None)];
        for level in self.said.chunk_by(|one, other| one.priority == other.priority) {
            for said in level {
                paint(&mut pieces, said.window, Some(said.busy));
            }
            for said in level {
                for (start, end) in &said.available {
                    paint(&mut pieces, ((*start).max(said.window.0), (*end).min(said.window.1)), None);
                }
            }
        }
        pieces.into_iter().filter_map(|(start, end, busy)| Some((start, end, busy?))).collect()
    }
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
fn busy_type(component: &Component) -> Busy {
    match component.value("BUSYTYPE").map(|text| text.trim().to_ascii_uppercase()).as_deref() {
        Some("BUSY") => Busy::Busy,
        Some("BUSY-TENTATIVE") => Busy::Tentative,
        _ => Busy::Unavailable,
    }
}

/// The times that AVAILABLE components name, one more than there is room for at most; those with one UID are one
/// series.
fn available(
    component: &Component,
    calendar: &Calendar,
    floating: &Zone,
    range: (i64, i64),
    room: usize,
) -> Vec<(i64, i64)> {
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
                if found.len() > room { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        }
    }
    found
}

/// Makes a part of the pieces so.
fn paint(pieces: &mut Vec<Piece>, (from, before): (i64, i64), busy: Option<Busy>) {
    if from >= before {
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
        let mut availability = Availability::default();
        availability.add(&calendar, &berlin, range);
        let found = availability.unavailable(range);
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

    #[test]
    fn of_what_counts_the_same_the_busier_wins_whatever_comes_first() {
        let said = |busy: &str, hours: (&str, &str)| {
            format!(
                "BEGIN:VAVAILABILITY\nUID:{busy}\nBUSYTYPE:{busy}\nDTSTART:20250303T{}0000Z\nDTEND:20250303T{}0000Z\n\
                 END:VAVAILABILITY\n",
                hours.0, hours.1
            )
        };
        let (busy, perhaps) = (said("BUSY", ("08", "12")), said("BUSY-TENTATIVE", ("10", "14")));
        for both in [format!("{busy}{perhaps}"), format!("{perhaps}{busy}")] {
            let told = told(&both, "20250303T000000Z", "20250304T000000Z");
            assert_eq!(told, ["03T0800-03T1200 Busy", "03T1200-03T1400 Tentative"]);
        }
    }

    #[test]
    fn what_other_objects_say_counts_beside_it_and_has_a_limit() {
        let range = (parse_utc("20250303T000000Z").unwrap(), parse_utc("20250304T000000Z").unwrap());
        let of = |lines: &str| {
            let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n", lines.replace('\n', "\r\n"));
            Calendar::parse(text.as_bytes()).unwrap()
        };
        // Somebody is there on a day that is otherwise closed, as another object says.
        let closed = of("BEGIN:VAVAILABILITY\nUID:c\nPRIORITY:5\nEND:VAVAILABILITY\n");
        let open = "BEGIN:VAVAILABILITY\nUID:o\nPRIORITY:1\nDTSTART:20250303T080000Z\nDTEND:20250303T090000Z\n\
            BEGIN:AVAILABLE\nUID:p\nDTSTART:20250303T000000Z\nDURATION:P1D\nEND:AVAILABLE\nEND:VAVAILABILITY\n";
        for objects in [[&of(open), &closed], [&closed, &of(open)]] {
            let mut availability = Availability::default();
            objects.into_iter().for_each(|object| availability.add(object, &Zone::Utc, range));
            let hours: Vec<_> = availability.unavailable(range).iter().map(|one| (one.0, one.1)).collect();
            assert_eq!(hours, [(range.0, range.0 + 8 * 3600), (range.0 + 9 * 3600, range.1)]);
        }
        let each_second =
            open.replace("DURATION:P1D", "DURATION:PT1S\nRRULE:FREQ=SECONDLY").replace("T090000Z", "T230000Z");
        let mut availability = Availability::default();
        availability.add(&of(&each_second), &Zone::Utc, range);
        assert!(availability.is_cut);
    }
}
