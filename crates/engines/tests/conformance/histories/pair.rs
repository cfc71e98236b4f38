//! One account on SQLite and in the model.

use std::path::Path;

use bytes::Bytes;
use sterna_account::check::{Depth, check};
use sterna_account::commit::{Expect, MADE};
use sterna_account::*;
use sterna_base::*;
use sterna_engines::memory::MemoryEngine;
use sterna_engines::sqlite::SqliteEngine;

use super::steps::{Act, Origin, Step, What};
use crate::bed::{ACCOUNT, NOW};

const HOUR_MS: i64 = 3_600_000;

/// Staged contents are at least so long, inline ones shorter: which blobs are whose can be told from their size.
const STAGED_BYTES: usize = 2000;

pub struct Pair {
    engines: [Box<dyn Engine>; 2],
    stores: Vec<Box<dyn Store>>,
    now: Timestamp,
    epoch: Epoch,
    sent: Vec<Commit>,
}

impl Pair {
    pub fn new(folder: &Path) -> Self {
        let mut pair = Pair::empty(folder, Role::Active);
        let first = pair.commit_of(first_containers::mutations());
        pair.commit(&[first]);
        pair
    }

    /// Without first containers, in any role.
    pub fn empty(folder: &Path, role: Role) -> Self {
        let engines: [Box<dyn Engine>; 2] = [Box::new(SqliteEngine::new(folder)), Box::new(MemoryEngine::new())];
        for engine in &engines {
            engine.create(ACCOUNT, Epoch(1), role, NOW).unwrap();
        }
        let mut pair = Pair { engines, stores: Vec::new(), now: NOW, epoch: Epoch(1), sent: Vec::new() };
        pair.reopen();
        pair
    }

    /// Goes on where another left off that was the account until now.
    pub fn take_over(&mut self, from: &Pair, epoch: Epoch) {
        (self.epoch, self.now) = (epoch, from.now);
        self.sent.clone_from(&from.sent);
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn reopen(&mut self) {
        self.stores.clear();
        self.stores.extend(self.engines.iter().map(|engine| engine.open(ACCOUNT).unwrap()));
    }

    /// Asks both; their answers must be the same.
    pub fn both<T: PartialEq + std::fmt::Debug>(&mut self, mut ask: impl FnMut(&mut dyn Store) -> T) -> T {
        let [of_sqlite, of_model] = [0, 1].map(|which| ask(self.stores[which].as_mut()));
        assert_eq!(of_sqlite, of_model, "SQLite on the left, the model on the right");
        of_model
    }

    fn commit(&mut self, commits: &[Commit]) {
        let now = self.now;
        self.both(|store| store.commit(commits, now)).unwrap();
        self.sent.extend_from_slice(commits);
    }

    fn commit_of(&mut self, mutations: Vec<Mutation>) -> Commit {
        Commit { operation: OperationId::random(), epoch: self.epoch, mutations }
    }

    pub fn take(&mut self, step: &Step) {
        self.now = self.now.plus_ms(1);
        match step {
            Step::Commits(batch, stale) => {
                let mutations: Vec<Vec<Mutation>> =
                    batch.iter().map(|acts| acts.iter().map(|act| self.mutation(act)).collect()).collect();
                let mut commits: Vec<Commit> = mutations.into_iter().map(|all| self.commit_of(all)).collect();
                if *stale {
                    commits.iter_mut().for_each(|commit| commit.epoch = Epoch(0));
                }
                self.commit(&commits);
            }
            Step::Repeat(which) => {
                let again = self.sent[usize::from(*which) % self.sent.len()].clone();
                // Whoever sends a large message again stages it again.
                (0..3).for_each(|tag| {
                    self.stage(tag);
                });
                self.commit(&[again]);
            }
            Step::WaitHours(hours) => self.now = self.now.plus_ms(i64::from(*hours) * HOUR_MS),
            Step::Purge(hours, limit) => {
                let (before, now) = (self.now.plus_ms(-i64::from(*hours) * HOUR_MS), self.now);
                self.both(|store| store.purge(before, now, *limit)).unwrap();
            }
            Step::Reopen => self.reopen(),
            Step::Seal => {
                let (epoch, next) = (self.epoch, Epoch(self.epoch.0 + 1));
                self.both(|store| store.set_role(epoch, Role::Sealed, NOW)).unwrap();
                let late = self.commit_of(vec![Mutation::SetQuota { bytes_max: Some(0), items_max: None }]);
                self.commit(&[late]);
                self.both(|store| store.set_role(next, Role::Active, NOW)).unwrap();
                self.both(|store| store.set_role(epoch, Role::Active, NOW)).unwrap_err();
                self.epoch = next;
            }
        }
    }

    fn mutation(&mut self, act: &Act) -> Mutation {
        match *act {
            Act::Create { parent, name, calendar, special_use } => Mutation::CreateContainer {
                parent: parent.map(|parent| self.container(parent)),
                kind: if calendar { ContainerKind::Calendar } else { ContainerKind::Mail },
                name: container_name(name),
                special_use: special_use.map(|which| SpecialUse::ALL[1 + usize::from(which)]),
            },
            Act::About => Mutation::CreateAbout { kind: ContainerKind::Metadata },
            Act::Rename { container, parent, name } => Mutation::RenameContainer {
                container: self.container(container),
                parent: parent.map(|parent| self.container(parent)),
                name: container_name(name),
            },
            Act::Delete { container } => Mutation::DeleteContainer { container: self.container(container) },
            Act::Numbers { container, uid_validity, uid_next, modseq_min } => {
                let head = self.stores[1].head().unwrap().modseq.0;
                Mutation::SetNumbers {
                    container: self.container(container),
                    // Zero now and then, and from the end of the range.
                    uid_validity: UidValidity(match uid_validity {
                        0..200 => u32::from(uid_validity),
                        _ => u32::MAX - u32::from(uid_validity),
                    }),
                    uid_next: Uid(u32::from(uid_next)),
                    modseq_min: Modseq((head + u64::from(modseq_min)).saturating_sub(200)),
                    expect_uid_next: None,
                }
            }
            Act::AppendAt { container, ref what, ahead } => {
                let container = self.container(container);
                let next = self.stores[1].container(container).unwrap().map_or(1, |found| found.uid_next.0);
                let uid = Uid((next + u32::from(ahead % 8)).saturating_sub(2));
                Mutation::AppendAt { container, uid, item: self.item(what, None) }
            }
            Act::Append { container, ref what, name } => {
                Mutation::Append { container: self.container(container), item: self.item(what, name) }
            }
            Act::Put { container, ref what, name, expect } => {
                let (container, item) = (self.container(container), self.item(what, name));
                Mutation::Put { container, expect: self.expect(container, &item, expect), item }
            }
            Act::Remove { container, name } => {
                Mutation::Remove { container: self.container(container), name: format!("n{name}") }
            }
            Act::Copy { from, uids, to, expunge } => {
                let from = self.container(from);
                Mutation::Copy { from, uids: self.uids(from, uids), to: self.container(to), expunge }
            }
            Act::Flag { container, uids, action, flags, since } => {
                let container = self.container(container);
                let head = self.stores[1].head().unwrap().modseq.0;
                Mutation::StoreFlags {
                    container,
                    uids: self.uids(container, uids),
                    action: [FlagAction::Add, FlagAction::Remove, FlagAction::Replace][usize::from(action)],
                    flags: flag_set(flags),
                    unchanged_since: since.map(|back| Modseq(head.saturating_sub(u64::from(back % 8)))),
                }
            }
            Act::Expunge { container, uids, deleted_only } => {
                let container = self.container(container);
                Mutation::Expunge { container, uids: self.uids(container, uids), deleted_only }
            }
            Act::Acl { container, who, negative, rights } => Mutation::SetAcl {
                container: self.container(container),
                identifier: match who {
                    0 => Identifier::Anyone,
                    id => Identifier::Entry(AccountId(u64::from(id))),
                },
                negative,
                rights: Rights::parse(["", "l", "lr", "lrswipkxtea"][usize::from(rights)]).unwrap(),
            },
            Act::Quota { bytes, items } => Mutation::SetQuota {
                bytes_max: bytes.map(|bytes| u64::from(bytes) * 1000),
                items_max: items.map(u64::from),
            },
        }
    }

    /// A live container, or now and then the next one that will be made.
    fn container(&self, choice: u8) -> ContainerId {
        let containers = self.stores[1].containers().unwrap();
        let next = containers.iter().map(|container| container.id.0 + 1).max().unwrap_or(1);
        match choice % 32 {
            31 => ContainerId(next),
            30 => MADE,
            _ => containers[usize::from(choice) % containers.len()].id,
        }
    }

    fn uids(&self, container: ContainerId, (low, high): (u8, u8)) -> UidSet {
        let next = self.stores[1].container(container).unwrap().map_or(1, |found| found.uid_next.0);
        match low {
            0..32 => UidSet::all(),
            _ => UidSet::range(Uid(u32::from(low) % (next + 1)), Uid(u32::from(high) % (next + 1))),
        }
    }

    fn item(&mut self, what: &What, name: Option<u8>) -> NewItem {
        let content = match what.origin {
            Origin::Inline(tag) => Content::Inline(vec![tag; usize::from(tag) * 100].into()),
            Origin::Staged(tag) => Content::Stored(self.stage(tag)),
            Origin::Absent => Content::Stored(BlobHash([1; 32])),
            Origin::Held(choice) => {
                let mut held = self.stores[1].blobs(None, 100).unwrap();
                held.retain(|(_, size, _)| (*size as usize) < STAGED_BYTES);
                let at = usize::from(choice) % held.len().max(1);
                Content::Stored(held.get(at).map_or(BlobHash([2; 32]), |(hash, ..)| *hash))
            }
        };
        let summary = what.summary.then(|| Bytes::copy_from_slice(&[what.flags]));
        let internal_date = (what.flags.is_multiple_of(4)).then_some(Timestamp(-i64::from(what.flags)));
        // Some have a UID that others have, too.
        let object_uid = name.filter(|name| name % 3 > 0).map(|name| format!("u{}", name / 2));
        let name = name.map(|name| format!("n{name}"));
        NewItem { content, summary, internal_date, flags: flag_set(what.flags), name, object_uid }
    }

    fn stage(&mut self, tag: u8) -> BlobHash {
        let bytes = vec![tag; STAGED_BYTES + usize::from(tag)];
        let staged = self.both(|store| {
            let mut writer = store.stage_blob()?;
            writer.write(&bytes)?;
            writer.finish()
        });
        staged.unwrap().0
    }

    fn expect(&self, container: ContainerId, item: &NewItem, choice: u8) -> Expect {
        let name = item.name.as_deref().unwrap_or_default();
        let found = self.stores[1].item_named(container, name, ItemParts::default()).ok().flatten();
        match choice {
            0 => Expect::Absent,
            1 => Expect::Content(found.map_or(BlobHash([3; 32]), |found| found.blob)),
            _ => Expect::Any,
        }
    }

    /// Everything both hold is the same, and sound.
    pub fn compare(&mut self, choice: u64, when: &str) {
        let head = self.both(|store| store.head()).unwrap();
        self.both(|store| store.blobs(None, usize::MAX)).unwrap();
        let since = Modseq((choice * 7919 + self.sent.len() as u64) % (head.modseq.0 + 1));
        for page in [3, usize::MAX] {
            self.both(|store| store.changes(Cursor::since(since), page)).unwrap();
        }
        self.both(|store| store.changes(Cursor::start(), usize::MAX)).unwrap();
        let parts = ItemParts { summary: true, body: true, ..ItemParts::default() };
        for container in self.both(|store| store.containers()).unwrap() {
            self.both(|store| store.item_flags(container.id, Uid(1), 5)).unwrap();
            let path = [container.name.clone(), "c1".to_owned()];
            self.both(|store| store.containers_on_path(container.kind, &path)).unwrap();
            self.both(|store| store.items(container.id, &UidSet::all(), parts, usize::MAX)).unwrap();
            self.both(|store| store.expunged(container.id, since, Uid(0), usize::MAX)).unwrap();
            self.both(|store| store.item_named(container.id, "n1", parts)).unwrap();
        }
        let depth = Depth { contents: choice.is_multiple_of(4) };
        let findings = self.both(|store| check(&*store as &dyn Read, depth));
        assert_eq!(findings.unwrap(), [], "{when}");
    }
}

fn container_name(choice: u8) -> String {
    match choice {
        0 => "a/b".to_owned(),
        _ => format!("c{choice}"),
    }
}

/// System flags from five bits, keywords from the rest.
fn flag_set(choice: u8) -> FlagSet {
    let mut flags = FlagSet { system: choice & 0x1f, keywords: Vec::new() };
    for (bit, name) in [(0x20, "$One"), (0x40, "$two"), (0x80, "$TWO")] {
        if choice & bit != 0 {
            flags.insert(Keyword::new(name).unwrap());
        }
    }
    flags
}
