//! Engines: what keeps accounts. Each implements `sterna_account::{Engine, Store, Read}` and passes the same suite.

pub mod disk;
#[cfg(any(test, feature = "faults"))]
pub mod faults;
pub mod memory;
pub mod names;
mod settle;
pub mod sqlite;
