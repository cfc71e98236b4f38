//! Calendars that this node makes of something else: of files that others publish, and of contacts. The node that holds
//! an account does it, decision 41.

pub mod address;
pub mod fetch;
mod round;
pub mod url;

pub use round::Derived;
