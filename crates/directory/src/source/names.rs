//! Links by what the other side calls people: whoever provisions asks for that before every single change, and two who
//! make the same person at once must not both succeed.

use rusqlite::{Connection, params};
use sterna_base::AccountId;

use super::{Link, SCIM};
use crate::index::{self, number};
use crate::read::{AnyEntry, Reader};
use crate::row::RowKind;
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Links with one name that are looked at: of one name there is one in each domain.
const SAME_NAME_MAX: i64 = 1000;

/// The index over links. It is made again whenever the file is opened for writing: versions that don't know it write
/// links as well, and the file's format stays theirs.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS dir_link (
    account_id BIGINT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    external_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS dir_link_by_name ON dir_link (source, name, account_id);
CREATE INDEX IF NOT EXISTS dir_link_by_external_id ON dir_link (source, external_id, account_id);
DELETE FROM dir_link;
";

/// Makes the index of the rows that are there.
pub(crate) fn make_index(conn: &Connection) -> Result<(), StorageError> {
    conn.execute_batch(TABLE)?;
    crate::schema::index_rows(conn, RowKind::Link)
}

pub(crate) fn insert(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: Link = index::read(RowKind::Link, key, content)?;
    let sql = "INSERT INTO dir_link (account_id, source, name, external_id) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id) DO UPDATE
        SET source = excluded.source, name = excluded.name, external_id = excluded.external_id";
    let values = params![number(row.account.0), row.source, row.login.to_lowercase(), row.external_id];
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

pub(crate) fn remove(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: Link = index::read(RowKind::Link, key, content)?;
    conn.prepare_cached("DELETE FROM dir_link WHERE account_id = $1")?.execute(params![number(row.account.0)])?;
    Ok(())
}

/// Whether the names that SCIM gives somebody are anybody else's of the same kind in their domain: in another domain
/// another program provisions. Names that they had before stay, whoever has them as well.
pub(super) fn check(
    write: &Write<'_>,
    link: &Link,
    entry: &AnyEntry,
    before: Option<&Link>,
) -> Result<(), RequestError> {
    let is_other = |other: &Link| -> Result<bool, StorageError> {
        if other.account == link.account {
            return Ok(false);
        }
        let Some(found) = write.reader.entry(other.account)? else { return Ok(false) };
        let domain = |entry: &AnyEntry| entry.entry().address.domain;
        Ok(found.value.kind() == entry.kind() && domain(&found.value) == domain(entry))
    };
    let taken = |name: &str, other: &Link| RequestError::Taken {
        name: format!("“{name}”"),
        owner: super::kind_of(entry),
        owner_id: other.account.to_string(),
    };
    if !link.login.is_empty() && before.is_none_or(|before| !before.login.eq_ignore_ascii_case(&link.login)) {
        for other in write.reader.links_named(SCIM, &link.login)? {
            if is_other(&other)? {
                return Err(taken(&link.login, &other));
            }
        }
    }
    if !link.external_id.is_empty() && before.is_none_or(|before| before.external_id != link.external_id) {
        for other in write.reader.links_with_id(SCIM, &link.external_id)? {
            // Who was deleted there can be made again under another name.
            if !other.suspended && is_other(&other)? {
                return Err(taken(&link.external_id, &other));
            }
        }
    }
    Ok(())
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// Whom a source calls so, in any case.
    pub fn links_named(&self, source: &str, name: &str) -> Result<Vec<Link>, StorageError> {
        let sql = "SELECT account_id FROM dir_link WHERE source = $1 AND name = $2 ORDER BY account_id LIMIT $3";
        let (mut found, name) = (self.links_by(sql, source, &name.to_lowercase())?, name.to_lowercase());
        found.retain(|link| link.source == source && link.login.to_lowercase() == name);
        Ok(found)
    }

    /// Who has this stable id at a source.
    pub fn links_with_id(&self, source: &str, external_id: &str) -> Result<Vec<Link>, StorageError> {
        let sql = "SELECT account_id FROM dir_link WHERE source = $1 AND external_id = $2 ORDER BY account_id LIMIT $3";
        let mut found = self.links_by(sql, source, external_id)?;
        found.retain(|link| link.source == source && link.external_id == external_id);
        Ok(found)
    }

    fn links_by(&self, sql: &str, source: &str, value: &str) -> Result<Vec<Link>, StorageError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![source, value, SAME_NAME_MAX], |row| row.get::<_, i64>(0))?;
        let ids = rows.map(|id| Ok(AccountId(id?.unsigned_abs()))).collect::<Result<Vec<_>, StorageError>>()?;
        let links = ids.into_iter().map(|id| self.link(id)).collect::<Result<Vec<_>, StorageError>>()?;
        Ok(links.into_iter().flatten().collect())
    }
}
