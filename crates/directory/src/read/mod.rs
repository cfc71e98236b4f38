//! Reading: indexed point reads and pages; nothing here looks at all rows of anything.

mod entries;
mod migration;
mod moves;
mod selection;
mod servers;
mod update;

pub use selection::{AddressPattern, Selected, Selection};

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use serde::{Deserialize, Serialize};
use sterna_account::Digest;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{DomainId, InstallationId, Modseq};

use crate::index::{self, number};
use crate::model::{Address, Counter, Domain, Entry, Group, Scope, Setting, SettingChange, SharedMailbox, User};
use crate::row::{Change, Changes, Content, Cursor, Head, RowKind};
use crate::{StorageError, names, row};

/// A value with the commit that last changed it: what an ETag is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// When it last changed.
    pub modseq: Modseq,
}

/// A user, group or shared mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnyEntry {
    /// A person.
    User(User),
    /// A list of recipients.
    Group(Group),
    /// A mailbox without a log-in.
    Shared(SharedMailbox),
}

impl AnyEntry {
    /// Name and addresses.
    pub fn entry(&self) -> &Entry {
        match self {
            AnyEntry::User(user) => &user.entry,
            AnyEntry::Group(group) => &group.entry,
            AnyEntry::Shared(shared) => &shared.entry,
        }
    }

    /// Whether mail is kept for it; a group only leads to others.
    pub fn has_account(&self) -> bool {
        !matches!(self, AnyEntry::Group(_))
    }

    /// Which of them.
    pub fn kind(&self) -> RowKind {
        match self {
            AnyEntry::User(_) => RowKind::User,
            AnyEntry::Group(_) => RowKind::Group,
            AnyEntry::Shared(_) => RowKind::Shared,
        }
    }
}

/// Reads one directory through one connection. Several calls see one state only inside [`Reader::snapshot`].
pub struct Reader<'c> {
    pub(crate) conn: &'c Connection,
}

impl<'c> Reader<'c> {
    /// Over a connection.
    pub(crate) fn new(conn: &'c Connection) -> Self {
        Reader { conn }
    }

    /// Runs several reads on one state of the directory.
    ///
    /// # Errors
    /// What the reads say, or the file.
    pub fn snapshot<T, E: From<StorageError>>(&self, reads: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let tx = self.conn.unchecked_transaction().map_err(StorageError::from)?;
        let result = reads(self)?;
        tx.commit().map_err(StorageError::from)?;
        Ok(result)
    }

    /// How far the directory is.
    ///
    /// # Errors
    /// When the file can't be read; the same holds for every method here.
    pub fn head(&self) -> Result<Head, StorageError> {
        let sql = "SELECT installation, modseq, digest, is_copy, position_modseq, position_kind, position_key
            FROM dir_head WHERE id = 1";
        let (mut head, digest, is_copy) = self.conn.prepare_cached(sql)?.query_row([], |row| {
            let position = Cursor { modseq: Modseq(id(row, 4)?), kind: row.get(5)?, key: row.get(6)? };
            let head = Head {
                installation: row.get::<_, String>(0)?.parse().ok(),
                modseq: Modseq(id(row, 1)?),
                digest: Digest::default(),
                position,
            };
            Ok((head, row.get::<_, String>(2)?, row.get::<_, bool>(3)?))
        })?;
        let digest = u128::from_str_radix(&digest, 16)
            .map_err(|_| StorageError::Damaged("the digest is no hexadecimal number".to_owned()))?;
        head.digest = Digest(digest);
        if !is_copy {
            head.position = Cursor::since(head.modseq);
        }
        Ok(head)
    }

    /// Rows after a cursor, in order, at most `limit` (and [`PAGE_ITEMS_MAX`]).
    pub fn changes_since(&self, after: &Cursor, limit: usize) -> Result<Changes, StorageError> {
        self.snapshot(|reader| reader.changes_page(after, limit))
    }

    /// [`Reader::changes_since`] inside a snapshot that is already open.
    pub(crate) fn changes_page(&self, after: &Cursor, limit: usize) -> Result<Changes, StorageError> {
        let head = self.head()?;
        let limit = limit.clamp(1, PAGE_ITEMS_MAX);
        let sql = "SELECT kind, row_key, modseq, content FROM dir_row
                WHERE (modseq, kind, row_key) > ($1, $2, $3) ORDER BY modseq, kind, row_key LIMIT $4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![number(after.modseq.0), after.kind, after.key, number(limit as u64 + 1)], |row| {
                Ok(Change { kind: row.get(0)?, key: row.get(1)?, modseq: Modseq(id(row, 2)?), content: row.get(3)? })
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let mut rows = rows;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(Change::cursor) } else { None };
        Ok(Changes {
            installation: head.installation.unwrap_or(InstallationId([0; 16])),
            after: after.clone(),
            rows,
            head: head.modseq,
            digest: head.digest,
            next,
        })
    }

    pub(crate) fn content(&self, kind: RowKind, key: &str) -> Result<Option<(String, Modseq)>, StorageError> {
        let sql = "SELECT content, modseq FROM dir_row WHERE kind = $1 AND row_key = $2 AND content IS NOT NULL";
        let found = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![kind as u16, key], |row| Ok((row.get(0)?, Modseq(id(row, 1)?))))
            .optional()?;
        Ok(found)
    }

    pub(crate) fn row<T: Content>(&self, key: &str) -> Result<Option<Versioned<T>>, StorageError> {
        let Some((content, modseq)) = self.content(T::KIND, key)? else { return Ok(None) };
        Ok(Some(Versioned { value: index::read(T::KIND, key, &content)?, modseq }))
    }

    pub(crate) fn counter(&self, name: &str) -> Result<u64, StorageError> {
        match self.content(RowKind::Counter, name)? {
            None => Ok(0),
            Some((content, _)) => Ok(index::read::<Counter>(RowKind::Counter, name, &content)?.last),
        }
    }

    /// A domain by id.
    pub fn domain(&self, id: DomainId) -> Result<Option<Versioned<Domain>>, StorageError> {
        self.row(&row::domain_key(id))
    }

    /// The domain that has this name or alias, in any case.
    pub fn domain_named(&self, name: &str) -> Result<Option<Versioned<Domain>>, StorageError> {
        let Some(name) = names::domain(name) else { return Ok(None) };
        match self.domain_id(&name)? {
            Some(id) => self.domain(id),
            None => Ok(None),
        }
    }

    pub(crate) fn domain_id(&self, normalized: &str) -> Result<Option<DomainId>, StorageError> {
        let sql = "SELECT domain_id FROM dir_domain_name WHERE name = $1";
        let found = self.conn.prepare_cached(sql)?.query_row([normalized], |row| id(row, 0)).optional()?;
        Ok(found.map(DomainId))
    }

    /// Domains by name after `after`, at most `limit`.
    pub fn domains(&self, after: &str, limit: usize) -> Result<Vec<Versioned<Domain>>, StorageError> {
        let sql = "SELECT domain_id FROM dir_domain_name WHERE is_main = 1 AND name > $1 ORDER BY name LIMIT $2";
        let ids = self.ids(sql, params![after, page(limit)])?;
        self.collect(ids, |id| self.domain(DomainId(id)))
    }

    /// A setting's value in exactly this scope.
    pub fn setting(&self, scope: Scope, name: &str) -> Result<Option<Versioned<Setting>>, StorageError> {
        self.row(&row::setting_key(scope, name))
    }

    /// The changes of settings that are looked back on, oldest first; there are few.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn setting_changes(&self) -> Result<Vec<SettingChange>, StorageError> {
        let sql = "SELECT row_key, content FROM dir_row WHERE kind = $1 AND content IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let kind = RowKind::SettingChange;
        let rows = statement.query_map(params![kind as u16], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows = rows.collect::<Result<Vec<(String, String)>, _>>()?;
        let changes = rows.iter().map(|(key, content)| index::read(kind, key, content));
        let mut changes: Vec<SettingChange> = changes.collect::<Result<_, _>>()?;
        changes.sort_unstable_by_key(|change| change.number);
        Ok(changes)
    }

    /// One of them.
    pub(crate) fn setting_change(&self, number: u64) -> Result<Option<SettingChange>, StorageError> {
        let found: Option<Versioned<SettingChange>> = self.row(&row::setting_change_key(number))?;
        Ok(found.map(|found| found.value).filter(|change| change.number == number))
    }

    /// What domains have set under a name. Reads all settings of all domains: for what is asked rarely.
    pub(crate) fn domain_settings(&self, name: &str) -> Result<Vec<Setting>, StorageError> {
        let sql = "SELECT row_key, content FROM dir_row WHERE kind = $1 AND content IS NOT NULL AND row_key < 'system'";
        let mut statement = self.conn.prepare_cached(sql)?;
        let kind = RowKind::Setting;
        let rows = statement.query_map(params![kind as u16], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut found = Vec::new();
        for row in rows {
            let (key, content): (String, String) = row?;
            if key.split_once('/').is_some_and(|(_, found)| found == name) {
                found.push(index::read(kind, &key, &content)?);
            }
        }
        Ok(found)
    }

    /// Whether one of these settings is set, anywhere: by their keys alone, in one pass, because this is asked
    /// whenever the directory changes.
    pub(crate) fn is_any_set(&self, names: &[&str]) -> Result<bool, StorageError> {
        let sql = "SELECT row_key FROM dir_row WHERE kind = $1 AND content IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![RowKind::Setting as u16])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            if key.split_once('/').is_some_and(|(_, found)| names.contains(&found)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The keys of a domain's own settings: few, each name once.
    pub(crate) fn setting_keys(&self, domain: DomainId) -> Result<Vec<String>, StorageError> {
        // "0" is the character after "/".
        let (from, to) = (format!("{:016x}/", domain.0), format!("{:016x}0", domain.0));
        let sql = "SELECT row_key FROM dir_row WHERE kind = $1 AND row_key > $2 AND row_key < $3
            AND content IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let keys = statement.query_map(params![RowKind::Setting as u16, from, to], |row| row.get(0))?;
        Ok(keys.collect::<Result<Vec<_>, _>>()?)
    }

    /// An address as text; `None` when its domain is gone (a copy that is catching up).
    pub fn address_text(&self, address: &Address) -> Result<Option<String>, StorageError> {
        Ok(self.domain(address.domain)?.map(|domain| format!("{}@{}", address.local, domain.value.name)))
    }

    pub(crate) fn count(&self, name: &str) -> Result<u64, StorageError> {
        let sql = "SELECT value FROM dir_count WHERE name = $1";
        Ok(self.conn.prepare_cached(sql)?.query_row([name], |row| id(row, 0)).optional()?.unwrap_or(0))
    }

    pub(crate) fn ids(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<u64>, StorageError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let ids = statement.query_map(params, |row| id(row, 0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(ids)
    }

    /// The rows whose keys a statement gives.
    pub(super) fn rows_by_key<T: Content>(
        &self,
        sql: &str,
        params: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<T>, StorageError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let keys = statement.query_map(params, |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let found = keys.into_iter().map(|key| self.row(&key)).collect::<Result<Vec<Option<Versioned<T>>>, _>>()?;
        Ok(found.into_iter().flatten().map(|found| found.value).collect())
    }

    pub(super) fn collect<T>(
        &self,
        ids: Vec<u64>,
        read: impl Fn(u64) -> Result<Option<T>, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        let found = ids.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }
}

pub(crate) fn id(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::unsigned_abs)
}

pub(crate) fn page(limit: usize) -> i64 {
    number(limit.clamp(1, PAGE_ITEMS_MAX) as u64)
}
