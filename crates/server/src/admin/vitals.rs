//! What the node knows of itself beside its stores: whether it serves, and what it has done since it started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sterna_mailflow::trace::Trace;
use sterna_protocols::account_sessions::AccountSessions;
use tokio_util::sync::CancellationToken;

/// See the module.
pub struct Vitals {
    serves: AtomicBool,
    stop: CancellationToken,
    /// Counts deliveries; one that writes nothing down where no mail comes in.
    pub trace: Trace,
    /// The sessions of mail programs.
    pub sessions: Arc<AccountSessions>,
}

/// Where a node is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Some of its parts are not there yet.
    Starting,
    /// All of them are.
    Serving,
    /// It takes leave of its clients.
    Ending,
}

impl Vitals {
    /// Of a node that starts, and ends with `stop`.
    pub fn new(stop: CancellationToken, trace: Trace, sessions: Arc<AccountSessions>) -> Arc<Self> {
        Arc::new(Vitals { serves: AtomicBool::new(false), stop, trace, sessions })
    }

    /// From now on all parts are there.
    pub fn serve(&self) {
        self.serves.store(true, Ordering::Release);
    }

    /// Waits until the node ends: what would go on for ever has to end before it.
    pub fn ending(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stop.clone().cancelled_owned()
    }

    /// Where the node is.
    pub fn phase(&self) -> Phase {
        match self.serves.load(Ordering::Acquire) {
            _ if self.stop.is_cancelled() => Phase::Ending,
            true => Phase::Serving,
            false => Phase::Starting,
        }
    }
}
