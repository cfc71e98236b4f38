//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051): sessions over account handles.
//!
//! [`ImapProtocol`] is what the server starts. [`session`] reads commands and answers them, one file each in
//! [`command`]; [`view`] is the mailbox that several sessions share; [`updates`] is what a session tells its client of
//! what others did.

mod command;
mod contexts;
mod ghosts;
mod kept_sorts;
mod kept_threads;
mod limits;
mod mailboxes;
mod metadata_news;
mod names;
mod order;
mod others;
mod picture;
mod progress;
mod registry;
mod reply;
mod rights;
mod selected;
mod session;
mod telling;
mod updates;
mod view;
mod watched_news;
mod watching;

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{Accounts, Authenticator};
use sterna_account::shares::Shares;

use sterna_base::session_limits::LiveSessionLimits;
use sterna_base::{Clock, SystemClock};

use crate::account_sessions::AccountSessions;
use crate::io::Io;
use crate::listener::{Connection, Protocol};
use command::sorted::SortMemory;
use kept_sorts::KeptSorts;
use kept_threads::KeptThreads;
use order::ContextMemory;
use others::Remembered;
use registry::Registry;
use session::Session;

/// Settings of a listener.
#[derive(Clone, Debug, Default)]
pub struct ImapConfig {
    /// Whether users may log in without TLS.
    pub plaintext_login: bool,
}

/// The protocol of one listener. Cheap to clone.
#[derive(Clone)]
pub struct ImapProtocol {
    shared: Arc<Shared>,
}

/// What all sessions have in common.
#[derive(Clone)]
struct Shared {
    config: ImapConfig,
    accounts: Arc<dyn Accounts>,
    authenticator: Arc<dyn Authenticator>,
    shares: Arc<dyn Shares>,
    clock: Arc<dyn Clock>,
    registry: Registry,
    sort_memory: Arc<SortMemory>,
    context_memory: Arc<ContextMemory>,
    kept_sorts: Arc<KeptSorts>,
    kept_threads: Arc<KeptThreads>,
    remembered: Arc<Remembered>,
    limits: Arc<LiveSessionLimits>,
    sessions: Arc<AccountSessions>,
}

impl ImapProtocol {
    /// With these settings, over these accounts; `shares` says whose mailboxes a user sees besides the own ones.
    pub fn new(
        config: ImapConfig,
        accounts: Arc<dyn Accounts>,
        authenticator: Arc<dyn Authenticator>,
        shares: Arc<dyn Shares>,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (registry, sort_memory, remembered) = (Registry::new(clock.now()), Arc::default(), Arc::default());
        let context_memory = Arc::default();
        let shared = Shared {
            config,
            accounts,
            authenticator,
            shares,
            clock,
            registry,
            sort_memory,
            context_memory,
            kept_sorts: Arc::default(),
            kept_threads: Arc::default(),
            remembered,
            limits: Arc::default(),
            sessions: Arc::default(),
        };
        ImapProtocol { shared: Arc::new(shared) }
    }

    /// With another clock: for WITHIN, and for what counts as recent.
    pub fn with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        let registry = Registry::new(clock.now());
        ImapProtocol { shared: Arc::new(Shared { clock, registry, ..(*self.shared).clone() }) }
    }

    /// With the sessions of all protocols, to be looked at and ended from outside.
    pub fn with_sessions(&self, sessions: Arc<AccountSessions>) -> Self {
        ImapProtocol { shared: Arc::new(Shared { sessions, ..(*self.shared).clone() }) }
    }

    /// Within these limits, which may change.
    pub fn with_limits(&self, limits: Arc<LiveSessionLimits>) -> Self {
        ImapProtocol { shared: Arc::new(Shared { limits, ..(*self.shared).clone() }) }
    }

    /// The same accounts and open mailboxes with other settings: for a second listener.
    pub fn with_config(&self, config: ImapConfig) -> Self {
        ImapProtocol { shared: Arc::new(Shared { config, ..(*self.shared).clone() }) }
    }
}

#[async_trait]
impl Protocol for ImapProtocol {
    fn name(&self) -> &'static str {
        "imap"
    }

    fn busy(&self) -> String {
        "* BYE [UNAVAILABLE] Too many connections, please try again later\r\n".to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let io = Io::new(connection, self.shared.limits.get());
        Session::new(io, self.shared.clone()).run().await;
    }
}
