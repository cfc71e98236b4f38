//! What every protocol's connections have in common: accepting, TLS, limits, the end of the node.
//!
//! A [`Listener`] accepts connections for one [`Protocol`] and hands each over as a [`Connection`], which is read and
//! written like a socket and can be encrypted later on. It knows nothing of what is said on it.

mod accept;
pub mod clients;
mod connection;
mod peers;
mod prompt;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use sterna_base::session_limits::LiveSessionLimits;

pub use accept::Listener;
pub use clients::{ClientCertificateError, ClientCertificates, ClientTrust};
pub use connection::{Connection, HandshakeError, Stream};

/// The protocol of handshakes in which a certificate authority looks whether a name is ours (RFC 8737 section 3).
/// Nothing is said on such a connection: the handshake is all.
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// A protocol that serves connections.
#[async_trait]
pub trait Protocol: Send + Sync + 'static {
    /// For log lines: "imap", "lmtp".
    fn name(&self) -> &'static str;

    /// What a client is told when there are too many connections already, in the protocol's words, with its line
    /// ending.
    fn busy(&self) -> String;

    /// Serves a connection until it ends. When [`Connection::shutdown`] says that the node ends, a session should
    /// finish what it is doing, say good-bye and return; after [`limits::SHUTDOWN_GRACE`] it is dropped where it
    /// stands.
    async fn serve(&self, connection: Connection);
}

/// Settings of a listener.
#[derive(Clone)]
pub struct ListenerConfig {
    /// Whether and when connections are encrypted.
    pub tls: Tls,
    /// How many connections there may be at the same time, and from one address (of IPv6: from one /64 network).
    /// Loopback is free of the latter: proxies and webmail are there.
    pub limits: Arc<LiveSessionLimits>,
    /// What certificates of clients are worth; `None` where nobody asks for them.
    pub client_certificates: Option<Arc<ClientCertificates>>,
}

impl ListenerConfig {
    /// The usual limits.
    pub fn new(tls: Tls) -> Self {
        ListenerConfig { tls, limits: Arc::default(), client_certificates: None }
    }
}

/// Encryption of a listener's connections.
#[derive(Clone)]
pub enum Tls {
    /// None: loopback and private sockets.
    None,
    /// When the client asks for it.
    StartTls(Arc<rustls::ServerConfig>),
    /// From the first byte.
    Implicit(Arc<rustls::ServerConfig>),
}

/// Limits of listeners.
pub mod limits {
    use std::time::Duration;

    /// For a TLS handshake.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);

    /// How long sessions may go on once the node ends.
    pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

    /// How long accepting waits after the system refused it (no file descriptors left): it would fail again at once.
    pub const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(100);

    /// For telling a client that there are too many.
    pub const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
}
