//! Limits of a session that nobody needs to change; the others are settings ([`sterna_base::session_limits`]).

/// Messages that the kept pictures of all INBOXes have together, 16 bytes each.
pub const KEPT_ROWS_MAX: usize = 1_000_000;

/// Changes of an account after which its INBOX is read anew instead of following them.
pub const CHANGES_MAX: usize = 16 * 1024;
