//! The routes of the setup.

use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::html;

use super::pages::{self, Cx, Next, Step, Trouble};
use super::{NotEntered, PATH, Setup, guard, live};
use crate::form::Form;
use crate::i18n::{self, Lang, text};
use crate::page::{Page, see_other};
use crate::{assets, form};

/// Largest form, in bytes: a list of people is the largest.
const FORM_BYTES_MAX: usize = 1024 * 1024;

/// How long a chosen language is remembered, in seconds: a year.
const LANGUAGE_SECONDS: u32 = 365 * 24 * 3600;

/// All pages of the setup with their style. Requests should carry a [`crate::Client`].
pub fn router(setup: Arc<Setup>) -> Router {
    let pages = Router::new()
        .route(PATH, get(entrance).post(enter))
        .route("/setup/", get(|| async { see_other(PATH) }))
        .route("/setup/zone", get(zone))
        .route("/setup/live/{part}", get(live_part))
        .route("/setup/reach/{code}", get(reached))
        .route("/setup/{step}", get(show).post(take))
        .with_state(setup);
    pages.merge(assets::router())
}

/// The entrance; who is inside already goes on where it was left.
async fn entrance(State(setup): State<Arc<Setup>>, request: Request) -> Response {
    if let Some(response) = switched(&request) {
        return response;
    }
    let lang = Lang::of(request.headers());
    if !setup.is_open() {
        return pages::over(lang);
    }
    match guard::session(&setup, request.headers()) {
        Some(_) => see_other(&Step::first_open(&setup.state()).path()),
        None => pages::entrance(lang, None, StatusCode::OK),
    }
}

/// A code is exchanged for a session.
async fn enter(State(setup): State<Arc<Setup>>, request: Request) -> Response {
    let (lang, address) = (Lang::of(request.headers()), guard::address(&request));
    if !setup.is_open() {
        return pages::over(lang);
    }
    if !guard::is_same_origin(request.headers(), request.uri()) {
        return pages::entrance(lang, Some(text::setup_entrance_foreign(lang).to_owned()), StatusCode::FORBIDDEN);
    }
    let Ok(form) = read_form(request).await else {
        return pages::entrance(lang, Some(text::setup_entrance_wrong(lang).to_owned()), StatusCode::BAD_REQUEST);
    };
    match setup.enter(&form.line("code"), address).await {
        Ok(secret) => {
            let mut response = see_other(&Step::first_open(&setup.state()).path());
            response.headers_mut().insert(header::SET_COOKIE, guard::cookie(&secret));
            response
        }
        Err(NotEntered::Wrong) => {
            pages::entrance(lang, Some(text::setup_entrance_wrong(lang).to_owned()), StatusCode::FORBIDDEN)
        }
        Err(NotEntered::Wait { seconds }) => {
            let said = Some(text::setup_entrance_wait(lang, seconds));
            let mut response = pages::entrance(lang, said, StatusCode::TOO_MANY_REQUESTS);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Err(NotEntered::Failed) => {
            let said = Some(text::setup_not_written(lang).to_owned());
            pages::entrance(lang, said, StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// A page of somebody who is inside.
async fn show(State(setup): State<Arc<Setup>>, Path(slug): Path<String>, request: Request) -> Response {
    if let Some(response) = switched(&request) {
        return response;
    }
    let lang = Lang::of(request.headers());
    let (secret, step) = match admitted(&setup, request.headers(), &slug, lang) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let cx = Cx::new(&setup, lang, &secret, step);
    pages::respond(&cx, &Form::default(), &Trouble::default(), StatusCode::OK).await
}

/// An answer.
async fn take(State(setup): State<Arc<Setup>>, Path(slug): Path<String>, request: Request) -> Response {
    let lang = Lang::of(request.headers());
    let is_ours = guard::is_same_origin(request.headers(), request.uri());
    let headers = request.headers().clone();
    let (secret, step) = match admitted(&setup, request.headers(), &slug, lang) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let refused = |text: &str, status| {
        let content = html! { h1 { (text) } p { a href=(step.path()) { (text::setup_back(lang)) } } };
        Page { lang, path: &step.path(), title: text, is_waiting: false, side: None, content }.respond(status)
    };
    let form = match read_form(request).await {
        Ok(form) => form,
        Err(status) => return refused(text::setup_form_unreadable(lang), status),
    };
    if !is_ours || form.get(guard::TOKEN_FIELD) != Some(&guard::token(&secret)) {
        return refused(text::setup_form_foreign(lang), StatusCode::FORBIDDEN);
    }
    let taking = setup.taking.lock().await;
    // While the form was on its way, or waited for another, the setup may have ended or gone to another browser.
    if let Err(response) = admitted(&setup, &headers, &slug, lang) {
        return response;
    }
    let cx = Cx::new(&setup, lang, &secret, step);
    let taken = pages::take(&cx, &form).await;
    drop(taking);
    match taken {
        Ok(Next::Stay) => see_other(&step.path()),
        Ok(Next::Step(next)) => see_other(&next.path()),
        // Not by another request: the node may be starting again by then.
        Ok(Next::Over) => pages::over(lang),
        Err(trouble) => {
            let cx = Cx::new(&setup, lang, &secret, step);
            pages::respond(&cx, &form, &trouble, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

/// Who may see a page of the setup, or where to go instead.
fn admitted(setup: &Setup, headers: &HeaderMap, slug: &str, lang: Lang) -> Result<(String, Step), Response> {
    if !setup.is_open() {
        return Err(see_other(PATH));
    }
    let step = Step::from_slug(slug).ok_or_else(|| pages::missing(lang))?;
    let secret = guard::session(setup, headers).ok_or_else(|| {
        let had_one = form::cookie(headers, guard::COOKIE).is_some();
        if had_one {
            pages::entrance(lang, Some(text::setup_entrance_ended(lang).to_owned()), StatusCode::FORBIDDEN)
        } else {
            see_other(PATH)
        }
    })?;
    Ok((secret, step))
}

/// What changes by itself on a page, as server-sent events.
async fn live_part(State(setup): State<Arc<Setup>>, Path(part): Path<String>, headers: HeaderMap) -> Response {
    match guard::session(&setup, &headers) {
        Some(secret) => live::respond(setup, Lang::of(&headers), &part, &secret),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

/// A telephone came from outside. It needs no session: whoever has the code was shown it.
async fn reached(State(setup): State<Arc<Setup>>, Path(code): Path<String>, request: Request) -> Response {
    let lang = Lang::of(request.headers());
    if !setup.is_open() {
        return pages::over(lang);
    }
    let (address, now) = (guard::address(&request), setup.now());
    let is_near = match setup.reach.is_current(&code, now) {
        true => setup.installation.is_near(address, setup.state().answers.place.as_ref()).await,
        false => false,
    };
    setup.reach.page(lang, &code, address, is_near, now)
}

/// The records as a zone file.
async fn zone(State(setup): State<Arc<Setup>>, headers: HeaderMap) -> Response {
    let domain = setup.state().made.domain.clone();
    let (Some(_), Some(domain)) = (guard::session(&setup, &headers), domain) else { return see_other(PATH) };
    match setup.installation.records(&domain).await {
        Ok(records) => {
            let zone: String = records.rows.iter().map(|row| format!("{}\n", row.zone)).collect();
            let disposition = "attachment; filename=\"zone.txt\"";
            let kind = "text/plain; charset=utf-8";
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CONTENT_DISPOSITION, disposition),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, zone).into_response()
        }
        Err(refusal) => (StatusCode::SERVICE_UNAVAILABLE, refusal.detail).into_response(),
    }
}

/// A form of a request, or the status that says why it is none.
async fn read_form(request: Request) -> Result<Form, StatusCode> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let bytes: Bytes =
        to_bytes(request.into_body(), FORM_BYTES_MAX).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    Form::parse(&bytes).ok_or(StatusCode::BAD_REQUEST)
}

/// After a click on another language: the same page again, which then speaks it.
fn switched(request: &Request) -> Option<Response> {
    let query = Form::parse(request.uri().query()?.as_bytes())?;
    let lang = Lang::from_tag(query.get("lang")?)?;
    let mut response = see_other(request.uri().path());
    let (name, tag) = (i18n::COOKIE, lang.tag());
    let text = format!("{name}={tag}; Path=/; Max-Age={LANGUAGE_SECONDS}; Secure; SameSite=Lax");
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_str(&text).ok()?);
    Some(response)
}
