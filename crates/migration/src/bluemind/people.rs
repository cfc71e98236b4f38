//! Who is in the directory: users, groups, shared mailboxes, resources, people elsewhere, and the calendars and
//! address books of domains, which belong to shared accounts here.

mod groups;
mod persons;

use std::collections::HashMap;

use super::declaration::Declaration;
use super::domains::Domains;
use super::report::{Kind, Report};
use super::tables::{Row, Tables, TablesError};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    User,
    Group,
    SharedMailbox,
    Resource,
    External,
    Calendar,
    AddressBook,
}

impl EntryKind {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "USER" => EntryKind::User,
            "GROUP" => EntryKind::Group,
            "MAILSHARE" | "SHARED_MAILBOX" => EntryKind::SharedMailbox,
            "RESOURCE" => EntryKind::Resource,
            "EXTERNALUSER" => EntryKind::External,
            "CALENDAR" => EntryKind::Calendar,
            "ADDRESSBOOK" => EntryKind::AddressBook,
            _ => return None,
        })
    }

    /// Whether there is an account that has calendars, address books and mail.
    pub fn has_account(self) -> bool {
        !matches!(self, EntryKind::Group | EntryKind::External)
    }
}

/// An entry of the directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// The old system's name for it: that by which owners and members are named.
    pub uid: String,
    /// The number by which its parts are found.
    pub item: String,
    /// The old system's name for its domain.
    pub domain: String,
    /// Its addresses here, the main one first; none when it isn't brought.
    pub addresses: Vec<String>,
    /// For people.
    pub name: String,
}

impl Entry {
    /// The main address here.
    pub fn address(&self) -> Option<&str> {
        self.addresses.first().map(String::as_str)
    }
}

/// Everybody, by the old system's name.
pub struct People {
    known: HashMap<String, Entry>,
    /// Members of groups: users, groups and people elsewhere, by their names.
    members: HashMap<String, Vec<String>>,
    /// The domains, with everybody in them.
    pub domains: Domains,
}

/// How deep groups may be in groups.
const GROUPS_DEPTH_MAX: usize = 32;

impl People {
    /// Reads everybody, and declares those who can be.
    ///
    /// # Errors
    /// [`TablesError`]
    pub fn read(directory: &Tables, data: &[Tables], report: &mut Report) -> Result<(Self, Declaration), TablesError> {
        let domains = Domains::read(directory, report)?;
        let mut people = People { known: HashMap::new(), members: HashMap::new(), domains };
        let mut declaration = Declaration { domains: people.domains.declared(), ..Declaration::default() };
        let rows = directory.rows("t_directory_entry", ENTRIES, &[])?;
        for row in &rows {
            if let Some(entry) = people.entry(directory, row)? {
                people.known.insert(entry.uid.clone(), entry);
            }
        }
        people.members = groups::members(directory, &people.known)?;
        let reading = persons::Reading::new(directory, data, &people)?;
        for row in &rows {
            let Some(entry) = people.known.get(row.required("entry_uid")).cloned() else { continue };
            // The same name in two domains: the entry that is known is the one that is told of.
            if entry.item == row.required("item_id") {
                reading.declare(&entry, row, &mut declaration, report)?;
            }
        }
        declaration.groups = groups::declared(directory, &people, report)?;
        Ok((people, declaration))
    }

    fn entry(&self, directory: &Tables, row: &Row) -> Result<Option<Entry>, TablesError> {
        let Some(kind) = EntryKind::of(row.required("kind")) else { return Ok(None) };
        let uid = row.required("entry_uid").to_owned();
        let Some(domain) = self.domains.get(row.required("domain_uid")) else { return Ok(None) };
        let item = row.required("item_id").to_owned();
        let mut addresses = self.domains.addresses(directory, domain, &item)?;
        if addresses.is_empty() && kind == EntryKind::External {
            addresses.extend(row.text("email").map(str::to_lowercase));
        }
        if addresses.is_empty() && matches!(kind, EntryKind::Calendar | EntryKind::AddressBook | EntryKind::Resource) {
            addresses.push(format!("{}@{}", local_part(row.required("displayname"), &item), domain.name));
        }
        let name = row.text("displayname").unwrap_or(&uid).to_owned();
        Ok(Some(Entry { kind, uid, item, domain: row.required("domain_uid").to_owned(), addresses, name }))
    }

    /// An entry by the old system's name.
    pub fn get(&self, uid: &str) -> Option<&Entry> {
        self.known.get(uid)
    }

    /// Those who have accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &Entry> {
        self.known.values().filter(|entry| entry.kind.has_account() && !entry.addresses.is_empty())
    }

    /// Who is meant by the subject of a right, as rights are given here: an address, `@` and a domain. A group that has
    /// no address stands for its members, because nobody could name it here.
    pub fn subjects(&self, subject: &str) -> Vec<String> {
        if let Some(domain) = self.domains.get(subject) {
            return vec![format!("@{}", domain.name)];
        }
        let mut found = Vec::new();
        self.add_subjects(subject, GROUPS_DEPTH_MAX, &mut found);
        found.sort();
        found.dedup();
        found
    }

    fn add_subjects(&self, subject: &str, depth: usize, found: &mut Vec<String>) {
        let Some(entry) = self.known.get(subject) else { return };
        match (entry.kind, entry.address()) {
            (EntryKind::External, _) => {}
            (_, Some(address)) => found.push(address.to_owned()),
            (EntryKind::Group, None) if depth > 0 => {
                for member in self.members.get(subject).into_iter().flatten() {
                    self.add_subjects(member, depth - 1, found);
                }
            }
            _ => {}
        }
    }

    /// The names of a group's members.
    fn members(&self, group: &str) -> &[String] {
        self.members.get(group).map_or(&[], Vec::as_slice)
    }
}

const ENTRIES: &str = "SELECT e.*, c.uid AS domain_uid FROM t_directory_entry e
    JOIN t_container_item i ON i.id = e.item_id JOIN t_container c ON c.id = i.container_id ORDER BY e.rowid";

/// A local part for something that has a name and no address.
fn local_part(name: &str, item: &str) -> String {
    let mut local = String::new();
    for letter in name.to_lowercase().chars() {
        match letter {
            'a'..='z' | '0'..='9' => local.push(letter),
            _ if local.ends_with('-') || local.is_empty() => {}
            _ => local.push('-'),
        }
    }
    match local.trim_end_matches('-') {
        "" => format!("entry-{item}"),
        // Two that have the same name must not have the same address.
        local => format!("{local}-{item}"),
    }
}

/// Kinds whose entries are counted under this one.
fn kind_of(kind: EntryKind) -> Kind {
    match kind {
        EntryKind::User => Kind::Users,
        EntryKind::Group => Kind::Groups,
        EntryKind::Resource => Kind::Resources,
        EntryKind::External => Kind::Contacts,
        EntryKind::SharedMailbox | EntryKind::Calendar | EntryKind::AddressBook => Kind::SharedMailboxes,
    }
}
