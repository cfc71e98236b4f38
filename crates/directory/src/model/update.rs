//! Updates (decision 59): which version the installation wants, the plan that leads there, and how far it is.
//!
//! The plan itself is what the planner wrote, as text: the directory keeps it as it is and knows no more of it.

use serde::{Deserialize, Serialize};
use sterna_base::{NodeId, Timestamp};

/// All that is kept of updates. There is one such row at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// What the next plan aims at: `open`, `pinned X.Y.Z` or `current`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// Where versions come from; `None` where packages are installed by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// The date of the latest list of the repository that was believed: an older one is refused from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_at: Option<Timestamp>,
    /// The number of the latest plan.
    #[serde(default)]
    pub number: u64,
    /// The latest plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<UpdatePlan>,
    /// How far it is.
    #[serde(default)]
    pub phase: UpdatePhase,
    /// Whether servers go back to what they ran before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_back: bool,
    /// The server that was asked last to run another version, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<(NodeId, Timestamp)>,
    /// Servers that were tried after they had changed their version, and work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<NodeId>,
    /// A server that failed after it had changed its version, and the version that it goes back to by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<(NodeId, String)>,
    /// Why it is where it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The latest check of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<UpdateRun>,
    /// The latest download of the plan's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<UpdateRun>,
    /// Who did the last thing, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// When the phase changed.
    #[serde(default)]
    pub changed_at: Timestamp,
    /// The number of the latest entry of the history.
    #[serde(default)]
    pub events: u64,
}

/// Where versions come from, and who signs them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// `https://`, `http://` or `file://`, the folder that has `dists`.
    pub url: String,
    /// The public key that signs its lists, armored (RFC 9580 section 6.2). It is pinned: no list brings another one.
    pub key: String,
}

/// A plan, which is never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatePlan {
    /// Its number; servers refuse plans with lower ones than the latest that they have heard of.
    pub number: u64,
    /// Of its content: BLAKE3, in hexadecimal digits. Whoever applies it names what they have seen.
    pub fingerprint: String,
    /// What the planner wrote, in JSON.
    pub content: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// By whom, for people.
    pub by: String,
}

/// How far an update is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdatePhase {
    /// There is nothing to do.
    #[default]
    Idle,
    /// There is a plan; nobody changes a version.
    Prepared,
    /// One server after another changes its version.
    Rolling,
    /// An administrator wants nothing to go on.
    Paused,
    /// Something is wrong, and nothing goes on. Another plan may take its place: this one may have no way forth or
    /// back.
    Stopped,
    /// Every server that answers runs the plan's version. The way back is open.
    Rolled,
    /// Every server that answers runs what it ran before.
    RolledBack,
    /// An administrator said that it is good: it is over.
    Finished,
}

impl UpdatePhase {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            UpdatePhase::Idle => "idle",
            UpdatePhase::Prepared => "prepared",
            UpdatePhase::Rolling => "rolling",
            UpdatePhase::Paused => "paused",
            UpdatePhase::Stopped => "stopped",
            UpdatePhase::Rolled => "rolled",
            UpdatePhase::RolledBack => "rolled-back",
            UpdatePhase::Finished => "finished",
        }
    }

    /// Whether servers may run two versions in it, so that nothing else is begun.
    pub fn is_under_way(self) -> bool {
        matches!(self, UpdatePhase::Rolling | UpdatePhase::Paused | UpdatePhase::Stopped)
    }

    /// Whether it may be followed by this one.
    pub(crate) fn may_become(self, next: UpdatePhase) -> bool {
        use UpdatePhase::{Finished, Idle, Paused, Prepared, Rolled, RolledBack, Rolling, Stopped};
        matches!(
            (self, next),
            (Idle | Prepared | Stopped | Rolled | RolledBack | Finished, Prepared)
                | (Prepared | Paused | Stopped | Rolled | RolledBack, Rolling)
                | (Rolling, Paused | Stopped | Rolled | RolledBack)
                | (Stopped, Paused)
                | (Stopped | Rolled, Finished)
        )
    }
}

/// Work on all servers: a check, or a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateRun {
    /// The plan that it is for.
    pub plan: u64,
    /// When it was begun; it names the run.
    pub begun_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// By whom, for people.
    pub by: String,
    /// Each server's part.
    pub servers: Vec<UpdateWork>,
    /// What is about no single server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<UpdateFinding>,
}

/// A server's part in such work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateWork {
    /// Which.
    pub server: NodeId,
    /// What it is called.
    pub name: String,
    /// How far it is.
    pub state: UpdateWorkState,
    /// Accounts or bytes that are done.
    pub done: u64,
    /// Of so many; zero while that isn't known.
    pub total: u64,
    /// What it found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<UpdateFinding>,
}

/// How far a server's part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateWorkState {
    /// It goes on.
    Running,
    /// It is over.
    Done,
    /// It could not be done.
    Failed,
    /// The server doesn't answer: it follows when it is back.
    Away,
}

/// Something that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateFinding {
    /// Whether nothing is applied while it is so.
    pub is_blocking: bool,
    /// What it is.
    pub says: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateEvent {
    /// They are counted; the next one takes the place of the oldest.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The plan's number.
    pub plan: u64,
    /// What was done, or what it became: a word.
    pub what: String,
    /// More, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub says: String,
    /// By whom; empty when it went on by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}
