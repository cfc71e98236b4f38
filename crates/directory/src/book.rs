//! The organisation's directory as an address book: an account that can only be read, with one container whose items
//! are made from the rows of a domain's users, groups, shared mailboxes and external contacts. So everything that reads
//! address books reads it, and what changed in it is what changed in the directory.
//!
//! Whoever is hidden, suspended or of another domain is not in it; whoever became so since a token is told as gone.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use sterna_account::account::BlobUpload;
use sterna_account::search::{Filter, Found};
use sterna_account::{
    Account, AccountError, Acl, Change, Changes, CommitError, Committed, Container, ContainerKind, Counts, Cursor,
    Digest, Expunged, Flags, Head, Identifier, Item, ItemFlags, ItemParts, Mutation, Quota, Retained, Rights, Role,
    StoreError, UidSet,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, BlobHash, ContainerId, DomainId, Epoch, Modseq, OperationId, Uid, UidValidity};
use sterna_formats::card;
use tokio::sync::watch;

use crate::contact::Contact;
use crate::index::number;
use crate::model::Entry;
use crate::read::{AnyEntry, Reader, id};
use crate::row::{RowKind, account_key};
use crate::{Directory, StorageError};

/// What the book is called where its user says nothing else.
const NAME: &str = "Directory";

/// The kinds of rows that are in it, as the statements below have them.
const _: () = assert!(RowKind::User as u16 == 5 && RowKind::Group as u16 == 6 && RowKind::Shared as u16 == 7);
const _: () = assert!(RowKind::Contact as u16 == 42);

/// Kept with each card of a user, a group or a shared mailbox, so that it is the same whatever the address.
const UID_PREFIX: &str = "sterna-directory-";

/// The book of one domain.
pub struct DomainBook {
    directory: Directory,
    domain: DomainId,
}

/// A row of the book as it is now.
struct Card {
    id: AccountId,
    modseq: Modseq,
    created_at: sterna_base::Timestamp,
    text: Bytes,
}

impl DomainBook {
    /// Of a domain.
    pub fn new(directory: Directory, domain: DomainId) -> Self {
        DomainBook { directory, domain }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>, DomainId) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, AccountError> {
        let domain = self.domain;
        let result = self.directory.read(move |reader| read(reader, domain)).await;
        result.map_err(|error| AccountError::Unavailable(error.to_string()))
    }

    async fn the_container(&self) -> Result<Container, AccountError> {
        let (domain_at, last) = self
            .read(|reader, domain| {
                let domain_at = reader.domain(domain)?.map(|found| found.modseq).unwrap_or_default();
                Ok((domain_at, reader.last_entry_change()?))
            })
            .await?;
        let mut acl = Acl::default();
        acl.set(Identifier::Domain(self.domain), false, Rights::from_letters("lr"));
        Ok(Container {
            // The name of the domain is in every card: another name makes it another book, which is read anew.
            id: ContainerId(domain_at.0),
            parent: None,
            kind: ContainerKind::AddressBook,
            name: NAME.to_owned(),
            special_use: None,
            uid_validity: UidValidity::default(),
            uid_next: Uid::MAX,
            modseq: domain_at,
            highest_modseq: last.max(domain_at),
            counts: Counts::default(),
            keywords: Vec::new(),
            digest: Digest::default(),
            acl,
        })
    }
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// When a user, group, shared mailbox or external contact was last changed or deleted.
    fn last_entry_change(&self) -> Result<Modseq, StorageError> {
        // From the end of the index by modseq: it costs the rows of other kinds that changed since, each once.
        let sql = "SELECT modseq FROM dir_row WHERE kind IN (5, 6, 7, 42) ORDER BY modseq DESC LIMIT 1";
        let found = self.conn.prepare_cached(sql)?.query_row([], |row| id(row, 0)).optional()?;
        Ok(found.map_or(Modseq::ZERO, Modseq))
    }

    /// The cards of a domain whose ids are in a range, by id, at most `limit`.
    fn cards(&self, domain: DomainId, from: u64, to: u64, limit: usize) -> Result<Vec<Card>, StorageError> {
        let (mut cards, mut from) = (Vec::new(), from);
        let sql = "SELECT account_id FROM dir_address
            WHERE account_id >= $1 AND account_id <= $2 AND is_main = 1 AND domain_id = $3
            UNION ALL SELECT account_id FROM dir_contact
            WHERE account_id >= $1 AND account_id <= $2 AND domain_id = $3
            ORDER BY account_id LIMIT $4";
        while from <= to && cards.len() < limit {
            let params = params![number(from), number(to), number(domain.0), number(PAGE_ITEMS_MAX as u64)];
            let ids = self.ids(sql, params)?;
            let Some(last) = ids.last() else { break };
            from = last.saturating_add(1);
            for id in ids {
                cards.extend(self.card(domain, AccountId(id))?);
            }
        }
        cards.truncate(limit);
        Ok(cards)
    }

    /// The card of an entry, if it is in the book of a domain.
    fn card(&self, domain: DomainId, id: AccountId) -> Result<Option<Card>, StorageError> {
        let Some(found) = self.entry(id)? else { return self.contact_card(domain, id) };
        let entry = found.value.entry();
        if entry.address.domain != domain || entry.hidden || entry.suspended || id.0 > u64::from(u32::MAX) {
            return Ok(None);
        }
        let text = self.card_text(&found.value, entry)?;
        Ok(Some(Card { id, modseq: found.modseq, created_at: entry.created_at, text: text.into() }))
    }

    fn contact_card(&self, domain: DomainId, id: AccountId) -> Result<Option<Card>, StorageError> {
        let Some(found) = self.contact(id)? else { return Ok(None) };
        let contact = found.value;
        if contact.domain != domain || id.0 > u64::from(u32::MAX) {
            return Ok(None);
        }
        let text = contact_text(&contact);
        Ok(Some(Card { id, modseq: found.modseq, created_at: contact.created_at, text: text.into() }))
    }

    fn card_text(&self, value: &AnyEntry, entry: &Entry) -> Result<String, StorageError> {
        let mut addresses = Vec::new();
        for address in entry.addresses() {
            addresses.extend(self.address_text(address)?);
        }
        let organisation = self.domain(entry.address.domain)?.map(|domain| domain.value);
        let organisation = organisation.map(|domain| match domain.description.is_empty() {
            true => domain.name,
            false => domain.description,
        });
        let name = match entry.display_name.is_empty() {
            true => addresses.first().cloned().unwrap_or_default(),
            false => entry.display_name.clone(),
        };
        Ok(card::directory_card(&card::DirectoryCard {
            uid: &format!("{UID_PREFIX}{}", entry.id),
            name: &name,
            addresses: &addresses,
            organisation: organisation.as_deref(),
            is_person: matches!(value, AnyEntry::User(_)),
            ..card::DirectoryCard::default()
        }))
    }

    /// Ids of entries that changed after a place in the order of their changes, with when, at most `limit`.
    fn changed_entries(&self, after: (Modseq, u64), limit: usize) -> Result<Vec<(u64, Modseq)>, StorageError> {
        let sql = "SELECT row_key, modseq FROM dir_row
            WHERE modseq >= $1 AND kind IN (5, 6, 7, 42) AND (modseq > $1 OR row_key > $2)
            ORDER BY modseq, row_key LIMIT $3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let (modseq, key) = (number(after.0.0), account_key(AccountId(after.1)));
        let rows = statement.query_map(params![modseq, key, number(limit as u64)], |row| {
            Ok((row.get::<_, String>(0)?, Modseq(id(row, 1)?)))
        })?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(rows.into_iter().filter_map(|(key, at)| Some((u64::from_str_radix(&key, 16).ok()?, at))).collect())
    }
}

fn contact_text(contact: &Contact) -> String {
    let name = if contact.display_name.is_empty() { &contact.address } else { &contact.display_name };
    let filled = |text| Some(text).filter(|text: &&str| !text.is_empty());
    card::directory_card(&card::DirectoryCard {
        uid: &format!("{UID_PREFIX}{}", contact.id),
        name,
        addresses: std::slice::from_ref(&contact.address),
        organisation: filled(&contact.organisation),
        phone: filled(&contact.phone),
        note: filled(&contact.note),
        is_person: !contact.display_name.is_empty(),
    })
}

/// What an item of the book is called.
fn name_of(id: u64) -> String {
    format!("{id}.vcf")
}

fn uid_of(id: u64) -> Uid {
    Uid(u32::try_from(id).unwrap_or(u32::MAX))
}

fn item(container: ContainerId, found: Card, parts: ItemParts) -> Item {
    let facts = card::parse(&found.text).ok().and_then(|card| card::Facts::of(&card).ok());
    Item {
        container,
        uid: uid_of(found.id.0),
        modseq: found.modseq,
        flags: Flags::default(),
        blob: BlobHash::of(&found.text),
        size: found.text.len() as u64,
        internal_date: found.created_at,
        saved_at: found.created_at,
        name: Some(name_of(found.id.0)),
        object_uid: Some(format!("{UID_PREFIX}{}", found.id)),
        summary: facts.filter(|_| parts.summary).map(|facts| facts.encode().into()),
        body: parts.body.then_some(found.text),
    }
}

fn gone(container: ContainerId, id: u64, modseq: Modseq) -> Change {
    let retained = Retained {
        blob: BlobHash::of(b""),
        size: 0,
        flags: Flags::default(),
        internal_date: sterna_base::Timestamp::default(),
        name: Some(name_of(id)),
    };
    let expunged_at = sterna_base::Timestamp::default();
    Change::Expunged(Expunged { container, uid: uid_of(id), modseq, expunged_at, retained: Some(retained) })
}

fn read_only() -> AccountError {
    AccountError::Refused(CommitError::Invalid("the directory is changed by administrators only".to_owned()))
}

/// The search index of accounts is not asked about the book: DAV reads its cards.
fn not_here() -> AccountError {
    AccountError::Unavailable("the directory has no such index".to_owned())
}

#[async_trait]
impl Account for DomainBook {
    /// Of nobody: ids of accounts begin with one.
    fn id(&self) -> AccountId {
        AccountId(0)
    }

    async fn head(&self) -> Result<Head, AccountError> {
        let modseq = self.the_container().await?.highest_modseq;
        let (epoch, role, quota, digest) = (Epoch::default(), Role::Active, Quota::default(), Digest::default());
        Ok(Head { account: self.id(), modseq, epoch, role, quota, digest })
    }

    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        Ok(vec![self.the_container().await?])
    }

    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        let container = self.the_container().await?;
        Ok(Some(container).filter(|container| container.id == id))
    }

    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        let is_it = kind == ContainerKind::AddressBook && path == [NAME.to_owned()];
        if is_it { self.containers().await } else { Ok(Vec::new()) }
    }

    async fn item_flags(&self, _: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, AccountError> {
        let from = u64::from(after.0) + 1;
        let cards = self.read(move |reader, domain| reader.cards(domain, from, u32::MAX.into(), limit)).await?;
        let of = |card: Card| ItemFlags { uid: uid_of(card.id.0), modseq: card.modseq, flags: Flags::default() };
        Ok(cards.into_iter().map(of).collect())
    }

    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        let ranges = uids.ranges().to_vec();
        self.read(move |reader, domain| {
            let mut items = Vec::new();
            for (from, to) in ranges {
                let cards = reader.cards(domain, from.0.into(), to.0.into(), limit - items.len())?;
                items.extend(cards.into_iter().map(|card| item(container, card, parts)));
                if items.len() >= limit {
                    break;
                }
            }
            Ok(items)
        })
        .await
    }

    async fn item_named(
        &self,
        container: ContainerId,
        name: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        let id = name.strip_suffix(".vcf").and_then(|id| id.parse::<u64>().ok()).filter(|id| name_of(*id) == name);
        let Some(id) = id else { return Ok(None) };
        let found = self.read(move |reader, domain| reader.card(domain, AccountId(id))).await?;
        Ok(found.map(|card| item(container, card, parts)))
    }

    async fn expunged(&self, _: ContainerId, _: Modseq, _: Uid, _: usize) -> Result<Vec<Expunged>, AccountError> {
        Ok(Vec::new())
    }

    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        let container = self.the_container().await?;
        self.container_changes(container.id, after, limit).await
    }

    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        let limit = limit.clamp(1, PAGE_ITEMS_MAX);
        self.read(move |reader, domain| {
            // A cursor "since n" stands after everything of n.
            let place = if after.is_past(after.modseq) { u64::MAX } else { after.uid.0.into() };
            let changed = reader.changed_entries((after.modseq, place), limit + 1)?;
            let has_more = changed.len() > limit;
            let mut rows = Vec::new();
            for (id, modseq) in changed.into_iter().take(limit) {
                rows.push(match reader.card(domain, AccountId(id))? {
                    Some(card) => Change::Item(item(container, card, ItemParts::default())),
                    None => gone(container, id, modseq),
                });
            }
            let next = rows.last().map(Change::cursor).filter(|_| has_more);
            Ok(Changes { rows, head: reader.last_entry_change()?, next })
        })
        .await
    }

    async fn blob(&self, hash: BlobHash, _: Range<u64>) -> Result<Bytes, AccountError> {
        Err(AccountError::Store(StoreError::NoSuchBlob(hash)))
    }

    async fn search(&self, _: ContainerId, _: &Filter, _: &UidSet) -> Result<Found, AccountError> {
        Err(not_here())
    }

    async fn relevancy(&self, _: ContainerId, _: &Filter, _: &UidSet) -> Result<Vec<(Uid, u8)>, AccountError> {
        Err(not_here())
    }

    async fn commit(&self, _: OperationId, _: Vec<Mutation>) -> Result<Committed, AccountError> {
        Err(read_only())
    }

    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        Err(read_only())
    }

    async fn staged_blob(&self, hash: BlobHash, _: Range<u64>) -> Result<Bytes, AccountError> {
        Err(AccountError::Store(StoreError::NoSuchBlob(hash)))
    }

    fn watch(&self) -> watch::Receiver<Modseq> {
        self.directory.watch()
    }
}
