//! The file of the greylist: triples that were seen, and clients that proved to be mail servers.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};
use sterna_base::Timestamp;
use sterna_base::ids::random_bytes;

use super::greylist::{Answer, Delays, Triple};

/// Triples of one network after which the network need not wait any more.
pub const GOOD_AFTER: u32 = 5;
/// How long who was let in is remembered after the last message, in milliseconds: longer than a monthly letter needs.
pub const KEPT_MS: i64 = 36 * 24 * 3600 * 1000;
/// Most triples, and most clients; of more those that were not heard of for longest are forgotten.
pub const ROWS_MAX: i64 = 1_000_000;
/// Questions, and rows of other edges, after which what is too old, or too much, is forgotten.
const FORGET_EVERY: usize = 10_000;
/// A client's row is written again when it is older, in milliseconds: a good one writes much.
const FRESH_MS: i64 = 24 * 3600 * 1000;
/// Most memory for pages, in KiB.
pub const PAGE_CACHE_KIB: i64 = 4 * 1024;
/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The layout. A file of a later one is begun anew: that costs delays.
const FORMAT: i64 = 2;

/// When those were heard of first who were deleted: never, and too long ago for any window.
pub const NEVER_MS: i64 = i64::MIN / 2;

const TABLES: &str = "
CREATE TABLE triple (
    network TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    passed INTEGER NOT NULL,
    PRIMARY KEY (network, sender, recipient)
) WITHOUT ROWID;
CREATE INDEX triple_by_last ON triple (last_ms);
CREATE TABLE client (network TEXT PRIMARY KEY, passed INTEGER NOT NULL, last_ms BIGINT NOT NULL) WITHOUT ROWID;
CREATE INDEX client_by_last ON client (last_ms);
";

/// What layout 2 has more: which of this edge's own changes made a row (0 for what was heard of another edge), and how
/// far other edges' files are known.
const SHARED: &str = "
ALTER TABLE triple ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE client ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
CREATE INDEX triple_by_seq ON triple (seq) WHERE seq > 0;
CREATE INDEX client_by_seq ON client (seq) WHERE seq > 0;
CREATE TABLE own (file BIGINT NOT NULL, seq BIGINT NOT NULL);
CREATE TABLE edge (node BLOB PRIMARY KEY, file BIGINT NOT NULL, seq BIGINT NOT NULL) WITHOUT ROWID;
";

/// The greylist can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum GreylistError {
    /// SQLite says so.
    #[error("the greylist can't be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The system says so.
    #[error("the greylist can't be read or written: {0}")]
    Io(#[from] std::io::Error),
}

/// The open file.
pub struct Store {
    connection: Connection,
    /// Questions and rows since something was forgotten.
    asked: usize,
}

impl Store {
    /// Opens it or makes it; a damaged one is begun anew.
    ///
    /// # Errors
    /// [`GreylistError`].
    pub fn open(path: &Path) -> Result<Self, GreylistError> {
        let connection = match prepared(path) {
            Ok(connection) => connection,
            Err(error) if is_damage(&error) => {
                tracing::warn!(path = %path.display(), "the greylist is of another version or damaged; it begins anew");
                for end in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(end);
                    match std::fs::remove_file(&name) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                        _ => {}
                    }
                }
                prepared(path)?
            }
            Err(error) => return Err(error.into()),
        };
        // What grew old while it was closed goes with the first question.
        Ok(Store { connection, asked: FORGET_EVERY })
    }

    /// Does this in one transaction.
    ///
    /// # Errors
    /// [`GreylistError`]; nothing is written then.
    pub fn in_transaction(
        &mut self,
        work: impl FnOnce(&mut Written<'_>) -> Result<(), rusqlite::Error>,
    ) -> Result<(), GreylistError> {
        let mut written = Written { tx: self.connection.transaction()?, asked: &mut self.asked };
        work(&mut written)?;
        Ok(written.tx.commit()?)
    }
}

fn prepared(path: &Path) -> Result<Connection, rusqlite::Error> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    let tx = connection.transaction()?;
    match tx.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        FORMAT => {}
        before @ (0 | 1) => {
            if before == 0 {
                tx.execute_batch(TABLES)?;
            }
            tx.execute_batch(SHARED)?;
            tx.execute("INSERT INTO own (file, seq) VALUES (?1, 0)", [i64::from_be_bytes(random_bytes())])?;
            tx.pragma_update(None, "user_version", FORMAT)?;
        }
        _ => return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB), None)),
    }
    tx.commit()?;
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// The file in a transaction.
pub struct Written<'s> {
    pub(super) tx: Transaction<'s>,
    asked: &'s mut usize,
}

impl Written<'_> {
    /// What is answered to one who wants to write.
    ///
    /// # Errors
    /// SQLite's.
    pub fn check(&mut self, triple: &Triple, delays: Delays, now: Timestamp) -> Result<Answer, rusqlite::Error> {
        self.tidy(1, delays.window_ms, now)?;
        if self.is_good(&triple.network, now)? {
            return Ok(Answer::Pass);
        }
        let known =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?));
        let sql = "SELECT first_ms, last_ms, passed FROM triple WHERE network = ?1 AND sender = ?2 AND recipient = ?3";
        let key = params![triple.network, triple.sender, triple.recipient];
        let found = self.tx.prepare_cached(sql)?.query_row(key, known).optional()?;
        match found {
            Some((_, last, true)) if now.0 - last < KEPT_MS => {
                self.put(triple, now.0, now.0, true, now.0 - last >= FRESH_MS)?;
                Ok(Answer::Pass)
            }
            Some((first, _, false)) if (0..=delays.window_ms).contains(&(now.0 - first)) => {
                let age = now.0 - first;
                if age < delays.delay_ms {
                    self.put(triple, first, now.0, false, false)?;
                    return Ok(Answer::Wait { ms: delays.delay_ms - age });
                }
                self.put(triple, first, now.0, true, true)?;
                self.add_to(&triple.network, 1, now)?;
                Ok(Answer::Pass)
            }
            _ => {
                self.put(triple, now.0, now.0, false, true)?;
                Ok(Answer::Wait { ms: delays.delay_ms })
            }
        }
    }

    /// A client need not wait any more.
    ///
    /// # Errors
    /// SQLite's.
    pub fn good(&mut self, network: &str, now: Timestamp) -> Result<(), rusqlite::Error> {
        if self.is_good(network, now)? { Ok(()) } else { self.add_to(network, GOOD_AFTER, now) }
    }

    fn is_good(&self, network: &str, now: Timestamp) -> Result<bool, rusqlite::Error> {
        let sql = "SELECT passed, last_ms FROM client WHERE network = ?1";
        let known = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?));
        let Some((passed, last)) = self.tx.prepare_cached(sql)?.query_row([network], known).optional()? else {
            return Ok(false);
        };
        if passed < GOOD_AFTER || now.0 - last >= KEPT_MS {
            return Ok(false);
        }
        if now.0 - last >= FRESH_MS {
            self.tx.prepare_cached("UPDATE client SET last_ms = ?2, seq = ?3 WHERE network = ?1")?.execute(params![
                network,
                now.0,
                self.next_seq()?
            ])?;
        }
        Ok(true)
    }

    fn add_to(&self, network: &str, passed: u32, now: Timestamp) -> Result<(), rusqlite::Error> {
        let sql = "INSERT INTO client (network, passed, last_ms, seq) VALUES (?1, ?2, ?3, ?5) ON CONFLICT (network)
            DO UPDATE SET passed = CASE WHEN ?3 - last_ms < ?4 THEN passed + ?2 ELSE ?2 END, last_ms = ?3, seq = ?5";
        self.tx.prepare_cached(sql)?.execute(params![network, passed, now.0, KEPT_MS, self.next_seq()?])?;
        Ok(())
    }

    /// `is_news` is that other edges are to hear of it.
    fn put(&self, triple: &Triple, first: i64, last: i64, passed: bool, is_news: bool) -> Result<(), rusqlite::Error> {
        let sql = "INSERT INTO triple (network, sender, recipient, first_ms, last_ms, passed, seq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (network, sender, recipient) DO UPDATE
            SET first_ms = ?4, last_ms = ?5, passed = ?6, seq = max(seq, ?7)";
        let Triple { network, sender, recipient } = triple;
        let seq = if is_news { self.next_seq()? } else { 0 };
        self.tx.prepare_cached(sql)?.execute(params![network, sender, recipient, first, last, passed, seq])?;
        Ok(())
    }

    /// The number of another change of this edge's own.
    pub(super) fn next_seq(&self) -> Result<i64, rusqlite::Error> {
        let sql = "UPDATE own SET seq = seq + 1 RETURNING seq";
        self.tx.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }

    /// So many rows may come now: forgets others when enough have come.
    pub(super) fn tidy(&mut self, rows: usize, window_ms: i64, now: Timestamp) -> Result<(), rusqlite::Error> {
        *self.asked = self.asked.saturating_add(rows);
        if *self.asked < FORGET_EVERY {
            return Ok(());
        }
        *self.asked = 0;
        self.forget(window_ms, now)
    }

    fn forget(&self, window_ms: i64, now: Timestamp) -> Result<(), rusqlite::Error> {
        let (waited, kept) = (now.0 - window_ms, now.0 - KEPT_MS);
        self.tx.execute("DELETE FROM triple WHERE last_ms < ?1 AND (passed = 0 OR last_ms < ?2)", [waited, kept])?;
        self.tx.execute("DELETE FROM client WHERE last_ms < ?1", [kept])?;
        for table in ["triple", "client"] {
            let count: i64 = self.tx.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0))?;
            if count > ROWS_MAX {
                let sql = format!(
                    "DELETE FROM {table} WHERE last_ms <= (SELECT last_ms FROM {table} ORDER BY last_ms LIMIT 1 OFFSET ?1)"
                );
                self.tx.execute(&sql, [count - ROWS_MAX + ROWS_MAX / 10])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g");
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        let mut store = Store::open(&path).unwrap();
        store.in_transaction(|written| written.good("192.0.2.0/24", Timestamp(1))).unwrap();
        drop(store);
        let mut store = Store::open(&path).unwrap();
        let is_good = |written: &mut Written<'_>| {
            assert!(written.is_good("192.0.2.0/24", Timestamp(2))?);
            Ok(())
        };
        store.in_transaction(is_good).unwrap();
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("g")).unwrap();
        let delays = Delays { delay_ms: 10, window_ms: 1000 };
        let triple = |sender: &str| Triple::new("192.0.2.7".parse().unwrap(), sender, "ana@demo.test");
        let count =
            |written: &Written<'_>| written.tx.query_row("SELECT COUNT(*) FROM triple", [], |row| row.get::<_, i64>(0));
        let work = |written: &mut Written<'_>| {
            written.check(&triple("a@far.test"), delays, Timestamp(0))?;
            written.check(&triple("b@far.test"), delays, Timestamp(0))?;
            written.check(&triple("b@far.test"), delays, Timestamp(20))?;
            written.forget(delays.window_ms, Timestamp(2000))?;
            assert_eq!(count(written)?, 1, "who was let in is remembered longer");
            written.forget(delays.window_ms, Timestamp(KEPT_MS + 21))?;
            assert_eq!(count(written)?, 0);
            Ok(())
        };
        store.in_transaction(work).unwrap();
    }

    #[test]
    fn a_file_of_the_former_layout_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES).unwrap();
        let sql = "INSERT INTO triple VALUES ('192.0.2.0/24', 'a@far.test', 'ana@demo.test', 1, 2, 1)";
        old.execute(sql, []).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        let mut store = Store::open(&path).unwrap();
        let triple = Triple::new("192.0.2.7".parse().unwrap(), "a@far.test", "ana@demo.test");
        let delays = Delays { delay_ms: 10, window_ms: 1000 };
        let work = |written: &mut Written<'_>| {
            assert_eq!(written.check(&triple, delays, Timestamp(3))?, Answer::Pass);
            Ok(())
        };
        store.in_transaction(work).unwrap();
    }
}
