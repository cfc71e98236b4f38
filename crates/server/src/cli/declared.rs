//! `sterna apply` and `sterna snapshot`: domains, people and settings as a file that says how they are to be.
//!
//! Applying a file twice changes nothing the second time. What the file doesn't mention stays as it is: neither a user
//! who isn't in it nor a field that isn't there is touched, so that several files, and people at the console, can each
//! look after a part.

mod kinds;
mod tokens;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value};
use sterna_base::atomic_file;
use sterna_directory::settings::is_secret;

use super::client::{CliError, path};
use super::exit::Exit;
use super::resource::{Session, WriteArgs};
use kinds::{KINDS, Kind};
use tokens::{declared_tokens, is_good};

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Longest secret in a file of its own, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Items asked for at once.
const PAGE_ITEMS: &str = "1000";

/// The sections that are no [`Kind`].
const OTHER_SECTIONS: [&str; 4] = ["settings", "roles", "grants", "tokens"];

/// Arguments of `sterna apply`.
#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
    /// The file, in TOML or JSON; - is standard input
    file: PathBuf,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

impl ApplyArgs {
    /// A file that another command wrote.
    pub(super) fn of(file: PathBuf, write: WriteArgs) -> Self {
        ApplyArgs { file, write }
    }
}

/// The domain that an address is looked up in: that of an external contact, whom several domains may know.
fn within<'d>(kind: &Kind, declared: &'d Map<String, Value>) -> Option<&'d str> {
    declared.get("domain").and_then(Value::as_str).filter(|_| kind.section == "contacts")
}

/// What was done, for the exit code.
#[derive(Default)]
struct Tally {
    made: usize,
    changed: usize,
    same: usize,
}

/// Makes everything as a file says.
pub async fn apply(session: &Session<'_>, args: ApplyArgs) -> Result<Exit, CliError> {
    let declared = read(&args.file)?;
    let known: BTreeSet<&str> = KINDS.iter().map(|kind| kind.section).chain(OTHER_SECTIONS).collect();
    if let Some(unknown) = declared.keys().find(|section| !known.contains(section.as_str())) {
        let known: Vec<&str> = known.into_iter().collect();
        return Err(CliError::Usage(format!("there is no section {unknown:?}; the sections are {}", known.join(", "))));
    }
    let beside = args.file.parent().filter(|_| args.file.as_os_str() != "-").map(Path::to_owned).unwrap_or_default();
    let mut applying = Applying {
        session,
        dry_run: args.write.dry_run,
        beside,
        files: HashSet::new(),
        references: Vec::new(),
        tally: Tally::default(),
    };
    for role in items(&declared, "roles")? {
        applying.role(role).await?;
    }
    for kind in &KINDS {
        for item in items(&declared, kind.section)? {
            applying.item(kind, item).await?;
        }
    }
    for left in std::mem::take(&mut applying.references) {
        applying.refer(left).await?;
    }
    // Settings name people.
    applying.settings(None, declared.get("settings")).await?;
    for domain in items(&declared, "domains")? {
        applying.settings(domain.get("name").and_then(Value::as_str), domain.get("settings")).await?;
    }
    for grant in items(&declared, "grants")? {
        applying.grant(grant).await?;
    }
    for token in items(&declared, "tokens")? {
        applying.token(token).await?;
    }
    let Tally { made, changed, same } = applying.tally;
    let would = if args.write.dry_run { " would be" } else { "" };
    session.say(&format!("{made}{would} made, {changed}{would} changed, {same} as they are to be\n"));
    Ok(if made + changed == 0 { Exit::NothingToDo } else { Exit::Done })
}

/// The things of a section.
fn items<'d>(declared: &'d Map<String, Value>, section: &str) -> Result<Vec<&'d Map<String, Value>>, CliError> {
    let Some(found) = declared.get(section) else { return Ok(Vec::new()) };
    let list = found.as_array().ok_or_else(|| CliError::Usage(format!("[[{section}]] is a list of tables")))?;
    let table =
        |item: &'d Value| item.as_object().ok_or_else(|| CliError::Usage(format!("each of [[{section}]] is a table")));
    list.iter().map(table).collect()
}

fn read(file: &Path) -> Result<Map<String, Value>, CliError> {
    let io = |source| CliError::Io { what: format!("{} can't be read", file.display()), source };
    let mut text = String::new();
    match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(io)?,
        false => fs::File::open(file).map_err(io)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(io)?,
    };
    let value: Value = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?,
        false => toml::from_str(&text).map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?,
    };
    match value {
        Value::Object(sections) => Ok(sections),
        _ => Err(CliError::Usage(format!("{} has no sections", file.display()))),
    }
}

struct Applying<'s, 'g> {
    session: &'s Session<'g>,
    dry_run: bool,
    /// Where the file lies: files that it names lie there, too.
    beside: PathBuf,
    /// Files that tokens were written into.
    files: HashSet<PathBuf>,
    /// What is left to be done when everybody is there.
    references: Vec<References>,
    tally: Tally,
}

/// Whom something names.
struct References {
    kind: &'static Kind,
    name: String,
    domain: Option<String>,
    /// Fields that name others.
    fields: Map<String, Value>,
    /// Members of a group.
    members: Option<BTreeSet<String>>,
    /// Whether it was as it is to be, but for these.
    was_same: bool,
}

impl Applying<'_, '_> {
    fn parameters(&self) -> [(&'static str, Option<&'static str>); 1] {
        [("dry_run", self.dry_run.then_some("true"))]
    }

    /// A resource as it is; `None` when there is none.
    async fn current(&self, segments: &[&str]) -> Result<Option<Value>, CliError> {
        self.current_within(segments, None).await
    }

    /// The same, of one domain.
    async fn current_within(&self, segments: &[&str], domain: Option<&str>) -> Result<Option<Value>, CliError> {
        match self.session.client.get(&path(segments, &[("domain", domain)])).await {
            Ok(found) => Ok(Some(found)),
            Err(CliError::Refused(problem)) if problem.code == "no-such" => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, method: Method, segments: &[&str], body: Map<String, Value>) -> Result<(), CliError> {
        let path = path(segments, &self.parameters());
        self.session.client.send(method, &path, Some(&Value::Object(body))).await.map(drop)
    }

    async fn item(&mut self, kind: &'static Kind, declared: &Map<String, Value>) -> Result<(), CliError> {
        let name = declared.get(kind.name).and_then(Value::as_str);
        let name = name.ok_or_else(|| CliError::Usage(format!("each of [[{}]] needs {}", kind.section, kind.name)))?;
        let mut wanted = declared.clone();
        let members = wanted.remove("members").map(|members| texts(&members));
        wanted.remove("settings");
        let references: Map<String, Value> =
            kind.references.iter().filter_map(|field| wanted.remove_entry(*field)).collect();
        let domain = within(kind, declared);
        let current = self.current_within(&[kind.collection, name], domain).await?;
        if kind.section == "sources" {
            self.bind_password(name, &mut wanted, current.as_ref())?;
        }
        let was_same = match current {
            None => self.make(kind, name, wanted).await.map(|()| false)?,
            Some(current) => !self.change(kind, name, wanted, &current).await?,
        };
        self.tally.same += usize::from(was_same);
        if members.is_some() || !references.is_empty() {
            let (name, domain) = (name.to_owned(), domain.map(str::to_owned));
            self.references.push(References { kind, name, domain, fields: references, members, was_same });
        }
        Ok(())
    }

    /// Sets whom something names.
    async fn refer(&mut self, left: References) -> Result<(), CliError> {
        let References { kind, name, domain, fields, members, was_same } = left;
        let current = self.current_within(&[kind.collection, &name], domain.as_deref()).await?;
        // Without one, it would only be made.
        if let Some(current) = current {
            let before = self.tally.changed;
            // It is counted once, as what became of it in the end.
            if self.change(kind, &name, fields, &current).await? && was_same {
                self.tally.same -= 1;
            } else if !was_same {
                self.tally.changed = before;
            }
        }
        match members {
            Some(members) => self.members(&name, &members).await,
            None => Ok(()),
        }
    }

    async fn make(&mut self, kind: &Kind, name: &str, mut wanted: Map<String, Value>) -> Result<(), CliError> {
        let afterwards: Map<String, Value> = kind
            .afterwards
            .iter()
            .filter_map(|field| Some(((*field).to_owned(), wanted.remove(*field)?)))
            .filter(|(_, value)| !is_nothing(value))
            .collect();
        self.session.say(&format!("make the {} {name}\n", kind.word));
        match self.send(Method::POST, &[kind.collection], wanted).await {
            // It needs something that would only be made.
            Err(CliError::Refused(problem)) if self.dry_run && problem.code == "no-such" => {}
            sent => sent?,
        }
        if !afterwards.is_empty() && !self.dry_run {
            self.send(Method::PATCH, &[kind.collection, name], afterwards).await?;
        }
        self.tally.made += 1;
        Ok(())
    }

    /// Whether anything had to be changed.
    async fn change(
        &mut self,
        kind: &Kind,
        name: &str,
        wanted: Map<String, Value>,
        current: &Value,
    ) -> Result<bool, CliError> {
        let domain = within(kind, &wanted).map(str::to_owned);
        let differing: Map<String, Value> = wanted
            .into_iter()
            .filter(|(field, value)| {
                !kind.only_new.contains(&field.as_str()) && field != kind.name && !is_same(value, &current[field])
            })
            .collect();
        if differing.is_empty() {
            return Ok(false);
        }
        let told: Vec<String> =
            differing.iter().map(|(field, value)| format!("{field}: {} -> {value}", current[field])).collect();
        self.session.say(&format!("change the {} {name}: {}\n", kind.word, told.join(", ")));
        let path = path(&[kind.collection, name], &[("domain", domain.as_deref()), self.parameters()[0]]);
        self.session.client.send(Method::PATCH, &path, Some(&Value::Object(differing))).await?;
        self.tally.changed += 1;
        Ok(true)
    }

    /// The content of a file that has a secret; `None` when there is no such file.
    fn secret(&self, file: &str) -> Result<Option<String>, CliError> {
        let place = self.beside.join(file);
        match fs::read_to_string(&place) {
            Ok(text) if text.len() as u64 <= SECRET_BYTES_MAX => {
                Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            Ok(_) => Err(CliError::Usage(format!("{} is too long for a secret", place.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CliError::Io { what: format!("{} can't be read", place.display()), source }),
        }
    }

    /// The password with which a source is read: from the file that is named, when there is none yet, or when the
    /// server asks for it again because of what else changes.
    fn bind_password(
        &self,
        name: &str,
        wanted: &mut Map<String, Value>,
        current: Option<&Value>,
    ) -> Result<(), CliError> {
        if wanted.contains_key("password") {
            return Err(CliError::Usage(format!("the source {name}: name a file with the password (password_file)")));
        }
        let Some(file) = wanted.remove("password_file") else { return Ok(()) };
        let file = file.as_str().map(str::to_owned);
        let file = file.ok_or_else(|| CliError::Usage(format!("the source {name}: password_file is a path")))?;
        let is_new = |current: &Value| {
            let differs = |field: &&str| wanted.get(*field).is_some_and(|value| !is_same(value, &current[*field]));
            current["has_password"] != true || ["urls", "start_tls", "ca", "bind_dn"].iter().any(differs)
        };
        if current.is_none_or(is_new) {
            let missing = || CliError::Usage(format!("the source {name} needs its password in {file}"));
            let password = self.secret(&file)?.ok_or_else(missing)?;
            wanted.insert("password".to_owned(), Value::String(password));
        }
        Ok(())
    }

    /// A token of a program: made when there is none of its name, and written into the file that is named, because it
    /// is shown once.
    async fn token(&mut self, declared: &Map<String, Value>) -> Result<(), CliError> {
        let mut body = declared.clone();
        let text = |field: &str| declared.get(field).and_then(Value::as_str);
        let (Some(name), Some(file)) = (text("name"), text("file")) else {
            return Err(CliError::Usage("each of [[tokens]] needs name, and file, where it is written to".to_owned()));
        };
        let known = all(self.session, &["api-tokens"], &[]).await?;
        if known.iter().any(|token| token["name"] == name && is_good(token)) {
            self.tally.same += 1;
            return Ok(());
        }
        body.remove("file");
        let days = body
            .remove("days")
            .map(|days| days.as_u64().ok_or_else(|| CliError::Usage(format!("the token {name}: days is a number"))));
        if let Some(days) = days.transpose()? {
            body.insert("lifetime_seconds".to_owned(), Value::from(days.saturating_mul(24 * 3600)));
        }
        let place = self.beside.join(file);
        if !self.files.insert(place.clone()) {
            let file = place.display();
            return Err(CliError::Usage(format!(
                "{file} is the file of two tokens: each is shown once, and needs its own"
            )));
        }
        self.session.say(&format!("make the token {name}, in {}\n", place.display()));
        self.tally.made += 1;
        if self.dry_run {
            return Ok(());
        }
        let path = path(&["api-tokens"], &[]);
        let made = self.session.client.send(Method::POST, &path, Some(&Value::Object(body))).await?;
        let token = made.body["token"].as_str().unwrap_or_default();
        let written = atomic_file::write(&place, format!("{token}\n").as_bytes(), 0o600);
        written.map_err(|source| CliError::Io {
            what: format!("{} can't be written; delete the token and try again", place.display()),
            source,
        })
    }

    /// Adds those who are missing and removes those who are too many.
    async fn members(&mut self, group: &str, wanted: &BTreeSet<String>) -> Result<(), CliError> {
        let current: BTreeSet<String> = match self.current(&["groups", group]).await? {
            Some(_) => all(self.session, &["groups", group, "members"], &[])
                .await?
                .iter()
                .filter_map(|member| Some(member["address"].as_str()?.to_lowercase()))
                .collect(),
            // It would only be made.
            None => BTreeSet::new(),
        };
        let add: Vec<&String> = wanted.difference(&current).collect();
        let remove: Vec<&String> = current.difference(wanted).collect();
        if add.is_empty() && remove.is_empty() {
            return Ok(());
        }
        self.session.say(&format!("change the members of {group}: {} more, {} fewer\n", add.len(), remove.len()));
        self.tally.changed += 1;
        if self.dry_run {
            return Ok(());
        }
        let body = serde_json::json!({"add": add, "remove": remove});
        self.send(Method::PATCH, &["groups", group, "members"], body.as_object().cloned().unwrap_or_default()).await
    }

    /// Settings of the installation, or of a domain.
    async fn settings(&mut self, domain: Option<&str>, declared: Option<&Value>) -> Result<(), CliError> {
        let Some(declared) = declared else { return Ok(()) };
        let table = declared.as_object().ok_or_else(|| CliError::Usage("settings is a table".to_owned()))?;
        for (name, value) in table {
            let value = match value {
                Value::Object(named) if is_secret(name) && named.len() == 1 => {
                    self.secret_setting((domain, name), named.get("file").and_then(Value::as_str)).await?;
                    continue;
                }
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ => return Err(CliError::Usage(format!("the setting {name} takes one value"))),
            };
            let own = path(&["settings", name], &[("domain", domain)]);
            let current = self.session.client.get(&own).await;
            let place = domain.map_or_else(String::new, |domain| format!(" of {domain}"));
            match current {
                Ok(current) if current["value"].as_str() == Some(value.as_str()) => {
                    self.tally.same += 1;
                    continue;
                }
                // Nobody is told what is set, so nobody can say whether it is the same.
                Ok(current) if current["value"] == SECRET => {
                    self.session.say(&format!("{name}{place} is set, and stays: it is secret (sterna config set)\n"));
                    self.tally.same += 1;
                    continue;
                }
                Ok(_) if is_secret(name) => self.session.say(&format!("set {name}{place}\n")),
                Ok(current) => {
                    self.session.say(&format!("set {name}{place}: {} -> {value:?}\n", current["value"]));
                }
                // The domain would only be made.
                Err(CliError::Refused(problem)) if problem.code == "no-such" && self.dry_run && domain.is_some() => {
                    self.session.say(&format!("set {name}{place}: {value:?}\n"));
                    self.tally.changed += 1;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let set = path(&["settings", name], &[("domain", domain), self.parameters()[0]]);
            let body = serde_json::json!({"value": value});
            self.session.client.send(Method::PATCH, &set, Some(&body)).await?;
            self.tally.changed += 1;
        }
        Ok(())
    }

    /// A setting that is secret, from a file; without the file it stays, if it is set.
    async fn secret_setting(
        &mut self,
        (domain, name): (Option<&str>, &str),
        file: Option<&str>,
    ) -> Result<(), CliError> {
        let wrong = || CliError::Usage(format!("the setting {name} takes a text, or a file ({{ file = PATH }})"));
        let file = file.ok_or_else(wrong)?;
        let place = domain.map_or_else(String::new, |domain| format!(" of {domain}"));
        let Some(value) = self.secret(file)? else {
            let current = self.session.client.get(&path(&["settings", name], &[("domain", domain)])).await?;
            if current["value"] != SECRET {
                return Err(CliError::Usage(format!("the setting {name}{place} needs the file {file}")));
            }
            self.session.say(&format!("{name}{place} is set, and stays: there is no file {file}\n"));
            self.tally.same += 1;
            return Ok(());
        };
        let set = path(&["settings", name], &[("domain", domain), self.parameters()[0]]);
        let body = serde_json::json!({"value": value});
        let answer = self.session.client.send(Method::PATCH, &set, Some(&body)).await?;
        match answer.changed {
            true => {
                self.session.say(&format!("set {name}{place} from {file}\n"));
                self.tally.changed += 1;
            }
            false => self.tally.same += 1,
        }
        Ok(())
    }

    async fn role(&mut self, declared: &Map<String, Value>) -> Result<(), CliError> {
        let mut body = declared.clone();
        let Some(Value::String(name)) = body.remove("name") else {
            return Err(CliError::Usage("each of [[roles]] needs name".to_owned()));
        };
        let current = all(self.session, &["roles"], &[]).await?.into_iter().find(|role| role["name"] == name.as_str());
        if let Some(current) = &current
            && body.iter().all(|(field, value)| is_same(value, &current[field]))
        {
            self.tally.same += 1;
            return Ok(());
        }
        self.session.say(&format!("{} the role {name}\n", if current.is_some() { "change" } else { "make" }));
        *(if current.is_some() { &mut self.tally.changed } else { &mut self.tally.made }) += 1;
        self.send(Method::PUT, &["roles", &name], body).await
    }

    async fn grant(&mut self, declared: &Map<String, Value>) -> Result<(), CliError> {
        let text = |field: &str| declared.get(field).and_then(Value::as_str).unwrap_or_default();
        let is_it = |grant: &Value| {
            ["user", "role", "domain", "unit"]
                .iter()
                .all(|field| grant[field].as_str().unwrap_or_default() == text(field))
        };
        if all(self.session, &["grants"], &[]).await?.iter().any(is_it) {
            self.tally.same += 1;
            return Ok(());
        }
        self.session.say(&format!("grant {} to {}\n", text("role"), text("user")));
        self.tally.made += 1;
        if self.dry_run {
            // The user may be one that would only be made.
            return Ok(());
        }
        self.send(Method::POST, &["grants"], declared.clone()).await
    }
}

/// Texts of a list, small.
fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase).collect()
}

/// Whether a value says no more than that nothing is set.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Whether a field is as declared. Lists are sets to the API, and what is left out is the same as nothing.
fn is_same(declared: &Value, current: &Value) -> bool {
    match (declared, current) {
        (Value::Array(one), Value::Array(other)) if one.iter().chain(other).all(Value::is_string) => {
            texts(declared) == texts(current)
        }
        (Value::Object(fields), Value::Object(_)) => fields.iter().all(|(name, value)| is_same(value, &current[name])),
        _ => declared == current || (is_nothing(declared) && is_nothing(current)),
    }
}

/// Every item of a listing.
async fn all(
    session: &Session<'_>,
    segments: &[&str],
    filters: &[(&str, Option<&str>)],
) -> Result<Vec<Value>, CliError> {
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let parameters = [filters, &[("limit", Some(PAGE_ITEMS)), ("after", after.as_deref())]].concat();
        let mut page = session.client.get(&path(segments, &parameters)).await?;
        if let Value::Array(found) = page["items"].take() {
            items.extend(found);
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}

/// Prints everything as a file that `sterna apply` takes.
pub async fn snapshot(session: &Session<'_>) -> Result<Exit, CliError> {
    let mut sections = Map::new();
    let settings = all(session, &["settings"], &[]).await?;
    let set = told(&settings, "system", None);
    for kind in &KINDS {
        let mut declared = Vec::new();
        for item in all(session, &[kind.collection], &[]).await? {
            if kind.section == "mailboxes" && item["kind"] != "shared" {
                continue;
            }
            let mut fields = taken(kind, &item);
            if kind.section == "domains" {
                let own = all(session, &["settings"], &[("domain", item["name"].as_str())]).await?;
                let own = told(&own, "domain", item["name"].as_str());
                if !own.is_empty() {
                    fields.insert("settings".to_owned(), Value::Object(own));
                }
            }
            if kind.section == "sources" && item["has_password"] == true {
                let file = format!("source-{}.password", item["name"].as_str().unwrap_or_default());
                fields.insert("password_file".to_owned(), Value::String(file));
            }
            if kind.section == "groups"
                && let Some(address) = item["address"].as_str()
            {
                let members = all(session, &["groups", address, "members"], &[]).await?;
                let members: Vec<Value> = members.into_iter().map(|mut member| member["address"].take()).collect();
                fields.insert("members".to_owned(), Value::Array(members));
            }
            declared.push(Value::Object(fields));
        }
        sections.insert(kind.section.to_owned(), Value::Array(declared));
    }
    let own = all(session, &["roles"], &[]).await?.into_iter().filter(|role| role["builtin"] == false);
    let own = own.map(|mut role| {
        if let Some(fields) = role.as_object_mut() {
            fields.remove("builtin");
        }
        role
    });
    sections.insert("roles".to_owned(), Value::Array(own.collect()));
    let grants = all(session, &["grants"], &[]).await?.into_iter();
    // The platform's administrators are marked at their own entries.
    let grants = grants.filter(|grant| !(grant["role"] == "platform-administrator" && grant["domain"].is_null()));
    sections.insert("grants".to_owned(), Value::Array(grants.map(without_nothing).collect()));
    // Tokens of people are theirs; those of the installation are made anew where they are missing.
    let tokens = all(session, &["api-tokens"], &[]).await?.into_iter().filter(is_good);
    sections.insert("tokens".to_owned(), Value::Array(declared_tokens(&tokens.collect::<Vec<_>>())));
    sections.insert("settings".to_owned(), Value::Object(set));
    sections.retain(|_, value| !is_nothing(value) || value.as_array().is_some_and(|items| !items.is_empty()));
    let text = toml::to_string(&Value::Object(sections)).map_err(|error| CliError::Usage(error.to_string()))?;
    super::output::line(
        "# Passwords of people and what is inside of accounts are not in it; other secrets are read from the files that it\n\
         # names, beside it. sterna apply FILE makes everything so again.\n",
    )?;
    super::output::line(text.trim_end())?;
    Ok(Exit::Done)
}

/// The settings that are set there; of secrets only the name of a file, which is not written.
fn told(settings: &[Value], from: &str, domain: Option<&str>) -> Map<String, Value> {
    let set = settings.iter().filter(|setting| setting["from"] == from);
    let told = |setting: &Value| {
        let name = setting["name"].as_str()?.to_owned();
        let value = match setting["value"].as_str()? {
            SECRET => {
                let of = domain.map_or_else(String::new, |domain| format!("{domain}."));
                serde_json::json!({ "file": format!("{of}{name}.secret") })
            }
            text => Value::String(text.to_owned()),
        };
        Some((name, value))
    };
    set.filter_map(told).collect()
}

/// What settings that are secret show.
const SECRET: &str = sterna_directory::settings::SECRET;

/// The fields of an item that a file can declare.
fn taken(kind: &Kind, item: &Value) -> Map<String, Value> {
    let fields = kind.fields.iter().filter_map(|field| Some(((*field).to_owned(), item.get(field)?.clone())));
    fields.filter(|(_, value)| !is_nothing(value)).map(|(name, value)| (name, without_nothing(value))).collect()
}

/// Without fields that say nothing: TOML has no null.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !is_nothing(value));
            Value::Object(kept.map(|(name, value)| (name, without_nothing(value))).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_the_same_as_nothing_and_lists_are_sets() {
        for (declared, current, same) in [
            (json!(["b", "A"]), json!(["a", "b"]), true),
            (json!(["a"]), json!(["a", "b"]), false),
            (json!([]), Value::Null, true),
            (json!(false), Value::Null, true),
            (json!(0), Value::Null, false),
            (json!({"capacity": 8}), json!({"capacity": 8, "series": true}), true),
            (json!({"capacity": 9}), json!({"capacity": 8}), false),
        ] {
            assert_eq!(is_same(&declared, &current), same, "{declared} {current}");
        }
    }
}
