//! Tables and migrations. The SQL is one text for SQLite and PostgreSQL: plain types, `ON CONFLICT`, `$1` parameters in
//! the order of their appearance, no engine's own operators.
//!
//! `dir_row` is the truth, and all that is followed and summed. The other tables are indexes over it, written in the
//! same transaction by [`crate::index`] and the same on every node; they can be made again from `dir_row` at any time.

use std::cmp::Ordering;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use crate::row::RowKind;
use crate::{StorageError, contact, index, job_event, share, source};

/// The format that this version writes.
pub const FORMAT: i64 = 3;

/// How long a statement waits for another connection's lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;

/// Prepared statements kept for each connection.
const STATEMENTS_MAX: usize = 96;

/// Most memory for one connection's pages, in KiB.
const PAGE_CACHE_KIB: i64 = 8 * 1024;

/// The tables that format 1 had in the same form.
const TABLES_1: &str = "
CREATE TABLE dir_head (
    id INTEGER PRIMARY KEY,
    format INTEGER NOT NULL,
    installation TEXT NOT NULL,
    is_copy INTEGER NOT NULL,
    modseq BIGINT NOT NULL,
    digest TEXT NOT NULL,
    position_modseq BIGINT NOT NULL,
    position_kind INTEGER NOT NULL,
    position_key TEXT NOT NULL
);
CREATE TABLE dir_row (
    kind INTEGER NOT NULL,
    row_key TEXT NOT NULL,
    modseq BIGINT NOT NULL,
    content TEXT,
    PRIMARY KEY (kind, row_key)
);
CREATE UNIQUE INDEX dir_row_by_modseq ON dir_row (modseq, kind, row_key);
CREATE TABLE dir_domain_name (
    name TEXT NOT NULL PRIMARY KEY,
    domain_id BIGINT NOT NULL,
    is_main INTEGER NOT NULL
);
CREATE INDEX dir_domain_name_by_domain ON dir_domain_name (domain_id);
CREATE INDEX dir_domain_name_by_name ON dir_domain_name (is_main, name);
CREATE TABLE dir_address (
    domain_id BIGINT NOT NULL,
    local_part TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    is_main INTEGER NOT NULL,
    PRIMARY KEY (domain_id, local_part)
);
CREATE INDEX dir_address_by_account ON dir_address (account_id);
CREATE INDEX dir_address_by_kind ON dir_address (kind, is_main, domain_id, local_part);
CREATE TABLE dir_entry (
    account_id BIGINT NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL
);
CREATE TABLE dir_login (
    login TEXT NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL
);
CREATE INDEX dir_login_by_account ON dir_login (account_id);
CREATE TABLE dir_admin (
    account_id BIGINT NOT NULL PRIMARY KEY
);
CREATE TABLE dir_member (
    group_id BIGINT NOT NULL,
    member_key TEXT NOT NULL,
    account_id BIGINT,
    PRIMARY KEY (group_id, member_key)
);
CREATE INDEX dir_member_by_account ON dir_member (account_id, group_id);
CREATE TABLE dir_placement (
    account_id BIGINT NOT NULL PRIMARY KEY,
    server TEXT NOT NULL
);
CREATE INDEX dir_placement_by_server ON dir_placement (server, account_id);
CREATE TABLE dir_server_name (
    name TEXT NOT NULL PRIMARY KEY,
    server TEXT NOT NULL
);
CREATE INDEX dir_server_name_by_server ON dir_server_name (server);
CREATE TABLE dir_count (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
";

/// The tables that are new or other in format 2. In format 1 an account had one pending store at most.
const TABLES_2: &str = "
CREATE TABLE dir_pending_store (
    row_key TEXT NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL,
    server TEXT NOT NULL
);
CREATE INDEX dir_pending_store_by_account ON dir_pending_store (account_id, server);
CREATE TABLE dir_copy (
    account_id BIGINT NOT NULL,
    server TEXT NOT NULL,
    kept_until BIGINT,
    PRIMARY KEY (account_id, server)
);
CREATE INDEX dir_copy_by_server ON dir_copy (server, account_id);
CREATE INDEX dir_copy_by_end ON dir_copy (kept_until, account_id, server);
CREATE TABLE dir_move (
    account_id BIGINT NOT NULL PRIMARY KEY,
    job_id BIGINT NOT NULL,
    phase INTEGER NOT NULL
);
CREATE INDEX dir_move_by_job ON dir_move (job_id, account_id);
CREATE INDEX dir_move_by_phase ON dir_move (job_id, phase, account_id);
CREATE TABLE dir_job (
    job_id BIGINT NOT NULL PRIMARY KEY,
    is_over INTEGER NOT NULL
);
CREATE INDEX dir_job_by_end ON dir_job (is_over, job_id);
";

/// The kinds of rows that the tables of format 2 are about. A copy may have carried some that its version didn't know.
const KINDS_2: [RowKind; 4] = [RowKind::PendingStore, RowKind::Copy, RowKind::Move, RowKind::Job];

/// What every connection needs, readers and writer alike.
pub(crate) fn prepare(conn: &Connection) -> Result<(), StorageError> {
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Else each statement with a bound LIMIT is planned again at each use: another limit may want another plan.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    Ok(())
}

/// Makes the tables of a new file, or brings those of an older version up to this one.
pub(crate) fn migrate(conn: &mut Connection) -> Result<(), StorageError> {
    conn.pragma_update(None, "journal_mode", "WAL")?;
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let exists: bool =
        tx.query_row("SELECT COUNT(*) FROM sqlite_master WHERE name = 'dir_head'", [], |row| row.get(0))?;
    if exists {
        let format: Option<i64> =
            tx.query_row("SELECT format FROM dir_head WHERE id = 1", [], |row| row.get(0)).optional()?;
        match format {
            Some(FORMAT) => {}
            Some(1) => {
                migrate_to_2(&tx)?;
                migrate_to_3(&tx)?;
            }
            Some(2) => migrate_to_3(&tx)?,
            Some(found) if found > FORMAT => return Err(StorageError::NewerFormat { found, known: FORMAT }),
            found => return Err(StorageError::Damaged(format!("the format version is {found:?}"))),
        }
    } else {
        tx.execute_batch(TABLES_1)?;
        tx.execute_batch(TABLES_2)?;
        tx.execute_batch(share::TABLES_3)?;
        tx.execute(
            "INSERT INTO dir_head (id, format, installation, is_copy, modseq, digest,
                 position_modseq, position_kind, position_key)
             VALUES (1, $1, '', 0, 0, $2, 0, $3, '')",
            rusqlite::params![FORMAT, sterna_account::Digest::default().to_string(), u16::MAX],
        )?;
    }
    contact::make_index(&tx)?;
    job_event::make_index(&tx)?;
    source::names::make_index(&tx)?;
    tx.commit()?;
    Ok(())
}

/// The format that a file has.
pub(crate) fn format_of(conn: &Connection) -> Result<i64, StorageError> {
    Ok(conn.query_row("SELECT format FROM dir_head WHERE id = 1", [], |row| row.get(0))?)
}

/// For who reads a file and must not change it.
pub(crate) fn must_be_current(conn: &Connection) -> Result<(), StorageError> {
    let found = format_of(conn)?;
    match found.cmp(&FORMAT) {
        Ordering::Less => Err(StorageError::OlderFormat { found, known: FORMAT }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StorageError::NewerFormat { found, known: FORMAT }),
    }
}

/// Rows stay as they are: an older key of a pending store is as good as the one that is written now.
fn migrate_to_2(conn: &Connection) -> Result<(), StorageError> {
    conn.execute_batch("DROP TABLE dir_pending_store")?;
    conn.execute_batch(TABLES_2)?;
    KINDS_2.into_iter().try_for_each(|kind| index_rows(conn, kind))
}

fn migrate_to_3(conn: &Connection) -> Result<(), StorageError> {
    conn.execute_batch(share::TABLES_3)?;
    index_rows(conn, RowKind::Share)?;
    conn.execute("UPDATE dir_head SET format = $1 WHERE id = 1", [FORMAT])?;
    Ok(())
}

/// Makes the index over the rows of a kind that are there already.
pub(crate) fn index_rows(conn: &Connection, kind: RowKind) -> Result<(), StorageError> {
    let sql = "SELECT row_key, content FROM dir_row WHERE kind = $1 AND content IS NOT NULL ORDER BY row_key";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([kind as u16])?;
    while let Some(row) = rows.next()? {
        let (key, content): (String, String) = (row.get(0)?, row.get(1)?);
        index::update(conn, kind, &key, None, Some(&content))?;
    }
    Ok(())
}

/// Every table but the head and [`LATER_INDEXES`].
pub(crate) const CONTENT_TABLES: [&str; 15] = [
    "dir_row",
    "dir_domain_name",
    "dir_address",
    "dir_entry",
    "dir_login",
    "dir_admin",
    "dir_member",
    "dir_placement",
    "dir_pending_store",
    "dir_copy",
    "dir_move",
    "dir_job",
    "dir_server_name",
    "dir_count",
    share::TABLE_NAME,
];

/// The indexes of contacts and links: an older version may have written rows without them, and who only reads a file
/// can't make them again.
pub(crate) const LATER_INDEXES: [&str; 3] = ["dir_contact", "dir_job_event", "dir_link"];
