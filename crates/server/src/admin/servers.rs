//! `/api/v1/servers`: servers make themselves known when they join; here they are looked at, changed and removed.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use sterna_directory::request::ServerPatch;
use sterna_directory::{Reader, Request};

use super::doors::AdminState;
use super::input::{Body, IfMatch, Params};
use super::problem::Problem;
use super::view::{Page, Resource, ServerView};
use super::{resolve, view};

/// The body of PATCH; what is not there stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServerBody {
    name: Option<String>,
    address: Option<String>,
    weight: Option<u32>,
    accepts_new_accounts: Option<bool>,
}

/// All of them: there are few.
pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<ServerView>>, Problem> {
    let read = |reader: &Reader<'_>| {
        let found = reader.servers()?;
        found.into_iter().map(|found| Ok(view::server(reader, found.value)?)).collect::<Result<Vec<_>, Problem>>()
    };
    Ok(Json(Page { items: state.directory.read(read).await?, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(server): Path<String>,
) -> Result<Resource<ServerView>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::server(reader, &server)?;
        Ok(Resource::read(view::server(reader, found.value)?, found.modseq))
    };
    state.directory.read(read).await
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    Body(body): Body<ServerBody>,
) -> Result<Resource<ServerView>, Problem> {
    let id = state.directory.read(move |reader| resolve::server(reader, &server)).await?.value.id;
    let patch = ServerPatch {
        name: body.name,
        address: body.address,
        weight: body.weight,
        accepts_new_accounts: body.accepts_new_accounts,
        ..ServerPatch::default()
    };
    let done = state.write(Request::SetServer { id, expect, patch }, params.dry_run).await?;
    Ok(get(State(state), Path(id.to_string())).await?.changed(done.changed))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(server): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
) -> Result<Response, Problem> {
    let id = state.directory.read(move |reader| resolve::server(reader, &server)).await?.value.id;
    state.write(Request::DeleteServer { id, expect }, params.dry_run).await?;
    Ok(view::no_content())
}
