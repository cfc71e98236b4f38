//! An object as one of its attendees may know it, and how two of these differ.

use std::collections::{BTreeMap, BTreeSet};

use super::parties::attendee;
use crate::calendar::time::Moment;
use crate::calendar::{Calendar, Zone, Zones};
use crate::content_line::{Component, Property};

/// Which single time a component is about, in seconds since 1970; floating ones as if they were of UTC.
pub fn id_of(component: &Component, zones: &Zones) -> Option<i64> {
    let id = component.property("RECURRENCE-ID")?;
    Moment::of(id, zones).map(|moment| moment.instant(&Zone::Utc))
}

/// What an attendee is invited to.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The component for all times that are not changed.
    pub master: Option<Component>,
    /// Changed ones, by which.
    pub overrides: BTreeMap<i64, Component>,
    /// The times of the master that the attendee is not invited to, as the property that says which.
    pub excluded: BTreeMap<i64, Property>,
}

/// What is the organizer's, or the attendee's own, and of no concern to others.
const PRIVATE: [&str; 4] = ["SCHEDULE-AGENT", "SCHEDULE-STATUS", "SCHEDULE-FORCE-SEND", "X-STERNA-REPLIED"];

/// A component as others see it: without alarms, and without what was noted about the sending.
pub fn outgoing(component: &Component) -> Component {
    let mut component = component.clone();
    component.components.retain(|below| below.name != "VALARM");
    for property in &mut component.properties {
        property.parameters.retain(|parameter| !PRIVATE.contains(&parameter.name.as_str()));
    }
    component
}

fn is_cancelled(component: &Component) -> bool {
    component.value("STATUS").is_some_and(|status| status.trim().eq_ignore_ascii_case("CANCELLED"))
}

impl View {
    /// What somebody is invited to; what is cancelled is not there. `None` when there is nothing.
    pub fn of(calendar: &Calendar, address: &str) -> Option<Self> {
        let mut view = View::default();
        let is_invited = |component: &Component| attendee(component, address).is_some() && !is_cancelled(component);
        for component in calendar.objects() {
            match id_of(component, &calendar.zones) {
                None if is_invited(component) => view.master = Some(outgoing(component)),
                None => {}
                Some(id) if is_invited(component) => {
                    view.overrides.insert(id, outgoing(component));
                }
                Some(id) => {
                    if let Some(property) = component.property("RECURRENCE-ID") {
                        let mut excluded = property.clone();
                        excluded.name = "EXDATE".to_owned();
                        excluded.remove_parameter("RANGE");
                        view.excluded.insert(id, excluded);
                    }
                }
            }
        }
        match &mut view.master {
            Some(master) => {
                for property in view.excluded.values() {
                    master.properties.push(property.clone());
                }
                view.excluded = exdates(master, &calendar.zones);
            }
            None => view.excluded.clear(),
        }
        (view.master.is_some() || !view.overrides.is_empty()).then_some(view)
    }

    /// All its components.
    pub fn components(&self) -> Vec<Component> {
        self.master.iter().chain(self.overrides.values()).cloned().collect()
    }

    /// The largest SEQUENCE in it.
    pub fn sequence(&self) -> i64 {
        self.master.iter().chain(self.overrides.values()).map(super::sequence).max().unwrap_or(0)
    }
}

/// The times that a component is not at, each as a property of its own.
pub fn exdates(component: &Component, zones: &Zones) -> BTreeMap<i64, Property> {
    let mut found = BTreeMap::new();
    for property in component.all("EXDATE") {
        for value in property.value.split(',') {
            if let Some(moment) = Moment::parse(value, property.parameter_value("TZID"), zones) {
                let one = Property { value: value.trim().to_owned(), ..property.clone() };
                found.insert(moment.instant(&Zone::Utc), one);
            }
        }
    }
    found
}

/// What makes it another meeting for those who come (RFC 5546 section 2.1.4).
const WHEN: [&str; 6] = ["DTSTART", "DTEND", "DUE", "DURATION", "RRULE", "RDATE"];

/// When it is, as text that can be compared.
pub fn when(component: &Component, zones: &Zones) -> BTreeSet<String> {
    let repeats = component.properties.iter().any(|property| matches!(property.name.as_str(), "RRULE" | "RDATE"));
    let mut found = BTreeSet::new();
    for property in component.properties.iter().filter(|property| WHEN.contains(&property.name.as_str())) {
        let name = &property.name;
        let (values, zone) = (property.value.split(','), property.parameter_value("TZID"));
        for value in values {
            found.insert(match Moment::parse(value.trim(), zone, zones) {
                Some(moment) => format!("{name}:{}:{}", moment.instant(&Zone::Utc), moment.is_date),
                // Rules have commas of their own, and periods are told as they are written.
                None => format!("{name}:{}:{}", property.value.to_ascii_uppercase(), zone.unwrap_or_default()),
            });
        }
        // Two zones may agree on the first time of a series, and on no other.
        if let Some(zone) = zone.filter(|_| repeats && name == "DTSTART") {
            found.insert(format!("TZID:{zone}"));
        }
    }
    found
}

/// Properties that say nothing about the meeting itself.
const INCIDENTAL: [&str; 6] = ["DTSTAMP", "LAST-MODIFIED", "CREATED", "SEQUENCE", "EXDATE", "PERCENT-COMPLETE"];

/// Parameters of attendees that say nothing about who comes in which role.
const ANSWERS: [&str; 2] = ["PARTSTAT", "RSVP"];

/// What is worth telling of a component, as text that can be compared: not who has answered what, and not the times
/// that were taken out of it.
pub fn content(component: &Component, zones: &Zones) -> BTreeSet<String> {
    let mut found = when(component, zones);
    for property in &component.properties {
        let name = property.name.as_str();
        if WHEN.contains(&name) || INCIDENTAL.contains(&name) || name.starts_with("X-") || name == "REQUEST-STATUS" {
            continue;
        }
        let mut text = match name {
            "ATTENDEE" | "ORGANIZER" => format!("{name}:{}", super::address_of(&property.value)),
            _ => format!("{name}:{}", property.value),
        };
        let mut parameters: Vec<_> = property.parameters.iter().collect();
        parameters.sort_by(|one, other| one.name.cmp(&other.name));
        for parameter in parameters.iter().filter(|parameter| !ANSWERS.contains(&parameter.name.as_str())) {
            if !parameter.name.starts_with("X-") && !PRIVATE.contains(&parameter.name.as_str()) {
                text.push_str(&format!(";{}={}", parameter.name, parameter.values.join(",")));
            }
        }
        found.insert(text);
    }
    found
}
