//! What a node looks after by itself, again and again: the main node asks the others how much space they have and tells
//! them where it is; the others tell the main node where they are; the main node renews its own certificate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use sterna_base::NodeId;
use sterna_cluster::join::JoinDesk;
use sterna_cluster::{ControlClient, Identity, NodeControl, NodeStatus, Nodes};
use sterna_directory::request::ServerPatch;
use sterna_directory::{Directory, Request, Server};
use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::directory_nodes::DirectoryNodes;
use super::{Parts, announced};
use crate::admin::Memory;

/// How often the other nodes are asked, or told.
const ROUND_INTERVAL: Duration = Duration::from_secs(30);
/// How long one of them may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the main node looks whether its own certificate is due.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// Free space is written down when it changed by more than this share of it: each note is a change of the directory
/// that every node follows.
const FREE_BYTES_SHARE: u64 = 20;

/// The rounds of one node.
pub struct Rounds {
    node: NodeId,
    folder: PathBuf,
    address: String,
    directory: Directory,
    nodes: Arc<DirectoryNodes>,
    others: ControlClient,
    own: Arc<Control>,
    memory: Arc<Memory>,
}

impl Rounds {
    /// Of the node with these parts.
    pub fn new(parts: &Parts, own: Arc<Control>) -> Self {
        Rounds {
            node: parts.identity.node(),
            folder: parts.folder.clone(),
            address: parts.config.cluster.address.clone(),
            directory: parts.directory.clone(),
            nodes: parts.nodes.clone(),
            others: ControlClient::new(parts.peers.clone()),
            own,
            memory: parts.memory.clone(),
        }
    }

    /// Goes round until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(ROUND_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let round = async {
                if self.directory.is_main() { self.look_after_others().await } else { self.tell_address().await }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                done = round => if let Err(error) = done {
                    tracing::debug!("a round was not finished: {error:#}");
                },
            }
        }
    }

    /// Tells the main node where this one is, when the configuration says something new.
    async fn tell_address(&self) -> Result<()> {
        if announced::is(&self.folder, &self.address) {
            return Ok(());
        }
        let Some(main) = self.nodes.main() else { return Ok(()) };
        self.others.announce(main, &self.address).await?;
        tracing::info!(address = self.address, "the main node knows this node's new address");
        announced::note(&self.folder, &self.address)
    }

    /// All at once: one that is down must not keep the others waiting.
    async fn look_after_others(&self) -> Result<()> {
        let servers: Vec<Server> = self.directory.servers().await?.into_iter().map(|found| found.value).collect();
        let here = servers.iter().find(|server| server.id == self.node).map(|server| server.address.clone());
        let mut asked = tokio::task::JoinSet::new();
        for server in servers {
            let (others, own, here) = (self.others.clone(), self.own.clone(), here.clone());
            let (memory, directory) = (self.memory.clone(), self.directory.clone());
            let is_own = server.id == self.node;
            asked.spawn(async move {
                if is_own {
                    return Some((server, own.status().await));
                }
                let status =
                    tokio::time::timeout(ANSWER_TIMEOUT, others.status(server.id)).await.ok().and_then(Result::ok);
                memory.note_health(server.id, status.is_some(), directory.now());
                let status = status?;
                if let Some(here) = here
                    && status.main_address.as_ref().is_some_and(|known| *known != here)
                    && let Err(error) = others.announce(server.id, &here).await
                {
                    tracing::warn!(server = server.name, %error, "a node could not be told where the main node is");
                }
                Some((server, status))
            });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some((server, status))) = answer {
                self.note_free_bytes(&server, &status).await?;
            }
        }
        Ok(())
    }

    async fn note_free_bytes(&self, server: &Server, status: &NodeStatus) -> Result<()> {
        let free_bytes = status.disk_free_bytes;
        // A node that can't tell says nothing of its disk.
        if status.disk_bytes == 0 || !server.roles.data || !differs(server.free_bytes, free_bytes) {
            return Ok(());
        }
        let patch = ServerPatch { free_bytes: Some(free_bytes), ..ServerPatch::default() };
        self.directory.submit(Request::SetServer { id: server.id, expect: None, patch }).await?;
        Ok(())
    }
}

/// Whether free space changed enough to be written down.
fn differs(known: Option<u64>, now: u64) -> bool {
    known.is_none_or(|known| known.abs_diff(now) > known / FREE_BYTES_SHARE)
}

/// Renews the main node's own certificate whenever it is due: nobody else could.
pub async fn renew_own(desk: Arc<JoinDesk>, identity: Arc<Identity>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(RENEWAL_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (desk, identity) = (desk.clone(), identity.clone());
        match tokio::task::spawn_blocking(move || desk.renew_own(&identity)).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tracing::info!("the node's own certificate was renewed"),
            Ok(Err(error)) => tracing::warn!(%error, "the node's own certificate could not be renewed"),
            Err(error) => tracing::warn!(%error, "the node's own certificate could not be renewed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::differs;

    #[test]
    fn free_space_is_noted_when_it_changed_by_a_twentieth() {
        assert!(differs(None, 0) && differs(None, 7));
        assert!(!differs(Some(1000), 1050) && !differs(Some(1000), 950));
        assert!(differs(Some(1000), 1051) && differs(Some(1000), 949) && differs(Some(0), 1));
    }
}
