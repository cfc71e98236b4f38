//! Accepting connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{ACCEPT_RETRY_WAIT, BUSY_TIMEOUT, SHUTDOWN_GRACE};
use super::peers::Peers;
use super::prompt::PromptTcp;
use super::{Connection, ListenerConfig, Protocol, Tls};

/// A port that a protocol is served on.
pub struct Listener {
    socket: TcpListener,
    config: ListenerConfig,
    protocol: Arc<dyn Protocol>,
}

impl Listener {
    /// Takes the port; connections wait in the system's queue until [`Listener::run`].
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn bind(
        address: SocketAddr,
        config: ListenerConfig,
        protocol: Arc<dyn Protocol>,
    ) -> std::io::Result<Self> {
        Ok(Self::on(TcpListener::bind(address).await?, config, protocol))
    }

    /// On a port that was taken before.
    pub fn on(socket: TcpListener, config: ListenerConfig, protocol: Arc<dyn Protocol>) -> Self {
        Listener { socket, config, protocol }
    }

    /// The address it listens on: with port 0 asked for, the one that was given.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until the token is cancelled; then accepts nothing more, and returns when the sessions have ended or
    /// their time ([`SHUTDOWN_GRACE`]) is over.
    pub async fn run(self, shutdown: CancellationToken) {
        let Listener { socket, config, protocol } = self;
        let peers = Peers::new(config.limits.clone());
        let (sessions, cut_off) = (TaskTracker::new(), CancellationToken::new());
        let _cut_off_at_the_end = cut_off.clone().drop_guard();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok((stream, address)) => (stream, address.ip()),
                Err(error) => {
                    tracing::warn!(protocol = protocol.name(), %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                    continue;
                }
            };
            let session = session(stream, peer, &config, &protocol, &peers, &shutdown);
            let cut_off = cut_off.clone();
            sessions.spawn(async move { cut_off.run_until_cancelled(session).await });
        }
        drop(socket);
        sessions.close();
        if tokio::time::timeout(SHUTDOWN_GRACE, sessions.wait()).await.is_err() {
            tracing::info!(protocol = protocol.name(), sessions = sessions.len(), "sessions were cut off");
        }
    }
}

/// One connection from accepting to its end.
fn session(
    stream: TcpStream,
    peer: IpAddr,
    config: &ListenerConfig,
    protocol: &Arc<dyn Protocol>,
    peers: &Arc<Peers>,
    shutdown: &CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let (permit, protocol, shutdown) = (peers.enter(peer), protocol.clone(), shutdown.clone());
    let clients = config.client_certificates.clone();
    let (tls, implicit) = match &config.tls {
        Tls::None => (None, false),
        Tls::StartTls(tls) => (Some(tls.clone()), false),
        Tls::Implicit(tls) => (Some(tls.clone()), true),
    };
    async move {
        let name = protocol.name();
        // Replies are written whole; waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(protocol = name, %peer, %error, "the connection was gone before it began");
            return;
        }
        let Some(permit) = permit else {
            tracing::info!(protocol = name, %peer, "refused: too many connections");
            if !implicit {
                tell_busy(stream, &protocol.busy()).await;
            }
            return;
        };
        let mut connection = Connection::new(PromptTcp::new(stream), peer, tls)
            .with_shutdown(shutdown)
            .with_permit(permit)
            .with_client_certificates(clients);
        if implicit && let Err(error) = connection.start_tls().await {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::info!(protocol = name, %peer, %error, cause, "no TLS");
            return;
        }
        protocol.serve(connection).await;
    }
}

/// A client that hears nothing comes back at once; one that is told waits.
async fn tell_busy(mut stream: TcpStream, words: &str) {
    let tell = async {
        stream.write_all(words.as_bytes()).await?;
        stream.shutdown().await
    };
    // It may be gone or not listening; there is nothing to be done about that.
    let _ = tokio::time::timeout(BUSY_TIMEOUT, tell).await;
}
