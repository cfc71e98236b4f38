//! The account that something comes into.

pub mod content;
pub mod flags;
pub mod folders;
pub mod message;
