//! What is in a home: the collections of a space. The first ones are made with the account, or here for accounts that
//! are older than that.

use sterna_account::calendars::scheduling_collection;
use sterna_account::{AccountError, CommitError, Container, ContainerKind, Mutation, Rights};
use sterna_base::OperationId;

use super::answer::Problem;
use super::context::Home;
use super::paths::Space;
use super::resource::{Collection, seen_with};
use super::scheduling::is_scheduling;

/// The root of all files; its name is not seen.
pub const FILES: &str = "files";

/// The collections of a space that the user may see, by name. The user's own home is never empty.
///
/// # Errors
/// When the account can't be asked.
pub async fn collections(home: &Home, space: Space) -> Result<Vec<Collection>, Problem> {
    let mut containers = containers(home, space).await?;
    if home.is_own() && containers.iter().all(is_scheduling) {
        make_first(home, space).await?;
        containers = self::containers(home, space).await?;
    }
    if home.is_own() && space == Space::Calendars && !containers.iter().any(is_scheduling) {
        for kind in [ContainerKind::ScheduleInbox, ContainerKind::ScheduleOutbox] {
            containers.push(scheduling_collection(home.account.as_ref(), kind).await?);
        }
    }
    Ok(sorted(home, space, containers, Rights::LOOKUP | Rights::READ))
}

/// Those that the user has any of these rights on, by name.
///
/// # Errors
/// When the account can't be asked.
pub async fn with_any(home: &Home, space: Space, any_of: Rights) -> Result<Vec<Collection>, Problem> {
    let mut containers = containers(home, space).await?;
    containers.retain(|container| !is_scheduling(container));
    Ok(sorted(home, space, containers, any_of))
}

fn sorted(home: &Home, space: Space, containers: Vec<Container>, any_of: Rights) -> Vec<Collection> {
    let see = |container: Container| seen_with(home, space, vec![container.name.clone()], container, any_of);
    let mut collections: Vec<Collection> = containers.into_iter().filter_map(see).collect();
    collections.sort_by(|one, other| one.path.cmp(&other.path));
    // Two kinds may have one name; a path means the first of them.
    collections.dedup_by(|one, other| one.path == other.path);
    collections
}

async fn containers(home: &Home, space: Space) -> Result<Vec<Container>, Problem> {
    let all = home.account.containers().await?;
    let is_in = |container: &Container| container.parent.is_none() && space.kinds().contains(&container.kind);
    let mut found: Vec<Container> = all.into_iter().filter(is_in).collect();
    found.sort_by_key(|container| space.kinds().iter().position(|kind| *kind == container.kind));
    Ok(found)
}

/// The root of somebody's files, if there is one; the user's own is made.
///
/// # Errors
/// When the account can't be asked.
pub async fn files_root(home: &Home) -> Result<Option<Container>, Problem> {
    let path = [FILES.to_owned()];
    let find = || home.account.containers_on_path(ContainerKind::Files, &path);
    if let Some(root) = find().await?.pop() {
        return Ok(Some(root));
    }
    if !home.is_own() {
        return Ok(None);
    }
    make_first(home, Space::Files).await?;
    Ok(find().await?.pop())
}

/// The folders in a folder of files that the user may see.
///
/// # Errors
/// When the account can't be asked.
pub async fn folders(collection: &Collection) -> Result<Vec<Collection>, Problem> {
    if collection.space != Space::Files {
        return Ok(Vec::new());
    }
    let all = collection.home.account.containers().await?;
    let is_in = |container: &Container| {
        container.kind == ContainerKind::Files && container.parent == Some(collection.container.id)
    };
    Ok(all.into_iter().filter(is_in).filter_map(|container| collection.folder(container)).collect())
}

async fn make_first(home: &Home, space: Space) -> Result<(), Problem> {
    for step in sterna_account::first_containers::groupware() {
        let Mutation::CreateContainer { kind, .. } = &step else { continue };
        if Space::of(*kind) != Some(space) {
            continue;
        }
        match home.account.commit(OperationId::random(), vec![step]).await {
            // Another request was faster.
            Ok(_) | Err(AccountError::Refused(CommitError::NameTaken)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
