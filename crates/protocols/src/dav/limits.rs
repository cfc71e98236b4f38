//! Limits of DAV.

use std::time::Duration;

/// How long a connection may be silent between two requests, and how long the head of one may take.
pub const HEAD_WAIT: Duration = Duration::from_secs(120);

/// How long a client may pause within a body that it sends.
pub const BODY_PAUSE: Duration = Duration::from_secs(120);

/// How much of a body that nobody wants is read so that the connection can be used again, in bytes.
pub const DRAINED_BYTES_MAX: u64 = 64 * 1024;

/// How long a client may leave unread what it is sent.
pub const UNREAD: Duration = Duration::from_secs(180);

/// Requests that one connection of HTTP/2 may have under way.
pub const STREAMS_MAX: u32 = 64;

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// How much of an answer is gathered before it is sent on, in bytes.
pub const PIECE_BYTES: usize = 32 * 1024;

/// Pieces that may wait for a slow reader.
pub const PIECES_MAX: usize = 4;

/// Items that are read at once without their contents.
pub const ROWS_AT_ONCE: usize = 1000;

/// The same with contents.
pub const BODIES_AT_ONCE: usize = 100;

/// Most collections that one COPY, MOVE or DELETE works on.
pub const COLLECTIONS_MAX: usize = 10_000;

/// Most items that one COPY between collections takes along.
pub const COPIED_ITEMS_MAX: usize = 100_000;

/// Those of one commit.
pub const COPIED_AT_ONCE: usize = 1000;

/// Longest stored property, in bytes of XML.
pub const PROPERTY_BYTES_MAX: usize = 64 * 1024;

/// Most stored properties of one collection, those of what is in it among them.
pub const PROPERTIES_MAX: usize = 10_000;

/// Longest name of an item, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

/// Most locks of one account.
pub const LOCKS_MAX: usize = 1000;

/// How often a change is tried again because another one came first.
pub const TRIES: usize = 8;

/// How long what was found where something is to be written is not looked for again.
pub const LOOKED_AT_MAX: Duration = Duration::from_secs(1);

/// Objects larger than this are read where they block nobody, in bytes.
pub const PARSED_INLINE_BYTES_MAX: usize = 32 * 1024;

/// Largest attachment of a calendar object that the server keeps, in bytes.
pub const ATTACHMENT_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Most attachments of one object.
pub const ATTACHMENTS_MAX: usize = 50;

/// Messages of one change of a calendar that are carried at the same time.
pub const CARRIED_AT_ONCE: usize = 16;

/// How long a client waits for its invitations to be carried; longer ones go on without it.
pub const CARRY_WAIT_MAX: Duration = Duration::from_secs(20);

/// How old a message in an outbox is that nobody carries any more, in milliseconds.
pub const LEFT_BEHIND_MS: i64 = 5 * 60 * 1000;

/// Most messages that the deletion of a whole calendar sends: all of it is one commit.
pub const SCHEDULED_DELETED_MAX: usize = 2000;

/// Longest body of a POST to a scheduling outbox, in bytes.
pub const OUTBOX_BYTES_MAX: usize = 512 * 1024;

/// Most people whose time one request asks for.
pub const ASKED_MAX: usize = 500;

/// How many of them are asked at the same time.
pub const ASKED_AT_ONCE: usize = 32;

/// Longest time that is asked for, in seconds: two years.
pub const ASKED_SECONDS_MAX: i64 = 2 * 366 * 86_400;

/// Most resources that expand-property leads to.
pub const EXPANDED_MAX: usize = 1000;

/// Most collections of others in one home; more of them are reached by their owners' paths.
pub const MOUNTED_MAX: usize = 1000;
