//! What a node does for updates beside serving. Each piece of work goes on by itself; who asks for it again is told how
//! far it is. Nothing of it is kept over a restart: whoever wants it asks again, and all of it may be done twice.

mod check;
mod download;
mod prove;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sterna_account::local::LocalAccounts;
use sterna_base::{Timestamp, version};
use sterna_cluster::update::{NodeTask, NodeWork, TaskFinding, TaskReport, TaskState};
use sterna_directory::{Authentication, Directory};
use tokio::task::AbortHandle;

use super::handover::Handover;
use super::surroundings::Surroundings;
use crate::node::edge_check::EdgeCheck;

/// How long after a download has failed it is begun again for who asks again: mirrors are away for moments.
const FETCHED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The same of a check that found something in the way: it reads every account.
const CHECKED_AGAIN_AFTER: Duration = Duration::from_secs(15 * 60);

/// Findings of one piece of work that are told; the rest is counted.
const FINDINGS_MAX: usize = 50;

/// What the work needs of the node.
#[derive(Clone)]
pub struct Bench {
    /// The node's folder.
    pub folder: PathBuf,
    /// Its accounts, if it holds some.
    pub local: Option<Arc<LocalAccounts>>,
    /// Its copy of the directory.
    pub directory: Directory,
    /// The versions that are there.
    pub handover: Arc<Handover>,
    /// Who may log in.
    pub authentication: Arc<Authentication>,
    /// What looks at an edge's mail, once it is there.
    pub edge_check: Arc<OnceLock<EdgeCheck>>,
    /// Whether it is an edge.
    pub is_edge: bool,
    /// The machine around it.
    pub surroundings: Surroundings,
}

/// See the module.
pub struct Desk {
    bench: Bench,
    /// By the name of the work.
    runs: Mutex<HashMap<&'static str, Run>>,
}

struct Run {
    run: Timestamp,
    progress: Progress,
    task: AbortHandle,
}

impl Run {
    /// Whether who asks for it again is told of this one: while it goes on, and for a while after it failed, so that
    /// everybody who waits for it hears of it. What a trial showed stands until an administrator has looked.
    fn stands(&self, task: &NodeTask) -> bool {
        let again_after = match task.work {
            NodeWork::Download { .. } => FETCHED_AGAIN_AFTER,
            NodeWork::Check { .. } => CHECKED_AGAIN_AFTER,
            NodeWork::Prove => Duration::MAX,
        };
        let is_over_for = self.progress.ended().map_or(Duration::ZERO, |ended| ended.elapsed());
        self.run == task.run && (self.progress.report().is_well() || is_over_for < again_after)
    }
}

/// How far a piece of work is, as it goes on.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Going>>);

struct Going {
    report: TaskReport,
    ended: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        let report = TaskReport { state: TaskState::Running, done: 0, total: 0, findings: Vec::new() };
        Progress(Arc::new(Mutex::new(Going { report, ended: None })))
    }

    /// So much is done.
    pub fn at(&self, done: u64, total: u64) {
        let report = &mut self.0.lock().report;
        (report.done, report.total) = (done, total);
    }

    /// Tells of something.
    pub fn find(&self, finding: TaskFinding) {
        let report = &mut self.0.lock().report;
        match report.findings.len() {
            0..FINDINGS_MAX => report.findings.push(finding),
            // Whether it blocks must not be lost with what it is.
            FINDINGS_MAX => report.findings.push(TaskFinding {
                is_blocking: finding.is_blocking,
                says: "more was found than is told here".to_owned(),
                remedy: "Mend what is told, and check again.".to_owned(),
            }),
            _ => report.findings[FINDINGS_MAX].is_blocking |= finding.is_blocking,
        }
    }

    fn end(&self, state: TaskState) {
        let mut going = self.0.lock();
        going.report.state = state;
        going.ended = Some(Instant::now());
    }

    fn report(&self) -> TaskReport {
        self.0.lock().report.clone()
    }

    fn ended(&self) -> Option<Instant> {
        self.0.lock().ended
    }
}

impl Desk {
    /// Of the node with these parts.
    pub fn new(bench: Bench) -> Self {
        Desk { bench, runs: Mutex::default() }
    }

    /// Begins a piece of work, unless this run of it was begun already; how far it is.
    pub fn task(&self, task: NodeTask) -> TaskReport {
        let mut runs = self.runs.lock();
        let name = task.work.name();
        if matches!(task.work, NodeWork::Prove) && self.is_on_trial() {
            // It could not go back before it is there: what it shows counts from then on.
            return Progress::new().report();
        }
        if let Some(known) = runs.get(name) {
            if known.stands(&task) {
                return known.progress.report();
            }
            known.task.abort();
        }
        let (progress, bench) = (Progress::new(), self.bench.clone());
        let told = progress.clone();
        let running = tokio::spawn(async move {
            let done = match task.work {
                NodeWork::Check { target, program_sha256, bytes } => {
                    check::run(&bench, &told, target, program_sha256, bytes).await
                }
                NodeWork::Download { version } => download::run(&bench, &told, version).await,
                NodeWork::Prove => prove::run(&bench, &told).await,
            };
            match done {
                Ok(()) => told.end(TaskState::Done),
                Err(finding) => {
                    tracing::warn!(work = name, cause = finding.says, "work for an update could not be done");
                    told.find(finding);
                    told.end(TaskState::Failed);
                }
            }
        });
        let (run, task) = (task.run, running.abort_handle());
        runs.insert(name, Run { run, progress: progress.clone(), task });
        progress.report()
    }

    /// Whether this version has not come to serve yet.
    fn is_on_trial(&self) -> bool {
        self.bench.handover.record().is_on_trial(version::own()).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_download_that_failed_is_told_and_begun_again_later() {
        let progress = Progress::new();
        let task = tokio::spawn(async {}).abort_handle();
        let run = Run { run: Timestamp(1), progress: progress.clone(), task };
        let of = |run| NodeTask { run: Timestamp(run), work: NodeWork::Download { version: version::own() } };
        progress.find(TaskFinding::blocks("the mirror is away", "Wait for it."));
        assert!(run.stands(&of(1)), "it goes on, however long it takes");
        progress.end(TaskState::Failed);
        assert!(run.stands(&of(1)), "whoever waits for it hears that it failed");
        progress.0.lock().ended = Instant::now().checked_sub(FETCHED_AGAIN_AFTER);
        assert!(!run.stands(&of(1)));
        assert!(!run.stands(&of(2)), "another run is another one");
        let trial = NodeTask { run: Timestamp(1), work: NodeWork::Prove };
        assert!(run.stands(&trial), "until an administrator has looked");
    }
}
