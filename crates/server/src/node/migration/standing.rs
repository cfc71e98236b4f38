//! What a node is: the directory's word, not its configuration's. So a machine whose place was taken doesn't act as the
//! main node again because somebody switched it on with its old address.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sterna_base::{NodeId, failpoint};
use sterna_cluster::{Follower, Identity};
use sterna_directory::{Core, MainNode, Migration, MigrationPhase, Reader, StorageError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::directory_log::Copy;
use super::super::{Parts, directory_file};
use super::files;
use crate::config::{Config, Role};

/// Brings the configuration, not its file, to what the directory says of this node, and puts in its place what it
/// fetched to become the main one. Blocking.
///
/// # Errors
/// When this machine's place was taken for good, or a file can't be read or written.
pub fn settle(folder: &Path, mut config: Config) -> Result<Config> {
    let path = directory_file(folder);
    if !path.exists() || !Identity::exists(folder) {
        return Ok(config);
    }
    let node = Identity::load(folder).context("this node's identity can't be read")?.node();
    let standing = Core::take_over(&path, node).with_context(|| path.display().to_string())?;
    if let Some(left) = standing.migration.filter(|row| row.phase == MigrationPhase::Done && row.from == node) {
        let since = crate::admin::time(left.changed_at);
        bail!(
            "another machine ({}) took this one's place on {since}; nothing is served here any more. To use this \
             machine for something else, delete {}",
            left.to,
            folder.display()
        );
    }
    match standing.is_main {
        None => {}
        Some(true) => {
            if files::install(folder).context("what the former main node had can't be put in place")? {
                tracing::info!("this node is the main node from now on, and has what the former one had");
            }
            config.roles.insert(Role::Main);
        }
        Some(false) if config.roles.remove(&Role::Main) => {
            tracing::warn!("another node is the main node now; this one goes on with its other roles");
        }
        Some(false) => {}
    }
    files::inherit(folder, &mut config)?;
    Ok(config)
}

/// What the directory says that concerns this node.
struct Word {
    main: Option<(MainNode, bool)>,
    migration: Option<Migration>,
}

fn word(reader: &Reader<'_>) -> Result<Word, StorageError> {
    let head = reader.head()?;
    let main = reader.main_node()?.map(|found| (found.value, head.modseq >= found.modseq));
    Ok(Word { main, migration: reader.migration()?.map(|found| found.value) })
}

/// Looks at the directory until `stop`: a main node that hands its role over goes on as what else it is, without a
/// pause for its users; one that becomes the main node starts again as such; one that was let go ends.
pub async fn watch(watched: Watched, restart: Arc<Notify>, stop: CancellationToken) {
    let mut changed = watched.directory.watch();
    let mut is_main = watched.was_main;
    loop {
        changed.mark_unchanged();
        match watched.directory.read(word).await {
            Ok(word) => {
                if is_main && !watched.directory.is_main() {
                    is_main = false;
                    // Not where it is handed over: that work ends with the role.
                    failpoint::reached("migration-handed-over");
                    tracing::warn!("another node is the main node from now on; this one follows it");
                    watched.main_work.cancel();
                    watched.follow(&stop);
                }
                if !is_main && word.main.is_some_and(|(main, all)| main.server == watched.node && all) {
                    tracing::info!("this node becomes the main node");
                    restart.notify_one();
                    return;
                }
                let is_left = |row: &Migration| row.phase == MigrationPhase::Done && row.from == watched.node;
                if word.migration.as_ref().is_some_and(is_left) {
                    // The main node sees by the next question that this one has heard.
                    let told = tokio::time::sleep(super::driver::FAREWELL_HEARD);
                    tokio::select! { () = told => {}, () = stop.cancelled() => return }
                    tracing::warn!("another machine took this one's place; it ends");
                    restart.notify_one();
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "what this node is could not be read from the directory"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            ended = changed.changed() => if ended.is_err() { return },
        }
    }
}

/// What [`watch`] works with.
pub struct Watched {
    directory: sterna_directory::Directory,
    node: NodeId,
    /// Whether it was composed as the main node: it may hand that over before this task runs for the first time.
    was_main: bool,
    main_work: CancellationToken,
    peers: Arc<sterna_cluster::Peers>,
    nodes: Arc<super::super::directory_nodes::DirectoryNodes>,
    clock: Arc<dyn sterna_base::Clock>,
    tasks: tokio_util::task::TaskTracker,
}

impl Watched {
    /// Of the node with these parts.
    pub(in crate::node) fn of(parts: &Parts) -> Self {
        Watched {
            directory: parts.directory.clone(),
            node: parts.identity.node(),
            was_main: parts.directory.is_main(),
            main_work: parts.main_work.clone(),
            peers: parts.peers.clone(),
            nodes: parts.nodes.clone(),
            clock: parts.clock.clone(),
            tasks: parts.tasks.clone(),
        }
    }

    fn follow(&self, stop: &CancellationToken) {
        let copy = Arc::new(Copy::new(self.directory.clone()));
        let follower = Follower::new(self.peers.clone(), copy, self.clock.clone());
        let (nodes, stop) = (self.nodes.clone(), stop.clone());
        self.tasks.spawn(async move {
            // Whom to follow is in the directory by now.
            if let Err(error) = nodes.reload().await {
                tracing::warn!(%error, "the servers could not be read from the directory");
            }
            follower.run(stop).await;
        });
    }
}
