//! The main node at work on a migration: asks [`next_step`] what to do, does it, and asks again. It runs on whichever
//! machine is the main node, and keeps nothing that a restart could lose.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use sterna_base::{Modseq, NodeId, Timestamp, failpoint};
use sterna_cluster::migration::step::{Heard, Phase, Side, Step, View, Waits, next_step};
use sterna_cluster::{ControlClient, NodeControl};
use sterna_directory::{CopyPurpose, Directory, Migration, MigrationPhase, MovePhase, Reader, Request, StorageError};
use tokio_util::sync::CancellationToken;

use super::super::Parts;
use super::super::control::Control;

/// How long nothing is looked at when nothing changes.
const ROUND: Duration = Duration::from_secs(1);
/// How long the other machine may take to say how it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long what was fetched counts as what the main node has: what administrators do between the last look and the
/// hand-over stays in the old machine's file.
const FILES_FRESH: Duration = Duration::from_secs(10);
/// How long a machine that was let go waits before it ends, so that the main node sees that it has heard.
pub const FAREWELL_HEARD: Duration = Duration::from_secs(5);
/// Copies that are counted when it is looked whether any are left.
const COPIES_LOOKED_AT: usize = 1000;

/// What the driver did last, for those who look.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    /// What it waits for.
    pub waits: Option<Waits>,
    /// What it met the last time that something failed, until it goes on.
    pub trouble: Option<String>,
    /// When it looked last.
    pub at: Option<Timestamp>,
}

/// The driver's pulse, shared with the administration API.
pub type SharedPulse = Arc<Mutex<Pulse>>;

/// Works on the migration of an installation.
pub struct MigrationDriver {
    directory: Directory,
    node: NodeId,
    others: ControlClient,
    own: Arc<Control>,
    pulse: SharedPulse,
    fetched: Option<Brought>,
}

/// What only this machine has is on the next main node.
struct Brought {
    by: NodeId,
    at: Instant,
    left_behind: Vec<String>,
}

fn phase(phase: MigrationPhase) -> Phase {
    match phase {
        MigrationPhase::Syncing => Phase::Syncing,
        MigrationPhase::Switching => Phase::Switching,
        MigrationPhase::Switched => Phase::Switched,
        MigrationPhase::Returning => Phase::Returning,
        MigrationPhase::Finishing => Phase::Finishing,
        MigrationPhase::Done => Phase::Done,
        MigrationPhase::Aborting => Phase::Aborting,
        MigrationPhase::Aborted => Phase::Aborted,
    }
}

fn row_phase(of: Phase) -> MigrationPhase {
    match of {
        Phase::Syncing => MigrationPhase::Syncing,
        Phase::Switching => MigrationPhase::Switching,
        Phase::Switched => MigrationPhase::Switched,
        Phase::Returning => MigrationPhase::Returning,
        Phase::Finishing => MigrationPhase::Finishing,
        Phase::Done => MigrationPhase::Done,
        Phase::Aborting => MigrationPhase::Aborting,
        Phase::Aborted => MigrationPhase::Aborted,
    }
}

/// What is to be done, by the directory of the node `this`, which is the main one.
fn look(reader: &Reader<'_>, now: Timestamp) -> Result<Option<(Migration, Modseq, View)>, StorageError> {
    let Some(found) = reader.migration()? else { return Ok(None) };
    let row = found.value;
    let main =
        |server: NodeId| Ok::<_, StorageError>(reader.server(server)?.is_some_and(|found| found.value.roles.main));
    let side = match (main(row.from)?, main(row.to)?) {
        (true, _) => Some(Side::Old),
        (_, true) => Some(Side::New),
        _ => None,
    };
    let misplaced = match row.phase {
        MigrationPhase::Switching => Some(row.from),
        MigrationPhase::Returning => Some(row.to),
        _ => None,
    };
    let unplanned = match misplaced {
        Some(server) => reader.placed_without_move(server, COPIES_LOOKED_AT)?.len() as u64,
        None => 0,
    };
    let uncopied = match row.phase {
        MigrationPhase::Syncing => reader.placed_without_copy(row.from, row.to, COPIES_LOOKED_AT)?.len() as u64,
        _ => 0,
    };
    let failed = match row.job {
        Some(job) => reader.moves_in_phase(job, MovePhase::Failed, Default::default(), COPIES_LOOKED_AT)?.len() as u64,
        None => 0,
    };
    let copies_left = match row.phase {
        MigrationPhase::Finishing => reader.copy_count(row.from)?,
        MigrationPhase::Aborting => migrating_on(reader, row.to)?,
        _ => 0,
    };
    let view = View {
        phase: phase(row.phase),
        main: side,
        on_old: reader.accounts_on(row.from)?,
        on_new: reader.accounts_on(row.to)?,
        uncopied,
        unplanned,
        failed,
        copies_left,
        is_old_known: reader.server(row.from)?.is_some(),
        head: reader.head()?.modseq.0,
        phase_ms: (now.0 - row.changed_at.0).max(0).unsigned_abs(),
    };
    Ok(Some((row, found.modseq, view)))
}

/// How many copies on a server are there for a migration only; counted until one is found.
fn migrating_on(reader: &Reader<'_>, server: NodeId) -> Result<u64, StorageError> {
    let mut after = Default::default();
    loop {
        let page = reader.copies_on(server, after, COPIES_LOOKED_AT)?;
        let Some(last) = page.last() else { return Ok(0) };
        after = last.account;
        let found = page.iter().filter(|copy| copy.purpose == CopyPurpose::Migrating).count() as u64;
        if found > 0 {
            return Ok(found);
        }
    }
}

impl MigrationDriver {
    /// Of the main node with these parts.
    pub(in crate::node) fn new(parts: &Parts, own: Arc<Control>) -> Self {
        MigrationDriver {
            directory: parts.directory.clone(),
            node: parts.identity.node(),
            others: ControlClient::new(parts.peers.clone()),
            own,
            pulse: parts.migration.clone(),
            fetched: None,
        }
    }

    /// Works until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changed = self.directory.watch();
        loop {
            changed.mark_unchanged();
            let went_on = tokio::select! {
                () = stop.cancelled() => return,
                went_on = self.round() => went_on,
            };
            match went_on {
                Ok(true) if self.directory.is_main() => continue,
                Ok(_) => {}
                Err(error) => {
                    let text = format!("{error:#}");
                    let mut pulse = self.pulse.lock();
                    if pulse.trouble.as_deref() != Some(&text) {
                        tracing::warn!(error = text, "the migration doesn't go on; this is tried again");
                    }
                    pulse.trouble = Some(text);
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ROUND) => {}
                ended = changed.changed() => if ended.is_err() { return },
            }
        }
    }

    /// One look and one step; says whether the next one is to follow at once.
    async fn round(&mut self) -> Result<bool> {
        let now = self.directory.now();
        let Some((row, modseq, view)) = self.directory.read(move |reader| look(reader, now)).await? else {
            return Ok(false);
        };
        let heard = self.ask(&row, &view).await;
        let step = next_step(&view, &heard);
        let waits = match &step {
            Step::Wait(waits) => Some(waits.clone()),
            _ => None,
        };
        let goes_on = self.step(&row, modseq, step).await?;
        let mut pulse = self.pulse.lock();
        (pulse.waits, pulse.at) = (waits, Some(now));
        pulse.trouble = None;
        Ok(goes_on)
    }

    /// What the other machine says, where that matters.
    async fn ask(&self, row: &Migration, view: &View) -> Heard {
        let other = if row.from == self.node { row.to } else { row.from };
        let is_wanted = match view.phase {
            Phase::Switching => view.main == Some(Side::Old),
            Phase::Returning => view.main == Some(Side::New) && view.on_new == 0,
            Phase::Finishing => true,
            Phase::Done => view.is_old_known,
            _ => false,
        };
        if !is_wanted {
            return Heard::default();
        }
        // Its own machine may be the old one, when a data server or an edge changes.
        let asked = async {
            match other == self.node {
                true => Ok(self.own.status().await),
                false => self.others.status(other).await,
            }
        };
        let said = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok().and_then(Result::ok);
        let is_fresh = |brought: &Brought| brought.by == other && brought.at.elapsed() < FILES_FRESH;
        Heard {
            modseq: said.as_ref().map(|said| said.directory_modseq),
            has_files: self.fetched.as_ref().is_some_and(is_fresh),
            waiting_mail: said.and_then(|said| said.waiting_mail),
        }
    }

    async fn step(&mut self, row: &Migration, modseq: Modseq, step: Step) -> Result<bool> {
        let node = |side| if side == Side::New { row.to } else { row.from };
        match step {
            Step::Follow => Ok(self.submit(Request::FollowMigration).await?),
            Step::Fetch(side) => {
                failpoint::reached("migration-fetching");
                let fetched = self.others.fetch(node(side), self.node).await;
                let fetched = fetched.context("what only this machine has could not be brought over")?;
                tracing::info!(files = fetched.files, bytes = fetched.bytes, "the next main node has this one's files");
                if !fetched.left_behind.is_empty() {
                    tracing::warn!(files = ?fetched.left_behind, "files that are not Sterna's stay where they are");
                }
                self.fetched = Some(Brought { by: node(side), at: Instant::now(), left_behind: fetched.left_behind });
                failpoint::reached("migration-fetched");
                Ok(true)
            }
            Step::HandOver(side) => {
                failpoint::reached("migration-handing-over");
                let left_behind = self.fetched.take().map(|brought| brought.left_behind).unwrap_or_default();
                self.submit(Request::HandOverMain { to: node(side), left_behind }).await?;
                Ok(false)
            }
            Step::Plan => {
                let planned = self.submit(Request::PlanMigration).await?;
                failpoint::reached("migration-planned");
                Ok(planned)
            }
            Step::Enter(phase) => {
                let request = Request::SetMigration { expect: Some(modseq), phase: row_phase(phase), pace: None };
                self.submit(request).await?;
                tracing::info!(phase = row_phase(phase).name(), "the migration goes on");
                failpoint::reached("migration-entered");
                Ok(true)
            }
            Step::DropCopies => Ok(self.submit(Request::DropMigrationCopies).await?),
            Step::Forget => Ok(self.submit(Request::ForgetMigrated).await?),
            Step::Wait(_) => Ok(false),
        }
    }

    async fn submit(&self, request: Request) -> Result<bool> {
        Ok(self.directory.submit(request).await?.changed)
    }
}
