//! Groups and forwards that lead back to where they began.

use std::collections::{HashMap, HashSet};

use sterna_base::AccountId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_directory::routing::{self, FORWARDS_DEPTH_MAX, RoutingError};
use sterna_directory::{Member, Reader, StorageError};

use super::checks::{Found, Kind};
use crate::admin::address_of;

/// Entries of one circle that are named.
const NAMED_MAX: usize = 8;

/// Looks for circles among those whose mail goes on to others, and for chains that are cut.
///
/// # Errors
/// When the file can't be read.
pub fn look(reader: &Reader<'_>, onward: &[AccountId], found: &mut Found) -> Result<(), StorageError> {
    let nodes: HashSet<AccountId> = onward.iter().copied().collect();
    let mut ways: HashMap<AccountId, Vec<AccountId>> = HashMap::with_capacity(onward.len());
    for &id in onward {
        ways.insert(id, next(reader, id, &nodes)?);
    }
    for circle in circles(onward, &ways) {
        let mut names = Vec::new();
        for id in circle.iter().take(NAMED_MAX).chain(circle.first()) {
            names.push(address_of(reader, *id)?);
        }
        let more = if circle.len() > NAMED_MAX { " (and others)" } else { "" };
        let what = format!("mail goes around in a circle: {}{more}", names.join(" -> "));
        let remedy =
            "It ends in one of them, and others may miss it. Take one step out: --forward, or --remove-member.";
        found.add(Kind::Loop, what, remedy);
    }
    for id in too_long(reader, onward, &ways)? {
        let what = format!("mail for {} is sent on more than {FORWARDS_DEPTH_MAX} times", address_of(reader, id)?);
        let remedy = "The last ones don't get it: send it on to them directly (sterna account set ... --forward).";
        found.add(Kind::Loop, what, remedy);
    }
    Ok(())
}

/// Those among `nodes` that an entry's mail goes on to.
fn next(reader: &Reader<'_>, id: AccountId, nodes: &HashSet<AccountId>) -> Result<Vec<AccountId>, StorageError> {
    let Some(entry) = reader.entry(id)?.map(|entry| entry.value) else { return Ok(Vec::new()) };
    let mut ways = Vec::new();
    if entry.has_account() {
        for address in &entry.entry().forward_to {
            match routing::holder(reader, address) {
                Ok(holder) => ways.extend(holder.filter(|holder| nodes.contains(holder))),
                Err(RoutingError::Storage(error)) => return Err(error),
                Err(_) => {}
            }
        }
        return Ok(ways);
    }
    let mut after: Option<Member> = None;
    loop {
        let page = reader.members(id, after.as_ref(), PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { return Ok(ways) };
        after = Some(last.clone());
        ways.extend(page.into_iter().filter_map(|member| match member {
            Member::Local(member) if nodes.contains(&member) => Some(member),
            _ => None,
        }));
    }
}

/// A circle for each step that closes one, by depth-first search without recursion.
fn circles(onward: &[AccountId], ways: &HashMap<AccountId, Vec<AccountId>>) -> Vec<Vec<AccountId>> {
    let (mut circles, mut done) = (Vec::new(), HashSet::new());
    for &start in onward {
        if done.contains(&start) {
            continue;
        }
        let (mut path, mut on_path) = (vec![(start, 0)], HashSet::from([start]));
        while let Some((at, step)) = path.last_mut() {
            let Some(&to) = ways.get(at).and_then(|ways| ways.get(*step)) else {
                on_path.remove(at);
                done.insert(*at);
                path.pop();
                continue;
            };
            *step += 1;
            if on_path.contains(&to) {
                let from = path.iter().position(|(id, _)| *id == to).unwrap_or(0);
                circles.push(path[from..].iter().map(|(id, _)| *id).collect());
            } else if !done.contains(&to) {
                on_path.insert(to);
                path.push((to, 0));
            }
        }
    }
    circles
}

/// Entries from which forwards, one after the other, go on for longer than they are followed.
fn too_long(
    reader: &Reader<'_>,
    onward: &[AccountId],
    ways: &HashMap<AccountId, Vec<AccountId>>,
) -> Result<Vec<AccountId>, StorageError> {
    let mut found = Vec::new();
    for &start in onward {
        if reader.group(start)?.is_some() {
            continue;
        }
        let (mut reached, mut seen) = (vec![start], HashSet::from([start]));
        for _ in 0..FORWARDS_DEPTH_MAX {
            let mut further = Vec::new();
            for to in reached.iter().flat_map(|id| ways.get(id).into_iter().flatten().copied()) {
                // Groups begin anew: only mailboxes that send on to each other are counted.
                if seen.insert(to) && reader.group(to)?.is_none() {
                    further.push(to);
                }
            }
            reached = further;
        }
        if !reached.is_empty() {
            found.push(start);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ways: &[(u64, &[u64])]) -> Vec<Vec<u64>> {
        let id = |number: &u64| AccountId(*number);
        let all: Vec<AccountId> = ways.iter().map(|(from, _)| AccountId(*from)).collect();
        let ways = ways.iter().map(|(from, to)| (AccountId(*from), to.iter().map(id).collect())).collect();
        circles(&all, &ways).into_iter().map(|circle| circle.into_iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn circles_are_found_once() {
        assert!(found(&[(1, &[2, 3]), (2, &[4]), (3, &[4]), (4, &[])]).is_empty(), "two ways to one are no circle");
        assert_eq!(found(&[(1, &[1])]), [[1]]);
        assert_eq!(found(&[(9, &[1]), (1, &[2]), (2, &[3]), (3, &[1])]), [[1, 2, 3]]);
        assert_eq!(found(&[(1, &[2]), (2, &[1]), (3, &[4]), (4, &[3, 1])]).len(), 2);
    }
}
