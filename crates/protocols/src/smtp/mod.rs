//! SMTP reception (RFC 5321), message submission (RFC 6409) and LMTP (RFC 2033): three services, one session.
//!
//! [`SmtpProtocol`] is what the server starts; [`SmtpConfig`] says which service it is. A session reads commands,
//! keeps one transaction, streams the content through a scanner into memory or a spool file, and hands it to the
//! [`Reception`]. It knows no directory and no account: whether an address exists and when a message is durable is the
//! reception's word, and there is no `250` without it.

use std::net::IpAddr;
use std::sync::Arc;

use sterna_account::service::{Authenticator, InboundProtocol, Reception};
use sterna_base::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

pub(crate) mod cmd;
mod config;
pub(crate) mod content;
mod fixups;
mod io;
pub(crate) mod session;
mod spool;
#[cfg(test)]
mod tests;
pub(crate) mod transaction;

use io::Io;
use session::Session;

pub use config::{Limits, Service, SmtpConfig};

/// The protocol of one listener. Cheap to clone.
#[derive(Clone)]
pub struct SmtpProtocol {
    shared: Arc<Shared>,
}

/// What all sessions of a listener have in common.
pub(crate) struct Shared {
    pub config: SmtpConfig,
    pub reception: Arc<dyn Reception>,
    pub authenticator: Arc<dyn Authenticator>,
    pub clock: Arc<dyn Clock>,
}

impl SmtpProtocol {
    /// One service. The authenticator is asked on submission only.
    pub fn new(
        config: SmtpConfig,
        reception: Arc<dyn Reception>,
        authenticator: Arc<dyn Authenticator>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        SmtpProtocol { shared: Arc::new(Shared { config, reception, authenticator, clock }) }
    }

    /// Serves one connection until it ends. `tls` says whether it is encrypted already; the acceptor is for STARTTLS.
    pub async fn serve<S>(&self, stream: S, peer: IpAddr, tls: bool, acceptor: Option<TlsAcceptor>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = Io::new(Box::new(stream), acceptor);
        Session::new(io, self.shared.clone(), peer, tls).run().await;
    }
}

impl Service {
    pub(crate) fn inbound(self) -> InboundProtocol {
        match self {
            Service::Mx => InboundProtocol::Smtp,
            Service::Submission => InboundProtocol::Submission,
            Service::Lmtp => InboundProtocol::Lmtp,
        }
    }
}
