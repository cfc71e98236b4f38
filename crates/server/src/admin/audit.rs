//! The record of what administrators did: every request that changes something, whoever made it, with what came of it.
//! `/api/v1/audit`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sterna_base::{AccountId, Timestamp};
use sterna_directory::Reader;
use sterna_directory::settings::is_secret;

use super::doors::AdminState;
use super::input::Asked;
use super::policy::{is_dry_run, whole};
use super::principal::{Principal, Via};
use super::problem::Problem;
use super::records::{AuditFilter, AuditLine};
use super::view::{Page, time};
use super::{BODY_BYTES_MAX, archive, resolve};

/// Longest body that is written into the record, in bytes; of a longer one only its length is.
const RECORDED_BYTES_MAX: usize = 16 * 1024;

/// Lines of a page when the client doesn't say.
const LINES_DEFAULT: usize = 100;

/// Most lines of a page.
const LINES_MAX: usize = 1000;

/// Fields whose values are nobody's business.
const SECRET_FIELDS: [&str; 9] =
    ["password", "password_hash", "secret", "token", "code", "current", "scram", "key", "url"];

/// What stands in their place.
const NOT_RECORDED: &str = "(not recorded)";

/// Lets a request go on, and writes down what came of it.
pub(super) async fn record(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let Some(records) = state.records.clone() else { return next.run(request).await };
    // Where that isn't possible it is refused.
    let principal = request.extensions().get::<Principal>().cloned();
    // Of whoever works as somebody else it is written down what they look at, too.
    let as_another = principal.as_ref().filter(|principal| matches!(principal.via, Via::Sudo(_)));
    let as_another = as_another.and_then(|principal| principal.account);
    // Who takes all of an account along is recorded, too.
    let is_archive = request.uri().path().ends_with(archive::PATH_END);
    if as_another.is_none() && !is_archive && (request.method().is_safe() || is_dry_run(&request)) {
        return next.run(request).await;
    }
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let subject = match as_another {
        Some(account) => Some(account),
        None => subject(&state, &path).await,
    };
    // Who isn't known changes nothing: the door's log has it.
    let Some(principal) = principal else { return next.run(request).await };
    let (request, mut body) = match recorded_body(request).await {
        Ok(found) => found,
        Err(problem) => return problem.into_response(),
    };
    let line = AuditLine {
        number: 0,
        at: state.directory.now(),
        via: principal.via_text(),
        who: principal.name,
        peer: principal.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        method,
        path,
        status: 0,
        subject,
        body: String::new(),
    };
    // Of whoever works as somebody else the line is there before anything is done; without it nothing is.
    let begun = match as_another {
        Some(_) => match records.note(AuditLine { body: body.clone(), ..line.clone() }).await {
            Ok(number) => Some(number),
            Err(error) => return Problem::from(error).into_response(),
        },
        None => None,
    };
    let rights = principal.rights;
    let recording = async move {
        let response = next.run(request).await;
        let status = response.status().as_u16();
        if let Some(number) = begun {
            if let Err(error) = records.note_status(number, status).await {
                tracing::error!(%error, "what came of a request of an administrator as a user could not be recorded");
            }
            return response;
        }
        let is_refused = response.status().is_client_error();
        // Those who may nothing are refused everything: they don't fill the record.
        if is_refused && rights.is_empty() {
            return response;
        }
        if is_refused {
            body = String::new();
        }
        let line = AuditLine { status, body, ..line };
        if let Err(error) = records.note(line).await {
            tracing::error!(%error, "what an administrator did could not be recorded");
        }
        response
    };
    // Should the client go away, it is done and recorded all the same.
    match tokio::spawn(recording).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a request of an administrator broke off");
            let (title, remedy) = ("It failed", "Look at the node's log.");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, "failed", title, "the work broke off", remedy).into_response()
        }
    }
}

/// Whose account a path is about.
async fn subject(state: &AdminState, path: &str) -> Option<AccountId> {
    let mut parts = path.strip_prefix("/api/v1/")?.split('/');
    let (collection, name) = (parts.next()?, parts.next()?.to_owned());
    if !matches!(collection, "users" | "groups" | "accounts" | "resources") {
        return None;
    }
    let name = percent_decoded(&name);
    let found = state.directory.read(move |reader: &Reader<'_>| resolve::entry(reader, &name, "user")).await;
    found.ok().map(|found| found.value.entry().id)
}

fn percent_decoded(text: &str) -> String {
    axum::http::Uri::builder()
        .path_and_query(format!("/?x={text}"))
        .build()
        .ok()
        .and_then(|uri| Query::<std::collections::HashMap<String, String>>::try_from_uri(&uri).ok())
        .and_then(|Query(mut query)| query.remove("x"))
        .unwrap_or_else(|| text.to_owned())
}

/// The request, and its body as it is written down.
async fn recorded_body(request: Request) -> Result<(Request, String), Problem> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = length.filter(|length| *length > RECORDED_BYTES_MAX) {
        return Ok((request, format!("{length} bytes")));
    }
    let path = request.uri().path();
    if path.ends_with(archive::PATH_END) {
        return Ok((request, String::new()));
    }
    // What SCIM changes can be a password by its path, and isn't told from others by its name.
    let (is_secret, is_scim) = (is_secret_setting(path), path.starts_with(super::scim::PATH));
    let (head, body) = request.into_parts();
    // Longer ones say their length; who says none is taken at no more than any endpoint takes but those for files.
    let bytes = whole(body, BODY_BYTES_MAX).await?;
    let text = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(mut fields)) if bytes.len() <= RECORDED_BYTES_MAX && !is_scim => {
            if is_secret && fields.contains_key("value") {
                fields.insert("value".to_owned(), Value::from(NOT_RECORDED));
            }
            let mut value = Value::Object(fields);
            redact(&mut value);
            value.to_string()
        }
        _ if bytes.is_empty() => String::new(),
        Ok(_) if is_scim => format!("{} bytes", bytes.len()),
        _ => format!("{} bytes", bytes.len()),
    };
    Ok((Request::from_parts(head, Body::from(bytes)), text))
}

/// Whether a path is that of a setting whose value is nobody's business.
fn is_secret_setting(path: &str) -> bool {
    path.strip_prefix("/api/v1/settings/").is_some_and(|name| is_secret(&percent_decoded(name)))
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if SECRET_FIELDS.contains(&name.as_str()) && !field.is_null() {
                    *field = Value::from(NOT_RECORDED);
                } else {
                    redact(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

/// What is asked of the record.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct AuditParams {
    /// Go on before this line: the `next` of the page before.
    after: Option<i64>,
    /// Most lines.
    limit: Option<usize>,
    /// How many seconds back.
    since_seconds: Option<u64>,
    /// Only what this one did.
    who: Option<String>,
    /// Only what was about this user, group or mailbox.
    about: Option<String>,
    /// Only where path or body have this text.
    text: Option<String>,
}

/// A line as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditLine")]
pub(super) struct LineView {
    at: String,
    /// The address of whose account it was about, if there still is one.
    about: Option<String>,
    #[serde(flatten)]
    line: AuditLine,
}

/// The newest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Asked(params): Asked<AuditParams>,
) -> Result<Json<Page<LineView>>, Problem> {
    let records = state.records.clone().ok_or_else(Problem::not_recorded)?;
    let subject = match params.about {
        Some(text) => {
            let found = state.directory.read(move |reader| resolve::entry(reader, &text, "user")).await?;
            Some(found.value.entry().id)
        }
        None => None,
    };
    let limit = params.limit.unwrap_or(LINES_DEFAULT).clamp(1, LINES_MAX);
    let back = |seconds: u64| Timestamp(state.directory.now().0.saturating_sub_unsigned(seconds.saturating_mul(1000)));
    let filter = AuditFilter {
        before: params.after,
        since: params.since_seconds.map(back),
        who: params.who,
        subject,
        sudo: false,
        done: false,
        looking: None,
        text: params.text,
        limit: limit + 1,
    };
    let lines = records.audit(filter).await?;
    let read = move |reader: &Reader<'_>| {
        let views = lines.into_iter().map(|line| {
            let entry = line.subject.map(|id| reader.entry(id)).transpose()?.flatten();
            let about = entry.map(|entry| reader.address_text(&entry.value.entry().address)).transpose()?.flatten();
            Ok(LineView { at: time(line.at), about, line })
        });
        views.collect::<Result<Vec<_>, Problem>>()
    };
    Ok(Page::cut(state.directory.read(read).await?, limit, |view| view.line.number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_recorded_however_deep_they_are() {
        let mut value = serde_json::json!({
            "password": "x", "name": "y", "list": [{"token": "z", "password": null}], "code": 123456
        });
        redact(&mut value);
        let redacted = "(not recorded)";
        let expected = serde_json::json!({
            "password": redacted, "name": "y", "list": [{"token": redacted, "password": null}], "code": redacted
        });
        assert_eq!(value, expected);
        assert_eq!(percent_decoded("ana%40tern.test"), "ana@tern.test");
        assert!(is_secret_setting("/api/v1/settings/relay.password"));
        assert!(!is_secret_setting("/api/v1/settings/postmaster"));
    }
}
