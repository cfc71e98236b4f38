//! Servers that were away: they follow when they are back, and hold nobody up before they can.

use std::collections::HashMap;

use sterna_base::NodeId;
use sterna_cluster::update::{Action, Direction, Inventory, NodeFacts, Roll, TaskState, next};
use sterna_directory::{Update, UpdatePhase};

use super::super::doors::AdminState;
use super::super::problem::Problem;
use super::prepare::{self, Prepared};
use super::roll::{is_same, node, say, trouble};
use super::row::{self, Change};
use super::runs::{self, Kind};

/// Servers that answer and are not ready yet, by name, and why.
#[derive(Default)]
pub(super) struct Held(HashMap<String, String>);

impl Held {
    /// The others go on as if it were away still.
    fn hold(&mut self, inventory: &mut Inventory, server: NodeId, why: String) {
        if let Some(node) = node(inventory, server) {
            node.state = None;
            self.0.insert(node.name.clone(), why);
        }
    }

    /// Who doesn't run the version yet, and why as far as that is known; empty when all do.
    pub(super) fn not_yet(&self, away: &[String]) -> String {
        let says = |name: &String| self.0.get(name).map_or_else(|| name.clone(), |why| format!("{name} ({why})"));
        match away.is_empty() {
            true => String::new(),
            false => format!("not yet: {}", away.iter().map(says).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Servers that were away when the others were looked at are looked at when they are back, before they are asked.
pub(super) async fn check(
    state: &AdminState,
    row: &Update,
    prepared: &Prepared,
    inventory: &mut Inventory,
    held: &mut Held,
) {
    let target = prepared.plan.target.version;
    let is_asked = |server| row.asked.is_some_and(|(asked, _)| asked == server);
    let unchecked = inventory.nodes.iter().filter(|node| node.version().is_some_and(|runs| runs != target));
    let unchecked = unchecked.map(|node| node.id).filter(|node| !is_asked(*node) && runs::was_not_checked(row, *node));
    for server in unchecked.collect::<Vec<_>>() {
        match runs::ask_late(state, server, row, Kind::Check.work(prepared)).await {
            Ok(report) if report.state == TaskState::Running => {
                held.hold(inventory, server, format!("it looks whether {target} can run there"));
            }
            Ok(report) if !report.is_well() => {
                let why = report.findings.iter().find(|finding| finding.is_blocking);
                let why = why.map_or("it does not say why", |finding| finding.says.as_str());
                held.hold(inventory, server, format!("{target} can't run there yet: {why}"));
            }
            Ok(_) => {}
            Err(error) => held.hold(inventory, server, format!("it can't be looked at: {error}")),
        }
    }
}

/// Servers that were away when the others fetched the version fetch it when they are back.
pub(super) async fn fetch(
    state: &AdminState,
    row: &Update,
    prepared: &Prepared,
    inventory: &mut Inventory,
    held: &mut Held,
) {
    let target = prepared.plan.target.version;
    let lacks =
        |node: &&NodeFacts| node.state.is_some() && node.version() != Some(target) && node.installed(target).is_none();
    let lacking: Vec<NodeId> = inventory.nodes.iter().filter(lacks).map(|node| node.id).collect();
    for server in lacking.into_iter().filter(|_| row.repository.is_some()) {
        match runs::ask_late(state, server, row, Kind::Download.work(prepared)).await {
            Ok(report) if report.state == TaskState::Failed => {
                let why = report.findings.first().map_or("it does not say why", |finding| finding.says.as_str());
                held.hold(inventory, server, format!("it can't fetch {target}, and tries again: {why}"));
            }
            Ok(_) => trouble(inventory, server, format!("it fetches {target}")),
            Err(error) => held.hold(inventory, server, format!("it can't be asked to fetch {target}: {error}")),
        }
    }
}

/// After all others: whether a server is back that was away, and doesn't run what it should.
pub(super) async fn look(state: &AdminState, then: &Update) -> Result<bool, Problem> {
    let prepared = Prepared::of(then)?;
    let (mut inventory, _) = prepare::inventory(state).await?;
    let direction = if then.is_back { Direction::Back } else { Direction::Forth };
    let there = inventory.nodes.iter().filter(|node| is_there(&prepared, direction, node)).map(|node| node.id);
    let there: Vec<NodeId> = there.filter(|node| !then.passed.contains(node)).collect();
    if !there.is_empty() {
        note_there(state, then, &there).await?;
    }
    // Whoever was there once and runs something else now was told so by hand, and so was who runs neither of the two.
    inventory.nodes.retain(|node| {
        let is_left = match direction {
            Direction::Forth => true,
            Direction::Back => node.version().is_none_or(|runs| runs == prepared.plan.target.version),
        };
        is_left && !then.passed.contains(&node.id) && !there.contains(&node.id)
    });
    let mut held = Held::default();
    if direction == Direction::Forth {
        check(state, then, &prepared, &mut inventory, &mut held).await;
    }
    match next(&prepared.plan, &Roll { direction, asked: None }, &inventory, state.directory.now()) {
        Action::Done { away } => {
            say(state, then, held.not_yet(&away)).await?;
            Ok(false)
        }
        // It runs what it should, and waits for something: that is no update's business.
        Action::Wait { .. } => Ok(false),
        Action::Ask { .. } | Action::Stop { .. } => {
            let edit = |row: &mut Update| {
                if is_same(row, then) {
                    (row.phase, row.asked) = (UpdatePhase::Rolling, None);
                }
                Ok("a server is back that runs another version".to_owned())
            };
            row::change(state, Change { by: "", dry_run: false, what: "back" }, edit).await?;
            Ok(true)
        }
    }
}

/// Whether a server runs what the plan wants of it.
fn is_there(prepared: &Prepared, direction: Direction, node: &NodeFacts) -> bool {
    let step = prepared.plan.steps.iter().find(|step| step.node == node.id);
    let wanted = match direction {
        Direction::Forth => Some(prepared.plan.target.version),
        Direction::Back => step.map(|step| step.from),
    };
    wanted.is_some() && node.version() == wanted
}

/// Who is there is nobody's concern any more.
async fn note_there(state: &AdminState, then: &Update, there: &[NodeId]) -> Result<(), Problem> {
    let edit = |row: &mut Update| {
        if is_same(row, then) {
            row.passed.extend(there.iter().filter(|node| !then.passed.contains(node)));
        }
        Ok(String::new())
    };
    row::change(state, Change { by: "", dry_run: false, what: "" }, edit).await.map(drop)
}
