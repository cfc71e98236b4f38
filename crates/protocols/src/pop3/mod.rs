//! POP3 (RFC 1939): sessions over account handles.
//!
//! [`Pop3Protocol`] is what the server starts. [`session`] reads commands and answers them, one file each in
//! [`command`]; [`maildrop`] is the INBOX as it was at log-in, of which [`pictures`] keeps what many sessions share.
//!
//! APOP is not offered: it needs every password in the clear on the server, and MD5. SCRAM-SHA-256 (RFC 7677) does what
//! it was meant to do, and AUTH has that.

mod command;
mod limits;
mod maildrop;
mod pictures;
mod reply;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{Accounts, Authenticator};

use sterna_base::session_limits::LiveSessionLimits;

use crate::account_sessions::AccountSessions;
use crate::io::Io;
use crate::listener::{Connection, Protocol};
use pictures::Pictures;
use session::Session;

/// Settings of a listener.
#[derive(Clone, Debug, Default)]
pub struct Pop3Config {
    /// Whether users may log in without TLS.
    pub plaintext_login: bool,
}

/// The protocol of one listener. Cheap to clone.
#[derive(Clone)]
pub struct Pop3Protocol {
    shared: Arc<Shared>,
}

/// What all sessions have in common.
#[derive(Clone)]
struct Shared {
    config: Pop3Config,
    accounts: Arc<dyn Accounts>,
    authenticator: Arc<dyn Authenticator>,
    pictures: Arc<Pictures>,
    limits: Arc<LiveSessionLimits>,
    sessions: Arc<AccountSessions>,
}

impl Pop3Protocol {
    /// With these settings, over these accounts.
    pub fn new(config: Pop3Config, accounts: Arc<dyn Accounts>, authenticator: Arc<dyn Authenticator>) -> Self {
        let (pictures, limits, sessions) = (Arc::default(), Arc::default(), Arc::default());
        Pop3Protocol { shared: Arc::new(Shared { config, accounts, authenticator, pictures, limits, sessions }) }
    }

    /// With the sessions of all protocols, to be looked at and ended from outside.
    pub fn with_sessions(&self, sessions: Arc<AccountSessions>) -> Self {
        Pop3Protocol { shared: Arc::new(Shared { sessions, ..(*self.shared).clone() }) }
    }

    /// Within these limits, which may change.
    pub fn with_limits(&self, limits: Arc<LiveSessionLimits>) -> Self {
        Pop3Protocol { shared: Arc::new(Shared { limits, ..(*self.shared).clone() }) }
    }

    /// The same accounts and kept INBOXes with other settings: for a second listener.
    pub fn with_config(&self, config: Pop3Config) -> Self {
        Pop3Protocol { shared: Arc::new(Shared { config, ..(*self.shared).clone() }) }
    }
}

#[async_trait]
impl Protocol for Pop3Protocol {
    fn name(&self) -> &'static str {
        "pop3"
    }

    fn busy(&self) -> String {
        "-ERR [SYS/TEMP] Too many connections, please try again later\r\n".to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let io = Io::new(connection, self.shared.limits.get());
        Session::new(io, self.shared.clone()).run().await;
    }
}
