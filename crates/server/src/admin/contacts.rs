//! `/api/v1/contacts`: people outside of the organisation, in the address book of a domain and in its groups.

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId};
use sterna_directory::{Contact, ContactPatch, Created, Reader, Request, StorageError, Versioned};

use super::answer::{Made, NoContent};
use super::doors::AdminState;
use super::input::{Body, IfMatch, Params};
use super::principal::Seen;
use super::problem::Problem;
use super::view::{Page, Resource};
use super::{resolve, view};

/// Contacts that one request looks at; what comes after is for the next page.
const LOOKED_AT_MAX: usize = 10_000;

/// Groups that are told of one contact.
const GROUPS_MAX: usize = 1000;

/// The body of POST and PATCH; in a PATCH what is not there stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ContactChange")]
pub(super) struct ContactBody {
    /// Where mail reaches the person: an address of no domain of the installation.
    address: Option<String>,
    /// The domain that keeps the contact, by name or number; only in POST.
    domain: Option<String>,
    display_name: Option<String>,
    /// What the person works for.
    organisation: Option<String>,
    phone: Option<String>,
    note: Option<String>,
    /// The organisational unit, as a path.
    unit: Option<String>,
}

/// A contact as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Contact")]
pub(super) struct ContactView {
    pub id: AccountId,
    pub kind: &'static str,
    pub address: String,
    /// The domain that keeps it.
    pub domain: String,
    pub display_name: String,
    pub organisation: String,
    pub phone: String,
    pub note: String,
    /// The organisational unit, as a path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Groups of its domain that it is a member of; only where one contact is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    pub created_at: String,
}

impl ContactBody {
    fn patch(self) -> ContactPatch {
        let ContactBody { address, display_name, organisation, phone, note, unit, .. } = self;
        ContactPatch { address, display_name, organisation, phone, note, unit }
    }
}

fn contact_view(reader: &Reader<'_>, contact: Contact) -> Result<ContactView, StorageError> {
    let domain = reader.domain(contact.domain)?.map(|found| found.value.name);
    Ok(ContactView {
        id: contact.id,
        kind: "contact",
        domain: domain.unwrap_or_else(|| contact.domain.to_string()),
        address: contact.address,
        display_name: contact.display_name,
        organisation: contact.organisation,
        phone: contact.phone,
        note: contact.note,
        unit: contact.unit,
        groups: None,
        created_at: view::time(contact.created_at),
    })
}

fn one(reader: &Reader<'_>, found: Versioned<Contact>) -> Result<Resource<ContactView>, Problem> {
    let mut groups = Vec::new();
    for group in reader.groups_with(&found.value, GROUPS_MAX)? {
        if let Some(group) = reader.group(group)? {
            groups.extend(reader.address_text(&group.value.entry.address)?);
        }
    }
    let shown = contact_view(reader, found.value)?;
    Ok(Resource::read(ContactView { groups: Some(groups), ..shown }, found.modseq))
}

/// A page; `after` is what the page before said: the number of a domain, a slash, and an address.
pub(super) async fn list(
    State(state): State<AdminState>,
    params: Params,
    seen: Seen,
) -> Result<Json<Page<ContactView>>, Problem> {
    let limit = params.limit();
    let read = move |reader: &Reader<'_>| {
        let domain =
            params.domain.as_deref().map(|name| resolve::domain(reader, name)).transpose()?.map(|found| found.value.id);
        let mut after = params.after.as_deref().map(cursor).transpose()?;
        let text = params.text.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let chunk = if text.is_some() { PAGE_ITEMS_MAX } else { limit + 1 };
        let (mut page, mut looked_at) = (Page { items: Vec::new(), next: None }, 0);
        loop {
            let place = after.as_ref().map(|(domain, address)| (*domain, address.as_str()));
            let found = reader.contacts(domain, place, chunk)?;
            let is_last = found.len() < chunk;
            for contact in found.into_iter().map(|found| found.value) {
                if page.items.len() == limit || looked_at == LOOKED_AT_MAX {
                    page.next = after.map(|(domain, address)| format!("{domain}/{address}"));
                    return Ok(page);
                }
                looked_at += 1;
                after = Some((contact.domain, contact.address.clone()));
                if seen.at(contact.domain, &contact.unit) && has(&contact, text.as_deref()) {
                    page.items.push(contact_view(reader, contact)?);
                }
            }
            if is_last {
                return Ok::<_, Problem>(page);
            }
        }
    };
    Ok(Json(state.directory.read(read).await?))
}

fn cursor(text: &str) -> Result<(DomainId, String), Problem> {
    let parts = text.split_once('/').and_then(|(domain, address)| Some((domain.parse().ok()?, address.to_owned())));
    parts.ok_or_else(|| Problem::malformed("“after” is not the “next” of a page"))
}

/// Whether a text, in small letters, is in what identifies somebody.
fn has(contact: &Contact, text: Option<&str>) -> bool {
    let Some(text) = text else { return true };
    let fields = [&contact.address, &contact.display_name, &contact.organisation, &contact.phone];
    fields.into_iter().any(|field| field.to_lowercase().contains(text))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(contact): Path<String>,
    params: Params,
    seen: Seen,
) -> Result<Resource<ContactView>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::contact(reader, &contact, params.domain.as_deref(), &seen.of_contacts())?;
        one(reader, found)
    };
    state.directory.read(read).await
}

pub(super) async fn create(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<ContactBody>,
) -> Result<Made<ContactView>, Problem> {
    let name =
        body.domain.clone().ok_or_else(|| Problem::malformed("an external contact needs the domain it is of"))?;
    if body.address.is_none() {
        return Err(Problem::malformed("an external contact needs an address"));
    }
    let domain = state.directory.read(move |reader| Ok::<_, Problem>(resolve::domain(reader, &name)?.value.id)).await?;
    let done = state.write(Request::CreateContact { domain, new: body.patch() }, params.dry_run).await?;
    match done.created {
        Some(Created::Account(id)) if !params.dry_run => {
            Ok(by_id(&state, id).await?.created(format!("/api/v1/contacts/{id}")).into())
        }
        _ => Ok(view::no_content().into()),
    }
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(contact): Path<String>,
    params: Params,
    seen: Seen,
    IfMatch(expect): IfMatch,
    Body(body): Body<ContactBody>,
) -> Result<Resource<ContactView>, Problem> {
    if body.domain.is_some() {
        return Err(Problem::malformed("a contact stays with its domain: make another one there"));
    }
    let id = id_of(&state, contact, params.domain, seen).await?;
    let done = state.write(Request::SetContact { id, expect, patch: body.patch() }, params.dry_run).await?;
    Ok(by_id(&state, id).await?.changed(done.changed))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(contact): Path<String>,
    params: Params,
    seen: Seen,
    IfMatch(expect): IfMatch,
) -> Result<NoContent, Problem> {
    let id = id_of(&state, contact, params.domain, seen).await?;
    state.write(Request::DeleteContact { id, expect }, params.dry_run).await?;
    Ok(view::no_content())
}

async fn by_id(state: &AdminState, id: AccountId) -> Result<Resource<ContactView>, Problem> {
    let read = move |reader: &Reader<'_>| {
        let none = || Problem::no_such("external contact", &id.to_string());
        one(reader, reader.contact(id)?.ok_or_else(none)?)
    };
    state.directory.read(read).await
}

async fn id_of(state: &AdminState, text: String, domain: Option<String>, seen: Seen) -> Result<AccountId, Problem> {
    let read = move |reader: &Reader<'_>| {
        let found = resolve::contact(reader, &text, domain.as_deref(), &seen.of_contacts())?;
        Ok::<_, Problem>(found.value.id)
    };
    state.directory.read(read).await
}
