//! What clients are told: SMTP words for the directory's and the accounts' errors.

use sterna_account::service::{InboundProtocol, Refusal, RouteError};
use sterna_account::{AccountError, CommitError, StoreError};

use crate::queue::QueueError;

/// For an address without a route.
pub fn of_route(error: &RouteError, protocol: InboundProtocol) -> Refusal {
    match error {
        RouteError::NoSuchAddress => Refusal::new(550, (5, 1, 1), "No such address here"),
        RouteError::NotLocal if protocol == InboundProtocol::Submission => {
            Refusal::new(550, (5, 7, 1), "This server delivers to its own domains only")
        }
        RouteError::NotLocal => Refusal::new(550, (5, 7, 1), "Not one of our domains; relaying denied"),
        RouteError::Suspended { temporary: true } => {
            Refusal::new(450, (4, 2, 1), "The mailbox is suspended; try again later")
        }
        RouteError::Suspended { temporary: false } => Refusal::new(550, (5, 2, 1), "The mailbox is suspended"),
        RouteError::NotPermitted => Refusal::new(550, (5, 7, 1), "You may not send to this address"),
        RouteError::Unavailable(cause) => {
            Refusal::new(451, (4, 3, 0), "Addresses can't be looked up at present; try again later").because(cause)
        }
    }
}

/// For an account that did not take a message. All of these are temporary: the directory has said that the address
/// exists, so whatever is wrong is ours to mend, and the sender keeps the message until then ([`of_full`] is for
/// those who set otherwise).
pub fn of_account(error: &AccountError) -> Refusal {
    let store = match error {
        AccountError::Refused(CommitError::OverQuota) => {
            return Refusal::new(452, (4, 2, 2), "The mailbox is full; try again later").because(error);
        }
        AccountError::Store(store) | AccountError::Refused(CommitError::Store(store)) => Some(store),
        _ => None,
    };
    match store {
        Some(StoreError::DiskFull(_)) => Refusal::new(452, (4, 3, 1), "No space for this message now; try again later"),
        _ => Refusal::new(451, (4, 3, 0), "The mailbox can't be reached at present; try again later"),
    }
    .because(error)
}

/// For an account over its quota whose domain doesn't want senders to wait for space.
pub fn of_full(error: &AccountError) -> Refusal {
    Refusal::new(552, (5, 2, 2), "The mailbox is full").because(error)
}

/// Whether the account took the message for more than it may hold.
pub fn is_over_quota(error: &AccountError) -> bool {
    matches!(error, AccountError::Refused(CommitError::OverQuota))
}

/// Whether a refusal says that an account can't be reached, whatever the message.
pub fn is_outage(refusal: &Refusal) -> bool {
    refusal.code == 451
}

/// For a message that could not be put into the queue.
pub fn of_queue(error: &QueueError) -> Refusal {
    let refusal = match error {
        QueueError::Full => Refusal::new(452, (4, 3, 1), "Too many messages wait here; try again later"),
        _ => Refusal::new(451, (4, 3, 0), "The message can't be kept at present; try again later"),
    };
    refusal.because(error.cause())
}

/// For a message whose file can't be read, or written again.
pub fn of_spool(error: &std::io::Error) -> Refusal {
    Refusal::new(451, (4, 3, 0), "The message can't be kept at present; try again later").because(error)
}

/// For a message that was sent on from here before and came back, to somebody who keeps no copy (RFC 3463 section 3.5).
pub fn of_loop() -> Refusal {
    Refusal::new(554, (5, 4, 6), "The message was sent on from this address before: it goes in circles")
}

/// Longest reason of a script that is told in a reply, in bytes.
const REASON_BYTES_MAX: usize = 400;

/// For a message that its recipient's script sends back (RFC 5429 section 2.1). What a reply can't say is told in
/// general words.
pub fn of_script(reason: &str) -> Refusal {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let can_be_said =
        !line.is_empty() && line.len() <= REASON_BYTES_MAX && line.bytes().all(|b| (32..127).contains(&b));
    let text = if can_be_said { line } else { "The recipient does not take this message".to_owned() };
    Refusal::new(550, (5, 7, 1), text).because("the recipient's Sieve script rejects it")
}

/// For an account that did not answer in time.
pub fn of_timeout() -> Refusal {
    Refusal::new(451, (4, 3, 0), "The mailbox can't be reached at present; try again later")
        .because("the account did not answer in time")
}
