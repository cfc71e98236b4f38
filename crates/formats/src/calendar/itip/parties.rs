//! Organizers and attendees.

use std::collections::HashMap;

use super::{ATTENDEES_MAX, NotAllowed};
use crate::calendar::Calendar;
use crate::content_line::{Component, Property};

/// What the calendar user whose calendar it is has to do with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is nobody's business but the owner's.
    None,
    /// The user has invited others.
    Organizer {
        /// Under this address.
        own: String,
    },
    /// The user was invited.
    Attendee {
        /// Under this address.
        own: String,
        /// By whom.
        organizer: String,
    },
}

/// Who sends scheduling messages (SCHEDULE-AGENT, RFC 6638 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The server.
    Server,
    /// The user's program.
    Client,
    /// Nobody, or somebody whom we don't know.
    None,
}

/// A calendar user address so that it can be compared: a mail address without `mailto:`, in lower case; of a principal
/// of this server the address in it; everything else as it is, in lower case.
pub fn address_of(value: &str) -> String {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    if let Some(address) = lower.strip_prefix("mailto:") {
        return address.trim().to_owned();
    }
    match lower.split_once("/principals/users/") {
        Some((_, address)) => address.trim_end_matches('/').replace("%40", "@"),
        None => lower,
    }
}

/// SCHEDULE-AGENT of an ATTENDEE or ORGANIZER.
pub fn agent(property: &Property) -> Agent {
    match property.parameter_value("SCHEDULE-AGENT").map(str::to_ascii_uppercase).as_deref() {
        None | Some("SERVER") => Agent::Server,
        Some("CLIENT") => Agent::Client,
        Some(_) => Agent::None,
    }
}

/// The organizer of a component.
pub(super) fn organizer(component: &Component) -> Option<String> {
    component.value("ORGANIZER").map(address_of).filter(|address| !address.is_empty())
}

/// The line of an attendee.
pub(super) fn attendee<'a>(component: &'a Component, address: &str) -> Option<&'a Property> {
    component.all("ATTENDEE").find(|property| address_of(&property.value) == address)
}

/// The same, to be changed.
pub(super) fn attendee_mut<'a>(component: &'a mut Component, address: &str) -> Option<&'a mut Property> {
    let is_it = |property: &&mut Property| property.name == "ATTENDEE" && address_of(&property.value) == address;
    component.properties.iter_mut().find(is_it)
}

/// PARTSTAT in upper case.
pub(super) fn participation(attendee: &Property) -> String {
    attendee.parameter_value("PARTSTAT").unwrap_or("NEEDS-ACTION").to_ascii_uppercase()
}

/// The addresses of all attendees of all components, each once, in their order.
pub fn attendees(calendar: &Calendar) -> Vec<String> {
    let (mut found, mut seen) = (Vec::new(), std::collections::HashSet::new());
    for property in calendar.objects().flat_map(|component| component.all("ATTENDEE")) {
        let address = address_of(&property.value);
        if !address.is_empty() && seen.insert(address.clone()) {
            found.push(address);
        }
    }
    found
}

/// What the owner of a calendar, who has these addresses, has to do with an object in it.
///
/// # Errors
/// [`NotAllowed::SameOrganizer`], [`NotAllowed::TooMany`].
pub fn role(calendar: &Calendar, own: &[String]) -> Result<Role, NotAllowed> {
    let mut organizers = calendar.objects().map(organizer);
    let first = organizers.next().flatten();
    if organizers.any(|other| other != first) {
        return Err(NotAllowed::SameOrganizer);
    }
    let Some(organizer) = first else { return Ok(Role::None) };
    let is_own = |address: &String| own.iter().any(|own| own.eq_ignore_ascii_case(address));
    let attendees = attendees(calendar);
    if attendees.len() > ATTENDEES_MAX {
        return Err(NotAllowed::TooMany);
    }
    if is_own(&organizer) {
        let has_others = attendees.iter().any(|address| !is_own(address));
        return Ok(if has_others { Role::Organizer { own: organizer } } else { Role::None });
    }
    let own = attendees.into_iter().find(is_own);
    Ok(own.map_or(Role::None, |own| Role::Attendee { own, organizer }))
}

/// Notes what became of the messages for some (SCHEDULE-STATUS, RFC 6638 section 7.3) at every line of theirs: in one
/// go, because there may be thousands. The status is by address; `only` leaves those alone that it is not true of.
pub fn set_statuses(object: &mut Component, statuses: &HashMap<&str, &str>, only: impl Fn(Option<&str>) -> bool) {
    for component in object.components.iter_mut().filter(|component| component.name != "VTIMEZONE") {
        let parties = component.properties.iter_mut();
        for property in parties.filter(|property| matches!(property.name.as_str(), "ATTENDEE" | "ORGANIZER")) {
            if let Some(status) = statuses.get(address_of(&property.value).as_str())
                && only(property.parameter_value("SCHEDULE-STATUS"))
            {
                property.set_parameter("SCHEDULE-STATUS", status);
            }
        }
    }
}

/// The same for one.
pub fn set_status(object: &mut Component, address: &str, status: &str) {
    set_statuses(object, &HashMap::from([(address, status)]), |_| true);
}

/// What was noted.
pub fn status_of(calendar: &Calendar, address: &str) -> Option<String> {
    let mut parties = calendar.objects().flat_map(|component| component.properties.iter());
    parties.find_map(|property| {
        let is_it =
            matches!(property.name.as_str(), "ATTENDEE" | "ORGANIZER") && address_of(&property.value) == address;
        property.parameter_value("SCHEDULE-STATUS").filter(|_| is_it).map(str::to_owned)
    })
}

/// Whether an attendee has still something to answer.
pub fn is_open(calendar: &Calendar, address: &str) -> bool {
    let is_off = |component: &Component| {
        component.value("STATUS").is_some_and(|status| status.eq_ignore_ascii_case("CANCELLED"))
    };
    let mut asked = calendar.objects().filter(|component| !is_off(component));
    asked.any(|component| attendee(component, address).is_some_and(|line| participation(line) == "NEEDS-ACTION"))
}

/// Notes an attendee's answer at all components that are not answered yet.
pub fn answer(object: &mut Component, address: &str, answer: &str) {
    for component in object.components.iter_mut().filter(|component| component.name != "VTIMEZONE") {
        if let Some(line) = attendee_mut(component, address).filter(|line| participation(line) == "NEEDS-ACTION") {
            line.set_parameter("PARTSTAT", answer);
            line.remove_parameter("RSVP");
        }
    }
}

/// How many people are invited: all attendees but rooms and things.
pub fn people(calendar: &Calendar) -> usize {
    let count = |component: &Component| {
        let is_person = |line: &&Property| {
            let kind = line.parameter_value("CUTYPE").unwrap_or("INDIVIDUAL").to_ascii_uppercase();
            !matches!(kind.as_str(), "ROOM" | "RESOURCE")
        };
        component.all("ATTENDEE").filter(is_person).count()
    };
    calendar.objects().map(count).max().unwrap_or(0)
}
