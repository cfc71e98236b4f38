//! The directory's requests about moves, as far as they decide who may write. Each is one durable transaction.

use std::collections::{BTreeMap, BTreeSet};

use sterna_base::{AccountId, Epoch, Timestamp};
use sterna_cluster::moving::core::limits::CUT_OVER_MS;
use sterna_cluster::moving::core::step::MovePhase;

use crate::message::NodeIx;
use crate::mutant::Mutant;

/// How long the old copy is kept.
const KEPT_MS: i64 = 20_000;

/// All that the directory says of one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub node: NodeIx,
    pub epoch: Epoch,
    /// The last epoch that was handed out.
    pub last_epoch: Epoch,
    pub moving: Option<Move>,
    pub copies: BTreeMap<NodeIx, Purpose>,
    pub to_delete: BTreeSet<NodeIx>,
    pub modseq: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub to: NodeIx,
    pub phase: MovePhase,
    pub attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    Move,
    Kept { until: Timestamp },
}

#[derive(Clone, Debug, PartialEq)]
pub enum DirectoryRequest {
    Plan {
        account: AccountId,
        to: NodeIx,
    },
    StartCopying {
        account: AccountId,
    },
    CutOver {
        account: AccountId,
        deadline: Timestamp,
    },
    Commit {
        account: AccountId,
        epoch: Epoch,
    },
    Abort {
        account: AccountId,
        retry: Option<Timestamp>,
    },
    /// The administrator ends a move.
    Cancel {
        account: AccountId,
    },
    Expire {
        account: AccountId,
        node: NodeIx,
    },
    Deleted {
        account: AccountId,
        node: NodeIx,
    },
}

impl DirectoryRequest {
    pub fn account(&self) -> AccountId {
        match self {
            DirectoryRequest::Plan { account, .. }
            | DirectoryRequest::StartCopying { account }
            | DirectoryRequest::CutOver { account, .. }
            | DirectoryRequest::Commit { account, .. }
            | DirectoryRequest::Abort { account, .. }
            | DirectoryRequest::Cancel { account }
            | DirectoryRequest::Expire { account, .. }
            | DirectoryRequest::Deleted { account, .. } => *account,
        }
    }
}

#[derive(Debug, Default)]
pub struct Directory {
    pub rows: BTreeMap<AccountId, Row>,
    pub modseq: u64,
    pub cut_overs: u64,
    pub commits: u64,
}

impl Directory {
    pub fn add(&mut self, account: AccountId, node: NodeIx) {
        self.modseq += 1;
        let (epoch, modseq) = (Epoch(1), self.modseq);
        let (copies, to_delete) = (BTreeMap::new(), BTreeSet::new());
        self.rows.insert(account, Row { node, epoch, last_epoch: epoch, moving: None, copies, to_delete, modseq });
    }

    /// Does a request, or nothing; says whether it was done.
    pub fn request(&mut self, request: &DirectoryRequest, now: Timestamp, mutant: Option<Mutant>) -> bool {
        let Some(row) = self.rows.get_mut(&request.account()) else { return false };
        let done = row.request(request, now, mutant);
        if done {
            self.modseq += 1;
            row.modseq = self.modseq;
            self.commits += u64::from(matches!(request, DirectoryRequest::Commit { .. }));
            self.cut_overs += u64::from(matches!(request, DirectoryRequest::CutOver { .. }));
        }
        done
    }
}

impl Row {
    fn request(&mut self, request: &DirectoryRequest, now: Timestamp, mutant: Option<Mutant>) -> bool {
        let phase = self.moving.as_ref().map(|moving| moving.phase);
        match request {
            DirectoryRequest::Plan { to, .. } => self.plan(*to),
            DirectoryRequest::StartCopying { .. } if phase == Some(MovePhase::Planned) => {
                let Some(moving) = &mut self.moving else { return false };
                moving.phase = MovePhase::Copying { not_before: None };
                self.copies.insert(moving.to, Purpose::Move);
                true
            }
            DirectoryRequest::CutOver { deadline, .. } => match (&mut self.moving, phase) {
                (Some(moving), Some(MovePhase::Copying { .. })) if *deadline <= now.plus_ms(CUT_OVER_MS) => {
                    self.last_epoch = Epoch(self.last_epoch.0 + 1);
                    moving.phase = MovePhase::CutOver { epoch: self.last_epoch, deadline: *deadline };
                    moving.attempts += 1;
                    true
                }
                _ => false,
            },
            DirectoryRequest::Commit { epoch, .. } => self.commit(*epoch, now),
            DirectoryRequest::Abort { retry, .. } if matches!(phase, Some(MovePhase::CutOver { .. })) => {
                self.place_again(mutant);
                match (retry, &mut self.moving) {
                    (Some(at), Some(moving)) => moving.phase = MovePhase::Copying { not_before: Some(*at) },
                    _ => self.end_move(),
                }
                true
            }
            DirectoryRequest::Cancel { .. } if self.moving.is_some() => {
                if matches!(phase, Some(MovePhase::CutOver { .. })) {
                    self.place_again(mutant);
                }
                self.end_move();
                true
            }
            DirectoryRequest::Expire { node, .. } => {
                let is_due = matches!(self.copies.get(node), Some(Purpose::Kept { until }) if *until <= now);
                let is_target = self.moving.as_ref().is_some_and(|moving| moving.to == *node);
                if is_due && !is_target && self.node != *node {
                    self.copies.remove(node);
                    self.to_delete.insert(*node);
                }
                is_due && !is_target
            }
            DirectoryRequest::Deleted { node, .. } => self.to_delete.remove(node),
            _ => false,
        }
    }

    fn plan(&mut self, to: NodeIx) -> bool {
        let is_possible = self.moving.is_none() && to != self.node && !self.to_delete.contains(&to);
        if is_possible {
            self.moving = Some(Move { to, phase: MovePhase::Planned, attempts: 0 });
        }
        is_possible
    }

    fn commit(&mut self, epoch: Epoch, now: Timestamp) -> bool {
        let to = match &self.moving {
            Some(Move { to, phase: MovePhase::CutOver { epoch: given, .. }, .. }) if *given == epoch => *to,
            _ => return false,
        };
        self.moving = None;
        self.copies.remove(&to);
        self.copies.insert(self.node, Purpose::Kept { until: now.plus_ms(KEPT_MS) });
        (self.node, self.epoch) = (to, epoch);
        true
    }

    /// A cut-over was begun and is given up: the source may be sealed, and only a new epoch makes it active.
    fn place_again(&mut self, mutant: Option<Mutant>) {
        if mutant != Some(Mutant::ReuseAnEpoch) {
            self.last_epoch = Epoch(self.last_epoch.0 + 1);
        }
        self.epoch = self.last_epoch;
    }

    fn end_move(&mut self) {
        let Some(moving) = self.moving.take() else { return };
        if self.copies.get(&moving.to) == Some(&Purpose::Move) {
            self.copies.remove(&moving.to);
            self.to_delete.insert(moving.to);
        }
    }
}
