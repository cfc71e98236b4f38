//! Draining a server, and what is left on one that is to be removed.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, JobId, NodeId};
use sterna_directory::placement_policy::NoServer;
use sterna_directory::request::{JobChange, ServerPatch};
use sterna_directory::{CopyPurpose, JobKind, MovePhase, Reader, Request, RequestError, Server, StorageError};

use super::answer::{Begun, NoContent};
use super::doors::AdminState;
use super::input::Params;
use super::job_view::address_of;
use super::jobs::JobAnswer;
use super::problem::Problem;
use super::{resolve, view};

/// Accounts and copies that are named in what is left.
const NAMED_MAX: usize = 3;

impl AdminState {
    /// Marks a server as being drained, and begins a job that moves everything away from it.
    pub(super) async fn begin_drain(
        &self,
        server: String,
        by: String,
        dry_run: bool,
    ) -> Result<Begun<JobAnswer>, Problem> {
        let server = self.directory.read(move |reader| resolve::server(reader, &server)).await?.value;
        if !server.roles.data {
            return Err(RequestError::NoServer(NoServer::NotData(server.name)).into());
        }
        if !dry_run {
            // Before the plan is made: from now on nothing comes that the plan doesn't know.
            let patch = ServerPatch { draining: Some(true), ..ServerPatch::default() };
            self.write(Request::SetServer { id: server.id, expect: None, patch }, false).await?;
        }
        match self.plan_drain(server.id).await {
            Ok(plan) => self.begin(JobKind::Drain, format!("drain {}", server.name), by, plan, dry_run).await,
            Err(problem) => {
                if !dry_run && !server.draining {
                    let patch = ServerPatch { draining: Some(false), ..ServerPatch::default() };
                    self.write(Request::SetServer { id: server.id, expect: None, patch }, false).await?;
                }
                Err(problem)
            }
        }
    }
}

/// Stops draining: the server takes accounts again, and what has not moved stays.
pub(super) async fn undo(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let read = move |reader: &Reader<'_>| {
        let server = resolve::server(reader, &server)?.value;
        let jobs = drains_of(reader, server.id)?;
        Ok::<_, Problem>((server, jobs))
    };
    let (server, jobs) = state.directory.read(read).await?;
    let patch = ServerPatch { draining: Some(false), ..ServerPatch::default() };
    let done = state.write(Request::SetServer { id: server.id, expect: None, patch }, params.dry_run).await?;
    let mut changed = done.changed;
    for id in jobs {
        let request = Request::SetJob { id, change: JobChange::Abort };
        changed |= state.write(request, params.dry_run).await?.changed;
    }
    Ok(if changed { view::no_content() } else { view::nothing_changed() })
}

/// The drains under way that have moves away from a server.
fn drains_of(reader: &Reader<'_>, server: NodeId) -> Result<Vec<JobId>, StorageError> {
    let mut found = Vec::new();
    for job in reader.active_jobs(JobId(0), PAGE_ITEMS_MAX)? {
        let moves = reader.moves_of_job(job.id, AccountId(0), PAGE_ITEMS_MAX)?;
        if job.kind == JobKind::Drain && moves.iter().any(|row| row.from == server) {
            found.push(job.id);
        }
    }
    Ok(found)
}

/// Moves under way from each server.
pub(super) fn moves_out(reader: &Reader<'_>) -> Result<HashMap<NodeId, u64>, StorageError> {
    let (mut counts, mut after) = (HashMap::new(), AccountId(0));
    loop {
        let page = reader.moves(after, PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { return Ok(counts) };
        after = last.account;
        for row in page.into_iter().filter(|row| row.phase != MovePhase::Failed) {
            *counts.entry(row.from).or_default() += 1;
        }
    }
}

/// Says what is left on a server that is to be removed, and which commands take it away.
///
/// # Errors
/// The problem, if anything is left.
pub(super) fn nothing_is_left(reader: &Reader<'_>, server: &Server) -> Result<(), Problem> {
    let name = &server.name;
    let (mut left, mut remedies) = (Vec::new(), Vec::new());
    let accounts = reader.accounts_on(server.id)?;
    if accounts > 0 {
        let named = reader.placed_on(server.id, AccountId(0), NAMED_MAX)?;
        left.push(format!("{} live there ({})", count(accounts, "account"), named_of(reader, &named, accounts)?));
        remedies.push(format!("sterna server drain {name}"));
    }
    let moves = reader.move_count(server.id)?;
    if moves > 0 {
        left.push(format!("{} to it under way", count(moves, "move")));
        remedies.push("sterna job list --active, then sterna job abort ID".to_owned());
    }
    let copies = reader.copy_count(server.id)?;
    if copies > 0 {
        let some = reader.copies_on(server.id, AccountId(0), NAMED_MAX)?;
        let named: Vec<AccountId> = some.iter().map(|copy| copy.account).collect();
        left.push(format!("it holds {} ({})", count(copies, "copy"), named_of(reader, &named, copies)?));
        for copy in some {
            remedies.extend(remedy_for(reader, name, copy.account, copy.purpose)?);
        }
        remedies.dedup();
    }
    if left.is_empty() {
        return Ok(());
    }
    let detail = format!("{name} is not empty: {}", left.join("; "));
    let remedy = format!("Take these away first: {}.", remedies.join("; "));
    Err(Problem::new(StatusCode::CONFLICT, "in-use", "It is in use", detail, remedy))
}

fn remedy_for(
    reader: &Reader<'_>,
    server: &str,
    account: AccountId,
    purpose: CopyPurpose,
) -> Result<Option<String>, StorageError> {
    let address = address_of(reader, account)?;
    Ok(match purpose {
        CopyPurpose::Moving => None,
        CopyPurpose::Migrating => Some("sterna migrate abort".to_owned()),
        CopyPurpose::Kept { until } => Some(format!(
            "wait until {} when the way back of {address} ends, or give it up: sterna account release {address} --on \
             {server}",
            view::time(until),
        )),
        CopyPurpose::Standby { .. } => Some(format!("sterna account standby {address} --on {server} --remove")),
    })
}

fn named_of(reader: &Reader<'_>, accounts: &[AccountId], all: u64) -> Result<String, StorageError> {
    let mut named = accounts.iter().map(|id| address_of(reader, *id)).collect::<Result<Vec<_>, _>>()?;
    if all > named.len() as u64 {
        named.push(format!("and {} more", all - named.len() as u64));
    }
    Ok(named.join(", "))
}

fn count(number: u64, noun: &str) -> String {
    match (number, noun) {
        (1, noun) => format!("1 {noun}"),
        (number, "copy") => format!("{number} copies"),
        (number, noun) => format!("{number} {noun}s"),
    }
}
