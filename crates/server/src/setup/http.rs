//! The setup over HTTPS, for programs that make installations: only while it is open, and only for whoever has the code
//! of the link. Afterwards there is the rest of the API; at the administration socket it is [`super::socket`].

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use sterna_web::setup::answers::AnswersFile;
use sterna_web::setup::{NotEntered, Setup, unattended};

use super::socket::{over, told};
use crate::admin::problem::Problem;
use crate::admin::sessions::From;

/// Longest file of answers, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The routes.
pub fn router(setup: Arc<Setup>) -> Router {
    Router::new().route("/api/v1/setup", get(show).post(answer)).with_state(setup)
}

/// That it waits for answers; nobody is told more.
async fn show(State(setup): State<Arc<Setup>>) -> Result<Response, Problem> {
    if !setup.is_open() {
        return Err(over());
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "open": true }))).into_response())
}

/// Everything at once, with the code of the link as the bearer of the right to it. The code is used up by that.
async fn answer(
    State(setup): State<Arc<Setup>>,
    Extension(from): Extension<From>,
    request: Request,
) -> Result<Response, Problem> {
    if !setup.is_open() {
        return Err(over());
    }
    if !from.encrypted && !from.peer.to_canonical().is_loopback() {
        let detail = "the code and passwords are only taken over TLS";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-encrypted", "Not encrypted", detail, "Use https."));
    }
    let (head, body) = request.into_parts();
    let code = head.headers.get(header::AUTHORIZATION).and_then(bearer).unwrap_or_default().to_owned();
    // Before the code is used up: a slip in the file can be mended.
    let bytes =
        axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| Problem::malformed(error.to_string()))?;
    let file: AnswersFile =
        serde_json::from_slice(&bytes).map_err(|error| Problem::malformed(format!("no answers: {error}")))?;
    setup.enter(&code, from.peer).await.map_err(not_entered)?;
    let report = unattended::run(&setup, file).await.map_err(|refusal| told(&refusal))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response())
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, code) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| code.trim())
}

fn not_entered(why: NotEntered) -> Problem {
    let remedy = "Print a new link on the machine: sterna setup link.";
    match why {
        NotEntered::Wrong => {
            let detail = "the code is wrong, was used, or is too old";
            Problem::new(StatusCode::UNAUTHORIZED, "wrong-code", "The code is not taken", detail, remedy)
        }
        NotEntered::Wait { seconds } => {
            let detail = format!("too many wrong codes; the next is looked at in {seconds} s");
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "Too many attempts",
                detail,
                "Wait so long.",
            )
        }
        NotEntered::Failed => {
            let detail = "setup.toml can't be written";
            let remedy = "Look at the disk of the machine and at the owner of the node's folder.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "storage", "It can't be written down", detail, remedy)
        }
    }
}
