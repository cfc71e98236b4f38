//! `/api/v1/greylist`: whom greylisting makes wait, and who is known, on this edge and, some seconds later, on all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_mailflow::guard::{GreylistFilter, GreylistKey, GreylistState, Greylisted, Guard, NoGreylist};

use super::doors::AdminState;
use super::input::Asked;
use super::problem::Problem;
use super::view::{Page, time};

/// Items of a page when the client doesn't say.
const PAGE_ITEMS_DEFAULT: usize = 200;

/// What is between the parts of a cursor: none of them has one.
const CURSOR_SEPARATOR: char = '\t';

/// Which are meant.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "GreylistSelection")]
pub(super) struct Selection {
    network: Option<String>,
    sender: Option<String>,
    recipient: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
    /// All of them: without this, an empty filter deletes nothing.
    all: bool,
}

impl Selection {
    fn filter(self) -> GreylistFilter {
        let Selection { network, sender, recipient, .. } = self;
        GreylistFilter { network, sender, recipient }
    }
}

/// A network, a sender and a recipient; or a network from which nobody waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Greylisted")]
pub(super) struct GreylistedView {
    network: String,
    sender: String,
    recipient: String,
    /// "waiting", "passed", or "good" for a network.
    state: &'static str,
    first: String,
    last: String,
}

/// How many rows were deleted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DeletedCount")]
pub(super) struct DeletedView {
    deleted: u64,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Asked(selection): Asked<Selection>,
) -> Result<Json<Page<GreylistedView>>, Problem> {
    let limit = selection.limit.unwrap_or(PAGE_ITEMS_DEFAULT).clamp(1, PAGE_ITEMS_MAX - 1);
    let after = key(selection.after.as_deref().unwrap_or_default());
    let found = guard(&state)?.greylisted_after(selection.filter(), after, limit + 1).await.map_err(unusable)?;
    let items = found.into_iter().map(view).collect();
    Ok(Page::cut(items, limit, |view: &GreylistedView| {
        [&*view.network, &view.sender, &view.recipient].join(&CURSOR_SEPARATOR.to_string())
    }))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Asked(selection): Asked<Selection>,
) -> Result<Json<DeletedView>, Problem> {
    let (is_all, filter) = (selection.all, selection.filter());
    if filter == GreylistFilter::default() && !is_all {
        return Err(Problem::malformed("an empty filter means everybody: say “all” if that is meant"));
    }
    let deleted = guard(&state)?.delete_greylisted(filter).await.map_err(unusable)?;
    Ok(Json(DeletedView { deleted }))
}

fn key(cursor: &str) -> GreylistKey {
    let mut parts = cursor.splitn(3, CURSOR_SEPARATOR).map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

fn guard(state: &AdminState) -> Result<Arc<Guard>, Problem> {
    state.guard.clone().ok_or_else(|| {
        let (title, remedy) = ("There is no greylist", "Ask a server with the role edge: they all know the same.");
        Problem::new(StatusCode::NOT_FOUND, "no-greylist", title, "No mail comes in on this server.", remedy)
    })
}

fn unusable(error: NoGreylist) -> Problem {
    let (title, remedy) =
        ("The greylist can't be used", "Look at the log, and at the disk that has the node's folder.");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "greylist-unusable", title, error.to_string(), remedy)
}

fn view(row: Greylisted) -> GreylistedView {
    let state = match row.state {
        GreylistState::Waiting => "waiting",
        GreylistState::Passed => "passed",
        GreylistState::Good => "good",
    };
    let Greylisted { network, sender, recipient, first, last, .. } = row;
    GreylistedView { network, sender, recipient, state, first: time(first), last: time(last) }
}
