//! Limits of the mail flow.

use std::time::Duration;

use sterna_account::commit::OPERATION_RETENTION_MS;

/// Commits to accounts that run at the same time, over all messages. Each holds at most one chunk of a large body.
pub const DELIVERIES_AT_ONCE_MAX: usize = 256;

/// Bytes of a spool file that are read at a time.
pub const SPOOL_CHUNK_BYTES: usize = 256 * 1024;

/// How long one account may take before its recipients are told to come again. Well below the ten minutes that clients
/// wait for the reply after the content (RFC 5321 section 4.5.3.2.6).
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// Accounts whose INBOX is remembered.
pub const INBOXES_REMEMBERED_MAX: usize = 100_000;

/// Messages remembered because only some of their accounts could take them. Beyond it the oldest are forgotten: their
/// repetition then gives some people a second copy, and loses nothing.
pub const REPEATS_MAX: usize = 20_000;

/// How long such a message is remembered: as long as the accounts remember its operations, which is longer than
/// senders try.
pub const REPEATS_RETENTION_MS: i64 = OPERATION_RETENTION_MS;

/// Largest file of a remembered message.
pub const REPEAT_FILE_BYTES_MAX: u64 = 1024 * 1024;
