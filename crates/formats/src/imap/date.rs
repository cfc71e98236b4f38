//! Dates: `date` of SEARCH and `date-time` of INTERNALDATE.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use sterna_base::Timestamp;

/// A day, without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub civil::Date);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Date {
    /// A day by its numbers, if there is one.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let (year, month, day) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        civil::Date::new(year, month, day).ok().map(Date)
    }

    /// Its first moment in UTC; `None` for days that time stamps don't reach.
    pub fn midnight(self) -> Option<Timestamp> {
        let moment = Offset::UTC.to_timestamp(self.0.to_datetime(civil::Time::midnight())).ok()?;
        Some(Timestamp(moment.as_millisecond()))
    }

    /// The next day, if there is one.
    pub fn tomorrow(self) -> Option<Self> {
        self.0.tomorrow().ok().map(Date)
    }

    /// The day of a time in UTC: RFC 3501 section 6.4.4 disregards time and zone.
    pub fn of(time: Timestamp) -> Self {
        Date(zoned(time).date())
    }
}

fn zoned(time: Timestamp) -> jiff::Zoned {
    jiff::Timestamp::from_millisecond(time.0).unwrap_or_default().to_zoned(TimeZone::UTC)
}

/// `date-text`: `1-Feb-2026`.
pub fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || !digits(day) || !digits(year) || year.len() != 4 || day.len() > 2 {
        return None;
    }
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? as i8 + 1;
    civil::Date::new(year.parse().ok()?, month, day.parse().ok()?).ok().map(Date)
}

/// `date-time` without its quotes: ` 1-Feb-2026 10:00:00 +0100`.
pub fn parse_date_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.trim_start().split_once(' ')?;
    let (time, zone) = rest.split_once(' ')?;
    let date = parse_date(date)?.0;
    let two = |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?;
    let mut parts = time.split(':');
    let (hour, minute, second) = (two(parts.next()?)?, two(parts.next()?)?, two(parts.next()?)?);
    let time = civil::Time::new(hour, minute, i8::min(second, 59), 0).ok()?;
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (zone_hours, zone_minutes): (i8, i8) = (two(zone.get(1..3)?)?, two(zone.get(3..)?)?);
    let seconds = sign * (i32::from(zone_hours) * 3600 + i32::from(zone_minutes) * 60);
    let offset = Offset::from_seconds(seconds).ok()?;
    let moment = offset.to_timestamp(date.to_datetime(time)).ok()?;
    Some(Timestamp(moment.as_millisecond()))
}

/// `date-time` with its quotes, in UTC.
pub fn write_date_time(time: Timestamp, out: &mut Vec<u8>) {
    // Written by hand: a FETCH of a large mailbox asks for it once for every message.
    let moment = Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(time.0).unwrap_or_default());
    let two = |number: i8| [b'0' + number.unsigned_abs() / 10, b'0' + number.unsigned_abs() % 10];
    let year = moment.year().clamp(0, 9999).unsigned_abs();
    let month = MONTHS[usize::from(moment.month().unsigned_abs()) - 1];
    let mut text = *b"\"01-Jan-1970 00:00:00 +0000\"";
    text[1..3].copy_from_slice(&two(moment.day()));
    if text[1] == b'0' {
        text[1] = b' ';
    }
    text[4..7].copy_from_slice(month.as_bytes());
    text[8..10].copy_from_slice(&two((year / 100) as i8));
    text[10..12].copy_from_slice(&two((year % 100) as i8));
    text[13..15].copy_from_slice(&two(moment.hour()));
    text[16..18].copy_from_slice(&two(moment.minute()));
    text[19..21].copy_from_slice(&two(moment.second()));
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_come_back_in_utc() {
        for (text, written) in [
            (" 1-Feb-2026 10:00:00 +0100", "\" 1-Feb-2026 09:00:00 +0000\""),
            ("31-dec-1999 23:59:60 -0500", "\" 1-Jan-2000 04:59:59 +0000\""),
        ] {
            let mut out = Vec::new();
            write_date_time(parse_date_time(text).unwrap(), &mut out);
            assert_eq!(out, written.as_bytes());
        }
        for wrong in
            ["", "1-Feb-2026", "32-Feb-2026 10:00:00 +0000", "1-Feb-2026 1:00:00 +0000", "1-Feb-26 10:00:00 +0"]
        {
            assert_eq!(parse_date_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_time_is_written_in_its_26_columns() {
        for (ms, written) in [
            (0, "\" 1-Jan-1970 00:00:00 +0000\""),
            (-1, "\"31-Dec-1969 23:59:59 +0000\""),
            (951_827_696_789, "\"29-Feb-2000 12:34:56 +0000\""),
            (253_402_300_799_000 - 2 * 86_400_000, "\"29-Dec-9999 23:59:59 +0000\""),
        ] {
            let mut out = Vec::new();
            write_date_time(Timestamp(ms), &mut out);
            assert_eq!(out.escape_ascii().to_string(), written.as_bytes().escape_ascii().to_string());
        }
    }
}
