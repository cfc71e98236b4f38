//! `/api/v1/jobs`: work on many accounts that can be watched, paused and aborted.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, JobId, NodeId};
use sterna_directory::request::{JobChange, NewJob};
use sterna_directory::{CopyPurpose, Created, JobKind, MOVES_PER_REQUEST_MAX, Move, MovePhase, Reader, Request};

use super::answer::Begun;
use super::doors::AdminState;
use super::failover::Failover;
use super::input::{Body, By, Params};
use super::job_view::{self, JobProgress, JobView, MoveView};
use super::plan::{self, Plan, Wanted};
use super::problem::Problem;
use super::resolve;
use super::select::{Selected, Selection};
use super::view::{Page, Resource};

/// What is to be done.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "NewJob")]
pub(super) enum JobBody {
    /// Moves accounts.
    Move {
        /// Which.
        #[serde(default)]
        which: Selection,
        /// Where they go, by name or id.
        #[serde(default)]
        to: Option<String>,
        /// Or back to where a copy of each is kept.
        #[serde(default)]
        back: bool,
    },
    /// Empties a server, which takes no accounts from then on.
    Drain {
        /// Which.
        server: String,
    },
    /// Brings the servers' loads to the ratio of their weights.
    Rebalance {
        /// The moves of a plan that was shown, at most [`MOVES_PER_REQUEST_MAX`]; planned anew when not given.
        #[serde(default)]
        moves: Option<Vec<MoveBody>>,
        /// The job that they are added to.
        #[serde(default)]
        job: Option<JobId>,
    },
    /// Places accounts on their standby copies without asking their server.
    Failover {
        /// The server that is lost, or of which the accounts are.
        #[serde(default)]
        server: Option<String>,
        /// Only these.
        #[serde(default)]
        accounts: Vec<String>,
        /// The server of the standby copies; each account's own when not given.
        #[serde(default)]
        to: Option<String>,
        /// Also when the server answers.
        #[serde(default)]
        force: bool,
    },
}

/// A move of a plan.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedMove")]
pub(super) struct MoveBody {
    account: AccountId,
    /// Names of servers.
    from: String,
    to: String,
}

/// The body of PATCH.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JobChange")]
pub(super) struct ChangeBody {
    change: Change,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "JobChangeKind")]
enum Change {
    Pause,
    Resume,
    Abort,
    /// Plans once more what failed.
    Retry,
    /// Puts away what failed: nobody needs to hear of it any more.
    Dismiss,
}

/// What was begun, or would be.
#[derive(Serialize, JsonSchema)]
pub(super) struct BegunJob {
    /// Null in a dry run, and when there is nothing to do.
    pub job: Option<JobView>,
    #[serde(flatten)]
    pub plan: Plan,
}

/// What comes of asking for a job.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum JobAnswer {
    /// Of moves of all sorts.
    Job(BegunJob),
    /// Of what a lost server had.
    Failover(Failover),
}

/// The latest first.
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<Page<JobView>>, Problem> {
    let limit = params.limit();
    let before = params.after.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| Problem::malformed("“after” is not the id of a job"))?;
    let read = move |reader: &Reader<'_>| {
        let jobs = match params.active {
            true => reader.active_jobs(before.unwrap_or_default(), limit + 1)?,
            false => reader.jobs(before, limit + 1)?,
        };
        Ok::<_, Problem>(jobs.iter().map(job_view::job).collect())
    };
    Ok(Page::cut(state.directory.read(read).await?, limit, |job: &JobView| job.id.to_string()))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(job): Path<String>,
) -> Result<Resource<JobProgress>, Problem> {
    let id = job_id(&job)?;
    let found = state.directory.read(move |reader| reader.job(id)).await?;
    let modseq = found.ok_or_else(|| Problem::no_such("job", &job))?.modseq;
    Ok(Resource::read(state.progress(id).await?, modseq))
}

pub(super) fn job_id(text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|_| Problem::no_such("job", text))
}

/// Its moves that are not done, by account.
pub(super) async fn moves(
    State(state): State<AdminState>,
    Path(job): Path<String>,
    params: Params,
) -> Result<Json<Page<MoveView>>, Problem> {
    let (id, limit) = (job_id(&job)?, params.limit());
    let after = params.after.as_deref().map_or(Ok(AccountId(0)), str::parse);
    let after = after.map_err(|_| Problem::malformed("“after” is not an account id"))?;
    let read = move |reader: &Reader<'_>| {
        reader.job(id)?.ok_or_else(|| Problem::no_such("job", &id.to_string()))?;
        let rows = reader.moves_of_job(id, after, limit + 1)?;
        let views = rows.iter().map(|row| job_view::one_move(reader, row)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Problem>(views)
    };
    Ok(Page::cut(state.directory.read(read).await?, limit, |one: &MoveView| one.account.to_string()))
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(job): Path<String>,
    params: Params,
    Body(body): Body<ChangeBody>,
) -> Result<Resource<JobProgress>, Problem> {
    let id = job_id(&job)?;
    let change = match body.change {
        Change::Pause => JobChange::Pause,
        Change::Resume => JobChange::Resume,
        Change::Abort => JobChange::Abort,
        Change::Retry | Change::Dismiss => {
            let retry = matches!(body.change, Change::Retry);
            let settled = state.settle_failed(id, retry, params.dry_run).await?;
            return Ok(get(State(state), Path(job)).await?.changed(settled > 0));
        }
    };
    let done = state.write(Request::SetJob { id, change }, params.dry_run).await?;
    Ok(get(State(state), Path(job)).await?.changed(done.changed))
}

pub(super) async fn create(
    State(state): State<AdminState>,
    By(by): By,
    params: Params,
    Body(body): Body<JobBody>,
) -> Result<Begun<JobAnswer>, Problem> {
    if !state.directory.is_main() {
        return Err(state.not_main().await);
    }
    let dry_run = params.dry_run;
    match body {
        JobBody::Move { which, to: Some(to), back: false } => state.begin_move(which, to, by, dry_run).await,
        JobBody::Move { which, to: None, back: true } => state.begin_way_back(which, by, dry_run).await,
        JobBody::Move { .. } => Err(Problem::malformed("a move goes to a server, or back: give one of both")),
        JobBody::Drain { server } => state.begin_drain(server, by, dry_run).await,
        JobBody::Rebalance { moves, job } => state.begin_rebalance(moves, job, by, dry_run).await,
        JobBody::Failover { server, accounts, to, force } => {
            state.begin_failover(super::failover::Lost { server, accounts, to, force }, by, dry_run).await
        }
    }
}

impl AdminState {
    async fn begin_move(
        &self,
        which: Selection,
        to: String,
        by: String,
        dry_run: bool,
    ) -> Result<Begun<JobAnswer>, Problem> {
        let (chosen, target) = {
            let (which, to) = (which.clone(), to.clone());
            let read =
                move |reader: &Reader<'_>| Ok::<_, Problem>((which.read(reader)?, resolve::server(reader, &to)?.value));
            self.directory.read(read).await?
        };
        let wanted = chosen.into_iter().map(|what| Wanted { what, to: target.id, is_back: false }).collect();
        let plan = self.plan(wanted).await?;
        // What was named one by one is done whole or not at all; of a domain or a server, as much as can be.
        if !which.accounts.is_empty()
            && !dry_run
            && let Some(problem) = plan::refusal(&plan.refused)
        {
            return Err(problem);
        }
        let what = format!("move {} to {}", which.in_words(), target.name);
        self.begin(JobKind::Move, what, by, plan, dry_run).await
    }

    async fn begin_way_back(&self, which: Selection, by: String, dry_run: bool) -> Result<Begun<JobAnswer>, Problem> {
        let named = !which.accounts.is_empty();
        let words = which.in_words();
        let read = move |reader: &Reader<'_>| {
            let chosen = which.read(reader)?;
            chosen
                .into_iter()
                .map(|what| Ok((kept_on(reader, what.account)?, what)))
                .collect::<Result<Vec<_>, Problem>>()
        };
        let (mut wanted, mut refused) = (Vec::new(), Vec::new());
        for (kept, what) in self.directory.read(read).await? {
            match kept {
                Some(to) => wanted.push(Wanted { what, to, is_back: true }),
                None => refused.push(no_copy(self, what).await),
            }
        }
        let mut plan = self.plan(wanted).await?;
        plan.refused.extend(refused);
        if named
            && !dry_run
            && let Some(problem) = plan::refusal(&plan.refused)
        {
            return Err(problem);
        }
        let what = format!("move {words} back");
        if dry_run || plan.moves.is_empty() {
            return Ok(nothing_begun(plan));
        }
        let mut last = None;
        for part in plan.moves.chunks(MOVES_PER_REQUEST_MAX) {
            let accounts = part.iter().map(|one| one.account).collect();
            let request = Request::MoveBack { accounts, what: what.clone(), by: by.clone() };
            last = created(self.write(request, false).await?.created);
        }
        self.begun(last, plan).await
    }

    /// Begins a job with the moves of a plan.
    pub(super) async fn begin(
        &self,
        kind: JobKind,
        what: String,
        by: String,
        plan: Plan,
        dry_run: bool,
    ) -> Result<Begun<JobAnswer>, Problem> {
        if dry_run || plan.moves.is_empty() {
            return Ok(nothing_begun(plan));
        }
        let moves = plan.moves.iter().map(|one| (one.account, one.to_id)).collect();
        let id = self.submit_moves(NewJob { id: None, kind, what, moves, by }).await?;
        self.begun(Some(id), plan).await
    }

    /// Writes the moves of a job, in as many requests as they need.
    pub(super) async fn submit_moves(&self, new: NewJob) -> Result<JobId, Problem> {
        let mut id = new.id;
        for part in new.moves.chunks(MOVES_PER_REQUEST_MAX) {
            let what = if id.is_none() { new.what.clone() } else { String::new() };
            let request = NewJob { id, moves: part.to_vec(), what, ..new.clone() };
            id = created(self.write(Request::BeginJob(request), false).await?.created);
        }
        id.ok_or_else(|| Problem::malformed("a job needs moves"))
    }

    pub(super) async fn begun(&self, job: Option<JobId>, plan: Plan) -> Result<Begun<JobAnswer>, Problem> {
        let Some(id) = job else { return Ok(nothing_begun(plan)) };
        let found = self.directory.read(move |reader| reader.job(id)).await?;
        let found = found.ok_or_else(|| Problem::no_such("job", &id.to_string()))?;
        let body = JobAnswer::Job(BegunJob {
            job: Some(job_view::job(&found.value)),
            plan: Plan { moves: Vec::new(), ..plan },
        });
        Ok(Resource::read(body, found.modseq).created(format!("/api/v1/jobs/{id}")).into())
    }

    /// Plans the failed moves of a job once more, or puts them away; says how many.
    async fn settle_failed(&self, id: JobId, retry: bool, dry_run: bool) -> Result<u64, Problem> {
        let (mut count, mut after) = (0, AccountId(0));
        loop {
            let read = move |reader: &Reader<'_>| {
                reader.job(id)?.ok_or_else(|| Problem::no_such("job", &id.to_string()))?;
                let page: Vec<Move> = reader.moves_in_phase(id, MovePhase::Failed, after, MOVES_PER_REQUEST_MAX)?;
                Ok::<_, Problem>(page)
            };
            let page = self.directory.read(read).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = last.account;
            for row in page {
                let reason = "an administrator said so".to_owned();
                let request = Request::AbortMove { account: row.account, retry, reason };
                count += u64::from(self.write(request, dry_run).await?.changed);
            }
        }
    }

    async fn begin_rebalance(
        &self,
        moves: Option<Vec<MoveBody>>,
        job: Option<JobId>,
        by: String,
        dry_run: bool,
    ) -> Result<Begun<JobAnswer>, Problem> {
        let Some(moves) = moves else {
            let plan = self.plan_rebalance().await?;
            return self.begin(JobKind::Rebalance, "rebalance".to_owned(), by, plan, dry_run).await;
        };
        if moves.len() > MOVES_PER_REQUEST_MAX {
            let detail = format!("at most {MOVES_PER_REQUEST_MAX} moves in one request; add the rest to its job");
            return Err(Problem::malformed(detail));
        }
        let wanted = self.directory.read(move |reader| as_shown(reader, &moves)).await?;
        let plan = self.plan(wanted).await?;
        if dry_run || plan.moves.is_empty() {
            return Ok(nothing_begun(plan));
        }
        let moves = plan.moves.iter().map(|one| (one.account, one.to_id)).collect();
        let what = if job.is_none() { "rebalance".to_owned() } else { String::new() };
        let id = self.submit_moves(NewJob { id: job, kind: JobKind::Rebalance, what, moves, by }).await?;
        self.begun(Some(id), plan).await
    }
}

/// What was shown is done only while every account is still where it was: somebody else may have acted meanwhile.
fn as_shown(reader: &Reader<'_>, moves: &[MoveBody]) -> Result<Vec<Wanted>, Problem> {
    let mut wanted = Vec::with_capacity(moves.len());
    for one in moves {
        let selection = Selection { accounts: vec![one.account.to_string()], ..Selection::default() };
        let found = selection.read(reader)?;
        let from = resolve::server(reader, &one.from)?.value.id;
        let to = resolve::server(reader, &one.to)?.value.id;
        for what in found {
            if what.server != from && what.server != to {
                let detail = format!("{} no longer lives on {}; nothing was begun", what.address, one.from);
                let remedy = "Somebody moved it since the plan was made. Make a new one (sterna server rebalance).";
                let title = "The plan is no longer true";
                return Err(Problem::new(StatusCode::CONFLICT, "plan-changed", title, detail, remedy));
            }
            wanted.push(Wanted { what, to, is_back: false });
        }
    }
    Ok(wanted)
}

/// The server of the latest copy that is kept for the way back.
fn kept_on(reader: &Reader<'_>, account: AccountId) -> Result<Option<NodeId>, Problem> {
    let copies = reader.copies_of(account)?;
    let kept = copies.into_iter().filter(|copy| matches!(copy.purpose, CopyPurpose::Kept { .. }));
    Ok(kept.max_by_key(|copy| copy.since).map(|copy| copy.server))
}

async fn no_copy(state: &AdminState, what: Selected) -> plan::Refused {
    let server = state.directory.server(what.server).await.ok().flatten();
    plan::Refused {
        account: what.account,
        address: what.address,
        server: server.map_or_else(|| what.server.to_string(), |server| server.name),
        code: "no-copy",
        reason: "no copy of it is kept: it was not moved, or the time for the way back is over".to_owned(),
    }
}

/// A dry run, or nothing to do.
fn nothing_begun(plan: Plan) -> Begun<JobAnswer> {
    let changed = !plan.moves.is_empty();
    Resource {
        status: StatusCode::OK,
        modseq: None,
        changed: Some(changed),
        location: None,
        body: JobAnswer::Job(BegunJob { job: None, plan }),
    }
    .into()
}

fn created(created: Option<Created>) -> Option<JobId> {
    match created {
        Some(Created::Job(id)) => Some(id),
        _ => None,
    }
}
