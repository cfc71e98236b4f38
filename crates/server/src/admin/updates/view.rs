//! Updates as clients see them.

use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::Timestamp;
use sterna_directory::{Update, UpdateEvent, UpdatePhase, UpdateRun, UpdateWork, UpdateWorkState};

use super::super::view::time;
use super::prepare::Prepared;
use super::{row, runs};

/// How updates stand.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Update")]
pub(in crate::admin) struct UpdateView {
    policy: String,
    /// Where versions come from; null where packages are installed by hand.
    repository: Option<String>,
    phase: &'static str,
    /// “forth” or “back”.
    direction: &'static str,
    /// Why it is where it is.
    reason: String,
    by: String,
    changed_at: Option<String>,
    plan: Option<PlanView>,
    check: Option<RunView>,
    download: Option<RunView>,
    /// What an administrator can do now.
    actions: Vec<&'static str>,
}

/// A plan.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UpdatePlan")]
struct PlanView {
    number: u64,
    fingerprint: String,
    target: String,
    made_at: String,
    by: String,
    steps: Vec<StepView>,
    /// Servers that didn't answer when it was made.
    away: Vec<String>,
    notes: Vec<String>,
    blocked: Vec<String>,
    release_notes: Vec<String>,
    /// Bytes that each server fetches.
    download_bytes: u64,
    /// Bytes that it takes on each server.
    space_bytes: u64,
    /// How long all of it takes, about.
    expected_ms: u64,
    /// As people read it: what runs now, and what runs then.
    text: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UpdateStep")]
struct StepView {
    server: String,
    roles: String,
    from: String,
    to: String,
    expected_ms: u64,
    /// “waiting”, “asked”, “proven”.
    state: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UpdateRun")]
struct RunView {
    begun_at: String,
    ended_at: Option<String>,
    by: String,
    is_over: bool,
    /// Whether nothing is in the way.
    is_well: bool,
    servers: Vec<WorkView>,
    findings: Vec<FindingView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UpdateWork")]
struct WorkView {
    server: String,
    /// “running”, “done”, “failed”, “away”.
    state: &'static str,
    done: u64,
    total: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UpdateFinding")]
struct FindingView {
    /// Null for what is about the installation.
    server: Option<String>,
    is_blocking: bool,
    says: String,
    remedy: String,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UpdateEvent")]
pub(in crate::admin) struct EventView {
    number: u64,
    at: String,
    plan: u64,
    what: String,
    says: String,
    by: String,
}

impl From<UpdateEvent> for EventView {
    fn from(event: UpdateEvent) -> Self {
        let UpdateEvent { number, at, plan, what, says, by } = event;
        EventView { number, at: time(at), plan, what, says, by }
    }
}

impl UpdateView {
    /// `is_there` when every server runs the version of the plan.
    pub(super) fn new(row: Update, is_there: bool) -> Self {
        UpdateView {
            policy: row::policy(&row).to_string(),
            repository: row.repository.as_ref().map(|repository| repository.url.clone()),
            phase: row.phase.name(),
            direction: if row.is_back { "back" } else { "forth" },
            reason: row.reason.clone(),
            by: row.by.clone(),
            changed_at: (row.changed_at != Timestamp::default()).then(|| time(row.changed_at)),
            plan: plan(&row),
            check: row.check.as_ref().map(run),
            download: row.download.as_ref().map(run),
            actions: actions(&row, is_there),
        }
    }
}

fn plan(row: &Update) -> Option<PlanView> {
    let kept = row.plan.as_ref()?;
    let prepared = Prepared::of(row).ok()?;
    let of_step = |id| prepared.expected_ms.get(&id).copied().unwrap_or(0);
    let state = |id| match (row.passed.contains(&id), row.asked) {
        (true, _) => "proven",
        (false, Some((asked, _))) if asked == id => "asked",
        _ => "waiting",
    };
    let steps = prepared.plan.steps.iter().map(|step| StepView {
        server: step.name.clone(),
        roles: step.roles.clone(),
        from: step.from.to_string(),
        to: prepared.plan.target.version.to_string(),
        expected_ms: of_step(step.node),
        state: state(step.node),
    });
    Some(PlanView {
        number: kept.number,
        fingerprint: kept.fingerprint.clone(),
        target: prepared.plan.target.version.to_string(),
        made_at: time(kept.made_at),
        by: kept.by.clone(),
        steps: steps.collect(),
        away: prepared.plan.away.clone(),
        notes: prepared.plan.notes.clone(),
        blocked: prepared.plan.blocked.clone(),
        download_bytes: prepared.download_bytes,
        space_bytes: prepared.space_bytes,
        expected_ms: prepared.expected_ms.values().sum(),
        text: prepared.plan.to_string(),
        release_notes: prepared.release_notes,
    })
}

fn run(run: &UpdateRun) -> RunView {
    let work = |work: &UpdateWork| WorkView {
        server: work.name.clone(),
        state: match work.state {
            UpdateWorkState::Running => "running",
            UpdateWorkState::Done => "done",
            UpdateWorkState::Failed => "failed",
            UpdateWorkState::Away => "away",
        },
        done: work.done,
        total: work.total,
    };
    let findings = runs::all_findings(run).map(|(server, finding)| FindingView {
        server: server.map(str::to_owned),
        is_blocking: finding.is_blocking,
        says: finding.says.clone(),
        remedy: finding.remedy.clone(),
    });
    RunView {
        begun_at: time(run.begun_at),
        ended_at: run.ended_at.map(time),
        by: run.by.clone(),
        is_over: run.ended_at.is_some(),
        is_well: !runs::all_findings(run).any(|(_, finding)| finding.is_blocking),
        servers: run.servers.iter().map(work).collect(),
        findings: findings.collect(),
    }
}

/// What an administrator can do now.
fn actions(row: &Update, is_there: bool) -> Vec<&'static str> {
    match row.phase {
        UpdatePhase::Idle | UpdatePhase::RolledBack | UpdatePhase::Finished => vec!["prepare"],
        UpdatePhase::Prepared if runs::must_be_over(row).is_ok() => vec!["apply", "check", "download", "prepare"],
        UpdatePhase::Prepared => vec!["check", "download", "prepare"],
        UpdatePhase::Rolling if row.is_back => vec!["pause"],
        UpdatePhase::Rolling => vec!["pause", "rollback"],
        UpdatePhase::Paused => vec!["resume", "rollback"],
        // Servers that failed may have been mended, or removed, since it stopped.
        UpdatePhase::Stopped if is_there && row.revert.is_none() => vec!["resume", "rollback", "prepare", "finish"],
        UpdatePhase::Stopped => vec!["resume", "rollback", "prepare"],
        UpdatePhase::Rolled => vec!["finish", "rollback"],
    }
}
