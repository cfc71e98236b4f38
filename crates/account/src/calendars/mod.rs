//! Calendars of an account as scheduling needs them, whoever does it: sessions of DAV for their users, the mail flow
//! for what came by mail.
//!
//! [`receive`] takes a message of iTIP into an account, [`busy`] says when its owner is, [`pending`] keeps what the
//! owner has to tell others until somebody has it. [`spans`] knows which objects of a calendar are when.
//! [`external`] and [`birthdays`] are calendars that are made of something else.

pub mod birthdays;
pub mod busy;
mod cancelled;
pub mod external;
pub mod pending;
pub mod receive;
pub mod spans;
mod writing;

use bytes::Bytes;
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::{BlobHash, ContainerId, OperationId};
use sterna_formats::calendar::zone::zone_of;
use sterna_formats::calendar::{Calendar, Kind, Zone};
use sterna_formats::dav::Element;

use crate::commit::Expect;
use crate::{
    Account, AccountError, Answer, CommitError, Container, ContainerKind, Content, Head, Item, ItemParts, Lookup,
    Mutation, NewItem, Outcome, StoreError, container_named,
};

/// The name of the scheduling inbox.
pub const INBOX: &str = "inbox";

/// The name of the scheduling outbox.
pub const OUTBOX: &str = "outbox";

/// The kinds of collections whose objects are scheduled.
const SCHEDULED: [ContainerKind; 2] = [ContainerKind::Calendar, ContainerKind::Tasks];

/// The namespace of CalDAV in names of notes.
const CALDAV: &str = "urn:ietf:params:xml:ns:caldav";

/// The property of a scheduling inbox by which its owner says what invitations by mail do
/// ([`crate::scheduling::MailPolicy`]).
pub const MAIL_POLICY: (&str, &str) = ("urn:sterna:dav", "mail-invitations");

/// The scheduling inbox or outbox, made when there is none.
///
/// # Errors
/// When the account can't be read or written.
pub async fn scheduling_collection(account: &dyn Account, kind: ContainerKind) -> Result<Container, AccountError> {
    let name = if kind == ContainerKind::ScheduleInbox { INBOX } else { OUTBOX };
    container_named(account, kind, name).await
}

/// What was noted about a collection under a property's name: its XML.
///
/// # Errors
/// When the account can't be read.
pub async fn note(
    account: &dyn Account,
    about: ContainerId,
    property: (&str, &str),
) -> Result<Option<Element>, AccountError> {
    let found = note_item(account, about, &note_name(property)).await?;
    Ok(found.and_then(|body| Element::parse(&body).ok()))
}

/// A property of collections, by namespace and name.
pub type Property = (&'static str, &'static str);

/// Collections whose notes are asked for at once.
const NOTED_AT_ONCE: usize = 8;

/// What was noted about collections under the names of these properties, at most six of each, asked at once; and the
/// account as it was, if anything is asked.
///
/// # Errors
/// When the account can't be read.
pub async fn notes(
    account: &dyn Account,
    wanted: &[(ContainerId, &[Property])],
) -> Result<(Option<Head>, Vec<Vec<Option<Element>>>), AccountError> {
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let element = |answer: Answer| Element::parse(&answer.item()?.body?).ok();
    let (mut head, mut noted) = (None, Vec::with_capacity(wanted.len()));
    for some in wanted.chunks(NOTED_AT_ONCE) {
        let mut lookups = vec![Lookup::Head];
        for (about, names) in some {
            let (of, name) = (lookups.len(), ContainerKind::about(Some(*about)));
            lookups.push(Lookup::Container { kinds: vec![ContainerKind::Metadata], name });
            lookups.extend(names.iter().map(|property| Lookup::Item { of, name: note_name(*property), parts }));
        }
        let mut answers = account.look_up(&lookups).await?.into_iter();
        head = head.or(answers.next().and_then(Answer::head));
        for (_, names) in some {
            noted.push(answers.by_ref().skip(1).take(names.len()).map(element).collect());
        }
    }
    Ok((head, noted))
}

fn note_name((namespace, local): (&str, &str)) -> String {
    format!("dav:{{{namespace}}}{local}")
}

/// What is noted about a collection under a name.
async fn note_item(account: &dyn Account, about: ContainerId, name: &str) -> Result<Option<Bytes>, AccountError> {
    let path = [ContainerKind::about(Some(about))];
    let Some(notes) = account.containers_on_path(ContainerKind::Metadata, &path).await?.pop() else { return Ok(None) };
    let parts = ItemParts { body: true, ..ItemParts::default() };
    Ok(account.item_named(notes.id, name, parts).await?.and_then(|item| item.body))
}

/// Makes a calendar that is made of something else, with what is noted about it.
///
/// # Errors
/// [`CommitError::NameTaken`] when there is a calendar of that name, or when the account can't be written.
async fn make_derived(account: &dyn Account, name: &str, notes: Vec<Mutation>) -> Result<ContainerId, AccountError> {
    let (kind, name) = (ContainerKind::DerivedCalendar, name.to_owned());
    let mut steps = vec![
        Mutation::CreateContainer { parent: None, kind, name, special_use: None },
        Mutation::CreateAbout { kind: ContainerKind::Metadata },
    ];
    steps.extend(notes);
    match account.commit(OperationId::random(), steps).await?.outcomes.first() {
        Some(Outcome::Container { id, .. }) => Ok(*id),
        _ => Err(AccountError::Refused(CommitError::Unexpected)),
    }
}

/// The step that notes among these notes what a collection is shown as (`displayname`), as its owner's programs would.
fn name_shown_step(notes: ContainerId, name: &str) -> Mutation {
    let xml = format!("<displayname xmlns=\"DAV:\">{}</displayname>", sterna_formats::dav::write::text(name));
    let item = NewItem::named("dav:{DAV:}displayname", Content::Inline(Bytes::from(xml)));
    Mutation::Put { container: notes, item, expect: Expect::Any }
}

/// What a collection is shown as, if somebody has said that.
///
/// # Errors
/// When the account can't be read.
pub async fn shown_name(account: &dyn Account, about: ContainerId) -> Result<Option<String>, AccountError> {
    Ok(note(account, about, ("DAV:", "displayname")).await?.map(|name| name.text()))
}

/// Whether a calendar, or something beside calendars, has this name.
fn is_elsewhere_named(all: &[Container], name: &str) -> bool {
    let beside = [
        ContainerKind::Calendar,
        ContainerKind::Tasks,
        ContainerKind::Notes,
        ContainerKind::ScheduleInbox,
        ContainerKind::ScheduleOutbox,
        ContainerKind::DerivedCalendar,
    ];
    let is_reserved = matches!(name, INBOX | OUTBOX);
    is_reserved || all.iter().any(|one| one.parent.is_none() && one.name == name && beside.contains(&one.kind))
}

/// The zone of floating times of a calendar, as its owner's programs have noted it (RFC 4791 section 5.2.2).
///
/// # Errors
/// When the account can't be read.
pub async fn zone(account: &dyn Account, calendar: ContainerId) -> Result<Zone, AccountError> {
    let (_, mut noted) = notes(account, &[(calendar, &ZONE)]).await?;
    Ok(zone_noted(noted.pop().unwrap_or_default()))
}

/// Where a calendar's zone is noted: as a definition, else by its name.
const ZONE: [Property; 2] = [(CALDAV, "calendar-timezone"), (CALDAV, "calendar-timezone-id")];

/// The zone that the notes under [`ZONE`] tell of.
fn zone_noted(notes: Vec<Option<Element>>) -> Zone {
    let mut notes = notes.into_iter();
    let (given, named) = (notes.next().flatten(), notes.next().flatten());
    if let Some(given) = given
        && let Ok(parsed) = Calendar::parse(given.text().trim().as_bytes())
        && let Some(definition) = parsed.root.components.iter().find(|component| component.name == "VTIMEZONE")
        && let Some((_, zone)) = zone_of(definition)
    {
        return zone;
    }
    named.and_then(|named| Zone::named(named.text().trim())).unwrap_or(Zone::Utc)
}

/// The object with this UID, and the collection that it is in.
///
/// # Errors
/// When the account can't be read.
pub async fn find(account: &dyn Account, uid: &str) -> Result<Option<(Container, Item)>, AccountError> {
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let mut containers = account.containers().await?;
    containers.retain(|container| SCHEDULED.contains(&container.kind));
    for container in containers {
        if let Some(item) = account.object(container.id, uid, parts).await? {
            return Ok(Some((container, item)));
        }
    }
    Ok(None)
}

/// Whether an object with this UID is in another collection, too.
///
/// # Errors
/// When the account can't be read.
pub async fn is_elsewhere(account: &dyn Account, uid: &str, except: ContainerId) -> Result<bool, AccountError> {
    let containers = account.containers().await?;
    for container in containers.iter().filter(|one| SCHEDULED.contains(&one.kind) && one.id != except) {
        if account.object(container.id, uid, ItemParts::default()).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where an object of this kind goes that its owner has not put anywhere: the calendar that the owner chose
/// (`schedule-default-calendar-URL`, RFC 6638 section 9.2), else the first one.
///
/// # Errors
/// When the account can't be read or written.
pub async fn default_calendar(account: &dyn Account, kind: Kind) -> Result<Container, AccountError> {
    let wanted = if kind == Kind::Task { ContainerKind::Tasks } else { ContainerKind::Calendar };
    let find = || async {
        let mut found = account.containers().await?;
        found.retain(|container| container.kind == wanted && container.parent.is_none());
        found.sort_by_key(|container| container.id);
        Ok::<_, AccountError>(found)
    };
    let mut found = find().await?;
    if found.is_empty() {
        let is_it = |step: &Mutation| matches!(step, Mutation::CreateContainer { kind, .. } if *kind == wanted);
        let steps = crate::first_containers::groupware().into_iter().filter(is_it).collect();
        match account.commit(OperationId::random(), steps).await {
            Ok(_) | Err(AccountError::Refused(CommitError::NameTaken)) => {}
            Err(error) => return Err(error),
        }
        found = find().await?;
    }
    let chosen = match wanted {
        ContainerKind::Calendar => chosen(account).await?,
        _ => None,
    };
    let place = chosen.and_then(|name| found.iter().position(|container| container.name == name));
    let missing = AccountError::Refused(CommitError::Unexpected);
    if found.is_empty() { Err(missing) } else { Ok(found.swap_remove(place.unwrap_or(0))) }
}

/// Whether invitations have no other place to go to than this calendar: the owner chose it for them, or it is the last
/// one. Accounts of nobody who is invited (without a scheduling inbox) need none.
///
/// # Errors
/// When the account can't be read.
pub async fn is_needed(account: &dyn Account, calendar: ContainerId) -> Result<bool, AccountError> {
    let all = account.containers().await?;
    if !all.iter().any(|container| container.kind == ContainerKind::ScheduleInbox) {
        return Ok(false);
    }
    let calendars: Vec<&Container> =
        all.iter().filter(|one| one.kind == ContainerKind::Calendar && one.parent.is_none()).collect();
    let chosen = chosen(account).await?;
    let is_chosen = |one: &&Container| one.id == calendar && chosen.as_ref() == Some(&one.name);
    Ok(calendars.iter().any(is_chosen) || calendars.iter().all(|one| one.id == calendar))
}

/// The name of the calendar that the owner chose.
async fn chosen(account: &dyn Account) -> Result<Option<String>, AccountError> {
    let path = [INBOX.to_owned()];
    let Some(inbox) = account.containers_on_path(ContainerKind::ScheduleInbox, &path).await?.pop() else {
        return Ok(None);
    };
    let url = note(account, inbox.id, (CALDAV, "schedule-default-calendar-URL")).await?;
    let href = url.as_ref().and_then(|url| url.dav("href")).map(Element::text);
    let path = href.as_deref().and_then(|href| sterna_formats::dav::href::path_of(href.trim()).map(str::to_owned));
    let parts = path.and_then(|path| sterna_formats::dav::href::parts(&path).ok());
    Ok(parts.and_then(|(mut parts, _)| parts.pop()))
}

/// All bytes of an item.
///
/// # Errors
/// When they can't be read.
pub async fn body(account: &dyn Account, item: &Item) -> Result<Bytes, AccountError> {
    if let Some(body) = &item.body {
        return Ok(body.clone());
    }
    let mut bytes = bytes::BytesMut::new();
    while (bytes.len() as u64) < item.size {
        let start = bytes.len() as u64;
        let end = item.size.min(start.saturating_add(BLOB_CHUNK_BYTES as u64));
        let piece = account.blob(item.blob, start..end).await?;
        if piece.is_empty() {
            return Err(StoreError::Corrupt(format!("blob {} is shorter than its item", item.blob)).into());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// Bytes as the content of an item: long ones are staged.
///
/// # Errors
/// When they can't be staged.
pub async fn content(account: &dyn Account, bytes: Bytes) -> Result<(Content, BlobHash), AccountError> {
    if bytes.len() <= INLINE_BLOB_BYTES_MAX {
        let hash = BlobHash::of(&bytes);
        return Ok((Content::Inline(bytes), hash));
    }
    let mut upload = account.stage_blob().await?;
    upload.write(bytes).await?;
    let (hash, _) = upload.finish().await?;
    Ok((Content::Stored(hash), hash))
}
