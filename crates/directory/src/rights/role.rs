//! Roles: named sets of permissions.

use serde::{Deserialize, Serialize};
use sterna_base::Modseq;

use super::permission::{Area, Permission, Permissions};
use crate::names::invalid;
use crate::read::{Reader, Versioned};
use crate::requests::found;
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Roles of an installation besides those that are built in.
const ROLES_MAX: usize = 100;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1000;

/// A role that administrators made themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name: small letters, digits and hyphens.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Names of permissions. Those that this version doesn't know permit nothing, and stay.
    pub permissions: Vec<String>,
}

impl Role {
    /// What it permits.
    pub fn permits(&self) -> Permissions {
        Permissions::named(self.permissions.iter().map(String::as_str))
    }
}

impl Content for Role {
    const KIND: RowKind = RowKind::Role;
    fn key(&self) -> String {
        self.name.clone()
    }
}

/// The roles that every installation has. They can't be changed: what they permit is what their names promise.
pub fn builtin_roles() -> [Role; 4] {
    let role = |name: &str, description: &str, permissions: Permissions| Role {
        name: name.to_owned(),
        description: description.to_owned(),
        permissions: permissions.names(),
    };
    let domain = [
        Permission::write(Area::People),
        Permission::write(Area::Passwords),
        Permission::write(Area::Domains),
        Permission::write(Area::Settings),
        Permission::write(Area::Administrators),
        Permission::read(Area::Mail),
        Permission::read(Area::Jobs),
        Permission::read(Area::Audit),
    ];
    let help = [Permission::read(Area::People), Permission::write(Area::Passwords), Permission::read(Area::Mail)];
    [
        role("platform-administrator", "Everything, everywhere", Permissions::all()),
        role("domain-administrator", "People, records, keys and settings of a domain", domain.into_iter().collect()),
        role("help-desk", "Sees people and their mail's way, and gives new passwords", help.into_iter().collect()),
        role("read-only", "Sees everything and changes nothing", Permissions::all_read()),
    ]
}

/// Makes a role, or changes what it permits.
pub(crate) fn put(write: &mut Write<'_>, role: &Role, expect: Option<Modseq>) -> Result<(), RequestError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if role.name.is_empty() || role.name.len() > NAME_BYTES_MAX || !role.name.bytes().all(allowed) {
        return Err(invalid("role", "small letters, digits and hyphens only, at most 64"));
    }
    if builtin_roles().iter().any(|builtin| builtin.name == role.name) {
        return Err(invalid("role", "the roles that are built in can't be changed; make one of another name"));
    }
    if role.description.len() > DESCRIPTION_BYTES_MAX {
        return Err(invalid("description", "it is longer than 1000 bytes"));
    }
    if let Some(unknown) = role.permissions.iter().find(|name| name.parse::<Permission>().is_err()) {
        return Err(invalid("permissions", format!("there is no permission {unknown:?}")));
    }
    match write.reader.row::<Role>(&role.name)? {
        None if expect.is_some() => return Err(RequestError::NoSuch { what: "role", id: role.name.clone() }),
        None if write.reader.roles()?.len() >= ROLES_MAX => {
            return Err(RequestError::Limit { what: "roles", limit: ROLES_MAX });
        }
        None => {}
        some => drop(found(some, "role", &role.name, expect)?),
    }
    Ok(write.put(role)?)
}

/// Deletes a role that nobody has.
pub(crate) fn delete(write: &mut Write<'_>, name: &str, expect: Option<Modseq>) -> Result<(), RequestError> {
    found(write.reader.row::<Role>(name)?, "role", name, expect)?;
    let holders = write.reader.all_grants()?.into_iter().filter(|grant| grant.value.role == name).count();
    if holders > 0 {
        return Err(RequestError::InUse { by: format!("{holders} grants; take them back first") });
    }
    Ok(write.delete(RowKind::Role, name)?)
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The roles that administrators made, by name.
    pub fn roles(&self) -> Result<Vec<Versioned<Role>>, StorageError> {
        self.rows_under("", ROLES_MAX)
    }

    /// The role of this name, built in or not.
    pub fn role(&self, name: &str) -> Result<Option<Role>, StorageError> {
        if let Some(builtin) = builtin_roles().into_iter().find(|role| role.name == name) {
            return Ok(Some(builtin));
        }
        Ok(self.row::<Role>(name)?.map(|found| found.value))
    }
}
