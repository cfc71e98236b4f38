//! An installation in one process: a fake directory, real certificates, real sockets, real stores.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::local::LocalAccounts;
use sterna_account::{Account, AccountError, StoreError, first_containers};
use sterna_base::{AccountId, Epoch, ManualClock, NodeId, OperationId, Timestamp};
use sterna_cluster::join::{Admission, AdmitRefused, JoinDesk, JoinError, JoinOptions, Joined, NewNode, TokenBook};
use sterna_cluster::nodes::DirectoryCheck;
use sterna_cluster::*;
use sterna_engines::sqlite::SqliteEngine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub const ANYWHERE: &str = "127.0.0.1:0";
pub const INBOX: sterna_base::ContainerId = sterna_base::ContainerId(1);

/// The directory of the tests.
#[derive(Default)]
pub struct World {
    pub nodes: Mutex<HashMap<NodeId, NodeEntry>>,
    pub placements: Mutex<HashMap<AccountId, Placement>>,
    pub changed: watch::Sender<u64>,
}

impl World {
    pub fn place(&self, account: AccountId, node: NodeId, epoch: u64) {
        self.placements.lock().insert(account, Placement { node, epoch: Epoch(epoch) });
        self.changed.send_modify(|n| *n += 1);
    }

    pub fn set_address(&self, node: NodeId, name: &str, address: impl ToString) {
        let entry =
            NodeEntry { id: node, name: name.to_owned(), address: address.to_string(), is_data: true, is_edge: true };
        self.nodes.lock().insert(node, entry);
    }
}

impl Nodes for World {
    fn node(&self, id: NodeId) -> Option<NodeEntry> {
        self.nodes.lock().get(&id).cloned()
    }

    fn main(&self) -> Option<NodeId> {
        None
    }

    fn data_nodes(&self) -> Vec<NodeId> {
        let nodes = self.nodes.lock();
        nodes.values().filter(|entry| entry.is_data).map(|entry| entry.id).collect()
    }
}

#[async_trait]
impl Placements for World {
    async fn placement(&self, account: AccountId) -> Result<Option<Placement>, AccountError> {
        Ok(self.placements.lock().get(&account).copied())
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[async_trait]
impl Admission for World {
    async fn check(&self, node: &NewNode) -> Result<(), AdmitRefused> {
        let nodes = self.nodes.lock();
        if nodes.contains_key(&node.id) {
            return Err(AdmitRefused::NodeKnown);
        }
        let taken = nodes.values().any(|other| other.name == node.name);
        if taken { Err(AdmitRefused::NameTaken) } else { Ok(()) }
    }

    async fn admit(&self, node: &NewNode) -> Result<(), AdmitRefused> {
        self.set_address(node.id, &node.name, &node.address);
        Ok(())
    }
}

/// What the main node may ask of a test node.
pub struct Control {
    pub local: Arc<LocalAccounts>,
    pub node: NodeId,
}

#[async_trait]
impl NodeControl for Control {
    async fn create_account(&self, account: AccountId, epoch: Epoch) -> Result<(), StoreError> {
        self.local.create(account, epoch).await
    }

    async fn delete_account(&self, account: AccountId, _epoch: Option<Epoch>) -> Result<(), AccountError> {
        Ok(self.local.delete(account).await?)
    }

    async fn status(&self) -> NodeStatus {
        NodeStatus {
            node: self.node,
            version: "0.1.0".into(),
            release: 1,
            roles: [NodeRole::Data].into(),
            now: Timestamp(0),
            disk_free_bytes: 1,
            disk_bytes: 2,
            accounts: self.local.list().await.map_or(0, |list| list.len() as u64),
            store_format: 0,
            copies: Default::default(),
            asides: None,
            dane_off: None,
            load_hundredths: 0,
            directory_modseq: 0,
            started_at: None,
            main_address: None,
            certificate_not_after: None,
            client_certificate_not_after: None,
            client_certificate_modseq: None,
            waiting_for: Vec::new(),
            over_limits: Vec::new(),
            filters_down: Vec::new(),
            endpoints: Vec::new(),
            installed: Vec::new(),
            version_failed: None,
            waiting_mail: Some(0),
            addresses: Vec::new(),
            firewall: Default::default(),
        }
    }

    async fn moved(&self, _node: NodeId, _address: String) -> Result<(), String> {
        Ok(())
    }
}

pub struct TestNode {
    pub folder: tempfile::TempDir,
    pub identity: Arc<Identity>,
    pub peers: Arc<Peers>,
    pub local: Arc<LocalAccounts>,
    pub listener: Option<ClusterNode>,
    pub address: SocketAddr,
}

impl TestNode {
    pub fn id(&self) -> NodeId {
        self.identity.node()
    }

    /// The account as sessions on this node see it.
    pub async fn open(&self, world: &Arc<World>, account: AccountId) -> Arc<dyn Account> {
        use sterna_account::service::Accounts;
        let placed = PlacedAccounts::new(self.peers.clone(), world.clone(), Some(self.local.clone()));
        placed.open(account).await.unwrap()
    }
}

pub struct Installation {
    pub world: Arc<World>,
    pub clock: ManualClock,
    pub main: TestNode,
    pub desk: Arc<JoinDesk>,
}

pub fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_seconds(1_800_000_000))
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

async fn start(
    world: &Arc<World>,
    clock: &ManualClock,
    folder: tempfile::TempDir,
    identity: Identity,
    joining: Option<Arc<JoinDesk>>,
    directory: Option<Arc<dyn DirectoryLog>>,
) -> TestNode {
    let identity = Arc::new(identity);
    let node = identity.node();
    let peers = Peers::new(identity.clone(), world.clone(), Arc::new(clock.clone()));
    let engine = Arc::new(SqliteEngine::new(folder.path().join("accounts")));
    let local = Arc::new(LocalAccounts::new(engine, Arc::new(clock.clone())));
    let check = DirectoryCheck::new(world.clone(), node);
    let services = Services {
        source: None,
        copies: None,
        leases: None,
        nodes: world.clone(),
        accounts: Some(AccountsService::new(local.clone(), check)),
        control: Some(Arc::new(Control { local: local.clone(), node })),
        directory,
        joining,
    };
    let any = ANYWHERE.parse().unwrap();
    let listener = ClusterNode::bind(any, identity.clone(), services, Arc::new(clock.clone())).await.unwrap();
    let address = listener.address();
    TestNode { folder, identity, peers, local, listener: Some(listener), address }
}

impl Installation {
    pub async fn new() -> Self {
        Installation::with_log(None).await
    }

    pub async fn with_log(directory: Option<Arc<dyn DirectoryLog>>) -> Self {
        let (world, clock, folder) = (Arc::new(World::default()), clock(), folder());
        let (identity, authority) = Identity::init_main(folder.path(), "127.0.0.1:1", &clock).unwrap();
        let book = TokenBook::open(folder.path(), Arc::new(clock.clone())).unwrap();
        let desk = JoinDesk::new(authority, identity.node(), book, world.clone(), Arc::new(clock.clone()), "0.1.0");
        let main = start(&world, &clock, folder, identity, Some(desk.clone()), directory).await;
        world.set_address(main.id(), "main", main.address);
        Installation { world, clock, main, desk }
    }

    /// The main node ends and starts again on the same data, at another port.
    pub async fn restart_main(&mut self) {
        if let Some(listener) = self.main.listener.take() {
            listener.shutdown().await;
        }
        let path = self.main.folder.path().to_owned();
        let folder = std::mem::replace(&mut self.main.folder, folder());
        let identity = Identity::load(&path).unwrap();
        let authority = sterna_cluster::ca::Authority::load(&path, identity.name().installation).unwrap();
        let clock = Arc::new(self.clock.clone());
        let book = TokenBook::open(&path, clock.clone()).unwrap();
        self.desk = JoinDesk::new(authority, identity.node(), book, self.world.clone(), clock, "0.1.0");
        self.main = start(&self.world, &self.clock, folder, identity, Some(self.desk.clone()), None).await;
        self.world.set_address(self.main.id(), "main", self.main.address);
    }

    pub async fn token(&self) -> join::JoinToken {
        let roles = [NodeRole::Data].into();
        let grant = join::TokenGrant { name: None, roles, lifetime_ms: limits::TOKEN_LIFETIME_MS, replaces: None };
        self.desk.issue_token(grant).await.unwrap().0
    }

    pub fn options(&self, token: join::JoinToken, name: &str) -> JoinOptions {
        JoinOptions {
            main_address: self.main.address.to_string(),
            token,
            name: name.to_owned(),
            roles: [NodeRole::Data].into(),
            address: "127.0.0.1:9".to_owned(),
            listen: None,
            version: "0.1.0".to_owned(),
            migrates: false,
        }
    }

    pub async fn try_join(&self, folder: PathBuf, options: &JoinOptions) -> Result<Joined, JoinError> {
        join::join(&folder, options, Arc::new(self.clock.clone())).await
    }

    /// A data node that joined with a token of its own.
    pub async fn add_node(&self, name: &str) -> TestNode {
        self.add_node_with_log(name, None).await
    }

    /// The same, with a copy of the directory that others may ask for.
    pub async fn add_node_with_log(&self, name: &str, directory: Option<Arc<dyn DirectoryLog>>) -> TestNode {
        let folder = folder();
        let options = self.options(self.token().await, name);
        let joined = self.try_join(folder.path().to_owned(), &options).await.unwrap();
        let node = start(&self.world, &self.clock, folder, joined.identity, None, directory).await;
        self.world.set_address(node.id(), name, node.address);
        node
    }

    /// An account with its first folders on a node.
    pub async fn add_account(&self, account: AccountId, node: &TestNode) {
        node.local.create(account, Epoch(1)).await.unwrap();
        let handle = node.local.get(account).await.unwrap();
        handle.commit(OperationId::random(), first_containers::mutations()).await.unwrap();
        self.world.place(account, node.id(), 1);
    }
}

const PASS: u8 = 0;
const SWALLOW: u8 = 1;
const FREEZE: u8 = 2;

/// A wire between nodes that can be cut, frozen, or made to lose answers.
pub struct Wire {
    pub address: SocketAddr,
    mode: Arc<AtomicU8>,
    cut: watch::Sender<u64>,
}

impl Wire {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, cut) = (Arc::new(AtomicU8::new(PASS)), watch::Sender::new(0));
        let (shared_mode, shared_cut) = (mode.clone(), cut.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (mode, mut cut) = (shared_mode.clone(), shared_cut.subscribe());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    let (up, down) = (cut.clone(), cut.clone());
                    tokio::select! {
                        _ = cut.changed() => {}
                        () = pump(near_read, far_write, mode.clone(), &[FREEZE], up) => {}
                        () = pump(far_read, near_write, mode.clone(), &[FREEZE, SWALLOW], down) => {}
                    }
                });
            }
        });
        Wire { address, mode, cut }
    }

    /// Requests still arrive; answers don't come back.
    pub fn swallow_answers(&self) {
        self.mode.store(SWALLOW, Ordering::SeqCst);
    }

    /// Nothing comes through, nothing is closed: a dead machine.
    pub fn freeze(&self) {
        self.mode.store(FREEZE, Ordering::SeqCst);
    }

    /// Cuts all connections; new ones work.
    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
        self.mode.store(PASS, Ordering::SeqCst);
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mode: Arc<AtomicU8>,
    silent: &[u8],
    cut: watch::Receiver<u64>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else { return };
        if !matches!(cut.has_changed(), Ok(false)) {
            return;
        }
        match mode.load(Ordering::SeqCst) {
            FREEZE => std::future::pending().await,
            mode if silent.contains(&mode) => {}
            _ => {
                if to.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}
