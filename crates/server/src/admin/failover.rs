//! Failover: accounts of a server that is lost are placed on their standby copies. Nothing is asked of the lost server;
//! the new epoch keeps it from serving them when it comes back.
//!
//! A failover is a job. Its accounts are placed one by one, and what a crash of the main node leaves is finished by
//! [`finish`].

use std::collections::{BTreeSet, HashMap};

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::{AccountId, JobId, NodeId};
use sterna_cluster::copies::leases::Withheld;
use sterna_directory::request::NewJob;
use sterna_directory::{
    CopyPurpose, Durability, JobKind, JobState, MOVES_PER_REQUEST_MAX, Move, MovePhase, Reader, Request, Server,
    StandbyStage, StorageError,
};

use super::answer::Begun;
use super::doors::AdminState;
use super::job_view::{self, JobView};
use super::jobs::JobAnswer;
use super::plan::{self, Refused};
use super::problem::Problem;
use super::resolve;
use super::select::{Selected, Selection};
use super::view::{self, Resource};

/// What is lost, and where its accounts go.
pub(super) struct Lost {
    pub server: Option<String>,
    pub accounts: Vec<String>,
    pub to: Option<String>,
    pub force: bool,
}

/// What a failover would do, or has begun.
#[derive(Serialize, JsonSchema)]
pub(super) struct Failover {
    job: Option<JobView>,
    accounts: Vec<Takeover>,
    refused: Vec<Refused>,
    /// Since when the lost server doesn't answer, as far as this node knows; changes that it acknowledged shortly
    /// before then at durability 1 may be lost.
    silent_since: Option<String>,
    /// Accounts whose acknowledgements waited for the copy, which has all of them: nothing of them is lost.
    safe: u64,
    /// Accounts whose acknowledgements did not wait for the copy, which had everything that it had heard of.
    complete: u64,
    /// Accounts whose copy lacks changes that it knows of.
    behind: u64,
    /// How many changes these are.
    changes_lost: u64,
    /// Accounts whose copy has not heard of its account since it began to follow: how much it lacks is not known.
    unknown: u64,
}

/// One account that is taken over.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Takeover {
    account: AccountId,
    address: String,
    from: String,
    to: String,
    /// 1 or 2.
    durability: u8,
    /// Whether every acknowledgement waited for the copy: at durability 2, and not before it had caught up.
    awaited: bool,
    /// Whether nothing of a change is half there, which was on its way when the server was lost.
    settled: bool,
    /// Changes that the copy knows of and lacks; null when it is not known.
    lag: Option<u64>,
    /// Since when it was equal whenever it asked.
    equal_since: Option<String>,
    #[serde(skip)]
    to_id: NodeId,
}

/// An account with its standby copies, as the directory has them.
pub(super) struct Found {
    pub what: Selected,
    pub standby: Vec<(NodeId, Durability, bool)>,
}

impl AdminState {
    /// Places accounts on their standby copies.
    ///
    /// # Errors
    /// When the server that is said to be lost answers, or nothing can be taken over.
    pub(super) async fn begin_failover(
        &self,
        lost: Lost,
        by: String,
        dry_run: bool,
    ) -> Result<Begun<JobAnswer>, Problem> {
        let Lost { server, accounts, to, force } = lost;
        let selection = Selection { accounts, from: server.clone(), ..Selection::default() };
        let words = selection.in_words();
        let read = move |reader: &Reader<'_>| {
            let to = to.as_deref().map(|name| resolve::server(reader, name)).transpose()?.map(|found| found.value.id);
            let servers: HashMap<NodeId, Server> =
                reader.servers()?.into_iter().map(|found| (found.value.id, found.value)).collect();
            let found = selection.read(reader)?.into_iter().map(|what| standby(reader, what, to));
            Ok::<_, Problem>((found.collect::<Result<Vec<_>, StorageError>>()?, servers))
        };
        let (found, servers) = self.directory.read(read).await?;
        let mut involved: Vec<NodeId> = found.iter().map(|one| one.what.server).collect();
        involved.extend(found.iter().flat_map(|one| one.standby.iter().map(|(server, ..)| *server)));
        let statuses = self.statuses(involved).await;
        let answering = |server: NodeId| statuses.get(&server).is_some_and(Result::is_ok);
        let alive = found.iter().find(|one| answering(one.what.server));
        if let Some(one) = alive
            && !force
        {
            return Err(still_answers(&plan::name(&servers, one.what.server)));
        }
        let (accounts, refused) = self.takeovers(found, &servers, answering).await;
        let silent = self.silent_since(&servers, &accounts);
        let mut failover = tally(accounts, refused, silent);
        if dry_run || failover.accounts.is_empty() {
            let changed = !failover.accounts.is_empty();
            return Ok(answer(StatusCode::OK, failover, changed));
        }
        let moves = failover.accounts.iter().map(|one| (one.account, one.to_id)).collect();
        let id = self.begin_job(moves, format!("fail over {words}"), by).await?;
        let found = self.directory.read(move |reader| reader.job(id)).await?;
        failover.job = found.map(|found| job_view::job(&found.value));
        Ok(answer(StatusCode::CREATED, failover, true))
    }

    /// Begins the job that takes these accounts over.
    pub(super) async fn begin_job(
        &self,
        moves: Vec<(AccountId, NodeId)>,
        what: String,
        by: String,
    ) -> Result<JobId, Problem> {
        let id = self.submit_moves(NewJob { id: None, kind: JobKind::Failover, what, moves, by }).await?;
        let state = self.clone();
        tokio::spawn(async move {
            if let Err(problem) = state.take_over(id).await {
                tracing::warn!(job = %id, cause = problem.detail, "a failover is not finished; it goes on in a minute");
            }
        });
        Ok(id)
    }

    async fn takeovers(
        &self,
        found: Vec<Found>,
        servers: &HashMap<NodeId, Server>,
        answering: impl Fn(NodeId) -> bool,
    ) -> (Vec<Takeover>, Vec<Refused>) {
        let of_answering = |found: &Found| {
            let standby = found.standby.iter().filter(|(server, ..)| answering(*server));
            standby.map(|(server, ..)| (found.what.account, *server)).collect::<Vec<_>>()
        };
        let reports = self.reports(found.iter().flat_map(of_answering).collect()).await;
        let (mut takeovers, mut refused) = (Vec::new(), Vec::new());
        for Found { what, standby } in found {
            let from = plan::name(servers, what.server);
            let complete = standby.iter().find_map(|one| {
                let report = reports.get(&(what.account, one.0))?;
                report.is_complete.then_some((one, report))
            });
            let Some(((to_id, durability, awaited), report)) = complete else {
                let first = standby.iter().find(|(server, ..)| answering(*server)).or(standby.first());
                let there = first.map(|(server, ..)| {
                    let incomplete = reports.contains_key(&(what.account, *server));
                    (plan::name(servers, *server), answering(*server), incomplete)
                });
                let (code, reason) = not_taken(&from, there);
                refused.push(Refused { account: what.account, address: what.address, server: from, code, reason });
                continue;
            };
            takeovers.push(Takeover {
                account: what.account,
                address: what.address,
                from,
                to: plan::name(servers, *to_id),
                durability: number(*durability),
                awaited: *awaited,
                settled: report.is_settled,
                lag: report.lag(),
                equal_since: report.equal_since.map(view::time),
                to_id: *to_id,
            });
        }
        (takeovers, refused)
    }

    /// Since when the first of the lost servers doesn't answer.
    fn silent_since(&self, servers: &HashMap<NodeId, Server>, accounts: &[Takeover]) -> Option<String> {
        let lost = servers.values().filter(|server| accounts.iter().any(|one| one.from == server.name));
        let silent = lost.filter_map(|server| self.memory.health(server.id)).filter(|health| !health.answers);
        silent.map(|health| health.since).min().map(view::time)
    }

    /// Returns when these servers can't serve by this node's word any more; they get none as long as what is returned
    /// lives.
    async fn cut_off(&self, servers: BTreeSet<NodeId>) -> Vec<Withheld> {
        let Some(desk) = &self.leases else { return Vec::new() };
        let withheld = servers.iter().map(|server| desk.withhold(*server)).collect();
        for server in servers {
            desk.until_over(server, u64::MAX).await;
        }
        withheld
    }

    /// Places the accounts of a failover that are not placed yet.
    async fn take_over(&self, job: JobId) -> Result<(), Problem> {
        let mut withheld = Vec::new();
        loop {
            let read = move |reader: &Reader<'_>| {
                let rows = reader.moves_in_phase(job, MovePhase::Planned, AccountId(0), MOVES_PER_REQUEST_MAX)?;
                rows.into_iter()
                    .map(|row| Ok((reader.placement(row.account)?.map(|found| found.value.epoch), row)))
                    .collect::<Result<Vec<_>, Problem>>()
            };
            let rows = self.directory.read(read).await?;
            if rows.is_empty() {
                return Ok(());
            }
            withheld.extend(self.cut_off(rows.iter().map(|(_, row)| row.from).collect()).await);
            for (epoch, row) in rows {
                let Some(expect) = epoch else { continue };
                let Move { account, to, .. } = row;
                if let Err(error) = self.directory.submit(Request::FailOver { account, to, expect }).await {
                    let reason = error.to_string();
                    self.directory.submit(Request::FailMove { account, reason }).await?;
                }
            }
        }
    }
}

/// Goes on with failovers that were interrupted by an end of the main node.
pub(super) async fn finish(state: &AdminState) -> Result<(), Problem> {
    let jobs = state.directory.read(|reader| reader.active_jobs(JobId(0), sterna_base::limits::PAGE_ITEMS_MAX)).await?;
    for job in jobs {
        if job.kind == JobKind::Failover && job.state == JobState::Running {
            state.take_over(job.id).await?;
        }
    }
    Ok(())
}

pub(super) fn number(durability: Durability) -> u8 {
    match durability {
        Durability::One => 1,
        Durability::Two => 2,
    }
}

pub(super) fn standby(reader: &Reader<'_>, what: Selected, to: Option<NodeId>) -> Result<Found, StorageError> {
    let copies = reader.copies_of(what.account)?.into_iter().filter(|copy| to.is_none_or(|to| copy.server == to));
    let mut standby: Vec<_> = copies
        .filter_map(|copy| match copy.purpose {
            CopyPurpose::Standby { durability } => {
                let awaited = durability == Durability::Two && copy.stage == StandbyStage::Awaited;
                Some((copy.server, durability, awaited))
            }
            _ => None,
        })
        .collect();
    // What acknowledgements waited for is the better copy.
    standby.sort_by_key(|(_, durability, awaited)| std::cmp::Reverse((*awaited, *durability)));
    Ok(Found { what, standby })
}

/// Why an account can't be taken over, and what to do. `there` is the server with its copy, whether it answers, and
/// whether it said how the copy is.
fn not_taken(lost: &str, there: Option<(String, bool, bool)>) -> (&'static str, String) {
    match there {
        None => ("no-standby", "it has no standby copy".to_owned()),
        Some((server, false, _)) => ("server-unreachable", format!("{server}, with its copy, doesn't answer")),
        Some((server, true, true)) => {
            let reason = format!(
                "its copy on {server} was never complete, and taking it over would lose what is not there yet: bring \
                 {lost} back, and the copy is completed by itself (sterna account standby shows how far it is); if \
                 {lost} is gone for good, restore its folder from a backup"
            );
            ("copy-incomplete", reason)
        }
        Some((server, true, false)) => {
            let reason = format!(
                "{server} has no copy of it yet, or doesn't say how the copy is: try again in a moment; if that goes on, \
                 bring {lost} back"
            );
            ("copy-unknown", reason)
        }
    }
}

fn still_answers(server: &str) -> Problem {
    let detail = format!("{server} answers; nothing was begun. A failover doesn't ask it, and may lose what it has");
    let remedy = format!(
        "Move its accounts instead, which loses nothing: sterna account move --from {server} --to OTHER. If {server} \
         must not serve them any longer, --force."
    );
    Problem::new(StatusCode::CONFLICT, "server-answers", "The server is not lost", detail, remedy)
}

fn tally(accounts: Vec<Takeover>, refused: Vec<Refused>, silent_since: Option<String>) -> Failover {
    let mut failover = Failover {
        job: None,
        accounts: Vec::new(),
        refused,
        silent_since,
        safe: 0,
        complete: 0,
        behind: 0,
        changes_lost: 0,
        unknown: 0,
    };
    for one in &accounts {
        match one.lag {
            // What it has heard of and lacks was never acknowledged.
            _ if one.awaited && one.settled => failover.safe += 1,
            None => failover.unknown += 1,
            Some(0) => failover.complete += 1,
            Some(lag) => {
                failover.behind += 1;
                failover.changes_lost += lag;
            }
        }
    }
    failover.accounts = accounts;
    failover
}

fn answer(status: StatusCode, body: Failover, changed: bool) -> Begun<JobAnswer> {
    let location = body.job.as_ref().map(|job| format!("/api/v1/jobs/{}", job.id));
    Resource { status, modseq: None, changed: Some(changed), location, body: JobAnswer::Failover(body) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_taken_over_is_told_what_to_do() {
        let told = |there: Option<(&str, bool, bool)>| {
            not_taken("alpha", there.map(|(server, answers, said)| (server.to_owned(), answers, said)))
        };
        assert_eq!(told(None).0, "no-standby");
        assert_eq!(told(Some(("beta", false, false))).0, "server-unreachable");
        let (code, reason) = told(Some(("beta", true, true)));
        assert!(code == "copy-incomplete" && reason.contains("bring alpha back"), "{reason}");
        assert_eq!(told(Some(("beta", true, false))).0, "copy-unknown");
    }

    #[test]
    fn what_may_be_lost_is_counted() {
        let one = |durability, lag| Takeover {
            account: AccountId(1),
            address: String::new(),
            from: "alpha".into(),
            to: "beta".into(),
            durability,
            awaited: durability == 2,
            settled: true,
            lag,
            equal_since: None,
            to_id: NodeId([2; 16]),
        };
        let safe = [one(2, Some(0)), one(2, Some(3)), one(2, None)];
        let seeding = Takeover { awaited: false, ..one(2, Some(0)) };
        let half = Takeover { settled: false, ..one(2, Some(3)) };
        let others = [one(1, Some(0)), one(1, Some(5)), seeding, half, one(1, None)];
        let told = tally(safe.into_iter().chain(others).collect(), Vec::new(), None);
        assert_eq!((told.safe, told.complete, told.behind, told.changes_lost, told.unknown), (3, 2, 2, 8, 1));
    }
}
