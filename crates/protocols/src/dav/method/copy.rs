//! COPY and MOVE (RFC 4918 sections 9.8 and 9.9).
//!
//! Within one account both are one commit. A copy into another account carries the content there; a move into one is
//! that, and then the deletion here: if it ends in between, the resource is at both places, and at neither never.

use http::header::LOCATION;
use http::{Response, StatusCode};
use sterna_account::commit::{Expect, MUTATIONS_MAX};
use sterna_account::{
    Account, AccountError, CommitError, Content, Item, ItemParts, Mutation, NewItem, Outcome, Rights, UidSet,
    calendars, files,
};
use sterna_base::{ContainerId, OperationId, Uid};
use sterna_formats::calendar::Facts;
use sterna_formats::dav::headers::Depth;
use sterna_formats::dav::href::{authority_of, path_of};

use super::delete::{all_scheduled, check_not_needed, noticed_above, tree_deleted, unchanged};
use super::put::{Prepared, as_scheduled, check_component, check_name, prepare, refused, send, uid_conflict};
use crate::dav::answer::{Problem, done, with_header};
use crate::dav::body::Body;
use crate::dav::context::{Context, Request};
use crate::dav::limits::{COPIED_AT_ONCE, COPIED_ITEMS_MAX, TRIES};
use crate::dav::locks::{Locks, Write};
use crate::dav::paths::{Space, within};
use crate::dav::precondition::{came_too_late, check_if, check_tags};
use crate::dav::report::listing::Pages;
use crate::dav::resource::{Collection, Resource};
use crate::dav::scheduling::{Change, Scheduled, is_scheduling, may_concern, not_unique};
use crate::dav::stored;
use crate::message;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = &request.context;
    let destination = destination(context)?;
    for _ in 0..TRIES {
        match transfer(context, &destination).await {
            Err(problem) if came_too_late(&problem) => {}
            result => return result,
        }
    }
    Err(Problem::unavailable(1))
}

/// The path where it goes.
fn destination(context: &Context) -> Result<String, Problem> {
    let given = context.header("destination").ok_or_else(|| Problem::bad_request("there is no Destination"))?;
    let host = context.header("host").or_else(|| context.uri.authority().map(|authority| authority.as_str()));
    // Other servers are asked by nobody here.
    if let (Some(there), Some(here)) = (authority_of(given), host) {
        let name =
            |authority: &str| authority.rsplit_once(':').map_or(authority, |(name, _)| name).to_ascii_lowercase();
        if name(there) != name(here) {
            return Err(Problem::new(StatusCode::BAD_GATEWAY, "Destination is on another server"));
        }
    }
    let path = path_of(given).ok_or_else(|| Problem::bad_request("Destination is no URL"))?;
    Ok(path.to_owned())
}

/// What is done, looked up.
struct Transfer<'a> {
    context: &'a Context,
    moves: bool,
    from: &'a Resource,
    to: &'a Resource,
}

/// What a COPY or MOVE of a calendar object means for others.
#[derive(Default)]
struct Meeting {
    /// Where it comes: as it is stored there, and what that account's owner has to say.
    arrives: Option<(Prepared, Scheduled)>,
    /// What the owner of the account that it leaves has to say.
    leaves: Option<Scheduled>,
}

async fn transfer(context: &Context, destination: &str) -> Result<Response<Body>, Problem> {
    let moves = context.method.as_str() == "MOVE";
    let parts = ItemParts { summary: true, ..ItemParts::default() };
    let from = Resource::find(context, context.uri.path(), parts).await?;
    if let Resource::Missing(_) = from {
        return Err(Problem::not_found());
    }
    let to = Resource::find(context, destination, parts).await.map_err(|problem| match problem.status {
        StatusCode::NOT_FOUND => Problem::conflict("There is no such collection"),
        _ => problem,
    })?;
    let (from_href, to_href) = (from.canonical(), to.canonical());
    let is_within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is_within(&to_href, &from_href) || (is_within(&from_href, &to_href) && !matches!(to, Resource::Missing(_))) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "It can't go into itself or over itself"));
    }
    check_tags(context, &from)?;
    let exists = !matches!(to, Resource::Missing(_));
    if exists && context.header("overwrite").is_some_and(|overwrite| overwrite.trim().eq_ignore_ascii_case("f")) {
        return Err(Problem::failed_precondition());
    }
    let transfer = Transfer { context, moves, from: &from, to: &to };
    match (&from, &to) {
        (Resource::Item(source, item), _) => transfer.item(source, item).await?,
        (Resource::Collection(source), Resource::Missing(_)) => transfer.collection(source, None).await?,
        (Resource::Collection(source), Resource::Collection(over)) => transfer.collection(source, Some(over)).await?,
        (Resource::Collection(source), Resource::Item(..)) => transfer.collection(source, None).await?,
        (Resource::Collection(_), _) => return Err(Problem::conflict("A collection can't be put there")),
        _ => return Err(Problem::new(StatusCode::FORBIDDEN, "That stays where it is")),
    }
    let status = if exists { StatusCode::NO_CONTENT } else { StatusCode::CREATED };
    Ok(with_header(done(status), LOCATION, &to.href()))
}

impl Transfer<'_> {
    /// The collection and the name that something gets.
    fn place(&self) -> Result<(&Collection, String), Problem> {
        match self.to {
            Resource::Item(collection, item) => Ok((collection, item.name.clone().unwrap_or_default())),
            Resource::Missing(missing) => {
                let parent = missing.parent.as_ref();
                let parent = parent
                    .ok_or_else(|| Problem::forbidden("<D:resource-must-be-null/>", "That is for collections"))?;
                Ok((parent, missing.name.clone()))
            }
            // A file over a folder: the folder goes (RFC 4918 section 9.8.4).
            Resource::Collection(over) => match over.path.last() {
                Some(name) if over.space == Space::Files => Ok((over, name.clone())),
                _ => Err(Problem::conflict("A collection is there")),
            },
            _ => Err(Problem::conflict("A collection is there")),
        }
    }

    /// Where something is put.
    async fn parent(&self) -> Result<Option<Collection>, Problem> {
        let Resource::Collection(over) = self.to else { return Ok(None) };
        let Some((_, above)) = over.path.split_last() else { return Ok(None) };
        let path = within(over.space, &over.home.address, above.iter().map(String::as_str), true);
        match Resource::find(self.context, &path, ItemParts::default()).await? {
            Resource::Collection(parent) => Ok(Some(parent)),
            _ => Ok(None),
        }
    }

    /// The locks at both ends: nobody else's may be in the way.
    async fn locks(
        &self,
        source: &dyn Account,
        target: &dyn Account,
        with_below: bool,
    ) -> Result<(Locks, Locks), Problem> {
        let now = self.context.now();
        let there = Locks::read(target, now).await?;
        let here = if source.id() == target.id() { there.clone() } else { Locks::read(source, now).await? };
        let tokens = check_if(self.context, self.from, &here).await?;
        let user = self.context.login.account;
        let (from, to) = (self.from.canonical(), self.to.canonical());
        if self.moves {
            here.check(Write { path: &from, changes_members: true, with_below }, user, &tokens)?;
        }
        there.check(Write { path: &to, changes_members: true, with_below }, user, &tokens)?;
        Ok((here, there))
    }

    async fn item(&self, source: &Collection, item: &Item) -> Result<(), Problem> {
        let (target, name) = self.place()?;
        check_name(&name)?;
        let parent = self.parent().await?;
        let target = parent.as_ref().unwrap_or(target);
        if target.space != source.space || is_scheduling(&target.container) || is_scheduling(&source.container) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "It can't be there"));
        }
        target.check(Rights::INSERT, "bind")?;
        if self.moves {
            source.check(Rights::DELETE, "unbind")?;
        }
        if let Resource::Item(..) = self.to {
            target.check(Rights::DELETE, "unbind")?;
        }
        if target.space == Space::Calendars {
            let facts = item.summary.as_deref().and_then(Facts::decode);
            check_component(target, facts.map(|facts| facts.kind)).await?;
        }
        self.check_same_uid(target, item)?;
        let (here, there) = (source.home.account.as_ref(), target.home.account.as_ref());
        let over = match self.to {
            Resource::Collection(over) => tree_deleted(over).await?,
            _ => Vec::new(),
        };
        let (from_locks, to_locks) = self.locks(here, there, !over.is_empty()).await?;
        let meeting = self.meeting(source, item, target).await?;
        let is_one_account = here.id() == there.id();
        let (from, to) = (self.from.canonical(), self.to.canonical());
        let mut steps = vec![to_locks.expectation()];
        let (container, old_name) = (source.container.id, item.name.clone().unwrap_or_default());
        let mut leaving = vec![unchanged(container, item), Mutation::Remove { container, name: old_name }];
        if self.moves && is_one_account {
            steps.append(&mut leaving);
            steps.extend(from_locks.released(&from, false));
        }
        if let Resource::Collection(gone) = self.to {
            steps.extend(noticed_above(&gone.container));
        }
        steps.extend(over);
        if let Resource::Item(over, old) = self.to {
            let (container, name) = (over.container.id, old.name.clone().unwrap_or_default());
            steps.push(unchanged(container, old));
            steps.push(Mutation::Remove { container, name });
            steps.extend(to_locks.released(&to, false));
        }
        let new = match &meeting.arrives {
            Some((prepared, _)) => prepared.item(name.clone()),
            None => self.same(here, there, item, &name).await?,
        };
        let put_at = steps.len();
        let internal_date = if self.moves { Some(item.internal_date) } else { None };
        let new = NewItem { internal_date, ..new };
        steps.push(Mutation::Put { container: target.container.id, item: new, expect: Expect::Absent });
        if let Some((_, scheduled)) = &meeting.arrives {
            steps.extend(scheduled.steps(there).await?);
        }
        let committed = there.commit(OperationId::random(), steps).await.map_err(|error| refused(target, error))?;
        if let Some(Outcome::Appended { uid, .. }) = committed.outcomes.get(put_at) {
            self.copy_properties(source, item, target, *uid).await?;
        }
        if let Some((_, scheduled)) = meeting.arrives {
            let kept = committed.outcomes.get(put_at + 1..).unwrap_or_default();
            send(self.context, target, Some(name), scheduled, kept).await;
        }
        if self.moves && !is_one_account {
            let kept_from = leaving.len();
            if let Some(scheduled) = &meeting.leaves {
                leaving.extend(scheduled.steps(here).await?);
            }
            let committed = here.commit(OperationId::random(), leaving).await.map_err(stays)?;
            if let Some(scheduled) = meeting.leaves {
                let kept = committed.outcomes.get(kept_from..).unwrap_or_default();
                send(self.context, source, None, scheduled, kept).await;
            }
        }
        Ok(())
    }

    /// What is there under a name keeps its UID (`no-uid-conflict` of RFC 4791 section 5.3.2.1 and RFC 6352 section
    /// 6.3.2.1).
    fn check_same_uid(&self, target: &Collection, item: &Item) -> Result<(), Problem> {
        match self.to {
            Resource::Item(_, old) if target.space != Space::Files && old.object_uid != item.object_uid => {
                Err(uid_conflict(target, old.name.as_deref().unwrap_or_default()))
            }
            _ => Ok(()),
        }
    }

    /// What it means for others when a meeting goes from one calendar to another. Within an account it is the same
    /// meeting, which is in one of its owner's calendars and not in two. In another account it is new, and here it is
    /// deleted when it moves (RFC 6638 sections 3.2.1.3 and 3.2.2.3).
    async fn meeting(&self, source: &Collection, item: &Item, target: &Collection) -> Result<Meeting, Problem> {
        let over = match self.to {
            Resource::Item(_, old) => Some(old),
            _ => None,
        };
        let is_concerned =
            target.space == Space::Calendars && (may_concern(Some(item), None) || may_concern(over, None));
        if !is_concerned {
            return Ok(Meeting::default());
        }
        let (here, there) = (source.home.account.as_ref(), target.home.account.as_ref());
        if here.id() == there.id() {
            let name = item.name.as_deref().unwrap_or_default();
            return match self.moves {
                true => Ok(Meeting::default()),
                false => Err(not_unique(&source.home.address, &source.container.name, name)),
            };
        }
        let bytes = calendars::body(here, item).await?;
        let change = Change { context: self.context, collection: target, old: over, new: Some(&bytes) };
        let arrives = match change.plan().await? {
            Some(scheduled) => {
                let prepared = prepare(Space::Calendars, bytes.clone(), there).await?;
                let stored = as_scheduled(target, &prepared, &scheduled).await?;
                Some((stored.unwrap_or(prepared), scheduled))
            }
            None => None,
        };
        let change = Change { context: self.context, collection: source, old: Some(item), new: None };
        let leaves = if self.moves { change.plan().await? } else { None };
        Ok(Meeting { arrives, leaves })
    }

    /// The same content under another name.
    async fn same(&self, here: &dyn Account, there: &dyn Account, item: &Item, name: &str) -> Result<NewItem, Problem> {
        let is_one_account = here.id() == there.id();
        let content = if is_one_account { Content::Stored(item.blob) } else { self.carried(here, there, item).await? };
        // A copy of a file is not the attachment that the file was.
        let is_object = self.moves || item.summary.is_some();
        let object_uid = item.object_uid.clone().filter(|_| is_object);
        Ok(NewItem { summary: item.summary.clone(), object_uid, ..NewItem::named(name.to_owned(), content) })
    }

    /// Properties that clients set go along; without them the resource is there all the same.
    async fn copy_properties(
        &self,
        source: &Collection,
        item: &Item,
        target: &Collection,
        uid: sterna_base::Uid,
    ) -> Result<(), Problem> {
        let (here, there) = (source.home.account.as_ref(), target.home.account.as_ref());
        let stored = stored::Stored::read(here, source.container.id).await?;
        if stored.names(Some(item.uid)).is_empty() {
            return Ok(());
        }
        let notes = stored::container(there, target.container.id).await?;
        there.commit(OperationId::random(), stored.copied(item.uid, uid, notes)).await?;
        if self.moves {
            here.commit(OperationId::random(), stored.forgotten(item.uid)).await?;
        }
        Ok(())
    }

    /// The content for another account.
    async fn carried(&self, here: &dyn Account, there: &dyn Account, item: &Item) -> Result<Content, Problem> {
        if item.size <= sterna_base::limits::INLINE_BLOB_BYTES_MAX as u64 {
            return Ok(Content::Inline(message::read_all(here, item, 0..item.size).await?.freeze()));
        }
        let mut upload = there.stage_blob().await?;
        let mut offset = 0;
        while offset < item.size {
            let piece = message::read(here, item, offset..item.size).await?;
            offset += piece.len() as u64;
            upload.write(piece).await?;
        }
        Ok(Content::Stored(upload.finish().await?.0))
    }

    /// A collection: moved as it is, or made anew with copies of what is in it. `over` goes first.
    async fn collection(&self, source: &Collection, over: Option<&Collection>) -> Result<(), Problem> {
        let above = self.parent().await?;
        let above = above.as_ref().filter(|above| above.space == Space::Files);
        let (space, home, name, parent) = match self.to {
            Resource::Missing(missing) => (missing.space, &missing.home, missing.name.clone(), missing.parent.as_ref()),
            Resource::Collection(over) if !over.path.is_empty() => {
                (over.space, &over.home, over.container.name.clone(), above)
            }
            Resource::Item(parent, item) if parent.space == Space::Files => {
                (parent.space, &parent.home, item.name.clone().unwrap_or_default(), Some(parent))
            }
            _ => return Err(Problem::new(StatusCode::FORBIDDEN, "The collection can't be there")),
        };
        let is_one_account = home.account.id() == source.home.account.id();
        if source.mount().is_some() || over.is_some_and(|over| over.mount().is_some()) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "It is somebody else's, and stays with its owner"));
        }
        if space != source.space || is_scheduling(&source.container) || !is_one_account || source.path.is_empty() {
            return Err(Problem::new(StatusCode::FORBIDDEN, "The collection can't be there"));
        }
        if !home.is_own() {
            let parent = parent.ok_or_else(|| Problem::no_right(&self.to.href(), "bind"))?;
            parent.check_bind()?;
            if self.moves {
                source.check_unbind().await?;
            } else {
                source.check(Rights::READ, "read")?;
            }
        }
        let account = home.account.as_ref();
        let (locks, _) = self.locks(account, account, true).await?;
        let mut steps = vec![locks.expectation()];
        if let Some(over) = over {
            check_not_needed(over).await?;
            if !all_scheduled(self.context, over).await?.is_empty() {
                let text = "Others are invited to what is in the calendar there; delete that first";
                return Err(Problem::new(StatusCode::FORBIDDEN, text));
            }
            steps.extend(tree_deleted(over).await?);
        }
        if let Resource::Item(there, file) = self.to {
            there.check(Rights::DELETE, "unbind")?;
            let name = file.name.clone().unwrap_or_default();
            steps.push(Mutation::Remove { container: there.container.id, name });
        }
        let parent = parent.map(|parent| parent.container.id);
        if let Some(parent) = parent {
            let known_to = over.map(|over| over.container.acl.clone()).unwrap_or_default();
            steps.extend(files::folder_changed(parent, &name, &known_to));
        }
        if self.moves {
            steps.extend(noticed_above(&source.container));
            steps.push(Mutation::RenameContainer { container: source.container.id, parent, name });
            steps.extend(locks.released(&self.from.canonical(), true));
            account.commit(OperationId::random(), steps).await.map_err(taken)?;
            return Ok(());
        }
        steps.push(Mutation::CreateContainer { parent, kind: source.container.kind, name, special_use: None });
        let with_members = self.context.depth(Depth::Infinity)? != Depth::Zero;
        self.copied(source, steps, with_members).await
    }

    async fn copied(&self, source: &Collection, steps: Vec<Mutation>, with_members: bool) -> Result<(), Problem> {
        let account = source.home.account.as_ref();
        let all = account.containers().await?;
        let tree = super::delete::tree_of(&source.container, &all);
        if let Some(hidden) = tree.iter().find(|container| !source.home.rights(container).has(Rights::READ)) {
            tracing::debug!(container = %hidden.id, "a folder that may not be read is not copied with the one above it");
            return Err(Problem::no_right(&source.href(), "read"));
        }
        let items: u64 = tree.iter().map(|container| container.counts.items).sum();
        if with_members && (items > COPIED_ITEMS_MAX as u64 || tree.len() > MUTATIONS_MAX / 4) {
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "There is too much in it to be copied at once"));
        }
        if with_members {
            check_no_meetings(source).await?;
        }
        let bytes: u64 = tree.iter().map(|container| container.counts.bytes).sum();
        let quota = account.head().await?.quota;
        // Said before half of it is there; the commits decide in the end.
        if with_members && quota.bytes_max.is_some_and(|max| quota.bytes_used.saturating_add(bytes) > max) {
            return Err(AccountError::Refused(CommitError::OverQuota).into());
        }
        let committed = account.commit(OperationId::random(), steps).await.map_err(taken)?;
        let made = |outcomes: &[Outcome]| {
            outcomes.iter().rev().find_map(|outcome| match outcome {
                Outcome::Container { id, .. } => Some(*id),
                _ => None,
            })
        };
        let root = made(&committed.outcomes).ok_or_else(|| Problem::unavailable(1))?;
        self.copy_notes(account, source.container.id, root).await?;
        if !with_members {
            return Ok(());
        }
        let mut copies = vec![(source.container.id, root)];
        for container in &tree[1..] {
            let parent = copies.iter().find(|(of, _)| Some(*of) == container.parent).map(|(_, copy)| *copy);
            let (kind, name) = (container.kind, container.name.clone());
            let step = Mutation::CreateContainer { parent, kind, name, special_use: None };
            let committed = account.commit(OperationId::random(), vec![step]).await?;
            copies.push((container.id, made(&committed.outcomes).ok_or_else(|| Problem::unavailable(1))?));
        }
        for (from, to) in copies {
            copy_members(account, from, to).await?;
        }
        Ok(())
    }

    /// What was set about a collection itself.
    async fn copy_notes(&self, account: &dyn Account, from: ContainerId, to: ContainerId) -> Result<(), Problem> {
        let stored = stored::Stored::read(account, from).await?;
        let settings = stored.names(None).into_iter().map(|name| {
            let xml = stored.get(None, &name).map(str::to_owned);
            (None, name, xml)
        });
        stored::set(account, to, settings.collect()).await
    }
}

/// A calendar with meetings has no copy: each of them would be in two calendars of one owner.
async fn check_no_meetings(source: &Collection) -> Result<(), Problem> {
    if source.space != Space::Calendars {
        return Ok(());
    }
    let mut pages = Pages::new(source, ItemParts { summary: true, ..ItemParts::default() });
    while let Some(items) = pages.next().await? {
        if let Some(meeting) = items.iter().find(|item| may_concern(Some(item), None)) {
            let name = meeting.name.as_deref().unwrap_or_default();
            return Err(not_unique(&source.home.address, &source.container.name, name));
        }
    }
    Ok(())
}

/// Copies what is in a collection, in commits that nobody has to wait for long.
async fn copy_members(account: &dyn Account, from: ContainerId, to: ContainerId) -> Result<(), Problem> {
    let mut after = Uid(0);
    loop {
        let page = account.item_flags(from, after, COPIED_AT_ONCE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.uid;
        let mut uids = UidSet::new();
        page.iter().for_each(|item| uids.push(item.uid));
        let step = Mutation::Copy { from, uids, to, expunge: false };
        account.commit(OperationId::random(), vec![step]).await?;
        if page.len() < COPIED_AT_ONCE {
            return Ok(());
        }
    }
}

/// What was written while it went into another account stays where it was. That is not tried again: the copy is there,
/// and whoever was invited has heard of it.
fn stays(error: AccountError) -> Problem {
    match error {
        AccountError::Refused(CommitError::Unexpected) => {
            Problem::conflict("It was changed meanwhile, and stays; what it was before is at the destination, too")
        }
        error => error.into(),
    }
}

/// Somebody else was faster: it is decided again.
fn taken(error: AccountError) -> Problem {
    match error {
        AccountError::Refused(CommitError::NameTaken) => AccountError::Refused(CommitError::Unexpected).into(),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_while_it_moved_is_no_reason_to_begin_anew() {
        let unexpected = || AccountError::Refused(CommitError::Unexpected);
        assert!(came_too_late(&unexpected().into()));
        let problem = stays(unexpected());
        assert!(!came_too_late(&problem));
        assert_eq!(problem.status, StatusCode::CONFLICT);
        assert_eq!(stays(AccountError::Refused(CommitError::OverQuota)).status, StatusCode::INSUFFICIENT_STORAGE);
    }
}
