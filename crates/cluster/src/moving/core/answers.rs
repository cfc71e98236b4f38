//! What source and target of a move last said.

use serde::{Deserialize, Serialize};
use sterna_account::{Digest, Role};
use sterna_base::{Epoch, Modseq, Timestamp};

use super::{limits, step::Step};

/// The last words of both ends. Kept in memory only: after a restart of the main node both are asked again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Of the server that has the account.
    pub source: Party,
    /// Of the server that it goes to.
    pub target: Party,
}

/// One end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// What it said of its store; `None` when it has said nothing yet, or has no store.
    pub said: Option<Said>,
    /// When it last answered.
    pub answered_at: Option<Timestamp>,
    /// When it last failed to answer.
    pub failed_at: Option<Timestamp>,
    /// Since when it answers without a failure.
    pub reachable_since: Option<Timestamp>,
}

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its role.
    pub role: Role,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its modseq.
    pub modseq: Modseq,
    /// Its digest there.
    pub digest: Digest,
    /// The number of its last kept answer ([`sterna_account::follow::Progress::answers`]).
    pub answers: u64,
    /// How its following goes, if it is a copy.
    pub following: Option<FollowingSaid>,
}

/// How a copy follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowingSaid {
    /// The last modseq at which its digest was that of the account; `None` when it never was.
    pub equal_at: Option<Modseq>,
    /// What it lacked when it last asked.
    pub lag: Lag,
    /// Whether something differs, and is being copied again.
    pub differs: bool,
}

/// What a copy lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Rows.
    pub rows: u64,
    /// Bytes of contents.
    pub bytes: u64,
}

impl Answers {
    /// When the older of both answers is no longer fresh.
    pub(super) fn stale_at(&self, now: Timestamp) -> Timestamp {
        let at = [&self.source, &self.target].into_iter().filter_map(|party| party.answered_at).min();
        at.unwrap_or(now).plus_ms(limits::FRESH_MS).max(now.plus_ms(1))
    }
}

impl Party {
    /// It answered; `None` when it has no store of the account (yet).
    pub fn answered(&mut self, said: Option<Said>, now: Timestamp) {
        self.said = said;
        self.answered_at = Some(now);
        self.failed_at = None;
        self.reachable_since.get_or_insert(now);
    }

    /// It did not answer, or refused.
    pub fn failed(&mut self, now: Timestamp) {
        self.failed_at = Some(now);
        self.reachable_since = None;
    }

    /// Whether it answered just now. An answer from the future (the clock went back) is not fresh.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.answered_at.is_some_and(|at| at <= now && now < at.plus_ms(limits::FRESH_MS))
    }

    /// The step, unless this end has just failed: then a short pause, because the account waits.
    pub(super) fn wait_or(&self, step: Step, now: Timestamp) -> Step {
        self.after_pause(limits::FAILED_PAUSE_MS, step, now)
    }

    /// The same while nobody waits: who can't be asked now is not asked twenty times a second.
    pub(super) fn wait_long_or(&self, step: Step, now: Timestamp) -> Step {
        self.after_pause(limits::FRESH_MS, step, now)
    }

    fn after_pause(&self, pause_ms: i64, step: Step, now: Timestamp) -> Step {
        match self.failed_at.map(|at| at.plus_ms(pause_ms)) {
            Some(until) if until > now && until <= now.plus_ms(pause_ms) => Step::Wait { until },
            _ => step,
        }
    }
}
