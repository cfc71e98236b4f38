//! `/api/v1/events`: what changed, as server-sent events, so that pages ask again only when there is something to ask.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use sterna_base::Modseq;
use sterna_directory::{Cursor, Reader, RowKind};

use super::doors::AdminState;
use super::input::Asked;
use super::memory::OpenStream;
use super::principal::Principal;
use super::problem::Problem;

/// Changed rows that are looked at together; more are told as "everything".
const ROWS_AT_ONCE: usize = 1000;

/// How long changes are gathered before they are told.
const GATHERED: Duration = Duration::from_millis(200);

/// How often a quiet connection shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How long one stream goes on; the page begins another, and is asked again who it is.
pub(super) const STREAM_MAX: Duration = Duration::from_secs(10 * 60);

/// Streams that somebody may have open: more than anybody has windows.
const STREAMS_MAX: usize = 20;

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EventParams {
    /// Only these topics, separated by commas; all without it.
    topics: String,
}

/// What a page would look at again because rows of this kind changed.
fn topic(kind: u16) -> Option<&'static str> {
    Some(match RowKind::from_number(kind)? {
        RowKind::User | RowKind::Group | RowKind::Shared | RowKind::Member | RowKind::AppPassword => "people",
        RowKind::Contact => "people",
        RowKind::SecondFactor | RowKind::Passkey | RowKind::Deleted => "people",
        RowKind::Domain | RowKind::DkimKey | RowKind::Source => "domains",
        RowKind::Server | RowKind::Certificate | RowKind::Acme | RowKind::MainNode | RowKind::Migration => "servers",
        RowKind::Update | RowKind::UpdateEvent => "updates",
        RowKind::Firewall => "servers",
        RowKind::Job | RowKind::JobEvent | RowKind::Move | RowKind::Copy => "jobs",
        RowKind::Placement | RowKind::PendingStore => "jobs",
        RowKind::Setting | RowKind::SettingChange => "settings",
        RowKind::Role | RowKind::Grant | RowKind::ApiToken => "administrators",
        RowKind::Counter | RowKind::Share | RowKind::Link | RowKind::DeletedParts | RowKind::Subject => return None,
    })
}

/// Every topic.
const TOPICS: [&str; 7] = ["people", "domains", "servers", "jobs", "settings", "administrators", "updates"];

/// Tells topics that changed. It tells no names: who may not see something is told no more than that somebody did
/// something.
pub(super) async fn stream(
    State(state): State<AdminState>,
    principal: Principal,
    Asked(params): Asked<EventParams>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let open = open_stream(&state, &principal)?;
    let wanted: BTreeSet<String> =
        params.topics.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let mut watch = state.directory.watch();
    let since = *watch.borrow_and_update();
    let (end, ending) = (tokio::time::Instant::now() + STREAM_MAX, state.clone());
    let stream = stream::unfold(
        (state, watch, since, wanted, open),
        move |(state, mut watch, since, wanted, open)| async move {
            let Ok(Ok(())) = tokio::time::timeout_at(end, watch.changed()).await else { return None };
            tokio::time::sleep(GATHERED).await;
            let now = *watch.borrow_and_update();
            let topics = changed(&state, since).await.into_iter();
            let told: Vec<&str> = topics.filter(|topic| wanted.is_empty() || wanted.contains(*topic)).collect();
            let event = (!told.is_empty())
                .then(|| Ok(Event::default().event("changed").data(told.join(" ")).id(now.to_string())));
            Some((event, (state, watch, now, wanted, open)))
        },
    );
    let stream = stream.filter_map(|event| async move { event });
    Ok(until_the_end(&ending, stream))
}

/// Events until the node ends: a connection that waits for the next one would keep it, and the program that takes over.
pub(super) fn until_the_end<S>(
    state: &AdminState,
    events: S,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<S>>
where
    S: Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    let ending = state.vitals.as_ref().map(|vitals| vitals.ending());
    let ended = async move {
        match ending {
            Some(ending) => ending.await,
            None => std::future::pending().await,
        }
    };
    Sse::new(events.take_until(ended)).keep_alive(KeepAlive::new().interval(ALIVE))
}

/// Counts one more stream of whoever asks.
///
/// # Errors
/// `429` when there are [`STREAMS_MAX`] already.
pub(super) fn open_stream(state: &AdminState, principal: &Principal) -> Result<OpenStream, Problem> {
    state.memory.streams.open(&principal.name, STREAMS_MAX).ok_or_else(too_many)
}

fn too_many() -> Problem {
    let detail = format!("{STREAMS_MAX} streams of events are open already");
    let (title, remedy) = ("Too many streams", "Close some windows of the console, or programs that listen.");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", title, detail, remedy)
}

async fn changed(state: &AdminState, since: Modseq) -> BTreeSet<&'static str> {
    let read = move |reader: &Reader<'_>| reader.changes_since(&Cursor::since(since), ROWS_AT_ONCE);
    match state.directory.read(read).await {
        Ok(changes) if changes.next.is_none() => changes.rows.iter().filter_map(|row| topic(row.kind)).collect(),
        _ => TOPICS.into_iter().collect(),
    }
}
