//! Mutations of containers.

use sterna_account::acl::ACL_ENTRIES_MAX;
use sterna_account::commit::{MODSEQ_MIN_MAX, UID_VALIDITIES_KEPT};
use sterna_account::{
    Acl, CommitError, Container, ContainerKind, Counts, Digest, Identifier, Outcome, Rights, SpecialUse,
};
use sterna_base::limits::{CONTAINER_DEPTH_MAX, CONTAINERS_PER_ACCOUNT_MAX};
use sterna_base::{ContainerId, Modseq, Uid, UidValidity};

use super::store::Transaction;
use crate::names::is_valid_name;

impl Transaction {
    pub fn create_container(
        &mut self,
        parent: Option<ContainerId>,
        kind: ContainerKind,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<Outcome, CommitError> {
        self.check_place(parent, kind, name, 1)?;
        if self.state.containers.len() >= CONTAINERS_PER_ACCOUNT_MAX {
            return Err(CommitError::Limit("containers of one account".into()));
        }
        let is_taken = |other: &Container| special_use.is_some() && other.special_use == special_use;
        if self.state.containers.values().any(is_taken) {
            return Err(CommitError::SpecialUseTaken);
        }
        let id = ContainerId(self.state.next_container);
        self.state.next_container += 1;
        let now = u64::try_from(self.now.seconds()).unwrap_or(0);
        self.state.last_uid_validity = (self.state.last_uid_validity + 1).max(now);
        let uid_validity = u32::try_from(self.state.last_uid_validity)
            .map(UidValidity)
            .map_err(|_| CommitError::Limit("UIDVALIDITY values".into()))?;
        let acl = match parent {
            Some(parent) => self.container(parent)?.acl.clone(),
            None => Acl::default(),
        };
        let container = Container {
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
        };
        self.state.containers.insert(id, container);
        self.changed = true;
        self.made = Some(id);
        Ok(Outcome::Container { id, uid_validity })
    }

    pub fn rename_container(
        &mut self,
        id: ContainerId,
        parent: Option<ContainerId>,
        name: &str,
    ) -> Result<Outcome, CommitError> {
        let container = self.container(id)?.clone();
        if container.parent == parent && container.name == name {
            return Ok(Outcome::Done);
        }
        if container.special_use == Some(SpecialUse::Inbox) {
            return Err(CommitError::InboxStays);
        }
        if self.path_to(parent)?.contains(&id) {
            return Err(CommitError::NameTaken);
        }
        self.check_place(parent, container.kind, name, self.height(id))?;
        let container = self.touch(id)?;
        container.parent = parent;
        container.name = name.to_owned();
        Ok(Outcome::Done)
    }

    pub fn expect_container(
        &mut self,
        kind: ContainerKind,
        name: &str,
        highest_modseq: Option<Modseq>,
    ) -> Result<Outcome, CommitError> {
        let is_it = |other: &&Container| other.parent.is_none() && other.kind == kind && other.name == name;
        let found = self.state.containers.values().find(is_it).map(|container| container.highest_modseq);
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
            self.touch(id)?.acl = acl;
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
            let container = self.touch(id)?;
            container.uid_validity = uid_validity;
            container.uid_next = container.uid_next.max(uid_next);
        }
        if uid_validity.0 < u32::MAX - UID_VALIDITIES_KEPT {
            let last = &mut self.state.last_uid_validity;
            *last = u64::from(uid_validity.0).max(*last);
        }
        Ok(Outcome::Done)
    }

    pub fn delete_container(&mut self, id: ContainerId) -> Result<Outcome, CommitError> {
        if self.container(id)?.special_use == Some(SpecialUse::Inbox) {
            return Err(CommitError::InboxStays);
        }
        if self.state.containers.values().any(|other| other.parent == Some(id)) {
            return Err(CommitError::HasChildren);
        }
        let uids: Vec<Uid> = self.state.items_of(id).map(|item| item.uid).collect();
        for uid in uids {
            self.bury(id, uid)?;
        }
        self.state.containers.remove(&id);
        self.state.deleted_containers.insert(id, self.modseq);
        self.changed = true;
        Ok(Outcome::Done)
    }

    /// Whether a container of this kind and name, with so many levels from itself down, may stand there.
    fn check_place(
        &self,
        parent: Option<ContainerId>,
        kind: ContainerKind,
        name: &str,
        height: usize,
    ) -> Result<(), CommitError> {
        if !is_valid_name(name) {
            return Err(CommitError::InvalidName);
        }
        if self.path_to(parent)?.len() + height > CONTAINER_DEPTH_MAX {
            return Err(CommitError::Limit("nesting of containers".into()));
        }
        let is_same = |other: &Container| other.parent == parent && other.kind == kind && other.name == name;
        if self.state.containers.values().any(is_same) { Err(CommitError::NameTaken) } else { Ok(()) }
    }

    /// This container and all above it.
    fn path_to(&self, container: Option<ContainerId>) -> Result<Vec<ContainerId>, CommitError> {
        let (mut path, mut above) = (Vec::new(), container);
        while let Some(id) = above {
            path.push(id);
            above = self.container(id)?.parent;
        }
        Ok(path)
    }

    /// Levels from a container down to its deepest descendant, itself included.
    fn height(&self, id: ContainerId) -> usize {
        let children = self.state.containers.values().filter(|other| other.parent == Some(id));
        1 + children.map(|child| self.height(child.id)).max().unwrap_or(0)
    }
}
