//! A running node: which parts it starts for its roles, and how they are tied together.

mod administration;
mod announced;
pub mod aside;
mod background;
pub mod certificate;
pub mod check;
mod client_certificates;
mod control;
pub(crate) mod cyrus;
mod detaching;
mod directory_log;
mod directory_moves;
mod directory_nodes;
pub(crate) mod discovery;
pub(crate) mod edge_check;
pub mod facts;
mod filtering;
mod guard_sharing;
pub mod init;
mod introspection;
mod learning;
mod listeners;
pub(crate) mod mail_tables;
pub(crate) mod migration;
pub mod notify;
mod orphans;
mod own_addresses;
pub mod owner;
mod process;
mod provision;
pub(crate) mod questions;
mod reports;
mod rounds;
mod sending;
pub(crate) mod served;
mod shares;
mod sign_out;
pub(crate) mod signing;
mod sudo;
mod user_api;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use sterna_account::local::LocalAccounts;
use sterna_account::retention;
use sterna_account::service::Accounts;
use sterna_base::{AccountId, Clock, SystemClock};
use sterna_cluster::ca::Authority;
use sterna_cluster::copies::{CopiesClient, CopySource, Keeper, LeaseDesk, Leases};
use sterna_cluster::join::{JoinDesk, TokenBook};
use sterna_cluster::moving::Driver;
use sterna_cluster::nodes::DirectoryCheck;
use sterna_cluster::{
    AccountsService, ClusterNode, ControlClient, DirectoryLog, Follower, Identity, Nodes, Peers, PlacedAccounts,
    Placements, Services, renew,
};
use sterna_directory::password::PasswordCost;
use sterna_directory::{Authentication, Directory, Mode, Reader};
use sterna_engines::sqlite::SqliteEngine;
use sterna_formats::discovery::Endpoint;
use sterna_mailflow::filter::Filters;
use sterna_mailflow::trace::{Trace, TraceStore};
use sterna_protocols::account_sessions::AccountSessions;
use sterna_protocols::listener::limits::SHUTDOWN_GRACE;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acme;
use crate::admin::Memory;
use crate::config::{Config, Role};
use crate::derived::Derived;
use crate::firewall;
use crate::graphs::Recorder;
use crate::pdf::reader::PdfReader;
use crate::setup;
use crate::setup::doors::Doors;
use crate::sources::logins::SourceLogins;
use crate::update::handover::Handover;
use crate::update::sockets::Sockets;
use crate::web::Web;
use background::Background;
use control::{Control, Gate};
use directory_log::{Copy, Log};
use directory_moves::DirectoryMoves;
use directory_nodes::{DirectoryNodes, DirectoryPlacements};
use discovery::Discovery;
use edge_check::EdgeCheck;
pub(crate) use introspection::client_config as trusted_roots;
use migration::driver::{MigrationDriver, SharedPulse};
use migration::standing;
pub use process::serve;
use rounds::Rounds;
use served::Served;
use sudo::SudoDesk;

/// How often expunged items are looked for whose time is over.
const RETENTION_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// How long the end of a node waits for its parts: sessions have [`SHUTDOWN_GRACE`], and what goes on longer is
/// dropped where it stands, because the stores must be closed before the service manager loses its patience.
const ENDING_WAIT_MAX: Duration = SHUTDOWN_GRACE.saturating_add(Duration::from_secs(10));

/// How long sessions may go on when another version takes over. Those that stand idle end at once; what is cut off in
/// the middle of a command was not acknowledged, and everybody else waits until it is over.
const HANDOVER_GRACE: Duration = Duration::from_millis(500);

/// Passwords hashed at the same time.
const HASHING_MAX: usize = 2;

/// Where a node keeps its accounts, in its folder.
pub fn accounts_folder(folder: &Path) -> PathBuf {
    folder.join("accounts")
}

/// Where a node keeps its directory, in its folder.
pub fn directory_file(folder: &Path) -> PathBuf {
    folder.join("directory.sqlite")
}

/// A running node.
struct Node {
    stop: CancellationToken,
    tasks: TaskTracker,
    cluster: ClusterNode,
    local: Option<Arc<LocalAccounts>>,
    /// Told when it is to start again.
    restart: Arc<Notify>,
}

/// How long expunged items are kept, from the directory's settings.
struct RetentionSettings(Directory);

#[async_trait::async_trait]
impl retention::Retention for RetentionSettings {
    async fn retention_ms(&self, account: AccountId) -> Option<i64> {
        let read = move |reader: &Reader<'_>| reader.retention_days(reader.domain_of(account)?.as_ref());
        let days = self.0.read(read).await;
        days.map(|days| i64::from(days) * DAY_MS).ok()
    }
}

/// What the parts of a node share.
struct Parts {
    config: Config,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    identity: Arc<Identity>,
    directory: Directory,
    nodes: Arc<DirectoryNodes>,
    placements: Arc<DirectoryPlacements>,
    peers: Arc<Peers>,
    local: Option<Arc<LocalAccounts>>,
    keeper: Option<Arc<Keeper>>,
    moves: Arc<DirectoryMoves>,
    leases: Arc<LeaseDesk>,
    accounts: Arc<PlacedAccounts>,
    authentication: Arc<Authentication>,
    memory: Arc<Memory>,
    /// What is remembered of mail, and who writes it down; edges only.
    trace: Option<(TraceStore, Trace)>,
    /// What looks at this edge's mail, once it is there.
    edge_check: Arc<OnceLock<EdgeCheck>>,
    /// Who works as somebody else.
    sudo: Arc<SudoDesk>,
    /// Who is logged in on this edge.
    sessions: Arc<AccountSessions>,
    /// Where this edge listens, once it does.
    endpoints: Arc<OnceLock<Vec<Endpoint>>>,
    /// Where the services of the installation are.
    discovery: Arc<Discovery>,
    /// The content filters, once they are there; edges only.
    filters: Arc<OnceLock<Arc<Filters>>>,
    /// The certificates that are shown to clients, once there are listeners.
    served: Arc<OnceLock<Arc<Served>>>,
    /// What listens, as far as the setup wants to know.
    doors: Arc<Doors>,
    /// The sockets that it listens on, for the program that comes after this one.
    sockets: Arc<Sockets>,
    /// Where another version is asked for.
    handover: Arc<Handover>,
    /// How the ports between the machines are guarded.
    firewall: firewall::Standing,
    /// What the driver of a migration did last; on the main node.
    migration: SharedPulse,
    /// Ends what only the main node does, when it is it no longer.
    main_work: CancellationToken,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    async fn start(folder: &Path, config: Config, sockets: Arc<Sockets>, handover: Arc<Handover>) -> Result<Self> {
        let parts = Parts::open(folder, config, sockets, handover).await?;
        let desk = parts.desk()?;
        let control = Arc::new(Control::new(&parts));
        let services = Services {
            nodes: parts.nodes.clone(),
            accounts: parts.accounts_service(),
            source: parts.copy_source(),
            copies: parts.keeper.clone(),
            leases: Some(parts.leases.clone()),
            control: Some(control.clone()),
            directory: parts.directory_log(),
            joining: desk.clone(),
        };
        let listen = parts.config.cluster.listen;
        let unusable = || format!("the address for other nodes ({listen}) can't be used");
        let socket = parts.sockets.bind(listen).await.with_context(unusable)?;
        let bound = ClusterNode::on(socket, parts.identity.clone(), services, parts.clock.clone());
        let cluster = bound.with_context(unusable)?;
        parts.announce().await?;
        // Whether or not it sends mail itself: other edges do.
        sending::make_srs_key(&parts.directory).await;
        parts.follow();
        learning::start(&parts).await?;
        parts.guard(desk.clone());
        parts.keep_house(desk.clone(), control.clone())?;
        parts.move_accounts();
        let sending = if parts.config.has(Role::Edge) { Some(sending::start(&parts).await?) } else { None };
        if let Some(dane) = sending.as_ref().and_then(|sending| sending.dane.as_ref()) {
            control.tell_dane(dane.ability());
        }
        if let Some(sending) = &sending {
            control.tell_mail(sending.queue.clone(), sending.guard.clone());
        }
        let queue = sending.as_ref().map(|sending| sending.queue.clone());
        parts.measure(&control);
        let dane = sending.as_ref().and_then(|sending| sending.dane.as_ref()).map(|dane| dane.ability());
        let state = parts.admin_state(desk, control.clone(), queue, dane.clone())?;
        parts.write_in_the_morning(&state);
        let restart = Arc::<Notify>::default();
        let setup = parts.setup(dane, restart.clone()).await?;
        let watched = standing::Watched::of(&parts);
        parts.tasks.spawn(standing::watch(watched, restart.clone(), parts.stop.clone()));
        parts.serve_admin(state.clone(), setup.clone()).await?;
        if parts.config.has(Role::Edge) || parts.directory.is_main() {
            let _ = parts.served.set(Served::start(&parts).await?);
        }
        if parts.directory.is_main() {
            parts.tasks.spawn(acme::run(parts.acme_tools()?, parts.stop.clone()));
        }
        let vitals = state.vitals.clone();
        let pages = Web::new(state, setup.clone());
        match sending {
            Some(sending) => listeners::start(&parts, sending, pages).await?,
            None if parts.directory.is_main() => listeners::start_pages(&parts, pages).await?,
            None => {}
        }
        if let Some(setup) = setup.filter(|setup| setup.is_open()) {
            setup::announce(&setup, &parts.config, &parts.folder, &parts.doors).await;
        }
        parts.migrate(control);
        vitals.iter().for_each(|vitals| vitals.serve());
        tracing::info!(name = parts.config.name, id = %parts.identity.node(), "the node serves");
        Ok(Node { stop: parts.stop, tasks: parts.tasks, cluster, local: parts.local, restart })
    }

    /// Lets sessions say good-bye, then closes the stores.
    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(ENDING_WAIT_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "some work did not end in time and is left where it stands");
        }
        self.cluster.shutdown().await;
        if let Some(local) = self.local {
            local.close().await;
        }
    }

    /// Lets sessions say good-bye and closes the stores, quickly: whoever connects now waits for the next program.
    async fn make_way(self) {
        self.stop.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(HANDOVER_GRACE, async {
            tokio::join!(self.tasks.wait(), self.cluster.shutdown());
        });
        if ended.await.is_err() {
            tracing::info!(tasks = self.tasks.len(), "what did not end in time is cut off");
        }
        if let Some(local) = self.local {
            local.close().await;
        }
    }
}

impl Parts {
    async fn open(folder: &Path, config: Config, sockets: Arc<Sockets>, handover: Arc<Handover>) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let identity = Arc::new(Identity::load(folder).context("this node's identity can't be read")?);
        let main = config.has(Role::Main);
        let mode = if main { Mode::Main(identity.facts().installation) } else { Mode::Copy };
        let path = directory_file(folder);
        let directory = Directory::open(&path, mode, clock.clone());
        let directory = directory.with_context(|| format!("the directory {} can't be opened", path.display()))?;
        let waits = main && sterna_web::setup::waits(folder).context("setup.toml can't be read")?;
        let doors = Doors::new(waits);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let nodes =
            DirectoryNodes::start(directory.clone(), &identity, config.cluster.main.clone(), &stop, &tasks).await?;
        let placements = DirectoryPlacements::start(directory.clone(), &stop, &tasks);
        let peers = Peers::new(identity.clone(), nodes.clone() as Arc<dyn Nodes>, clock.clone());
        let engine = SqliteEngine::new(accounts_folder(folder));
        let local = config.has(Role::Data).then(|| Arc::new(LocalAccounts::new(Arc::new(engine), clock.clone())));
        if let Some(local) = &local {
            local.read_documents_with(Arc::new(PdfReader::new()));
        }
        let moves = DirectoryMoves::start(directory.clone(), nodes.clone(), peers.clone(), &stop, &tasks);
        let moves = Arc::new(moves);
        let leases = LeaseDesk::new(moves.clone());
        let keep = |local| {
            let held = Leases::new(peers.clone(), config.cluster.serve_alone);
            Keeper::new(local, peers.clone(), moves.clone(), leases.clone(), held, clock.clone())
        };
        let keeper = local.clone().map(keep);
        let local_accounts = keeper.clone().map(|keeper| keeper as Arc<dyn Accounts>);
        let accounts = PlacedAccounts::new(peers.clone(), placements.clone(), local_accounts);
        let desk_of_sudo = SudoDesk::new(directory.clone(), nodes.clone(), ControlClient::new(peers.clone()));
        let sudo = Arc::new(desk_of_sudo);
        let authentication = Authentication::new(directory.clone(), PasswordCost::DEFAULT, HASHING_MAX)?
            .with_introspection(Arc::new(introspection::IntrospectionClient::new(clock.clone())))
            .with_sources(Arc::new(SourceLogins::default()))
            .with_sudo(sudo.clone());
        let trace = match config.has(Role::Edge) {
            true => Some(TraceStore::open(&folder.join("trace"), clock.clone()).context("the trace of mail")?),
            false => None,
        };
        let endpoints = Arc::<OnceLock<Vec<Endpoint>>>::default();
        let others = ControlClient::new(peers.clone());
        let discovery = Discovery::new(directory.clone(), identity.node(), endpoints.clone(), others, clock.clone());
        Ok(Parts {
            config,
            folder: folder.to_owned(),
            clock,
            identity,
            directory,
            nodes,
            placements,
            peers,
            local,
            keeper,
            moves,
            leases,
            accounts,
            authentication: Arc::new(authentication),
            memory: Arc::default(),
            trace,
            edge_check: Arc::default(),
            sudo,
            sessions: Arc::default(),
            filters: Arc::default(),
            served: Arc::default(),
            doors,
            sockets,
            handover,
            endpoints,
            discovery: Arc::new(discovery),
            firewall: firewall::Standing::default(),
            migration: SharedPulse::default(),
            main_work: stop.child_token(),
            stop,
            tasks,
        })
    }

    /// Where it is written down what becomes of mail.
    fn trace(&self) -> Trace {
        self.trace.as_ref().map_or_else(Trace::none, |(_, trace)| trace.clone())
    }

    /// On data servers: the accounts for the other nodes.
    fn accounts_service(&self) -> Option<Arc<AccountsService>> {
        let (local, keeper) = (self.local.clone()?, self.keeper.clone()?);
        let placements: Arc<dyn Placements> = self.placements.clone();
        let check = DirectoryCheck::new(placements, self.identity.node());
        Some(AccountsService::kept(local, check, keeper))
    }

    /// On data servers: the accounts for those who hold copies of them.
    fn copy_source(&self) -> Option<Arc<CopySource>> {
        let (local, keeper) = (self.local.clone()?, self.keeper.clone()?);
        let (throttle, awaited) = (keeper.throttle(), keeper.awaited().clone());
        Some(Arc::new(CopySource::new(local, self.moves.clone(), throttle, awaited)))
    }

    /// On data servers: copies of accounts. On the main node: the moves.
    fn move_accounts(&self) {
        if let Some(keeper) = self.keeper.clone() {
            let limits = directory_moves::keep_limit(self.directory.clone(), keeper.throttle(), self.stop.clone());
            self.tasks.spawn(limits);
            self.tasks.spawn(keeper.run(self.stop.clone()));
        }
        if self.directory.is_main() {
            let copies = CopiesClient::new(self.peers.clone(), self.keeper.clone());
            let driver = Driver::new(self.moves.clone(), copies, self.clock.clone());
            self.tasks.spawn(driver.run(self.main_work.clone()));
        }
    }

    /// On the main node: the migration. It may hand the role over at its first look, and so begins when all that a main
    /// node is made of is there: what is composed after that would be neither the one nor the other.
    fn migrate(&self, control: Arc<Control>) {
        if self.directory.is_main() {
            let migration = MigrationDriver::new(self, control);
            self.tasks.spawn(migration.run(self.main_work.clone()));
        }
    }

    /// On the main node: what the others follow. On a data server: the same, for those who can't reach the main node.
    fn directory_log(&self) -> Option<Arc<dyn DirectoryLog>> {
        let is_asked = self.directory.is_main() || self.config.has(Role::Data);
        is_asked.then(|| Log::new(self.directory.clone(), &self.stop, &self.tasks) as _)
    }

    /// On the main node: who lets others in.
    fn desk(&self) -> Result<Option<Arc<JoinDesk>>> {
        if !self.directory.is_main() {
            return Ok(None);
        }
        let authority = Authority::load(&self.folder, self.identity.facts().installation)?;
        let book = TokenBook::open(&self.folder, self.clock.clone())?;
        let (gate, clock) = (Arc::new(Gate::new(self.directory.clone())), self.clock.clone());
        Ok(Some(JoinDesk::new(authority, self.identity.node(), book, gate, clock, sterna_base::version::own_text())))
    }

    /// The main node writes itself into its directory; its address may have changed in the configuration.
    async fn announce(&self) -> Result<()> {
        if self.directory.is_main() {
            init::announce(&self.folder, &self.directory, self.identity.node(), &self.config).await?;
            self.nodes.reload().await?;
        }
        Ok(())
    }

    /// The others follow the main node's directory.
    fn follow(&self) {
        if self.directory.is_main() {
            return;
        }
        let copy = Arc::new(Copy::new(self.directory.clone()));
        let follower = Follower::new(self.peers.clone(), copy, self.clock.clone());
        self.tasks.spawn(follower.run(self.stop.clone()));
    }

    /// Who reaches the ports between the machines.
    fn guard(&self, desk: Option<Arc<JoinDesk>>) {
        let (directory, clock) = (self.directory.clone(), self.clock.clone());
        let keeper = firewall::Keeper::new(directory, clock, (&self.folder, &self.config), desk, self.firewall.clone());
        self.tasks.spawn(keeper.run(self.stop.clone()));
    }

    /// Numbers for graphs, once a minute.
    fn measure(&self, control: &Arc<Control>) {
        let (control, trace) = (control.clone(), self.trace());
        let recorder = Recorder::new(control.graphs(), self.clock.clone());
        self.tasks.spawn(recorder.run(move || control.reading(&trace), self.stop.clone()));
    }

    /// Work that goes on by itself: certificates, and what was expunged long ago.
    fn keep_house(&self, desk: Option<Arc<JoinDesk>>, control: Arc<Control>) -> Result<()> {
        match desk {
            None => {
                let renewing = renew::keep_renewed(self.peers.clone(), self.clock.clone(), self.stop.clone());
                self.tasks.spawn(renewing);
            }
            Some(desk) => {
                self.tasks.spawn(rounds::renew_own(desk, self.identity.clone(), self.stop.clone()));
            }
        }
        if let Some(local) = self.local.clone() {
            let (accounts, directory) = (self.accounts.clone(), self.directory.clone());
            let derived = Derived::new(local, accounts, directory, self.clock.clone());
            self.tasks.spawn(derived.run(self.stop.clone()));
        }
        let rounds = Rounds::new(self, control);
        self.tasks.spawn(rounds.run(self.stop.clone()));
        if let Some(local) = self.local.clone() {
            let (feeding, stop) = (local.clone(), self.stop.clone());
            let background = Background::start().context("no threads for the search indexes")?;
            self.tasks.spawn(async move {
                tokio::select! {
                    () = feeding.feed_indexes(background.handle()) => {}
                    () = stop.cancelled() => {}
                }
            });
            let (clock, stop) = (self.clock.clone(), self.stop.clone());
            let settings = RetentionSettings(self.directory.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    () = retention::run(&local, &settings, clock.as_ref(), RETENTION_INTERVAL) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        Ok(())
    }
}
