//! `sterna import sieve`: the scripts of any ManageSieve server (RFC 5804).

pub mod account;
pub mod client;
