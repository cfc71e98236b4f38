//! `/api/v1/mail`: all mail routing derived again from the directory, compared with the last time, and checked.

mod checks;
mod edges;
mod last;
mod loops;
mod routes;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::Timestamp;
use sterna_directory::Reader;
use sterna_protocols::postfix::MailTable;

use super::doors::AdminState;
use super::findings::Finding;
use super::input::Params;
use super::problem::Problem;
use super::view::time;
use crate::node::mail_tables::Own;
use checks::Found;
use last::{Changes, Last};
use routes::Derived;

/// Differences that an answer shows; more are counted.
const CHANGES_SHOWN_MAX: usize = 200;

/// The file of the last run, in the node's folder.
const FILE_NAME: &str = "mail-routing";

/// With what routing is derived.
pub struct RoutingTools {
    file: PathBuf,
    own: Own,
}

impl RoutingTools {
    /// Of the node with this folder.
    pub fn new(folder: &FilePath, own: Own) -> Self {
        RoutingTools { file: folder.join(FILE_NAME), own }
    }
}

/// One row of one table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    table: MailTable,
    key: String,
    value: String,
}

/// What a run found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailMaintenance")]
pub(super) struct RunView {
    /// The change of the directory that it was derived from.
    modseq: u64,
    /// How many rows each table has.
    tables: Vec<TableView>,
    /// When the last run was; null when this is the first.
    last: Option<String>,
    /// What is other than then.
    changes: Changes,
    /// What is wrong; empty when all is well.
    pub(super) problems: Vec<Finding>,
    /// Edges that could not be asked.
    pub(super) not_asked: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailTableCount")]
struct TableView {
    table: &'static str,
    rows: usize,
}

/// The rows of a table, as the last run derived them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailTableRows")]
pub(super) struct RowsView {
    at: String,
    modseq: u64,
    #[schemars(with = "Vec<[String; 2]>")]
    rows: Vec<(String, String)>,
}

pub(super) async fn run(State(state): State<AdminState>, params: Params) -> Result<Json<RunView>, Problem> {
    let tools = tools(&state)?;
    let own = tools.own;
    let read = move |reader: &Reader<'_>| {
        let mut found = Found::default();
        let derived = routes::derive(reader, own, &mut found)?;
        checks::of_installation(reader, &mut found)?;
        loops::look(reader, &derived.onward, &mut found)?;
        Ok::<_, Problem>((derived, found))
    };
    let (derived, found) = state.directory.read(read).await?;
    let asked = edges::ask(&state).await?;
    let now = state.directory.now();
    let (modseq, tables) = (derived.modseq, counts(&derived));
    let (last, changes) = compare(tools, derived, now, params.dry_run).await?;
    let problems = found.all().into_iter().chain(asked.problems).collect();
    let last = last.map(time);
    Ok(Json(RunView { modseq, tables, last, changes, problems, not_asked: asked.not_asked }))
}

pub(super) async fn table(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<RowsView>, Problem> {
    let table: MailTable = name.parse().map_err(|_| Problem::no_such("table", &name))?;
    let file = tools(&state)?.file.clone();
    let last = blocking(move || Last::read(&file)).await?;
    let Some(last) = last else {
        let remedy = "Derive them: sterna mail maintenance run.";
        let (title, detail) = ("There is nothing yet", "mail routing was never derived on this node");
        return Err(Problem::new(StatusCode::NOT_FOUND, "never-derived", title, detail, remedy));
    };
    let rows = last.routes.into_iter().filter(|route| route.table == table);
    let rows = rows.map(|route| (route.key, route.value)).collect();
    Ok(Json(RowsView { at: time(last.at), modseq: last.modseq, rows }))
}

fn counts(derived: &Derived) -> Vec<TableView> {
    let count = |table| derived.routes.iter().filter(|route| route.table == table).count();
    MailTable::ALL.into_iter().map(|table| TableView { table: table.name(), rows: count(table) }).collect()
}

/// What changed since the last run, and when that was. This run is the last one then, unless it is tried only.
async fn compare(
    tools: Arc<RoutingTools>,
    derived: Derived,
    at: Timestamp,
    dry_run: bool,
) -> Result<(Option<Timestamp>, Changes), Problem> {
    blocking(move || {
        let last = Last::read(&tools.file)?;
        let before = last.as_ref().map_or(&[][..], |last| &last.routes);
        let changes = Changes::between(before, &derived.routes, CHANGES_SHOWN_MAX);
        if !dry_run {
            Last { at, modseq: derived.modseq, routes: derived.routes }.write(&tools.file)?;
        }
        Ok((last.map(|last| last.at), changes))
    })
    .await
}

fn tools(state: &AdminState) -> Result<Arc<RoutingTools>, Problem> {
    state.routing.clone().ok_or_else(|| {
        let (title, remedy) = ("There is no mail here", "Ask a node of the installation.");
        Problem::new(StatusCode::NOT_FOUND, "no-routing", title, "nothing is derived here", remedy)
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).flatten();
    done.map_err(|error| {
        let (title, remedy) = ("The last run can't be kept", "Look at the disk with the node's folder.");
        let detail = format!("{FILE_NAME} in the node's folder: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "mail-routing-file", title, detail, remedy)
    })
}
