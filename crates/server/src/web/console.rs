//! The console: the files that were built into the program.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use sterna_webui::{CONTENT_SECURITY_POLICY, asset};

/// What every page of the console is sent with, besides what may run in it: nobody learns from where its links were
/// followed, and it shares no process with pages of others.
const GUARDS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// A file of the console, or its page.
pub(super) async fn file(uri: Uri, headers: HeaderMap) -> Response<Body> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(found) = asset(uri.path(), accepted) else {
        let mut response = Response::new(Body::from("There is no such file.\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return guarded(response);
    };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known =
        known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == found.etag.trim_start_matches("W/"));
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(found.bytes) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static(found.etag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(found.cache_control));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(found.media_type));
    if let Some(coding) = found.coding.name() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    guarded(response)
}

fn guarded(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().extend(GUARDS);
    response
}
