//! Limits that the sessions of IMAP and POP3 have in common and nobody needs to change; the others are settings
//! ([`sterna_base::session_limits`]).

/// How much output is collected before it is sent.
pub const OUTPUT_BYTES: usize = 64 * 1024;
