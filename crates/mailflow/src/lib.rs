//! The mail flow: from an envelope to the accounts.
//!
//! [`Mailflow`] is the [`Reception`](sterna_account::service::Reception) behind every SMTP and LMTP session. It asks
//! the directory ([`Recipients`](sterna_account::service::Recipients)) where addresses lead, and appends the message
//! to each account once, wherever the account lives. [`Repeats`] remembers messages that only some accounts could
//! take, so that the sender's next try doesn't give the others a second copy.
//!
//! What goes to other servers, and what an account could not take at once, is in the [`queue`] until it is there.
//!
//! Who may bring mail at all, and how much, is in [`guard`].
//!
//! Large attachments of what users send become links by [`detached`], if their domain wants that.
//!
//! Other programs that look at mail before it is acknowledged are asked by [`filter`].
//!
//! Whether the other half of a split domain has an address is asked by [`call_forward`].
//!
//! What users put into Junk, or take out of it, is learned from by [`learning`].
//!
//! What owners of accounts want done with their mail is in [`sieve`]. Invitations, from calendars here and by mail from
//! elsewhere, are carried by [`scheduling`].
//!
//! It never acknowledges what is not durable, and never lets one account's failure touch another's. It knows no
//! engine, no directory and no wire.

pub mod auth;
pub mod call_forward;
pub mod collected;
mod deliverer;
mod delivery;
pub mod detached;
pub mod dsn;
pub mod filter;
mod full;
pub mod guard;
pub mod learning;
mod limits;
mod mailflow;
mod networks;
pub mod outbound;
mod provenance;
pub mod queue;
mod refusals;
pub mod remote;
mod repeats;
pub mod reports;
mod returned;
pub mod scheduling;
mod sent_on;
pub mod sieve;
pub mod srs;
mod targets;
#[cfg(test)]
mod tests;
pub mod trace;
mod waiting;

pub use deliverer::{Carriers, Deliverer};
pub use delivery::Keep;
pub use mailflow::Mailflow;
pub use provenance::{Provenance, Vouched};
pub use repeats::Repeats;
pub use returned::Returned;
pub use waiting::Waiting;
