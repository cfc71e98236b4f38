//! `/api/v1/domains/{domain}/dkim`: the keys that a domain signs with.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_directory::{DkimKey, DkimState, Domain, NewDkimKey, Reader, Request, Versioned};
use sterna_mailflow::auth::keys::{self, KeyAlgorithm, KeyError, Published};
use sterna_mailflow::remote::Dns;

use super::answer::{Made, NoContent};
use super::doors::AdminState;
use super::input::{Body, Params};
use super::problem::Problem;
use super::view::{Page, Resource, time};
use super::{resolve, view};
use crate::node::signing;

/// What keys are made and looked for with.
pub struct KeyTools {
    /// Where the main node's secret is.
    pub folder: PathBuf,
    /// Who asks DNS.
    pub dns: Arc<Dns>,
}

/// One key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DkimKey")]
pub(super) struct KeyView {
    selector: String,
    domain: String,
    algorithm: String,
    /// "new", "active", "retired".
    state: &'static str,
    since: String,
    created: String,
    /// What DNS says: "published", "missing", "differs", "unknown".
    dns: &'static str,
    /// The name of the record to publish (TXT).
    record_name: String,
    /// Its text.
    record: String,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDkimKey")]
pub(super) struct NewBody {
    algorithm: String,
    selector: Option<String>,
}

/// The body of PATCH.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DkimKeyChange")]
pub(super) struct StateBody {
    state: DkimState,
    /// Makes a key active although DNS doesn't have it.
    #[serde(default)]
    unchecked: bool,
}

fn tools(state: &AdminState) -> Result<&KeyTools, Problem> {
    let unavailable = || {
        let remedy = "Ask the main node or an edge.";
        let detail = "this node has nothing to do with signatures";
        Problem::new(StatusCode::CONFLICT, "no-dkim-here", "Keys are not looked at here", detail, remedy)
    };
    state.dkim.as_deref().ok_or_else(unavailable)
}

fn unusable(error: impl ToString) -> Problem {
    let remedy = "Look at signing.secret in the folder of the main node, and at its disk.";
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Problem::new(status, "dkim-key", "The key can't be made", error.to_string(), remedy)
}

async fn domain(state: &AdminState, name: String) -> Result<Domain, Problem> {
    let read = move |reader: &Reader<'_>| resolve::domain(reader, &name);
    Ok(state.directory.read(read).await?.value)
}

async fn keys_of(state: &AdminState, domain: &Domain) -> Result<Vec<Versioned<DkimKey>>, Problem> {
    let id = domain.id;
    Ok(state.directory.read(move |reader| reader.dkim_keys(id)).await?)
}

async fn key_of(state: &AdminState, domain: &Domain, selector: &str) -> Result<DkimKey, Problem> {
    let mut keys = keys_of(state, domain).await?.into_iter().map(|found| found.value);
    keys.find(|key| key.selector == selector).ok_or_else(|| Problem::no_such("DKIM key", selector))
}

async fn view_of(tools: &KeyTools, domain: &Domain, key: DkimKey) -> KeyView {
    let found = keys::published(&tools.dns, &domain.name, &key.selector, &key.public).await;
    let algorithm = KeyAlgorithm::from_name(&key.algorithm).unwrap_or(KeyAlgorithm::Rsa2048);
    KeyView {
        domain: domain.name.clone(),
        state: key.state.name(),
        since: time(key.since),
        created: time(key.created_at),
        dns: match found {
            Published::Yes => "published",
            Published::Missing => "missing",
            Published::Differs(_) => "differs",
            Published::Unknown(_) => "unknown",
        },
        record_name: keys::record_name(&key.selector, &domain.name),
        record: keys::record(algorithm, &key.public),
        algorithm: key.algorithm,
        selector: key.selector,
    }
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<Page<KeyView>>, Problem> {
    let tools = tools(&state)?;
    let domain = domain(&state, name).await?;
    let mut items = Vec::new();
    for key in keys_of(&state, &domain).await? {
        items.push(view_of(tools, &domain, key.value).await);
    }
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((name, selector)): Path<(String, String)>,
) -> Result<Json<KeyView>, Problem> {
    let tools = tools(&state)?;
    let domain = domain(&state, name).await?;
    let key = key_of(&state, &domain, &selector).await?;
    Ok(Json(view_of(tools, &domain, key).await))
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
    Body(body): Body<NewBody>,
) -> Result<Made<KeyView>, Problem> {
    let tools = tools(&state)?;
    if !state.directory.is_main() {
        return Err(state.not_main().await);
    }
    let domain = domain(&state, name).await?;
    let algorithm = KeyAlgorithm::from_name(&body.algorithm)
        .ok_or_else(|| Problem::malformed("the algorithm is rsa-2048 or ed25519"))?;
    let selector = match body.selector {
        Some(selector) => selector,
        None => free_selector(&state, &domain, algorithm).await?,
    };
    let (folder, whose, named) = (tools.folder.clone(), domain.id.to_string(), selector.clone());
    let making = move || {
        let secret = signing::made(&folder).map_err(unusable)?;
        let new = keys::generate(algorithm).map_err(unusable)?;
        let sealed = keys::seal(&secret, &whose, &named, &new.private).map_err(unusable)?;
        // A secret that can't open what it sealed would be noticed when mail goes unsigned.
        keys::open(&secret, &whose, &named, &sealed).map_err(unusable)?;
        Ok::<_, Problem>((new.public, sealed))
    };
    let (public, sealed) = tokio::task::spawn_blocking(making).await.map_err(unusable)??;
    let algorithm = algorithm.name().to_owned();
    let new = NewDkimKey { domain: domain.id, selector: selector.clone(), algorithm, public, sealed };
    state.write(Request::CreateDkimKey(new), params.dry_run).await?;
    if params.dry_run {
        return Ok(view::no_content().into());
    }
    let key = key_of(&state, &domain, &selector).await?;
    let location = format!("/api/v1/domains/{}/dkim/{selector}", domain.id);
    let modseq = *state.directory.watch().borrow();
    Ok(Resource::read(view_of(tools, &domain, key).await, modseq).created(location).into())
}

/// A selector that says when the key was made: nobody has to remember which is the newer one.
async fn free_selector(state: &AdminState, domain: &Domain, algorithm: KeyAlgorithm) -> Result<String, Problem> {
    let keys = keys_of(state, domain).await?;
    let today = time(state.directory.now());
    let today: String = today.chars().filter(char::is_ascii_digit).take(8).collect();
    let kind = if algorithm == KeyAlgorithm::Ed25519 { "e" } else { "r" };
    let taken = |selector: &String| keys.iter().any(|key| key.value.selector == *selector);
    let mut numbered = (1..).map(|number| match number {
        1 => format!("s{today}{kind}"),
        number => format!("s{today}{kind}{number}"),
    });
    numbered.find(|selector| !taken(selector)).ok_or_else(|| unusable(KeyError::Generate))
}

pub(super) async fn set(
    State(state): State<AdminState>,
    Path((name, selector)): Path<(String, String)>,
    params: Params,
    Body(body): Body<StateBody>,
) -> Result<Resource<KeyView>, Problem> {
    let tools = tools(&state)?;
    let domain = domain(&state, name).await?;
    let key = key_of(&state, &domain, &selector).await?;
    if body.state == DkimState::Active && !body.unchecked {
        let found = keys::published(&tools.dns, &domain.name, &selector, &key.public).await;
        let detail = match found {
            Published::Yes => None,
            Published::Missing => Some("DNS has no such record".to_owned()),
            Published::Differs(text) => Some(format!("DNS has another key there: {text}")),
            Published::Unknown(cause) => Some(format!("DNS can't be asked: {cause}")),
        };
        if let Some(detail) = detail {
            let record = keys::record_name(&selector, &domain.name);
            let remedy = format!("Publish the TXT record {record} (sterna dkim show {} {selector}).", domain.name);
            let title = "The key is not published";
            return Err(Problem::new(StatusCode::CONFLICT, "not-published", title, detail, remedy));
        }
    }
    let request = Request::SetDkimKey { domain: domain.id, selector: selector.clone(), state: body.state };
    let done = state.write(request, params.dry_run).await?;
    let key = key_of(&state, &domain, &selector).await?;
    Ok(Resource::read(view_of(tools, &domain, key).await, done.modseq).changed(done.changed))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((name, selector)): Path<(String, String)>,
    params: Params,
) -> Result<NoContent, Problem> {
    let domain = domain(&state, name).await?;
    key_of(&state, &domain, &selector).await?;
    state.write(Request::DeleteDkimKey { domain: domain.id, selector }, params.dry_run).await?;
    Ok(view::no_content())
}
