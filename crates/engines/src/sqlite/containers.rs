//! Mutations of containers.

use rusqlite::{OptionalExtension, params};
use sterna_account::acl::ACL_ENTRIES_MAX;
use sterna_account::commit::{MODSEQ_MIN_MAX, UID_VALIDITIES_KEPT};
use sterna_account::{
    Acl, CommitError, Container, ContainerKind, Counts, Digest, Identifier, Outcome, Rights, SpecialUse,
};
use sterna_base::limits::{CONTAINER_DEPTH_MAX, CONTAINERS_PER_ACCOUNT_MAX};
use sterna_base::{ContainerId, Modseq, Uid, UidValidity};

use super::error::store_error;
use super::rows::{digest_column, sql};
use super::transaction::Transaction;
use crate::names::is_valid_name;

impl Transaction<'_> {
    pub fn create_container(
        &mut self,
        parent: Option<ContainerId>,
        kind: ContainerKind,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<Outcome, CommitError> {
        self.check_place(parent, kind, name, 1)?;
        let count = self.count("SELECT count(*) FROM container WHERE account = ?1", [self.id()])?;
        if count >= CONTAINERS_PER_ACCOUNT_MAX as u64 {
            return Err(CommitError::Limit("containers of one account".into()));
        }
        if let Some(special_use) = special_use {
            let statement = "SELECT count(*) FROM container WHERE account = ?1 AND special_use = ?2";
            if self.count(statement, params![self.id(), special_use as u8])? > 0 {
                return Err(CommitError::SpecialUseTaken);
            }
        }
        let id = ContainerId(self.numbers.next_container);
        self.numbers.next_container += 1;
        let now = u64::try_from(self.now.seconds()).unwrap_or(0);
        let numbers = &mut self.numbers;
        numbers.last_uid_validity = (numbers.last_uid_validity + 1).max(now);
        let uid_validity = u32::try_from(self.numbers.last_uid_validity)
            .map(UidValidity)
            .map_err(|_| CommitError::Limit("UIDVALIDITY values".into()))?;
        let acl = match parent {
            Some(parent) => self.container(parent)?.acl.clone(),
            None => Acl::default(),
        };
        self.insert_container(Container {
            id,
            parent,
            kind,
            name: name.to_owned(),
            special_use,
            uid_validity,
            uid_next: Uid(1),
            modseq: self.modseq,
            highest_modseq: self.modseq,
            counts: Counts::default(),
            keywords: Vec::new(),
            digest: Digest::default(),
            acl,
        })?;
        self.made = Some(id);
        Ok(Outcome::Container { id, uid_validity })
    }

    /// Writes the row of a container that has nothing in it.
    pub fn insert_container(&mut self, container: Container) -> Result<(), CommitError> {
        let statement = "INSERT INTO container (account, container, parent, kind, name, special_use, uid_validity, \
             uid_next, modseq, highest_modseq, items, bytes, unseen, deleted, deleted_bytes, keywords, digest, acl) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8, 0, 0, 0, 0, 0, '', ?9, ?10)";
        let values = params![
            self.id(),
            sql(container.id.0),
            sql(container.parent.map_or(0, |parent| parent.0)),
            container.kind as u8,
            container.name,
            container.special_use.map_or(0, |special_use| special_use as u8),
            container.uid_validity.0,
            sql(container.modseq.0),
            digest_column(Digest::default()),
            container.acl.to_string(),
        ];
        self.reader.execute(statement, values)?;
        self.add_container(container);
        Ok(())
    }

    /// Writes where a container hangs, at once: the unique index must see it before the next name is looked for.
    pub fn write_place(&self, id: ContainerId, parent: Option<ContainerId>, name: &str) -> Result<(), CommitError> {
        let statement = "UPDATE container SET parent = ?3, name = ?4 WHERE account = ?1 AND container = ?2";
        let parent = sql(parent.map_or(0, |parent| parent.0));
        self.reader.execute(statement, params![self.id(), sql(id.0), parent, name])?;
        Ok(())
    }

    pub fn rename_container(
        &mut self,
        id: ContainerId,
        parent: Option<ContainerId>,
        name: &str,
    ) -> Result<Outcome, CommitError> {
        let (kind, special_use, unchanged) = {
            let container = self.container(id)?;
            (container.kind, container.special_use, container.parent == parent && container.name == name)
        };
        if unchanged {
            return Ok(Outcome::Done);
        }
        if special_use == Some(SpecialUse::Inbox) {
            return Err(CommitError::InboxStays);
        }
        let mut above = parent;
        while let Some(ancestor) = above {
            if ancestor == id {
                return Err(CommitError::NameTaken);
            }
            above = self.container(ancestor)?.parent;
        }
        let height = self.height(id)?;
        self.check_place(parent, kind, name, height)?;
        let container = self.container_mut(id)?;
        container.parent = parent;
        container.name = name.to_owned();
        self.write_place(id, parent, name)?;
        Ok(Outcome::Done)
    }

    pub fn expect_container(
        &mut self,
        kind: ContainerKind,
        name: &str,
        highest_modseq: Option<Modseq>,
    ) -> Result<Outcome, CommitError> {
        let statement = "SELECT container FROM container WHERE account = ?1 AND parent = 0 AND kind = ?2 AND name = ?3";
        let mut statement = self.conn().prepare_cached(statement).map_err(store_error)?;
        let values = params![self.id(), kind as u8, name];
        let id: Option<i64> = statement.query_row(values, |row| row.get(0)).optional().map_err(store_error)?;
        let found = match id {
            Some(id) => Some(self.container(ContainerId(id.cast_unsigned()))?.highest_modseq),
            None => None,
        };
        if found == highest_modseq { Ok(Outcome::Done) } else { Err(CommitError::Unexpected) }
    }

    pub fn set_acl(
        &mut self,
        id: ContainerId,
        identifier: Identifier,
        negative: bool,
        rights: Rights,
    ) -> Result<Outcome, CommitError> {
        let mut acl = self.container(id)?.acl.clone();
        if acl.set(identifier, negative, rights) {
            if acl.entries().len() > ACL_ENTRIES_MAX {
                return Err(CommitError::Limit("entries in the list of rights of a container".into()));
            }
            self.container_mut(id)?.acl = acl;
        }
        Ok(Outcome::Done)
    }

    pub fn set_numbers(
        &mut self,
        id: ContainerId,
        uid_validity: UidValidity,
        (uid_next, expect_uid_next): (Uid, Option<Uid>),
        modseq_min: Modseq,
    ) -> Result<Outcome, CommitError> {
        if uid_validity.0 == 0 {
            return Err(CommitError::Invalid("UIDVALIDITY is not zero (RFC 9051 section 9)".into()));
        }
        if modseq_min > MODSEQ_MIN_MAX {
            return Err(CommitError::Limit("modseqs of other servers".into()));
        }
        let container = self.container(id)?;
        let (is_other, has_grown) = (container.uid_validity != uid_validity, container.uid_next < uid_next);
        let is_expected = expect_uid_next.is_none_or(|expected| container.uid_next == expected);
        if !is_expected || is_other && container.uid_next != Uid(1) {
            return Err(CommitError::Unexpected);
        }
        // The account's modseq may be larger for other containers' sake: clients know this one's.
        if is_other || has_grown || modseq_min >= container.highest_modseq {
            let container = self.container_mut(id)?;
            container.uid_validity = uid_validity;
            container.uid_next = container.uid_next.max(uid_next);
        }
        if uid_validity.0 < u32::MAX - UID_VALIDITIES_KEPT {
            let last = &mut self.numbers.last_uid_validity;
            *last = u64::from(uid_validity.0).max(*last);
        }
        Ok(Outcome::Done)
    }

    pub fn delete_container(&mut self, id: ContainerId) -> Result<Outcome, CommitError> {
        let (special_use, counts) = {
            let container = self.container(id)?;
            (container.special_use, container.counts)
        };
        if special_use == Some(SpecialUse::Inbox) {
            return Err(CommitError::InboxStays);
        }
        let children = "SELECT count(*) FROM container WHERE account = ?1 AND parent = ?2";
        if self.count(children, params![self.id(), sql(id.0)])? > 0 {
            return Err(CommitError::HasChildren);
        }
        let tombstones = "INSERT INTO expunged (account, container, uid, modseq, expunged_at, blob, size, flags, \
             keywords_low, keywords_high, internal_date, name) \
             SELECT account, container, uid, ?3, ?4, blob, size, flags, keywords_low, keywords_high, internal_date, name \
             FROM item WHERE account = ?1 AND container = ?2";
        let at = params![self.id(), sql(id.0), sql(self.modseq.0), self.now.0];
        self.reader.execute(tombstones, at)?;
        let own = params![self.id(), sql(id.0)];
        self.reader.execute("DELETE FROM item WHERE account = ?1 AND container = ?2", own)?;
        self.reader.execute("DELETE FROM container WHERE account = ?1 AND container = ?2", own)?;
        let deleted = "INSERT INTO container_deleted (account, container, modseq) VALUES (?1, ?2, ?3)";
        self.reader.execute(deleted, params![self.id(), sql(id.0), sql(self.modseq.0)])?;
        self.head.quota.bytes_used -= counts.bytes;
        self.head.quota.items_used -= counts.items;
        self.drop_container(id)?;
        self.head.digest.add(Digest::of_deleted_container(id, self.modseq));
        Ok(Outcome::Done)
    }

    /// Whether a container of this kind and name, with so many levels from itself down, may stand there.
    fn check_place(
        &mut self,
        parent: Option<ContainerId>,
        kind: ContainerKind,
        name: &str,
        height: usize,
    ) -> Result<(), CommitError> {
        if !is_valid_name(name) {
            return Err(CommitError::InvalidName);
        }
        let (mut above, mut depth) = (parent, height);
        while let Some(ancestor) = above {
            above = self.container(ancestor)?.parent;
            depth += 1;
        }
        if depth > CONTAINER_DEPTH_MAX {
            return Err(CommitError::Limit("nesting of containers".into()));
        }
        let statement = "SELECT count(*) FROM container WHERE account = ?1 AND parent = ?2 AND kind = ?3 AND name = ?4";
        let values = params![self.id(), sql(parent.map_or(0, |parent| parent.0)), kind as u8, name];
        if self.count(statement, values)? > 0 { Err(CommitError::NameTaken) } else { Ok(()) }
    }

    /// Levels from a container down to its deepest descendant, itself included: walked level by level.
    fn height(&self, id: ContainerId) -> Result<usize, CommitError> {
        let statement = "SELECT container FROM container WHERE account = ?1 AND parent = ?2";
        let mut statement = self.conn().prepare_cached(statement).map_err(store_error)?;
        let (mut level, mut height) = (vec![sql(id.0)], 0);
        while !level.is_empty() {
            height += 1;
            let mut below = Vec::new();
            for parent in level {
                let found = statement.query_map(params![self.id(), parent], |row| row.get::<_, i64>(0));
                let found = found.and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>).map_err(store_error)?;
                below.extend(found);
            }
            level = below;
        }
        Ok(height)
    }
}
