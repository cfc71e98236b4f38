//! The directory as another mail server asks for it: tables of names, addresses and what they stand for.

use sterna_base::{AccountId, NodeId};

use crate::StorageError;
use crate::read::{AnyEntry, Reader};
use crate::routing::{RoutingError, find, is_open, resolve, split};
use crate::senders;

/// Users whose log-ins one address has, at most: those of a group that may send with it are all named.
const LOGINS_MAX: usize = 10_000;

/// Whether a domain, or another name of one, is ours.
///
/// # Errors
/// When the file can't be read; the same holds for all of these.
pub fn is_domain(reader: &Reader<'_>, name: &str) -> Result<bool, StorageError> {
    Ok(reader.domain_named(name)?.is_some())
}

/// Whether mail for an address is taken, now or later.
pub fn is_recipient(reader: &Reader<'_>, address: &str) -> Result<bool, StorageError> {
    match resolve(reader, address) {
        Ok(_) | Err(RoutingError::Suspended | RoutingError::NoPostmaster | RoutingError::TooMany) => Ok(true),
        Err(RoutingError::NotLocal | RoutingError::NoSuchAddress) => Ok(false),
        Err(RoutingError::Storage(error)) => Err(error),
    }
}

/// Whether an address is that of a group which takes mail of users only.
pub fn is_closed(reader: &Reader<'_>, address: &str) -> Result<bool, StorageError> {
    match is_open(reader, address) {
        Ok(open) => Ok(!open),
        Err(RoutingError::Storage(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// The main address of whoever has an address: it alone, because mail for it is sent on to members and forwards when it
/// comes here. For addresses that don't exist, where they lead. `None` when it stands for itself, or leads nowhere.
pub fn alias(reader: &Reader<'_>, address: &str) -> Result<Option<Vec<String>>, StorageError> {
    let owner = match split(reader, address).and_then(|(local, domain)| find(reader, &domain, &local)) {
        Ok(Some((owner, _))) => vec![owner],
        Ok(None) => match resolve(reader, address) {
            Ok(found) if found.external.is_empty() => found.accounts,
            Ok(found) if !found.external.iter().any(|other| other.eq_ignore_ascii_case(address.trim())) => {
                return Ok(Some(found.external));
            }
            Err(RoutingError::Storage(error)) => return Err(error),
            Ok(_) | Err(_) => return Ok(None),
        },
        Err(RoutingError::Storage(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    let mut addresses = Vec::with_capacity(owner.len());
    for account in owner {
        if let Some(entry) = reader.entry(account)? {
            addresses.extend(reader.address_text(&entry.value.entry().address)?);
        }
    }
    let is_itself = matches!(&addresses[..], [only] if only.eq_ignore_ascii_case(address.trim()));
    Ok((!is_itself && !addresses.is_empty()).then_some(addresses))
}

/// The server that has the account of an address; `None` when it has none of its own (a group, an unknown address).
pub fn server_of(reader: &Reader<'_>, address: &str) -> Result<Option<NodeId>, StorageError> {
    let owner = match split(reader, address).and_then(|(local, domain)| find(reader, &domain, &local)) {
        Ok(owner) => owner,
        Err(RoutingError::Storage(error)) => return Err(error),
        Err(_) => None,
    };
    let Some((owner, _)) = owner else { return Ok(None) };
    Ok(reader.placement(owner)?.map(|placement| placement.value.server))
}

/// The names with which those log in who may send with an address; `None` when it isn't anybody's.
pub fn sender_logins(reader: &Reader<'_>, address: &str) -> Result<Option<Vec<String>>, StorageError> {
    let owner = match split(reader, address).and_then(|(local, domain)| find(reader, &domain, &local)) {
        Ok(Some((owner, _))) => owner,
        Ok(None) => return Ok(None),
        Err(RoutingError::Storage(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    let Some(entry) = reader.entry(owner)? else { return Ok(None) };
    let mut logins = Vec::new();
    for id in std::iter::once(owner).chain(entry.value.entry().senders.iter().copied()) {
        match reader.entry(id)?.map(|found| found.value) {
            Some(AnyEntry::User(_)) => add_logins(reader, id, &mut logins)?,
            // Who is in a group may send with its addresses only where it is named; a group has no log-in itself.
            Some(AnyEntry::Group(_)) if id != owner => {
                for member in senders::members(reader, id)? {
                    add_logins(reader, member, &mut logins)?;
                }
            }
            _ => {}
        }
    }
    logins.sort_unstable();
    logins.dedup();
    logins.truncate(LOGINS_MAX);
    Ok((!logins.is_empty()).then_some(logins))
}

fn add_logins(reader: &Reader<'_>, id: AccountId, to: &mut Vec<String>) -> Result<(), StorageError> {
    let Some(user) = reader.user(id)? else { return Ok(()) };
    for address in user.value.entry.addresses() {
        to.extend(reader.address_text(address)?);
    }
    to.extend(user.value.login);
    Ok(())
}
