//! Limits of a session.

use std::time::Duration;

pub use crate::io::limits::{BAD_COMMANDS_MAX, FAILED_LOGINS_MAX};

/// How long a client may be silent after log-in: RFC 1939 section 3 asks for at least 10 minutes. Before log-in it is
/// the same time as for IMAP: nobody is waited for who may be nobody.
pub const IDLE_WAIT: Duration = Duration::from_secs(10 * 60);

/// Messages that the kept pictures of all INBOXes have together, 16 bytes each.
pub const KEPT_ROWS_MAX: usize = 1_000_000;

/// Changes of an account after which its INBOX is read anew instead of following them.
pub const CHANGES_MAX: usize = 16 * 1024;
