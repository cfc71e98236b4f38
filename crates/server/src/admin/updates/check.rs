//! What is about the installation as a whole, and keeps an update from being applied.

use std::collections::BTreeSet;

use sterna_base::{AccountId, Timestamp};
use sterna_directory::{JobState, MovePhase, Reader, Update, UpdateFinding};

use super::super::doors::AdminState;
use super::super::problem::Problem;
use super::prepare::{self, Prepared};

/// Moves that are counted.
const MOVES_COUNTED: usize = 1000;

fn blocks(says: impl Into<String>, remedy: impl Into<String>) -> UpdateFinding {
    UpdateFinding { is_blocking: true, says: says.into(), remedy: remedy.into() }
}

fn notes(says: impl Into<String>, remedy: impl Into<String>) -> UpdateFinding {
    UpdateFinding { is_blocking: false, says: says.into(), remedy: remedy.into() }
}

/// All of it.
pub(super) async fn findings(state: &AdminState, row: &Update) -> Result<Vec<UpdateFinding>, Problem> {
    let prepared = Prepared::of(row)?;
    let mut findings = state.directory.read(of_directory).await?;
    let (inventory, _) = prepare::inventory(state).await?;
    for node in &inventory.nodes {
        if node.state.is_none() {
            let says = format!("{} does not answer: it follows when it is back, and finishing waits for it", node.name);
            findings.push(notes(says, "Start it, or go on without it."));
        }
    }
    findings.extend(foreign(&prepared, &inventory));
    findings.extend(prepared.plan.blocked.iter().map(|says| blocks(says, "Mend that, and prepare again.")));
    match prepare::catalogue(state, row).await {
        Ok(Some(catalogue)) => {
            let target = prepared.plan.target.version;
            if let Some((_, reason)) = catalogue.withdrawn.iter().find(|(version, _)| *version == target) {
                let says = format!("version {target} was withdrawn by who published it: {reason}");
                findings.push(blocks(says, "Prepare another one: sterna update policy, then prepare."));
            }
        }
        Ok(None) => {}
        Err(problem) => findings.push(blocks(problem.detail, problem.remedy)),
    }
    Ok(findings)
}

fn of_directory(reader: &Reader<'_>) -> Result<Vec<UpdateFinding>, Problem> {
    let mut findings = Vec::new();
    if reader.migration()?.is_some_and(|found| !found.value.phase.is_over()) {
        let says = "a machine is taking another one's place";
        findings.push(blocks(says, "Finish that or give it up first: sterna migrate status."));
    }
    for job in reader.jobs(None, MOVES_COUNTED)? {
        if job.state.is_over() {
            continue;
        }
        let mut under_way = 0;
        for phase in [MovePhase::Copying, MovePhase::CutOver { deadline: Timestamp(0) }] {
            under_way += reader.moves_in_phase(job.id, phase, AccountId(0), MOVES_COUNTED)?.len();
        }
        let says = match (job.state, under_way) {
            (JobState::Paused, _) => format!("job {} ({}) is paused", job.id, job.what),
            (_, moves) => format!("job {} ({}) goes on, with {moves} accounts on their way", job.id, job.what),
        };
        findings
            .push(notes(says, "Moves go on by themselves while servers change their version; or wait for the end."));
    }
    Ok(findings)
}

/// Servers that run something else than what the plan was made of.
fn foreign(prepared: &Prepared, inventory: &sterna_cluster::update::Inventory) -> Vec<UpdateFinding> {
    let plan = &prepared.plan;
    let mut expected: BTreeSet<_> = plan.steps.iter().map(|step| step.from).collect();
    expected.insert(plan.target.version);
    let others = inventory.nodes.iter().filter_map(|node| Some((node, node.version()?)));
    let others = others.filter(|(_, version)| !expected.contains(version));
    let says = others.map(|(node, version)| format!("{} runs {version}, which this plan knows nothing of", node.name));
    says.map(|says| blocks(says, "Prepare again: sterna update prepare.")).collect()
}
