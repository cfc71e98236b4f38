//! A plan on its way: what is done next, decided by what the nodes say. It can be asked at any moment, also after a
//! crash of whoever asks: nothing is remembered that the nodes don't show themselves, but when a node was asked.

use serde::{Deserialize, Serialize};
use sterna_base::{NodeId, Timestamp, Version};

use super::inventory::{Inventory, NodeFacts};
use super::plan::{Plan, Step};

/// How long a node that was asked may take until it serves with the other version, in milliseconds.
pub const STEP_MS_MAX: i64 = 10 * 60 * 1000;

/// Forth or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the plan's target.
    Forth,
    /// To what each node ran before, the last first.
    Back,
}

/// How far a plan is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll {
    /// Where to.
    pub direction: Direction,
    /// The node that was asked last, and when.
    #[serde(default)]
    pub asked: Option<(NodeId, Timestamp)>,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask this node to run that version.
    Ask {
        /// Which.
        node: NodeId,
        /// What.
        version: Version,
    },
    /// Look again later.
    Wait {
        /// For what, for people.
        reason: String,
    },
    /// Something is wrong: nothing more happens until an administrator says so.
    Stop {
        /// What, and what to do.
        reason: String,
    },
    /// Every node that answers is there.
    Done {
        /// Those that don't answer.
        away: Vec<String>,
    },
}

/// What is to be done now, as the nodes are now.
pub fn next(plan: &Plan, roll: &Roll, inventory: &Inventory, now: Timestamp) -> Action {
    let forth: Vec<&Step> = plan.steps.iter().collect();
    let steps: Vec<&Step> = match roll.direction {
        Direction::Forth => forth,
        Direction::Back => forth.into_iter().rev().collect(),
    };
    let mut away = Vec::new();
    for step in steps {
        let wanted = match roll.direction {
            Direction::Forth => plan.target.version,
            Direction::Back => step.from,
        };
        // A server that was removed meanwhile is nobody's concern.
        let Some(node) = inventory.nodes.iter().find(|node| node.id == step.node) else { continue };
        let asked_ms = roll.asked.filter(|(asked, _)| *asked == node.id).map(|(_, at)| now.0 - at.0);
        match of_node(node, wanted, asked_ms) {
            Ok(None) => {}
            Ok(Some(action)) => return action,
            Err(Away) => away.push(node.name.clone()),
        }
    }
    // Those who were away when the plan was made follow when they are back.
    if roll.direction == Direction::Forth {
        for node in inventory.nodes.iter().filter(|node| plan.away.contains(&node.name)) {
            let asked_ms = roll.asked.filter(|(asked, _)| *asked == node.id).map(|(_, at)| now.0 - at.0);
            match of_node(node, plan.target.version, asked_ms) {
                Ok(None) => {}
                Ok(Some(action)) => return action,
                Err(Away) => away.push(node.name.clone()),
            }
        }
    }
    Action::Done { away }
}

/// A node that doesn't answer, and was not asked.
struct Away;

/// What a node needs; nothing when it is there and well.
fn of_node(node: &NodeFacts, wanted: Version, asked_ms: Option<i64>) -> Result<Option<Action>, Away> {
    let name = &node.name;
    let wait = |reason: String| Ok(Some(Action::Wait { reason }));
    let stop = |reason: String| Ok(Some(Action::Stop { reason }));
    let in_time = asked_ms.is_some_and(|asked_ms| asked_ms <= STEP_MS_MAX);
    let Some(state) = &node.state else {
        return match asked_ms {
            None => Err(Away),
            Some(_) if in_time => wait(format!("{name} starts with {wanted}")),
            Some(_) => stop(format!("{name} does not answer since it was asked to run {wanted}; look at its log")),
        };
    };
    if state.runs.version == wanted {
        return match state.trouble.first() {
            None => Ok(None),
            Some(trouble) if asked_ms.is_none() || in_time => wait(format!("{name}: {trouble}")),
            Some(trouble) => stop(format!("{name} runs {wanted}, and does not become well: {trouble}")),
        };
    }
    if asked_ms.is_some() && state.failed == Some(wanted) {
        let runs = state.runs.version;
        return stop(format!("{name} could not serve with {wanted}, and runs {runs} again; see its log"));
    }
    if in_time {
        return wait(format!("{name} ends its sessions to run {wanted}"));
    }
    if asked_ms.is_some() {
        return stop(format!("{name} was asked to run {wanted}, and goes on with {}; see its log", state.runs.version));
    }
    if let Some(trouble) = state.trouble.first() {
        return wait(format!("{name}: {trouble}"));
    }
    if node.installed(wanted).is_none() {
        return stop(format!("{name}: {wanted} is not installed; apt install sterna-{wanted}"));
    }
    Ok(Some(Action::Ask { node: node.id, version: wanted }))
}
