//! What is known of a calendar object without reading it again: kept as the summary beside the bytes. And why an object
//! is refused (RFC 4791 sections 4.1 and 5.3.2.1).

use serde::{Deserialize, Serialize};

use super::occurrences::Series;
use super::time::DAY_S;
use super::{Calendar, Zone};
use crate::content_line::Component;

/// The version of the stored layout; others are made again from the object.
const VERSION: u8 = 0xc2;

/// Longest UID in bytes: it is a key.
pub const UID_BYTES_MAX: usize = 1024;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// VEVENT
    Event,
    /// VTODO
    Task,
    /// VJOURNAL
    Journal,
    /// VFREEBUSY
    FreeBusy,
    /// VAVAILABILITY (RFC 7953)
    Availability,
    /// VPOLL and others that are kept but not understood are refused; this is a zone on its own.
    Zone,
}

impl Kind {
    /// Every kind that a calendar can hold.
    pub const ALL: [Kind; 5] = [Kind::Event, Kind::Task, Kind::Journal, Kind::FreeBusy, Kind::Availability];

    /// The component's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Event => "VEVENT",
            Kind::Task => "VTODO",
            Kind::Journal => "VJOURNAL",
            Kind::FreeBusy => "VFREEBUSY",
            Kind::Availability => "VAVAILABILITY",
            Kind::Zone => "VTIMEZONE",
        }
    }

    /// The kind of a component of this name.
    pub fn named(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// What is kept beside the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// UID
    pub uid: String,
    /// What it is.
    pub kind: Kind,
    /// Nothing of it is before this: seconds since 1970.
    pub first: i64,
    /// Nothing of it is after this; `None` when it goes on for ever, or nobody knows.
    pub last: Option<i64>,
    /// Of what has an organizer and attendees: `schedule-tag` (RFC 6638 section 3.2.10). It is a sum of what is said in
    /// it but for what others answer, so that answers which come in between are in no program's way.
    pub schedule_tag: Option<String>,
}

/// What decides whether a query may mean an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub kind: Kind,
    /// As [`Facts::first`].
    pub first: i64,
    /// As [`Facts::last`]; [`i64::MAX`] when there is none.
    pub last: i64,
}

impl Span {
    /// Whether something of it may be in a range.
    pub fn may_be_in(self, (start, end): (i64, i64)) -> bool {
        self.first <= end && self.last >= start
    }
}

/// Why an object is not taken: the precondition, and what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `CALDAV:valid-calendar-data`
    #[error("it is no iCalendar object: {0}")]
    Data(&'static str),
    /// `CALDAV:valid-calendar-object-resource`
    #[error("it can't be stored in a calendar: {0}")]
    Object(&'static str),
    /// `CALDAV:supported-calendar-component`
    #[error("calendars don't hold that kind of component")]
    Component,
}

impl Facts {
    /// What is known of an object, if it may be stored in a calendar.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn of(calendar: &Calendar) -> Result<Self, Refusal> {
        if calendar.root.value("VERSION").is_some_and(|version| version.trim() != "2.0") {
            return Err(Refusal::Data("VERSION must be 2.0"));
        }
        if calendar.root.property("METHOD").is_some() {
            return Err(Refusal::Object("METHOD is for messages"));
        }
        let mut objects = calendar.objects();
        let first = objects.next().ok_or(Refusal::Object("there is nothing in it"))?;
        let kind = Kind::named(&first.name).ok_or(Refusal::Component)?;
        let uid = uid_of(first)?;
        let mut has_master = first.property("RECURRENCE-ID").is_none();
        for other in objects {
            if other.name != first.name {
                return Err(Refusal::Object("it has components of different kinds"));
            }
            if uid_of(other)? != uid {
                return Err(Refusal::Object("its components have different UIDs"));
            }
            if other.property("RECURRENCE-ID").is_none() && std::mem::replace(&mut has_master, true) {
                return Err(Refusal::Object("two components without RECURRENCE-ID have the same UID"));
            }
        }
        if kind == Kind::Event && calendar.objects().any(|event| event.property("DTSTART").is_none()) {
            return Err(Refusal::Data("an event has no DTSTART"));
        }
        let (first, last) = Series::of(calendar, &Zone::Utc).bounds();
        // Floating times are somebody's clock: a day earlier or later at most.
        let (first, last) = (first.saturating_sub(DAY_S), last.map(|last| last.saturating_add(DAY_S)));
        Ok(Facts { uid, kind, first, last, schedule_tag: super::itip::schedule_tag(calendar) })
    }

    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }

    /// From what is stored; `None` when it was stored by another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version == VERSION { postcard::from_bytes(rest).ok() } else { None }
    }

    /// As [`Span::may_be_in`].
    pub fn may_be_in(&self, range: (i64, i64)) -> bool {
        self.span().may_be_in(range)
    }

    /// What decides whether a query may mean it.
    pub fn span(&self) -> Span {
        Span { kind: self.kind, first: self.first, last: self.last.unwrap_or(i64::MAX) }
    }
}

fn uid_of(component: &Component) -> Result<String, Refusal> {
    let uid = component.text("UID").unwrap_or_default();
    match uid.trim() {
        "" => Err(Refusal::Object("a component has no UID")),
        uid if uid.len() > UID_BYTES_MAX => Err(Refusal::Object("a UID is too long")),
        uid => Ok(uid.to_owned()),
    }
}
