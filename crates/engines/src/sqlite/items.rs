//! Mutations of items.

use rusqlite::params;
use sterna_account::commit::Expect;
use sterna_account::{
    CommitError, Container, Digest, Expunged, FlagAction, FlagSet, Flags, Item, Keyword, NewItem, Outcome, SystemFlag,
    UidSet,
};
use sterna_base::limits::KEYWORDS_PER_CONTAINER_MAX;
use sterna_base::{ContainerId, Modseq, Uid};

use super::rows::{keyword_columns, sql};
use super::transaction::Transaction;

/// Items read and changed in one go; a mailbox of a million is flagged in pages.
const PAGE: i64 = 4096;

impl Transaction<'_> {
    pub fn append(&mut self, id: ContainerId, new: &NewItem) -> Result<Outcome, CommitError> {
        self.container(id)?;
        if let Some(name) = &new.name
            && !self.named(id, name)?.is_empty()
        {
            return Err(CommitError::NameTaken);
        }
        self.check_object_uid(id, new.object_uid.as_deref(), None)?;
        let (blob, hash, size) = self.content(new)?;
        self.check_quota(size, 1)?;
        let flags = self.flag_bits(id, &new.flags)?;
        let item = Item {
            container: id,
            uid: Uid(0),
            modseq: self.modseq,
            flags,
            blob: hash,
            size,
            internal_date: new.internal_date.unwrap_or(self.now),
            saved_at: self.now,
            name: new.name.clone(),
            object_uid: new.object_uid.clone(),
            summary: None,
            body: None,
        };
        let uid = self.insert(item, blob)?;
        let uid_validity = self.container(id)?.uid_validity;
        Ok(Outcome::Appended { uid_validity, uid })
    }

    pub fn append_at(&mut self, id: ContainerId, uid: Uid, new: &NewItem) -> Result<Outcome, CommitError> {
        if uid < self.container(id)?.uid_next {
            return Err(CommitError::Unexpected);
        }
        self.container_mut(id)?.uid_next = uid;
        self.append(id, new)
    }

    pub fn put(&mut self, id: ContainerId, new: &NewItem, expect: Expect) -> Result<Outcome, CommitError> {
        let Some(name) = &new.name else { return Err(CommitError::Invalid("a name is needed".into())) };
        self.container(id)?;
        let found = self.named(id, name)?.into_iter().next();
        match (expect, &found) {
            (Expect::Absent, Some(_)) => return Err(CommitError::Unexpected),
            (Expect::Content(hash), found) if found.as_ref().is_none_or(|(item, _)| item.blob != hash) => {
                return Err(CommitError::Unexpected);
            }
            _ => {}
        }
        let Some((old, old_blob)) = found else { return self.append(id, new) };
        self.check_object_uid(id, new.object_uid.as_deref(), Some(old.uid))?;
        let (blob, hash, size) = self.content(new)?;
        self.check_quota(size.saturating_sub(old.size), 0)?;
        let flags = self.flag_bits(id, &new.flags)?;
        let mut item = Item { modseq: self.modseq, flags, blob: hash, size, ..old.clone() };
        item.internal_date = new.internal_date.unwrap_or(self.now);
        item.object_uid.clone_from(&new.object_uid);
        self.recount(&old, Some(&item))?;
        let (low, high) = keyword_columns(flags);
        let statement = "UPDATE item SET modseq = ?4, flags = ?5, keywords_low = ?6, keywords_high = ?7, blob = ?8, \
             size = ?9, internal_date = ?10, object_uid = ?11 WHERE account = ?1 AND container = ?2 AND uid = ?3";
        let (modseq, date, object_uid) = (sql(self.modseq.0), item.internal_date.0, item.object_uid.as_deref());
        let (account, container, uid, size) = (self.id(), sql(id.0), item.uid.0, sql(size));
        let values = params![account, container, uid, modseq, flags.system, low, high, blob, size, date, object_uid];
        self.reader.execute(statement, values)?;
        self.refer(blob, 1)?;
        self.refer(old_blob, -1)?;
        let uid_validity = self.container(id)?.uid_validity;
        Ok(Outcome::Appended { uid_validity, uid: item.uid })
    }

    pub fn remove(&mut self, id: ContainerId, name: &str) -> Result<Outcome, CommitError> {
        self.container(id)?;
        let mut uids = UidSet::new();
        for (item, blob) in self.named(id, name)? {
            uids.push(item.uid);
            self.bury(&item, blob)?;
        }
        Ok(Outcome::Expunged { uids })
    }

    pub fn copy(
        &mut self,
        from: ContainerId,
        uids: &UidSet,
        to: ContainerId,
        expunge: bool,
    ) -> Result<Outcome, CommitError> {
        let source: Vec<Keyword> = self.container(from)?.keywords.clone();
        let (uid_validity, end) = {
            let end = self.container(from)?.uid_next;
            (self.container(to)?.uid_validity, end)
        };
        let mut pairs = Vec::new();
        self.each_page(from, uids, end, |this, page| {
            for (item, blob) in page {
                // First, because a named item that moves within its container must not be in its own way.
                if expunge {
                    this.bury(&item, blob)?;
                } else {
                    this.check_quota(item.size, 1)?;
                }
                if item.name.is_some() && !this.named(to, item.name.as_deref().unwrap_or_default())?.is_empty() {
                    return Err(CommitError::NameTaken);
                }
                this.check_object_uid(to, item.object_uid.as_deref(), None)?;
                let keywords = item.flags.keyword_bits().filter_map(|bit| source.get(bit).cloned()).collect();
                let flags = this.flag_bits(to, &FlagSet { system: item.flags.system, keywords })?;
                let old = item.uid;
                let copy = Item { container: to, flags, modseq: this.modseq, saved_at: this.now, ..item };
                pairs.push((old, this.insert(copy, blob)?));
            }
            Ok(())
        })?;
        Ok(Outcome::Copied { uid_validity, pairs })
    }

    pub fn store_flags(
        &mut self,
        id: ContainerId,
        uids: &UidSet,
        action: FlagAction,
        flags: &FlagSet,
        unchanged_since: Option<Modseq>,
    ) -> Result<Outcome, CommitError> {
        let end = self.container(id)?.uid_next;
        // Removing a keyword that the container never had must not make it known there.
        let given = match action {
            FlagAction::Remove => flags.bits(&self.container(id)?.keywords),
            _ if self.any_item(id, uids)? => self.flag_bits(id, flags)?,
            _ => Flags::default(),
        };
        let (mut changed, mut modified) = (UidSet::new(), UidSet::new());
        self.each_page(id, uids, end, |this, page| {
            for (old, _) in page {
                if unchanged_since.is_some_and(|since| old.modseq > since) {
                    modified.push(old.uid);
                    continue;
                }
                let flags = combine(old.flags, action, given);
                if flags == old.flags {
                    continue;
                }
                changed.push(old.uid);
                let item = Item { flags, modseq: this.modseq, ..old.clone() };
                this.recount(&old, Some(&item))?;
                let (low, high) = keyword_columns(flags);
                let statement = "UPDATE item SET modseq = ?4, flags = ?5, keywords_low = ?6, keywords_high = ?7 \
                     WHERE account = ?1 AND container = ?2 AND uid = ?3";
                let modseq = sql(this.modseq.0);
                let values = params![this.id(), sql(id.0), item.uid.0, modseq, flags.system, low, high];
                this.reader.execute(statement, values)?;
            }
            Ok(())
        })?;
        Ok(Outcome::Flagged { changed, modified })
    }

    pub fn expunge(&mut self, id: ContainerId, uids: &UidSet, deleted_only: bool) -> Result<Outcome, CommitError> {
        let end = self.container(id)?.uid_next;
        let mut gone = UidSet::new();
        self.each_page(id, uids, end, |this, page| {
            for (item, blob) in page {
                if !deleted_only || item.flags.has(SystemFlag::Deleted) {
                    gone.push(item.uid);
                    this.bury(&item, blob)?;
                }
            }
            Ok(())
        })?;
        Ok(Outcome::Expunged { uids: gone })
    }

    /// Calls with the items among these UIDs below `end`, page by page, rising.
    fn each_page(
        &mut self,
        id: ContainerId,
        uids: &UidSet,
        end: Uid,
        mut each: impl FnMut(&mut Self, Vec<(Item, i64)>) -> Result<(), CommitError>,
    ) -> Result<(), CommitError> {
        let condition = "i.account = ?1 AND i.container = ?2 AND i.uid BETWEEN ?3 AND ?4 ORDER BY i.uid LIMIT ?5";
        for &(low, high) in uids.ranges() {
            let high = high.0.min(end.0.saturating_sub(1));
            let mut next = low.0;
            while next <= high {
                let page = self.item_rows(condition, params![self.id(), sql(id.0), next, high, PAGE])?;
                let Some(last) = page.last().map(|(item, _)| item.uid) else { break };
                each(self, page)?;
                next = last.0.saturating_add(1);
                if last.0 == u32::MAX {
                    break;
                }
            }
        }
        Ok(())
    }

    fn any_item(&mut self, id: ContainerId, uids: &UidSet) -> Result<bool, CommitError> {
        let statement = "SELECT count(*) FROM (SELECT 1 FROM item WHERE account = ?1 AND container = ?2 AND \
             uid BETWEEN ?3 AND ?4 LIMIT 1) AS found";
        for &(low, high) in uids.ranges() {
            if self.count(statement, params![self.id(), sql(id.0), low.0, high.0])? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn named(&self, id: ContainerId, name: &str) -> Result<Vec<(Item, i64)>, CommitError> {
        let condition = "i.account = ?1 AND i.container = ?2 AND i.name = ?3";
        self.item_rows(condition, params![self.id(), sql(id.0), name])
    }

    /// Whether no other item than this one calls itself so.
    fn check_object_uid(&self, id: ContainerId, object_uid: Option<&str>, own: Option<Uid>) -> Result<(), CommitError> {
        let Some(object_uid) = object_uid else { return Ok(()) };
        let condition = "i.account = ?1 AND i.container = ?2 AND i.object_uid = ?3";
        let found = self.item_rows(condition, params![self.id(), sql(id.0), object_uid])?;
        match found.into_iter().find(|(item, _)| Some(item.uid) != own) {
            Some((other, _)) => Err(CommitError::ObjectUidTaken { name: other.name.unwrap_or_default() }),
            None => Ok(()),
        }
    }

    /// Writes an item under the next UID of its container.
    fn insert(&mut self, mut item: Item, blob: i64) -> Result<Uid, CommitError> {
        let uid = self.container(item.container)?.uid_next;
        if uid == Uid::MAX {
            return Err(CommitError::Limit("UIDs of one container".into()));
        }
        item.uid = uid;
        self.container_mut(item.container)?.uid_next = uid.next();
        self.insert_row(&item, blob)?;
        self.refer(blob, 1)?;
        self.count_in(&item)?;
        Ok(uid)
    }

    /// Writes an item's row.
    pub fn insert_row(&self, item: &Item, blob: i64) -> Result<(), CommitError> {
        let (low, high) = keyword_columns(item.flags);
        let statement = "INSERT INTO item (account, container, uid, modseq, flags, keywords_low, keywords_high, blob, \
             size, internal_date, saved_at, name, object_uid) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let values = params![
            self.id(),
            sql(item.container.0),
            item.uid.0,
            sql(item.modseq.0),
            item.flags.system,
            low,
            high,
            blob,
            sql(item.size),
            item.internal_date.0,
            item.saved_at.0,
            item.name,
            item.object_uid,
        ];
        self.reader.execute(statement, values)?;
        Ok(())
    }

    /// Turns an item into its tombstone; the content is retained.
    fn bury(&mut self, item: &Item, blob: i64) -> Result<(), CommitError> {
        let (low, high) = keyword_columns(item.flags);
        let statement = "INSERT INTO expunged (account, container, uid, modseq, expunged_at, blob, size, flags, \
             keywords_low, keywords_high, internal_date, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let values = params![
            self.id(),
            sql(item.container.0),
            item.uid.0,
            sql(self.modseq.0),
            self.now.0,
            blob,
            sql(item.size),
            item.flags.system,
            low,
            high,
            item.internal_date.0,
            item.name,
        ];
        self.reader.execute(statement, values)?;
        let statement = "DELETE FROM item WHERE account = ?1 AND container = ?2 AND uid = ?3";
        self.reader.execute(statement, params![self.id(), sql(item.container.0), item.uid.0])?;
        self.recount(item, None)
    }

    /// Bits of these flags in a container; keywords that it doesn't know get the next bits.
    fn flag_bits(&mut self, id: ContainerId, flags: &FlagSet) -> Result<Flags, CommitError> {
        for keyword in &flags.keywords {
            if self.container(id)?.keywords.contains(keyword) {
                continue;
            }
            if self.container(id)?.keywords.len() >= KEYWORDS_PER_CONTAINER_MAX {
                return Err(CommitError::Limit("keywords of one container".into()));
            }
            self.container_mut(id)?.keywords.push(keyword.clone());
        }
        Ok(flags.bits(&self.container(id)?.keywords))
    }

    fn check_quota(&self, bytes: u64, items: u64) -> Result<(), CommitError> {
        let quota = self.head.quota;
        let over = |max: Option<u64>, used: u64, more: u64| more > 0 && max.is_some_and(|max| used + more > max);
        let is_over = over(quota.bytes_max, quota.bytes_used, bytes) || over(quota.items_max, quota.items_used, items);
        if is_over { Err(CommitError::OverQuota) } else { Ok(()) }
    }

    fn count_in(&mut self, item: &Item) -> Result<(), CommitError> {
        self.head.quota.bytes_used += item.size;
        self.head.quota.items_used += 1;
        add(self.container_mut(item.container)?, item);
        Ok(())
    }

    /// Takes an item out of all sums, and puts what became of it in: itself, changed, or its tombstone.
    fn recount(&mut self, old: &Item, new: Option<&Item>) -> Result<(), CommitError> {
        let quota = &mut self.head.quota;
        quota.bytes_used -= old.size;
        quota.items_used -= 1;
        if let Some(new) = new {
            quota.bytes_used += new.size;
            quota.items_used += 1;
        }
        let (modseq, now) = (self.modseq, self.now);
        let container = self.container_mut(old.container)?;
        subtract(container, old);
        match new {
            Some(new) => add(container, new),
            None => {
                let (container_id, uid) = (old.container, old.uid);
                let tombstone = Expunged { container: container_id, uid, modseq, expunged_at: now, retained: None };
                container.digest.add(Digest::of_expunged(&tombstone));
            }
        }
        Ok(())
    }
}

/// Takes an item out of the sums of its container.
pub fn subtract(container: &mut Container, item: &Item) {
    container.digest.remove(Digest::of_item(item));
    let counts = &mut container.counts;
    counts.items -= 1;
    counts.bytes -= item.size;
    counts.unseen -= u64::from(!item.flags.has(SystemFlag::Seen));
    if item.flags.has(SystemFlag::Deleted) {
        counts.deleted -= 1;
        counts.deleted_bytes -= item.size;
    }
}

/// Puts an item into the sums of its container.
pub fn add(container: &mut Container, item: &Item) {
    container.digest.add(Digest::of_item(item));
    let counts = &mut container.counts;
    counts.items += 1;
    counts.bytes += item.size;
    counts.unseen += u64::from(!item.flags.has(SystemFlag::Seen));
    if item.flags.has(SystemFlag::Deleted) {
        counts.deleted += 1;
        counts.deleted_bytes += item.size;
    }
}

fn combine(old: Flags, action: FlagAction, given: Flags) -> Flags {
    match action {
        FlagAction::Add => Flags { system: old.system | given.system, keywords: old.keywords | given.keywords },
        FlagAction::Remove => Flags { system: old.system & !given.system, keywords: old.keywords & !given.keywords },
        FlagAction::Replace => given,
    }
}
