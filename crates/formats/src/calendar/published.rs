//! Many objects as one calendar for who reads it without a log-in: alarms of the owner ring for nobody else, and of
//! what is marked as private (RFC 5545 section 3.8.1.3) only the times are told.

use std::collections::HashMap;

use sterna_base::BlobHash;

use super::Calendar;
use crate::content_line::{Component, Property, write};

/// What an event whose times alone are told is called.
const BUSY: &str = "Busy";

/// The properties that say when something is, and nothing of what.
const TIMES: [&str; 12] = [
    "DTSTAMP",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RRULE",
    "RDATE",
    "EXDATE",
    "RECURRENCE-ID",
    "SEQUENCE",
    "STATUS",
    "TRANSP",
    "X-MICROSOFT-CDO-BUSYSTATUS",
];

/// Writes a calendar object by object; what is written goes to its reader meanwhile.
#[derive(Debug, Default)]
pub struct Publisher {
    /// Whether only the times of events are told.
    times_only: bool,
    /// The definitions that were told of each TZID, in their order.
    zones: HashMap<String, Vec<String>>,
}

impl Publisher {
    /// With everything, or the times of events only.
    pub fn new(times_only: bool) -> Self {
        Publisher { times_only, zones: HashMap::new() }
    }

    /// What stands before all objects. `METHOD` is what makes of it something that is read and not an invitation.
    pub fn start(&self, name: &str, product: &str, out: &mut String) {
        let line = |name: &str, value: &str| Property { name: name.into(), value: value.into(), ..Property::default() };
        let escaped = name.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace(['\r', '\n'], " ");
        let root = Component {
            name: "VCALENDAR".to_owned(),
            properties: vec![
                line("VERSION", "2.0"),
                line("PRODID", product),
                line("CALSCALE", "GREGORIAN"),
                line("METHOD", "PUBLISH"),
                line("X-WR-CALNAME", &escaped),
            ],
            components: Vec::new(),
        };
        let mut text = String::new();
        write(&root, &mut text);
        out.push_str(text.trim_end_matches("END:VCALENDAR\r\n"));
    }

    /// What stands after them.
    pub fn end(&self, out: &mut String) {
        out.push_str("END:VCALENDAR\r\n");
    }

    /// One object; each zone once.
    pub fn add(&mut self, calendar: &Calendar, out: &mut String) {
        // The strictest word holds for the whole object: a single time of a private series is no less private than the
        // series. What is not known counts as private (RFC 5545 section 3.8.1.3).
        let is_private = calendar
            .objects()
            .filter_map(|object| object.value("CLASS"))
            .any(|class| !class.trim().eq_ignore_ascii_case("PUBLIC"));
        let mut told: Vec<Component> = calendar.objects().filter_map(|object| self.told(object, is_private)).collect();
        if told.is_empty() {
            return;
        }
        for zone in calendar.root.components.iter().filter(|component| component.name == "VTIMEZONE") {
            let Some(id) = zone.value("TZID") else { continue };
            let mut text = String::new();
            write(zone, &mut text);
            let known = self.zones.entry(id.to_owned()).or_default();
            let place = known.iter().position(|known| *known == text);
            let is_new = place.is_none();
            let place = place.unwrap_or(known.len());
            // Two products may mean different things by one name.
            let name = if place == 0 { id.to_owned() } else { format!("{id} ({})", place + 1) };
            if is_new {
                known.push(text);
                let mut zone = zone.clone();
                zone.set("TZID", name.clone());
                write(&zone, out);
            }
            if place > 0 {
                told.iter_mut().for_each(|component| rename_zone(component, id, &name));
            }
        }
        told.iter().for_each(|component| write(component, out));
    }

    fn told(&self, object: &Component, is_private: bool) -> Option<Component> {
        let is = |name: &str, value: &str| object.value(name).is_some_and(|is| is.trim().eq_ignore_ascii_case(value));
        if !self.times_only && !is_private {
            let mut whole = object.clone();
            whole.components.retain(|below| below.name != "VALARM");
            return Some(whole);
        }
        let takes_time = object.name == "VEVENT" && !is("TRANSP", "TRANSPARENT") && !is("STATUS", "CANCELLED");
        // A changed single time that takes none must be told all the same: otherwise its series would have one there.
        let is_single = object.name == "VEVENT" && object.property("RECURRENCE-ID").is_some();
        if !takes_time && !is_single {
            return None;
        }
        let is_time = |property: &&Property| TIMES.contains(&property.name.as_str());
        let mut properties: Vec<Property> = object.properties.iter().filter(is_time).cloned().collect();
        // Some products put into a UID where it is from.
        let uid = BlobHash::of(object.value("UID").unwrap_or_default().as_bytes()).to_string();
        let line = |name: &str, value: String| Property { name: name.to_owned(), value, ..Property::default() };
        properties.insert(0, line("UID", uid));
        properties.push(line("SUMMARY", BUSY.to_owned()));
        Some(Component { name: object.name.clone(), properties, components: Vec::new() })
    }
}

fn rename_zone(component: &mut Component, from: &str, to: &str) {
    for property in component.properties.iter_mut().filter(|property| property.parameter_value("TZID") == Some(from)) {
        property.set_parameter("TZID", to);
    }
    component.components.iter_mut().for_each(|below| rename_zone(below, from, to));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(lines: &str) -> Calendar {
        let text = format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Here\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n\
             UID:ana@here\r\nDTSTART;TZID=Here:20250101T100000\r\n{lines}BEGIN:VALARM\r\nACTION:AUDIO\r\nEND:VALARM\r\n\
             END:VEVENT\r\nEND:VCALENDAR\r\n"
        );
        Calendar::parse(text.as_bytes()).unwrap()
    }

    fn published(times_only: bool, objects: &[Calendar]) -> String {
        let (mut publisher, mut out) = (Publisher::new(times_only), String::new());
        publisher.start("Work, and; more", "-//x//y//EN", &mut out);
        objects.iter().for_each(|object| publisher.add(object, &mut out));
        publisher.end(&mut out);
        assert!(Calendar::parse(out.as_bytes()).is_ok(), "{out}");
        out
    }

    #[test]
    fn what_is_private_is_only_a_time() {
        let objects = [object("SUMMARY:open\r\n"), object("SUMMARY:secret\r\nLOCATION:den\r\nCLASS:PRIVATE\r\n")];
        let unknown = published(false, &[object("SUMMARY:secret\r\nCLASS:X-OURS\r\n")]);
        assert!(!unknown.contains("secret"), "what is not known is private");
        let text = published(false, &objects);
        assert!(text.contains("SUMMARY:open") && text.contains("UID:ana@here") && text.contains("SUMMARY:Busy"));
        assert!(!text.contains("secret") && !text.contains("den\r\n") && !text.contains("VALARM"), "{text}");
        assert_eq!(text.matches("BEGIN:VTIMEZONE").count(), 1);
        assert!(text.contains("X-WR-CALNAME:Work\\, and\\; more"));
    }

    #[test]
    fn busy_times_tell_nothing_else() {
        let free = object("SUMMARY:free\r\nTRANSP:TRANSPARENT\r\n");
        let text = published(true, &[object("SUMMARY:open\r\nRRULE:FREQ=DAILY\r\n"), free]);
        assert!(text.contains("RRULE:FREQ=DAILY") && text.contains("TZID=Here:20250101T100000"), "{text}");
        assert!(!text.contains("open") && !text.contains("free") && !text.contains("ana@here"), "{text}");
        assert_eq!(text.matches("BEGIN:VEVENT").count(), 1);
    }

    #[test]
    fn one_name_for_two_zones_becomes_two() {
        let one = object("SUMMARY:one\r\n");
        let text =
            one.text().replace("TZID:Here\r\n", "TZID:Here\r\nX-OTHER:1\r\n").replace("SUMMARY:one", "SUMMARY:two");
        let other = Calendar::parse(text.as_bytes()).unwrap();
        let text = published(false, &[one.clone(), other.clone(), one, other]);
        assert_eq!(
            (text.matches("TZID:Here\r\n").count(), text.matches("TZID:Here (2)\r\n").count()),
            (1, 1),
            "{text}"
        );
        assert_eq!(text.matches("DTSTART;TZID=Here:").count(), 2, "{text}");
        assert_eq!(text.matches("DTSTART;TZID=Here (2):").count(), 2, "{text}");
    }
}
