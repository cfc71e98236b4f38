//! Resources as clients see them: names instead of ids where people read them, times in RFC 3339.

use std::collections::HashMap;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::{AccountId, DomainId, Modseq, NodeId, Timestamp};
use sterna_directory::{Address, AnyEntry, Domain, Entry, Reader, Server, StorageError, Versioned, settings};
use sterna_formats::calendar::booking::Rules;

use super::answer::NoContent;
use super::job_view::SpeedView;

/// Whether a write changed anything.
pub(super) const CHANGED: HeaderName = HeaderName::from_static("sterna-changed");

/// One resource with its ETag.
pub(super) struct Resource<T> {
    pub status: StatusCode,
    pub modseq: Option<Modseq>,
    pub changed: Option<bool>,
    pub location: Option<String>,
    pub body: T,
}

impl<T> Resource<T> {
    /// As it is read.
    pub(super) fn read(body: T, modseq: Modseq) -> Self {
        Resource { status: StatusCode::OK, modseq: Some(modseq), changed: None, location: None, body }
    }

    /// What was made and has no version of its own.
    pub(super) fn made(body: T, location: String) -> Self {
        let location = Some(location);
        Resource { status: StatusCode::CREATED, modseq: None, changed: Some(true), location, body }
    }

    /// After a change.
    pub(super) fn changed(self, changed: bool) -> Self {
        Resource { changed: Some(changed), ..self }
    }

    /// After it was made; in a dry run nothing was.
    pub(super) fn created(self, location: String) -> Self {
        Resource { status: StatusCode::CREATED, changed: Some(true), location: Some(location), ..self }
    }
}

impl<T: Serialize> IntoResponse for Resource<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(tag) = self.modseq.and_then(|modseq| HeaderValue::from_str(&format!("\"{modseq}\"")).ok()) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(changed) = self.changed {
            headers.insert(CHANGED, HeaderValue::from_static(if changed { "true" } else { "false" }));
        }
        if let Some(location) = self.location.and_then(|path| HeaderValue::from_str(&path).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

/// A deletion, or a dry run of a creation: there is nothing to show.
pub(super) fn no_content() -> NoContent {
    NoContent::changed(true)
}

/// There was nothing to delete.
pub(super) fn nothing_changed() -> NoContent {
    NoContent::changed(false)
}

/// A page of a listing.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    /// The `after` of the following page; `None` when this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a page that was read with one item more than wanted.
    pub(super) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Json<Self> {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Json(Page { items, next })
    }

    /// The same, without what whoever asks may not see: such a page can be short, even empty, and still go on.
    pub(super) fn cut_seen(items: Vec<(bool, T)>, limit: usize, cursor: impl Fn(&T) -> String) -> Json<Self> {
        let Json(page) = Page::cut(items, limit, |(_, item)| cursor(item));
        let items = page.items.into_iter().filter_map(|(seen, item)| seen.then_some(item)).collect();
        Json(Page { items, next: page.next })
    }
}

/// RFC 3339, in UTC.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |time| time.to_string())
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Domain")]
pub(super) struct DomainView {
    pub id: DomainId,
    pub name: String,
    pub aliases: Vec<String>,
    pub description: String,
    /// Names of the servers for new accounts; empty is all.
    pub servers: Vec<String>,
    pub suspended: bool,
    pub postmaster: Option<String>,
    pub plus_separators: String,
    /// Of the domain, or else of the installation; so is what follows.
    pub retention_days: u32,
    pub full_mailbox: &'static str,
    /// External contacts, of whatever domain, that have addresses in this one, counted to a thousand; only where one
    /// domain is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts_inside: Option<usize>,
    pub created_at: String,
}

pub(super) fn domain(reader: &Reader<'_>, domain: Domain) -> Result<DomainView, StorageError> {
    let own = sterna_directory::Scope::Domain(domain.id);
    let servers = domain
        .servers
        .iter()
        .map(|id| Ok(reader.server(*id)?.map_or_else(|| id.to_string(), |server| server.value.name)))
        .collect::<Result<_, StorageError>>()?;
    Ok(DomainView {
        postmaster: reader.setting(own, settings::POSTMASTER)?.map(|found| found.value.value),
        plus_separators: Some(reader.plus_separators(&domain)?).filter(|s| !s.is_empty()).unwrap_or("none".to_owned()),
        retention_days: reader.retention_days(Some(&domain))?,
        contacts_inside: None,
        full_mailbox: if reader.refuses_when_full(Some(&domain))? { "refuse" } else { "defer" },
        id: domain.id,
        name: domain.name,
        aliases: domain.aliases,
        description: domain.description,
        servers,
        suspended: domain.suspended,
        created_at: time(domain.created_at),
    })
}

/// What is shown of every user, group and shared mailbox. What a kind doesn't have is left out.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entry")]
pub(super) struct EntryView {
    pub id: AccountId,
    pub kind: &'static str,
    pub address: String,
    pub aliases: Vec<String>,
    pub display_name: String,
    /// The organisational unit, as a path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    pub suspended: bool,
    /// Whether it is left out of the directory's address book.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Who else may send with the addresses.
    pub senders: Vec<String>,
    /// Where the mail goes besides, or instead; not of groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_to: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_password: Option<bool>,
    /// Whether the user can log in by SCRAM-SHA-256; users only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_scram: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<Option<u64>>,
    /// Bytes of all messages; only where one account is asked for, null when its server doesn't answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<Option<u64>>,
    /// How many messages; the same holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_items: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_members: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_senders_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_count: Option<u64>,
    /// Of rooms and things: the rules by which they are booked, and who manages them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceView>,
    pub created_at: String,
}

/// How a room or a thing is booked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Resource")]
pub(super) struct ResourceView {
    #[serde(flatten)]
    rules: Rules,
    managers: Vec<String>,
}

/// The addresses of those who are still there.
fn senders(reader: &Reader<'_>, ids: &[AccountId]) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(sender) = reader.entry(*id)? {
            found.extend(reader.address_text(&sender.value.entry().address)?);
        }
    }
    Ok(found)
}

pub(super) fn entry(reader: &Reader<'_>, any: &AnyEntry) -> Result<EntryView, StorageError> {
    let common: &Entry = any.entry();
    let text = |address: &Address| -> Result<String, StorageError> {
        Ok(reader.address_text(address)?.unwrap_or_else(|| format!("{}@#{}", address.local, address.domain)))
    };
    let mut view = EntryView {
        id: common.id,
        kind: "user",
        address: text(&common.address)?,
        aliases: common.aliases.iter().map(text).collect::<Result<_, _>>()?,
        display_name: common.display_name.clone(),
        unit: common.unit.clone(),
        suspended: common.suspended,
        hidden: common.hidden,
        senders: senders(reader, &common.senders)?,
        forward_to: any.has_account().then(|| common.forward_to.clone()),
        forward_only: any.has_account().then_some(common.forward_only),
        login: None,
        admin: None,
        has_password: None,
        has_scram: None,
        quota_bytes: None,
        used_bytes: None,
        used_items: None,
        server: server_of(reader, common.id)?,
        external_members: None,
        internal_senders_only: None,
        member_count: None,
        resource: None,
        created_at: time(common.created_at),
    };
    match any {
        AnyEntry::User(user) => {
            view.login = Some(user.login.clone());
            view.admin = Some(user.admin);
            view.has_password = Some(user.password_hash.is_some());
            view.has_scram = Some(user.scram.is_some());
            view.quota_bytes = Some(user.quota_bytes);
        }
        AnyEntry::Shared(shared) => {
            view.kind = "shared";
            view.quota_bytes = Some(shared.quota_bytes);
            if let Some(resource) = &shared.resource {
                view.kind = "resource";
                let managers = senders(reader, &resource.managers)?;
                view.resource = Some(ResourceView { rules: resource.rules.clone(), managers });
            }
        }
        AnyEntry::Group(group) => {
            view.kind = "group";
            view.external_members = Some(group.external_members);
            view.internal_senders_only = Some(group.internal_senders_only);
            view.member_count = Some(reader.member_count(common.id)?);
        }
    }
    Ok(view)
}

fn server_of(reader: &Reader<'_>, account: AccountId) -> Result<Option<String>, StorageError> {
    let Some(placement) = reader.placement(account)? else { return Ok(None) };
    let id = placement.value.server;
    Ok(Some(reader.server(id)?.map_or_else(|| id.to_string(), |server| server.value.name)))
}

pub(super) fn entry_resource(
    reader: &Reader<'_>,
    found: &Versioned<AnyEntry>,
) -> Result<Resource<EntryView>, StorageError> {
    Ok(Resource::read(entry(reader, &found.value)?, found.modseq))
}

/// A server: what the directory has of it, and what it says itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Server")]
pub(super) struct ServerView {
    pub id: NodeId,
    pub name: String,
    pub address: String,
    pub roles: Vec<&'static str>,
    /// Whether it answers now, since when that is so as far as this node knows, and why not.
    pub answers: bool,
    pub since: Option<String>,
    pub cause: Option<String>,
    pub version: Option<String>,
    /// Versions of the program that are installed there.
    pub versions: Vec<String>,
    /// The version that was tried last and did not come to serve.
    pub version_failed: Option<String>,
    pub started_at: Option<String>,
    /// The load average of the last minute.
    pub load: Option<f64>,
    /// How fast copies of accounts go there, and why not faster; null when there is nothing to copy.
    pub copying: Option<SpeedView>,
    pub weight: u32,
    pub accepts_new_accounts: bool,
    /// Whether it is being emptied.
    pub draining: bool,
    /// The server that stands by for its accounts, and what their acknowledgements wait for.
    pub standby: Option<String>,
    pub standby_durability: Option<u8>,
    /// Accounts that live there.
    pub accounts: u64,
    /// Copies of accounts that live elsewhere.
    pub copies: u64,
    /// Accounts that are on their way there, or away from there.
    pub moves_in: u64,
    pub moves_out: u64,
    /// What its accounts take; of its whole disk, if it doesn't say.
    pub used_bytes: Option<u64>,
    pub free_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub free_bytes_at: Option<String>,
    pub created_at: String,
}

pub(super) fn server(
    reader: &Reader<'_>,
    server: Server,
    moves_out: &HashMap<NodeId, u64>,
) -> Result<ServerView, StorageError> {
    let standby = match server.standby {
        Some(standby) => reader.server(standby.server)?.map(|found| found.value.name),
        None => None,
    };
    Ok(ServerView {
        accounts: reader.accounts_on(server.id)?,
        copies: reader.copy_count(server.id)?,
        moves_in: reader.move_count(server.id)?,
        moves_out: moves_out.get(&server.id).copied().unwrap_or(0),
        id: server.id,
        name: server.name,
        address: server.address,
        roles: server.roles.names(),
        answers: false,
        since: None,
        cause: None,
        version: server.version,
        versions: Vec::new(),
        version_failed: None,
        started_at: None,
        load: None,
        copying: None,
        weight: server.weight,
        accepts_new_accounts: server.accepts_new_accounts,
        draining: server.draining,
        standby,
        standby_durability: server.standby.map(|standby| super::failover::number(standby.durability)),
        used_bytes: server.used_bytes,
        free_bytes: server.free_bytes,
        disk_bytes: server.capacity_bytes,
        free_bytes_at: server.free_bytes_at.map(time),
        created_at: time(server.created_at),
    })
}
