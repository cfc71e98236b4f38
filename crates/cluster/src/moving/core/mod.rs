//! The decisions of a move, without any input or output.
//!
//! - [`step::next_step`]: what the main node does next for one move.
//! - [`duty::duty`]: what a data server does about one store, given the directory.
//! - [`following::Following`]: what a copy asks next.
//! - [`failover`]: when the main node takes a lost server's accounts from it by itself.
//! - [`lease`]: who may still serve what another server could take over.
//!
//! They never trust a clock with safety: time only decides when something is given up or tried again. Who may write is
//! decided by epochs, which the directory alone hands out.

pub mod answers;
pub mod duty;
pub mod failover;
pub mod following;
pub mod lease;
pub mod limits;
pub mod step;

#[cfg(test)]
mod duty_tests;
#[cfg(test)]
mod following_tests;
#[cfg(test)]
mod step_tests;
