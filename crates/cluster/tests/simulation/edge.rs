//! An edge: handles that look placements up in the edge's copy of the directory, hold calls while an account moves, and
//! repeat them with the same operation id.

use std::collections::BTreeMap;

use sterna_account::{Commit, Mutation};
use sterna_base::{AccountId, ContainerId, Epoch, OperationId};

use crate::message::{Fault, NodeIx, Reply, Request, Seen, Timer, Waiting};
use crate::mutant::Mutant;
use crate::world::World;

/// How long a call is held.
const HOLD_MS: i64 = 2_000;
const PAUSE_MAX_MS: i64 = 100;

#[derive(Default)]
pub struct Edge {
    calls: BTreeMap<u64, Held>,
    next: u64,
    /// The largest epoch that was used for each account.
    epochs: BTreeMap<AccountId, Epoch>,
    /// What a mutant never looks up again.
    cached: BTreeMap<AccountId, (NodeIx, Epoch)>,
}

/// One call of a client, until it is answered or given up.
struct Held {
    client: usize,
    turn: u64,
    account: AccountId,
    work: Work,
    until: i64,
    pause_ms: i64,
}

/// What a client wants done.
#[derive(Clone, Debug)]
pub enum Work {
    Commit { operation: OperationId, mutations: Vec<Mutation> },
    Read(Option<ContainerId>),
}

/// What a client is told.
#[derive(Debug)]
pub enum Outcome {
    Committed(sterna_account::Committed),
    Seen(Seen),
    /// Refused for good: nothing was done.
    Refused,
    /// Nobody knows whether it was done.
    Unknown,
}

impl Edge {
    /// What a crash takes.
    pub fn forget(&mut self) {
        *self = Edge::default();
    }
}

impl World {
    pub fn edge_call(&mut self, node: NodeIx, client: usize, turn: u64, account: AccountId, work: Work) {
        let until = self.now_ms + HOLD_MS;
        let edge = self.edge(node);
        edge.next += 1;
        let id = edge.next;
        edge.calls.insert(id, Held { client, turn, account, work, until, pause_ms: 5 });
        self.edge_attempt(node, id);
    }

    pub fn edge_attempt(&mut self, node: NodeIx, id: u64) {
        let Some(held) = self.edge(node).calls.get(&id) else { return };
        let (account, work) = (held.account, held.work.clone());
        let Some(row) = self.nodes[node].copy.rows.get(&account) else { return };
        let mut placement = (row.node, row.epoch);
        if self.is_mutant(Mutant::CachePlacementsForEver) {
            placement = *self.edge(node).cached.entry(account).or_insert(placement);
        }
        let (server, epoch) = placement;
        let used = self.edge(node).epochs.entry(account).or_default();
        let is_back = std::mem::replace(used, epoch.max(*used)) > epoch;
        if is_back {
            self.oracle.wrong(format!("S10: edge {node} went back to epoch {epoch} of account {account}"));
        }
        let request = match work {
            Work::Commit { operation, mutations } => Request::Commit(Commit { operation, epoch, mutations }),
            Work::Read(container) => Request::Read { epoch, container },
        };
        self.call(node, server, account, request, Waiting::Edge(id));
    }

    pub fn edge_answer(&mut self, node: NodeIx, id: u64, reply: Option<Reply>) {
        let now = self.now_ms;
        let outcome = match reply {
            Some(Reply::Commit(Ok(committed))) => Some(Outcome::Committed(committed)),
            Some(Reply::Read(Ok(seen))) => Some(Outcome::Seen(seen)),
            Some(Reply::Commit(Err(Fault::Refused))) => Some(Outcome::Refused),
            _ => None,
        };
        let Some(held) = self.edge(node).calls.get_mut(&id) else { return };
        if outcome.is_none() && now < held.until {
            let pause = held.pause_ms;
            held.pause_ms = (pause * 2).min(PAUSE_MAX_MS);
            return self.after(node, pause, Timer::Attempt(id));
        }
        if let Some(held) = self.edge(node).calls.remove(&id) {
            self.client_told(held.client, held.turn, outcome.unwrap_or(Outcome::Unknown));
        }
    }
}
