//! `/Groups`

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{Path, Query as AxumQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Modseq};
use sterna_directory::request::{GroupPatch, NewGroup};
use sterna_directory::rights::{Area, Permission, Rights};
use sterna_directory::source::SCIM;
use sterna_directory::{
    AnyEntry, Created, Group, Link, MEMBERS_PER_GROUP_MAX, Member, Reader, Request, RowKind, StorageError,
};

use super::filter::member;
use super::listing::{self, Query};
use super::resource::{
    Asking, find, is_gone, link_to, may_read, may_write, meta, must_own, only_domain, own_address, text,
};
use super::{ScimError, answer, base, has_it, if_match, not_modified, object, patch as patching};
use crate::admin::bin;
use crate::admin::doors::AdminState;
use crate::admin::input::{By, IfMatch, Params};
use crate::admin::principal::place_of;

/// The schema of groups.
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// A group as SCIM shows one; reading its members can take long, and is left out where nobody wants them.
fn shown(
    reader: &Reader<'_>,
    group: &Group,
    version: Modseq,
    link: &Option<Link>,
    base: &str,
    seen_by: Option<&Rights>,
) -> Result<Value, StorageError> {
    let name = match group.entry.display_name.as_str() {
        "" => group.entry.address.local.as_str(),
        name => name,
    };
    let mut value = json!({
        "schemas": [SCHEMA],
        "id": group.entry.id.to_string(),
        "displayName": name,
        "meta": meta("Group", base, &group.entry, version),
    });
    let link = link.as_ref().filter(|link| link.source == SCIM);
    if let Some(id) = link.map(|link| &link.external_id).filter(|id| !id.is_empty()) {
        value["externalId"] = id.as_str().into();
    }
    if let Some(rights) = seen_by {
        let mut members = Vec::new();
        for id in local_members(reader, group.entry.id)? {
            let Some(entry) = seen_member(reader, rights, id)? else { continue };
            let kind = match entry {
                AnyEntry::Group(_) => "Group",
                _ => "User",
            };
            let address = reader.address_text(&entry.entry().address)?.unwrap_or_default();
            members.push(json!({
                "value": id.to_string(), "display": address, "type": kind, "$ref": format!("{base}/{kind}s/{id}"),
            }));
        }
        value["members"] = members.into();
    }
    Ok(value)
}

/// A member that is a resource to whoever asks: addresses elsewhere, who was deleted and who isn't seen are none. They
/// stay in the group, whatever is made of those that are seen.
fn seen_member(reader: &Reader<'_>, rights: &Rights, id: AccountId) -> Result<Option<AnyEntry>, StorageError> {
    let Some(found) = reader.entry(id)? else { return Ok(None) };
    let is_seen = rights.may(Permission::read(Area::People), place_of(found.value.entry()));
    let is_resource = matches!(found.value, AnyEntry::User(_) | AnyEntry::Group(_));
    Ok((is_seen && is_resource && !is_gone(&reader.link(id)?)).then_some(found.value))
}

fn show(
    reader: &Reader<'_>,
    id: AccountId,
    base: &str,
    seen_by: Option<&Rights>,
) -> Result<(Value, Modseq), ScimError> {
    let found = reader.group(id)?.ok_or_else(|| ScimError::not_found(&id.to_string()))?;
    let link = reader.link(id)?;
    Ok((shown(reader, &found.value, found.modseq, &link, base, seen_by)?, found.modseq))
}

/// All that the filter wants.
pub(super) async fn list(
    State(state): State<AdminState>,
    asking: Asking,
    headers: HeaderMap,
    AxumQuery(query): AxumQuery<Query>,
) -> Result<Response, ScimError> {
    listed(state, asking, headers, query).await
}

/// The same, asked in a body.
pub(super) async fn search(
    State(state): State<AdminState>,
    asking: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ScimError> {
    listed(state, asking, headers, Query::read(&body)?).await
}

async fn listed(state: AdminState, asking: Asking, headers: HeaderMap, query: Query) -> Result<Response, ScimError> {
    let rights = may_read(asking)?;
    let (filter, base) = (query.read_filter()?, base(&headers));
    let by_members = query.filter.as_deref().is_some_and(|text| text.to_lowercase().contains("members"));
    let with_members = by_members || query.wants("members");
    let read = move |reader: &Reader<'_>| {
        let mut found = Vec::new();
        listing::entries(reader, &rights, RowKind::Group, |entry| {
            let AnyEntry::Group(group) = entry.value else { return Ok(()) };
            let link = reader.link(group.entry.id)?;
            if is_gone(&link) {
                return Ok(());
            }
            // Held against the filter first: the members of most groups are read for nothing otherwise.
            let bare = shown(reader, &group, entry.modseq, &link, &base, by_members.then_some(&rights))?;
            if filter.as_ref().is_none_or(|filter| filter.fits(&bare)) {
                found.push(match with_members && !by_members {
                    true => shown(reader, &group, entry.modseq, &link, &base, Some(&rights))?,
                    false => bare,
                });
            }
            Ok(())
        })?;
        Ok::<_, ScimError>(found)
    };
    Ok(query.page(state.directory.read(read).await?))
}

/// One.
pub(super) async fn get(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asking: Asking,
    headers: HeaderMap,
    AxumQuery(query): AxumQuery<Query>,
) -> Result<Response, ScimError> {
    let rights = may_read(asking)?;
    let (base, with_members) = (base(&headers), query.wants("members"));
    let read = move |reader: &Reader<'_>| {
        let found = find(reader, &rights, &id, true)?.0;
        show(reader, found.value.entry().id, &base, with_members.then_some(&rights))
    };
    let (value, version) = state.directory.read(read).await?;
    // Who is in a group is no part of its row: only what names it has a version.
    if !with_members && has_it(&headers, version) {
        return Ok(not_modified(version));
    }
    Ok(answer(StatusCode::OK, query.cut(value), Some(version)))
}

/// What a body says of a group.
struct Wanted {
    external_id: String,
    display_name: String,
    /// `None` leaves them as they are.
    members: Option<BTreeSet<AccountId>>,
}

/// What a body wants of a group with these members, of which those are seen.
fn wanted(
    reader: &Reader<'_>,
    rights: &Rights,
    body: &Value,
    (all, seen): (&BTreeSet<AccountId>, &BTreeSet<AccountId>),
) -> Result<Wanted, ScimError> {
    let display_name =
        text(body, "displayName").ok_or_else(|| ScimError::invalid_value("a group needs a displayName"))?;
    let members = match member(body, "members") {
        None | Some(Value::Null) => None,
        Some(Value::Array(items)) => {
            if items.len() > MEMBERS_PER_GROUP_MAX {
                let detail = format!("a group has at most {MEMBERS_PER_GROUP_MAX} members");
                return Err(ScimError::invalid_value(detail));
            }
            let mut ids = BTreeSet::new();
            for item in items {
                let id = item.as_str().or_else(|| text(item, "value")).unwrap_or_default();
                // Only who comes in must be somebody; who is in already and isn't seen stays as they are.
                if let Some(known) = id.parse().ok().filter(|known| all.contains(known)) {
                    ids.extend(seen.contains(&known).then_some(known));
                    continue;
                }
                ids.insert(member_of(reader, rights, id)?);
            }
            Some(ids)
        }
        Some(_) => return Err(ScimError::invalid_value("“members” is a list")),
    };
    let external_id = text(body, "externalId").unwrap_or_default().to_owned();
    Ok(Wanted { external_id, display_name: display_name.to_owned(), members })
}

/// A user or group that may be seen, by its id.
fn member_of(reader: &Reader<'_>, rights: &Rights, id: &str) -> Result<AccountId, ScimError> {
    let user = find(reader, rights, id, false).or_else(|_| find(reader, rights, id, true));
    let missing = |_| ScimError::invalid_value(format!("there is no member “{id}”"));
    Ok(user.map_err(missing)?.0.value.entry().id)
}

/// The address of a new group: its name if that is one, or its name in the one domain of the token.
fn address_of(reader: &Reader<'_>, rights: &Rights, name: &str) -> Result<String, ScimError> {
    if let Some(address) = own_address(reader, rights, name)? {
        return Ok(address);
    }
    let none = || {
        ScimError::invalid_value("the token must be of one domain, or displayName an address in one that it may fill")
    };
    let domain = only_domain(reader, rights)?.ok_or_else(none)?;
    let spaced: String = name.to_lowercase().chars().map(|c| if c.is_whitespace() { '-' } else { c }).collect();
    let local: String = spaced.chars().filter(|c| c.is_alphanumeric() || ".-_+".contains(*c)).collect();
    let address = own_address(reader, rights, &format!("{}@{domain}", local.trim_matches('.')))?;
    address.ok_or_else(|| ScimError::invalid_value(format!("“{name}” gives no address in {domain}")))
}

/// Makes one.
pub(super) async fn create(
    State(state): State<AdminState>,
    asking: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ScimError> {
    let rights = may_write(asking)?;
    let (body, asked) = (object(&body)?, rights.clone());
    let read = move |reader: &Reader<'_>| {
        let nobody = BTreeSet::new();
        let wanted = wanted(reader, &asked, &body, (&nobody, &nobody))?;
        let address = address_of(reader, &asked, &wanted.display_name)?;
        Ok::<_, ScimError>((wanted, address))
    };
    let (wanted, address) = state.directory.read(read).await?;
    let new = NewGroup { address, display_name: wanted.display_name.clone(), ..NewGroup::default() };
    let request = Request::Linked {
        link: link_to(AccountId(0), &wanted.external_id, ""),
        request: Box::new(Request::CreateGroup(new)),
    };
    let Some(Created::Account(id)) = state.write(request, false).await?.created else {
        return Err(ScimError::invalid_value("the group could not be made"));
    };
    set_members(&state, id, &BTreeSet::new(), &wanted.members).await?;
    let base = base(&headers);
    let read = move |reader: &Reader<'_>| show(reader, id, &base, Some(&rights));
    let (value, version) = state.directory.read(read).await?;
    Ok(answer(StatusCode::CREATED, value, Some(version)))
}

async fn set_members(
    state: &AdminState,
    id: AccountId,
    before: &BTreeSet<AccountId>,
    wanted: &Option<BTreeSet<AccountId>>,
) -> Result<(), ScimError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let local = |id: &AccountId| Member::Local(*id);
    let add: Vec<Member> = wanted.difference(before).map(local).collect();
    let remove: Vec<Member> = before.difference(wanted).map(local).collect();
    for part in add.chunks(PAGE_ITEMS_MAX) {
        state.write(Request::SetMembers { id, add: part.to_vec(), remove: Vec::new() }, false).await?;
    }
    for part in remove.chunks(PAGE_ITEMS_MAX) {
        state.write(Request::SetMembers { id, add: Vec::new(), remove: part.to_vec() }, false).await?;
    }
    Ok(())
}

/// Makes one what a body says.
pub(super) async fn put(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asking: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ScimError> {
    let mut body = object(&body)?;
    // Without members a group has none: PUT replaces (RFC 7644 section 3.5.1).
    if member(&body, "members").is_none() {
        body["members"] = json!([]);
    }
    change(state, id, asking, headers, move |_| Ok(body)).await
}

/// Changes one.
pub(super) async fn patch(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asking: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ScimError> {
    let body = object(&body)?;
    let changed = move |mut resource: Value| {
        patching::apply(&mut resource, &body)?;
        if member(&resource, "members").is_none() {
            resource["members"] = json!([]);
        }
        Ok(resource)
    };
    change(state, id, asking, headers, changed).await
}

async fn change(
    state: AdminState,
    id: String,
    asking: Asking,
    headers: HeaderMap,
    changed: impl FnOnce(Value) -> Result<Value, ScimError> + Send + 'static,
) -> Result<Response, ScimError> {
    let rights = may_write(asking)?;
    let (expect, base) = (if_match(&headers)?, base(&headers));
    let (at, asked) = (base.clone(), rights.clone());
    let read = move |reader: &Reader<'_>| {
        let (found, link) = find(reader, &asked, &id, true)?;
        must_own(reader, &asked, &found.value, &link)?;
        let AnyEntry::Group(group) = found.value else { return Err(ScimError::not_found(&id)) };
        let before = shown(reader, &group, found.modseq, &link, &at, Some(&asked))?;
        Ok((group, link, before))
    };
    let (group, link, before) = state.directory.read(read).await?;
    let name = before["displayName"].clone();
    let after = patching::aside(move || changed(before)).await?;
    let (id, asked, linked) = (group.entry.id, rights.clone(), link.is_some());
    let read = move |reader: &Reader<'_>| {
        let all = local_members(reader, id)?;
        let mut seen = BTreeSet::new();
        for member in &all {
            seen.extend(seen_member(reader, &asked, *member)?.map(|_| *member));
        }
        let mut wanted = wanted(reader, &asked, &after, (&all, &seen))?;
        if wanted.external_id.is_empty() {
            wanted.external_id = link.as_ref().map(|link| link.external_id.clone()).unwrap_or_default();
        }
        let is_other = |link: &Link| link.external_id != wanted.external_id;
        let is_renamed = name != wanted.display_name.as_str() || link.as_ref().is_some_and(is_other);
        Ok::<_, ScimError>((wanted, seen, is_renamed))
    };
    let (wanted, seen, is_renamed) = state.directory.read(read).await?;
    if is_renamed || expect.is_some() {
        let patch = GroupPatch { display_name: Some(wanted.display_name.clone()), ..GroupPatch::default() };
        let request = Request::SetGroup { id, expect, patch };
        // Who made a group may delete it: one that was made by an administrator stays theirs.
        let request = match linked {
            true => Request::Linked { link: link_to(id, &wanted.external_id, ""), request: Box::new(request) },
            false => request,
        };
        state.write(request, false).await?;
    }
    set_members(&state, id, &seen, &wanted.members).await?;
    let read = move |reader: &Reader<'_>| show(reader, id, &base, Some(&rights));
    let (value, version) = state.directory.read(read).await?;
    Ok(answer(StatusCode::OK, value, Some(version)))
}

fn local_members(reader: &Reader<'_>, group: AccountId) -> Result<BTreeSet<AccountId>, StorageError> {
    let local = |member| match member {
        Member::Local(id) => Some(id),
        Member::External(_) => None,
    };
    Ok(reader.all_members(group)?.into_iter().filter_map(local).collect())
}

/// Deletes one that was made through here; a group holds nothing but names.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asking: Asking,
    by: By,
    headers: HeaderMap,
) -> Result<Response, ScimError> {
    let rights = may_write(asking)?;
    let expect = if_match(&headers)?;
    let read = move |reader: &Reader<'_>| {
        let (found, link) = find(reader, &rights, &id, true)?;
        must_own(reader, &rights, &found.value, &link)?;
        if link.is_none() {
            return Err(ScimError::forbidden("it was not made through SCIM: an administrator deletes it"));
        }
        Ok(found.value.entry().id)
    };
    let id = state.directory.read(read).await?;
    bin::delete(&state, (id, RowKind::Group), &Params::default(), IfMatch(expect), by).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
