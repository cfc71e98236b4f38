//! What must be true, checked after every event (S1 to S10 of the protocol's invariants) and at the end.
//!
//! The oracle sees every store at once, which nobody in the world can. For each account it keeps the one history of
//! commits that there is allowed to be.

use std::collections::{BTreeMap, BTreeSet};

use sterna_account::local::SEALED_READS_MS_MAX;
use sterna_account::{Commit, Committed, Digest, Engine, Head, Role};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, OperationId, Timestamp, Uid, UidValidity};
use sterna_cluster::moving::core::step::MovePhase;
use sterna_engines::memory::MemoryEngine;

use crate::data_server::long_content;
use crate::directory::DirectoryRequest;
use crate::message::{NodeIx, Seen};
use crate::world::{DATA, World};

#[derive(Default)]
pub struct Oracle {
    /// The first thing that was wrong.
    pub wrong: Option<String>,
    accounts: BTreeMap<AccountId, Truth>,
    touched: BTreeSet<AccountId>,
    pub stats: Stats,
}

/// What happened, for the figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub commits: u64,
    pub reads: u64,
    pub cut_overs: u64,
    /// Cut-overs that were committed; the others were given up or cancelled.
    pub moves: u64,
    pub crashes: u64,
    pub spoiled: u64,
    pub repairs: u64,
    pub copied_anew: u64,
    /// Copies that are on a disk at the end and that the directory does not name.
    pub orphans: u64,
    pub events: u64,
    /// Of virtual time.
    pub seconds: u64,
}

/// The one history of an account.
struct Truth {
    modseq: Modseq,
    digest: Digest,
    epoch: Epoch,
    history: Vec<Done>,
    operations: BTreeMap<OperationId, usize>,
    /// The largest modseq that clients were told, by the time when they were.
    acknowledged: BTreeMap<i64, Modseq>,
    /// The same for the clients of each edge, since the edge was started.
    by_edge: BTreeMap<NodeIx, Modseq>,
    contents: BTreeMap<(ContainerId, Uid), BlobHash>,
    containers: BTreeMap<ContainerId, (UidValidity, Modseq, Uid)>,
}

struct Done {
    commit: Commit,
    now: Timestamp,
    committed: Committed,
}

impl Oracle {
    pub fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    pub fn look_at(&mut self, account: AccountId) {
        self.touched.insert(account);
    }

    pub fn born(&mut self, account: AccountId, commit: &Commit, now: Timestamp, committed: &Committed, head: &Head) {
        let done = Done { commit: commit.clone(), now, committed: committed.clone() };
        let truth = Truth {
            modseq: head.modseq,
            digest: head.digest,
            epoch: head.epoch,
            operations: BTreeMap::from([(commit.operation, 0)]),
            history: vec![done],
            acknowledged: BTreeMap::new(),
            by_edge: BTreeMap::new(),
            contents: BTreeMap::new(),
            containers: BTreeMap::new(),
        };
        self.accounts.insert(account, truth);
    }

    /// A store took a commit, or answered one again.
    pub fn committed(
        &mut self,
        account: AccountId,
        node: NodeIx,
        commit: &Commit,
        now: Timestamp,
        committed: &Committed,
        before: &Head,
    ) {
        let Some(truth) = self.accounts.get_mut(&account) else { return };
        let earlier = truth.operations.get(&commit.operation).map(|at| &truth.history[*at].committed);
        let wrong = if committed.repeated {
            let is_same = earlier.is_some_and(|e| (e.modseq, &e.outcomes) == (committed.modseq, &committed.outcomes));
            (!is_same).then(|| format!("S3: operation {} was answered again, but not the same", commit.operation))
        } else if earlier.is_some() {
            Some(format!("S3: operation {} was done twice", commit.operation))
        } else if (before.modseq, before.digest) != (truth.modseq, truth.digest) {
            let (has, is) = (before.modseq, truth.modseq);
            Some(format!("S1: node {node} took a commit on modseq {has}, the account is at {is}, or has other rows"))
        } else if before.epoch < truth.epoch || commit.epoch != before.epoch {
            let (sent, has, last) = (commit.epoch, before.epoch, truth.epoch);
            Some(format!("S1: node {node} at epoch {has} took a commit of epoch {sent}; the last was {last}"))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return self.wrong(format!("account {account}: {wrong}"));
        }
        if !committed.repeated {
            self.stats.commits += 1;
            truth.epoch = before.epoch;
            truth.operations.insert(commit.operation, truth.history.len());
            truth.history.push(Done { commit: commit.clone(), now, committed: committed.clone() });
        }
    }

    /// A store's commits are on the disk.
    pub fn moved_on(&mut self, account: AccountId, before: &Head, after: &Head) {
        let Some(truth) = self.accounts.get_mut(&account) else { return };
        if before == after {
            return;
        }
        (truth.modseq, truth.digest) = (after.modseq, after.digest);
        if after.modseq < before.modseq {
            self.wrong(format!("S4: the modseq of account {account} went back"));
        }
    }

    /// A client was told, by this edge at this time, that this is done.
    pub fn acknowledge(
        &mut self,
        account: AccountId,
        edge: NodeIx,
        at_ms: i64,
        operation: OperationId,
        committed: &Committed,
    ) {
        let Some(truth) = self.accounts.get_mut(&account) else { return };
        let done = truth.operations.get(&operation).map(|at| &truth.history[*at].committed);
        let is_done = done.is_some_and(|d| (d.modseq, &d.outcomes) == (committed.modseq, &committed.outcomes));
        let last = truth.acknowledged.last_key_value().map_or(Modseq::ZERO, |(_, modseq)| *modseq);
        truth.acknowledged.insert(at_ms, last.max(committed.modseq));
        let by_edge = truth.by_edge.entry(edge).or_default();
        *by_edge = committed.modseq.max(*by_edge);
        if !is_done {
            self.wrong(format!("S2: account {account}: operation {operation} was acknowledged and is nowhere"));
        }
    }

    /// What a reader who begins now must see at least: what the same edge said, and whatever was said so long ago that
    /// no sealed store is read any more.
    pub fn floor(&self, account: AccountId, edge: NodeIx, now_ms: i64) -> Modseq {
        let Some(truth) = self.accounts.get(&account) else { return Modseq::ZERO };
        let settled = truth.acknowledged.range(..=now_ms - SEALED_READS_MS_MAX as i64).next_back();
        let by_edge = truth.by_edge.get(&edge).copied().unwrap_or_default();
        settled.map_or(Modseq::ZERO, |(_, modseq)| *modseq).max(by_edge)
    }

    /// An edge was restarted; its sessions are gone.
    pub fn edge_died(&mut self, edge: NodeIx) {
        self.accounts.values_mut().for_each(|truth| {
            truth.by_edge.remove(&edge);
        });
    }

    /// A client read something, and had to see `floor` at least.
    pub fn seen(&mut self, account: AccountId, floor: Modseq, seen: &Seen) {
        let Some(truth) = self.accounts.get_mut(&account) else { return };
        self.stats.reads += 1;
        let mut wrong = None;
        if seen.modseq < floor {
            wrong = Some(format!("S2: a reader saw modseq {}, after {floor} was acknowledged", seen.modseq));
        }
        for container in &seen.containers {
            let (uid_validity, modseq, uid_next) = (container.uid_validity, seen.modseq, container.uid_next);
            let known = truth.containers.entry(container.id).or_insert((uid_validity, modseq, uid_next));
            if known.0 != uid_validity || (modseq >= known.1 && uid_next < known.2) {
                wrong = Some(format!("S4: container {} was renumbered", container.id));
            }
            if modseq >= known.1 {
                *known = (uid_validity, modseq, uid_next);
            }
        }
        for (uid, blob) in seen.items.iter() {
            let Some(container) = seen.container else { break };
            if truth.contents.entry((container, *uid)).or_insert(*blob) != blob {
                wrong = Some(format!("S4: UID {uid} of container {container} is another message"));
            }
        }
        if let Some(wrong) = wrong {
            self.wrong(format!("account {account}: {wrong}"));
        }
    }
}

impl World {
    fn heads(&mut self, account: AccountId) -> Vec<(NodeIx, Head)> {
        let mut heads = Vec::new();
        for node in DATA {
            heads.extend(self.data(node).disk.get(&account).map(|disk| (node, disk.head.clone())));
        }
        heads
    }

    /// S1: one writer. Looks at the disks of all nodes, of those that are down, too.
    pub fn check_placements(&mut self) {
        for account in std::mem::take(&mut self.oracle.touched) {
            let heads = self.heads(account);
            let Some(row) = self.main().directory.rows.get(&account).cloned() else { continue };
            let active: Vec<_> = heads.iter().filter(|(_, head)| head.role == Role::Active).collect();
            if active.len() > 1 {
                self.oracle.wrong(format!("S1: account {account} is active on {} nodes", active.len()));
            }
            if active.iter().any(|(node, head)| head.epoch == row.epoch && *node != row.node) {
                self.oracle.wrong(format!("S1: account {account} is active where the directory does not place it"));
            }
            let mut epochs = BTreeSet::new();
            for (_, head) in heads.iter().filter(|(_, head)| head.role != Role::Follower) {
                if !epochs.insert(head.epoch) {
                    self.oracle.wrong(format!("S1: account {account} has epoch {} on two nodes", head.epoch));
                }
                if head.epoch > row.last_epoch {
                    self.oracle.wrong(format!("S1: nobody gave account {account} epoch {}", head.epoch));
                }
            }
        }
    }

    /// S9: asked at the commit point, before it.
    pub fn check_commit(&mut self, request: &DirectoryRequest) {
        let DirectoryRequest::Commit { account, epoch } = request else { return };
        let Some(row) = self.main().directory.rows.get(account).cloned() else { return };
        let Some(moving) = &row.moving else { return };
        if !matches!(moving.phase, MovePhase::CutOver { epoch: given, .. } if given == *epoch) {
            return;
        }
        let heads: BTreeMap<_, _> = self.heads(*account).into_iter().collect();
        let Some(truth) = self.oracle.accounts.get(account) else { return };
        let is_equal = heads.get(&moving.to).is_some_and(|head| {
            (head.modseq, head.digest, head.role, head.epoch) == (truth.modseq, truth.digest, Role::Ready, *epoch)
        });
        if !is_equal {
            self.oracle.wrong(format!("S9: account {account} is switched to a copy that is not equal to it"));
        }
    }

    /// S8: nothing is deleted that is the account, or is about to be.
    pub fn check_deletion(&mut self, node: NodeIx, account: AccountId) {
        let Some(row) = self.main().directory.rows.get(&account).cloned() else { return };
        let role = self.data(node).disk.get(&account).map(|disk| disk.head.role);
        let is_target =
            row.moving.as_ref().is_some_and(|m| m.to == node && matches!(m.phase, MovePhase::CutOver { .. }));
        if row.node == node || (is_target && role != Some(Role::Follower)) {
            self.oracle.wrong(format!("S8: account {account} is deleted on node {node}, which is needed"));
        }
    }

    /// S6: everybody was served since then.
    pub fn check_served(&mut self, since_ms: i64) -> Result<(), String> {
        for (number, client) in self.clients.iter().enumerate() {
            if client.last_success < since_ms {
                return Err(format!("S6: client {number} was not served after all faults had ended"));
            }
        }
        Ok(())
    }

    /// Whether a move is under way somewhere, or a deletion.
    pub fn is_moving(&mut self) -> bool {
        self.main().directory.rows.values().any(|row| row.moving.is_some() || !row.to_delete.is_empty())
    }

    /// What must be true when all is quiet.
    pub fn check_end(&mut self) -> Result<(), String> {
        for account in self.accounts.clone() {
            let row = self.main().directory.rows.get(&account).cloned().ok_or("the directory lost an account")?;
            if row.moving.is_some() {
                return Err(format!("S6: the move of account {account} does not end"));
            }
            let expected_head = self.replay(account)?;
            for (node, head) in self.heads(account) {
                let is_here = node == row.node;
                if !is_here && !row.copies.contains_key(&node) && head.role == Role::Follower {
                    // A node whose copy of the directory went back in a crash made a copy that nobody wants any more.
                    self.oracle.stats.orphans += 1;
                    continue;
                }
                let expected = if is_here { (Role::Active, row.epoch) } else { (Role::Follower, head.epoch) };
                if (head.role, head.epoch) != expected {
                    return Err(format!("S6: account {account} is {:?} at {} on node {node}", head.role, head.epoch));
                }
                self.check_copy(account, node, &head, &expected_head)?;
                self.check_answers(account, node)?;
            }
            if !self.heads(account).iter().any(|(node, _)| *node == row.node) {
                return Err(format!("S2: account {account} is gone"));
            }
        }
        Ok(())
    }

    /// What the history makes of an empty account.
    fn replay(&mut self, account: AccountId) -> Result<Head, String> {
        let truth = self.oracle.accounts.get(&account).ok_or("an account without history")?;
        let engine = MemoryEngine::new();
        engine.create(account, Epoch(1), Role::Active, Timestamp(0)).unwrap();
        let mut store = engine.open(account).unwrap();
        let mut writer = store.stage_blob().unwrap();
        writer.write(&long_content()).unwrap();
        writer.finish().unwrap();
        for done in &truth.history {
            let commit = Commit { epoch: Epoch(1), ..done.commit.clone() };
            let result = store.commit(&[commit], done.now).unwrap();
            if result[0].as_ref() != Ok(&done.committed) {
                return Err(format!("S2: account {account}: the history does not give what was answered"));
            }
        }
        Ok(store.head().unwrap())
    }

    /// S2, S4, S9, S12: each copy is what its history makes of an empty account, and whole.
    fn check_copy(&mut self, account: AccountId, node: NodeIx, head: &Head, expected: &Head) -> Result<(), String> {
        if (expected.modseq, expected.digest, expected.quota) != (head.modseq, head.digest, head.quota) {
            let (has, should) = (head.modseq, expected.modseq);
            return Err(format!("S2: account {account} on node {node} (modseq {has} of {should}) is not its history"));
        }
        let copy = self.data(node).disk[&account].engine.open(account).unwrap();
        let findings = sterna_account::check::check(copy.as_ref(), sterna_account::check::Depth { contents: true });
        match findings.unwrap().first() {
            Some(finding) => Err(format!("S12: account {account} on node {node}: {finding}")),
            None => Ok(()),
        }
    }

    /// S3: every operation, said again, is answered the same and not done again: by the account, and by each copy if it
    /// became the account now.
    fn check_answers(&mut self, account: AccountId, node: NodeIx) -> Result<(), String> {
        let now = self.clock(node);
        let mut store = self.data(node).disk[&account].engine.copied().open(account).unwrap();
        let epoch = Epoch(store.head().unwrap().epoch.0 + 1);
        store.set_role(epoch, Role::Active, now).map_err(|e| format!("S9: account {account} on node {node}: {e}"))?;
        let Some(truth) = self.oracle.accounts.get(&account) else { return Ok(()) };
        for done in &truth.history {
            let commit = Commit { epoch, ..done.commit.clone() };
            let result = store.commit(&[commit], now).unwrap();
            if result[0].as_ref() != Ok(&Committed { repeated: true, ..done.committed.clone() }) {
                let operation = done.commit.operation;
                return Err(format!("S3: account {account} on node {node} forgot the answer of operation {operation}"));
            }
        }
        Ok(())
    }
}
