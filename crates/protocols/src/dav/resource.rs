//! What a path leads to.

use std::sync::Arc;

use sterna_account::calendars::{INBOX, OUTBOX, scheduling_collection};
use sterna_account::{Container, ContainerKind, Item, ItemParts, Rights};
use sterna_base::limits::CONTAINER_DEPTH_MAX;

use super::answer::Problem;
use super::context::{Context, Home};
use super::home;
use super::mounted::{self, Mounted};
use super::paths::{self, Place, Proxy, Space};
use super::principals::Crowd;
use super::property::WRITE;

/// A container as the user sees it.
#[derive(Clone)]
pub struct Collection {
    pub home: Home,
    pub space: Space,
    /// The parts of its path in its home; none for the root of files.
    pub path: Vec<String>,
    pub container: Container,
    /// What the user may do with it.
    pub rights: Rights,
    /// Where it is in the user's own home, if it was asked for there and is somebody else's.
    pub mounted: Option<Arc<Mounted>>,
}

/// What a path leads to.
pub enum Resource {
    Root,
    Principals,
    Users,
    Principal(Home),
    /// Those who act for somebody.
    Proxy(Home, Proxy),
    Crowd(Crowd),
    Homes(Space),
    /// A home of calendars or address books.
    Home(Space, Home),
    Collection(Collection),
    Item(Collection, Item),
    Missing(Missing),
}

/// Something that could be and is not.
pub struct Missing {
    pub home: Home,
    pub space: Space,
    /// Where it would be; `None` directly in a home.
    pub parent: Option<Collection>,
    pub name: String,
}

impl Collection {
    /// Its path, where it was asked for.
    pub fn href(&self) -> String {
        match &self.mounted {
            Some(mounted) => mounted.path(self.space, None),
            None => self.canonical(None),
        }
    }

    /// The path of an item in it.
    pub fn href_of(&self, name: &str) -> String {
        match &self.mounted {
            Some(mounted) => mounted.path(self.space, Some(name)),
            None => self.canonical(Some(name)),
        }
    }

    /// Its path in its owner's home, or that of an item in it: what locks are about, whatever it was asked for by.
    pub fn canonical(&self, item: Option<&str>) -> String {
        let parts = self.path.iter().map(String::as_str).chain(item);
        paths::within(self.space, &self.home.address, parts, item.is_none())
    }

    /// Where it is mounted, if it is what is mounted there, and not a folder below that.
    pub fn mount(&self) -> Option<&Arc<Mounted>> {
        self.mounted.as_ref().filter(|mounted| mounted.below.is_empty())
    }

    /// A folder in this one, if the user may see it.
    pub fn folder(&self, container: Container) -> Option<Collection> {
        let name = container.name.clone();
        let path = self.path.iter().cloned().chain([name.clone()]).collect();
        let found = seen(&self.home, self.space, path, container)?;
        let below = |mounted: &Arc<Mounted>| Arc::new(mounted.with_below([name]));
        Some(Collection { mounted: self.mounted.as_ref().map(below), ..found })
    }

    /// Whether the user has these rights.
    ///
    /// # Errors
    /// `403` with the privilege that is missing.
    pub fn check(&self, rights: Rights, privilege: &str) -> Result<(), Problem> {
        if self.rights.has(rights) { Ok(()) } else { Err(Problem::no_right(&self.href(), privilege)) }
    }

    /// Whether the user may make collections in it.
    ///
    /// # Errors
    /// `403` with the privilege that is missing.
    pub fn check_bind(&self) -> Result<(), Problem> {
        let may = self.rights.has_any(Rights::CREATE | Rights::INSERT);
        if may { Ok(()) } else { Err(Problem::no_right(&self.href(), "bind")) }
    }

    /// Whether the user may delete or rename it: with the right on itself, or, in somebody's files, as a part of the
    /// folder above whose content may be changed.
    ///
    /// # Errors
    /// `403` with the privilege that is missing, or when the account can't be asked.
    pub async fn check_unbind(&self) -> Result<(), Problem> {
        if self.rights.has(Rights::DELETE_MAILBOX) {
            return Ok(());
        }
        if let Some(above) = self.container.parent.filter(|_| self.space == Space::Files && self.path.len() > 1)
            && let Some(above) = self.home.account.container(above).await?
            && self.home.rights(&above).has(WRITE)
            && self.rights.has(WRITE)
        {
            return Ok(());
        }
        Err(Problem::no_right(&self.href(), "unbind"))
    }

    /// Its value of `sync-token`, and of getctag.
    pub fn sync_token(&self) -> String {
        super::report::sync::Token::head_of(&self.container).to_string()
    }
}

impl Missing {
    /// Its path.
    pub fn href(&self) -> String {
        match &self.parent {
            Some(parent) => parent.href_of(&self.name),
            None => paths::within(self.space, &self.home.address, [self.name.as_str()], false),
        }
    }

    /// Its path in its owner's home.
    pub fn canonical(&self) -> String {
        match &self.parent {
            Some(parent) => parent.canonical(Some(&self.name)),
            None => self.href(),
        }
    }
}

impl Resource {
    /// What a path leads to. Who may not see a collection finds nothing there.
    ///
    /// # Errors
    /// `404` when there is nothing and can be nothing; `409` when what it would be in is missing.
    pub async fn find(context: &Context, path: &str, parts: ItemParts) -> Result<Self, Problem> {
        match Place::parse(path)? {
            Place::Root => Ok(Resource::Root),
            Place::Principals => Ok(Resource::Principals),
            Place::Users => Ok(Resource::Users),
            Place::Principal(address) => Ok(Resource::Principal(context.home(&address).await?)),
            Place::Proxy(address, proxy) => Ok(Resource::Proxy(context.home(&address).await?, proxy)),
            Place::Group(address) => Ok(Resource::Crowd(context.crowd(&address).await?)),
            Place::Domain(name) => Ok(Resource::Crowd(context.crowd(&format!("@{name}")).await?)),
            Place::Homes(space) => Ok(Resource::Homes(space)),
            Place::In(Space::Files, owner, path) => in_files(context, context.home(&owner).await?, path, parts).await,
            Place::In(space, owner, path) => {
                let home = context.home(&owner).await?;
                in_home(context, home, space, path, parts).await
            }
        }
    }

    /// The path that locks call it by: one for each resource, whatever it was asked for by.
    pub fn canonical(&self) -> String {
        match self {
            Resource::Collection(collection) => collection.canonical(None),
            Resource::Item(collection, item) => collection.canonical(Some(item.name.as_deref().unwrap_or_default())),
            Resource::Missing(missing) => missing.canonical(),
            other => other.href(),
        }
    }

    /// The path that answers call it by.
    pub fn href(&self) -> String {
        match self {
            Resource::Root => "/dav/".to_owned(),
            Resource::Principals => "/dav/principals/".to_owned(),
            Resource::Users => "/dav/principals/users/".to_owned(),
            Resource::Principal(home) => paths::principal(&home.address),
            Resource::Proxy(home, proxy) => paths::proxy(&home.address, *proxy),
            Resource::Crowd(crowd) => crowd.href.clone(),
            Resource::Homes(space) => format!("/dav/{}/", space.part()),
            Resource::Home(space, home) => paths::home(*space, &home.address),
            Resource::Collection(collection) => collection.href(),
            Resource::Item(collection, item) => collection.href_of(item.name.as_deref().unwrap_or_default()),
            Resource::Missing(missing) => missing.href(),
        }
    }
}

/// Who has any of these sees a container; everybody else finds nothing there.
pub const SEEING: Rights = Rights::from_letters("lr");

/// A container that the user may see.
pub fn seen(home: &Home, space: Space, path: Vec<String>, container: Container) -> Option<Collection> {
    seen_with(home, space, path, container, SEEING)
}

/// A container that the user has any of these rights on.
pub fn seen_with(
    home: &Home,
    space: Space,
    path: Vec<String>,
    container: Container,
    any_of: Rights,
) -> Option<Collection> {
    let rights = home.rights(&container);
    let home = home.clone();
    rights.has_any(any_of).then(|| Collection { home, space, path, container, rights, mounted: None })
}

/// There is no collection that something would be in: a conflict for who wants to put it there, and for everybody else
/// there is simply nothing.
fn no_collection(context: &Context) -> Problem {
    match context.method.as_str() {
        "PUT" | "MKCOL" | "MKCALENDAR" | "LOCK" | "POST" => Problem::conflict("There is no such collection"),
        _ => Problem::not_found(),
    }
}

async fn in_home(
    context: &Context,
    home: Home,
    space: Space,
    path: Vec<String>,
    parts: ItemParts,
) -> Result<Resource, Problem> {
    let mut path = path.into_iter();
    let Some(first) = path.next() else { return Ok(Resource::Home(space, home)) };
    let (item, more) = (path.next(), path.next());
    if more.is_some() {
        return Err(Problem::not_found());
    }
    let Some(collection) = collection(context, &home, space, &first).await? else {
        return match item {
            None => Ok(Resource::Missing(Missing { home, space, parent: None, name: first })),
            Some(_) => Err(no_collection(context)),
        };
    };
    match item {
        None => Ok(Resource::Collection(collection)),
        Some(name) => in_collection(collection, name, parts).await,
    }
}

/// A collection of a home by its name; in the user's own those of others, too.
///
/// # Errors
/// When the account can't be asked.
pub async fn collection(
    context: &Context,
    home: &Home,
    space: Space,
    name: &str,
) -> Result<Option<Collection>, Problem> {
    match mounted::find(context, home, space, name).await? {
        Some(found) => Ok(Some(found)),
        None => collection_with(home, space, name, SEEING).await,
    }
}

/// A collection of a home by its name, if the user has any of these rights on it.
///
/// # Errors
/// When the account can't be asked.
pub async fn collection_with(
    home: &Home,
    space: Space,
    name: &str,
    any_of: Rights,
) -> Result<Option<Collection>, Problem> {
    let path = [name.to_owned()];
    for kind in space.kinds() {
        if let Some(container) = home.account.containers_on_path(*kind, &path).await?.pop() {
            return Ok(seen_with(home, space, path.to_vec(), container, any_of));
        }
    }
    // Programs ask for these by the URLs that a principal has, whether or not they ever listed the home.
    let kind = match name {
        INBOX => ContainerKind::ScheduleInbox,
        OUTBOX => ContainerKind::ScheduleOutbox,
        _ => return Ok(None),
    };
    if space != Space::Calendars || !home.is_own() {
        return Ok(None);
    }
    let container = scheduling_collection(home.account.as_ref(), kind).await?;
    Ok(seen(home, space, path.to_vec(), container))
}

async fn in_collection(collection: Collection, name: String, parts: ItemParts) -> Result<Resource, Problem> {
    let found = collection.home.account.item_named(collection.container.id, &name, parts).await?;
    item_or_missing(collection, name, found)
}

/// What a name in a collection leads to.
///
/// # Errors
/// `404` to who may not see what is there.
pub fn item_or_missing(collection: Collection, name: String, found: Option<Item>) -> Result<Resource, Problem> {
    match found {
        Some(item) if collection.rights.has(Rights::READ) => Ok(Resource::Item(collection, item)),
        // Who may not read finds nothing, and can't write over what is not seen.
        Some(_) => Err(Problem::not_found()),
        None => {
            let (home, space) = (collection.home.clone(), collection.space);
            Ok(Resource::Missing(Missing { home, space, parent: Some(collection), name }))
        }
    }
}

async fn in_files(context: &Context, home: Home, path: Vec<String>, parts: ItemParts) -> Result<Resource, Problem> {
    if path.len() >= CONTAINER_DEPTH_MAX {
        return Err(Problem::not_found());
    }
    let first = path.first().map(String::as_str).unwrap_or_default();
    if let Some(shared) = mounted::folder(context, &home, first).await? {
        let below = path.get(1..).unwrap_or_default();
        let path: Vec<String> = shared.path.iter().chain(below).cloned().collect();
        let (above, mounted) = (shared.path.len(), Some(shared.mounted));
        return below_root(context, Tree { home: shared.home, mounted, above }, path, parts).await;
    }
    let Some(root) = home::files_root(&home).await? else { return Err(Problem::not_found()) };
    if path.is_empty() {
        let root = seen(&home, Space::Files, path, root).ok_or_else(Problem::not_found)?;
        return Ok(Resource::Collection(root));
    }
    below_root(context, Tree { home, mounted: None, above: 0 }, path, parts).await
}

/// Whose files a path leads into, and where they are mounted.
struct Tree {
    home: Home,
    mounted: Option<Mounted>,
    /// How many parts of the path in its owner's home are above what is mounted.
    above: usize,
}

impl Tree {
    fn seen(&self, path: &[String], container: Container) -> Result<Collection, Problem> {
        let found = seen(&self.home, Space::Files, path.to_vec(), container).ok_or_else(Problem::not_found)?;
        let below = || path.get(self.above..).unwrap_or_default().iter().cloned();
        let mounted = self.mounted.as_ref().map(|mounted| Arc::new(mounted.with_below(below())));
        Ok(Collection { mounted, ..found })
    }
}

async fn below_root(context: &Context, tree: Tree, path: Vec<String>, parts: ItemParts) -> Result<Resource, Problem> {
    let names: Vec<String> = std::iter::once(home::FILES.to_owned()).chain(path.iter().cloned()).collect();
    let mut found = tree.home.account.containers_on_path(ContainerKind::Files, &names).await?;
    let depth = found.len();
    let Some(last) = found.pop() else { return Err(Problem::not_found()) };
    if depth == names.len() {
        return Ok(Resource::Collection(tree.seen(&path, last)?));
    }
    if depth + 1 < names.len() || path.len() <= tree.above {
        return Err(no_collection(context));
    }
    let (above, name) = path.split_at(path.len() - 1);
    let parent = tree.seen(above, last)?;
    in_collection(parent, name[0].clone(), parts).await
}
