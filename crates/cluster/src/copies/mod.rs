//! Copies of accounts on other nodes: whoever holds one pulls from the node of the placement.
//!
//! [`source`] answers, [`follower`] asks, [`keeper`] sees to it that there is a follower for each copy that the
//! directory wants, and that stores have the role that the directory gives them. [`book`] is what the directory is
//! asked. [`awaited`] lets commits wait for the copies that are to have them, too. [`throttle`] sees to it that users
//! don't feel any of the rest, and [`leases`] keep a server from serving what another one took over.

mod account;
pub mod acks;
mod ahead;
pub mod asides;
mod asking;
pub mod awaited;
pub mod book;
pub mod calls;
pub mod client;
pub mod follower;
pub mod keeper;
pub mod leases;
pub mod source;
pub mod throttle;

pub use acks::Waiting;
pub use asides::{Aside, AsideNote, Asides};
pub use awaited::{Awaited, WaitingFor};
pub use book::{CopyBook, CopyFacts, CopyHolder, CopyStage, StageReport};
pub use client::CopiesClient;
pub use keeper::Keeper;
pub use leases::{LeaseDesk, Leases};
pub use source::CopySource;
pub use throttle::{Slowed, Speed, Throttle};
