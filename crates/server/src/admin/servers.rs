//! `/api/v1/servers`: servers make themselves known when they join; here they are looked at, changed and removed.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Deserialize;
use sterna_base::Version;
use sterna_cluster::{NodeStatus, RunVersion};
use sterna_directory::request::ServerPatch;
use sterna_directory::{Reader, Request, RequestError, Roles, Server};

use super::answer::NoContent;
use super::doors::AdminState;
use super::input::{Body, IfMatch, Params};
use super::job_view::SpeedView;
use super::problem::Problem;
use super::view::{Page, Resource, ServerView};
use super::{drain, resolve, view};

/// The body of PATCH; what is not there stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ServerChange")]
pub(super) struct ServerBody {
    name: Option<String>,
    address: Option<String>,
    weight: Option<u32>,
    accepts_new_accounts: Option<bool>,
    /// “data”, “edge”; who is the main node is not decided here.
    roles: Option<Vec<String>>,
}

impl ServerBody {
    fn roles(&self, server: &Server) -> Result<Option<Roles>, Problem> {
        let Some(names) = &self.roles else { return Ok(None) };
        let roles = Roles::from_names(names.iter().map(String::as_str));
        let roles = roles.map_err(|name| invalid(format!("there is no role “{name}”; roles are data and edge")))?;
        let roles = Roles { main: roles.main || server.roles.main, ..roles };
        if roles.main != server.roles.main {
            return Err(invalid("an installation has one main node, and which one can't be changed here".to_owned()));
        }
        Ok(Some(roles))
    }
}

fn invalid(reason: String) -> Problem {
    RequestError::Invalid { field: "roles", reason }.into()
}

/// All of them, each asked how it is: there are few.
pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<ServerView>>, Problem> {
    let read = |reader: &Reader<'_>| {
        let (found, moves_out) = (reader.servers()?, drain::moves_out(reader)?);
        let views = found.into_iter().map(|found| Ok(view::server(reader, found.value, &moves_out)?));
        views.collect::<Result<Vec<_>, Problem>>()
    };
    let items = state.directory.read(read).await?;
    Ok(Json(Page { items: state.with_health(items).await, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(server): Path<String>,
) -> Result<Resource<ServerView>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::server(reader, &server)?;
        let moves_out = drain::moves_out(reader)?;
        Ok::<_, Problem>(Resource::read(view::server(reader, found.value, &moves_out)?, found.modseq))
    };
    let mut found = state.directory.read(read).await?;
    found.body = state.with_health(vec![found.body]).await.remove(0);
    Ok(found)
}

impl AdminState {
    /// What servers say of themselves; what one doesn't say is null.
    async fn with_health(&self, views: Vec<ServerView>) -> Vec<ServerView> {
        let mut statuses = self.statuses(views.iter().map(|view| view.id).collect()).await;
        let known = |view: ServerView| {
            let health = self.memory.health(view.id);
            let since = health.map(|health| view::time(health.since));
            match statuses.remove(&view.id) {
                Some(Ok(status)) => told(ServerView { answers: true, since, ..view }, status),
                Some(Err(cause)) => ServerView { cause: Some(cause), since, ..view },
                None => view,
            }
        };
        views.into_iter().map(known).collect()
    }
}

fn told(view: ServerView, status: NodeStatus) -> ServerView {
    let disk = status.disk_bytes > 0;
    ServerView {
        version: Some(status.version),
        versions: status.installed.iter().map(|installed| installed.version.to_string()).collect(),
        version_failed: status.version_failed.map(|version| version.to_string()),
        load: Some(f64::from(status.load_hundredths) / 100.0),
        copying: status.copies.speed.map(|speed| SpeedView::new(view.name.clone(), speed)),
        started_at: status.started_at.map(view::time),
        free_bytes: if disk { Some(status.disk_free_bytes) } else { view.free_bytes },
        disk_bytes: if disk { Some(status.disk_bytes) } else { view.disk_bytes },
        used_bytes: view.used_bytes.or_else(|| disk.then(|| status.disk_bytes - status.disk_free_bytes)),
        ..view
    }
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    Body(body): Body<ServerBody>,
) -> Result<Resource<ServerView>, Problem> {
    let server = state.directory.read(move |reader| resolve::server(reader, &server)).await?.value;
    let (id, roles) = (server.id, body.roles(&server)?);
    let patch = ServerPatch {
        roles,
        name: body.name,
        address: body.address,
        weight: body.weight,
        accepts_new_accounts: body.accepts_new_accounts,
        ..ServerPatch::default()
    };
    let done = state.write(Request::SetServer { id, expect, patch }, params.dry_run).await?;
    Ok(get(State(state), Path(id.to_string())).await?.changed(done.changed))
}

/// The body of PUT of a version.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VersionChange")]
pub(super) struct VersionBody {
    version: Version,
}

/// Lets another installed version run on a server. It is answered before that version takes over.
pub(super) async fn run_version(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    Body(body): Body<VersionBody>,
) -> Result<NoContent, Problem> {
    let id = state.directory.read(move |reader| resolve::server(reader, &server)).await?.value.id;
    state.provision.run_version(id, RunVersion { version: body.version, plan: None }).await?;
    Ok(view::no_content())
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
) -> Result<NoContent, Problem> {
    let read = move |reader: &Reader<'_>| {
        let server = resolve::server(reader, &server)?.value;
        drain::nothing_is_left(reader, &server)?;
        Ok::<_, Problem>(server.id)
    };
    let id = state.directory.read(read).await?;
    state.write(Request::DeleteServer { id, expect }, params.dry_run).await?;
    Ok(view::no_content())
}
