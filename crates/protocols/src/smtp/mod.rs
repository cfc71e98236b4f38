//! SMTP reception (RFC 5321), message submission (RFC 6409) and LMTP (RFC 2033): three services, one session.
//!
//! [`SmtpProtocol`] is what the server starts; [`SmtpConfig`] says which service it is. A session reads commands,
//! keeps one transaction, streams the content through a scanner into memory or a spool file, and hands it to the
//! [`Reception`]. It knows no directory and no account: whether an address exists and when a message is durable is the
//! reception's word, and there is no `250` without it.

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{Authenticator, InboundProtocol, Reception};
use sterna_base::Clock;
use sterna_base::session_limits::LiveSessionLimits;

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

use crate::account_sessions::AccountSessions;
use crate::listener::{Connection, Protocol};
use io::Io;
use session::Session;

pub use config::{Limits, Service, SmtpConfig};
pub use spool::prepare_spool;

/// The protocol of one listener. Cheap to clone.
#[derive(Clone)]
pub struct SmtpProtocol {
    shared: Arc<Shared>,
    limits: Option<Arc<LiveSessionLimits>>,
}

/// What all sessions of a listener have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub config: SmtpConfig,
    pub reception: Arc<dyn Reception>,
    pub authenticator: Arc<dyn Authenticator>,
    pub clock: Arc<dyn Clock>,
    pub sessions: Arc<AccountSessions>,
}

impl SmtpProtocol {
    /// One service. The authenticator is asked on submission only.
    pub fn new(
        config: SmtpConfig,
        reception: Arc<dyn Reception>,
        authenticator: Arc<dyn Authenticator>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let sessions = Arc::default();
        SmtpProtocol { shared: Arc::new(Shared { config, reception, authenticator, clock, sessions }), limits: None }
    }

    /// With the sessions of all protocols, to be looked at and ended from outside.
    pub fn with_sessions(self, sessions: Arc<AccountSessions>) -> Self {
        SmtpProtocol { shared: Arc::new(Shared { sessions, ..(*self.shared).clone() }), ..self }
    }

    /// With what administrators set of messages' sizes and refused recipients, which may change; sessions keep to what
    /// held when they began.
    pub fn with_limits(self, limits: Arc<LiveSessionLimits>) -> Self {
        SmtpProtocol { limits: Some(limits), ..self }
    }

    fn for_session(&self) -> Arc<Shared> {
        let Some(limits) = &self.limits else { return self.shared.clone() };
        let set = limits.get();
        let refused_recipients_max = u32::try_from(set.refused_recipients).unwrap_or(u32::MAX);
        let held = &self.shared.config.limits;
        if set.message_bytes == held.message_bytes_max && refused_recipients_max == held.refused_recipients_max {
            return self.shared.clone();
        }
        let mut shared = Shared::clone(&self.shared);
        shared.config.limits.message_bytes_max = set.message_bytes;
        shared.config.limits.refused_recipients_max = refused_recipients_max;
        Arc::new(shared)
    }
}

#[async_trait]
impl Protocol for SmtpProtocol {
    fn name(&self) -> &'static str {
        self.shared.config.service.name()
    }

    fn busy(&self) -> String {
        format!("421 4.3.2 {} Too many connections; try again later\r\n", self.shared.config.hostname)
    }

    async fn serve(&self, connection: Connection) {
        Session::new(Io::new(connection), self.for_session()).run().await;
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
