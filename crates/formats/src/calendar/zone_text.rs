//! Time zones by reference (RFC 7809): definitions of zones that the tz database knows, put into objects for who wants
//! them and taken out for who doesn't.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::Zone;
use crate::content_line::{Component, Property, parse, write};

/// From when on, and until when, the changes of a clock are written down: rules for ever are nobody's promise.
const YEARS: (i16, i16) = (1970, 2037);

/// Most changes of one clock between those: some were changed for every Ramadan.
const TRANSITIONS_MAX: usize = 400;

/// Most zones that one object is given.
const ZONES_MAX: usize = 50;

/// What is to become of the definitions of zones in what a client is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Definitions {
    /// `CalDAV-Timezones: T`, and what holds for who says nothing.
    #[default]
    Wanted,
    /// `CalDAV-Timezones: F`
    Unwanted,
}

impl Definitions {
    /// From the header.
    pub fn parse(header: Option<&str>) -> Self {
        match header.map(str::trim) {
            Some(value) if value.eq_ignore_ascii_case("f") => Definitions::Unwanted,
            _ => Definitions::Wanted,
        }
    }

    /// The text of an object as it is wanted. Most are sent as they are, and nothing of them is read.
    pub fn apply<'a>(self, text: &'a str) -> Cow<'a, str> {
        let has_definitions = text.contains("BEGIN:VTIMEZONE");
        let is_as_wanted = match self {
            Definitions::Wanted => has_definitions || !text.contains("TZID"),
            Definitions::Unwanted => !has_definitions,
        };
        if is_as_wanted {
            return Cow::Borrowed(text);
        }
        let Ok(mut roots) = parse(text.as_bytes()) else { return Cow::Borrowed(text) };
        for root in &mut roots {
            match self {
                Definitions::Wanted => define(root),
                // Those that only the object knows stay: nobody else could say what they mean.
                Definitions::Unwanted => root.components.retain(|component| {
                    let name = component.value("TZID").unwrap_or_default();
                    component.name != "VTIMEZONE" || !is_standard(name)
                }),
            }
        }
        let mut written = String::with_capacity(text.len());
        roots.iter().for_each(|root| write(root, &mut written));
        Cow::Owned(written)
    }
}

/// Whether the tz database has a zone of exactly this name: the names of Windows, and those that libraries make, are
/// known here and perhaps not there.
fn is_standard(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// Gives an object the definitions of the zones that it names.
fn define(root: &mut Component) {
    let mut names = BTreeSet::new();
    root.components.iter().for_each(|component| zones_named(component, &mut names));
    let definitions: Vec<Component> = names.iter().take(ZONES_MAX).filter_map(|name| definition(name)).collect();
    root.components.splice(0..0, definitions);
}

fn zones_named(component: &Component, names: &mut BTreeSet<String>) {
    for property in &component.properties {
        names.extend(property.parameter_value("TZID").map(str::to_owned));
    }
    component.components.iter().for_each(|below| zones_named(below, names));
}

/// The VTIMEZONE of a zone that is known by name, under the name that was given; `None` for others.
pub fn definition(name: &str) -> Option<Component> {
    let zone = match Zone::named(name)? {
        Zone::Named(zone) => zone,
        _ => TimeZone::UTC,
    };
    let at = |year: i16| DateTime::new(year, 1, 1, 0, 0, 0, 0).ok()?.to_zoned(TimeZone::UTC).ok();
    let (first, last) = (at(YEARS.0)?.timestamp(), at(YEARS.1)?.timestamp());
    let mut before = zone.to_offset(first);
    let start = DateTime::new(YEARS.0, 1, 1, 0, 0, 0, 0).ok()?;
    let mut observances = vec![Observance::new(zone.to_offset_info(first).dst().is_dst(), (before, before), start)];
    for change in zone.following(first).take(TRANSITIONS_MAX).take_while(|change| change.timestamp() < last) {
        let (offset, is_dst) = (change.offset(), change.dst().is_dst());
        let onset = local(change.timestamp(), before);
        match observances.iter_mut().skip(1).find(|one| one.is_daylight == is_dst && one.offsets == (before, offset)) {
            Some(known) => known.more.push(onset),
            None => observances.push(Observance::new(is_dst, (before, offset), onset)),
        }
        before = offset;
    }
    let property = |name: &str, value: String| Property { name: name.to_owned(), value, ..Property::default() };
    let components = observances.iter().map(Observance::component).collect();
    let properties = vec![property("TZID", name.to_owned())];
    Some(Component { name: "VTIMEZONE".to_owned(), properties, components })
}

fn local(at: Timestamp, offset: Offset) -> DateTime {
    offset.to_datetime(at)
}

/// When a clock is changed from one offset to another.
struct Observance {
    is_daylight: bool,
    offsets: (Offset, Offset),
    start: DateTime,
    more: Vec<DateTime>,
}

impl Observance {
    fn new(is_daylight: bool, offsets: (Offset, Offset), start: DateTime) -> Self {
        Observance { is_daylight, offsets, start, more: Vec::new() }
    }

    fn component(&self) -> Component {
        let property = |name: &str, value: String| Property { name: name.to_owned(), value, ..Property::default() };
        let time = |at: &DateTime| at.strftime("%Y%m%dT%H%M%S").to_string();
        let mut properties = vec![
            property("DTSTART", time(&self.start)),
            property("TZOFFSETFROM", offset_text(self.offsets.0)),
            property("TZOFFSETTO", offset_text(self.offsets.1)),
        ];
        properties.extend(self.more.iter().map(|at| property("RDATE", time(at))));
        let name = if self.is_daylight { "DAYLIGHT" } else { "STANDARD" };
        Component { name: name.to_owned(), properties, components: Vec::new() }
    }
}

/// UTC-OFFSET (RFC 5545 section 3.3.14).
fn offset_text(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, all) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let text = format!("{sign}{:02}{:02}", all / 3600, all / 60 % 60);
    if all % 60 == 0 { text } else { format!("{text}{:02}", all % 60) }
}

#[cfg(test)]
mod tests {
    use super::super::Calendar;
    use super::super::zone::OwnZone;
    use super::*;

    fn object(zone: &str) -> String {
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID={zone}:20250710T100000\r\n\
             END:VEVENT\r\nEND:VCALENDAR\r\n"
        )
    }

    #[test]
    fn definitions_come_and_go() {
        let plain = object("Europe/Berlin");
        let full = Definitions::Wanted.apply(&plain).into_owned();
        assert!(full.contains("BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n"), "{full}");
        assert!(Calendar::parse(full.as_bytes()).is_ok());
        assert_eq!(Definitions::Wanted.apply(&full), full, "once");
        assert_eq!(Definitions::Unwanted.apply(&full), plain);
        for same in [object("Nowhere"), "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_owned(), "no object".to_owned()] {
            assert_eq!(Definitions::Wanted.apply(&same), same);
            assert_eq!(Definitions::Unwanted.apply(&same), same);
        }
        // What nobody else knows is not taken out.
        let own = full.replace("Europe/Berlin", "Berlin of ours");
        assert_eq!(Definitions::Unwanted.apply(&own), own);
        assert_eq!(Definitions::parse(Some(" F ")), Definitions::Unwanted);
        assert_eq!(Definitions::parse(Some("T")), Definitions::parse(None));
    }

    #[test]
    fn definitions_say_what_the_tz_database_says() {
        for name in ["Europe/Berlin", "America/St_Johns", "Asia/Tokyo", "Africa/Casablanca", "Pacific/Apia"] {
            let own = OwnZone::of(&definition(name).unwrap()).unwrap();
            let known = Zone::named(name).unwrap();
            for day in 0..365 * 12 {
                let at = 1_400_000_000 + day * 86_400 + 3_600 * (day % 24);
                assert_eq!(own.civil(at), known.civil(at), "{name} at {at}");
            }
        }
        assert!(definition("Nowhere").is_none() && definition("").is_none());
    }
}
