//! `/api/v1/status`: how the node and its installation are.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_account::Digest;
use sterna_base::{InstallationId, Modseq, NodeId};
use sterna_cluster::NodeStatus;
use sterna_directory::placement_policy::Candidate;
use sterna_directory::{Reader, RowKind, settings};

use super::certificates;
use super::doors::{AdminState, NodeInfo};
use super::findings::{self, Finding, Measure};
use super::problem::Problem;
use super::view;

/// How long a server has to answer before it counts as down.
const ANSWER_TIMEOUT_MS: u64 = 3_000;
/// How long a server that is behind gets to follow the directory before that is a problem.
const FOLLOW_WAIT_MS: u64 = 1_000;

/// How things are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Status")]
pub(super) struct StatusView {
    node: NodeView,
    directory: DirectoryView,
    /// What an administrator should look at; empty when all is well.
    pub(super) problems: Vec<Finding>,
    servers: Vec<ServerHealth>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StatusNode")]
struct NodeView {
    #[serde(flatten)]
    info: NodeInfo,
    started_at: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StatusDirectory")]
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

/// One server. What it would have to say itself is null while it doesn't answer.
#[derive(Serialize, JsonSchema)]
pub(super) struct ServerHealth {
    id: NodeId,
    name: String,
    address: String,
    roles: Vec<&'static str>,
    accounts: u64,
    accepts_new_accounts: bool,
    draining: bool,
    weight: u32,
    reachable: bool,
    /// Why not.
    cause: Option<String>,
    version: Option<String>,
    started_at: Option<String>,
    /// As the directory has it when the server doesn't answer.
    free_bytes: Option<u64>,
    disk_bytes: Option<u64>,
    directory_modseq: Option<u64>,
    certificate_not_after: Option<String>,
    client_certificate_not_after: Option<String>,
    /// Why it does not look for other servers' certificates in DNS (DANE); null when it does, or had no mail to send.
    dane_off: Option<String>,
}

pub(super) async fn get(State(state): State<AdminState>) -> Result<Json<StatusView>, Problem> {
    let (is_main, now) = (state.directory.is_main(), state.directory.now());
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
        let (servers, mut work) = (reader.candidates()?, findings::of_work(reader, now)?);
        work.extend(certificates::findings(reader, now)?);
        let disk_free_percent = reader.number_setting(settings::DISK_FREE_PERCENT)?;
        Ok::<_, Problem>((directory, servers, work, disk_free_percent))
    };
    let (directory, candidates, work, disk_free_percent) = state.directory.read(read).await?;
    let mut asked = tokio::task::JoinSet::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let (state, server, head) = (state.clone(), candidate.server.id, directory.modseq.0);
        asked.spawn(async move { (at, ask(&state, server, head).await) });
    }
    let mut answers: Vec<_> = candidates.iter().map(|_| Err("the check was interrupted".to_owned())).collect();
    while let Some(done) = asked.join_next().await {
        if let Ok((at, answer)) = done {
            answers[at] = answer;
        }
    }
    let measure = Measure { head: directory.modseq.0, disk_free_percent, now: state.directory.now() };
    let mut problems = findings::of(&candidates, &answers, &measure);
    problems.extend(findings::of_refusals(&candidates, &state.memory.refusals()));
    problems.extend(work);
    problems.extend(state.memory.left_alone().map(findings::of_left_alone));
    let servers = candidates.into_iter().zip(answers).map(|(candidate, answer)| health(candidate, answer)).collect();
    let node = NodeView { started_at: view::time(state.node.started_at), info: NodeInfo::clone(&state.node) };
    Ok(Json(StatusView { node, directory, problems, servers }))
}

/// How a server is; one that is behind the directory is asked again, because it may just be following.
async fn ask(state: &AdminState, server: NodeId, head: u64) -> Result<NodeStatus, String> {
    let first = ask_once(state, server).await?;
    if first.directory_modseq >= head {
        return Ok(first);
    }
    tokio::time::sleep(Duration::from_millis(FOLLOW_WAIT_MS)).await;
    ask_once(state, server).await
}

/// How a server is; whether it answers is noted.
pub(super) async fn ask_once(state: &AdminState, server: NodeId) -> Result<NodeStatus, String> {
    let answer = tokio::time::timeout(Duration::from_millis(ANSWER_TIMEOUT_MS), state.provision.status(server)).await;
    let answer = match answer {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {ANSWER_TIMEOUT_MS} ms")),
    };
    state.memory.note_health(server, answer.is_ok(), state.directory.now());
    answer
}

fn health(candidate: Candidate, answer: Result<NodeStatus, String>) -> ServerHealth {
    let Candidate { server, accounts } = candidate;
    let (answer, cause) = match answer {
        Ok(answer) => (Some(answer), None),
        Err(cause) => (None, Some(cause)),
    };
    let disk = answer.as_ref().filter(|answer| answer.disk_bytes > 0);
    ServerHealth {
        id: server.id,
        name: server.name,
        address: server.address,
        roles: server.roles.names(),
        accounts,
        accepts_new_accounts: server.accepts_new_accounts,
        draining: server.draining,
        weight: server.weight,
        reachable: cause.is_none(),
        cause,
        version: answer.as_ref().map(|answer| answer.version.clone()),
        started_at: answer.as_ref().and_then(|answer| answer.started_at).map(view::time),
        free_bytes: disk.map(|disk| disk.disk_free_bytes).or(server.free_bytes),
        disk_bytes: disk.map(|disk| disk.disk_bytes),
        directory_modseq: answer.as_ref().map(|answer| answer.directory_modseq),
        certificate_not_after: answer.as_ref().and_then(|answer| answer.certificate_not_after).map(view::time),
        client_certificate_not_after: answer
            .as_ref()
            .and_then(|answer| answer.client_certificate_not_after)
            .map(view::time),
        dane_off: answer.and_then(|answer| answer.dane_off),
    }
}
