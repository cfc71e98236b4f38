//! The tables of an index.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sterna_account::StoreError;

use super::super::error::store_error;

/// The format of the tables and of what words and terms are ([`sterna_formats::mail::fold`], [`super`]). Raise it with
/// every change of either: an index of another format is made anew.
const FORMAT: u32 = 6;

/// Page cache of a connection.
const CACHE_KIB: i64 = 4096;

/// How large the write-ahead log may stay.
const LOG_BYTES_MAX: i64 = 4 * 1024 * 1024;

/// How long a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(10);

/// Prepared statements kept by a connection.
const STATEMENTS_KEPT: usize = 32;

/// `detail=none`: that a term is in a document, not where. The tokenizer `ascii` takes everything but ASCII's blanks
/// and signs for a part of a token, and terms have none of those.
const TABLES: &str = "
CREATE TABLE progress (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  modseq INTEGER NOT NULL,
  container INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  whole_epoch INTEGER,
  whole_modseq INTEGER,
  whole_digest BLOB
);
CREATE TABLE document (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  is_partial INTEGER NOT NULL,
  words INTEGER NOT NULL
);
CREATE INDEX document_partial ON document (id) WHERE is_partial = 1;
CREATE TABLE kept_text (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE attached (
  document INTEGER NOT NULL,
  kept_text INTEGER NOT NULL,
  PRIMARY KEY (document, kept_text)
) WITHOUT ROWID;
CREATE INDEX attached_kept_text ON attached (kept_text);
CREATE TABLE item (
  container INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  document INTEGER NOT NULL,
  PRIMARY KEY (container, uid)
) WITHOUT ROWID;
CREATE INDEX item_document ON item (document);
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE stem (
  stem TEXT NOT NULL,
  word INTEGER NOT NULL,
  languages INTEGER NOT NULL,
  PRIMARY KEY (stem, word)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE terms USING fts5 (
  text, content='', contentless_delete=1, detail=none, tokenize='ascii'
);
CREATE VIRTUAL TABLE gram USING fts5 (grams, content='', detail=none, columnsize=0, tokenize='ascii');
";

/// Opens a file that there is, without changing anything.
pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(store_error)?;
    conn.pragma_update(None, "query_only", true).map_err(store_error)?;
    conn.busy_timeout(BUSY).map_err(store_error)?;
    match conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(store_error)? {
        FORMAT => Ok(conn),
        found => Err(StoreError::NewerFormat { found, supported: FORMAT }),
    }
}

/// Opens the file, made if there is none.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let conn = Connection::open(path)?;
        conn.busy_timeout(BUSY)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        conn.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(conn)
    };
    let conn = open().map_err(store_error)?;
    let format = |conn: &Connection| conn.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0));
    if format(&conn).map_err(store_error)? == 0 {
        let make = || {
            let transaction = rusqlite::Transaction::new_unchecked(&conn, rusqlite::TransactionBehavior::Immediate)?;
            // Another connection may have been faster.
            if format(&transaction)? == 0 {
                transaction.execute_batch(TABLES)?;
                transaction.pragma_update(None, "user_version", FORMAT)?;
            }
            transaction.commit()
        };
        make().map_err(store_error)?;
    }
    match format(&conn).map_err(store_error)? {
        FORMAT => Ok(conn),
        found => Err(StoreError::NewerFormat { found, supported: FORMAT }),
    }
}
