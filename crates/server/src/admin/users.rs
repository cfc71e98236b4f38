//! `/api/v1/users`

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use sterna_base::{AccountId, Secret};
use sterna_directory::auth::bind::administers;
use sterna_directory::password::PasswordError;
use sterna_directory::request::{NewUser, UserPatch};
use sterna_directory::{Address, PasswordHash, Reader, Request, RowKind, Scram, names};

use super::answer::{Made, NoContent, Removed};
use super::create::NewEntry;
use super::domains::present;
use super::doors::AdminState;
use super::input::{Body, By, IfMatch, Params};
use super::principal::{Principal, Seen, Via};
use super::problem::Problem;
use super::view::{EntryView, Page, Resource};
use super::{bin, listing, resolve, view};

/// How long an account's server has to say how full the account is, in milliseconds.
const USAGE_TIMEOUT_MS: u64 = 3_000;

/// The body of POST and PATCH; in a PATCH what is not there stays, and null removes.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "UserChange")]
pub(super) struct UserBody {
    address: Option<String>,
    aliases: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    login: Option<Option<String>>,
    display_name: Option<String>,
    /// The organisational unit, as a path: `sales/north`.
    unit: Option<String>,
    /// The password itself; null forbids log-in by password.
    #[serde(deserialize_with = "present")]
    password: Option<Option<String>>,
    /// Or its hash, from another system: argon2 or PBKDF2 as a PHC string, or a scheme of LDAP (`{SSHA512}...`).
    password_hash: Option<String>,
    admin: Option<bool>,
    #[serde(deserialize_with = "present")]
    quota_bytes: Option<Option<u64>>,
    suspended: Option<bool>,
    hidden: Option<bool>,
    /// Addresses of users and groups who may send with the addresses of this one.
    senders: Option<Vec<String>>,
    forward_to: Option<Vec<String>>,
    forward_only: Option<bool>,
    /// Where a new account is made, by name or id; by policy when it isn't there.
    server: Option<String>,
}

impl UserBody {
    /// The hash to be stored: `None` leaves it as it is. With it comes what SCRAM keeps of the same password.
    async fn hash(&self, state: &AdminState) -> Result<(Option<Option<PasswordHash>>, Option<Scram>), Problem> {
        match (&self.password, &self.password_hash) {
            (Some(_), Some(_)) => Err(Problem::malformed("give password or password_hash, not both")),
            (Some(None), None) => Ok((Some(None), None)),
            (Some(Some(password)), None) => {
                let hashed = state.authentication.hash(Secret::new(password.as_str())).await;
                let (hash, scram) = hashed.map_err(password_problem)?;
                Ok((Some(Some(hash)), scram))
            }
            (None, Some(hash)) => Ok((Some(Some(PasswordHash(hash.clone()))), None)),
            (None, None) => Ok((None, None)),
        }
    }
}

fn password_problem(error: PasswordError) -> Problem {
    let (title, remedy) = ("The password is not allowed", "Choose another password.");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title, error.to_string(), remedy)
}

pub(super) fn cursor(reader: &Reader<'_>, text: &str) -> Result<Address, Problem> {
    let (local, name) = names::address(text).ok_or_else(|| Problem::malformed("“after” is not an address"))?;
    Ok(Address { local, domain: resolve::domain(reader, &name)?.value.id })
}

/// One entry of a kind.
pub(super) async fn one(state: &AdminState, text: String, kind: RowKind) -> Result<Resource<EntryView>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry_of(reader, &text, kind)?;
        Ok(view::entry_resource(reader, &found)?)
    };
    state.directory.read(read).await
}

pub(super) async fn list(
    State(state): State<AdminState>,
    params: Params,
    seen: Seen,
) -> Result<Json<Page<EntryView>>, Problem> {
    listing::page(state, RowKind::User, params, seen, |_| true).await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(user): Path<String>,
) -> Result<Resource<EntryView>, Problem> {
    let found = one(&state, user, RowKind::User).await?;
    Ok(with_usage(&state, found).await)
}

/// Asks the account's server how full the account is.
pub(super) async fn with_usage(state: &AdminState, mut found: Resource<EntryView>) -> Resource<EntryView> {
    if found.body.server.is_some() {
        let asked = state.provision.usage(found.body.id);
        let answer = tokio::time::timeout(Duration::from_millis(USAGE_TIMEOUT_MS), asked).await;
        let quota = answer.ok().and_then(Result::ok);
        found.body.used_bytes = Some(quota.map(|quota| quota.bytes_used));
        found.body.used_items = Some(quota.map(|quota| quota.items_used));
    }
    found
}

pub(super) async fn create(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<UserBody>,
) -> Result<Made<EntryView>, Problem> {
    if body.senders.is_some() || body.forward_to.is_some() || body.forward_only.is_some() {
        return Err(Problem::malformed("who may send with its addresses, and where its mail goes, is set afterwards"));
    }
    if body.suspended.is_some() || body.hidden.is_some() {
        return Err(Problem::malformed("a new user is neither suspended nor hidden; change it afterwards"));
    }
    let (password_hash, scram) = body.hash(&state).await?;
    let new = NewUser {
        address: body.address.ok_or_else(|| Problem::malformed("a user needs an address"))?,
        aliases: body.aliases.unwrap_or_default(),
        login: body.login.flatten(),
        display_name: body.display_name.unwrap_or_default(),
        unit: body.unit.unwrap_or_default(),
        password_hash: password_hash.flatten(),
        scram,
        admin: body.admin.unwrap_or_default(),
        quota_bytes: body.quota_bytes.flatten(),
    };
    match state.create_account(NewEntry::User(new), body.server, params.dry_run).await? {
        None => Ok(view::no_content().into()),
        Some(id) => {
            let made = one(&state, id.to_string(), RowKind::User).await?;
            Ok(made.created(format!("/api/v1/users/{id}")).into())
        }
    }
}

/// Nobody is told a password that is never asked for.
///
/// # Errors
/// 409 for whose password a source checks.
fn must_have_password_here(reader: &Reader<'_>, id: AccountId) -> Result<(), Problem> {
    let Some(link) = reader.link(id)? else { return Ok(()) };
    let source = reader.source(&link.source)?.filter(|source| source.value.logins);
    match source {
        Some(source) if !administers(reader, id)? => {
            let detail = format!("the source “{}” checks their password", source.value.name);
            let (title, remedy) = ("It is changed elsewhere", "Change the password in the source.");
            Err(Problem::new(StatusCode::CONFLICT, "of-source", title, detail, remedy))
        }
        _ => Ok(()),
    }
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    principal: Principal,
    Body(body): Body<UserBody>,
) -> Result<Resource<EntryView>, Problem> {
    if body.server.is_some() {
        return Err(Problem::malformed("an account that exists is moved, not set on another server"));
    }
    let senders = body.senders.clone();
    let has_one = body.password_hash.is_some() || matches!(body.password, Some(Some(_)));
    let gives_password = has_one && body.admin != Some(true);
    let read = move |reader: &Reader<'_>| {
        let id = resolve::user_id(reader, &user)?;
        if gives_password {
            must_have_password_here(reader, id)?;
        }
        Ok::<_, Problem>((id, senders.map(|senders| resolve::senders(reader, &senders)).transpose()?))
    };
    let (id, senders) = state.directory.read(read).await?;
    let (password_hash, scram) = body.hash(&state).await?;
    let patch = UserPatch {
        address: body.address,
        aliases: body.aliases,
        login: body.login,
        display_name: body.display_name,
        unit: body.unit,
        password_hash,
        scram,
        admin: body.admin,
        quota_bytes: body.quota_bytes,
        suspended: body.suspended,
        hidden: body.hidden,
        forward_to: body.forward_to,
        forward_only: body.forward_only,
        senders,
    };
    let new_password = patch.password_hash.is_some();
    let done = state.write(Request::SetUser { id, expect, patch }, params.dry_run).await?;
    if new_password
        && !params.dry_run
        && let Some(records) = &state.records
    {
        // Whoever knew the old one is signed out; but not the one who sets a new one.
        let own = match principal.via {
            Via::Session(session) if principal.account == Some(id) => Some(session),
            _ => None,
        };
        records.end_sessions(id, own).await?;
    }
    if let Some(bytes_max) = body.quota_bytes
        && !params.dry_run
    {
        state.set_quota(id, bytes_max).await?;
    }
    Ok(one(&state, id.to_string(), RowKind::User).await?.changed(done.changed))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    params: Params,
    expect: IfMatch,
    by: By,
) -> Result<Removed<bin::BinView>, Problem> {
    let found = state.directory.read(move |reader| resolve::entry_of(reader, &user, RowKind::User)).await?;
    bin::delete(&state, (found.value.entry().id, RowKind::User), &params, expect, by).await
}

/// Forgets who a user is at providers of OpenID Connect: the next sign-in there binds anew.
pub(super) async fn forget_openid(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let read = move |reader: &Reader<'_>| {
        let account = resolve::user_id(reader, &user)?;
        Ok::<_, Problem>((account, !reader.subjects_of(account)?.is_empty()))
    };
    let (account, is_known) = state.directory.read(read).await?;
    if !is_known {
        return Ok(view::nothing_changed());
    }
    state.write(Request::ForgetSubjects { account }, params.dry_run).await?;
    Ok(view::no_content())
}
