//! `/api/v1/queue`: the messages that wait on the edges. The main node asks them all, the others tell of themselves.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::OperationId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_directory::{RequestError, Server};
use sterna_mailflow::queue::{Acted, Action, DeliveryId, Destination, Filter, Listed, NextHop, QueueId};

use super::doors::AdminState;
use super::edges::{self, Meant};
use super::input::{Asked, Body};
use super::problem::Problem;
use super::view::time;
use crate::node::questions::{Question, Rows};

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
    after: Option<String>,
    limit: Option<usize>,
    /// Only in the queue of this server; “all” is all edges, as is none on the main node.
    server: Option<String>,
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
    /// In whose queue it is.
    server: String,
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

/// A page of what waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "QueuePage")]
pub(super) struct QueuePage {
    items: Vec<DeliveryView>,
    /// The `after` of the following page; `None` when this is the last.
    next: Option<String>,
    /// Edges that did not answer: what waits there is not here.
    unreachable: Vec<String>,
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
    /// Only in the queue of this server; “all” is all edges, as is none on the main node.
    server: Option<String>,
    /// Do it with everything: without this, an empty filter is refused.
    #[serde(default)]
    all: bool,
}

/// How many deliveries it was done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "QueueActionDone")]
pub(super) struct ActionView {
    deliveries: u64,
    /// Edges that did not answer: there nothing was done, or it is not known.
    unreachable: Vec<String>,
    /// With so many more it was not done, because they are being tried at the moment: what becomes of the try is not
    /// known yet.
    under_way: u64,
}

/// Those that are meant, of one server after the other by their names, the oldest of each first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Asked(selection): Asked<Selection>,
) -> Result<Json<QueuePage>, Problem> {
    let limit = selection.limit.unwrap_or(PAGE_ITEMS_DEFAULT).clamp(1, PAGE_ITEMS_MAX - 1);
    let after = selection.after.as_deref().map(Cursor::read).transpose()?;
    let meant = edges::edges(&state, selection.server.as_deref()).await?;
    page(&state, meant, selection.filter()?, after, limit).await.map(Json)
}

/// One message: its deliveries.
pub(super) async fn get(
    State(state): State<AdminState>,
    Path(message): Path<String>,
) -> Result<Json<QueuePage>, Problem> {
    let filter = Filter { id: Some(queue_id(&message)?), ..Filter::default() };
    let found = page(&state, edges::edges(&state, None).await?, filter, None, PAGE_ITEMS_MAX - 1).await?;
    if found.items.is_empty() {
        return Err(match found.unreachable.as_slice() {
            [] => Problem::no_such("message in the queue", &message),
            silent => silent_edges(silent),
        });
    }
    Ok(Json(found))
}

/// Where a listing goes on: the server, and the row there.
#[derive(Clone, Debug)]
struct Cursor {
    server: String,
    delivery: DeliveryId,
}

impl Cursor {
    fn read(text: &str) -> Result<Self, Problem> {
        let parts = text.rsplit_once(':').and_then(|(server, row)| Some((server.to_owned(), row.parse().ok()?)));
        let (server, row) = parts.ok_or_else(|| Problem::malformed("“after” is the “next” of the page before"))?;
        Ok(Cursor { server, delivery: DeliveryId(row) })
    }
}

async fn page(
    state: &AdminState,
    mut meant: Meant,
    filter: Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<QueuePage, Problem> {
    if let Some(after) = &after {
        meant.asked.retain(|server| server.name >= after.server);
    }
    let question = |server: &Server| {
        let after = after.as_ref().filter(|after| after.server == server.name);
        let after = after.map_or(DeliveryId(0), |after| after.delivery);
        Question::Queue { filter: filter.clone(), after, limit: limit + 1 }
    };
    let told = meant.ask::<Rows<Listed>>(state, question).await?;
    let mut page = QueuePage { items: Vec::new(), next: None, unreachable: told.unreachable };
    let mut last = None;
    for (server, rows) in told.answers {
        let is_cut = rows.is_cut;
        for listed in rows.items {
            if page.items.len() == limit {
                page.next = last;
                return Ok(page);
            }
            last = Some(format!("{server}:{}", listed.delivery.0));
            page.items.push(view(server.clone(), listed));
        }
        if is_cut {
            page.next = last;
            return Ok(page);
        }
    }
    Ok(page)
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
    let meant = edges::edges(&state, input.server.as_deref()).await?;
    let question = |_: &Server| Question::QueueAction { filter: filter.clone(), action: action.clone() };
    let told = meant.ask::<Acted>(&state, question).await?;
    let deliveries = told.answers.iter().map(|(_, acted)| acted.deliveries).sum();
    let under_way = told.answers.iter().map(|(_, acted)| acted.under_way).sum();
    if deliveries == 0 && under_way > 0 && told.unreachable.is_empty() {
        return Err(being_tried(under_way));
    }
    Ok(Json(ActionView { deliveries, unreachable: told.unreachable, under_way }))
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
    let invalid = || {
        let reason = format!("{to} is not HOST, HOST:PORT or mx:DOMAIN");
        Problem::from(RequestError::Invalid { field: "to", reason })
    };
    match to.strip_prefix("mx:") {
        Some(domain) => format!("domain:{}", domain.to_lowercase()).parse().map_err(|_| invalid()),
        None => to.parse::<NextHop>().map(Destination::Host).map_err(|_| invalid()),
    }
}

fn queue_id(text: &str) -> Result<QueueId, Problem> {
    let id = text.parse::<OperationId>().map(QueueId);
    id.map_err(|_| Problem::malformed(format!("{text} is not the id of a message in the queue")))
}

fn silent_edges(names: &[String]) -> Problem {
    let (title, remedy) = ("A server doesn't answer", "Look there, or try again when it is back (sterna status).");
    let detail = format!("it may be in the queue of {}, which did not answer", names.join(", "));
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "server-unreachable", title, detail, remedy)
}

fn being_tried(count: u64) -> Problem {
    let title = "It is being tried at the moment";
    let cause = format!(
        "{count} deliveries are under way: another server has them in hands, and has not said yet whether it takes them. \
         Done now, they could arrive twice."
    );
    let remedy = "Hold them (`sterna queue hold`), so that they are not tried again, and do it when the try has ended: \
                  `sterna queue show` has its reply then. Servers that keep silent are given up after ten minutes.";
    Problem::new(StatusCode::CONFLICT, "being-tried", title, cause, remedy)
}

fn view(server: String, listed: Listed) -> DeliveryView {
    DeliveryView {
        server,
        id: listed.id.to_string(),
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
