//! Mutations of items.

use sterna_account::commit::Expect;
use sterna_account::{
    CommitError, Expunged, FlagAction, FlagSet, Flags, Item, Keyword, NewItem, Outcome, Retained, SystemFlag, UidSet,
};
use sterna_base::limits::KEYWORDS_PER_CONTAINER_MAX;
use sterna_base::{ContainerId, Modseq, Uid};

use super::store::Transaction;

impl Transaction {
    pub fn append(&mut self, id: ContainerId, new: &NewItem) -> Result<Outcome, CommitError> {
        self.container(id)?;
        self.check_name(id, new.name.as_deref())?;
        self.check_object_uid(id, new.object_uid.as_deref(), None)?;
        let (blob, size) = self.state.take_in(new)?;
        self.check_quota(size, 1)?;
        let item = Item {
            container: id,
            uid: Uid(0),
            modseq: self.modseq,
            flags: self.flag_bits(id, &new.flags)?,
            blob,
            size,
            internal_date: new.internal_date.unwrap_or(self.now),
            saved_at: self.now,
            name: new.name.clone(),
            object_uid: new.object_uid.clone(),
            summary: None,
            body: None,
        };
        let uid = self.insert(item)?;
        Ok(Outcome::Appended { uid_validity: self.container(id)?.uid_validity, uid })
    }

    pub fn append_at(&mut self, id: ContainerId, uid: Uid, new: &NewItem) -> Result<Outcome, CommitError> {
        if uid < self.container(id)?.uid_next {
            return Err(CommitError::Unexpected);
        }
        self.touch(id)?.uid_next = uid;
        self.append(id, new)
    }

    pub fn put(&mut self, id: ContainerId, new: &NewItem, expect: Expect) -> Result<Outcome, CommitError> {
        let Some(name) = &new.name else { return Err(CommitError::Invalid("a name is needed".into())) };
        self.container(id)?;
        let found = self.state.named(id, name).cloned();
        let is_expected = match expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Content(hash) => found.as_ref().is_some_and(|item| item.blob == hash),
        };
        if !is_expected {
            return Err(CommitError::Unexpected);
        }
        let Some(old) = found else { return self.append(id, new) };
        self.check_object_uid(id, new.object_uid.as_deref(), Some(old.uid))?;
        let (blob, size) = self.state.take_in(new)?;
        self.check_quota(size.saturating_sub(old.size), 0)?;
        let (uid, flags) = (old.uid, self.flag_bits(id, &new.flags)?);
        let internal_date = new.internal_date.unwrap_or(self.now);
        let object_uid = new.object_uid.clone();
        let item = Item { modseq: self.modseq, flags, blob, size, internal_date, object_uid, ..old };
        self.state.items.insert((id, uid), item);
        Ok(Outcome::Appended { uid_validity: self.touch(id)?.uid_validity, uid })
    }

    pub fn remove(&mut self, id: ContainerId, name: &str) -> Result<Outcome, CommitError> {
        self.container(id)?;
        let uids: UidSet = self.state.named(id, name).map(|item| item.uid).into_iter().collect();
        for uid in uids.iter() {
            self.bury(id, uid)?;
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
        let source = self.container(from)?.keywords.clone();
        let uid_validity = self.container(to)?.uid_validity;
        let mut pairs = Vec::new();
        for item in self.chosen(from, uids) {
            if expunge {
                self.bury(from, item.uid)?;
            } else {
                self.check_quota(item.size, 1)?;
            }
            self.check_name(to, item.name.as_deref())?;
            self.check_object_uid(to, item.object_uid.as_deref(), None)?;
            let keywords: Vec<Keyword> = item.flags.keyword_bits().filter_map(|bit| source.get(bit).cloned()).collect();
            let flags = self.flag_bits(to, &FlagSet { system: item.flags.system, keywords })?;
            let (old, modseq, saved_at) = (item.uid, self.modseq, self.now);
            pairs.push((old, self.insert(Item { container: to, flags, modseq, saved_at, ..item })?));
        }
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
        self.container(id)?;
        let chosen = self.chosen(id, uids);
        let given = match action {
            // Removing a keyword that the container never had must not make it known there.
            FlagAction::Remove => flags.bits(&self.container(id)?.keywords),
            _ if chosen.is_empty() => Flags::default(),
            _ => self.flag_bits(id, flags)?,
        };
        let (mut changed, mut modified) = (UidSet::new(), UidSet::new());
        for old in chosen {
            let flags = combine(old.flags, action, given);
            if unchanged_since.is_some_and(|since| old.modseq > since) {
                modified.push(old.uid);
            } else if flags != old.flags {
                changed.push(old.uid);
                self.touch(id)?;
                self.state.items.insert((id, old.uid), Item { flags, modseq: self.modseq, ..old });
            }
        }
        Ok(Outcome::Flagged { changed, modified })
    }

    pub fn expunge(&mut self, id: ContainerId, uids: &UidSet, deleted_only: bool) -> Result<Outcome, CommitError> {
        self.container(id)?;
        let mut gone = self.chosen(id, uids);
        gone.retain(|item| !deleted_only || item.flags.has(SystemFlag::Deleted));
        for item in &gone {
            self.bury(id, item.uid)?;
        }
        Ok(Outcome::Expunged { uids: gone.iter().map(|item| item.uid).collect() })
    }

    /// The live items among these UIDs as they are now.
    fn chosen(&self, id: ContainerId, uids: &UidSet) -> Vec<Item> {
        self.state.items_of(id).filter(|item| uids.contains(item.uid)).cloned().collect()
    }

    /// Writes an item under the next UID of its container.
    fn insert(&mut self, item: Item) -> Result<Uid, CommitError> {
        let id = item.container;
        let uid = self.container(id)?.uid_next;
        if uid == Uid::MAX {
            return Err(CommitError::Limit("UIDs of one container".into()));
        }
        self.touch(id)?.uid_next = uid.next();
        self.state.items.insert((id, uid), Item { uid, ..item });
        Ok(uid)
    }

    /// Turns an item into its tombstone; the content is retained.
    pub fn bury(&mut self, id: ContainerId, uid: Uid) -> Result<(), CommitError> {
        let Some(item) = self.state.items.remove(&(id, uid)) else { return Ok(()) };
        self.touch(id)?;
        let Item { blob, size, flags, internal_date, name, .. } = item;
        let retained = Some(Retained { blob, size, flags, internal_date, name });
        let tombstone = Expunged { container: id, uid, modseq: self.modseq, expunged_at: self.now, retained };
        self.state.expunged.insert((id, uid), tombstone);
        Ok(())
    }

    /// Bits of these flags in a container; keywords that it doesn't know get the next bits.
    fn flag_bits(&mut self, id: ContainerId, flags: &FlagSet) -> Result<Flags, CommitError> {
        for keyword in &flags.keywords {
            let known = &self.container(id)?.keywords;
            if known.contains(keyword) {
                continue;
            }
            if known.len() >= KEYWORDS_PER_CONTAINER_MAX {
                return Err(CommitError::Limit("keywords of one container".into()));
            }
            self.touch(id)?.keywords.push(keyword.clone());
        }
        Ok(flags.bits(&self.container(id)?.keywords))
    }

    fn check_name(&self, id: ContainerId, name: Option<&str>) -> Result<(), CommitError> {
        let is_taken = name.is_some_and(|name| self.state.named(id, name).is_some());
        if is_taken { Err(CommitError::NameTaken) } else { Ok(()) }
    }

    fn check_object_uid(&self, id: ContainerId, object_uid: Option<&str>, own: Option<Uid>) -> Result<(), CommitError> {
        let is_other =
            |item: &&Item| object_uid.is_some() && item.object_uid.as_deref() == object_uid && Some(item.uid) != own;
        match self.state.items_of(id).find(is_other) {
            Some(other) => Err(CommitError::ObjectUidTaken { name: other.name.clone().unwrap_or_default() }),
            None => Ok(()),
        }
    }

    /// Whether so much more may come in; what takes nothing more is allowed even above the limit.
    fn check_quota(&self, bytes: u64, items: u64) -> Result<(), CommitError> {
        let quota = self.state.quota();
        let over = |max: Option<u64>, used: u64, more: u64| more > 0 && max.is_some_and(|max| used + more > max);
        let is_over = over(quota.bytes_max, quota.bytes_used, bytes) || over(quota.items_max, quota.items_used, items);
        if is_over { Err(CommitError::OverQuota) } else { Ok(()) }
    }
}

fn combine(old: Flags, action: FlagAction, given: Flags) -> Flags {
    match action {
        FlagAction::Add => Flags { system: old.system | given.system, keywords: old.keywords | given.keywords },
        FlagAction::Remove => Flags { system: old.system & !given.system, keywords: old.keywords & !given.keywords },
        FlagAction::Replace => given,
    }
}
