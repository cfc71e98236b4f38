//! Imports that an administrator begins: many accounts at once, what is noted of each, and how sources fail.

pub mod error;
pub mod job;
pub mod report;
