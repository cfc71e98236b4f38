//! `sterna import dav`: calendars, task lists and address books of any CalDAV and CardDAV server.
//!
//! Collections are found as clients find them (RFC 6764, RFC 4791 section 6.2.1, RFC 6352 section 7.1.1). What of one
//! is new is known by comparing entity tags with those of the last pass; sync-collection (RFC 6578) was rejected: not
//! every server has it, tokens expire, and a list of names and tags costs little beside the objects.

pub mod account;
pub mod client;
pub mod discover;
pub mod fetch;
pub mod note;
pub mod pass;
