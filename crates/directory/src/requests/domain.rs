//! Domains.

use rusqlite::{OptionalExtension, params};
use sterna_base::{DomainId, Modseq, NodeId};

use super::found;
use crate::index::number;
use crate::model::{Domain, Scope};
use crate::names::{self, invalid};
use crate::request::{DomainPatch, NewDomain};
use crate::row::{self, DOMAIN_COUNTER, RowKind};
use crate::write::Write;
use crate::{DOMAIN_ALIASES_MAX, RequestError, SERVERS_MAX};

pub(crate) fn create(write: &mut Write<'_>, new: &NewDomain) -> Result<DomainId, RequestError> {
    let domain = Domain {
        id: DomainId(write.next_number(DOMAIN_COUNTER)?),
        name: new.name.clone(),
        aliases: new.aliases.clone(),
        description: new.description.clone(),
        servers: new.servers.clone(),
        suspended: false,
        created_at: write.now,
    };
    let domain = checked(write, domain)?;
    write.put(&domain)?;
    for (name, value) in &new.settings {
        super::setting::put(write, Scope::Domain(domain.id), name, Some(value), &new.by)?;
    }
    Ok(domain.id)
}

pub(crate) fn set(
    write: &mut Write<'_>,
    id: DomainId,
    expect: Option<Modseq>,
    patch: &DomainPatch,
) -> Result<(), RequestError> {
    let mut domain = found(write.reader.domain(id)?, "domain", id, expect)?;
    let DomainPatch { name, aliases, description, servers, suspended, settings, by } = patch.clone();
    domain.name = name.unwrap_or(domain.name);
    domain.aliases = aliases.unwrap_or(domain.aliases);
    domain.description = description.unwrap_or(domain.description);
    domain.servers = servers.unwrap_or(domain.servers);
    domain.suspended = suspended.unwrap_or(domain.suspended);
    let domain = checked(write, domain)?;
    write.put(&domain)?;
    for (name, value) in &settings {
        super::setting::put(write, Scope::Domain(id), name, value.as_deref(), &by)?;
    }
    Ok(())
}

pub(crate) fn delete(write: &mut Write<'_>, id: DomainId, expect: Option<Modseq>) -> Result<(), RequestError> {
    let domain = found(write.reader.domain(id)?, "domain", id, expect)?;
    let sql = "SELECT local_part FROM dir_address WHERE domain_id = $1 LIMIT 1";
    let used: Option<String> =
        write.reader.conn.prepare_cached(sql)?.query_row(params![number(id.0)], |row| row.get(0)).optional()?;
    if let Some(local) = used {
        return Err(RequestError::InUse { by: format!("the address {local}@{}", domain.name) });
    }
    for key in write.reader.setting_keys(id)? {
        write.delete(RowKind::Setting, &key)?;
    }
    crate::dkim::forget(write, id)?;
    crate::rights::forget_domain(write, id)?;
    crate::contact::forget_domain(write, id)?;
    crate::share::forget_grantee(write, sterna_account::Identifier::Domain(id))?;
    Ok(write.delete(RowKind::Domain, &row::domain_key(id))?)
}

/// Normalises names and checks that they are free and that the servers exist.
fn checked(write: &Write<'_>, mut domain: Domain) -> Result<Domain, RequestError> {
    domain.name = domain_name("name", &domain.name)?;
    domain.description = names::display("description", &domain.description)?;
    let mut aliases =
        domain.aliases.iter().map(|alias| domain_name("aliases", alias)).collect::<Result<Vec<_>, _>>()?;
    aliases.sort_unstable();
    aliases.dedup();
    aliases.retain(|alias| *alias != domain.name);
    if aliases.len() > DOMAIN_ALIASES_MAX {
        return Err(RequestError::Limit { what: "aliases of a domain", limit: DOMAIN_ALIASES_MAX });
    }
    domain.aliases = aliases;
    for name in std::iter::once(&domain.name).chain(&domain.aliases) {
        is_free(write, name, domain.id)?;
    }
    domain.servers = known_servers(write, &domain.servers)?;
    Ok(domain)
}

fn domain_name(field: &'static str, name: &str) -> Result<String, RequestError> {
    names::domain(name).ok_or_else(|| invalid(field, format!("“{name}” is not a domain name")))
}

fn is_free(write: &Write<'_>, name: &str, id: DomainId) -> Result<(), RequestError> {
    match write.reader.domain_id(name)? {
        Some(owner) if owner != id => {
            Err(RequestError::Taken { name: name.to_owned(), owner: "domain", owner_id: owner.to_string() })
        }
        _ => Ok(()),
    }
}

fn known_servers(write: &Write<'_>, servers: &[NodeId]) -> Result<Vec<NodeId>, RequestError> {
    let mut known = servers.to_vec();
    known.sort_unstable();
    known.dedup();
    if known.len() > SERVERS_MAX {
        return Err(RequestError::Limit { what: "servers of a domain", limit: SERVERS_MAX });
    }
    for id in &known {
        found(write.reader.server(*id)?, "server", id, None)?;
    }
    Ok(known)
}
