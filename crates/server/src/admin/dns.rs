//! `/api/v1/domains/{domain}/dns`: the records that DNS should have of a domain, and with `?look=true` what it has.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_directory::Reader;
use sterna_formats::discovery::{Record, TTL_SECONDS, records};
use sterna_web::setup::door::{Found, RecordRow};

use super::doors::AdminState;
use super::input::Asked;
use super::problem::Problem;
use super::resolve;
use crate::setup::records::compared;

/// Whether DNS is asked for each record, which takes as long as DNS does, within bounds.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Look {
    pub look: bool,
}

/// All records of one domain, under each of its names.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DnsRecords")]
pub(super) struct DnsView {
    items: Vec<RecordView>,
    /// There is but one page.
    next: Option<String>,
    /// Why something may be missing, and what to do.
    problems: Vec<String>,
}

/// One record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DnsRecord")]
struct RecordView {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    ttl: u32,
    /// As people enter it.
    value: String,
    /// How much depends on it: "mail", "clients", "advised".
    need: &'static str,
    purpose: &'static str,
    /// As a line of a zone file.
    zone: String,
    /// What DNS says, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

impl From<Record> for RecordView {
    fn from(record: Record) -> Self {
        RecordView {
            kind: record.data.kind(),
            ttl: TTL_SECONDS,
            value: record.data.plain(),
            need: record.need.name(),
            purpose: record.purpose,
            zone: record.zone_line(),
            name: record.name,
            found: None,
        }
    }
}

impl From<RecordRow> for RecordView {
    fn from(row: RecordRow) -> Self {
        let RecordRow { name, kind, value, zone, need, purpose, found } = row;
        RecordView { name, kind, ttl: TTL_SECONDS, value, need, purpose, zone, found: Some(found) }
    }
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
    Asked(Look { look }): Asked<Look>,
) -> Result<Json<DnsView>, Problem> {
    let domain = state.directory.read(move |reader: &Reader<'_>| resolve::domain(reader, &domain)).await?.value;
    let unavailable = || {
        let (detail, remedy) = ("there is no node around this API", "Ask a running node.");
        Problem::new(StatusCode::CONFLICT, "no-discovery-here", "Services are not known here", detail, remedy)
    };
    let discovery = state.discovery.as_deref().ok_or_else(unavailable)?;
    let dns = state.dkim.as_deref().filter(|_| look).map(|tools| tools.dns.clone());
    let mut view = DnsView { items: Vec::new(), next: None, problems: Vec::new() };
    for name in std::iter::once(&domain.name).chain(&domain.aliases) {
        let Some(found) = discovery.find(name).await? else { continue };
        let wanted = records(&found.facts);
        match &dns {
            Some(dns) => view.items.extend(compared(dns, wanted).await.into_iter().map(RecordView::from)),
            None => view.items.extend(wanted.into_iter().map(RecordView::from)),
        }
        let new = found.problems.into_iter().filter(|problem| !view.problems.contains(problem));
        let new: Vec<String> = new.collect();
        view.problems.extend(new);
    }
    Ok(Json(view))
}
