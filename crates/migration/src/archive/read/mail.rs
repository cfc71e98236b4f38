//! The mail of an archive: folders with their numbers, messages under their UIDs where those are free.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use sterna_account::commit::{Expect, MADE, MODSEQ_MIN_MAX};
use sterna_account::{
    Account, AccountError, CommitError, ContainerKind, Content, ItemParts, Keyword, Mutation, NewItem, SpecialUse,
    UidSet, container_named, first_containers::SUBSCRIPTIONS,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp, Uid, UidValidity};

use super::super::manifest::{Folder, Manifest};
use super::super::{MAIL, maildir};
use super::Taken;
use crate::limits::{BATCH_BYTES, BATCH_MESSAGES};
use crate::target::folders::{self, Folders};
use crate::target::message::{self, Body};

/// A message of an archive.
pub struct Message {
    /// The place of its folder.
    pub dir: String,
    /// Its file's name.
    pub file: String,
    /// Itself.
    pub body: Body,
    /// The hash of it.
    pub hash: BlobHash,
    /// Its INTERNALDATE, where the name doesn't say it.
    pub date: Timestamp,
}

/// The folder and the name of the file of a message; `None` for what else is in a Maildir.
pub fn of_message(name: &str) -> Option<(String, String)> {
    let (folder, file) = name.rsplit_once('/')?;
    let dir = folder.strip_suffix("/cur").or_else(|| folder.strip_suffix("/new"))?;
    Some((dir.to_owned(), file.to_owned()))
}

/// The steps that note this about the container that was made last before them.
pub fn noted(notes: &BTreeMap<String, String>) -> Vec<Mutation> {
    let put = |(name, text): (&String, &String)| {
        let item = NewItem::named(name.clone(), Content::Inline(Bytes::from(text.clone())));
        Mutation::Put { container: MADE, item, expect: Expect::Any }
    };
    if notes.is_empty() {
        return Vec::new();
    }
    let about = Mutation::CreateAbout { kind: ContainerKind::Metadata };
    std::iter::once(about).chain(notes.iter().map(put)).collect()
}

/// A folder that messages come into.
struct Open {
    container: ContainerId,
    path: String,
    folder: Folder,
    /// Whether its UIDs are those of the archive.
    is_exact: bool,
    /// Its UIDNEXT, as far as it is known.
    uid_next: u32,
    /// The contents that are there and not in the archive so far, and how often: who had a message twice has it twice.
    contents: HashMap<BlobHash, u32>,
}

/// The mail of an account, while an archive comes in.
pub struct Mail<'a> {
    account: &'a dyn Account,
    folders: Folders<'a>,
    known: HashMap<String, ContainerId>,
    is_guessed: bool,
    uses: HashSet<SpecialUse>,
    open: Option<Open>,
    batch: Vec<(Option<u32>, NewItem)>,
    batch_bytes: u64,
}

impl<'a> Mail<'a> {
    /// Makes the folders that the manifest tells of.
    pub async fn of(account: &'a dyn Account, manifest: &Manifest) -> Result<Self, AccountError> {
        let folders = Folders::of(account).await?;
        let mut mail = Mail {
            account,
            folders,
            known: HashMap::new(),
            is_guessed: manifest.folders.iter().all(|folder| folder.special_use.is_none()),
            uses: HashSet::new(),
            open: None,
            batch: Vec::new(),
            batch_bytes: 0,
        };
        for folder in &manifest.folders {
            mail.make(folder).await?;
        }
        if !manifest.subscriptions.is_empty() {
            let container = container_named(account, ContainerKind::Subscriptions, SUBSCRIPTIONS).await?.id;
            let put = |name: &String| {
                let item = NewItem::named(name.clone(), Content::Inline(Bytes::new()));
                Mutation::Put { container, item, expect: Expect::Any }
            };
            let known: HashSet<String> = names(account, container).await?;
            let steps: Vec<Mutation> =
                manifest.subscriptions.iter().filter(|name| !known.contains(*name)).map(put).collect();
            if !steps.is_empty() {
                account.commit(OperationId::random(), steps).await?;
            }
        }
        Ok(mail)
    }

    async fn make(&mut self, folder: &Folder) -> Result<ContainerId, AccountError> {
        let path: Vec<String> = folder.path.iter().filter_map(|part| folders::part(part)).collect();
        // What a folder is for is told by its name where nobody said it of any; one folder has a use, not two.
        let by_name = || folders::use_by_name(&path).filter(|_| self.is_guessed);
        let special_use = folder.special_use.or_else(by_name).filter(|found| self.uses.insert(*found));
        let is_new = self.folders.find(&path).is_none();
        let container = self.folders.target(&path, special_use).await?;
        self.known.insert(folder.dir.clone(), container);
        if is_new && !folder.notes.is_empty() {
            let about = ContainerKind::about(Some(container));
            let notes = container_named(self.account, ContainerKind::Metadata, &about).await?.id;
            let put = |(name, text): (&String, &String)| {
                let item = NewItem::named(name.clone(), Content::Inline(Bytes::from(text.clone())));
                Mutation::Put { container: notes, item, expect: Expect::Any }
            };
            self.account.commit(OperationId::random(), folder.notes.iter().map(put).collect()).await?;
        }
        Ok(container)
    }

    /// Takes a message in, with the next ones of its folder in one commit.
    pub async fn put(&mut self, manifest: &Manifest, found: Message, taken: &mut Taken) -> Result<(), AccountError> {
        if self.open.as_ref().is_none_or(|open| open.folder.dir != found.dir) {
            self.close(taken).await?;
            self.begin(manifest, &found.dir, taken).await?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let named = maildir::named(&found.file, &open.folder.keywords);
        let mut flags = named.flags;
        let more = named.uid.and_then(|uid| open.folder.more_keywords.get(&uid));
        for keyword in more.into_iter().flatten().filter_map(|word| Keyword::new(word.as_str()).ok()) {
            flags.insert(keyword);
        }
        if let Some(left) = open.contents.get_mut(&found.hash).filter(|left| **left > 0) {
            *left -= 1;
            taken.unchanged += 1;
            return Ok(());
        }
        let size = found.body.size();
        let item = message::item(self.account, found.body, flags, Some(found.date)).await?;
        self.batch.push((named.uid, item));
        self.batch_bytes += size;
        taken.added.messages += 1;
        taken.added.bytes += size;
        if self.batch.len() >= BATCH_MESSAGES || self.batch_bytes >= BATCH_BYTES {
            self.flush(taken).await?;
        }
        Ok(())
    }

    /// Opens the folder of a place in the archive.
    async fn begin(&mut self, manifest: &Manifest, dir: &str, taken: &mut Taken) -> Result<(), AccountError> {
        let folder = match manifest.folders.iter().find(|folder| folder.dir == dir) {
            Some(folder) => folder.clone(),
            None => {
                let below = dir.strip_prefix(MAIL).unwrap_or(dir).trim_start_matches('/');
                Folder { dir: dir.to_owned(), path: maildir::path_of(below), ..Folder::default() }
            }
        };
        let container = match self.known.get(dir) {
            Some(container) => *container,
            None => self.make(&folder).await?,
        };
        let found = self.account.container(container).await?;
        let found = found.ok_or(AccountError::Refused(CommitError::NoSuchContainer(container)))?;
        let path = self.folders.path(container);
        let mut open = Open {
            container,
            path,
            is_exact: folder.uid_validity == Some(found.uid_validity.0),
            uid_next: found.uid_next.0,
            contents: HashMap::new(),
            folder,
        };
        // A folder that never had a message takes the numbers of the archive.
        if let Some(uid_validity) = open.folder.uid_validity.filter(|_| found.uid_next == Uid(1)) {
            let step = numbers(&open, uid_validity, 1, Some(1));
            match self.account.commit(OperationId::random(), vec![step]).await {
                Ok(_) => open.is_exact = true,
                Err(AccountError::Refused(CommitError::Unexpected)) => open.is_exact = false,
                Err(error) => return Err(error),
            }
        }
        if !open.is_exact && open.folder.uid_validity.is_some() {
            taken.renumbered.push(open.path.clone());
        }
        open.contents = contents(self.account, container).await?;
        self.open = Some(open);
        Ok(())
    }

    async fn flush(&mut self, taken: &mut Taken) -> Result<(), AccountError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let (container, mut next) = (open.container, open.uid_next);
        let mut steps = Vec::with_capacity(batch.len());
        for (uid, item) in &batch {
            let step = match uid.filter(|uid| open.is_exact && *uid >= next) {
                Some(uid) => {
                    next = uid.saturating_add(1);
                    Mutation::AppendAt { container, uid: Uid(uid), item: item.clone() }
                }
                None => {
                    next = next.saturating_add(1);
                    Mutation::Append { container, item: item.clone() }
                }
            };
            steps.push(step);
        }
        match self.account.commit(OperationId::random(), steps).await {
            Ok(_) => open.uid_next = next,
            // Something else came into the folder meanwhile: from now on the numbers are others.
            Err(AccountError::Refused(CommitError::Unexpected)) if open.is_exact => {
                open.is_exact = false;
                taken.renumbered.push(open.path.clone());
                let append = |(_, item): (Option<u32>, NewItem)| Mutation::Append { container, item };
                self.account.commit(OperationId::random(), batch.into_iter().map(append).collect()).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes what waits, and the folder's UIDNEXT and HIGHESTMODSEQ: a UID of the archive is never given again.
    async fn close(&mut self, taken: &mut Taken) -> Result<(), AccountError> {
        self.flush(taken).await?;
        let Some(open) = self.open.take().filter(|open| open.is_exact) else { return Ok(()) };
        let Some(found) = self.account.container(open.container).await? else { return Ok(()) };
        let uid_next = open.folder.uid_next.unwrap_or(1);
        if found.uid_next.0 < uid_next || found.highest_modseq.0 < open.folder.highest_modseq.unwrap_or(0) {
            let step = numbers(&open, found.uid_validity.0, uid_next, None);
            self.account.commit(OperationId::random(), vec![step]).await?;
        }
        Ok(())
    }

    /// The end of the archive: folders without messages have their numbers, too.
    pub async fn end(&mut self, manifest: &Manifest, taken: &mut Taken) -> Result<(), AccountError> {
        self.close(taken).await?;
        for folder in &manifest.folders {
            let Some(container) = self.known.get(&folder.dir).copied() else { continue };
            let is_fresh = self.account.container(container).await?.is_some_and(|found| found.uid_next == Uid(1));
            if is_fresh && folder.uid_validity.is_some() {
                self.begin(manifest, &folder.dir, taken).await?;
                self.close(taken).await?;
            }
        }
        Ok(())
    }
}

/// The step that gives a folder the numbers of the archive.
fn numbers(open: &Open, uid_validity: u32, uid_next: u32, expect_uid_next: Option<u32>) -> Mutation {
    Mutation::SetNumbers {
        container: open.container,
        uid_validity: UidValidity(uid_validity),
        uid_next: Uid(uid_next),
        modseq_min: Modseq(open.folder.highest_modseq.unwrap_or(0)).min(MODSEQ_MIN_MAX),
        expect_uid_next: expect_uid_next.map(Uid),
    }
}

async fn contents(account: &dyn Account, container: ContainerId) -> Result<HashMap<BlobHash, u32>, AccountError> {
    let (mut found, mut after) = (HashMap::new(), Uid(0));
    loop {
        let uids = UidSet::range(after.next(), Uid::MAX);
        let page = account.items(container, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.uid;
        for item in page {
            *found.entry(item.blob).or_default() += 1;
        }
    }
}

async fn names(account: &dyn Account, container: ContainerId) -> Result<HashSet<String>, AccountError> {
    let items = account.items(container, &UidSet::all(), ItemParts::default(), PAGE_ITEMS_MAX).await?;
    Ok(items.into_iter().filter_map(|item| item.name).collect())
}
