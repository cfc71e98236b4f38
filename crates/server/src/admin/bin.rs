//! `/api/v1/bin`: people, groups and mailboxes that were deleted and can be had back, each with its mailbox, its
//! memberships and what it shared, until its time is over.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Timestamp};
use sterna_directory::{Deleted, Reader, Request, RequestError, StorageError, settings};

use super::answer::{NoContent, Removed};
use super::doors::AdminState;
use super::input::{Body, By, IfMatch, Params};
use super::principal::Seen;
use super::problem::Problem;
use super::view::{EntryView, Page, Resource, time};
use super::{resolve, sessions, view};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Entries whose time is looked at at once.
const SWEEP_PAGE: usize = 1000;

/// An entry in the bin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BinnedEntry")]
pub(super) struct BinView {
    /// What it was. Its id is that by which it is restored.
    #[serde(flatten)]
    was: EntryView,
    deleted_at: String,
    deleted_by: String,
    /// When it goes for good.
    deleted_until: String,
}

/// The body of POST.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RestoreChange")]
pub(super) struct RestoreBody {
    /// A new main address, if the old one is taken.
    address: Option<String>,
}

fn bin_view(reader: &Reader<'_>, row: Deleted) -> Result<BinView, StorageError> {
    let (deleted_at, deleted_until) = (time(row.at), time(row.until));
    let was = view::entry(reader, &row.was)?;
    Ok(BinView { was, deleted_at, deleted_by: row.by, deleted_until })
}

/// By id.
pub(super) async fn list(
    State(state): State<AdminState>,
    params: Params,
    seen: Seen,
) -> Result<Json<Page<BinView>>, Problem> {
    let limit = params.limit();
    let after = params.after.as_deref().map_or(Ok(AccountId(0)), str::parse);
    let after = after.map_err(|_| Problem::malformed("“after” is not an id"))?;
    let read = move |reader: &Reader<'_>| {
        let domain = params.domain.as_deref().map(|name| resolve::domain(reader, name)).transpose()?;
        let domain = domain.map(|found| found.value.id);
        let mut items = Vec::new();
        for row in reader.all_deleted(after, limit + 1)? {
            let entry = row.value.was.entry();
            let is_shown = domain.is_none_or(|domain| entry.address.domain == domain) && seen.entry(entry);
            items.push((is_shown, bin_view(reader, row.value)?));
        }
        Ok::<_, Problem>(items)
    };
    Ok(Page::cut_seen(state.directory.read(read).await?, limit, |row| row.was.id.to_string()))
}

/// The row that a path names: by id, because another may have the address by now.
pub(super) fn found(reader: &Reader<'_>, text: &str) -> Result<Deleted, Problem> {
    let row = match text.parse() {
        Ok(id) => reader.deleted(id)?,
        Err(_) => None,
    };
    row.map(|row| row.value).ok_or_else(|| none(text))
}

/// The problem of there being none, or none that whoever asks may know of.
pub(super) fn none(text: &str) -> Problem {
    let mut problem = Problem::no_such("entry in the bin", text);
    problem.remedy = "See what is there, and by which id it is named: sterna bin list.".to_owned();
    problem
}

pub(super) async fn restore(
    State(state): State<AdminState>,
    Path(entry): Path<String>,
    params: Params,
    Body(body): Body<RestoreBody>,
) -> Result<Resource<EntryView>, Problem> {
    let id = state.directory.read(move |reader| found(reader, &entry)).await?.id;
    let request = Request::RestoreEntry { id, address: body.address };
    let done = state.write(request, params.dry_run).await.map_err(of_restoring)?;
    if params.dry_run {
        let row = state.directory.read(move |reader| found(reader, &id.to_string())).await?;
        let read = move |reader: &Reader<'_>| view::entry(reader, &row.was);
        let body = state.directory.read(read).await?;
        return Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(true), location: None, body });
    }
    let read = move |reader: &Reader<'_>| {
        let found = resolve::entry(reader, &id.to_string(), "entry")?;
        Ok::<_, Problem>(view::entry_resource(reader, &found)?)
    };
    Ok(state.directory.read(read).await?.changed(done.changed))
}

fn of_restoring(mut problem: Problem) -> Problem {
    if problem.code == "taken" || problem.code == "no-such" {
        problem.remedy = "Restore it under another address: sterna bin restore ID --address ADDRESS.".to_owned();
    }
    problem
}

/// Deletes it for good.
pub(super) async fn purge(
    State(state): State<AdminState>,
    Path(entry): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let id = state.directory.read(move |reader| found(reader, &entry)).await?.id;
    state.write(Request::PurgeEntry { id }, params.dry_run).await?;
    if !params.dry_run {
        state.delete_stores_of(id).await?;
    }
    Ok(view::no_content())
}

/// Puts an entry into the bin, or deletes it at once where nothing is kept or nothing shall be.
pub(super) async fn delete(
    state: &AdminState,
    (id, kind): (AccountId, sterna_directory::RowKind),
    params: &Params,
    IfMatch(expect): IfMatch,
    By(by): By,
) -> Result<Removed<BinView>, Problem> {
    let read = move |reader: &Reader<'_>| reader.number_setting_for(reader.domain_of(id)?.as_ref(), settings::BIN_DAYS);
    let days = i64::try_from(state.directory.read(read).await?).unwrap_or(i64::MAX);
    if params.forever || days == 0 {
        state.delete_entry(id, kind, expect, params.dry_run).await?;
        return Ok(view::no_content().into());
    }
    let until = Timestamp(state.directory.now().0.saturating_add(days.saturating_mul(DAY_MS)));
    state.write(Request::BinEntry { id, kind, expect, until, by }, params.dry_run).await?;
    if params.dry_run {
        return Ok(view::no_content().into());
    }
    sessions::end_all(state, id).await?;
    let read = move |reader: &Reader<'_>| Ok::<_, Problem>(bin_view(reader, found(reader, &id.to_string())?)?);
    let body = state.directory.read(read).await?;
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(true), location: None, body }.into())
}

/// Deletes for good what was in the bin for its time.
///
/// # Errors
/// When the directory can't be read.
pub(super) async fn sweep(state: &AdminState) -> Result<(), Problem> {
    let (now, mut after) = (state.directory.now(), AccountId(0));
    loop {
        let page = state.directory.read(move |reader| reader.all_deleted(after, SWEEP_PAGE)).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.value.id;
        for row in page.into_iter().map(|row| row.value).filter(|row| row.until <= now) {
            match state.directory.submit(Request::PurgeEntry { id: row.id }).await {
                Ok(_) => state.delete_stores_of(row.id).await?,
                // Somebody brought it back just now.
                Err(RequestError::NoSuch { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
