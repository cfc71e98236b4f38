//! Applying pages of another copy, on a copy of the state that takes its place when nothing was wrong.

use std::collections::BTreeMap;

use sterna_account::follow::{Applied, ContainerPage, CopiedBlob, FollowError, Page};
use sterna_account::fork::{CONTAINERS_SKIPPED, Fork, MODSEQS_SKIPPED, remember, uid_next_after};
use sterna_account::{Change, Container, Content, Counts, Digest, Expunged, Item, Retained, Role};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid};

use super::state::{Contents, Place, State};
use crate::settle::{Equality, settled};

/// The state after a page.
pub fn page(state: &State, page: &Page, blobs: Vec<CopiedBlob>) -> Result<(State, Applied), FollowError> {
    let mut copy = Copy::begin(state, blobs)?;
    if page.after != state.progress().0 || !page.is_in_order() || page.head.account != state.account {
        return Err(FollowError::NotNext);
    }
    copy.rows(&page.containers, &page.rows)?;
    let mut state = copy.state;
    for kept in &page.answers {
        state.answers.retain(|_, other| other.operation != kept.operation);
        state.answers.insert(kept.number, kept.clone());
        state.operations = state.operations.max(kept.number);
    }
    state.next_container = state.next_container.max(page.next_container.0);
    state.last_uid_validity = state.last_uid_validity.max(u64::from(page.last_uid_validity.0));
    (state.bytes_max, state.items_max) = (page.head.quota.bytes_max, page.head.quota.items_max);
    state.settle_blobs();
    if page.is_last {
        compare(&state, page)?;
        state.modseq = page.head.modseq;
        state.operations = state.operations.max(page.last_answer);
    }
    state.forks.clone_from(&page.forks);
    let (progress, is_equal) = (page.end(), page.is_last);
    state.progress = Some((progress, state.progress().1.after(is_equal)));
    let applied = Applied { progress, modseq: state.modseq, digest: state.head().digest, is_equal };
    Ok((state, applied))
}

/// The state after a page of one container.
pub fn container_page(state: &State, page: &ContainerPage, blobs: Vec<CopiedBlob>) -> Result<State, FollowError> {
    let mut copy = Copy::begin(state, blobs)?;
    let own: Vec<Change> = page.own.iter().cloned().collect();
    copy.rows(&[], &own)?;
    copy.rows(&[], &page.rows)?;
    copy.state.settle_blobs();
    copy.state.progress = Some((state.progress().0, Equality::Never));
    Ok(copy.state)
}

/// The state after so many rows of a container were forgotten, and how many it were.
pub fn forget_container(state: &State, id: ContainerId, rows_max: usize) -> Result<(State, u64), FollowError> {
    let mut copy = Copy::begin(state, Vec::new())?;
    let mut places: Vec<Place> = state.items_of(id).map(|item| (id, item.uid)).collect();
    places.extend(state.expunged_of(id).map(|expunged| (id, expunged.uid)));
    places.truncate(rows_max.max(1));
    let state = &mut copy.state;
    for place in &places {
        state.items.remove(place);
        state.expunged.remove(place);
    }
    let mut count = places.len();
    if count < rows_max.max(1) {
        count += usize::from(state.containers.remove(&id).is_some());
        count += usize::from(state.deleted_containers.remove(&id).is_some());
    }
    if count > 0 {
        state.progress = Some((state.progress().0, Equality::Never));
    }
    state.settle_blobs();
    Ok((copy.state, count as u64))
}

/// A copy that follows takes over as it is: what is half there is put in order, and numbers that the lost server may
/// have given out are skipped.
pub fn take_over(state: &mut State, epoch: Epoch, now: Timestamp) {
    let (mut at, equality) = state.progress();
    let modseq = Modseq(state.modseq.max(at.rows.modseq).0 + MODSEQS_SKIPPED);
    if equality == Equality::Before {
        // Answers may have come before the rows of their commits.
        while let Some(last) = state.answers.last_entry()
            && !at.rows.is_past(last.get().answer.modseq)
        {
            at.answers = at.answers.min(last.key() - 1);
            last.remove();
        }
        put_in_order(state, modseq, now);
    }
    for container in state.containers.values_mut() {
        (container.modseq, container.highest_modseq) = (modseq, modseq);
        container.uid_next = uid_next_after(container.uid_next);
    }
    state.next_container += CONTAINERS_SKIPPED;
    state.last_uid_validity += CONTAINERS_SKIPPED;
    state.modseq = modseq;
    remember(&mut state.forks, Fork { epoch, at });
}

fn put_in_order(state: &mut State, modseq: Modseq, now: Timestamp) {
    let is_orphan = |place: &&Place| state.deleted_containers.contains_key(&place.0);
    let orphans: Vec<Place> = state.items.keys().filter(is_orphan).copied().collect();
    let containers: Vec<Container> = state.containers.values().cloned().collect();
    for (container, uid) in orphans {
        let Some(item) = state.items.remove(&(container, uid)) else { continue };
        let Item { blob, size, flags, internal_date, name, .. } = item;
        let retained = Some(Retained { blob, size, flags, internal_date, name });
        state.expunged.insert((container, uid), Expunged { container, uid, modseq, expunged_at: now, retained });
    }
    for new in settled(&containers) {
        state.containers.insert(new.id, new);
    }
}

/// At the source's head the sums here must be the source's.
fn compare(state: &State, page: &Page) -> Result<(), FollowError> {
    let (ours, theirs) = (state.head(), &page.head);
    if ours.digest == theirs.digest && ours.quota == theirs.quota {
        return Ok(());
    }
    let digest = |container: &Container| Digest::of_container(container);
    let differs = |theirs: &&Container| state.container(theirs.id).as_ref().map(digest) != Some(digest(theirs));
    Err(FollowError::Differs(page.containers.iter().filter(differs).map(|container| container.id).collect()))
}

/// A page being applied.
struct Copy {
    state: State,
    blobs: BTreeMap<BlobHash, CopiedBlob>,
}

impl Copy {
    fn begin(state: &State, blobs: Vec<CopiedBlob>) -> Result<Self, FollowError> {
        let is_right = |blob: &CopiedBlob| match &blob.content {
            Content::Inline(bytes) => bytes.len() <= INLINE_BLOB_BYTES_MAX && BlobHash::of(bytes) == blob.hash,
            Content::Stored(hash) => *hash == blob.hash,
        };
        if let Some(wrong) = blobs.iter().find(|blob| !is_right(blob)) {
            return Err(FollowError::WrongBlob(wrong.hash));
        }
        if state.role != Role::Follower {
            return Err(FollowError::NotFollowing);
        }
        let blobs = blobs.into_iter().map(|blob| (blob.hash, blob)).collect();
        Ok(Copy { state: state.clone(), blobs })
    }

    fn rows(&mut self, containers: &[Container], rows: &[Change]) -> Result<(), FollowError> {
        // Until its own row comes, a container is as old as what brought it here.
        let provisional = rows.first().map_or(Modseq::ZERO, |row| row.cursor().modseq);
        for container in containers {
            self.place(container, provisional);
        }
        for row in rows {
            self.row(row)?;
            self.state.modseq = self.state.modseq.max(row.cursor().modseq);
        }
        Ok(())
    }

    fn row(&mut self, row: &Change) -> Result<(), FollowError> {
        match row {
            Change::Container(container) => {
                self.place(container, container.modseq);
                if let Some(ours) = self.state.containers.get_mut(&container.id) {
                    (ours.modseq, ours.highest_modseq) = (container.modseq, container.highest_modseq);
                }
            }
            Change::ContainerDeleted { id, modseq } => {
                self.state.containers.remove(id);
                self.state.deleted_containers.insert(*id, *modseq);
            }
            Change::Item(item) => self.item(item)?,
            Change::Expunged(expunged) => {
                if let Some(retained) = &expunged.retained {
                    self.take(retained.blob)?;
                }
                let place = (expunged.container, expunged.uid);
                self.state.items.remove(&place);
                self.state.expunged.insert(place, expunged.clone());
                self.reach(expunged.container, expunged.modseq, expunged.uid);
            }
        }
        Ok(())
    }

    /// Makes a container's attributes the source's. Another one that has its name here has another at the source.
    fn place(&mut self, theirs: &Container, provisional: Modseq) {
        self.state.deleted_containers.remove(&theirs.id);
        for other in self.state.containers.values_mut() {
            let is_same = (other.parent, other.kind, &other.name) == (theirs.parent, theirs.kind, &theirs.name);
            if is_same && other.id != theirs.id {
                other.name = crate::names::parked(other.id);
            }
        }
        let new = Container {
            modseq: provisional,
            highest_modseq: provisional,
            counts: Counts::default(),
            digest: Digest::default(),
            ..theirs.clone()
        };
        let ours = self.state.containers.entry(theirs.id).or_insert(new);
        (ours.parent, ours.uid_next) = (theirs.parent, theirs.uid_next);
        ours.uid_validity = theirs.uid_validity;
        ours.name.clone_from(&theirs.name);
        ours.keywords.clone_from(&theirs.keywords);
        ours.acl.clone_from(&theirs.acl);
    }

    fn item(&mut self, item: &Item) -> Result<(), FollowError> {
        let (id, place) = (item.container, (item.container, item.uid));
        if !self.state.containers.contains_key(&id) {
            return Err(FollowError::Differs(vec![id]));
        }
        self.take(item.blob)?;
        let holder = item.name.as_deref().and_then(|name| self.state.named(id, name)).map(|holder| (id, holder.uid));
        if let Some(holder) = holder.and_then(|holder| self.state.items.get_mut(&holder)) {
            holder.name = None;
        }
        let calls_itself_so = |other: &&mut Item| {
            other.container == id && item.object_uid.is_some() && other.object_uid == item.object_uid
        };
        for holder in self.state.items.values_mut().filter(calls_itself_so) {
            holder.object_uid = None;
        }
        self.state.expunged.remove(&place);
        self.state.items.insert(place, item.clone());
        self.reach(id, item.modseq, item.uid);
        Ok(())
    }

    fn reach(&mut self, id: ContainerId, modseq: Modseq, uid: Uid) {
        if let Some(container) = self.state.containers.get_mut(&id) {
            container.uid_next = container.uid_next.max(Uid(uid.0.saturating_add(1)));
            container.highest_modseq = container.highest_modseq.max(modseq);
            container.modseq = container.highest_modseq;
        }
    }

    /// Takes a blob in that a row refers to, unless it is here.
    fn take(&mut self, hash: BlobHash) -> Result<(), FollowError> {
        if self.state.contents.contains_key(&hash) {
            return Ok(());
        }
        let missing = FollowError::NoSuchBlob(hash);
        let copied = self.blobs.get(&hash).ok_or(missing.clone())?;
        let bytes = match &copied.content {
            Content::Inline(bytes) => bytes.clone(),
            Content::Stored(_) => self.state.staged.get(&hash).map(|staged| staged.bytes.clone()).ok_or(missing)?,
        };
        self.state.contents.insert(hash, Contents { bytes, summary: copied.summary.clone() });
        Ok(())
    }
}
