//! The file of the trace: messages and events, found by id, Message-ID and address, and forgotten after some days.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params, params_from_iter};
use sterna_account::trace::{
    EVENTS_MAX, EVENTS_OF_ANSWER_MAX, TRACED_MAX, TraceEvent, TraceQuery, Traced, TracedMessage,
};
use sterna_base::{Clock, OperationId, Timestamp};
use tokio::sync::mpsc;

use super::{Accepted, Inner, Record, Trace, WAITING_MAX};

/// Records of one transaction.
const BATCH_MAX: usize = 1000;
/// Rows that one step of forgetting deletes.
const FORGOTTEN_PER_STEP: usize = 5000;
/// Most memory for one connection's pages, in KiB.
const PAGE_CACHE_KIB: i64 = 4 * 1024;
/// How long a statement waits for another connection's lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;

/// A trace is of use only while it is whole or new: what an older version wrote is thrown away.
const FORMAT: i64 = 1;

const TABLES: &str = "
CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    at_ms BIGINT NOT NULL,
    message_id TEXT,
    sender TEXT NOT NULL,
    origin TEXT NOT NULL,
    size_bytes BIGINT NOT NULL
);
CREATE INDEX message_by_message_id ON message (message_id);
CREATE INDEX message_by_sender ON message (sender);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id BLOB,
    at_ms BIGINT NOT NULL,
    recipient TEXT NOT NULL,
    what TEXT NOT NULL,
    destination TEXT NOT NULL,
    host TEXT NOT NULL,
    detail TEXT NOT NULL,
    next_ms BIGINT
);
CREATE INDEX event_by_id ON event (id);
CREATE INDEX event_by_recipient ON event (recipient);
";

/// The trace can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// SQLite says so.
    #[error("the trace can't be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The system says so.
    #[error("the trace can't be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The node ends.
    #[error("the node is stopping")]
    Stopping,
}

/// The file, for questions. Cheap to clone.
#[derive(Clone)]
pub struct TraceStore {
    path: Arc<PathBuf>,
}

impl TraceStore {
    /// Opens the trace in a folder or makes it, and starts the thread that writes it; that ends with the last
    /// [`Trace`]. Blocks.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Trace), TraceError> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("trace.sqlite");
        let connection = prepare(&path)?;
        let (records, received) = mpsc::channel(WAITING_MAX);
        std::thread::Builder::new().name("trace".into()).spawn(move || write(connection, received))?;
        let trace =
            Trace(Some(Arc::new(Inner { clock, records, dropped: AtomicU64::new(0), delivered: AtomicU64::new(0) })));
        Ok((TraceStore { path: Arc::new(path) }, trace))
    }

    /// The messages that are asked for, the latest first.
    ///
    /// # Errors
    /// [`TraceError`].
    pub async fn ask(&self, query: TraceQuery) -> Result<Vec<TracedMessage>, TraceError> {
        let path = self.path.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&*path, flags)?;
            connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
            ask(&connection, &query)
        });
        asked.await.map_err(|_| TraceError::Stopping)?
    }

    /// Forgets what is older. Short steps, so that writing goes on between them.
    ///
    /// # Errors
    /// [`TraceError`].
    pub async fn forget(&self, before: Timestamp) -> Result<u64, TraceError> {
        let mut forgotten = 0;
        loop {
            let path = self.path.clone();
            let step = tokio::task::spawn_blocking(move || forget(&path, before));
            let count = step.await.map_err(|_| TraceError::Stopping)??;
            forgotten += count as u64;
            if count == 0 {
                return Ok(forgotten);
            }
        }
    }
}

fn prepare(path: &Path) -> Result<Connection, TraceError> {
    let mut connection = match open(path) {
        Ok((connection, 0 | FORMAT)) => connection,
        Err(error) if !is_damage(&error) => return Err(error.into()),
        _ => {
            tracing::warn!(path = %path.display(), "the trace is of another version or damaged; it begins anew");
            remove(path)?;
            open(path)?.0
        }
    };
    let tx = connection.transaction()?;
    if format(&tx)? == 0 {
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "user_version", FORMAT)?;
    }
    tx.commit()?;
    Ok(connection)
}

/// With the format of what is there; zero when it is new.
fn open(path: &Path) -> Result<(Connection, i64), rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Nothing depends on it: the last moments may be lost with the power.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    let format = format(&connection)?;
    Ok((connection, format))
}

fn format(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn remove(path: &Path) -> std::io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn write(mut connection: Connection, mut records: mpsc::Receiver<Record>) {
    let mut batch = Vec::new();
    while let Some(first) = records.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH_MAX
            && let Ok(next) = records.try_recv()
        {
            batch.push(next);
        }
        if let Err(error) = keep(&mut connection, &batch) {
            tracing::warn!(%error, records = batch.len(), "the trace could not be written; it has a gap");
        }
        batch.clear();
    }
}

fn keep(connection: &mut Connection, batch: &[Record]) -> Result<(), rusqlite::Error> {
    let tx = connection.transaction()?;
    for record in batch {
        match record {
            Record::Message(Accepted { id, at, message_id, sender, origin, size_bytes }) => {
                // A sender that comes again under the same id is the same message.
                let sql = "INSERT INTO message (id, at_ms, message_id, sender, origin, size_bytes)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING";
                let size = i64::try_from(*size_bytes).unwrap_or(i64::MAX);
                tx.prepare_cached(sql)?.execute(params![id.0, at.0, message_id, sender, origin, size])?;
            }
            Record::Event(id, event) => {
                let sql = "INSERT INTO event (id, at_ms, recipient, what, destination, host, detail, next_ms)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
                let TraceEvent { at, recipient, what, destination, host, detail, next } = event;
                let (id, next) = (id.map(|id| id.0), next.map(|next| next.0));
                tx.prepare_cached(sql)?.execute(params![
                    id,
                    at.0,
                    recipient,
                    what.name(),
                    destination,
                    host,
                    detail,
                    next
                ])?;
            }
        }
    }
    tx.commit()
}

fn forget(path: &Path, before: Timestamp) -> Result<usize, TraceError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    let mut count = 0;
    for table in ["event", "message"] {
        // Rows come in the order of their times, but for a clock that was set: the oldest are the first ones.
        let sql =
            format!("DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?1) AND at_ms < ?2");
        count += connection.execute(&sql, params![FORGOTTEN_PER_STEP as i64, before.0])?;
    }
    Ok(count)
}

/// What a message is found by.
enum Key {
    Message([u8; 16]),
    Refusal(i64),
}

/// Most messages that are looked at for somebody who may see only their own.
const LOOKED_AT_MAX: usize = 20_000;

fn ask(connection: &Connection, query: &TraceQuery) -> Result<Vec<TracedMessage>, TraceError> {
    let limit = query.limit.clamp(1, TRACED_MAX);
    let mut found: BTreeMap<(i64, i64), Key> = BTreeMap::new();
    // What others may not see is left out afterwards, and must not stand in the way of what they may.
    let looked_at = if query.involving.is_empty() { limit } else { LOOKED_AT_MAX };
    for text in keys(&query.text) {
        find(connection, &text, query.since, looked_at, &mut found)?;
    }
    let involving: Vec<String> = query.involving.iter().map(|address| address.to_ascii_lowercase()).collect();
    let (mut messages, mut events) = (Vec::new(), 0);
    for key in found.into_values().rev() {
        let message = match key {
            Key::Message(id) => message(connection, id)?,
            Key::Refusal(seq) => refusal(connection, seq)?,
        };
        let concerns = |message: &TracedMessage| {
            involving.is_empty()
                || involving.contains(&message.sender)
                || message.events.iter().any(|event| involving.contains(&event.recipient))
        };
        let Some(message) = message.filter(concerns) else { continue };
        events += message.events.len();
        messages.push(message);
        if messages.len() >= limit || events >= EVENTS_OF_ANSWER_MAX {
            break;
        }
    }
    Ok(messages)
}

/// How it may be written: a Message-ID with and without its brackets, an address in small letters.
fn keys(text: &str) -> Vec<String> {
    let text = text.trim();
    let bare = text.trim_start_matches('<').trim_end_matches('>');
    let mut keys = vec![text.to_owned(), bare.to_owned(), format!("<{bare}>"), bare.to_ascii_lowercase()];
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The latest messages that have the text as an id, a Message-ID, a sender or a recipient.
fn find(
    connection: &Connection,
    text: &str,
    since: Timestamp,
    limit: usize,
    found: &mut BTreeMap<(i64, i64), Key>,
) -> Result<(), TraceError> {
    let by_column = |column: &str, value: Value, found: &mut BTreeMap<(i64, i64), Key>| -> Result<(), TraceError> {
        let sql = format!(
            "SELECT at_ms, seq, id FROM message WHERE {column} = ?1 AND at_ms >= ?2 ORDER BY seq DESC LIMIT ?3"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let parameters = [value, Value::from(since.0), Value::from(limit as i64)];
        let rows = statement.query_map(params_from_iter(parameters), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, [u8; 16]>(2)?))
        })?;
        for row in rows {
            let (at, seq, id) = row?;
            found.insert((at, seq), Key::Message(id));
        }
        Ok(())
    };
    if let Ok(id) = text.parse::<OperationId>() {
        by_column("id", Value::Blob(id.0.to_vec()), found)?;
    }
    by_column("message_id", Value::from(text.to_owned()), found)?;
    by_column("sender", Value::from(text.to_owned()), found)?;
    let sql = "SELECT seq, at_ms, id FROM event WHERE recipient = ?1 AND at_ms >= ?2 ORDER BY seq DESC LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    // Each message has a few events for a recipient.
    let rows = statement.query_map(params![text, since.0, (limit * 8) as i64], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<[u8; 16]>>(2)?))
    })?;
    for row in rows {
        match row? {
            (seq, at, None) => drop(found.insert((at, -seq), Key::Refusal(seq))),
            (_, _, Some(id)) => by_column("id", Value::Blob(id.to_vec()), found)?,
        }
    }
    Ok(())
}

fn message(connection: &Connection, id: [u8; 16]) -> Result<Option<TracedMessage>, TraceError> {
    let sql = "SELECT at_ms, message_id, sender, origin, size_bytes FROM message WHERE id = ?1";
    let found = connection.prepare_cached(sql)?.query_row([id], |row| {
        Ok(TracedMessage {
            id: Some(OperationId(id).to_string()),
            at: Timestamp(row.get(0)?),
            message_id: row.get(1)?,
            sender: row.get(2)?,
            origin: row.get(3)?,
            size_bytes: row.get::<_, i64>(4)?.unsigned_abs(),
            events: Vec::new(),
        })
    });
    let Some(mut message) = found.optional()? else { return Ok(None) };
    let sql = format!("SELECT {EVENT_COLUMNS} FROM event WHERE id = ?1 ORDER BY seq DESC LIMIT {EVENTS_MAX}");
    let mut statement = connection.prepare_cached(&sql)?;
    message.events = statement.query_map([id], event)?.collect::<Result<_, _>>()?;
    message.events.reverse();
    Ok(Some(message))
}

fn refusal(connection: &Connection, seq: i64) -> Result<Option<TracedMessage>, TraceError> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM event WHERE seq = ?1");
    let found = connection.prepare_cached(&sql)?.query_row([seq], event).optional()?;
    Ok(found.map(|event| TracedMessage {
        id: None,
        at: event.at,
        message_id: None,
        sender: String::new(),
        origin: String::new(),
        size_bytes: 0,
        events: vec![event],
    }))
}

const EVENT_COLUMNS: &str = "at_ms, recipient, what, destination, host, detail, next_ms";

fn event(row: &rusqlite::Row<'_>) -> Result<TraceEvent, rusqlite::Error> {
    Ok(TraceEvent {
        at: Timestamp(row.get(0)?),
        recipient: row.get(1)?,
        what: Traced::from_name(&row.get::<_, String>(2)?),
        destination: row.get(3)?,
        host: row.get(4)?,
        detail: row.get(5)?,
        next: row.get::<_, Option<i64>>(6)?.map(Timestamp),
    })
}
