//! Servers that changed their version show that they work: one that doesn't lets nothing go on.

use sterna_base::{NodeId, Timestamp, failpoint};
use sterna_cluster::update::{Inventory, NodeFacts, NodeTask, NodeWork, TaskReport, TaskState};
use sterna_directory::Update;

use super::super::doors::AdminState;
use super::super::problem::Problem;
use super::prepare::Prepared;
use super::roll::{is_same, node, trouble};
use super::row::{self, Change};
use super::runs;

/// Servers that run the target and have not shown that they work, and by what their trial is named: not only the one
/// that was asked last, because a pause, a stop or a restart may have come between. Who is tried again after an
/// administrator looked is tried anew.
fn unproven(row: &Update, prepared: &Prepared, inventory: &Inventory) -> Vec<(NodeId, Timestamp)> {
    let plan = &prepared.plan;
    let is_of_plan =
        |node: &NodeFacts| plan.steps.iter().any(|step| step.node == node.id) || plan.away.contains(&node.name);
    let nodes = inventory.nodes.iter().filter(|node| {
        node.version() == Some(plan.target.version) && !row.passed.contains(&node.id) && is_of_plan(node)
    });
    let run = |node: &NodeFacts| match row.asked {
        Some((asked, at)) if asked == node.id => at.max(row.changed_at),
        _ => row.changed_at,
    };
    nodes.map(|node| (node.id, run(node))).collect()
}

/// Servers that changed their version show that they work before the next one is asked; the one that doesn't, and why.
pub(super) async fn prove(
    state: &AdminState,
    then: &Update,
    prepared: &Prepared,
    inventory: &mut Inventory,
) -> Result<Option<(NodeId, String)>, Problem> {
    let target = prepared.plan.target.version;
    for (server, run) in unproven(then, prepared, inventory) {
        let name = node(inventory, server).map(|server| server.name.clone()).unwrap_or_default();
        match runs::ask(state, server, NodeTask { run, work: NodeWork::Prove }).await {
            Ok(TaskReport { state: TaskState::Done, .. }) => passed(state, then, server, &name).await?,
            Ok(TaskReport { state: TaskState::Failed, findings, .. }) => {
                let why = findings.first().map_or("it does not say why", |finding| finding.says.as_str());
                return Ok(Some((server, format!("{name} runs {target} and does not work: {why}"))));
            }
            Ok(TaskReport { state: TaskState::Running, .. }) => {
                trouble(inventory, server, "it shows that it works".to_owned());
            }
            Err(error) => {
                trouble(inventory, server, format!("it can't be asked whether it works: {error}"));
            }
        }
    }
    Ok(None)
}

async fn passed(state: &AdminState, then: &Update, server: NodeId, name: &str) -> Result<(), Problem> {
    let change = Change { by: "", dry_run: false, what: "proven" };
    let edit = |row: &mut Update| {
        if is_same(row, then) && !row.passed.contains(&server) {
            row.passed.push(server);
        }
        Ok(name.to_owned())
    };
    row::change(state, change, edit).await?;
    failpoint::reached("update-proven");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sterna_cluster::InstalledVersion;
    use sterna_cluster::update::{NodeState, Plan, Step};

    use super::*;

    fn version(text: &str) -> InstalledVersion {
        InstalledVersion { version: text.parse().unwrap(), release: 1, store_format: 1, directory_format: 1 }
    }

    fn facts(id: u8, runs: &str) -> NodeFacts {
        let state = NodeState { runs: version(runs), installed: Vec::new(), failed: None, trouble: Vec::new() };
        NodeFacts {
            id: NodeId([id; 16]),
            name: format!("data{id}"),
            roles: [sterna_cluster::NodeRole::Data].into_iter().collect(),
            stands_by_for: Vec::new(),
            state: Some(state),
        }
    }

    fn prepared(steps: &[u8], away: &[&str]) -> Prepared {
        let step = |id: &u8| Step {
            node: NodeId([*id; 16]),
            name: format!("data{id}"),
            roles: "data".to_owned(),
            from: version("0.1.0").version,
        };
        Prepared {
            plan: Plan {
                number: 1,
                target: version("0.2.0"),
                steps: steps.iter().map(step).collect(),
                away: away.iter().map(|name| (*name).to_owned()).collect(),
                blocked: Vec::new(),
                notes: Vec::new(),
            },
            expected_ms: BTreeMap::new(),
            download_bytes: 0,
            space_bytes: 0,
            release_notes: Vec::new(),
            program_sha256: None,
            valid_until: None,
        }
    }

    #[test]
    fn every_server_that_changed_is_tried_whoever_was_asked() {
        let nodes = vec![facts(1, "0.2.0"), facts(2, "0.2.0"), facts(3, "0.1.0"), facts(4, "0.2.0"), facts(5, "0.2.0")];
        let inventory = Inventory { nodes, ..Inventory::default() };
        let prepared = prepared(&[1, 2, 3], &["data4"]);
        let changed_at = Timestamp(500);
        let asked = Some((NodeId([2; 16]), Timestamp(700)));
        let row = Update { changed_at, asked, ..Update::default() };
        // 3 runs the version of before, and 5 ran the target before there was the plan.
        let all = vec![(NodeId([1; 16]), changed_at), (NodeId([2; 16]), Timestamp(700)), (NodeId([4; 16]), changed_at)];
        assert_eq!(unproven(&row, &prepared, &inventory), all);
        let row = Update { asked: None, passed: vec![NodeId([1; 16]), NodeId([4; 16])], ..row };
        assert_eq!(unproven(&row, &prepared, &inventory), [(NodeId([2; 16]), changed_at)]);
    }
}
