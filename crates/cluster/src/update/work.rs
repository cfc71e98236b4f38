//! What a node does for an update beside serving: it looks whether the update can be, brings the version, and shows
//! after the change that it works. Asking again is asking how far it is.

use serde::{Deserialize, Serialize};
use sterna_base::{Timestamp, Version};

use crate::rpc::control::InstalledVersion;

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTask {
    /// Names the run: a node that did an earlier one begins anew.
    pub run: Timestamp,
    /// What.
    pub work: NodeWork,
}

/// What a node is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeWork {
    /// Look at every account and at the machine: does anything keep this version from running here?
    Check {
        /// The version.
        target: InstalledVersion,
        /// What its program's file must hash to (SHA-256, hexadecimal), where the repository says so.
        program_sha256: Option<String>,
        /// Bytes that bringing it takes.
        bytes: u64,
    },
    /// Fetch the version from the repository, verify it, and put it beside the others.
    Download {
        /// Which.
        version: Version,
    },
    /// Show that accounts open, that mail is taken and that logging in works.
    Prove,
}

impl NodeWork {
    /// Its name; a node does one of each at a time.
    pub fn name(&self) -> &'static str {
        match self {
            NodeWork::Check { .. } => "check",
            NodeWork::Download { .. } => "download",
            NodeWork::Prove => "prove",
        }
    }
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// How far.
    pub state: TaskState,
    /// Accounts or bytes that are done.
    pub done: u64,
    /// Of so many; zero while that isn't known.
    pub total: u64,
    /// What was found.
    pub findings: Vec<TaskFinding>,
}

impl TaskReport {
    /// Whether nothing is in the way, as far as is known.
    pub fn is_well(&self) -> bool {
        self.state != TaskState::Failed && !self.findings.iter().any(|finding| finding.is_blocking)
    }
}

/// Whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// It goes on.
    Running,
    /// It is over.
    Done,
    /// It could not be done; the findings say why.
    Failed,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFinding {
    /// Whether the update can't be while it is so.
    pub is_blocking: bool,
    /// What.
    pub says: String,
    /// What to do.
    pub remedy: String,
}

impl TaskFinding {
    /// What keeps an update from being applied.
    pub fn blocks(says: impl Into<String>, remedy: impl Into<String>) -> Self {
        TaskFinding { is_blocking: true, says: says.into(), remedy: remedy.into() }
    }

    /// What is good to know.
    pub fn notes(says: impl Into<String>, remedy: impl Into<String>) -> Self {
        TaskFinding { is_blocking: false, says: says.into(), remedy: remedy.into() }
    }
}
