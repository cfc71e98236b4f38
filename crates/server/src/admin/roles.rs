//! `/api/v1/roles` and `/api/v1/grants`: what administrators may do, and who is one.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_directory::rights::{Area, Grant, Permission, Permissions, Rights, Role, Within, builtin_roles};
use sterna_directory::{AnyEntry, Reader, Request, RowKind, Scope, StorageError, User};

use super::answer::NoContent;
use super::doors::AdminState;
use super::input::{Body, IfMatch, Params};
use super::policy::above;
use super::principal::Principal;
use super::problem::Problem;
use super::view::{Page, Resource};
use super::{resolve, view};

/// A role as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Role")]
pub(super) struct RoleView {
    name: String,
    description: String,
    permissions: Vec<String>,
    /// Whether it is built in, and can't be changed.
    builtin: bool,
}

impl RoleView {
    fn of(role: Role, builtin: bool) -> Self {
        RoleView { permissions: role.permits().names(), name: role.name, description: role.description, builtin }
    }
}

/// The body of PUT.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RoleChange")]
pub(super) struct RoleBody {
    #[serde(default)]
    description: String,
    permissions: Vec<String>,
}

/// Those that are built in first.
pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<RoleView>>, Problem> {
    let own = state.directory.read(|reader: &Reader<'_>| reader.roles()).await?;
    let builtin = builtin_roles().into_iter().map(|role| RoleView::of(role, true));
    let items = builtin.chain(own.into_iter().map(|found| RoleView::of(found.value, false))).collect();
    Ok(Json(Page { items, next: None }))
}

/// Makes a role, or changes it. Nobody makes one that permits more than they may.
pub(super) async fn put(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    principal: Principal,
    Body(body): Body<RoleBody>,
) -> Result<Resource<RoleView>, Problem> {
    let role = Role { name, description: body.description, permissions: body.permissions };
    let held = principal.rights.within(Within::System);
    let asked = role.name.clone();
    let before = state.directory.read(move |reader: &Reader<'_>| reader.role(&asked)).await?;
    // Nor does anybody take from others what they have not themselves.
    if !held.has_all(role.permits()) || before.is_some_and(|before| !held.has_all(before.permits())) {
        return Err(above());
    }
    let done = state.write(Request::PutRole { role: role.clone(), expect }, params.dry_run).await?;
    Ok(Resource::read(RoleView::of(role, false), done.modseq).changed(done.changed))
}

/// Deletes a role that nobody has.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
) -> Result<NoContent, Problem> {
    state.write(Request::DeleteRole { name, expect }, params.dry_run).await?;
    Ok(view::no_content())
}

/// Who has which role where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Grant")]
pub(super) struct GrantView {
    /// The user's address.
    user: String,
    /// Which role.
    role: String,
    /// In which domain; null is everywhere.
    #[serde(default)]
    domain: Option<String>,
    /// Of the domain, only this organisational unit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    unit: String,
}

/// Everybody who has a role, as far as whoever asks administers there.
pub(super) async fn grants(
    State(state): State<AdminState>,
    principal: Principal,
    params: Params,
) -> Result<Json<Page<GrantView>>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let mut grants: Vec<Grant> = Vec::new();
        for id in reader.admins(usize::MAX)? {
            let role = builtin_roles()[0].name.clone();
            grants.push(Grant { account: id, role, scope: Scope::System, unit: String::new() });
        }
        grants.extend(reader.all_grants()?.into_iter().map(|found| found.value));
        grants.retain(|grant| sees(&principal.rights, grant));
        let views = grants.into_iter().map(|grant| shown(reader, &grant));
        let views = views.filter_map(Result::transpose).collect::<Result<Vec<_>, StorageError>>()?;
        let wanted = |view: &GrantView| {
            params.name.as_ref().is_none_or(|name| *name == view.user)
                && params.domain.as_ref().is_none_or(|domain| view.domain.as_ref() == Some(domain))
        };
        Ok::<_, Problem>(views.into_iter().filter(wanted).collect())
    };
    Ok(Json(Page { items: state.directory.read(read).await?, next: None }))
}

fn place(grant: &Grant) -> Within<'_> {
    match grant.scope {
        Scope::System => Within::System,
        Scope::Domain(id) => Within::Unit(id, &grant.unit),
    }
}

fn sees(rights: &Rights, grant: &Grant) -> bool {
    rights.may(Permission::read(Area::Administrators), place(grant))
}

fn shown(reader: &Reader<'_>, grant: &Grant) -> Result<Option<GrantView>, StorageError> {
    let Some(entry) = reader.entry(grant.account)? else { return Ok(None) };
    let user = reader.address_text(&entry.value.entry().address)?.unwrap_or_default();
    let domain = match grant.scope {
        Scope::System => None,
        Scope::Domain(id) => Some(reader.domain(id)?.map_or_else(|| id.to_string(), |found| found.value.name)),
    };
    Ok(Some(GrantView { user, role: grant.role.clone(), domain, unit: grant.unit.clone() }))
}

/// Grants a role.
pub(super) async fn grant(
    state: State<AdminState>,
    params: Params,
    principal: Principal,
    Body(body): Body<GrantView>,
) -> Result<Resource<GrantView>, Problem> {
    set(state, params, principal, body, true).await
}

/// Takes a role back.
pub(super) async fn take_back(
    state: State<AdminState>,
    params: Params,
    principal: Principal,
    Body(body): Body<GrantView>,
) -> Result<Resource<GrantView>, Problem> {
    set(state, params, principal, body, false).await
}

/// An administrator grants only what they have, where they have it, and takes it back from those only who may do no
/// more than they.
async fn set(
    State(state): State<AdminState>,
    params: Params,
    principal: Principal,
    body: GrantView,
    granted: bool,
) -> Result<Resource<GrantView>, Problem> {
    let (asked, rights) = (body.clone(), principal.rights);
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry_of(reader, &asked.user, RowKind::User)?.value;
        let AnyEntry::User(user) = found else { return Err(Problem::no_such("user", &asked.user)) };
        let role = reader.role(&asked.role)?.ok_or_else(|| Problem::no_such("role", &asked.role))?;
        let scope = match &asked.domain {
            Some(name) => Scope::Domain(resolve::domain(reader, name)?.value.id),
            None => Scope::System,
        };
        let grant = Grant { account: user.entry.id, role: role.name.clone(), scope, unit: asked.unit.clone() };
        let mut given = Rights::default();
        given.add(scope, &grant.unit, role.permits());
        let others = if granted { Rights::default() } else { reader.granted(user.entry.id)? };
        let may = rights.may(Permission::write(Area::Administrators), place(&grant));
        if !may || !rights.covers(&given) || !rights.covers(&others) {
            return Err(above());
        }
        Ok((grant, user))
    };
    let (grant, user) = state.directory.read(read).await?;
    let request = request(&grant, &user, granted);
    let done = state.write(request, params.dry_run).await?;
    Ok(Resource::read(body, done.modseq).changed(done.changed))
}

/// The platform's administrators are marked at their own rows.
fn request(grant: &Grant, user: &User, granted: bool) -> Request {
    if grant.scope == Scope::System && grant.role == builtin_roles()[0].name {
        let patch = sterna_directory::request::UserPatch { admin: Some(granted), ..Default::default() };
        return Request::SetUser { id: user.entry.id, expect: None, patch };
    }
    Request::SetGrant { grant: grant.clone(), granted }
}

/// What somebody may do, as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rights")]
pub(super) struct RightsView {
    /// The domain; null is everywhere.
    domain: Option<String>,
    /// Of the domain, only this organisational unit; empty is the whole.
    unit: String,
    permissions: Vec<String>,
}

/// All that somebody may do.
pub(super) fn rights_view(reader: &Reader<'_>, rights: &Rights) -> Result<Vec<RightsView>, StorageError> {
    let view = |(domain, unit, held): (Option<_>, &str, Permissions)| {
        let domain = domain.map(|id| reader.domain(id)).transpose()?.flatten().map(|found| found.value.name);
        Ok(RightsView { domain, unit: unit.to_owned(), permissions: held.names() })
    };
    rights.list().map(view).collect()
}
