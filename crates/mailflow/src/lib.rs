//! The mail flow: from an envelope to the accounts.
//!
//! [`Mailflow`] is the [`Reception`](sterna_account::service::Reception) behind every SMTP and LMTP session. It asks
//! the directory ([`Recipients`](sterna_account::service::Recipients)) where addresses lead, and appends the message
//! to each account once, wherever the account lives. [`Repeats`] remembers messages that only some accounts could
//! take, so that the sender's next try doesn't give the others a second copy.
//!
//! It never acknowledges what is not durable, and never lets one account's failure touch another's. It knows no
//! engine, no directory and no wire.

mod delivery;
mod limits;
mod mailflow;
mod refusals;
mod repeats;
mod targets;
#[cfg(test)]
mod tests;

pub use mailflow::Mailflow;
pub use repeats::Repeats;
