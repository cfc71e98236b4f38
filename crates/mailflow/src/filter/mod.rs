//! Content filters: programs beside this one that look at a message before it is acknowledged.
//!
//! [`Filters`] asks them one after the other, each with a stream of the message as the one before left it, and does
//! what they say. What they refuse is refused in the reply to the message, so that nobody gets a bounce. What becomes
//! of a message when a filter is down or late is a setting of each; the reasons are in docs/decisions/0034-filters.md.
//!
//! A [`ContentFilter`] is a fact-finder: it changes nothing itself, it gives a [`Verdict`].

mod breaker;
mod chain;
pub mod clamav;
mod draft;
mod endpoint;
mod field;
mod milter;
pub mod rspamd;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;

use std::time::Duration;

use async_trait::async_trait;
use sterna_account::service::Envelope;

pub(crate) use breaker::Breaker;
pub(crate) use chain::answers;
pub use chain::{Examined, FilterHealth, Filters};
pub use draft::{Draft, DraftReader};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use milter::Followed;
pub use settings::{Applies, Common, FilterKind, FiltersSettings, WhenDown, in_order, milters};
pub use verdict::{Action, Change, EnvelopeChange, Verdict};

/// How long all filters of one message may take together. With the checks before and the deliveries after them it is
/// less than the ten minutes that clients wait for the reply after the content (RFC 5321 section 4.5.3.2.6).
pub const FILTERS_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a connection to a filter may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a filter may take to say that it is there.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

/// How often filters are asked whether they are there.
pub const HEALTH_EVERY: Duration = Duration::from_secs(30);

/// Whose a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From other servers.
    Incoming,
    /// From users who logged in, and from hosts that administrators trust.
    Submitted,
}

/// What is known of a message beside its content.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The connection, the greeting, the user, MAIL and RCPT with their parameters; as the filters before left them.
    pub envelope: &'a Envelope,
    /// Whose it is.
    pub direction: Direction,
    /// This host.
    pub own_name: &'a str,
}

/// Why a filter has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It can't be reached, or the connection broke off.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// It says something that is no answer.
    #[error("it answers something else: {0}")]
    Protocol(String),
    /// It says that it can't look at the message.
    #[error("it can't: {0}")]
    Unable(String),
    /// It failed for several messages in a row and is not asked for a moment.
    #[error("not asked, because it failed lately: {0}")]
    Resting(String),
    /// As many messages as are allowed are with it already.
    #[error("all its places were taken for {} s", .0.as_secs_f64())]
    Busy(Duration),
    /// Nothing is wrong with the filter: the message can't be read here.
    #[error("the message can't be read: {0}")]
    Message(std::io::Error),
}

/// A filter.
#[async_trait]
pub trait ContentFilter: Send + Sync {
    /// Its name in logs, traces and replies.
    fn name(&self) -> &str;

    /// Fields that only this filter writes. Those that strangers wrote are taken out, whatever becomes of the filter:
    /// people's rules believe them.
    fn own_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Looks at a message.
    ///
    /// # Errors
    /// [`FilterError`].
    async fn look(&self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError>;

    /// Whether it is there; what it says about itself.
    ///
    /// # Errors
    /// [`FilterError`].
    async fn health(&self) -> Result<String, FilterError>;
}
