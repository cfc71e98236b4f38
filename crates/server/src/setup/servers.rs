//! The servers of the installation, with their clocks.

use futures_util::future::join_all;
use serde_json::Value;
use sterna_base::{Clock, NodeId};
use sterna_cluster::ControlClient;
use sterna_web::setup::door::ServerRow;

/// How long a server may take to say what time it is.
const WAIT: std::time::Duration = std::time::Duration::from_secs(2);

/// Rows of a listing of the API; who answers is asked for the time.
pub async fn rows(listed: &Value, others: &ControlClient, clock: &dyn Clock) -> Vec<ServerRow> {
    let items = listed["items"].as_array().map_or(&[][..], Vec::as_slice);
    join_all(items.iter().map(|item| row(item, others, clock))).await
}

async fn row(item: &Value, others: &ControlClient, clock: &dyn Clock) -> ServerRow {
    let text = |field: &str| item[field].as_str().map(str::to_owned);
    let roles: Vec<String> =
        item["roles"].as_array().into_iter().flatten().filter_map(|role| role.as_str().map(str::to_owned)).collect();
    let answers = item["answers"].as_bool().unwrap_or(false);
    let clock_offset_ms = match text("id").and_then(|id| id.parse::<NodeId>().ok()) {
        // It is here that the others are compared with.
        _ if roles.iter().any(|role| role == "main") => Some(0),
        Some(id) if answers => offset_ms(id, others, clock).await,
        _ => None,
    };
    ServerRow {
        id: text("id").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        address: text("address").unwrap_or_default(),
        roles,
        answers,
        cause: text("cause"),
        version: text("version"),
        free_bytes: item["free_bytes"].as_u64(),
        disk_bytes: item["disk_bytes"].as_u64(),
        clock_offset_ms,
    }
}

/// By how much its clock is ahead: it said so between these two moments.
async fn offset_ms(id: NodeId, others: &ControlClient, clock: &dyn Clock) -> Option<i64> {
    let before = clock.now();
    let status = tokio::time::timeout(WAIT, others.status(id)).await.ok()?.ok()?;
    let after = clock.now();
    Some(status.now.0 - (before.0 + after.0) / 2)
}
