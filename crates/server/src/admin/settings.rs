//! `/api/v1/settings`: what holds for the whole installation, and what domains have of their own; and how it changed.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::Modseq;
use sterna_directory::model::{Domain, Scope, SettingChange};
use sterna_directory::rights::{Area, Permission, Rights, Within};
use sterna_directory::settings::{OF_DOMAINS, all, shown};
use sterna_directory::{Reader, Request, StorageError};

use super::doors::AdminState;
use super::input::{Body, IfMatch, Params};
use super::policy::above;
use super::principal::Principal;
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource, time};

/// How the settings begin that say who signs people in.
const VOUCHERS: [&str; 3] = ["openid.", "oauth.", "console."];

/// One setting.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Setting")]
pub(super) struct SettingView {
    name: &'static str,
    /// What holds.
    value: Option<String>,
    /// Who says so: “domain”, “system”, or “default”.
    from: &'static str,
    /// What holds when nobody sets it.
    default: Option<Cow<'static, str>>,
}

/// The body of PATCH; null goes back to what holds without it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SettingValue")]
pub(super) struct SettingBody {
    value: Option<String>,
}

/// One change of a setting.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingChange")]
pub(super) struct ChangeView {
    change: u64,
    at: String,
    by: String,
    /// The domain; null for the installation.
    domain: Option<String>,
    name: String,
    before: Option<String>,
    after: Option<String>,
    /// The change that this one undid.
    reverts: Option<u64>,
}

type Known = (&'static str, Option<Cow<'static, str>>);

fn view(reader: &Reader<'_>, domain: Option<&Domain>, (name, default): Known) -> Result<SettingView, StorageError> {
    let set = |scope| Ok::<_, StorageError>(reader.setting(scope, name)?.map(|found| found.value.value));
    let own = domain.map(|domain| set(Scope::Domain(domain.id))).transpose()?.flatten();
    let (set, from) = match own {
        Some(own) => (Some(own), "domain"),
        None => match set(Scope::System)? {
            Some(set) => (Some(set), "system"),
            None => (None, "default"),
        },
    };
    let value = set.map(|value| as_typed(name, value)).or_else(|| default.as_deref().map(str::to_owned));
    Ok(SettingView { name, value, from, default })
}

/// An empty text on the command line means something else.
fn as_typed(name: &str, value: String) -> String {
    if value.is_empty() { "none".to_owned() } else { shown(name, value) }
}

fn known(name: &str) -> Result<Known, Problem> {
    all().into_iter().find(|(known, _)| *known == name).ok_or_else(|| Problem::no_such("setting", name))
}

/// Whether somebody may change a setting besides what the endpoint needs: whoever says which provider signs people in,
/// and by which claim, could be any of them.
///
/// # Errors
/// 403.
fn must_set(principal: &Principal, name: &str) -> Result<(), Problem> {
    if !VOUCHERS.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(());
    }
    if !principal.rights.covers(&Rights::all()) {
        return Err(above());
    }
    principal.must_be_present()
}

/// The domain that is asked about, if one is.
fn domain(reader: &Reader<'_>, name: Option<&str>) -> Result<Option<Domain>, Problem> {
    Ok(name.map(|name| resolve::domain(reader, name)).transpose()?.map(|found| found.value))
}

pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<Page<SettingView>>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let domain = domain(reader, params.domain.as_deref())?;
        let meant = all().into_iter().filter(|(name, _)| domain.is_none() || OF_DOMAINS.contains(name));
        let views = meant.map(|known| view(reader, domain.as_ref(), known));
        Ok::<_, Problem>(views.collect::<Result<_, _>>()?)
    };
    let items = state.directory.read(read).await?;
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Resource<SettingView>, Problem> {
    let known = known(&name)?;
    let read = move |reader: &Reader<'_>| {
        let domain = domain(reader, params.domain.as_deref())?;
        Ok::<_, Problem>(one(reader, domain.as_ref(), known)?)
    };
    state.directory.read(read).await
}

/// One setting with its version where it is asked for: zero where it isn't set there.
fn one(reader: &Reader<'_>, domain: Option<&Domain>, known: Known) -> Result<Resource<SettingView>, StorageError> {
    let scope = domain.map_or(Scope::System, |domain| Scope::Domain(domain.id));
    let modseq = reader.setting(scope, known.0)?.map_or(Modseq::ZERO, |found| found.modseq);
    Ok(Resource::read(view(reader, domain, known)?, modseq))
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    principal: Principal,
    IfMatch(expect): IfMatch,
    Body(body): Body<SettingBody>,
) -> Result<Resource<SettingView>, Problem> {
    let known = known(&name)?;
    must_set(&principal, known.0)?;
    let by = principal.name;
    let asked = params.domain.clone();
    let domain = state.directory.read(move |reader| domain(reader, asked.as_deref())).await?;
    if domain.is_some() && !OF_DOMAINS.contains(&known.0) {
        return Err(Problem::not_of_domains(known.0));
    }
    let scope = domain.as_ref().map_or(Scope::System, |domain| Scope::Domain(domain.id));
    let done = state.write(Request::PutSetting { expect, scope, name, value: body.value, by }, params.dry_run).await?;
    let shown = state.directory.read(move |reader| one(reader, domain.as_ref(), known)).await?;
    Ok(shown.changed(done.changed))
}

/// The newest change first.
pub(super) async fn history(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Json<Page<ChangeView>>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let domain = domain(reader, params.domain.as_deref())?;
        let before = params.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(u64::MAX);
        let is_meant = |change: &SettingChange| {
            change.number < before
                && domain.as_ref().is_none_or(|domain| change.scope == Scope::Domain(domain.id))
                && params.name.as_ref().is_none_or(|name| *name == change.name)
        };
        let changes = reader.setting_changes()?.into_iter().rev().filter(is_meant).take(params.limit() + 1);
        let views = changes.map(|change| change_view(reader, change)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Problem>(Page::cut(views, params.limit(), |view| view.change.to_string()))
    };
    state.directory.read(read).await
}

fn change_view(reader: &Reader<'_>, change: SettingChange) -> Result<ChangeView, StorageError> {
    let domain = match change.scope {
        Scope::System => None,
        Scope::Domain(id) => Some(reader.domain(id)?.map_or_else(|| id.to_string(), |domain| domain.value.name)),
    };
    let typed = |value: Option<String>| value.map(|value| as_typed(&change.name, value));
    Ok(ChangeView {
        change: change.number,
        at: time(change.at),
        by: change.by,
        domain,
        before: typed(change.before),
        after: typed(change.after),
        name: change.name,
        reverts: change.reverts,
    })
}

/// The body of POST: which change to undo.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SettingRevert")]
pub(super) struct RevertBody {
    revert: u64,
}

pub(super) async fn revert(
    State(state): State<AdminState>,
    params: Params,
    principal: Principal,
    Body(body): Body<RevertBody>,
) -> Result<Resource<Option<ChangeView>>, Problem> {
    let change = body.revert;
    let of_change = move |reader: &Reader<'_>| {
        let found = reader.setting_changes()?.into_iter().find(|found| found.number == change);
        Ok::<_, StorageError>(found.map(|found| (found.scope, found.name)))
    };
    let found = state.directory.read(of_change).await?;
    let place = match &found {
        Some((Scope::Domain(id), _)) => Within::Domain(*id),
        Some((Scope::System, _)) | None => Within::System,
    };
    if !principal.rights.may(Permission::write(Area::Settings), place) {
        return Err(Problem::no_such("change", &change.to_string()));
    }
    if let Some((_, name)) = &found {
        must_set(&principal, name)?;
    }
    let by = principal.name;
    let done = state.write(Request::RevertSetting { change, by }, params.dry_run).await?;
    let read =
        |reader: &Reader<'_>| reader.setting_changes()?.pop().map(|change| change_view(reader, change)).transpose();
    let made = if params.dry_run || !done.changed { None } else { state.directory.read(read).await? };
    Ok(Resource::read(made, done.modseq).changed(done.changed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sterna_base::limits;
    use sterna_base::session_limits::LIMITS;

    /// The page for administrators.
    const PAGE: &str = include_str!("../../../../docs/admin/limits.md");

    #[test]
    fn the_page_of_limits_says_what_holds() {
        let settings = LIMITS.iter().map(|limit| {
            format!("| `{}` | {} | {} to {} | {} |", limit.name, limit.default, limit.least, limit.most, limit.what)
        });
        let fixed = [
            format!("| A message | {} bytes, by every protocol (SIZE, APPENDLIMIT) |", limits::MESSAGE_BYTES_MAX),
            format!("| Recipients of one message in one transaction | {} |", limits::RECIPIENTS_MAX),
            format!("| Keywords of one mailbox | {} flags that users invent |", limits::KEYWORDS_PER_CONTAINER_MAX),
            format!("| A keyword | {} bytes |", limits::KEYWORD_BYTES_MAX),
            format!("| One part of a mailbox's name | {} bytes |", limits::CONTAINER_NAME_BYTES_MAX),
            format!("| Mailboxes inside each other | {} |", limits::CONTAINER_DEPTH_MAX),
            format!("| Mailboxes of one account | {} |", limits::CONTAINERS_PER_ACCOUNT_MAX),
        ];
        let expected: BTreeSet<String> = settings.chain(fixed).collect();
        let heads = ["| setting |", "| what |", "|---"];
        let is_row = |line: &&str| line.starts_with('|') && !heads.iter().any(|head| line.starts_with(head));
        let written: BTreeSet<String> = PAGE.lines().filter(is_row).map(str::to_owned).collect();
        let differing: Vec<&String> = expected.symmetric_difference(&written).collect();
        assert!(differing.is_empty(), "docs/admin/limits.md and the code differ in: {differing:#?}");
    }
}
