//! Sizes that several crates must agree on. A limit that only one module needs lives in that module.

/// Largest message taken in by any protocol, in bytes (the SIZE and APPENDLIMIT that are announced).
pub const MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bodies up to this many bytes travel in memory and live inside the account's file, so that a delivery is one commit
/// with one flush; larger ones are spooled, become files of their own and are flushed before the commit.
pub const INLINE_BLOB_BYTES_MAX: usize = 128 * 1024;

/// How much of a blob one read returns at most.
pub const BLOB_CHUNK_BYTES: usize = 256 * 1024;

/// Most items that one page of a listing or of "changes since" carries.
pub const PAGE_ITEMS_MAX: usize = 4096;

/// Most recipients of one message in one transaction (RFC 5321 section 4.5.3.1.8 asks for at least 100).
pub const RECIPIENTS_MAX: usize = 1000;

/// Keywords (flags that users invent) that one container can have. Cyrus has 128; we read all of its mailboxes.
pub const KEYWORDS_PER_CONTAINER_MAX: usize = 128;

/// Longest name of one container, in bytes of UTF-8.
pub const CONTAINER_NAME_BYTES_MAX: usize = 255;

/// Deepest nesting of containers.
pub const CONTAINER_DEPTH_MAX: usize = 32;

/// Containers that one account can have.
pub const CONTAINERS_PER_ACCOUNT_MAX: usize = 100_000;

/// Longest keyword, in bytes.
pub const KEYWORD_BYTES_MAX: usize = 128;
