//! `/api/v1/accounts/{account}/sieve` and `/api/v1/sieve`: the Sieve scripts of accounts, and those of domains.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::answered::Trouble;
use sterna_account::scripts::{self, ScriptError, ScriptLimits, Scripts};
use sterna_account::service::ScriptFault;
use sterna_account::{Account, AccountError};
use sterna_base::AccountId;
use sterna_directory::model::Scope;
use sterna_directory::{AnyEntry, Reader, Request, RequestError, settings};
use sterna_mailflow::sieve;

use super::doors::AdminState;
use super::input::{Body, By, Params};
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource, time};

/// One script.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SieveScript")]
pub(super) struct ScriptView {
    name: String,
    active: bool,
    size_bytes: u64,
    written_at: String,
    /// The text; not in listings.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What went wrong when it ran last, if anything did.
    trouble: Option<String>,
    /// When that was noticed first.
    trouble_since: Option<String>,
}

/// The body of PUT.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSieveScript")]
pub(super) struct ScriptBody {
    text: String,
}

/// The body of PATCH: null makes no script run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ActiveSieveScript")]
pub(super) struct ActiveBody {
    active: Option<String>,
}

/// A script of a domain, or of the installation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DomainSieveScript")]
pub(super) struct DomainScriptView {
    when: String,
    text: Option<String>,
}

/// The body of its PUT: null removes it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDomainSieveScript")]
pub(super) struct DomainScriptBody {
    text: Option<String>,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<Page<ScriptView>>, Problem> {
    let account = open(&state, account).await?;
    Ok(Json(Page { items: views(&*account).await?, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((account, name)): Path<(String, String)>,
) -> Result<Json<ScriptView>, Problem> {
    let account = open(&state, account).await?;
    let found = views(&*account).await?.into_iter().find(|view| view.name == name);
    let mut view = found.ok_or_else(|| Problem::no_such("script", &name))?;
    let text = scripts::text(&*account, &name).await.map_err(|error| unavailable(&error))?;
    view.text = text.map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(Json(view))
}

pub(super) async fn put(
    State(state): State<AdminState>,
    Path((account, name)): Path<(String, String)>,
    params: Params,
    Body(body): Body<ScriptBody>,
) -> Result<Resource<Page<ScriptView>>, Problem> {
    let account = open(&state, account).await?;
    check(body.text.clone()).await?;
    let limits = limits(&state).await?;
    if !params.dry_run {
        scripts::put(&*account, &name, body.text.into(), limits).await.map_err(|error| problem(error, &name))?;
    }
    changed(&*account).await
}

pub(super) async fn activate(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
    Body(body): Body<ActiveBody>,
) -> Result<Resource<Page<ScriptView>>, Problem> {
    let account = open(&state, account).await?;
    let name = body.active.as_deref();
    if !params.dry_run {
        let refused = |error| problem(error, name.unwrap_or_default());
        scripts::activate(&*account, name).await.map_err(refused)?;
    }
    changed(&*account).await
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((account, name)): Path<(String, String)>,
    params: Params,
) -> Result<Resource<Page<ScriptView>>, Problem> {
    let account = open(&state, account).await?;
    if !params.dry_run {
        scripts::delete(&*account, &name).await.map_err(|error| problem(error, &name))?;
    }
    changed(&*account).await
}

pub(super) async fn get_of_domain(
    State(state): State<AdminState>,
    Path(when): Path<String>,
    params: Params,
) -> Result<Json<DomainScriptView>, Problem> {
    let setting = setting(&when)?;
    let read = move |reader: &Reader<'_>| {
        let scope = scope(reader, params.domain.as_deref())?;
        Ok::<_, Problem>(reader.setting(scope, setting)?.map(|found| found.value.value))
    };
    let text = state.directory.read(read).await?;
    Ok(Json(DomainScriptView { when, text }))
}

pub(super) async fn put_of_domain(
    State(state): State<AdminState>,
    Path(when): Path<String>,
    params: Params,
    By(by): By,
    Body(body): Body<DomainScriptBody>,
) -> Result<Resource<DomainScriptView>, Problem> {
    let setting = setting(&when)?;
    if let Some(text) = &body.text {
        check(text.clone()).await?;
    }
    let domain = params.domain.clone();
    let scope = state.directory.read(move |reader| scope(reader, domain.as_deref())).await?;
    let request = Request::PutSetting { expect: None, scope, name: setting.to_owned(), value: body.text.clone(), by };
    let done = state.write(request, params.dry_run).await?;
    Ok(Resource::read(DomainScriptView { when, text: body.text }, done.modseq).changed(done.changed))
}

fn setting(when: &str) -> Result<&'static str, Problem> {
    match when {
        "before" => Ok(settings::SIEVE_BEFORE),
        "after" => Ok(settings::SIEVE_AFTER),
        _ => Err(Problem::no_such("script of domains", when)),
    }
}

fn scope(reader: &Reader<'_>, domain: Option<&str>) -> Result<Scope, Problem> {
    let Some(name) = domain else { return Ok(Scope::System) };
    Ok(Scope::Domain(resolve::domain(reader, name)?.value.id))
}

async fn open(state: &AdminState, account: String) -> Result<Arc<dyn Account>, Problem> {
    let read = move |reader: &Reader<'_>| match resolve::entry(reader, &account, "account")?.value {
        AnyEntry::Group(_) => Err(Problem::no_such("account", &account)),
        any => Ok(any.entry().id),
    };
    let id: AccountId = state.directory.read(read).await?;
    state.provision.open(id).await.map_err(|error| unavailable(&error))
}

async fn limits(state: &AdminState) -> Result<ScriptLimits, Problem> {
    let read = |reader: &Reader<'_>| {
        Ok::<_, Problem>(ScriptLimits {
            script_bytes: reader.number_setting(settings::SIEVE_SCRIPT_BYTES)?,
            scripts: reader.number_setting(settings::SIEVE_SCRIPTS)?,
        })
    };
    state.directory.read(read).await
}

async fn check(text: String) -> Result<(), Problem> {
    let checking = tokio::task::spawn_blocking(move || sieve::check(text.as_bytes())).await;
    let broken = || ScriptFault { line: 1, text: "the script can't be read".to_owned() };
    checking.unwrap_or_else(|_| Err(broken())).map_err(|fault| {
        let remedy = "Correct the script; `sterna sieve check FILE` looks at it without a server.";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no-script", "It is no script", fault.to_string(), remedy)
    })
}

async fn views(account: &dyn Account) -> Result<Vec<ScriptView>, Problem> {
    let scripts = Scripts::read(account).await.map_err(|error| unavailable(&error))?;
    let trouble = Trouble::read(account).await.map_err(|error| unavailable(&error))?;
    let view = |script: &scripts::Script| {
        let trouble = trouble.as_ref().filter(|trouble| script.active && trouble.script == script.hash);
        ScriptView {
            name: script.name.clone(),
            active: script.active,
            size_bytes: script.size,
            written_at: time(script.written_at),
            text: None,
            trouble: trouble.map(|trouble| trouble.text.clone()),
            trouble_since: trouble.map(|trouble| time(trouble.since)),
        }
    };
    Ok(scripts.scripts.iter().map(view).collect())
}

async fn changed(account: &dyn Account) -> Result<Resource<Page<ScriptView>>, Problem> {
    let body = Page { items: views(account).await?, next: None };
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(true), location: None, body })
}

fn unavailable(error: &AccountError) -> Problem {
    let remedy = "See which servers answer (sterna status), and try again once it does.";
    let (code, title) = ("server-unreachable", "A server doesn't answer");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, title, error.to_string(), remedy)
}

fn problem(error: ScriptError, name: &str) -> Problem {
    match error {
        ScriptError::NoSuchScript => Problem::no_such("script", name),
        ScriptError::Account(error) => unavailable(&error),
        ScriptError::Active => {
            let remedy = "Deactivate it first (sterna sieve deactivate), or activate another one.";
            Problem::new(StatusCode::CONFLICT, "active", "The script is active", error.to_string(), remedy)
        }
        ScriptError::NameTaken => RequestError::Invalid { field: "name", reason: error.to_string() }.into(),
        ScriptError::InvalidName => Problem::malformed(error.to_string()),
        ScriptError::TooLarge(_) | ScriptError::TooMany(_) => {
            let remedy = "Delete a script, or raise the limit (sterna config set sieve.scripts, sieve.script-bytes).";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "limit", "A limit is reached", error.to_string(), remedy)
        }
        ScriptError::Busy => {
            Problem::new(StatusCode::CONFLICT, "busy", "The scripts are being changed", error.to_string(), "Try again.")
        }
    }
}
