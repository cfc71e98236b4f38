//! The queue: what this node has taken and still has to bring to its destinations.
//!
//! A message that was acknowledged is in the store ([`Queue`]) until every recipient has it, or its sender was told why
//! not. The [`Runner`] works it off. The reasons are in docs/decisions/0026-queue.md.

mod admin;
mod attempt;
mod backoff;
mod error;
mod files;
mod lane;
mod message;
mod news;
mod rows;
mod runner;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod tries;
mod writer;

pub use admin::{Acted, Action, Filter, Listed, TRY_PATIENCE};
pub use attempt::{Carried, Carrier, Notifier};
pub use backoff::Times;
pub use error::QueueError;
pub use message::{
    Delivered, Delivery, DeliveryId, Destination, InvalidDestination, NewDelivery, NewMessage, NextHop, Outcome,
    QueueId, QueuedEnvelope, QueuedRecipient, RecipientId, SMTP_PORT, Said,
};
pub use runner::{Runner, RunnerSettings};
pub use store::{Content, Queue};
