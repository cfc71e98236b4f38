//! Who may send with which address.

use std::collections::{HashSet, VecDeque};

use sterna_base::AccountId;
use sterna_base::limits::PAGE_ITEMS_MAX;

use crate::StorageError;
use crate::model::Member;
use crate::read::Reader;
use crate::routing::{RoutingError, find, split};

/// Groups inside groups that one user is looked for in.
const GROUPS_MAX: usize = 10_000;
/// Members of one group that are named, with those of groups inside it.
const MEMBERS_MAX: usize = 100_000;

/// Whether a user may send with an address (with or without a detail): it is the user's own, or the entry that has it
/// names the user or a group that the user is in.
///
/// # Errors
/// [`RoutingError`]: an address that isn't ours is nobody's.
pub(crate) fn may_send_as(reader: &Reader<'_>, user: AccountId, address: &str) -> Result<bool, RoutingError> {
    let (local, domain) = split(reader, address)?;
    let Some((owner, _)) = find(reader, &domain, &local)? else { return Ok(false) };
    if owner == user {
        return Ok(true);
    }
    let Some(entry) = reader.entry(owner)? else { return Ok(false) };
    let senders = &entry.value.entry().senders;
    if senders.is_empty() {
        return Ok(false);
    }
    Ok(senders.contains(&user) || is_in_one(reader, user, senders)?)
}

/// The users and shared mailboxes in a group and in the groups inside it.
pub(crate) fn members(reader: &Reader<'_>, group: AccountId) -> Result<Vec<AccountId>, StorageError> {
    let (mut seen, mut queue, mut found) = (HashSet::from([group]), VecDeque::from([group]), Vec::new());
    while let Some(group) = queue.pop_front() {
        let mut after: Option<Member> = None;
        loop {
            let page = reader.members(group, after.as_ref(), PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let ids = page.into_iter().filter_map(|member| match member {
                Member::Local(id) => Some(id),
                Member::External(_) => None,
            });
            for id in ids.filter(|id| seen.insert(*id)) {
                if reader.group(id)?.is_some() { queue.push_back(id) } else { found.push(id) }
            }
        }
        if seen.len() > MEMBERS_MAX {
            break;
        }
    }
    Ok(found)
}

/// Whether the user is in one of the groups, itself or through other groups.
fn is_in_one(reader: &Reader<'_>, user: AccountId, groups: &[AccountId]) -> Result<bool, StorageError> {
    let (mut seen, mut queue) = (HashSet::new(), VecDeque::from([user]));
    while let Some(member) = queue.pop_front() {
        let mut after = AccountId(0);
        loop {
            let page = reader.groups_of(member, after, PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { break };
            after = *last;
            if page.iter().any(|group| groups.contains(group)) {
                return Ok(true);
            }
            queue.extend(page.into_iter().filter(|group| seen.insert(*group)));
        }
        if seen.len() > GROUPS_MAX {
            return Ok(false);
        }
    }
    Ok(false)
}
