//! An account as a stream of files.

use std::collections::{BTreeMap, HashSet};
use std::io;

use bytes::Bytes;
use sterna_account::calendars::{external, shown_name};
use sterna_account::{
    Account, AccountError, Container, ContainerKind, FlagSet, Flags, Item, ItemParts, UidSet, files, scripts,
};
use sterna_base::limits::{BLOB_CHUNK_BYTES, PAGE_ITEMS_MAX};
use sterna_base::{BlobHash, ContainerId, Timestamp, Uid};
use tokio::io::AsyncWrite;

use super::manifest::{Collection, FORMAT, Folder, Manifest, Published, Share, Summary, word_of};
use super::tar::TarWriter;
use super::{CALENDARS, CONTACTS, FILES, MAIL, MANIFEST, SCRIPT_ENDING, SCRIPTS, SUMMARY, maildir};

/// Messages read at once with their contents.
const MESSAGES_AT_ONCE: usize = 100;

/// Longest note about a collection that goes along, in bytes.
const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The account can't be read.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Who wanted the archive takes no more of it, or a temporary file can't be used.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The manifest can't be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Writes an account, whose address this is, with what others may do there. What changes meanwhile is in it or not,
/// message by message.
///
/// # Errors
/// [`WriteError`]; the stream has no end then.
pub async fn write(
    account: &dyn Account,
    (address, shares): (&str, Vec<Share>),
    now: Timestamp,
    sink: impl AsyncWrite + Unpin,
) -> Result<Summary, WriteError> {
    let all = account.containers().await?;
    let (mut manifest, places) = plan(account, &all, address, now).await?;
    manifest.shares = shares;
    let mut writer = Writer { account, tar: TarWriter::new(sink), summary: Summary::default(), now: now.seconds() };
    writer.tar.file(MANIFEST, &serde_json::to_vec_pretty(&manifest)?, writer.now).await?;
    for (folder, container) in manifest.folders.iter().zip(&places.folders) {
        writer.mail(folder, container).await?;
    }
    for (collection, container) in manifest.collections.iter().zip(&places.collections) {
        writer.objects(&collection.dir, container.id).await?;
    }
    writer.files(&all, None, FILES).await?;
    writer.scripts().await?;
    let summary = writer.summary.clone();
    writer.tar.file(SUMMARY, &serde_json::to_vec_pretty(&summary)?, writer.now).await?;
    writer.tar.end().await?;
    Ok(summary)
}

/// The containers that the manifest's folders and collections are, in its order.
#[derive(Default)]
struct Places {
    folders: Vec<Container>,
    collections: Vec<Container>,
}

async fn plan(
    account: &dyn Account,
    all: &[Container],
    address: &str,
    now: Timestamp,
) -> Result<(Manifest, Places), WriteError> {
    let mut manifest =
        Manifest { format: FORMAT, address: address.to_owned(), written_at: now.0, ..Manifest::default() };
    let (mut places, mut dirs) = (Places::default(), HashSet::new());
    let mut mail: Vec<(Vec<String>, &Container)> = all
        .iter()
        .filter(|container| container.kind == ContainerKind::Mail)
        .map(|container| (path_of(all, container), container))
        .collect();
    mail.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (path, container) in mail {
        let below = maildir::dir_of(&path);
        let wanted = if below.is_empty() { MAIL.to_owned() } else { format!("{MAIL}/{below}") };
        let keywords: Vec<String> = container.keywords.iter().map(|word| word.as_str().to_owned()).collect();
        manifest.folders.push(Folder {
            dir: unique(&mut dirs, wanted),
            path,
            special_use: container.special_use,
            uid_validity: Some(container.uid_validity.0),
            uid_next: Some(container.uid_next.0),
            highest_modseq: Some(container.highest_modseq.0),
            more_keywords: more_keywords(account, container, &keywords).await?,
            keywords: keywords.into_iter().take(maildir::LETTERS_MAX).collect(),
            notes: notes(account, all, container.id).await?,
        });
        places.folders.push(container.clone());
    }
    for container in all {
        let Some(kind) = word_of(container.kind).filter(|_| container.parent.is_none()) else { continue };
        let top = if container.kind == ContainerKind::AddressBook { CONTACTS } else { CALENDARS };
        let dir = unique(&mut dirs, format!("{top}/{}", file_name(&container.name)));
        let notes = notes(account, all, container.id).await?;
        manifest.collections.push(Collection { dir, kind: kind.to_owned(), name: container.name.clone(), notes });
        places.collections.push(container.clone());
    }
    if let Some(found) = all.iter().find(|container| container.kind == ContainerKind::Subscriptions) {
        manifest.subscriptions = names(account, found.id).await?;
    }
    manifest.active_script = scripts::Scripts::read(account).await?.active().map(|script| script.name.clone());
    for (calendar, external) in external::list(account).await? {
        let refresh_minutes = external.refresh_s.map(|refresh_s| refresh_s / 60);
        let name = shown_name(account, calendar.id).await?;
        manifest.published.push(Published { url: external.url, name, refresh_minutes });
    }
    Ok((manifest, places))
}

/// The names from the top to a container.
fn path_of(all: &[Container], container: &Container) -> Vec<String> {
    let (mut path, mut at) = (vec![container.name.clone()], container.parent);
    while let Some(above) = at.and_then(|id| all.iter().find(|other| other.id == id)) {
        path.push(above.name.clone());
        at = above.parent;
    }
    path.reverse();
    path
}

/// A name that no other one of the archive has.
pub(crate) fn unique(taken: &mut HashSet<String>, wanted: String) -> String {
    let mut name = wanted.clone();
    for number in 2.. {
        if taken.insert(name.to_lowercase()) {
            break;
        }
        name = format!("{wanted}_{number}");
    }
    name
}

/// A name as a file can be called: without what separates, and never one that leads elsewhere.
pub(crate) fn file_name(name: &str) -> String {
    let name: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    match name.as_str() {
        "" | "." | ".." => format!("_{name}"),
        _ => name,
    }
}

/// Keywords for which there are no letters, of the few folders that have more than there are letters.
async fn more_keywords(
    account: &dyn Account,
    container: &Container,
    keywords: &[String],
) -> Result<BTreeMap<u32, Vec<String>>, AccountError> {
    let (mut found, mut after) = (BTreeMap::new(), Uid(0));
    while keywords.len() > maildir::LETTERS_MAX {
        let page = account.item_flags(container.id, after, PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last() else { break };
        after = last.uid;
        for one in page {
            let bits = one.flags.keyword_bits().filter(|bit| *bit >= maildir::LETTERS_MAX);
            let words: Vec<String> = bits.filter_map(|bit| keywords.get(bit).cloned()).collect();
            if !words.is_empty() {
                found.insert(one.uid.0, words);
            }
        }
    }
    Ok(found)
}

/// What is noted about a container, as far as it is text.
async fn notes(
    account: &dyn Account,
    all: &[Container],
    about: ContainerId,
) -> Result<BTreeMap<String, String>, AccountError> {
    let name = ContainerKind::about(Some(about));
    let is_it = |one: &&Container| one.kind == ContainerKind::Metadata && one.name == name;
    let Some(container) = all.iter().find(is_it) else { return Ok(BTreeMap::new()) };
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let items = account.items(container.id, &UidSet::all(), parts, PAGE_ITEMS_MAX).await?;
    let text = |item: Item| {
        let body = item.body.filter(|body| body.len() <= NOTE_BYTES_MAX)?;
        Some((item.name?, String::from_utf8(body.to_vec()).ok()?))
    };
    Ok(items.into_iter().filter_map(text).collect())
}

async fn names(account: &dyn Account, container: ContainerId) -> Result<Vec<String>, AccountError> {
    let items = account.items(container, &UidSet::all(), ItemParts::default(), PAGE_ITEMS_MAX).await?;
    Ok(items.into_iter().filter_map(|item| item.name).collect())
}

struct Writer<'a, W> {
    account: &'a dyn Account,
    tar: TarWriter<W>,
    summary: Summary,
    now: i64,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// A folder: what other servers read of it, then the messages.
    async fn mail(&mut self, folder: &Folder, container: &Container) -> Result<(), WriteError> {
        let lines = folder.keywords.iter().enumerate().map(|(at, word)| format!("{at} {word}\n"));
        let keywords: String = lines.collect();
        if !keywords.is_empty() {
            self.tar.file(&format!("{}/dovecot-keywords", folder.dir), keywords.as_bytes(), self.now).await?;
        }
        self.uid_list(folder, container).await?;
        for part in ["cur", "new", "tmp"] {
            self.tar.folder(&format!("{}/{part}", folder.dir), self.now).await?;
        }
        let parts = ItemParts { body: true, ..ItemParts::default() };
        let mut after = Uid(0);
        loop {
            let uids = UidSet::range(after.next(), Uid::MAX);
            let page = self.account.items(container.id, &uids, parts, MESSAGES_AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.uid;
            for item in page {
                let seconds = item.internal_date.seconds();
                let base = maildir::base(item.uid.0, seconds, item.size);
                let info = maildir::info(&flags_of(item.flags, container), &folder.keywords);
                self.content(&format!("{}/cur/{base}{info}", folder.dir), &item, seconds).await?;
                self.summary.messages += 1;
            }
        }
    }

    /// UIDs in the words of Dovecot (`dovecot-uidlist`, version 3). How long the list is comes before it, so the
    /// numbers in it are held; they are a few bytes for each message.
    async fn uid_list(&mut self, folder: &Folder, container: &Container) -> Result<(), WriteError> {
        let (mut rows, mut after): (Vec<(Uid, i64, u64)>, Uid) = (Vec::new(), Uid(0));
        loop {
            let uids = UidSet::range(after.next(), Uid::MAX);
            let page = self.account.items(container.id, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
            let Some(last) = page.last() else { break };
            after = last.uid;
            rows.extend(page.iter().map(|item| (item.uid, item.internal_date.seconds(), item.size)));
        }
        let head = format!("3 V{} N{}\n", container.uid_validity, container.uid_next);
        let line =
            |(uid, seconds, size): &(Uid, i64, u64)| format!("{uid} :{}\n", maildir::base(uid.0, *seconds, *size));
        let bytes = head.len() + rows.iter().map(|row| line(row).len()).sum::<usize>();
        self.tar.begin(&format!("{}/dovecot-uidlist", folder.dir), bytes as u64, self.now).await?;
        self.tar.piece(head.as_bytes()).await?;
        for rows in rows.chunks(PAGE_ITEMS_MAX) {
            let lines: String = rows.iter().map(line).collect();
            self.tar.piece(lines.as_bytes()).await?;
        }
        Ok(())
    }

    /// The objects of a calendar or an address book.
    async fn objects(&mut self, dir: &str, container: ContainerId) -> Result<(), WriteError> {
        let count = self.named(dir, container).await?;
        self.summary.objects += count;
        Ok(())
    }

    /// The items of a container that have names.
    async fn named(&mut self, dir: &str, container: ContainerId) -> Result<u64, WriteError> {
        let parts = ItemParts { body: true, ..ItemParts::default() };
        let (mut after, mut count, mut taken) = (Uid(0), 0, HashSet::new());
        loop {
            let uids = UidSet::range(after.next(), Uid::MAX);
            let page = self.account.items(container, &uids, parts, MESSAGES_AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = last.uid;
            for item in page {
                let Some(name) = item.name.as_deref().filter(|name| !files::is_of_versions(name)) else { continue };
                let name = unique(&mut taken, file_name(name));
                self.content(&format!("{dir}/{name}"), &item, item.internal_date.seconds()).await?;
                count += 1;
            }
        }
    }

    /// The file space below a folder; without one, all of it.
    async fn files(&mut self, all: &[Container], within: Option<ContainerId>, dir: &str) -> Result<(), WriteError> {
        let mut left: Vec<(String, Container)> = Vec::new();
        let top =
            |one: &&Container| one.kind == ContainerKind::Files && one.parent == within && one.name == files::ROOT;
        left.extend(all.iter().find(top).map(|root| (dir.to_owned(), root.clone())));
        while let Some((dir, container)) = left.pop() {
            self.summary.files += self.named(&dir, container.id).await?;
            let below = all.iter().filter(|one| one.kind == ContainerKind::Files && one.parent == Some(container.id));
            left.extend(below.map(|one| (format!("{dir}/{}", file_name(&one.name)), one.clone())));
        }
        Ok(())
    }

    async fn scripts(&mut self) -> Result<(), WriteError> {
        for script in scripts::Scripts::read(self.account).await?.scripts {
            let text = scripts::text(self.account, &script.name).await?.unwrap_or_default();
            let name = format!("{SCRIPTS}/{}{SCRIPT_ENDING}", file_name(&script.name));
            self.tar.file(&name, &text, script.written_at.seconds()).await?;
            self.summary.scripts += 1;
            self.summary.bytes += text.len() as u64;
        }
        Ok(())
    }

    async fn content(&mut self, name: &str, item: &Item, changed_at: i64) -> Result<(), WriteError> {
        self.tar.begin(name, item.size, changed_at).await?;
        self.summary.bytes += item.size;
        if let Some(body) = &item.body {
            return Ok(self.tar.piece(body).await?);
        }
        each_piece(self.account, item.blob, item.size, &mut self.tar).await
    }
}

async fn each_piece<W: AsyncWrite + Unpin>(
    account: &dyn Account,
    blob: BlobHash,
    size: u64,
    tar: &mut TarWriter<W>,
) -> Result<(), WriteError> {
    let mut at = 0;
    while at < size {
        let end = size.min(at + BLOB_CHUNK_BYTES as u64);
        let piece: Bytes = account.blob(blob, at..end).await?;
        tar.piece(&piece).await?;
        at = end;
    }
    Ok(())
}

fn flags_of(flags: Flags, container: &Container) -> FlagSet {
    let keywords = flags.keyword_bits().filter_map(|bit| container.keywords.get(bit).cloned()).collect();
    FlagSet { system: flags.system, keywords }
}
