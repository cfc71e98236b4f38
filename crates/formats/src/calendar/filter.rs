//! What calendar-query asks (RFC 4791 section 9.7).

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::occurrences::{Series, components_in};
use super::time::{Duration, Moment};
use super::{Calendar, Kind, Span, Zone};
use crate::content_line::filter::PropFilter;
use crate::content_line::{Component, Property};

/// From, and before: seconds since 1970.
pub type Range = (i64, i64);

/// `comp-filter`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompFilter {
    /// In upper case.
    pub name: String,
    /// Whether there must be none.
    pub is_not_defined: bool,
    /// When it must be.
    pub range: Option<Range>,
    /// What its properties must say.
    pub props: Vec<PropFilter>,
    /// What must be in it.
    pub comps: Vec<CompFilter>,
}

impl CompFilter {
    /// Whether an object is meant; this is the filter of the VCALENDAR. Floating times are those of this zone.
    pub fn matches(&self, calendar: &Calendar, floating: &Zone) -> bool {
        if self.name != calendar.root.name {
            return self.is_not_defined;
        }
        let scope = Scope { calendar, floating };
        !self.is_not_defined && scope.is_like(&calendar.root, self)
    }

    /// Whether it may be, going by what is kept beside the object: what is not, need not be read.
    pub fn may_match(&self, span: Span) -> bool {
        if self.name != "VCALENDAR" || self.is_not_defined {
            return true;
        }
        let is_possible = |below: &CompFilter| match Kind::named(&below.name) {
            Some(kind) if below.is_not_defined => kind != span.kind,
            Some(kind) => kind == span.kind && below.range.is_none_or(|range| span.may_be_in(range)),
            None => true,
        };
        self.comps.iter().all(is_possible)
    }
}

struct Scope<'a> {
    calendar: &'a Calendar,
    floating: &'a Zone,
}

impl Scope<'_> {
    /// Whether one of the components in this one is meant.
    fn is_in(&self, parent: &Component, filter: &CompFilter) -> bool {
        let mut named = parent.components.iter().filter(|component| component.name == filter.name);
        if filter.is_not_defined {
            return named.next().is_none();
        }
        let is_object = std::ptr::eq(parent, &self.calendar.root) && filter.name != "VTIMEZONE";
        let in_range: Option<HashSet<_>> =
            filter.range.filter(|_| is_object).map(|range| components_in(self.calendar, self.floating, range));
        named.any(|component| {
            let is_when = match (&in_range, filter.range) {
                (Some(found), _) => found.contains(&std::ptr::from_ref(component)),
                (None, Some(range)) => component.name != "VALARM" || self.rings_in(parent, component, range),
                (None, None) => true,
            };
            is_when && self.is_like(component, filter)
        })
    }

    fn is_like(&self, component: &Component, filter: &CompFilter) -> bool {
        let in_range = |property: &Property, range: Range| self.is_time_in(property, range);
        filter.props.iter().all(|prop| prop.matches(component, &in_range))
            && filter.comps.iter().all(|below| self.is_in(component, below))
    }

    fn is_time_in(&self, property: &Property, (from, before): Range) -> bool {
        Moment::all(property, &self.calendar.zones)
            .map(|moment| moment.instant(self.floating))
            .any(|at| from <= at && at < before)
    }

    /// Whether an alarm goes off in a range (RFC 4791 section 9.9; RFC 5545 section 3.6.6).
    fn rings_in(&self, parent: &Component, alarm: &Component, (from, before): Range) -> bool {
        let Some(trigger) = alarm.property("TRIGGER") else { return false };
        let pause = alarm.value("DURATION").and_then(Duration::parse).map_or(0, Duration::seconds_max).max(0);
        let repeats = alarm.value("REPEAT").and_then(|n| n.trim().parse::<i64>().ok()).unwrap_or(0).clamp(0, 1000);
        let is_in = |at: i64| (0..=repeats).any(|n| (from..before).contains(&at.saturating_add(n * pause)));
        let Some(offset) = Duration::parse(&trigger.value).map(Duration::seconds_max) else {
            return Moment::of(trigger, &self.calendar.zones).is_some_and(|at| is_in(at.instant(self.floating)));
        };
        let of_end = trigger.parameter_value("RELATED").is_some_and(|related| related.eq_ignore_ascii_case("END"));
        let reach = offset.saturating_abs().saturating_add(repeats * pause).saturating_add(1);
        let around = (from.saturating_sub(reach), before.saturating_add(reach));
        let mut rings = false;
        Series::of(self.calendar, self.floating).visit(around, &mut |instance| {
            let at = if of_end { instance.end_s } else { instance.start_s };
            rings |= std::ptr::eq(instance.component, parent) && is_in(at.saturating_add(offset));
            if rings { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        rings
    }
}
