//! Who asks the API from outside: a session's cookie, or a token.
//!
//! Browsers send cookies whoever made them send a request. So a request with a cookie that changes something must come
//! from a page of this very host: browsers say so in `Sec-Fetch-Site`, older ones in `Origin`; and the cookie itself is
//! `SameSite=Strict`.

use axum::extract::{Extension, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::admin::problem::Problem;
use crate::admin::scim::{self, ScimError};
use crate::admin::sessions::{self, From};
use crate::admin::{AdminState, api_tokens};

/// Where people sign in: the one request that nobody is known for.
const SIGN_IN: &str = "/api/v1/session";

/// Finds out who asks, and lets the API answer.
pub(super) async fn admit(
    State(state): State<AdminState>,
    Extension(from): Extension<From>,
    request: Request,
    next: Next,
) -> Response {
    let is_scim = request.uri().path().starts_with(scim::PATH);
    let mut response = match admitted(&state, from, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) if is_scim => ScimError::from(problem).into_response(),
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

async fn admitted(state: &AdminState, from: From, request: Request) -> Result<Request, Problem> {
    if !from.encrypted && !from.peer.to_canonical().is_loopback() {
        let detail = "passwords and tokens are only taken over TLS";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-encrypted", "Not encrypted", detail, "Use https."));
    }
    let (mut head, body) = request.into_parts();
    let principal = match bearer(&head.headers) {
        Some(token) => Some(api_tokens::principal_of(state, token).await?),
        None => {
            let is_sign_in = head.method == Method::POST && head.uri.path() == SIGN_IN;
            let principal = match is_sign_in {
                true => None,
                false => sessions::principal_of(state, &head, from).await?,
            };
            if (principal.is_some() || is_sign_in) && !head.method.is_safe() && !is_from_here(&head) {
                let detail = "the request does not come from a page of this server";
                let remedy = "Use the console at the address that it was opened at, or a token.";
                return Err(Problem::new(StatusCode::FORBIDDEN, "foreign-page", "Not permitted", detail, remedy));
            }
            principal
        }
    };
    if let Some(mut principal) = principal {
        principal.peer = Some(from.peer);
        head.extensions.insert(principal);
    }
    Ok(Request::from_parts(head, body))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a page of this host sent it, or a program that is no browser.
fn is_from_here(head: &Parts) -> bool {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = head.uri.authority().map(ToString::to_string).or_else(|| text("host").map(str::to_owned));
            let origin = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
            host.is_some() && origin == host
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = axum::http::Request::builder().uri("/api/v1/users").header("host", "mail.tern.test:8443");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn pages_of_others_change_nothing() {
        for (headers, expected) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://mail.tern.test:8443")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://mail.tern.test:8443")], true),
            (&[("origin", "https://mail.tern.test")], false),
            (&[("origin", "https://evil.test")], false),
            (&[("origin", "null")], false),
        ] {
            assert_eq!(is_from_here(&head(headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn tokens_are_found_where_they_are() {
        let of = |text: &str| bearer(&head(&[("authorization", text)]).headers).map(str::to_owned);
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc"), None);
    }
}
