//! Collections of others in the home of whoever they are shared with: called `shared-OWNER-CONTAINER` there, by ids, so
//! that neither a rename nor a move changes a path that a client keeps its copy under. Folders of files are the
//! exception: their names are for people, and are others when the folder or its owner is renamed.
//!
//! What the user set about them (name, colour, order, alarms) and what was last seen of them is kept in the user's own
//! account: a collection whose owner's server is away is listed as it was, and says that it is away. Clients delete
//! what is not listed any more.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sterna_account::commit::Expect;
use sterna_account::shares::Owner;
use sterna_account::{
    Account, AccountError, Acl, Container, ContainerKind, Content, ItemParts, Mutation, NewItem, UidSet,
    container_named, files,
};
use sterna_base::limits::CONTAINER_DEPTH_MAX;
use sterna_base::{AccountId, ContainerId, OperationId};
use sterna_formats::dav::Name;
use sterna_formats::dav::name::{APPLE, CALDAV, DAV};

use super::answer::Problem;
use super::context::{Context, Home, no_directory};
use super::home::FILES;
use super::limits::{MOUNTED_MAX, NAME_BYTES_MAX, PROPERTIES_MAX, PROPERTY_BYTES_MAX};
use super::paths::{self, Space};
use super::resource::{Collection, SEEING};
use super::scheduling::is_scheduling;
use super::stored::Stored;
use crate::owners::ask_all;

/// The container of the user's account with what is kept about the collections of others.
const CONTAINER: &str = "shared";

/// Which collection of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mount {
    pub owner: AccountId,
    pub container: ContainerId,
}

impl Mount {
    /// The organisation's directory, which is nobody's account.
    pub const DIRECTORY: Mount = Mount { owner: AccountId(0), container: ContainerId(0) };
}

/// What the directory is called in a home.
const DIRECTORY: &str = "shared-directory";

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Mount::DIRECTORY {
            return f.write_str(DIRECTORY);
        }
        write!(f, "shared-{}-{}", self.owner, self.container)
    }
}

impl FromStr for Mount {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == DIRECTORY {
            return Ok(Mount::DIRECTORY);
        }
        let (owner, container) = text.strip_prefix("shared-").and_then(|rest| rest.split_once('-')).ok_or(())?;
        let mount = Mount { owner: owner.parse().map_err(|_| ())?, container: container.parse().map_err(|_| ())? };
        // One name for each: what is written otherwise is another name.
        if mount.to_string() == text { Ok(mount) } else { Err(()) }
    }
}

/// A collection of somebody else as a part of the user's home.
#[derive(Clone)]
pub struct Mounted {
    pub mount: Mount,
    /// The user's address: the home it is in.
    pub address: String,
    /// The user's own account.
    pub account: Arc<dyn Account>,
    /// What the user keeps, if it was read already.
    pub kept: Option<Arc<Kept>>,
    /// What a folder of files is called there, before its ids: people see the names of files.
    pub shown: Option<String>,
    /// The path below it, of folders of files.
    pub below: Vec<String>,
}

/// What was last seen of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it is.
    pub kind: ContainerKind,
    /// Its owner's address.
    pub owner: String,
    /// What it is called where its owner says nothing else.
    pub name: String,
    /// What its owner's clients set about it, by name.
    pub properties: Vec<(String, String)>,
    /// Up to which modseq of what is noted about it these are known.
    pub noted: Option<u64>,
    /// Whether the user took it out of the home.
    #[serde(default)]
    pub hidden: bool,
}

/// What the user keeps about the collections of others.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    container: Option<ContainerId>,
    seen: HashMap<Mount, Seen>,
    properties: HashMap<Mount, HashMap<Name, String>>,
}

/// A collection in a home, or what is known of one whose server is away.
pub enum Listed {
    Here(Collection),
    Away(Away),
}

/// A collection whose owner's server doesn't answer.
pub struct Away {
    pub mounted: Mounted,
    pub space: Space,
    pub seen: Seen,
}

/// Whether a property of a collection is each user's own.
pub fn is_personal(name: &Name) -> bool {
    match &*name.namespace {
        DAV => name.local == "displayname",
        APPLE => matches!(&*name.local, "calendar-color" | "calendar-order"),
        CALDAV => name.local == "schedule-calendar-transp" || name.local.starts_with("default-alarm-"),
        _ => false,
    }
}

impl Kept {
    /// Reads it.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn read(account: &dyn Account) -> Result<Self, AccountError> {
        let path = [CONTAINER.to_owned()];
        let Some(container) = account.containers_on_path(ContainerKind::Settings, &path).await?.pop() else {
            return Ok(Kept::default());
        };
        let mut kept = Kept { container: Some(container.id), ..Kept::default() };
        let parts = ItemParts { body: true, ..ItemParts::default() };
        for item in account.items(container.id, &UidSet::all(), parts, PROPERTIES_MAX).await? {
            let (Some(name), Some(body)) = (item.name, item.body) else { continue };
            let (mount, property) = match name.split_once(':') {
                Some((mount, property)) => (mount, Name::from_clark(property)),
                None => (name.as_str(), None),
            };
            let Ok(mount) = mount.parse::<Mount>() else { continue };
            match property {
                Some(property) => {
                    let xml = String::from_utf8_lossy(&body).into_owned();
                    kept.properties.entry(mount).or_default().insert(property, xml);
                }
                None => kept.seen.extend(serde_json::from_slice(&body).ok().map(|seen: Seen| (mount, seen))),
            }
        }
        Ok(kept)
    }

    /// What the user set about a collection.
    pub fn properties(&self, mount: Mount) -> impl Iterator<Item = (&Name, &String)> {
        self.properties.get(&mount).into_iter().flatten()
    }

    /// What was last seen of a collection.
    pub fn seen(&self, mount: Mount) -> Option<&Seen> {
        self.seen.get(&mount)
    }
}

/// A change of a property; `None` removes it.
pub type Setting = (Name, Option<String>);

/// Sets what the user wants of a collection of somebody else.
///
/// # Errors
/// When a property is too long, or the account can't be written.
pub async fn set(mounted: &Mounted, settings: Vec<Setting>) -> Result<(), Problem> {
    let key = |name: &Name| format!("{}:{}", mounted.mount, name.clark());
    let too_long = |(name, xml): &Setting| {
        xml.as_ref().is_some_and(|xml| xml.len() > PROPERTY_BYTES_MAX) || key(name).len() > NAME_BYTES_MAX
    };
    if settings.iter().any(too_long) {
        return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "A property is too long"));
    }
    let account = mounted.account.as_ref();
    let container = container(account).await?;
    let step = |(name, xml): Setting| match xml {
        Some(xml) => put(container, key(&name), xml.into()),
        None => Mutation::Remove { container, name: key(&name) },
    };
    account.commit(OperationId::random(), settings.into_iter().map(step).collect()).await?;
    Ok(())
}

/// Takes a collection of somebody else out of the user's home; it comes back when it is shared anew.
///
/// # Errors
/// When an account can't be asked.
pub async fn hide(collection: &Collection, mounted: &Mounted) -> Result<(), Problem> {
    let seen = Seen { hidden: true, ..look(collection, None).await? };
    let account = mounted.account.as_ref();
    let container = container(account).await?;
    let mut steps = vec![remembered(container, mounted.mount, &seen)];
    if collection.space == Space::Files
        && let Some(root) = files::folder(account, &[]).await?
    {
        steps.extend(files::folder_changed(root.id, &mounted.name(), &Acl::default()));
    }
    account.commit(OperationId::random(), steps).await?;
    Ok(())
}

/// A collection by its name in the user's own home; `None` when the name is no such one.
///
/// # Errors
/// `404` when it is gone, or isn't shared with the user any more; when its owner's server is away.
pub async fn find(context: &Context, own: &Home, space: Space, name: &str) -> Result<Option<Collection>, Problem> {
    let Ok(mount) = name.parse::<Mount>() else { return Ok(None) };
    if !own.is_own() || mount.owner == own.account.id() {
        return Err(Problem::not_found());
    }
    if mount == Mount::DIRECTORY {
        let found = if space == Space::AddressBooks { directory(context, own, None).await? } else { None };
        return found.map(Some).ok_or_else(Problem::not_found);
    }
    let home = context.home_of(mount.owner).await?;
    let container = home.account.container(mount.container).await?.ok_or_else(Problem::not_found)?;
    let mounted = Mounted::new(mount, own, None);
    in_space(home, space, container, mounted).map(Some).ok_or_else(Problem::not_found)
}

/// The directory's address book of the user's domain.
async fn directory(context: &Context, own: &Home, kept: Option<Arc<Kept>>) -> Result<Option<Collection>, Problem> {
    let book = context.shared.shares.book(context.login.account).await.map_err(no_directory)?;
    let (Some(book), who) = (book, context.who().await?) else { return Ok(None) };
    let Some(container) = book.containers().await?.pop() else { return Ok(None) };
    let names = context.shared.shares.domains(who.domain.into_iter().collect()).await.map_err(no_directory)?;
    let Some(name) = names.into_values().next() else { return Ok(None) };
    let home = Home::of(format!("@{name}"), book, who);
    let mounted = Mounted::new(Mount::DIRECTORY, own, kept);
    Ok(in_space(home, Space::AddressBooks, container, mounted))
}

fn in_space(home: Home, space: Space, container: Container, mounted: Mounted) -> Option<Collection> {
    let rights = home.rights(&container);
    let is_there = container.parent.is_none()
        && !is_scheduling(&container)
        && space.kinds().contains(&container.kind)
        && rights.has_any(SEEING);
    let (path, mounted) = (vec![container.name.clone()], Some(Arc::new(mounted)));
    is_there.then_some(Collection { home, space, path, container, rights, mounted })
}

/// The collections of others that are in the user's home, by name. Owners are asked all at once, and waited for so long
/// and no longer.
///
/// # Errors
/// When the user's own account or the directory can't be asked.
pub async fn all(context: &Context, own: &Home, space: Space) -> Result<Vec<Listed>, Problem> {
    if context.login.is_sudo {
        // Nothing is noted either: to the user's programs they would be gone.
        return Ok(Vec::new());
    }
    let sharing = context.shared.shares.sharing(context.login.account).await.map_err(no_directory)?;
    let who = context.who().await?;
    let kept = Arc::new(Kept::read(own.account.as_ref()).await?);
    let mounted =
        |owner: &Owner, container| Mounted::new(Mount { owner: owner.account, container }, own, Some(kept.clone()));
    let (mut listed, mut steps) = (Vec::new(), Vec::new());
    if space == Space::AddressBooks && kept.seen(Mount::DIRECTORY).is_none_or(|seen| !seen.hidden) {
        listed.extend(directory(context, own, Some(kept.clone())).await?.map(Listed::Here));
    }
    for (owner, answer) in ask_all(&context.shared.accounts, &sharing.owners).await {
        let Some((account, containers)) = answer else {
            let of_owner = kept.seen.iter().filter(|(mount, seen)| {
                mount.owner == owner.account && space.kinds().contains(&seen.kind) && !seen.hidden
            });
            listed.extend(of_owner.map(|(mount, seen)| {
                let shown = (space == Space::Files).then(|| title(&seen.name, &seen.owner));
                let mounted = Mounted { shown, ..mounted(&owner, mount.container) };
                Listed::Away(Away { mounted, space, seen: seen.clone() })
            }));
            continue;
        };
        let home = Home::of(owner.address.clone(), account, who.clone());
        let notes: HashMap<String, u64> = containers
            .iter()
            .filter(|container| container.kind == ContainerKind::Metadata)
            .map(|container| (container.name.clone(), container.highest_modseq.0))
            .collect();
        let found: Vec<Collection> = match space {
            Space::Files => {
                let topmost = topmost(&home, &containers).into_iter();
                topmost.map(|(path, one)| as_folder(&home, path, &one, mounted(&owner, one.id))).collect()
            }
            _ => containers
                .into_iter()
                .filter_map(|container| {
                    let mounted = mounted(&owner, container.id);
                    in_space(home.clone(), space, container, mounted)
                })
                .collect(),
        };
        let gone = kept.seen.iter().filter(|(mount, seen)| {
            let is_there = found.iter().any(|collection| collection.container.id == mount.container);
            mount.owner == owner.account && space.kinds().contains(&seen.kind) && !is_there
        });
        steps.extend(gone.map(|(mount, seen)| Step::Forget(*mount, seen.clone())));
        for collection in found {
            let Some(mount) = collection.mounted.as_ref().map(|mounted| mounted.mount) else { continue };
            let before = kept.seen(mount);
            if before.is_some_and(|seen| seen.hidden) {
                continue;
            }
            // While its server is away it is told as it was seen at the last listing.
            let noted = notes.get(&ContainerKind::about(Some(collection.container.id))).copied();
            let is_known = before.is_some_and(|seen| {
                let now = (noted, &collection.container.name, &collection.home.address);
                (seen.noted, &seen.name, &seen.owner) == now
            });
            if !is_known {
                steps.push(Step::Remember(mount, look(&collection, noted).await?, before.cloned()));
            }
            listed.push(Listed::Here(collection));
        }
    }
    // Whoever shares nothing any more, and shares again, is seen again.
    let is_gone =
        |mount: &Mount| *mount != Mount::DIRECTORY && !sharing.owners.iter().any(|owner| owner.account == mount.owner);
    let gone = kept.seen.iter().filter(|(mount, seen)| is_gone(mount) && space.kinds().contains(&seen.kind));
    steps.extend(gone.map(|(mount, seen)| Step::Forget(*mount, seen.clone())));
    note(own.account.as_ref(), &kept, steps).await;
    listed.sort_by_key(|listed| match listed {
        Listed::Here(collection) => collection.mounted.as_ref().map(|mounted| mounted.mount),
        Listed::Away(away) => Some(away.mounted.mount),
    });
    listed.truncate(MOUNTED_MAX);
    Ok(listed)
}

/// A folder of somebody else's files that is in the user's own.
pub struct SharedFolder {
    /// Whose it is.
    pub home: Home,
    /// Its path in its owner's home.
    pub path: Vec<String>,
    /// Where it is in the user's.
    pub mounted: Mounted,
}

/// A folder of somebody else by its name in the user's own files; `None` when the name is no such one: users call
/// their own folders as they like, and whatever isn't exactly the name of what is shared now is their own.
///
/// # Errors
/// When its owner's server is away.
pub async fn folder(context: &Context, own: &Home, name: &str) -> Result<Option<SharedFolder>, Problem> {
    let Some(mount) = parse_folder(name).filter(|mount| own.is_own() && mount.owner != own.account.id()) else {
        return Ok(None);
    };
    let home = match context.home_of(mount.owner).await {
        Err(problem) if problem.status == StatusCode::NOT_FOUND => return Ok(None),
        home => home?,
    };
    let containers = home.account.containers().await?;
    let found = topmost(&home, &containers).into_iter().find(|(_, one)| one.id == mount.container);
    let Some((path, container)) = found else { return Ok(None) };
    let found = as_folder(&home, path, &container, Mounted::new(mount, own, None));
    let mounted = found.mounted.as_deref().filter(|mounted| mounted.name() == name).cloned();
    Ok(mounted.map(|mounted| SharedFolder { home, path: found.path, mounted }))
}

/// The name of a folder of somebody else.
fn folder_name(shown: &str, mount: Mount) -> String {
    format!("{shown} [{}-{}]", mount.owner, mount.container)
}

/// The ids in the name of a folder: `reports (ben@example.org) [7-12]`. Without an owner's address it is none, so that
/// nobody is asked about a `Belege [2023-2024]`, whose server might be away.
fn parse_folder(name: &str) -> Option<Mount> {
    let (title, ids) = name.strip_suffix(']')?.rsplit_once(" [")?;
    let (_, owner) = title.strip_suffix(')')?.rsplit_once(" (")?;
    let mount: Mount = format!("shared-{ids}").parse().ok()?;
    (owner.contains('@') && mount != Mount::DIRECTORY).then_some(mount)
}

/// The folders of somebody's files that the user may see and is not shown in another one, with their paths.
fn topmost(home: &Home, containers: &[Container]) -> Vec<(Vec<String>, Container)> {
    let by_id: HashMap<ContainerId, &Container> = containers
        .iter()
        .filter(|container| container.kind == ContainerKind::Files)
        .map(|container| (container.id, container))
        .collect();
    let is_seen = |container: &Container| home.rights(container).has_any(SEEING);
    let above = |container: &Container| container.parent.and_then(|parent| by_id.get(&parent).copied());
    let path = |container: &Container| {
        let (mut path, mut at) = (vec![container.name.clone()], above(container));
        while let Some(one) = at.filter(|_| path.len() <= CONTAINER_DEPTH_MAX) {
            path.push(one.name.clone());
            at = above(one);
        }
        path.reverse();
        // Beside the root of the files lies what is no file.
        (path.first().map(String::as_str) == Some(FILES)).then(|| path.split_off(1))
    };
    let mut found: Vec<(Vec<String>, Container)> = by_id
        .values()
        .filter(|container| is_seen(container) && !above(container).is_some_and(is_seen))
        .filter_map(|container| Some((path(container)?, (*container).clone())))
        .collect();
    found.sort_by_key(|(_, container)| container.id);
    found
}

fn as_folder(home: &Home, path: Vec<String>, container: &Container, mounted: Mounted) -> Collection {
    let shown = Some(title(&container.name, &home.address));
    let rights = home.rights(container);
    let mounted = Some(Arc::new(Mounted { shown, ..mounted }));
    Collection { home: home.clone(), space: Space::Files, path, container: container.clone(), rights, mounted }
}

/// What is to be remembered of a collection.
async fn look(collection: &Collection, noted: Option<u64>) -> Result<Seen, Problem> {
    let stored = Stored::read(collection.home.account.as_ref(), collection.container.id).await?;
    let is_told = |name: &Name| is_personal(name) || name.local == "supported-calendar-component-set";
    let properties = stored.names(None).into_iter().filter(is_told).filter_map(|name| {
        let xml = stored.get(None, &name)?.to_owned();
        Some((name.clark(), xml))
    });
    let (kind, owner, name) =
        (collection.container.kind, collection.home.address.clone(), collection.container.name.clone());
    Ok(Seen { kind, owner, name, properties: properties.collect(), noted, hidden: false })
}

/// Most mutations that one listing notes, of whole mounts: the next one notes the rest.
const NOTED_AT_ONCE: usize = 4000;

enum Step {
    /// As it is now, and as it was before, if it was.
    Remember(Mount, Seen, Option<Seen>),
    /// As it was.
    Forget(Mount, Seen),
}

impl Step {
    /// The names in the user's files of folders that come or go by this: sync-collection tells of them.
    fn folders(&self) -> Vec<String> {
        let name = |mount: &Mount, seen: &Seen| {
            let is_shown = seen.kind == ContainerKind::Files && !seen.hidden;
            is_shown.then(|| folder_name(&title(&seen.name, &seen.owner), *mount))
        };
        let (now, before) = match self {
            Step::Remember(mount, now, before) => {
                (name(mount, now), before.as_ref().and_then(|before| name(mount, before)))
            }
            Step::Forget(mount, before) => (None, name(mount, before)),
        };
        if now == before { Vec::new() } else { now.into_iter().chain(before).collect() }
    }
}

/// Writes down what was seen. When that fails, the listing is as true as before; the next one tries again.
async fn note(account: &dyn Account, kept: &Kept, steps: Vec<Step>) {
    if steps.is_empty() {
        return;
    }
    let written = async {
        let container = match kept.container {
            Some(container) => container,
            None => container(account).await?,
        };
        let root = match steps.iter().any(|step| !step.folders().is_empty()) {
            true => files::folder(account, &[]).await?.map(|root| root.id),
            false => None,
        };
        let of = |step: Step| {
            let names = step.folders();
            let told = root
                .into_iter()
                .flat_map(|root| names.iter().flat_map(move |name| files::folder_changed(root, name, &Acl::default())));
            let mut told: Vec<Mutation> = told.collect();
            match step {
                Step::Remember(mount, seen, _) => told.push(remembered(container, mount, &seen)),
                Step::Forget(mount, _) => {
                    let properties = kept.properties(mount).map(|(name, _)| format!("{mount}:{}", name.clark()));
                    let names = properties.chain([mount.to_string()]);
                    told.extend(names.map(|name| Mutation::Remove { container, name }));
                }
            }
            told
        };
        let mut noted = Vec::new();
        for told in steps.into_iter().map(of) {
            if noted.len() + told.len() > NOTED_AT_ONCE {
                break;
            }
            noted.extend(told);
        }
        account.commit(OperationId::random(), noted).await
    };
    if let Err(error) = written.await {
        tracing::debug!(account = %account.id(), %error, "what others share could not be noted");
    }
}

fn remembered(container: ContainerId, mount: Mount, seen: &Seen) -> Mutation {
    put(container, mount.to_string(), serde_json::to_vec(seen).unwrap_or_default().into())
}

fn put(container: ContainerId, name: String, content: Bytes) -> Mutation {
    let item = NewItem::named(name, Content::Inline(content));
    Mutation::Put { container, item, expect: Expect::Any }
}

async fn container(account: &dyn Account) -> Result<ContainerId, AccountError> {
    Ok(container_named(account, ContainerKind::Settings, CONTAINER).await?.id)
}

impl Mounted {
    fn new(mount: Mount, own: &Home, kept: Option<Arc<Kept>>) -> Self {
        let (address, account) = (own.address.clone(), own.account.clone());
        Mounted { mount, address, account, kept, shown: None, below: Vec::new() }
    }

    /// A folder below this one.
    pub fn with_below(&self, more: impl IntoIterator<Item = String>) -> Self {
        let below = self.below.iter().cloned().chain(more).collect();
        Mounted { below, ..self.clone() }
    }

    /// The name that a collection has in the user's home.
    pub fn name(&self) -> String {
        match &self.shown {
            Some(shown) => folder_name(shown, self.mount),
            None => self.mount.to_string(),
        }
    }

    /// Its path in the user's home, or that of an item in it.
    pub fn path(&self, space: Space, item: Option<&str>) -> String {
        let name = self.name();
        let parts = [name.as_str()].into_iter().chain(self.below.iter().map(String::as_str)).chain(item);
        paths::within(space, &self.address, parts, item.is_none())
    }

    /// What the user keeps.
    ///
    /// # Errors
    /// When the user's account can't be read.
    pub async fn kept(&self) -> Result<Arc<Kept>, AccountError> {
        match &self.kept {
            Some(kept) => Ok(kept.clone()),
            None => Ok(Arc::new(Kept::read(self.account.as_ref()).await?)),
        }
    }
}

impl Away {
    /// A property as it was last seen, or as the user set it.
    pub fn get(&self, name: &Name) -> Option<String> {
        let mount = self.mounted.mount;
        let own = self
            .mounted
            .kept
            .as_ref()
            .and_then(|kept| kept.properties(mount).find(|(known, _)| *known == name).map(|(_, xml)| xml.clone()));
        let clark = name.clark();
        own.or_else(|| self.seen.properties.iter().find(|(known, _)| *known == clark).map(|(_, xml)| xml.clone()))
    }

    /// Whether the user gave it a name.
    pub fn is_named(&self) -> bool {
        let displayname = Name::dav("displayname");
        let kept = self.mounted.kept.as_ref();
        kept.is_some_and(|kept| kept.properties(self.mounted.mount).any(|(name, _)| *name == displayname))
    }

    /// Its path.
    pub fn href(&self) -> String {
        self.mounted.path(self.space, None)
    }
}

impl Listed {
    /// Its name in the home.
    pub fn name(&self) -> Option<String> {
        match self {
            Listed::Here(collection) => collection.mounted.as_ref().map(|mounted| mounted.name()),
            Listed::Away(away) => Some(away.mounted.name()),
        }
    }
}

/// What others share into a folder, if it is the topmost one of the user's own files. That it is listed here is what
/// lets sync-collection tell of it: what is new since the last time is among the changes of the folder then, and the
/// folder is as it is after that.
///
/// # Errors
/// As [`all`].
pub async fn in_own_files(context: &Context, collection: &mut Collection) -> Result<Vec<Listed>, Problem> {
    let is_top = collection.space == Space::Files && collection.path.is_empty();
    if !is_top || !collection.home.is_own() || collection.mounted.is_some() {
        return Ok(Vec::new());
    }
    let listed = all(context, &collection.home, Space::Files).await?;
    if let Some(container) = collection.home.account.container(collection.container.id).await? {
        collection.container = container;
    }
    Ok(listed)
}

/// What a collection of somebody else is called when its user says nothing else: names like `Calendar` are everybody's.
pub fn title(name: &str, owner: &str) -> String {
    format!("{name} ({owner})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        let mount = Mount { owner: AccountId(7), container: ContainerId(12) };
        assert_eq!(mount.to_string().parse(), Ok(mount));
        for other in ["shared-7", "shared-07-12", "shared-7-12-1", "shared-a-1", "7-12", "shared--1"] {
            assert_eq!(other.parse::<Mount>(), Err(()), "{other}");
        }
    }

    #[test]
    fn only_names_of_folders_that_say_whose_they_are_lead_to_others() {
        let mount = Mount { owner: AccountId(7), container: ContainerId(12) };
        for title in ["reports", "reports (1)", "a [1-2]", ""] {
            let name = format!("{title} (ben@example.org) [7-12]");
            assert_eq!(parse_folder(&name), Some(mount), "{name}");
        }
        let own = ["Belege [2023-2024]", "a [1-2]", "notes [directory]", "a (b@c.d) [directory]", "a (b) [7-12]"];
        for name in own.into_iter().chain(["a (b@c.d) [07-12]", "a (b@c.d)[7-12]", "a (b@c.d) [7-12] "]) {
            assert_eq!(parse_folder(name), None, "{name}");
        }
    }
}
