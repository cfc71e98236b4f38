//! Clients: they do one thing after the other, remember what they were told, and repeat what they must.

use std::collections::BTreeMap;

use bytes::Bytes;
use sterna_account::{ContainerKind, Content, FlagAction, FlagSet, Mutation, NewItem, SystemFlag, UidSet};
use sterna_base::{AccountId, ContainerId, Modseq, OperationId, Uid};

use crate::edge::{Outcome, Work};
use crate::message::{Event, NodeIx};
use crate::world::{EDGES, World};

/// A client whose edge died notices after this.
const GIVE_UP_MS: i64 = 3_500;

pub struct Client {
    account: AccountId,
    /// A mail server that delivers: it repeats until it is told that the message is taken.
    is_delivering: bool,
    /// What it does at present; what it is told of earlier things is too late.
    pub turn: u64,
    work: Option<Work>,
    began_at: i64,
    /// Through which edge.
    edge: NodeIx,
    /// What it must see at least if it reads.
    floor: Modseq,
    known: BTreeMap<ContainerId, Vec<Uid>>,
    /// When the last thing began that succeeded.
    pub last_success: i64,
    pub successes: u64,
}

impl Client {
    pub fn new(account: AccountId, is_delivering: bool) -> Self {
        Client {
            account,
            is_delivering,
            turn: 0,
            work: None,
            began_at: 0,
            edge: EDGES[0],
            floor: Modseq::ZERO,
            known: BTreeMap::new(),
            last_success: 0,
            successes: 0,
        }
    }
}

impl World {
    /// The client's turn: it begins something, or finds that it was never answered.
    pub fn client(&mut self, client: usize, turn: u64) {
        if self.clients[client].turn != turn || !self.clients_act {
            return;
        }
        self.clients[client].turn += 1;
        let repeated = self.clients[client].work.take().filter(|_| self.clients[client].is_delivering);
        let work = repeated.unwrap_or_else(|| self.new_work(client));
        let (account, turn, now) = (self.clients[client].account, self.clients[client].turn, self.now_ms);
        let edge = *self.rng.pick(&EDGES);
        let floor = self.oracle.floor(account, edge, now);
        let state = &mut self.clients[client];
        (state.work, state.began_at) = (Some(work.clone()), now);
        (state.edge, state.floor) = (edge, floor);
        self.at(now + GIVE_UP_MS, Event::Client { client, turn });
        if self.nodes[edge].is_up && self.nodes[edge].paused_until <= now {
            self.edge_call(edge, client, turn, account, work);
        }
    }

    pub fn client_told(&mut self, client: usize, turn: u64, outcome: Outcome) {
        let state = &mut self.clients[client];
        if state.turn != turn {
            return;
        }
        let Some(work) = state.work.clone() else { return };
        let (account, edge, floor) = (state.account, state.edge, state.floor);
        match (&work, outcome) {
            (Work::Commit { operation, mutations }, Outcome::Committed(committed)) => {
                self.learn(client, mutations, &committed.outcomes);
                self.oracle.acknowledge(account, edge, self.now_ms, *operation, &committed);
                self.succeeded(client);
            }
            (_, Outcome::Seen(seen)) => {
                self.oracle.seen(account, floor, &seen);
                let known = &mut self.clients[client].known;
                known.retain(|id, _| seen.containers.iter().any(|container| container.id == *id));
                for container in seen.containers.iter().filter(|container| container.kind == ContainerKind::Mail) {
                    known.entry(container.id).or_default();
                }
                if let Some(id) = seen.container {
                    known.insert(id, seen.items.iter().map(|(uid, _)| *uid).collect());
                }
                self.succeeded(client);
            }
            (_, Outcome::Refused) => self.succeeded(client),
            // A delivery is repeated with the same operation id; anything else is left as it may be.
            _ => {}
        }
        let pause = self.rng.between(5, self.weather.think_max_ms);
        let turn = self.clients[client].turn;
        self.at(self.now_ms + pause, Event::Client { client, turn });
    }

    fn succeeded(&mut self, client: usize) {
        let state = &mut self.clients[client];
        (state.work, state.last_success) = (None, state.began_at);
        state.successes += 1;
    }

    fn learn(&mut self, client: usize, mutations: &[Mutation], outcomes: &[sterna_account::Outcome]) {
        let known = &mut self.clients[client].known;
        for (mutation, outcome) in mutations.iter().zip(outcomes) {
            match (mutation, outcome) {
                (Mutation::Append { container, .. }, sterna_account::Outcome::Appended { uid, .. }) => {
                    known.entry(*container).or_default().push(*uid);
                }
                (Mutation::Copy { to, .. }, sterna_account::Outcome::Copied { pairs, .. }) => {
                    known.entry(*to).or_default().extend(pairs.iter().map(|(_, to)| *to));
                }
                (_, sterna_account::Outcome::Container { id, .. }) => {
                    known.entry(*id).or_default();
                }
                _ => {}
            }
        }
    }

    fn new_work(&mut self, client: usize) -> Work {
        let is_delivering = self.clients[client].is_delivering;
        let containers: Vec<ContainerId> = self.clients[client].known.keys().copied().collect();
        if containers.is_empty() {
            if !is_delivering {
                return Work::Read(None);
            }
            return self.commit(vec![]);
        }
        if is_delivering {
            let mutations = vec![self.append(containers[0])];
            return self.commit(mutations);
        }
        let (from, to) = (*self.rng.pick(&containers), *self.rng.pick(&containers));
        let uids = self.some_uids(client, from);
        let mutation = match self.rng.below(20) {
            0..5 => return Work::Read(Some(from)),
            5..8 => self.append(from),
            8..12 => self.flags(from, uids),
            12..14 => Mutation::Copy { from, uids, to, expunge: false },
            14..16 => Mutation::Copy { from, uids, to, expunge: true },
            16..18 => Mutation::Expunge { container: from, uids, deleted_only: self.rng.chance(300) },
            18 => self.make_or_rename(from),
            _ => Mutation::DeleteContainer { container: from },
        };
        self.commit(vec![mutation])
    }

    fn commit(&mut self, mut mutations: Vec<Mutation>) -> Work {
        if mutations.is_empty() {
            // The INBOX is the first container of every account.
            mutations.push(self.append(ContainerId(1)));
        }
        Work::Commit { operation: OperationId(self.rng.bytes16()), mutations }
    }

    fn append(&mut self, container: ContainerId) -> Mutation {
        // Now and then the same content again.
        let mut content = format!("message {}", self.rng.below(40)).into_bytes();
        content.resize(20 + 25 * self.rng.below(40), b'x');
        let content = Bytes::from(content);
        let summary = self.rng.chance(500).then(|| content.slice(..content.len().min(9)));
        let content = Content::Inline(content);
        let item =
            NewItem { content, summary, internal_date: None, flags: FlagSet::default(), name: None, object_uid: None };
        Mutation::Append { container, item }
    }

    fn flags(&mut self, container: ContainerId, uids: UidSet) -> Mutation {
        let flag = *self.rng.pick(&[SystemFlag::Seen, SystemFlag::Flagged, SystemFlag::Deleted]);
        let mut flags = FlagSet::default().with(flag);
        if self.rng.chance(200)
            && let Ok(keyword) = sterna_account::Keyword::new(format!("$k{}", self.rng.below(4)))
        {
            flags.insert(keyword);
        }
        let action = *self.rng.pick(&[FlagAction::Add, FlagAction::Remove, FlagAction::Replace]);
        Mutation::StoreFlags { container, uids, action, flags, unchanged_since: None }
    }

    fn make_or_rename(&mut self, container: ContainerId) -> Mutation {
        let name = format!("folder {}", self.rng.below(6));
        if self.rng.chance(500) {
            return Mutation::RenameContainer { container, parent: None, name };
        }
        Mutation::CreateContainer { parent: None, kind: ContainerKind::Mail, name, special_use: None }
    }

    fn some_uids(&mut self, client: usize, container: ContainerId) -> UidSet {
        let known = self.clients[client].known.get(&container).cloned().unwrap_or_default();
        let count = self.rng.below(3) + 1;
        let mut uids: Vec<Uid> = (0..count).filter(|_| !known.is_empty()).map(|_| *self.rng.pick(&known)).collect();
        uids.sort();
        uids.dedup();
        uids.into_iter().collect()
    }
}
