//! What the cluster asks the directory about copies and moves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sterna_account::AccountError;
use sterna_base::{AccountId, Clock, Epoch, JobId, Modseq, NodeId, Timestamp};
use sterna_cluster::copies::{CopyBook, CopyFacts, CopyHolder, CopyStage, StageReport, Throttle};
use sterna_cluster::moving::core::limits::{CUT_OVER_MS, back_off_ms};
use sterna_cluster::moving::core::step::{MovePhase as Phase, MoveView};
use sterna_cluster::moving::{BookError, MoveBook, MoveEntry, Wish};
use sterna_cluster::{ControlClient, Nodes, Peers, Placement, StageRefused};
use sterna_directory::model::{
    Copy, CopyPurpose, Durability, Job, JobKind, JobState, MigrationPhase, Move, MovePhase, Pace, StandbyStage,
};
use sterna_directory::read::Reader;
use sterna_directory::row::{Cursor, RowKind};
use sterna_directory::{Directory, Request, StorageError, settings};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::set_stage;
use super::directory_nodes::numbers;

/// Rows of the directory's log read at a time.
const PAGE_ROWS: usize = 1_000;

/// Jobs looked at by the driver in one round; later ones wait for their turn.
const JOBS_MAX: usize = 100;

/// Accounts of a migration that are switched at the same time when all are to be switched at once.
const AT_ONCE_PARALLEL: u64 = 256;

/// How long the main node is waited for.
const MAIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Copies and moves from this node's directory.
pub struct DirectoryMoves {
    directory: Directory,
    node: NodeId,
    nodes: Arc<dyn Nodes>,
    main: ControlClient,
    changed: watch::Receiver<u64>,
}

impl DirectoryMoves {
    /// Over this directory, or copy of it, and with the way to the main node.
    pub fn start(
        directory: Directory,
        nodes: Arc<dyn Nodes>,
        peers: Arc<Peers>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let changed = numbers(&directory, stop, tasks);
        let (node, main) = (peers.identity().node(), ControlClient::new(peers));
        DirectoryMoves { directory, node, nodes, main, changed }
    }

    async fn submit(&self, request: Request) -> Result<(), BookError> {
        self.directory.submit(request).await.map(drop).map_err(|error| book_error(&error))
    }
}

/// With its causes: the operator needs the last one most.
fn book_error(error: &dyn std::error::Error) -> BookError {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    BookError(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

fn unreadable(error: StorageError) -> AccountError {
    AccountError::Unavailable(format!("the directory: {error}"))
}

#[async_trait]
impl CopyBook for DirectoryMoves {
    async fn facts(&self, account: AccountId) -> Result<CopyFacts, AccountError> {
        let read = move |reader: &Reader<'_>| {
            if reader.head()?.modseq == Modseq::ZERO {
                return Ok(None);
            }
            let placement = reader.placement(account)?;
            let copies = reader.copies_of(account)?.into_iter().map(|copy| {
                let stage = stage(&copy);
                // Only whom somebody waits for is worth another look.
                let row = if stage.is_some() { reader.copy(account, copy.server)? } else { None };
                let is_standby = matches!(copy.purpose, CopyPurpose::Standby { .. });
                let version = row.map_or(0, |row| row.modseq.0);
                Ok(CopyHolder { node: copy.server, is_standby, stage, version })
            });
            Ok::<_, StorageError>(Some((placement, copies.collect::<Result<Vec<_>, StorageError>>()?)))
        };
        // Where a row of a copy may not have come yet, nobody may say that no copy is to be waited for.
        let filling = || AccountError::Unavailable("the directory of this node is being filled".to_owned());
        let (placement, copies) = self.directory.read(read).await.map_err(unreadable)?.ok_or_else(filling)?;
        let placed_at = placement.as_ref().map_or(0, |found| found.modseq.0);
        let placement = placement.map(|found| Placement { node: found.value.server, epoch: found.value.epoch });
        Ok(CopyFacts { placement, placed_at, copies })
    }

    async fn report(&self, report: StageReport) -> Result<(), AccountError> {
        if self.directory.is_main() {
            let set = set_stage(&self.directory, self.node, report).await;
            return set.map_err(|refused| match refused {
                StageRefused::Unavailable(cause) | StageRefused::OutOfDate(cause) => AccountError::Unavailable(cause),
            });
        }
        let main = self.nodes.main();
        let main = main.ok_or_else(|| AccountError::Unavailable("no main node is known".to_owned()))?;
        let told = tokio::time::timeout(MAIN_WAIT_MAX, self.main.note_stage(main, report)).await;
        let late = |_| AccountError::Unavailable("the main node didn't answer".to_owned());
        told.map_err(late)?.map_err(|error| AccountError::Unavailable(error.to_string()))
    }

    async fn copies_on(
        &self,
        node: NodeId,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<AccountId>, AccountError> {
        let after = after.unwrap_or(AccountId(0));
        let read = move |reader: &Reader<'_>| reader.copies_on(node, after, limit);
        let copies = self.directory.read(read).await.map_err(unreadable)?;
        Ok(copies.into_iter().map(|copy| copy.account).collect())
    }

    async fn changed_since(&self, since: u64) -> Result<(Vec<AccountId>, u64), AccountError> {
        let (mut accounts, mut after) = (Vec::new(), Cursor::since(Modseq(since)));
        loop {
            let page = self.directory.changes_since(after, PAGE_ROWS).await.map_err(unreadable)?;
            let of_account = |kind: u16| [RowKind::Placement, RowKind::Copy].iter().any(|known| *known as u16 == kind);
            let rows = page.rows.iter().filter(|row| of_account(row.kind));
            accounts.extend(rows.filter_map(|row| account_of(&row.key)));
            match page.next {
                Some(next) => after = next,
                None => {
                    accounts.sort_unstable();
                    accounts.dedup();
                    return Ok((accounts, page.head.0));
                }
            }
        }
    }

    async fn copies_changed(&self, node: NodeId, since: u64) -> Result<bool, AccountError> {
        if since >= self.directory.watch().borrow().0 {
            return Ok(false);
        }
        let page = self.directory.changes_since(Cursor::since(Modseq(since)), PAGE_ROWS).await.map_err(unreadable)?;
        let node = node.to_string();
        let is_there = |key: &str| key.rsplit_once('/').is_some_and(|(_, server)| server == node);
        let is_copy = page.rows.iter().any(|row| row.kind == RowKind::Copy as u16 && is_there(&row.key));
        Ok(is_copy || page.next.is_some())
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}

/// Keeps the limit of copying what the settings say, until `stop`.
pub async fn keep_limit(directory: Directory, throttle: Arc<Throttle>, stop: CancellationToken) {
    let mut changed = directory.watch();
    loop {
        changed.mark_unchanged();
        match directory.read(|reader| reader.number_setting(settings::MOVE_BYTES_PER_SECOND)).await {
            Ok(limit) => throttle.set_limit(limit),
            Err(error) => tracing::warn!(%error, "the limit of copying could not be read from the directory"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            ended = changed.changed() => if ended.is_err() { return },
        }
    }
}

/// How far a copy is that commits are to wait for.
fn stage(copy: &Copy) -> Option<CopyStage> {
    let is_waited_for = copy.purpose == CopyPurpose::Standby { durability: Durability::Two };
    is_waited_for.then_some(match copy.stage {
        StandbyStage::Seeding => CopyStage::Seeding,
        StandbyStage::Joining => CopyStage::Joining,
        StandbyStage::Awaited => CopyStage::Awaited,
    })
}

/// The account in a row's key, which begins with it.
fn account_of(key: &str) -> Option<AccountId> {
    u64::from_str_radix(key.get(..16)?, 16).ok().map(AccountId)
}

/// A move as the driver sees it; `None` when it is over.
fn entry(reader: &Reader<'_>, row: &Move, job: &Job) -> Result<Option<MoveEntry>, StorageError> {
    let Some(placement) = reader.placement(row.account)?.map(|found| found.value) else { return Ok(None) };
    let phase = match row.phase {
        MovePhase::Planned => Phase::Planned,
        MovePhase::Copying => {
            let not_before = (row.attempts > 0).then(|| row.changed_at.plus_ms(back_off_ms(row.attempts)));
            Phase::Copying { not_before }
        }
        MovePhase::CutOver { deadline } => match row.epoch {
            Some(epoch) => Phase::CutOver { epoch, deadline },
            None => return Ok(None),
        },
        MovePhase::Failed => return Ok(None),
    };
    let view = MoveView {
        account: row.account,
        from: placement.server,
        to: row.to,
        placement_epoch: placement.epoch,
        phase,
        attempts: row.attempts,
    };
    let wish = match job.state {
        JobState::Running | JobState::Done => Wish::GoOn,
        JobState::Paused => Wish::Pause,
        JobState::Aborting | JobState::Aborted => Wish::GiveUp,
    };
    Ok(Some(MoveEntry { view, job: job.id, wish }))
}

/// Moves that are not over: of each job those closest to their end first, so that nothing stays sealed for others.
fn entries(reader: &Reader<'_>, limit: usize) -> Result<Vec<MoveEntry>, StorageError> {
    let mut jobs = reader.active_jobs(JobId(0), JOBS_MAX)?;
    // A failover asks nobody and copies nothing; it is done where it is begun.
    jobs.retain(|job| job.kind != JobKind::Failover);
    let mut found = Vec::new();
    for phase in [MovePhase::CutOver { deadline: Timestamp(0) }, MovePhase::Copying, MovePhase::Planned] {
        for job in &jobs {
            for row in reader.moves_in_phase(job.id, phase, AccountId(0), limit.saturating_sub(found.len()))? {
                found.extend(entry(reader, &row, job)?);
            }
        }
    }
    Ok(found)
}

#[async_trait]
impl MoveBook for DirectoryMoves {
    async fn moves(&self, limit: usize) -> Result<Vec<MoveEntry>, BookError> {
        let read = move |reader: &Reader<'_>| entries(reader, limit);
        self.directory.read(read).await.map_err(|error| book_error(&error))
    }

    async fn entry(&self, account: AccountId) -> Result<Option<MoveEntry>, BookError> {
        let read = move |reader: &Reader<'_>| {
            let Some(row) = reader.move_of(account)?.map(|found| found.value) else { return Ok(None) };
            let Some(job) = reader.job(row.job)?.map(|found| found.value) else { return Ok(None) };
            entry(reader, &row, &job)
        };
        self.directory.read(read).await.map_err(|error: StorageError| book_error(&error))
    }

    async fn start_copying(&self, account: AccountId) -> Result<(), BookError> {
        self.submit(Request::StartMove { account }).await
    }

    async fn start_cut_over(&self, account: AccountId, deadline: Timestamp) -> Result<(), BookError> {
        self.submit(Request::CutOver { account, deadline }).await
    }

    async fn commit(&self, account: AccountId, epoch: Epoch) -> Result<(), BookError> {
        self.submit(Request::CommitMove { account, epoch }).await
    }

    async fn abort(&self, account: AccountId, retry: bool, reason: &str) -> Result<(), BookError> {
        self.submit(Request::AbortMove { account, retry, reason: reason.to_owned() }).await
    }

    async fn fail(&self, account: AccountId, reason: &str) -> Result<(), BookError> {
        self.submit(Request::FailMove { account, reason: reason.to_owned() }).await
    }

    async fn expire_copies(&self, clock: &dyn Clock) -> Result<(), BookError> {
        self.submit(Request::ExpireCopies { before: clock.now() }).await?;
        self.submit(Request::PruneJobs).await
    }

    async fn cut_over_ms(&self) -> i64 {
        let longest = self.directory.read(|reader| reader.number_setting(settings::MOVE_CUT_OVER_MS)).await;
        longest.ok().and_then(|longest| i64::try_from(longest).ok()).unwrap_or(CUT_OVER_MS)
    }

    async fn parallel(&self) -> usize {
        let read = |reader: &Reader<'_>| {
            let set = reader.number_setting(settings::MOVE_PARALLEL)?;
            let row = reader.migration()?.map(|found| found.value);
            let at_once = row.is_some_and(|row| {
                let goes = matches!(row.phase, MigrationPhase::Switching | MigrationPhase::Returning);
                goes && row.pace == Pace::AtOnce
            });
            Ok::<_, StorageError>(if at_once { set.max(AT_ONCE_PARALLEL) } else { set })
        };
        let parallel = self.directory.read(read).await;
        parallel.map_or(1, |parallel| usize::try_from(parallel).unwrap_or(usize::MAX))
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}
