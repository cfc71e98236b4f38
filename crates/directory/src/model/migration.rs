//! Change of machine: which node is the main one, and the migration that makes another one so (decision 48).

use serde::{Deserialize, Serialize};
use sterna_base::{JobId, NodeId, Timestamp};

/// Which node is the main one, since that was handed over for the first time. Without this row it is the node that
/// founded the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainNode {
    /// Which.
    pub server: NodeId,
    /// How often it was handed over: it only grows, and the later one holds.
    pub term: u64,
    /// When.
    pub since: Timestamp,
}

/// A machine takes another one's place. There is one such row at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The machine that is left.
    pub from: NodeId,
    /// The machine that takes its place.
    pub to: NodeId,
    /// Whether the old machine was the main node when it began, so that the new one becomes it.
    pub with_main: bool,
    /// How far it is.
    pub phase: MigrationPhase,
    /// How accounts are switched.
    pub pace: Pace,
    /// The job with the moves of the present direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Who began it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// When its phase changed.
    pub changed_at: Timestamp,
    /// Files in the folder of the machine that was the main node last that are not Sterna's, and stay there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<String>,
    /// What the two machines were called, from and to, for when one of them is no server any more; a version that
    /// didn't remember it left it empty.
    #[serde(default)]
    pub names: (String, String),
}

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationPhase {
    /// The new machine holds a copy of everything and follows. The old one serves.
    Syncing,
    /// The main role and the accounts go over, one by one.
    Switching,
    /// Everything is on the new machine; the old one follows, takes what still reaches it, and can have all of it back.
    Switched,
    /// Accounts and main role go back.
    Returning,
    /// The old machine is let go: its copies are given up and its mail is waited for.
    Finishing,
    /// The old machine belongs to the installation no longer.
    Done,
    /// The copies are being given up again.
    Aborting,
    /// It was given up before anything was switched.
    Aborted,
}

impl MigrationPhase {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            MigrationPhase::Syncing => "syncing",
            MigrationPhase::Switching => "switching",
            MigrationPhase::Switched => "switched",
            MigrationPhase::Returning => "returning",
            MigrationPhase::Finishing => "finishing",
            MigrationPhase::Done => "done",
            MigrationPhase::Aborting => "aborting",
            MigrationPhase::Aborted => "aborted",
        }
    }

    /// Whether nothing happens in it any more.
    pub fn is_over(self) -> bool {
        matches!(self, MigrationPhase::Done | MigrationPhase::Aborted)
    }

    /// Whether it may be followed by this one.
    pub(crate) fn may_become(self, next: MigrationPhase) -> bool {
        use MigrationPhase::{Aborted, Aborting, Done, Finishing, Returning, Switched, Switching, Syncing};
        matches!(
            (self, next),
            (Syncing, Switching | Aborting)
                | (Switching, Switched | Returning)
                | (Switched, Returning | Finishing)
                | (Returning, Syncing)
                | (Finishing, Done)
                | (Aborting, Aborted)
        )
    }
}

/// How accounts are switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// A few at a time, each in a fraction of a second.
    Rolling,
    /// All that can be, at the same time.
    AtOnce,
}

impl Pace {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Pace::Rolling => "rolling",
            Pace::AtOnce => "at-once",
        }
    }
}
