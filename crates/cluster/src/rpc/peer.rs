//! One peer: one HTTP/2 connection, made on demand and kept, made again when it breaks.
//!
//! While a peer is down its calls fail at once; a task of its own probes it with growing pauses, so that no user's call
//! is spent on finding out, and one dead node never slows the others.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sterna_base::{Clock, Epoch, NodeId};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::body::{BodyError, Payload, whole};
use super::fault::{CallError, Fault, FaultKind};
use super::wire::{self, EPOCH_HEADER, RELEASE, RELEASE_HEADER, URGENT_HEADER};
use crate::identity::Identity;
use crate::limits::{
    CALL_BODY_BYTES_MAX, CALL_TIMEOUT_MS, CALLS_PER_PEER_MAX, CONNECT_TIMEOUT_MS, CONNECTION_WINDOW_BYTES,
    CONTROL_BODY_BYTES_MAX, FRAME_BYTES_MAX, HEADER_BYTES_MAX, PING_INTERVAL_MS, PING_TIMEOUT_MS, RECONNECT_MAX_MS,
    RECONNECT_MIN_MS, STREAM_WINDOW_BYTES,
};
use crate::nodes::{NodeEntry, Nodes};
use crate::tls;
use crate::tls_note::NotedStream;

/// What all peers of a node share.
pub(crate) struct PeerContext {
    pub identity: Arc<Identity>,
    pub nodes: Arc<dyn Nodes>,
    pub clock: Arc<dyn Clock>,
}

impl PeerContext {
    /// The directory's entry, or what this node was told when it joined, while its directory copy is still empty.
    fn entry(&self, node: NodeId) -> Option<NodeEntry> {
        self.nodes.node(node).or_else(|| {
            let facts = self.identity.facts();
            (facts.main == node).then(|| NodeEntry {
                id: node,
                name: "main".to_owned(),
                address: facts.main_address.clone(),
                is_data: false,
                is_edge: false,
            })
        })
    }
}

/// The state of the connection.
#[derive(Clone)]
enum Link {
    /// Nobody asked for it yet.
    Idle,
    /// Being made; callers wait.
    Connecting,
    /// There.
    Up(SendRequest<Payload>),
    /// The last attempt failed so; callers fail at once.
    Down(Arc<str>),
}

/// A request to a peer.
pub struct Call {
    /// How.
    pub method: Method,
    /// What.
    pub path: String,
    /// Under which placement, for account calls.
    pub epoch: Option<Epoch>,
    /// The body's media type.
    pub content_type: HeaderValue,
    /// How long the whole answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// The longest answer taken, in bytes.
    pub answer_bytes_max: usize,
    /// Whether something waits for a copy's question, which is not to be slowed then.
    pub is_urgent: bool,
}

impl Call {
    /// An account call.
    pub fn account(path: String, epoch: Epoch) -> Self {
        Call {
            method: Method::POST,
            path,
            epoch: Some(epoch),
            content_type: wire::MESSAGE_PACK,
            timeout_ms: CALL_TIMEOUT_MS,
            answer_bytes_max: CALL_BODY_BYTES_MAX,
            is_urgent: false,
        }
    }

    /// A control call.
    pub fn control(method: Method, path: &str) -> Self {
        Call {
            method,
            path: path.to_owned(),
            epoch: None,
            content_type: wire::JSON,
            timeout_ms: CALL_TIMEOUT_MS,
            answer_bytes_max: CONTROL_BODY_BYTES_MAX,
            is_urgent: false,
        }
    }

    /// A copy's question to the account that it follows.
    pub fn copy(path: String) -> Self {
        Call {
            method: Method::POST,
            path,
            epoch: None,
            content_type: wire::MESSAGE_PACK,
            timeout_ms: CALL_TIMEOUT_MS,
            answer_bytes_max: CALL_BODY_BYTES_MAX,
            is_urgent: false,
        }
    }

    fn request(&self, body: Payload) -> Result<Request<Payload>, http::Error> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("https://node{}", self.path))
            .header(RELEASE_HEADER, RELEASE)
            .header(http::header::CONTENT_TYPE, self.content_type.clone());
        if let Some(epoch) = self.epoch {
            request = request.header(EPOCH_HEADER, epoch.0);
        }
        if self.is_urgent {
            request = request.header(URGENT_HEADER, "1");
        }
        request.body(body)
    }
}

/// One peer of this node.
pub struct Peer {
    node: NodeId,
    context: Arc<PeerContext>,
    link: watch::Sender<Link>,
    calls: Semaphore,
}

impl Peer {
    pub(crate) fn new(node: NodeId, context: Arc<PeerContext>) -> Arc<Self> {
        let calls = Semaphore::new(CALLS_PER_PEER_MAX);
        Arc::new(Peer { node, context, link: watch::Sender::new(Link::Idle), calls })
    }

    /// Who it is.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Its display name, for errors and logs.
    pub fn name(&self) -> String {
        self.context.entry(self.node).map_or_else(|| self.node.to_string(), |entry| entry.name)
    }

    /// Whether the last attempt to reach it failed, so that calls fail at once.
    pub fn is_down(&self) -> bool {
        matches!(&*self.link.borrow(), Link::Down(_))
    }

    /// Waits until there is a connection; asks for one if need be.
    pub async fn wait_up(self: &Arc<Self>) {
        self.start();
        let mut link = self.link.subscribe();
        let _ = link.wait_for(|link| matches!(link, Link::Up(sender) if !sender.is_closed())).await;
    }

    /// Makes a call whose answer fits in memory.
    ///
    /// # Errors
    /// [`CallError`]; nothing is repeated here.
    pub async fn call(self: &Arc<Self>, call: &Call, body: Bytes) -> Result<Bytes, CallError> {
        let answered = async {
            let _permit = self.calls.acquire().await.map_err(|_| self.down("the pool is closed"))?;
            let answer = self.send(call, body.into()).await?;
            self.take(answer, call.answer_bytes_max).await
        };
        let limit = Duration::from_millis(call.timeout_ms);
        timeout(limit, answered)
            .await
            .unwrap_or_else(|_| Err(CallError::TimedOut { node: self.name(), timeout_ms: call.timeout_ms }))
    }

    /// Starts a call whose body or answer is a stream; the answer's head has arrived when this returns.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn open(self: &Arc<Self>, call: &Call, body: Payload) -> Result<Response<Incoming>, CallError> {
        let answer = self.send(call, body).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refused(answer).await) }
    }

    /// Takes in an answer's body, or the fault that it is.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn take(&self, answer: Response<Incoming>, bytes_max: usize) -> Result<Bytes, CallError> {
        if !answer.status().is_success() {
            return Err(self.refused(answer).await);
        }
        whole(answer.into_body(), bytes_max).await.map_err(|error| self.broken(error))
    }

    async fn refused(&self, answer: Response<Incoming>) -> CallError {
        let status = answer.status();
        match whole(answer.into_body(), CONTROL_BODY_BYTES_MAX).await {
            Err(error) => self.broken(error),
            Ok(bytes) => {
                let fault = wire::from_json::<Fault>(&bytes)
                    .unwrap_or_else(|_| Fault::from(FaultKind::Other(format!("HTTP status {status}"))));
                CallError::Refused { node: self.name(), fault }
            }
        }
    }

    fn broken(&self, error: BodyError) -> CallError {
        match error {
            BodyError::Broken(error) => CallError::Lost { node: self.name(), cause: with_cause(&error) },
            error => self.malformed(&error),
        }
    }

    fn down(&self, cause: &str) -> CallError {
        CallError::Down { node: self.name(), cause: cause.to_owned() }
    }

    async fn send(self: &Arc<Self>, call: &Call, body: Payload) -> Result<Response<Incoming>, CallError> {
        let request = call.request(body).map_err(|error| self.malformed(&error))?;
        let mut sender = self.sender().await?;
        let lost = |error: hyper::Error| CallError::Lost { node: self.name(), cause: with_cause(&error) };
        sender.send_request(request).await.map_err(lost)
    }

    /// The connection, waiting for it while it is being made, for at most twice the time that one attempt may take.
    async fn sender(self: &Arc<Self>) -> Result<SendRequest<Payload>, CallError> {
        if let Link::Up(sender) = &*self.link.borrow()
            && !sender.is_closed()
        {
            return Ok(sender.clone());
        }
        self.start();
        let mut link = self.link.subscribe();
        let settled = link.wait_for(|link| match link {
            Link::Up(sender) => !sender.is_closed(),
            Link::Down(_) => true,
            Link::Idle | Link::Connecting => false,
        });
        match timeout(Duration::from_millis(2 * CONNECT_TIMEOUT_MS), settled).await {
            Err(_) => Err(self.down("no connection in time")),
            Ok(Err(_)) => Err(self.down("the pool is closed")),
            Ok(Ok(link)) => match &*link {
                Link::Up(sender) => Ok(sender.clone()),
                Link::Down(cause) => Err(self.down(cause)),
                Link::Idle | Link::Connecting => Err(self.down("no connection")),
            },
        }
    }

    /// Starts the task that keeps the connection, if it isn't running.
    fn start(self: &Arc<Self>) {
        let first = self.link.send_if_modified(|link| {
            let idle = matches!(link, Link::Idle);
            if idle {
                *link = Link::Connecting;
            }
            idle
        });
        if first {
            tokio::spawn(keep(Arc::downgrade(self)));
        }
    }

    async fn connect(&self) -> Result<Connected, String> {
        let limit = Duration::from_millis(CONNECT_TIMEOUT_MS);
        let attempt = timeout(limit, self.handshake()).await;
        attempt.unwrap_or_else(|_| Err(format!("no answer within {CONNECT_TIMEOUT_MS} ms")))
    }

    async fn handshake(&self) -> Result<Connected, String> {
        let entry = self.context.entry(self.node).ok_or("it is not in the directory")?;
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", entry.address);
        let tcp = TcpStream::connect(&entry.address).await.map_err(|error| at(&error))?;
        tcp.set_nodelay(true).map_err(|error| at(&error))?;
        let config = tls::client_config(&self.context.identity, self.node, self.context.clock.clone())
            .map_err(|error| at(&error))?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(tls::unused_server_name(), tcp)
            .await
            .map_err(|error| at(&tls::explain_io(&error)))?;
        let (stream, note) = NotedStream::new(stream);
        let noted = |error: hyper::Error| at(&note.take().unwrap_or_else(|| with_cause(&error)));
        let (mut sender, connection) = builder().handshake(TokioIo::new(stream)).await.map_err(noted)?;
        let task = tokio::spawn(connection);
        // With TLS 1.3 the peer judges our certificate after our side of the handshake is done: only an answer tells.
        let ping = Call::control(Method::GET, "/v1/ping").request(Payload::empty()).map_err(|error| at(&error))?;
        let answer = sender.send_request(ping).await.map_err(noted)?;
        if !answer.status().is_success() {
            // With an expired certificate the connection is good for one call only, the one that renews it.
            match self.refused(answer).await {
                CallError::Refused { fault: Fault { kind: FaultKind::Expired, .. }, .. } => {}
                error => return Err(at(&error)),
            }
        }
        Ok(Connected { sender, task })
    }
}

struct Connected {
    sender: SendRequest<Payload>,
    task: JoinHandle<hyper::Result<()>>,
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_millis(PING_INTERVAL_MS))
        .keep_alive_timeout(Duration::from_millis(PING_TIMEOUT_MS))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX);
    builder
}

/// Keeps the connection of a peer until nobody has the peer any more.
async fn keep(weak: Weak<Peer>) {
    let mut pause_ms = RECONNECT_MIN_MS;
    loop {
        let Some(peer) = weak.upgrade() else { return };
        let name = peer.name();
        match peer.connect().await {
            Ok(connected) => {
                tracing::debug!(peer = %name, "connected");
                peer.link.send_replace(Link::Up(connected.sender));
                drop(peer);
                let since = Instant::now();
                let ended = connected.task.await;
                let Some(peer) = weak.upgrade() else { return };
                let silent = matches!(&ended, Ok(Err(error)) if error.is_timeout());
                tracing::debug!(peer = %name, silent, "the connection ended");
                // A peer that went silent is down until it answers; one that hung up may just be starting again.
                peer.link.send_replace(if silent {
                    Link::Down("it stopped answering".into())
                } else {
                    Link::Connecting
                });
                if since.elapsed() > Duration::from_millis(RECONNECT_MAX_MS) {
                    pause_ms = RECONNECT_MIN_MS;
                    continue;
                }
            }
            Err(cause) => {
                let news = !matches!(&*peer.link.borrow(), Link::Down(before) if **before == cause);
                if news {
                    tracing::warn!(peer = %name, %cause, "the node can't be reached");
                }
                peer.link.send_replace(Link::Down(cause.into()));
            }
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(RECONNECT_MAX_MS);
    }
}

/// An error with its chain in one line.
pub(crate) fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
