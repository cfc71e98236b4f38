//! Recurrence rules (RFC 5545 section 3.3.10): parsing, and what they say when.
//!
//! Rules are worked out on the clock of the wall; zones come in afterwards. A rule without COUNT is entered where it is
//! needed ([`Expansion::from`]), so that what has repeated since 1970 costs no more than what began today.

use std::collections::VecDeque;

use jiff::civil::{Date, DateTime, Time, Weekday};

use super::time::{DAY_S, Moment, add_days, civil_of, instant_of};
use super::zone::Zones;

/// Most values of one BY part; all that make sense fit.
const VALUES_MAX: usize = 400;

/// Most candidates in one period: the seconds of a day.
const CANDIDATES_MAX: usize = 86_400;

/// How much work one expansion may be: days looked at and times found.
const WORK_MAX: u64 = 500_000;

/// FREQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Frequency {
    Secondly,
    Minutely,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// UNTIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// As written.
    pub civil: DateTime,
    /// Whether it is in UTC, and not on the clock of the wall.
    pub is_utc: bool,
    /// Whether it is a date: all of that day is in.
    pub is_date: bool,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// FREQ
    pub frequency: Frequency,
    /// INTERVAL
    pub interval: i64,
    /// COUNT
    pub count: Option<u64>,
    /// UNTIL
    pub until: Option<Until>,
    by_second: Vec<i16>,
    by_minute: Vec<i16>,
    by_hour: Vec<i16>,
    by_day: Vec<(i16, Weekday)>,
    by_month_day: Vec<i16>,
    by_year_day: Vec<i16>,
    by_week_no: Vec<i16>,
    by_month: Vec<i16>,
    by_set_pos: Vec<i16>,
    week_start: Weekday,
}

impl Rule {
    /// From its text; `None` when it is none that we can work out.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rule = Rule {
            frequency: Frequency::Daily,
            interval: 1,
            count: None,
            until: None,
            by_second: Vec::new(),
            by_minute: Vec::new(),
            by_hour: Vec::new(),
            by_day: Vec::new(),
            by_month_day: Vec::new(),
            by_year_day: Vec::new(),
            by_week_no: Vec::new(),
            by_month: Vec::new(),
            by_set_pos: Vec::new(),
            week_start: Weekday::Monday,
        };
        let mut has_frequency = false;
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let value = value.trim();
            match name.trim().to_ascii_uppercase().as_str() {
                "FREQ" => {
                    rule.frequency = frequency(value)?;
                    has_frequency = true;
                }
                "INTERVAL" => rule.interval = value.parse().ok().filter(|n| (1..=1_000_000_000).contains(n))?,
                "COUNT" => rule.count = Some(value.parse().ok().filter(|n| *n > 0)?),
                "UNTIL" => rule.until = Some(until(value)?),
                "BYSECOND" => rule.by_second = numbers(value, 0, 60)?,
                "BYMINUTE" => rule.by_minute = numbers(value, 0, 59)?,
                "BYHOUR" => rule.by_hour = numbers(value, 0, 23)?,
                "BYDAY" => rule.by_day = days(value)?,
                "BYMONTHDAY" => rule.by_month_day = numbers(value, -31, 31)?,
                "BYYEARDAY" => rule.by_year_day = numbers(value, -366, 366)?,
                "BYWEEKNO" => rule.by_week_no = numbers(value, -53, 53)?,
                "BYMONTH" => rule.by_month = numbers(value, 1, 12)?,
                "BYSETPOS" => rule.by_set_pos = numbers(value, -366, 366)?,
                "WKST" => rule.week_start = weekday(value)?,
                // Other calendars than the usual one (RFC 7529).
                "RSCALE" if !value.eq_ignore_ascii_case("GREGORIAN") => return None,
                _ => {}
            }
        }
        has_frequency.then_some(rule)
    }

    /// Whether it goes on for ever.
    pub fn is_endless(&self) -> bool {
        self.count.is_none() && self.until.is_none()
    }
}

fn frequency(text: &str) -> Option<Frequency> {
    Some(match text.to_ascii_uppercase().as_str() {
        "SECONDLY" => Frequency::Secondly,
        "MINUTELY" => Frequency::Minutely,
        "HOURLY" => Frequency::Hourly,
        "DAILY" => Frequency::Daily,
        "WEEKLY" => Frequency::Weekly,
        "MONTHLY" => Frequency::Monthly,
        "YEARLY" => Frequency::Yearly,
        _ => return None,
    })
}

fn until(text: &str) -> Option<Until> {
    let moment = Moment::parse(text, None, &Zones::default())?;
    Some(Until { civil: moment.civil, is_utc: text.ends_with(['Z', 'z']), is_date: moment.is_date })
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

/// In order, each once. Zero is left out where numbers may be negative: it means nothing there.
fn numbers(text: &str, least: i16, most: i16) -> Option<Vec<i16>> {
    let mut numbers = Vec::new();
    for number in text.split(',') {
        let number: i16 = number.trim().parse().ok()?;
        if !(least..=most).contains(&number) || numbers.len() >= VALUES_MAX {
            return None;
        }
        if number != 0 || least >= 0 {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

fn days(text: &str) -> Option<Vec<(i16, Weekday)>> {
    let mut days = Vec::new();
    for day in text.split(',').map(str::trim) {
        let (ordinal, name) = day.split_at_checked(day.len().checked_sub(2)?)?;
        let ordinal = if ordinal.is_empty() { 0 } else { ordinal.parse().ok()? };
        if !(-53..=53).contains(&ordinal) || days.len() >= VALUES_MAX {
            return None;
        }
        days.push((ordinal, weekday(name)?));
    }
    Some(days)
}

/// What a rule says from a start on, in order. The start itself is always the first, and counts (RFC 5545 section
/// 3.8.5.3).
pub struct Expansion {
    rule: Rule,
    start: DateTime,
    from: DateTime,
    /// The day on which the first week begins.
    first_week: Date,
    /// The next period to be looked at.
    period: i64,
    found: VecDeque<DateTime>,
    /// How many were found, the start included.
    count: u64,
    work: u64,
    started: bool,
    /// Whether the start counts only if the rule says it.
    only_ruled: bool,
    ended: bool,
    /// Whether it ended because it was too much work: there may be more.
    pub is_cut: bool,
}

impl Expansion {
    /// From this start, on the clock of the wall. UNTIL must be on the same clock.
    pub fn new(rule: &Rule, start: DateTime) -> Self {
        let rule = with_defaults(rule.clone(), start);
        let into_week = days_from(start.date().weekday(), rule.week_start);
        let first_week = add_days(start.date(), -into_week).unwrap_or(Date::MIN);
        Expansion {
            rule,
            start,
            from: start,
            first_week,
            period: 0,
            found: VecDeque::new(),
            count: 0,
            work: 0,
            started: false,
            only_ruled: false,
            ended: false,
            is_cut: false,
        }
    }

    /// Without the start, unless the rule says it: what an EXRULE (RFC 2445 section 4.8.5.2) takes out.
    pub fn ruled(self) -> Self {
        Expansion { only_ruled: true, started: true, ..self }
    }

    /// Leaves out what is before this; without going through it, where nothing is to be counted.
    pub fn from(mut self, from: DateTime) -> Self {
        self.from = from.max(self.start);
        if self.from <= self.start {
            return self;
        }
        if self.rule.count.is_none() {
            self.started = true;
            let periods = match self.rule.frequency {
                Frequency::Yearly => i64::from(self.from.year() - self.start.year()),
                Frequency::Monthly => months(self.from.date()) - months(self.start.date()),
                Frequency::Weekly => days_between(self.first_week, self.from.date()) / 7,
                Frequency::Daily => days_between(self.start.date(), self.from.date()),
                _ => (instant_of(self.from) - instant_of(self.start)) / self.unit_s(),
            };
            self.period = (periods / self.rule.interval - 1).max(0);
        }
        self
    }

    fn unit_s(&self) -> i64 {
        match self.rule.frequency {
            Frequency::Secondly => 1,
            Frequency::Minutely => 60,
            Frequency::Hourly => 3600,
            _ => DAY_S,
        }
    }

    /// Looks at the next period.
    fn fill(&mut self) {
        let steps = self.period.saturating_mul(self.rule.interval);
        let mut times = match self.rule.frequency {
            Frequency::Yearly => match Date::new(self.year(steps), 1, 1) {
                Ok(first) => self.of_days(first, i64::from(first.days_in_year())),
                Err(_) => return self.end(),
            },
            Frequency::Monthly => match month_at(months(self.start.date()).saturating_add(steps)) {
                Some(first) => self.of_days(first, i64::from(first.days_in_month())),
                None => return self.end(),
            },
            Frequency::Weekly => match add_days(self.first_week, steps.saturating_mul(7)) {
                Some(first) => self.of_days(first, 7),
                None => return self.end(),
            },
            Frequency::Daily => match add_days(self.start.date(), steps) {
                Some(day) => self.of_days(day, 1),
                None => return self.end(),
            },
            _ => return self.fill_within_day(steps),
        };
        self.period += 1;
        self.choose(&mut times);
    }

    fn year(&self, steps: i64) -> i16 {
        i16::try_from(i64::from(self.start.year()).saturating_add(steps)).unwrap_or(i16::MAX)
    }

    /// The times of those of these days that match.
    fn of_days(&mut self, first: Date, days: i64) -> Vec<DateTime> {
        let mut times = Vec::new();
        let mut day = Some(first);
        for _ in 0..days {
            let Some(date) = day else { break };
            self.work += 1;
            if self.is_day(date) {
                self.times_of(date, &mut times);
            }
            day = date.tomorrow().ok();
        }
        times
    }

    fn times_of(&mut self, date: Date, times: &mut Vec<DateTime>) {
        for hour in &self.rule.by_hour {
            for minute in &self.rule.by_minute {
                for second in &self.rule.by_second {
                    if times.len() >= CANDIDATES_MAX {
                        self.is_cut = true;
                        return;
                    }
                    self.work += 1;
                    times.extend(time(*hour, *minute, *second).map(|time| date.to_datetime(time)));
                }
            }
        }
    }

    /// The same for periods shorter than a day. What doesn't match as a day or an hour is leapt over.
    fn fill_within_day(&mut self, steps: i64) {
        let unit = self.unit_s();
        let whole = instant_of(self.start).div_euclid(unit) * unit;
        let at = steps.checked_mul(unit).and_then(|s| whole.checked_add(s)).filter(|s| *s < instant_of(DateTime::MAX));
        let Some(at) = at else { return self.end() };
        self.work += 1;
        let civil = civil_of(at);
        let matches = |values: &[i16], value: i8| values.is_empty() || values.contains(&i16::from(value));
        let next = if !self.is_day(civil.date()) {
            (at.div_euclid(DAY_S) + 1) * DAY_S
        } else if !matches(&self.rule.by_hour, civil.hour()) {
            (at.div_euclid(3600) + 1) * 3600
        } else if unit < 3600 && !matches(&self.rule.by_minute, civil.minute()) {
            (at.div_euclid(60) + 1) * 60
        } else {
            let mut times = Vec::new();
            match self.rule.frequency {
                Frequency::Hourly => {
                    for minute in &self.rule.by_minute {
                        for second in &self.rule.by_second {
                            let time = time(i16::from(civil.hour()), *minute, *second);
                            times.extend(time.map(|time| civil.date().to_datetime(time)));
                        }
                    }
                }
                Frequency::Minutely => {
                    let of = |second: &i16| time(i16::from(civil.hour()), i16::from(civil.minute()), *second);
                    times.extend(self.rule.by_second.iter().filter_map(of).map(|time| civil.date().to_datetime(time)));
                }
                _ if matches(&self.rule.by_second, civil.second()) => times.push(civil),
                _ => {}
            }
            self.work += times.len() as u64;
            self.period += 1;
            return self.choose(&mut times);
        };
        let step = self.rule.interval.saturating_mul(unit);
        self.period += ((next - at) + step - 1) / step;
    }

    /// Takes what BYSETPOS leaves of a period.
    fn choose(&mut self, times: &mut Vec<DateTime>) {
        times.sort_unstable();
        times.dedup();
        if !self.rule.by_set_pos.is_empty() {
            let len = times.len();
            let at = |position: &i16| match usize::from(position.unsigned_abs()) {
                n if *position > 0 => n.checked_sub(1).filter(|n| *n < len),
                n => len.checked_sub(n),
            };
            let mut chosen: Vec<_> = self.rule.by_set_pos.iter().filter_map(at).map(|at| times[at]).collect();
            chosen.sort_unstable();
            chosen.dedup();
            *times = chosen;
        }
        let (start, only_ruled) = (self.start, self.only_ruled);
        self.found.extend(times.iter().copied().filter(|time| *time > start || (only_ruled && *time == start)));
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn is_day(&self, date: Date) -> bool {
        let rule = &self.rule;
        let either = |values: &[i16], forth: i16, back: i16| values.contains(&forth) || values.contains(&back);
        (rule.by_month.is_empty() || rule.by_month.contains(&i16::from(date.month())))
            && (rule.by_month_day.is_empty()
                || either(
                    &rule.by_month_day,
                    i16::from(date.day()),
                    i16::from(date.day()) - i16::from(date.days_in_month()) - 1,
                ))
            && (rule.by_year_day.is_empty()
                || either(&rule.by_year_day, date.day_of_year(), date.day_of_year() - date.days_in_year() - 1))
            && (rule.by_week_no.is_empty() || {
                let (week, weeks) = week_of(date, rule.week_start);
                either(&rule.by_week_no, week, week - weeks - 1)
            })
            && (rule.by_day.is_empty() || rule.by_day.iter().any(|day| self.is_weekday(date, *day)))
    }

    fn is_weekday(&self, date: Date, (ordinal, weekday): (i16, Weekday)) -> bool {
        if date.weekday() != weekday {
            return false;
        }
        let in_month = match self.rule.frequency {
            Frequency::Monthly => true,
            Frequency::Yearly => !self.rule.by_month.is_empty(),
            _ => return true,
        };
        let (day, days) = match in_month {
            true => (i16::from(date.day()), i16::from(date.days_in_month())),
            false => (date.day_of_year(), date.days_in_year()),
        };
        ordinal == 0 || ordinal == (day - 1) / 7 + 1 || ordinal == -((days - day) / 7 + 1)
    }

    fn is_over(&self, time: DateTime) -> bool {
        let is_late = |until: Until| match until.is_date {
            true => time.date() > until.civil.date(),
            false => time > until.civil,
        };
        self.rule.until.is_some_and(is_late) || self.rule.count.is_some_and(|count| self.count > count)
    }
}

impl Iterator for Expansion {
    type Item = DateTime;

    fn next(&mut self) -> Option<DateTime> {
        if !self.started {
            self.started = true;
            self.count = 1;
            if self.from <= self.start {
                return Some(self.start);
            }
        }
        while !self.ended {
            while let Some(time) = self.found.pop_front() {
                self.count += 1;
                if self.is_over(time) {
                    self.ended = true;
                    return None;
                }
                if time >= self.from {
                    return Some(time);
                }
            }
            if self.work > WORK_MAX {
                (self.ended, self.is_cut) = (true, true);
                return None;
            }
            self.fill();
        }
        None
    }
}

/// What the start says where the rule says nothing (RFC 5545 section 3.3.10).
fn with_defaults(mut rule: Rule, start: DateTime) -> Rule {
    let says_no_day = rule.by_week_no.is_empty()
        && rule.by_year_day.is_empty()
        && rule.by_month_day.is_empty()
        && rule.by_day.is_empty();
    if says_no_day {
        match rule.frequency {
            Frequency::Yearly => {
                if rule.by_month.is_empty() {
                    rule.by_month.push(i16::from(start.month()));
                }
                rule.by_month_day.push(i16::from(start.day()));
            }
            Frequency::Monthly => rule.by_month_day.push(i16::from(start.day())),
            Frequency::Weekly => rule.by_day.push((0, start.date().weekday())),
            _ => {}
        }
    }
    let default = |values: &mut Vec<i16>, value: i8| {
        if values.is_empty() {
            values.push(i16::from(value));
        }
    };
    if rule.frequency > Frequency::Hourly {
        default(&mut rule.by_hour, start.hour());
    }
    if rule.frequency > Frequency::Minutely {
        default(&mut rule.by_minute, start.minute());
    }
    if rule.frequency > Frequency::Secondly {
        default(&mut rule.by_second, start.second());
    }
    rule
}

fn time(hour: i16, minute: i16, second: i16) -> Option<Time> {
    let small = |n: i16| i8::try_from(n).ok();
    // A leap second is the one before it.
    Time::new(small(hour)?, small(minute)?, small(second.min(59))?, 0).ok()
}

fn days_from(day: Weekday, first: Weekday) -> i64 {
    let n = |day: Weekday| i64::from(day.to_monday_zero_offset());
    (n(day) - n(first)).rem_euclid(7)
}

fn days_between(from: Date, to: Date) -> i64 {
    let day = |date: Date| instant_of(date.to_datetime(Time::midnight())).div_euclid(DAY_S);
    day(to) - day(from)
}

fn months(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

fn month_at(months: i64) -> Option<Date> {
    let (year, month) = (i16::try_from(months.div_euclid(12)).ok()?, i8::try_from(months.rem_euclid(12) + 1).ok()?);
    Date::new(year, month, 1).ok()
}

/// The number of a day's week, and how many weeks its year has: the first one has four days of the year at least.
fn week_of(date: Date, first: Weekday) -> (i16, i16) {
    let into_week = days_from(date.weekday(), first) as i16;
    let week = (date.day_of_year() - into_week + 9) / 7;
    if week < 1 {
        let weeks = weeks_in(date.year() - 1, first);
        return (weeks, weeks);
    }
    match weeks_in(date.year(), first) {
        weeks if week > weeks => (1, weeks_in(date.year() + 1, first)),
        weeks => (week, weeks),
    }
}

fn weeks_in(year: i16, first: Weekday) -> i16 {
    let Ok(new_year) = Date::new(year, 1, 1) else { return 52 };
    let into_week = days_from(new_year.weekday(), first);
    if into_week == 3 || (into_week == 2 && new_year.in_leap_year()) { 53 } else { 52 }
}

#[cfg(test)]
mod tests {
    use super::super::time::civil_text;
    use super::*;

    fn at(text: &str) -> DateTime {
        Moment::parse(text, None, &Zones::default()).unwrap().civil
    }

    fn first(start: &str, rule: &str, n: usize) -> Vec<String> {
        Expansion::new(&Rule::parse(rule).unwrap(), at(start)).take(n).map(civil_text).collect()
    }

    fn dates(start: &str, rule: &str, n: usize) -> String {
        first(start, rule, n).iter().map(|text| &text[..8]).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (start, rule, expected) in [
            ("19970902T090000", "FREQ=DAILY;INTERVAL=10;COUNT=5", "19970902 19970912 19970922 19971002 19971012"),
            ("19970902T090000", "FREQ=WEEKLY;INTERVAL=2;WKST=SU", "19970902 19970916 19970930 19971014 19971028"),
            (
                "19970902T090000",
                "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
                "19970902 19970904 19970909 19970911 19970916",
            ),
            (
                "19970805T090000",
                "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
                "19970805 19970810 19970819 19970824",
            ),
            (
                "19970805T090000",
                "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
                "19970805 19970817 19970819 19970831",
            ),
            ("19970905T090000", "FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "19970905 19971003 19971107 19971205 19980102"),
            ("19970922T090000", "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "19970922 19971020 19971117 19971222 19980119"),
            ("19970928T090000", "FREQ=MONTHLY;BYMONTHDAY=-3", "19970928 19971029 19971128 19971229 19980129"),
            (
                "19970930T090000",
                "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
                "19970930 19971001 19971031 19971101 19971130",
            ),
            ("19970610T090000", "FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "19970610 19970710 19980610 19980710 19990610"),
            (
                "19970101T090000",
                "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
                "19970101 19970410 19970719 20000101 20000409",
            ),
            ("19970519T090000", "FREQ=YEARLY;BYDAY=20MO", "19970519 19980518 19990517 20000515 20010514"),
            ("19970512T090000", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "19970512 19980511 19990517 20000515 20010514"),
            ("19970313T090000", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "19970313 19970320 19970327 19980305 19980312"),
            ("19980213T090000", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "19980213 19980313 19981113 19990813 20001013"),
            (
                "19961105T090000",
                "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
                "19961105 20001107 20041102 20081104 20121106",
            ),
            ("19970904T090000", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "19970904 19971007 19971106"),
            (
                "19970929T090000",
                "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
                "19970929 19971030 19971127 19971230 19980129",
            ),
            ("20240229T090000", "FREQ=YEARLY", "20240229 20280229 20320229 20360229 20400229"),
            ("20250131T090000", "FREQ=MONTHLY", "20250131 20250331 20250531 20250731 20250831"),
        ] {
            assert_eq!(dates(start, rule, 5), expected, "{rule}");
        }
        let every = first("19970902T090000", "FREQ=MINUTELY;INTERVAL=90;COUNT=4", 9);
        assert_eq!(every, ["19970902T090000", "19970902T103000", "19970902T120000", "19970902T133000"]);
        let every = first("19970902T090000", "FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,40", 4);
        assert_eq!(every, ["19970902T090000", "19970902T094000", "19970902T100000", "19970902T104000"]);
        let every = first("19970902T090000", "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9", 4);
        assert_eq!(every, ["19970902T090000", "19970902T092000", "19970902T094000", "19970903T090000"]);
    }

    #[test]
    fn entered_late_it_says_the_same() {
        for rule in [
            "FREQ=DAILY",
            "FREQ=DAILY;INTERVAL=3;BYMONTH=1,7",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU",
            "FREQ=MONTHLY;BYDAY=-1FR",
            "FREQ=MONTHLY;INTERVAL=5",
            "FREQ=YEARLY;BYWEEKNO=1,53",
            "FREQ=HOURLY;INTERVAL=7",
            "FREQ=MINUTELY;INTERVAL=999;BYHOUR=4,5",
            "FREQ=DAILY;COUNT=400",
            "FREQ=WEEKLY;UNTIL=19990101T000000Z",
            "FREQ=SECONDLY;INTERVAL=86399",
            "FREQ=YEARLY;INTERVAL=3;BYDAY=MO;BYSETPOS=-1",
        ] {
            let (rule, start) = (Rule::parse(rule).unwrap(), at("19970115T093000"));
            for from in ["19960101T000000", "19970115T093000", "19970115T093001", "19980405T000000", "20010101T000000"]
            {
                let slow: Vec<_> = Expansion::new(&rule, start).skip_while(|time| *time < at(from)).take(20).collect();
                let fast: Vec<_> = Expansion::new(&rule, start).from(at(from)).take(20).collect();
                assert_eq!(fast, slow, "{rule:?} {from}");
            }
        }
    }

    #[test]
    fn hostile_rules_end() {
        for rule in [
            "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=31",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=MINUTELY;BYYEARDAY=366;BYMONTH=1",
            "FREQ=YEARLY;INTERVAL=1000000000",
            "FREQ=SECONDLY;INTERVAL=1000000000;BYHOUR=3",
        ] {
            assert!(Expansion::new(&Rule::parse(rule).unwrap(), at("20250101T000000")).count() < 10_000, "{rule}");
        }
        let every_second = Rule::parse("FREQ=SECONDLY").unwrap();
        let late = Expansion::new(&every_second, at("19700101T000000")).from(at("20990101T000000")).next();
        assert_eq!(late, Some(at("20990101T000000")));
        let mut counted = Expansion::new(&Rule::parse("FREQ=SECONDLY;COUNT=99999999").unwrap(), at("19700101T000000"));
        assert!(counted.by_ref().count() < 3_000_000 && counted.is_cut);
        for bad in [
            "",
            "FREQ=",
            "INTERVAL=2",
            "FREQ=DAILY;INTERVAL=0",
            "FREQ=DAILY;BYDAY=XX",
            "FREQ=DAILY;BYHOUR=24",
            "FREQ=DAILY;COUNT=-1",
            "FREQ=DAILY;UNTIL=x",
            "FREQ=DAILY;BYDAY=é",
            "RSCALE=HEBREW;FREQ=DAILY",
        ] {
            assert_eq!(Rule::parse(bad), None, "{bad}");
        }
    }
}
