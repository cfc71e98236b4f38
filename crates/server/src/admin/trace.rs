//! `/api/v1/trace`: where a message went, from what every edge remembers.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::trace::{TRACED_MAX, TraceEvent, TraceQuery, Traced, TracedMessage};
use sterna_base::{AccountId, NodeId};
use sterna_directory::{Reader, Server, StorageError};

use super::doors::AdminState;
use super::input::Asked;
use super::problem::Problem;
use super::{address_of, resolve, view};

/// How far back is looked when nobody says.
pub(crate) const SINCE_SECONDS_DEFAULT: u64 = 7 * 24 * 3600;

/// Messages that are shown when nobody says.
pub(crate) const MESSAGES_DEFAULT: usize = 20;

/// What is asked.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TraceParams {
    /// An address, a Message-ID, or the id of a message.
    text: String,
    /// How many seconds back.
    since_seconds: Option<u64>,
    /// Most messages.
    limit: Option<usize>,
    /// Only messages to or from this account.
    account: Option<String>,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Trace")]
pub(crate) struct TraceView {
    pub(crate) messages: Vec<MessageView>,
    /// Edges that could not be asked: messages may be missing.
    pub(crate) not_asked: Vec<String>,
}

/// A message with what happened to it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TracedMessage")]
pub(crate) struct MessageView {
    id: Option<String>,
    at: String,
    /// The edge that took it.
    edge: String,
    message_id: Option<String>,
    sender: String,
    origin: String,
    size_bytes: u64,
    events: Vec<EventView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TraceEvent")]
struct EventView {
    at: String,
    recipient: String,
    what: Traced,
    /// The account, domain or host.
    destination: String,
    /// The data server of an account.
    server: Option<String>,
    host: String,
    detail: String,
    next: Option<String>,
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Asked(params): Asked<TraceParams>,
) -> Result<Json<TraceView>, Problem> {
    let since_ms = params.since_seconds.unwrap_or(SINCE_SECONDS_DEFAULT).saturating_mul(1000);
    let since = state.directory.now().plus_ms(-i64::try_from(since_ms).unwrap_or(i64::MAX));
    let limit = params.limit.unwrap_or(MESSAGES_DEFAULT).clamp(1, TRACED_MAX);
    let account = params.account.clone();
    let (involving, edges) = state
        .directory
        .read(move |reader| {
            let involving = account.map(|account| addresses(reader, &account)).transpose()?.unwrap_or_default();
            let servers = reader.servers()?.into_iter().map(|found| found.value);
            Ok::<_, Problem>((involving, servers.filter(|server| server.roles.edge).collect::<Vec<_>>()))
        })
        .await?;
    let query = TraceQuery { text: params.text, since, limit, involving };
    // Only the main node may ask the others.
    let (is_main, own) = (state.directory.is_main(), state.node.id);
    let (asked, left): (Vec<_>, Vec<_>) = edges.into_iter().partition(|edge| is_main || edge.id == own);
    let provision = state.provision.clone();
    let ask = move |edge, query| {
        let provision = provision.clone();
        async move { provision.trace(edge, query).await }
    };
    let (found, mut not_asked) = ask_edges(asked, &query, ask).await;
    not_asked.extend(left.into_iter().map(|edge| edge.name));
    not_asked.sort_unstable();
    let read = move |reader: &Reader<'_>| views(reader, found);
    let messages = state.directory.read::<Vec<MessageView>, StorageError, _>(read).await?;
    Ok(Json(TraceView { messages, not_asked }))
}

/// What edges remember, each message with the edge's name, the latest first; and the edges that could not be asked.
pub(crate) async fn ask_edges<A, E>(
    edges: Vec<Server>,
    query: &TraceQuery,
    ask: impl Fn(NodeId, TraceQuery) -> A,
) -> (Vec<(String, TracedMessage)>, Vec<String>)
where
    A: Future<Output = Result<Vec<TracedMessage>, E>> + Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    let mut asking = tokio::task::JoinSet::new();
    for edge in edges {
        let answer = ask(edge.id, query.clone());
        asking.spawn(async move { (edge.name, answer.await) });
    }
    let (mut found, mut not_asked) = (Vec::new(), Vec::new());
    while let Some(answer) = asking.join_next().await {
        match answer {
            Ok((edge, Ok(messages))) => found.extend(messages.into_iter().map(|message| (edge.clone(), message))),
            Ok((edge, Err(error))) => {
                tracing::warn!(edge, %error, "an edge could not be asked for its trace");
                not_asked.push(edge);
            }
            Err(error) => tracing::error!(%error, "a question about the trace broke off"),
        }
    }
    found.sort_by_key(|(_, message)| std::cmp::Reverse(message.at));
    found.truncate(query.limit);
    (found, not_asked)
}

/// As they are shown.
pub(crate) fn views(
    reader: &Reader<'_>,
    found: Vec<(String, TracedMessage)>,
) -> Result<Vec<MessageView>, StorageError> {
    found.into_iter().map(|(edge, message)| message_view(reader, edge, message)).collect()
}

/// All addresses of an account, as a trace has them.
fn addresses(reader: &Reader<'_>, account: &str) -> Result<Vec<String>, Problem> {
    let entry = resolve::entry(reader, account, "account")?.value;
    let texts = entry.entry().addresses().map(|address| reader.address_text(address));
    Ok(texts.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

fn message_view(reader: &Reader<'_>, edge: String, message: TracedMessage) -> Result<MessageView, StorageError> {
    let TracedMessage { id, at, message_id, sender, origin, size_bytes, events } = message;
    let events = events.into_iter().map(|event| event_view(reader, event)).collect::<Result<_, _>>()?;
    Ok(MessageView { id, at: view::time(at), edge, message_id, sender, origin, size_bytes, events })
}

fn event_view(reader: &Reader<'_>, event: TraceEvent) -> Result<EventView, StorageError> {
    let TraceEvent { at, recipient, what, destination, host, detail, next } = event;
    let account = destination.strip_prefix("account:").and_then(|id| id.parse::<AccountId>().ok());
    let (destination, server) = match account {
        Some(id) => (address_of(reader, id)?, server_of(reader, id)?),
        None => (destination, None),
    };
    let (at, next) = (view::time(at), next.map(view::time));
    Ok(EventView { at, recipient, what, destination, server, host, detail, next })
}

fn server_of(reader: &Reader<'_>, account: AccountId) -> Result<Option<String>, StorageError> {
    let Some(placement) = reader.placement(account)? else { return Ok(None) };
    let name = |id: NodeId| Ok::<_, StorageError>(reader.server(id)?.map(|server| server.value.name));
    name(placement.value.server)
}
