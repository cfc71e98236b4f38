//! One commit while it is being done: the account's row and the containers it touches, written once at its end.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use sterna_account::commit::MADE;
use sterna_account::follow::KeptAnswer;
use sterna_account::{Commit, CommitError, Committed, Container, ContainerKind, Digest, Head, Mutation, Outcome, Role};
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp};

use super::blob_files::BlobFiles;
use super::error::store_error;
use super::read::Reader;
use super::rows::{self, Numbers, sql};

/// A commit in the making.
pub struct Transaction<'a> {
    pub reader: &'a Reader,
    pub now: Timestamp,
    pub head: Head,
    /// What this commit stamps on the rows it touches.
    pub modseq: Modseq,
    pub numbers: Numbers,
    /// Containers as they were and as they are, read when first needed.
    containers: BTreeMap<ContainerId, Touched>,
    changed: bool,
    /// The container that was made last.
    pub made: Option<ContainerId>,
    /// Files of blobs that this commit left without references; removed after the flush.
    pub unreferenced: Vec<BlobHash>,
}

struct Touched {
    before: Digest,
    container: Container,
    dirty: bool,
}

/// Does one commit inside the SQL transaction that is open. The caller rolls its savepoint back when it fails.
pub fn run(reader: &Reader, commit: &Commit, now: Timestamp) -> Result<(Committed, Vec<BlobHash>), CommitError> {
    let (head, numbers) = reader.head_row()?;
    // Before the kept answer: what this copy once did may be lost at the place that took over.
    if head.role != Role::Active {
        return Err(CommitError::Sealed);
    }
    if let Some(mut answer) = earlier_answer(reader, commit.operation)? {
        answer.repeated = true;
        return Ok((answer, Vec::new()));
    }
    if head.epoch != commit.epoch {
        return Err(CommitError::WrongEpoch { current: head.epoch });
    }
    if commit.mutations.len() > sterna_account::commit::MUTATIONS_MAX {
        return Err(CommitError::Limit("mutations in one commit".into()));
    }
    let modseq = commit.modseq_after(head.modseq);
    let mut transaction = Transaction::new(reader, head, numbers, modseq, now);
    let outcomes =
        commit.mutations.iter().map(|mutation| transaction.apply(mutation)).collect::<Result<Vec<_>, CommitError>>()?;
    transaction.numbers.operations += 1;
    transaction.write()?;
    let answer = Committed { modseq: transaction.head.modseq, outcomes, repeated: false };
    let number = transaction.numbers.operations;
    keep_answer(reader, &KeptAnswer { number, operation: commit.operation, done_at: now, answer: answer.clone() })?;
    Ok((answer, transaction.unreferenced))
}

fn earlier_answer(reader: &Reader, operation: OperationId) -> Result<Option<Committed>, CommitError> {
    let statement = "SELECT answer FROM operation WHERE account = ?1 AND operation = ?2";
    let mut statement = reader.conn.prepare_cached(statement).map_err(store_error)?;
    let values = params![sql(reader.account.0), operation.0.as_slice()];
    let found: Option<Vec<u8>> = statement.query_row(values, |row| row.get(0)).optional().map_err(store_error)?;
    found.map(|bytes| answer_of(&bytes)).transpose()
}

/// A kept answer.
pub fn answer_of(bytes: &[u8]) -> Result<Committed, CommitError> {
    let damaged = |_| CommitError::Store(sterna_account::StoreError::Corrupt("the answer of an operation".into()));
    postcard::from_bytes(bytes).map_err(damaged)
}

/// Keeps an answer under its number.
pub fn keep_answer(reader: &Reader, kept: &KeptAnswer) -> Result<(), CommitError> {
    let bytes = postcard::to_stdvec(&kept.answer).map_err(|error| CommitError::Invalid(error.to_string()))?;
    let statement = "INSERT INTO operation (account, number, operation, done_at, answer) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (number, operation) = (sql(kept.number), kept.operation.0.as_slice());
    reader.execute(statement, params![sql(reader.account.0), number, operation, kept.done_at.0, bytes])?;
    Ok(())
}

impl Reader {
    /// Runs a writing statement; only the store's own connection may.
    pub fn execute(&self, statement: &str, values: impl rusqlite::Params) -> Result<usize, CommitError> {
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        Ok(statement.execute(values).map_err(store_error)?)
    }
}

impl<'a> Transaction<'a> {
    /// One that will stamp this modseq on what it touches.
    pub fn new(reader: &'a Reader, head: Head, numbers: Numbers, modseq: Modseq, now: Timestamp) -> Self {
        let (containers, unreferenced) = (BTreeMap::new(), Vec::new());
        Transaction { reader, now, head, modseq, numbers, containers, changed: false, made: None, unreferenced }
    }

    pub fn conn(&self) -> &'a Connection {
        &self.reader.conn
    }

    pub fn files(&self) -> &'a BlobFiles {
        &self.reader.files
    }

    /// The account's number in SQL.
    pub fn id(&self) -> i64 {
        sql(self.head.account.0)
    }

    /// A container as it is now.
    pub fn container(&mut self, id: ContainerId) -> Result<&Container, CommitError> {
        Ok(&self.touched(id)?.container)
    }

    /// A container to be changed; its row takes this commit's modseq.
    pub fn container_mut(&mut self, id: ContainerId) -> Result<&mut Container, CommitError> {
        let modseq = self.modseq;
        let container = self.copied_container_mut(id)?;
        container.modseq = modseq;
        container.highest_modseq = modseq;
        Ok(container)
    }

    /// A container that is made like another copy's: its modseqs are the other's.
    pub fn copied_container_mut(&mut self, id: ContainerId) -> Result<&mut Container, CommitError> {
        self.changed = true;
        let touched = self.touched(id)?;
        touched.dirty = true;
        Ok(&mut touched.container)
    }

    /// Whether a container lives.
    pub fn lives(&mut self, id: ContainerId) -> Result<bool, CommitError> {
        match self.touched(id) {
            Ok(_) => Ok(true),
            Err(CommitError::NoSuchContainer(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn touched(&mut self, id: ContainerId) -> Result<&mut Touched, CommitError> {
        use std::collections::btree_map::Entry;
        match self.containers.entry(id) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let found = sterna_account::Read::container(self.reader, id)?;
                let container = found.ok_or(CommitError::NoSuchContainer(id))?;
                let before = Digest::of_container(&container);
                Ok(entry.insert(Touched { before, container, dirty: false }))
            }
        }
    }

    /// Takes a new container in; its row exists already.
    pub fn add_container(&mut self, container: Container) {
        self.changed = true;
        // Nothing of it is in the account's digest yet.
        let touched = Touched { before: Digest::default(), container, dirty: true };
        self.containers.insert(touched.container.id, touched);
    }

    /// Forgets a container whose row is gone.
    pub fn drop_container(&mut self, id: ContainerId) -> Result<(), CommitError> {
        let before = self.touched(id)?.before;
        self.containers.remove(&id);
        self.changed = true;
        self.head.digest.remove(before);
        Ok(())
    }

    /// A change of the account's own row.
    pub fn change_account(&mut self) {
        self.changed = true;
    }

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
                self.head.quota.bytes_max = *bytes_max;
                self.head.quota.items_max = *items_max;
                self.change_account();
                Ok(Outcome::Done)
            }
        }
    }

    fn meant(&self, container: ContainerId) -> Result<ContainerId, CommitError> {
        if container == MADE { self.made.ok_or(CommitError::NoSuchContainer(container)) } else { Ok(container) }
    }

    /// Writes the containers that changed and the account's row. A commit that changed nothing takes no modseq.
    pub fn write(&mut self) -> Result<(), CommitError> {
        if !self.changed {
            let statement = "UPDATE account SET operations = ?2 WHERE account = ?1";
            self.reader.execute(statement, params![self.id(), sql(self.numbers.operations)])?;
            return Ok(());
        }
        self.write_containers()?;
        self.head.modseq = self.modseq;
        let (head, quota, numbers) = (&self.head, self.head.quota, self.numbers);
        let statement = "UPDATE account SET modseq = ?2, next_container = ?3, next_blob = ?4, last_uid_validity = ?5, \
             bytes_max = ?6, items_max = ?7, bytes_used = ?8, items_used = ?9, digest = ?10, operations = ?11 \
             WHERE account = ?1";
        let values = params![
            self.id(),
            sql(head.modseq.0),
            sql(numbers.next_container),
            sql(numbers.next_blob),
            sql(numbers.last_uid_validity),
            quota.bytes_max.map(sql),
            quota.items_max.map(sql),
            sql(quota.bytes_used),
            sql(quota.items_used),
            rows::digest_column(head.digest),
            sql(numbers.operations),
        ];
        self.reader.execute(statement, values)?;
        Ok(())
    }

    /// Writes the containers that changed; the account's digest is then theirs.
    pub fn write_containers(&mut self) -> Result<(), CommitError> {
        let mut containers = std::mem::take(&mut self.containers);
        for touched in containers.values_mut().filter(|touched| touched.dirty) {
            let after = Digest::of_container(&touched.container);
            self.head.digest.remove(touched.before);
            self.head.digest.add(after);
            self.update_container(&touched.container)?;
            (touched.before, touched.dirty) = (after, false);
        }
        self.containers = containers;
        Ok(())
    }

    fn update_container(&self, container: &Container) -> Result<(), CommitError> {
        let keywords: Vec<&str> = container.keywords.iter().map(|keyword| keyword.as_str()).collect();
        let counts = container.counts;
        let statement = "UPDATE container SET parent = ?3, name = ?4, uid_next = ?5, modseq = ?6, highest_modseq = ?7, \
             items = ?8, bytes = ?9, unseen = ?10, deleted = ?11, deleted_bytes = ?12, keywords = ?13, digest = ?14, \
             acl = ?15, uid_validity = ?16 \
             WHERE account = ?1 AND container = ?2";
        let values = params![
            self.id(),
            sql(container.id.0),
            sql(container.parent.map_or(0, |parent| parent.0)),
            container.name,
            container.uid_next.0,
            sql(container.modseq.0),
            sql(container.highest_modseq.0),
            sql(counts.items),
            sql(counts.bytes),
            sql(counts.unseen),
            sql(counts.deleted),
            sql(counts.deleted_bytes),
            keywords.join(" "),
            rows::digest_column(container.digest),
            container.acl.to_string(),
            container.uid_validity.0,
        ];
        self.reader.execute(statement, values)?;
        Ok(())
    }

    /// Reads one number.
    pub fn count(&self, statement: &str, values: impl rusqlite::Params) -> Result<u64, CommitError> {
        let mut statement = self.conn().prepare_cached(statement).map_err(store_error)?;
        let count: i64 = statement.query_row(values, |row| row.get(0)).map_err(store_error)?;
        Ok(count.cast_unsigned())
    }

    /// Rows of a statement as items, with the numbers of their blobs.
    pub fn item_rows(
        &self,
        condition: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<(sterna_account::Item, i64)>, CommitError> {
        let statement = format!(
            "SELECT {} FROM item i JOIN blob b ON b.account = i.account AND b.blob = i.blob WHERE {condition}",
            rows::ITEM
        );
        let mut statement = self.conn().prepare_cached(&statement).map_err(store_error)?;
        let found = statement.query_map(values, rows::item).map_err(store_error)?;
        Ok(found.collect::<rusqlite::Result<_>>().map_err(store_error)?)
    }
}
