//! `/api/v1/accounts/{account}/acl`: who may do what with the mailboxes, calendars, address books and files of an
//! account. Users give rights themselves by SETACL and by the method ACL; a shared account has nobody who could begin,
//! so an administrator does.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::commit::MUTATIONS_MAX;
use sterna_account::shares::Shares;
use sterna_account::{
    Account, AccountError, CommitError, Container, ContainerKind, Identifier, Mutation, Rights, files,
};
use sterna_base::{AccountId, ContainerId, OperationId};
use sterna_directory::{AnyEntry, Reader, Request, RequestError, Share};
use sterna_migration::archive::manifest as archive;

use super::doors::AdminState;
use super::input::{Body, Params};
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource};

/// One entry of one mailbox.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AclEntry")]
pub(super) struct EntryView {
    /// `mailbox`, `calendar`, `tasks`, `notes`, `address-book`, `folder`.
    kind: &'static str,
    /// Its full name.
    mailbox: String,
    /// An address, `@` and a domain, `anyone`, or `#` and the id of somebody who is gone; `-` before it takes rights
    /// away.
    identifier: String,
    /// Letters of RFC 4314.
    rights: String,
}

/// The body of PATCH.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AclChange")]
pub(super) struct AclBody {
    /// Whose entry, in the form in which it is shown.
    identifier: String,
    /// Letters of RFC 4314; none removes the entry. Of what is no mailbox also `freebusy`, `read`, `write`, `manage`.
    rights: String,
    /// Of which mailbox; of all mailboxes when nothing is named.
    #[serde(default)]
    mailbox: Option<String>,
    /// Of which calendar, task list or journal.
    #[serde(default)]
    calendar: Option<String>,
    /// Of which address book.
    #[serde(default)]
    address_book: Option<String>,
    /// Of which folder of files, and all below it; `/` is the topmost one.
    #[serde(default)]
    folder: Option<String>,
}

/// What the words for rights mean.
const WORDS: [(&str, &str); 4] = [("freebusy", "9"), ("read", "lr"), ("write", "lrwite"), ("manage", "lrswipkxtea")];

impl AclBody {
    fn target(&self) -> Result<Target<'_>, Problem> {
        let named = [
            self.mailbox.as_deref().map(|name| Target::Mailbox(Some(name))),
            self.calendar.as_deref().map(Target::Calendar),
            self.address_book.as_deref().map(Target::AddressBook),
            self.folder.as_deref().map(Target::Folder),
        ];
        let mut named = named.into_iter().flatten();
        let first = named.next().unwrap_or(Target::Mailbox(None));
        match named.next() {
            None => Ok(first),
            Some(_) => Err(Problem::malformed("name one mailbox, calendar, address book or folder")),
        }
    }

    fn rights(&self, target: &Target<'_>) -> Result<Rights, Problem> {
        let word = WORDS.iter().find(|(word, _)| *word == self.rights && !matches!(target, Target::Mailbox(_)));
        let letters = word.map_or(self.rights.as_str(), |(_, letters)| letters);
        Rights::parse(letters).map_err(|error| Problem::malformed(error.to_string()))
    }
}

/// What rights are given on.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// One mailbox, or all.
    Mailbox(Option<&'a str>),
    Calendar(&'a str),
    AddressBook(&'a str),
    /// A folder of files with all below it.
    Folder(&'a str),
}

/// Whose entry is meant.
struct Named {
    identifier: Identifier,
    negative: bool,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<Page<EntryView>>, Problem> {
    let (id, _) = account_of(&state, account).await?;
    let containers = open(&state, id).await?.containers().await.map_err(|error| problem(&error))?;
    Ok(Json(view(&state, &containers).await?))
}

/// The directory knows of a right before it is given, and of its end after it is gone: as SETACL does it.
pub(super) async fn set(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
    Body(body): Body<AclBody>,
) -> Result<Resource<Page<EntryView>>, Problem> {
    if !state.directory.is_main() {
        return Err(RequestError::NotMain.into());
    }
    let target = body.target()?;
    let rights = body.rights(&target)?;
    let (id, is_shared) = account_of(&state, account).await?;
    let Named { identifier, negative } = named(&state, &body.identifier).await?;
    if identifier == Identifier::Entry(id) && !is_shared {
        return Err(Problem::malformed("the owner has every right, and keeps it"));
    }
    let handle = open(&state, id).await?;
    let containers = handle.containers().await.map_err(|error| problem(&error))?;
    let meant = meant(&containers, target)?;
    let is_other = |container: &&&Container| container.acl.get(identifier, negative) != rights;
    let steps: Vec<Vec<Mutation>> = meant
        .iter()
        .filter(is_other)
        .map(|container| {
            // Whoever keeps the folder above in step sees more or less in it.
            let above = container.parent.filter(|_| container.kind == ContainerKind::Files);
            let noticed = above.map(|above| files::folder_changed(above, &container.name, &container.acl));
            let step = Mutation::SetAcl { container: container.id, identifier, negative, rights };
            noticed.into_iter().flatten().chain([step]).collect()
        })
        .collect();
    let changed = !steps.is_empty();
    // Who may only ask for busy times is not told of it by listings.
    let is_gift = !negative && !(rights - Rights::FREE_BUSY).is_empty();
    if params.dry_run || !changed {
        return answer(&state, &containers, changed).await;
    }
    let share = |shares| Request::SetShare { share: Share { owner: id, grantee: identifier }, shares };
    if is_gift {
        state.write(share(true), false).await?;
    }
    // What belongs to one container stays together.
    for steps in steps.chunks(MUTATIONS_MAX / 3) {
        handle.commit(OperationId::random(), steps.concat()).await.map_err(|error| problem(&error))?;
    }
    let containers = handle.containers().await.map_err(|error| problem(&error))?;
    let is_given = containers.iter().any(|container| container.acl.grantees().any(|known| known == identifier));
    if is_gift || !negative && !is_given {
        state.write(share(is_given), false).await?;
    }
    answer(&state, &containers, true).await
}

async fn answer(
    state: &AdminState,
    containers: &[Container],
    changed: bool,
) -> Result<Resource<Page<EntryView>>, Problem> {
    let body = view(state, containers).await?;
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(changed), location: None, body })
}

/// The account, and whether it is a shared mailbox.
async fn account_of(state: &AdminState, account: String) -> Result<(AccountId, bool), Problem> {
    let read = move |reader: &Reader<'_>| match resolve::entry(reader, &account, "account")?.value {
        AnyEntry::Group(_) => Err(Problem::no_such("account", &account)),
        AnyEntry::User(user) => Ok((user.entry.id, false)),
        AnyEntry::Shared(shared) => Ok((shared.entry.id, true)),
    };
    state.directory.read(read).await
}

async fn open(state: &AdminState, id: AccountId) -> Result<Arc<dyn Account>, Problem> {
    state.provision.open(id).await.map_err(|error| problem(&error))
}

async fn named(state: &AdminState, text: &str) -> Result<Named, Problem> {
    let (negative, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
    if name == "anyone" {
        return Ok(Named { identifier: Identifier::Anyone, negative });
    }
    let gone = |rest: &str| rest.strip_prefix('#').and_then(|id| id.parse().ok());
    if let Some(id) = gone(name) {
        return Ok(Named { identifier: Identifier::Entry(id), negative });
    }
    if let Some(domain) = name.strip_prefix('@') {
        if let Some(id) = domain.strip_prefix('#').and_then(|id| id.parse().ok()) {
            return Ok(Named { identifier: Identifier::Domain(id), negative });
        }
        let domain = domain.to_owned();
        let read =
            move |reader: &Reader<'_>| reader.domain_named(&domain)?.ok_or_else(|| Problem::no_such("domain", &domain));
        let id = state.directory.read(read).await?.value.id;
        return Ok(Named { identifier: Identifier::Domain(id), negative });
    }
    let name = name.to_owned();
    let read = move |reader: &Reader<'_>| resolve::entry(reader, &name, "user, group or shared mailbox");
    let id = state.directory.read(read).await?.value.entry().id;
    Ok(Named { identifier: Identifier::Entry(id), negative })
}

/// The containers that are meant.
fn meant<'a>(containers: &'a [Container], target: Target<'_>) -> Result<Vec<&'a Container>, Problem> {
    let paths = Paths::of(containers);
    let of = |kinds: &[ContainerKind], is_meant: &dyn Fn(&str) -> bool| -> Vec<&'a Container> {
        let is_meant = |one: &&Container| kinds.contains(&one.kind) && is_meant(&paths.path(one));
        containers.iter().filter(is_meant).collect()
    };
    let calendars =
        [ContainerKind::Calendar, ContainerKind::Tasks, ContainerKind::Notes, ContainerKind::DerivedCalendar];
    let (what, name, found) = match target {
        Target::Mailbox(None) => return Ok(of(&[ContainerKind::Mail], &|_| true)),
        Target::Mailbox(Some(name)) => ("mailbox", name, of(&[ContainerKind::Mail], &|path| path == name)),
        Target::Calendar(name) => ("calendar", name, of(&calendars, &|path| path == name)),
        Target::AddressBook(name) => ("address book", name, of(&[ContainerKind::AddressBook], &|path| path == name)),
        Target::Folder(name) => {
            let root = format!("{FILES}/{}", name.trim_matches('/'));
            let root = root.trim_end_matches('/');
            let is_within =
                |path: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            ("folder", name, of(&[ContainerKind::Files], &is_within))
        }
    };
    if found.is_empty() { Err(Problem::no_such(what, name)) } else { Ok(found) }
}

/// What the topmost folder of files is called; users don't see it.
const FILES: &str = "files";

fn kind_word(kind: ContainerKind) -> &'static str {
    match kind {
        ContainerKind::Mail => "mailbox",
        ContainerKind::Calendar | ContainerKind::DerivedCalendar => "calendar",
        ContainerKind::Tasks => "tasks",
        ContainerKind::Notes => "notes",
        ContainerKind::AddressBook => "address-book",
        ContainerKind::Files => "folder",
        _ => "other",
    }
}

async fn view(state: &AdminState, containers: &[Container]) -> Result<Page<EntryView>, Problem> {
    let paths = Paths::of(containers);
    let entries = containers.iter().flat_map(|container| container.acl.entries());
    let identifiers: Vec<Identifier> = entries.map(|entry| entry.identifier).collect();
    let ids = identifiers.iter().filter_map(|identifier| identifier.entry()).collect();
    let addresses = state.directory.addresses(ids).await.map_err(|error| unavailable(&error.to_string()))?;
    let ids = identifiers.iter().filter_map(|identifier| identifier.domain()).collect();
    let domains = state.directory.domains(ids).await.map_err(|error| unavailable(&error.to_string()))?;
    let mut items = Vec::new();
    for container in containers {
        for entry in container.acl.entries() {
            let who = match entry.identifier {
                Identifier::Anyone => "anyone".to_owned(),
                Identifier::Entry(id) => addresses.get(&id).cloned().unwrap_or_else(|| format!("#{id}")),
                Identifier::Domain(id) => {
                    format!("@{}", domains.get(&id).cloned().unwrap_or_else(|| format!("#{id}")))
                }
            };
            let identifier = format!("{}{who}", if entry.negative { "-" } else { "" });
            let (kind, rights) = (kind_word(container.kind), entry.rights.to_string());
            items.push(EntryView { kind, mailbox: paths.path(container), identifier, rights });
        }
    }
    items.sort_by(|a, b| (a.kind, &a.mailbox, &a.identifier).cmp(&(b.kind, &b.mailbox, &b.identifier)));
    Ok(Page { items, next: None })
}

/// The same, as archives have it.
pub(super) async fn shares(state: &AdminState, containers: &[Container]) -> Result<Vec<archive::Share>, Problem> {
    let kind = |word: &str| match word {
        "tasks" | "notes" => "calendar".to_owned(),
        word => word.to_owned(),
    };
    let share = |entry: EntryView| {
        let (identifier, rights) = (entry.identifier, entry.rights);
        archive::Share { kind: kind(entry.kind), name: Some(entry.mailbox), identifier, rights }
    };
    Ok(view(state, containers).await?.items.into_iter().filter(|entry| entry.kind != "other").map(share).collect())
}

/// Full names of containers.
struct Paths<'a>(HashMap<ContainerId, &'a Container>);

impl<'a> Paths<'a> {
    fn of(containers: &'a [Container]) -> Self {
        Paths(containers.iter().map(|container| (container.id, container)).collect())
    }

    fn path(&self, container: &Container) -> String {
        let mut parts = vec![container.name.as_str()];
        let mut above = container.parent;
        while let Some(parent) = above.and_then(|id| self.0.get(&id)).filter(|_| parts.len() <= self.0.len()) {
            parts.push(&parent.name);
            above = parent.parent;
        }
        parts.reverse();
        parts.join("/")
    }
}

fn unavailable(detail: &str) -> Problem {
    let remedy = "See which servers answer (sterna status), and try again once it does.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "server-unreachable", "A server doesn't answer", detail, remedy)
}

/// Why an account was not read or changed.
pub(super) fn problem(error: &AccountError) -> Problem {
    match error {
        AccountError::NoSuchAccount(id) => Problem::no_such("account", &id.to_string()),
        AccountError::Refused(CommitError::Limit(what)) => {
            let (title, remedy) = ("A limit is reached", "Give the rights to a group, and put people into the group.");
            let detail = format!("limit reached: {what}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "limit", title, detail, remedy)
        }
        error => unavailable(&error.to_string()),
    }
}
