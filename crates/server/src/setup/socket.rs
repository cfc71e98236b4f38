//! The setup at the administration socket: a new link, and answers from a file.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use sterna_directory::Directory;
use sterna_web::setup::answers::AnswersFile;
use sterna_web::setup::door::Refusal;
use sterna_web::setup::{Setup, unattended};

use super::doors::Doors;
use super::link;
use crate::admin::problem::Problem;
use crate::config::Config;

/// What the routes work with.
#[derive(Clone)]
pub struct SetupState {
    /// The setup.
    pub setup: Arc<Setup>,
    /// The configuration that the node runs with.
    pub config: Arc<Config>,
    /// Its folder.
    pub folder: PathBuf,
    /// What listens.
    pub doors: Arc<Doors>,
    /// Whether there is anything yet.
    pub directory: Directory,
}

/// The routes; the socket lets in who may be there.
pub fn router(state: SetupState) -> Router {
    Router::new()
        .route("/api/v1/setup", get(show).post(answer))
        .route("/api/v1/setup/link", post(new_link))
        .with_state(state)
}

async fn show(State(state): State<SetupState>) -> Response {
    Json(json!({ "open": state.setup.is_open() })).into_response()
}

/// A new link. An installation that was made by `sterna init` and has nothing in it yet can be set up, too.
async fn new_link(State(state): State<SetupState>) -> Result<Response, Problem> {
    begin(&state).await?;
    let code = state.setup.new_code().await.map_err(|error| unwritten(&error))?.ok_or_else(over)?;
    let text = link::text(&code, &state.config, &state.folder, &state.doors).ok_or_else(|| {
        let remedy = "Set https in [listen] of sterna.toml, and restart the node.";
        Problem::new(StatusCode::CONFLICT, "no-https", "Nothing listens", "no HTTPS listener is open", remedy)
    })?;
    Ok(Json(json!({ "text": text })).into_response())
}

/// Everything at once.
async fn answer(State(state): State<SetupState>, Json(file): Json<AnswersFile>) -> Result<Response, Problem> {
    begin(&state).await?;
    let report = unattended::run(&state.setup, file).await.map_err(|refusal| told(&refusal))?;
    Ok(Json(report).into_response())
}

async fn begin(state: &SetupState) -> Result<(), Problem> {
    if state.setup.is_open() {
        return Ok(());
    }
    let is_empty = state.directory.read(|reader| reader.domains("", 1)).await?.is_empty();
    match is_empty && !state.setup.is_over() {
        true => state.setup.begin_now().await.map_err(|error| unwritten(&error)),
        false => Err(over()),
    }
}

pub(super) fn over() -> Problem {
    let detail = "the setup of this installation is over";
    let remedy = "Use the console, or sterna domain, user and config.";
    Problem::new(StatusCode::CONFLICT, "setup-over", "It is set up", detail, remedy)
}

fn unwritten(error: &std::io::Error) -> Problem {
    let detail = format!("setup.toml can't be written: {error}");
    let remedy = "Look at the disk of this machine and at the owner of the node's folder.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "storage", "It can't be written down", detail, remedy)
}

pub(super) fn told(refusal: &Refusal) -> Problem {
    let (detail, remedy) = (refusal.detail.clone(), refusal.remedy.clone());
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &refusal.code, "An answer can't be used", detail, remedy)
}
