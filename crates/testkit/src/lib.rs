//! What tests share: awkward messages.
//!
//! Nothing here is part of a release.

pub mod zoo;
