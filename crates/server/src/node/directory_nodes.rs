//! What the cluster asks the directory: nodes from memory, placements from this node's copy.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use sterna_account::AccountError;
use sterna_base::{AccountId, NodeId};
use sterna_cluster::{Identity, NodeEntry, Nodes, Placement, Placements};
use sterna_directory::{Directory, Reader, StorageError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The nodes of the installation, kept in memory and read again when the directory changes.
pub struct DirectoryNodes {
    directory: Directory,
    known: RwLock<HashMap<NodeId, NodeEntry>>,
    /// The main node: the one that the directory names, once the role was handed over.
    main: RwLock<NodeId>,
    /// Where the main node was when this one joined: all that a node knows before it has a directory.
    first: NodeEntry,
    /// Where that main node says it is, or the configuration, before the directory says so.
    told: RwLock<Option<(NodeId, String)>>,
}

impl DirectoryNodes {
    /// Reads them, and keeps them fresh.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub async fn start(
        directory: Directory,
        identity: &Identity,
        main_address: Option<String>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>, StorageError> {
        let facts = identity.facts();
        let (id, address) = (facts.main, facts.main_address.clone());
        let first = NodeEntry { id, name: "main".to_owned(), address, is_data: false, is_edge: false };
        let nodes = DirectoryNodes {
            directory: directory.clone(),
            known: RwLock::default(),
            main: RwLock::new(facts.main),
            first,
            told: RwLock::new(main_address.map(|address| (facts.main, address))),
        };
        let nodes = Arc::new(nodes);
        nodes.reload().await?;
        let (refreshed, stop, mut changed) = (nodes.clone(), stop.clone(), directory.watch());
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    change = changed.changed() => if change.is_err() { return },
                }
                if let Err(error) = refreshed.reload().await {
                    tracing::warn!(%error, "the servers could not be read from the directory");
                }
            }
        });
        Ok(nodes)
    }

    /// Reads the servers again.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub async fn reload(&self) -> Result<(), StorageError> {
        let read = |reader: &Reader<'_>| Ok::<_, StorageError>((reader.servers()?, reader.main_node()?));
        let (servers, main) = self.directory.read(read).await?;
        let servers = servers.into_iter().map(|found| found.value);
        let entry = |server: sterna_directory::Server| {
            let (id, is_data, is_edge) = (server.id, server.roles.data, server.roles.edge);
            (id, NodeEntry { id, name: server.name, address: server.address, is_data, is_edge })
        };
        let mut known: HashMap<_, _> = servers.map(entry).collect();
        // Who was the main node once, and was let go, is nobody.
        if main.is_none() {
            known.entry(self.first.id).or_insert_with(|| self.first.clone());
        }
        if let Some((told_of, address)) = &*self.told.read()
            && let Some(entry) = known.get_mut(told_of)
        {
            entry.address.clone_from(address);
        }
        *self.known.write() = known;
        if let Some(main) = main {
            *self.main.write() = main.value.server;
        }
        Ok(())
    }
}

impl DirectoryNodes {
    /// The main node says that it is elsewhere now.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub async fn main_moved(&self, address: String) -> Result<(), StorageError> {
        tracing::info!(address, "the main node has a new address");
        let main = *self.main.read();
        *self.told.write() = Some((main, address));
        self.reload().await
    }
}

impl Nodes for DirectoryNodes {
    fn node(&self, id: NodeId) -> Option<NodeEntry> {
        self.known.read().get(&id).cloned()
    }

    fn main(&self) -> Option<NodeId> {
        Some(*self.main.read())
    }

    fn data_nodes(&self) -> Vec<NodeId> {
        let known = self.known.read();
        let mut nodes: Vec<_> = known.values().filter(|entry| entry.is_data).map(|entry| entry.id).collect();
        nodes.sort_unstable();
        nodes
    }
}

/// Placements from this node's copy of the directory.
pub struct DirectoryPlacements {
    directory: Directory,
    changed: watch::Receiver<u64>,
}

impl DirectoryPlacements {
    /// Over this copy.
    pub fn start(directory: Directory, stop: &CancellationToken, tasks: &TaskTracker) -> Arc<Self> {
        let changed = numbers(&directory, stop, tasks);
        Arc::new(DirectoryPlacements { directory, changed })
    }
}

/// The directory's modseq as a plain number, as the cluster knows it.
pub fn numbers(directory: &Directory, stop: &CancellationToken, tasks: &TaskTracker) -> watch::Receiver<u64> {
    let mut modseq = directory.watch();
    let (sender, receiver) = watch::channel(modseq.borrow().0);
    let stop = stop.clone();
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                change = modseq.changed() => if change.is_err() { return },
            }
            sender.send_replace(modseq.borrow_and_update().0);
        }
    });
    receiver
}

#[async_trait]
impl Placements for DirectoryPlacements {
    async fn placement(&self, account: AccountId) -> Result<Option<Placement>, AccountError> {
        let found = self.directory.placement(account).await;
        let found = found.map_err(|error| AccountError::Unavailable(format!("the directory: {error}")))?;
        Ok(found.map(|found| Placement { node: found.server, epoch: found.epoch }))
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}
