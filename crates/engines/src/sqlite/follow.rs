//! Applying pages of another copy. Rows of a page may be of another time than those that are here; how that is dealt
//! with is said at each kind of row. Nothing is believed that can be counted: sums and digests follow from the rows.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use sterna_account::follow::{Applied, ContainerPage, CopiedBlob, FollowError, Page, Progress};
use sterna_account::{Change, CommitError, Container, Content, Counts, Digest, Expunged, Item, Role, StoreError};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, Timestamp, Uid};

use super::contents::drop_unreferenced;
use super::error::store_error;
use super::forks;
use super::items;
use super::read::Reader;
use super::rows::{keyword_columns, sql};
use super::transaction::{Transaction, keep_answer};
use crate::settle::Equality;

/// The blobs that came with a page.
pub type Copied = HashMap<BlobHash, CopiedBlob>;

/// What is to be done with files once the transaction is durable.
pub struct Files {
    /// Staged ones that rows refer to now.
    pub adopted: Vec<BlobHash>,
    /// Ones that no row refers to any more.
    pub unreferenced: Vec<BlobHash>,
}

/// Blobs by their names, which must be those of their contents.
pub fn by_hash(blobs: Vec<CopiedBlob>) -> Result<Copied, FollowError> {
    let mut copied = HashMap::with_capacity(blobs.len());
    for blob in blobs {
        let is_right = match &blob.content {
            Content::Inline(bytes) => bytes.len() <= INLINE_BLOB_BYTES_MAX && BlobHash::of(bytes) == blob.hash,
            Content::Stored(hash) => *hash == blob.hash,
        };
        if !is_right {
            return Err(FollowError::WrongBlob(blob.hash));
        }
        copied.insert(blob.hash, blob);
    }
    Ok(copied)
}

/// Writes how far a copy is.
pub fn set_progress(
    conn: &Connection,
    account: AccountId,
    progress: Progress,
    equality: Equality,
) -> Result<(), StoreError> {
    let statement = "INSERT INTO progress (account, modseq, container, uid, answers, is_equal) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (account) DO UPDATE SET modseq = excluded.modseq, \
         container = excluded.container, uid = excluded.uid, answers = excluded.answers, is_equal = excluded.is_equal";
    let mut statement = conn.prepare_cached(statement).map_err(store_error)?;
    let (rows, answers) = (progress.rows, sql(progress.answers));
    let values =
        params![sql(account.0), sql(rows.modseq.0), sql(rows.container.0), rows.uid.0, answers, equality as u8];
    statement.execute(values).map_err(store_error)?;
    Ok(())
}

/// Applies a page.
pub fn page(reader: &Reader, page: &Page, blobs: Copied, now: Timestamp) -> Result<(Applied, Files), FollowError> {
    let ((progress, before_it), mut copy) = Copy::begin(reader, blobs, now)?;
    if page.after != progress || !page.is_in_order() || page.head.account != reader.account {
        return Err(FollowError::NotNext);
    }
    let before = (copy.transaction.head.clone(), copy.transaction.numbers);
    copy.rows(&page.containers, &page.rows)?;
    copy.answers(page)?;
    let transaction = &mut copy.transaction;
    transaction.numbers.next_container = transaction.numbers.next_container.max(page.next_container.0);
    let last = u64::from(page.last_uid_validity.0);
    transaction.numbers.last_uid_validity = transaction.numbers.last_uid_validity.max(last);
    transaction.head.quota.bytes_max = page.head.quota.bytes_max;
    transaction.head.quota.items_max = page.head.quota.items_max;
    transaction.write_containers()?;
    if page.is_last {
        copy.compare(page)?;
        copy.transaction.modseq = page.head.modseq;
        copy.transaction.numbers.operations = copy.transaction.numbers.operations.max(page.last_answer);
    }
    // With each page: its rows are of this history, also those beyond a fork.
    if reader.forks_now()? != page.forks {
        forks::set(reader, &page.forks)?;
    }
    let (end, is_equal) = (page.end(), page.is_last);
    let equality = before_it.after(is_equal);
    let transaction = &mut copy.transaction;
    let is_same = (transaction.head.clone(), transaction.numbers) == before && transaction.modseq == before.0.modseq;
    // A look that found nothing new writes nothing, and costs no flush.
    if !is_same || page.end() != progress || equality != before_it || !page.rows.is_empty() {
        transaction.change_account();
        transaction.write()?;
        set_progress(&reader.conn, reader.account, end, equality)?;
    }
    let (modseq, digest) = (copy.transaction.head.modseq, copy.transaction.head.digest);
    Ok((Applied { progress: end, modseq, digest, is_equal }, copy.files()?))
}

/// Applies a page of one container.
pub fn container_page(
    reader: &Reader,
    page: &ContainerPage,
    blobs: Copied,
    now: Timestamp,
) -> Result<Files, FollowError> {
    let ((progress, _), mut copy) = Copy::begin(reader, blobs, now)?;
    let own: Vec<Change> = page.own.iter().cloned().collect();
    copy.rows(&[], &own)?;
    copy.rows(&[], &page.rows)?;
    copy.transaction.change_account();
    copy.transaction.write()?;
    set_progress(&reader.conn, reader.account, progress, Equality::Never)?;
    copy.files()
}

/// Forgets a container, so many rows at once; how many went.
pub fn forget_container(reader: &Reader, id: ContainerId, rows_max: usize) -> Result<(u64, Files), FollowError> {
    let ((progress, _), mut copy) = Copy::begin(reader, HashMap::new(), Timestamp(0))?;
    let mut count = 0;
    for table in ["item", "expunged"] {
        let statement = format!("SELECT uid FROM {table} WHERE account = ?1 AND container = ?2 ORDER BY uid LIMIT ?3");
        let room = (rows_max.max(1) - count) as i64;
        let uids = reader.list(&statement, params![reader.id(), sql(id.0), room], |row| Ok(Uid(row.get(0)?)))?;
        for uid in &uids {
            copy.forget(id, *uid)?;
        }
        count += uids.len();
    }
    if count < rows_max.max(1) {
        count += usize::from(copy.drop_container(id)?) + usize::from(copy.revive(id)?);
    }
    if count > 0 {
        copy.transaction.change_account();
        copy.transaction.write()?;
        set_progress(&reader.conn, reader.account, progress, Equality::Never)?;
    }
    Ok((count as u64, copy.files()?))
}

/// A change of an item changes its container's row. The page doesn't bring the row when the container is deleted by
/// then, which shows here later.
fn reach(container: &mut Container, modseq: Modseq, uid: Uid) {
    container.uid_next = container.uid_next.max(Uid(uid.0.saturating_add(1)));
    container.highest_modseq = container.highest_modseq.max(modseq);
    container.modseq = container.highest_modseq;
}

/// A page being applied.
struct Copy<'a> {
    transaction: Transaction<'a>,
    blobs: Copied,
    adopted: Vec<BlobHash>,
    /// Blobs that lost a reference. A later row of the page may give them another, so they go at the end.
    released: Vec<i64>,
}

impl<'a> Copy<'a> {
    fn begin(reader: &'a Reader, blobs: Copied, now: Timestamp) -> Result<((Progress, Equality), Self), FollowError> {
        let (head, numbers) = reader.head_row()?;
        if head.role != Role::Follower {
            return Err(FollowError::NotFollowing);
        }
        let modseq = head.modseq;
        let transaction = Transaction::new(reader, head, numbers, modseq, now);
        Ok((reader.progress_now()?, Copy { transaction, blobs, adopted: Vec::new(), released: Vec::new() }))
    }

    /// Drops the blobs that nothing refers to any more.
    fn files(self) -> Result<Files, FollowError> {
        let mut unreferenced = Vec::new();
        for blob in self.released {
            unreferenced.extend(drop_unreferenced(self.transaction.reader, blob)?);
        }
        Ok(Files { adopted: self.adopted, unreferenced })
    }

    /// Takes a reference from a blob.
    fn release(&mut self, blob: i64) -> Result<(), FollowError> {
        let statement = "UPDATE blob SET refs = refs - 1 WHERE account = ?1 AND blob = ?2";
        self.transaction.reader.execute(statement, params![self.transaction.id(), blob])?;
        self.released.push(blob);
        Ok(())
    }

    /// Applies rows, and before them the containers that they are in.
    fn rows(&mut self, containers: &[Container], rows: &[Change]) -> Result<(), FollowError> {
        // Until its own row comes, a container is as old as what brought it here.
        let provisional = rows.first().map_or(Modseq::ZERO, |row| row.cursor().modseq);
        for container in containers {
            self.place(container, provisional)?;
        }
        for row in rows {
            match row {
                Change::Container(container) => {
                    self.place(container, container.modseq)?;
                    let ours = self.transaction.copied_container_mut(container.id)?;
                    (ours.modseq, ours.highest_modseq) = (container.modseq, container.highest_modseq);
                }
                Change::ContainerDeleted { id, modseq } => self.deleted(*id, *modseq)?,
                Change::Item(item) => self.item(item)?,
                Change::Expunged(expunged) => self.expunged(expunged)?,
            }
            self.transaction.modseq = self.transaction.modseq.max(row.cursor().modseq);
        }
        Ok(())
    }

    /// Makes a container's attributes the source's.
    fn place(&mut self, theirs: &Container, provisional: Modseq) -> Result<(), FollowError> {
        self.revive(theirs.id)?;
        self.free_place(theirs)?;
        if !self.transaction.lives(theirs.id)? {
            self.transaction.insert_container(Container {
                modseq: provisional,
                highest_modseq: provisional,
                counts: Counts::default(),
                digest: Digest::default(),
                ..theirs.clone()
            })?;
        }
        let ours = self.transaction.container(theirs.id)?;
        let is_moved = ours.parent != theirs.parent || ours.name != theirs.name;
        let has_grown = ours.uid_next != theirs.uid_next || ours.keywords != theirs.keywords;
        let is_other = ours.uid_validity != theirs.uid_validity;
        if is_moved || has_grown || is_other || ours.acl != theirs.acl {
            let ours = self.transaction.copied_container_mut(theirs.id)?;
            (ours.parent, ours.uid_next) = (theirs.parent, theirs.uid_next);
            ours.uid_validity = theirs.uid_validity;
            ours.name.clone_from(&theirs.name);
            ours.keywords.clone_from(&theirs.keywords);
            ours.acl.clone_from(&theirs.acl);
        }
        if is_moved {
            self.transaction.write_place(theirs.id, theirs.parent, &theirs.name)?;
        }
        Ok(())
    }

    /// Sees to it that no other container has this one's name. One that has it here has another at the source by now,
    /// or is deleted; until that arrives its name is one that no client can give.
    fn free_place(&mut self, theirs: &Container) -> Result<(), FollowError> {
        let statement =
            "SELECT container FROM container WHERE account = ?1 AND parent = ?2 AND kind = ?3 AND name = ?4";
        let parent = sql(theirs.parent.map_or(0, |parent| parent.0));
        let values = params![self.transaction.id(), parent, theirs.kind as u8, theirs.name];
        let mut statement = self.transaction.conn().prepare_cached(statement).map_err(store_error)?;
        let holder = statement.query_row(values, |row| row.get::<_, i64>(0)).optional().map_err(store_error)?;
        let Some(holder) = holder.map(|id| ContainerId(id.cast_unsigned())).filter(|id| *id != theirs.id) else {
            return Ok(());
        };
        let parked = crate::names::parked(holder);
        let ours = self.transaction.copied_container_mut(holder)?;
        ours.name.clone_from(&parked);
        let parent = ours.parent;
        self.transaction.write_place(holder, parent, &parked)?;
        Ok(())
    }

    /// Takes a container's tombstone away; whether there was one.
    fn revive(&mut self, id: ContainerId) -> Result<bool, FollowError> {
        let Some(modseq) = self.transaction.reader.deleted(id)? else { return Ok(false) };
        let statement = "DELETE FROM container_deleted WHERE account = ?1 AND container = ?2";
        self.transaction.reader.execute(statement, params![self.transaction.id(), sql(id.0)])?;
        self.transaction.head.digest.remove(Digest::of_deleted_container(id, modseq));
        Ok(true)
    }

    /// Takes a container's row away; whether there was one.
    fn drop_container(&mut self, id: ContainerId) -> Result<bool, FollowError> {
        if !self.transaction.lives(id)? {
            return Ok(false);
        }
        let statement = "DELETE FROM container WHERE account = ?1 AND container = ?2";
        self.transaction.reader.execute(statement, params![self.transaction.id(), sql(id.0)])?;
        self.transaction.drop_container(id)?;
        Ok(true)
    }

    /// Puts a container's tombstone in its place. Its items stay until their own tombstones come: there may be more of
    /// them than a page has rows.
    fn deleted(&mut self, id: ContainerId, modseq: Modseq) -> Result<(), FollowError> {
        self.drop_container(id)?;
        self.revive(id)?;
        let statement = "INSERT INTO container_deleted (account, container, modseq) VALUES (?1, ?2, ?3)";
        self.transaction.reader.execute(statement, params![self.transaction.id(), sql(id.0), sql(modseq.0)])?;
        self.transaction.head.digest.add(Digest::of_deleted_container(id, modseq));
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), FollowError> {
        // A live item's container lives, so the page brought it: else the page is not what a source gives.
        self.transaction.container(item.container)?;
        let blob = self.refer(item.blob)?;
        self.forget(item.container, item.uid)?;
        if let Some(name) = &item.name {
            self.free_name(item.container, name)?;
        }
        if let Some(object_uid) = &item.object_uid {
            self.free_object_uid(item.container, object_uid)?;
        }
        self.transaction.insert_row(item, blob)?;
        let quota = &mut self.transaction.head.quota;
        quota.bytes_used += item.size;
        quota.items_used += 1;
        let container = self.transaction.copied_container_mut(item.container)?;
        items::add(container, item);
        reach(container, item.modseq, item.uid);
        Ok(())
    }

    fn expunged(&mut self, expunged: &Expunged) -> Result<(), FollowError> {
        let blob = match &expunged.retained {
            Some(retained) => Some(self.refer(retained.blob)?),
            None => None,
        };
        self.forget(expunged.container, expunged.uid)?;
        let retained = expunged.retained.as_ref();
        let flags = retained.map(|retained| retained.flags).unwrap_or_default();
        let (low, high) = keyword_columns(flags);
        let statement = "INSERT INTO expunged (account, container, uid, modseq, expunged_at, blob, size, flags, \
             keywords_low, keywords_high, internal_date, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let values = params![
            self.transaction.id(),
            sql(expunged.container.0),
            expunged.uid.0,
            sql(expunged.modseq.0),
            expunged.expunged_at.0,
            blob,
            sql(retained.map_or(0, |retained| retained.size)),
            flags.system,
            low,
            high,
            retained.map_or(0, |retained| retained.internal_date.0),
            retained.and_then(|retained| retained.name.as_deref()),
        ];
        self.transaction.reader.execute(statement, values)?;
        if self.transaction.lives(expunged.container)? {
            let container = self.transaction.copied_container_mut(expunged.container)?;
            container.digest.add(Digest::of_expunged(expunged));
            reach(container, expunged.modseq, expunged.uid);
        }
        Ok(())
    }

    /// The blob of a row that is about to be written, which counts as a reference: found here, or taken from what came
    /// with the page.
    fn refer(&mut self, hash: BlobHash) -> Result<i64, FollowError> {
        let blob = match self.transaction.reader.blob_number(hash)? {
            Some(blob) => blob,
            None => {
                let copied = self.blobs.remove(&hash).ok_or(FollowError::NoSuchBlob(hash))?;
                let summary = copied.summary.as_ref();
                match &copied.content {
                    Content::Inline(bytes) => self.transaction.add_inline(hash, bytes, summary)?,
                    Content::Stored(_) => {
                        let size = self.transaction.files().size(hash)?.ok_or(FollowError::NoSuchBlob(hash))?;
                        self.adopted.push(hash);
                        self.transaction.add_blob(hash, size, true, summary)?
                    }
                }
            }
        };
        self.transaction.refer(blob, 1)?;
        Ok(blob)
    }

    /// Takes away what is here under a UID, an item or its tombstone. The container may be gone already.
    fn forget(&mut self, id: ContainerId, uid: Uid) -> Result<(), FollowError> {
        let at = params![self.transaction.id(), sql(id.0), uid.0];
        if !self.has_any(at)? {
            return Ok(());
        }
        let condition = "i.account = ?1 AND i.container = ?2 AND i.uid = ?3";
        if let Some((item, blob)) = self.transaction.item_rows(condition, at)?.pop() {
            let statement = "DELETE FROM item WHERE account = ?1 AND container = ?2 AND uid = ?3";
            self.transaction.reader.execute(statement, at)?;
            let quota = &mut self.transaction.head.quota;
            quota.bytes_used -= item.size;
            quota.items_used -= 1;
            if self.transaction.lives(id)? {
                items::subtract(self.transaction.copied_container_mut(id)?, &item);
            }
            self.release(blob)?;
        }
        let statement =
            "DELETE FROM expunged WHERE account = ?1 AND container = ?2 AND uid = ?3 RETURNING modseq, blob";
        let mut statement = self.transaction.conn().prepare_cached(statement).map_err(store_error)?;
        let found = statement.query_map(at, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)));
        let found = found.and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>).map_err(store_error)?;
        for (modseq, blob) in found {
            if self.transaction.lives(id)? {
                let modseq = Modseq(modseq.cast_unsigned());
                let old = Expunged { container: id, uid, modseq, expunged_at: Timestamp(0), retained: None };
                self.transaction.copied_container_mut(id)?.digest.remove(Digest::of_expunged(&old));
            }
            if let Some(blob) = blob {
                self.release(blob)?;
            }
        }
        Ok(())
    }

    /// Whether there is an item or a tombstone: mostly not, so that is asked first.
    fn has_any(&self, at: &[&dyn rusqlite::ToSql]) -> Result<bool, FollowError> {
        let statement = "SELECT 1 FROM item WHERE account = ?1 AND container = ?2 AND uid = ?3 UNION ALL \
             SELECT 1 FROM expunged WHERE account = ?1 AND container = ?2 AND uid = ?3";
        let mut statement = self.transaction.conn().prepare_cached(statement).map_err(store_error)?;
        Ok(statement.exists(at).map_err(store_error)?)
    }

    /// Sees to it that no other item has this name: one that has it here has lost it at the source, and is nameless
    /// until its newer form or its tombstone arrives.
    fn free_name(&mut self, id: ContainerId, name: &str) -> Result<(), FollowError> {
        let condition = "i.account = ?1 AND i.container = ?2 AND i.name = ?3";
        let values = params![self.transaction.id(), sql(id.0), name];
        for (item, _) in self.transaction.item_rows(condition, values)? {
            let statement = "UPDATE item SET name = NULL WHERE account = ?1 AND container = ?2 AND uid = ?3";
            self.transaction.reader.execute(statement, params![self.transaction.id(), sql(id.0), item.uid.0])?;
            let container = self.transaction.copied_container_mut(id)?;
            container.digest.remove(Digest::of_item(&item));
            container.digest.add(Digest::of_item(&Item { name: None, ..item }));
        }
        Ok(())
    }

    /// The same for what items call themselves.
    fn free_object_uid(&mut self, id: ContainerId, object_uid: &str) -> Result<(), FollowError> {
        let condition = "i.account = ?1 AND i.container = ?2 AND i.object_uid = ?3";
        let values = params![self.transaction.id(), sql(id.0), object_uid];
        for (item, _) in self.transaction.item_rows(condition, values)? {
            let statement = "UPDATE item SET object_uid = NULL WHERE account = ?1 AND container = ?2 AND uid = ?3";
            self.transaction.reader.execute(statement, params![self.transaction.id(), sql(id.0), item.uid.0])?;
            let container = self.transaction.copied_container_mut(id)?;
            container.digest.remove(Digest::of_item(&item));
            container.digest.add(Digest::of_item(&Item { object_uid: None, ..item }));
        }
        Ok(())
    }

    fn answers(&mut self, page: &Page) -> Result<(), CommitError> {
        for kept in &page.answers {
            // In two statements: with OR, SQLite reads the whole table.
            let by_operation = "DELETE FROM operation WHERE account = ?1 AND operation = ?2";
            let values = params![self.transaction.id(), kept.operation.0.as_slice()];
            self.transaction.reader.execute(by_operation, values)?;
            let by_number = "DELETE FROM operation WHERE account = ?1 AND number = ?2";
            self.transaction.reader.execute(by_number, params![self.transaction.id(), sql(kept.number)])?;
            keep_answer(self.transaction.reader, kept)?;
            self.transaction.numbers.operations = self.transaction.numbers.operations.max(kept.number);
        }
        Ok(())
    }

    /// At the source's head the sums here must be the source's.
    fn compare(&mut self, page: &Page) -> Result<(), FollowError> {
        let (ours, theirs) = (&self.transaction.head, &page.head);
        if ours.digest == theirs.digest && ours.quota == theirs.quota {
            return Ok(());
        }
        let mut differing = Vec::new();
        for container in &page.containers {
            let ours = self.transaction.container(container.id)?;
            if Digest::of_container(ours) != Digest::of_container(container) {
                differing.push(container.id);
            }
        }
        Err(FollowError::Differs(differing))
    }
}
