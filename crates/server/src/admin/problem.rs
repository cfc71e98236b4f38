//! Errors as problem documents (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_directory::{RequestError, StorageError};

use super::doors::{ProvisionError, TokenError};
use super::records::RecordsError;

/// The media type of RFC 9457 section 3.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Seconds after which a client may repeat what was answered 503.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// An error as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:sterna:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status again.
    pub status: u16,
    /// What stays the same between versions and languages.
    pub code: String,
    /// A few words on the kind of problem.
    pub title: String,
    /// What happened this time.
    pub detail: String,
    /// What to do next.
    pub remedy: String,
    /// The path of the resource that is in the way, for `taken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
    /// The name and address of the main node, for `not-main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<String>,
}

impl Problem {
    /// A problem with all that every problem has.
    pub fn new(
        status: StatusCode,
        code: &str,
        title: &str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Problem {
            kind: format!("urn:sterna:problem:{code}"),
            status: status.as_u16(),
            code: code.to_owned(),
            title: title.to_owned(),
            detail: detail.into(),
            remedy: remedy.into(),
            existing: None,
            main: None,
        }
    }

    /// The request's form is wrong.
    pub fn malformed(detail: impl Into<String>) -> Self {
        let remedy = "Correct the request; the names of fields are in the documentation of the API.";
        Problem::new(StatusCode::BAD_REQUEST, "malformed", "The request can't be read", detail, remedy)
    }

    /// Domains can't have this setting of their own.
    pub fn not_of_domains(name: &str) -> Self {
        let detail = format!("“{name}” holds for the whole installation; no domain has its own");
        let remedy = "Set it without a domain, or list what domains can have (sterna config list --domain DOMAIN).";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-of-domains", "A domain can't have it", detail, remedy)
    }

    /// Whoever works as somebody else looks, and changes nothing of how that one comes in.
    pub fn as_another() -> Self {
        let detail = "whoever works as somebody else only looks here";
        let remedy = "Change it as the administrator that you are, or let the user do it.";
        Problem::new(StatusCode::FORBIDDEN, "as-another", "Not permitted", detail, remedy)
    }

    /// Nobody knows who asks.
    pub fn not_signed_in() -> Self {
        let remedy = "Sign in, or send a token that is still good (sterna token create).";
        Problem::new(StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in", "nobody is signed in", remedy)
    }

    /// This node keeps no record of administration.
    pub fn not_recorded() -> Self {
        let remedy = "Ask the main node.";
        let detail = "only the main node knows of sessions and of what administrators did";
        Problem::new(StatusCode::CONFLICT, "not-here", "It is not kept here", detail, remedy)
    }

    /// There is none of these.
    pub fn no_such(what: &'static str, id: &str) -> Self {
        RequestError::NoSuch { what, id: id.to_owned() }.into()
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let (status, title) = match &error {
            RequestError::NotMain => (StatusCode::MISDIRECTED_REQUEST, "This is not the main node"),
            RequestError::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "A value is not allowed"),
            RequestError::Taken { .. } => (StatusCode::CONFLICT, "The name is taken"),
            RequestError::NoSuch { .. } => (StatusCode::NOT_FOUND, "It doesn't exist"),
            RequestError::Changed { .. } => (StatusCode::PRECONDITION_FAILED, "It was changed meanwhile"),
            RequestError::ChangedAgain { .. } => (StatusCode::CONFLICT, "It was changed again since"),
            RequestError::SecretNotKept { .. } => (StatusCode::CONFLICT, "The former value is not known"),
            RequestError::Moved { .. } => (StatusCode::CONFLICT, "The account was moved meanwhile"),
            RequestError::Moving { .. } => (StatusCode::CONFLICT, "The account is moving"),
            RequestError::WrongPhase { .. } => (StatusCode::CONFLICT, "The move is at another step"),
            RequestError::JobState { .. } => (StatusCode::CONFLICT, "The job is in another state"),
            RequestError::StoreLeaving { .. } => (StatusCode::CONFLICT, "An older store is still there"),
            RequestError::InUse { .. } | RequestError::ServerInUse { .. } => (StatusCode::CONFLICT, "It is in use"),
            RequestError::Limit { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "A limit is reached"),
            RequestError::NoServer(_) => (StatusCode::CONFLICT, "No server takes the account"),
            RequestError::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, "The directory can't be read or written"),
        };
        if let RequestError::Storage(cause) = &error {
            log_storage(cause);
        }
        let mut problem = Problem::new(status, error.code(), title, error.to_string(), error.remedy());
        if let RequestError::Taken { owner, owner_id, .. } = &error {
            problem.existing = Some(format!("/api/v1/{}/{owner_id}", collection(owner)));
        }
        problem
    }
}

/// The collection of a thing, by the name that the directory's errors give it.
fn collection(what: &str) -> &'static str {
    match what {
        "user" => "users",
        "group" => "groups",
        "external contact" => "contacts",
        "domain" => "domains",
        "server" => "servers",
        _ => "accounts",
    }
}

fn log_storage(error: &StorageError) {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, source, "the directory can't be read or written");
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        RequestError::Storage(error).into()
    }
}

impl From<ProvisionError> for Problem {
    fn from(error: ProvisionError) -> Self {
        match &error {
            ProvisionError::Unreachable { .. } => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "server-unreachable",
                "A server doesn't answer",
                error.to_string(),
                "See which servers answer (sterna status), and try again once it does, or name another one.",
            ),
            ProvisionError::Refused { .. } => Problem::new(
                StatusCode::BAD_GATEWAY,
                "server-refused",
                "A server refused",
                error.to_string(),
                "Look at that server's log; nothing was made.",
            ),
        }
    }
}

impl From<RecordsError> for Problem {
    fn from(error: RecordsError) -> Self {
        tracing::error!(%error, "the record of administration can't be read or written");
        let remedy = "Look at the main node's log, its disk and its free space.";
        let title = "The record of administration can't be read or written";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "storage", title, error.to_string(), remedy)
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NotMain => RequestError::NotMain.into(),
            TokenError::Storage(detail) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "storage",
                "The tokens can't be read or written",
                detail,
                "Look at the node's log, its disk and its free space.",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

/// The answer to paths that don't exist.
pub async fn not_found(uri: axum::http::Uri) -> Problem {
    let detail = format!("there is nothing at {}", uri.path());
    let remedy = "Use a client of the same version as the node (sterna --version).";
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "It doesn't exist", detail, remedy)
}

/// The answer to methods that a path doesn't have.
pub async fn method_not_allowed(method: axum::http::Method, uri: axum::http::Uri) -> Problem {
    let detail = format!("{} can't be done with {method}", uri.path());
    let remedy = "Use a client of the same version as the node (sterna --version).";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "The method is not allowed", detail, remedy)
}
