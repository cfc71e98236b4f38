//! `/api/v1/accounts/{account}/files`: former versions of files, and links to them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::commit::Expect;
use sterna_account::files::{self, Version};
use sterna_account::links::{self, Link, Target, Token};
use sterna_account::{Account, Container, ItemParts};
use sterna_base::{OperationId, Uid};
use sterna_directory::{AnyEntry, Reader};

use super::answer::{Made, NoContent};
use super::doors::AdminState;
use super::input::{Asked, Body};
use super::problem::Problem;
use super::view::{Page, Resource, no_content, time};
use super::{address_of, resolve};

/// Which file.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PathQuery {
    path: String,
    /// A version of it.
    version: Option<u32>,
}

/// A former version.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FileVersion")]
pub(super) struct VersionView {
    version: u32,
    name: String,
    size: u64,
    written_at: String,
    ended_at: String,
    deleted: bool,
}

/// A link.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FileLink")]
pub(super) struct LinkView {
    token: String,
    url: Option<String>,
    path: String,
    kind: &'static str,
    name: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    password: bool,
    upload: bool,
    label: String,
}

/// A link that is wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewFileLink")]
pub(super) struct LinkBody {
    path: String,
    password: Option<String>,
    expires_days: Option<u32>,
    #[serde(default)]
    upload: bool,
    #[serde(default)]
    label: String,
}

/// Longest time that a link is made for: ten years.
const DAYS_MAX: u32 = 3650;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

struct Opened {
    account: std::sync::Arc<dyn Account>,
    address: String,
}

async fn open(state: &AdminState, name: String) -> Result<Opened, Problem> {
    let read = move |reader: &Reader<'_>| {
        let entry: AnyEntry = resolve::entry(reader, &name, "account")?.value;
        Ok::<_, Problem>((entry.entry().id, address_of(reader, entry.entry().id)?))
    };
    let (id, address) = state.directory.read(read).await?;
    let account = state.provision.open(id).await.map_err(unavailable)?;
    Ok(Opened { account, address })
}

pub(super) fn unavailable(error: impl ToString) -> Problem {
    let remedy = "See which servers answer (sterna status), and try again once it does.";
    let title = "The account can't be read or written";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "account-unavailable", title, error.to_string(), remedy)
}

async fn place(opened: &Opened, path: &str) -> Result<(Container, String), Problem> {
    let found = files::place(opened.account.as_ref(), path).await.map_err(unavailable)?;
    found.ok_or_else(|| Problem::no_such("folder", path))
}

fn version_view(version: Version) -> VersionView {
    VersionView {
        version: version.id.0,
        name: version.name,
        size: version.size,
        written_at: time(version.written_at),
        ended_at: time(version.ended_at),
        deleted: version.was_deleted,
    }
}

pub(super) async fn versions(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Asked(asked): Asked<PathQuery>,
) -> Result<Json<Page<VersionView>>, Problem> {
    let opened = open(&state, name).await?;
    let account = opened.account.as_ref();
    // A path that ends with a slash, or none at all, is a folder, whose deleted files are asked for.
    let found = if asked.path.is_empty() || asked.path.ends_with('/') {
        let parts: Vec<String> = asked.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let folder = files::folder(account, &parts).await.map_err(unavailable)?;
        let folder = folder.ok_or_else(|| Problem::no_such("folder", &asked.path))?;
        files::deleted(account, folder.id).await
    } else {
        let (folder, file) = place(&opened, &asked.path).await?;
        files::versions(account, folder.id, &file).await
    };
    let items = found.map_err(unavailable)?.into_iter().map(version_view).collect();
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn restore(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Asked(asked): Asked<PathQuery>,
) -> Result<NoContent, Problem> {
    let opened = open(&state, name).await?;
    let (folder, file) = place(&opened, &asked.path).await?;
    let account = opened.account.as_ref();
    let id = Uid(asked.version.ok_or_else(|| Problem::malformed("say which version"))?);
    let versions = files::versions(account, folder.id, &file).await.map_err(unavailable)?;
    let version = versions.into_iter().find(|version| version.id == id);
    let version = version.ok_or_else(|| Problem::no_such("version", &id.to_string()))?;
    let now = account.item_named(folder.id, &file, ItemParts::default()).await.map_err(unavailable)?;
    let (mut steps, mut expect) = (Vec::new(), Expect::Absent);
    if let Some(item) = &now {
        steps = files::kept(folder.id, item);
        expect = Expect::Content(item.blob);
    }
    steps.push(files::restored(folder.id, &version, expect));
    account.commit(OperationId::random(), steps).await.map_err(unavailable)?;
    Ok(no_content())
}

async fn link_view(state: &AdminState, opened: &Opened, token: &Token, link: Link) -> LinkView {
    let path = format!("/share/{token}");
    let base = match (&state.discovery, sterna_formats::discovery::domain_of(&opened.address)) {
        (Some(discovery), Some(domain)) => discovery.find(domain).await.ok().flatten(),
        _ => None,
    };
    let base = base.and_then(|found| found.facts.dav_url());
    let base = base.and_then(|url| Some(url.strip_suffix(sterna_formats::discovery::DAV_PATH)?.to_owned()));
    LinkView {
        token: token.to_string(),
        url: base.map(|base| format!("{base}{path}")),
        path,
        kind: match &link.target {
            Target::File { .. } => "file",
            Target::Folder { .. } => "folder",
            Target::Calendar { .. } => "calendar",
        },
        name: match &link.target {
            Target::File { name, .. } => Some(name.clone()),
            _ => None,
        },
        created_at: time(link.created_at),
        expires_at: link.expires_at.map(time),
        password: link.has_password(),
        upload: link.upload,
        label: link.label,
    }
}

pub(super) async fn list_links(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<Page<LinkView>>, Problem> {
    let opened = open(&state, name).await?;
    let mut items = Vec::new();
    for (token, link) in links::list(opened.account.as_ref()).await.map_err(unavailable)? {
        items.push(link_view(&state, &opened, &token, link).await);
    }
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn create_link(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Body(body): Body<LinkBody>,
) -> Result<Made<LinkView>, Problem> {
    let opened = open(&state, name).await?;
    let account = opened.account.as_ref();
    if body.expires_days.is_some_and(|days| days == 0 || days > DAYS_MAX) {
        return Err(Problem::malformed("expires_days is a number from 1 to 3650"));
    }
    let parts: Vec<String> = body.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let target = match files::folder(account, &parts).await.map_err(unavailable)? {
        Some(folder) => Target::Folder { container: folder.id },
        None => {
            let (folder, name) = place(&opened, &body.path).await?;
            let found = account.item_named(folder.id, &name, ItemParts::default()).await.map_err(unavailable)?;
            found.ok_or_else(|| Problem::no_such("file", &body.path))?;
            Target::File { container: folder.id, name }
        }
    };
    if body.upload && !matches!(target, Target::Folder { .. }) {
        return Err(Problem::malformed("files are uploaded into folders"));
    }
    let now = state.directory.now();
    let mut link = Link::new(target, now);
    link.expires_at = body.expires_days.map(|days| now.plus_ms(i64::from(days) * DAY_MS));
    (link.upload, link.label) = (body.upload, body.label);
    if let Some(password) = body.password {
        let hashed = tokio::task::spawn_blocking(move || {
            link.set_password(&password);
            link
        });
        link = hashed.await.map_err(unavailable)?;
    }
    let token = links::create(account, &link, now).await.map_err(unavailable)?;
    let view = link_view(&state, &opened, &token, link).await;
    let location = format!("/api/v1/accounts/{}/files/links/{token}", account.id());
    let modseq = *state.directory.watch().borrow();
    Ok(Resource::read(view, modseq).created(location).into())
}

pub(super) async fn revoke_link(
    State(state): State<AdminState>,
    Path((name, token)): Path<(String, String)>,
) -> Result<NoContent, Problem> {
    let opened = open(&state, name).await?;
    let parsed: Token = token.parse().map_err(|_| Problem::no_such("link", &token))?;
    let is_gone = links::revoke(opened.account.as_ref(), &parsed).await.map_err(unavailable)?;
    if is_gone { Ok(no_content()) } else { Err(Problem::no_such("link", &token)) }
}
