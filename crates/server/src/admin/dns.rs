//! `/api/v1/domains/{domain}/dns`: the records that DNS should have of a domain.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use sterna_directory::Reader;
use sterna_formats::discovery::{Record, TTL_SECONDS, records};

use super::doors::AdminState;
use super::problem::Problem;
use super::resolve;

/// All records of one domain, under each of its names.
#[derive(Serialize)]
pub(super) struct DnsView {
    items: Vec<RecordView>,
    /// There is but one page.
    next: Option<String>,
    /// Why something may be missing, and what to do.
    problems: Vec<String>,
}

/// One record.
#[derive(Serialize)]
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
        }
    }
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
) -> Result<Json<DnsView>, Problem> {
    let domain = state.directory.read(move |reader: &Reader<'_>| resolve::domain(reader, &domain)).await?.value;
    let unavailable = || {
        let (detail, remedy) = ("there is no node around this API", "Ask a running node.");
        Problem::new(StatusCode::CONFLICT, "no-discovery-here", "Services are not known here", detail, remedy)
    };
    let discovery = state.discovery.as_deref().ok_or_else(unavailable)?;
    let mut view = DnsView { items: Vec::new(), next: None, problems: Vec::new() };
    for name in std::iter::once(&domain.name).chain(&domain.aliases) {
        let Some(found) = discovery.find(name).await? else { continue };
        view.items.extend(records(&found.facts).into_iter().map(RecordView::from));
        let new = found.problems.into_iter().filter(|problem| !view.problems.contains(problem));
        let new: Vec<String> = new.collect();
        view.problems.extend(new);
    }
    Ok(Json(view))
}
