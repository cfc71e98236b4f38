//! PUT (RFC 9110 section 9.3.4; RFC 4791 section 5.3.2; RFC 6352 section 6.3.2).
//!
//! Objects are read before they are stored, and stored as they came: their tag is the tag of what the client sent.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LOCATION, CONTENT_TYPE, ETAG};
use http::{HeaderName, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use sterna_account::account::BlobUpload;
use sterna_account::commit::Expect;
use sterna_account::{
    Account, AccountError, CommitError, Content, Item, ItemParts, Mutation, NewItem, Outcome, Rights, files,
};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, OperationId};
use sterna_formats::calendar::{Calendar, Facts, Kind, Refusal};
use sterna_formats::card;
use sterna_formats::content_line::OBJECT_BYTES_MAX;
use sterna_formats::dav::write;
use tokio::time::Instant;

use super::get::content;
use crate::dav::answer::{Problem, done, with_header};
use crate::dav::attachments;
use crate::dav::body::{self, Body};
use crate::dav::context::{Context, Request};
use crate::dav::limits::{FILE_BYTES_MAX, LOOKED_AT_MAX, NAME_BYTES_MAX, PARSED_INLINE_BYTES_MAX, TRIES};
use crate::dav::locks::Write;
use crate::dav::one_look::{self, Beside};
use crate::dav::paths::Space;
use crate::dav::precondition::{came_too_late, check_tags, check_write, check_write_with};
use crate::dav::property::{components, content_type, etag};
use crate::dav::resource::{Collection, Resource};
use crate::dav::scheduling::{Change, Scheduled, carry, check_tag, is_scheduling, may_concern};
use crate::dav::stored::Stored;

/// What is to be stored.
pub struct Prepared {
    pub content: Content,
    pub hash: BlobHash,
    pub summary: Option<Bytes>,
    pub object_uid: Option<String>,
    /// Of calendar objects.
    pub kind: Option<Kind>,
    /// Of calendar objects: what was sent.
    pub scheduled: Option<Bytes>,
}

impl Prepared {
    /// The item of this name.
    pub fn item(&self, name: String) -> NewItem {
        let (summary, object_uid) = (self.summary.clone(), self.object_uid.clone());
        NewItem { summary, object_uid, ..NewItem::named(name, self.content.clone()) }
    }
}

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let path = request.context.uri.path().to_owned();
    at(&request.context, request.body, &path).await
}

/// Writes what lies at a path, which POST finds itself.
///
/// # Errors
/// Why it is not written.
pub async fn at(context: &Context, mut body: Incoming, path: &str) -> Result<Response<Body>, Problem> {
    if context.headers.contains_key("content-range") {
        return Err(Problem::bad_request("only whole resources are written"));
    }
    // What can be refused now is refused before the client has sent everything.
    let looked_at = Instant::now();
    let target = match Target::find(context, path).await.and_then(|target| {
        check_tags(context, &target.resource)?;
        Ok(target)
    }) {
        Ok(target) => target,
        Err(problem) => {
            body::drain(body, &context.headers).await;
            return Err(problem);
        }
    };
    let account = target.collection()?.home.account.clone();
    let prepared = match target.collection()?.space {
        Space::Files => receive(&mut body, account.as_ref(), FILE_BYTES_MAX).await?.0,
        space => {
            prepare(
                space,
                body::whole(body, OBJECT_BYTES_MAX).await.map_err(|problem| too_large(space, problem))?,
                account.as_ref(),
            )
            .await?
        }
    };
    // What was found is good for the commit, which says what it expects there. Whoever sends slowly may have lost the
    // right to meanwhile.
    let mut found = Some(target).filter(|_| looked_at.elapsed() < LOOKED_AT_MAX);
    for _ in 0..TRIES {
        let target = match found.take() {
            Some(target) => target,
            None => Target::find(context, path).await?,
        };
        match store_at(context, target, &prepared, None).await {
            Err(problem) if came_too_late(&problem) => {}
            result => return result,
        }
    }
    Err(Problem::unavailable(1))
}

fn too_large(space: Space, problem: Problem) -> Problem {
    let condition = if space == Space::Calendars { "<C:max-resource-size/>" } else { "<A:max-resource-size/>" };
    match problem.status {
        StatusCode::PAYLOAD_TOO_LARGE => problem.condition(condition),
        _ => problem,
    }
}

/// Where it goes.
struct Target {
    resource: Resource,
    beside: Option<Beside>,
}

impl Target {
    async fn find(context: &Context, path: &str) -> Result<Self, Problem> {
        let parts = ItemParts { summary: true, ..ItemParts::default() };
        let (resource, beside) = match one_look::object(context, path, parts).await? {
            Some((resource, beside)) => (resource, Some(beside)),
            None => (Resource::find(context, path, parts).await?, None),
        };
        match &resource {
            Resource::Item(collection, _) => collection.check(Rights::WRITE | Rights::INSERT, "write-content")?,
            Resource::Missing(missing) => {
                let Some(parent) = &missing.parent else {
                    return Err(Problem::forbidden("<D:resource-must-be-null/>", "Make a collection first"));
                };
                parent.check(Rights::INSERT, "bind")?;
                check_name(&missing.name)?;
            }
            _ => return Err(Problem::not_allowed()),
        }
        let target = Target { resource, beside };
        if is_scheduling(&target.collection()?.container) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "Only the server puts something there"));
        }
        Ok(target)
    }

    fn collection(&self) -> Result<&Collection, Problem> {
        match &self.resource {
            Resource::Item(collection, _) => Ok(collection),
            Resource::Missing(missing) => missing.parent.as_ref().ok_or_else(Problem::not_found),
            _ => Err(Problem::not_allowed()),
        }
    }
}

/// Whether an item may be called so.
///
/// # Errors
/// `403`.
pub fn check_name(name: &str) -> Result<(), Problem> {
    let good = name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err(Problem::forbidden("<D:name-allowed/>", "It can't be called so")) }
}

/// Writes it where the path leads. What was made of something that is there is only written over that: `made_of`.
///
/// # Errors
/// Why it is not written.
pub async fn store(
    context: &Context,
    path: &str,
    prepared: &Prepared,
    made_of: Option<BlobHash>,
) -> Result<Response<Body>, Problem> {
    store_at(context, Target::find(context, path).await?, prepared, made_of).await
}

async fn store_at(
    context: &Context,
    target: Target,
    prepared: &Prepared,
    made_of: Option<BlobHash>,
) -> Result<Response<Body>, Problem> {
    let (collection, is_new) = (target.collection()?, matches!(target.resource, Resource::Missing(_)));
    let href = target.resource.canonical();
    let write = Write { path: &href, changes_members: is_new, with_below: false };
    let (locks, stored) = match &target.beside {
        Some(Beside { locks, stored }) => {
            check_write_with(context, &target.resource, write, locks).await?;
            (locks.clone(), Some(stored))
        }
        None => (check_write(context, &collection.home, &target.resource, write).await?.0, None),
    };
    let (name, expect) = match &target.resource {
        Resource::Item(_, item) => {
            check_same_uid(collection, item, prepared)?;
            (item.name.clone().unwrap_or_default(), Expect::Content(item.blob))
        }
        Resource::Missing(missing) => (missing.name.clone(), Expect::Absent),
        _ => return Err(Problem::not_allowed()),
    };
    match (prepared.kind, stored) {
        (Some(kind), Some(stored)) => check_component_with(collection, kind, stored)?,
        (kind, _) => check_component(collection, kind).await?,
    }
    let old = match &target.resource {
        Resource::Item(_, item) => Some(item),
        _ => None,
    };
    if made_of.is_some() && old.map(|old| old.blob) != made_of {
        return Err(AccountError::Refused(CommitError::Unexpected).into());
    }
    check_tag(context, old)?;
    let attached = Attached::of(collection, old, prepared.scheduled.as_ref(), made_of.is_some()).await?;
    let change = Change { context, collection, old, new: prepared.scheduled.as_ref() };
    if prepared.kind.is_some()
        && may_concern(old, prepared.summary.as_deref())
        && let Some(scheduled) = change.plan().await?
    {
        let place = (name, expect, locks.expectation());
        let answer = store_scheduled(context, collection, place, prepared, scheduled).await?;
        attached.tidy(collection, old).await;
        return Ok(answer);
    }
    let former = match &target.resource {
        Resource::Item(folder, item) if folder.space == Space::Files && item.blob != prepared.hash => {
            files::kept(folder.container.id, item)
        }
        _ => Vec::new(),
    };
    let account = collection.home.account.as_ref();
    let last = put(collection, name, prepared, expect);
    let steps: Vec<Mutation> = [locks.expectation()].into_iter().chain(former.clone()).chain([last.clone()]).collect();
    let written = match account.commit(OperationId::random(), steps).await {
        // The former content counts beside the new one for a moment. Who has no room for both has no version.
        Err(AccountError::Refused(CommitError::OverQuota)) if !former.is_empty() => {
            account.commit(OperationId::random(), vec![locks.expectation(), last]).await
        }
        written => written,
    };
    written.map_err(|error| refused(collection, error))?;
    attached.tidy(collection, old).await;
    let answer = if context.prefer().representation {
        representation(context, &target.resource.href(), is_new).await?
    } else {
        done(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
    };
    Ok(with_header(answer, ETAG, &etag(prepared.hash)))
}

/// The attachments of an object before and after a write, where the server keeps any.
#[derive(Default)]
struct Attached {
    held: BTreeSet<String>,
    named: BTreeSet<String>,
}

impl Attached {
    async fn of(
        collection: &Collection,
        old: Option<&Item>,
        new: Option<&Bytes>,
        is_ours: bool,
    ) -> Result<Self, Problem> {
        let account = collection.home.account.as_ref();
        let Some(new) = new else { return Ok(Attached::default()) };
        let held = match old {
            Some(old) => attachments::held(account, old).await?,
            None => BTreeSet::new(),
        };
        let named = match is_ours {
            true => attachments::named(new).await,
            false => attachments::check(account, new, &held, old).await?,
        };
        Ok(Attached { held, named })
    }

    async fn tidy(&self, collection: &Collection, old: Option<&Item>) {
        if let Some(old) = old {
            attachments::tidy(collection, old, &self.held, &self.named).await;
        }
    }
}

/// What was written, for who wants to see it (RFC 7240 section 4.2, RFC 8144 section 3).
async fn representation(context: &Context, href: &str, is_new: bool) -> Result<Response<Body>, Problem> {
    let parts = ItemParts { summary: true, body: true, summary_start: false };
    let Resource::Item(collection, item) = Resource::find(context, href, parts).await? else {
        // Somebody has deleted it since.
        return Ok(done(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT }));
    };
    let mut answer = content(collection.home.account.clone(), &item);
    *answer.status_mut() = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let answer = with_header(answer, CONTENT_TYPE, &content_type(collection.space, &item));
    let answer = with_header(answer, CONTENT_LOCATION, href);
    Ok(with_header(answer, HeaderName::from_static("preference-applied"), "return=representation"))
}

/// Writes an object that others are concerned by, with what they are to be told.
async fn store_scheduled(
    context: &Context,
    collection: &Collection,
    (name, expect, locks): (String, Expect, Mutation),
    prepared: &Prepared,
    scheduled: Scheduled,
) -> Result<Response<Body>, Problem> {
    let account = &collection.home.account;
    let status = if expect == Expect::Absent { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    let stored = as_scheduled(collection, prepared, &scheduled).await?;
    let (written, is_same) = (stored.as_ref().unwrap_or(prepared), stored.is_none());
    let mut steps = vec![locks, put(collection, name.clone(), written, expect)];
    let kept_from = steps.len();
    steps.extend(scheduled.steps(account.as_ref()).await?);
    let operation = OperationId::random();
    let committed = account.commit(operation, steps).await.map_err(|error| refused(collection, error))?;
    send(context, collection, Some(name), scheduled, committed.outcomes.get(kept_from..).unwrap_or_default()).await;
    let mut response = done(status);
    if is_same {
        response = with_header(response, ETAG, &etag(prepared.hash));
    }
    Ok(match tag(written) {
        Some(tag) => with_header(response, HeaderName::from_static("schedule-tag"), &tag),
        None => response,
    })
}

/// What is stored of an object that others are concerned by, if it has to say something else than what was sent.
///
/// # Errors
/// As [`prepare`].
pub async fn as_scheduled(
    collection: &Collection,
    prepared: &Prepared,
    scheduled: &Scheduled,
) -> Result<Option<Prepared>, Problem> {
    let is_same = scheduled.object.as_ref().is_some_and(|object| {
        let sent = prepared.scheduled.as_ref().and_then(|sent| Calendar::parse(sent).ok());
        sent.is_some_and(|sent| sent.root == object.root)
    });
    if is_same {
        return Ok(None);
    }
    let text = scheduled.object.as_ref().map(Calendar::text).unwrap_or_default();
    prepare(collection.space, Bytes::from(text), collection.home.account.as_ref()).await.map(Some)
}

fn tag(written: &Prepared) -> Option<String> {
    let facts = written.summary.as_deref().and_then(Facts::decode)?;
    facts.schedule_tag.map(|tag| format!("\"{tag}\""))
}

/// Carries what a change has to say, as it was kept in the change's commit.
pub async fn send(
    context: &Context,
    collection: &Collection,
    name: Option<String>,
    scheduled: Scheduled,
    kept: &[Outcome],
) {
    let (Some(scheduling), Some(outbox)) = (context.shared.scheduling.clone(), scheduled.outbox) else { return };
    let uids = kept.iter().filter_map(|outcome| match outcome {
        Outcome::Appended { uid, .. } => Some(*uid),
        _ => None,
    });
    let messages = uids.zip(scheduled.messages).collect();
    let object = name.map(|name| (collection.container.id, name));
    carry(collection.home.account.clone(), scheduling, outbox, object, messages).await;
}

/// The step that writes it.
pub fn put(collection: &Collection, name: String, prepared: &Prepared, expect: Expect) -> Mutation {
    Mutation::Put { container: collection.container.id, item: prepared.item(name), expect }
}

/// RFC 4791 section 5.3.2.1: what is there under a name keeps its UID.
fn check_same_uid(collection: &Collection, item: &sterna_account::Item, prepared: &Prepared) -> Result<(), Problem> {
    match (&item.object_uid, &prepared.object_uid) {
        (Some(old), Some(new)) if old != new => Err(uid_conflict(collection, item.name.as_deref().unwrap_or_default())),
        _ => Ok(()),
    }
}

pub fn uid_conflict(collection: &Collection, name: &str) -> Problem {
    let prefix = if collection.space == Space::Calendars { "C" } else { "A" };
    let mut condition = format!("<{prefix}:no-uid-conflict>");
    write::href(&collection.href_of(name), &mut condition);
    condition.push_str(&format!("</{prefix}:no-uid-conflict>"));
    Problem::forbidden(&condition, "Another resource has the same UID, or this one had another")
}

/// Why the account refused it, in the words of DAV.
pub fn refused(collection: &Collection, error: AccountError) -> Problem {
    match &error {
        AccountError::Refused(CommitError::ObjectUidTaken { name }) => uid_conflict(collection, name),
        _ => error.into(),
    }
}

/// Whether a calendar holds components of this kind.
///
/// # Errors
/// `403 supported-calendar-component`
pub async fn check_component(collection: &Collection, kind: Option<Kind>) -> Result<(), Problem> {
    let Some(kind) = kind else { return Ok(()) };
    let stored = Stored::read(collection.home.account.as_ref(), collection.container.id).await?;
    check_component_with(collection, kind, &stored)
}

fn check_component_with(collection: &Collection, kind: Kind, stored: &Stored) -> Result<(), Problem> {
    if components(collection.container.kind, stored).contains(&kind) {
        return Ok(());
    }
    let text = format!("This calendar does not hold {}", kind.name());
    Err(Problem::forbidden("<C:supported-calendar-component/>", text))
}

/// Reads an object, and makes its content ready to be committed.
///
/// # Errors
/// The precondition that does not hold.
pub async fn prepare(space: Space, bytes: Bytes, account: &dyn Account) -> Result<Prepared, Problem> {
    let read = {
        let bytes = bytes.clone();
        move || read_object(space, &bytes)
    };
    let (summary, object_uid, kind) = if bytes.len() <= PARSED_INLINE_BYTES_MAX {
        read()?
    } else {
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The server could not read that"))??
    };
    let hash = BlobHash::of(&bytes);
    let scheduled = (space == Space::Calendars).then(|| bytes.clone());
    let content = if bytes.len() <= INLINE_BLOB_BYTES_MAX {
        Content::Inline(bytes)
    } else {
        let mut upload = account.stage_blob().await?;
        upload.write(bytes).await?;
        Content::Stored(upload.finish().await?.0)
    };
    Ok(Prepared { content, hash, summary: Some(summary.into()), object_uid: Some(object_uid), kind, scheduled })
}

fn read_object(space: Space, bytes: &[u8]) -> Result<(Vec<u8>, String, Option<Kind>), Problem> {
    if space == Space::AddressBooks {
        let condition = "<A:valid-address-data/>";
        let parsed = card::parse(bytes).map_err(|error| Problem::forbidden(condition, error.to_string()))?;
        let facts = card::Facts::of(&parsed).map_err(|refusal| match refusal {
            card::Refusal::Data(_) => Problem::forbidden(condition, refusal.to_string()),
            card::Refusal::Version => Problem::forbidden("<A:supported-address-data/>", refusal.to_string()),
        })?;
        return Ok((facts.encode(), facts.uid, None));
    }
    let condition = "<C:valid-calendar-data/>";
    let calendar = Calendar::parse(bytes).map_err(|error| Problem::forbidden(condition, error.to_string()))?;
    let facts = Facts::of(&calendar).map_err(|refusal| {
        let condition = match refusal {
            Refusal::Data(_) => condition,
            Refusal::Object(_) => "<C:valid-calendar-object-resource/>",
            Refusal::Component => "<C:supported-calendar-component/>",
        };
        Problem::forbidden(condition, refusal.to_string())
    })?;
    Ok((facts.encode(), facts.uid.clone(), Some(facts.kind)))
}

/// Takes in a file: a small one in memory, a large one as it comes. With its length in bytes.
///
/// # Errors
/// `413` when it is longer than `bytes_max`, `507` when there is no room for it.
pub async fn receive(body: &mut Incoming, account: &dyn Account, bytes_max: u64) -> Result<(Prepared, u64), Problem> {
    let announced = body.size_hint().lower();
    if announced > bytes_max {
        return Err(Problem::too_large());
    }
    // What can't fit is refused before it is sent; the commit decides in the end.
    let quota = account.head().await?.quota;
    let room = quota.bytes_max.map_or(u64::MAX, |max| max.saturating_sub(quota.bytes_used));
    let is_over = |bytes: u64| if bytes > room { Err(AccountError::Refused(CommitError::OverQuota)) } else { Ok(()) };
    is_over(announced)?;
    let (mut held, mut upload): (BytesMut, Option<Box<dyn BlobUpload>>) = Default::default();
    let mut length = 0u64;
    while let Some(bytes) = body::next(body).await? {
        length += bytes.len() as u64;
        if length > bytes_max {
            return Err(Problem::too_large());
        }
        // Without an announcement, too, nobody stages more than there is room for.
        is_over(length)?;
        match &mut upload {
            Some(upload) => upload.write(bytes).await?,
            None if held.len() + bytes.len() <= INLINE_BLOB_BYTES_MAX => held.extend_from_slice(&bytes),
            None => {
                let mut begun = account.stage_blob().await?;
                if !held.is_empty() {
                    begun.write(held.split().freeze()).await?;
                }
                begun.write(bytes).await?;
                upload = Some(begun);
            }
        }
    }
    let (content, hash) = match upload {
        Some(upload) => {
            let (hash, _) = upload.finish().await?;
            (Content::Stored(hash), hash)
        }
        None => {
            let bytes = held.freeze();
            let hash = BlobHash::of(&bytes);
            (Content::Inline(bytes), hash)
        }
    };
    let prepared = Prepared { content, hash, summary: None, object_uid: None, kind: None, scheduled: None };
    Ok((prepared, length))
}
