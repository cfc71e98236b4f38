//! When an object happens: its rules, its dates, and what was changed about single ones.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::ControlFlow;

use jiff::civil::DateTime;

use super::recurrence::{Expansion, Rule};
use super::time::{DAY_S, Duration, Moment, add_seconds, civil_of, instant_of};
use super::{Calendar, Zone};
use crate::content_line::Component;

/// Most single times that an object is asked for in one go.
pub const INSTANCES_MAX: usize = 20_000;

/// Most rules of one component; products write one.
const RULES_MAX: usize = 16;

/// Before and after everything.
const FIRST: i64 = i64::MIN / 4;
const LAST: i64 = i64::MAX / 4;

/// Which times a component has (RFC 4791 section 9.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// From a start to an end.
    Event,
    /// A task that begins, and is due or takes so long.
    Task,
    /// A task that only begins.
    TaskStart,
    /// A task that only is due.
    TaskDue,
    /// A task with other dates, or none: a range of its own, both ends of which count.
    Undated,
    /// A note at a day or a time.
    Journal,
    /// Never.
    Never,
}

/// How far a reading of a clock may be from where its hands stand: a change of the clock, and a bit.
const FOLD_S: i64 = 2 * 3600;

/// A rule, and what it says next.
struct Ahead {
    all: Expansion,
    next: Option<DateTime>,
}

impl Ahead {
    fn of(mut all: Expansion) -> Self {
        let next = all.next();
        Ahead { all, next }
    }

    fn step(&mut self) {
        self.next = self.all.next();
    }
}

/// One component with its times.
#[derive(Clone, Debug)]
struct Timed<'a> {
    component: &'a Component,
    shape: Shape,
    start: Moment,
    length: Duration,
}

/// One that was changed.
#[derive(Clone, Debug)]
struct Override<'a> {
    timed: Timed<'a>,
    id: Moment,
    id_instant: i64,
    this_and_future: bool,
}

/// One time at which an object happens.
#[derive(Clone, Debug)]
pub struct Instance<'a> {
    /// Which of the object's components says so.
    pub component: &'a Component,
    /// Its start, in the zone that it was written in.
    pub start: Moment,
    /// The same in seconds since 1970.
    pub start_s: i64,
    /// Its end.
    pub end_s: i64,
    /// Its RECURRENCE-ID, if there may be more than one.
    pub id: Option<Moment>,
    shape: Shape,
}

impl Instance<'_> {
    /// Whether it is in a range (RFC 4791 section 9.9): from, and before.
    pub fn is_in(&self, (from, before): (i64, i64)) -> bool {
        let (start, end) = (self.start_s, self.end_s);
        match self.shape {
            Shape::Event | Shape::Journal if end > start => start < before && end > from,
            Shape::Event | Shape::Journal | Shape::TaskStart => from <= start && before > start,
            Shape::Task => (from < end || from <= start) && (before > start || before >= end),
            Shape::TaskDue => from < end && before >= end,
            Shape::Undated => from <= end && before >= start,
            Shape::Never => false,
        }
    }
}

/// An object with all that is said about when it happens.
pub struct Series<'a> {
    floating: &'a Zone,
    master: Option<Timed<'a>>,
    rules: Vec<Rule>,
    /// EXRULE, which RFC 5545 has dropped and older programs have written.
    excluding: Vec<Rule>,
    /// Readings of the master's clock, and what was given as a length.
    dates: Vec<(DateTime, Option<Duration>)>,
    excluded: HashSet<i64>,
    excluded_days: HashSet<DateTime>,
    overrides: Vec<Override<'a>>,
}

impl<'a> Series<'a> {
    /// Of an object; floating times are those of this zone.
    pub fn of(calendar: &'a Calendar, floating: &'a Zone) -> Self {
        let mut series = Series {
            floating,
            master: None,
            rules: Vec::new(),
            excluding: Vec::new(),
            dates: Vec::new(),
            excluded: HashSet::new(),
            excluded_days: HashSet::new(),
            overrides: Vec::new(),
        };
        for component in calendar.objects() {
            let id = component.property("RECURRENCE-ID");
            let timed = timed(component, calendar, floating);
            match id {
                None if series.master.is_none() => series.take_master(timed, calendar),
                None => {}
                Some(id) => {
                    let this_and_future = id.parameter_value("RANGE").is_some_and(|range| range == "THISANDFUTURE");
                    if let Some(id) = Moment::of(id, &calendar.zones) {
                        let id_instant = id.instant(floating);
                        series.overrides.push(Override { timed, id, id_instant, this_and_future });
                    }
                }
            }
        }
        series.overrides.sort_by_key(|changed| changed.id_instant);
        series
    }

    fn take_master(&mut self, timed: Timed<'a>, calendar: &'a Calendar) {
        let component = timed.component;
        let zone = timed.start.zone.clone();
        if !matches!(timed.shape, Shape::Undated | Shape::Never) {
            let rules =
                |name| component.all(name).filter_map(|rule| Rule::parse(&rule.value)).take(RULES_MAX).collect();
            (self.rules, self.excluding) = (rules("RRULE"), rules("EXRULE"));
        }
        let rules = self.rules.iter_mut().chain(&mut self.excluding);
        for until in rules.filter_map(|rule| rule.until.as_mut()).filter(|until| until.is_utc) {
            // On the clock of the wall, like everything that it is compared with.
            until.civil = match zone {
                Zone::Floating => until.civil,
                ref zone => zone.civil(instant_of(until.civil)),
            };
            until.is_date |= timed.start.is_date;
        }
        for dates in component.all("RDATE") {
            let values = dates.value.split(',').map(|value| value.split_once('/').map(|(_, end)| end));
            for (moment, end) in Moment::all(dates, &calendar.zones).zip(values).take(INSTANCES_MAX) {
                let length = end.and_then(|end| match Duration::parse(end) {
                    Some(length) => Some(length),
                    None => Moment::parse(end, dates.parameter_value("TZID"), &calendar.zones).map(|end| Duration {
                        days: 0,
                        seconds: end.instant(self.floating) - moment.instant(self.floating),
                    }),
                });
                let civil = match (&moment.zone, &zone) {
                    (Zone::Floating, _) | (_, Zone::Floating) => moment.civil,
                    _ => zone.civil(moment.instant(self.floating)),
                };
                self.dates.push((civil, length));
            }
        }
        self.dates.sort_unstable_by_key(|(civil, _)| *civil);
        for dates in component.all("EXDATE") {
            for moment in Moment::all(dates, &calendar.zones) {
                // Some products name the day only.
                if moment.is_date && !timed.start.is_date {
                    self.excluded_days.insert(moment.civil);
                } else {
                    self.excluded.insert(moment.instant(self.floating));
                }
            }
        }
        self.master = Some(timed);
    }

    /// Whether it happens more than once.
    pub fn is_recurring(&self) -> bool {
        !self.rules.is_empty() || !self.dates.is_empty() || !self.overrides.is_empty()
    }

    /// Nothing is before the first, and nothing after the last: `None` when it goes on for ever or nobody knows.
    pub fn bounds(&self) -> (i64, Option<i64>) {
        let (mut first, mut last) = (LAST, Some(FIRST));
        let mut widen = |start: i64, end: Option<i64>| {
            first = first.min(start);
            last = last.zip(end).map(|(last, end)| last.max(end));
        };
        for changed in &self.overrides {
            let instance = self.instance(&changed.timed, changed.timed.start.clone(), changed.timed.length, None);
            widen(instance.start_s, Some(instance.end_s.max(instance.start_s)));
        }
        if let Some(master) = &self.master {
            let slack = self.longest_s().saturating_add(self.shift_s()).saturating_add(2 * DAY_S);
            let instance = self.instance(master, master.start.clone(), master.length, None);
            widen(instance.start_s, Some(instance.end_s.max(instance.start_s)));
            if self.is_recurring() {
                widen(instance.start_s.saturating_sub(slack), None.or(Some(instance.end_s)));
            }
            for rule in &self.rules {
                let end = match (rule.until, rule.count) {
                    (Some(until), _) => Some(instant_of(until.civil).saturating_add(DAY_S)),
                    (None, Some(_)) => {
                        let mut all = Expansion::new(rule, master.start.civil);
                        let end = all.by_ref().last();
                        if all.is_cut { None } else { end.map(instant_of) }
                    }
                    (None, None) => None,
                };
                widen(instance.start_s, end.map(|end| end.saturating_add(slack)));
            }
            for (date, length) in &self.dates {
                let (start, length) = (instant_of(*date), length.map_or(0, Duration::seconds_max).max(0));
                widen(start.saturating_sub(slack), Some(start.saturating_add(slack).saturating_add(length)));
            }
            if matches!(master.shape, Shape::Undated) {
                widen(instance.start_s, Some(instance.end_s));
            }
        }
        // What has no time at all, only a filter can decide.
        if first == LAST { (FIRST, None) } else { (first, last) }
    }

    /// How long a single one can be.
    fn longest_s(&self) -> i64 {
        let lengths = self.overrides.iter().map(|changed| &changed.timed).chain(&self.master);
        let given = self.dates.iter().filter_map(|(_, length)| *length);
        lengths.map(|timed| timed.length).chain(given).map(Duration::seconds_max).max().unwrap_or(0).max(0)
    }

    /// How far THISANDFUTURE moves single ones at most.
    fn shift_s(&self) -> i64 {
        let moved = self.overrides.iter().filter(|changed| changed.this_and_future);
        moved.map(|changed| shift(changed).saturating_abs()).max().unwrap_or(0)
    }

    /// Shows those in a range, by the time that their rules say, until `see` breaks off. Whoever was changed comes
    /// first. Returns whether all were seen, and none left out because there were too many.
    pub fn visit(&self, range: (i64, i64), see: &mut dyn FnMut(Instance<'a>) -> ControlFlow<()>) -> bool {
        for changed in &self.overrides {
            let (timed, id) = (&changed.timed, Some(changed.id.clone()));
            let instance = self.instance(timed, timed.start.clone(), timed.length, id);
            if instance.is_in(range) && see(instance).is_break() {
                return true;
            }
        }
        let Some(master) = &self.master else { return true };
        if self.rules.is_empty() && self.dates.is_empty() {
            return self.show(master, master.start.civil, None, &Changed::of(self), range, see).is_some();
        }
        self.visit_all(master, range, see)
    }

    fn visit_all(
        &self,
        master: &Timed<'a>,
        range: (i64, i64),
        see: &mut dyn FnMut(Instance<'a>) -> ControlFlow<()>,
    ) -> bool {
        let reach = self.longest_s().saturating_add(self.shift_s());
        let clock = match &master.start.zone {
            Zone::Floating => self.floating,
            zone => zone,
        };
        let from = add_seconds(clock.civil(range.0.saturating_sub(reach)), -FOLD_S);
        let until = add_seconds(clock.civil(range.1.saturating_add(self.shift_s())), FOLD_S);
        let changed = Changed::of(self);
        let mut rules: Vec<Ahead> =
            self.rules.iter().map(|rule| Ahead::of(Expansion::new(rule, master.start.civil).from(from))).collect();
        let mut excluding: Vec<Ahead> = self
            .excluding
            .iter()
            .map(|rule| Ahead::of(Expansion::new(rule, master.start.civil).ruled().from(from)))
            .collect();
        let mut dates = self.dates.iter().copied().skip_while(|(date, _)| *date < from).peekable();
        // Without a rule it is the start that the dates add to.
        let mut start = (rules.is_empty() && master.start.civil >= from).then_some(master.start.civil);
        let (mut last, seen) = (None, Cell::new(0));
        let mut counted = |instance: Instance<'a>| {
            seen.set(seen.get() + 1);
            if seen.get() > INSTANCES_MAX { ControlFlow::Break(()) } else { see(instance) }
        };
        loop {
            let of_rules = rules.iter().filter_map(|rule| rule.next).min();
            let of_dates = dates.peek().map(|(date, _)| *date);
            let next = [of_rules, of_dates, start].into_iter().flatten().min().filter(|next| *next <= until);
            let Some(next) = next else { break };
            rules.iter_mut().filter(|rule| rule.next == Some(next)).for_each(Ahead::step);
            start = start.filter(|start| *start != next);
            let length = dates.next_if(|(date, _)| *date == next).and_then(|(_, length)| length);
            if last.replace(next) == Some(next) {
                continue;
            }
            for rule in &mut excluding {
                while rule.next.is_some_and(|out| out < next) {
                    rule.step();
                }
            }
            if excluding.iter().any(|rule| rule.next == Some(next)) {
                continue;
            }
            if self.show(master, next, length, &changed, range, &mut counted).is_none() {
                return seen.get() <= INSTANCES_MAX;
            }
        }
        !rules.iter().any(|rule| rule.all.is_cut)
    }

    /// Shows the one that is due at this reading of the clock; `None` when enough was seen.
    fn show(
        &self,
        master: &Timed<'a>,
        civil: DateTime,
        length: Option<Duration>,
        changed: &Changed<'_, 'a>,
        range: (i64, i64),
        see: &mut dyn FnMut(Instance<'a>) -> ControlFlow<()>,
    ) -> Option<()> {
        let id = master.start.with_civil(civil);
        let instant = id.instant(self.floating);
        let day = civil.date().to_datetime(jiff::civil::Time::midnight());
        let is_out = self.excluded.contains(&instant)
            || self.excluded_days.contains(&day)
            || changed.instants.contains(&instant)
            || (changed.has_days && !master.start.is_date && changed.days.contains(&day));
        if is_out {
            return Some(());
        }
        let recurring = self.is_recurring().then(|| id.clone());
        let after = changed.future.iter().rev().find(|change| change.id_instant <= instant);
        let instance = match after {
            Some(change) => {
                let start = change.timed.start.with_civil(add_seconds(civil, shift(change)));
                self.instance(&change.timed, start, change.timed.length, recurring)
            }
            None => self.instance(master, id, length.unwrap_or(master.length), recurring),
        };
        if instance.is_in(range) && see(instance).is_break() { None } else { Some(()) }
    }

    fn instance(&self, timed: &Timed<'a>, start: Moment, length: Duration, id: Option<Moment>) -> Instance<'a> {
        let (component, shape) = (timed.component, timed.shape);
        let (start_s, end_s) = match shape {
            Shape::TaskDue => {
                let due = start.instant(self.floating);
                (due, due)
            }
            Shape::Undated | Shape::Never => (start.instant(self.floating), length.after(&start, self.floating)),
            _ => {
                let begin = start.instant(self.floating);
                (begin, length.after(&start, self.floating).max(begin))
            }
        };
        Instance { component, start, start_s, end_s, id, shape }
    }
}

/// The single ones that rules say and that are not as they say.
struct Changed<'s, 'a> {
    instants: HashSet<i64>,
    days: HashSet<DateTime>,
    has_days: bool,
    future: Vec<&'s Override<'a>>,
}

impl<'s, 'a> Changed<'s, 'a> {
    fn of(series: &'s Series<'a>) -> Self {
        let instants = series.overrides.iter().map(|changed| changed.id_instant).collect();
        let days: HashSet<_> =
            series.overrides.iter().filter(|changed| changed.id.is_date).map(|changed| changed.id.civil).collect();
        let future = series.overrides.iter().filter(|changed| changed.this_and_future).collect();
        Changed { instants, has_days: !days.is_empty(), days, future }
    }
}

/// By how much a change moves what it is about, on the clock of the wall.
fn shift(changed: &Override<'_>) -> i64 {
    instant_of(changed.timed.start.civil) - instant_of(changed.id.civil)
}

/// The times of a component (RFC 5545 sections 3.6.1 to 3.6.3, RFC 4791 section 9.9).
fn timed<'a>(component: &'a Component, calendar: &Calendar, floating: &Zone) -> Timed<'a> {
    let moment = |name: &str| component.property(name).and_then(|property| Moment::of(property, &calendar.zones));
    let duration = || component.value("DURATION").and_then(Duration::parse);
    let between = |start: &Moment, end: &Moment| match start.is_date && end.is_date {
        true => Duration { days: (instant_of(end.civil) - instant_of(start.civil)) / DAY_S, seconds: 0 },
        false => Duration { days: 0, seconds: end.instant(floating) - start.instant(floating) },
    };
    let day = Duration { days: 1, seconds: 0 };
    let nothing = |shape| {
        let start = Moment { civil: civil_of(0), is_date: false, zone: Zone::Utc };
        Timed { component, shape, start, length: Duration::default() }
    };
    let start = moment("DTSTART");
    match component.name.as_str() {
        "VTODO" => match (start, moment("DUE"), duration()) {
            (Some(start), Some(due), _) => {
                let length = between(&start, &due);
                Timed { component, shape: Shape::Task, start, length }
            }
            (Some(start), None, Some(length)) => Timed { component, shape: Shape::Task, start, length },
            (Some(start), None, None) => {
                Timed { component, shape: Shape::TaskStart, start, length: Duration::default() }
            }
            (None, Some(due), _) => Timed { component, shape: Shape::TaskDue, start: due, length: Duration::default() },
            (None, None, _) => undated(component, moment("CREATED"), moment("COMPLETED"), floating),
        },
        "VJOURNAL" => match start {
            Some(start) => {
                let length = if start.is_date { day } else { Duration::default() };
                Timed { component, shape: Shape::Journal, start, length }
            }
            None => nothing(Shape::Never),
        },
        // Events, and free-busy and availability, which have the same two ends.
        _ => match start {
            Some(start) => {
                let length = match (moment("DTEND"), duration()) {
                    (Some(end), _) => between(&start, &end),
                    (None, Some(length)) => length,
                    (None, None) if start.is_date => day,
                    (None, None) => Duration::default(),
                };
                Timed { component, shape: Shape::Event, start, length }
            }
            None => undated(component, None, None, floating),
        },
    }
}

/// A task without dates of its own is when it was made and done, and otherwise always.
fn undated<'a>(
    component: &'a Component,
    created: Option<Moment>,
    completed: Option<Moment>,
    floating: &Zone,
) -> Timed<'a> {
    let instant = |moment: Option<Moment>| moment.map(|moment| moment.instant(floating));
    let (start, end) = match (instant(created), instant(completed)) {
        (Some(created), Some(completed)) => (created.min(completed), created.max(completed)),
        (None, Some(completed)) => (completed, completed),
        (Some(created), None) => (created, LAST),
        (None, None) => (FIRST, LAST),
    };
    // Ends beyond what clocks can read stand for always.
    let civil = civil_of(start);
    let start = Moment { civil, is_date: false, zone: Zone::Utc };
    let length = Duration { days: 0, seconds: end.saturating_sub(instant_of(civil)) };
    Timed { component, shape: Shape::Undated, start, length }
}

/// The components of which something is in a range, by their address.
pub fn components_in(calendar: &Calendar, floating: &Zone, range: (i64, i64)) -> HashSet<*const Component> {
    let (mut found, all) = (HashSet::new(), calendar.objects().count());
    Series::of(calendar, floating).visit(range, &mut |instance| {
        found.insert(std::ptr::from_ref(instance.component));
        if found.len() >= all { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}
