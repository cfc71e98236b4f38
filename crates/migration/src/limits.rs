//! What an import takes from a source, and how long it waits for one.

use std::time::Duration;

/// Longest line of a source, in bytes: the answer to a search names all UIDs of a mailbox.
pub const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest literal that is held in memory, in bytes; more goes through a temporary file.
pub const LITERAL_MEMORY_BYTES_MAX: u64 = sterna_base::limits::INLINE_BLOB_BYTES_MAX as u64;
/// Largest message, in bytes. Those that users may put here are shorter; one that another server took isn't left there.
pub const MESSAGE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Literals in one answer.
pub const LITERALS_MAX: usize = 64;
/// How deep lists may stand in lists.
pub const DEPTH_MAX: usize = 32;
/// Answers to one command that are held together; fetches are taken one by one.
pub const ANSWERS_MAX: usize = 200_000;
/// How long a source may be silent.
pub const SILENCE_MAX: Duration = Duration::from_secs(300);
/// How long it may take to be reached.
pub const CONNECT_MAX: Duration = Duration::from_secs(30);
/// Messages fetched, and committed, at once.
pub const BATCH_MESSAGES: usize = 200;
/// Bytes of messages fetched at once, unless one alone has more.
pub const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// How often a mailbox is begun again after the connection was lost, without a message having come in between.
pub const TRIES_MAX: u32 = 5;
/// How long the first of these tries waits; each other one twice as long as the one before.
pub const RETRY_WAIT: Duration = Duration::from_millis(500);
/// Notes of one account that are kept for people.
pub const NOTES_MAX: usize = 200;
/// Accounts of one import.
pub const ACCOUNTS_MAX: usize = 100_000;
/// Accounts that are read at the same time, at most.
pub const PARALLEL_MAX: usize = 64;
/// Messages that may go from a mailbox at once, though they are more than half of it.
pub const REMOVED_MESSAGES_FREE: usize = 100;
/// Mailboxes that may go at once, though they are more than half of all.
pub const REMOVED_FOLDERS_FREE: usize = 5;
/// Messages by whose lengths a mailbox is known that has another name.
pub const SAMPLE_MESSAGES: usize = 200;
/// How long a source of calendars and address books may think before it answers: Radicale needs more than a minute to
/// list 20,000 cards.
pub const THINKING_MAX: Duration = Duration::from_secs(1800);
/// Times that a source may send on to another address, one after the other.
pub const REDIRECTIONS_MAX: usize = 5;
/// Calendars and address books of one user.
pub const COLLECTIONS_MAX: usize = 1000;
/// Longest property of a collection that comes along, in bytes of XML; a client could set no longer one, either.
pub const PROPERTY_BYTES_MAX: usize = 64 * 1024;
/// Objects of calendars and address books that are fetched at once.
pub const BATCH_OBJECTS: usize = 50;
/// Objects after which it is noted that they have come. What isn't noted is fetched once more, and found to be here.
pub const NOTED_OBJECTS: usize = 2000;
/// Longest object, in bytes.
pub const OBJECT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Objects that may go from a collection at once, though they are more than half of it.
pub const REMOVED_OBJECTS_FREE: usize = 100;
/// Largest key-value database of a Cyrus spool, in bytes: the list of mailboxes has some 500 for each mailbox.
pub const DATABASE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Largest `cyrus.index`, in bytes: some 112 for each message, expunged ones too.
pub const INDEX_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Largest other file of a Cyrus spool that is held in memory: headers of mailboxes, quotas, settings.
pub const SMALL_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Files that one setting of Cyrus may include, one in the other.
pub const INCLUDES_MAX: usize = 8;
/// Records of a Cyrus mailbox that are told at once, and whose messages are sent before.
pub const BATCH_RECORDS: usize = 1000;
/// Bytes of messages sent before their records are told, unless one alone has more.
pub const BATCH_SENT_BYTES: u64 = 64 * 1024 * 1024;
/// Scripts of one user of a Cyrus spool.
pub const SPOOL_SCRIPTS_MAX: usize = 1000;
