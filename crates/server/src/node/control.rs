//! What this node does on the main node's word, and whom the main node lets in.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use sterna_account::edge_guard::{GuardChanges, GuardSince};
use sterna_account::edge_report::EdgeReport;
use sterna_account::edge_reports::{SeenAnswer, SeenQuestion};
use sterna_account::local::LocalAccounts;
use sterna_account::open_sessions::{Ending, OpenSession, SESSIONS_TOLD_MAX, SessionsQuestion};
use sterna_account::shares::{Shares, SharesError};
use sterna_account::trace::{TraceQuery, TracedMessage};
use sterna_account::{Account, AccountError, CommitError, Outcome, StoreError, first_containers};
use sterna_base::{AccountId, Clock, Epoch, Modseq, NodeId, OperationId, Timestamp, failpoint};
use sterna_cluster::copies::{CopyStage, Keeper, StageReport};
use sterna_cluster::join::{Admission, AdmitRefused, NewNode};
use sterna_cluster::migration::calls::{Fetched, Offer, PartQuery};
use sterna_cluster::rpc::control::{AsidesStatus, FilterDown};
use sterna_cluster::rpc::wire::RELEASE;
use sterna_cluster::update::{NodeTask, TaskReport};
use sterna_cluster::{
    ControlClient, CopiesStatus, Identity, NodeControl, NodeRole, NodeRoles, NodeStatus, Nodes, NotedShare, RunVersion,
    ShareRefused, StageRefused,
};
use sterna_directory::request::{self, ServerPatch};
use sterna_directory::{Directory, Reader, Request, RequestError, Roles, StandbyStage, StorageError};
use sterna_formats::discovery::Endpoint;
use sterna_mailflow::filter::Filters;
use sterna_mailflow::guard::Guard;
use sterna_mailflow::queue::Queue;
use sterna_mailflow::remote::dane::Ability;
use sterna_mailflow::trace::{Trace, TraceStore};
use sterna_protocols::account_sessions::AccountSessions;
use tokio::sync::watch;

use super::directory_nodes::DirectoryNodes;
use super::edge_check::EdgeCheck;
use super::migration::{self, files};
use super::orphans::Orphans;
use super::own_addresses::own_addresses;
use super::questions::Answers;
use super::served::Served;
use super::sudo::SudoDesk;
use super::{Parts, accounts_folder, signing};
use crate::config::{Config, Role};
use crate::firewall;
use crate::graphs::{Graphs, Reading};
use crate::update::desk::{Bench, Desk};
use crate::update::handover::Handover;
use crate::update::surroundings::Surroundings;

/// Accounts that a node names of which it has something set aside.
const ASIDES_NAMED_MAX: usize = 20;

/// This node's own part.
pub struct Control {
    node: NodeId,
    roles: NodeRoles,
    folder: PathBuf,
    node_folder: PathBuf,
    clock: Arc<dyn Clock>,
    local: Option<Arc<LocalAccounts>>,
    keeper: Option<Arc<Keeper>>,
    directory: Directory,
    nodes: Arc<DirectoryNodes>,
    orphans: Orphans,
    identity: Arc<Identity>,
    started_at: Timestamp,
    trace: Option<TraceStore>,
    edge_check: Arc<OnceLock<EdgeCheck>>,
    sessions: Arc<AccountSessions>,
    filters: Arc<OnceLock<Arc<Filters>>>,
    /// The certificates that clients see, where there are listeners for them.
    served: Arc<OnceLock<Arc<Served>>>,
    /// Where this edge listens, once it does.
    endpoints: Arc<OnceLock<Vec<Endpoint>>>,
    handover: Arc<Handover>,
    /// Its work for updates.
    desk: Desk,
    /// Whether answers of DNS can be validated; edges only, and late.
    dane: OnceLock<watch::Receiver<Ability>>,
    /// What it answers the main node about its mail and its numbers.
    answers: Answers,
    sudo: Arc<SudoDesk>,
    firewall: firewall::Standing,
    /// What this node was started with.
    config: Config,
    others: ControlClient,
}

impl Control {
    /// From now on it can say whether answers of DNS are validated.
    pub fn tell_dane(&self, dane: watch::Receiver<Ability>) {
        let _ = self.dane.set(dane);
    }

    /// From now on it can say what waits to be sent, and who was let in.
    pub fn tell_mail(&self, queue: Arc<Queue>, guard: Arc<Guard>) {
        let _ = self.answers.queue.set(queue);
        let _ = self.answers.guard.set(guard);
    }

    /// What is measured of this node for graphs; `trace` is where deliveries are counted.
    pub fn reading(&self, trace: &Trace) -> Reading {
        let (free, all) = self.disk();
        let is_edge = self.config.has(Role::Edge);
        Reading {
            queue_messages: self.answers.queue.get().map(|queue| queue.len()),
            delivered_count: is_edge.then(|| trace.delivered_count()),
            sessions: is_edge.then(|| self.sessions.count().values().sum()),
            lag_ms: self.keeper.as_ref().and_then(|keeper| keeper.lag_ms()),
            disk: (all > 0).then_some((free, all)),
            load_hundredths: load_hundredths(),
        }
    }

    /// The numbers that graphs are made of.
    pub fn graphs(&self) -> Arc<Graphs> {
        self.answers.graphs.clone()
    }

    /// The row of the migration in which `by` takes this machine's place, or gives it back.
    async fn succeeded_by(&self, by: NodeId) -> Result<(), String> {
        let row = self.directory.read(|reader| reader.migration()).await.map_err(|error| error.to_string())?;
        match row.as_ref().and_then(|found| migration::successor(&found.value)) {
            Some((to, from)) if (to, from) == (by, self.node) => Ok(()),
            _ => Err("that node doesn't take this machine's place".to_owned()),
        }
    }

    /// Of the node with these parts.
    pub(super) fn new(parts: &Parts) -> Self {
        let role = |role: &Role| match role {
            Role::Main => NodeRole::Main,
            Role::Data => NodeRole::Data,
            Role::Edge => NodeRole::Edge,
        };
        Control {
            node: parts.identity.node(),
            roles: parts.config.roles.iter().map(role).collect(),
            folder: accounts_folder(&parts.folder),
            node_folder: parts.folder.clone(),
            clock: parts.clock.clone(),
            local: parts.local.clone(),
            keeper: parts.keeper.clone(),
            directory: parts.directory.clone(),
            nodes: parts.nodes.clone(),
            orphans: Orphans::default(),
            dane: OnceLock::new(),
            sudo: parts.sudo.clone(),
            answers: Answers {
                clock: parts.clock.clone(),
                queue: Arc::default(),
                guard: Arc::default(),
                graphs: Arc::new(Graphs::open(&parts.folder)),
            },
            config: parts.config.clone(),
            others: ControlClient::new(parts.peers.clone()),
            identity: parts.identity.clone(),
            started_at: parts.clock.now(),
            trace: parts.trace.as_ref().map(|(store, _)| store.clone()),
            edge_check: parts.edge_check.clone(),
            sessions: parts.sessions.clone(),
            filters: parts.filters.clone(),
            endpoints: parts.endpoints.clone(),
            firewall: parts.firewall.clone(),
            handover: parts.handover.clone(),
            desk: Desk::new(bench(parts)),
            served: parts.served.clone(),
        }
    }

    /// The filters that can't be asked.
    fn filters_down(&self) -> Vec<FilterDown> {
        let health = self.filters.get().map(|filters| filters.health()).unwrap_or_default();
        let down = health.into_iter().filter_map(|known| {
            let cause = known.state.err()?;
            Some(FilterDown { name: known.name, cause, since: known.since })
        });
        down.collect()
    }

    fn local(&self) -> Result<&LocalAccounts, StoreError> {
        let refused = || StoreError::Io("this node holds no accounts: it has not the role data".to_owned());
        self.local.as_deref().ok_or_else(refused)
    }

    async fn copies(&self, stores: &[AccountId]) -> CopiesStatus {
        let looked = self.orphans.look(&self.directory, self.node, stores, self.clock.now()).await;
        let (orphans, orphan_count) = looked.unwrap_or_else(|error| {
            tracing::warn!(%error, "the stores that are here could not be compared with the directory");
            (Vec::new(), 0)
        });
        let Some(keeper) = &self.keeper else { return CopiesStatus::default() };
        let (differed, differed_last) = keeper.differed();
        CopiesStatus { speed: keeper.throttle().speed(), differed, differed_last, orphans, orphan_count }
    }

    /// What is set aside here, in short.
    async fn asides(&self) -> Option<AsidesStatus> {
        let asides = match self.keeper.as_ref()?.asides().list().await {
            Ok(asides) if asides.is_empty() => return None,
            Ok(asides) => asides,
            Err(error) => {
                tracing::error!(%error, "what was set aside on this node can't be listed");
                return None;
            }
        };
        let lost = || asides.iter().filter_map(|aside| aside.lost);
        Some(AsidesStatus {
            stores: asides.len() as u64,
            commits: asides.iter().map(|aside| aside.commits).sum(),
            items: lost().map(|lost| lost.items).sum(),
            uncounted: (asides.len() - lost().count()) as u64,
            since: asides[0].at,
            accounts: asides.iter().map(|aside| aside.account).take(ASIDES_NAMED_MAX).collect(),
        })
    }

    /// Free and all bytes of the disk with the accounts.
    fn disk(&self) -> (u64, u64) {
        let folder =
            if self.folder.exists() { self.folder.as_path() } else { self.folder.parent().unwrap_or(&self.folder) };
        // What is reserved for others, by the file system or by a quota of the machine's, is no part of either: it
        // would look like space in use.
        rustix::fs::statvfs(folder).map_or((0, 0), |disk| {
            let usable = disk.f_blocks.saturating_sub(disk.f_bfree).saturating_add(disk.f_bavail);
            (disk.f_bavail * disk.f_frsize, usable * disk.f_frsize)
        })
    }
}

/// The load average of the last minute, in hundredths.
fn load_hundredths() -> Option<u32> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = load.split(' ').next()?.parse().ok()?;
    Some((load * 100.0) as u32)
}

/// What work for updates needs of a node.
fn bench(parts: &Parts) -> Bench {
    let surroundings = Surroundings::of_machine();
    surroundings.note(&parts.folder);
    Bench {
        folder: parts.folder.clone(),
        local: parts.local.clone(),
        directory: parts.directory.clone(),
        handover: parts.handover.clone(),
        authentication: parts.authentication.clone(),
        edge_check: parts.edge_check.clone(),
        is_edge: parts.config.has(Role::Edge),
        surroundings,
    }
}

#[async_trait]
impl NodeControl for Control {
    /// The folders that every account begins with are part of making it; a store that has some was made before.
    async fn create_account(&self, account: AccountId, epoch: Epoch) -> Result<(), StoreError> {
        let local = self.local()?;
        local.create(account, epoch).await?;
        if let Some(keeper) = &self.keeper {
            keeper.make(account);
        }
        let made = async {
            let handle = local.get(account).await?;
            if handle.containers().await?.is_empty() {
                let mut first = [first_containers::mutations(), first_containers::groupware()].concat();
                first.push(first_containers::subscriptions_container());
                let made = handle.commit(OperationId::random(), first).await?;
                if let Some(Outcome::Container { id, .. }) = made.outcomes.last() {
                    handle.commit(OperationId::random(), first_containers::subscriptions(*id)).await?;
                }
            }
            Ok::<(), AccountError>(())
        };
        made.await.map_err(|error| match error {
            AccountError::Store(error) => error,
            other => StoreError::Io(other.to_string()),
        })
    }

    async fn delete_account(&self, account: AccountId, epoch: Option<Epoch>) -> Result<(), AccountError> {
        let local = self.local()?;
        if let Some(handed_out) = epoch {
            let head = async { local.get(account).await?.head_of_copy().await };
            match head.await {
                Ok(head) if head.epoch > handed_out => {
                    tracing::error!(
                        %account, epoch = %head.epoch, %handed_out,
                        "a store is not deleted: its epoch is later than the directory knows; is the directory an old one?"
                    );
                    return Err(CommitError::WrongEpoch { current: head.epoch }.into());
                }
                Ok(_) => {}
                Err(AccountError::NoSuchAccount(_)) => return Ok(()),
                // What can't be read can't be compared, and may be all that is left of it.
                Err(error) => return Err(error),
            }
        }
        if let Some(keeper) = &self.keeper {
            keeper.forget(account);
        }
        failpoint::reached("store-deleting");
        local.delete(account).await?;
        failpoint::reached("store-deleted");
        Ok(())
    }

    async fn trace(&self, query: TraceQuery) -> Result<Vec<TracedMessage>, String> {
        let Some(trace) = &self.trace else { return Ok(Vec::new()) };
        trace.ask(query).await.map_err(|error| error.to_string())
    }

    async fn edge_report(&self) -> Result<EdgeReport, String> {
        match self.edge_check.get() {
            Some(check) => check.report().await,
            None => Ok(EdgeReport::default()),
        }
    }

    async fn sessions(&self, question: SessionsQuestion) -> Vec<OpenSession> {
        let mut found = self.sessions.of(question.account);
        if let Ending::One(number) = question.end {
            found.retain(|session| session.number == number);
        }
        found.truncate(SESSIONS_TOLD_MAX);
        match question.end {
            Ending::Nothing => {}
            Ending::One(number) => _ = self.sessions.end(question.account, |session| session.number == number),
            Ending::All => _ = self.sessions.end(question.account, |_| true),
        }
        found
    }

    async fn take_report(&self, by: NodeId, report: serde_json::Value) -> Result<(), String> {
        self.sudo.take(by, report).await
    }

    async fn answer(&self, question: serde_json::Value) -> Result<serde_json::Value, String> {
        self.answers.answer(question).await
    }

    async fn guard_changes(&self, since: GuardSince) -> Result<GuardChanges, String> {
        match self.edge_check.get() {
            Some(check) => Ok(check.guard.changes(since).await),
            None => Err("no mail comes in on this node, or not yet".to_owned()),
        }
    }

    async fn seen(&self, question: SeenQuestion) -> Result<SeenAnswer, String> {
        let reports = self.edge_check.get().and_then(|check| check.reports.clone());
        let reports = reports.ok_or("this node makes no reports, or not yet")?;
        reports.seen(question).await.map_err(|error| error.to_string())
    }

    async fn status(&self) -> NodeStatus {
        let stores = match &self.local {
            Some(local) => local.list().await.unwrap_or_default(),
            None => Vec::new(),
        };
        let (disk_free_bytes, disk_bytes) = self.disk();
        let installed = self.handover.installed().await;
        NodeStatus {
            node: self.node,
            version: sterna_base::version::own_text().to_owned(),
            release: RELEASE,
            store_format: sterna_engines::sqlite::FORMAT,
            roles: self.roles.clone(),
            now: self.clock.now(),
            disk_free_bytes,
            disk_bytes,
            accounts: stores.len() as u64,
            copies: self.copies(&stores).await,
            asides: self.asides().await,
            load_hundredths: load_hundredths().unwrap_or(0),
            directory_modseq: self.directory.watch().borrow().0,
            started_at: Some(self.started_at),
            main_address: self.nodes.main().and_then(|main| self.nodes.node(main)).map(|main| main.address),
            certificate_not_after: Some(self.identity.not_after()),
            client_certificate_not_after: self.served.get().and_then(|served| served.not_after()),
            client_certificate_modseq: self.served.get().map(|served| served.modseq()),
            dane_off: self.dane.get().and_then(|dane| dane.borrow().as_ref()?.1.clone().err()),
            waiting_for: self.keeper.as_ref().map(|keeper| keeper.awaited().waiting_for()).unwrap_or_default(),
            over_limits: self.edge_check.get().map(EdgeCheck::over_limits).unwrap_or_default(),
            filters_down: self.filters_down(),
            endpoints: self.endpoints.get().cloned().unwrap_or_default(),
            installed,
            version_failed: self.handover.record().failed().ok().flatten(),
            waiting_mail: migration::waiting_mail(
                self.answers.queue.get().map(|queue| queue.len()),
                self.config.has(Role::Edge),
            ),
            addresses: own_addresses(),
            firewall: self.firewall.read().clone(),
        }
    }

    async fn run_version(&self, wish: RunVersion) -> Result<(), String> {
        self.handover.ask(wish).await.map_err(|error| error.to_string())
    }

    async fn update_task(&self, task: NodeTask) -> Result<TaskReport, String> {
        Ok(self.desk.task(task))
    }

    async fn moved(&self, node: NodeId, address: String) -> Result<(), String> {
        if self.directory.is_main() {
            let patch = ServerPatch { address: Some(address.clone()), ..ServerPatch::default() };
            let set = self.directory.submit(Request::SetServer { id: node, expect: None, patch }).await;
            tracing::info!(%node, address, "a node has a new address");
            return set.map(drop).map_err(|error| error.to_string());
        }
        if self.nodes.main() != Some(node) {
            return Err("a node tells its address to the main node, which tells the others".to_owned());
        }
        self.nodes.main_moved(address).await.map_err(|error| error.to_string())
    }

    async fn signing_secret(&self, by: NodeId) -> Result<Vec<u8>, String> {
        if !self.directory.is_main() {
            return Err("this node doesn't own the directory".to_owned());
        }
        let server = self.directory.server(by).await.map_err(|error| error.to_string())?;
        if !server.is_some_and(|server| server.roles.edge || server.roles.main) {
            return Err("only edges sign".to_owned());
        }
        let folder = self.node_folder.clone();
        let made = tokio::task::spawn_blocking(move || signing::made(&folder)).await;
        let secret = made.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(secret.to_vec())
    }

    async fn offer(&self, by: NodeId) -> Result<Offer, String> {
        self.succeeded_by(by).await?;
        let (folder, config) = (self.node_folder.clone(), self.config.clone());
        let offered = tokio::task::spawn_blocking(move || files::offer(&folder, &config)).await;
        offered.map_err(|error| error.to_string())?.map_err(|error| format!("{error:#}"))
    }

    async fn offered(&self, by: NodeId, part: PartQuery) -> Result<Vec<u8>, String> {
        self.succeeded_by(by).await?;
        let folder = self.node_folder.clone();
        let read = tokio::task::spawn_blocking(move || files::part(&folder, &part)).await;
        read.map_err(|error| error.to_string())?.map_err(|error| format!("{error:#}"))
    }

    async fn fetch(&self, from: NodeId) -> Result<Fetched, String> {
        files::fetch(&self.node_folder, from, &self.others).await.map_err(|error| format!("{error:#}"))
    }

    async fn note_stage(&self, by: NodeId, report: StageReport) -> Result<(), StageRefused> {
        set_stage(&self.directory, by, report).await
    }

    async fn set_share(&self, share: NotedShare) -> Result<Modseq, ShareRefused> {
        let NotedShare { owner, grantee, shares } = share;
        match self.directory.set(owner, grantee, shares).await {
            Ok(()) => Ok(*self.directory.watch().borrow()),
            Err(SharesError::Unavailable(cause)) => Err(ShareRefused::Unavailable(cause)),
            Err(SharesError::Refused(cause)) => Err(ShareRefused::Invalid(cause)),
        }
    }
}

/// Takes down how far a standby copy is, on the main node.
pub(super) async fn set_stage(directory: &Directory, by: NodeId, report: StageReport) -> Result<(), StageRefused> {
    let stage = match report.stage {
        CopyStage::Seeding => StandbyStage::Seeding,
        CopyStage::Joining => StandbyStage::Joining,
        CopyStage::Awaited => StandbyStage::Awaited,
    };
    let StageReport { account, copy, epoch, version, .. } = report;
    let request = request::StageReport { account, copy, by, epoch, expect: Modseq(version), stage };
    match directory.submit(Request::SetStandbyStage(request)).await {
        Ok(_) => Ok(()),
        Err(error @ (RequestError::Storage(_) | RequestError::NotMain)) => {
            Err(StageRefused::Unavailable(error.to_string()))
        }
        Err(error) => Err(StageRefused::OutOfDate(error.to_string())),
    }
}

/// Writes joining nodes into the directory.
pub struct Gate {
    directory: Directory,
}

impl Gate {
    /// Of the main node's directory.
    pub fn new(directory: Directory) -> Self {
        Gate { directory }
    }

    fn request(node: &NewNode) -> Request {
        let has = |role: NodeRole| node.roles.contains(&role);
        let roles = Roles { main: has(NodeRole::Main), data: has(NodeRole::Data), edge: has(NodeRole::Edge) };
        let (id, name, address) = (node.id, node.name.clone(), node.address.clone());
        Request::PutServer { id, name, address, roles }
    }
}

fn refused(error: &RequestError) -> AdmitRefused {
    match error {
        RequestError::Taken { .. } => AdmitRefused::NameTaken,
        other => AdmitRefused::Other(other.to_string()),
    }
}

#[async_trait]
impl Admission for Gate {
    async fn check(&self, node: &NewNode) -> Result<(), AdmitRefused> {
        if let Some(replaces) = node.replaces {
            let read = move |reader: &Reader<'_>| {
                Ok::<_, StorageError>((reader.migration()?, reader.server(replaces)?.is_some()))
            };
            let (under_way, is_there) =
                self.directory.read(read).await.map_err(|error| AdmitRefused::Other(error.to_string()))?;
            if !is_there {
                return Err(AdmitRefused::Other("the machine whose place it is to take is gone".to_owned()));
            }
            if under_way.is_some_and(|found| !found.value.phase.is_over()) {
                let text = "another machine is taking a place in this installation already (sterna migrate status); \
                            finish that or give it up (sterna migrate abort), and use the same token again";
                return Err(AdmitRefused::Other(text.to_owned()));
            }
        }
        if node.roles.contains(&NodeRole::Main) {
            return Err(AdmitRefused::Other("an installation has one main node; join with data or edge".to_owned()));
        }
        let known = self.directory.server(node.id).await;
        if known.map_err(|error| AdmitRefused::Other(error.to_string()))?.is_some() {
            return Err(AdmitRefused::NodeKnown);
        }
        self.directory.try_out(Self::request(node)).await.map(drop).map_err(|error| refused(&error))
    }

    async fn admit(&self, node: &NewNode) -> Result<(), AdmitRefused> {
        self.directory.submit(Self::request(node)).await.map(drop).map_err(|error| refused(&error))?;
        let Some(from) = node.replaces else { return Ok(()) };
        let by = format!("the token of {}", node.name);
        let begun = self.directory.submit(Request::BeginMigration { from, to: node.id, by }).await;
        begun.map(drop).map_err(|error| refused(&error))
    }
}
