//! What users and groups have in common here: who may, where new ones go, how they are shown.

use axum::extract::Extension;
use serde_json::{Value, json};
use sterna_base::{AccountId, DomainId};
use sterna_directory::rights::{Area, Permission, Rights, Within};
use sterna_directory::source::SCIM;
use sterna_directory::{AnyEntry, Entry, Link, Reader, StorageError, Versioned, names};

use super::ScimError;
use super::filter::member;
use crate::admin::principal::{Principal, place_of};
use crate::admin::view::time;

/// Aliases that are taken of one request.
pub const EMAILS_MAX: usize = 100;

/// Who asks, if that is known.
pub type Asking = Option<Extension<Principal>>;

/// May people be seen, anywhere?
///
/// # Errors
/// 401 for nobody, 403.
pub fn may_read(asking: Asking) -> Result<Rights, ScimError> {
    may(asking, Permission::read(Area::People))
}

/// May people be changed, anywhere?
///
/// # Errors
/// 401 for nobody, 403.
pub fn may_write(asking: Asking) -> Result<Rights, ScimError> {
    may(asking, Permission::write(Area::People))
}

fn may(asking: Asking, needs: Permission) -> Result<Rights, ScimError> {
    let nobody = || ScimError::new(axum::http::StatusCode::UNAUTHORIZED, None, "a token of the API is needed");
    let Extension(principal) = asking.ok_or_else(nobody)?;
    match principal.rights.may_somewhere(needs) {
        true => Ok(principal.rights),
        false => Err(ScimError::forbidden(format!("the token has not the permission {needs}"))),
    }
}

/// Somebody who is there, with where they come from; who was deleted through here is gone.
///
/// # Errors
/// 404, also for what may not be seen.
pub fn find(
    reader: &Reader<'_>,
    rights: &Rights,
    id: &str,
    is_group: bool,
) -> Result<(Versioned<AnyEntry>, Option<Link>), ScimError> {
    let missing = || ScimError::not_found(id);
    let account: AccountId = id.parse().map_err(|_| missing())?;
    let found = reader.entry(account)?.ok_or_else(missing)?;
    let is_kind = matches!((&found.value, is_group), (AnyEntry::User(_), false) | (AnyEntry::Group(_), true));
    let link = reader.link(account)?;
    let is_seen = rights.may(Permission::read(Area::People), place_of(found.value.entry()));
    match is_kind && is_seen && !is_gone(&link) {
        true => Ok((found, link)),
        false => Err(missing()),
    }
}

/// Notes of somebody that they came through here.
pub fn link_to(account: AccountId, external_id: &str, user_name: &str) -> Link {
    Link {
        account,
        source: SCIM.to_owned(),
        external_id: external_id.to_owned(),
        dn: String::new(),
        login: user_name.to_owned(),
        suspended: false,
    }
}

/// Whether somebody was deleted through here: they are suspended, and not shown any more.
pub fn is_gone(link: &Option<Link>) -> bool {
    link.as_ref().is_some_and(|link| link.source == SCIM && link.suspended)
}

/// Whether somebody may be changed: where they are, and by whoever may do as much as they.
///
/// # Errors
/// 403, and 409 for those who come from elsewhere.
pub fn must_own(reader: &Reader<'_>, rights: &Rights, entry: &AnyEntry, link: &Option<Link>) -> Result<(), ScimError> {
    if !rights.may(Permission::write(Area::People), place_of(entry.entry())) {
        return Err(ScimError::forbidden("the token may not change people there"));
    }
    if !rights.covers(&reader.granted(entry.entry().id)?) {
        return Err(ScimError::forbidden("they administer what the token may not"));
    }
    if let Some(link) = link.as_ref().filter(|link| link.source != SCIM) {
        let detail = format!("they come from the source “{}” and are changed there", link.source);
        return Err(ScimError::new(axum::http::StatusCode::CONFLICT, Some("mutability"), detail));
    }
    Ok(())
}

/// The address in its stored form, if people may be made and changed in its domain.
pub fn own_address(reader: &Reader<'_>, rights: &Rights, text: &str) -> Result<Option<String>, StorageError> {
    let Some((local, name)) = names::address(text) else { return Ok(None) };
    let Some(domain) = reader.domain_named(&name)? else { return Ok(None) };
    let may = rights.may(Permission::write(Area::People), Within::Domain(domain.value.id));
    Ok(may.then(|| format!("{local}@{}", domain.value.name)))
}

/// The one domain in which the token may make people, if it is one.
pub fn only_domain(reader: &Reader<'_>, rights: &Rights) -> Result<Option<String>, StorageError> {
    let domains: Vec<DomainId> = rights.domains_with(Permission::write(Area::People));
    match domains.as_slice() {
        [one] => Ok(reader.domain(*one)?.map(|found| found.value.name)),
        [] => {
            let mut all = reader.domains("", 2)?;
            Ok(if all.len() == 1 { all.pop().map(|found| found.value.name) } else { None })
        }
        _ => Ok(None),
    }
}

/// A text of a resource.
pub fn text<'v>(resource: &'v Value, name: &str) -> Option<&'v str> {
    member(resource, name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// Whether somebody is active; Entra writes it as a text.
///
/// # Errors
/// `invalidValue`.
pub fn active(resource: &Value) -> Result<Option<bool>, ScimError> {
    match member(resource, "active") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(active)) => Ok(Some(*active)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(ScimError::invalid_value("“active” is true or false")),
    }
}

/// What names a resource and says of its versions.
pub fn meta(kind: &str, base: &str, entry: &Entry, version: sterna_base::Modseq) -> Value {
    json!({
        "resourceType": kind,
        "created": time(entry.created_at),
        "location": format!("{base}/{kind}s/{}", entry.id),
        "version": super::etag(version),
    })
}

/// Who has a name of SCIM, other than this one, among those whom the token sees: names of another domain's program are
/// nobody's business. Whoever is there comes before those who were deleted.
///
/// # Errors
/// When the directory can't be read.
pub fn link_named(
    reader: &Reader<'_>,
    rights: &Rights,
    user_name: &str,
    but: Option<AccountId>,
) -> Result<Option<Link>, StorageError> {
    let mut found: Option<Link> = None;
    for link in reader.links_named(SCIM, user_name)?.into_iter().filter(|link| Some(link.account) != but) {
        let Some(entry) = reader.entry(link.account)? else { continue };
        let is_seen = rights.may(Permission::read(Area::People), place_of(entry.value.entry()));
        if is_seen && found.as_ref().is_none_or(|found| found.suspended) {
            found = Some(link);
        }
    }
    Ok(found)
}
