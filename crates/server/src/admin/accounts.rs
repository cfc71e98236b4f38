//! `/api/v1/accounts`: everything that has a store, whoever owns it. Shared mailboxes are made and changed here; users
//! have their own resource.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Epoch, JobId, NodeId};
use sterna_directory::read::AnyEntry;
use sterna_directory::request::{NewShared, SharedPatch};
use sterna_directory::{MovePhase, Reader, Request, RowKind};

use super::answer::{Made, Removed};
use super::create::NewEntry;
use super::domains::present;
use super::doors::AdminState;
use super::input::{Body, By, IfMatch, Params};
use super::principal::Seen;
use super::problem::Problem;
use super::resources::{self, ResourceBody};
use super::users::one;
use super::view::{EntryView, Page, Resource};
use super::{bin, resolve, view};

/// The body of POST and PATCH; in a PATCH what is not there stays, and null removes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "SharedChange")]
pub(super) struct SharedBody {
    address: Option<String>,
    aliases: Option<Vec<String>>,
    display_name: Option<String>,
    /// The organisational unit, as a path.
    unit: Option<String>,
    #[serde(deserialize_with = "present")]
    quota_bytes: Option<Option<u64>>,
    suspended: Option<bool>,
    hidden: Option<bool>,
    /// Addresses of users and groups who may send with the addresses of this one.
    senders: Option<Vec<String>>,
    forward_to: Option<Vec<String>>,
    forward_only: Option<bool>,
    server: Option<String>,
    /// What makes it a room or a thing.
    pub(super) resource: Option<ResourceBody>,
}

/// Where an account lives.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Place")]
pub(super) struct PlaceView {
    account: AccountId,
    address: String,
    server: String,
    server_id: NodeId,
    server_address: String,
    epoch: Epoch,
    /// Names of the servers that have copies of it.
    copies: Vec<String>,
    /// The server that it is moving to, and the job.
    moving_to: Option<String>,
    job: Option<JobId>,
}

/// With `server`: the accounts on it, by id. Without: the shared mailboxes, by domain and address.
pub(super) async fn list(
    State(state): State<AdminState>,
    params: Params,
    seen: Seen,
) -> Result<Json<Page<EntryView>>, Problem> {
    let Some(name) = params.server.clone() else {
        return super::listing::page(state, RowKind::Shared, params, seen, |_| true).await;
    };
    let limit = params.limit();
    let after = params.after.as_deref().map_or(Ok(AccountId(0)), str::parse);
    let after = after.map_err(|_| Problem::malformed("“after” is not an account id"))?;
    let read = move |reader: &Reader<'_>| {
        let server = resolve::server(reader, &name)?.value.id;
        let mut items = Vec::new();
        for id in reader.placed_on(server, after, limit + 1)? {
            if let Some(found) = reader.entry(id)? {
                items.push((seen.entry(found.value.entry()), view::entry(reader, &found.value)?));
            }
        }
        Ok::<_, Problem>(items)
    };
    Ok(Page::cut_seen(state.directory.read(read).await?, limit, |entry| entry.id.to_string()))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Resource<EntryView>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry(reader, &account, "account")?;
        Ok::<_, Problem>(view::entry_resource(reader, &found)?)
    };
    let found = state.directory.read(read).await?;
    Ok(super::users::with_usage(&state, found).await)
}

pub(super) async fn place(
    State(state): State<AdminState>,
    Path(account): Path<String>,
) -> Result<Json<PlaceView>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry(reader, &account, "account")?;
        let entry = found.value.entry();
        let no_place = || Problem::no_such("placement", &account);
        let placement = reader.placement(entry.id)?.ok_or_else(no_place)?.value;
        let server = reader.server(placement.server)?.map(|found| found.value);
        let name = |id: NodeId| -> Result<String, Problem> {
            Ok(reader.server(id)?.map_or_else(|| id.to_string(), |found| found.value.name))
        };
        let copies = reader.copies_of(entry.id)?;
        let moving = reader.move_of(entry.id)?.map(|found| found.value).filter(|row| row.phase != MovePhase::Failed);
        Ok(Json(PlaceView {
            account: entry.id,
            address: reader.address_text(&entry.address)?.unwrap_or_default(),
            server: server.as_ref().map_or_else(|| placement.server.to_string(), |server| server.name.clone()),
            server_id: placement.server,
            server_address: server.map(|server| server.address).unwrap_or_default(),
            epoch: placement.epoch,
            copies: copies.iter().map(|copy| name(copy.server)).collect::<Result<_, _>>()?,
            moving_to: moving.as_ref().map(|row| name(row.to)).transpose()?,
            job: moving.map(|row| row.job),
        }))
    };
    state.directory.read(read).await
}

pub(super) async fn create(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<SharedBody>,
) -> Result<Made<EntryView>, Problem> {
    if body.senders.is_some() || body.forward_to.is_some() || body.forward_only.is_some() {
        return Err(Problem::malformed("who may send with its addresses, and where its mail goes, is set afterwards"));
    }
    if body.suspended.is_some() || body.hidden.is_some() {
        return Err(Problem::malformed("a new mailbox is neither suspended nor hidden; change it afterwards"));
    }
    let wanted = body.resource.clone();
    let read = move |reader: &Reader<'_>| wanted.map(|wanted| wanted.applied(reader, None)).transpose();
    let resource = state.directory.read(read).await?;
    let managers = resource.as_ref().map(|resource| resource.managers.clone()).unwrap_or_default();
    let new = NewShared {
        address: body.address.ok_or_else(|| Problem::malformed("a shared mailbox needs an address"))?,
        aliases: body.aliases.unwrap_or_default(),
        display_name: body.display_name.unwrap_or_default(),
        unit: body.unit.unwrap_or_default(),
        quota_bytes: body.quota_bytes.flatten(),
        resource,
    };
    match state.create_account(NewEntry::Shared(new), body.server, params.dry_run).await? {
        None => Ok(view::no_content().into()),
        Some(id) => {
            resources::give(&state, id, &[], &managers).await?;
            let made = one(&state, id.to_string(), RowKind::Shared).await?;
            Ok(made.created(format!("/api/v1/accounts/{id}")).into())
        }
    }
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    Body(body): Body<SharedBody>,
) -> Result<Resource<EntryView>, Problem> {
    if body.server.is_some() {
        return Err(Problem::malformed(
            "an account that exists is moved (sterna account move), not set on another server",
        ));
    }
    let (senders, wanted) = (body.senders.clone(), body.resource.clone());
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry_of(reader, &account, RowKind::Shared)?.value;
        let old = match &found {
            AnyEntry::Shared(shared) => shared.resource.clone(),
            _ => None,
        };
        let managers = old.as_ref().map(|old| old.managers.clone()).unwrap_or_default();
        let resource = wanted.map(|wanted| wanted.applied(reader, old)).transpose()?;
        let senders = senders.map(|senders| resolve::senders(reader, &senders)).transpose()?;
        Ok::<_, Problem>((found.entry().id, senders, resource, managers))
    };
    let (id, senders, resource, before) = state.directory.read(read).await?;
    let managers = resource.as_ref().map_or_else(|| before.clone(), |resource| resource.managers.clone());
    let patch = SharedPatch {
        address: body.address,
        aliases: body.aliases,
        display_name: body.display_name,
        unit: body.unit,
        quota_bytes: body.quota_bytes,
        suspended: body.suspended,
        hidden: body.hidden,
        forward_to: body.forward_to,
        forward_only: body.forward_only,
        senders,
        resource,
    };
    let done = state.write(Request::SetShared { id, expect, patch }, params.dry_run).await?;
    if !params.dry_run {
        resources::give(&state, id, &before, &managers).await?;
    }
    if let Some(bytes_max) = body.quota_bytes
        && !params.dry_run
    {
        state.set_quota(id, bytes_max).await?;
    }
    Ok(one(&state, id.to_string(), RowKind::Shared).await?.changed(done.changed))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(account): Path<String>,
    params: Params,
    expect: IfMatch,
    by: By,
) -> Result<Removed<bin::BinView>, Problem> {
    let found = state.directory.read(move |reader| resolve::entry_of(reader, &account, RowKind::Shared)).await?;
    bin::delete(&state, (found.value.entry().id, RowKind::Shared), &params, expect, by).await
}
