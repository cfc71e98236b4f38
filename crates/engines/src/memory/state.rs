//! The rows of one account, and what follows from them.

use std::collections::BTreeMap;

use bytes::Bytes;
use sterna_account::follow::{KeptAnswer, Progress};
use sterna_account::fork::Fork;
use sterna_account::{Container, Counts, Cursor, Digest, Expunged, Head, Item, Quota, Role, SystemFlag};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, OperationId, Timestamp, Uid};

use crate::settle::Equality;

/// An item's place: its container and its UID.
pub type Place = (ContainerId, Uid);

/// A blob that items or retained ones refer to.
#[derive(Clone)]
pub struct Contents {
    pub bytes: Bytes,
    pub summary: Option<Bytes>,
}

/// A blob that was taken in and that no commit referred to yet.
#[derive(Clone)]
pub struct Staged {
    pub bytes: Bytes,
    pub staged_at: Timestamp,
}

/// One account.
#[derive(Clone)]
pub struct State {
    pub account: AccountId,
    pub modseq: Modseq,
    pub epoch: Epoch,
    pub role: Role,
    pub bytes_max: Option<u64>,
    pub items_max: Option<u64>,
    pub next_container: u64,
    pub last_uid_validity: u64,
    /// Live containers; their counts and digests are left empty here and derived by [`State::container`].
    pub containers: BTreeMap<ContainerId, Container>,
    pub deleted_containers: BTreeMap<ContainerId, Modseq>,
    /// Live items, without summary and body.
    pub items: BTreeMap<Place, Item>,
    pub expunged: BTreeMap<Place, Expunged>,
    pub contents: BTreeMap<BlobHash, Contents>,
    pub staged: BTreeMap<BlobHash, Staged>,
    /// The kept answers by number.
    pub answers: BTreeMap<u64, KeptAnswer>,
    /// The number of the last operation.
    pub operations: u64,
    /// How far a copy that follows got, and whether that was the source's state; `None` since it was active.
    pub progress: Option<(Progress, Equality)>,
    /// Where standby copies took over, oldest first.
    pub forks: Vec<Fork>,
    /// The latest time that a caller named: blobs are staged without one.
    pub latest: Timestamp,
}

impl State {
    /// A new account with nothing in it.
    pub fn new(account: AccountId, epoch: Epoch, role: Role, now: Timestamp) -> Self {
        State {
            account,
            modseq: Modseq::ZERO,
            epoch,
            role,
            bytes_max: None,
            items_max: None,
            next_container: 1,
            last_uid_validity: 0,
            containers: BTreeMap::new(),
            deleted_containers: BTreeMap::new(),
            items: BTreeMap::new(),
            expunged: BTreeMap::new(),
            contents: BTreeMap::new(),
            staged: BTreeMap::new(),
            answers: BTreeMap::new(),
            operations: 0,
            progress: (role == Role::Follower).then_some((Progress::start(), Equality::Never)),
            forks: Vec::new(),
            latest: now,
        }
    }

    /// The account as a whole.
    pub fn head(&self) -> Head {
        let mut digest = Digest::default();
        for container in self.containers.keys().filter_map(|id| self.container(*id)) {
            digest.add(Digest::of_container(&container));
        }
        for (id, modseq) in &self.deleted_containers {
            digest.add(Digest::of_deleted_container(*id, *modseq));
        }
        let (account, modseq, epoch, role) = (self.account, self.modseq, self.epoch, self.role);
        Head { account, modseq, epoch, role, quota: self.quota(), digest }
    }

    /// How far this copy is, and whether it is equal to what it follows.
    pub fn progress(&self) -> (Progress, Equality) {
        let own = Progress { rows: Cursor::since(self.modseq), answers: self.operations };
        self.progress.unwrap_or((own, Equality::Now))
    }

    /// The kept answer of an operation.
    pub fn answer_to(&self, operation: OperationId) -> Option<&KeptAnswer> {
        self.answers.values().find(|kept| kept.operation == operation)
    }

    /// Limits, and what the live items use of them.
    pub fn quota(&self) -> Quota {
        Quota {
            bytes_max: self.bytes_max,
            items_max: self.items_max,
            bytes_used: self.items.values().map(|item| item.size).sum(),
            items_used: self.items.len() as u64,
        }
    }

    /// A live container with its sums.
    pub fn container(&self, id: ContainerId) -> Option<Container> {
        let mut container = self.containers.get(&id)?.clone();
        for item in self.items_of(id) {
            add(&mut container.counts, item);
            container.digest.add(Digest::of_item(item));
        }
        for expunged in self.expunged_of(id) {
            container.digest.add(Digest::of_expunged(expunged));
        }
        Some(container)
    }

    /// The live items of a container, by UID.
    pub fn items_of(&self, id: ContainerId) -> impl Iterator<Item = &Item> {
        self.items.range((id, Uid(0))..=(id, Uid::MAX)).map(|(_, item)| item)
    }

    /// The tombstones of a container, by UID.
    pub fn expunged_of(&self, id: ContainerId) -> impl Iterator<Item = &Expunged> {
        self.expunged.range((id, Uid(0))..=(id, Uid::MAX)).map(|(_, expunged)| expunged)
    }

    /// The live item of this name.
    pub fn named(&self, id: ContainerId, name: &str) -> Option<&Item> {
        self.items_of(id).find(|item| item.name.as_deref() == Some(name))
    }
}

fn add(counts: &mut Counts, item: &Item) {
    counts.items += 1;
    counts.bytes += item.size;
    if !item.flags.has(SystemFlag::Seen) {
        counts.unseen += 1;
    }
    if item.flags.has(SystemFlag::Deleted) {
        counts.deleted += 1;
        counts.deleted_bytes += item.size;
    }
}
