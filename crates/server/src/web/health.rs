//! How the node is, for programs that watch it: `/healthz` (the process lives), `/readyz` (it serves), `/metrics`.
//!
//! The first two tell nothing that a port scan wouldn't. Numbers are for this machine, and for tokens that may look at
//! servers.

use std::fmt::Write as _;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sterna_base::NodeId;
use sterna_directory::rights::{Area, Permission, Within};
use sterna_directory::{Reader, StorageError};

use crate::admin::problem::Problem;
use crate::admin::sessions::From;
use crate::admin::vitals::{Phase, Vitals};
use crate::admin::{AdminState, api_tokens};

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process lives.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// What keeps a node from serving, each with what to do. Which account's store was closed is none of it: one account's
/// failure takes nobody else's service.
async fn missing(state: &AdminState) -> Vec<String> {
    let mut missing = Vec::new();
    match state.vitals.as_ref().map_or(Phase::Serving, |vitals| vitals.phase()) {
        Phase::Starting => missing.push("the node starts; some of its services are not there yet".to_owned()),
        Phase::Ending => missing.push("the node ends and takes nobody new".to_owned()),
        Phase::Serving => {}
    }
    match state.directory.read(|reader: &Reader<'_>| reader.head()).await {
        Err(error) => {
            tracing::error!(%error, "the node is not ready: its directory can't be read");
            missing.push("the directory can't be read; see the node's log".to_owned());
        }
        Ok(head) if head.installation.is_none() => {
            let text = "nothing of the directory has come from the main node yet; see whether this node reaches it";
            missing.push(text.to_owned());
        }
        Ok(_) => {}
    }
    let restart = "after a failed write; look at the disk and start the node again";
    if state.directory.is_stopped() {
        missing.push(format!("the directory takes no changes {restart}"));
    }
    if state.queue.as_ref().is_some_and(|queue| queue.is_stopped()) {
        missing.push(format!("the queue takes no mail {restart}"));
    }
    missing
}

/// The node serves. What is missing is said in a line each.
pub(crate) async fn ready(State(state): State<AdminState>) -> Response {
    let missing = missing(&state).await;
    let (status, text) = match missing.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n"),
    };
    // What was true a moment ago is worth nothing.
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn admitted(state: &AdminState, from: From, headers: &HeaderMap) -> Result<(), Problem> {
    if from.peer.to_canonical().is_loopback() {
        return Ok(());
    }
    if !from.encrypted {
        return Err(Problem::not_signed_in());
    }
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(Problem::not_signed_in)?;
    let principal = api_tokens::principal_of(state, token).await?;
    match principal.rights.may(Permission::read(Area::Servers), Within::System) {
        true => Ok(()),
        false => Err(Problem::not_signed_in()),
    }
}

/// Numbers, in Prometheus' text format.
pub(crate) async fn metrics(
    State(state): State<AdminState>,
    Extension(from): Extension<From>,
    headers: HeaderMap,
) -> Response {
    if let Err(problem) = admitted(&state, from, &headers).await {
        return problem.into_response();
    }
    match gathered(&state).await {
        Ok(text) => ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// A server's numbers in the directory.
struct ServerNumbers {
    name: String,
    accounts: u64,
    copies: u64,
    moves_in: u64,
    free_bytes: Option<u64>,
    used_bytes: Option<u64>,
    capacity_bytes: Option<u64>,
}

async fn gathered(state: &AdminState) -> Result<String, StorageError> {
    let read = |reader: &Reader<'_>| {
        let servers = reader.servers()?.into_iter().map(|found| found.value);
        let numbers = servers.map(|server| {
            let id: NodeId = server.id;
            Ok::<_, StorageError>(ServerNumbers {
                accounts: reader.accounts_on(id)?,
                copies: reader.copy_count(id)?,
                moves_in: reader.move_count(id)?,
                name: server.name,
                free_bytes: server.free_bytes,
                used_bytes: server.used_bytes,
                capacity_bytes: server.capacity_bytes,
            })
        });
        Ok::<_, StorageError>((reader.head()?.modseq.0, numbers.collect::<Result<Vec<_>, _>>()?))
    };
    let (modseq, servers) = state.directory.read(read).await?;
    let mut page = Metrics::default();
    let started = state.node.started_at.0 / 1000;
    page.family("sterna_info", "gauge", "Which node and version answers.");
    page.sample("sterna_info", &[("node", &state.node.name), ("version", &state.node.version)], 1);
    page.family("sterna_start_time_seconds", "gauge", "When the node started.");
    page.sample("sterna_start_time_seconds", &[], started);
    page.family("sterna_directory_modseq", "gauge", "The last change of the directory that this node has.");
    page.sample("sterna_directory_modseq", &[], modseq);
    if let Some(queue) = &state.queue {
        page.family("sterna_queue_messages", "gauge", "Messages that wait in this node's queue.");
        page.sample("sterna_queue_messages", &[], queue.len());
    }
    page.family("sterna_logins_total", "counter", "Log-ins since the node started, by what became of them.");
    for (result, count) in state.authentication.tally().counts() {
        page.sample("sterna_logins_total", &[("result", result)], count);
    }
    if let Some(vitals) = &state.vitals {
        page.vitals(vitals);
    }
    type Number = fn(&ServerNumbers) -> Option<u64>;
    let families: [(&str, &str, Number); 6] = [
        ("sterna_server_accounts", "Accounts that live on a server.", |server| Some(server.accounts)),
        ("sterna_server_copies", "Copies of accounts that are on a server.", |server| Some(server.copies)),
        ("sterna_server_moves_in", "Accounts that are on their way to a server.", |server| Some(server.moves_in)),
        ("sterna_server_free_bytes", "Free bytes where a server's accounts are.", |server| server.free_bytes),
        ("sterna_server_used_bytes", "Bytes that a server's accounts take.", |server| server.used_bytes),
        ("sterna_server_disk_bytes", "Size of the disk where they are.", |server| server.capacity_bytes),
    ];
    for (name, help, number) in families {
        page.family(name, "gauge", help);
        for server in &servers {
            if let Some(value) = number(server) {
                page.sample(name, &[("server", &server.name)], value);
            }
        }
    }
    Ok(page.0)
}

/// A page of Prometheus' text format.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn vitals(&mut self, vitals: &Vitals) {
        self.family("sterna_ready", "gauge", "1 while the node serves, 0 while it starts or ends.");
        self.sample("sterna_ready", &[], u8::from(vitals.phase() == Phase::Serving));
        let help = "Recipients that got a message by this node, here or at other servers, since it started.";
        self.family("sterna_deliveries_total", "counter", help);
        self.sample("sterna_deliveries_total", &[], vitals.trace.delivered_count());
        let (opened, open) = (vitals.sessions.opened(), vitals.sessions.count());
        self.family("sterna_sessions_opened_total", "counter", "Sessions that were logged in since the node started.");
        for (protocol, count) in &opened {
            self.sample("sterna_sessions_opened_total", &[("protocol", protocol)], count);
        }
        self.family("sterna_sessions", "gauge", "Sessions that are logged in.");
        for protocol in opened.keys() {
            let count = open.get(*protocol).copied().unwrap_or_default();
            self.sample("sterna_sessions", &[("protocol", protocol)], count);
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Metrics::default();
        page.family("x", "gauge", "A number.");
        page.sample("x", &[("name", "a\"b\\c\nd")], 1);
        assert_eq!(page.0, "# HELP x A number.\n# TYPE x gauge\nx{name=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}
