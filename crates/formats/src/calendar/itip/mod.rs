//! iTIP (RFC 5546): what organizers and attendees of an object tell each other.
//!
//! [`organizer::plan`] and [`attendee::plan`] say what a change of a stored object means for the others, [`receive`]
//! what a message of theirs means for what is stored here. Nothing here sends, stores, or knows the time by itself.

pub mod attendee;
pub mod organizer;
mod parties;
pub mod receive;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use super::time::utc_text;
use super::{Calendar, Facts, Kind, Refusal};
use crate::content_line::{Component, Property};

pub use parties::{
    Agent, Role, address_of, agent, answer, attendees, is_open, people, role, set_status, set_statuses, status_of,
};

/// PRODID of what the server itself writes.
pub const PRODUCT: &str = "-//Sterna//Sterna//EN";

/// Most attendees of one object that are told anything: a hall that is larger gets its invitations by mail to a list.
pub const ATTENDEES_MAX: usize = 2000;

/// METHOD (RFC 5546 section 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Method {
    Publish,
    Request,
    Reply,
    Add,
    Cancel,
    Refresh,
    Counter,
    DeclineCounter,
}

impl Method {
    /// Every method.
    pub const ALL: [Method; 8] = [
        Method::Publish,
        Method::Request,
        Method::Reply,
        Method::Add,
        Method::Cancel,
        Method::Refresh,
        Method::Counter,
        Method::DeclineCounter,
    ];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Method::Publish => "PUBLISH",
            Method::Request => "REQUEST",
            Method::Reply => "REPLY",
            Method::Add => "ADD",
            Method::Cancel => "CANCEL",
            Method::Refresh => "REFRESH",
            Method::Counter => "COUNTER",
            Method::DeclineCounter => "DECLINECOUNTER",
        }
    }

    /// From its name.
    pub fn named(name: &str) -> Option<Self> {
        Method::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(name.trim()))
    }

    /// The method of a message.
    pub fn of(calendar: &Calendar) -> Option<Self> {
        calendar.root.value("METHOD").and_then(Method::named)
    }

    /// Whether it is the organizer who says it; all others are said by attendees.
    pub fn is_organizers(self) -> bool {
        !matches!(self, Method::Reply | Method::Refresh | Method::Counter)
    }
}

/// A message for one calendar user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it asks or tells.
    pub method: Method,
    /// From whom, as [`address_of`] gives it.
    pub sender: String,
    /// To whom.
    pub recipient: String,
    /// The VCALENDAR with its METHOD. Those who are told the same share it.
    pub calendar: Arc<Component>,
}

impl Message {
    /// As text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        crate::content_line::write(&self.calendar, &mut text);
        text
    }
}

/// What a change means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The object as it is to be stored, if that is another one than was given; `None` for what goes.
    pub object: Option<Component>,
    /// Who is to be told what.
    pub messages: Vec<Message>,
}

/// Why a change is not allowed (RFC 6638 section 3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// `allowed-organizer-scheduling-object-change`
    #[error("the organizer of a meeting can't be changed")]
    Organizer,
    /// `allowed-attendee-scheduling-object-change`
    #[error("attendees can't change {0}; only the organizer can")]
    Attendee(&'static str),
    /// `same-organizer-in-all-components`
    #[error("its components have different organizers")]
    SameOrganizer,
    /// More than [`ATTENDEES_MAX`].
    #[error("it has too many attendees")]
    TooMany,
}

/// What is known of a message as an object: METHOD is not for what is stored in calendars.
///
/// # Errors
/// [`Refusal`].
pub fn facts(message: &Calendar) -> Result<Facts, Refusal> {
    Facts::of(&stored(message))
}

/// A message as an object that can be stored in a calendar.
pub fn stored(message: &Calendar) -> Calendar {
    let mut calendar = message.clone();
    calendar.root.remove("METHOD");
    calendar
}

/// Whether the server schedules objects of this kind.
pub fn is_scheduled(kind: Kind) -> bool {
    matches!(kind, Kind::Event | Kind::Task)
}

/// Digits of a schedule tag.
const TAG_DIGITS: usize = 24;

/// What attendees' answers change in an object.
const ANSWERED: [&str; 4] = ["PARTSTAT", "RSVP", "SCHEDULE-STATUS", "X-STERNA-REPLIED"];

/// See [`Facts::schedule_tag`]; `None` when nobody is invited.
pub fn schedule_tag(calendar: &Calendar) -> Option<String> {
    let has = |name: &str| calendar.objects().any(|object| object.property(name).is_some());
    if !has("ORGANIZER") || !has("ATTENDEE") {
        return None;
    }
    let mut root = calendar.root.clone();
    for component in &mut root.components {
        component.remove("DTSTAMP");
        component.remove("LAST-MODIFIED");
        let parties = component.properties.iter_mut();
        for property in parties.filter(|property| matches!(property.name.as_str(), "ATTENDEE" | "ORGANIZER")) {
            property.parameters.retain(|parameter| !ANSWERED.contains(&parameter.name.as_str()));
        }
    }
    let mut text = String::new();
    crate::content_line::write(&root, &mut text);
    let hash = sterna_base::BlobHash::of(text.as_bytes()).to_string();
    Some(hash.get(..TAG_DIGITS).unwrap_or(&hash).to_owned())
}

/// A VCALENDAR around components, with the zones of where they come from.
fn wrap(method: Option<Method>, zones: &Component, components: Vec<Component>) -> Component {
    let mut root = Component { name: "VCALENDAR".to_owned(), ..Component::default() };
    root.properties.push(Property::new("VERSION", "2.0"));
    root.properties.push(Property::new("PRODID", PRODUCT));
    root.properties.extend(method.map(|method| Property::new("METHOD", method.name())));
    let uses = |name: &str| {
        let says = |property: &Property| property.parameter_value("TZID") == Some(name);
        components.iter().any(|component| component.properties.iter().any(says))
    };
    let defined = zones.components.iter().filter(|component| component.name == "VTIMEZONE");
    let used = defined.filter(|zone| zone.value("TZID").is_some_and(uses)).cloned();
    root.components = used.collect();
    root.components.extend(components);
    root
}

/// Says when a message was made.
fn stamp(component: &mut Component, now_s: i64) {
    component.set("DTSTAMP", utc_text(now_s));
}

/// SEQUENCE
fn sequence(component: &Component) -> i64 {
    component.value("SEQUENCE").and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Which of two messages about one thing is newer (RFC 5546 section 2.1.5): the SEQUENCE says, then the DTSTAMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// SEQUENCE
    pub sequence: i64,
    /// DTSTAMP, in seconds since 1970; the earliest there is when there is none.
    pub stamp_s: i64,
}

impl Version {
    fn of(component: &Component) -> Self {
        let stamp = component.value("DTSTAMP").and_then(|text| super::time::parse_utc(text.trim()));
        Version { sequence: sequence(component), stamp_s: stamp.unwrap_or(i64::MIN) }
    }
}

/// Of a message about a whole meeting: its UID, its organizer, and its version. `None` when it is about single times.
pub fn whole(message: &Calendar) -> Option<(String, String, Version)> {
    let master = message.objects().find(|object| object.property("RECURRENCE-ID").is_none())?;
    let uid = master.text("UID")?.trim().to_owned();
    Some((uid, parties::organizer(master)?, Version::of(master)))
}
