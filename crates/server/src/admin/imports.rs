//! `/api/v1/imports`: what other servers have, into accounts: mail by IMAP, calendars and address books by DAV,
//! scripts by ManageSieve.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use rustls::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::{Account, Identifier};
use sterna_base::{AccountId, Secret};
use sterna_directory::rights::{Area, Permission, Rights};
use sterna_directory::{AnyEntry, Reader};
use sterna_mailflow::sieve;
use sterna_migration::dav::client::DavSource;
use sterna_migration::imap::account::{Choices, Identities};
use sterna_migration::imap::client::{Encryption, Source};
use sterna_migration::limits::ACCOUNTS_MAX;
use sterna_migration::run::job::{Import, Running, Targets, Wanted, Way};
use sterna_migration::run::report::{AccountReport, Mode};
use tokio_util::sync::CancellationToken;

use super::answer::Made;
use super::dav_objects::DavObjects;
use super::doors::AdminState;
use super::input::Body;
use super::policy::above;
use super::principal::{Principal, place_of};
use super::problem::Problem;
use super::resolve;
use super::view::{Page, Resource};
use crate::node::trusted_roots;

/// Where ManageSieve is spoken (RFC 5804 section 1.8).
const MANAGESIEVE_PORT: u16 = 4190;
/// Accounts read at the same time when nobody says how many.
const PARALLEL_DEFAULT: usize = 8;

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewImport")]
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
    /// What the source is called, so that it is known again at another address.
    #[serde(default)]
    source_name: Option<String>,
    #[serde(default)]
    another_source: bool,
    #[serde(default)]
    rights: bool,
    #[serde(default)]
    allow_removals: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImportMaster")]
struct MasterBody {
    login: String,
    password: String,
}

impl MasterBody {
    fn known(self) -> (String, Secret) {
        (self.login, Secret::new(self.password))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImportedAccount")]
struct WantedBody {
    login: String,
    #[serde(default)]
    password: String,
    target: String,
}

/// One import.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Import")]
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
struct NodeTargets(AdminState);

#[async_trait]
impl Identities for NodeTargets {
    async fn identify(&self, owner: AccountId, name: &str) -> Option<Identifier> {
        let name = name.to_owned();
        let read = move |reader: &Reader<'_>| identified(reader, owner, &name);
        self.0.directory.read(read).await.ok().flatten()
    }
}

/// Names without a domain are looked for in that of the account: another domain's users are called the same.
pub(super) fn identified(reader: &Reader<'_>, owner: AccountId, name: &str) -> Result<Option<Identifier>, Problem> {
    let Some(owner) = reader.entry(owner)? else { return Ok(None) };
    let domain = owner.value.entry().address.domain;
    if name == "anyone" {
        return Ok(Some(Identifier::Domain(domain)));
    }
    let entry = |found: AnyEntry| Identifier::Entry(found.entry().id);
    if name.contains('@') {
        return Ok(reader.entry_at(name)?.map(|found| entry(found.value)));
    }
    let Some(own) = reader.domain(domain)? else { return Ok(None) };
    if let Some(found) = reader.entry_at(&format!("{name}@{}", own.value.name))? {
        return Ok(Some(entry(found.value)));
    }
    let by_login = reader.user_by_login(name)?.filter(|found| found.value.entry.address.domain == domain);
    Ok(by_login.map(|found| Identifier::Entry(found.value.entry.id)))
}

#[async_trait]
impl Targets for NodeTargets {
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, String> {
        self.0.provision.open(account).await.map_err(|error| error.to_string())
    }
}

/// The account that somebody wants to fill, if they may do that: mail in it is read by those who may do more.
fn target(reader: &Reader<'_>, rights: &Rights, address: &str) -> Result<AccountId, Problem> {
    let found = resolve::entry(reader, address, "account")?.value;
    if matches!(found, AnyEntry::Group(_)) || !rights.may(Permission::read(Area::People), place_of(found.entry())) {
        return Err(Problem::no_such("account", address));
    }
    let may = rights.may(Permission::write(Area::People), place_of(found.entry()));
    if !may || !rights.covers(&reader.granted(found.entry().id)?) {
        return Err(above());
    }
    Ok(found.entry().id)
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

/// The accounts of an import, which whoever asks may fill. Before anything is begun: a wrong address in line 700 is
/// found at once.
async fn wanted(state: &AdminState, rights: Rights, accounts: Vec<WantedBody>) -> Result<Vec<Wanted>, Problem> {
    if accounts.is_empty() || accounts.len() > ACCOUNTS_MAX {
        return Err(Problem::malformed(format!("an import has at least one account, and at most {ACCOUNTS_MAX}")));
    }
    let addresses: Vec<String> = accounts.iter().map(|wanted| wanted.target.clone()).collect();
    let resolve = move |reader: &Reader<'_>| -> Result<Vec<AccountId>, Problem> {
        addresses.iter().map(|address| target(reader, &rights, address)).collect()
    };
    let targets = state.directory.read(resolve).await?;
    let one = |(one, account): (WantedBody, AccountId)| Wanted {
        login: one.login,
        password: Secret::new(one.password),
        target: one.target,
        account,
    };
    Ok(accounts.into_iter().zip(targets).map(one).collect())
}

/// Whom to trust besides those whom the system trusts.
async fn trusted(ca: Option<PathBuf>) -> Result<Arc<ClientConfig>, Problem> {
    let roots = tokio::task::spawn_blocking(move || trusted_roots(ca.as_deref())).await;
    let roots = roots.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string()));
    roots.map_err(|cause| Problem::malformed(format!("the certificates to trust can't be read: {cause}")))
}

/// Begins it.
fn begin(state: &AdminState, import: Import) -> Result<Made<ImportView>, Problem> {
    let targets = Arc::new(NodeTargets(state.clone()));
    let id = state.memory.imports.begin(import, targets, &CancellationToken::new());
    let (id, running) = find(state, &id.to_string())?;
    let (body, location) = (ImportView::of(id, &running), Some(format!("/api/v1/imports/{id}")));
    Ok(Resource { status: StatusCode::CREATED, modseq: None, changed: Some(true), location, body }.into())
}

pub(super) async fn create(
    State(state): State<AdminState>,
    principal: Principal,
    Body(body): Body<ImportBody>,
) -> Result<Made<ImportView>, Problem> {
    let accounts = wanted(&state, principal.rights, body.accounts).await?;
    let tls = trusted(body.ca).await?;
    let port = body.port.unwrap_or(if body.encryption == Encryption::Tls { 993 } else { 143 });
    let import = Import {
        way: Way::Imap {
            source: Source { host: body.host, port, encryption: body.encryption, tls },
            master: body.master.map(MasterBody::known),
        },
        accounts,
        parallel: body.parallel.unwrap_or(PARALLEL_DEFAULT),
        mode: body.mode,
        choices: Choices {
            source_name: body.source_name,
            another_source: body.another_source,
            rights: body.rights,
            allow_removals: body.allow_removals,
        },
        set_aside: body.set_aside,
    };
    begin(&state, import)
}

/// The body of POST for calendars and address books.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDavImport")]
pub(super) struct DavImportBody {
    /// Where the source begins: `https://old.example.org/`, a user's home, or one collection; `{login}` in it is the
    /// login of each account.
    url: String,
    /// A PEM file of this node with certificates to trust besides those of the system.
    #[serde(default)]
    ca: Option<PathBuf>,
    accounts: Vec<WantedBody>,
    #[serde(default)]
    parallel: Option<usize>,
    mode: Mode,
    /// What the source is called, so that it is known again at another address.
    #[serde(default)]
    source_name: Option<String>,
    #[serde(default)]
    another_source: bool,
    #[serde(default)]
    allow_removals: bool,
}

pub(super) async fn create_dav(
    State(state): State<AdminState>,
    principal: Principal,
    Body(body): Body<DavImportBody>,
) -> Result<Made<ImportView>, Problem> {
    let accounts = wanted(&state, principal.rights, body.accounts).await?;
    let source = DavSource::parse(&body.url, trusted(body.ca).await?).map_err(Problem::malformed)?;
    let (source_name, another_source, allow_removals) = (body.source_name, body.another_source, body.allow_removals);
    let import = Import {
        way: Way::Dav { source, objects: Arc::new(DavObjects) },
        accounts,
        parallel: body.parallel.unwrap_or(PARALLEL_DEFAULT),
        mode: body.mode,
        choices: Choices { source_name, another_source, rights: false, allow_removals },
        set_aside: Vec::new(),
    };
    begin(&state, import)
}

/// The body of POST for scripts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSieveImport")]
pub(super) struct SieveImportBody {
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
}

pub(super) async fn create_sieve(
    State(state): State<AdminState>,
    principal: Principal,
    Body(body): Body<SieveImportBody>,
) -> Result<Made<ImportView>, Problem> {
    let accounts = wanted(&state, principal.rights, body.accounts).await?;
    let tls = trusted(body.ca).await?;
    let port = body.port.unwrap_or(MANAGESIEVE_PORT);
    let import = Import {
        way: Way::Sieve {
            source: Source { host: body.host, port, encryption: body.encryption, tls },
            master: body.master.map(MasterBody::known),
            check: Arc::new(|text| sieve::check(text).map_err(|fault| fault.to_string())),
        },
        accounts,
        parallel: body.parallel.unwrap_or(PARALLEL_DEFAULT),
        mode: body.mode,
        choices: Choices::default(),
        set_aside: Vec::new(),
    };
    begin(&state, import)
}
