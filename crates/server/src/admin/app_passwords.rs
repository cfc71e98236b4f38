//! `/api/v1/me/app-passwords` and `/api/v1/users/{user}/app-passwords`: a password for each program of a user.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::AccountId;
use sterna_base::ids::{random_bytes, random_hex};
use sterna_directory::rights::{AppPassword, NewAppPassword, hash_of_app_password};
use sterna_directory::{Reader, Request};

use super::answer::{Made, NoContent};
use super::doors::AdminState;
use super::input::{Body, Params};
use super::principal::Principal;
use super::problem::Problem;
use super::totp::base32;
use super::view::{Page, time};
use super::{resolve, view};

/// Protocols that an app password can be limited to.
const PROTOCOLS: [&str; 5] = ["imap", "pop3", "smtp", "managesieve", "dav"];

/// Bytes of a new password: 20 letters.
const RANDOM_BYTES: usize = 13;

/// Letters between two hyphens.
const GROUP: usize = 5;

/// An app password as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AppPassword")]
pub(super) struct AppPasswordView {
    id: String,
    name: String,
    /// What it is good for; empty is everything.
    protocols: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    /// Which administrator has it, who works as the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    sudo_by: Option<String>,
    /// The password itself; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppPasswordChange")]
pub(super) struct AppPasswordBody {
    /// Which program or device.
    name: String,
    #[serde(default)]
    protocols: Vec<String>,
    /// How long it is good, in seconds; for ever without it.
    lifetime_seconds: Option<u64>,
}

fn shown(found: AppPassword) -> AppPasswordView {
    AppPasswordView {
        id: found.id,
        name: found.name,
        protocols: found.protocols,
        created_at: time(found.created_at),
        expires_at: found.expires_at.map(time),
        sudo_by: found.sudo.map(|sudo| sudo.by),
        password: None,
    }
}

async fn list_of(state: &AdminState, account: AccountId) -> Result<Json<Page<AppPasswordView>>, Problem> {
    let found = state.directory.read(move |reader: &Reader<'_>| reader.app_passwords(account)).await?;
    Ok(Json(Page { items: found.into_iter().map(|found| shown(found.value)).collect(), next: None }))
}

/// One's own.
pub(super) async fn list_own(
    State(state): State<AdminState>,
    principal: Principal,
) -> Result<Json<Page<AppPasswordView>>, Problem> {
    list_of(&state, principal.own_account()?).await
}

/// Those of a user.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(user): Path<String>,
) -> Result<Json<Page<AppPasswordView>>, Problem> {
    list_of(&state, state.directory.read(move |reader| resolve::user_id(reader, &user)).await?).await
}

/// A new one for oneself.
pub(super) async fn create_own(
    State(state): State<AdminState>,
    principal: Principal,
    params: Params,
    Body(body): Body<AppPasswordBody>,
) -> Result<Made<AppPasswordView>, Problem> {
    principal.must_be_present()?;
    create_for(&state, principal.own_account()?, params, body).await
}

/// A new one for a user.
pub(super) async fn create(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    principal: Principal,
    params: Params,
    Body(body): Body<AppPasswordBody>,
) -> Result<Made<AppPasswordView>, Problem> {
    principal.must_be_present()?;
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    create_for(&state, account, params, body).await
}

/// The letters of a new password, without hyphens.
pub(super) fn random_letters() -> String {
    base32(&random_bytes::<RANDOM_BYTES>()).to_ascii_lowercase().chars().take(20).collect()
}

/// They as people read and type them.
pub(super) fn in_groups(letters: &str) -> String {
    let groups: Vec<&str> = (0..letters.len() / GROUP).map(|n| &letters[n * GROUP..(n + 1) * GROUP]).collect();
    groups.join("-")
}

async fn create_for(
    state: &AdminState,
    account: AccountId,
    params: Params,
    body: AppPasswordBody,
) -> Result<Made<AppPasswordView>, Problem> {
    if let Some(unknown) = body.protocols.iter().find(|name| !PROTOCOLS.contains(&name.as_str())) {
        return Err(Problem::malformed(format!("there is no protocol {unknown:?}: {}", PROTOCOLS.join(", "))));
    }
    let password = in_groups(&random_letters());
    let hash = hash_of_app_password(&password).unwrap_or_default();
    let id = random_hex::<6>();
    let lifetime_ms = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX / 2);
    let expires_at = body.lifetime_seconds.map(|seconds| state.directory.now().plus_ms(lifetime_ms(seconds)));
    let (name, protocols) = (body.name, body.protocols);
    let new = NewAppPassword { account, id: id.clone(), name, hash, protocols, expires_at, sudo: None };
    state.write(Request::CreateAppPassword(new), params.dry_run).await?;
    if params.dry_run {
        return Ok(view::no_content().into());
    }
    let found = state.directory.read(move |reader: &Reader<'_>| reader.app_passwords(account)).await?;
    let made = found.into_iter().map(|found| found.value).find(|found| found.id == id);
    let mut made = shown(made.ok_or_else(|| Problem::no_such("app password", &id))?);
    made.password = Some(password);
    Ok(Made::from(view::Resource::made(made, format!("/api/v1/users/{account}/app-passwords/{id}"))).private())
}

/// Makes one's own worthless.
pub(super) async fn delete_own(
    State(state): State<AdminState>,
    principal: Principal,
    Path(id): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let account = principal.own_account()?;
    state.write(Request::DeleteAppPassword { account, id }, params.dry_run).await?;
    Ok(view::no_content())
}

/// Makes one of a user worthless.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((user, id)): Path<(String, String)>,
    params: Params,
) -> Result<NoContent, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    state.write(Request::DeleteAppPassword { account, id }, params.dry_run).await?;
    Ok(view::no_content())
}
