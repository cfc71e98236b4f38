//! DATE, DATE-TIME, DURATION and PERIOD values (RFC 5545 section 3.3).

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Span};

use super::zone::{Zone, Zones};
use crate::content_line::Property;

/// Seconds of a day.
pub const DAY_S: i64 = 86_400;

/// A DATE or DATE-TIME, in the zone that it was written in.
#[derive(Clone, Debug)]
pub struct Moment {
    /// What the clock on the wall says; midnight for dates.
    pub civil: DateTime,
    /// Whether it is a DATE: all day, and floating.
    pub is_date: bool,
    /// Whose clock.
    pub zone: Zone,
}

impl Moment {
    /// The value of a property with its TZID; `None` when it is none.
    pub fn of(property: &Property, zones: &Zones) -> Option<Self> {
        Moment::parse(first(&property.value), property.parameter_value("TZID"), zones)
    }

    /// All values of a property that is a list (EXDATE, RDATE); what is none is passed over. Of periods the start.
    pub fn all<'a>(property: &'a Property, zones: &'a Zones) -> impl Iterator<Item = Self> + 'a {
        let zone = property.parameter_value("TZID");
        let starts = property.value.split(',').map(|value| value.split('/').next().unwrap_or_default());
        starts.filter_map(move |value| Moment::parse(value, zone, zones))
    }

    /// From its text.
    pub fn parse(text: &str, tzid: Option<&str>, zones: &Zones) -> Option<Self> {
        let text = text.trim();
        let (local, is_utc) = match text.strip_suffix(['Z', 'z']) {
            Some(local) => (local, true),
            None => (text, false),
        };
        let (date, time) = match local.split_once(['T', 't']) {
            Some((date, time)) => (parse_date(date)?, Some(parse_time(time)?)),
            None => (parse_date(local)?, None),
        };
        let is_date = time.is_none();
        let zone = match (is_utc, is_date, tzid) {
            (_, true, _) | (false, _, None) => Zone::Floating,
            (true, ..) => Zone::Utc,
            (false, false, Some(tzid)) => zones.find(tzid),
        };
        Some(Moment { civil: date.to_datetime(time.unwrap_or(Time::midnight())), is_date, zone })
    }

    /// Seconds since 1970; floating times are taken for those of `floating`.
    pub fn instant(&self, floating: &Zone) -> i64 {
        instant(self.civil, &self.zone, floating)
    }

    /// The same moment with another reading of the clock.
    pub fn with_civil(&self, civil: DateTime) -> Self {
        Moment { civil, ..self.clone() }
    }

    /// As a value: UTC with a Z, everything else without.
    pub fn text(&self) -> String {
        match self.is_date {
            true => date_text(self.civil.date()),
            false => format!("{}{}", civil_text(self.civil), if matches!(self.zone, Zone::Utc) { "Z" } else { "" }),
        }
    }
}

/// Seconds since 1970 of a reading of a clock.
pub fn instant(civil: DateTime, zone: &Zone, floating: &Zone) -> i64 {
    match zone {
        Zone::Floating => floating.instant(civil),
        zone => zone.instant(civil),
    }
}

/// `19970714T133000`
pub fn civil_text(civil: DateTime) -> String {
    let (date, time) = (civil.date(), civil.time());
    format!("{}T{:02}{:02}{:02}", date_text(date), time.hour(), time.minute(), time.second())
}

fn date_text(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}

/// `19970714T133000Z` of seconds since 1970.
pub fn utc_text(instant: i64) -> String {
    format!("{}Z", civil_text(civil_of(instant)))
}

/// What a clock of UTC reads; the ends of what clocks can read stand for what is beyond.
pub fn civil_of(instant: i64) -> DateTime {
    let timestamp = jiff::Timestamp::from_second(instant);
    let end = if instant < 0 { DateTime::MIN } else { DateTime::MAX };
    timestamp.map_or(end, |timestamp| jiff::tz::Offset::UTC.to_datetime(timestamp))
}

/// Seconds since 1970 of a clock of UTC.
pub fn instant_of(civil: DateTime) -> i64 {
    // Days of the proleptic Gregorian calendar, counted in years that begin in March: every reading of a clock has a
    // number, which a `Timestamp` has not at the ends.
    let (year, month, day) = (i64::from(civil.year()), i64::from(civil.month()), i64::from(civil.day()));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    days * DAY_S + i64::from(civil.hour()) * 3600 + i64::from(civil.minute()) * 60 + i64::from(civil.second())
}

/// A UTC time as time ranges have it (RFC 4791 section 9.9).
pub fn parse_utc(text: &str) -> Option<i64> {
    let local = text.strip_suffix('Z')?;
    let (date, time) = local.split_once('T')?;
    Some(instant_of(parse_date(date)?.to_datetime(parse_time(time)?)))
}

fn first(value: &str) -> &str {
    value.split(',').next().unwrap_or_default()
}

fn digits(text: &str) -> Option<i16> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

fn parse_date(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.is_ascii() {
        return None;
    }
    let (month, day) = (digits(&text[4..6])?, digits(&text[6..])?);
    Date::new(digits(&text[..4])?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn parse_time(text: &str) -> Option<Time> {
    if text.len() != 6 || !text.is_ascii() {
        return None;
    }
    let two = |at: usize| i8::try_from(digits(&text[at..at + 2])?).ok();
    // A leap second is the one before it.
    Time::new(two(0)?, two(2)?, two(4)?.min(59), 0).ok()
}

/// A DURATION: days follow the clock on the wall, the rest is exact (RFC 5545 section 3.3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duration {
    /// Weeks count seven.
    pub days: i64,
    /// Hours, minutes and seconds.
    pub seconds: i64,
}

/// Longest duration in days: ten thousand years of either sign make no sense.
const DAYS_MAX: i64 = 3_660_000;

impl Duration {
    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mut days, mut seconds, mut number, mut in_time) = (0i64, 0i64, None::<i64>, false);
        for c in text.strip_prefix(['P', 'p'])?.chars() {
            if let Some(digit) = c.to_digit(10) {
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(i64::from(digit))?);
                continue;
            }
            if matches!(c, 'T' | 't') && !in_time && number.is_none() {
                in_time = true;
                continue;
            }
            let n = number.take()?;
            match (c.to_ascii_uppercase(), in_time) {
                ('W', false) => days = days.checked_add(n.checked_mul(7)?)?,
                ('D', false) => days = days.checked_add(n)?,
                ('H', true) => seconds = seconds.checked_add(n.checked_mul(3600)?)?,
                ('M', true) => seconds = seconds.checked_add(n.checked_mul(60)?)?,
                ('S', true) => seconds = seconds.checked_add(n)?,
                _ => return None,
            }
        }
        let fits = number.is_none() && days <= DAYS_MAX && seconds <= DAYS_MAX * DAY_S;
        fits.then_some(Duration { days: sign * days, seconds: sign * seconds })
    }

    /// Between two readings of one clock.
    pub fn between(start: DateTime, end: DateTime) -> Self {
        Duration { days: 0, seconds: instant_of(end) - instant_of(start) }
    }

    /// How long it is at most, in seconds, whatever the clocks do.
    pub fn seconds_max(self) -> i64 {
        self.days * DAY_S + self.seconds
    }

    /// The instant so much after a start.
    pub fn after(self, start: &Moment, floating: &Zone) -> i64 {
        if self.days == 0 {
            return start.instant(floating).saturating_add(self.seconds);
        }
        let moved = add_seconds(start.civil, self.days.saturating_mul(DAY_S));
        instant(moved, &start.zone, floating).saturating_add(self.seconds)
    }
}

/// Another reading of the same clock; stays within what clocks can read.
pub fn add_seconds(civil: DateTime, seconds: i64) -> DateTime {
    let end = if seconds < 0 { DateTime::MIN } else { DateTime::MAX };
    civil.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(end)
}

/// Another date.
pub fn add_days(date: Date, days: i64) -> Option<Date> {
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_seconds_agree() {
        let mut at = -62_000_000_000;
        while at < 253_000_000_000 {
            assert_eq!(instant_of(civil_of(at)), at);
            at += 86_399 * 1013;
        }
        assert!(instant_of(DateTime::MAX) > 253_402_300_000 && instant_of(DateTime::MIN) < -377_000_000_000);
    }

    #[test]
    fn durations() {
        let parsed = |text| Duration::parse(text).map(|duration| (duration.days, duration.seconds));
        assert_eq!(parsed("P15DT5H0M20S"), Some((15, 18_020)));
        assert_eq!(parsed("-P7W"), Some((-49, 0)));
        assert_eq!(parsed("+PT1H"), Some((0, 3600)));
        for bad in ["", "P", "PT", "1H", "P1H", "PT1D", "P1", "PD", "P99999999999999999999D", "P9999999D"] {
            assert!(parsed(bad).is_none_or(|found| found == (0, 0)), "{bad}");
        }
    }

    #[test]
    fn moments() {
        let zones = Zones::default();
        let text = |value| Moment::parse(value, None, &zones).map(|moment| moment.text());
        for good in ["20250102", "20250102T030405", "20250102T030405Z"] {
            assert_eq!(text(good).as_deref(), Some(good));
        }
        assert_eq!(text("20161231T235960Z").as_deref(), Some("20161231T235959Z"));
        for bad in ["20250230", "2025-01-02", "20250102T0304", "", "T", "20250102T", "+0250102", "٢٠٢٥٠١٠٢"] {
            assert_eq!(text(bad), None, "{bad}");
        }
        assert_eq!(parse_utc("19700101T000001Z"), Some(1));
        assert_eq!(parse_utc("19700101T000001"), None);
    }
}
