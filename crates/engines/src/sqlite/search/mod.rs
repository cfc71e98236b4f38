//! The search index of an account: a SQLite file beside its store, derived from it.
//!
//! `terms` is an FTS5 table without contents: for each document the terms in it. A term is a letter for the field, `w`
//! and a word, or `x` and a piece of a word that is none of a language ([`is_opaque`]). The words of all documents are
//! in `word`, each once, and `gram` is an FTS5 table of their trigrams: a text that is looked for inside words leads to
//! the words that have it, and these to the documents. So what is found this way is as sure as if it had been read.
//!
//! Nothing here waits for the disk: in write-ahead mode without full synchronisation a power cut costs the last
//! batches, which are fed again.

mod find;
mod schema;
mod write;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};
use sterna_account::search::{
    DocSet, Field, IndexBatch, IndexProgress, IndexStatus, IndexedItem, Matches, Phrase, SearchIndex,
};
use sterna_account::{Cursor, Digest, StoreError, UidSet};
use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, Uid};

use super::error::{file_error, store_error};
use super::rows::sql;

/// The file in an account's folder.
pub const FILE_NAME: &str = "search.sqlite";

/// One open connection to it.
pub struct SqliteIndex {
    conn: Connection,
    path: PathBuf,
    /// Words that are known to be in the table of words.
    known_words: HashSet<Box<str>>,
}

/// Opens an index, made if there is none.
pub fn open(folder: &Path) -> Result<SqliteIndex, StoreError> {
    let path = folder.join(FILE_NAME);
    let conn = schema::open(&path)?;
    Ok(SqliteIndex { conn, path, known_words: HashSet::new() })
}

/// Opens an index to look at it; `None` when there is none, or one of another format: that is made anew when somebody
/// searches, and has none at all (0) where a full disk kept it from being made.
pub fn inspect(folder: &Path) -> Result<Option<SqliteIndex>, StoreError> {
    let path = folder.join(FILE_NAME);
    if !path.exists() {
        return Ok(None);
    }
    match schema::open_to_read(&path) {
        Ok(conn) => Ok(Some(SqliteIndex { conn, path, known_words: HashSet::new() })),
        Err(StoreError::NewerFormat { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes an index, with its log.
pub fn delete(folder: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(folder.join(format!("{FILE_NAME}{suffix}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file_error(&error)),
            _ => {}
        }
    }
    Ok(())
}

impl SqliteIndex {
    fn rows<T>(
        &self,
        statement: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        let rows = statement.query_map(values, read).and_then(Iterator::collect);
        rows.map_err(store_error)
    }

    fn number(&self, statement: &str) -> Result<u64, StoreError> {
        let number: i64 = self.conn.query_row(statement, [], |row| row.get(0)).map_err(store_error)?;
        Ok(number.max(0).cast_unsigned())
    }
}

fn item_of(row: &Row<'_>) -> rusqlite::Result<(Uid, u32)> {
    Ok((Uid(row.get(0)?), row.get(1)?))
}

impl SearchIndex for SqliteIndex {
    fn snapshot(&self, questions: &mut dyn FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
        // Ends when it is dropped; nothing was written.
        let _snapshot = self.conn.unchecked_transaction().map_err(store_error)?;
        questions()
    }

    fn progress(&self) -> Result<Option<IndexProgress>, StoreError> {
        let statement = "SELECT modseq, container, uid, whole_epoch, whole_modseq, whole_digest FROM progress";
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        let read = |row: &Row<'_>| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            let reached =
                Cursor { modseq: Modseq(number(0)?), container: ContainerId(number(1)?), uid: Uid(row.get(2)?) };
            let digest: Option<[u8; 16]> = row.get(5)?;
            let whole_at = match digest {
                Some(digest) => Some((Epoch(number(3)?), Modseq(number(4)?), Digest(u128::from_le_bytes(digest)))),
                None => None,
            };
            Ok(IndexProgress { reached, whole_at })
        };
        statement.query_row([], read).optional().map_err(store_error)
    }

    fn lacking(&self, contents: &[BlobHash]) -> Result<Vec<BlobHash>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT 1 FROM document WHERE hash = ?1").map_err(store_error)?;
        let mut lacking = Vec::new();
        for hash in contents {
            if !statement.exists(params![hash.0.as_slice()]).map_err(store_error)? {
                lacking.push(*hash);
            }
        }
        Ok(lacking)
    }

    fn kept_text(&self, document: BlobHash) -> Result<Option<String>, StoreError> {
        let statement = "SELECT text FROM kept_text WHERE hash = ?1";
        let mut statement = self.conn.prepare_cached(statement).map_err(store_error)?;
        statement.query_row(params![document.0.as_slice()], |row| row.get(0)).optional().map_err(store_error)
    }

    fn apply(&mut self, batch: &IndexBatch) -> Result<(), StoreError> {
        write::apply(self, batch)
    }

    fn find(&self, field: Field, phrase: &Phrase) -> Result<Option<Matches>, StoreError> {
        find::find(self, field, phrase)
    }

    fn find_forms(&self, field: Field, word: &str) -> Result<DocSet, StoreError> {
        find::find_forms(self, field, word)
    }

    fn partial(&self) -> Result<DocSet, StoreError> {
        let mut docs = DocSet::default();
        self.rows("SELECT id FROM document WHERE is_partial = 1", [], |row| row.get(0))?
            .into_iter()
            .for_each(|doc: u32| docs.insert(doc));
        Ok(docs)
    }

    fn items(&self, container: ContainerId, uids: &UidSet) -> Result<Vec<(Uid, u32)>, StoreError> {
        let statement = "SELECT uid, document FROM item WHERE container = ?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid";
        let mut items = Vec::new();
        for (low, high) in uids.ranges() {
            items.extend(self.rows(statement, params![sql(container.0), low.0, high.0], item_of)?);
        }
        Ok(items)
    }

    fn items_of(&self, container: ContainerId, docs: &DocSet) -> Result<Vec<(Uid, u32)>, StoreError> {
        /// With more documents the container is gone through instead of looking up each.
        const LOOKED_UP_MAX: usize = 2000;
        let mut items = Vec::new();
        if docs.len() > LOOKED_UP_MAX {
            items = self.items(container, &UidSet::all())?;
            items.retain(|(_, doc)| docs.contains(*doc));
            return Ok(items);
        }
        let statement = "SELECT uid, document FROM item WHERE document = ?1 AND container = ?2";
        for doc in docs.iter() {
            items.extend(self.rows(statement, params![doc, sql(container.0)], item_of)?);
        }
        items.sort_unstable();
        Ok(items)
    }

    fn lengths(&self) -> Result<(u64, f64), StoreError> {
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.max(0).cast_unsigned(), row.get::<_, f64>(1)?));
        let statement = "SELECT count(*), ifnull(avg(words), 0.0) FROM document";
        self.conn.query_row(statement, [], read).map_err(store_error)
    }

    fn items_with_lengths(&self, container: ContainerId, uids: &UidSet) -> Result<Vec<(Uid, u32, u32)>, StoreError> {
        let statement = "SELECT i.uid, i.document, d.words FROM item i JOIN document d ON d.id = i.document \
             WHERE i.container = ?1 AND i.uid BETWEEN ?2 AND ?3 ORDER BY i.uid";
        let mut items = Vec::new();
        for (low, high) in uids.ranges() {
            let read = |row: &Row<'_>| Ok((Uid(row.get(0)?), row.get(1)?, row.get(2)?));
            items.extend(self.rows(statement, params![sql(container.0), low.0, high.0], read)?);
        }
        Ok(items)
    }

    fn page(&self, after: (ContainerId, Uid), limit: usize) -> Result<Vec<IndexedItem>, StoreError> {
        let statement = "SELECT i.container, i.uid, d.hash FROM item i JOIN document d ON d.id = i.document \
             WHERE (i.container, i.uid) > (?1, ?2) ORDER BY i.container, i.uid LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows(statement, params![sql(after.0.0), after.1.0, limit], |row| {
            let container = ContainerId(row.get::<_, i64>(0)?.cast_unsigned());
            Ok(IndexedItem { container, uid: Uid(row.get(1)?), content: BlobHash(row.get(2)?) })
        })
    }

    fn status(&self) -> Result<IndexStatus, StoreError> {
        let size_of = |suffix: &str| {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            fs::metadata(name).map_or(0, |metadata| metadata.len())
        };
        Ok(IndexStatus {
            documents: self.number("SELECT count(*) FROM document")?,
            partial: self.number("SELECT count(*) FROM document WHERE is_partial = 1")?,
            items: self.number("SELECT count(*) FROM item")?,
            words: self.number("SELECT count(*) FROM word")?,
            size_bytes: size_of("") + size_of("-wal"),
        })
    }
}
