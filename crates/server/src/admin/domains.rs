//! `/api/v1/domains`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use sterna_directory::request::{DomainPatch, NewDomain};
use sterna_directory::{Created, Request, settings};

use super::answer::{Made, NoContent};
use super::doors::AdminState;
use super::input::{Body, By, IfMatch, Params};
use super::principal::Seen;
use super::problem::Problem;
use super::view::{DomainView, Page, Resource};
use super::{resolve, view};

/// External contacts inside of a domain that are counted.
const CONTACTS_COUNTED_MAX: usize = 1000;

/// The body of POST and PATCH; in a PATCH what is not there stays, and null removes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "DomainChange")]
pub(super) struct DomainBody {
    name: Option<String>,
    aliases: Option<Vec<String>>,
    description: Option<String>,
    servers: Option<Vec<String>>,
    suspended: Option<bool>,
    #[serde(deserialize_with = "present")]
    postmaster: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    plus_separators: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    retention_days: Option<Option<u32>>,
    #[serde(deserialize_with = "present")]
    full_mailbox: Option<Option<String>>,
}

/// Tells null (remove it) from "not there" (leave it).
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl DomainBody {
    fn settings(&self) -> BTreeMap<String, Option<String>> {
        let retention_days = self.retention_days.map(|days| days.map(|days| days.to_string()));
        let named = [
            (settings::POSTMASTER, &self.postmaster),
            (settings::PLUS_SEPARATORS, &self.plus_separators),
            (settings::RETENTION_DAYS, &retention_days),
            (settings::FULL_MAILBOX, &self.full_mailbox),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }
}

pub(super) async fn list(
    State(state): State<AdminState>,
    params: Params,
    seen: Seen,
) -> Result<Json<Page<DomainView>>, Problem> {
    let limit = params.limit();
    let read = move |reader: &sterna_directory::Reader<'_>| {
        let found = reader.domains(params.after.as_deref().unwrap_or_default(), limit + 1)?;
        let views =
            found.into_iter().map(|found| Ok((seen.domain(found.value.id), view::domain(reader, found.value)?)));
        views.collect::<Result<Vec<_>, Problem>>()
    };
    Ok(Page::cut_seen(state.directory.read(read).await?, limit, |domain| domain.name.clone()))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
) -> Result<Resource<DomainView>, Problem> {
    let read = move |reader: &sterna_directory::Reader<'_>| {
        let found = resolve::domain(reader, &domain)?;
        let names: Vec<&str> =
            std::iter::once(&found.value.name).chain(&found.value.aliases).map(String::as_str).collect();
        let contacts_inside = Some(reader.contacts_within(&names, CONTACTS_COUNTED_MAX)?);
        let shown = view::domain(reader, found.value.clone())?;
        Ok(Resource::read(DomainView { contacts_inside, ..shown }, found.modseq))
    };
    state.directory.read(read).await
}

pub(super) async fn create(
    State(state): State<AdminState>,
    params: Params,
    By(by): By,
    Body(body): Body<DomainBody>,
) -> Result<Made<DomainView>, Problem> {
    let settings = body.settings().into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let names = body.servers.clone().unwrap_or_default();
    let servers = state.directory.read(move |reader| resolve::servers(reader, &names)).await?;
    let new = NewDomain {
        name: body.name.ok_or_else(|| Problem::malformed("a domain needs a name"))?,
        aliases: body.aliases.unwrap_or_default(),
        description: body.description.unwrap_or_default(),
        servers,
        settings,
        by,
    };
    let done = state.write(Request::CreateDomain(new), params.dry_run).await?;
    match done.created {
        Some(Created::Domain(id)) if !params.dry_run => {
            let made = get(State(state), Path(id.to_string())).await?;
            Ok(made.created(format!("/api/v1/domains/{id}")).into())
        }
        _ => Ok(view::no_content().into()),
    }
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
    By(by): By,
    Body(body): Body<DomainBody>,
) -> Result<Resource<DomainView>, Problem> {
    let settings = body.settings();
    let names = body.servers.clone();
    let (id, servers) = state
        .directory
        .read(move |reader| {
            let id = resolve::domain(reader, &domain)?.value.id;
            let servers = names.map(|names| resolve::servers(reader, &names)).transpose()?;
            Ok::<_, Problem>((id, servers))
        })
        .await?;
    let patch = DomainPatch {
        name: body.name,
        aliases: body.aliases,
        description: body.description,
        servers,
        suspended: body.suspended,
        settings,
        by,
    };
    let done = state.write(Request::SetDomain { id, expect, patch }, params.dry_run).await?;
    Ok(get(State(state), Path(id.to_string())).await?.changed(done.changed))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
    params: Params,
    IfMatch(expect): IfMatch,
) -> Result<NoContent, Problem> {
    let id = state.directory.read(move |reader| resolve::domain(reader, &domain)).await?.value.id;
    state.write(Request::DeleteDomain { id, expect }, params.dry_run).await?;
    Ok(view::no_content())
}
