//! `/api/v1/imports`: mail of other servers into accounts, by IMAP.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sterna_account::shares::Shares;
use sterna_account::{Account, Identifier};
use sterna_base::Secret;
use sterna_directory::{AnyEntry, Reader};
use sterna_migration::imap::account::Identities;
use sterna_migration::imap::client::{Encryption, Source};
use sterna_migration::imap::job::{Import, Running, Targets, Wanted};
use sterna_migration::imap::report::{AccountReport, Mode};
use sterna_migration::limits::ACCOUNTS_MAX;
use tokio_util::sync::CancellationToken;

use super::doors::AdminState;
use super::input::Body;
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource};
use crate::node::trusted_roots;

/// Accounts read at the same time when nobody says how many.
const PARALLEL_DEFAULT: usize = 8;

/// The body of POST.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportBody {
    host: String,
    #[serde(default)]
    port: Option<u16>,
    encryption: Encryption,
    /// A PEM file of this node with certificates to trust besides those of the system.
    #[serde(default)]
    ca: Option<PathBuf>,
    /// Who logs in for all.
    #[serde(default)]
    master: Option<MasterBody>,
    accounts: Vec<WantedBody>,
    #[serde(default)]
    parallel: Option<usize>,
    mode: Mode,
    #[serde(default)]
    set_aside: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MasterBody {
    login: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedBody {
    login: String,
    #[serde(default)]
    password: String,
    target: String,
}

/// One import.
#[derive(Serialize)]
pub(super) struct ImportView {
    id: u64,
    mode: Mode,
    is_over: bool,
    accounts: Vec<AccountReport>,
}

impl ImportView {
    fn of(id: u64, running: &Running) -> Self {
        // Asked in this order: what is over has its last word in the reports.
        let is_over = running.is_over();
        ImportView { id, mode: running.mode, is_over, accounts: running.reports() }
    }
}

/// The accounts of this installation.
struct NodeTargets {
    state: AdminState,
    /// Where names without a domain are looked for.
    domain: Option<String>,
}

#[async_trait]
impl Identities for NodeTargets {
    async fn identify(&self, name: &str) -> Option<Identifier> {
        let with_domain = self.domain.as_ref().filter(|_| !name.contains('@')).map(|domain| format!("{name}@{domain}"));
        for name in [Some(name.to_owned()), with_domain].into_iter().flatten() {
            if let Ok(Some(found)) = self.state.directory.identifier(&name).await {
                return Some(found);
            }
        }
        None
    }
}

#[async_trait]
impl Targets for NodeTargets {
    async fn open(&self, address: &str) -> Result<Arc<dyn Account>, String> {
        let id = account_id(&self.state, address.to_owned()).await.map_err(|problem| problem.detail)?;
        self.state.provision.open(id).await.map_err(|error| error.to_string())
    }
}

async fn account_id(state: &AdminState, address: String) -> Result<sterna_base::AccountId, Problem> {
    let read = move |reader: &Reader<'_>| match resolve::entry(reader, &address, "account")?.value {
        AnyEntry::Group(_) => Err(Problem::no_such("account", &address)),
        other => Ok(other.entry().id),
    };
    state.directory.read(read).await
}

pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<ImportView>>, Problem> {
    let all = state.memory.imports.all();
    let items = all.iter().map(|(id, running)| ImportView::of(*id, running)).collect();
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(import): Path<String>,
) -> Result<Json<ImportView>, Problem> {
    let (id, running) = find(&state, &import)?;
    Ok(Json(ImportView::of(id, &running)))
}

pub(super) async fn stop(
    State(state): State<AdminState>,
    Path(import): Path<String>,
) -> Result<Resource<ImportView>, Problem> {
    let (id, running) = find(&state, &import)?;
    let was_over = running.is_over();
    running.stop();
    let body = ImportView::of(id, &running);
    Ok(Resource { status: StatusCode::OK, modseq: None, changed: Some(!was_over), location: None, body })
}

fn find(state: &AdminState, text: &str) -> Result<(u64, Arc<Running>), Problem> {
    let found = text.parse().ok().and_then(|id| Some((id, state.memory.imports.get(id)?)));
    found.ok_or_else(|| Problem::no_such("import since this node started", text))
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Body(body): Body<ImportBody>,
) -> Result<Resource<ImportView>, Problem> {
    if body.accounts.is_empty() || body.accounts.len() > ACCOUNTS_MAX {
        return Err(Problem::malformed(format!("an import has at least one account, and at most {ACCOUNTS_MAX}")));
    }
    // Before anything is begun: a wrong address in line 700 is found at once.
    for wanted in &body.accounts {
        account_id(&state, wanted.target.clone()).await?;
    }
    let ca = body.ca.clone();
    let roots = tokio::task::spawn_blocking(move || trusted_roots(ca.as_deref())).await;
    let roots = roots.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string()));
    let tls = roots.map_err(|cause| Problem::malformed(format!("the certificates to trust can't be read: {cause}")))?;
    let port = body.port.unwrap_or(if body.encryption == Encryption::Tls { 993 } else { 143 });
    let domain = body.accounts[0].target.rsplit_once('@').map(|(_, domain)| domain.to_owned());
    let wanted = |one: WantedBody| Wanted { login: one.login, password: Secret::new(one.password), target: one.target };
    let import = Import {
        source: Source { host: body.host, port, encryption: body.encryption, tls },
        master: body.master.map(|master| (master.login, Secret::new(master.password))),
        accounts: body.accounts.into_iter().map(wanted).collect(),
        parallel: body.parallel.unwrap_or(PARALLEL_DEFAULT),
        mode: body.mode,
        set_aside: body.set_aside,
    };
    let targets = Arc::new(NodeTargets { state: state.clone(), domain });
    let id = state.memory.imports.begin(import, targets, &CancellationToken::new());
    let (id, running) = find(&state, &id.to_string())?;
    let (body, location) = (ImportView::of(id, &running), Some(format!("/api/v1/imports/{id}")));
    Ok(Resource { status: StatusCode::CREATED, modseq: None, changed: Some(true), location, body })
}
