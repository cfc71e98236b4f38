//! Deleting with a way back.

use sterna_base::{AccountId, Modseq, Timestamp};

use super::entry::{check_addresses, checked_user, forget, of_kind, read_address};
use crate::model::Entry;
use crate::read::AnyEntry;
use crate::row::{self, RowKind};
use crate::write::Write;
use crate::{RequestError, deleted};

pub(super) fn put(
    write: &mut Write<'_>,
    id: AccountId,
    kind: RowKind,
    expect: Option<Modseq>,
    (until, by): (Timestamp, &str),
) -> Result<(), RequestError> {
    let entry = of_kind(write, id, kind, expect)?;
    deleted::put(write, entry, until, by)?;
    forget(write, id, kind)
}

pub(super) fn restore(write: &mut Write<'_>, id: AccountId, address: Option<&str>) -> Result<(), RequestError> {
    let (deleted, parts) = deleted::take(write, id)?;
    match deleted.was {
        AnyEntry::User(mut user) => {
            readdress(write, &mut user.entry, address)?;
            // A login is a second name; without it the addresses still open the door.
            if let Some(login) = &user.login
                && write.reader.login_owner(login)?.is_some()
            {
                user.login = None;
            }
            let user = checked_user(write, user)?;
            write.put(&user)?;
        }
        AnyEntry::Shared(mut shared) => {
            readdress(write, &mut shared.entry, address)?;
            check_addresses(write, &shared.entry)?;
            write.put(&shared)?;
        }
        AnyEntry::Group(mut group) => {
            readdress(write, &mut group.entry, address)?;
            check_addresses(write, &group.entry)?;
            write.put(&group)?;
        }
    }
    deleted::rejoin(write, id, parts)?;
    deleted::bind_again(write, &deleted.subjects)
}

/// Gives an entry its addresses back, as far as they are still free.
fn readdress(write: &Write<'_>, entry: &mut Entry, address: Option<&str>) -> Result<(), RequestError> {
    if let Some(address) = address {
        entry.address = read_address(write, "address", address)?;
    } else if write.reader.domain(entry.address.domain)?.is_none() {
        return Err(RequestError::NoSuch { what: "domain", id: entry.address.domain.to_string() });
    }
    let (main, mut free) = (entry.address.clone(), Vec::new());
    for alias in entry.aliases.drain(..).filter(|alias| *alias != main) {
        if write.reader.domain(alias.domain)?.is_some() && write.reader.owner(&alias)?.is_none() {
            free.push(alias);
        }
    }
    entry.aliases = free;
    let (mut senders, mut there) = (std::mem::take(&mut entry.senders), Vec::new());
    for id in senders.drain(..) {
        if write.reader.entry(id)?.is_some() {
            there.push(id);
        }
    }
    entry.senders = there;
    Ok(())
}

pub(super) fn purge(write: &mut Write<'_>, id: AccountId) -> Result<(), RequestError> {
    deleted::take(write, id)?;
    super::pending::abandon(write, id)?;
    Ok(write.delete(RowKind::Placement, &row::account_key(id))?)
}
