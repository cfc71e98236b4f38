//! DELETE (RFC 4918 section 9.6).

use std::collections::BTreeSet;

use http::{Response, StatusCode};
use sterna_account::{Container, ContainerKind, ItemParts, Mutation, Rights, calendars, files};
use sterna_base::OperationId;
use sterna_formats::calendar::Facts;

use super::put::send;
use crate::dav::answer::{Problem, done};
use crate::dav::body::Body;
use crate::dav::context::{Context, Request};
use crate::dav::limits::{COLLECTIONS_MAX, SCHEDULED_DELETED_MAX, TRIES};
use crate::dav::locks::Write;
use crate::dav::mounted;
use crate::dav::paths::Space;
use crate::dav::precondition::{came_too_late, check_write};
use crate::dav::property::WRITE;
use crate::dav::report::listing::Pages;
use crate::dav::resource::{Collection, Resource};
use crate::dav::scheduling::{Change, Scheduled, check_tag, is_scheduling};
use crate::dav::stored::{self, Stored};
use crate::dav::{attachments, file_links};

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    if let Some(token) = request.context.uri.query().and_then(|query| query.strip_prefix("link=")) {
        return file_links::revoke(&request.context, token).await;
    }
    // Whoever mistypes a question about something must not lose the thing.
    if request.context.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Problem::bad_request("That is no question that DELETE knows"));
    }
    for _ in 0..TRIES {
        match delete(&request.context).await {
            Err(problem) if came_too_late(&problem) => {}
            result => return result,
        }
    }
    Err(Problem::unavailable(1))
}

async fn delete(context: &Context) -> Result<Response<Body>, Problem> {
    let parts = ItemParts { summary: true, ..ItemParts::default() };
    let resource = Resource::find(context, context.uri.path(), parts).await?;
    let href = resource.canonical();
    match &resource {
        Resource::Missing(_) => return Err(Problem::not_found()),
        Resource::Item(collection, item) => {
            collection.check(Rights::DELETE, "unbind")?;
            let write = Write { path: &href, changes_members: true, with_below: false };
            let (locks, _) = check_write(context, &collection.home, &resource, write).await?;
            check_tag(context, Some(item))?;
            let held = match collection.space {
                Space::Calendars => attachments::held(collection.home.account.as_ref(), item).await?,
                _ => BTreeSet::new(),
            };
            let scheduled = Change { context, collection, old: Some(item), new: None }.plan().await?;
            let account = collection.home.account.as_ref();
            let container = collection.container.id;
            let mut steps = vec![locks.expectation()];
            // Only what was seen is deleted: somebody may have written it anew.
            steps.push(unchanged(container, item));
            steps.push(Mutation::Remove { container, name: item.name.clone().unwrap_or_default() });
            steps.extend(locks.released(&href, false));
            steps.extend(Stored::read(account, container).await?.forgotten(item.uid));
            let kept_from = steps.len();
            if let Some(scheduled) = &scheduled {
                steps.extend(scheduled.steps(account).await?);
            }
            let committed = account.commit(OperationId::random(), steps).await?;
            if let Some(scheduled) = scheduled {
                let kept = committed.outcomes.get(kept_from..).unwrap_or_default();
                send(context, collection, None, scheduled, kept).await;
            }
            attachments::tidy(collection, item, &held, &BTreeSet::new()).await;
        }
        // Nobody loses a calendar because somebody doesn't want to see it.
        Resource::Collection(collection) if collection.mount().is_some() => {
            if let Some(mounted) = collection.mount() {
                mounted::hide(collection, mounted).await?;
            }
        }
        Resource::Collection(collection) => {
            if is_scheduling(&collection.container) {
                return Err(Problem::new(StatusCode::FORBIDDEN, "That stays"));
            }
            collection.check_unbind().await?;
            if collection.path.is_empty() {
                return Err(Problem::new(StatusCode::FORBIDDEN, "The root of the files stays"));
            }
            let write = Write { path: &href, changes_members: true, with_below: true };
            let (locks, _) = check_write(context, &collection.home, &resource, write).await?;
            check_not_needed(collection).await?;
            let scheduled = all_scheduled(context, collection).await?;
            let attached = attachments::held_by_all(collection).await?;
            let mut steps = vec![locks.expectation()];
            if !scheduled.is_empty() {
                steps.push(as_seen(collection));
            }
            steps.extend(tree_deleted(collection).await?);
            steps.extend(noticed_above(&collection.container));
            steps.extend(locks.released(&href, true));
            let mut kept_from = steps.len();
            for one in &scheduled {
                steps.extend(one.steps(collection.home.account.as_ref()).await?);
            }
            let committed = collection.home.account.commit(OperationId::random(), steps).await?;
            for one in scheduled {
                let kept = committed.outcomes.get(kept_from..kept_from + one.messages.len()).unwrap_or_default();
                kept_from += kept.len();
                send(context, collection, None, one, kept).await;
            }
            for (item, held) in attached {
                attachments::tidy(collection, &item, &held, &BTreeSet::new()).await;
            }
        }
        _ => return Err(Problem::new(StatusCode::FORBIDDEN, "That stays")),
    }
    Ok(done(StatusCode::NO_CONTENT))
}

/// Invitations need a place to go to: the calendar that their owner chose for them stays, and so does the last one
/// (`default-calendar-needed`, RFC 6638 section 9.2). Whoever chose none can delete the others as before: the next one
/// takes the place.
///
/// # Errors
/// `403`, or when the account can't be read.
pub async fn check_not_needed(collection: &Collection) -> Result<(), Problem> {
    let (account, container) = (collection.home.account.as_ref(), &collection.container);
    if container.kind == ContainerKind::Calendar && calendars::is_needed(account, container.id).await? {
        let text = "Invitations go to this calendar: choose another one for them first";
        return Err(Problem::forbidden("<C:default-calendar-needed/>", text));
    }
    Ok(())
}

/// Goes on only while the calendar is as it was looked at.
fn as_seen(collection: &Collection) -> Mutation {
    let container = &collection.container;
    let (kind, name) = (container.kind, container.name.clone());
    Mutation::ExpectContainer { kind, name, highest_modseq: Some(container.highest_modseq) }
}

/// What a calendar has to say to others when it goes: as if each of its meetings were deleted (RFC 6638 section 3.2.4).
/// Those that are over are nobody's concern any more.
pub async fn all_scheduled(context: &Context, collection: &Collection) -> Result<Vec<Scheduled>, Problem> {
    let mut found = Vec::new();
    if collection.space != Space::Calendars || collection.container.kind == ContainerKind::DerivedCalendar {
        return Ok(found);
    }
    let now_s = context.now().seconds();
    let is_meant = |item: &sterna_account::Item| {
        let facts = item.summary.as_deref().and_then(Facts::decode);
        facts.is_none_or(|facts| facts.schedule_tag.is_some() && facts.last.is_none_or(|last| last >= now_s))
    };
    let (mut pages, mut messages) = (Pages::new(collection, ItemParts { summary: true, ..ItemParts::default() }), 0);
    while let Some(items) = pages.next().await? {
        for item in items.iter().filter(|item| is_meant(item)) {
            let change = Change { context, collection, old: Some(item), new: None };
            let Some(scheduled) = change.plan().await? else { continue };
            messages += scheduled.messages.len();
            if messages > SCHEDULED_DELETED_MAX {
                let text = "Too many people are invited to what is in it; delete some of the meetings first";
                return Err(Problem::new(StatusCode::FORBIDDEN, text));
            }
            if !scheduled.messages.is_empty() {
                found.push(scheduled);
            }
        }
    }
    Ok(found)
}

/// The step that fails when the item's content is not what was seen: it writes the same content over itself, which is
/// done in the same commit as what follows and so is never seen.
pub fn unchanged(container: sterna_base::ContainerId, item: &sterna_account::Item) -> Mutation {
    let new = sterna_account::NewItem {
        content: sterna_account::Content::Stored(item.blob),
        summary: None,
        internal_date: Some(item.internal_date),
        flags: sterna_account::FlagSet::default(),
        name: item.name.clone(),
        object_uid: item.object_uid.clone(),
    };
    Mutation::Put { container, item: new, expect: sterna_account::commit::Expect::Content(item.blob) }
}

/// The steps that delete a collection and those below it, with what was noted about them: the deepest first.
///
/// # Errors
/// When the user may not delete one of them, or there are too many.
pub async fn tree_deleted(collection: &Collection) -> Result<Vec<Mutation>, Problem> {
    let account = collection.home.account.as_ref();
    let all = account.containers().await?;
    let tree = tree_of(&collection.container, &all);
    if tree.len() > COLLECTIONS_MAX || tree.len() * 2 > sterna_account::commit::MUTATIONS_MAX / 2 {
        return Err(Problem::new(StatusCode::FORBIDDEN, "There are too many collections in it; delete those first"));
    }
    let mut steps = Vec::new();
    for container in tree.iter().rev() {
        // Whoever may change what is in a folder may take the folders in it away.
        let rights = collection.home.rights(container);
        let is_below = collection.space == Space::Files && rights.has(WRITE);
        if !rights.has(Rights::DELETE_MAILBOX) && !is_below {
            return Err(Problem::no_right(&collection.href(), "unbind"));
        }
        steps.extend(stored::forget(account, container.id).await?);
        steps.push(Mutation::DeleteContainer { container: container.id });
    }
    Ok(steps)
}

/// The steps by which the folder above hears that this one comes or goes.
pub fn noticed_above(container: &Container) -> Vec<Mutation> {
    match container.parent.filter(|_| container.kind == ContainerKind::Files) {
        Some(parent) => files::folder_changed(parent, &container.name, &container.acl),
        None => Vec::new(),
    }
}

/// A container and those below it, each after the one it hangs under.
pub fn tree_of(root: &Container, all: &[Container]) -> Vec<Container> {
    let mut tree = vec![root.clone()];
    if root.kind != ContainerKind::Files {
        return tree;
    }
    let mut at = 0;
    while let Some(parent) = tree.get(at).map(|container| container.id) {
        tree.extend(all.iter().filter(|container| container.parent == Some(parent)).cloned());
        at += 1;
    }
    tree
}
