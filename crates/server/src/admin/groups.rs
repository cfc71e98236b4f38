//! `/api/v1/groups`

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, DomainId};
use sterna_directory::request::{GroupPatch, NewGroup};
use sterna_directory::{Created, Member, Reader, Request, RowKind, StorageError};

use super::answer::{Made, Removed};
use super::doors::AdminState;
use super::input::{Body, By, IfMatch, Params};
use super::principal::Seen;
use super::problem::Problem;
use super::users::one;
use super::view::{EntryView, Page, Resource};
use super::{bin, listing, resolve, view};

/// The body of POST and PATCH; in a PATCH what is not there stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "GroupChange")]
pub(super) struct GroupBody {
    address: Option<String>,
    aliases: Option<Vec<String>>,
    display_name: Option<String>,
    /// The organisational unit, as a path.
    unit: Option<String>,
    external_members: Option<bool>,
    internal_senders_only: Option<bool>,
    suspended: Option<bool>,
    hidden: Option<bool>,
    /// Addresses of users and groups who may send with the addresses of this one.
    senders: Option<Vec<String>>,
    /// Addresses of the first members; only in POST.
    members: Option<Vec<String>>,
}

/// The body of a change of members, by address.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "MembersChange")]
pub(super) struct MembersBody {
    add: Vec<String>,
    remove: Vec<String>,
}

/// A member as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub(super) struct MemberView {
    address: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<AccountId>,
}

fn member_view(reader: &Reader<'_>, of: DomainId, member: Member) -> Result<MemberView, StorageError> {
    let id = match member {
        Member::External(address) => {
            let is_contact = reader.contact_at(of, &address)?.is_some();
            return Ok(MemberView { address, kind: if is_contact { "contact" } else { "external" }, id: None });
        }
        Member::Local(id) => id,
    };
    Ok(match reader.entry(id)? {
        Some(found) => {
            let shown = view::entry(reader, &found.value)?;
            MemberView { address: shown.address, kind: shown.kind, id: Some(id) }
        }
        None => MemberView { address: String::new(), kind: "gone", id: Some(id) },
    })
}

pub(super) async fn list(
    State(state): State<AdminState>,
    params: Params,
    seen: Seen,
) -> Result<Json<Page<EntryView>>, Problem> {
    listing::page(state, RowKind::Group, params, seen, |_| true).await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(group): Path<String>,
) -> Result<Resource<EntryView>, Problem> {
    one(&state, group, RowKind::Group).await
}

pub(super) async fn create(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<GroupBody>,
) -> Result<Made<EntryView>, Problem> {
    if body.senders.is_some() {
        return Err(Problem::malformed("who may send with its addresses, and where its mail goes, is set afterwards"));
    }
    if body.suspended.is_some() || body.hidden.is_some() {
        return Err(Problem::malformed("a new group is neither suspended nor hidden; change it afterwards"));
    }
    let addresses = body.members.unwrap_or_default();
    let members = state.directory.read(move |reader| resolve::members(reader, &addresses)).await?;
    let new = NewGroup {
        address: body.address.ok_or_else(|| Problem::malformed("a group needs an address"))?,
        aliases: body.aliases.unwrap_or_default(),
        display_name: body.display_name.unwrap_or_default(),
        unit: body.unit.unwrap_or_default(),
        external_members: body.external_members.unwrap_or_default(),
        internal_senders_only: body.internal_senders_only.unwrap_or_default(),
        members,
    };
    let done = state.write(Request::CreateGroup(new), params.dry_run).await?;
    match done.created {
        Some(Created::Account(id)) if !params.dry_run => {
            let made = one(&state, id.to_string(), RowKind::Group).await?;
            Ok(made.created(format!("/api/v1/groups/{id}")).into())
        }
        _ => Ok(view::no_content().into()),
    }
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(group): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    Body(body): Body<GroupBody>,
) -> Result<Resource<EntryView>, Problem> {
    if body.members.is_some() {
        return Err(Problem::malformed("members are changed at .../members, with add and remove"));
    }
    let senders = body.senders.clone();
    let read = move |reader: &Reader<'_>| {
        let id = resolve::entry_of(reader, &group, RowKind::Group)?.value.entry().id;
        Ok::<_, Problem>((id, senders.map(|senders| resolve::senders(reader, &senders)).transpose()?))
    };
    let (id, senders) = state.directory.read(read).await?;
    let patch = GroupPatch {
        address: body.address,
        aliases: body.aliases,
        display_name: body.display_name,
        unit: body.unit,
        external_members: body.external_members,
        internal_senders_only: body.internal_senders_only,
        suspended: body.suspended,
        hidden: body.hidden,
        senders,
    };
    let done = state.write(Request::SetGroup { id, expect, patch }, params.dry_run).await?;
    Ok(one(&state, id.to_string(), RowKind::Group).await?.changed(done.changed))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(group): Path<String>,
    params: Params,
    expect: IfMatch,
    by: By,
) -> Result<Removed<bin::BinView>, Problem> {
    let id = id_of(&state, group).await?;
    bin::delete(&state, (id, RowKind::Group), &params, expect, by).await
}

/// Members in the order in which they are kept; `after` is the address of the last one of the page before.
pub(super) async fn members(
    State(state): State<AdminState>,
    Path(group): Path<String>,
    params: Params,
) -> Result<Json<Page<MemberView>>, Problem> {
    let limit = params.limit();
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry_of(reader, &group, RowKind::Group)?.value;
        let (group, domain) = (found.entry().id, found.entry().address.domain);
        let after = params.after.as_deref().map(|text| after_member(reader, text)).transpose()?;
        let found = reader.members(group, after.as_ref(), limit + 1)?;
        found.into_iter().map(|member| Ok(member_view(reader, domain, member)?)).collect::<Result<Vec<_>, Problem>>()
    };
    let cursor = |member: &MemberView| member.id.map_or_else(|| member.address.clone(), |id| id.to_string());
    Ok(Page::cut(state.directory.read(read).await?, limit, cursor))
}

/// A cursor is the id of a member of ours, or the address of another.
fn after_member(reader: &Reader<'_>, text: &str) -> Result<Member, Problem> {
    match text.parse() {
        Ok(id) => Ok(Member::Local(id)),
        Err(_) => Ok(resolve::members(reader, &[text.to_owned()])?.remove(0)),
    }
}

pub(super) async fn set_members(
    State(state): State<AdminState>,
    Path(group): Path<String>,
    params: Params,
    Body(body): Body<MembersBody>,
) -> Result<Resource<EntryView>, Problem> {
    let (id, add, remove) = state
        .directory
        .read(move |reader| {
            let id = resolve::entry_of(reader, &group, RowKind::Group)?.value.entry().id;
            let add = resolve::members(reader, &body.add)?;
            let remove = resolve::members(reader, &body.remove)?;
            Ok::<_, Problem>((id, add, remove))
        })
        .await?;
    let done = state.write(Request::SetMembers { id, add, remove }, params.dry_run).await?;
    Ok(one(&state, id.to_string(), RowKind::Group).await?.changed(done.changed))
}

async fn id_of(state: &AdminState, group: String) -> Result<AccountId, Problem> {
    let found = state.directory.read(move |reader| resolve::entry_of(reader, &group, RowKind::Group)).await?;
    Ok(found.value.entry().id)
}
