//! Whether a resource can be booked: a room or a thing answers invitations by rules, not by somebody.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use jiff::civil::{DateTime, Weekday};
use serde::{Deserialize, Serialize};

use super::freebusy::{Busy, FreeBusy};
use super::occurrences::Series;
use super::time::DAY_S;
use super::{Calendar, Zone};

/// Most single times of a series that a resource is booked for in one go.
pub const BOOKED_TIMES_MAX: usize = 1000;

/// How far ahead series without an end are looked at, in days, when no rule says how far a booking may reach.
const AHEAD_DAYS: i64 = 2 * 366;

/// What a resource is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// A room.
    #[default]
    Room,
    /// A car, a projector.
    Equipment,
}

/// Who answers invitations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// The rules: yes or no.
    #[default]
    Auto,
    /// The rules say no; what they allow is for the managers to decide.
    Managers,
    /// Nobody: invitations are noted.
    Nobody,
}

/// The rules of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Rules {
    /// What it is.
    pub kind: ResourceKind,
    /// Who answers.
    pub answers: Answers,
    /// How many people fit in; `None` is not asked.
    pub capacity: Option<u32>,
    /// How many bookings it can have at the same time.
    pub bookings: u32,
    /// When it can be booked; `None` is always.
    pub hours: Option<Hours>,
    /// How many days ahead it can be booked.
    pub ahead_days: Option<u32>,
    /// The longest booking in minutes.
    pub longest_minutes: Option<u32>,
    /// Whether it can be booked for series.
    pub series: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            kind: ResourceKind::Room,
            answers: Answers::Auto,
            capacity: None,
            bookings: 1,
            hours: None,
            ahead_days: None,
            longest_minutes: None,
            series: true,
        }
    }
}

/// Working hours: days, from, before, and on whose clock. `mo-fr 08:00-18:00 Europe/Berlin`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Hours {
    days: Vec<u8>,
    /// Minutes of the day.
    from: u16,
    before: u16,
    zone: String,
}

const DAYS: [&str; 7] = ["mo", "tu", "we", "th", "fr", "sa", "su"];

/// A text that says no working hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hours are DAYS FROM-UNTIL ZONE, such as “mo-fr 08:00-18:00 Europe/Berlin”")]
pub struct InvalidHours;

impl FromStr for Hours {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days, times, zone] = words[..] else { return Err(InvalidHours) };
        let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name)).ok_or(InvalidHours);
        let mut chosen = Vec::new();
        for part in days.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            if first > last {
                return Err(InvalidHours);
            }
            chosen.extend((first..=last).filter_map(|day| u8::try_from(day).ok()));
        }
        chosen.sort_unstable();
        chosen.dedup();
        let minutes = |text: &str| -> Option<u16> {
            let (hours, minutes) = text.split_once(':')?;
            let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
            (hours <= 24 && minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
        };
        let (from, before) = times.split_once('-').ok_or(InvalidHours)?;
        let (from, before) =
            minutes(from).zip(minutes(before)).filter(|(from, before)| from < before).ok_or(InvalidHours)?;
        Zone::named(zone).ok_or(InvalidHours)?;
        Ok(Hours { days: chosen, from, before, zone: zone.to_owned() })
    }
}

impl TryFrom<String> for Hours {
    type Error = InvalidHours;
    fn try_from(text: String) -> Result<Self, InvalidHours> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> String {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: u8| DAYS.get(usize::from(day)).copied().unwrap_or_default();
        // Days in a row as people write them: what was typed comes back as it was.
        let rows = self.days.chunk_by(|day, next| day + 1 == *next).map(|row| match *row {
            [day] => name(day).to_owned(),
            [first, last] => format!("{},{}", name(first), name(last)),
            [first, .., last] => format!("{}-{}", name(first), name(last)),
            [] => String::new(),
        });
        let days: Vec<String> = rows.collect();
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{} {}-{} {}", days.join(","), time(self.from), time(self.before), self.zone)
    }
}

impl Hours {
    /// Whether a booking lies within them: within one day's.
    fn hold(&self, start: i64, end: i64) -> bool {
        let Some(zone) = Zone::named(&self.zone) else { return true };
        let (from, before) = (zone.civil(start), zone.civil(end));
        let minute = |at: DateTime| u16::try_from(i32::from(at.hour()) * 60 + i32::from(at.minute())).unwrap_or(0);
        let day = match from.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        // Midnight at the end is the end of the day before.
        let is_midnight = end - start <= DAY_S && minute(before) == 0 && before.date() != from.date();
        let last = if is_midnight { 24 * 60 } else { minute(before) };
        self.days.contains(&day)
            && (before.date() == from.date() || is_midnight)
            && minute(from) >= self.from
            && last <= self.before
    }
}

/// What a resource says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Accept,
    /// No, and why.
    Decline(Why),
    /// Its managers are to say.
    Ask,
    /// Nothing.
    Silence,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is taken.
    Taken,
    /// Outside of its hours.
    Hours,
    /// Too far ahead.
    Ahead,
    /// For too long.
    Long,
    /// Not for series.
    Series,
    /// Too many people.
    People,
    /// The series has too many times.
    Times,
}

impl Rules {
    /// How far ahead somebody must look who asks when it is taken: seconds since 1970.
    pub fn horizon(&self, now_s: i64) -> i64 {
        let days = self.ahead_days.map_or(AHEAD_DAYS, i64::from);
        now_s.saturating_add((days + 1) * DAY_S)
    }

    /// The clock that it lives by: floating times and whole days of bookings are meant on it. `None` when its rules say
    /// nothing of one.
    pub fn zone(&self) -> Option<Zone> {
        self.hours.as_ref().and_then(|hours| Zone::named(&hours.zone))
    }

    /// What it says to an invitation: `busy` is when it is taken by others, from now to [`Rules::horizon`], and
    /// `floating` whose clock floating times are on.
    pub fn decide(
        &self,
        invitation: &Calendar,
        floating: &Zone,
        (busy, people): (&FreeBusy, usize),
        now_s: i64,
    ) -> Decision {
        if self.answers == Answers::Nobody {
            return Decision::Silence;
        }
        let series = Series::of(invitation, floating);
        match self.refusal(&series, busy, people, now_s) {
            Some(why) => Decision::Decline(why),
            None if self.answers == Answers::Managers => Decision::Ask,
            None => Decision::Accept,
        }
    }

    fn refusal(&self, series: &Series<'_>, busy: &FreeBusy, people: usize, now_s: i64) -> Option<Why> {
        if self.capacity.is_some_and(|most| people > most as usize) {
            return Some(Why::People);
        }
        if !self.series && series.is_recurring() {
            return Some(Why::Series);
        }
        let horizon = self.horizon(now_s);
        let (first, last) = series.bounds();
        let ends_late = last.is_none_or(|last| last > horizon + DAY_S);
        // Nobody knows what is taken beyond; a series without a limit is only looked at up to there.
        if first > horizon || (ends_late && (self.ahead_days.is_some() || !series.is_recurring())) {
            return Some(Why::Ahead);
        }
        // Without all that is taken nothing can be promised.
        if busy.is_cut {
            return Some(Why::Times);
        }
        let (mut why, mut times) = (None, 0);
        // What is before now is nobody's concern any more.
        let complete = series.visit((now_s, horizon), &mut |instance| {
            times += 1;
            why = why.or_else(|| self.refusal_of(instance.start_s, instance.end_s, busy));
            why = why.or((times > BOOKED_TIMES_MAX).then_some(Why::Times));
            if why.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        why.or((!complete).then_some(Why::Times))
    }

    fn refusal_of(&self, start: i64, end: i64, busy: &FreeBusy) -> Option<Why> {
        if self.longest_minutes.is_some_and(|most| end - start > i64::from(most) * 60) {
            return Some(Why::Long);
        }
        if self.hours.as_ref().is_some_and(|hours| !hours.hold(start, end)) {
            return Some(Why::Hours);
        }
        (overlap(start, end, busy) >= self.bookings.max(1) as usize).then_some(Why::Taken)
    }
}

/// How many bookings there are at the same time at most, within this time. One during which nobody can have it is as
/// many as there can be.
fn overlap(start: i64, end: i64, busy: &FreeBusy) -> usize {
    let mut edges: Vec<(i64, i32)> = Vec::new();
    for (from, before, how) in busy.periods().iter().filter(|(from, before, _)| *from < end && *before > start) {
        match how {
            Busy::Unavailable => return usize::MAX,
            // What was not answered yet takes nothing from whoever is answered first.
            Busy::Tentative => continue,
            Busy::Busy => {}
        }
        edges.extend([(*from, 1), (*before, -1)]);
    }
    // What ends at a moment leaves it to what begins then.
    edges.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, step) in edges {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::time::parse_utc;

    fn at(text: &str) -> i64 {
        parse_utc(text).unwrap()
    }

    fn event(lines: &str) -> Calendar {
        let lines = lines.replace('\n', "\r\n");
        let text = format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        );
        Calendar::parse(text.as_bytes()).unwrap()
    }

    fn decide(rules: &Rules, lines: &str, taken: &[(&str, &str)]) -> Decision {
        let now = at("20250301T000000Z");
        let range = (now, rules.horizon(now));
        let mut busy = FreeBusy::default();
        for (from, before) in taken {
            busy.add_period((at(from), at(before), Busy::Busy), range);
        }
        let floating = rules.zone().unwrap_or(Zone::Utc);
        rules.decide(&event(lines), &floating, (&busy, 3), now)
    }

    const TEN: &str = "DTSTART:20250303T100000Z\nDTEND:20250303T110000Z";

    #[test]
    fn what_is_taken_is_taken() {
        let rules = Rules::default();
        assert_eq!(decide(&rules, TEN, &[]), Decision::Accept);
        assert_eq!(decide(&rules, TEN, &[("20250303T103000Z", "20250303T120000Z")]), Decision::Decline(Why::Taken));
        assert_eq!(decide(&rules, TEN, &[("20250303T110000Z", "20250303T120000Z")]), Decision::Accept);
        let two = Rules { bookings: 2, ..Rules::default() };
        let one_after_the_other = [("20250303T100000Z", "20250303T103000Z"), ("20250303T103000Z", "20250303T110000Z")];
        assert_eq!(decide(&two, TEN, &one_after_the_other), Decision::Accept);
        let both = [("20250303T100000Z", "20250303T104500Z"), ("20250303T103000Z", "20250303T110000Z")];
        assert_eq!(decide(&two, TEN, &both), Decision::Decline(Why::Taken));
        // One of a series is enough.
        let weekly = format!("{TEN}\nRRULE:FREQ=WEEKLY;COUNT=9");
        assert_eq!(decide(&rules, &weekly, &[("20250331T103000Z", "20250331T120000Z")]), Decision::Decline(Why::Taken));
    }

    #[test]
    fn single_times_far_ahead_hide_nothing() {
        let rules = Rules::default();
        let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20250303T100000Z\r\n\
            DTEND:20250303T110000Z\r\nRRULE:FREQ=WEEKLY;COUNT=9\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:1\r\n\
            RECURRENCE-ID:20250317T100000Z\r\nDTSTART:20310303T100000Z\r\nDTEND:20310303T110000Z\r\nEND:VEVENT\r\n\
            END:VCALENDAR\r\n";
        let now = at("20250301T000000Z");
        let mut busy = FreeBusy::default();
        let taken = (at("20250331T103000Z"), at("20250331T120000Z"), Busy::Busy);
        busy.add_period(taken, (now, rules.horizon(now)));
        let series = Calendar::parse(text.as_bytes()).unwrap();
        assert_eq!(rules.decide(&series, &Zone::Utc, (&busy, 1), now), Decision::Decline(Why::Taken));
        busy.is_cut = true;
        assert_eq!(rules.decide(&event(TEN), &Zone::Utc, (&busy, 1), now), Decision::Decline(Why::Times));
        let later = "DTSTART:20350303T100000Z\nDTEND:20350303T110000Z\nRRULE:FREQ=WEEKLY;COUNT=9";
        assert_eq!(decide(&rules, later, &[]), Decision::Decline(Why::Ahead));
    }

    #[test]
    fn rules_are_kept() {
        let hours: Hours = "mo-fr 08:00-18:00 Europe/Berlin".parse().unwrap();
        assert_eq!(hours.to_string(), "mo-fr 08:00-18:00 Europe/Berlin");
        let written = |text: &str| text.parse::<Hours>().unwrap().to_string();
        assert_eq!(written("MO-we,FR-sa 8:00-24:00 UTC"), "mo-we,fr,sa 08:00-24:00 UTC");
        assert_eq!(written("su,mo 00:00-1:05 UTC"), "mo,su 00:00-01:05 UTC");
        assert_eq!(hours.to_string().parse(), Ok(hours.clone()));
        let rules = Rules {
            hours: Some(hours),
            capacity: Some(3),
            ahead_days: Some(30),
            longest_minutes: Some(120),
            ..Rules::default()
        };
        assert_eq!(decide(&rules, TEN, &[]), Decision::Accept);
        let no = |lines: &str| decide(&rules, lines, &[]);
        assert_eq!(no("DTSTART:20250303T163000Z\nDTEND:20250303T173000Z"), Decision::Decline(Why::Hours));
        assert_eq!(no("DTSTART:20250302T100000Z\nDTEND:20250302T110000Z"), Decision::Decline(Why::Hours));
        assert_eq!(no("DTSTART:20250303T100000Z\nDTEND:20250303T123000Z"), Decision::Decline(Why::Long));
        assert_eq!(no("DTSTART:20250505T100000Z\nDTEND:20250505T110000Z"), Decision::Decline(Why::Ahead));
        assert_eq!(no(&format!("{TEN}\nRRULE:FREQ=WEEKLY")), Decision::Decline(Why::Ahead));
        assert_eq!(no(&format!("{TEN}\nRRULE:FREQ=WEEKLY;COUNT=3")), Decision::Accept);
        let small = Rules { capacity: Some(2), ..Rules::default() };
        assert_eq!(decide(&small, TEN, &[]), Decision::Decline(Why::People));
        let single = Rules { series: false, ..Rules::default() };
        assert_eq!(decide(&single, &format!("{TEN}\nRRULE:FREQ=DAILY;COUNT=2"), &[]), Decision::Decline(Why::Series));
        let asked = Rules { answers: Answers::Managers, ..Rules::default() };
        assert_eq!(decide(&asked, TEN, &[]), Decision::Ask);
        for wrong in ["", "mo 8-18 UTC", "fr-mo 08:00-18:00 UTC", "mo 18:00-08:00 UTC", "mo 08:00-18:00 Nowhere/X"] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
        // An endless series is looked at as far as anybody looks.
        assert_eq!(decide(&Rules::default(), &format!("{TEN}\nRRULE:FREQ=WEEKLY"), &[]), Decision::Accept);
    }

    #[test]
    fn floating_times_are_on_the_clock_of_the_room() {
        let hours = Some("mo-fr 08:00-18:00 America/New_York".parse().unwrap());
        let rules = Rules { hours, ..Rules::default() };
        let floating = "DTSTART:20250303T090000\r\nDTEND:20250303T100000";
        assert_eq!(decide(&rules, floating, &[]), Decision::Accept);
        assert_eq!(
            decide(&rules, floating, &[("20250303T143000Z", "20250303T150000Z")]),
            Decision::Decline(Why::Taken)
        );
        assert_eq!(decide(&rules, floating, &[("20250303T093000Z", "20250303T100000Z")]), Decision::Accept);
    }
}
