//! `/api/v1/users/{user}/connections`: the sessions that a user's mail programs have open, on every edge.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;
use sterna_account::open_sessions::{Ending, OpenSession, SessionsQuestion};
use sterna_base::NodeId;
use sterna_directory::{Reader, StorageError};

use super::answer::NoContent;
use super::doors::AdminState;
use super::input::Params;
use super::problem::Problem;
use super::view::{Page, time};
use super::{resolve, view};

/// One session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Connection")]
pub(super) struct ConnectionView {
    /// Names it until it ends.
    id: String,
    protocol: String,
    /// The edge that it is with.
    server: String,
    peer: String,
    encrypted: bool,
    since: String,
    /// What the program calls itself, if it does.
    client: Option<String>,
}

/// All of them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Connections")]
pub(super) struct ConnectionsView {
    #[serde(flatten)]
    page: Page<ConnectionView>,
    /// Edges that didn't answer, and why: what they have isn't here.
    silent: Vec<String>,
}

/// What edges said.
struct Asked {
    found: Vec<(String, OpenSession)>,
    /// Those that didn't answer, and why.
    silent: Vec<String>,
}

/// Asks every edge that this node may ask, side by side: others than itself only if it is the main one.
async fn ask(state: &AdminState, only: Option<NodeId>, question: SessionsQuestion) -> Result<Asked, Problem> {
    let edges = state.directory.read(|reader: &Reader<'_>| {
        let servers = reader.servers()?.into_iter().map(|found| found.value);
        Ok::<_, StorageError>(servers.filter(|server| server.roles.edge).collect::<Vec<_>>())
    });
    let (is_main, own) = (state.directory.is_main(), state.node.id);
    let mut asking = tokio::task::JoinSet::new();
    for edge in edges.await?.into_iter().filter(|edge| is_main || edge.id == own) {
        if only.is_none_or(|only| only == edge.id) {
            let (provision, question) = (state.provision.clone(), question.clone());
            asking.spawn(async move { (edge.name, provision.sessions(edge.id, question).await) });
        }
    }
    let mut asked = Asked { found: Vec::new(), silent: Vec::new() };
    for (edge, answer) in asking.join_all().await {
        match answer {
            Ok(sessions) => asked.found.extend(sessions.into_iter().map(|session| (edge.clone(), session))),
            Err(error) => asked.silent.push(format!("{edge}: {error}")),
        }
    }
    asked.found.sort_by_key(|(edge, session)| (session.since, edge.clone(), session.number));
    Ok(asked)
}

/// All of them, the oldest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(user): Path<String>,
) -> Result<Json<ConnectionsView>, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    let asked = ask(&state, None, SessionsQuestion { account, end: Ending::Nothing }).await?;
    let view = |(server, session): (String, OpenSession)| ConnectionView {
        id: format!("{server}:{}", session.number),
        protocol: session.protocol,
        server,
        peer: session.peer.to_string(),
        encrypted: session.encrypted,
        since: time(session.since),
        client: session.client,
    };
    let items = asked.found.into_iter().map(view).collect();
    Ok(Json(ConnectionsView { page: Page { items, next: None }, silent: asked.silent }))
}

/// Ends all of them.
pub(super) async fn end_all(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    let end = if params.dry_run { Ending::Nothing } else { Ending::All };
    done(ask(&state, None, SessionsQuestion { account, end }).await?, |_| true)
}

/// Ends one.
pub(super) async fn end(
    State(state): State<AdminState>,
    Path((user, connection)): Path<(String, String)>,
    params: Params,
) -> Result<NoContent, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    let none = || Problem::no_such("session", &connection);
    let (server, number) = connection.rsplit_once(':').ok_or_else(none)?;
    let (server, number) = (server.to_owned(), number.parse::<u64>().map_err(|_| none())?);
    let edge = state.directory.read(move |reader| resolve::server(reader, &server)).await?.value.id;
    let end = if params.dry_run { Ending::Nothing } else { Ending::One(number) };
    done(ask(&state, Some(edge), SessionsQuestion { account, end }).await?, |session| session.number == number)
}

fn done(asked: Asked, is_meant: impl Fn(&OpenSession) -> bool) -> Result<NoContent, Problem> {
    if let Some(cause) = asked.silent.first() {
        let (title, remedy) = ("An edge doesn't answer", "What the others have was ended. Try again (sterna status).");
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "server-unreachable", title, cause.clone(), remedy));
    }
    match asked.found.iter().any(|(_, session)| is_meant(session)) {
        true => Ok(view::no_content()),
        false => Ok(view::nothing_changed()),
    }
}
