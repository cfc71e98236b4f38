//! Bringing a mailbox into its account. Everything here can be done again: after a crash the old server tells once more
//! what the mirror lacks, and the account may have it already.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use sterna_account::commit::{Expect, MODSEQ_MIN_MAX};
use sterna_account::{
    Account, AccountError, CommitError, ContainerKind, Content, FlagAction, FlagSet, Identifier, Mutation, NewItem,
    Rights, SpecialUse, SystemFlag, UidSet,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp, Uid, UidValidity};

use super::doors::{Arrival, Users};
use super::mailbox::{Mailbox, Record};
use super::mirror::{Mirror, MirrorError};
use super::names::Name;
use super::staging::{Staging, StagingError};
use crate::limits::{BATCH_BYTES, BATCH_MESSAGES};
use crate::target::folders::Folders;
use crate::target::{flags, message};

/// Mutations of one commit that are not messages.
const STEPS_MAX: usize = 1000;

/// Why a mailbox was not brought.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArriveError {
    /// The account could not be changed.
    #[error("the account here: {0}")]
    Account(#[from] AccountError),
    /// The mirror could not be read or written.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// A message could not be taken.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// A record is told whose message never came.
    #[error("message {0} was not sent")]
    NoSuchMessage(String),
    /// The mailbox here is not what the old server brought: somebody has changed it.
    #[error("{0}")]
    Changed(String),
}

/// What is needed for it.
pub struct Arriving<'a> {
    /// Where it comes to.
    pub arrival: &'a Arrival,
    /// Whose it is at the old server.
    pub user: &'a str,
    /// What was told before.
    pub mirror: &'a Mirror,
    /// Who is who.
    pub users: &'a dyn Users,
    /// Messages that came.
    pub staging: &'a Staging,
}

impl Arriving<'_> {
    fn account(&self) -> &dyn Account {
        self.arrival.account.as_ref()
    }

    /// The folder of a mailbox, made if need be; `None` when it can't be called so here, which is told.
    pub async fn folder(
        &self,
        name: &Name,
        mailbox: &Mailbox,
        known: Option<ContainerId>,
    ) -> Result<Option<ContainerId>, ArriveError> {
        if let Some(id) = known
            && self.account().container(id).await?.is_some()
        {
            return Ok(Some(id));
        }
        let Some(path) = name.target() else {
            self.mirror.trouble(self.user, format!("{}: it can't be called so here", mailbox.name)).await?;
            return Ok(None);
        };
        let mut folders = Folders::of(self.account()).await?;
        Ok(Some(folders.target(&path, special_use(mailbox)).await?))
    }

    /// Brings records into their folder, and makes its numbers, rights and annotations those of the mailbox.
    pub async fn records(&self, id: ContainerId, mailbox: &Mailbox, records: &[Record]) -> Result<(), ArriveError> {
        let numbers = |uid_next: u32| Mutation::SetNumbers {
            container: id,
            uid_validity: UidValidity(mailbox.uid_validity),
            uid_next: Uid(uid_next),
            expect_uid_next: None,
            modseq_min: Modseq(mailbox.highest_modseq).min(MODSEQ_MIN_MAX),
        };
        match self.account().commit(OperationId::random(), vec![numbers(1)]).await {
            Ok(_) => {}
            Err(AccountError::Refused(CommitError::Unexpected)) => {
                let text = format!("{}: something was in the folder here before; empty accounts only", mailbox.name);
                return Err(ArriveError::Changed(text));
            }
            Err(error) => return Err(error.into()),
        }
        let live = self.live(id).await?;
        let next = self.account().container(id).await?.map_or(1, |found| found.uid_next.0);
        let (mut gone, mut changed, mut new) = (Vec::new(), BTreeMap::new(), Vec::new());
        for record in records {
            let is_here = live.binary_search(&record.uid).is_ok();
            match (record.is_expunged(), is_here) {
                (true, true) => gone.push(Uid(record.uid)),
                (true, false) => {}
                (false, true) => {
                    let kept = self.flags(mailbox, record).await?;
                    let group = changed.entry(flags::key(&kept)).or_insert_with(|| (kept, Vec::new()));
                    group.1.push(Uid(record.uid));
                }
                (false, false) if record.uid >= next => new.push(record),
                (false, false) => {
                    let text = format!("{}: UID {} is not here any more", mailbox.name, record.uid);
                    return Err(ArriveError::Changed(text));
                }
            }
        }
        self.messages(id, mailbox, new).await?;
        let mut steps: Vec<Mutation> =
            changed.into_values().map(|(flags, uids)| store_flags(id, flags, uids)).collect();
        if !gone.is_empty() {
            gone.sort_unstable();
            steps.push(Mutation::Expunge { container: id, uids: gone.into_iter().collect(), deleted_only: false });
        }
        steps.push(numbers(mailbox.last_uid.saturating_add(1)));
        steps.extend(self.rights(id, mailbox).await?);
        for part in steps.chunks(STEPS_MAX) {
            self.account().commit(OperationId::random(), part.to_vec()).await?;
        }
        self.annotations(id, mailbox).await
    }

    async fn live(&self, id: ContainerId) -> Result<Vec<u32>, ArriveError> {
        let (mut found, mut after) = (Vec::new(), Uid(0));
        loop {
            let page = self.account().item_flags(id, after, PAGE_ITEMS_MAX).await?;
            let Some(last) = page.last().map(|item| item.uid) else { return Ok(found) };
            found.extend(page.iter().map(|item| item.uid.0));
            after = last;
        }
    }

    async fn flags(&self, mailbox: &Mailbox, record: &Record) -> Result<FlagSet, ArriveError> {
        let mut lost = Vec::new();
        let names = record.flags.iter().map(|flag| flag.as_bytes());
        let kept = flags::flags(names, |name| lost.push(name.escape_ascii().to_string()));
        for name in lost {
            self.mirror.trouble(self.user, format!("{}: the keyword {name} can't be kept", mailbox.name)).await?;
        }
        Ok(kept)
    }

    async fn messages(&self, id: ContainerId, mailbox: &Mailbox, mut new: Vec<&Record>) -> Result<(), ArriveError> {
        new.sort_by_key(|record| record.uid);
        let mut rest = &new[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |record: &&&Record| {
                bytes += record.size;
                bytes <= BATCH_BYTES
            };
            let count = rest.iter().take(BATCH_MESSAGES).take_while(fits).count().max(1);
            let (batch, others) = rest.split_at(count);
            let (mut steps, mut contents) = (Vec::new(), HashMap::new());
            for record in batch {
                let item = self.item(mailbox, record).await?;
                let hash = match &item.content {
                    Content::Inline(bytes) => BlobHash::of(bytes),
                    Content::Stored(hash) => *hash,
                };
                contents.insert(record.guid.clone(), (hash, record.size));
                steps.push(Mutation::AppendAt { container: id, uid: Uid(record.uid), item });
            }
            match self.account().commit(OperationId::random(), steps).await {
                // The account had it, and purged it since: it is asked for again.
                Err(AccountError::Refused(CommitError::NoSuchBlob(hash))) => {
                    for (guid, _) in contents.iter().filter(|(_, (blob, _))| *blob == hash) {
                        self.mirror.forget_content(self.user, guid).await?;
                    }
                    return Err(AccountError::Refused(CommitError::NoSuchBlob(hash)).into());
                }
                done => done?,
            };
            let contents = contents.into_iter().map(|(guid, (hash, size))| (guid, hash, size)).collect();
            self.mirror.note_contents(self.user, contents).await?;
            rest = others;
        }
        Ok(())
    }

    async fn item(&self, mailbox: &Mailbox, record: &Record) -> Result<NewItem, ArriveError> {
        let flags = self.flags(mailbox, record).await?;
        let date = i64::try_from(record.internal_date).ok().map(Timestamp::from_seconds);
        if let Some(body) = self.staging.get(&record.guid)? {
            return Ok(message::item(self.account(), body, flags, date).await?);
        }
        let Some((hash, _)) = self.mirror.content(self.user, &record.guid).await? else {
            return Err(ArriveError::NoSuchMessage(record.guid.clone()));
        };
        let content = Content::Stored(hash);
        Ok(NewItem { content, summary: None, internal_date: date, flags, name: None, object_uid: None })
    }

    /// What must change so that others have the rights that they have there. Who is nobody here is told.
    async fn rights(&self, id: ContainerId, mailbox: &Mailbox) -> Result<Vec<Mutation>, ArriveError> {
        let mut wanted: Vec<(Identifier, bool, Rights)> = Vec::new();
        let words: Vec<&str> = mailbox.acl.split('\t').collect();
        for pair in words.chunks_exact(2) {
            let (negative, name) = pair[0].strip_prefix('-').map_or((false, pair[0]), |name| (true, name));
            if name == self.user || name.is_empty() {
                continue;
            }
            let letters: String = pair[1].chars().filter(|letter| Rights::LETTERS.contains(*letter)).collect();
            let identifier = match name {
                "anyone" => Some(Identifier::Anyone),
                name => self.users.identify(self.account().id(), name).await,
            };
            let (Some(identifier), Ok(rights)) = (identifier, Rights::parse(&letters)) else {
                let text = format!("{}: {name} has rights there ({}), and is nobody here", mailbox.name, pair[1]);
                self.mirror.trouble(self.user, text).await?;
                continue;
            };
            wanted.push((identifier, negative, rights - Rights::FREE_BUSY));
        }
        let container = self.account().container(id).await?;
        let present = container.map(|found| found.acl.entries().to_vec()).unwrap_or_default();
        let is_wanted =
            |identifier, negative| wanted.iter().any(|(who, not, _)| (*who, *not) == (identifier, negative));
        let gone = present.iter().filter(|entry| !is_wanted(entry.identifier, entry.negative));
        let gone: Vec<_> = gone.map(|entry| (entry.identifier, entry.negative, Rights::NONE)).collect();
        let step = |(identifier, negative, rights)| Mutation::SetAcl { container: id, identifier, negative, rights };
        Ok(gone.into_iter().chain(wanted).map(step).collect())
    }

    /// Annotations of a mailbox are what METADATA shows here; what Cyrus notes for itself is not.
    async fn annotations(&self, id: ContainerId, mailbox: &Mailbox) -> Result<(), ArriveError> {
        let own = self.account().id();
        let is_shown = |entry: &str| entry != "/specialuse" && !entry.starts_with("/vendor/cmu/cyrus-imapd/");
        let mut wanted: Vec<(String, Bytes)> = Vec::new();
        for annotation in mailbox.annotations.iter().filter(|annotation| is_shown(&annotation.entry)) {
            let user = match annotation.user.as_str() {
                "" => None,
                user if user == self.user => Some(own),
                user => match self.users.identify(own, user).await {
                    Some(Identifier::Entry(user)) => Some(user),
                    _ => continue,
                },
            };
            let name = match user {
                Some(user) => format!("{user}/private{}", annotation.entry),
                None => format!("/shared{}", annotation.entry),
            };
            wanted.push((name, Bytes::from(annotation.value.clone())));
        }
        let about = ContainerKind::about(Some(id));
        let path = [about.clone()];
        let found = self.account().containers_on_path(ContainerKind::Metadata, &path).await?.pop();
        let container = match found {
            Some(found) => found,
            None if wanted.is_empty() => return Ok(()),
            None => sterna_account::container_named(self.account(), ContainerKind::Metadata, &about).await?,
        };
        let items = self.account().items(container.id, &UidSet::all(), Default::default(), PAGE_ITEMS_MAX).await?;
        let mut steps = Vec::new();
        for item in &items {
            let name = item.name.clone().unwrap_or_default();
            if !wanted.iter().any(|(wanted, _)| *wanted == name) {
                steps.push(Mutation::Remove { container: container.id, name });
            }
        }
        for (name, value) in wanted {
            let is_same =
                |item: &sterna_account::Item| item.name.as_deref() == Some(&name) && item.blob == BlobHash::of(&value);
            if !items.iter().any(is_same) {
                let item = NewItem::named(name, Content::Inline(value));
                steps.push(Mutation::Put { container: container.id, item, expect: Expect::Any });
            }
        }
        if !steps.is_empty() {
            self.account().commit(OperationId::random(), steps).await?;
        }
        Ok(())
    }

    /// Deletes a folder whose mailbox is gone. One that has others below it stays, and is empty.
    pub async fn delete(&self, id: ContainerId) -> Result<(), ArriveError> {
        if self.account().container(id).await?.is_none() {
            return Ok(());
        }
        let mut folders = Folders::of(self.account()).await?;
        if !folders.delete(id).await? {
            let step = Mutation::Expunge { container: id, uids: UidSet::all(), deleted_only: false };
            self.account().commit(OperationId::random(), vec![step]).await?;
        }
        Ok(())
    }
}

/// What a mailbox is for.
pub fn special_use(mailbox: &Mailbox) -> Option<SpecialUse> {
    match mailbox.special_use()?.to_ascii_lowercase().as_str() {
        "\\sent" => Some(SpecialUse::Sent),
        "\\drafts" => Some(SpecialUse::Drafts),
        "\\trash" => Some(SpecialUse::Trash),
        "\\junk" => Some(SpecialUse::Junk),
        "\\archive" => Some(SpecialUse::Archive),
        _ => None,
    }
}

fn store_flags(container: ContainerId, flags: FlagSet, mut uids: Vec<Uid>) -> Mutation {
    uids.sort_unstable();
    let (uids, action) = (uids.into_iter().collect(), FlagAction::Replace);
    Mutation::StoreFlags { container, uids, action, flags, unchanged_since: None }
}

/// Whether flags of a record are those of an item: what the comparison before a switch asks.
pub fn same_flags(record: &Record, system: u8, keywords: Vec<String>) -> bool {
    let kept = flags::flags(record.flags.iter().map(|flag| flag.as_bytes()), |_| {});
    let mut ours: Vec<String> = keywords.iter().map(|word| word.to_ascii_lowercase()).collect();
    ours.sort_unstable();
    flags::key(&kept) == (system & SystemFlag::ALL.into_iter().fold(0, |sum, flag| sum | flag as u8), ours)
}
