//! Grants: who has which role, where.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, DomainId};

use super::permission::{Permission, Permissions};
use super::role::builtin_roles;
use crate::model::Scope;
use crate::names::invalid;
use crate::read::{AnyEntry, Reader, Versioned};
use crate::requests::found;
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Grants of one user or group.
pub const GRANTS_PER_ACCOUNT_MAX: usize = 64;

/// Grants of an installation that are looked at together.
const GRANTS_MAX: usize = 100_000;

/// Longest name of an organisational unit, in bytes.
const UNIT_BYTES_MAX: usize = 200;

/// That a user has a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who.
    pub account: AccountId,
    /// Which role.
    pub role: String,
    /// Where.
    pub scope: Scope,
    /// Of a domain, only this organisational unit and those below it; empty is the whole domain.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

impl Content for Grant {
    const KIND: RowKind = RowKind::Grant;
    fn key(&self) -> String {
        let scope = match self.scope {
            Scope::System => "system".to_owned(),
            Scope::Domain(id) => format!("{:016x}", id.0),
        };
        format!("{}/{}/{scope}/{}", account_key(self.account), self.role, self.unit)
    }
}

/// What somebody may do, and where.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rights {
    system: Permissions,
    domains: Vec<(DomainId, String, Permissions)>,
}

/// Where something lies that somebody wants to see or change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within<'a> {
    /// It concerns the installation.
    System,
    /// It is a domain, or belongs to one as a whole.
    Domain(DomainId),
    /// It is about somebody of a domain, in this organisational unit.
    Unit(DomainId, &'a str),
}

/// Whether a unit is the other one or below it. Units are paths: `sales/north` is below `sales`.
fn covers(above: &str, unit: &str) -> bool {
    above.is_empty() || unit.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Rights {
    /// Everything.
    pub fn all() -> Self {
        Rights { system: Permissions::all(), domains: Vec::new() }
    }

    /// Adds what a role permits.
    pub fn add(&mut self, scope: Scope, unit: &str, permissions: Permissions) {
        match scope {
            Scope::System => self.system = self.system.or(permissions),
            Scope::Domain(id) => self.domains.push((id, unit.to_owned(), permissions)),
        }
    }

    /// Only what is also among these.
    #[must_use]
    pub fn limited_to(mut self, permissions: Permissions) -> Self {
        self.system = self.system.and(permissions);
        self.domains.iter_mut().for_each(|(_, _, held)| *held = held.and(permissions));
        self
    }

    /// Only what is also within this domain.
    #[must_use]
    pub fn limited_to_domain(mut self, domain: DomainId) -> Self {
        self.domains.retain(|(id, _, _)| *id == domain);
        self.add(Scope::Domain(domain), "", self.system);
        self.system = Permissions::NONE;
        self
    }

    /// Whether nothing is permitted at all.
    pub fn is_empty(&self) -> bool {
        self.system.is_empty() && self.domains.iter().all(|(_, _, permissions)| permissions.is_empty())
    }

    /// What is permitted there.
    pub fn within(&self, place: Within<'_>) -> Permissions {
        let of = |domain: DomainId, unit: Option<&str>| {
            let held = self.domains.iter().filter(move |(id, above, _)| {
                *id == domain && unit.map_or(above.is_empty(), |unit| covers(above, unit))
            });
            held.fold(self.system, |all, (_, _, permissions)| all.or(*permissions))
        };
        match place {
            Within::System => self.system,
            Within::Domain(id) => of(id, None),
            Within::Unit(id, unit) => of(id, Some(unit)),
        }
    }

    /// Whether it is permitted there.
    pub fn may(&self, permission: Permission, place: Within<'_>) -> bool {
        self.within(place).has(permission)
    }

    /// Whether it is permitted somewhere.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.system.has(permission) || self.domains.iter().any(|(_, _, permissions)| permissions.has(permission))
    }

    /// The domains in which it is permitted, wholly or for a unit; empty when it is permitted everywhere or nowhere.
    pub fn domains_with(&self, permission: Permission) -> Vec<DomainId> {
        if self.system.has(permission) {
            return Vec::new();
        }
        let with = self.domains.iter().filter(|(_, _, permissions)| permissions.has(permission));
        let mut domains: Vec<DomainId> = with.map(|(id, _, _)| *id).collect();
        domains.sort_unstable();
        domains.dedup();
        domains
    }

    /// Whether everything that the other permits is permitted by this, wherever the other permits it.
    pub fn covers(&self, other: &Rights) -> bool {
        other.list().all(|(domain, unit, held)| match domain {
            None => self.system.has_all(held),
            Some(id) if unit.is_empty() => self.within(Within::Domain(id)).has_all(held),
            Some(id) => self.within(Within::Unit(id, unit)).has_all(held),
        })
    }

    /// Everything that is permitted: in the installation (`None`) or a domain, and there in which unit.
    pub fn list(&self) -> impl Iterator<Item = (Option<DomainId>, &str, Permissions)> {
        let system = (!self.system.is_empty()).then_some((None, "", self.system));
        system.into_iter().chain(self.domains.iter().map(|(id, unit, held)| (Some(*id), unit.as_str(), *held)))
    }
}

/// Grants a role, or takes it back. Being so already is success.
pub(crate) fn set(write: &mut Write<'_>, grant: &Grant, granted: bool) -> Result<(), RequestError> {
    if !granted {
        return Ok(write.delete(RowKind::Grant, &grant.key())?);
    }
    let entry = found(write.reader.entry(grant.account)?, "user", grant.account, None)?;
    if !matches!(entry, AnyEntry::User(_)) {
        return Err(invalid("account", "roles are granted to users"));
    }
    let no_role = || RequestError::NoSuch { what: "role", id: grant.role.clone() };
    write.reader.role(&grant.role)?.ok_or_else(no_role)?;
    match grant.scope {
        Scope::Domain(id) => drop(found(write.reader.domain(id)?, "domain", id, None)?),
        Scope::System if !grant.unit.is_empty() => {
            return Err(invalid("unit", "organisational units are parts of a domain; name the domain, too"));
        }
        Scope::System => {}
    }
    check_unit(&grant.unit)?;
    if write.reader.grants(grant.account)?.len() >= GRANTS_PER_ACCOUNT_MAX {
        return Err(RequestError::Limit { what: "roles of a user", limit: GRANTS_PER_ACCOUNT_MAX });
    }
    Ok(write.put(grant)?)
}

/// Whether it can be the name of an organisational unit.
pub(crate) fn check_unit(unit: &str) -> Result<(), RequestError> {
    let is_path = unit.split('/').all(|part| !part.trim().is_empty()) && !unit.chars().any(char::is_control);
    match unit.len() {
        0 => Ok(()),
        1..=UNIT_BYTES_MAX if is_path => Ok(()),
        _ => Err(invalid("unit", "names separated by /, at most 200 bytes, such as sales/north")),
    }
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// What was granted to a user.
    pub fn grants(&self, account: AccountId) -> Result<Vec<Versioned<Grant>>, StorageError> {
        self.rows_under(&format!("{}/", account_key(account)), GRANTS_PER_ACCOUNT_MAX)
    }

    /// Everything that was granted.
    pub fn all_grants(&self) -> Result<Vec<Versioned<Grant>>, StorageError> {
        self.rows_under("", GRANTS_MAX)
    }

    /// What a user may do. Who is suspended, or of a domain that is, may do nothing.
    pub fn rights(&self, account: AccountId) -> Result<Rights, StorageError> {
        if self.is_open(account)? { self.granted(account) } else { Ok(Rights::default()) }
    }

    /// Whether there is such a user, and neither the user nor the domain is suspended.
    pub fn is_open(&self, account: AccountId) -> Result<bool, StorageError> {
        let Some(user) = self.user(account)?.map(|found| found.value) else { return Ok(false) };
        let domain = self.domain(user.entry.address.domain)?;
        Ok(!user.entry.suspended && domain.is_some_and(|domain| !domain.value.suspended))
    }

    /// What was granted to a user, suspended or not: who ends a suspension, or gives a suspended one another password,
    /// must be permitted as much.
    pub fn granted(&self, account: AccountId) -> Result<Rights, StorageError> {
        let mut rights = Rights::default();
        let Some(AnyEntry::User(user)) = self.entry(account)?.map(|found| found.value) else { return Ok(rights) };
        if user.admin {
            rights.add(Scope::System, "", builtin_roles()[0].permits());
        }
        for grant in self.grants(account)?.into_iter().map(|found| found.value) {
            if let Some(role) = self.role(&grant.role)? {
                rights.add(grant.scope, &grant.unit, role.permits());
            }
        }
        Ok(rights)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Area;
    use super::*;

    #[test]
    fn rights_hold_where_they_were_granted_and_below() {
        let (north, south) = (DomainId(1), DomainId(2));
        let people: Permissions = [Permission::write(Area::People)].into_iter().collect();
        let mut rights = Rights::default();
        rights.add(Scope::Domain(north), "sales", people);
        rights.add(Scope::Domain(south), "", Permissions::all_read());
        let write = Permission::write(Area::People);
        for (unit, may) in [("sales", true), ("sales/north", true), ("salesmen", false), ("", false), ("it", false)] {
            assert_eq!(rights.may(write, Within::Unit(north, unit)), may, "{unit}");
        }
        assert!(!rights.may(write, Within::Domain(north)) && !rights.may(write, Within::System));
        let read = Permission::read(Area::People);
        assert!(rights.may(read, Within::Unit(south, "anything")) && rights.may(read, Within::Domain(south)));
        assert_eq!(rights.domains_with(read), [north, south]);
        let limited = Rights::all().limited_to_domain(south);
        assert!(limited.may(write, Within::Domain(south)) && !limited.may(write, Within::Domain(north)));
        assert!(Rights::all().limited_to(people).may(write, Within::System));
        assert!(!Rights::all().limited_to(people).may(Permission::read(Area::Mail), Within::System));
    }
}
