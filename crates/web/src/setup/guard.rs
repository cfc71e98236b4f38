//! Who may send forms: the browser that has the session, from a page of ours.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use http::{HeaderMap, HeaderValue, Uri, header};

use super::Setup;
use crate::{Client, form};

/// The cookie of the session. Its prefix makes browsers insist on TLS, this host and the whole site (RFC 6265bis
/// section 4.1.3.2).
pub const COOKIE: &str = "__Host-sterna-setup";

/// The field of forms that only our own pages know.
pub const TOKEN_FIELD: &str = "token";

/// The cookie that begins a session.
pub fn cookie(secret: &str) -> HeaderValue {
    let text = format!("{COOKIE}={secret}; Path=/; HttpOnly; Secure; SameSite=Strict");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The secret of the session, if the browser has the one that goes through the pages.
pub fn session(setup: &Setup, headers: &HeaderMap) -> Option<String> {
    form::cookie(headers, COOKIE).filter(|secret| setup.knows(secret))
}

/// What stands in the forms of a session. Nobody who doesn't know the session's secret can make it.
pub fn token(secret: &str) -> String {
    blake3::Hash::from(blake3::derive_key("sterna 2026-11-22 setup form token", secret.as_bytes())).to_hex().to_string()
}

/// Whether a request that changes something comes from a page of this host, as far as the browser says (Fetch standard,
/// section 3.7; RFC 6454 section 7). A browser that says nothing is told apart by the token.
pub fn is_same_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match (origin, host) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// Where a request comes from; whoever served it without saying so is this machine.
pub fn address(request: &Request) -> IpAddr {
    let client = request.extensions().get::<Client>();
    client.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |client| client.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&'static str, &str)]) -> bool {
        let headers = pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        is_same_origin(&headers.collect(), &Uri::from_static("/setup"))
    }

    #[test]
    fn other_sites_are_told_apart() {
        assert!(from(&[]) && from(&[("sec-fetch-site", "same-origin")]) && from(&[("sec-fetch-site", "none")]));
        assert!(from(&[("origin", "https://mail.test:8443"), ("host", "mail.test:8443")]));
        assert!(from(&[("origin", "null"), ("sec-fetch-site", "same-origin")]), "a page with another referrer policy");
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.test"),
            ("origin", "https://mail.test:8443.evil.test"),
            ("origin", "null"),
            ("origin", ""),
        ] {
            assert!(!from(&[(name, value), ("host", "mail.test:8443")]), "{name}: {value}");
        }
    }

    #[test]
    fn tokens_are_of_one_session() {
        assert_eq!(token("a"), token("a"));
        assert_ne!(token("a"), token("b"));
        assert!(!cookie("abc").to_str().unwrap().is_empty());
    }
}
