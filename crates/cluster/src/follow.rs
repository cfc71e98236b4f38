//! Following the directory's log: the main node answers "what changed since n", every other node asks, applies, and
//! asks again. Rows and cursors are opaque here; only the directory reads them. A node that can't reach the main node
//! keeps its copy and says how old it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sterna_base::{Clock, Timestamp, failpoint};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::limits::{
    CALL_TIMEOUT_MS, LOG_PAGE_BYTES_MAX, LOG_PAGE_ROWS_MAX, LOG_POLL_MS, NEIGHBOUR_TIMEOUT_MS, NEIGHBOURS_ASKED_MAX,
    RECONNECT_MAX_MS, RECONNECT_MIN_MS,
};
use crate::rpc::fault::{CallError, FaultKind};
use crate::rpc::peer::{Call, Peer};
use crate::rpc::peers::Peers;

/// The directory, or a copy of it, as its followers see it.
#[async_trait]
pub trait DirectoryLog: Send + Sync {
    /// One page of rows after the cursor, at most `limit` of them, as the directory writes it.
    ///
    /// # Errors
    /// What the follower's operator is told.
    async fn changes(&self, after: Value, limit: usize) -> Result<Value, String>;

    /// Whether this is the main node's directory and no copy of it.
    fn is_main(&self) -> bool;

    /// The directory's modseq as it grows.
    fn watch(&self) -> watch::Receiver<u64>;
}

/// A copy of the directory that takes pages in.
#[async_trait]
pub trait LogFollower: Send + Sync {
    /// The cursor to ask on from, and the modseq up to which the copy is complete.
    ///
    /// # Errors
    /// Why the copy can't be read.
    async fn position(&self) -> Result<(Value, u64), String>;

    /// Takes in one page, durably, and says whether the copy now has all that the main node had.
    ///
    /// # Errors
    /// [`ApplyFailed`]; nothing of the page was taken in then.
    async fn apply(&self, page: Value) -> Result<bool, ApplyFailed>;

    /// Empties the copy, to be filled from the start.
    ///
    /// # Errors
    /// Why it can't be.
    async fn start_again(&self) -> Result<(), String>;
}

/// Why a page was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ApplyFailed {
    /// For the operator.
    pub text: String,
    /// Whether the copy has another history than the main node and must be filled again from the start.
    pub diverged: bool,
}

/// A follower's question.
#[derive(Serialize, Deserialize)]
pub struct LogQuery {
    /// After which cursor.
    pub after: Value,
    /// The modseq that the follower has: the answer may wait until there is more.
    #[serde(default)]
    pub known: u64,
    /// How long it may wait, in milliseconds; cut to [`LOG_POLL_MS`].
    #[serde(default)]
    pub wait_ms: u64,
    /// Most rows; cut to [`LOG_PAGE_ROWS_MAX`].
    pub limit: usize,
}

/// The answer to a [`LogQuery`].
#[derive(Serialize, Deserialize)]
pub struct LogPage {
    /// The directory's modseq.
    pub head: u64,
    /// What the directory wrote; `None` when nothing came while it was waited for.
    pub page: Option<Value>,
    /// Whether the main node says so. Who is asked as the main node may be about to become it, or be it no longer, and
    /// have less than who asks. Versions that don't say never hand the role over.
    #[serde(default = "yes")]
    pub is_main: bool,
}

fn yes() -> bool {
    true
}

/// The side of who is asked.
pub(crate) async fn answer(log: &dyn DirectoryLog, query: &LogQuery) -> Result<LogPage, FaultKind> {
    let mut head = log.watch();
    let wait = Duration::from_millis(query.wait_ms.min(LOG_POLL_MS));
    // A head that is smaller than what the follower has is news too: the main node was restored from an older backup.
    let news = timeout(wait, head.wait_for(|head| *head != query.known)).await.is_ok();
    let head = *head.borrow();
    if !news && head == query.known && query.wait_ms > 0 {
        return Ok(LogPage { head, page: None, is_main: log.is_main() });
    }
    let limit = query.limit.clamp(1, LOG_PAGE_ROWS_MAX);
    let page = log.changes(query.after.clone(), limit).await.map_err(FaultKind::Unavailable)?;
    Ok(LogPage { head, page: Some(page), is_main: log.is_main() })
}

/// How far a follower is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowStatus {
    /// The modseq up to which the copy is complete.
    pub modseq: u64,
    /// The main node's modseq when it last answered; the difference is the lag.
    pub head: u64,
    /// When the copy was last known to be complete.
    pub complete_at: Option<Timestamp>,
    /// What the last attempt met, if it failed.
    pub error: Option<String>,
}

/// Follows the main node's directory.
pub struct Follower {
    peers: Arc<Peers>,
    copy: Arc<dyn LogFollower>,
    clock: Arc<dyn Clock>,
    status: watch::Sender<FollowStatus>,
}

impl Follower {
    /// A follower that fills `copy`.
    pub fn new(peers: Arc<Peers>, copy: Arc<dyn LogFollower>, clock: Arc<dyn Clock>) -> Self {
        Follower { peers, copy, clock, status: watch::Sender::default() }
    }

    /// How far it is.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        self.status.subscribe()
    }

    /// Follows until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&self) {
        let mut pause_ms = RECONNECT_MIN_MS;
        let (mut complete, mut turn) = (false, 0);
        loop {
            match self.step(complete).await {
                Ok(at_head) => {
                    complete = at_head;
                    pause_ms = RECONNECT_MIN_MS;
                }
                Err(error) => {
                    self.report(&error);
                    self.ask_neighbours(turn).await;
                    turn = turn.wrapping_add(NEIGHBOURS_ASKED_MAX);
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    pause_ms = (pause_ms * 2).min(RECONNECT_MAX_MS);
                }
            }
        }
    }

    /// Asks once, waiting for news when the copy is complete; says whether it is complete afterwards.
    async fn step(&self, complete: bool) -> Result<bool, String> {
        let (after, known) = self.copy.position().await?;
        let wait_ms = if complete { LOG_POLL_MS } else { 0 };
        let query = LogQuery { after, known, wait_ms, limit: LOG_PAGE_ROWS_MAX };
        let answer = ask(&self.peers.main(), &query, wait_ms + CALL_TIMEOUT_MS).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let at_head = match answer.page {
            None => true,
            Some(page) => match self.copy.apply(page).await {
                Ok(at_head) => at_head,
                Err(failed) if failed.diverged && answer.is_main => {
                    tracing::error!(error = %failed, "the directory copy is filled again from the start");
                    self.copy.start_again().await?;
                    false
                }
                Err(failed) => return Err(failed.text),
            },
        };
        failpoint::reached("directory-followed");
        let (_, modseq) = self.copy.position().await?;
        self.status.send_modify(|status| {
            if status.error.take().is_some() {
                tracing::info!(modseq, "following the directory again");
            }
            (status.modseq, status.head) = (modseq, answer.head);
            if at_head {
                status.complete_at = Some(self.clock.now());
            }
        });
        Ok(at_head)
    }

    /// Takes what some data servers have heard of the main node since it can't be reached from here. Without that, an
    /// account that a main node places anew on a server that it alone doesn't reach is served by nobody.
    async fn ask_neighbours(&self, turn: usize) {
        let neighbours = self.peers.data_nodes();
        let count = neighbours.len().min(NEIGHBOURS_ASKED_MAX);
        for node in neighbours.iter().cycle().skip(turn % neighbours.len().max(1)).take(count) {
            let peer = self.peers.peer(*node);
            loop {
                match self.ask_neighbour(&peer).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::debug!(neighbour = peer.name(), error, "it can't say what the main node said last");
                        break;
                    }
                }
            }
        }
    }

    /// Asks once, and says whether there is more to be asked. Only the main node's word empties a copy: a neighbour
    /// that is behind, or has another history, has nothing to say.
    async fn ask_neighbour(&self, peer: &Arc<Peer>) -> Result<bool, String> {
        let (after, known) = self.copy.position().await?;
        let query = LogQuery { after, known, wait_ms: 0, limit: LOG_PAGE_ROWS_MAX };
        let answer = ask(peer, &query, NEIGHBOUR_TIMEOUT_MS).await.map_err(|error| error.to_string())?;
        let Some(page) = answer.page.filter(|_| answer.head > known) else { return Ok(false) };
        let at_head = self.copy.apply(page).await.map_err(|failed| failed.text)?;
        let (_, modseq) = self.copy.position().await?;
        self.status.send_modify(|status| status.modseq = modseq);
        if at_head {
            tracing::info!(neighbour = peer.name(), modseq, "a neighbour knew more of the directory");
        }
        Ok(!at_head)
    }

    fn report(&self, error: &str) {
        self.status.send_modify(|status| {
            if status.error.as_deref() != Some(error) {
                tracing::warn!(error, "the directory can't be followed; its last copy stays in use");
            }
            status.error = Some(error.to_owned());
        });
    }
}

async fn ask(peer: &Arc<Peer>, query: &LogQuery, timeout_ms: u64) -> Result<LogPage, CallError> {
    let call = Call {
        timeout_ms,
        answer_bytes_max: LOG_PAGE_BYTES_MAX,
        ..Call::control(Method::POST, "/v1/directory/changes")
    };
    peer.ask(&call, query).await
}
