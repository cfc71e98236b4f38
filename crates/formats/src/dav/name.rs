//! Names of elements: a namespace and a local name.

use std::borrow::Cow;

/// `DAV:` (RFC 4918)
pub const DAV: &str = "DAV:";
/// CalDAV (RFC 4791)
pub const CALDAV: &str = "urn:ietf:params:xml:ns:caldav";
/// CardDAV (RFC 6352)
pub const CARDDAV: &str = "urn:ietf:params:xml:ns:carddav";
/// What calendarserver.org wrote down: getctag and others that every client asks for.
pub const CALENDARSERVER: &str = "http://calendarserver.org/ns/";
/// What Apple's clients write down: calendar-color, calendar-order.
pub const APPLE: &str = "http://apple.com/ns/ical/";

/// The prefixes that answers use for the namespaces that everybody knows.
pub const PREFIXES: [(&str, &str); 5] =
    [("D", DAV), ("C", CALDAV), ("A", CARDDAV), ("S", CALENDARSERVER), ("I", APPLE)];

/// The name of an element or a property.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Its namespace; empty for none.
    pub namespace: Cow<'static, str>,
    /// Its local name.
    pub local: Cow<'static, str>,
}

impl Name {
    /// One that the program knows.
    pub const fn new(namespace: &'static str, local: &'static str) -> Self {
        Name { namespace: Cow::Borrowed(namespace), local: Cow::Borrowed(local) }
    }

    /// One of RFC 4918 and its siblings.
    pub const fn dav(local: &'static str) -> Self {
        Name::new(DAV, local)
    }

    /// One of CalDAV.
    pub const fn caldav(local: &'static str) -> Self {
        Name::new(CALDAV, local)
    }

    /// One of CardDAV.
    pub const fn carddav(local: &'static str) -> Self {
        Name::new(CARDDAV, local)
    }

    /// Whether it is this one.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.namespace == namespace && self.local == local
    }

    /// The prefix of its namespace in answers, if it has one.
    pub fn prefix(&self) -> Option<&'static str> {
        PREFIXES.iter().find(|(_, namespace)| self.namespace == *namespace).map(|(prefix, _)| *prefix)
    }

    /// `{namespace}local`, as properties are called where they are stored.
    pub fn clark(&self) -> String {
        format!("{{{}}}{}", self.namespace, self.local)
    }

    /// From [`Name::clark`].
    pub fn from_clark(text: &str) -> Option<Self> {
        let (namespace, local) = text.strip_prefix('{')?.split_once('}')?;
        Some(Name { namespace: Cow::Owned(namespace.to_owned()), local: Cow::Owned(local.to_owned()) })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.clark())
    }
}
