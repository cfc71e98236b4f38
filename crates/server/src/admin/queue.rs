//! `/api/v1/queue`: the messages that wait on this node.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::OperationId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_mailflow::queue::{Action, DeliveryId, Destination, Filter, Listed, NextHop, Queue, QueueError, QueueId};

use super::doors::AdminState;
use super::input::{Asked, Body};
use super::problem::Problem;
use super::view::{Page, time};

/// Items of a page when the client doesn't say.
const PAGE_ITEMS_DEFAULT: usize = 200;

/// Which deliveries are meant.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "QueueSelection")]
pub(super) struct Selection {
    id: Option<String>,
    sender: Option<String>,
    recipient: Option<String>,
    destination: Option<String>,
    held: Option<bool>,
    after: Option<i64>,
    limit: Option<usize>,
}

impl Selection {
    fn filter(self) -> Result<Filter, Problem> {
        let id = self.id.map(|id| queue_id(&id)).transpose()?;
        let Selection { sender, recipient, destination, held, .. } = self;
        Ok(Filter { id, sender, recipient, destination, held })
    }
}

/// One message for one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "QueuedDelivery")]
pub(super) struct DeliveryView {
    id: String,
    #[serde(skip)]
    delivery: i64,
    sender: String,
    recipients: Vec<String>,
    destination: String,
    /// "waiting" or "held".
    state: &'static str,
    size_bytes: u64,
    origin: String,
    received: String,
    expires: String,
    attempts: u32,
    next: String,
    last: Option<String>,
    last_host: String,
    last_reply: String,
}

/// What to do, and with what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueAction")]
pub(super) struct ActionInput {
    /// "hold", "release", "retry", "reroute", "delete".
    action: String,
    /// For "reroute": `host` or `host:port`, or `mx:DOMAIN`.
    to: Option<String>,
    /// With which.
    #[serde(default)]
    filter: Selection,
    /// Do it with everything: without this, an empty filter is refused.
    #[serde(default)]
    all: bool,
}

/// How many deliveries it was done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "QueueActionDone")]
pub(super) struct ActionView {
    deliveries: u64,
}

/// Those that are meant.
pub(super) async fn list(
    State(state): State<AdminState>,
    Asked(selection): Asked<Selection>,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    let (after, limit) = (DeliveryId(selection.after.unwrap_or(0)), selection.limit.unwrap_or(PAGE_ITEMS_DEFAULT));
    let limit = limit.clamp(1, PAGE_ITEMS_MAX - 1);
    let found = queue(&state)?.list(selection.filter()?, after, limit + 1).await.map_err(unusable)?;
    let items = found.into_iter().map(view).collect();
    Ok(Page::cut(items, limit, |view: &DeliveryView| view.delivery.to_string()))
}

/// One message: its deliveries.
pub(super) async fn get(
    State(state): State<AdminState>,
    Path(message): Path<String>,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    let filter = Filter { id: Some(queue_id(&message)?), ..Filter::default() };
    let found = queue(&state)?.list(filter, DeliveryId(0), PAGE_ITEMS_MAX - 1).await.map_err(unusable)?;
    if found.is_empty() {
        return Err(Problem::no_such("message in the queue", &message));
    }
    Ok(Page::cut(found.into_iter().map(view).collect(), PAGE_ITEMS_MAX, |view| view.delivery.to_string()))
}

/// Does something with those that are meant.
pub(super) async fn act(
    State(state): State<AdminState>,
    Body(input): Body<ActionInput>,
) -> Result<Json<ActionView>, Problem> {
    let action = action(&input)?;
    let filter = input.filter.filter()?;
    if filter == Filter::default() && !input.all {
        return Err(Problem::malformed("an empty filter means every message: say “all” if that is meant"));
    }
    let deliveries = queue(&state)?.act(filter, action, state.directory.now()).await.map_err(unusable)?;
    Ok(Json(ActionView { deliveries }))
}

fn action(input: &ActionInput) -> Result<Action, Problem> {
    match (&*input.action, &input.to) {
        ("hold", None) => Ok(Action::Hold),
        ("release", None) => Ok(Action::Release),
        ("retry", None) => Ok(Action::Retry),
        ("delete", None) => Ok(Action::Delete),
        ("reroute", Some(to)) => destination(to).map(Action::Reroute),
        ("reroute", None) => Err(Problem::malformed("“to” must say where: HOST, HOST:PORT or mx:DOMAIN")),
        _ => Err(Problem::malformed("“action” is hold, release, retry, reroute or delete; only reroute has “to”")),
    }
}

fn destination(to: &str) -> Result<Destination, Problem> {
    let invalid = || Problem::malformed(format!("{to} is not HOST, HOST:PORT or mx:DOMAIN"));
    match to.strip_prefix("mx:") {
        Some(domain) => format!("domain:{}", domain.to_lowercase()).parse().map_err(|_| invalid()),
        None => to.parse::<NextHop>().map(Destination::Host).map_err(|_| invalid()),
    }
}

fn queue(state: &AdminState) -> Result<Arc<Queue>, Problem> {
    state.queue.clone().ok_or_else(|| {
        let (title, remedy) = ("There is no queue", "Ask a server with the role edge: each has a queue of its own.");
        Problem::new(StatusCode::NOT_FOUND, "no-queue", title, "No mail comes in on this server.", remedy)
    })
}

fn queue_id(text: &str) -> Result<QueueId, Problem> {
    let id = text.parse::<OperationId>().map(QueueId);
    id.map_err(|_| Problem::malformed(format!("{text} is not the id of a message in the queue")))
}

fn unusable(error: QueueError) -> Problem {
    let (title, remedy) = ("The queue can't be used", "Look at the log, and at the disk that has the queue's folder.");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "queue-unusable", title, error.cause(), remedy)
}

fn view(listed: Listed) -> DeliveryView {
    DeliveryView {
        id: listed.id.to_string(),
        delivery: listed.delivery.0,
        sender: listed.sender,
        recipients: listed.recipients,
        destination: listed.destination,
        state: if listed.held { "held" } else { "waiting" },
        size_bytes: listed.size_bytes,
        origin: listed.origin,
        received: time(listed.received),
        expires: time(listed.expires),
        attempts: listed.attempts,
        next: time(listed.next),
        last: listed.last.map(time),
        last_host: listed.last_host,
        last_reply: listed.last_text,
    }
}
