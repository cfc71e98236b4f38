//! Limits of a session that nobody needs to change; the others are settings ([`sterna_base::session_limits`]).

use std::time::Duration;

/// How often an idling client hears that the connection is still there: middle-boxes forget silent ones, and a client
/// that has gone is found out.
pub const IDLE_NOTICE_EVERY: Duration = Duration::from_secs(120);

/// How often a long command tells of itself (RFC 9585 section 4 recommends every 10 to 15 seconds).
pub const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Messages that FETCH, SEARCH and STORE take in one step.
pub const STEP_MESSAGES: usize = 512;

/// Messages whose bodies are taken in one step, while the next one is read: at most 32 MiB of small ones each.
pub const STEP_BODIES: usize = 64;

/// How far a header is looked through for single fields. Nobody's header is that long; one made to be is cut there.
pub const HEADER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Pieces of a part up to this many bytes are decoded where they are read; larger ones on a blocking thread.
pub const DECODED_AT_ONCE_BYTES: usize = 8 * 1024;

/// Accounts that one session watches for NOTIFY: the user's own and those of others.
pub const ACCOUNTS_WATCHED_MAX: usize = 32;

/// Bytes of sorted results that all sessions keep up to date.
pub const CONTEXT_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What a message in such a result is taken to need besides what it is sorted by.
pub const CONTEXT_MESSAGE_BYTES: u64 = 80;

/// Ranges of UIDs that an account is asked about at once in a search.
pub const ASKED_RANGES_MAX: usize = 16 * 1024;

/// Bytes of values that SORT and THREAD of all sessions hold at once.
pub const SORTED_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How much of a text SORT and THREAD compare.
pub const SORTED_TEXT_BYTES_MAX: usize = 1000;

/// What a value that SORT or THREAD compares is taken to need in memory, on average; counted against
/// [`SORTED_BYTES_MAX`].
pub const SORTED_VALUE_BYTES: u64 = 96;

/// Bytes of orders that are kept for the next SORT of their mailboxes.
pub const KEPT_SORT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of what threads are made of that are kept for the next THREAD.
pub const KEPT_THREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Messages from which on what was compared is kept; fewer are read quickly.
pub const KEPT_SORT_MESSAGES_MIN: usize = 200;

/// Changes that a view remembers to tell its sessions; a session further behind looks at every message once.
pub const CHANGES_KEPT: usize = 4096;

/// Messages in the pictures of mailboxes that nobody has open and that are kept for the next who opens them, 32 bytes
/// each.
pub const KEPT_ENTRIES_MAX: usize = 2_000_000;

/// Commits to an account after which the kept picture of a mailbox is not moved on but read anew.
pub const KEPT_COMMITS_MAX: u64 = 10_000;

/// Owners that are named when their mailboxes can't be listed; of the others their number is told.
pub const OWNERS_NAMED_MAX: usize = 10;

/// Containers of others that this process remembers for listings while their servers are down, about 200 bytes each.
pub const REMEMBERED_MAX: usize = 200_000;

/// How long a session goes by what the directory said of the user's groups.
pub const WHO_KEPT: Duration = Duration::from_secs(10);

/// Longest value of an entry of METADATA.
pub const METADATA_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Entries of METADATA that one mailbox can have, shared ones and those of each user.
pub const METADATA_ENTRIES_MAX: usize = 256;

/// Entries of METADATA that one mailbox can have, those of all users together.
pub const METADATA_ROWS_MAX: usize = 20_000;

/// Bytes of messages that are read from one account before they are written to the other.
pub const CARRIED_BYTES_MAX: u64 = 4 * 1024 * 1024;
