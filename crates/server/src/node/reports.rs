//! Reports to other domains: the file in which they are counted, and the rounds in which they are sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sterna_account::edge_reports::{SeenAnswer, SeenQuestion};
use sterna_base::{Clock, NodeId};
use sterna_cluster::ControlClient;
use sterna_directory::{Directory, Reader, StorageError};
use sterna_mailflow::reports::{Edges, ReportSettings, Reports, Sender, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Parts;

/// How often what was counted is written down.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// How often what is due is sent.
const SEND_EVERY: Duration = Duration::from_secs(3600);

/// How long another edge may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The edges as the directory has them, asked over the wire of the nodes.
pub struct OtherEdges {
    directory: Directory,
    own: NodeId,
    others: ControlClient,
}

impl OtherEdges {
    /// For this node.
    pub fn new(parts: &Parts) -> Self {
        let (directory, own) = (parts.directory.clone(), parts.identity.node());
        OtherEdges { directory, own, others: ControlClient::new(parts.peers.clone()) }
    }
}

#[async_trait]
impl Edges for OtherEdges {
    async fn all(&self) -> Option<(NodeId, Vec<NodeId>)> {
        let read = |reader: &Reader<'_>| {
            let servers = reader.servers()?.into_iter().map(|found| found.value);
            Ok::<_, StorageError>(servers.filter(|server| server.roles.edge).map(|server| server.id).collect())
        };
        let mut edges: Vec<NodeId> = self.directory.read(read).await.ok()?;
        edges.sort_unstable();
        Some((self.own, edges))
    }

    async fn seen(&self, edge: NodeId, question: &SeenQuestion) -> Option<SeenAnswer> {
        match tokio::time::timeout(ANSWER_WAIT, self.others.seen(edge, question)).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::info!(%edge, %error, "an edge does not say what its reports would");
                None
            }
            Err(_) => {
                tracing::info!(%edge, "an edge does not say in time what its reports would");
                None
            }
        }
    }
}

/// Opens the file. One that is damaged is begun anew: a report is no reason for a node not to start.
pub async fn open(parts: &Parts, settings: watch::Receiver<ReportSettings>) -> Option<Arc<Reports>> {
    let (path, clock) = (parts.folder.join("reports.sqlite"), parts.clock.clone());
    let opening = tokio::task::spawn_blocking(move || open_or_begin(&path, clock, settings)).await;
    match opening {
        Ok(Ok(reports)) => Some(Arc::new(reports)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "no reports are made for other domains");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "no reports are made for other domains");
            None
        }
    }
}

fn open_or_begin(
    path: &Path,
    clock: Arc<dyn Clock>,
    settings: watch::Receiver<ReportSettings>,
) -> Result<Reports, StoreError> {
    Reports::open(path, clock.clone(), settings.clone()).or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "the file of reports can't be read and is begun anew");
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            let _ = std::fs::remove_file(file);
        }
        Reports::open(path, clock, settings)
    })
}

/// Writes down and sends until the node stops; the one does not wait for the other, which asks DNS and other servers.
pub async fn keep_sent(sender: Sender, stop: CancellationToken) {
    let writing = async {
        while stop.run_until_cancelled(tokio::time::sleep(FLUSH_EVERY)).await.is_some() {
            sender.reports.flush().await;
        }
    };
    let sending = async {
        while stop.run_until_cancelled(tokio::time::sleep(SEND_EVERY)).await.is_some() {
            stop.run_until_cancelled(sender.send_due()).await;
        }
    };
    tokio::join!(writing, sending);
    sender.reports.flush().await;
}

#[cfg(test)]
mod tests {
    use sterna_base::SystemClock;

    use super::*;

    #[test]
    fn a_damaged_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports.sqlite");
        std::fs::write(&path, b"this is no database, and long enough to be seen to be none".repeat(100)).unwrap();
        let open = || open_or_begin(&path, Arc::new(SystemClock), watch::channel(ReportSettings::default()).1);
        open().unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"SQLite format 3"));
        open().unwrap();
    }
}
