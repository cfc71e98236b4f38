//! The cluster listener of a node.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sterna_base::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accounts::AccountsService;
use super::control::NodeControl;
use super::routes::Caller;
use crate::copies::{CopySource, Keeper, LeaseDesk};
use crate::follow::DirectoryLog;
use crate::identity::Identity;
use crate::join::JoinDesk;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, CONNECTIONS_MAX, FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT_MS, HEADER_BYTES_MAX,
    PING_INTERVAL_MS, PING_TIMEOUT_MS, SHUTDOWN_GRACE_MS, STRANGER_CONNECTION_MS, STRANGERS_MAX, STREAM_WINDOW_BYTES,
    STREAMS_PER_CONNECTION_MAX,
};
use crate::nodes::Nodes;
use crate::peer_name::PeerName;
use crate::tls;

/// What a node serves to the others. A part that is missing is answered with "this node doesn't serve that".
pub struct Services {
    /// Who belongs to the installation.
    pub nodes: Arc<dyn Nodes>,
    /// Data nodes: their accounts.
    pub accounts: Option<Arc<AccountsService>>,
    /// Data nodes: pages of their accounts for those who hold copies.
    pub source: Option<Arc<CopySource>>,
    /// Data nodes: their own copies.
    pub copies: Option<Arc<Keeper>>,
    /// The main node and data nodes: leases for those whose accounts could be taken over.
    pub leases: Option<Arc<LeaseDesk>>,
    /// What the main node may ask.
    pub control: Option<Arc<dyn NodeControl>>,
    /// The main node: its directory's log. Data nodes: that of their copy, for those who can't reach the main node.
    pub directory: Option<Arc<dyn DirectoryLog>>,
    /// The main node: joining and renewal.
    pub joining: Option<Arc<JoinDesk>>,
}

/// Why the listener could not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The TLS settings were refused.
    #[error("the TLS settings were refused")]
    Tls(#[from] rustls::Error),
}

/// A node's listener. Dropped, it stops accepting and cuts what is under way; [`ClusterNode::shutdown`] lets calls end.
pub struct ClusterNode {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Listening {
    services: Arc<Services>,
    identity: Arc<Identity>,
    acceptor: TlsAcceptor,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
    strangers: Semaphore,
}

impl ClusterNode {
    /// Listens on `address` (port 0: any free one) and serves until it is shut down or dropped.
    ///
    /// # Errors
    /// [`BindError`]
    pub async fn bind(
        address: SocketAddr,
        identity: Arc<Identity>,
        services: Services,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BindError> {
        let listener = TcpListener::bind(address).await.map_err(|cause| BindError::Listen { address, cause })?;
        Self::on(listener, identity, services, clock)
    }

    /// The same on a port that was taken before.
    ///
    /// # Errors
    /// [`BindError`]
    pub fn on(
        listener: TcpListener,
        identity: Arc<Identity>,
        services: Services,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BindError> {
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = listener.local_addr().map_err(|cause| BindError::Listen { address, cause })?;
        let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(&identity, clock.clone())?));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listening = Listening {
            services: Arc::new(services),
            identity,
            acceptor,
            clock,
            stop: stop.clone(),
            tasks: tasks.clone(),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            strangers: Semaphore::new(STRANGERS_MAX),
        };
        tasks.spawn(accept(listener, Arc::new(listening)));
        Ok(ClusterNode { address, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets calls that are under way end for [`SHUTDOWN_GRACE_MS`], and returns.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = timeout(Duration::from_millis(SHUTDOWN_GRACE_MS), self.tasks.wait()).await;
    }
}

impl Drop for ClusterNode {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, listening: Arc<Listening>) {
    loop {
        let place = tokio::select! {
            () = listening.stop.cancelled() => return,
            place = listening.places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = listening.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, address)) => {
                let serving = listening.clone();
                listening.tasks.spawn(async move {
                    let _place = place;
                    serve(tcp, address, serving).await;
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: it passes when other connections end.
                tracing::warn!(%error, "the cluster listener could not accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(tcp: TcpStream, address: SocketAddr, listening: Arc<Listening>) {
    let _ = tcp.set_nodelay(true);
    let handshake = timeout(Duration::from_millis(HANDSHAKE_TIMEOUT_MS), listening.acceptor.accept(tcp));
    let stream = tokio::select! {
        () = listening.stop.cancelled() => return,
        done = handshake => match done {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let cause = tls::explain_io(&error);
                return tracing::warn!(%address, %cause, "a connection to the cluster listener was refused");
            }
            Err(_) => return tracing::warn!(%address, "a TLS handshake took too long"),
        },
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|chain| chain.first());
    let name = certificate.and_then(|certificate| PeerName::of_certificate(certificate).ok());
    let expired = certificate.is_some_and(|certificate| tls::is_expired(certificate, listening.clock.now()));
    let stranger = match name {
        Some(_) => None,
        None => match listening.strangers.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => return tracing::warn!(%address, "too many connections without a certificate"),
        },
    };
    let caller = Arc::new(Caller {
        services: listening.services.clone(),
        identity: listening.identity.clone(),
        name,
        expired,
        address,
        stop: listening.stop.clone(),
    });
    let service = service_fn(move |request| {
        let caller = caller.clone();
        async move { Ok::<_, Infallible>(caller.answer(request).await) }
    });
    let connection = builder().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tokio::time::sleep(Duration::from_millis(STRANGER_CONNECTION_MS)), if stranger.is_some() => return,
        () = listening.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match timeout(Duration::from_millis(SHUTDOWN_GRACE_MS), connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection between nodes ended");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_millis(PING_INTERVAL_MS))
        .keep_alive_timeout(Duration::from_millis(PING_TIMEOUT_MS))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .auto_date_header(false);
    builder
}
