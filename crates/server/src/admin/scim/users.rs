//! `/Users`

use axum::body::Bytes;
use axum::extract::{Path, Query as AxumQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sterna_base::{AccountId, DomainId, Modseq, Secret};
use sterna_directory::request::{NewUser, UserPatch};
use sterna_directory::rights::{Area, Permission, Rights, Within};
use sterna_directory::source::SCIM;
use sterna_directory::{AnyEntry, Link, PasswordHash, Reader, Request, RowKind, Scram, StorageError, User, Versioned};

use super::filter::{Filter, member};
use super::listing::{self, Query};
use super::resource::{
    self, Asking, EMAILS_MAX, active, find, is_gone, link_to, may_read, may_write, meta, must_own, own_address, text,
};
use super::{ScimError, answer, base, has_it, if_match, not_modified, object, patch as patching};
use crate::admin::doors::AdminState;
use crate::admin::principal::place_of;
use crate::admin::ways_in;

/// The schema of users.
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// A user as SCIM shows one.
fn shown(
    reader: &Reader<'_>,
    user: &User,
    version: Modseq,
    link: &Option<Link>,
    base: &str,
) -> Result<Value, StorageError> {
    let text = |address| Ok::<_, StorageError>(reader.address_text(address)?.unwrap_or_default());
    let address = text(&user.entry.address)?;
    let mut emails = vec![json!({ "value": address, "type": "work", "primary": true })];
    for alias in &user.entry.aliases {
        emails.push(json!({ "value": text(alias)?, "type": "other" }));
    }
    let link = link.as_ref().filter(|link| link.source == SCIM);
    let user_name = link.map(|link| link.login.clone()).filter(|name| !name.is_empty()).unwrap_or(address);
    let mut value = json!({
        "schemas": [SCHEMA],
        "id": user.entry.id.to_string(),
        "userName": user_name,
        "displayName": user.entry.display_name,
        "name": { "formatted": user.entry.display_name },
        "active": !user.entry.suspended,
        "emails": emails,
        "meta": meta("User", base, &user.entry, version),
    });
    if let Some(id) = link.map(|link| &link.external_id).filter(|id| !id.is_empty()) {
        value["externalId"] = id.as_str().into();
    }
    Ok(value)
}

fn show(reader: &Reader<'_>, id: AccountId, base: &str) -> Result<(Value, Modseq), ScimError> {
    let found = reader.user(id)?.ok_or_else(|| ScimError::not_found(&id.to_string()))?;
    let link = reader.link(id)?;
    Ok((shown(reader, &found.value, found.modseq, &link, base)?, found.modseq))
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

/// The same, asked in a body (RFC 7644 section 3.4.3).
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
    let read = move |reader: &Reader<'_>| {
        let mut found = Vec::new();
        match named(reader, &rights, &filter)? {
            Some(ids) => {
                for id in ids {
                    match find(reader, &rights, &id.to_string(), false) {
                        Ok(_) => found.push(show(reader, id, &base)?.0),
                        Err(error) if error.status == StatusCode::NOT_FOUND => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            None => listing::entries(reader, &rights, RowKind::User, |entry| {
                let AnyEntry::User(user) = entry.value else { return Ok(()) };
                let link = reader.link(user.entry.id)?;
                if !is_gone(&link) {
                    found.push(shown(reader, &user, entry.modseq, &link, &base)?);
                }
                Ok(())
            })?,
        }
        if let Some(filter) = &filter {
            found.retain(|one| filter.fits(one));
        }
        Ok::<_, ScimError>(found)
    };
    Ok(query.page(state.directory.read(read).await?))
}

/// Whom a filter names that is asked before every single change: nobody else is looked at for it.
fn named(
    reader: &Reader<'_>,
    rights: &Rights,
    filter: &Option<Filter>,
) -> Result<Option<Vec<AccountId>>, StorageError> {
    let Some(filter) = filter else { return Ok(None) };
    if let Some(id) = filter.only("id") {
        return Ok(Some(id.parse().into_iter().collect()));
    }
    if let Some(name) = filter.only("userName") {
        let linked = resource::link_named(reader, rights, name, None)?.map(|link| link.account);
        let addressed = reader.entry_at(name)?.map(|found| found.value.entry().id);
        return Ok(Some(linked.or(addressed).into_iter().collect()));
    }
    if let Some(id) = filter.only("externalId") {
        let links = reader.links_with_id(SCIM, id)?.into_iter();
        return Ok(Some(links.map(|link| link.account).collect()));
    }
    Ok(None)
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
    let base = base(&headers);
    let read = move |reader: &Reader<'_>| {
        let found = find(reader, &rights, &id, false)?.0;
        show(reader, found.value.entry().id, &base)
    };
    let (value, version) = state.directory.read(read).await?;
    if has_it(&headers, version) {
        return Ok(not_modified(version));
    }
    Ok(answer(StatusCode::OK, query.cut(value), Some(version)))
}

/// What a body says of a user.
struct Wanted {
    user_name: String,
    external_id: String,
    address: String,
    aliases: Vec<String>,
    display_name: String,
    active: Option<bool>,
    password: Option<String>,
}

fn wanted(reader: &Reader<'_>, rights: &Rights, body: &Value) -> Result<Wanted, ScimError> {
    let user_name = text(body, "userName").ok_or_else(|| ScimError::invalid_value("a user needs a userName"))?;
    let mut emails: Vec<(u8, &str)> = Vec::new();
    for email in member(body, "emails").and_then(Value::as_array).into_iter().flatten().take(EMAILS_MAX) {
        let value = email.as_str().or_else(|| text(email, "value"));
        let is_primary = matches!(member(email, "primary"), Some(Value::Bool(true)))
            || text(email, "primary").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let rank = match is_primary {
            true => 0,
            false if text(email, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("work")) => 1,
            false => 3,
        };
        emails.extend(value.map(|value| (rank, value)));
    }
    // A name that is an address comes before those that are not said to be the main one.
    emails.push((2, user_name));
    emails.sort_by_key(|(rank, _)| *rank);
    let mut own = Vec::new();
    for (_, value) in emails {
        if let Some(address) = own_address(reader, rights, value)?
            && !own.contains(&address)
        {
            own.push(address);
        }
    }
    if own.is_empty() {
        let detail = "neither userName nor emails has an address in a domain that the token may fill";
        return Err(ScimError::invalid_value(detail));
    }
    let formatted = member(body, "name").and_then(|name| {
        let parts = || [text(name, "givenName"), text(name, "familyName")].into_iter().flatten().collect::<Vec<_>>();
        let joined = || Some(parts().join(" ")).filter(|joined| !joined.is_empty());
        text(name, "formatted").map(str::to_owned).or_else(joined)
    });
    let display_name = text(body, "displayName").map(str::to_owned).or(formatted).unwrap_or_default();
    Ok(Wanted {
        user_name: user_name.to_owned(),
        external_id: text(body, "externalId").unwrap_or_default().to_owned(),
        address: own.remove(0),
        aliases: own,
        display_name,
        active: active(body)?,
        password: text(body, "password").map(str::to_owned),
    })
}

/// Whoever fills a domain with people doesn't thereby say by which passwords they are let in.
fn must_give(rights: &Rights, wanted: &Wanted, place: Within<'_>) -> Result<(), ScimError> {
    let needs = Permission::write(Area::Passwords);
    match wanted.password.is_none() || rights.may(needs, place) {
        true => Ok(()),
        false => Err(ScimError::forbidden(format!("to set a password the token needs the permission {needs} there"))),
    }
}

/// Where somebody new would be.
fn place_of_new(reader: &Reader<'_>, address: &str) -> Result<DomainId, ScimError> {
    let domain = address.rsplit_once('@').map(|(_, domain)| reader.domain_named(domain)).transpose()?.flatten();
    domain.map(|found| found.value.id).ok_or_else(|| ScimError::invalid_value("the address is in no domain here"))
}

type Hashed = Option<(PasswordHash, Option<Scram>)>;

async fn hashed(state: &AdminState, password: &Option<String>) -> Result<Hashed, ScimError> {
    let Some(password) = password else { return Ok(None) };
    let hashed = state.authentication.hash(Secret::new(password.as_str())).await;
    hashed.map(Some).map_err(|error| ScimError::invalid_value(error.to_string()))
}

fn link_of(wanted: &Wanted, account: AccountId) -> Link {
    link_to(account, &wanted.external_id, &wanted.user_name)
}

/// Makes one. Whoever was deleted through here and is made again gets the account back.
pub(super) async fn create(
    State(state): State<AdminState>,
    asking: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ScimError> {
    let rights = may_write(asking)?;
    let (body, asked) = (object(&body)?, rights.clone());
    let read = move |reader: &Reader<'_>| {
        let wanted = wanted(reader, &asked, &body)?;
        must_give(&asked, &wanted, Within::Domain(place_of_new(reader, &wanted.address)?))?;
        let former = former(reader, &asked, &wanted)?;
        if let Some(user) = &former {
            must_give(&asked, &wanted, place_of(&user.value.entry))?;
        }
        Ok::<_, ScimError>((wanted, former))
    };
    let (wanted, former) = state.directory.read(read).await?;
    let hash = hashed(&state, &wanted.password).await?;
    let id = match former {
        Some(Versioned { value: user, modseq }) => {
            // What let them in before may be in other hands.
            ways_in::forget(&state, user.entry.id).await?;
            // Of two that bring them back at once, the second finds somebody who is there.
            save(&state, &user, &wanted, hash, true, Some(modseq)).await.map_err(|error| match error.status {
                StatusCode::PRECONDITION_FAILED => {
                    ScimError::uniqueness(format!("there is a user “{}”", wanted.user_name))
                }
                _ => error,
            })?;
            user.entry.id
        }
        None => {
            let (password_hash, scram) = hash.unzip();
            let new = NewUser {
                address: wanted.address.clone(),
                aliases: wanted.aliases.clone(),
                display_name: wanted.display_name.clone(),
                password_hash,
                scram: scram.flatten(),
                ..NewUser::default()
            };
            let id = state.create_linked(new, link_of(&wanted, AccountId(0))).await?;
            if wanted.active == Some(false) {
                let patch = UserPatch { suspended: Some(true), ..UserPatch::default() };
                state.write(Request::SetUser { id, expect: None, patch }, false).await?;
            }
            id
        }
    };
    let base = base(&headers);
    let (value, version) = state.directory.read(move |reader: &Reader<'_>| show(reader, id, &base)).await?;
    Ok(answer(StatusCode::CREATED, value, Some(version)))
}

/// Who was deleted through here and is made again: the same name or the same id there. Whoever else gets a former
/// address is another person, whose mailbox this isn't.
///
/// # Errors
/// 409 when there is somebody of that name or address.
fn former(reader: &Reader<'_>, rights: &Rights, wanted: &Wanted) -> Result<Option<Versioned<User>>, ScimError> {
    let taken = || ScimError::uniqueness(format!("there is a user “{}”", wanted.user_name));
    let holder = reader.entry_at(&wanted.address)?.map(|found| found.value.entry().id);
    let named = resource::link_named(reader, rights, &wanted.user_name, None)?;
    let id = match (named, holder) {
        (None, None) => return Ok(None),
        (Some(named), holder) => match named.suspended && holder.is_none_or(|holder| holder == named.account) {
            true => named.account,
            false => return Err(taken()),
        },
        (None, Some(holder)) => {
            let link = reader.link(holder)?.filter(|link| link.source == SCIM && link.suspended).ok_or_else(taken)?;
            if link.external_id.is_empty() || link.external_id != wanted.external_id {
                let detail = format!(
                    "{} is an address of somebody who was deleted, under another userName and externalId: an \
                     administrator deletes them for good, or takes the address from them",
                    wanted.address
                );
                return Err(ScimError::uniqueness(detail));
            }
            holder
        }
    };
    let found = reader.entry(id)?.ok_or_else(taken)?;
    must_own(reader, rights, &found.value, &reader.link(id)?)?;
    match found.value {
        AnyEntry::User(user) => Ok(Some(Versioned { value: user, modseq: found.modseq })),
        _ => Err(taken()),
    }
}

/// Makes a user what is wanted. Former addresses stay as aliases, so that mail doesn't bounce.
async fn save(
    state: &AdminState,
    user: &User,
    wanted: &Wanted,
    hash: Hashed,
    default_active: bool,
    expect: Option<Modseq>,
) -> Result<(), ScimError> {
    let (entry, main) = (user.entry.clone(), wanted.address.clone());
    let read = move |reader: &Reader<'_>| {
        let all = entry.addresses().map(|address| Ok(reader.address_text(address)?.unwrap_or_default()));
        all.collect::<Result<Vec<String>, StorageError>>()
    };
    let mut aliases = state.directory.read(read).await?;
    aliases.extend(wanted.aliases.iter().cloned());
    aliases.sort_unstable();
    aliases.dedup();
    aliases.retain(|alias| *alias != main);
    let (password_hash, scram) = hash.unzip();
    let patch = UserPatch {
        address: Some(main),
        aliases: Some(aliases),
        display_name: Some(wanted.display_name.clone()),
        suspended: Some(!wanted.active.unwrap_or(default_active)),
        password_hash: password_hash.map(Some),
        scram: scram.flatten(),
        ..UserPatch::default()
    };
    let id = user.entry.id;
    let request = Request::SetUser { id, expect, patch };
    let request = Request::Linked { link: link_of(wanted, id), request: Box::new(request) };
    state.write(request, false).await?;
    if wanted.password.is_some()
        && let Some(records) = &state.records
    {
        records.end_sessions(id, None).await.map_err(crate::admin::problem::Problem::from)?;
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
    let body = object(&body)?;
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
        name_parts(&mut resource);
        let former = resource.clone();
        patching::apply(&mut resource, &body)?;
        // The name is kept once: whichever of its forms was changed counts.
        if resource["displayName"] == former["displayName"] && resource["name"] != former["name"] {
            if resource["name"]["formatted"] == former["name"]["formatted"]
                && let Some(name) = resource["name"].as_object_mut()
            {
                name.remove("formatted");
            }
            resource.as_object_mut().map(|fields| fields.remove("displayName"));
        }
        Ok(resource)
    };
    change(state, id, asking, headers, changed).await
}

/// Only the whole name is kept: whoever changes one part of it doesn't mean to lose the other.
fn name_parts(resource: &mut Value) {
    let whole = resource["displayName"].as_str().unwrap_or_default().trim().to_owned();
    if let Some((given, family)) = whole.rsplit_once(' ') {
        resource["name"]["givenName"] = given.trim_end().into();
        resource["name"]["familyName"] = family.into();
    }
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
        let (found, link) = find(reader, &rights, &id, false)?;
        must_own(reader, &rights, &found.value, &link)?;
        let AnyEntry::User(user) = found.value else { return Err(ScimError::not_found(&id)) };
        let before = shown(reader, &user, found.modseq, &link, &at)?;
        Ok((user, link, before, found.modseq))
    };
    let (user, link, before, version) = state.directory.read(read).await?;
    let after = patching::aside(move || changed(before)).await?;
    let (own, place_user) = (user.entry.id, user.entry.clone());
    let read = move |reader: &Reader<'_>| {
        let mut wanted = wanted(reader, &asked, &after)?;
        must_give(&asked, &wanted, place_of(&place_user))?;
        if wanted.external_id.is_empty() {
            wanted.external_id = link.map(|link| link.external_id).unwrap_or_default();
        }
        if resource::link_named(reader, &asked, &wanted.user_name, Some(own))?.is_some() {
            return Err(ScimError::uniqueness(format!("there is a user “{}”", wanted.user_name)));
        }
        Ok(wanted)
    };
    let wanted = state.directory.read(read).await?;
    let hash = hashed(&state, &wanted.password).await?;
    // What was compared is what is changed, whether or not the client names a version.
    let expect = Some(expect.unwrap_or(version));
    save(&state, &user, &wanted, hash, !user.entry.suspended, expect).await?;
    let id = user.entry.id;
    let (value, version) = state.directory.read(move |reader: &Reader<'_>| show(reader, id, &base)).await?;
    Ok(answer(StatusCode::OK, value, Some(version)))
}

/// Deprovisions one: they are suspended and not shown any more; an administrator deletes them, or they come back.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    asking: Asking,
    headers: HeaderMap,
) -> Result<Response, ScimError> {
    let rights = may_write(asking)?;
    let expect = if_match(&headers)?;
    let read = move |reader: &Reader<'_>| {
        let (found, link) = find(reader, &rights, &id, false)?;
        must_own(reader, &rights, &found.value, &link)?;
        let address = reader.address_text(&found.value.entry().address)?.unwrap_or_default();
        Ok::<_, ScimError>((found.value.entry().id, link, address))
    };
    let (id, link, address) = state.directory.read(read).await?;
    let link = link.unwrap_or_else(|| link_to(id, "", &address));
    let link = Link { suspended: true, ..link };
    let patch = UserPatch { suspended: Some(true), ..UserPatch::default() };
    let request = Box::new(Request::SetUser { id, expect, patch });
    state.write(Request::Linked { link, request }, false).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
