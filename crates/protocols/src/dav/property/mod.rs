//! Properties: which there are, and what they are of what.

mod collection;
mod item;
mod principal;
mod privileges;
mod selection;

pub use collection::{components, components_of};
pub use item::{content_type, etag, http_date};
pub use privileges::{NoRights, READ, WRITE, rights_of, say_the_same};
pub use selection::{Background, Selection, Teller};

use sterna_formats::dav::Name;

/// The value of a property.
pub enum Value {
    /// What is in its element, as XML.
    Inner(String),
    /// The whole element, as a client set it.
    Element(String),
}

/// A value that is one href.
fn href(path: &str) -> Value {
    let mut xml = String::new();
    sterna_formats::dav::write::href(path, &mut xml);
    Value::Inner(xml)
}

/// A value that is a text.
fn text(text: &str) -> Value {
    Value::Inner(sterna_formats::dav::write::text(text))
}

/// Properties that no client sets.
pub fn is_protected(name: &Name) -> bool {
    use sterna_formats::dav::name::{CALDAV, CALENDARSERVER, CARDDAV, DAV};
    match &*name.namespace {
        DAV => name.local != "displayname",
        CALDAV => !matches!(
            &*name.local,
            "calendar-description"
                | "calendar-timezone"
                | "calendar-timezone-id"
                | "schedule-calendar-transp"
                | "schedule-default-calendar-URL"
                | "calendar-availability"
                | "default-alarm-vevent-datetime"
                | "default-alarm-vevent-date"
                | "default-alarm-vtodo-datetime"
                | "default-alarm-vtodo-date"
        ),
        CARDDAV => name.local != "addressbook-description",
        CALENDARSERVER => {
            matches!(&*name.local, "getctag" | "source" | "calendar-proxy-read-for" | "calendar-proxy-write-for")
        }
        _ => false,
    }
}

/// Properties of the namespaces that we know, which are not told unless they are asked for by name, and others that
/// every answer to `allprop` has (RFC 4918 section 9.1).
const ALLPROP: [&str; 9] = [
    "creationdate",
    "displayname",
    "getcontentlanguage",
    "getcontentlength",
    "getcontenttype",
    "getetag",
    "getlastmodified",
    "lockdiscovery",
    "resourcetype",
];
