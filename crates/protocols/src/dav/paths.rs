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
        match (first.as_str(), parts.next().as_deref(), parts.next(), parts.next()) {
            ("principals", None, None, None) => Ok(Place::Principals),
            ("principals", Some("users"), None, None) => Ok(Place::Users),
            ("principals", Some("users"), Some(user), None) => Ok(Place::Principal(user)),
            _ => Err(Problem::not_found()),
        }
    }
}

/// The path of a principal.
pub fn principal(address: &str) -> String {
    href::join([ROOT, "principals", "users", address], true)
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
