//! Limits that the sessions of IMAP and POP3 have in common.

use std::time::Duration;

/// How long a client may be silent before it has logged in.
pub const LOGIN_WAIT: Duration = Duration::from_secs(120);

/// How long a client may take to log in, whatever it says meanwhile.
pub const LOGIN_WAIT_ALTOGETHER: Duration = Duration::from_secs(600);

/// How long a client may leave what we send unread.
pub const WRITE_WAIT: Duration = Duration::from_secs(180);

/// Bad commands in a row after which the session ends.
pub const BAD_COMMANDS_MAX: u32 = 20;

/// Failed log-ins after which the session ends.
pub const FAILED_LOGINS_MAX: u32 = 5;

/// How much output is collected before it is sent.
pub const OUTPUT_BYTES: usize = 64 * 1024;

/// Longest line of an authentication exchange, an IDLE, or a command of POP3; the session ends at a longer one.
pub const EXCHANGE_BYTES_MAX: usize = 16 * 1024;
