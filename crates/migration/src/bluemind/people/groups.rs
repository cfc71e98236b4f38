//! Groups and who is in them.

use std::collections::HashMap;

use super::{Entry, EntryKind, People};
use crate::bluemind::declaration::Group;
use crate::bluemind::report::{Kind, Report};
use crate::bluemind::tables::{Tables, TablesError};

/// A table of members: which column names the group, and which the member.
const MEMBERS: [(&str, &str, &str); 3] = [
    ("t_group_usermember", "group_id", "user_id"),
    ("t_group_groupmember", "group_parent_id", "group_child_id"),
    ("t_group_externalusermember", "group_id", "external_user_id"),
];

/// The members of each group, by name.
pub(super) fn members(
    directory: &Tables,
    known: &HashMap<String, Entry>,
) -> Result<HashMap<String, Vec<String>>, TablesError> {
    let by_item: HashMap<&str, &str> = known.values().map(|entry| (entry.item.as_str(), entry.uid.as_str())).collect();
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for (table, group, member) in MEMBERS {
        for row in directory.rows(table, &format!("SELECT * FROM {table}"), &[])? {
            let of = |column| by_item.get(row.required(column)).map(|uid| (*uid).to_owned());
            if let (Some(group), Some(member)) = (of(group), of(member)) {
                found.entry(group).or_default().push(member);
            }
        }
    }
    Ok(found)
}

/// The groups that have addresses.
pub(super) fn declared(directory: &Tables, people: &People, report: &mut Report) -> Result<Vec<Group>, TablesError> {
    let mut declared = Vec::new();
    let query = "SELECT e.*, g.name AS name FROM t_group g JOIN t_directory_entry e ON e.item_id = g.item_id";
    for row in directory.rows("t_group", query, &[])? {
        let Some(entry) = people.get(row.required("entry_uid")).filter(|entry| entry.kind == EntryKind::Group) else {
            continue;
        };
        let Some((address, aliases)) = entry.addresses.split_first() else {
            let reason = "it has no address; rights that it has go to its members";
            report.left_out(Kind::Groups, format!("{}: {reason}", entry.name));
            continue;
        };
        let members: Vec<&Entry> = people.members(&entry.uid).iter().filter_map(|uid| people.get(uid)).collect();
        for missing in members.iter().filter(|member| member.addresses.is_empty()) {
            report.partly(Kind::Groups, format!("{address}: its member {} has no address", missing.name));
        }
        let mut addresses: Vec<String> =
            members.iter().filter_map(|member| member.address().map(str::to_owned)).collect();
        addresses.sort();
        addresses.dedup();
        declared.push(Group {
            address: address.clone(),
            aliases: aliases.to_vec(),
            display_name: entry.name.clone(),
            hidden: row.is("flag_hidden"),
            external_members: members.iter().any(|member| member.kind == EntryKind::External),
            members: addresses,
        });
        report.written(Kind::Groups);
    }
    declared.sort_by(|one, other| one.address.cmp(&other.address));
    Ok(declared)
}
