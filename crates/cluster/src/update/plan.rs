//! A plan: a pure function of policy and inventory, immutable, shown as a diff.

use std::fmt;

use serde::{Deserialize, Serialize};
use sterna_base::{NodeId, Version};

use super::inventory::{Inventory, NodeFacts};
use super::policy::Policy;
use crate::rpc::control::InstalledVersion;
use crate::rpc::wire::releases_fit;

/// What is to be done. Nothing in it is ever changed: another wish is another plan with a higher number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its number; nodes refuse plans with lower numbers than the latest they have heard of.
    pub number: u64,
    /// The version that all nodes run afterwards.
    pub target: InstalledVersion,
    /// One for each node that runs another one, in their order.
    pub steps: Vec<Step>,
    /// Nodes that didn't answer: they follow when they are back.
    pub away: Vec<String>,
    /// What keeps it from being applied; empty when nothing does.
    pub blocked: Vec<String>,
    /// What is worth knowing before.
    pub notes: Vec<String>,
}

/// One node runs another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub node: NodeId,
    /// Its display name.
    pub name: String,
    /// Its roles, for people.
    pub roles: String,
    /// What it ran when the plan was made.
    pub from: Version,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// All is as the policy wants it.
    #[error("every server that answers runs {0}, as the policy wants it")]
    NothingToDo(Version),
    /// The main node's state isn't known.
    #[error("the main node does not say what it runs")]
    NoMain,
    /// The policy names a version that was taken back.
    #[error("version {0} was withdrawn by who published it; pin another one")]
    Withdrawn(Version),
    /// The policy names a version that no node has.
    #[error("version {0} is installed on no server; install it: apt install sterna-{0}, on each")]
    Unknown(Version),
    /// Nodes would not understand each other on the way.
    #[error("version {wanted} is more than one release from {from} on {node}; go to the release between them first")]
    TooFar {
        /// The target.
        wanted: Version,
        /// What that node runs.
        from: Version,
        /// Which.
        node: String,
    },
    /// The way back is closed.
    #[error(
        "version {wanted} can't read what {from} on {node} has written; restore a backup of before the update instead"
    )]
    FormatsMoved {
        /// The target.
        wanted: Version,
        /// What that node runs.
        from: Version,
        /// Which.
        node: String,
    },
}

/// Makes the plan that brings every node to where the policy wants it.
///
/// # Errors
/// [`PlanRefused`]
pub fn plan(policy: Policy, inventory: &Inventory, number: u64) -> Result<Plan, PlanRefused> {
    let mut nodes: Vec<&NodeFacts> = inventory.nodes.iter().collect();
    nodes.sort_by_key(|node| (node.rank(), &node.name));
    let main = nodes.iter().find(|node| node.is_main()).and_then(|node| node.state.as_ref());
    let main = main.ok_or(PlanRefused::NoMain)?.runs;
    let target = target(policy, inventory, main)?;
    let mut steps = Vec::new();
    for node in nodes.iter().filter(|node| node.version().is_some_and(|version| version != target.version)) {
        steps.push(step(node, target)?);
    }
    let away: Vec<String> = nodes.iter().filter(|node| node.state.is_none()).map(|node| node.name.clone()).collect();
    if steps.is_empty() {
        return Err(PlanRefused::NothingToDo(target.version));
    }
    let is_offered = inventory.offered.iter().any(|offered| offered.version == target.version);
    let (blocked, notes) = (blocked(&nodes, target, is_offered), notes(inventory, target, main, &away));
    Ok(Plan { number, target, steps, away, blocked, notes })
}

fn step(node: &NodeFacts, target: InstalledVersion) -> Result<Step, PlanRefused> {
    let runs = node.state.as_ref().map_or(target, |state| state.runs);
    let (wanted, from, name) = (target.version, runs.version, node.name.clone());
    if !releases_fit(target.release, runs.release) {
        return Err(PlanRefused::TooFar { wanted, from, node: name });
    }
    if target.store_format < runs.store_format || target.directory_format < runs.directory_format {
        return Err(PlanRefused::FormatsMoved { wanted, from, node: name });
    }
    let roles: Vec<String> = node.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    Ok(Step { node: node.id, name, roles: roles.join(", "), from })
}

/// The version that the policy means.
fn target(policy: Policy, inventory: &Inventory, main: InstalledVersion) -> Result<InstalledVersion, PlanRefused> {
    let is_withdrawn = |version: Version| inventory.withdrawn.contains(&version);
    let known = inventory.nodes.iter().filter_map(|node| node.state.as_ref());
    let known = known.flat_map(|state| state.installed.iter().chain([&state.runs])).chain(&inventory.offered);
    match policy {
        Policy::Current => Ok(main),
        Policy::Pinned(version) if is_withdrawn(version) => Err(PlanRefused::Withdrawn(version)),
        Policy::Pinned(version) => {
            known.copied().find(|known| known.version == version).ok_or(PlanRefused::Unknown(version))
        }
        Policy::Open => {
            // One release at a time: a fleet is within two neighbours at every moment.
            let oldest = inventory.nodes.iter().filter_map(|node| Some(node.state.as_ref()?.runs.release)).min();
            let within = |known: &&InstalledVersion| known.release <= oldest.unwrap_or(main.release) + 1;
            let newest = known.filter(within).filter(|known| !is_withdrawn(known.version));
            Ok(newest
                .max_by_key(|known| known.version)
                .copied()
                .filter(|newest| newest.version > main.version)
                .unwrap_or(main))
        }
    }
}

fn blocked(nodes: &[&NodeFacts], target: InstalledVersion, is_offered: bool) -> Vec<String> {
    let mut blocked = Vec::new();
    for node in nodes {
        let Some(state) = &node.state else { continue };
        if !is_offered && node.installed(target.version).is_none() {
            blocked.push(format!("{}: {} is not installed; apt install sterna-{1}", node.name, target.version));
        }
        blocked.extend(state.trouble.iter().map(|trouble| format!("{}: {trouble}", node.name)));
    }
    blocked
}

fn notes(inventory: &Inventory, target: InstalledVersion, main: InstalledVersion, away: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    for name in away {
        notes.push(format!("{name} does not answer: it follows when it is back, and finishing waits for it"));
    }
    // No reason to refuse it: the cause may be mended, and a server forgets that it failed only when it is tried again.
    for node in &inventory.nodes {
        let Some(state) = node.state.as_ref().filter(|state| state.failed == Some(target.version)) else { continue };
        if state.runs.version != target.version {
            let (name, version) = (&node.name, target.version);
            notes.push(format!(
                "{name}: {version} was tried and did not come to serve; mend the cause first (its log has it)"
            ));
        }
    }
    for (what, from, to) in [
        ("accounts", i64::from(main.store_format), i64::from(target.store_format)),
        ("the directory", main.directory_format, target.directory_format),
    ] {
        if from < to {
            notes.push(format!("{what}: format {from} becomes {to} when they are opened; there is no way back then"));
        }
    }
    let newest =
        inventory.nodes.iter().filter_map(|node| node.state.as_ref()?.installed.last()).max_by_key(|v| v.version);
    if let Some(newest) = newest.filter(|newest| newest.version > target.version && newest.release > target.release) {
        notes.push(format!("{} is installed, too; it comes after this", newest.version));
    }
    if inventory.moves > 0 {
        notes.push(format!("{} moves of accounts are under way, and go on", inventory.moves));
    }
    notes
}

/// As people read it: what runs now, and what runs then.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Plan {}: version {} on all servers", self.number, self.target.version)?;
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "\n{number}. {} ({})\n-  {}\n+  {}", step.name, step.roles, step.from, self.target.version)?;
        }
        for (title, lines) in [("Notes", &self.notes), ("It can't be applied", &self.blocked)] {
            if !lines.is_empty() {
                writeln!(f, "\n{title}:")?;
                lines.iter().try_for_each(|line| writeln!(f, "   {line}"))?;
            }
        }
        Ok(())
    }
}
