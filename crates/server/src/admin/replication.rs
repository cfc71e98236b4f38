//! `/api/v1/replication`: users that come from a Cyrus server by its own replication, and their switch.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_account::service::Accounts;
use sterna_account::{Account, AccountError};
use sterna_base::AccountId;
use sterna_directory::request::{SharedPatch, UserPatch};
use sterna_directory::{AnyEntry, Reader, Request};
use sterna_migration::cyrus::doors::{Arrival, Users};
use sterna_migration::cyrus::mirror::Mirror;
use sterna_migration::cyrus::verify::{Comparison, compare};

use super::doors::{AdminState, Provision};
use super::input::Params;
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource};
use crate::node::cyrus::NodeUsers;

/// One user of the old server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReplicatedUser")]
pub(super) struct UserView {
    /// As the old server calls the user.
    user: String,
    /// The account here.
    address: Option<String>,
    /// "arriving": the old server brings what changes; "switched": users work here, and it has no say any more.
    state: &'static str,
    /// What is wrong with the account.
    error: Option<String>,
}

/// One user, compared.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ComparedUser")]
pub(super) struct ComparedView {
    #[serde(flatten)]
    user: UserView,
    /// Whether every message is what the old server told.
    is_equal: bool,
    #[serde(flatten)]
    comparison: Comparison,
}

impl UserView {
    fn of(user: String, arrival: &Result<Arrival, String>) -> Self {
        match arrival {
            Ok(arrival) => UserView {
                user,
                address: Some(arrival.address.clone()),
                state: if arrival.is_closed { "arriving" } else { "switched" },
                error: None,
            },
            Err(error) => UserView { user, address: None, state: "unknown", error: Some(error.clone()) },
        }
    }
}

/// Accounts wherever they live, by the door that the API has.
struct Opened(Arc<dyn Provision>);

#[async_trait]
impl Accounts for Opened {
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        self.0.open(account).await
    }
}

fn users(state: &AdminState) -> NodeUsers {
    let accounts = Arc::new(Opened(state.provision.clone()));
    NodeUsers::new(state.directory.clone(), accounts, state.authentication.clone())
}

fn mirror(state: &AdminState) -> Result<Mirror, Problem> {
    state.memory.cyrus.get().cloned().ok_or_else(|| {
        let detail = "no Cyrus server replicates to this node".to_owned();
        let remedy = "Say where it is to call (cyrus in [listen] of sterna.toml), or ask the node that has the port.";
        Problem::new(StatusCode::NOT_FOUND, "no-replication", "There is no replication", detail, remedy)
    })
}

fn failed(error: impl ToString) -> Problem {
    let title = "It can't be compared";
    let remedy = "See the node's log, and try again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title, error.to_string(), remedy)
}

pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<UserView>>, Problem> {
    let (mirror, users) = (mirror(&state)?, users(&state));
    let mut items = Vec::new();
    for user in mirror.users().await.map_err(failed)? {
        let arrival = users.arrival(&user).await;
        items.push(UserView::of(user, &arrival));
    }
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(user): Path<String>,
) -> Result<Json<ComparedView>, Problem> {
    let arrival = users(&state).arrival(&user).await;
    Ok(Json(compared(&mirror(&state)?, user, &arrival).await?))
}

async fn compared(mirror: &Mirror, user: String, arrival: &Result<Arrival, String>) -> Result<ComparedView, Problem> {
    let account = arrival.as_ref().map_err(|cause| Problem::malformed(cause.clone()))?.account.clone();
    let comparison = compare(account.as_ref(), mirror, &user).await.map_err(failed)?;
    Ok(ComparedView { user: UserView::of(user, arrival), is_equal: comparison.differences.is_empty(), comparison })
}

/// Opens the account for its user, when it is what the old server told: from then on that one has no say.
pub(super) async fn switch(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    params: Params,
) -> Result<Resource<ComparedView>, Problem> {
    let users = users(&state);
    let arrival = users.arrival(&user).await;
    let mut view = compared(&mirror(&state)?, user.clone(), &arrival).await?;
    let is_arriving = arrival.as_ref().is_ok_and(|arrival| arrival.is_closed);
    if !view.is_equal && is_arriving {
        let detail = format!("{user} is not equal on both sides: {}", view.comparison.differences.join("; "));
        let remedy = "Run sync_client -u for the user on the old server once more, then switch.";
        return Err(Problem::new(StatusCode::CONFLICT, "not-equal", "Both sides differ", detail, remedy));
    }
    if is_arriving && !params.dry_run {
        let address = view.user.address.clone().unwrap_or_default();
        open(&state, address, view.comparison.quota_bytes).await?;
        view.user.state = "switched";
    }
    let changed = Some(is_arriving);
    Ok(Resource { status: StatusCode::OK, modseq: None, changed, location: None, body: view })
}

/// Ends the suspension of an account, with the quota that the user had.
async fn open(state: &AdminState, address: String, quota_bytes: Option<u64>) -> Result<(), Problem> {
    let read = move |reader: &Reader<'_>| resolve::entry(reader, &address, "account").map(|found| found.value);
    let entry = state.directory.read(read).await?;
    let (id, suspended) = (entry.entry().id, Some(false));
    let quota = quota_bytes.map(Some);
    let request = match entry {
        AnyEntry::User(_) => {
            let patch = UserPatch { suspended, quota_bytes: quota, ..UserPatch::default() };
            Request::SetUser { id, expect: None, patch }
        }
        _ => {
            let patch = SharedPatch { suspended, quota_bytes: quota, ..SharedPatch::default() };
            Request::SetShared { id, expect: None, patch }
        }
    };
    state.write(request, false).await?;
    match quota {
        Some(bytes_max) => state.set_quota(id, bytes_max).await,
        None => Ok(()),
    }
}
