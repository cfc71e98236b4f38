//! What the copies of one account have acknowledged to the server that has it, and whom its commits wait for. No I/O;
//! [`super::awaited`] asks.
//!
//! A copy acknowledges with each question for pages: "I was equal to this placement of the account at modseq n". What a
//! copy says of another placement says nothing, because the accounts of both may have gone different ways.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sterna_base::{Epoch, Modseq, NodeId, Timestamp};
use tokio::time::Instant;

use super::book::{CopyFacts, CopyHolder, CopyStage};
use crate::limits::{COPY_CALL_MS, COPY_SILENCE_MS, REPORT_PAUSE_MS};

/// Where a copy was equal to the account that it follows: its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EqualAt {
    /// Under which placement.
    pub epoch: Epoch,
    /// At which modseq. All of it is durable there.
    pub modseq: Modseq,
}

/// Commits that are not acknowledged because a copy is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Where the copy is.
    pub copy: NodeId,
    /// Since when.
    pub since: Timestamp,
    /// Commits that were refused since then.
    pub refused: u64,
}

/// Whether commits may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Yes.
    Open,
    /// Not before this copy has been heard of: this process doesn't know what it has.
    Unheard(NodeId),
    /// No: this copy owes an acknowledgement already.
    Shut(NodeId),
    /// No: the account is no longer placed here under the epoch that the caller knows.
    Elsewhere,
}

/// The copies of one account, for one placement of it on this node.
#[derive(Debug)]
pub(super) struct Acks {
    /// The directory's state that this is of.
    pub seen: u64,
    /// The placement; `None` when the account is not placed on this node.
    pub epoch: Option<Epoch>,
    /// Counts the changes of what the directory says.
    pub turn: u64,
    copies: Vec<Ack>,
}

#[derive(Debug)]
struct Ack {
    holder: CopyHolder,
    /// Up to where it is equal; `None` when this process has not heard it yet.
    has: Option<Modseq>,
    heard_at: Option<Instant>,
    /// While it joins: up to where commits may have been acknowledged without it.
    joins_from: Option<Modseq>,
    overdue: Option<Overdue>,
    /// Nothing is reported of it to the main node before this.
    report_after: Option<Instant>,
    /// It is not called before this.
    call_after: Option<Instant>,
}

/// It did not acknowledge in time.
#[derive(Debug)]
struct Overdue {
    /// What it must have before commits are taken again.
    modseq: Modseq,
    since: Timestamp,
    refused: u64,
}

impl Acks {
    pub fn new(seen: u64, node: NodeId, facts: &CopyFacts) -> Self {
        let mut acks = Acks { seen, epoch: None, turn: 0, copies: Vec::new() };
        acks.update(seen, node, facts);
        acks
    }

    /// Takes over what the directory says now.
    pub fn update(&mut self, seen: u64, node: NodeId, facts: &CopyFacts) {
        let epoch = facts.placement.filter(|placement| placement.node == node).map(|placement| placement.epoch);
        let is_same = self.epoch == epoch;
        self.seen = seen;
        let holders = || facts.copies.iter().filter(|copy| copy.stage.is_some());
        if is_same && holders().eq(self.copies.iter().map(|ack| &ack.holder)) {
            return;
        }
        let mut before = std::mem::take(&mut self.copies);
        self.copies = holders()
            .map(|holder| {
                let at = before.iter().position(|ack| is_same && ack.holder.node == holder.node);
                match at.map(|at| before.swap_remove(at)) {
                    None => Ack::new(*holder),
                    Some(ack) if ack.holder == *holder => ack,
                    Some(ack) => Ack { holder: *holder, joins_from: None, report_after: None, ..ack }.let_go(),
                }
            })
            .collect();
        (self.epoch, self.turn) = (epoch, self.turn + 1);
    }

    /// Whether commits wait for anybody, now or soon.
    pub fn is_needed(&self) -> bool {
        !self.copies.is_empty()
    }

    /// Whether any commit waits.
    pub fn waits(&self) -> bool {
        self.copies.iter().any(Ack::is_awaited)
    }

    /// Whether commits may be taken.
    pub fn gate(&mut self) -> Gate {
        let awaited = || self.copies.iter().filter(|ack| ack.is_awaited());
        let shut = awaited().find(|ack| ack.overdue.is_some()).map(|ack| Gate::Shut(ack.holder.node));
        let unheard = || awaited().find(|ack| ack.has.is_none()).map(|ack| Gate::Unheard(ack.holder.node));
        let gate = shut.or_else(unheard).unwrap_or(Gate::Open);
        if let Gate::Shut(node) = gate
            && let Some(overdue) = self.ack_mut(node).and_then(|ack| ack.overdue.as_mut())
        {
            overdue.refused += 1;
        }
        gate
    }

    /// The first copy that is awaited and lacks this.
    pub fn lacks(&self, modseq: Modseq) -> Option<NodeId> {
        let lacks = |ack: &&Ack| ack.is_awaited() && ack.has.is_none_or(|has| has < modseq);
        self.copies.iter().find(lacks).map(|ack| ack.holder.node)
    }

    /// Until when those that lack this are waited for: one that goes on asking is at work on it.
    pub fn patience(&self, modseq: Modseq, from: Instant) -> Instant {
        let silence = Duration::from_millis(COPY_SILENCE_MS);
        let lacking = self.copies.iter().filter(|ack| ack.is_awaited() && ack.has.is_none_or(|has| has < modseq));
        let until = lacking.map(|ack| ack.heard_at.map_or(from, |at| at.max(from)) + silence).min();
        until.unwrap_or(from + silence)
    }

    /// Whether this copy is to be called, because it has not been heard of for some time.
    pub fn is_to_be_called(&mut self, node: NodeId, now: Instant) -> bool {
        let silence = Duration::from_millis(COPY_CALL_MS);
        let Some(ack) = self.ack_mut(node) else { return false };
        let is_silent = ack.heard_at.is_none_or(|at| at + silence <= now);
        let is_due = is_silent && ack.call_after.is_none_or(|after| after <= now);
        if is_due {
            ack.call_after = Some(now + Duration::from_millis(REPORT_PAUSE_MS));
        }
        is_due
    }

    /// Nobody waits for them any longer before they have this.
    pub fn give_up(&mut self, modseq: Modseq, now: Timestamp) {
        for ack in self.copies.iter_mut().filter(|ack| ack.is_awaited()) {
            if ack.has.is_none_or(|has| has < modseq) {
                let overdue = ack.overdue.get_or_insert(Overdue { modseq, since: now, refused: 0 });
                overdue.modseq = overdue.modseq.max(modseq);
                overdue.refused += 1;
            }
        }
    }

    /// A copy asked for something, and said where it is equal if it knows. Whether anybody may go on for that.
    pub fn heard(&mut self, node: NodeId, equal: Option<EqualAt>, now: Instant) -> bool {
        let epoch = self.epoch;
        let Some(ack) = self.ack_mut(node) else { return false };
        ack.heard_at = Some(now);
        let Some(equal) = equal.filter(|equal| Some(equal.epoch) == epoch) else { return false };
        // One that was made anew has less than before.
        ack.has = Some(equal.modseq);
        if ack.overdue.as_ref().is_some_and(|overdue| overdue.modseq <= equal.modseq) {
            ack.overdue = None;
        }
        true
    }

    /// What the main node is to be told, given the account's modseq `head`, which was read in this `turn` or later; and
    /// whether the last page that a copy was given brought it to its end.
    pub fn reports(&mut self, turn: u64, head: Modseq, reached: Option<NodeId>, now: Instant) -> Vec<CopyHolder> {
        // What was read before the directory said that somebody joins may not count what was acknowledged until then.
        if turn != self.turn || self.epoch.is_none() {
            return Vec::new();
        }
        let mut reports = Vec::new();
        for ack in &mut self.copies {
            let stage = match (ack.holder.stage, ack.has) {
                (Some(CopyStage::Seeding), Some(has)) if has == head || reached == Some(ack.holder.node) => {
                    CopyStage::Joining
                }
                (Some(CopyStage::Joining), has) => {
                    let from = *ack.joins_from.get_or_insert(head);
                    if has.is_none_or(|has| has < from) {
                        continue;
                    }
                    CopyStage::Awaited
                }
                _ => continue,
            };
            if ack.report_after.is_none_or(|after| after <= now) {
                ack.report_after = Some(now + Duration::from_millis(REPORT_PAUSE_MS));
                reports.push(CopyHolder { stage: Some(stage), ..ack.holder });
            }
        }
        reports
    }

    /// For whom commits wait in vain.
    pub fn waiting(&self) -> Vec<Waiting> {
        let waiting = self.copies.iter().filter_map(|ack| {
            let overdue = ack.overdue.as_ref()?;
            Some(Waiting { copy: ack.holder.node, since: overdue.since, refused: overdue.refused })
        });
        waiting.collect()
    }

    fn ack_mut(&mut self, node: NodeId) -> Option<&mut Ack> {
        self.copies.iter_mut().find(|ack| ack.holder.node == node)
    }
}

impl Ack {
    fn new(holder: CopyHolder) -> Self {
        Ack { holder, has: None, heard_at: None, joins_from: None, overdue: None, report_after: None, call_after: None }
    }

    fn is_awaited(&self) -> bool {
        matches!(self.holder.stage, Some(CopyStage::Joining | CopyStage::Awaited))
    }

    /// A copy that is no longer awaited owes nothing.
    fn let_go(mut self) -> Self {
        if !self.is_awaited() {
            self.overdue = None;
        }
        self
    }
}

#[cfg(test)]
#[path = "acks_tests.rs"]
mod tests;
