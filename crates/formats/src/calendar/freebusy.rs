//! When somebody is busy (RFC 4791 section 7.10), without saying why.

use std::ops::ControlFlow;

use super::availability::Availability;
use super::itip::{PRODUCT, address_of};
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
        self.add_of(calendar, floating, range, &[]);
    }

    /// The same for somebody with these addresses: a meeting that was declined takes no time, and one that was not
    /// answered yet perhaps.
    pub fn add_of(&mut self, calendar: &Calendar, floating: &Zone, range: (i64, i64), own: &[String]) {
        for component in calendar.objects().filter(|component| component.name == "VFREEBUSY") {
            self.add_stated(component, range);
        }
        // What takes no time is not worked out: an invitation for every minute that was declined cuts nothing off.
        let mut takers =
            calendar.objects().filter_map(|object| busy(object).and_then(|busy| answered(object, own, busy)));
        if takers.next().is_none() {
            return;
        }
        let complete = Series::of(calendar, floating).visit(range, &mut |instance| {
            if let Some(busy) = busy(instance.component).and_then(|busy| answered(instance.component, own, busy)) {
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

    /// Adds a time that is taken for a reason of its own.
    pub fn add_period(&mut self, (start, end, busy): (i64, i64, Busy), range: (i64, i64)) {
        self.push(start, end, busy, range);
    }

    /// Adds the times at which somebody can't be had.
    pub fn add_unavailable(&mut self, availability: Availability, range: (i64, i64)) {
        self.is_cut |= availability.is_cut;
        for (start, end, busy) in availability.unavailable(range) {
            self.push(start, end, busy, range);
        }
    }

    /// The times that are taken: from, before, how; in no order, and they may overlap.
    pub fn periods(&self) -> &[(i64, i64, Busy)] {
        &self.periods
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
    pub fn write(self, range: (i64, i64), now: i64, product: &str) -> String {
        let busy = self.component(range, now);
        calendar(vec![Property::new("VERSION", "2.0"), Property::new("PRODID", product)], busy)
    }

    /// As the answer to a request of RFC 5546 section 3.3.2: whose times, who asked, and about which UID.
    pub fn reply(self, range: (i64, i64), now: i64, attendee: &Property, asked: &Component) -> String {
        let mut busy = self.component(range, now);
        busy.properties.extend(["UID", "ORGANIZER"].into_iter().filter_map(|name| asked.property(name).cloned()));
        busy.properties.push(attendee.clone());
        let head = ["VERSION:2.0", "PRODID", "METHOD:REPLY"].map(|line| match line.split_once(':') {
            Some((name, value)) => Property::new(name, value),
            None => Property::new(line, PRODUCT),
        });
        calendar(head.to_vec(), busy)
    }

    fn component(mut self, range: (i64, i64), now: i64) -> Component {
        self.periods.sort_unstable_by_key(|(start, end, busy)| (*busy, *start, *end));
        let mut merged: Vec<(i64, i64, Busy)> = Vec::new();
        for (start, end, busy) in self.periods {
            match merged.last_mut() {
                Some(last) if last.2 == busy && last.1 >= start => last.1 = last.1.max(end),
                _ => merged.push((start, end, busy)),
            }
        }
        merged.sort_unstable_by_key(|(start, ..)| *start);
        let mut busy = Component { name: "VFREEBUSY".to_owned(), ..Component::default() };
        busy.properties.push(Property::new("DTSTAMP", utc_text(now)));
        busy.properties.push(Property::new("DTSTART", utc_text(range.0)));
        busy.properties.push(Property::new("DTEND", utc_text(range.1)));
        for (start, end, kind) in merged {
            let mut property = Property::new("FREEBUSY", format!("{}/{}", utc_text(start), utc_text(end)));
            property.set_parameter("FBTYPE", kind.name());
            busy.properties.push(property);
        }
        busy
    }
}

fn calendar(properties: Vec<Property>, component: Component) -> String {
    let root = Component { name: "VCALENDAR".to_owned(), properties, components: vec![component] };
    let mut text = String::new();
    write(&root, &mut text);
    text
}

/// What a meeting is to whom it was answered by: nothing when it was declined.
fn answered(event: &Component, own: &[String], busy: Busy) -> Option<Busy> {
    let is_own = |address: &String| own.iter().any(|own| own.eq_ignore_ascii_case(address));
    if own.is_empty() || event.value("ORGANIZER").is_some_and(|organizer| is_own(&address_of(organizer))) {
        return Some(busy);
    }
    let Some(line) = event.all("ATTENDEE").find(|line| is_own(&address_of(&line.value))) else { return Some(busy) };
    match line.parameter_value("PARTSTAT").unwrap_or("NEEDS-ACTION").to_ascii_uppercase().as_str() {
        "DECLINED" | "DELEGATED" => None,
        "ACCEPTED" => Some(busy),
        _ => Some(Busy::Tentative),
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
