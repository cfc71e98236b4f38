//! The file of the greylist as administrators look through it: by a connection of its own that only reads. A search may
//! touch each row, and the thread that answers mail must not wait for that.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, params};
use sterna_base::Timestamp;

use super::greylist_shared::{GreylistFilter, GreylistKey, GreylistState, Greylisted};
use super::greylist_store::{GOOD_AFTER, NEVER_MS, PAGE_CACHE_KIB};

const ROWS: &str = "SELECT network, sender, recipient, first_ms, last_ms, passed FROM triple WHERE first_ms > ?4
    UNION ALL SELECT network, '', '', last_ms, last_ms, 2 FROM client WHERE passed >= ?5";

/// See the module.
pub struct Reading(Connection);

impl Reading {
    /// Of a file that is there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open(path: &Path) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
        Ok(Reading(connection))
    }

    /// Rows after this one.
    ///
    /// # Errors
    /// SQLite's.
    pub fn list(
        &self,
        filter: &GreylistFilter,
        after: &GreylistKey,
        limit: usize,
    ) -> Result<Vec<Greylisted>, rusqlite::Error> {
        let listed = |row: &Row<'_>| {
            let state = match row.get::<_, i64>(5)? {
                0 => GreylistState::Waiting,
                1 => GreylistState::Passed,
                _ => GreylistState::Good,
            };
            Ok(Greylisted {
                network: row.get(0)?,
                sender: row.get(1)?,
                recipient: row.get(2)?,
                state,
                first: Timestamp(row.get(3)?),
                last: Timestamp(row.get(4)?),
            })
        };
        self.find(filter, after, limit, GOOD_AFTER, listed)
    }

    /// Rows to be deleted, after this one: also networks that are on the way to be good ones, and no networks where
    /// a sender or a recipient is asked for.
    ///
    /// # Errors
    /// SQLite's.
    pub fn keys(
        &self,
        filter: &GreylistFilter,
        after: &GreylistKey,
        limit: usize,
    ) -> Result<Vec<GreylistKey>, rusqlite::Error> {
        let is_of_networks = filter.sender.is_none() && filter.recipient.is_none();
        let least_passed = if is_of_networks { 1 } else { u32::MAX };
        self.find(filter, after, limit, least_passed, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
    }

    /// Networks count from this often on that somebody came again.
    fn find<T>(
        &self,
        filter: &GreylistFilter,
        after: &GreylistKey,
        limit: usize,
        least_passed: u32,
        of: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<T>, rusqlite::Error> {
        let sql = format!(
            "SELECT * FROM ({ROWS}) WHERE (network, sender, recipient) > (?1, ?2, ?3)
             AND network LIKE ?6 ESCAPE '\\' AND sender LIKE ?7 ESCAPE '\\' AND recipient LIKE ?8 ESCAPE '\\'
             ORDER BY network, sender, recipient LIMIT ?9"
        );
        let [network, sender, recipient] = filter.patterns();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = params![after.0, after.1, after.2, NEVER_MS, least_passed, network, sender, recipient, limit];
        self.0.prepare_cached(&sql)?.query_map(values, of)?.collect()
    }
}
