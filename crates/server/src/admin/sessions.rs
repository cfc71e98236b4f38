//! `/api/v1/session`: signing in and out. `/api/v1/sessions`: who is signed in, and where.
//!
//! A session is a random cookie of which the main node keeps a hash. It ends when it was not used for
//! [`IDLE_MS_MAX`], or [`SESSION_MS_MAX`] after it began; and at once when the user is suspended or deleted, because
//! what somebody may do is looked up with every request.

use std::net::IpAddr;

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::request::Parts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::service::{Authenticator, Login, LoginAttempt, LoginError};
use sterna_base::ids::random_hex;
use sterna_base::{AccountId, Secret, Timestamp};
use sterna_directory::auth::CONSOLE;
use sterna_directory::rights::{Area, Permission};
use sterna_directory::{Reader, StorageError};

use super::answer::{NoContent, Private};
use super::doors::AdminState;
use super::input::{Body, Params};
use super::passkeys::ceremony::Assertion;
use super::principal::{Principal, Via, place_of};
use super::problem::Problem;
use super::records::{Records, Session};
use super::roles::{RightsView, rights_view};
use super::view::{Page, time};
use super::{passkeys, second_factor};
use super::{resolve, view};

/// How long a session may be idle, in milliseconds: two hours.
pub const IDLE_MS_MAX: i64 = 2 * 3600 * 1000;

/// How long a session can last, in milliseconds: twelve hours.
pub const SESSION_MS_MAX: i64 = 12 * 3600 * 1000;

/// How exactly it is known when a session was used, in milliseconds: not every request is a write.
const USED_MS_EXACT: i64 = 60 * 1000;

/// Where pages listen by themselves.
const EVENTS: &str = "/api/v1/events";

/// Longest name of a browser that is kept, in bytes.
const AGENT_BYTES_MAX: usize = 200;

/// The cookie where the connection is encrypted: browsers take it from this host only, and never send it elsewhere.
pub(super) const COOKIE_SECURE: &str = "__Host-sterna";

/// The cookie on this machine without encryption.
const COOKIE_PLAIN: &str = "sterna-session";

/// How sessions are named that began with OpenID Connect.
pub const BY_OPENID: &str = "openid-";

/// From where a request comes, as the listener saw it.
#[derive(Clone, Copy, Debug)]
pub struct From {
    /// The other end.
    pub peer: IpAddr,
    /// Whether nobody in between can read along.
    pub encrypted: bool,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// The address or login; it may be left out where a passkey is all that is asked for.
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    /// What the authenticator app shows, or a recovery code; asked for when it is needed.
    code: Option<String>,
    /// What `navigator.credentials.get` gave: instead of the code, or of the password, too, where that is allowed.
    passkey: Option<Assertion>,
}

/// Who is signed in.
#[derive(Serialize, JsonSchema)]
pub(super) struct SignedIn {
    /// The address.
    login: String,
    /// The name, for people.
    name: String,
    /// What they may do. Nobody administers with an empty list; everybody may look at their own things.
    rights: Vec<RightsView>,
    /// Whether a second factor is set up.
    second_factor: bool,
    /// Whether a provider of OpenID Connect said who it is; then they sign out there, too.
    openid: bool,
    /// When the session ends at the latest.
    expires: String,
}

/// A session as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(super) struct SessionView {
    id: String,
    user: String,
    created_at: String,
    used_at: String,
    ends_at: String,
    peer: String,
    agent: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// Why nobody is signed in.
pub(super) fn refused(error: LoginError) -> Problem {
    match error {
        LoginError::Invalid => {
            let remedy = "Check both; the password is not the one of an app or device.";
            let title = "Not signed in";
            Problem::new(StatusCode::UNAUTHORIZED, "wrong-password", title, "login or password is wrong", remedy)
        }
        LoginError::TooMany { wait_ms } => {
            let detail = format!("too many attempts; the next is looked at in {} s", wait_ms.div_ceil(1000));
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "Not signed in", detail, "Wait so long.")
        }
        LoginError::Unavailable(cause) => {
            tracing::warn!(cause, "nobody can sign in");
            let detail = "passwords can't be checked now";
            let remedy = "Try again in a moment; the node's log says why.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not signed in", detail, remedy)
        }
    }
}

/// Signs somebody in.
pub(super) async fn sign_in(
    State(state): State<AdminState>,
    from: Option<Extension<From>>,
    headers: HeaderMap,
    Body(body): Body<SignIn>,
) -> Result<Response, Problem> {
    let Extension(from) =
        from.ok_or_else(|| Problem::malformed("nobody signs in at the socket: it knows who is at its other end"))?;
    let records = state.records.clone().ok_or_else(Problem::not_recorded)?;
    let login = proved(&state, &body, from.peer).await?;
    let (session, cookie) = begin(&state, &records, login.account, from, &headers).await?;
    tracing::info!(target: "audit", login = login.address, peer = %from.peer, session = session.id, "signed in");
    let signed_in = signed_in(&state, login.account, session.ends_at, false).await?;
    let mut response = (StatusCode::CREATED, Json(signed_in)).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Whoever proved who they are: by the password and what else they have, or by a passkey alone.
async fn proved(state: &AdminState, body: &SignIn, peer: IpAddr) -> Result<Login, Problem> {
    if let Some(passkey) = body.passkey.as_ref().filter(|_| body.password.is_empty()) {
        return passkeys::signed_in_with(state, passkey, None).await;
    }
    let password = Secret::new(body.password.as_str());
    let attempt = LoginAttempt { login: &body.login, password: &password, protocol: CONSOLE, peer };
    let login = state.authentication.authenticate(attempt).await.map_err(refused)?;
    let Some(passkey) = &body.passkey else {
        second_factor::check(state, &login, peer, body.code.as_deref()).await?;
        return Ok(login);
    };
    // Wrong ones are not counted as wrong codes are: there is nothing to guess, and each question is good once.
    let proved = passkeys::signed_in_with(state, passkey, Some(login.account)).await?;
    state.authentication.note_code(login.account, &login.address, peer, true);
    Ok(proved)
}

/// Begins a session for somebody who proved who they are; gives the cookie with which it goes on.
///
/// # Errors
/// When it can't be written down.
pub async fn begin(
    state: &AdminState,
    records: &Records,
    account: AccountId,
    from: From,
    headers: &HeaderMap,
) -> Result<(Session, HeaderValue), Problem> {
    begin_by(state, records, account, from, headers, "").await
}

/// The same; what the session's name begins with says how somebody came in.
///
/// # Errors
/// When it can't be written down.
pub async fn begin_by(
    state: &AdminState,
    records: &Records,
    account: AccountId,
    from: From,
    headers: &HeaderMap,
    by: &str,
) -> Result<(Session, HeaderValue), Problem> {
    let (id, secret) = (format!("{by}{}", random_hex::<6>()), random_hex::<32>());
    let now = state.directory.now();
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let session = Session {
        id,
        account,
        created_at: now,
        used_at: now,
        ends_at: now.plus_ms(SESSION_MS_MAX),
        peer: from.peer.to_string(),
        agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_BYTES_MAX).collect(),
    };
    records.begin_session(session.clone(), hash(&secret)).await?;
    Ok((session, cookie(&secret, from, SESSION_MS_MAX / 1000)))
}

fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn cookie(secret: &str, from: From, seconds: i64) -> HeaderValue {
    let text = match from.encrypted {
        true => format!("{COOKIE_SECURE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}"),
        false => format!("{COOKIE_PLAIN}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}"),
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The secret in a request's cookies.
fn cookie_of(headers: &HeaderMap, from: From) -> Option<&str> {
    let name = if from.encrypted { COOKIE_SECURE } else { COOKIE_PLAIN };
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, secret)| secret)
}

/// Who a request's cookie says it is; `None` without a cookie that is still good.
///
/// # Errors
/// When sessions can't be looked up.
pub async fn principal_of(state: &AdminState, head: &Parts, from: From) -> Result<Option<Principal>, Problem> {
    let Some(records) = &state.records else { return Ok(None) };
    let Some(secret) = cookie_of(&head.headers, from) else { return Ok(None) };
    let now = state.directory.now();
    let Some(session) = records.session(hash(secret), now).await? else { return Ok(None) };
    if now.0 - session.used_at.0 > IDLE_MS_MAX {
        records.end_session(session.id).await?;
        return Ok(None);
    }
    // Pages listen for what changed as long as they are open: that is no use.
    if now.0 - session.used_at.0 > USED_MS_EXACT && head.uri.path() != EVENTS {
        records.use_session(session.id.clone(), now).await?;
    }
    let account = session.account;
    let read = move |reader: &Reader<'_>| {
        let Some(user) = reader.user(account)? else { return Ok::<_, StorageError>(None) };
        let domain = reader.domain(user.value.entry.address.domain)?;
        if user.value.entry.suspended || domain.is_none_or(|domain| domain.value.suspended) {
            return Ok(None);
        }
        let name = reader.address_text(&user.value.entry.address)?.unwrap_or_default();
        Ok(Some((name, reader.rights(account)?)))
    };
    let found = state.directory.read(read).await?;
    let Some((name, rights)) = found else { return Ok(None) };
    Ok(Some(Principal { name, account: Some(account), rights, via: Via::Session(session.id), peer: Some(from.peer) }))
}

async fn signed_in(
    state: &AdminState,
    account: AccountId,
    ends_at: Timestamp,
    openid: bool,
) -> Result<SignedIn, Problem> {
    let read = move |reader: &Reader<'_>| {
        let entry = reader.entry(account)?.ok_or_else(Problem::not_signed_in)?.value;
        let rights = reader.rights(account)?;
        Ok::<_, Problem>(SignedIn {
            login: reader.address_text(&entry.entry().address)?.unwrap_or_default(),
            name: entry.entry().display_name.clone(),
            rights: rights_view(reader, &rights)?,
            second_factor: reader.second_factor(account)?.is_some(),
            openid,
            expires: time(ends_at),
        })
    };
    state.directory.read(read).await
}

/// Who is signed in here.
pub(super) async fn current(
    State(state): State<AdminState>,
    principal: Principal,
) -> Result<Private<SignedIn>, Problem> {
    let account = principal.own_account()?;
    let records = state.records.clone().ok_or_else(Problem::not_recorded)?;
    let ends_at = match &principal.via {
        Via::Session(id) => {
            let sessions = records.sessions(Some(account), state.directory.now()).await?;
            sessions.into_iter().find(|session| session.id == *id).map(|session| session.ends_at)
        }
        Via::Socket | Via::Token(_) | Via::Sudo(_) => None,
    };
    let openid = matches!(&principal.via, Via::Session(id) if id.starts_with(BY_OPENID));
    let body = signed_in(&state, account, ends_at.unwrap_or(state.directory.now()), openid).await?;
    Ok(Private(body))
}

/// Signs out.
pub(super) async fn sign_out(
    State(state): State<AdminState>,
    principal: Principal,
    from: Option<Extension<From>>,
) -> Result<NoContent, Problem> {
    let records = state.records.clone().ok_or_else(Problem::not_recorded)?;
    if let Via::Session(id) = &principal.via {
        records.end_session(id.clone()).await?;
    }
    let mut response = view::no_content();
    if let Some(Extension(from)) = from {
        response.0.headers_mut().insert(header::SET_COOKIE, cookie("", from, 0));
    }
    Ok(response)
}

/// Whose sessions somebody may see: their own, and those of people to whom they may give passwords.
fn sees(reader: &Reader<'_>, principal: &Principal, account: AccountId) -> Result<bool, StorageError> {
    if principal.account == Some(account) {
        return Ok(true);
    }
    let Some(entry) = reader.entry(account)? else { return Ok(principal.is_unlimited()) };
    let may = principal.rights.may(Permission::write(Area::Passwords), place_of(entry.value.entry()));
    Ok(may && principal.rights.covers(&reader.granted(account)?))
}

/// The one used last first; with `name` those of this user.
pub(super) async fn list(
    State(state): State<AdminState>,
    principal: Principal,
    params: Params,
) -> Result<Json<Page<SessionView>>, Problem> {
    let records = state.records.clone().ok_or_else(Problem::not_recorded)?;
    let of = match params.name {
        // Who isn't there, and who isn't seen, is signed in nowhere.
        Some(text) => {
            let found = state.directory.read(move |reader| resolve::entry(reader, &text, "user")).await;
            let Ok(found) = found else { return Ok(Json(Page { items: Vec::new(), next: None })) };
            Some(found.value.entry().id)
        }
        None if !principal.rights.may_somewhere(Permission::write(Area::Passwords)) => principal.account,
        None => None,
    };
    let sessions = records.sessions(of, state.directory.now()).await?;
    let read = move |reader: &Reader<'_>| {
        let mut items = Vec::new();
        for session in sessions {
            if !sees(reader, &principal, session.account)? {
                continue;
            }
            let entry = reader.entry(session.account)?;
            let user = entry.map(|entry| reader.address_text(&entry.value.entry().address)).transpose()?.flatten();
            items.push(SessionView {
                current: principal.via == Via::Session(session.id.clone()),
                id: session.id,
                user: user.unwrap_or_default(),
                created_at: time(session.created_at),
                used_at: time(session.used_at),
                ends_at: time(session.ends_at),
                peer: session.peer,
                agent: session.agent,
            });
        }
        Ok::<_, Problem>(items)
    };
    Ok(Json(Page { items: state.directory.read(read).await?, next: None }))
}

/// Ends all sessions of somebody: whoever has what was lost may be signed in with it.
pub(super) async fn end_all(state: &AdminState, account: AccountId) -> Result<(), Problem> {
    end_but(state, account, None).await
}

/// Ends what others began with what is no longer enough, or no longer asked for; not the session of who asks.
pub(super) async fn end_others(state: &AdminState, principal: &Principal, account: AccountId) -> Result<(), Problem> {
    let own = match &principal.via {
        Via::Session(id) => Some(id.clone()),
        Via::Socket | Via::Token(_) | Via::Sudo(_) => None,
    };
    end_but(state, account, own).await
}

async fn end_but(state: &AdminState, account: AccountId, but: Option<String>) -> Result<(), Problem> {
    // Only the main node has records, and it alone takes the writes that come before.
    let Some(records) = &state.records else { return Ok(()) };
    Ok(records.end_sessions(account, but).await.map(drop)?)
}

/// Ends a session.
pub(super) async fn end(
    State(state): State<AdminState>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<NoContent, Problem> {
    let records = state.records.clone().ok_or_else(Problem::not_recorded)?;
    let sessions = records.sessions(None, state.directory.now()).await?;
    let no_such = || Problem::no_such("session", &id);
    let session = sessions.into_iter().find(|session| session.id == id).ok_or_else(no_such)?;
    let account = session.account;
    if !state.directory.read(move |reader: &Reader<'_>| sees(reader, &principal, account)).await? {
        return Err(no_such());
    }
    records.end_session(session.id).await?;
    Ok(view::no_content())
}
