//! One run of a source: read, compare, do.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Modseq, Secret, Timestamp};
use sterna_directory::auth::bind::administers;
use sterna_directory::{AnyEntry, Member, Reader, Source, StorageError, names};
use sterna_mailflow::auth::keys;

use super::apply;
use super::ldap::entry::Found;
use super::ldap::search::{self, Answer};
use super::plan::{self, Binned, Here, Holder, Owner, Plan, Present, Reading};
use super::runs::{Position, Run, RunBook, RunsError};
use crate::admin::AdminState;
use crate::node::signing;

/// What the sealed passwords are called where DKIM keys have their domain: domains are numbers.
const SEALED_FOR: &str = "source";

/// How long the reading of a source may take as a whole: a million people at a thousand a second, and twice that.
const READ_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Lines of one run's log.
const LOG_LINES_MAX: usize = 5_000;

/// How a source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What changed since the last time, if that is known.
    Changes,
    /// Everything.
    Full,
}

/// Why a run did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another one is under way.
    #[error("a run of this source is under way")]
    Running,
    /// There is no such source.
    #[error("there is no such source")]
    NoSource,
    /// The directory elsewhere can't be read. The text is for the operator.
    #[error("{0}")]
    Unreadable(String),
    /// What is here can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The book of runs can't be used.
    #[error(transparent)]
    Book(#[from] RunsError),
}

/// The sources of an installation, on its main node.
pub struct Sources {
    /// What is remembered of runs.
    pub book: RunBook,
    folder: PathBuf,
    running: Mutex<HashSet<String>>,
    tried: Mutex<HashMap<String, Timestamp>>,
}

/// Keeps a source from being run twice at once.
struct Turn<'a>(&'a Sources, String);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.running.lock().remove(&self.1);
    }
}

impl Sources {
    /// Of the node in this folder. Blocks.
    ///
    /// # Errors
    /// When the book of runs can't be opened.
    pub fn open(folder: &std::path::Path) -> Result<Self, RunsError> {
        Ok(Sources {
            book: RunBook::open(folder)?,
            folder: folder.to_owned(),
            running: Mutex::default(),
            tried: Mutex::default(),
        })
    }

    /// When a source was last begun to be read, since this process started.
    pub fn tried_at(&self, name: &str) -> Option<Timestamp> {
        self.tried.lock().get(name).copied()
    }

    /// Whether a run is under way.
    pub fn is_running(&self, name: &str) -> bool {
        self.running.lock().contains(name)
    }

    fn turn(&self, name: &str) -> Result<Turn<'_>, RunError> {
        if !self.running.lock().insert(name.to_owned()) {
            return Err(RunError::Running);
        }
        Ok(Turn(self, name.to_owned()))
    }

    /// Seals the password that a source is read with.
    ///
    /// # Errors
    /// The cause, for the operator.
    pub async fn seal(&self, source: &str, password: &Secret) -> Result<String, String> {
        let (folder, source, password) = (self.folder.clone(), source.to_owned(), password.clone());
        let sealing = move || {
            let secret = signing::made(&folder).map_err(|error| error.to_string())?;
            keys::seal(&secret, SEALED_FOR, &source, password.expose().as_bytes()).map_err(|error| error.to_string())
        };
        tokio::task::spawn_blocking(sealing).await.map_err(|error| error.to_string())?
    }

    async fn password(&self, source: &Source) -> Result<Secret, RunError> {
        if source.password_sealed.is_empty() {
            return Ok(Secret::new(""));
        }
        let (folder, name, sealed) = (self.folder.clone(), source.name.clone(), source.password_sealed.clone());
        let opening = move || {
            let secret = signing::made(&folder).map_err(|error| error.to_string())?;
            let opened = keys::open(&secret, SEALED_FOR, &name, &sealed).map_err(|error| error.to_string())?;
            String::from_utf8(opened).map(Secret::new).map_err(|error| error.to_string())
        };
        let opened = tokio::task::spawn_blocking(opening).await.map_err(|error| error.to_string()).flatten();
        let unusable = |cause| format!("the password can't be opened, set it again (sterna source set): {cause}");
        opened.map_err(|cause| RunError::Unreadable(unusable(cause)))
    }

    /// What a run would do now.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn dry_run(&self, state: &AdminState, source: Source, allow_removals: bool) -> Result<Plan, RunError> {
        let _turn = self.turn(&source.name)?;
        let (answer, present) = self.look(state, &source, None).await?;
        Ok(planned(&source, &answer, &present, allow_removals))
    }

    async fn look(
        &self,
        state: &AdminState,
        source: &Source,
        since: Option<search::Mark>,
    ) -> Result<(Answer, Present), RunError> {
        let domain = source.domain;
        let found = state.directory.read(move |reader| reader.domain(domain)).await?.ok_or(RunError::NoSource)?.value;
        let domains: Vec<String> = std::iter::once(found.name).chain(found.aliases).collect();
        let (asked, password) = (source.clone(), self.password(source).await?);
        // In a task of its own: a library that gives up on what it can't read gives up there.
        let mut reading = tokio::spawn(async move { search::read(&asked, &password, &domains, since.as_ref()).await });
        let broken = |_| RunError::Unreadable("the server's answer can't be read".to_owned());
        let Ok(ended) = tokio::time::timeout(READ_TIMEOUT, &mut reading).await else {
            reading.abort();
            let minutes = READ_TIMEOUT.as_secs() / 60;
            return Err(RunError::Unreadable(format!("no whole answer within {minutes} minutes")));
        };
        let answer = ended.map_err(broken)?.map_err(|error| RunError::Unreadable(error.to_string()))?;
        let (source, found) = (source.clone(), answer.found.clone());
        let read = move |reader: &Reader<'_>| present(reader, &source, &found);
        Ok((answer, state.directory.read(read).await?))
    }

    /// Runs a source, and notes what came of it. Gives the number of the run.
    ///
    /// # Errors
    /// [`RunError`], after it was noted.
    pub async fn run_now(
        &self,
        state: &AdminState,
        name: &str,
        mode: Mode,
        by: String,
        allow_removals: bool,
    ) -> Result<i64, RunError> {
        let _turn = self.turn(name)?;
        let now = state.directory.now();
        self.tried.lock().insert(name.to_owned(), now);
        let asked = name.to_owned();
        let source = state.directory.read(move |reader| reader.source(&asked)).await?.ok_or(RunError::NoSource)?;
        let position = self.book.position(name.to_owned()).await?.filter(|known| known.config == source.modseq);
        let since = position.as_ref().filter(|_| mode == Mode::Changes).map(|position| position.mark.clone());
        let number = self.book.begin(name.to_owned(), by.clone(), since.is_none(), now).await?;
        let mut run = Run {
            number,
            source: name.to_owned(),
            started_at: now,
            ended_at: None,
            by,
            full: since.is_none(),
            outcome: "failed".to_owned(),
            done: 0,
            failed: 0,
            held: 0,
            log: String::new(),
        };
        let result = self.perform(state, &source.value, since, allow_removals, &mut run).await;
        match &result {
            Ok(answer) => {
                let full_at = match (answer.is_full, position) {
                    (false, Some(position)) => position.full_at,
                    _ => now,
                };
                // What failed is tried again: only a full comparison finds it.
                let is_over = run.failed == 0 || answer.is_full;
                let config = if is_over { source.modseq } else { Modseq::ZERO };
                let position = Position { config, full_at, mark: answer.mark.clone() };
                self.book.set_position(name.to_owned(), Some(position)).await?;
            }
            Err(error) => {
                tracing::warn!(source = name, %error, "a source could not be read; it is tried again");
                run.log.push_str(&format!("failed: {error}\n"));
            }
        }
        run.ended_at = Some(state.directory.now());
        self.book.end(run).await?;
        result.map(|_| number)
    }

    async fn perform(
        &self,
        state: &AdminState,
        source: &Source,
        since: Option<search::Mark>,
        allow_removals: bool,
        run: &mut Run,
    ) -> Result<Answer, RunError> {
        let (answer, present) = self.look(state, source, since).await?;
        run.full = answer.is_full;
        let plan = planned(source, &answer, &present, allow_removals);
        let mut log = Log::default();
        let (found, unchanged) = (plan.found, plan.unchanged);
        log.line(format!("found {found}, of which {unchanged} are as they should be"));
        for problem in &plan.problems {
            log.line(format!("left out: {problem}"));
        }
        let (done, failed) = apply::apply(state, source, &plan, &present, &mut log).await;
        if let Some(guard) = &plan.guard {
            log.line(format!("held back: {guard}"));
            for step in &plan.held {
                log.line(format!("held back: {}", apply::in_words(step)));
            }
            tracing::warn!(source = source.name, guard, "removals of a source were held back");
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        (run.done, run.failed, run.held) = (count(done), count(failed + plan.problems.len()), count(plan.held.len()));
        run.outcome = if plan.guard.is_some() { "held" } else { "done" }.to_owned();
        run.log = log.text();
        Ok(answer)
    }
}

fn planned(source: &Source, answer: &Answer, present: &Present, allow_removals: bool) -> Plan {
    let reading = Reading {
        found: &answer.found,
        unusable: &answer.unusable,
        is_full: answer.is_full,
        has_nameless: answer.has_nameless,
    };
    let mut plan = plan::plan(source, &reading, present, allow_removals);
    plan.problems.extend(answer.problems.iter().cloned());
    plan
}

/// What a run writes down, within bounds.
#[derive(Default)]
pub struct Log {
    lines: Vec<String>,
    left_out: usize,
}

impl Log {
    /// One more line.
    pub fn line(&mut self, line: String) {
        match self.lines.len() < LOG_LINES_MAX {
            true => self.lines.push(line),
            false => self.left_out += 1,
        }
    }

    fn text(mut self) -> String {
        if self.left_out > 0 {
            self.lines.push(format!("and {} more lines", self.left_out));
        }
        self.lines.push(String::new());
        self.lines.join("\n")
    }
}

/// Gathers what the comparison needs.
fn present(reader: &Reader<'_>, source: &Source, found: &[Found]) -> Result<Present, StorageError> {
    let mut present = Present::default();
    let mut ours = HashSet::new();
    for link in reader.links_of(&source.name)? {
        let Some(entry) = reader.entry(link.account)? else { continue };
        ours.insert(link.external_id.clone());
        let text = |address| Ok::<_, StorageError>(reader.address_text(address)?.unwrap_or_default());
        let entry = entry.value;
        let members = match &entry {
            AnyEntry::Group(group) => {
                let local = |member| match member {
                    Member::Local(id) => Some(id),
                    Member::External(_) => None,
                };
                reader.all_members(group.entry.id)?.into_iter().filter_map(local).collect()
            }
            _ => BTreeSet::new(),
        };
        let common = entry.entry();
        present.linked.push(Here {
            is_group: matches!(entry, AnyEntry::Group(_)),
            address: text(&common.address)?,
            aliases: common.aliases.iter().map(text).collect::<Result<_, _>>()?,
            display_name: common.display_name.clone(),
            unit: common.unit.clone(),
            login: match &entry {
                AnyEntry::User(user) => user.login.clone(),
                _ => None,
            },
            suspended: common.suspended,
            is_admin: is_admin(reader, &entry)?,
            members,
            link,
        });
    }
    present.binned = binned(reader, source)?;
    for found in found {
        for address in std::iter::once(&found.address).chain(&found.aliases) {
            if let Some(owner) = reader.entry_at(address)? {
                let entry = owner.value.entry();
                let main = reader.address_text(&entry.address)?.unwrap_or_default();
                present.owners.insert(address.clone(), Owner { account: entry.id, address: main });
            }
        }
        if !found.is_group
            && !found.login.contains('@')
            && let Some(user) = reader.user_by_login(&found.login)?
        {
            present.logins.insert(found.login.clone(), user.value.entry.id);
        }
        if ours.contains(&found.external_id) {
            continue;
        }
        if let Some(entry) = reader.entry_at(&found.address)? {
            let is_kind =
                matches!((&entry.value, found.is_group), (AnyEntry::User(_), false) | (AnyEntry::Group(_), true));
            let link = reader.link(entry.value.entry().id)?;
            // Whoever was made anew there, after they were gone, can be the same person.
            let was_gone = link.as_ref().is_some_and(|link| link.source == source.name && link.suspended);
            let from_elsewhere = link.is_some() && !was_gone;
            let aliases = entry.value.entry().aliases.iter();
            let aliases = aliases.map(|address| Ok(reader.address_text(address)?.unwrap_or_default()));
            let holder = Holder {
                account: entry.value.entry().id,
                can_be_adopted: is_kind
                    && !from_elsewhere
                    && !is_admin(reader, &entry.value)?
                    && is_main(reader, source, &entry.value, &found.address)?,
                app_passwords: reader.app_passwords(entry.value.entry().id)?.len(),
                version: entry.modseq,
                was_gone,
                aliases: aliases.collect::<Result<_, StorageError>>()?,
                what: match entry.value {
                    AnyEntry::User(_) => "user",
                    AnyEntry::Group(_) => "group",
                    AnyEntry::Shared(_) => "mailbox",
                },
            };
            present.holders.insert(found.address.clone(), holder);
        }
    }
    Ok(present)
}

/// Who came from the source and lies in the bin. By an address nobody is had back: it is for whoever has it now.
fn binned(reader: &Reader<'_>, source: &Source) -> Result<HashMap<String, Binned>, StorageError> {
    let (mut all, mut after) = (HashMap::new(), AccountId(0));
    loop {
        let page = reader.all_deleted(after, PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.value.id;
        for deleted in page.into_iter().map(|found| found.value) {
            let entry = deleted.was.entry();
            if entry.address.domain != source.domain || matches!(deleted.was, AnyEntry::Shared(_)) {
                continue;
            }
            let Some(link) = reader.deleted_link(deleted.id)?.filter(|link| link.source == source.name) else {
                continue;
            };
            let mut addresses = Vec::new();
            for address in entry.addresses() {
                let Some(text) = reader.address_text(address)? else { continue };
                if reader.entry_at(&text)?.is_none() {
                    addresses.push(text);
                }
            }
            let (is_group, was_gone) = (matches!(deleted.was, AnyEntry::Group(_)), link.suspended);
            all.insert(link.external_id, Binned { account: deleted.id, is_group, was_gone, addresses });
        }
    }
}

/// Whether an address is somebody's main one, in the source's domain: a further address doesn't say who somebody is.
fn is_main(reader: &Reader<'_>, source: &Source, entry: &AnyEntry, address: &str) -> Result<bool, StorageError> {
    let main = &entry.entry().address;
    let Some((local, domain)) = names::address(address) else { return Ok(false) };
    let domain = reader.domain_named(&domain)?.map(|found| found.value.id);
    Ok(main.domain == source.domain && domain == Some(main.domain) && local == main.local)
}

fn is_admin(reader: &Reader<'_>, entry: &AnyEntry) -> Result<bool, StorageError> {
    match entry {
        AnyEntry::User(user) => administers(reader, user.entry.id),
        _ => Ok(false),
    }
}
