//! `/api/v1/api-tokens`: what programs prove themselves with.
//!
//! A token is `sterna_` and its id and secret, joined by `_`. The directory has a hash of the secret.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::Timestamp;
use sterna_base::ids::random_hex;
use sterna_directory::rights::{ApiToken, NewApiToken, Permissions};
use sterna_directory::{Reader, Request, StorageError};

use super::answer::{Made, NoContent};
use super::doors::AdminState;
use super::input::{Body, Params};
use super::policy::above;
use super::principal::{Principal, Via};
use super::problem::Problem;
use super::view::{Page, time};
use super::{resolve, sudo, view};

/// What every token begins with, so that scanners for leaked secrets can know one.
const PREFIX: &str = "sterna_";

/// How long a token is good when nobody says: 90 days.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long a token can be good: two years.
const LIFETIME_MAX: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

/// A token as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiToken")]
pub(super) struct TokenView {
    id: String,
    name: String,
    /// Whose rights it has; null when it was made at the main node's socket.
    user: Option<String>,
    permissions: Vec<String>,
    domain: Option<String>,
    created_at: String,
    expires_at: String,
    /// Whether that was already.
    expired: bool,
    /// The token itself; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiToken")]
pub(super) struct TokenBody {
    /// What it is for.
    name: String,
    /// What it may do; everything that its maker may do, if this isn't there.
    permissions: Option<Vec<String>>,
    /// Only in this domain.
    domain: Option<String>,
    /// How long it is good, in seconds.
    lifetime_seconds: Option<u64>,
}

fn shown(reader: &Reader<'_>, token: ApiToken, now: Timestamp) -> Result<TokenView, StorageError> {
    let entry = token.account.map(|id| reader.entry(id)).transpose()?.flatten();
    let user = entry.map(|entry| reader.address_text(&entry.value.entry().address)).transpose()?.flatten();
    let domain = token.domain.map(|id| reader.domain(id)).transpose()?.flatten().map(|found| found.value.name);
    Ok(TokenView {
        user,
        domain,
        permissions: token.permits().names(),
        id: token.id,
        name: token.name,
        created_at: time(token.created_at),
        expires_at: time(token.expires_at),
        expired: token.expires_at <= now,
        token: None,
    })
}

/// Whether somebody may see and delete a token: it is their own, or they administer administrators.
fn is_theirs(principal: &Principal, token: &ApiToken) -> bool {
    use sterna_directory::rights::{Area, Permission, Within};
    let administers = principal.rights.may(Permission::write(Area::Administrators), Within::System);
    administers || (token.account.is_some() && token.account == principal.account)
}

/// One's own, or all for those who administer administrators.
pub(super) async fn list(
    State(state): State<AdminState>,
    principal: Principal,
) -> Result<Json<Page<TokenView>>, Problem> {
    let now = state.directory.now();
    let read = move |reader: &Reader<'_>| {
        let tokens = reader.api_tokens()?.into_iter().map(|found| found.value);
        let own = tokens.filter(|token| is_theirs(&principal, token));
        own.map(|token| shown(reader, token, now)).collect::<Result<Vec<_>, StorageError>>()
    };
    Ok(Json(Page { items: state.directory.read(read).await?, next: None }))
}

/// Makes a token with some of the rights of whoever asks.
pub(super) async fn create(
    State(state): State<AdminState>,
    principal: Principal,
    params: Params,
    Body(body): Body<TokenBody>,
) -> Result<Made<TokenView>, Problem> {
    principal.must_be_present()?;
    let permissions = match body.permissions {
        Some(names) => names,
        None => Permissions::all().names(),
    };
    let wanted = Permissions::named(permissions.iter().map(String::as_str));
    if principal.rights.clone().limited_to(wanted).is_empty() {
        return Err(above());
    }
    let lifetime = body.lifetime_seconds.map_or(LIFETIME_DEFAULT, Duration::from_secs);
    if lifetime > LIFETIME_MAX {
        return Err(Problem::malformed("a token is good for two years at most"));
    }
    let domain = match body.domain {
        Some(name) => Some(state.directory.read(move |reader| resolve::domain(reader, &name)).await?.value.id),
        None => None,
    };
    let (id, secret) = (random_hex::<6>(), random_hex::<32>());
    let hash = blake3::hash(secret.as_bytes()).to_hex().to_string();
    let expires_at = state.directory.now().plus_ms(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
    let (account, name) = (principal.account, body.name);
    let new = NewApiToken { id: id.clone(), name, account, permissions, domain, hash, expires_at };
    state.write(Request::CreateApiToken(new), params.dry_run).await?;
    if params.dry_run {
        return Ok(view::no_content().into());
    }
    let made = id.clone();
    let now = state.directory.now();
    let read = move |reader: &Reader<'_>| reader.api_token(&made)?.map(|token| shown(reader, token, now)).transpose();
    let mut shown = state.directory.read(read).await?.ok_or_else(|| Problem::no_such("token", &id))?;
    shown.token = Some(format!("{PREFIX}{id}_{secret}"));
    let location = format!("/api/v1/api-tokens/{id}");
    Ok(Made::from(view::Resource::made(shown, location)).private())
}

/// Makes a token worthless.
pub(super) async fn delete(
    State(state): State<AdminState>,
    principal: Principal,
    Path(id): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let asked = id.clone();
    let found = state.directory.read(move |reader: &Reader<'_>| reader.api_token(&asked)).await?;
    if !found.is_some_and(|token| is_theirs(&principal, &token)) {
        return Err(Problem::no_such("token", &id));
    }
    state.write(Request::DeleteApiToken { id }, params.dry_run).await?;
    Ok(view::no_content())
}

/// Who has this token, and what it permits now: what its maker may do now, as far as the token goes.
///
/// # Errors
/// [`Problem`] 401 when it is none, or none any more.
pub async fn principal_of(state: &AdminState, text: &str) -> Result<Principal, Problem> {
    if text.starts_with(sudo::PREFIX) {
        return sudo::principal_of(state, text).await;
    }
    let (id, secret) =
        text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or_else(Problem::not_signed_in)?;
    let hash = blake3::hash(secret.as_bytes());
    let (id, now) = (id.to_owned(), state.directory.now());
    let read = move |reader: &Reader<'_>| {
        let Some(token) = reader.api_token(&id)? else { return Err(Problem::not_signed_in()) };
        // Compared in constant time.
        let is_right = blake3::Hash::from_hex(&token.hash).is_ok_and(|kept| kept == hash);
        if !is_right || token.expires_at <= now {
            return Err(Problem::not_signed_in());
        }
        let (rights, name) = match token.account {
            None => (sterna_directory::rights::Rights::all(), String::new()),
            Some(account) => {
                if !reader.is_open(account)? {
                    return Err(Problem::not_signed_in());
                }
                let entry = reader.entry(account)?.ok_or_else(Problem::not_signed_in)?;
                let name = reader.address_text(&entry.value.entry().address)?.unwrap_or_default();
                (reader.rights(account)?, name)
            }
        };
        let rights = match token.domain {
            Some(domain) => rights.limited_to_domain(domain),
            None => rights,
        };
        let name =
            if name.is_empty() { format!("“{}”", token.name) } else { format!("{name} (“{}”)", token.name) };
        let rights = if token.permits() == Permissions::all() { rights } else { rights.limited_to(token.permits()) };
        Ok(Principal { name, account: token.account, rights, via: Via::Token(token.id), peer: None })
    };
    state.directory.read(read).await
}
