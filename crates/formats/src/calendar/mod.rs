//! Calendar objects (RFC 5545): what the server must know of them. The bytes themselves are stored as they came.
//!
//! [`Calendar`] is an object that was read. [`facts`] says what is kept beside the bytes, and why an object is refused;
//! [`occurrences`] when it happens; [`filter`] whether a query means it; [`partial`] gives some of it back, and
//! [`published`] many of them to who has no log-in; [`feed`] reads what others publish so. [`itip`] is
//! what organizers and attendees tell each other.

pub mod attachments;
pub mod availability;
pub mod birthday;
pub mod booking;
pub mod facts;
pub mod feed;
pub mod filter;
pub mod freebusy;
pub mod itip;
pub mod occurrences;
pub mod partial;
pub mod published;
pub mod recurrence;
pub mod time;
mod windows_zones;
pub mod zone;
pub mod zone_text;

pub use facts::{Facts, Kind, Refusal, Span};
pub use zone::{Zone, Zones};

use crate::content_line::{self, Component, ContentLineError};

/// A calendar object that was read.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// The VCALENDAR.
    pub root: Component,
    /// What its TZIDs mean.
    pub zones: Zones,
}

/// Why bytes are no calendar object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not even content lines.
    #[error(transparent)]
    Syntax(#[from] ContentLineError),
    /// Something else, or more than one.
    #[error("it is not one VCALENDAR")]
    NotOneCalendar,
}

impl Calendar {
    /// From its text.
    ///
    /// # Errors
    /// [`CalendarError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CalendarError> {
        let mut found = content_line::parse(bytes)?;
        match (found.pop(), found.is_empty()) {
            (Some(root), true) if root.name == "VCALENDAR" => {
                let zones = Zones::of(&root);
                Ok(Calendar { root, zones })
            }
            _ => Err(CalendarError::NotOneCalendar),
        }
    }

    /// From a tree that was made or changed here.
    pub fn of(root: Component) -> Self {
        let zones = Zones::of(&root);
        Calendar { root, zones }
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        content_line::write(&self.root, &mut text);
        text
    }

    /// The events, tasks and so on: everything but zones.
    pub fn objects(&self) -> impl Iterator<Item = &Component> {
        self.root.components.iter().filter(|component| component.name != "VTIMEZONE")
    }
}
