//! `/.well-known/acme-challenge/`: what a certificate authority looks for at a name (RFC 8555 section 8.3). Any edge
//! answers: the directory has it.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sterna_directory::Reader;
use sterna_directory::acme::ChallengeKind;

use crate::admin::AdminState;

/// Below this path.
pub(super) const PATH: &str = "/.well-known/acme-challenge/";

/// The answer to one question; whoever asks may know it.
pub(super) async fn answer(State(state): State<AdminState>, Path(token): Path<String>) -> Response {
    let found = state.directory.read(|reader: &Reader<'_>| reader.acme()).await;
    let challenges = match found {
        Ok(found) => found.map(|found| found.value.challenges).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "a certificate authority could not be answered");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let asked = challenges.into_iter().find(|one| one.kind == ChallengeKind::Http && one.token == token);
    match asked {
        Some(challenge) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
            (kind, challenge.key_authorization).into_response()
        }
        None => (StatusCode::NOT_FOUND, "Nobody was asked this here.\n").into_response(),
    }
}
