//! `/api/v1/accounts/{account}/copies` and `/api/v1/servers/{server}/standby`: what else is kept of accounts, on other
//! servers: copies for the way back after a move, and standby copies.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, NodeId};
use sterna_directory::request::ServerPatch;
use sterna_directory::{
    Copy, CopyPurpose, Durability, MOVES_PER_REQUEST_MAX, Reader, Request, ServerStandby, StorageError,
};

use super::answer::NoContent;
use super::doors::{AdminState, StoreReport};
use super::failover::number;
use super::input::{Body, Params};
use super::job_view::address_of;
use super::problem::Problem;
use super::select::Selection;
use super::view::{self, Page, Resource};
use super::{plan, resolve};

/// A copy of an account.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Copy")]
pub(super) struct CopyView {
    pub account: AccountId,
    pub address: String,
    /// The server that has it.
    pub server: String,
    /// "moving", "kept" or "standby".
    pub purpose: &'static str,
    pub since: String,
    /// Until when it is kept; null for other purposes.
    pub until: Option<String>,
    /// What acknowledgements wait for: 2 is this copy, too; null for other purposes.
    pub durability: Option<u8>,
    /// At durability 2: "seeding" (nothing waits for it yet), "joining" or "awaited"; null otherwise.
    pub stage: Option<&'static str>,
    /// Since when changes of the account are refused because this copy is away; null while none are.
    pub waiting_since: Option<String>,
    /// How many changes were refused since then.
    pub refused: Option<u64>,
    /// Changes that it knows of and lacks; null when its server doesn't say.
    pub lag: Option<u64>,
    /// Since when it has everything.
    pub equal_since: Option<String>,
    pub bytes: Option<u64>,
    /// Why it doesn't go on at present.
    pub trouble: Option<String>,
}

/// The body of PUT.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "NewStandby")]
pub(super) struct StandbyBody {
    /// For a server: where its accounts have their standby copies.
    on: Option<String>,
    /// 1, also when not given; 2 lets acknowledgements wait for the copy from when it has caught up.
    durability: Option<u8>,
}

/// What PUT on a server did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Standby")]
pub(super) struct StandbyView {
    /// The server or account that it is about.
    of: String,
    on: String,
    durability: u8,
    /// Accounts that have a standby copy there now.
    accounts: u64,
    bytes: u64,
    unknown_sizes: u64,
}

impl StandbyBody {
    fn durability(&self) -> Result<Durability, Problem> {
        match self.durability {
            None | Some(1) => Ok(Durability::One),
            Some(2) => Ok(Durability::Two),
            Some(_) => Err(Problem::malformed("durability is 1 or 2")),
        }
    }
}

/// Of one account.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<Page<CopyView>>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let id = resolve::entry(reader, &account, "account")?.value.entry().id;
        let copies = reader.copies_of(id)?;
        copies.iter().map(|copy| Ok((*copy, one(reader, copy)?))).collect::<Result<Vec<_>, Problem>>()
    };
    let found = state.directory.read(read).await?;
    Ok(Json(Page { items: state.with_reports(found).await, next: None }))
}

/// Of the accounts of a server, those that are standby copies; by account.
pub(super) async fn list_standby(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
) -> Result<Json<Page<CopyView>>, Problem> {
    let limit = params.limit();
    let after = params.after.as_deref().map_or(Ok(AccountId(0)), str::parse);
    let after = after.map_err(|_| Problem::malformed("“after” is not an account id"))?;
    let read = move |reader: &Reader<'_>| {
        let server = resolve::server(reader, &server)?.value.id;
        let (mut found, mut next) = (Vec::new(), None);
        for account in reader.placed_on(server, after, limit)? {
            next = Some(account);
            for copy in reader.copies_of(account)? {
                if matches!(copy.purpose, CopyPurpose::Standby { .. }) {
                    found.push((copy, one(reader, &copy)?));
                }
            }
        }
        let more = match next {
            Some(last) => !reader.placed_on(server, last, 1)?.is_empty(),
            None => false,
        };
        Ok::<_, Problem>((found, next.filter(|_| more).map(|last| last.to_string())))
    };
    let (found, next) = state.directory.read(read).await?;
    Ok(Json(Page { items: state.with_reports(found).await, next }))
}

fn one(reader: &Reader<'_>, copy: &Copy) -> Result<CopyView, StorageError> {
    let server = reader.server(copy.server)?;
    let (until, durability) = match copy.purpose {
        CopyPurpose::Moving | CopyPurpose::Migrating => (None, None),
        CopyPurpose::Kept { until } => (Some(view::time(until)), None),
        CopyPurpose::Standby { durability } => (None, Some(durability)),
    };
    Ok(CopyView {
        account: copy.account,
        address: address_of(reader, copy.account)?,
        server: server.map_or_else(|| copy.server.to_string(), |found| found.value.name),
        purpose: copy.purpose.name(),
        since: view::time(copy.since),
        until,
        durability: durability.map(number),
        stage: (durability == Some(Durability::Two)).then_some(copy.stage.name()),
        waiting_since: None,
        refused: None,
        lag: None,
        equal_since: None,
        bytes: None,
        trouble: None,
    })
}

/// Lets an account have a standby copy on a server, or changes what its acknowledgements wait for.
pub(super) async fn put(
    State(state): State<AdminState>,
    Path((account, server)): Path<(String, String)>,
    params: Params,
    Body(body): Body<StandbyBody>,
) -> Result<Resource<StandbyView>, Problem> {
    let selection = Selection { accounts: vec![account.clone()], ..Selection::default() };
    let durability = body.durability()?;
    state.put_standby(selection, account, server, durability, params.dry_run).await
}

/// Lets every account of a server have a standby copy on another one.
pub(super) async fn put_all(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
    Body(body): Body<StandbyBody>,
) -> Result<Resource<StandbyView>, Problem> {
    let durability = body.durability()?;
    let on = body.on.ok_or_else(|| Problem::malformed("say on which server: “on”"))?;
    let read = {
        let (server, on) = (server.clone(), on.clone());
        move |reader: &Reader<'_>| {
            Ok::<_, Problem>((resolve::server(reader, &server)?.value.id, resolve::server(reader, &on)?.value.id))
        }
    };
    let (id, on_id) = state.directory.read(read).await?;
    // Accounts that come to the server from now on have one from their first moment.
    let standby = ServerStandby { server: on_id, durability };
    let patch = ServerPatch { standby: Some(Some(standby)), ..ServerPatch::default() };
    let done = state.write(Request::SetServer { id, expect: None, patch }, params.dry_run).await?;
    let put = state.put_standby(Selection::on(server.clone()), server, on, durability, params.dry_run).await?;
    let changed = done.changed || put.changed == Some(true);
    Ok(put.changed(changed))
}

/// Drops one copy, of the purpose that is given: “kept” or “standby”. So nobody drops by mistake what holds an account.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((account, server)): Path<(String, String)>,
    params: Params,
) -> Result<NoContent, Problem> {
    let purpose = params.purpose.clone();
    let read = move |reader: &Reader<'_>| {
        let entry = resolve::entry(reader, &account, "account")?.value;
        let server = resolve::server(reader, &server)?.value;
        let copy = reader.copy(entry.entry().id, server.id)?.map(|found| found.value);
        let copy = copy.ok_or_else(|| Problem::no_such("copy", &format!("of {account} on {}", server.name)))?;
        match purpose {
            Some(purpose) if purpose == copy.purpose.name() => Ok(copy),
            _ => Err(other_purpose(&account, &server.name, copy.purpose)),
        }
    };
    let copy = state.directory.read(read).await?;
    state.drop_copy(copy.account, copy.server, params.dry_run).await?;
    Ok(view::no_content())
}

/// Drops the standby copies of a server's accounts, of one other server (`on`) or of all.
pub(super) async fn delete_all(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let on = params.on.clone();
    let read = move |reader: &Reader<'_>| {
        let on = on.as_deref().map(|name| resolve::server(reader, name)).transpose()?.map(|found| found.value.id);
        let server = resolve::server(reader, &server)?.value;
        let mut found = Vec::new();
        for selected in Selection::on(server.id.to_string()).read(reader)? {
            found.extend(reader.copies_of(selected.account)?.into_iter().filter(|copy| {
                matches!(copy.purpose, CopyPurpose::Standby { .. }) && on.is_none_or(|on| copy.server == on)
            }));
        }
        let names_it = server.standby.is_some_and(|standby| on.is_none_or(|on| standby.server == on));
        Ok::<_, Problem>((found, names_it.then_some(server.id)))
    };
    let (copies, server) = state.directory.read(read).await?;
    let changed = !copies.is_empty() || server.is_some();
    if let Some(id) = server {
        let patch = ServerPatch { standby: Some(None), ..ServerPatch::default() };
        state.write(Request::SetServer { id, expect: None, patch }, params.dry_run).await?;
    }
    for copy in copies {
        state.drop_copy(copy.account, copy.server, params.dry_run).await?;
    }
    Ok(if changed { view::no_content() } else { view::nothing_changed() })
}

fn other_purpose(account: &str, server: &str, purpose: CopyPurpose) -> Problem {
    let (is, remedy) = match purpose {
        CopyPurpose::Moving => ("is there because the account is moving", "Abort its job: sterna job abort ID."),
        CopyPurpose::Migrating => {
            ("is there because its server takes another machine's place", "Give that up: sterna migrate abort.")
        }
        CopyPurpose::Kept { .. } => (
            "is kept for the way back after a move",
            "It goes by itself when its time is over; sooner: sterna account release ADDRESS --on SERVER.",
        ),
        CopyPurpose::Standby { .. } => {
            ("is a standby copy", "Remove it as such: sterna account standby ADDRESS --on SERVER --remove.")
        }
    };
    let detail = format!("the copy of {account} on {server} {is}");
    Problem::new(StatusCode::CONFLICT, "other-purpose", "The copy is there for something else", detail, remedy)
}

impl AdminState {
    async fn put_standby(
        &self,
        selection: Selection,
        of: String,
        on: String,
        durability: Durability,
        dry_run: bool,
    ) -> Result<Resource<StandbyView>, Problem> {
        if !self.directory.is_main() {
            return Err(self.not_main().await);
        }
        let read = move |reader: &Reader<'_>| {
            let (accounts, server) = (selection.read(reader)?, resolve::server(reader, &on)?.value);
            let mut are_there = true;
            for one in &accounts {
                let copy = reader.copy(one.account, server.id)?.map(|found| found.value.purpose);
                are_there &= matches!(copy, Some(CopyPurpose::Standby { .. }));
            }
            Ok::<_, Problem>((accounts, server, are_there))
        };
        let (accounts, server, are_there) = self.directory.read(read).await?;
        // That nothing waits for a copy any longer is wanted most when its server does not answer.
        let lets_go = are_there && durability == Durability::One;
        if !lets_go && let Some(Err(cause)) = self.statuses(vec![server.id]).await.remove(&server.id) {
            return Err(plan::unreachable(&server.name, &cause));
        }
        let pairs: Vec<_> = accounts.iter().map(|one| (one.account, one.server)).collect();
        let mut changed = false;
        for part in pairs.chunks(MOVES_PER_REQUEST_MAX) {
            let accounts = part.iter().map(|(account, _)| *account).collect();
            let request = Request::PutStandby { accounts, server: server.id, durability };
            changed |= self.write(request, dry_run).await?.changed;
        }
        let sizes = self.sizes(&pairs, MOVES_PER_REQUEST_MAX).await;
        let body = StandbyView {
            of,
            on: server.name,
            durability: number(durability),
            accounts: pairs.len() as u64,
            bytes: sizes.values().sum(),
            unknown_sizes: (pairs.len() - sizes.len()) as u64,
        };
        Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(changed), location: None, body })
    }

    async fn drop_copy(&self, account: AccountId, server: NodeId, dry_run: bool) -> Result<(), Problem> {
        self.write(Request::DropCopy { account, server }, dry_run).await?;
        if !dry_run {
            self.delete_pending(account, server).await?;
        }
        Ok(())
    }

    /// Where these accounts live; what can't be read is left out.
    async fn homes(&self, accounts: Vec<AccountId>) -> HashMap<AccountId, NodeId> {
        let read = move |reader: &Reader<'_>| {
            let placements = accounts.into_iter().map(|account| reader.placement(account));
            let placed = placements.filter_map(Result::transpose).map(|found| found.map(|found| found.value));
            placed.map(|found| found.map(|found| (found.account, found.server))).collect::<Result<_, StorageError>>()
        };
        self.directory.read(read).await.unwrap_or_default()
    }

    async fn with_reports(&self, found: Vec<(Copy, CopyView)>) -> Vec<CopyView> {
        let mut views = Vec::with_capacity(found.len());
        let mut wanted: Vec<_> = found.iter().map(|(copy, _)| (copy.account, copy.server)).collect();
        // Whether an account waits for its copy is known where the account is.
        let waited_for: Vec<_> = found.iter().filter(|(_, shown)| shown.stage.is_some()).collect();
        let accounts: Vec<_> = waited_for.iter().map(|(copy, _)| copy.account).collect();
        let homes = self.homes(accounts).await;
        wanted.extend(homes.iter().map(|(account, home)| (*account, *home)));
        let reports = self.reports(wanted).await;
        for (copy, shown) in found {
            let report = reports.get(&(copy.account, copy.server));
            let home = homes.get(&copy.account).and_then(|home| reports.get(&(copy.account, *home)));
            let waiting = home.and_then(|home| home.waiting.iter().find(|waiting| waiting.copy == copy.server));
            views.push(CopyView {
                waiting_since: waiting.map(|waiting| view::time(waiting.since)),
                refused: waiting.map(|waiting| waiting.refused),
                lag: report.and_then(StoreReport::lag),
                equal_since: report.and_then(|report| report.equal_since).map(view::time),
                bytes: report.map(|report| report.bytes),
                trouble: report.and_then(|report| report.trouble.clone()),
                ..shown
            });
        }
        views
    }
}
