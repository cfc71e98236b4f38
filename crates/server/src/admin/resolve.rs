//! From what people write in a path or a field to what the directory knows: ids, addresses, names.

use axum::http::StatusCode;
use sterna_base::{AccountId, NodeId};
use sterna_directory::{AnyEntry, Contact, Domain, Member, Reader, RowKind, Server, Versioned, names};

use super::problem::Problem;

/// A domain by id, name or alias.
pub(super) fn domain(reader: &Reader<'_>, text: &str) -> Result<Versioned<Domain>, Problem> {
    let found = match text.parse() {
        Ok(id) => reader.domain(id)?,
        Err(_) => reader.domain_named(text)?,
    };
    found.ok_or_else(|| Problem::no_such("domain", text))
}

/// A user, group or shared mailbox by id, address or (users) login.
pub(super) fn entry(reader: &Reader<'_>, text: &str, what: &'static str) -> Result<Versioned<AnyEntry>, Problem> {
    let found = match text.parse::<AccountId>() {
        Ok(id) => reader.entry(id)?,
        Err(_) if text.contains('@') => reader.entry_at(text)?,
        Err(_) => reader
            .user_by_login(text)?
            .map(|found| Versioned { value: AnyEntry::User(found.value), modseq: found.modseq }),
    };
    found.ok_or_else(|| Problem::no_such(what, text))
}

/// An entry of one kind.
pub(super) fn entry_of(reader: &Reader<'_>, text: &str, kind: RowKind) -> Result<Versioned<AnyEntry>, Problem> {
    let what = what(kind);
    let found = entry(reader, text, what)?;
    if found.value.kind() == kind { Ok(found) } else { Err(Problem::no_such(what, text)) }
}

/// An external contact by id or address, of those that `may_see`; by address of one domain, where several know it.
pub(super) fn contact(
    reader: &Reader<'_>,
    text: &str,
    of: Option<&str>,
    may_see: &dyn Fn(&Contact) -> bool,
) -> Result<Versioned<Contact>, Problem> {
    let of = of.map(|name| domain(reader, name)).transpose()?.map(|found| found.value.id);
    let mut found: Vec<Versioned<Contact>> = match text.parse::<AccountId>() {
        Ok(id) => reader.contact(id)?.into_iter().collect(),
        Err(_) => reader.contacts_at(text)?,
    };
    found.retain(|found| may_see(&found.value) && of.is_none_or(|of| of == found.value.domain));
    if found.len() > 1 {
        let detail = format!("{text} is an external contact of {} domains", found.len());
        let remedy = "Name the domain (domain=NAME, --domain NAME), or the contact's number.";
        return Err(Problem::new(StatusCode::CONFLICT, "ambiguous", "There are several", detail, remedy));
    }
    found.pop().ok_or_else(|| Problem::no_such("external contact", text))
}

/// The id of a user.
pub(super) fn user_id(reader: &Reader<'_>, text: &str) -> Result<AccountId, Problem> {
    Ok(entry_of(reader, text, RowKind::User)?.value.entry().id)
}

/// What a kind is called in problems.
pub(super) fn what(kind: RowKind) -> &'static str {
    match kind {
        RowKind::User => "user",
        RowKind::Group => "group",
        RowKind::Shared => "shared mailbox",
        _ => "account",
    }
}

/// A server by id or name.
pub(super) fn server(reader: &Reader<'_>, text: &str) -> Result<Versioned<Server>, Problem> {
    let found = match text.parse::<NodeId>() {
        Ok(id) => reader.server(id)?,
        Err(_) => reader.server_named(text)?,
    };
    found.ok_or_else(|| Problem::no_such("server", text))
}

/// Servers by id or name.
pub(super) fn servers(reader: &Reader<'_>, texts: &[String]) -> Result<Vec<NodeId>, Problem> {
    texts.iter().map(|text| Ok(server(reader, text)?.value.id)).collect()
}

/// Users and groups by address or id.
pub(super) fn senders(reader: &Reader<'_>, texts: &[String]) -> Result<Vec<AccountId>, Problem> {
    texts.iter().map(|text| Ok(entry(reader, text, "user")?.value.entry().id)).collect()
}

/// Members by address: an entry of ours is named by its id, so that it stays a member when its address changes.
pub(super) fn members(reader: &Reader<'_>, texts: &[String]) -> Result<Vec<Member>, Problem> {
    texts.iter().map(|text| member(reader, text)).collect()
}

fn member(reader: &Reader<'_>, text: &str) -> Result<Member, Problem> {
    if let Some(found) = reader.entry_at(text)? {
        return Ok(Member::Local(found.value.entry().id));
    }
    let (_, name) = names::address(text).ok_or_else(|| Problem::no_such("member", text))?;
    match reader.domain_named(&name)? {
        Some(_) => Err(Problem::no_such("member", text)),
        None => Ok(Member::External(text.trim().to_owned())),
    }
}
