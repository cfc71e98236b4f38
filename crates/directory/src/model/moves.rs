//! Moves, copies and jobs: accounts on their way from one server to another, and what else is kept of them elsewhere.
//! What the servers make of these rows is told in decision 16.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Epoch, JobId, NodeId, Timestamp};

/// A server that is to hold an account besides the server of its placement. Its store follows the placed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// The account.
    pub account: AccountId,
    /// The server.
    pub server: NodeId,
    /// What for.
    pub purpose: CopyPurpose,
    /// Since when it is to be there for this purpose.
    pub since: Timestamp,
    /// Whether acknowledgements wait for it: only a standby copy of durability 2 is ever more than `Seeding`.
    #[serde(default, skip_serializing_if = "StandbyStage::is_seeding")]
    pub stage: StandbyStage,
}

/// How far a standby copy of durability 2 is (decision 18). The account's server and the copy's server report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandbyStage {
    /// It has not caught up yet, or was found damaged. Nothing waits for it, and nothing is promised.
    #[default]
    Seeding,
    /// It has caught up. The account's server waits for it from when it reads this; what it acknowledged shortly before
    /// may still be missing, so nothing is promised yet.
    Joining,
    /// It has every change that was ever acknowledged.
    Awaited,
}

impl StandbyStage {
    /// The word for people: "seeding", "joining" or "awaited".
    pub fn name(self) -> &'static str {
        match self {
            StandbyStage::Seeding => "seeding",
            StandbyStage::Joining => "joining",
            StandbyStage::Awaited => "awaited",
        }
    }

    fn is_seeding(&self) -> bool {
        *self == StandbyStage::Seeding
    }
}

/// What a copy is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyPurpose {
    /// The account is moving there.
    Moving,
    /// The server's machine is to take the place of the account's ([`crate::Migration`]). Nobody takes it over without
    /// the account's server, so that one needs no lease.
    Migrating,
    /// The account was moved away from there, and can be moved back for some time.
    Kept {
        /// When the time is over. The copy stays until somebody deletes it.
        until: Timestamp,
    },
    /// It takes over when the placement's server is lost.
    Standby {
        /// What an acknowledgement waits for.
        durability: Durability,
    },
}

impl CopyPurpose {
    /// The word for people: "moving", "migrating", "kept" or "standby".
    pub fn name(self) -> &'static str {
        match self {
            CopyPurpose::Moving => "moving",
            CopyPurpose::Migrating => "migrating",
            CopyPurpose::Kept { .. } => "kept",
            CopyPurpose::Standby { .. } => "standby",
        }
    }
}

/// On how many disks a change is before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// On that of the placement's server; what the standby copy lacks is lost with that server.
    One,
    /// On that of the standby copy as well, from when it has caught up for the first time since [`Copy::since`]
    /// ([`Copy::stage`]): before, a copy that is only being made would stop the account.
    Two,
}

/// An account on its way to another server, from the plan to the change of its placement, which deletes this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The account.
    pub account: AccountId,
    /// Where it lives.
    pub from: NodeId,
    /// Where it goes.
    pub to: NodeId,
    /// How far it is.
    pub phase: MovePhase,
    /// The epoch that was handed out for the cut-over that is under way; `None` in every other phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// What it is part of.
    pub job: JobId,
    /// How often it was begun and given up again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Why the last attempt was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// When the copy was begun for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the phase changed, or an attempt was given up: what waiting before the next attempt is counted from.
    pub changed_at: Timestamp,
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MovePhase {
    /// Nothing was done yet.
    Planned,
    /// The target follows.
    Copying,
    /// The source is being sealed, or is: nobody can write.
    CutOver {
        /// When the main node gives it up, if it isn't committed by then.
        deadline: Timestamp,
    },
    /// It was given up for good; the row says why until it is planned again or put away.
    Failed,
}

impl MovePhase {
    /// The word for people: "planned", "copying", "cut-over" or "failed".
    pub fn name(self) -> &'static str {
        match self {
            MovePhase::Planned => "planned",
            MovePhase::Copying => "copying",
            MovePhase::CutOver { .. } => "cut-over",
            MovePhase::Failed => "failed",
        }
    }

    /// Whether the target is to hold a copy.
    pub fn has_copy(self) -> bool {
        matches!(self, MovePhase::Copying | MovePhase::CutOver { .. })
    }

    /// The number in indexes.
    pub(crate) fn number(self) -> u16 {
        match self {
            MovePhase::Planned => 0,
            MovePhase::Copying => 1,
            MovePhase::CutOver { .. } => 2,
            MovePhase::Failed => 3,
        }
    }
}

/// A piece of work on many accounts that people can watch, pause and abort.
///
/// `total` is `done + failed + aborted` and its moves that are planned or under way; it is over when there is none of
/// these left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Given out by the directory, never reused.
    pub id: JobId,
    /// What is done.
    pub kind: JobKind,
    /// What is done, in words, for people: "move 12 accounts to beta".
    pub what: String,
    /// Whether it goes on.
    pub state: JobState,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Accounts in it.
    pub total: u64,
    /// Accounts that are where they were to go.
    #[serde(default)]
    pub done: u64,
    /// Accounts that were given up because of a fault.
    #[serde(default)]
    pub failed: u64,
    /// Accounts that were given up because somebody said so.
    #[serde(default)]
    pub aborted: u64,
    /// Who began it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

impl Job {
    /// Accounts that are planned or under way.
    pub fn left(&self) -> u64 {
        self.total.saturating_sub(self.done + self.failed + self.aborted)
    }
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Moves the accounts that somebody named.
    Move,
    /// Empties a server.
    Drain,
    /// Brings the servers' loads to the ratio of their weights.
    Rebalance,
    /// Places accounts on their standby copies, without asking their servers.
    Failover,
    /// Moves everything from a machine to the one that takes its place.
    Migration,
}

impl JobKind {
    /// The word for people: "move", "drain", "rebalance", "failover" or "migration".
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Move => "move",
            JobKind::Drain => "drain",
            JobKind::Rebalance => "rebalance",
            JobKind::Failover => "failover",
            JobKind::Migration => "migration",
        }
    }
}

/// Whether a job goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It goes on.
    Running,
    /// Nothing is started and nothing cut over; copies that were begun go on following.
    Paused,
    /// Everything that isn't committed is being taken back.
    Aborting,
    /// It is over.
    Done,
    /// It is over because somebody aborted it.
    Aborted,
}

impl JobState {
    /// The word for people: "running", "paused", "aborting", "done" or "aborted".
    pub fn name(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Paused => "paused",
            JobState::Aborting => "aborting",
            JobState::Done => "done",
            JobState::Aborted => "aborted",
        }
    }

    /// Whether nothing happens in it any more.
    pub fn is_over(self) -> bool {
        matches!(self, JobState::Done | JobState::Aborted)
    }
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
