//! What people own, as folders that `sterna import account` takes.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sterna_formats::calendar::{self, Calendar};
use sterna_formats::card;

use super::dump::value;
use super::people::{Entry, People};
use super::report::{Kind, Report};
use super::rules;
use super::shares::{MAIL, of_container};
use super::tables::{Row, Tables, TablesError};
use super::{ReadError, calendars, cant_write, cards, put_json};
use crate::archive::manifest::{Collection, FORMAT, Manifest, Published, Summary};
use crate::archive::{CALENDARS, CONTACTS, MANIFEST, SCRIPT_ENDING, SCRIPTS, SUMMARY, file_name, unique};

/// Longest name of a file without its ending, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// A kind of container, its table, and what it is here.
struct Sort {
    container: &'static str,
    table: &'static str,
    word: &'static str,
    ending: &'static str,
    kinds: (Kind, Kind),
}

/// What is brought of an account.
const SORTS: [Sort; 4] = [
    Sort {
        container: "calendar",
        table: "t_calendar_vevent",
        word: "calendar",
        ending: "ics",
        kinds: (Kind::Calendars, Kind::Events),
    },
    Sort {
        container: "todolist",
        table: "t_todolist_vtodo",
        word: "tasks",
        ending: "ics",
        kinds: (Kind::TaskLists, Kind::Tasks),
    },
    Sort {
        container: "notes",
        table: "t_notes_vnote",
        word: "journal",
        ending: "ics",
        kinds: (Kind::Calendars, Kind::Notes),
    },
    Sort {
        container: "addressbook",
        table: "t_addressbook_vcard",
        word: "contacts",
        ending: "vcf",
        kinds: (Kind::AddressBooks, Kind::Cards),
    },
];

/// Writes all accounts.
pub(super) fn write(
    directory: &Tables,
    data: &[Tables],
    people: &People,
    folder: &Path,
    report: &mut Report,
) -> Result<(), ReadError> {
    let all: Vec<&Tables> = data.iter().chain([directory]).collect();
    let labels = labels(&all)?;
    let mut entries: Vec<&Entry> = people.accounts().collect();
    entries.sort_by(|one, other| one.addresses.cmp(&other.addresses));
    let mut writing = Writing { directory, all, people, labels, folder, brought: HashSet::new() };
    for entry in &entries {
        writing.account(entry, report)?;
    }
    writing.unowned(&entries, report)?;
    writing.subscriptions(report)?;
    Ok(())
}

/// The words of all tags, by the names of their items.
fn labels(all: &[&Tables]) -> Result<HashMap<String, String>, TablesError> {
    const QUERY: &str =
        "SELECT i.uid AS uid, v.label AS label FROM t_tagvalue v JOIN t_container_item i ON i.id = v.item_id";
    let mut labels = HashMap::new();
    for tables in all {
        for row in tables.rows("t_tagvalue", QUERY, &[])? {
            labels.insert(row.required("uid").to_owned(), row.required("label").to_owned());
        }
    }
    Ok(labels)
}

struct Writing<'a> {
    directory: &'a Tables,
    all: Vec<&'a Tables>,
    people: &'a People,
    labels: HashMap<String, String>,
    folder: &'a Path,
    /// Containers that are in here, by the old system's names.
    brought: HashSet<String>,
}

/// The account that is being written.
struct Account<'a> {
    entry: &'a Entry,
    address: &'a str,
    dir: PathBuf,
    manifest: Manifest,
    summary: Summary,
    /// Places of collections that are taken.
    dirs: HashSet<String>,
}

impl Writing<'_> {
    fn account(&mut self, entry: &Entry, report: &mut Report) -> Result<(), ReadError> {
        let Some(address) = entry.address() else { return Ok(()) };
        let mut account = Account {
            entry,
            address,
            dir: self.folder.join(file_name(address)),
            manifest: Manifest { format: FORMAT, address: address.to_owned(), ..Manifest::default() },
            summary: Summary::default(),
            dirs: HashSet::new(),
        };
        fs::create_dir_all(&account.dir).map_err(cant_write(&account.dir))?;
        for tables in self.all.clone() {
            for sort in &SORTS {
                let query = "SELECT * FROM t_container WHERE owner = ? AND container_type = ? ORDER BY rowid";
                for container in tables.rows("t_container", query, &[&entry.uid, sort.container])? {
                    self.container(tables, sort, &container, &mut account, report)?;
                }
            }
        }
        self.scripts(&mut account, report)?;
        let acl = format!("mailbox:acls-{}", entry.uid);
        for tables in self.all.clone() {
            let owner = (address, entry.uid.as_str());
            account.manifest.shares.extend(of_container(tables, &acl, owner, (MAIL, None), self.people, report)?);
        }
        put_json(&account.dir.join(MANIFEST), &account.manifest)?;
        put_json(&account.dir.join(SUMMARY), &account.summary)
    }

    fn container(
        &mut self,
        tables: &Tables,
        sort: &Sort,
        container: &Row,
        account: &mut Account<'_>,
        report: &mut Report,
    ) -> Result<(), ReadError> {
        let uid = container.required("uid");
        if !self.brought.insert(uid.to_owned()) {
            return Ok(());
        }
        let name = self.name(sort, container, account);
        if let Some(url) = published(tables, container)? {
            account.manifest.published.push(Published { url, name: Some(name), refresh_minutes: None });
            report.written(sort.kinds.0);
            return Ok(());
        }
        let top = if sort.word == "contacts" { CONTACTS } else { CALENDARS };
        let dir = unique(&mut account.dirs, format!("{top}/{}", file_name(&name)));
        let place = account.dir.join(&dir);
        fs::create_dir_all(&place).map_err(cant_write(&place))?;
        self.objects(tables, sort, container, &place, (&mut account.summary, account.address), report)?;
        let kind = sort.word.to_owned();
        account.manifest.collections.push(Collection { dir, kind, name: name.clone(), ..Collection::default() });
        report.written(sort.kinds.0);
        let kind = if sort.word == "contacts" { "address-book" } else { "calendar" };
        let owner = (account.address, account.entry.uid.as_str());
        let shares = of_container(tables, uid, owner, (kind, Some(&name)), self.people, report)?;
        account.manifest.shares.extend(shares);
        Ok(())
    }

    /// What a collection is called here: those that everybody has have their names here, others keep theirs.
    fn name(&self, sort: &Sort, container: &Row, account: &Account<'_>) -> String {
        let (uid, owner) = (container.required("uid"), account.entry.uid.as_str());
        let is_first = container.is("defaultcontainer") || uid == owner || uid.ends_with(&format!(":{owner}"));
        let wanted = match sort.container {
            "calendar" if is_first => "Calendar",
            "todolist" if is_first || uid == format!("todolist:default_{owner}") => "Tasks",
            "addressbook" if uid == format!("book:CollectedContacts_{owner}") => "Collected",
            "addressbook" if is_first || uid == format!("book:Contacts_{owner}") => "Contacts",
            "notes" if is_first || uid == format!("notes:default_{owner}") => "Notes",
            _ => container.text("name").unwrap_or(uid),
        };
        let wanted = wanted.replace('/', "-");
        let is_taken = |name: &str| account.manifest.collections.iter().any(|known| known.name == name);
        let numbered = (2..).map(|n| format!("{wanted} {n}"));
        std::iter::once(wanted.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(wanted)
    }

    fn objects(
        &self,
        tables: &Tables,
        sort: &Sort,
        container: &Row,
        place: &Path,
        (summary, address): (&mut Summary, &str),
        report: &mut Report,
    ) -> Result<(), ReadError> {
        let tags = self.tags(tables, container.required("uid"))?;
        let mut names = HashSet::new();
        let mut finish = |rows: Vec<Row>| -> Result<(), ReadError> {
            let Some(first) = rows.first() else { return Ok(()) };
            let item = first.required("item_uid");
            let categories = tags.get(item).map_or(&[][..], Vec::as_slice);
            match object(sort, &rows, categories, self.people) {
                Ok(text) => {
                    let name = place.join(free_name(&mut names, &short_name(item), sort.ending));
                    let mut file = File::create(&name).map_err(cant_write(&name))?;
                    file.write_all(text.as_bytes()).map_err(cant_write(&name))?;
                    (summary.objects, summary.bytes) = (summary.objects + 1, summary.bytes + text.len() as u64);
                    report.written(sort.kinds.1);
                }
                Err(reason) => report.left_out(sort.kinds.1, format!("{address}: {item}: {reason}")),
            }
            Ok(())
        };
        let mut rows: Vec<Row> = Vec::new();
        let number = [container.required("id")];
        tables.each(sort.table, &of_items(tables, sort.table), &number, |row| -> Result<(), ReadError> {
            if rows.first().is_some_and(|first| first.get("item_id") != row.get("item_id")) {
                finish(std::mem::take(&mut rows))?;
            }
            rows.push(row);
            Ok(())
        })?;
        finish(rows)
    }

    /// The words with which each item of a container is tagged.
    fn tags(&self, tables: &Tables, container: &str) -> Result<HashMap<String, Vec<String>>, TablesError> {
        let query = "SELECT * FROM t_tagref WHERE tagged_container_uid = ?";
        let mut tags: HashMap<String, Vec<String>> = HashMap::new();
        for row in tables.rows("t_tagref", query, &[container])? {
            if let Some(label) = self.labels.get(row.required("ref_item_uid")) {
                tags.entry(row.required("tagged_item_uid").to_owned()).or_default().push(label.clone());
            }
        }
        Ok(tags)
    }

    fn scripts(&self, account: &mut Account<'_>, report: &mut Report) -> Result<(), ReadError> {
        let found = rules::scripts(self.directory, &account.entry.item, account.address, report)?;
        if found.scripts.is_empty() {
            return Ok(());
        }
        let dir = account.dir.join(SCRIPTS);
        fs::create_dir_all(&dir).map_err(cant_write(&dir))?;
        for (name, text) in found.scripts {
            let path = dir.join(format!("{name}{SCRIPT_ENDING}"));
            fs::write(&path, &text).map_err(cant_write(&path))?;
            account.summary.scripts += 1;
        }
        account.manifest.active_script = found.active.map(str::to_owned);
        Ok(())
    }

    /// Containers whose owner is nobody who is brought are named. What the old system makes of its directory isn't.
    fn unowned(&self, entries: &[&Entry], report: &mut Report) -> Result<(), TablesError> {
        let owners: HashSet<&str> = entries.iter().map(|entry| entry.uid.as_str()).collect();
        for tables in &self.all {
            for sort in &SORTS {
                let query = "SELECT * FROM t_container WHERE container_type = ?";
                for row in tables.rows("t_container", query, &[sort.container])? {
                    let (owner, uid) = (row.required("owner"), row.required("uid"));
                    let is_made = owner == "system" || self.people.domains.get(owner).is_some();
                    if !owners.contains(owner) && !is_made {
                        report.left_out(sort.kinds.0, format!("{uid}: its owner {owner} is nobody who is brought"));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is shared appears by itself here, so that a subscription needs only what it is of.
    fn subscriptions(&self, report: &mut Report) -> Result<(), TablesError> {
        for tables in &self.all {
            for table in ["t_container_sub", "t_owner_subscription"] {
                for row in tables.rows(table, &format!("SELECT * FROM {table}"), &[])? {
                    let (kind, uid) = (row.required("container_type"), row.required("container_uid"));
                    if !SORTS.iter().any(|sort| sort.container == kind) {
                        continue;
                    }
                    match self.brought.contains(uid) || uid.starts_with("addressbook_") {
                        true => report.written(Kind::Subscriptions),
                        false => report.left_out(Kind::Subscriptions, format!("{uid} is not brought")),
                    }
                }
            }
        }
        Ok(())
    }
}

/// The address of a calendar that is fetched from elsewhere.
fn published(tables: &Tables, container: &Row) -> Result<Option<String>, TablesError> {
    let query = "SELECT * FROM t_container_settings WHERE container_id = ?";
    let rows = tables.rows("t_container_settings", query, &[container.required("id")])?;
    let settings = rows.iter().filter_map(|row| row.get("settings")).map(value::hstore);
    Ok(settings.into_iter().find_map(|mut settings| settings.remove("icsUrl")).filter(|url| !url.is_empty()))
}

/// The rows of a table that belong to a container, those of one item together.
fn of_items(tables: &Tables, table: &str) -> String {
    let series = table == "t_calendar_vevent" && tables.has("t_calendar_series");
    let (column, join) = match series {
        true => (", s.ics_uid AS ics_uid", "LEFT JOIN t_calendar_series s ON s.item_id = v.item_id"),
        false => ("", ""),
    };
    format!(
        "SELECT v.*, i.uid AS item_uid, i.displayname AS item_displayname, i.created AS item_created,
            i.updated AS item_updated{column}
         FROM t_container_item i JOIN {table} v ON v.item_id = i.id {join}
         WHERE i.container_id = ? ORDER BY i.rowid, v.rowid"
    )
}

/// The text of an object, as the server here would take it.
fn object(sort: &Sort, rows: &[Row], categories: &[String], people: &People) -> Result<String, String> {
    let Some(first) = rows.first() else { return Err("it has no rows".to_owned()) };
    let item = first.required("item_uid");
    let text = match sort.container {
        "calendar" => calendars::event(rows, first.text("ics_uid").unwrap_or(item), categories, people)?,
        "todolist" => calendars::task(first, first.text("uid").unwrap_or(item), categories, people),
        "notes" => calendars::note(first, item),
        _ => cards::card(first, item, categories),
    };
    let taken = match sort.ending {
        "vcf" => card::parse(text.as_bytes())
            .map_err(|error| error.to_string())
            .and_then(|found| card::Facts::of(&found).map(drop).map_err(|error| error.to_string())),
        _ => Calendar::parse(text.as_bytes())
            .map_err(|error| error.to_string())
            .and_then(|found| calendar::Facts::of(&found).map(drop).map_err(|error| error.to_string())),
    };
    taken.map(|()| text)
}

fn short_name(item: &str) -> String {
    let mut name = file_name(item);
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    name
}

fn free_name(taken: &mut HashSet<String>, name: &str, ending: &str) -> String {
    let mut wanted = format!("{name}.{ending}");
    let mut n = 1;
    while !taken.insert(wanted.clone()) {
        n += 1;
        wanted = format!("{name}-{n}.{ending}");
    }
    wanted
}
