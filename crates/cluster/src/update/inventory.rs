//! What there is: nodes, what they run, what is installed on them.

use sterna_base::{NodeId, Version};

use crate::nodes::{NodeRole, NodeRoles};
use crate::rpc::control::InstalledVersion;

/// All that a plan is made of besides the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The nodes of the installation, in any order.
    pub nodes: Vec<NodeFacts>,
    /// Versions that every node can be given.
    pub offered: Vec<InstalledVersion>,
    /// Versions that were taken back by who published them: nobody moves to one.
    pub withdrawn: Vec<Version>,
    /// Moves of accounts that are under way. They go on by themselves while nodes change their version.
    pub moves: u64,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which.
    pub id: NodeId,
    /// Its display name.
    pub name: String,
    /// What it does.
    pub roles: NodeRoles,
    /// Nodes for whose accounts it stands by, by name.
    pub stands_by_for: Vec<String>,
    /// How it is; `None` while it doesn't answer.
    pub state: Option<NodeState>,
}

/// What a node that answers says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// What it runs.
    pub runs: InstalledVersion,
    /// What is installed there and works.
    pub installed: Vec<InstalledVersion>,
    /// The version that was tried last and did not come to serve.
    pub failed: Option<Version>,
    /// Why nothing else should be touched while it is so; empty when all is well.
    pub trouble: Vec<String>,
}

impl NodeFacts {
    /// The version that it runs; `None` while it doesn't answer.
    pub fn version(&self) -> Option<Version> {
        Some(self.state.as_ref()?.runs.version)
    }

    /// What it has of a version; `None` where that is not installed, or the node doesn't answer.
    pub fn installed(&self, version: Version) -> Option<InstalledVersion> {
        let state = self.state.as_ref()?;
        state.installed.iter().chain([&state.runs]).find(|installed| installed.version == version).copied()
    }

    /// Whether it is the main node.
    pub fn is_main(&self) -> bool {
        self.roles.contains(&NodeRole::Main)
    }

    /// Its place in an update. Data servers first, of them those that only stand by for others; then the main node,
    /// which must understand all that the others say; edges last, because the world sees those.
    pub fn rank(&self) -> u8 {
        let has = |role| self.roles.contains(&role);
        match (has(NodeRole::Main), has(NodeRole::Data)) {
            (true, _) => 2,
            (false, true) if !self.stands_by_for.is_empty() => 0,
            (false, true) => 1,
            (false, false) => 3,
        }
    }
}
