//! Keeps this edge's greylist and counts up to date with those of the other edges: it asks each what changed, again and
//! again. One that is away is asked again, and tells then what happened meanwhile.

use std::sync::Arc;
use std::time::Duration;

use sterna_base::NodeId;
use sterna_cluster::ControlClient;
use sterna_directory::{Reader, StorageError};
use sterna_mailflow::guard::Guard;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Parts;

/// How often the others are asked.
const SHARE_EVERY: Duration = Duration::from_secs(5);
/// How long one of them may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Answers that are taken from one edge before the others have their turn again.
const ANSWERS_MAX: usize = 100;

/// Asks until the node ends.
pub(super) fn keep_shared(parts: &Parts, guard: Arc<Guard>) -> impl Future<Output = ()> + use<> {
    let (directory, own, stop) = (parts.directory.clone(), parts.identity.node(), parts.stop.clone());
    let others = ControlClient::new(parts.peers.clone());
    async move {
        while stop.run_until_cancelled(tokio::time::sleep(SHARE_EVERY)).await.is_some() {
            let read = move |reader: &Reader<'_>| {
                let servers = reader.servers()?.into_iter().map(|found| found.value);
                let edges = servers.filter(|server| server.roles.edge && server.id != own);
                Ok::<_, StorageError>(edges.map(|server| server.id).collect::<Vec<_>>())
            };
            let edges = match directory.read(read).await {
                Ok(edges) => edges,
                Err(error) => {
                    tracing::warn!(%error, "the other edges are not known, and tell nothing of who brings mail");
                    continue;
                }
            };
            let mut asking = JoinSet::new();
            for edge in edges {
                let (guard, others) = (guard.clone(), others.clone());
                asking.spawn(async move { ask(&guard, &others, edge).await });
            }
            stop.run_until_cancelled(asking.join_all()).await;
        }
    }
}

async fn ask(guard: &Guard, others: &ControlClient, edge: NodeId) {
    for _ in 0..ANSWERS_MAX {
        let since = guard.known_of(edge).await;
        let told = match timeout(ANSWER_WAIT, others.guard_changes(edge, &since)).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => return tracing::debug!(%edge, %error, "an edge does not tell who brought mail"),
            Err(_) => return tracing::debug!(%edge, "an edge does not tell in time who brought mail"),
        };
        let has_more = told.has_more;
        if let Err(error) = guard.learn(edge, told).await {
            return tracing::debug!(%edge, %error, "what an edge tells of who brought mail can't be kept");
        }
        if !has_more {
            return;
        }
    }
}
