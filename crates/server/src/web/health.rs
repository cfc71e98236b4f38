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
use crate::admin::{AdminState, api_tokens};

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process lives.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The node serves: its directory can be read.
pub(super) async fn ready(State(state): State<AdminState>) -> Response {
    match state.directory.read(|reader: &Reader<'_>| reader.head().map(|_| ())).await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::error!(%error, "the node is not ready: its directory can't be read");
            (StatusCode::SERVICE_UNAVAILABLE, "the directory can't be read\n").into_response()
        }
    }
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
pub(super) async fn metrics(
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
    page.family("sterna_directory_modseq", "counter", "The last change of the directory that this node has.");
    page.sample("sterna_directory_modseq", &[], modseq);
    if let Some(queue) = &state.queue {
        page.family("sterna_queue_messages", "gauge", "Messages that wait in this node's queue.");
        page.sample("sterna_queue_messages", &[], queue.len());
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
