//! The named limits of talking between nodes. Times are in milliseconds.

/// Reaching a peer: TCP, TLS and the HTTP/2 preface together.
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;
/// How often an HTTP/2 PING is sent on a connection; with [`PING_TIMEOUT_MS`] a dead peer is noticed in less than 5 s.
pub const PING_INTERVAL_MS: u64 = 1_500;
/// How long the answer to a PING may take.
pub const PING_TIMEOUT_MS: u64 = 2_500;
/// One call with its whole answer, unless the call says otherwise.
pub const CALL_TIMEOUT_MS: u64 = 20_000;
/// First pause before a failed connection is tried again; doubles up to [`RECONNECT_MAX_MS`].
pub const RECONNECT_MIN_MS: u64 = 100;
/// Longest pause before a failed connection is tried again.
pub const RECONNECT_MAX_MS: u64 = 3_000;
/// Calls to one peer at a time; more wait their turn within their own timeout.
pub const CALLS_PER_PEER_MAX: usize = 512;
/// How often a call whose answer was lost is repeated on a new connection.
pub const LOST_REPEATS_MAX: usize = 3;
/// How long a handle waits for an account that is being moved, or whose node just vanished, before it says so.
pub const HOLD_MS_MAX: u64 = 2_000;
/// First pause between two attempts of a held call; doubles up to [`HOLD_PAUSE_MAX_MS`].
pub const HOLD_PAUSE_MIN_MS: u64 = 5;
/// Longest pause between two attempts of a held call.
pub const HOLD_PAUSE_MAX_MS: u64 = 100;

/// Connections that the listener serves at a time.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Connections without a certificate at a time: machines that join.
pub const STRANGERS_MAX: usize = 32;
/// How long a connection without a certificate may last.
pub const STRANGER_CONNECTION_MS: u64 = 60_000;
/// Streams (calls, uploads, watches) on one connection at a time.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 1_024;
/// How long a TLS handshake may take before the listener hangs up.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 5_000;
/// How long calls that are under way may take to end when the listener closes.
pub const SHUTDOWN_GRACE_MS: u64 = 3_000;
/// Flow-control window of one stream, in bytes: four chunks of a blob.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Flow-control window of one connection, in bytes: so many streams may stand still before they stop the others.
pub const CONNECTION_WINDOW_BYTES: u32 = 32 * STREAM_WINDOW_BYTES;
/// Largest HTTP/2 frame, in bytes.
pub const FRAME_BYTES_MAX: u32 = 64 * 1024;
/// All header fields of one request or answer, in bytes.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Body of a control request (join, renewal, status), in bytes.
pub const CONTROL_BODY_BYTES_MAX: usize = 64 * 1024;
/// Body of an account call or its answer, in bytes. A commit of a whole batch of small messages must fit.
pub const CALL_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a body that was announced may stand still before it is given up.
pub const BODY_STALL_MS: u64 = 10_000;
/// How long an upload may stand still: as long as the slowest protocol session that feeds it may (the data block of
/// RFC 5321 section 4.5.3.2.5, with room). A dead peer is found by pings long before.
pub const UPLOAD_STALL_MS: u64 = 10 * 60 * 1000;
/// One staged blob, in bytes. Four times the largest message, so that files have room.
pub const UPLOAD_BYTES_MAX: u64 = 4 * sterna_base::limits::MESSAGE_BYTES_MAX;
/// Pieces of an upload that wait for the network.
pub const UPLOAD_QUEUE_MAX: usize = 4;
/// Staged blobs of an account of which a node remembers where they are: more are not on their way to a commit at once.
pub const STAGED_REMEMBERED_MAX: usize = 256;
/// Items with bodies that one answer carries; the handle asks again for the rest.
pub const ITEMS_WITH_BODY_MAX: usize = 64;
/// Items with summaries that one answer carries.
pub const ITEMS_WITH_SUMMARY_MAX: usize = 512;

/// Accounts that one peer watches at a time.
pub const WATCHES_PER_PEER_MAX: usize = 100_000;
/// Notifications that wait for the network; behind it they merge, because only the last modseq counts.
pub const WATCH_QUEUE_MAX: usize = 256;
/// One record in a stream of watches, in bytes.
pub const WATCH_RECORD_BYTES_MAX: usize = 1_024;
/// Placements that a node remembers between two changes of the directory.
pub const PLACEMENTS_REMEMBERED_MAX: usize = 100_000;
/// How often a node looks for watches that nobody reads any more.
pub const WATCH_SWEEP_MS: u64 = 30_000;

/// Rows in one page of the directory's log.
pub const LOG_PAGE_ROWS_MAX: usize = 1_000;
/// One page of the directory's log, in bytes.
pub const LOG_PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long the main node keeps a question for changes open when there are none.
pub const LOG_POLL_MS: u64 = 25_000;
/// Data servers that a node asks in one go for the directory's changes while it can't reach the main node.
pub const NEIGHBOURS_ASKED_MAX: usize = 3;
/// How long one of them has for its answer.
pub const NEIGHBOUR_TIMEOUT_MS: u64 = 2_000;

/// Contents of blobs in one answer to a copy, in bytes.
pub const COPIED_BLOBS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blobs that a copy asks for at once.
pub const COPIED_BLOBS_MAX: usize = 1_000;
/// Most calls for contents of a page that is fetched while another is applied: more than a page needs, unless it has
/// very long ones.
pub const FETCHED_AHEAD_CALLS_MAX: usize = 4;
/// A copy that was equal once and lacks at most so many rows follows closely.
pub const CLOSE_ROWS_MAX: u64 = 1_000;
/// The same in bytes of contents.
pub const CLOSE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How long a source lets a copy wait for an answer so that its own users don't have to; well below
/// [`CALL_TIMEOUT_MS`].
pub const THROTTLED_ANSWER_MS_MAX: u64 = 5_000;
/// Accounts are looked after by one at a time each; they share so many locks.
pub const KEEPER_LOCKS: usize = 64;
/// Accounts that are looked after at the same time.
pub const KEEPER_PARALLEL: usize = 16;
/// How long a data server waits before it looks again after an account whose store or directory failed.
pub const KEEPER_RETRY_MS: u64 = 500;
/// How long a copy that has everything waits for news of its source before it asks anyway.
pub const NEWS_WAIT_MS: u64 = 10_000;
/// How long a commit waits for an awaited copy that says nothing, before it is not acknowledged.
pub const COPY_SILENCE_MS: u64 = 1_500;
/// How long a commit waits for an awaited copy that goes on asking, because it has much to fetch.
pub const COPY_WAIT_MS: u64 = 10_000;
/// How long the account's server waits for an awaited copy before it calls it.
pub const COPY_CALL_MS: u64 = 250;
/// How often the main node is told the same of one copy.
pub const REPORT_PAUSE_MS: u64 = 1_000;
/// Accounts whose copies a data server remembers between two changes of the directory; those without any are forgotten.
pub const ACKS_REMEMBERED_MAX: usize = 100_000;
/// Copies that a node brings up from the beginning at a time; those that only follow on don't count.
pub const SEEDING_MAX: usize = 4;
/// Moves that the driver looks at in one round; the rest of a large job waits for its turn.
pub const MOVES_LISTED_MAX: usize = 1_000;
/// How often kept copies are looked through for those whose time is over.
pub const COPIES_EXPIRE_ROUND_MS: u64 = 60_000;
/// How often the driver looks whether there are moves, when nothing tells it.
pub const MOVES_ROUND_MS: u64 = 1_000;
/// How long a copy may take to become equal to a sealed account before the cut-over is given up.
pub const READY_WAIT_MS: u64 = 1_500;

/// How far two clocks may differ when a node joins.
pub const CLOCK_SKEW_MS_MAX: i64 = 5 * 60 * 1000;
/// Life time of a join token unless the administrator says otherwise: one hour.
pub const TOKEN_LIFETIME_MS: i64 = 3600 * 1000;
/// Open tokens at a time.
pub const TOKENS_MAX: usize = 1_000;
/// How long used and expired tokens are remembered, so that the error can say which it was: thirty days.
pub const TOKEN_MEMORY_MS: i64 = 30 * 24 * 3600 * 1000;
/// Join requests that are handled at a time.
pub const JOINS_MAX: usize = 8;
/// How long the main node tries to reach the address that a new node gives.
pub const PROBE_TIMEOUT_MS: u64 = 2_000;
/// Longest display name of a node, in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 63;

/// Life time of a node's certificate: ninety days.
pub const CERTIFICATE_LIFETIME_MS: i64 = 90 * 24 * 3600 * 1000;
/// How far before its making a certificate begins to hold, so that small differences of clocks don't matter: one hour.
pub const CERTIFICATE_BACKDATE_MS: i64 = 3600 * 1000;
/// Life time of the installation's CA: twenty years.
pub const AUTHORITY_LIFETIME_MS: i64 = 20 * 365 * 24 * 3600 * 1000;
/// How often a node looks whether its certificate is due, and tries again after a failure: one hour.
pub const RENEWAL_PERIOD_MS: u64 = 3600 * 1000;

const _: () = assert!(PING_INTERVAL_MS + PING_TIMEOUT_MS < 5_000);
// A commit must be answered before its call ends.
const _: () = assert!(2 * COPY_WAIT_MS <= CALL_TIMEOUT_MS && COPY_CALL_MS < COPY_SILENCE_MS);
const _: () = assert!(STREAM_WINDOW_BYTES as usize >= 4 * sterna_base::limits::BLOB_CHUNK_BYTES);
const _: () = assert!(
    CALL_BODY_BYTES_MAX > ITEMS_WITH_BODY_MAX * sterna_base::limits::INLINE_BLOB_BYTES_MAX
        && CALL_BODY_BYTES_MAX > 2 * sterna_base::limits::BLOB_CHUNK_BYTES
);
