//! Jobs as clients see them: what the directory says of them, and how far the copies say they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::{AccountId, JobId, NodeId, Timestamp};
use sterna_cluster::copies::{Slowed, Speed};
use sterna_directory::{Job, JobState, Move, MovePhase, Reader, StorageError};
use tokio::sync::Semaphore;

use super::doors::{AdminState, StoreReport};
use super::meter::Left;
use super::problem::Problem;
use super::view;

/// Moves that are looked at for one answer; of a larger job the size of the rest is unknown.
const MOVES_LOOKED_MAX: usize = 5_000;
/// Moves under way whose copies are asked how far they are, for one answer.
const COPIES_ASKED_MAX: usize = 64;
/// Of these, how many at the same time.
const COPIES_ASKED_AT_ONCE: usize = 16;
/// How long a server has to say how far a copy is, in milliseconds.
const COPY_TIMEOUT_MS: u64 = 1_000;
/// Sizes that one answer asks for.
const SIZES_ASKED_MAX: usize = 256;
/// Moves that failed and are named in the answer for one job.
const FAILURES_NAMED_MAX: usize = 20;

/// A job as it stands in lists.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub(super) struct JobView {
    pub id: JobId,
    pub kind: &'static str,
    pub what: String,
    pub state: &'static str,
    pub by: String,
    pub created_at: String,
    pub ended_at: Option<String>,
    /// Accounts.
    pub total: u64,
    pub done: u64,
    pub failed: u64,
    pub aborted: u64,
    /// Accounts that are waiting or under way.
    pub left: u64,
}

/// A job that is looked at.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct JobProgress {
    #[serde(flatten)]
    pub job: JobView,
    /// Bytes of all its accounts, as far as this node knows.
    pub bytes_total: u64,
    /// Bytes that are still to be copied.
    pub bytes_left: u64,
    /// Accounts that are left and of unknown size.
    pub unknown_sizes: u64,
    /// Null while nothing was measured.
    pub bytes_per_second: Option<u64>,
    /// When it will be over, at the present speed.
    pub expected_end_at: Option<String>,
    /// Changes that users made and that the copies under way know of and lack.
    pub lag: u64,
    /// How fast copies go on the servers that they come from and go to, and why not faster.
    pub servers: Vec<SpeedView>,
    /// Accounts that are being copied or cut over.
    pub moving: Vec<MoveView>,
    /// Accounts that were given up, and why: the first few.
    pub failures: Vec<MoveView>,
}

/// How fast copies go on a server: all of them, not only those of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Speed")]
pub(super) struct SpeedView {
    pub server: String,
    pub bytes_per_second: u64,
    /// Null is as many as go.
    pub allowed_bytes_per_second: Option<u64>,
    /// Why they go slower than they could; null when they don't.
    pub slowed: Option<String>,
}

impl SpeedView {
    pub(super) fn new(server: String, speed: Speed) -> Self {
        let Speed { bytes_per_second, allowed_bytes_per_second, slowed } = speed;
        SpeedView { server, bytes_per_second, allowed_bytes_per_second, slowed: slowed.map(in_words) }
    }
}

fn in_words(slowed: Slowed) -> String {
    let ms = |us: u64| if us < 10_000 { format!("{:.1}", us as f64 / 1000.0) } else { (us / 1000).to_string() };
    match slowed {
        Slowed::Setting => "limited by move.bytes-per-second".to_owned(),
        Slowed::Learning => "slowed while it is learnt what users usually wait for".to_owned(),
        Slowed::Users { p99_us, usual_us } => {
            format!("slowed by users' latency: p99 {} ms, usual {} ms", ms(p99_us), ms(usual_us))
        }
    }
}

/// One account on its way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Move")]
pub(super) struct MoveView {
    pub account: AccountId,
    pub address: String,
    pub from: String,
    pub to: String,
    pub job: JobId,
    /// "planned", "copying", "cut-over" or "failed".
    pub phase: &'static str,
    pub attempts: u32,
    /// Why the last attempt was given up.
    pub failed: Option<String>,
    pub planned_at: String,
    pub started_at: Option<String>,
    /// Null when nobody said.
    pub bytes: Option<u64>,
    pub copied_bytes: Option<u64>,
    pub lag: Option<u64>,
    /// Why the copy doesn't go on at present.
    pub trouble: Option<String>,
}

/// A store: whose, and where.
pub(super) type Store = (AccountId, NodeId);

/// What the directory has of a job.
struct Rows {
    job: Job,
    left: Vec<Move>,
    moving: Vec<(Move, MoveView)>,
    failures: Vec<MoveView>,
}

pub(super) fn job(job: &Job) -> JobView {
    JobView {
        id: job.id,
        kind: job.kind.name(),
        what: job.what.clone(),
        state: job.state.name(),
        by: job.by.clone(),
        created_at: view::time(job.created_at),
        ended_at: job.ended_at.map(view::time),
        total: job.total,
        done: job.done,
        failed: job.failed,
        aborted: job.aborted,
        left: job.left(),
    }
}

pub(super) fn one_move(reader: &Reader<'_>, row: &Move) -> Result<MoveView, StorageError> {
    let server = |id: NodeId| -> Result<String, StorageError> {
        Ok(reader.server(id)?.map_or_else(|| id.to_string(), |found| found.value.name))
    };
    Ok(MoveView {
        account: row.account,
        address: address_of(reader, row.account)?,
        from: server(row.from)?,
        to: server(row.to)?,
        job: row.job,
        phase: row.phase.name(),
        attempts: row.attempts,
        failed: row.failed.clone(),
        planned_at: view::time(row.planned_at),
        started_at: row.started_at.map(view::time),
        bytes: None,
        copied_bytes: None,
        lag: None,
        trouble: None,
    })
}

pub(crate) fn address_of(reader: &Reader<'_>, account: AccountId) -> Result<String, StorageError> {
    let address = match reader.entry(account)? {
        Some(found) => reader.address_text(&found.value.entry().address)?,
        None => None,
    };
    Ok(address.unwrap_or_else(|| format!("account {account}")))
}

fn rows(reader: &Reader<'_>, id: JobId) -> Result<Option<Rows>, StorageError> {
    let Some(job) = reader.job(id)?.map(|found| found.value) else { return Ok(None) };
    let of = |phase| reader.moves_in_phase(id, phase, AccountId(0), COPIES_ASKED_MAX);
    let mut under_way = of(MovePhase::CutOver { deadline: Timestamp(0) })?;
    under_way.extend(of(MovePhase::Copying)?);
    let moving = under_way.into_iter().map(|row| {
        let view = one_move(reader, &row)?;
        Ok((row, view))
    });
    let failures = reader.moves_in_phase(id, MovePhase::Failed, AccountId(0), FAILURES_NAMED_MAX)?;
    Ok(Some(Rows {
        moving: moving.collect::<Result<_, StorageError>>()?,
        failures: failures.iter().map(|row| one_move(reader, row)).collect::<Result<_, _>>()?,
        left: left(reader, id)?,
        job,
    }))
}

fn left(reader: &Reader<'_>, id: JobId) -> Result<Vec<Move>, StorageError> {
    let (mut left, mut after) = (Vec::new(), AccountId(0));
    while left.len() < MOVES_LOOKED_MAX {
        let page = reader.moves_of_job(id, after, sterna_base::limits::PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { break };
        after = last.account;
        left.extend(page.into_iter().filter(|row| row.phase != MovePhase::Failed));
    }
    Ok(left)
}

impl AdminState {
    /// How a job is.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn progress(&self, id: JobId) -> Result<JobProgress, Problem> {
        let found = self.directory.read(move |reader| rows(reader, id)).await?;
        let Rows { job: row, left, moving, failures } =
            found.ok_or_else(|| Problem::no_such("job", &id.to_string()))?;
        let asked = self.asked(stores_to_ask(&moving)).await;
        let answered = |(store, report): (&Store, &Result<StoreReport, String>)| Some((*store, report.clone().ok()?));
        let reports: HashMap<Store, StoreReport> = asked.iter().filter_map(answered).collect();
        let accounts: Vec<_> = left.iter().map(|row| (row.account, row.from)).collect();
        let sizes = self.sizes(&accounts, SIZES_ASKED_MAX).await;
        let copied = |row: &Move| reports.get(&(row.account, row.to)).map_or(0, |report| report.fetched_bytes);
        let known = left.iter().filter_map(|row| Some(sizes.get(&row.account)?.saturating_sub(copied(row))));
        let bytes_left: u64 = known.sum();
        let known = left.iter().filter(|row| sizes.contains_key(&row.account)).count() as u64;
        let now = Left { at: self.directory.now(), accounts: row.left(), bytes: bytes_left };
        let (bytes_total, speed, end) = self.memory.meter(id, |meter| {
            match row.state {
                JobState::Running | JobState::Aborting => meter.note(now),
                JobState::Paused | JobState::Done | JobState::Aborted => meter.pause(),
            }
            let end = if row.state == JobState::Running { meter.expected_end(now) } else { None };
            (meter.bytes_total(), meter.bytes_per_second(now), end)
        });
        let servers = speeds(&moving, &reports);
        let moving: Vec<_> = moving.into_iter().map(|(row, view)| with_report(view, &row, &sizes, &asked)).collect();
        Ok(JobProgress {
            unknown_sizes: row.left().saturating_sub(known),
            job: job(&row),
            bytes_total,
            bytes_left,
            bytes_per_second: speed,
            expected_end_at: end.map(view::time),
            lag: moving.iter().filter_map(|one| one.lag).sum(),
            servers,
            moving,
            failures,
        })
    }

    /// How stores of accounts on servers are; what doesn't answer isn't there.
    pub(super) async fn reports(&self, wanted: Vec<Store>) -> HashMap<Store, StoreReport> {
        let asked = self.asked(wanted).await;
        asked.into_iter().filter_map(|(store, report)| Some((store, report.ok()?))).collect()
    }

    /// The same with what those say that can't tell, a bounded number asked at a time; who says nothing isn't there.
    async fn asked(&self, wanted: Vec<Store>) -> HashMap<Store, Result<StoreReport, String>> {
        let gate = Arc::new(Semaphore::new(COPIES_ASKED_AT_ONCE));
        let mut asked = tokio::task::JoinSet::new();
        for (account, server) in wanted {
            let (state, gate) = (self.clone(), gate.clone());
            asked.spawn(async move {
                let _permit = gate.acquire_owned().await.ok()?;
                let wait = Duration::from_millis(COPY_TIMEOUT_MS);
                let answer = tokio::time::timeout(wait, state.provision.store(account, server)).await;
                Some(((account, server), answer.ok()?.map_err(|error| error.to_string())))
            });
        }
        let mut found = HashMap::new();
        while let Some(done) = asked.join_next().await {
            if let Ok(Some((store, report))) = done {
                found.insert(store, report);
            }
        }
        found
    }
}

/// The copies under way, and of each server that they come from one account: it tells the server's speed.
fn stores_to_ask(moving: &[(Move, MoveView)]) -> Vec<Store> {
    let mut sources: Vec<Store> = moving.iter().map(|(row, _)| (row.account, row.from)).collect();
    sources.sort_unstable_by_key(|(_, server)| *server);
    sources.dedup_by_key(|(_, server)| *server);
    moving.iter().map(|(row, _)| (row.account, row.to)).chain(sources).collect()
}

/// How fast the servers of these moves are, by name.
fn speeds(moving: &[(Move, MoveView)], reports: &HashMap<Store, StoreReport>) -> Vec<SpeedView> {
    let ends = moving
        .iter()
        .flat_map(|(row, view)| [((row.account, row.from), &view.from), ((row.account, row.to), &view.to)]);
    let told = ends.filter_map(|(store, name)| Some((name.clone(), reports.get(&store)?.speed?)));
    let by_name: BTreeMap<String, Speed> = told.collect();
    by_name.into_iter().map(|(name, speed)| SpeedView::new(name, speed)).collect()
}

fn with_report(
    view: MoveView,
    row: &Move,
    sizes: &HashMap<AccountId, u64>,
    reports: &HashMap<Store, Result<StoreReport, String>>,
) -> MoveView {
    let asked = reports.get(&(row.account, row.to));
    let report = asked.and_then(|asked| asked.as_ref().ok());
    let trouble = match asked {
        Some(Err(error)) => Some(error.clone()),
        _ => report.and_then(|report| report.trouble.clone()),
    };
    MoveView {
        bytes: sizes.get(&row.account).copied(),
        copied_bytes: report.map(|report| report.fetched_bytes),
        lag: report.and_then(StoreReport::lag),
        trouble,
        ..view
    }
}
