//! Some of an object (RFC 4791 section 9.6): chosen components and properties, single times instead of rules.

use std::ops::ControlFlow;

use super::filter::Range;
use super::occurrences::{INSTANCES_MAX, Instance, Series, components_in};
use super::time::{DAY_S, Duration, parse_utc, utc_text};
use super::{Calendar, Zone};
use crate::content_line::{Component, Property, write};

/// `CALDAV:calendar-data` as a request has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarData {
    /// Which components and properties; `None` is all.
    pub comp: Option<Selection>,
    /// `expand`: each time that is in the range, in UTC, and no rules.
    pub expand: Option<Range>,
    /// `limit-recurrence-set`: only changes that are in the range.
    pub limit_recurrence: Option<Range>,
    /// `limit-freebusy-set`
    pub limit_freebusy: Option<Range>,
}

/// `comp`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// In upper case.
    pub name: String,
    /// `allprop`
    pub all_props: bool,
    /// Names in upper case, and whether without their value.
    pub props: Vec<(String, bool)>,
    /// `allcomp`
    pub all_comps: bool,
    /// What below.
    pub comps: Vec<Selection>,
}

impl CalendarData {
    /// Whether the stored bytes are what is asked for.
    pub fn is_everything(&self) -> bool {
        *self == CalendarData::default()
    }

    /// The object as asked for; `None` when it has too many single times.
    pub fn apply(&self, calendar: &Calendar, floating: &Zone) -> Option<String> {
        let mut root = match self.expand {
            Some(range) => expand(calendar, floating, range)?,
            None => calendar.root.clone(),
        };
        if let Some(range) = self.limit_recurrence.filter(|_| self.expand.is_none()) {
            let keep = components_in(calendar, floating, range);
            let flags = calendar.root.components.iter().map(|component| {
                component.property("RECURRENCE-ID").is_none() || keep.contains(&std::ptr::from_ref(component))
            });
            let mut flags = flags.collect::<Vec<_>>().into_iter();
            root.components.retain(|_| flags.next().unwrap_or(true));
        }
        if let Some(range) = self.limit_freebusy {
            root.components.iter_mut().for_each(|component| limit_freebusy(component, range));
        }
        if let Some(selection) = &self.comp {
            root = select(&root, selection);
        }
        let mut text = String::new();
        write(&root, &mut text);
        Some(text)
    }
}

fn select(component: &Component, selection: &Selection) -> Component {
    // `comp` without anything in it is the component with all that is in it.
    let says_nothing = selection.props.is_empty() && selection.comps.is_empty();
    let all_props = selection.all_props || (says_nothing && !selection.all_comps);
    let all_comps = selection.all_comps || (says_nothing && !selection.all_props);
    let property = |property: &Property| {
        if all_props {
            return Some(property.clone());
        }
        let (_, without_value) = selection.props.iter().find(|(name, _)| *name == property.name)?;
        let mut property = property.clone();
        if *without_value {
            property.value.clear();
        }
        Some(property)
    };
    let below = |below: &Component| {
        if all_comps {
            return Some(below.clone());
        }
        let chosen = selection.comps.iter().find(|chosen| chosen.name == below.name)?;
        Some(select(below, chosen))
    };
    Component {
        name: component.name.clone(),
        properties: component.properties.iter().filter_map(property).collect(),
        components: component.components.iter().filter_map(below).collect(),
    }
}

fn limit_freebusy(component: &mut Component, (from, before): Range) {
    if component.name != "VFREEBUSY" {
        return;
    }
    let is_in = |period: &&str| {
        let (start, end) = period.split_once('/').unwrap_or((period, period));
        let Some(start_s) = parse_utc(start.trim()) else { return true };
        let end_s = match Duration::parse(end.trim()) {
            Some(length) => Some(start_s + length.days * DAY_S + length.seconds),
            None => parse_utc(end.trim()),
        };
        start_s < before && end_s.is_none_or(|end| end > from)
    };
    component.properties.retain_mut(|property| {
        if property.name != "FREEBUSY" {
            return true;
        }
        property.value = property.value.split(',').filter(is_in).collect::<Vec<_>>().join(",");
        !property.value.is_empty()
    });
}

/// Properties that say when again, which a single time doesn't.
const RULES: [&str; 4] = ["RRULE", "RDATE", "EXDATE", "EXRULE"];

/// One component for each time in the range, in UTC (RFC 4791 section 9.6.5).
fn expand(calendar: &Calendar, floating: &Zone, range: Range) -> Option<Component> {
    let series = Series::of(calendar, floating);
    let is_recurring = series.is_recurring();
    let mut instances = Vec::new();
    let complete = series.visit(range, &mut |instance| {
        instances.push(instance);
        if instances.len() > INSTANCES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if !complete || instances.len() > INSTANCES_MAX {
        return None;
    }
    instances.sort_by_key(|instance| instance.start_s);
    let components = instances.iter().map(|instance| single(instance, is_recurring, floating)).collect();
    let (name, properties) = (calendar.root.name.clone(), calendar.root.properties.clone());
    Some(Component { name, properties, components })
}

fn single(instance: &Instance<'_>, is_recurring: bool, floating: &Zone) -> Component {
    let mut component = instance.component.clone();
    component.properties.retain(|property| !RULES.contains(&property.name.as_str()));
    let (is_date, floats) = (instance.start.is_date, matches!(instance.start.zone, Zone::Floating));
    let value = |instant: i64, local: String| match is_date || floats {
        true => local,
        false => utc_text(instant),
    };
    let local_end = || {
        let end = floating.civil(instance.end_s);
        instance.start.with_civil(end).text()
    };
    for property in &mut component.properties {
        let text = match property.name.as_str() {
            "DTSTART" => value(instance.start_s, instance.start.text()),
            "DUE" if instance.component.property("DTSTART").is_none() => value(instance.start_s, instance.start.text()),
            "DTEND" | "DUE" => value(instance.end_s, local_end()),
            _ => continue,
        };
        property.value = text;
        property.parameters.retain(|parameter| parameter.name != "TZID");
    }
    component.properties.retain(|property| property.name != "RECURRENCE-ID");
    if let Some(id) = instance.id.as_ref().filter(|_| is_recurring) {
        let text = match id.is_date || matches!(id.zone, Zone::Floating) {
            true => id.text(),
            false => utc_text(id.instant(floating)),
        };
        let mut property = Property { name: "RECURRENCE-ID".to_owned(), value: text, ..Property::default() };
        if id.is_date {
            let (name, values) = ("VALUE".to_owned(), vec!["DATE".to_owned()]);
            property.parameters.push(crate::content_line::Parameter { name, values });
        }
        component.properties.push(property);
    }
    component
}
