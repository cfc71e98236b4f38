//! `/api/v1/status`: how the node and its installation are.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sterna_account::Digest;
use sterna_base::{InstallationId, Modseq, NodeId};
use sterna_directory::{Reader, RowKind, Server};

use super::doors::{AdminState, NodeInfo};
use super::problem::Problem;
use super::view;

/// How long a server has to answer before it counts as down.
const PING_TIMEOUT_MS: u64 = 2_000;

/// How things are.
#[derive(Serialize)]
pub(super) struct StatusView {
    node: NodeView,
    directory: DirectoryView,
    servers: Vec<ServerHealth>,
    /// What an administrator should look at; empty when all is well.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct NodeView {
    #[serde(flatten)]
    info: NodeInfo,
    started_at: String,
}

#[derive(Serialize)]
struct DirectoryView {
    installation: Option<InstallationId>,
    is_main: bool,
    modseq: Modseq,
    digest: Digest,
    domains: u64,
    users: u64,
    groups: u64,
    shared_mailboxes: u64,
}

#[derive(Serialize)]
struct ServerHealth {
    id: NodeId,
    name: String,
    roles: Vec<&'static str>,
    accounts: u64,
    free_bytes: Option<u64>,
    accepts_new_accounts: bool,
    reachable: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

pub(super) async fn get(State(state): State<AdminState>) -> Result<Json<StatusView>, Problem> {
    let is_main = state.directory.is_main();
    let read = move |reader: &Reader<'_>| {
        let head = reader.head()?;
        let directory = DirectoryView {
            installation: head.installation,
            is_main,
            modseq: head.modseq,
            digest: head.digest,
            domains: reader.domain_count()?,
            users: reader.entry_count(RowKind::User)?,
            groups: reader.entry_count(RowKind::Group)?,
            shared_mailboxes: reader.entry_count(RowKind::Shared)?,
        };
        let servers = reader.candidates()?;
        Ok::<_, Problem>((directory, servers))
    };
    let (directory, candidates) = state.directory.read(read).await?;
    let mut pings = tokio::task::JoinSet::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let (state, server) = (state.clone(), candidate.server.id);
        pings.spawn(async move { (at, ping(&state, server).await) });
    }
    let mut causes = vec![Some("the check was interrupted".to_owned()); candidates.len()];
    while let Some(done) = pings.join_next().await {
        if let Ok((at, cause)) = done {
            causes[at] = cause;
        }
    }
    let servers: Vec<ServerHealth> = candidates
        .into_iter()
        .zip(causes)
        .map(|(candidate, cause)| health(candidate.server, candidate.accounts, cause))
        .collect();
    let problems = servers
        .iter()
        .filter_map(|server| Some(format!("server {} does not answer: {}", server.name, server.cause.as_ref()?)))
        .collect();
    let node = NodeView { started_at: view::time(state.node.started_at), info: NodeInfo::clone(&state.node) };
    Ok(Json(StatusView { node, directory, servers, problems }))
}

async fn ping(state: &AdminState, server: NodeId) -> Option<String> {
    if server == state.node.id {
        return None;
    }
    let answer = tokio::time::timeout(Duration::from_millis(PING_TIMEOUT_MS), state.provision.ping(server)).await;
    match answer {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {PING_TIMEOUT_MS} ms")),
    }
}

fn health(server: Server, accounts: u64, cause: Option<String>) -> ServerHealth {
    ServerHealth {
        id: server.id,
        name: server.name,
        roles: server.roles.names(),
        accounts,
        free_bytes: server.free_bytes,
        accepts_new_accounts: server.accepts_new_accounts,
        reachable: cause.is_none(),
        cause,
    }
}
