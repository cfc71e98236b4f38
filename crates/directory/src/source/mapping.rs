//! Which attributes of a directory mean what, and what they usually are.

use serde::{Deserialize, Serialize};

use crate::RequestError;
use crate::names::invalid;

/// Longest name of an attribute, in bytes.
const ATTRIBUTE_BYTES_MAX: usize = 128;

/// The sorts of directories: what says that an entry changed, and what never changes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Those that have `entryUUID` (RFC 4530) and `modifyTimestamp`: OpenLDAP, 389 Directory Server and others.
    OpenLdap,
    /// Active Directory: `objectGUID` and `uSNChanged`.
    ActiveDirectory,
}

/// Names of attributes; an empty one is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// What never changes of an entry.
    pub id: String,
    /// The log-in; with the domain it is the address of who has none.
    pub login: String,
    /// Addresses; the first one in the source's domain is the main one, others of it are aliases.
    pub address: String,
    /// Further addresses; of `smtp:x@y` (`proxyAddresses`) what follows the colon.
    pub aliases: String,
    /// The name for people.
    pub display_name: String,
    /// The organisational unit.
    pub unit: String,
    /// Says who is suspended: `userAccountControl` by its second bit, any other by being there with no `FALSE` in it.
    pub suspended: String,
    /// The name of a group.
    pub group_name: String,
    /// Members of groups: names of entries, or log-ins (`memberUid`); several attributes are separated by commas.
    pub members: String,
}

impl Default for Mapping {
    fn default() -> Self {
        Mapping::preset(SourceKind::OpenLdap)
    }
}

impl Mapping {
    /// What is usual in such a directory.
    pub fn preset(kind: SourceKind) -> Self {
        let named = |names: [&str; 9]| {
            let [id, login, address, aliases, display_name, unit, suspended, group_name, members] =
                names.map(str::to_owned);
            Mapping { id, login, address, aliases, display_name, unit, suspended, group_name, members }
        };
        match kind {
            SourceKind::OpenLdap => {
                named(["entryUUID", "uid", "mail", "", "cn", "", "", "cn", "member,memberUid,uniqueMember"])
            }
            SourceKind::ActiveDirectory => named([
                "objectGUID",
                "sAMAccountName",
                "mail",
                "proxyAddresses",
                "displayName",
                "",
                "userAccountControl",
                "sAMAccountName",
                "member",
            ]),
        }
    }

    /// All names, none of them empty.
    pub fn attributes(&self) -> Vec<&str> {
        let Mapping { id, login, address, aliases, display_name, unit, suspended, group_name, members } = self;
        let all = [id, login, address, aliases, display_name, unit, suspended, group_name, members];
        let mut names: Vec<&str> =
            all.into_iter().flat_map(|name| name.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(super) fn check(&self) -> Result<(), RequestError> {
        let is_name = |name: &&str| {
            name.len() <= ATTRIBUTE_BYTES_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.;".contains(c))
        };
        if let Some(bad) = self.attributes().into_iter().find(|name| !is_name(name)) {
            return Err(invalid("mapping", format!("“{bad}” is no name of an attribute")));
        }
        if self.id.is_empty() || self.login.is_empty() {
            return Err(invalid("mapping", "the attributes of the stable id and of the log-in are needed"));
        }
        Ok(())
    }
}

impl SourceKind {
    /// The filter that usually finds people.
    pub fn user_filter(self) -> &'static str {
        match self {
            SourceKind::OpenLdap => "(objectClass=inetOrgPerson)",
            SourceKind::ActiveDirectory => "(&(objectCategory=person)(objectClass=user))",
        }
    }

    /// The filter that usually finds groups.
    pub fn group_filter(self) -> &'static str {
        match self {
            SourceKind::OpenLdap => "(|(objectClass=groupOfNames)(objectClass=posixGroup))",
            SourceKind::ActiveDirectory => "(objectClass=group)",
        }
    }
}
