//! What can be permitted.

use std::fmt;
use std::str::FromStr;

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Users, groups, shared mailboxes, resources, and what is in their accounts that others may set: rights, scripts,
    /// links.
    People,
    /// Passwords, second factors and sessions of people.
    Passwords,
    /// Domains, their records and keys.
    Domains,
    /// Servers and the tokens with which they join.
    Servers,
    /// Moves, drains, failovers, and other long work.
    Jobs,
    /// The queue, the trace of messages, mail maintenance.
    Mail,
    /// Settings.
    Settings,
    /// Roles, grants and tokens of administrators.
    Administrators,
    /// The record of what administrators did.
    Audit,
    /// Working as a user who may do no more.
    Sudo,
}

impl Area {
    /// Every area.
    pub const ALL: [Area; 10] = [
        Area::People,
        Area::Passwords,
        Area::Domains,
        Area::Servers,
        Area::Jobs,
        Area::Mail,
        Area::Settings,
        Area::Administrators,
        Area::Audit,
        Area::Sudo,
    ];

    /// Its name in permissions.
    pub fn name(self) -> &'static str {
        match self {
            Area::People => "people",
            Area::Passwords => "passwords",
            Area::Domains => "domains",
            Area::Servers => "servers",
            Area::Jobs => "jobs",
            Area::Mail => "mail",
            Area::Settings => "settings",
            Area::Administrators => "administrators",
            Area::Audit => "audit",
            Area::Sudo => "sudo",
        }
    }
}

/// One permission: to look at an area, or to change what is in it. Written `people:read`, `people:write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// What it is about.
    pub area: Area,
    /// Whether it permits changes. Who may change may look.
    pub write: bool,
}

impl Permission {
    /// To look.
    pub const fn read(area: Area) -> Self {
        Permission { area, write: false }
    }

    /// To change.
    pub const fn write(area: Area) -> Self {
        Permission { area, write: true }
    }

    fn bit(self) -> u32 {
        1 << (self.area as u32 * 2 + u32::from(self.write))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area.name(), if self.write { "write" } else { "read" })
    }
}

impl FromStr for Permission {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (area, access) = text.split_once(':').ok_or(())?;
        let area = Area::ALL.into_iter().find(|known| known.name() == area).ok_or(())?;
        match access {
            "read" => Ok(Permission::read(area)),
            "write" => Ok(Permission::write(area)),
            _ => Err(()),
        }
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// None.
    pub const NONE: Permissions = Permissions(0);

    /// All that there are.
    pub fn all() -> Self {
        Area::ALL.into_iter().map(Permission::write).collect()
    }

    /// All that change nothing.
    pub fn all_read() -> Self {
        Area::ALL.into_iter().map(Permission::read).collect()
    }

    /// Those with these names; names of a later version mean nothing here.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(|name| name.parse::<Permission>().ok()).collect()
    }

    /// Whether it is among them.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether all of the others are among them.
    pub fn has_all(self, others: Permissions) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Permissions) -> Self {
        Permissions(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn or(self, other: Permissions) -> Self {
        Permissions(self.0 | other.0)
    }

    /// Their names; of an area that may be changed, only that.
    pub fn names(self) -> Vec<String> {
        let of = |area| match (self.has(Permission::write(area)), self.has(Permission::read(area))) {
            (true, _) => Some(Permission::write(area).to_string()),
            (false, true) => Some(Permission::read(area).to_string()),
            (false, false) => None,
        };
        Area::ALL.into_iter().filter_map(of).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let bits = |permission: Permission| permission.bit() | Permission::read(permission.area).bit();
        Permissions(permissions.into_iter().fold(0, |all, permission| all | bits(permission)))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_change_may_look_and_not_the_other_way_round() {
        let people: Permissions = [Permission::write(Area::People), Permission::read(Area::Mail)].into_iter().collect();
        assert!(people.has(Permission::read(Area::People)) && people.has(Permission::write(Area::People)));
        assert!(people.has(Permission::read(Area::Mail)) && !people.has(Permission::write(Area::Mail)));
        assert_eq!(people.names(), ["people:write", "mail:read"]);
        assert_eq!(Permissions::named(people.names().iter().map(String::as_str)), people);
        assert!(Permissions::all().has_all(people) && !people.has_all(Permissions::all_read()));
        assert_eq!(Permissions::named(["people:fly", "moon:read", "people", ""]), Permissions::NONE);
    }
}
