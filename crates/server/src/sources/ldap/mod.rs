//! Reading directories by LDAP (RFC 4511).

pub mod connect;
pub mod entry;
pub mod search;
