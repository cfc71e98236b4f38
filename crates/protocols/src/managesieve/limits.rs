//! Limits of a session that nobody needs to change; the others are settings ([`sterna_base::session_limits`]).

/// Bytes of literals in one command before log-in: what SASL needs.
pub const LITERAL_BYTES_BEFORE_LOGIN_MAX: u64 = 16 * 1024;

/// Bytes that a script may be too long by and still be refused with its own words.
pub const LITERAL_BYTES_SLACK: u64 = 4 * 1024;
