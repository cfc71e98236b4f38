//! Limits of a session.

use std::time::Duration;

pub use crate::io::limits::{BAD_COMMANDS_MAX, FAILED_LOGINS_MAX};

/// How long a client may be silent after log-in: RFC 1939 section 3 asks for at least 10 minutes. Before log-in it is
/// the same time as for IMAP: nobody is waited for who may be nobody.
pub const IDLE_WAIT: Duration = Duration::from_secs(10 * 60);
