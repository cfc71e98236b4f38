//! `/api/v1/me/passkeys`: signing in at the console by finger, face or PIN (Web Authentication), besides the password
//! or, where the setting [`settings::PASSKEYS`] says so, instead of it. An administrator sees and removes those of
//! others (`/api/v1/users/{user}/passkeys`), and makes none for them.

pub mod ceremony;
pub mod challenges;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::service::{Authenticator, Login, LoginAttempt};
use sterna_base::{AccountId, Secret};
use sterna_directory::auth::CONSOLE;
use sterna_directory::rights::{Passkey, PasskeyChange};
use sterna_directory::{Reader, Request, StorageError, settings};

use self::ceremony::{Assertion, CreationOptions, NewCredential, RequestOptions, page};
use self::challenges::{Asked, Purpose};
use super::answer::{Made, NoContent, Private};
use super::doors::AdminState;
use super::input::{Body, Params};
use super::principal::Principal;
use super::problem::Problem;
use super::sessions::From;
use super::view::{Page, Resource, time};
use super::{resolve, sessions, view};
use crate::webauthn::{self, Expected, decode, encode};

/// A passkey as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Passkey")]
pub(super) struct PasskeyView {
    id: String,
    name: String,
    /// The host that it is good for.
    host: String,
    /// Whether it is kept elsewhere, too.
    backed_up: bool,
    created_at: String,
    used_at: Option<String>,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPasskey")]
pub(super) struct NewBody {
    /// For people: which device, or which program keeps it.
    name: String,
    /// What `navigator.credentials.create` gave.
    credential: NewCredential,
    /// The password of whoever is signed in, where there is one: a session alone may have been stolen.
    password: Option<String>,
}

/// The body of PATCH.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasskeyName")]
pub(super) struct NameBody {
    name: String,
}

/// The body of DELETE of one's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasskeyRemoval")]
pub(super) struct RemoveBody {
    /// The password, where there is one.
    password: Option<String>,
}

/// What passkeys are good for here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Off,
    SecondFactor,
    InsteadOfPassword,
}

async fn policy(state: &AdminState) -> Result<Policy, Problem> {
    let value = state.directory.read(|reader: &Reader<'_>| reader.setting_for(None, settings::PASSKEYS)).await?;
    Ok(match value.as_deref() {
        Some("off") => Policy::Off,
        Some("instead-of-password") => Policy::InsteadOfPassword,
        _ => Policy::SecondFactor,
    })
}

fn off() -> Problem {
    let (title, detail) = ("There are no passkeys here", "passkeys are switched off");
    let remedy = "Switch them on: sterna config set console.passkeys second-factor.";
    Problem::new(StatusCode::CONFLICT, "passkeys-off", title, detail, remedy)
}

fn refused(detail: impl Into<String>) -> Problem {
    let remedy = "Try again; the passkey must have been made at this address of the console.";
    Problem::new(StatusCode::UNAUTHORIZED, "wrong-passkey", "The passkey is not taken", detail, remedy)
}

fn here(from: Option<Extension<From>>) -> Result<From, Problem> {
    let none = || Problem::malformed("nobody has a passkey at the socket: it knows who is at its other end");
    from.map(|Extension(from)| from).ok_or_else(none)
}

/// The bytes that a browser sees as the user's id.
fn handle(account: AccountId) -> [u8; 8] {
    account.0.to_be_bytes()
}

fn shown(passkey: Passkey) -> PasskeyView {
    PasskeyView {
        id: passkey.id,
        name: passkey.name,
        host: passkey.rp_id,
        backed_up: passkey.backed_up,
        created_at: time(passkey.created_at),
        used_at: passkey.used_at.map(time),
    }
}

async fn list_of(state: &AdminState, account: AccountId) -> Result<Json<Page<PasskeyView>>, Problem> {
    let found = state.directory.read(move |reader: &Reader<'_>| reader.passkeys(account)).await?;
    Ok(Json(Page { items: found.into_iter().map(|found| shown(found.value)).collect(), next: None }))
}

/// One's own.
pub(super) async fn list_own(
    State(state): State<AdminState>,
    principal: Principal,
) -> Result<Json<Page<PasskeyView>>, Problem> {
    list_of(&state, principal.own_account()?).await
}

/// Those of a user.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(user): Path<String>,
) -> Result<Json<Page<PasskeyView>>, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    list_of(&state, account).await
}

/// What a new passkey is asked for with.
pub(super) async fn begin(
    State(state): State<AdminState>,
    principal: Principal,
    from: Option<Extension<From>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Private<CreationOptions>, Problem> {
    principal.must_be_present()?;
    if policy(&state).await? == Policy::Off {
        return Err(off());
    }
    let (account, from) = (principal.own_account()?, here(from)?);
    let page = page(&headers, &uri, from)?;
    let read = move |reader: &Reader<'_>| {
        let entry = reader.entry(account)?.ok_or_else(Problem::not_signed_in)?.value;
        Ok::<_, Problem>((entry.entry().display_name.clone(), reader.passkeys(account)?))
    };
    let (display_name, there) = state.directory.read(read).await?;
    let there = there.into_iter().map(|found| found.value.credential).collect();
    let rp_id = page.1.clone();
    let challenge = state.memory.challenges.ask(Purpose::Make(account), page, from.peer, state.directory.now());
    let user = (&handle(account)[..], principal.name.as_str(), display_name.as_str());
    Ok(Private(CreationOptions::new(&challenge, rp_id, user, there)))
}

/// Whoever changes what they prove themselves with says the password once more, where they have one.
async fn prove(state: &AdminState, principal: &Principal, password: Option<&str>) -> Result<AccountId, Problem> {
    principal.must_be_present()?;
    let account = principal.own_account()?;
    let read = move |reader: &Reader<'_>| sterna_directory::auth::bind::has_password(reader, account);
    if !state.directory.read(read).await? {
        return Ok(account);
    }
    let password = Secret::new(password.unwrap_or_default());
    let peer = principal.peer.unwrap_or(std::net::Ipv6Addr::LOCALHOST.into());
    let attempt = LoginAttempt { login: &principal.name, password: &password, protocol: CONSOLE, peer };
    state.authentication.authenticate(attempt).await.map_err(sessions::refused)?;
    Ok(account)
}

/// The challenge that a browser says it answers.
fn asked(state: &AdminState, client_data: &[u8]) -> Option<(Vec<u8>, Asked)> {
    #[derive(Deserialize)]
    struct Answers {
        challenge: String,
    }
    let answers: Answers = serde_json::from_slice(client_data).ok()?;
    let challenge = decode(&answers.challenge)?;
    let asked = state.memory.challenges.take(&challenge, state.directory.now())?;
    Some((challenge, asked))
}

/// Takes a new passkey. From then on it is asked for besides the password, and programs need app passwords.
pub(super) async fn create(
    State(state): State<AdminState>,
    principal: Principal,
    Body(body): Body<NewBody>,
) -> Result<Made<PasskeyView>, Problem> {
    let account = prove(&state, &principal, body.password.as_deref()).await?;
    let malformed = |name: &str| Problem::malformed(format!("“{name}” is not base64url"));
    let response = &body.credential.response;
    let client_data = decode(&response.client_data).ok_or_else(|| malformed("clientDataJSON"))?;
    let attestation = decode(&response.attestation_object).ok_or_else(|| malformed("attestationObject"))?;
    let asked = asked(&state, &client_data).filter(|(_, asked)| asked.purpose == Purpose::Make(account));
    let (challenge, asked) = asked.ok_or_else(|| refused("it answers no question of this session, or too late"))?;
    let Asked { origin, rp_id, .. } = &asked;
    let expected = Expected { challenge: &challenge, origin, rp_id, user_verified: false };
    let made =
        webauthn::registered(&expected, &client_data, &attestation).map_err(|error| refused(error.to_string()))?;
    let id = blake3::hash(&made.credential).to_hex()[..12].to_owned();
    let new = Passkey {
        account,
        id: id.clone(),
        name: body.name,
        credential: encode(&made.credential),
        rp_id: asked.rp_id,
        key: encode(&made.key),
        count: made.count,
        backed_up: made.backed_up,
        created_at: state.directory.now(),
        used_at: None,
    };
    state.write(Request::CreatePasskey(new.clone()), false).await?;
    sessions::end_others(&state, &principal, account).await?;
    Ok(Made::from(Resource::made(shown(new), format!("/api/v1/me/passkeys/{id}"))))
}

async fn change(
    state: &AdminState,
    account: AccountId,
    id: String,
    change: PasskeyChange,
    dry_run: bool,
) -> Result<NoContent, Problem> {
    let done = state.write(Request::ChangePasskey { account, id, change }, dry_run).await?;
    Ok(if done.changed { view::no_content() } else { view::nothing_changed() })
}

/// Names one's own anew.
pub(super) async fn rename(
    State(state): State<AdminState>,
    principal: Principal,
    Path(id): Path<String>,
    params: Params,
    Body(body): Body<NameBody>,
) -> Result<NoContent, Problem> {
    principal.must_be_present()?;
    change(&state, principal.own_account()?, id, PasskeyChange::Name(body.name), params.dry_run).await
}

/// Makes one's own worthless.
pub(super) async fn delete_own(
    State(state): State<AdminState>,
    principal: Principal,
    Path(id): Path<String>,
    Body(body): Body<RemoveBody>,
) -> Result<NoContent, Problem> {
    let account = prove(&state, &principal, body.password.as_deref()).await?;
    let removed = change(&state, account, id, PasskeyChange::Deleted, false).await?;
    sessions::end_others(&state, &principal, account).await?;
    Ok(removed)
}

/// Makes one of a user worthless: it was lost.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((user, id)): Path<(String, String)>,
    params: Params,
) -> Result<NoContent, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    let removed = change(&state, account, id, PasskeyChange::Deleted, params.dry_run).await?;
    if !params.dry_run {
        sessions::end_all(&state, account).await?;
    }
    Ok(removed)
}

/// Makes all of somebody worthless; whether there were any.
pub(super) async fn remove_all(state: &AdminState, account: AccountId, dry_run: bool) -> Result<bool, Problem> {
    let found = state.directory.read(move |reader: &Reader<'_>| reader.passkeys(account)).await?;
    let had_some = !found.is_empty();
    for passkey in found {
        change(state, account, passkey.value.id, PasskeyChange::Deleted, dry_run).await?;
    }
    Ok(had_some)
}

/// What signing in with a passkey is asked with. Anybody may ask, and is told nothing of anybody.
pub(super) async fn challenge(
    State(state): State<AdminState>,
    from: Option<Extension<From>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Private<RequestOptions>, Problem> {
    let policy = policy(&state).await?;
    if policy == Policy::Off {
        return Err(off());
    }
    let from = here(from)?;
    let page = page(&headers, &uri, from)?;
    let rp_id = page.1.clone();
    let challenge = state.memory.challenges.ask(Purpose::SignIn, page, from.peer, state.directory.now());
    Ok(Private(RequestOptions::new(&challenge, rp_id, policy == Policy::InsteadOfPassword)))
}

/// Whose passkey it is. `knows_password` says who proved already that they know one; without that the passkey has to
/// have asked for finger, face or PIN, and the installation has to allow it.
///
/// # Errors
/// 401 when it isn't believed.
pub(super) async fn signed_in_with(
    state: &AdminState,
    assertion: &Assertion,
    knows_password: Option<AccountId>,
) -> Result<Login, Problem> {
    match (policy(state).await?, knows_password) {
        (Policy::Off, _) => return Err(off()),
        (Policy::SecondFactor, None) => return Err(refused("the password is needed, too")),
        _ => {}
    }
    let response = &assertion.response;
    let malformed = || refused("something in it is not base64url");
    let client_data = decode(&response.client_data).ok_or_else(malformed)?;
    let said = decode(&response.authenticator_data).ok_or_else(malformed)?;
    let signature = decode(&response.signature).ok_or_else(malformed)?;
    let asked = asked(state, &client_data).filter(|(_, asked)| asked.purpose == Purpose::SignIn);
    let (challenge, asked) = asked.ok_or_else(|| refused("it answers no question of this page, or too late"))?;
    let claimed = response.user_handle.as_deref().and_then(decode).and_then(|handle| handle.try_into().ok());
    let claimed = claimed.map(|handle| AccountId(u64::from_be_bytes(handle)));
    let account = knows_password.or(claimed).ok_or_else(|| refused("it doesn't say whose it is"))?;
    if claimed.is_some_and(|claimed| claimed != account) {
        return Err(refused("it is somebody else's"));
    }
    let credential = assertion.id.trim_end_matches('=').to_owned();
    let read = move |reader: &Reader<'_>| {
        let passkey = reader.passkeys(account)?.into_iter().map(|found| found.value);
        let Some(passkey) = passkey.into_iter().find(|passkey| passkey.credential == credential) else {
            return Ok::<_, StorageError>(None);
        };
        let Some(user) = reader.user(account)? else { return Ok(None) };
        let domain = reader.domain(user.value.entry.address.domain)?;
        if user.value.entry.suspended || domain.is_none_or(|domain| domain.value.suspended) {
            return Ok(None);
        }
        let address = reader.address_text(&user.value.entry.address)?.unwrap_or_default();
        Ok(Some((passkey, Login { account, address, is_sudo: false, app_password: None })))
    };
    let found = state.directory.read(read).await?;
    let (passkey, login) = found.ok_or_else(|| refused("it is not known here; it may have been removed"))?;
    if passkey.rp_id != asked.rp_id {
        return Err(refused("it is for another host"));
    }
    let Asked { origin, rp_id, .. } = &asked;
    let expected = Expected { challenge: &challenge, origin, rp_id, user_verified: knows_password.is_none() };
    let key = decode(&passkey.key).unwrap_or_default();
    let used = webauthn::asserted(&expected, &client_data, &said, &signature, &key)
        .map_err(|error| refused(error.to_string()))?;
    let change = PasskeyChange::Used { count: used.count, backed_up: used.backed_up };
    let request = Request::ChangePasskey { account, id: passkey.id.clone(), change };
    state.write(request, false).await.map_err(|problem| match problem.code.as_str() {
        "invalid" => {
            let (login, passkey) = (&login.address, &passkey.id);
            tracing::warn!(target: "audit", login, passkey, "a passkey's count went back: it may have been copied");
            refused("its count went back: it may have been copied; remove it and make another")
        }
        _ => problem,
    })?;
    Ok(login)
}
