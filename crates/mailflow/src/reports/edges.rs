//! One edge makes the reports of a day for the whole installation: a receiver wants one from each organization.
//!
//! The edges take turns by the day. Whose turn it is asks the others what they have seen; if it is away, the next one
//! does so a day later. What an edge has seen that is away for longer is left out.

use async_trait::async_trait;
use sterna_account::edge_reports::{SeenAnswer, SeenQuestion};
use sterna_base::NodeId;

use super::Sender;

/// Days that are waited for edges that don't answer.
const WAIT_DAYS: i64 = 1;

/// Answers that are taken of one edge and day.
const ANSWERS_MAX: usize = 2_000;

/// The edges of the installation.
#[async_trait]
pub trait Edges: Send + Sync {
    /// This one, and all of them in an order that is the same everywhere; `None` when that can't be said now.
    async fn all(&self) -> Option<(NodeId, Vec<NodeId>)>;

    /// What one of them has seen; `None` when it can't be asked.
    async fn seen(&self, edge: NodeId, question: &SeenQuestion) -> Option<SeenAnswer>;
}

/// An installation with one edge.
pub struct OneEdge;

#[async_trait]
impl Edges for OneEdge {
    async fn all(&self) -> Option<(NodeId, Vec<NodeId>)> {
        Some((NodeId([0; 16]), vec![NodeId([0; 16])]))
    }
    async fn seen(&self, _: NodeId, _: &SeenQuestion) -> Option<SeenAnswer> {
        None
    }
}

impl Sender {
    /// Finds out which of the days before this one are ours to report, and what the others saw on them.
    pub(super) async fn take_days(&self, today: i64, first: i64) {
        for day in first..today {
            let store = self.reports.store.clone();
            if self.blocking(move || store.is_ours(day)).await != Some(false) {
                continue;
            }
            if self.take_day(day, today - day > WAIT_DAYS).await.is_none() {
                tracing::debug!(day, "the reports of this day are somebody else's, or wait for another edge");
            }
        }
    }

    async fn take_day(&self, day: i64, is_late: bool) -> Option<()> {
        let (own, mut edges) = self.edges.all().await?;
        let turn = usize::try_from(day).unwrap_or(0) % edges.len().max(1);
        edges.rotate_left(turn);
        let mut is_before_us = true;
        let mut heard = Vec::new();
        for edge in edges {
            if edge == own {
                is_before_us = false;
                continue;
            }
            match self.edges.seen(edge, &SeenQuestion { day, ..SeenQuestion::default() }).await {
                Some(answer) if answer.is_maker || is_before_us => return None,
                Some(answer) if answer.is_over => heard.push((edge, answer)),
                _ if !is_late => return None,
                _ => tracing::warn!(%edge, day, "an edge can't be asked: reports are made without what it has seen"),
            }
        }
        for (edge, answer) in heard {
            self.hear(edge, day, answer).await?;
        }
        let store = self.reports.store.clone();
        self.blocking(move || store.make_ours(day)).await
    }

    /// Takes over what an edge has seen; doing so again changes nothing.
    async fn hear(&self, edge: NodeId, day: i64, mut answer: SeenAnswer) -> Option<()> {
        for _ in 0..ANSWERS_MAX {
            let last = answer.rows.last().cloned().filter(|_| answer.has_more);
            let store = self.reports.store.clone();
            let hear = move || store.hear(edge, day, &answer.rows);
            self.blocking(hear).await?;
            let Some(last) = last else { return Some(()) };
            let question = SeenQuestion { day, kind: last.kind, domain: last.domain, what: last.what };
            answer = self.edges.seen(edge, &question).await?;
        }
        Some(())
    }
}
