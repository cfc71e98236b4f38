//! Checks and downloads: every server is asked to do its part, and again how far it is.

use sterna_base::{NodeId, Timestamp};
use sterna_cluster::update::{NodeTask, NodeWork, TaskFinding, TaskReport, TaskState};
use sterna_directory::{Reader, Update, UpdateFinding, UpdatePhase, UpdateRun, UpdateWork, UpdateWorkState};

use super::super::doors::{AdminState, ProvisionError};
use super::super::problem::Problem;
use super::prepare::Prepared;
use super::row::{self, Change};
use super::{check, conflict};

/// Every server, with its part not begun.
pub(super) async fn servers(state: &AdminState) -> Result<Vec<UpdateWork>, Problem> {
    let read = |reader: &Reader<'_>| {
        let servers = reader.servers()?.into_iter().map(|found| UpdateWork {
            server: found.value.id,
            name: found.value.name,
            state: UpdateWorkState::Running,
            done: 0,
            total: 0,
            findings: Vec::new(),
        });
        Ok::<_, Problem>(servers.collect())
    };
    state.directory.read(read).await
}

/// The two kinds of runs.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Check,
    Download,
}

impl Kind {
    fn of(self, row: &Update) -> Option<&UpdateRun> {
        match self {
            Kind::Check => row.check.as_ref(),
            Kind::Download => row.download.as_ref(),
        }
    }

    fn of_mut(self, row: &mut Update) -> Option<&mut UpdateRun> {
        match self {
            Kind::Check => row.check.as_mut(),
            Kind::Download => row.download.as_mut(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Check => "check",
            Kind::Download => "download",
        }
    }

    pub(super) fn work(self, prepared: &Prepared) -> NodeWork {
        let target = prepared.plan.target;
        match self {
            Kind::Check => {
                NodeWork::Check { target, program_sha256: prepared.program_sha256.clone(), bytes: prepared.space_bytes }
            }
            Kind::Download => NodeWork::Download { version: target.version },
        }
    }
}

/// Asks all servers of the runs that are not over; whether there are such.
pub(super) async fn go_on(state: &AdminState) -> Result<bool, Problem> {
    let (row, _) = row::read(state).await?;
    let mut goes_on = false;
    for kind in [Kind::Check, Kind::Download] {
        let Some(run) = kind.of(&row).filter(|run| run.ended_at.is_none() && row.phase == UpdatePhase::Prepared) else {
            continue;
        };
        goes_on = true;
        let prepared = Prepared::of(&row)?;
        let work = ask_all(state, run, &kind.work(&prepared)).await;
        let is_over = work.iter().all(|work| work.state != UpdateWorkState::Running);
        let findings = match (is_over, kind) {
            (true, Kind::Check) => check::findings(state, &row).await?,
            _ => Vec::new(),
        };
        let (begun_at, now) = (run.begun_at, state.directory.now());
        let ended = format!("{}-over", kind.name());
        let change = Change { by: "", dry_run: false, what: if is_over { &ended } else { "" } };
        row::change(state, change, |row| {
            // Another one may have been begun meanwhile.
            if let Some(run) = kind.of_mut(row).filter(|run| run.begun_at == begun_at && run.ended_at.is_none()) {
                run.servers.clone_from(&work);
                run.findings.clone_from(&findings);
                run.ended_at = is_over.then_some(now);
                return Ok(result(run));
            }
            Ok(String::new())
        })
        .await?;
    }
    Ok(goes_on)
}

/// What came of it, in a few words.
fn result(run: &UpdateRun) -> String {
    let blocking = all_findings(run).filter(|(_, finding)| finding.is_blocking).count();
    let away = run.servers.iter().filter(|work| work.state == UpdateWorkState::Away).count();
    match (blocking, away) {
        (0, 0) => "all is well".to_owned(),
        (0, away) => format!("{away} servers do not answer"),
        (blocking, _) => format!("{blocking} things are in the way"),
    }
}

/// All findings, with the server that they are about.
pub(super) fn all_findings(run: &UpdateRun) -> impl Iterator<Item = (Option<&str>, &UpdateFinding)> {
    let of_servers =
        run.servers.iter().flat_map(|work| work.findings.iter().map(|finding| (Some(work.name.as_str()), finding)));
    of_servers.chain(run.findings.iter().map(|finding| (None, finding)))
}

async fn ask_all(state: &AdminState, run: &UpdateRun, work: &NodeWork) -> Vec<UpdateWork> {
    let mut asked = tokio::task::JoinSet::new();
    for (at, part) in run.servers.iter().enumerate() {
        if part.state != UpdateWorkState::Running {
            continue;
        }
        let (state, task) = (state.clone(), NodeTask { run: run.begun_at, work: work.clone() });
        let server = part.server;
        asked.spawn(async move { (at, ask(&state, server, task).await) });
    }
    let mut parts = run.servers.clone();
    while let Some(answered) = asked.join_next().await {
        let Ok((at, answer)) = answered else { continue };
        match answer {
            Ok(report) => report_into(&mut parts[at], report),
            Err(error) => {
                let (state, is_blocking) = match &error {
                    ProvisionError::Unreachable { .. } => (UpdateWorkState::Away, false),
                    ProvisionError::Refused { .. } => (UpdateWorkState::Failed, true),
                };
                parts[at].state = state;
                let remedy = "Look at that server, and begin again.".to_owned();
                parts[at].findings = vec![UpdateFinding { is_blocking, says: error.to_string(), remedy }];
            }
        }
    }
    parts
}

/// A server that does not answer is asked once more: it may just have changed its version.
pub(super) async fn ask(state: &AdminState, server: NodeId, task: NodeTask) -> Result<TaskReport, ProvisionError> {
    match state.provision.update_task(server, task.clone()).await {
        Err(ProvisionError::Unreachable { .. }) => state.provision.update_task(server, task).await,
        answer => answer,
    }
}

fn report_into(part: &mut UpdateWork, report: TaskReport) {
    part.state = match report.state {
        TaskState::Running => UpdateWorkState::Running,
        TaskState::Done => UpdateWorkState::Done,
        TaskState::Failed => UpdateWorkState::Failed,
    };
    (part.done, part.total) = (report.done, report.total);
    let taken = |TaskFinding { is_blocking, says, remedy }| UpdateFinding { is_blocking, says, remedy };
    part.findings = report.findings.into_iter().map(taken).collect();
}

/// Nothing is applied that was not checked and is not there.
pub(super) fn must_be_over(row: &Update) -> Result<(), Problem> {
    let over = |kind: Kind| {
        let run = kind.of(row).filter(|run| run.plan == row.number && run.ended_at.is_some());
        run.ok_or_else(|| {
            let (name, number) = (kind.name(), row.number);
            let detail = format!("the {name} of plan {number} is not over, or was not begun");
            conflict("not-ready", detail, format!("sterna update {name}, and wait for its end."))
        })
    };
    for kind in [Kind::Check, Kind::Download] {
        let run = over(kind)?;
        let named = |(server, finding): (Option<&str>, &UpdateFinding)| match server {
            Some(server) => format!("{server}: {}", finding.says),
            None => finding.says.clone(),
        };
        let blocking: Vec<String> = all_findings(run).filter(|(_, finding)| finding.is_blocking).map(named).collect();
        let failed = run.servers.iter().any(|work| work.state == UpdateWorkState::Failed);
        if failed || !blocking.is_empty() {
            let remedy = format!("Mend that, and let it be looked at again: sterna update {}.", kind.name());
            return Err(conflict("blocked", blocking.join("; "), remedy));
        }
    }
    Ok(())
}

/// Whether a server did not answer when all others were looked at.
pub(super) fn was_not_checked(row: &Update, server: NodeId) -> bool {
    let checked = row.check.as_ref().map(|run| run.servers.as_slice()).unwrap_or_default();
    !checked.iter().any(|part| part.server == server && part.state != UpdateWorkState::Away)
}

/// Lets a server that was away do its part of what all others have done.
pub(super) async fn ask_late(
    state: &AdminState,
    server: NodeId,
    row: &Update,
    work: NodeWork,
) -> Result<TaskReport, ProvisionError> {
    let run: Timestamp = row.plan.as_ref().map(|plan| plan.made_at).unwrap_or_default();
    ask(state, server, NodeTask { run, work }).await
}
