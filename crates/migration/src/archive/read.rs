//! An archive into an account. Whatever is there already stays as it is, and what is missing comes back; so doing it
//! again changes nothing. Who wants it can have objects and scripts as they are in the archive instead.
//!
//! Reading a tar stream blocks, so this runs on a thread of its own and waits there for the account.

use std::collections::HashMap;
use std::io::{self, Read, Seek as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::commit::Expect;
use sterna_account::scripts::{self, ScriptError, ScriptLimits};
use sterna_account::{
    Account, AccountError, Acl, CommitError, Container, ContainerKind, Content, FlagSet, ItemParts, Mutation, NewItem,
    Outcome, container_named, files,
};
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::{BlobHash, ContainerId, OperationId, Timestamp};
use tokio::runtime::Handle;

use super::manifest::{Collection, FORMAT, MANIFEST_BYTES_MAX, Manifest, Summary, kind_of};
use super::{CALENDARS, CONTACTS, FILES, MAIL, MANIFEST, SCRIPT_ENDING, SCRIPTS, SUMMARY};
use crate::limits::{LITERAL_MEMORY_BYTES_MAX, MESSAGE_BYTES_MAX, NOTES_MAX};
use crate::objects::{Objects, Put};
use crate::target::message::{self, Body};

mod follow;
mod mail;

/// Longest object of a calendar or an address book, in bytes: what DAV takes is less.
const OBJECT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What became of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TakenArchive")]
pub struct Taken {
    /// What came in.
    pub added: Summary,
    /// What was there already.
    pub unchanged: u64,
    /// Objects and scripts that were other ones, and are those of the archive now.
    pub changed: u64,
    /// Objects that are not in the archive, and went.
    pub removed: u64,
    /// Folders whose messages got other UIDs than they had.
    pub renumbered: Vec<String>,
    /// What could not be taken in, and why: the first few.
    pub refused: Vec<String>,
    /// How many there were.
    pub refused_count: u64,
}

/// Why an archive was not taken in to its end.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The account can't be read or written, or is full.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The stream is no archive, or broke off.
    #[error("the archive can't be read: {0}")]
    Io(#[from] io::Error),
    /// Its first file is not the manifest, or can't be read.
    #[error("it does not begin with a manifest: {0}")]
    Manifest(String),
    /// A later version wrote it.
    #[error("it has format {0}, and this version reads {FORMAT}")]
    NewerFormat(u32),
}

/// What becomes of objects and scripts that are there and differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// They stay: somebody may have changed them since.
    #[default]
    Stay,
    /// They become those of the archive; and what is not in it goes, from the collections that it has.
    Follow,
}

/// Takes an archive into an account. Blocks; `handle` is the runtime that the account works on.
///
/// # Errors
/// [`TakeError`]; what came before stays, and is not taken again the next time.
pub fn take(
    handle: &Handle,
    account: &Arc<dyn Account>,
    objects: &dyn Objects,
    existing: Existing,
    source: impl Read,
) -> Result<Taken, TakeError> {
    let mut archive = tar::Archive::new(source);
    let mut entries = archive.entries()?;
    let manifest = match entries.next() {
        Some(first) => manifest(&mut first?)?,
        None => return Err(TakeError::Manifest("it is empty".to_owned())),
    };
    let mut taker = Taker::new(handle, account.as_ref(), objects, (existing, manifest))?;
    for entry in entries {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() || name == SUMMARY {
            continue;
        }
        let changed_at = i64::try_from(entry.header().mtime()?).unwrap_or(0);
        taker.file(&name, changed_at, &mut entry)?;
    }
    taker.end()
}

fn manifest<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Manifest, TakeError> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    if name != MANIFEST {
        return Err(TakeError::Manifest(format!("its first file is {name}")));
    }
    let read = entry.take(MANIFEST_BYTES_MAX);
    let manifest: Manifest = serde_json::from_reader(read).map_err(|error| TakeError::Manifest(error.to_string()))?;
    if manifest.format > FORMAT { Err(TakeError::NewerFormat(manifest.format)) } else { Ok(manifest) }
}

/// The taking of one archive.
struct Taker<'a> {
    handle: &'a Handle,
    account: &'a dyn Account,
    objects: &'a dyn Objects,
    existing: Existing,
    manifest: Manifest,
    mail: mail::Mail<'a>,
    /// Collections by their place in the archive.
    collections: HashMap<String, Container>,
    /// What collections have of the archive.
    follows: follow::Follows,
    /// Folders of the file space by their place in the archive.
    folders: HashMap<String, ContainerId>,
    taken: Taken,
}

impl<'a> Taker<'a> {
    fn new(
        handle: &'a Handle,
        account: &'a dyn Account,
        objects: &'a dyn Objects,
        (existing, manifest): (Existing, Manifest),
    ) -> Result<Self, TakeError> {
        let mail = handle.block_on(mail::Mail::of(account, &manifest))?;
        let (collections, folders, taken) = (HashMap::new(), HashMap::new(), Taken::default());
        let follows = follow::Follows::default();
        Ok(Taker { handle, account, objects, existing, manifest, mail, collections, follows, folders, taken })
    }

    fn file(&mut self, name: &str, changed_at: i64, content: &mut impl Read) -> Result<(), TakeError> {
        let (top, rest) = name.split_once('/').unwrap_or((name, ""));
        match top {
            MAIL => self.message(name, changed_at, content),
            CALENDARS | CONTACTS => self.object(name, content),
            FILES => self.stored_file(rest, content),
            SCRIPTS => self.script(rest, content),
            // What others have put beside it.
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, what: &str, why: impl std::fmt::Display) {
        self.taken.refused_count += 1;
        if self.taken.refused.len() < NOTES_MAX {
            self.taken.refused.push(format!("{what}: {why}"));
        }
    }

    fn message(&mut self, name: &str, changed_at: i64, content: &mut impl Read) -> Result<(), TakeError> {
        let Some((dir, file)) = mail::of_message(name) else { return Ok(()) };
        let (body, hash) = match body(content, MESSAGE_BYTES_MAX)? {
            Some(found) => found,
            None => {
                self.refuse(name, format!("it is longer than {MESSAGE_BYTES_MAX} bytes"));
                return Ok(());
            }
        };
        let found = mail::Message { dir, file, body, hash, date: Timestamp::from_seconds(changed_at) };
        self.handle.block_on(self.mail.put(&self.manifest, found, &mut self.taken))?;
        Ok(())
    }

    /// An event, a task, a journal or a card.
    fn object(&mut self, name: &str, content: &mut impl Read) -> Result<(), TakeError> {
        let Some((dir, file)) = name.rsplit_once('/') else { return Ok(()) };
        // What vdir has beside the objects: colours and names.
        if !(file.ends_with(".ics") || file.ends_with(".vcf") || self.is_known(dir)) {
            return Ok(());
        }
        let Some(text) = short(content, OBJECT_BYTES_MAX)? else {
            self.refuse(name, "it is too long for an object");
            return Ok(());
        };
        let container = self.collection(dir)?;
        let length = text.len() as u64;
        let place = (container.id, container.kind);
        if self.existing == Existing::Follow {
            return self.follow_object(place, name, file, text);
        }
        match self.handle.block_on(self.objects.put(self.account, place, file, text))? {
            Put::Done => {
                self.taken.added.objects += 1;
                self.taken.added.bytes += length;
            }
            Put::Unchanged => self.taken.unchanged += 1,
            Put::Refused(why) => self.refuse(name, why),
        }
        Ok(())
    }

    fn is_known(&self, dir: &str) -> bool {
        self.manifest.collections.iter().any(|collection| collection.dir == dir)
    }

    /// The collection that a directory stands for, made if need be with what was set about it.
    fn collection(&mut self, dir: &str) -> Result<Container, TakeError> {
        if let Some(found) = self.collections.get(dir) {
            return Ok(found.clone());
        }
        let known = self.manifest.collections.iter().find(|collection| collection.dir == dir).cloned();
        let wanted = known.unwrap_or_else(|| unlisted(dir));
        let kind = kind_of(&wanted.kind).unwrap_or(ContainerKind::Calendar);
        let made = self.handle.block_on(make_collection(self.account, kind, &wanted))?;
        self.collections.insert(dir.to_owned(), made.clone());
        Ok(made)
    }

    /// A file of the file space.
    fn stored_file(&mut self, path: &str, content: &mut impl Read) -> Result<(), TakeError> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        if files::is_of_versions(name) || name.is_empty() {
            return Ok(());
        }
        let Some((body, _)) = body(content, u64::MAX)? else { return Ok(()) };
        let (length, handle) = (body.size(), self.handle);
        let done = handle.block_on(async {
            let folder = self.folder(dir).await?;
            put_file(self.account, folder, name, body).await
        });
        match done {
            Ok(true) => {
                self.taken.added.files += 1;
                self.taken.added.bytes += length;
            }
            Ok(false) => self.taken.unchanged += 1,
            Err(AccountError::Refused(CommitError::InvalidName | CommitError::Limit(_))) => {
                self.refuse(path, "it can't be called so here, or lies too deep");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// A folder of the file space, made if need be.
    async fn folder(&mut self, dir: &str) -> Result<ContainerId, AccountError> {
        if let Some(found) = self.folders.get(dir) {
            return Ok(*found);
        }
        let root = container_named(self.account, ContainerKind::Files, files::ROOT).await?;
        let (mut at, mut path) = (root.id, vec![files::ROOT.to_owned()]);
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            path.push(part.to_owned());
            let found = self.account.containers_on_path(ContainerKind::Files, &path).await?;
            at = match found.get(path.len() - 1) {
                Some(found) => found.id,
                None => make_folder(self.account, at, part).await?,
            };
        }
        self.folders.insert(dir.to_owned(), at);
        Ok(at)
    }

    fn script(&mut self, name: &str, content: &mut impl Read) -> Result<(), TakeError> {
        let Some(name) = name.strip_suffix(SCRIPT_ENDING) else { return Ok(()) };
        let Some(text) = short(content, scripts::SCRIPT_BYTES_MAX)? else {
            self.refuse(name, "the script is too long");
            return Ok(());
        };
        let limits = ScriptLimits { script_bytes: scripts::SCRIPT_BYTES_MAX, scripts: scripts::SCRIPTS_MAX as u64 };
        let done = self.handle.block_on(async {
            match scripts::text(self.account, name).await? {
                Some(known) if self.existing == Existing::Stay || known == text => Ok(None),
                known => scripts::put(self.account, name, text.clone(), limits).await.map(|()| Some(known.is_none())),
            }
        });
        match done {
            Ok(Some(false)) => self.taken.changed += 1,
            Ok(Some(true)) => {
                self.taken.added.scripts += 1;
                self.taken.added.bytes += text.len() as u64;
            }
            Ok(None) => self.taken.unchanged += 1,
            Err(ScriptError::Account(error)) => return Err(error.into()),
            Err(error) => self.refuse(name, error),
        }
        Ok(())
    }

    fn end(mut self) -> Result<Taken, TakeError> {
        self.handle.block_on(self.mail.end(&self.manifest, &mut self.taken))?;
        if self.existing == Existing::Follow {
            self.remove_others()?;
        }
        for published in std::mem::take(&mut self.manifest.published) {
            match self.handle.block_on(self.objects.subscribe(self.account, &published))? {
                Put::Done => self.taken.added.objects += 1,
                Put::Unchanged => self.taken.unchanged += 1,
                Put::Refused(why) => self.refuse(&published.url, why),
            }
        }
        // A script that runs already is the user's choice of today.
        if let Some(active) = self.manifest.active_script.clone() {
            let done = self.handle.block_on(async {
                let found = scripts::Scripts::read(self.account).await?;
                let is_free = found.active().is_none() || self.existing == Existing::Follow;
                match is_free && found.named(&active).is_some() {
                    true => scripts::activate(self.account, Some(&active)).await,
                    false => Ok(()),
                }
            });
            match done {
                Err(ScriptError::Account(error)) => return Err(error.into()),
                Err(error) => self.refuse(&active, error),
                Ok(()) => {}
            }
        }
        Ok(self.taken)
    }
}

/// A directory that the manifest doesn't tell of: somebody put a vdir there.
fn unlisted(dir: &str) -> Collection {
    let (top, name) = dir.split_once('/').unwrap_or((dir, "Imported"));
    let kind = if top == CONTACTS { "contacts" } else { "calendar" };
    Collection { dir: dir.to_owned(), kind: kind.to_owned(), name: name.replace('/', "_"), ..Collection::default() }
}

async fn make_collection(
    account: &dyn Account,
    kind: ContainerKind,
    wanted: &Collection,
) -> Result<Container, AccountError> {
    let path = [wanted.name.clone()];
    let of_calendars = [ContainerKind::Calendar, ContainerKind::Tasks, ContainerKind::Notes];
    let kinds = if kind == ContainerKind::AddressBook { &[ContainerKind::AddressBook][..] } else { &of_calendars };
    for kind in kinds {
        if let Some(found) = account.containers_on_path(*kind, &path).await?.pop() {
            return Ok(found);
        }
    }
    let mut steps =
        vec![Mutation::CreateContainer { parent: None, kind, name: wanted.name.clone(), special_use: None }];
    steps.extend(mail::noted(&wanted.notes));
    match account.commit(OperationId::random(), steps).await {
        Ok(_) | Err(AccountError::Refused(CommitError::NameTaken)) => {}
        Err(error) => return Err(error),
    }
    let found = account.containers_on_path(kind, &path).await?.pop();
    found.ok_or(AccountError::Refused(CommitError::Unexpected))
}

async fn make_folder(account: &dyn Account, parent: ContainerId, name: &str) -> Result<ContainerId, AccountError> {
    let mut steps = files::folder_changed(parent, name, &Acl::default());
    let (kind, name) = (ContainerKind::Files, name.to_owned());
    steps.push(Mutation::CreateContainer { parent: Some(parent), kind, name, special_use: None });
    let committed = account.commit(OperationId::random(), steps).await?;
    let made = committed.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Container { id, .. } => Some(*id),
        _ => None,
    });
    made.ok_or(AccountError::Refused(CommitError::Unexpected))
}

/// Puts a file into a folder, unless there is one of this name; whether it did.
async fn put_file(account: &dyn Account, folder: ContainerId, name: &str, body: Body) -> Result<bool, AccountError> {
    if account.item_named(folder, name, ItemParts::default()).await?.is_some() {
        return Ok(false);
    }
    let content = match body {
        Body::Memory(bytes) => Content::Inline(bytes),
        body => message::item(account, body, FlagSet::default(), None).await?.content,
    };
    let step = Mutation::Put { container: folder, item: NewItem::named(name, content), expect: Expect::Absent };
    match account.commit(OperationId::random(), vec![step]).await {
        Ok(_) => Ok(true),
        // Somebody was faster.
        Err(AccountError::Refused(CommitError::Unexpected)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A content that must be short; `None` when it isn't.
fn short(content: &mut impl Read, bytes_max: u64) -> io::Result<Option<Bytes>> {
    let mut bytes = Vec::new();
    content.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then(|| Bytes::from(bytes)))
}

/// A content as it comes, a long one through a temporary file; with its hash. `None` when it is longer than that.
fn body(content: &mut impl Read, bytes_max: u64) -> io::Result<Option<(Body, BlobHash)>> {
    const _: () = assert!(LITERAL_MEMORY_BYTES_MAX <= INLINE_BLOB_BYTES_MAX as u64);
    let mut start = Vec::new();
    content.take(LITERAL_MEMORY_BYTES_MAX + 1).read_to_end(&mut start)?;
    if start.len() as u64 <= LITERAL_MEMORY_BYTES_MAX {
        let hash = BlobHash::of(&start);
        return Ok(Some((Body::Memory(Bytes::from(start)), hash)));
    }
    let (mut file, mut hasher, mut length) = (tempfile::tempfile()?, blake3::Hasher::new(), start.len() as u64);
    hasher.update(&start);
    file.write_all(&start)?;
    let mut piece = vec![0; BLOB_CHUNK_BYTES];
    loop {
        let read = content.read(&mut piece)?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else { break };
        length += part.len() as u64;
        if length > bytes_max {
            return Ok(None);
        }
        hasher.update(part);
        file.write_all(part)?;
    }
    file.rewind()?;
    Ok(Some((Body::File(file, length), BlobHash(*hasher.finalize().as_bytes()))))
}
