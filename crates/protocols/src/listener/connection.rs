//! One connection, encrypted or not.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::ACME_TLS;
use super::clients::ClientCertificates;
use super::limits::HANDSHAKE_TIMEOUT;
use super::peers::PeerPermit;

/// What bytes come from and go to.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// Why a connection could not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client took too long.
    #[error("the TLS handshake took too long")]
    Timeout,
    /// The client and the server did not agree, or the connection broke.
    #[error("the TLS handshake failed")]
    Failed(#[source] io::Error),
    /// It was a certificate authority that looked at the certificate (RFC 8737): there is nothing more to say.
    #[error("a certificate authority has looked whether the name is ours")]
    Looked,
    /// TLS is not set up, or on already.
    #[error("TLS can't be started")]
    NotOffered,
}

/// A client's connection. Reads and writes like a socket; buffering is the session's matter.
pub struct Connection {
    /// Given back when the connection is dropped; the first field, so that the place is free before the client sees
    /// the end.
    _permit: Option<PeerPermit>,
    stream: Box<dyn Stream>,
    peer: IpAddr,
    encrypted: bool,
    tls_exporter: Option<[u8; 32]>,
    client_certificates: Option<Arc<ClientCertificates>>,
    client_addresses: Box<[String]>,
    start_tls: Option<Arc<rustls::ServerConfig>>,
    /// The end of the node, and of this connection alone.
    node_end: CancellationToken,
    shutdown: CancellationToken,
}

impl Connection {
    /// A plain connection; with a configuration when it can be encrypted later.
    pub fn new(stream: impl Stream + 'static, peer: IpAddr, start_tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let (stream, node_end) = (Box::new(stream), CancellationToken::new());
        Connection {
            _permit: None,
            stream,
            peer: peer.to_canonical(),
            encrypted: false,
            tls_exporter: None,
            client_certificates: None,
            client_addresses: Box::default(),
            start_tls,
            shutdown: node_end.child_token(),
            node_end,
        }
    }

    /// With the token that is cancelled when the node ends.
    pub fn with_shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown.child_token();
        self.node_end = shutdown;
        self
    }

    /// With what says what a certificate of the client is worth; the configuration of TLS must ask for it.
    pub fn with_client_certificates(mut self, certificates: Option<Arc<ClientCertificates>>) -> Self {
        self.client_certificates = certificates;
        self
    }

    pub(super) fn with_permit(mut self, permit: PeerPermit) -> Self {
        self._permit = Some(permit);
        self
    }

    /// Where it comes from; IPv4 addresses are never in their IPv6 form.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// What binds an authentication to this TLS connection and no other (`tls-exporter`, RFC 9266). Only with TLS 1.3:
    /// in older versions it is unique only with an extended master secret, of which nobody tells here.
    pub fn tls_exporter(&self) -> Option<&[u8; 32]> {
        self.tls_exporter.as_ref()
    }

    /// The mail addresses that the client's certificate names; none when it showed none, or one that does not count.
    pub fn client_addresses(&self) -> &[String] {
        &self.client_addresses
    }

    /// Whether [`Connection::start_tls`] can be offered.
    pub fn can_start_tls(&self) -> bool {
        !self.encrypted && self.start_tls.is_some()
    }

    /// Cancelled when the node ends, or this session alone from outside.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Whether the node ends, when [`Connection::shutdown`] was cancelled.
    pub fn is_node_ending(&self) -> bool {
        self.node_end.is_cancelled()
    }

    /// Encrypts the connection. Before this, the session must have sent its answer and dropped every byte that it has
    /// read: what was sent along in the clear may be somebody else's.
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is of no use then.
    pub async fn start_tls(&mut self) -> Result<(), HandshakeError> {
        let Some(config) = self.start_tls.take().filter(|_| !self.encrypted) else {
            return Err(HandshakeError::NotOffered);
        };
        let clear = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(clear));
        let encrypted = handshake.await.map_err(|_| HandshakeError::Timeout)?.map_err(HandshakeError::Failed)?;
        let tls = encrypted.get_ref().1;
        if tls.alpn_protocol() == Some(ACME_TLS) {
            return Err(HandshakeError::Looked);
        }
        self.tls_exporter = exporter(tls);
        self.client_addresses = self.addresses_of(tls.peer_certificates().unwrap_or_default());
        self.stream = Box::new(encrypted);
        self.encrypted = true;
        Ok(())
    }
}

impl Connection {
    fn addresses_of(&self, chain: &[CertificateDer<'_>]) -> Box<[String]> {
        let Some(certificates) = self.client_certificates.as_ref().filter(|_| !chain.is_empty()) else {
            return Box::default();
        };
        match certificates.addresses(chain) {
            Ok(addresses) => addresses.into(),
            Err(cause) => {
                tracing::info!(peer = %self.peer, %cause, "a client's certificate is not taken for a log-in");
                Box::default()
            }
        }
    }
}

/// RFC 9266 section 2.
fn exporter(tls: &rustls::ServerConnection) -> Option<[u8; 32]> {
    if tls.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
        return None;
    }
    tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
