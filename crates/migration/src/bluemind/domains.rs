//! The domains, and which addresses an entry has in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::declaration;
use super::dump::value;
use super::report::{Kind, Report};
use super::tables::{Row, Tables, TablesError};

/// The domain that only has the system's own users.
const GLOBAL: &str = "global.virt";

/// How names end that only the system itself uses: mail never has them.
const INTERNAL: &str = ".internal";

/// A domain.
#[derive(Clone, Debug, Default)]
pub struct Domain {
    /// Its name here.
    pub name: String,
    /// Other names, under which each of its addresses is known as well.
    aliases: BTreeSet<String>,
    /// Other names under which somebody else has the same local part: domains of their own here.
    separate: BTreeSet<String>,
    /// For people.
    description: Option<String>,
}

impl Domain {
    /// The addresses that one row of `t_mailbox_email` stands for.
    fn addresses(&self, row: &Row) -> Vec<String> {
        let Some(local) = row.text("left_address").map(str::to_lowercase) else { return Vec::new() };
        let right = row.text("right_address").map(str::to_lowercase).unwrap_or_else(|| self.name.clone());
        let is_own = right == self.name || right.ends_with(INTERNAL) || self.aliases.contains(&right);
        if !is_own && !self.separate.contains(&right) && !row.is("all_aliases") {
            return vec![format!("{local}@{right}")];
        }
        let mut domains = BTreeSet::new();
        if row.is("all_aliases") {
            domains.insert(self.name.clone());
            domains.extend(self.separate.iter().cloned());
        } else if is_own {
            domains.insert(self.name.clone());
        } else {
            domains.insert(right);
        }
        domains.into_iter().map(|domain| format!("{local}@{domain}")).collect()
    }
}

/// All of them, by the name that the old system has for them.
pub struct Domains {
    known: HashMap<String, Domain>,
}

impl Domains {
    /// Reads them.
    ///
    /// # Errors
    /// [`TablesError`]
    pub fn read(directory: &Tables, report: &mut Report) -> Result<Self, TablesError> {
        const QUERY: &str = "SELECT d.*, i.uid AS uid, s.settings AS settings FROM t_domain d
            JOIN t_container_item i ON i.id = d.item_id LEFT JOIN t_settings_domain s ON s.item_id = d.item_id";
        // A table that isn't there would make the whole query fail.
        const BARE: &str = "SELECT d.*, i.uid AS uid FROM t_domain d JOIN t_container_item i ON i.id = d.item_id";
        let query = if directory.has("t_settings_domain") { QUERY } else { BARE };
        let mut known = HashMap::new();
        for row in directory.rows("t_domain", query, &[])? {
            let uid = row.required("uid").to_owned();
            if uid == GLOBAL || row.text("name") == Some(GLOBAL) {
                continue;
            }
            match domain_of(&row) {
                Some(domain) => {
                    report.written(Kind::Domains);
                    known.insert(uid, domain);
                }
                None => report.left_out(Kind::Domains, format!("{uid}: it has no name that mail could have")),
            }
        }
        let mut domains = Domains { known };
        domains.separate(directory)?;
        Ok(domains)
    }

    /// Names under which a local part belongs to somebody else become domains of their own: an alias here stands for
    /// all addresses of its domain.
    fn separate(&mut self, directory: &Tables) -> Result<(), TablesError> {
        let mut owners: BTreeMap<(String, String), BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for row in directory.rows("t_mailbox_email", &of_emails(""), &[])? {
            let uid = row.required("domain_uid");
            let Some(domain) = self.known.get(uid) else { continue };
            let Some(local) = row.text("left_address").map(str::to_lowercase) else { continue };
            let right = row.text("right_address").map(str::to_lowercase);
            let right = match right {
                Some(right) if !row.is("all_aliases") && domain.aliases.contains(&right) => right,
                _ => domain.name.clone(),
            };
            let of = owners.entry((uid.to_owned(), local)).or_default();
            of.entry(row.required("item_id").to_owned()).or_default().insert(right);
        }
        for ((uid, _), by_owner) in owners.into_iter().filter(|(_, by_owner)| by_owner.len() > 1) {
            let Some(domain) = self.known.get_mut(&uid) else { continue };
            for name in by_owner.into_values().flatten() {
                if domain.aliases.remove(&name) {
                    domain.separate.insert(name);
                }
            }
        }
        Ok(())
    }

    /// A domain by the old system's name for it.
    pub fn get(&self, uid: &str) -> Option<&Domain> {
        self.known.get(uid)
    }

    /// The addresses of an entry, the main one first.
    ///
    /// # Errors
    /// [`TablesError`]
    pub fn addresses(&self, directory: &Tables, domain: &Domain, item: &str) -> Result<Vec<String>, TablesError> {
        let mut rows = directory.rows("t_mailbox_email", &of_emails("WHERE m.item_id = ?"), &[item])?;
        rows.sort_by_key(|row| !row.is("is_default"));
        let mut found: Vec<String> = Vec::new();
        for row in &rows {
            let mut addresses = domain.addresses(row);
            // Under the domain's own name before those under others.
            addresses.sort_by_key(|address| !address.ends_with(&format!("@{}", domain.name)));
            for address in addresses {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
        Ok(found)
    }

    /// As they are declared.
    pub fn declared(&self) -> Vec<declaration::Domain> {
        let mut declared = Vec::new();
        for domain in self.known.values() {
            declared.push(declaration::Domain {
                name: domain.name.clone(),
                aliases: domain.aliases.iter().cloned().collect(),
                description: domain.description.clone(),
            });
            let separate = domain.separate.iter().cloned();
            declared.extend(separate.map(|name| declaration::Domain { name, ..declaration::Domain::default() }));
        }
        declared.sort_by(|one, other| one.name.cmp(&other.name));
        declared
    }
}

fn of_emails(condition: &str) -> String {
    format!(
        "SELECT m.*, c.uid AS domain_uid FROM t_mailbox_email m JOIN t_container_item i ON i.id = m.item_id
         JOIN t_container c ON c.id = i.container_id {condition}"
    )
}

/// A domain by its row. The name that mail has is the old system's own name for it, unless that is an internal one:
/// then the one that is set as the default, or the first of the others.
fn domain_of(row: &Row) -> Option<Domain> {
    let own = row.text("name").map(str::to_lowercase).filter(|name| !name.ends_with(INTERNAL));
    let mut aliases: BTreeSet<String> = row.texts("aliases").iter().map(|name| name.to_lowercase()).collect();
    aliases.retain(|name| !name.ends_with(INTERNAL) && name.contains('.'));
    let properties = row.get("properties").map(value::hstore).unwrap_or_default();
    let settings = row.get("settings").map(value::hstore).unwrap_or_default();
    let set = ["defaultAlias", "default_alias"].iter().find_map(|key| properties.get(*key).or(settings.get(*key)));
    let default = row.text("default_alias").map(str::to_lowercase).or(set.map(|name| name.to_lowercase()));
    let name = own.or(default.filter(|name| aliases.contains(name))).or_else(|| aliases.first().cloned())?;
    aliases.remove(&name);
    let description = row.text("description").or(row.text("label")).map(str::to_owned);
    let description = description.filter(|text| *text != name);
    Some(Domain { name, aliases, separate: BTreeSet::new(), description })
}
