//! `/api/v1/accounts/{account}/objects`: what is in a calendar or an address book, for imports and exports.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::{Account, Container, ContainerKind, ItemParts, UidSet};
use sterna_base::Uid;
use sterna_directory::Reader;
use sterna_protocols::dav::import::{Imported, import};
use sterna_protocols::message;

use super::doors::AdminState;
use super::input::{Asked, Body};
use super::problem::Problem;
use super::resolve;
use super::view::Page;

/// Largest body of an import, in bytes: many objects, or one of the longest, with what JSON adds.
pub(super) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Objects of one page, and of one import.
const OBJECTS_MAX: usize = 200;

/// Bytes of objects that one page is filled up to.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Which collection.
#[derive(Deserialize, JsonSchema)]
pub(super) struct CollectionQuery {
    collection: String,
    /// "calendar" or "contacts".
    kind: String,
    #[serde(default)]
    after: Option<String>,
}

/// Objects to be put in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Objects")]
pub(super) struct ImportBody {
    objects: Vec<String>,
}

/// What became of them, in their order.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ObjectResults")]
pub(super) struct ImportView {
    results: Vec<ResultView>,
}

/// What became of one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ObjectResult")]
struct ResultView {
    /// "created", "changed", "unchanged", "refused".
    outcome: &'static str,
    reason: Option<String>,
}

/// One object.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Object")]
pub(super) struct ObjectView {
    name: String,
    text: String,
}

struct Opened {
    account: Arc<dyn Account>,
    container: Container,
}

async fn open(state: &AdminState, name: String, asked: &CollectionQuery) -> Result<Opened, Problem> {
    let read = move |reader: &Reader<'_>| Ok::<_, Problem>(resolve::entry(reader, &name, "account")?.value.entry().id);
    let id = state.directory.read(read).await?;
    let account = state.provision.open(id).await.map_err(super::files::unavailable)?;
    let kinds: &[ContainerKind] = match asked.kind.as_str() {
        "calendar" => {
            &[ContainerKind::Calendar, ContainerKind::Tasks, ContainerKind::Notes, ContainerKind::DerivedCalendar]
        }
        "contacts" => &[ContainerKind::AddressBook],
        _ => return Err(Problem::malformed("the kind is calendar or contacts")),
    };
    let path = [asked.collection.clone()];
    for kind in kinds {
        let found = account.containers_on_path(*kind, &path).await.map_err(super::files::unavailable)?.pop();
        if let Some(container) = found {
            return Ok(Opened { account, container });
        }
    }
    Err(Problem::no_such("collection", &asked.collection))
}

pub(super) async fn put(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Asked(asked): Asked<CollectionQuery>,
    Body(body): Body<ImportBody>,
) -> Result<Json<ImportView>, Problem> {
    if body.objects.len() > OBJECTS_MAX {
        return Err(Problem::malformed("at most 200 objects at once"));
    }
    let Opened { account, container } = open(&state, name, &asked).await?;
    let mut results = Vec::with_capacity(body.objects.len());
    for text in body.objects {
        let done = import(account.as_ref(), container.id, container.kind, Bytes::from(text)).await;
        let (outcome, reason) = match done.map_err(super::files::unavailable)? {
            Imported::Created => ("created", None),
            Imported::Changed => ("changed", None),
            Imported::Unchanged => ("unchanged", None),
            Imported::Refused(reason) => ("refused", Some(reason)),
        };
        results.push(ResultView { outcome, reason });
    }
    Ok(Json(ImportView { results }))
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Asked(asked): Asked<CollectionQuery>,
) -> Result<Json<Page<ObjectView>>, Problem> {
    let after = match &asked.after {
        Some(after) => after.parse().map_err(|_| Problem::malformed("after is a number"))?,
        None => Uid(0),
    };
    let Opened { account, container } = open(&state, name, &asked).await?;
    let uids = UidSet::range(after.next(), Uid::MAX);
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let items = account.items(container.id, &uids, parts, OBJECTS_MAX).await.map_err(super::files::unavailable)?;
    let is_full = items.len() == OBJECTS_MAX;
    let (mut page, mut bytes, mut last) = (Page { items: Vec::new(), next: None }, 0, None);
    for item in items {
        if bytes > PAGE_BYTES {
            page.next = last;
            return Ok(Json(page));
        }
        let text = match &item.body {
            Some(body) => body.to_vec(),
            None => {
                let read = message::read_all(account.as_ref(), &item, 0..item.size).await;
                read.map_err(super::files::unavailable)?.to_vec()
            }
        };
        bytes += text.len();
        last = Some(item.uid.to_string());
        let text = String::from_utf8_lossy(&text).into_owned();
        page.items.push(ObjectView { name: item.name.unwrap_or_default(), text });
    }
    page.next = last.filter(|_| is_full);
    Ok(Json(page))
}
