//! `/admin/openid/`: where a browser begins to sign in, where the provider sends it back, and where it signs out there.

use std::sync::Arc;

use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sterna_base::AccountId;
use sterna_directory::auth::bearer::is_own_name;
use sterna_directory::rights::Subject;
use sterna_directory::{Reader, Request, RequestError, StorageError};

use super::provider::form;
use super::token::{Expected, TokenError, verify};
use super::{Begun, CONSOLE, OpenId, Settings, challenge, settings};
use crate::admin::AdminState;
use crate::admin::sessions::{self, From};

/// Longest parameter that is looked at, in bytes.
const PARAMETER_BYTES_MAX: usize = 8 * 1024;

/// Cookie of the browser that began; it comes back with the provider's redirect, so it can't be `SameSite=Strict`.
const COOKIE_SECURE: &str = "__Host-sterna-openid";
/// The same on this machine without encryption.
const COOKIE_PLAIN: &str = "sterna-openid";

/// What the pages hold.
#[derive(Clone)]
pub struct Pages {
    state: AdminState,
    openid: Arc<OpenId>,
}

/// Why nobody was signed in: what the console shows, and what the log says.
struct Refused {
    code: &'static str,
    cause: String,
}

impl Refused {
    fn new(code: &'static str, cause: impl Into<String>) -> Self {
        Refused { code, cause: cause.into() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        tracing::info!(target: "audit", code = self.code, cause = self.cause, "nobody was signed in with OpenID Connect");
        to(&format!("{CONSOLE}?openid={}", self.code))
    }
}

/// The pages.
pub fn router(state: AdminState) -> Router {
    let pages = Pages { state, openid: Arc::default() };
    Router::new()
        .route("/admin/openid/offer", get(offer))
        .route("/admin/openid/start", get(start))
        .route("/admin/openid/callback", get(callback))
        .route("/admin/openid/logout", get(logout))
        .with_state(pages)
}

fn to(place: &str) -> Response {
    let location = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static(CONSOLE));
    let guards = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::LOCATION, location),
    ];
    (StatusCode::SEE_OTHER, guards).into_response()
}

async fn configured(pages: &Pages) -> Result<Settings, Refused> {
    if pages.state.records.is_none() {
        return Err(Refused::new("not-here", "only the main node signs people in"));
    }
    let read = |reader: &Reader<'_>| settings(reader);
    let found: Result<_, StorageError> = pages.state.directory.read(read).await;
    let found = found.map_err(|error| Refused::new("unavailable", error.to_string()))?;
    found.ok_or_else(|| Refused::new("not-set", "there is no openid.issuer and openid.client-id"))
}

/// Whether the sign-in page offers it.
async fn offer(State(pages): State<Pages>) -> Response {
    let offered = configured(&pages).await.is_ok();
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "offered": offered }))).into_response()
}

/// Where the sign-in goes on afterwards.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Start {
    to: String,
}

/// Where people reach us.
fn origin(settings: &Settings, headers: &HeaderMap, from: From) -> String {
    let configured = settings.external_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    configured.unwrap_or_else(|| {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", if from.encrypted { "https" } else { "http" })
    })
}

fn may_sign_in(from: From) -> Result<(), Refused> {
    match from.encrypted || from.peer.to_canonical().is_loopback() {
        true => Ok(()),
        false => Err(Refused::new("not-encrypted", "people are signed in over TLS only")),
    }
}

/// Sends somebody to the provider.
async fn start(
    State(pages): State<Pages>,
    Extension(from): Extension<From>,
    headers: HeaderMap,
    Query(query): Query<Start>,
) -> Result<Response, Refused> {
    may_sign_in(from)?;
    let settings = configured(&pages).await?;
    let metadata = pages.openid.provider.metadata(&settings.client.issuer).await;
    let metadata = metadata.map_err(|cause| Refused::new("unavailable", cause))?;
    let redirect_uri = format!("{}/admin/openid/callback", origin(&settings, &headers, from));
    let now = pages.state.directory.now();
    let begun = pages.openid.begin(&settings.client.issuer, redirect_uri, &query.to, from.peer, now);
    let (state, begun, cookie) = begun.ok_or_else(|| Refused::new("unavailable", "too many sign-ins are under way"))?;
    let sign = if metadata.authorization_endpoint.contains('?') { '&' } else { '?' };
    let place = format!(
        "{}{sign}response_type=code&client_id={}&redirect_uri={}&scope={}&state={state}&nonce={}\
         &code_challenge={}&code_challenge_method=S256",
        metadata.authorization_endpoint,
        form(&settings.client.id),
        form(&begun.redirect_uri),
        form(&settings.scopes),
        begun.nonce,
        challenge(&begun.verifier),
    );
    let mut response = to(&place);
    response.headers_mut().insert(header::SET_COOKIE, cookie_of_begin(&cookie, from, 600));
    Ok(response)
}

fn cookie_of_begin(value: &str, from: From, seconds: u32) -> HeaderValue {
    let (name, secure) = if from.encrypted { (COOKIE_SECURE, " Secure;") } else { (COOKIE_PLAIN, "") };
    let text = format!("{name}={value}; Path=/;{secure} HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn cookie_in(headers: &HeaderMap, from: From) -> Option<&str> {
    let name = if from.encrypted { COOKIE_SECURE } else { COOKIE_PLAIN };
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// What the provider sends back (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Callback {
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Signs in whom the provider sent back.
async fn callback(
    State(pages): State<Pages>,
    Extension(from): Extension<From>,
    headers: HeaderMap,
    Query(query): Query<Callback>,
) -> Response {
    let mut response = match called_back(&pages, from, &headers, query).await {
        Ok(response) => response,
        Err(refused) => refused.into_response(),
    };
    response.headers_mut().append(header::SET_COOKIE, cookie_of_begin("", from, 0));
    response
}

async fn called_back(pages: &Pages, from: From, headers: &HeaderMap, query: Callback) -> Result<Response, Refused> {
    may_sign_in(from)?;
    let state = &pages.state;
    let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > PARAMETER_BYTES_MAX);
    if query.state.len() > PARAMETER_BYTES_MAX || long(&query.code) || long(&query.iss) {
        return Err(Refused::new("expired", "a parameter is too long"));
    }
    let cookie = cookie_in(headers, from);
    let begun = pages.openid.end(&query.state, cookie, state.directory.now());
    let begun = begun.ok_or_else(|| Refused::new("expired", "the state is of no sign-in that this browser began"))?;
    let settings = configured(pages).await?;
    let account = who(pages, &settings, &begun, query).await?;
    let records = state.records.clone().ok_or_else(|| Refused::new("not-here", "this is not the main node"))?;
    let unwritten = |problem: crate::admin::problem::Problem| Refused::new("unavailable", problem.detail);
    let begun_here = sessions::begin_by(state, &records, account, from, headers, sessions::BY_OPENID);
    let (session, cookie) = begun_here.await.map_err(unwritten)?;
    tracing::info!(target: "audit", %account, peer = %from.peer, session = session.id, "signed in with OpenID Connect");
    let mut response = to(&begun.to);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Whom the provider says that it is: somebody who is here already.
async fn who(pages: &Pages, settings: &Settings, begun: &Begun, query: Callback) -> Result<AccountId, Refused> {
    let state = &pages.state;
    let issuer = &settings.client.issuer;
    if begun.issuer != *issuer {
        return Err(Refused::new("expired", "the provider was changed meanwhile"));
    }
    let provider = &pages.openid.provider;
    let metadata = provider.metadata(issuer).await.map_err(|cause| Refused::new("unavailable", cause))?;
    // RFC 9207 section 2.4: an answer of another provider is none.
    match &query.iss {
        Some(iss) if iss != issuer => return Err(Refused::new("refused", format!("the answer is of {iss}"))),
        None if metadata.authorization_response_iss_parameter_supported => {
            return Err(Refused::new("refused", "the answer doesn't say from whom it is"));
        }
        _ => {}
    }
    if let Some(error) = query.error {
        return Err(Refused::new("refused", format!("the provider says {error}")));
    }
    let code = query.code.ok_or_else(|| Refused::new("refused", "the answer has no code"))?;
    let exchanged = (code.as_str(), begun.verifier.as_str(), begun.redirect_uri.as_str());
    let token = provider.exchange(&metadata, &settings.client, exchanged).await;
    let token = token.map_err(|cause| Refused::new("unavailable", cause))?;
    let now_s = state.directory.now().0 / 1000;
    let expected = Expected { issuer, client_id: &settings.client.id, nonce: &begun.nonce, now_s };
    let unavailable = |cause| Refused::new("unavailable", cause);
    let keys = provider.keys(&metadata.jwks_uri, false).await.map_err(unavailable)?;
    let verified = match verify(&token, &keys, &expected) {
        // It may have new keys.
        Err(TokenError::UnknownKey) => {
            let keys = provider.keys(&metadata.jwks_uri, true).await.map_err(unavailable)?;
            verify(&token, &keys, &expected)
        }
        verified => verified,
    };
    let claims = verified.map_err(|error| Refused::new("refused", format!("the ID token: {error}")))?;
    known(state, settings, &claims).await
}

/// Whom the provider means, here.
struct Meant {
    account: AccountId,
    is_open: bool,
    has_factor: bool,
    /// Whether the provider's own name for them is known here already.
    is_bound: bool,
}

/// The user whom the provider means: who was bound to its own name for them (`iss` and `sub`), or else whom the claim
/// names, who is bound then. Nobody is made, and nobody is let in who may not be.
async fn known(state: &AdminState, settings: &Settings, claims: &Value) -> Result<AccountId, Refused> {
    let issuer = settings.client.issuer.clone();
    let subject = claims["sub"].as_str().filter(|subject| !subject.is_empty()).map(str::to_owned);
    let subject = subject.ok_or_else(|| Refused::new("refused", "the ID token doesn't say who it is (sub)"))?;
    let named = named(settings, claims);
    let asked = (issuer.clone(), subject.clone(), named.as_ref().ok().cloned());
    let read = move |reader: &Reader<'_>| meant(reader, asked);
    let found = state.directory.read(read).await.map_err(|error| Refused::new("unavailable", error.to_string()))?;
    let found = match found {
        Some(found) if found.is_open => found,
        _ => {
            let name = named?;
            return Err(Refused::new("unknown", format!("there is no user “{name}” who may sign in")));
        }
    };
    // Whoever set up a second factor here wants one: the provider's counts if it says that it asked for it (RFC 8176,
    // `mfa`).
    let amr = claims["amr"].as_array().into_iter().flatten();
    if found.has_factor && !amr.into_iter().any(|method| method == "mfa") {
        return Err(Refused::new("second-factor", format!("{subject} has a second factor here, and used none there")));
    }
    if !found.is_bound {
        let subject = Subject { issuer, subject, account: found.account, since: state.directory.now() };
        let bound = state.directory.submit(Request::BindSubject(subject)).await;
        bound.map_err(|error| match error {
            RequestError::InUse { .. } => Refused::new("unknown", format!("{error} (sterna user forget-openid)")),
            other => Refused::new("unavailable", other.to_string()),
        })?;
    }
    Ok(found.account)
}

/// What the claim says of somebody's address or log-in.
fn named(settings: &Settings, claims: &Value) -> Result<String, Refused> {
    let claim = &settings.claim;
    let name = claims[claim].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let name = name.ok_or_else(|| Refused::new("unknown", format!("the ID token has no claim {claim:?}")))?;
    let is_verified = claims["email_verified"] == true
        || claims["email_verified"].as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if claim == "email" && !is_verified {
        return Err(Refused::new("unknown", format!("the provider has not verified the address {name}")));
    }
    Ok(name)
}

fn meant(
    reader: &Reader<'_>,
    (issuer, subject, named): (String, String, Option<String>),
) -> Result<Option<Meant>, StorageError> {
    let bound = reader.subject(&issuer, &subject)?;
    let account = match (&bound, named) {
        (Some(bound), _) => bound.account,
        (None, None) => return Ok(None),
        (None, Some(name)) => {
            let Some(user) = reader.user_by_login(name.trim())? else { return Ok(None) };
            if !is_own_name(reader, &user.value, name.trim())? {
                return Ok(None);
            }
            user.value.entry.id
        }
    };
    let (is_open, has_factor) = (reader.is_open(account)?, reader.has_second_factor(account)?);
    Ok(Some(Meant { account, is_open, has_factor, is_bound: bound.is_some() }))
}

/// Signs out at the provider (OpenID Connect RP-Initiated Logout 1.0); here it was done before.
async fn logout(
    State(pages): State<Pages>,
    Extension(from): Extension<From>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let settings = configured(&pages).await?;
    let metadata = pages.openid.provider.metadata(&settings.client.issuer).await;
    let metadata = metadata.map_err(|cause| Refused::new("unavailable", cause))?;
    let Some(endpoint) = metadata.end_session_endpoint else { return Ok(to(CONSOLE)) };
    let sign = if endpoint.contains('?') { '&' } else { '?' };
    let back = format!("{}{CONSOLE}", origin(&settings, &headers, from));
    Ok(to(&format!("{endpoint}{sign}client_id={}&post_logout_redirect_uri={}", form(&settings.client.id), form(&back))))
}
