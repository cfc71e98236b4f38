//! What reports will say, counted: one row for each day, domain and thing that was seen, in a file of its own.
//!
//! It is written now and then, so that no mail waits for it; the last minute may be lost with the power.

use std::path::Path;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use sterna_account::edge_reports::{SeenQuestion, SeenRow};
use sterna_base::NodeId;

/// Different things of one domain and day that are kept; others are not told.
const ROWS_PER_REPORT_MAX: u32 = 5_000;

/// Rows of all domains and days.
const ROWS_MAX: u32 = 1_000_000;

/// How long a statement waits for another connection's lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;

const TABLES: &str = "CREATE TABLE IF NOT EXISTS seen (
    kind INTEGER NOT NULL,
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (kind, day, domain, what)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (
    kind INTEGER NOT NULL,
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    what TEXT NOT NULL,
    edge BLOB NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (kind, day, domain, what, edge)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ours (day INTEGER PRIMARY KEY);";

/// Which reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// DMARC aggregate reports.
    Dmarc,
    /// TLS reports.
    Tls,
}

impl Kind {
    /// Both.
    pub const ALL: [Kind; 2] = [Kind::Dmarc, Kind::Tls];

    fn number(self) -> u8 {
        match self {
            Kind::Dmarc => 1,
            Kind::Tls => 2,
        }
    }
}

/// What one report is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Which.
    pub kind: Kind,
    /// The day: days since 1970, UTC.
    pub day: i64,
    /// The domain, in lower case.
    pub domain: String,
}

/// Why something can't be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("the file of reports: {0}")]
pub struct StoreError(#[from] rusqlite::Error);

/// See the module. Everything blocks.
pub struct Store(Mutex<Connection>);

impl Store {
    /// Opens the file, which is made if it isn't there.
    ///
    /// # Errors
    /// When it can't be.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(TABLES)?;
        Ok(Store(Mutex::new(connection)))
    }

    /// Adds to what was counted; gives how much had no room.
    ///
    /// # Errors
    /// When nothing was added.
    pub fn add(&self, seen: &[(Subject, String, u64)]) -> Result<u64, StoreError> {
        let mut connection = self.0.lock();
        let tx = connection.transaction()?;
        let mut left_out = 0;
        {
            let mut all: u32 = tx.query_row("SELECT count(*) FROM seen", [], |row| row.get(0))?;
            let mut update = tx.prepare_cached(
                "UPDATE seen SET count = count + ?5 WHERE kind = ?1 AND day = ?2 AND domain = ?3 AND what = ?4",
            )?;
            let mut rows =
                tx.prepare_cached("SELECT count(*) FROM seen WHERE kind = ?1 AND day = ?2 AND domain = ?3")?;
            let mut insert =
                tx.prepare_cached("INSERT INTO seen (kind, day, domain, what, count) VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (subject, what, count) in seen {
                let (kind, day, domain) = (subject.kind.number(), subject.day, &subject.domain);
                let number = i64::try_from(*count).unwrap_or(i64::MAX);
                if update.execute(params![kind, day, domain, what, number])? > 0 {
                    continue;
                }
                let of_report: u32 = rows.query_row(params![kind, day, domain], |row| row.get(0))?;
                if all >= ROWS_MAX || of_report >= ROWS_PER_REPORT_MAX {
                    left_out += count;
                    continue;
                }
                insert.execute(params![kind, day, domain, what, number])?;
                all += 1;
            }
        }
        tx.commit()?;
        Ok(left_out)
    }

    /// Whether the reports of a day are made here.
    ///
    /// # Errors
    /// When the file can't be read; the same holds for the next one.
    pub fn is_ours(&self, day: i64) -> Result<bool, StoreError> {
        let connection = self.0.lock();
        let sql = "SELECT 1 FROM ours WHERE day = ?1";
        Ok(connection.query_row(sql, [day], |_| Ok(())).optional()?.is_some())
    }

    /// What was seen here on a day, behind a row.
    pub fn rows_after(&self, after: &SeenQuestion, limit: usize) -> Result<Vec<SeenRow>, StoreError> {
        let sql = "SELECT kind, domain, what, count FROM seen
            WHERE day = ?1 AND (kind, domain, what) > (?2, ?3, ?4) ORDER BY kind, domain, what LIMIT ?5";
        let connection = self.0.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let count = row.get::<_, i64>(3)?.unsigned_abs();
            Ok(SeenRow { kind: row.get(0)?, domain: row.get(1)?, what: row.get(2)?, count })
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after.day, after.kind, after.domain, after.what, limit], row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps what another edge has seen on a day, instead of what it said before. What has no room is left out.
    ///
    /// # Errors
    /// When nothing was kept.
    pub fn hear(&self, edge: NodeId, day: i64, rows: &[SeenRow]) -> Result<(), StoreError> {
        let mut connection = self.0.lock();
        let tx = connection.transaction()?;
        let all: u32 = tx.query_row("SELECT count(*) FROM heard", [], |row| row.get(0))?;
        let room = usize::try_from(ROWS_MAX.saturating_sub(all)).unwrap_or(0);
        {
            let sql = "INSERT OR REPLACE INTO heard (kind, day, domain, what, edge, count)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let mut insert = tx.prepare_cached(sql)?;
            for row in rows.iter().take(room) {
                let count = i64::try_from(row.count).unwrap_or(i64::MAX);
                insert.execute(params![row.kind, day, row.domain, row.what, edge.0, count])?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// From now on the reports of a day are made here.
    ///
    /// # Errors
    /// When they are not.
    pub fn make_ours(&self, day: i64) -> Result<(), StoreError> {
        self.0.lock().execute("INSERT OR IGNORE INTO ours (day) VALUES (?1)", [day])?;
        Ok(())
    }

    /// The first subject of a kind after this one, on the days before one that are ours.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn next(&self, kind: Kind, before: i64, after: Option<&Subject>) -> Result<Option<Subject>, StoreError> {
        let (day, domain) = after.map_or((i64::MIN, ""), |after| (after.day, &after.domain));
        let first = |table: &str| {
            format!(
                "SELECT * FROM (SELECT day, domain FROM {table} WHERE kind = ?1 AND day < ?2 AND (day, domain) > (?3, ?4)
                AND day IN (SELECT day FROM ours) ORDER BY day, domain LIMIT 1)"
            )
        };
        let sql = format!("{} UNION ALL {} ORDER BY 1, 2 LIMIT 1", first("seen"), first("heard"));
        let connection = self.0.lock();
        let subject = |row: &rusqlite::Row<'_>| Ok(Subject { kind, day: row.get(0)?, domain: row.get(1)? });
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![kind.number(), before, day, domain], subject).optional()?)
    }

    /// What was counted of a subject.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn of(&self, subject: &Subject) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT what, sum(count) FROM (
                SELECT what, count FROM seen WHERE kind = ?1 AND day = ?2 AND domain = ?3
                UNION ALL SELECT what, count FROM heard WHERE kind = ?1 AND day = ?2 AND domain = ?3
            ) GROUP BY what ORDER BY what";
        let connection = self.0.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
        let rows = statement.query_map(params![subject.kind.number(), subject.day, subject.domain], row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets a subject.
    ///
    /// # Errors
    /// When nothing was forgotten.
    pub fn remove(&self, subject: &Subject) -> Result<(), StoreError> {
        let connection = self.0.lock();
        for table in ["seen", "heard"] {
            let sql = format!("DELETE FROM {table} WHERE kind = ?1 AND day = ?2 AND domain = ?3");
            connection.execute(&sql, params![subject.kind.number(), subject.day, subject.domain])?;
        }
        Ok(())
    }

    /// Forgets everything before a day.
    ///
    /// # Errors
    /// When nothing was forgotten.
    pub fn remove_before(&self, day: i64) -> Result<(), StoreError> {
        let connection = self.0.lock();
        for table in ["seen", "heard", "ours"] {
            connection.execute(&format!("DELETE FROM {table} WHERE day < ?1"), [day])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(kind: Kind, day: i64, domain: &str) -> Subject {
        Subject { kind, day, domain: domain.to_owned() }
    }

    #[test]
    fn what_is_seen_is_counted_over_restarts_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports.sqlite");
        let first = subject(Kind::Tls, 1, "a.test");
        let seen = |what: &str, count| (first.clone(), what.to_owned(), count);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.add(&[seen("x", 1), seen("y", 2), seen("x", 3)]).unwrap(), 0);
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.of(&first).unwrap(), [("x".to_owned(), 4), ("y".to_owned(), 2)]);
        let many: Vec<_> = (0..ROWS_PER_REPORT_MAX).map(|number| seen(&number.to_string(), 1)).collect();
        assert_eq!(store.add(&many).unwrap(), 2);
        assert_eq!(store.add(&[seen("x", 1)]).unwrap(), 0, "what is there is counted on");
        let later = subject(Kind::Tls, 2, "a.test");
        store
            .add(&[(later.clone(), "x".to_owned(), 1), (subject(Kind::Dmarc, 1, "a.test"), "x".to_owned(), 1)])
            .unwrap();
        assert_eq!(store.next(Kind::Tls, 2, None).unwrap(), None, "nobody said that they are ours");
        store.make_ours(1).unwrap();
        store.make_ours(2).unwrap();
        assert_eq!(store.next(Kind::Tls, 2, None).unwrap(), Some(first.clone()));
        assert_eq!(store.next(Kind::Tls, 2, Some(&first)).unwrap(), None);
        assert_eq!(store.next(Kind::Tls, 3, Some(&first)).unwrap(), Some(later.clone()));
        store.remove(&first).unwrap();
        assert_eq!(store.next(Kind::Tls, 3, None).unwrap(), Some(later));
        store.remove_before(2).unwrap();
        assert_eq!(store.next(Kind::Dmarc, 3, None).unwrap(), None);
    }
}
