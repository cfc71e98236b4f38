//! `/api/v1/greylist`: whom greylisting makes wait, and who is known. The main node asks all edges, which know the same
//! some seconds later; the others tell of themselves.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_directory::Server;
use sterna_mailflow::guard::{GreylistFilter, GreylistKey, GreylistState, Greylisted};

use super::doors::AdminState;
use super::edges;
use super::input::Asked;
use super::problem::Problem;
use super::view::{Page, time};
use crate::node::questions::{Question, Rows};

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
    /// Only of this server; “all” is all edges, as is none on the main node.
    server: Option<String>,
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
    /// The edge that says so; they tell each other within seconds.
    server: String,
    /// "waiting", "passed", or "good" for a network.
    state: &'static str,
    first: String,
    last: String,
}

/// A page of the greylist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "GreylistPage")]
pub(super) struct GreylistPage {
    items: Vec<GreylistedView>,
    /// The `after` of the following page; `None` when this is the last.
    next: Option<String>,
    /// Edges that did not answer.
    unreachable: Vec<String>,
}

/// How many rows were deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DeletedCount")]
pub(super) struct DeletedView {
    deleted: u64,
    /// Edges that did not answer; the others tell them when they are back.
    unreachable: Vec<String>,
}

/// Those that are meant, each once, as the edge knows it that heard of it last.
pub(super) async fn list(
    State(state): State<AdminState>,
    Asked(selection): Asked<Selection>,
) -> Result<Json<GreylistPage>, Problem> {
    let limit = selection.limit.unwrap_or(PAGE_ITEMS_DEFAULT).clamp(1, PAGE_ITEMS_MAX - 1);
    let after = key(selection.after.as_deref().unwrap_or_default());
    let meant = edges::edges(&state, selection.server.as_deref()).await?;
    let filter = selection.filter();
    let question = |_: &Server| Question::Greylist { filter: filter.clone(), after: after.clone(), limit: limit + 1 };
    let told = meant.ask::<Rows<Greylisted>>(&state, question).await?;
    let mut merged: BTreeMap<GreylistKey, (String, Greylisted)> = BTreeMap::new();
    for (server, row) in
        told.answers.into_iter().flat_map(|(server, rows)| rows.items.into_iter().map(move |row| (server.clone(), row)))
    {
        let key = (row.network.clone(), row.sender.clone(), row.recipient.clone());
        match merged.entry(key) {
            Entry::Occupied(mut known) if known.get().1.last < row.last => _ = known.insert((server, row)),
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => _ = free.insert((server, row)),
        }
    }
    let items = merged.into_values().map(|(server, row)| view(server, row)).collect();
    let Json(Page { items, next }) = Page::cut(items, limit, |view: &GreylistedView| {
        [&*view.network, &view.sender, &view.recipient].join(&CURSOR_SEPARATOR.to_string())
    });
    Ok(Json(GreylistPage { items, next, unreachable: told.unreachable }))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Asked(selection): Asked<Selection>,
) -> Result<Json<DeletedView>, Problem> {
    let meant = edges::edges(&state, selection.server.as_deref()).await?;
    let (is_all, filter) = (selection.all, selection.filter());
    if filter == GreylistFilter::default() && !is_all {
        return Err(Problem::malformed("an empty filter means everybody: say “all” if that is meant"));
    }
    let told = meant.ask::<u64>(&state, |_| Question::ForgetGreylisted { filter: filter.clone() }).await?;
    // They are the same rows on every edge.
    let deleted = told.answers.iter().map(|(_, count)| *count).max().unwrap_or(0);
    Ok(Json(DeletedView { deleted, unreachable: told.unreachable }))
}

fn key(cursor: &str) -> GreylistKey {
    let mut parts = cursor.splitn(3, CURSOR_SEPARATOR).map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

fn view(server: String, row: Greylisted) -> GreylistedView {
    let state = match row.state {
        GreylistState::Waiting => "waiting",
        GreylistState::Passed => "passed",
        GreylistState::Good => "good",
    };
    let Greylisted { network, sender, recipient, first, last, .. } = row;
    GreylistedView { network, sender, recipient, server, state, first: time(first), last: time(last) }
}
