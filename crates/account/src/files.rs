//! The file space of an account: folders by their path, and former versions of files.
//!
//! What a write replaces stays for as long as what is deleted stays (`retention-days`), by the same means: it is buried
//! as an item of its own, whose name says which file it was. Such a name begins with a slash, which no name of a file
//! can have, so that nobody ever meets it alive.

use bytes::Bytes;
use sterna_base::{BlobHash, ContainerId, Modseq, Timestamp, Uid};

use crate::commit::Expect;
use crate::{
    Account, AccountError, Acl, Container, ContainerKind, Content, Expunged, FlagSet, Item, Mutation, NewItem, Retained,
};

/// The root of all files; its name is not seen.
pub const ROOT: &str = "files";

/// What stands before the name of a file in the name of its former versions.
const MARK: char = '/';

/// What stands after the name of a folder that came or went, in the tombstone that says so.
const FOLDER_MARK: char = '/';

/// What stands before the list of rights in its content.
const KNOWN_TO: &str = "known-to ";

/// Tombstones that are read at once.
const ROWS_AT_ONCE: usize = 1000;

/// Tombstones of one folder that are looked through.
const ROWS_MAX: usize = 100_000;

/// Versions that are told of one file, and deleted files of one folder: the newest.
pub const TOLD_MAX: usize = 1000;

/// The name for a file whose own is taken: `report.pdf`, `report (2).pdf`, ...
pub fn numbered(name: &str, attempt: u32) -> String {
    if attempt == 0 {
        return name.to_owned();
    }
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, ending)) => format!("{stem} ({}).{ending}", attempt + 1),
        None => format!("{name} ({})", attempt + 1),
    }
}

/// A former content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Names it within its folder.
    pub id: Uid,
    /// What the file was called.
    pub name: String,
    /// The content.
    pub blob: BlobHash,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written.
    pub written_at: Timestamp,
    /// When it was replaced, or the file deleted.
    pub ended_at: Timestamp,
    /// Whether the file was deleted (or went elsewhere) then.
    pub was_deleted: bool,
}

/// Whether a name is that of former versions: such names are not for clients.
pub fn is_of_versions(name: &str) -> bool {
    name.starts_with(MARK)
}

/// The steps by which a folder hears that another one in it came, went, or is shared with others than before: folders
/// are no items, and so not among a folder's changes. What is buried there says which one, and who knew of it until
/// then (nobody besides the owner, of a new one): nobody else is told that it is gone.
pub fn folder_changed(parent: ContainerId, name: &str, known_to: &Acl) -> Vec<Mutation> {
    let name = format!("{name}{FOLDER_MARK}");
    let content = format!("{KNOWN_TO}{known_to}");
    let item = NewItem::named(name.clone(), Content::Inline(Bytes::from(content)));
    vec![Mutation::Put { container: parent, item, expect: Expect::Any }, Mutation::Remove { container: parent, name }]
}

/// The name of the folder that a tombstone says has come or gone.
pub fn changed_folder(name: &str) -> Option<&str> {
    name.strip_suffix(FOLDER_MARK)
}

/// Who knew of the folder that a tombstone is about, as its content says.
///
/// # Errors
/// When it can't be read.
pub async fn known_to(account: &dyn Account, mark: &Retained) -> Result<Acl, AccountError> {
    let content = account.blob(mark.blob, 0..mark.size).await?;
    let said = std::str::from_utf8(&content).ok().and_then(|text| text.strip_prefix(KNOWN_TO));
    // What an earlier version buried says nothing: then only the owner is told.
    Ok(said.and_then(|acl| acl.parse().ok()).unwrap_or_default())
}

/// The steps that keep what a file has now, before another content is written. The write itself must expect the old
/// content, or an older one would be kept than the one that is replaced.
pub fn kept(container: ContainerId, item: &Item) -> Vec<Mutation> {
    let Some(name) = &item.name else { return Vec::new() };
    let name = format!("{MARK}{name}");
    let old = NewItem {
        content: Content::Stored(item.blob),
        summary: None,
        internal_date: Some(item.internal_date),
        flags: FlagSet::default(),
        name: Some(name.clone()),
        object_uid: None,
    };
    vec![Mutation::Put { container, item: old, expect: Expect::Any }, Mutation::Remove { container, name }]
}

/// The step that gives a file this content again.
pub fn restored(container: ContainerId, version: &Version, expect: Expect) -> Mutation {
    let item = NewItem::named(version.name.clone(), Content::Stored(version.blob));
    Mutation::Put { container, item, expect }
}

/// The former versions of a file, the newest first; also those of one that was deleted.
///
/// # Errors
/// When the account can't be read.
pub async fn versions(account: &dyn Account, folder: ContainerId, name: &str) -> Result<Vec<Version>, AccountError> {
    let mut found = Vec::new();
    each(account, folder, |version| {
        if version.name == name {
            found.push(version);
        }
    })
    .await?;
    Ok(newest(found))
}

/// The files of a folder that were deleted and whose content is still there: the last version of each.
///
/// # Errors
/// When the account can't be read.
pub async fn deleted(account: &dyn Account, folder: ContainerId) -> Result<Vec<Version>, AccountError> {
    let mut last = std::collections::BTreeMap::<String, Version>::new();
    each(account, folder, |version| {
        let is_newer = last.get(&version.name).is_none_or(|known| known.ended_at <= version.ended_at);
        if version.was_deleted && is_newer {
            last.insert(version.name.clone(), version);
        }
    })
    .await?;
    let mut gone = Vec::new();
    for version in newest(last.into_values().collect()) {
        if account.item_named(folder, &version.name, crate::ItemParts::default()).await?.is_none() {
            gone.push(version);
        }
    }
    Ok(gone)
}

fn newest(mut versions: Vec<Version>) -> Vec<Version> {
    versions.sort_by_key(|version| std::cmp::Reverse((version.ended_at, version.id)));
    versions.truncate(TOLD_MAX);
    versions
}

/// Goes through the tombstones of a folder. Where there are more than [`ROWS_MAX`], it is the oldest that are passed
/// over: what has the highest UIDs comes first.
async fn each(
    account: &dyn Account,
    folder: ContainerId,
    mut tell: impl FnMut(Version) + Send,
) -> Result<(), AccountError> {
    let Some(container) = account.container(folder).await? else { return Ok(()) };
    let newest = Uid(container.uid_next.0.saturating_sub(ROWS_MAX as u32));
    let mut seen = 0;
    for (mut after, end) in [(newest, Uid::MAX), (Uid(0), newest)] {
        while seen < ROWS_MAX {
            let page = account.expunged(folder, Modseq::ZERO, after, ROWS_AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            after = last.uid;
            let is_last = page.len() < ROWS_AT_ONCE || after >= end;
            for row in page.into_iter().filter(|row| row.uid <= end) {
                seen += 1;
                version(row).into_iter().for_each(&mut tell);
            }
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

/// What a tombstone keeps of a file.
fn version(row: Expunged) -> Option<Version> {
    let retained = row.retained?;
    let name = retained.name.filter(|name| changed_folder(name).is_none())?;
    let former = name.strip_prefix(MARK);
    Some(Version {
        id: row.uid,
        was_deleted: former.is_none(),
        name: former.unwrap_or(&name).to_owned(),
        blob: retained.blob,
        size: retained.size,
        written_at: retained.internal_date,
        ended_at: row.expunged_at,
    })
}

/// The folder of a path below the root of the files, and the name of what is in it; `None` when there is no such folder
/// or the path is empty.
///
/// # Errors
/// When the account can't be read.
pub async fn place(account: &dyn Account, path: &str) -> Result<Option<(Container, String)>, AccountError> {
    let mut parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let Some(name) = parts.pop() else { return Ok(None) };
    Ok(folder(account, &parts).await?.map(|folder| (folder, name)))
}

/// The folder below the root of the files.
///
/// # Errors
/// When the account can't be read.
pub async fn folder(account: &dyn Account, path: &[String]) -> Result<Option<Container>, AccountError> {
    if path.len() >= sterna_base::limits::CONTAINER_DEPTH_MAX {
        return Ok(None);
    }
    let names: Vec<String> = std::iter::once(ROOT.to_owned()).chain(path.iter().cloned()).collect();
    let mut found = account.containers_on_path(ContainerKind::Files, &names).await?;
    Ok(if found.len() == names.len() { found.pop() } else { None })
}
