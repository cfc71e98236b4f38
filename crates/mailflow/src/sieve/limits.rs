//! Limits of scripts. Those that administrators may want to change are settings ([`super::SieveSettings`]).

use std::time::Duration;

/// Compiled scripts that are kept in memory.
pub const PROGRAMS_KEPT_MAX: usize = 2_000;

/// Scripts that run at the same time.
pub const RUNNING_MAX: u64 = 16;

/// Kilobytes of messages that scripts look at, all together: a script sees the whole message.
pub const KILOBYTES_LOOKED_AT_MAX: u64 = 256 * 1024;

/// How long a script may run. Its steps are counted, but a regular expression is one step.
pub const RUN_TIMEOUT: Duration = Duration::from_secs(20);

/// Blocks in blocks, and tests in tests.
pub const NESTING_MAX: usize = 32;

/// Longest string in a script, in bytes.
pub const STRING_BYTES_MAX: usize = 64 * 1024;

/// Longest value of a variable, in bytes.
pub const VARIABLE_BYTES_MAX: usize = 16 * 1024;

/// Longest field that `addheader` makes, in bytes.
pub const FIELD_BYTES_MAX: usize = 2048;

/// Scripts that one script may include, and how deep.
pub const INCLUDES_MAX: usize = 16;
/// See [`INCLUDES_MAX`].
pub const INCLUDES_NESTED_MAX: usize = 8;

/// Questions to what automatic answers remember, in one run.
pub const QUESTIONS_MAX: usize = 16;

/// Actions of one run, besides redirects.
pub const ACTIONS_MAX: usize = 64;

/// Mails that one run sends because of `notify`.
pub const NOTIFICATIONS_MAX: usize = 4;

/// Addresses of the owner with a detail that one message names.
pub const OWN_ADDRESSES_MAX: usize = 64;

/// Addresses that one `notify` goes to.
pub const NOTIFIED_MAX: usize = 8;

/// Longest time that something is remembered, in seconds: ninety days.
pub const REMEMBERED_SECONDS_MAX: u64 = 90 * 24 * 3600;

/// For how long a sender is not answered again when the script doesn't say: seven days (RFC 5230 section 4.1).
pub const VACATION_SECONDS: u64 = 7 * 24 * 3600;

/// How often a delivery is decided again because the account changed meanwhile.
pub const TRIES: usize = 8;

/// How long it is remembered that a message was sent on: as long as accounts remember their operations.
pub const SENT_RETENTION_MS: i64 = sterna_account::commit::OPERATION_RETENTION_MS;
