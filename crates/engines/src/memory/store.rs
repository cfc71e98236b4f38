//! Writing: a commit works on a copy, which takes the account's place when nothing refused it.

use std::ops::Range;

use bytes::Bytes;
use sterna_account::commit::{MADE, MUTATIONS_MAX, OPERATION_RETENTION_MS};
use sterna_account::follow::{Applied, ContainerPage, CopiedBlob, FollowError, KeptAnswer, Page, Progress};
use sterna_account::fork::Fork;
use sterna_account::store::BlobWriter;
use sterna_account::{
    Changes, Commit, CommitError, Committed, Container, ContainerKind, Cursor, Expunged, Head, Item, ItemFlags,
    ItemParts, Mutation, Outcome, Read, Role, Store, StoreError, UidSet,
};
use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid};

use super::blobs::Writer;
use super::follow;
use super::read::Reader;
use super::state::State;
use crate::settle::Equality;

/// One account's store.
pub struct MemoryStore {
    pub reader: Reader,
}

impl Store for MemoryStore {
    fn commit(
        &mut self,
        commits: &[Commit],
        now: Timestamp,
    ) -> Result<Vec<Result<Committed, CommitError>>, StoreError> {
        let mut state = self.reader.state.lock();
        state.latest = state.latest.max(now);
        Ok(commits.iter().map(|commit| run(&mut state, commit, now)).collect())
    }

    fn stage_blob(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        Ok(Box::new(Writer { state: self.reader.state.clone(), bytes: Vec::new() }))
    }

    fn purge(&mut self, before: Timestamp, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut state = self.reader.state.lock();
        state.latest = state.latest.max(now);
        let mut old: Vec<_> =
            state.expunged.values().filter(|row| row.retained.is_some() && row.expunged_at < before).collect();
        old.sort_by_key(|row| (row.expunged_at, row.container, row.uid));
        let old: Vec<_> = old.into_iter().take(limit).map(|row| (row.container, row.uid)).collect();
        for place in &old {
            if let Some(row) = state.expunged.get_mut(place) {
                row.retained = None;
            }
        }
        let oldest = now.plus_ms(-OPERATION_RETENTION_MS);
        let answers = state.answers.values().filter(|kept| kept.done_at < oldest).map(|kept| kept.number);
        let answers: Vec<_> = answers.take(limit - old.len()).collect();
        for number in &answers {
            state.answers.remove(number);
        }
        state.settle_blobs();
        let purged = old.len() + answers.len();
        if purged == 0 {
            state.drop_abandoned(now);
        }
        Ok(purged as u64)
    }

    fn set_role(&mut self, epoch: Epoch, role: Role, now: Timestamp) -> Result<(), CommitError> {
        let mut state = self.reader.state.lock();
        if epoch < state.epoch {
            return Err(CommitError::WrongEpoch { current: state.epoch });
        }
        match (role, state.progress().1) {
            (Role::Follower, _) | (_, Equality::Now) | (Role::Active, Equality::Before) => {}
            _ => return Err(CommitError::NotEqual),
        }
        if role == Role::Active {
            if state.role == Role::Follower {
                follow::take_over(&mut state, epoch, now);
            }
            state.progress = None;
        }
        (state.epoch, state.role) = (epoch, role);
        Ok(())
    }

    fn follow(&mut self, page: &Page, blobs: Vec<CopiedBlob>, _now: Timestamp) -> Result<Applied, FollowError> {
        let mut state = self.reader.state.lock();
        let (next, applied) = follow::page(&state, page, blobs)?;
        *state = next;
        Ok(applied)
    }

    fn forget_container(&mut self, id: ContainerId, rows_max: usize) -> Result<u64, FollowError> {
        let mut state = self.reader.state.lock();
        let (next, rows) = follow::forget_container(&state, id, rows_max)?;
        *state = next;
        Ok(rows)
    }

    fn follow_container(
        &mut self,
        page: &ContainerPage,
        blobs: Vec<CopiedBlob>,
        _now: Timestamp,
    ) -> Result<(), FollowError> {
        let mut state = self.reader.state.lock();
        let next = follow::container_page(&state, page, blobs)?;
        *state = next;
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        Ok(Box::new(Reader { state: self.reader.state.clone() }))
    }

    fn check_files(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}

/// One commit while it is being done.
pub struct Transaction {
    /// The account as it will be.
    pub state: State,
    pub now: Timestamp,
    /// What this commit stamps on the rows it touches.
    pub modseq: Modseq,
    pub changed: bool,
    /// The container that was made last.
    pub made: Option<ContainerId>,
}

/// Does one commit, or leaves the account as it was.
fn run(state: &mut State, commit: &Commit, now: Timestamp) -> Result<Committed, CommitError> {
    // Before the kept answer: what this copy once did may be lost at the place that took over.
    if state.role != Role::Active {
        return Err(CommitError::Sealed);
    }
    if let Some(kept) = state.answer_to(commit.operation) {
        return Ok(Committed { repeated: true, ..kept.answer.clone() });
    }
    if commit.epoch != state.epoch {
        return Err(CommitError::WrongEpoch { current: state.epoch });
    }
    if commit.mutations.len() > MUTATIONS_MAX {
        return Err(CommitError::Limit("mutations in one commit".into()));
    }
    let mut transaction = Transaction {
        state: state.clone(),
        now,
        modseq: commit.modseq_after(state.modseq),
        changed: false,
        made: None,
    };
    let mut outcomes = Vec::new();
    for mutation in &commit.mutations {
        outcomes.push(transaction.apply(mutation)?);
        transaction.state.settle_blobs();
    }
    if transaction.changed {
        transaction.state.modseq = transaction.modseq;
    }
    *state = transaction.state;
    let answer = Committed { modseq: state.modseq, outcomes, repeated: false };
    state.operations += 1;
    let (number, operation) = (state.operations, commit.operation);
    state.answers.insert(number, KeptAnswer { number, operation, done_at: now, answer: answer.clone() });
    Ok(answer)
}

impl Transaction {
    fn apply(&mut self, mutation: &Mutation) -> Result<Outcome, CommitError> {
        match mutation {
            Mutation::CreateContainer { parent, kind, name, special_use } => {
                self.create_container(*parent, *kind, name, *special_use)
            }
            Mutation::CreateAbout { kind } => {
                let name = ContainerKind::about(Some(self.meant(MADE)?));
                self.create_container(None, *kind, &name, None)
            }
            Mutation::RenameContainer { container, parent, name } => {
                self.rename_container(self.meant(*container)?, *parent, name)
            }
            Mutation::DeleteContainer { container } => self.delete_container(*container),
            Mutation::Append { container, item } => self.append(*container, item),
            Mutation::AppendAt { container, uid, item } => self.append_at(*container, *uid, item),
            Mutation::SetNumbers { container, uid_validity, uid_next, modseq_min, expect_uid_next } => {
                self.set_numbers(*container, *uid_validity, (*uid_next, *expect_uid_next), *modseq_min)
            }
            Mutation::Put { container, item, expect } => self.put(self.meant(*container)?, item, *expect),
            Mutation::Remove { container, name } => self.remove(*container, name),
            Mutation::Copy { from, uids, to, expunge } => self.copy(*from, uids, *to, *expunge),
            Mutation::StoreFlags { container, uids, action, flags, unchanged_since } => {
                self.store_flags(*container, uids, *action, flags, *unchanged_since)
            }
            Mutation::Expunge { container, uids, deleted_only } => self.expunge(*container, uids, *deleted_only),
            Mutation::SetAcl { container, identifier, negative, rights } => {
                self.set_acl(self.meant(*container)?, *identifier, *negative, *rights)
            }
            Mutation::ExpectContainer { kind, name, highest_modseq } => {
                self.expect_container(*kind, name, *highest_modseq)
            }
            Mutation::SetQuota { bytes_max, items_max } => {
                (self.state.bytes_max, self.state.items_max) = (*bytes_max, *items_max);
                self.changed = true;
                Ok(Outcome::Done)
            }
        }
    }

    fn meant(&self, container: ContainerId) -> Result<ContainerId, CommitError> {
        if container == MADE { self.made.ok_or(CommitError::NoSuchContainer(container)) } else { Ok(container) }
    }

    /// A live container, without its sums.
    pub fn container(&self, id: ContainerId) -> Result<&Container, CommitError> {
        self.state.containers.get(&id).ok_or(CommitError::NoSuchContainer(id))
    }

    /// A live container that this commit changes: its row takes the commit's modseq.
    pub fn touch(&mut self, id: ContainerId) -> Result<&mut Container, CommitError> {
        self.changed = true;
        let container = self.state.containers.get_mut(&id).ok_or(CommitError::NoSuchContainer(id))?;
        (container.modseq, container.highest_modseq) = (self.modseq, self.modseq);
        Ok(container)
    }
}

impl Read for MemoryStore {
    fn head(&self) -> Result<Head, StoreError> {
        self.reader.head()
    }
    fn containers(&self) -> Result<Vec<Container>, StoreError> {
        self.reader.containers()
    }
    fn container(&self, id: ContainerId) -> Result<Option<Container>, StoreError> {
        self.reader.container(id)
    }
    fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, StoreError> {
        self.reader.containers_on_path(kind, path)
    }
    fn item_flags(&self, container: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, StoreError> {
        self.reader.item_flags(container, after, limit)
    }
    fn items(&self, id: ContainerId, uids: &UidSet, parts: ItemParts, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.reader.items(id, uids, parts, limit)
    }
    fn item_named(&self, container: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, StoreError> {
        self.reader.item_named(container, name, parts)
    }
    fn expunged(&self, id: ContainerId, since: Modseq, after: Uid, limit: usize) -> Result<Vec<Expunged>, StoreError> {
        self.reader.expunged(id, since, after, limit)
    }
    fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        self.reader.changes(after, limit)
    }
    fn container_changes(&self, id: ContainerId, after: Cursor, limit: usize) -> Result<Changes, StoreError> {
        self.reader.container_changes(id, after, limit)
    }
    fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.reader.blob(hash, range)
    }
    fn blobs(&self, after: Option<BlobHash>, limit: usize) -> Result<Vec<(BlobHash, u64, u64)>, StoreError> {
        self.reader.blobs(after, limit)
    }
    fn page(&self, after: &Progress, rows_max: usize, answers_max: usize) -> Result<Page, StoreError> {
        self.reader.page(after, rows_max, answers_max)
    }
    fn container_page(&self, id: ContainerId, after: Uid, rows_max: usize) -> Result<ContainerPage, StoreError> {
        self.reader.container_page(id, after, rows_max)
    }
    fn progress(&self) -> Result<Progress, StoreError> {
        self.reader.progress()
    }
    fn forks(&self) -> Result<Vec<Fork>, StoreError> {
        self.reader.forks()
    }
    fn copied_blobs(&self, hashes: &[BlobHash], bytes_max: u64) -> Result<Vec<CopiedBlob>, StoreError> {
        self.reader.copied_blobs(hashes, bytes_max)
    }
    fn lacking(&self, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError> {
        self.reader.lacking(hashes)
    }
}
