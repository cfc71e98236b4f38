//! The queue's tables.
//!
//! A message has deliveries, one for each destination; a delivery has the recipients that wait. What is done is
//! deleted: the queue holds what still has to happen, the trace tells what has.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::error::QueueError;

/// The format that this version writes.
pub const FORMAT: i64 = 2;

/// How long a statement waits for another connection's lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;

/// Prepared statements kept for each connection.
const STATEMENTS_MAX: usize = 64;

/// Most memory for one connection's pages, in KiB.
const PAGE_CACHE_KIB: i64 = 8 * 1024;

/// Numbers of deliveries and recipients are not given again: a try that is under way has them in its hands. Files that
/// were made before this was so do give them again ([`super::lane::Lane`] knows).
const TABLES: &str = "
CREATE TABLE queue_head (
    id INTEGER PRIMARY KEY,
    format INTEGER NOT NULL
);
CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    mail_from TEXT NOT NULL,
    envelope_id TEXT,
    return_headers_only INTEGER NOT NULL,
    eight_bit INTEGER NOT NULL,
    utf8 INTEGER NOT NULL,
    origin TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    hash BLOB NOT NULL,
    junk INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE body (
    seq INTEGER PRIMARY KEY,
    content BLOB
);
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL,
    destination TEXT NOT NULL,
    next_ms BIGINT NOT NULL,
    held INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    warned INTEGER NOT NULL,
    deadline_ms BIGINT NOT NULL,
    last_ms BIGINT,
    last_host TEXT NOT NULL,
    last_text TEXT NOT NULL
);
CREATE INDEX delivery_by_destination ON delivery (held, destination, next_ms, id);
CREATE INDEX delivery_by_message ON delivery (message);
CREATE TABLE recipient (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery INTEGER NOT NULL,
    address TEXT NOT NULL,
    original TEXT,
    notify TEXT
);
CREATE INDEX recipient_by_delivery ON recipient (delivery, id);
";

/// What format 2 has and format 1 had not.
const FROM_1_TO_2: &str = "
ALTER TABLE message ADD COLUMN junk INTEGER NOT NULL DEFAULT 0;
UPDATE queue_head SET format = 2 WHERE id = 1;
";

/// What was found out of a message on its way in. Older versions don't know it: what they redirect goes unsealed, and
/// invitations that waited stay messages.
const PROVENANCE: &str = "ALTER TABLE message ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN submitted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN vouched TEXT NOT NULL DEFAULT '';";

/// Messages that were put in once and never again, also when they are gone. Older versions don't know it and need not.
const ONCE: &str = "CREATE TABLE IF NOT EXISTS once (id BLOB PRIMARY KEY, until_ms BIGINT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS once_by_time ON once (until_ms);";

/// What every connection needs.
pub fn prepare(connection: &Connection) -> Result<(), QueueError> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Else each statement with a bound LIMIT is planned again at each use: another limit may want another plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    Ok(())
}

/// Makes the tables of a new file, or looks whether those that are there are this version's.
pub fn create(connection: &mut Connection) -> Result<(), QueueError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "SELECT name FROM sqlite_master WHERE name = 'queue_head'";
    if tx.query_row(sql, [], |_| Ok(())).optional()?.is_none() {
        tx.execute_batch(TABLES)?;
        tx.execute("INSERT INTO queue_head (id, format) VALUES (1, ?1)", [FORMAT])?;
    }
    let format = |tx: &Connection| tx.query_row("SELECT format FROM queue_head WHERE id = 1", [], |row| row.get(0));
    if format(&tx)? == 1_i64 {
        tx.execute_batch(FROM_1_TO_2)?;
    }
    let found: i64 = format(&tx)?;
    if found != FORMAT {
        return Err(QueueError::OtherFormat { found, known: FORMAT });
    }
    let sql = "SELECT 1 FROM pragma_table_info('message') WHERE name = 'vouched'";
    if tx.query_row(sql, [], |_| Ok(())).optional()?.is_none() {
        tx.execute_batch(PROVENANCE)?;
    }
    tx.execute_batch(ONCE)?;
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_format_1_is_taken_over() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tables = TABLES.replace(",\n    junk INTEGER NOT NULL DEFAULT 0", "");
        assert_ne!(tables, TABLES);
        connection.execute_batch(&tables).unwrap();
        connection.execute("INSERT INTO queue_head (id, format) VALUES (1, 1)", []).unwrap();
        create(&mut connection).unwrap();
        create(&mut connection).unwrap();
        connection.execute_batch("SELECT junk, verified, submitted, vouched FROM message").unwrap();
        connection.execute("UPDATE queue_head SET format = 3", []).unwrap();
        assert!(matches!(create(&mut connection), Err(QueueError::OtherFormat { found: 3, known: FORMAT })));
    }
}
