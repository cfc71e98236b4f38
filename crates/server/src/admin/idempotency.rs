//! `Idempotency-Key`: a POST whose answer was lost may be sent again, and is answered the same instead of being done
//! twice.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::doors::AdminState;
use super::policy::whole;
use super::principal::{Principal, Via};
use super::problem::Problem;
use super::records::{KeptAnswer, Records};
use super::{BODY_BYTES_MAX, objects};

/// The header of the request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Longest answer that is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What paths end with that make links and tokens: who has one of those gets in.
const SECRET_PATHS: [&str; 4] = ["/tokens", "/links", "/api-tokens", "/sudo"];

/// Headers that belong to an answer.
static KEPT_HEADERS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::LOCATION, header::ETAG, HeaderName::from_static("sterna-changed")];

/// Answers a request once.
pub(super) async fn once(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let Some(records) = state.records.clone() else { return next.run(request).await };
    let principal = request.extensions().get::<Principal>().cloned();
    let key = request.headers().get(KEY).cloned();
    let (Some(key), Some(principal), &Method::POST) = (key, principal, request.method()) else {
        return next.run(request).await;
    };
    let may_more = !principal.rights.is_empty();
    let answered = answered(&state, &records, (whose(&principal), key), may_more, request, next).await;
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// Keys of different people are different keys; those of one person's programs, too.
fn whose(principal: &Principal) -> String {
    match (&principal.via, principal.account) {
        (Via::Token(id), _) => format!("token {id}"),
        (Via::Sudo(id), _) => format!("sudo {id}"),
        (_, Some(account)) => format!("account {account}"),
        (_, None) => principal.name.clone(),
    }
}

async fn answered(
    state: &AdminState,
    records: &Records,
    (who, key): (String, HeaderValue),
    may_more: bool,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    let key = key.ok_or_else(|| Problem::malformed("Idempotency-Key takes 1 to 255 visible characters"))?.to_owned();
    let (head, body) = request.into_parts();
    let shows_secret = SECRET_PATHS.iter().any(|end| head.uri.path().ends_with(end));
    let is_file = head.uri.path().ends_with("/objects") && may_more;
    let bytes = whole(body, if is_file { objects::BODY_BYTES_MAX } else { BODY_BYTES_MAX }).await?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(head.uri.to_string().as_bytes()).update(&[0]).update(&bytes);
    let asked = hasher.finalize().to_hex().to_string();
    if let Some(kept) = records.begin_answer(who.clone(), key.clone(), asked.clone(), state.directory.now()).await? {
        return replay(kept, &asked);
    }
    // Should the client go away, the work goes on, and its answer is there for the repetition.
    let records = records.clone();
    let work = tokio::spawn(async move {
        let response = next.run(Request::from_parts(head, Body::from(bytes))).await;
        keep(&records, (who, key), asked, shows_secret, response).await
    });
    let gone = || {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            "It failed",
            "the work broke off",
            "Look at the node's log.",
        )
    };
    work.await.map_err(|_| gone())?
}

async fn keep(
    records: &Records,
    (who, key): (String, String),
    request: String,
    shows_secret: bool,
    response: Response,
) -> Result<Response, Problem> {
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, objects::BODY_BYTES_MAX).await.unwrap_or_default();
    // What was not done can be tried anew. Secrets are shown once, and kept nowhere; nor is what is too long.
    let is_settled = head.status.is_success();
    let is_secret = head.headers.get(header::CACHE_CONTROL).is_some_and(|value| value == "no-store")
        || shows_secret
        || bytes.len() > ANSWER_BYTES_MAX;
    let kept = is_settled.then(|| KeptAnswer {
        request,
        status: head.status.as_u16(),
        headers: headers_text(&head.headers),
        body: if is_secret { Vec::new() } else { bytes.to_vec() },
    });
    records.end_answer(who, key, kept).await?;
    Ok(Response::from_parts(head, Body::from(bytes)))
}

fn headers_text(headers: &axum::http::HeaderMap) -> String {
    let kept = KEPT_HEADERS.iter().filter_map(|name| Some((name.as_str(), headers.get(name)?.to_str().ok()?)));
    let kept: std::collections::BTreeMap<&str, &str> = kept.collect();
    serde_json::to_string(&kept).unwrap_or_default()
}

fn replay(kept: KeptAnswer, asked: &str) -> Result<Response, Problem> {
    let conflict = |code: &str, detail: &str, remedy: &str| {
        Problem::new(StatusCode::CONFLICT, code, "The key was used before", detail, remedy)
    };
    if kept.request != asked {
        let remedy = "Use a new key for each new request.";
        return Err(conflict("idempotency-key-reused", "another request was sent with this key", remedy));
    }
    if kept.status == 0 {
        let remedy = "Ask again in a moment.";
        return Err(conflict("still-at-it", "the first request with this key is still being done", remedy));
    }
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    if status != StatusCode::NO_CONTENT && kept.body.is_empty() {
        let remedy = "See whether it is there; if its secret is lost, delete it and make it again.";
        return Err(conflict("secret-not-repeated", "it was done; the first answer isn't kept", remedy));
    }
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = status;
    let headers: std::collections::BTreeMap<String, String> = serde_json::from_str(&kept.headers).unwrap_or_default();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
