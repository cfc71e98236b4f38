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

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(path: &str, headers: &[(HeaderName, &str)]) -> Response<Body> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        file(path.parse().unwrap(), headers).await
    }

    #[tokio::test]
    async fn the_page_is_asked_for_each_time_and_sent_once() {
        let first = asked("/admin/people/users", &[]).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(first.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let strong = tag.trim_start_matches("W/").to_owned();
        for known in [tag.clone(), format!("\"other\", {strong}")] {
            let again = asked("/admin/", &[(header::IF_NONE_MATCH, &known)]).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(asked("/admin/", &[(header::IF_NONE_MATCH, "\"other\"")]).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_compressed_says_so_and_what_is_gone_is_not_found() {
        let page = asked("/admin/", &[(header::ACCEPT_ENCODING, "gzip")]).await;
        let is_packed = page.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let first = axum::body::to_bytes(page.into_body(), usize::MAX).await.unwrap()[0];
        assert_eq!(is_packed, first == 0x1f, "what begins like gzip says that it is, and nothing else does");
        assert_eq!(asked("/admin/chunk-AAAAAAAA.js", &[]).await.status(), StatusCode::NOT_FOUND);
    }
}
