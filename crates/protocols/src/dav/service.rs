//! One request: who asks, for which method.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use sterna_account::service::Login;
use sterna_base::Secret;

use super::answer::{Problem, done, with_header};
use super::api::{is_api, private};
use super::body::{Body, drain};
use super::context::{Context, Request, peer_login};
use super::discovery::{self, Page};
use super::pages::{self, Visitor};
use super::{Shared, method, shared_links};
use crate::failure::{concerns_operator, is_passing};

/// What OPTIONS and PROPFIND say that is offered (RFC 4918 section 18; RFC 3744; RFC 4791; RFC 6352; RFC 5689).
const COMPLIANCE: &str = "1, 2, 3, access-control, calendar-access, calendar-auto-schedule, calendar-availability, \
    addressbook, calendar-proxy, extended-mkcol, sync-collection, calendar-managed-attachments, calendar-no-timezone";

/// Methods that change nothing.
const LOOKS: [&str; 5] = ["OPTIONS", "GET", "HEAD", "PROPFIND", "REPORT"];

/// Answers a request; every one has an answer.
pub async fn answer(
    shared: Arc<Shared>,
    request: http::Request<Incoming>,
    peer: IpAddr,
    encrypted: bool,
) -> Response<Body> {
    if let Some(pages) = shared.pages.as_ref().filter(|pages| pages.owns(request.method(), request.uri().path())) {
        return pages::answer(pages.as_ref(), request, Visitor { peer, encrypted }).await;
    }
    // Who knows the path of a public link can read by it: logs don't have it.
    let (method, path) = (request.method().clone(), shared_links::without_token(request.uri().path()).to_owned());
    let result = route(shared, request, peer, encrypted).await;
    let mut response = result.unwrap_or_else(|problem| {
        note(&problem, peer, &method, &path);
        problem.response()
    });
    response.headers_mut().insert(HeaderName::from_static("dav"), HeaderValue::from_static(COMPLIANCE));
    response
}

async fn route(
    shared: Arc<Shared>,
    request: http::Request<Incoming>,
    peer: IpAddr,
    encrypted: bool,
) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    if let (Some(facts), Some(page)) = (&shared.facts, Page::of(head.uri.path())) {
        return discovery::answer(facts, page, &head, body).await;
    }
    if shared_links::is_shared(head.uri.path()) {
        return shared_links::answer(&shared, &head, body, peer, encrypted).await;
    }
    match admit(&shared, &head, peer, encrypted).await {
        // What is written may invite somebody, share something, or go on when the time is over.
        Ok(Admitted::Known(login)) if login.is_sudo && !LOOKS.contains(&head.method.as_str()) => {
            drain(body, &head.headers).await;
            Err(Problem::new(StatusCode::FORBIDDEN, "Who works as somebody else changes nothing here"))
        }
        Ok(Admitted::Known(login)) if is_api(head.uri.path()) => {
            drain(body, &head.headers).await;
            let api = shared.api.as_ref().ok_or_else(Problem::not_found)?;
            Ok(private(api.answer(login, head).await))
        }
        Ok(Admitted::Known(login)) => {
            let context = Arc::new(Context::new(shared, login, head.method, head.uri, head.headers));
            dispatch(Request { context, body }).await
        }
        Ok(Admitted::Redirected(to)) => {
            drain(body, &head.headers).await;
            Ok(with_header(done(StatusCode::MOVED_PERMANENTLY), LOCATION, to))
        }
        Err(problem) => {
            drain(body, &head.headers).await;
            Err(problem)
        }
    }
}

/// What is done with a request before its body matters.
enum Admitted {
    Known(Login),
    Redirected(&'static str),
}

async fn admit(shared: &Shared, head: &Parts, peer: IpAddr, encrypted: bool) -> Result<Admitted, Problem> {
    let path = head.uri.path();
    // RFC 6764 section 5: clients ask here first, and need not have logged in. Some are told nothing but the host's
    // name.
    let is_known = matches!(path.trim_end_matches('/'), "/.well-known/caldav" | "/.well-known/carddav");
    if is_known || (path == "/" && matches!(head.method.as_str(), "PROPFIND" | "OPTIONS")) {
        return Ok(Admitted::Redirected("/dav/"));
    }
    if path != "/dav" && !path.starts_with("/dav/") && !is_api(path) {
        return Err(Problem::not_found());
    }
    if !encrypted && !shared.config.plaintext_login {
        let text = "Passwords are only taken over TLS; use https";
        return Err(Problem::new(StatusCode::FORBIDDEN, text));
    }
    log_in(shared, &head.headers, peer).await.map(Admitted::Known)
}

async fn dispatch(request: Request) -> Result<Response<Body>, Problem> {
    let name = request.context.method.clone();
    match name.as_str() {
        "OPTIONS" => method::options::run(request).await,
        "PROPFIND" => method::propfind::run(request).await,
        "PROPPATCH" => method::proppatch::run(request).await,
        "MKCOL" | "MKCALENDAR" => method::mkcol::run(request).await,
        "GET" | "HEAD" => method::get::run(request).await,
        "PUT" => method::put::run(request).await,
        "POST" => method::post::run(request).await,
        "DELETE" => method::delete::run(request).await,
        "COPY" | "MOVE" => method::copy::run(request).await,
        "LOCK" => method::lock::run(request).await,
        "UNLOCK" => method::unlock::run(request).await,
        "ACL" => method::acl::run(request).await,
        "REPORT" => method::report::run(request).await,
        _ => {
            let response = Problem::not_allowed().response();
            Ok(with_header(response, http::header::ALLOW, method::options::ALLOWED))
        }
    }
}

/// Basic authentication (RFC 7617), with UTF-8.
async fn log_in(shared: &Shared, headers: &HeaderMap, peer: IpAddr) -> Result<Login, Problem> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (login, password) = given.and_then(credentials).ok_or_else(Problem::unauthorized)?;
    peer_login(shared, &login, &password, peer).await
}

fn credentials(header: &str) -> Option<(String, Secret)> {
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (login, password) = decoded.split_once(':')?;
    Some((login.to_owned(), Secret::new(password)))
}

/// One line for the operator, if there is something to do or to wait for.
fn note(problem: &Problem, peer: IpAddr, method: &Method, path: &str) {
    let Some(error) = problem.cause.as_ref().filter(|error| concerns_operator(error)) else {
        tracing::debug!(%peer, %method, path, status = %problem.status, "a DAV request was refused");
        return;
    };
    if problem.status == StatusCode::PRECONDITION_FAILED {
        return;
    }
    if is_passing(error) {
        tracing::warn!(%peer, %method, path, %error, "a DAV request could not be done now");
    } else {
        tracing::error!(%peer, %method, path, %error, "a DAV request failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords() {
        let of = |text: &str| credentials(&format!("Basic {}", STANDARD.encode(text)));
        let (login, password) = of("ana@x.test:pä:ss").unwrap();
        assert_eq!((login.as_str(), password.expose()), ("ana@x.test", "pä:ss"));
        assert!(of("nobody").is_none() && credentials("Bearer x").is_none() && credentials("Basic !").is_none());
        assert!(credentials("Basic").is_none());
    }
}
