//! Sieve (RFC 5228): what owners of accounts, and administrators of domains, want done with mail that arrives.
//!
//! [`Sieve`] is asked by the delivery to one account. It runs the scripts and gives a [`Plan`]: what is filed where, in
//! which form, what is sent on, and what is remembered. The interpreter is a library, known only to [`program`],
//! [`interpret`] and [`spam`]; it is given everything it may see and asks nobody.
//!
//! A script that fails, whatever the reason, costs nobody a message: it is kept in the INBOX, and its owner is told
//! once ([`sterna_account::answered::Trouble`]). The reasons are in docs/decisions/0028-sieve.md.

mod action;
mod answer;
pub(crate) mod compose;
pub mod dry_run;
mod interpret;
mod limits;
mod mailboxes;
mod matches;
mod material;
mod places;
mod plan;
mod prepared;
mod program;
mod programs;
mod sent;
mod spam;
mod subaddress;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::scripts::ScriptLimits;
use sterna_account::service::{Recipients, ScriptChecker, ScriptFault};
use sterna_base::{AccountId, Clock};
use tokio::sync::watch;

pub use limits::TRIES;
pub use plan::{Filed, Plan, PlanError, Wanted};
pub use program::EXTENSIONS;
pub use sent::Outgoing;

use crate::srs::Srs;
use crate::waiting::Waiting;
use limits::{KILOBYTES_LOOKED_AT_MAX, RUNNING_MAX};
use places::Places;
use programs::Programs;

/// Whether this is a script that can run. Takes a while for a long one: not for async workers.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check(text: &[u8]) -> Result<(), ScriptFault> {
    program::compile(text).map(drop)
}

/// What administrators set.
#[derive(Clone, Debug)]
pub struct SieveSettings {
    /// What an account may have.
    pub scripts: ScriptLimits,
    /// Steps of one run.
    pub steps: u64,
    /// How often a script may redirect one message; zero forbids it.
    pub redirects: u64,
    /// The shortest time between two answers to a sender, in seconds.
    pub vacation_least_seconds: u64,
    /// Whether some domain, or the installation, has scripts of its own: only then the directory is asked for them.
    pub has_domain_scripts: bool,
    /// What makes reverse-paths of redirected mail.
    pub srs: Srs,
}

impl Default for SieveSettings {
    fn default() -> Self {
        SieveSettings {
            scripts: ScriptLimits { script_bytes: 64 * 1024, scripts: 64 },
            steps: 10_000,
            redirects: 4,
            vacation_least_seconds: 3600,
            has_domain_scripts: false,
            srs: Srs::default(),
        }
    }
}

/// See the module.
pub struct Sieve {
    recipients: Arc<dyn Recipients>,
    pub(crate) clock: Arc<dyn Clock>,
    settings: watch::Receiver<SieveSettings>,
    ways: Option<Waiting>,
    programs: Programs,
    /// Places for scripts that run.
    running: Places,
    /// Places for what they look at, in kilobytes.
    kilobytes: Places,
    /// Accounts with a script that ran out of time and still runs.
    stuck: Arc<Mutex<HashSet<AccountId>>>,
}

impl Sieve {
    /// With the directory's owners and scripts, and the administrators' settings. Without a queue nothing can be sent.
    pub fn new(
        recipients: Arc<dyn Recipients>,
        clock: Arc<dyn Clock>,
        settings: watch::Receiver<SieveSettings>,
        ways: Option<Waiting>,
    ) -> Self {
        Sieve {
            recipients,
            clock,
            settings,
            ways,
            programs: Programs::default(),
            running: Places::new(RUNNING_MAX),
            kilobytes: Places::new(KILOBYTES_LOOKED_AT_MAX),
            stuck: Arc::default(),
        }
    }

    /// Whether mail for an account must be looked at, whose own script this is.
    pub fn concerns(&self, has_script: bool) -> bool {
        has_script || self.settings.borrow().has_domain_scripts
    }

    fn settings(&self) -> SieveSettings {
        self.settings.borrow().clone()
    }
}

#[async_trait]
impl ScriptChecker for Sieve {
    fn extensions(&self) -> String {
        EXTENSIONS.join(" ")
    }

    fn limits(&self) -> ScriptLimits {
        self.settings.borrow().scripts
    }

    fn redirects_max(&self) -> u64 {
        self.settings.borrow().redirects
    }

    async fn check(&self, script: Bytes) -> Result<(), ScriptFault> {
        self.programs.compile(script).await.map(drop)
    }
}
