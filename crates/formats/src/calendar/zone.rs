//! Time zones: by name from the tz database, by the names of Windows, and by the rules that an object brings along
//! (VTIMEZONE, RFC 5545 section 3.6.5).
//!
//! A name that the tz database knows counts for more than the rules beside it: those are often a few years old, and
//! RFC 7809 leaves them out altogether.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::recurrence::{Expansion, Rule};
use super::time::{Moment, add_seconds, civil_of, instant_of};
use super::windows_zones;
use crate::content_line::Component;

/// Most changes of the clock of one zone with rules of its own; more are passed over.
const TRANSITIONS_MAX: usize = 2000;

/// The last year for which rules of an object are worked out; later years have the last offset.
const YEAR_MAX: i16 = 2200;

/// Most zones in one object.
const ZONES_MAX: usize = 500;

/// Whose clock a time is of.
#[derive(Clone, Debug)]
pub enum Zone {
    /// Wherever whoever looks is.
    Floating,
    /// UTC.
    Utc,
    /// Of the tz database.
    Named(TimeZone),
    /// Of an object's own rules.
    Own(Arc<OwnZone>),
}

impl Zone {
    /// The zone of this name: of the tz database, of Windows, or with either at its end
    /// (`/mozilla.org/.../Europe/Oslo`).
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        if name.is_empty() {
            return None;
        }
        if matches!(name.to_ascii_uppercase().as_str(), "UTC" | "Z" | "GMT" | "ETC/UTC" | "ETC/GMT") {
            return Some(Zone::Utc);
        }
        let known = |name: &str| TimeZone::get(name).ok().map(Zone::Named);
        let windows = |name: &str| windows_zones::iana(name).and_then(known);
        if let Some(zone) = known(name).or_else(|| windows(name)) {
            return Some(zone);
        }
        // Libraries put their own name in front.
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
        (1..=3).rev().filter(|n| *n < parts.len()).find_map(|n| known(&parts[parts.len() - n..].join("/")))
    }

    /// Seconds since 1970. A time that the clock shows twice is the first; one that it leaps over counts as if it had
    /// not leapt (RFC 5545 section 3.3.5). Floating is UTC here.
    pub fn instant(&self, civil: DateTime) -> i64 {
        match self {
            Zone::Floating | Zone::Utc => instant_of(civil),
            Zone::Named(zone) => {
                let found = zone.to_ambiguous_timestamp(civil).compatible();
                found.map_or_else(|_| instant_of(civil), |timestamp| timestamp.as_second())
            }
            Zone::Own(zone) => zone.instant(civil),
        }
    }

    /// What the clock shows.
    pub fn civil(&self, instant: i64) -> DateTime {
        match self {
            Zone::Floating | Zone::Utc => civil_of(instant),
            Zone::Named(zone) => match jiff::Timestamp::from_second(instant) {
                Ok(timestamp) => zone.to_datetime(timestamp),
                Err(_) => civil_of(instant),
            },
            Zone::Own(zone) => zone.civil(instant),
        }
    }
}

/// The zones of an object by their TZID.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    known: HashMap<String, Zone>,
}

impl Zones {
    /// Those of the VTIMEZONEs of a calendar object.
    pub fn of(calendar: &Component) -> Self {
        let mut known = HashMap::new();
        let definitions = calendar.components.iter().filter(|component| component.name == "VTIMEZONE");
        for definition in definitions.take(ZONES_MAX) {
            if let Some((name, zone)) = zone_of(definition) {
                known.insert(name, zone);
            }
        }
        Zones { known }
    }

    /// The zone of this name; what nobody knows floats.
    pub fn find(&self, tzid: &str) -> Zone {
        match self.known.get(tzid) {
            Some(zone) => zone.clone(),
            None => Zone::named(tzid).unwrap_or(Zone::Floating),
        }
    }

    /// Whether somebody knows the name.
    pub fn is_known(&self, tzid: &str) -> bool {
        self.known.contains_key(tzid) || Zone::named(tzid).is_some()
    }
}

/// A VTIMEZONE, and its name.
pub fn zone_of(definition: &Component) -> Option<(String, Zone)> {
    let name = definition.value("TZID")?.to_owned();
    let other = || definition.value("X-LIC-LOCATION").and_then(Zone::named);
    let own = || OwnZone::of(definition).map(|own| Zone::Own(Arc::new(own)));
    let zone = Zone::named(&name).or_else(other).or_else(own)?;
    Some((name, zone))
}

/// A zone with rules of its own: when its clock changes, and by how much.
#[derive(Debug)]
pub struct OwnZone {
    /// In order.
    transitions: Vec<Transition>,
    /// Before the first.
    offset_before: i64,
}

#[derive(Clone, Copy, Debug)]
struct Transition {
    /// What the clock shows at the moment of the change, before it.
    wall: DateTime,
    from: i64,
    to: i64,
}

impl Transition {
    fn instant(&self) -> i64 {
        instant_of(self.wall) - self.from
    }
}

impl OwnZone {
    pub(super) fn of(definition: &Component) -> Option<Self> {
        let mut transitions = Vec::new();
        for observance in definition.components.iter().filter(|c| matches!(c.name.as_str(), "STANDARD" | "DAYLIGHT")) {
            let (Some(from), Some(to)) =
                (offset(observance.value("TZOFFSETFROM")?), offset(observance.value("TZOFFSETTO")?))
            else {
                continue;
            };
            let zones = Zones::default();
            let Some(start) = observance.property("DTSTART").and_then(|start| Moment::of(start, &zones)) else {
                continue;
            };
            let mut walls = vec![start.civil];
            if let Some(mut rule) = observance.value("RRULE").and_then(Rule::parse) {
                // UNTIL is in UTC here, and the rule is worked out on the wall.
                if let Some(until) = rule.until.as_mut().filter(|until| until.is_utc) {
                    until.civil = add_seconds(until.civil, from);
                    until.is_utc = false;
                }
                let all = Expansion::new(&rule, start.civil).skip(1);
                let all = all.take_while(|wall| wall.year() <= YEAR_MAX).take(TRANSITIONS_MAX);
                walls.extend(all);
            }
            walls.extend(observance.all("RDATE").flat_map(|dates| Moment::all(dates, &zones)).map(|date| date.civil));
            transitions.extend(walls.into_iter().map(|wall| Transition { wall, from, to }));
            if transitions.len() > TRANSITIONS_MAX {
                return None;
            }
        }
        transitions.sort_by_key(Transition::instant);
        let offset_before = transitions.first()?.from;
        Some(OwnZone { transitions, offset_before })
    }

    fn instant(&self, civil: DateTime) -> i64 {
        let after = self.transitions.partition_point(|transition| transition.wall <= civil);
        let Some(last) = after.checked_sub(1).map(|last| self.transitions[last]) else {
            return instant_of(civil) - self.offset_before;
        };
        let is_leapt_over = civil < add_seconds(last.wall, last.to - last.from);
        instant_of(civil) - if is_leapt_over { last.from } else { last.to }
    }

    pub(super) fn civil(&self, instant: i64) -> DateTime {
        let after = self.transitions.partition_point(|transition| transition.instant() <= instant);
        let offset = after.checked_sub(1).map_or(self.offset_before, |last| self.transitions[last].to);
        civil_of(instant.saturating_add(offset))
    }
}

/// UTC-OFFSET (RFC 5545 section 3.3.14) in seconds.
fn offset(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => (1, text),
    };
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| digits.get(at..at + 2).and_then(|two| two.parse::<i64>().ok());
    let seconds = two(0)? * 3600 + two(2)? * 60 + two(4).unwrap_or(0);
    (seconds < 26 * 3600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content_line::parse;

    const BERLIN_BY_RULE: &str = "BEGIN:VTIMEZONE\r\nTZID:Somewhere\r\n\
        BEGIN:STANDARD\r\nDTSTART:19961027T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n\
        RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n\
        BEGIN:DAYLIGHT\r\nDTSTART:19810329T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n\
        RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n";

    #[test]
    fn rules_of_an_object_are_those_of_the_database() {
        let definition = parse(BERLIN_BY_RULE.as_bytes()).unwrap().remove(0);
        let (name, own) = zone_of(&definition).unwrap();
        assert!(name == "Somewhere" && matches!(own, Zone::Own(_)));
        let berlin = Zone::named("Europe/Berlin").unwrap();
        // Every 20 minutes and a bit of some years, over both changes.
        let mut at = 1_700_000_000;
        while at < 1_800_000_000 {
            assert_eq!(own.civil(at), berlin.civil(at), "{at}");
            let civil = berlin.civil(at);
            assert_eq!(own.instant(civil), berlin.instant(civil), "{civil}");
            at += 1237 * 7;
        }
        for (wall, instant) in [("20250330T023000", 1_743_298_200), ("20251026T023000", 1_761_438_600)] {
            let civil = Moment::parse(wall, None, &Zones::default()).unwrap().civil;
            assert_eq!((own.instant(civil), berlin.instant(civil)), (instant, instant), "{wall}");
        }
    }

    #[test]
    fn names() {
        let berlin = |name: &str| Zone::named(name).map(|zone| zone.instant(civil_of(1_752_000_000)));
        let expected = Some(1_752_000_000 - 7200);
        for name in ["Europe/Berlin", "W. Europe Standard Time", "/mozilla.org/20070129_1/Europe/Berlin"] {
            assert_eq!(berlin(name), expected, "{name}");
        }
        assert!(matches!(Zone::named("UTC"), Some(Zone::Utc)));
        assert!(Zone::named("Nowhere/At All").is_none() && Zone::named("").is_none() && Zone::named("/").is_none());
    }

    #[test]
    fn offsets() {
        assert_eq!(offset("-0330"), Some(-12_600));
        assert_eq!(offset("+053000"), Some(19_800));
        for bad in ["", "+", "+1", "abcd", "+9900", "+05:30", "é1234"] {
            assert_eq!(offset(bad), None, "{bad}");
        }
    }
}
