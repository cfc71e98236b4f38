//! ManageSieve (RFC 5804): sessions that look after the Sieve scripts of an account.
//!
//! [`ManageSieveProtocol`] is what the server starts. [`session`] reads commands and answers them, one file each in
//! [`command`]. What scripts may do is asked of a [`ScriptChecker`]; where they are kept is
//! [`sterna_account::scripts`]'s matter.

mod command;
mod limits;
mod reply;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{Accounts, Authenticator, ScriptChecker};
use sterna_base::session_limits::LiveSessionLimits;

use crate::account_sessions::AccountSessions;
use crate::io::Io;
use crate::listener::{Connection, Protocol};
use session::Session;

/// Settings of a listener.
#[derive(Clone, Debug, Default)]
pub struct ManageSieveConfig {
    /// Whether users may log in without TLS.
    pub plaintext_login: bool,
}

/// The protocol of one listener. Cheap to clone.
#[derive(Clone)]
pub struct ManageSieveProtocol {
    shared: Arc<Shared>,
}

/// What all sessions have in common.
#[derive(Clone)]
struct Shared {
    config: ManageSieveConfig,
    accounts: Arc<dyn Accounts>,
    authenticator: Arc<dyn Authenticator>,
    checker: Arc<dyn ScriptChecker>,
    limits: Arc<LiveSessionLimits>,
    sessions: Arc<AccountSessions>,
}

impl ManageSieveProtocol {
    /// With these settings, over these accounts.
    pub fn new(
        config: ManageSieveConfig,
        accounts: Arc<dyn Accounts>,
        authenticator: Arc<dyn Authenticator>,
        checker: Arc<dyn ScriptChecker>,
    ) -> Self {
        let (limits, sessions) = (Arc::default(), Arc::default());
        ManageSieveProtocol { shared: Arc::new(Shared { config, accounts, authenticator, checker, limits, sessions }) }
    }

    /// With the sessions of all protocols, to be looked at and ended from outside.
    pub fn with_sessions(&self, sessions: Arc<AccountSessions>) -> Self {
        ManageSieveProtocol { shared: Arc::new(Shared { sessions, ..(*self.shared).clone() }) }
    }

    /// Within these limits, which may change.
    pub fn with_limits(&self, limits: Arc<LiveSessionLimits>) -> Self {
        ManageSieveProtocol { shared: Arc::new(Shared { limits, ..(*self.shared).clone() }) }
    }

    /// The same accounts with other settings: for a second listener.
    pub fn with_config(&self, config: ManageSieveConfig) -> Self {
        ManageSieveProtocol { shared: Arc::new(Shared { config, ..(*self.shared).clone() }) }
    }
}

#[async_trait]
impl Protocol for ManageSieveProtocol {
    fn name(&self) -> &'static str {
        "managesieve"
    }

    fn busy(&self) -> String {
        "BYE (TRYLATER) \"Too many connections, please try again later\"\r\n".to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let io = Io::new(connection, self.shared.limits.get());
        Session::new(io, self.shared.clone()).run().await;
    }
}
