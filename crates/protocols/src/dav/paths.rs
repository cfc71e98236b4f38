//! Paths: what a URL names, before anybody looks whether it is there.

use sterna_account::ContainerKind;
use sterna_formats::dav::href;

use super::answer::Problem;

/// The first part of every path.
pub const ROOT: &str = "dav";

/// What lies in homes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// Calendars, task lists and journals.
    Calendars,
    /// Address books.
    AddressBooks,
    /// Files.
    Files,
}

impl Space {
    /// All of them.
    pub const ALL: [Space; 3] = [Space::Calendars, Space::AddressBooks, Space::Files];

    /// Its part of the path.
    pub fn part(self) -> &'static str {
        match self {
            Space::Calendars => "calendars",
            Space::AddressBooks => "addressbooks",
            Space::Files => "files",
        }
    }

    /// The kinds of containers in it; a path means the first that has its name.
    pub fn kinds(self) -> &'static [ContainerKind] {
        match self {
            Space::Calendars => &[
                ContainerKind::Calendar,
                ContainerKind::Tasks,
                ContainerKind::Notes,
                ContainerKind::DerivedCalendar,
                ContainerKind::ScheduleInbox,
                ContainerKind::ScheduleOutbox,
            ],
            Space::AddressBooks => &[ContainerKind::AddressBook],
            Space::Files => &[ContainerKind::Files],
        }
    }

    /// Where containers of a kind lie.
    pub fn of(kind: ContainerKind) -> Option<Self> {
        Space::ALL.into_iter().find(|space| space.kinds().contains(&kind))
    }
}

/// Who may act for somebody (what calendarserver.org calls a calendar proxy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Who may read the calendars.
    Read,
    /// Who may write them.
    Write,
}

impl Proxy {
    /// Its part of the path, and the name of its resource type.
    pub fn part(self) -> &'static str {
        match self {
            Proxy::Read => "calendar-proxy-read",
            Proxy::Write => "calendar-proxy-write",
        }
    }
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `/dav/`
    Root,
    /// `/dav/principals/`
    Principals,
    /// `/dav/principals/users/`
    Users,
    /// `/dav/principals/users/ana@example.org/`
    Principal(String),
    /// `/dav/principals/users/ana@example.org/calendar-proxy-read/`
    Proxy(String, Proxy),
    /// `/dav/principals/groups/staff@example.org/`
    Group(String),
    /// `/dav/principals/domains/example.org/`
    Domain(String),
    /// `/dav/calendars/`
    Homes(Space),
    /// `/dav/calendars/ana@example.org/` and everything below: whose, and the parts after it.
    In(Space, String, Vec<String>),
}

impl Place {
    /// What a path names.
    ///
    /// # Errors
    /// `400` when it is malformed, `404` when nothing can be there.
    pub fn parse(path: &str) -> Result<Self, Problem> {
        let (parts, _) = href::parts(path).map_err(|error| Problem::bad_request(error.to_string()))?;
        let mut parts = parts.into_iter();
        if parts.next().as_deref() != Some(ROOT) {
            return Err(Problem::not_found());
        }
        let Some(first) = parts.next() else { return Ok(Place::Root) };
        if let Some(space) = Space::ALL.into_iter().find(|space| space.part() == first) {
            return Ok(match parts.next() {
                None => Place::Homes(space),
                Some(owner) => Place::In(space, owner, parts.collect()),
            });
        }
        let rest: Vec<String> = parts.collect();
        match (first.as_str(), &rest.iter().map(String::as_str).collect::<Vec<_>>()[..]) {
            ("principals", []) => Ok(Place::Principals),
            ("principals", ["users"]) => Ok(Place::Users),
            ("principals", ["users", user]) => Ok(Place::Principal((*user).to_owned())),
            ("principals", ["users", user, proxy]) => {
                let is_meant = |known: &Proxy| known.part() == *proxy;
                let proxy = [Proxy::Read, Proxy::Write].into_iter().find(is_meant).ok_or_else(Problem::not_found)?;
                Ok(Place::Proxy((*user).to_owned(), proxy))
            }
            ("principals", ["groups", group]) => Ok(Place::Group((*group).to_owned())),
            ("principals", ["domains", domain]) => Ok(Place::Domain((*domain).to_owned())),
            _ => Err(Problem::not_found()),
        }
    }
}

/// The path of a principal.
pub fn principal(address: &str) -> String {
    href::join([ROOT, "principals", "users", address], true)
}

/// The path of a group as a principal.
pub fn group(address: &str) -> String {
    href::join([ROOT, "principals", "groups", address], true)
}

/// The path of everybody in a domain as a principal.
pub fn domain(name: &str) -> String {
    href::join([ROOT, "principals", "domains", name], true)
}

/// The path of those who act for somebody as a principal.
pub fn proxy(address: &str, proxy: Proxy) -> String {
    href::join([ROOT, "principals", "users", address, proxy.part()], true)
}

/// The path of a home.
pub fn home(space: Space, address: &str) -> String {
    href::join([ROOT, space.part(), address], true)
}

/// The path of something in a home.
pub fn within<'a>(
    space: Space,
    address: &'a str,
    parts: impl IntoIterator<Item = &'a str>,
    is_collection: bool,
) -> String {
    href::join([ROOT, space.part(), address].into_iter().chain(parts), is_collection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_path() {
        let place = |path| Place::parse(path).ok();
        assert_eq!(place("/dav"), Some(Place::Root));
        assert_eq!(place("/dav/principals/users/a@x/"), Some(Place::Principal("a@x".into())));
        let proxy = Place::Proxy("a@x".into(), Proxy::Write);
        assert_eq!(place("/dav/principals/users/a@x/calendar-proxy-write/"), Some(proxy));
        assert_eq!(Place::parse(&group("s@x")).ok(), Some(Place::Group("s@x".into())));
        assert_eq!(Place::parse(&domain("x.test")).ok(), Some(Place::Domain("x.test".into())));
        assert_eq!(place("/dav/calendars/"), Some(Place::Homes(Space::Calendars)));
        assert_eq!(
            place("/dav/files/a%40x/b%20c/d"),
            Some(Place::In(Space::Files, "a@x".into(), vec!["b c".into(), "d".into()]))
        );
        for nowhere in ["/", "/mail", "/dav/other", "/dav/principals/groups", "/dav/principals/users/a/b", "/dav/../x"]
        {
            assert_eq!(place(nowhere), None, "{nowhere}");
        }
        assert_eq!(principal("a@x"), "/dav/principals/users/a@x/");
        assert_eq!(within(Space::Calendars, "a@x", ["w", "1.ics"], false), "/dav/calendars/a@x/w/1.ics");
    }
}
