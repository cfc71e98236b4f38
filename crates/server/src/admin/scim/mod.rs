//! `/scim/v2`: people and groups from those who provision (RFC 7643, RFC 7644), as Entra and Okta send them.
//!
//! Who asks has a token of the API; what it permits, and in which domain, holds here. Deprovisioning suspends: a
//! mailbox is not deleted by a program elsewhere.

mod filter;
mod groups;
mod listing;
mod patch;
mod resource;
mod schemas;
mod users;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use sterna_base::Modseq;

use super::doors::AdminState;
use super::problem::Problem;

/// Where it is.
pub const PATH: &str = "/scim/v2";

/// The media type of RFC 7644 section 3.1.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");

/// Largest body, in bytes: the members of a large group.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An error as SCIM tells it (RFC 7644 section 3.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimError {
    status: StatusCode,
    /// One of table 9, where one fits.
    kind: Option<&'static str>,
    detail: String,
}

impl ScimError {
    fn new(status: StatusCode, kind: Option<&'static str>, detail: impl Into<String>) -> Self {
        ScimError { status, kind, detail: detail.into() }
    }

    /// A value that can't be.
    fn invalid_value(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Some("invalidValue"), detail)
    }

    /// A body that can't be read.
    fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Some("invalidSyntax"), detail)
    }

    /// There is none.
    fn not_found(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, None, format!("there is no resource “{id}”"))
    }

    /// It may not be done.
    fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, None, detail)
    }

    /// Somebody has the name.
    fn uniqueness(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Some("uniqueness"), detail)
    }
}

impl From<Problem> for ScimError {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match status {
            StatusCode::CONFLICT if problem.code == "taken" => ScimError::uniqueness(problem.detail),
            StatusCode::CONFLICT => ScimError::new(status, Some("mutability"), problem.detail),
            StatusCode::UNPROCESSABLE_ENTITY => ScimError::invalid_value(problem.detail),
            StatusCode::MISDIRECTED_REQUEST => {
                ScimError::new(StatusCode::SERVICE_UNAVAILABLE, None, format!("{}: {}", problem.detail, problem.remedy))
            }
            status => ScimError::new(status, None, problem.detail),
        }
    }
}

impl From<sterna_directory::StorageError> for ScimError {
    fn from(error: sterna_directory::StorageError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for ScimError {
    fn into_response(self) -> Response {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status.as_u16().to_string(),
            "detail": self.detail,
        });
        if let Some(kind) = self.kind {
            body["scimType"] = kind.into();
        }
        let mut response = answer(self.status, body, None);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// An answer of SCIM.
fn answer(status: StatusCode, body: Value, version: Option<Modseq>) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let tag = version.and_then(|version| HeaderValue::from_str(&etag(version)).ok());
    headers.extend(tag.map(|tag| (header::ETAG, tag)));
    let location = body["meta"]["location"].as_str().and_then(|at| HeaderValue::from_str(at).ok());
    let name: HeaderName = if status == StatusCode::CREATED { header::LOCATION } else { header::CONTENT_LOCATION };
    headers.extend(location.map(|location| (name, location)));
    response
}

/// The client has this version.
fn not_modified(version: Modseq) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(version))]).into_response()
}

/// The version of a resource (RFC 7644 section 3.14).
fn etag(version: Modseq) -> String {
    format!("W/\"{version}\"")
}

/// The version that a write expects.
fn if_match(headers: &HeaderMap) -> Result<Option<Modseq>, ScimError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    let failed = || ScimError::new(StatusCode::PRECONDITION_FAILED, None, "If-Match names no version of this resource");
    tag.parse().map(Modseq).map(Some).map_err(|_| failed())
}

/// Whether the client has this version already.
fn has_it(headers: &HeaderMap, version: Modseq) -> bool {
    let value = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    value.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == "*" || tag.trim() == etag(version)))
}

/// A body: an object, whatever it says that it is.
fn object(body: &Bytes) -> Result<Value, ScimError> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| ScimError::invalid_syntax(format!("no JSON: {error}")))?;
    match value.is_object() {
        true => Ok(value),
        false => Err(ScimError::invalid_syntax("the body must be a JSON object")),
    }
}

/// Where resources are, as this client reached us.
fn base(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    format!("https://{}{PATH}", if is_host { host } else { "localhost" })
}

/// The endpoints.
pub(super) fn router() -> Router<AdminState> {
    let missing = || async { ScimError::new(StatusCode::NOT_FOUND, None, "there is no such endpoint") };
    let refused =
        || async { ScimError::new(StatusCode::METHOD_NOT_ALLOWED, None, "this endpoint doesn't take this method") };
    let routes = Router::new()
        .route("/ServiceProviderConfig", get(schemas::config))
        .route("/ResourceTypes", get(schemas::resource_types))
        .route("/ResourceTypes/{id}", get(schemas::resource_type))
        .route("/Schemas", get(schemas::schemas))
        .route("/Schemas/{id}", get(schemas::schema))
        .route("/Users", get(users::list).post(users::create))
        .route("/Users/.search", axum::routing::post(users::search))
        .route("/Users/{id}", get(users::get).put(users::put).patch(users::patch).delete(users::delete))
        .route("/Groups", get(groups::list).post(groups::create))
        .route("/Groups/.search", axum::routing::post(groups::search))
        .route("/Groups/{id}", get(groups::get).put(groups::put).patch(groups::patch).delete(groups::delete));
    Router::new()
        .nest(PATH, routes.fallback(missing).method_not_allowed_fallback(refused))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}
