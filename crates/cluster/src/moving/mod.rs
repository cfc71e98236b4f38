//! Moving accounts between data servers while they are used.
//!
//! [`core`] decides: pure functions of the directory's rows, of what the stores are and of what was answered. It knows
//! neither network nor disk nor clock, so that a simulator can run it through every order of events.

pub mod book;
pub mod core;
pub mod driver;

pub use book::{BookError, MoveBook, MoveEntry, Wish};
pub use driver::Driver;
