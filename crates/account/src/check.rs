//! Every invariant of an account, verified from its rows: what `sterna check` runs, and every test that closes an
//! account.
//!
//! Reads in pages and keeps sums, one number for each item and one row for each container and blob: a mailbox of a
//! million messages needs some tens of megabytes, not its contents.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use sterna_base::limits::{BLOB_CHUNK_BYTES, PAGE_ITEMS_MAX};
use sterna_base::{BlobHash, ContainerId, Modseq, Uid};

use crate::{
    Change, Container, ContainerKind, Counts, Cursor, Digest, Expunged, Head, Item, Read, Role, SpecialUse, StoreError,
    SystemFlag,
};

/// How often a check starts again because the account changed while it was read.
const ATTEMPTS_MAX: usize = 5;

/// How thorough a check is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Depth {
    /// Read every blob and compare it with its name.
    pub contents: bool,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// An invariant that doesn't hold, and where.
    Broken {
        /// The container, if it is about one.
        container: Option<ContainerId>,
        /// The item, if it is about one.
        uid: Option<Uid>,
        /// What is wrong.
        what: String,
    },
    /// The account kept changing, so the sums could not be compared: check again when it is quieter.
    Busy,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Busy => f.write_str("the account changed while it was read; check it again"),
            Finding::Broken { container, uid, what } => {
                if let Some(container) = container {
                    write!(f, "container {container}: ")?;
                }
                if let Some(uid) = uid {
                    write!(f, "item {uid}: ")?;
                }
                f.write_str(what)
            }
        }
    }
}

/// Verifies an account; empty when all is well. Works on a live one.
///
/// # Errors
/// When the store can't be read.
pub fn check(read: &dyn Read, depth: Depth) -> Result<Vec<Finding>, StoreError> {
    for _ in 0..ATTEMPTS_MAX {
        let head = read.head()?;
        let mut check = Check::new(read, head.clone());
        check.run(depth)?;
        let after = read.head()?;
        if after == head {
            return Ok(check.findings);
        }
    }
    Ok(vec![Finding::Busy])
}

/// Sums over the rows of one container.
#[derive(Default)]
struct Sums {
    counts: Counts,
    digest: Digest,
    highest_modseq: Modseq,
    uids: HashSet<Uid>,
    names: HashSet<String>,
    highest_uid: Uid,
}

struct Check<'a> {
    read: &'a dyn Read,
    head: Head,
    containers: BTreeMap<ContainerId, Container>,
    deleted: BTreeMap<ContainerId, Modseq>,
    sums: HashMap<ContainerId, Sums>,
    /// How many rows refer to each blob, and the size they state.
    references: HashMap<BlobHash, (u64, u64)>,
    /// Live items whose container doesn't live.
    orphans: Vec<Item>,
    findings: Vec<Finding>,
}

impl<'a> Check<'a> {
    fn new(read: &'a dyn Read, head: Head) -> Self {
        let (containers, deleted) = (BTreeMap::new(), BTreeMap::new());
        let (sums, references, orphans) = (HashMap::new(), HashMap::new(), Vec::new());
        Check { read, head, containers, deleted, sums, references, orphans, findings: Vec::new() }
    }

    fn run(&mut self, depth: Depth) -> Result<(), StoreError> {
        for container in self.read.containers()? {
            self.containers.insert(container.id, container);
        }
        self.rows()?;
        // The rows of a copy that follows are of different times, and nobody sees it. When it is equal to its source,
        // its tree is, too.
        if self.head.role != Role::Follower {
            self.tree();
        }
        self.container_sums();
        self.account_sums();
        self.listings()?;
        self.blobs(depth)
    }

    fn broken(&mut self, container: Option<ContainerId>, uid: Option<Uid>, what: impl Into<String>) {
        self.findings.push(Finding::Broken { container, uid, what: what.into() });
    }

    /// Walks "changes since zero": every row there is, in order.
    fn rows(&mut self) -> Result<(), StoreError> {
        let mut cursor = Cursor::start();
        let mut seen = BTreeSet::new();
        loop {
            let page = self.read.changes(cursor, PAGE_ITEMS_MAX)?;
            for change in &page.rows {
                let at = change.cursor();
                if at <= cursor {
                    self.broken(Some(at.container), Some(at.uid), "changes are out of order");
                }
                if at.modseq == Modseq::ZERO || at.modseq > self.head.modseq {
                    self.broken(Some(at.container), Some(at.uid), format!("modseq {} is impossible", at.modseq));
                }
                cursor = at;
                self.row(change, &mut seen);
            }
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        let missing: Vec<_> = self.containers.keys().filter(|id| !seen.contains(*id)).copied().collect();
        for id in missing {
            self.broken(Some(id), None, "the container is missing from the changes");
        }
        let known = |id: &ContainerId| self.containers.contains_key(id) || self.deleted.contains_key(id);
        let strays: Vec<_> = self.sums.keys().filter(|id| !known(id)).copied().collect();
        for id in strays {
            self.broken(Some(id), None, "there are tombstones in a container that never was");
        }
        Ok(())
    }

    fn row(&mut self, change: &Change, seen: &mut BTreeSet<ContainerId>) {
        match change {
            Change::Container(container) => {
                seen.insert(container.id);
                if self.containers.get(&container.id) != Some(container) {
                    self.broken(Some(container.id), None, "the changes show another row than the listing");
                }
            }
            Change::ContainerDeleted { id, modseq } => {
                if self.containers.contains_key(id) {
                    self.broken(Some(*id), None, "the container is both live and deleted");
                }
                self.deleted.insert(*id, *modseq);
            }
            Change::Item(item) => self.item(item),
            Change::Expunged(expunged) => self.expunged(expunged),
        }
    }

    fn item(&mut self, item: &Item) {
        let (id, uid) = (Some(item.container), Some(item.uid));
        let Some(keywords) = self.containers.get(&item.container).map(|container| container.keywords.len()) else {
            self.orphans.push(item.clone());
            return self.refer(id, item.uid, item.blob, item.size);
        };
        if item.flags.keyword_bits().any(|bit| bit >= keywords) {
            self.broken(id, uid, "a keyword without a name");
        }
        let sums = self.sums.entry(item.container).or_default();
        sums.counts.items += 1;
        sums.counts.bytes += item.size;
        sums.counts.unseen += u64::from(!item.flags.has(SystemFlag::Seen));
        if item.flags.has(SystemFlag::Deleted) {
            sums.counts.deleted += 1;
            sums.counts.deleted_bytes += item.size;
        }
        let repeated_name = item.name.as_ref().is_some_and(|name| !sums.names.insert(name.clone()));
        let repeated_uid = sums.add(item.uid, item.modseq, Digest::of_item(item));
        if repeated_name {
            self.broken(id, uid, "another item has the same name");
        }
        if repeated_uid {
            self.broken(id, uid, "the UID is there twice");
        }
        self.refer(id, item.uid, item.blob, item.size);
    }

    fn expunged(&mut self, expunged: &Expunged) {
        let (id, uid) = (Some(expunged.container), Some(expunged.uid));
        let sums = self.sums.entry(expunged.container).or_default();
        if sums.add(expunged.uid, expunged.modseq, Digest::of_expunged(expunged)) {
            self.broken(id, uid, "the UID is there twice");
        }
        if let Some(retained) = &expunged.retained {
            self.refer(id, expunged.uid, retained.blob, retained.size);
        }
    }

    fn refer(&mut self, container: Option<ContainerId>, uid: Uid, blob: BlobHash, size: u64) {
        let entry = self.references.entry(blob).or_insert((0, size));
        entry.0 += 1;
        if entry.1 != size {
            self.broken(container, Some(uid), format!("its size differs from that of another row of blob {blob}"));
        }
    }

    fn tree(&mut self) {
        let containers: Vec<Container> = self.containers.values().cloned().collect();
        let (mut names, mut uses) = (HashSet::new(), HashSet::new());
        for container in &containers {
            let id = Some(container.id);
            if !names.insert((container.parent, container.kind, container.name.clone())) {
                self.broken(id, None, "a sibling has the same name");
            }
            if container.special_use.is_some_and(|special_use| !uses.insert(special_use)) {
                self.broken(id, None, "another container has the same special use");
            }
            if container.acl.entries().iter().any(|entry| entry.rights.is_empty()) {
                self.broken(id, None, "an entry of its list of rights is empty");
            }
            let mut above = container.parent;
            for _ in 0..=containers.len() {
                let Some(parent) = above else { break };
                match self.containers.get(&parent) {
                    Some(parent) => above = parent.parent,
                    None => {
                        self.broken(id, None, "a container above it doesn't live");
                        break;
                    }
                }
            }
            if above.is_some_and(|above| self.containers.contains_key(&above)) {
                self.broken(id, None, "it is its own ancestor");
            }
        }
        let mail = containers.iter().any(|container| container.kind == ContainerKind::Mail);
        if mail && !uses.contains(&SpecialUse::Inbox) {
            self.broken(None, None, "there are mail folders, but no INBOX");
        }
    }

    fn container_sums(&mut self) {
        let containers: Vec<Container> = self.containers.values().cloned().collect();
        for container in containers {
            let id = Some(container.id);
            let sums = self.sums.remove(&container.id).unwrap_or_default();
            if sums.counts != container.counts {
                self.broken(id, None, format!("counts are {:?}, the row says {:?}", sums.counts, container.counts));
            }
            if sums.digest != container.digest {
                self.broken(id, None, format!("digest is {}, the row says {}", sums.digest, container.digest));
            }
            if sums.highest_uid >= container.uid_next {
                self.broken(id, Some(sums.highest_uid), format!("UIDNEXT {} is not above it", container.uid_next));
            }
            let highest = sums.highest_modseq.max(container.modseq);
            if highest > container.highest_modseq {
                self.broken(id, None, format!("HIGHESTMODSEQ is {highest}, the row says {}", container.highest_modseq));
            }
            if container.highest_modseq > self.head.modseq {
                self.broken(id, None, format!("HIGHESTMODSEQ {} is impossible", container.highest_modseq));
            }
        }
    }

    fn account_sums(&mut self) {
        let (mut digest, mut bytes, mut items) = (Digest::default(), 0, 0);
        for item in std::mem::take(&mut self.orphans) {
            // In a copy that follows, the items of a deleted container wait for their tombstones.
            if self.head.role != Role::Follower || !self.deleted.contains_key(&item.container) {
                self.broken(Some(item.container), Some(item.uid), "a live item in a container that doesn't live");
            }
            bytes += item.size;
            items += 1;
        }
        for container in self.containers.values() {
            digest.add(Digest::of_container(container));
            bytes += container.counts.bytes;
            items += container.counts.items;
        }
        for (id, modseq) in &self.deleted {
            digest.add(Digest::of_deleted_container(*id, *modseq));
        }
        if digest != self.head.digest {
            let stored = self.head.digest;
            self.broken(None, None, format!("the account's digest is {digest}, its row says {stored}"));
        }
        let quota = self.head.quota;
        if (bytes, items) != (quota.bytes_used, quota.items_used) {
            let (b, i) = (quota.bytes_used, quota.items_used);
            self.broken(None, None, format!("{bytes} bytes in {items} items are used, the row says {b} in {i}"));
        }
    }

    /// The narrow listing shows the same items as the changes.
    fn listings(&mut self) -> Result<(), StoreError> {
        let containers: Vec<Container> = self.containers.values().cloned().collect();
        for container in containers {
            let (mut after, mut count) = (Uid(0), 0);
            loop {
                let page = self.read.item_flags(container.id, after, PAGE_ITEMS_MAX)?;
                for row in &page {
                    if row.uid <= after {
                        self.broken(Some(container.id), Some(row.uid), "the listing is out of order");
                    }
                    after = row.uid;
                }
                count += page.len() as u64;
                if page.len() < PAGE_ITEMS_MAX {
                    break;
                }
            }
            if count != container.counts.items {
                let stored = container.counts.items;
                self.broken(Some(container.id), None, format!("the listing has {count} items, the row says {stored}"));
            }
        }
        Ok(())
    }

    fn blobs(&mut self, depth: Depth) -> Result<(), StoreError> {
        let mut after = None;
        let mut references = std::mem::take(&mut self.references);
        loop {
            let page = self.read.blobs(after, PAGE_ITEMS_MAX)?;
            for &(hash, size, stored) in &page {
                after = Some(hash);
                let (count, stated) = references.remove(&hash).unwrap_or((0, size));
                if count != stored {
                    self.broken(None, None, format!("blob {hash}: {count} rows refer to it, its row says {stored}"));
                }
                if stated != size {
                    self.broken(None, None, format!("blob {hash} has {size} bytes, its items say {stated}"));
                }
                self.content(hash, size, depth)?;
            }
            if page.len() < PAGE_ITEMS_MAX {
                break;
            }
        }
        for (hash, (count, _)) in references {
            self.broken(None, None, format!("blob {hash} is missing; {count} rows refer to it"));
        }
        Ok(())
    }

    fn content(&mut self, hash: BlobHash, size: u64, depth: Depth) -> Result<(), StoreError> {
        if !depth.contents {
            return Ok(());
        }
        let mut hasher = blake3::Hasher::new();
        let mut offset = 0;
        while offset < size {
            let chunk = self.read.blob(hash, offset..size.min(offset + BLOB_CHUNK_BYTES as u64))?;
            if chunk.is_empty() {
                break;
            }
            hasher.update(&chunk);
            offset += chunk.len() as u64;
        }
        if offset != size || *hasher.finalize().as_bytes() != hash.0 {
            self.broken(None, None, format!("blob {hash} does not have the content of its name"));
        }
        Ok(())
    }
}

impl Sums {
    /// Takes a row in; true when its UID was there.
    fn add(&mut self, uid: Uid, modseq: Modseq, digest: Digest) -> bool {
        self.digest.add(digest);
        self.highest_modseq = self.highest_modseq.max(modseq);
        self.highest_uid = self.highest_uid.max(uid);
        !self.uids.insert(uid)
    }
}
