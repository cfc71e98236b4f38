//! When somebody is busy (RFC 4791 section 7.10), without saying why.

use std::ops::ControlFlow;

use super::occurrences::Series;
use super::time::{Duration, parse_utc, utc_text};
use super::{Calendar, Zone};
use crate::content_line::{Component, Property, write};

/// How busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Busy {
    /// `BUSY-TENTATIVE`
    Tentative,
    /// `BUSY-UNAVAILABLE`
    Unavailable,
    /// `BUSY`
    Busy,
}

impl Busy {
    fn name(self) -> &'static str {
        match self {
            Busy::Tentative => "BUSY-TENTATIVE",
            Busy::Unavailable => "BUSY-UNAVAILABLE",
            Busy::Busy => "BUSY",
        }
    }
}

/// Most periods of one answer; beyond it there is no answer.
pub const PERIODS_MAX: usize = 50_000;

/// The times that are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeBusy {
    periods: Vec<(i64, i64, Busy)>,
    /// Whether something was left out because there was too much of it.
    pub is_cut: bool,
}

impl FreeBusy {
    /// Adds what an object says about a range.
    pub fn add(&mut self, calendar: &Calendar, floating: &Zone, range: (i64, i64)) {
        for component in calendar.objects().filter(|component| component.name == "VFREEBUSY") {
            self.add_stated(component, range);
        }
        let complete = Series::of(calendar, floating).visit(range, &mut |instance| {
            if let Some(busy) = busy(instance.component) {
                self.push(instance.start_s, instance.end_s, busy, range);
            }
            if self.is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.is_cut |= !complete;
    }

    fn add_stated(&mut self, component: &Component, range: (i64, i64)) {
        for property in component.all("FREEBUSY") {
            let busy = match property.parameter_value("FBTYPE").map(str::to_ascii_uppercase).as_deref() {
                Some("FREE") => continue,
                Some("BUSY-TENTATIVE") => Busy::Tentative,
                Some("BUSY-UNAVAILABLE") => Busy::Unavailable,
                _ => Busy::Busy,
            };
            for period in property.value.split(',') {
                let Some((start, end)) = period.split_once('/') else { continue };
                let Some(start) = parse_utc(start.trim()) else { continue };
                let end = parse_utc(end.trim())
                    .or_else(|| Duration::parse(end).map(|length| start.saturating_add(length.seconds_max())));
                if let Some(end) = end {
                    self.push(start, end, busy, range);
                }
            }
        }
    }

    fn push(&mut self, start: i64, end: i64, busy: Busy, (from, before): (i64, i64)) {
        let (start, end) = (start.max(from), end.min(before));
        if start >= end {
            return;
        }
        if self.periods.len() >= PERIODS_MAX {
            self.is_cut = true;
        } else {
            self.periods.push((start, end, busy));
        }
    }

    /// As a VCALENDAR with one VFREEBUSY; periods of a kind that touch are one.
    pub fn write(mut self, range: (i64, i64), now: i64, product: &str) -> String {
        self.periods.sort_unstable_by_key(|(start, end, busy)| (*busy, *start, *end));
        let mut merged: Vec<(i64, i64, Busy)> = Vec::new();
        for (start, end, busy) in self.periods {
            match merged.last_mut() {
                Some(last) if last.2 == busy && last.1 >= start => last.1 = last.1.max(end),
                _ => merged.push((start, end, busy)),
            }
        }
        merged.sort_unstable_by_key(|(start, ..)| *start);
        let line = |name: &str, value: String| Property { name: name.to_owned(), value, ..Property::default() };
        let mut busy = Component { name: "VFREEBUSY".to_owned(), ..Component::default() };
        busy.properties.push(line("DTSTAMP", utc_text(now)));
        busy.properties.push(line("DTSTART", utc_text(range.0)));
        busy.properties.push(line("DTEND", utc_text(range.1)));
        for (start, end, kind) in merged {
            let mut property = line("FREEBUSY", format!("{}/{}", utc_text(start), utc_text(end)));
            let (name, values) = ("FBTYPE".to_owned(), vec![kind.name().to_owned()]);
            property.parameters.push(crate::content_line::Parameter { name, values });
            busy.properties.push(property);
        }
        let root = Component {
            name: "VCALENDAR".to_owned(),
            properties: vec![line("VERSION", "2.0".to_owned()), line("PRODID", product.to_owned())],
            components: vec![busy],
        };
        let mut text = String::new();
        write(&root, &mut text);
        text
    }
}

/// Whether an event takes time.
fn busy(event: &Component) -> Option<Busy> {
    let says = |name: &str, value: &str| event.value(name).is_some_and(|is| is.trim().eq_ignore_ascii_case(value));
    match event.name.as_str() {
        "VEVENT" if says("TRANSP", "TRANSPARENT") || says("STATUS", "CANCELLED") => None,
        "VEVENT" if says("STATUS", "TENTATIVE") => Some(Busy::Tentative),
        "VEVENT" => Some(Busy::Busy),
        _ => None,
    }
}
