//! Dates: `date` of SEARCH and `date-time` of INTERNALDATE.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use sterna_base::Timestamp;

/// A day, without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub civil::Date);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Date {
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
pub fn write_date_time(time: Timestamp, out: &mut bytes::BytesMut) {
    let zoned = zoned(time);
    let month = MONTHS[usize::from(zoned.month().unsigned_abs()) - 1];
    let (day, year) = (zoned.day(), zoned.year());
    let (hour, minute, second) = (zoned.hour(), zoned.minute(), zoned.second());
    let text = format!("\"{day:>2}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000\"");
    out.extend_from_slice(text.as_bytes());
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
            let mut out = bytes::BytesMut::new();
            write_date_time(parse_date_time(text).unwrap(), &mut out);
            assert_eq!(out, written.as_bytes());
        }
        for wrong in
            ["", "1-Feb-2026", "32-Feb-2026 10:00:00 +0000", "1-Feb-2026 1:00:00 +0000", "1-Feb-26 10:00:00 +0"]
        {
            assert_eq!(parse_date_time(wrong), None, "{wrong}");
        }
    }
}
