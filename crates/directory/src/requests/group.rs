//! Groups and their members.

use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Modseq};

use super::entry::{EntryChange, change_entry, change_senders, check_addresses, new_entry};
use super::found;
use crate::model::{Group, Member, Membership};
use crate::names::{self, invalid};
use crate::request::{GroupPatch, NewGroup};
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{MEMBERS_PER_GROUP_MAX, RequestError};

pub(crate) fn create(write: &mut Write<'_>, new: &NewGroup) -> Result<AccountId, RequestError> {
    let id = super::reserve(write)?;
    let entry = new_entry(write, id, &new.address, &new.aliases, (&new.display_name, &new.unit))?;
    check_addresses(write, &entry)?;
    write.put(&Group {
        entry,
        external_members: new.external_members,
        internal_senders_only: new.internal_senders_only,
    })?;
    set_members(write, id, &new.members, &[])?;
    Ok(id)
}

pub(crate) fn set(
    write: &mut Write<'_>,
    id: AccountId,
    expect: Option<Modseq>,
    patch: &GroupPatch,
) -> Result<(), RequestError> {
    let mut group = found(write.reader.group(id)?, "group", id, expect)?;
    let before = group.entry.address.domain;
    let GroupPatch { address, aliases, display_name, unit, .. } = patch.clone();
    let GroupPatch { external_members, internal_senders_only, suspended, hidden, .. } = *patch;
    change_senders(write, &mut group.entry, patch.senders.as_deref())?;
    let change = EntryChange { address, aliases, display_name, unit, suspended, hidden };
    change_entry(write, &mut group.entry, change)?;
    check_addresses(write, &group.entry)?;
    group.internal_senders_only = internal_senders_only.unwrap_or(group.internal_senders_only);
    let had = (before, group.external_members);
    group.external_members = external_members.unwrap_or(group.external_members);
    if !group.external_members
        && had != (group.entry.address.domain, false)
        && let Some(address) = write.reader.stranger_in(&group)?
    {
        let by = format!("the group has external members that are no contacts of its domain, such as {address}");
        return Err(RequestError::InUse { by });
    }
    Ok(write.put(&group)?)
}

pub(crate) fn set_members(
    write: &mut Write<'_>,
    id: AccountId,
    add: &[Member],
    remove: &[Member],
) -> Result<(), RequestError> {
    let group = found(write.reader.group(id)?, "group", id, None)?;
    if add.len().max(remove.len()) > PAGE_ITEMS_MAX {
        return Err(RequestError::Limit { what: "members in one request", limit: PAGE_ITEMS_MAX });
    }
    for member in remove {
        // Also as it was given: it may have become a member before there was a contact of that address.
        let known = normalized(write, &group, member)?.0;
        let as_given = match member {
            Member::External(address) => names::external(address).map(Member::External),
            Member::Local(_) => None,
        };
        for member in std::iter::once(known).chain(as_given) {
            write.delete(RowKind::Member, &Membership { group: id, member }.key())?;
        }
    }
    let mut count = write.reader.member_count(id)?;
    for member in add {
        let (member, is_contact) = normalized(write, &group, member)?;
        let row = Membership { group: id, member };
        if !is_contact {
            check_member(write, &group, &row.member)?;
        }
        if !write.reader.is_member(&row)? {
            count += 1;
            if count > MEMBERS_PER_GROUP_MAX as u64 {
                return Err(RequestError::Limit { what: "members of a group", limit: MEMBERS_PER_GROUP_MAX });
            }
            write.put(&row)?;
        }
    }
    Ok(())
}

/// A cycle of groups is allowed: expansion passes each group once. Refusing it here would make the order in which two
/// groups are joined matter, and could not be kept on a path of thousands of groups without looking at all of them.
fn check_member(write: &Write<'_>, group: &Group, member: &Member) -> Result<(), RequestError> {
    match member {
        Member::Local(id) if *id == group.entry.id => Err(invalid("members", "a group can't be its own member")),
        Member::Local(id) => found(write.reader.entry(*id)?, "member", id, None).map(|_| ()),
        Member::External(address) if !group.external_members => Err(invalid(
            "members",
            format!(
                "{address} is neither an address of this installation nor an external contact of the group's domain \
                 (sterna contact create), and the group takes no other external members (--external-members)"
            ),
        )),
        Member::External(address) => {
            let name = address.rsplit_once('@').map_or("", |(_, name)| name);
            match write.reader.domain_id(name)? {
                None => Ok(()),
                Some(_) => Err(invalid(
                    "members",
                    format!("{address} is in a domain of this installation; name the user, group or mailbox itself"),
                )),
            }
        }
    }
}

/// A member as it is kept, and whether it is an external contact of the group's domain.
fn normalized(write: &Write<'_>, group: &Group, member: &Member) -> Result<(Member, bool), RequestError> {
    match member {
        Member::Local(id) => Ok((Member::Local(*id), false)),
        Member::External(address) => {
            let not_one = || invalid("members", format!("“{address}” is not an address"));
            let (address, is_contact) =
                write.reader.as_contact(group, names::external(address).ok_or_else(not_one)?)?;
            Ok((Member::External(address), is_contact))
        }
    }
}

pub(crate) fn remove_all_members(write: &mut Write<'_>, group: AccountId) -> Result<(), RequestError> {
    loop {
        let members = write.reader.members(group, None, PAGE_ITEMS_MAX)?;
        if members.is_empty() {
            return Ok(());
        }
        for member in members {
            write.delete(RowKind::Member, &Membership { group, member }.key())?;
        }
    }
}
