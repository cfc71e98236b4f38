//! The directory's log between nodes: pages are JSON to the cluster, which carries them and doesn't look inside.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use sterna_cluster::follow::ApplyFailed;
use sterna_cluster::{DirectoryLog, LogFollower};
use sterna_directory::{ApplyError, Changes, Cursor, Directory};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::directory_nodes::numbers;

/// The side of the main node, and of a data server that is asked by a node which can't reach the main node.
pub struct Log {
    directory: Directory,
    modseq: watch::Receiver<u64>,
}

impl Log {
    /// Of this directory, watched until `stop`.
    pub fn new(directory: Directory, stop: &CancellationToken, tasks: &TaskTracker) -> Arc<Self> {
        let modseq = numbers(&directory, stop, tasks);
        Arc::new(Log { directory, modseq })
    }
}

#[async_trait]
impl DirectoryLog for Log {
    async fn changes(&self, after: Value, limit: usize) -> Result<Value, String> {
        let after: Cursor = serde_json::from_value(after).map_err(|error| error.to_string())?;
        let page = self.directory.changes_since(after, limit).await.map_err(|error| error.to_string())?;
        serde_json::to_value(page).map_err(|error| error.to_string())
    }

    fn is_main(&self) -> bool {
        self.directory.is_main()
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.modseq.clone()
    }
}

/// The side of every other node.
pub struct Copy {
    directory: Directory,
}

impl Copy {
    /// Into this directory.
    pub fn new(directory: Directory) -> Self {
        Copy { directory }
    }
}

#[async_trait]
impl LogFollower for Copy {
    async fn position(&self) -> Result<(Value, u64), String> {
        let head = self.directory.head().await.map_err(|error| error.to_string())?;
        let position = head.position.max(Cursor::since(head.modseq));
        let cursor = serde_json::to_value(position).map_err(|error| error.to_string())?;
        Ok((cursor, head.modseq.0))
    }

    async fn apply(&self, page: Value) -> Result<bool, ApplyFailed> {
        let page: Changes = serde_json::from_value(page)
            .map_err(|error| ApplyFailed { text: format!("a page can't be read: {error}"), diverged: false })?;
        match self.directory.apply(page).await {
            Ok(applied) => Ok(applied.at_head),
            Err(error) => {
                let diverged = matches!(error, ApplyError::Diverged { .. } | ApplyError::Behind { .. });
                Err(ApplyFailed { text: error.to_string(), diverged })
            }
        }
    }

    async fn start_again(&self) -> Result<(), String> {
        self.directory.start_again().await.map_err(|error| error.to_string())
    }
}
