//! Servers.

use sterna_base::{Modseq, NodeId};

use super::found;
use crate::model::{Roles, Server};
use crate::names::{self, invalid};
use crate::placement_policy::NoServer;
use crate::request::ServerPatch;
use crate::row::{self, RowKind};
use crate::write::Write;
use crate::{RequestError, SERVERS_MAX};

/// Longest `host:port`, in bytes.
const ADDRESS_BYTES_MAX: usize = 300;
/// The weight of a new server.
const DEFAULT_WEIGHT: u32 = 1;
/// Largest weight.
const WEIGHT_MAX: u32 = 1_000_000;

pub(crate) fn put(
    write: &mut Write<'_>,
    id: NodeId,
    name: &str,
    address: &str,
    roles: Roles,
) -> Result<(), RequestError> {
    let server = match write.reader.server(id)? {
        Some(old) => Server { name: name.to_owned(), address: address.to_owned(), roles, ..old.value },
        None => {
            if write.reader.servers()?.len() >= SERVERS_MAX {
                return Err(RequestError::Limit { what: "servers", limit: SERVERS_MAX });
            }
            Server {
                id,
                name: name.to_owned(),
                address: address.to_owned(),
                roles,
                weight: DEFAULT_WEIGHT,
                accepts_new_accounts: true,
                free_bytes: None,
                free_bytes_at: None,
                draining: false,
                capacity_bytes: None,
                used_bytes: None,
                version: None,
                standby: None,
                created_at: write.now,
            }
        }
    };
    let server = checked(write, server)?;
    Ok(write.put(&server)?)
}

pub(crate) fn set(
    write: &mut Write<'_>,
    id: NodeId,
    expect: Option<Modseq>,
    patch: &ServerPatch,
) -> Result<(), RequestError> {
    let mut server = found(write.reader.server(id)?, "server", id, expect)?;
    let ServerPatch {
        name,
        address,
        roles,
        weight,
        accepts_new_accounts,
        draining,
        free_bytes,
        capacity_bytes,
        used_bytes,
        version,
        standby,
    } = patch.clone();
    server.name = name.unwrap_or(server.name);
    server.address = address.unwrap_or(server.address);
    server.roles = roles.unwrap_or(server.roles);
    server.weight = weight.unwrap_or(server.weight);
    server.accepts_new_accounts = accepts_new_accounts.unwrap_or(server.accepts_new_accounts);
    server.draining = draining.unwrap_or(server.draining);
    server.standby = standby.unwrap_or(server.standby);
    if free_bytes.is_some() || capacity_bytes.is_some() || used_bytes.is_some() || version.is_some() {
        server.free_bytes = free_bytes.or(server.free_bytes);
        server.capacity_bytes = capacity_bytes.or(server.capacity_bytes);
        server.used_bytes = used_bytes.or(server.used_bytes);
        server.version = version.map(|text| names::one_line(&text)).or(server.version);
        server.free_bytes_at = Some(write.now);
    }
    let server = checked(write, server)?;
    Ok(write.put(&server)?)
}

pub(crate) fn delete(write: &mut Write<'_>, id: NodeId, expect: Option<Modseq>) -> Result<(), RequestError> {
    let server = found(write.reader.server(id)?, "server", id, expect)?;
    check_empty(write, &server)?;
    if server.roles.main {
        return Err(RequestError::InUse { by: format!("{} is the main node", server.name) });
    }
    check_not_standby(write, &server)?;
    if let Some(domain) = domain_that_names(write, id)? {
        return Err(RequestError::InUse { by: format!("domain {domain} names {}", server.name) });
    }
    Ok(write.delete(RowKind::Server, &row::server_key(id))?)
}

/// Nothing is there, and nothing is on its way there.
fn check_empty(write: &Write<'_>, server: &Server) -> Result<(), RequestError> {
    let accounts = write.reader.accounts_on(server.id)?;
    let copies = write.reader.copy_count(server.id)?;
    let moves = write.reader.move_count(server.id)?;
    if (accounts, copies, moves) == (0, 0, 0) {
        return Ok(());
    }
    Err(RequestError::ServerInUse { name: server.name.clone(), accounts, copies, moves })
}

/// No other server counts on it.
fn check_not_standby(write: &Write<'_>, server: &Server) -> Result<(), RequestError> {
    let servers = write.reader.servers()?.into_iter().map(|found| found.value);
    let mut others = servers.filter(|other| other.standby.is_some_and(|standby| standby.server == server.id));
    match others.next() {
        Some(other) => Err(RequestError::InUse { by: format!("{} stands by for {}", server.name, other.name) }),
        None => Ok(()),
    }
}

fn check_standby(write: &Write<'_>, server: &Server) -> Result<(), RequestError> {
    let Some(standby) = server.standby else { return Ok(()) };
    if standby.server == server.id {
        return Err(invalid("standby", "a server can't stand by for itself"));
    }
    let other = found(write.reader.server(standby.server)?, "server", standby.server, None)?;
    if !other.roles.data {
        return Err(NoServer::NotData(other.name).into());
    }
    Ok(())
}

/// The first domain whose list of servers has this one. Looks at all domains: servers are deleted rarely, and an index
/// over a handful of rows would be kept for ever.
fn domain_that_names(write: &Write<'_>, id: NodeId) -> Result<Option<String>, RequestError> {
    let mut after = String::new();
    loop {
        let page = write.reader.domains(&after, sterna_base::limits::PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { return Ok(None) };
        after.clone_from(&last.value.name);
        if let Some(domain) = page.into_iter().find(|domain| domain.value.servers.contains(&id)) {
            return Ok(Some(domain.value.name));
        }
    }
}

fn checked(write: &Write<'_>, mut server: Server) -> Result<Server, RequestError> {
    server.name = names::server_name(&server.name)?;
    if let Some(owner) = write.reader.server_named(&server.name)?
        && owner.value.id != server.id
    {
        let owner_id = owner.value.id.to_string();
        return Err(RequestError::Taken { name: server.name, owner: "server", owner_id });
    }
    check_address(&server.address)?;
    if server.weight > WEIGHT_MAX {
        return Err(invalid("weight", "it is at most 1000000"));
    }
    if !server.roles.data {
        check_empty(write, &server)?;
        check_not_standby(write, &server)?;
    }
    check_standby(write, &server)?;
    Ok(server)
}

fn check_address(address: &str) -> Result<(), RequestError> {
    let good = address.len() <= ADDRESS_BYTES_MAX
        && address.rsplit_once(':').is_some_and(|(host, port)| {
            let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
            port.parse::<u16>().is_ok_and(|port| port != 0)
                && (names::domain(host).is_some() || host.parse::<std::net::IpAddr>().is_ok())
        });
    if good { Ok(()) } else { Err(invalid("address", format!("“{address}” is not host:port"))) }
}
