//! What the main node does next for one move.

use serde::{Deserialize, Serialize};
use sterna_account::{Digest, Role};
use sterna_base::{AccountId, Epoch, Modseq, NodeId, Timestamp};

use super::{answers::Answers, answers::Said, limits};

/// One move as the directory has it: the row `Move` with the placement that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveView {
    /// What is moved.
    pub account: AccountId,
    /// Where it is placed.
    pub from: NodeId,
    /// Where it goes.
    pub to: NodeId,
    /// The placement's epoch; the source is active, or sealed, under it.
    pub placement_epoch: Epoch,
    /// How far the move is.
    pub phase: MovePhase,
    /// How many cut-overs were begun.
    pub attempts: u32,
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovePhase {
    /// Declared; no copy was asked for yet.
    Planned,
    /// The target copies and follows.
    Copying {
        /// No cut-over before this, because the last one was aborted.
        not_before: Option<Timestamp>,
    },
    /// The source is being sealed, the target made ready.
    CutOver {
        /// The epoch that the directory took for the target; nobody else ever gets it.
        epoch: Epoch,
        /// When it is given up.
        deadline: Timestamp,
    },
    /// The placement is the target's, under the epoch of the cut-over (which is now the placement's).
    Committed,
    /// Given up; the account is served where it was.
    Failed,
}

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the directory for the phase `Copying`.
    StartCopying,
    /// Ask the target how it is.
    AskTarget,
    /// Ask the source how it is.
    AskSource,
    /// Ask the directory for the phase `CutOver`.
    StartCutOver {
        /// When it is to be given up at the latest.
        deadline: Timestamp,
    },
    /// Seal the source.
    Seal {
        /// The epoch under which it is active.
        epoch: Epoch,
    },
    /// Make the target equal to the sealed source, and give it its epoch.
    MakeReady {
        /// Where the sealed source ends.
        end: End,
        /// The epoch to take.
        epoch: Epoch,
    },
    /// Ask the directory to change the placement: the only commit point.
    Commit {
        /// The target's epoch.
        epoch: Epoch,
    },
    /// Ask the directory to give up the cut-over. It places the account on the source, under a new epoch.
    Abort {
        /// When to try again; `None` ends the move.
        retry: Option<Timestamp>,
        /// Why, for the operator.
        reason: AbortReason,
    },
    /// Tell the target that the directory has changed. It carries no authority: the target acts on its own copy of the
    /// directory, and this only makes it look now.
    TellTarget,
    /// Nothing to do before this, unless an answer comes or the row changes.
    Wait {
        /// When to look again at the latest.
        until: Timestamp,
    },
    /// The move has ended.
    Done,
}

/// Where a sealed source ends: what its copy must be equal to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its modseq.
    pub modseq: Modseq,
    /// Its digest there.
    pub digest: Digest,
    /// The number of its last kept answer ([`sterna_account::follow::Progress::answers`]). A commit that changed no row
    /// shows in nothing else, and must not be done again either.
    pub answers: u64,
}

impl End {
    /// Where this store is now.
    pub fn of(said: &Said) -> Self {
        End { modseq: said.modseq, digest: said.digest, answers: said.answers }
    }
}

/// Why a cut-over was given up. The account is served by the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AbortReason {
    /// It took too long.
    #[error("the cut-over took longer than it may (move.cut-over-ms)")]
    Deadline,
    /// The deadline is further away than a cut-over lasts.
    #[error("the clock of the main node went back")]
    ClockWentBack,
    /// The source has another epoch than its placement.
    #[error("the source is at epoch {0}, which is not that of its placement")]
    SourceEpoch(Epoch),
    /// The source is no longer the account.
    #[error("the source's store is a copy, not the account")]
    SourceRole,
    /// The target has a later epoch than this cut-over gives it.
    #[error("the target is at epoch {0}, later than this cut-over")]
    TargetEpoch(Epoch),
    /// Both copies end at the same modseq and are not equal. What differs is copied again.
    #[error("the copy differs from the account; what differs is copied again")]
    Differs,
}

/// Says what to do next. It may be asked at any time and as often as one likes: every step can be repeated.
pub fn next_step(row: &MoveView, answers: &Answers, now: Timestamp) -> Step {
    match row.phase {
        MovePhase::Planned => Step::StartCopying,
        MovePhase::Copying { not_before } => copying(row, answers, not_before, now),
        MovePhase::CutOver { epoch, deadline } => cut_over(row, answers, epoch, deadline, now),
        MovePhase::Committed => committed(row, answers, now),
        MovePhase::Failed => Step::Done,
    }
}

fn copying(row: &MoveView, answers: &Answers, not_before: Option<Timestamp>, now: Timestamp) -> Step {
    // A clock that went back must not hold a move for longer than the longest pause.
    let is_early = |at: &Timestamp| *at > now && *at <= now.plus_ms(limits::BACK_OFF_MAX_MS);
    if let Some(until) = not_before.filter(is_early) {
        return Step::Wait { until };
    }
    // The source last, because it changes with every commit. And again after each answer of the target: a cut-over that
    // is begun while the source can't be asked any more keeps the account from being served until it is given up.
    if !answers.target.is_fresh(now) {
        return answers.target.wait_long_or(Step::AskTarget, now);
    }
    if !answers.source.is_fresh(now) || answers.source.answered_at < answers.target.answered_at {
        return answers.source.wait_long_or(Step::AskSource, now);
    }
    match (&answers.source.said, &answers.target.said) {
        (Some(source), Some(target)) if is_near(row, source, target) => {
            Step::StartCutOver { deadline: now.plus_ms(limits::CUT_OVER_MS) }
        }
        _ => Step::Wait { until: answers.stale_at(now) },
    }
}

/// Whether a cut-over begun now would be short: the copy was equal to the account once, and only a little came since.
fn is_near(row: &MoveView, source: &Said, target: &Said) -> bool {
    let Some(following) = &target.following else { return false };
    let Some(equal_at) = following.equal_at else { return false };
    let commits = source.modseq.0.saturating_sub(equal_at.0);
    source.role == Role::Active
        && source.epoch == row.placement_epoch
        && target.role == Role::Follower
        && target.epoch <= row.placement_epoch
        && !following.differs
        && commits.max(following.lag.rows) <= limits::LAG_ROWS_MAX
        && following.lag.bytes <= limits::LAG_BYTES_MAX
}

fn cut_over(row: &MoveView, answers: &Answers, epoch: Epoch, deadline: Timestamp, now: Timestamp) -> Step {
    let give_up = |reason| Step::Abort { retry: retry_at(row.attempts, now), reason };
    let sealed = match &answers.source.said {
        Some(source) => match seal(row, source) {
            Ok(sealed) => sealed,
            Err(reason) => return give_up(reason),
        },
        None => None,
    };
    if let (Some(end), Some(target)) = (sealed, &answers.target.said) {
        match readiness(target, epoch, end) {
            // Even after the deadline: what is sealed and ready stays so until the directory speaks, and committing
            // takes no longer than giving up.
            Ok(true) => return Step::Commit { epoch },
            Ok(false) => {}
            Err(reason) => return give_up(reason),
        }
    }
    if now >= deadline {
        return give_up(AbortReason::Deadline);
    }
    if deadline > now.plus_ms(limits::CUT_OVER_MS) {
        return give_up(AbortReason::ClockWentBack);
    }
    let step = match sealed {
        None => answers.source.wait_or(Step::Seal { epoch: row.placement_epoch }, now),
        Some(end) => answers.target.wait_or(Step::MakeReady { end, epoch }, now),
    };
    match step {
        Step::Wait { until } => Step::Wait { until: until.min(deadline) },
        step => step,
    }
}

/// Where the source ends, if it is sealed for this cut-over.
fn seal(row: &MoveView, source: &Said) -> Result<Option<End>, AbortReason> {
    match source.role {
        _ if source.epoch > row.placement_epoch => Err(AbortReason::SourceEpoch(source.epoch)),
        // It has not seen its placement yet, or this was said before the placement.
        _ if source.epoch < row.placement_epoch => Ok(None),
        Role::Active => Ok(None),
        Role::Sealed => Ok(Some(End::of(source))),
        Role::Follower | Role::Ready => Err(AbortReason::SourceRole),
    }
}

/// Whether the target can take the account over.
fn readiness(target: &Said, epoch: Epoch, end: End) -> Result<bool, AbortReason> {
    let is_equal = End::of(target) == end;
    match target.role {
        _ if target.epoch > epoch => Err(AbortReason::TargetEpoch(target.epoch)),
        Role::Ready if target.epoch == epoch && is_equal => Ok(true),
        Role::Ready if target.epoch == epoch => Err(AbortReason::Differs),
        _ if target.following.as_ref().is_some_and(|following| following.differs) => Err(AbortReason::Differs),
        _ => Ok(false),
    }
}

/// The time of the next attempt: the pause doubles with each; `None` when there were enough.
fn retry_at(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    if attempts >= limits::ATTEMPTS_MAX {
        return None;
    }
    Some(now.plus_ms(limits::back_off_ms(attempts)))
}

fn committed(row: &MoveView, answers: &Answers, now: Timestamp) -> Step {
    let is_active = |said: &Said| said.role == Role::Active && said.epoch >= row.placement_epoch;
    if answers.target.said.as_ref().is_some_and(is_active) {
        return Step::Done;
    }
    answers.target.wait_or(Step::TellTarget, now)
}
