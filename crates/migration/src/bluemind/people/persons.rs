//! Users, shared mailboxes, resources and people elsewhere, as they are declared.

use std::collections::HashMap;

use super::{Entry, EntryKind, People, kind_of};
use crate::bluemind::declaration::{Contact, Declaration, Person, Resource};
use crate::bluemind::dump::value;
use crate::bluemind::passwords;
use crate::bluemind::report::{Kind, Report};
use crate::bluemind::rules::forwarding;
use crate::bluemind::shares::{Verb, acl_of};
use crate::bluemind::tables::{Row, Tables, TablesError};

/// Organisational units in each other.
const UNITS_DEPTH_MAX: usize = 32;

/// What types of resources are rooms, in the languages in which they are set up.
const ROOMS: [&str; 5] = ["room", "salle", "raum", "besprechung", "sala"];

/// What property of a resource says for how many people it is.
const CAPACITY: [&str; 4] = ["capacity", "capacit", "places", "seats"];

/// The reading of persons.
pub(super) struct Reading<'d> {
    directory: &'d Tables,
    /// The databases of the data servers, which say who manages a resource.
    data: &'d [Tables],
    people: &'d People,
    /// Paths of organisational units, by their numbers.
    units: HashMap<String, String>,
    /// How often each log-in is there: two users in two domains may have the same.
    logins: HashMap<String, usize>,
}

impl<'d> Reading<'d> {
    pub(super) fn new(directory: &'d Tables, data: &'d [Tables], people: &'d People) -> Result<Self, TablesError> {
        let mut logins = HashMap::new();
        for row in directory.rows("t_domain_user", "SELECT login FROM t_domain_user", &[])? {
            *logins.entry(row.required("login").to_lowercase()).or_default() += 1;
        }
        Ok(Reading { directory, data, people, units: units(directory)?, logins })
    }

    /// Declares an entry, whose row this is.
    pub(super) fn declare(
        &self,
        entry: &Entry,
        row: &Row,
        declaration: &mut Declaration,
        report: &mut Report,
    ) -> Result<(), TablesError> {
        if entry.kind == EntryKind::Group || row.is("flag_system") {
            return Ok(());
        }
        let kind = kind_of(entry.kind);
        let Some((address, aliases)) = entry.addresses.split_first() else {
            report.left_out(kind, format!("{}: there is no address", entry.name));
            return Ok(());
        };
        let mut person = Person {
            address: address.clone(),
            aliases: aliases.to_vec(),
            display_name: entry.name.clone(),
            unit: row.get("orgunit_item_id").and_then(|unit| self.units.get(unit)).cloned(),
            suspended: row.is("flag_archived"),
            hidden: row.is("flag_hidden"),
            ..Person::default()
        };
        match entry.kind {
            EntryKind::External => {
                let domain = self.people.domains.get(&entry.domain).map(|domain| domain.name.clone());
                let (address, domain) = (address.clone(), domain.unwrap_or_default());
                declaration.contacts.push(Contact { address, domain, display_name: entry.name.clone() });
            }
            EntryKind::User => {
                self.mailbox(entry, &mut person, report)?;
                self.user(entry, &mut person, report)?;
                declaration.users.push(person);
            }
            EntryKind::Resource => {
                person.resource = Some(self.resource(entry)?);
                declaration.resources.push(person);
            }
            _ => {
                self.mailbox(entry, &mut person, report)?;
                declaration.mailboxes.push(person);
            }
        }
        report.written(kind);
        Ok(())
    }

    /// What a mailbox has: a quota, forwards, and others who send as it.
    fn mailbox(&self, entry: &Entry, person: &mut Person, report: &mut Report) -> Result<(), TablesError> {
        let query = "SELECT * FROM t_mailbox WHERE item_id = ?";
        for row in self.directory.rows("t_mailbox", query, &[&entry.item])? {
            // In KiB; nothing and zero are none.
            if let Some(kib) = row.number("quota").filter(|kib| *kib > 0) {
                person.quota_bytes = Some(kib.unsigned_abs().saturating_mul(1024));
                report.written(Kind::Quotas);
            }
            match row.text("routing") {
                Some("external") => {
                    let reason = "its mail is elsewhere (split domain): say where with “sterna domain set --relay”";
                    report.partly(kind_of(entry.kind), format!("{}: {reason}", person.address));
                }
                Some("none") => {
                    report.partly(
                        kind_of(entry.kind),
                        format!("{}: it had no mailbox, and has one here", person.address),
                    );
                }
                _ => {}
            }
        }
        let forwarding = forwarding(self.directory, &entry.item)?;
        if forwarding.is_some() {
            report.written(Kind::Forwards);
        }
        person.forward_only = Some(forwarding.as_ref().is_some_and(|forwarding| !forwarding.keeps_copy));
        person.forward_to = Some(forwarding.map(|forwarding| forwarding.to).unwrap_or_default());
        let mut senders = Vec::new();
        for (subject, verb) in acl_of(self.directory, &format!("mailbox:acls-{}", entry.uid))? {
            if verb.is_some_and(Verb::sends) && subject != entry.uid {
                senders.extend(self.people.subjects(&subject));
            }
        }
        senders.sort();
        senders.dedup();
        // Everybody in a domain can't be named as a sender.
        person.senders = Some(senders.into_iter().filter(|sender| !sender.starts_with('@')).collect());
        Ok(())
    }

    fn user(&self, entry: &Entry, person: &mut Person, report: &mut Report) -> Result<(), TablesError> {
        let query = "SELECT * FROM t_domain_user WHERE item_id = ?";
        for row in self.directory.rows("t_domain_user", query, &[&entry.item])? {
            person.suspended |= row.is("archived");
            person.hidden |= row.is("hidden");
            if let Some(login) = row.text("login").map(str::to_lowercase) {
                self.login(login, entry, person, report);
            }
            let Some(password) = row.text("password") else { continue };
            match passwords::hash(password) {
                Some(hash) => {
                    person.password_hash = Some(hash);
                    report.written(Kind::Passwords);
                }
                None => report.left_out(
                    Kind::Passwords,
                    format!("{}: its form isn't taken; let the user have a new one", person.address),
                ),
            }
        }
        Ok(())
    }

    /// Users of the old system log in with `login@domain`, whether there is such an address or not.
    fn login(&self, login: String, entry: &Entry, person: &mut Person, report: &mut Report) {
        let name = self.people.domains.get(&entry.domain).map_or("", |domain| domain.name.as_str());
        if entry.addresses.contains(&format!("{login}@{name}")) {
            return;
        }
        match self.logins.get(&login) {
            Some(1) => person.login = Some(login),
            _ => report.partly(
                Kind::Users,
                format!("{}: the log-in {login} belongs to several; log in with the address", person.address),
            ),
        }
    }

    fn resource(&self, entry: &Entry) -> Result<Resource, TablesError> {
        let query = "SELECT * FROM t_resource WHERE item_id = ?";
        let Some(row) = self.directory.rows("t_resource", query, &[&entry.item])?.into_iter().next() else {
            return Ok(Resource { kind: "equipment", answers: "managers", ..Resource::default() });
        };
        let types = self.directory.rows(
            "t_resource_type",
            "SELECT * FROM t_resource_type WHERE id = ?",
            &[row.required("type_id")],
        )?;
        let is_room = types.iter().any(|kind| {
            let label = kind.required("label").to_lowercase();
            ROOMS.iter().any(|word| label.contains(word))
        });
        let values = row.get("values").map(value::hstore).unwrap_or_default();
        let capacity = values.iter().find_map(|(name, value)| {
            let name = name.to_lowercase();
            CAPACITY.iter().any(|word| name.contains(word)).then(|| value.trim().parse().ok()).flatten()
        });
        let answers = match row.text("reservation_mode") {
            Some("OWNER_MANAGED") | None => "managers",
            Some(_) => "auto",
        };
        let kind = if is_room { "room" } else { "equipment" };
        Ok(Resource { kind, answers, capacity, managers: self.managers(entry)? })
    }

    /// Who may write into the calendar of a resource decides about it.
    fn managers(&self, entry: &Entry) -> Result<Vec<String>, TablesError> {
        let mut managers = Vec::new();
        for tables in self.data.iter().chain([self.directory]) {
            for (subject, verb) in acl_of(tables, &format!("calendar:{}", entry.uid))? {
                if verb.is_some_and(Verb::writes) && subject != entry.uid {
                    managers.extend(self.people.subjects(&subject));
                }
            }
        }
        managers.sort();
        managers.dedup();
        Ok(managers.into_iter().filter(|manager| !manager.starts_with('@')).collect())
    }
}

/// The paths of organisational units.
fn units(directory: &Tables) -> Result<HashMap<String, String>, TablesError> {
    let rows = directory.rows("t_directory_ou", "SELECT * FROM t_directory_ou", &[])?;
    let known: HashMap<&str, (&str, Option<&str>)> =
        rows.iter().map(|row| (row.required("item_id"), (row.required("name"), row.text("parent_item_id")))).collect();
    let path = |item: &str| {
        let (mut parts, mut at) = (Vec::new(), Some(item));
        while let Some((name, above)) = at.and_then(|item| known.get(item)).filter(|_| parts.len() < UNITS_DEPTH_MAX) {
            parts.push(name.trim().replace('/', "-"));
            at = *above;
        }
        parts.reverse();
        parts.join("/")
    };
    Ok(known.keys().map(|item| ((*item).to_owned(), path(item))).collect())
}
