//! What the old server has said, kept as it said it: mailboxes with their modseqs and annotations, records, quotas,
//! who has seen what. Its questions are answered from here. A file of SQLite on this node; were it lost, the old
//! server would send records again, and the accounts would be found to have them.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sterna_base::{BlobHash, ContainerId};

use super::crc::Sums;
use super::mailbox::{Mailbox, Record};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS mailbox (
  unique_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, user TEXT NOT NULL, container INTEGER, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS record (
  unique_id TEXT NOT NULL, uid INTEGER NOT NULL, guid TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (unique_id, uid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS content (
  user TEXT NOT NULL, guid TEXT NOT NULL, blob BLOB NOT NULL, size INTEGER NOT NULL,
  PRIMARY KEY (user, guid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (
  kind TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (kind, user, name)) WITHOUT ROWID;
";

/// Why the mirror can't be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mirror of the old server can't be read or written: {0}")]
pub struct MirrorError(pub String);

impl From<rusqlite::Error> for MirrorError {
    fn from(error: rusqlite::Error) -> Self {
        MirrorError(error.to_string())
    }
}

/// A mailbox, and where it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// As it was told last, with the sums of the records that are here.
    pub mailbox: Mailbox,
    /// Whose it is: a user of the old server.
    pub user: String,
    /// Its container; `None` of what isn't brought into an account.
    pub container: Option<ContainerId>,
}

/// What else is told about a user, each by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A quota root.
    Quota,
    /// A mailbox that is subscribed to.
    Subscription,
    /// What a user has seen of a mailbox of somebody else.
    Seen,
    /// A script.
    Script,
    /// Something that could not be brought, for people.
    Trouble,
}

impl Fact {
    fn name(self) -> &'static str {
        match self {
            Fact::Quota => "quota",
            Fact::Subscription => "subscription",
            Fact::Seen => "seen",
            Fact::Script => "script",
            Fact::Trouble => "trouble",
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Mirror {
    connection: Arc<Mutex<Connection>>,
}

impl Mirror {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`MirrorError`]; the same holds for the other methods.
    pub fn open(path: &Path) -> Result<Self, MirrorError> {
        let connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Mirror { connection: Arc::new(Mutex::new(connection)) })
    }

    async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<R, MirrorError> + Send + 'static,
    ) -> Result<R, MirrorError> {
        let connection = self.connection.clone();
        let working = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock();
            let transaction = connection.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        working.await.map_err(|error| MirrorError(error.to_string()))?
    }

    /// A mailbox by its id.
    pub async fn mailbox(&self, unique_id: &str) -> Result<Option<Known>, MirrorError> {
        let unique_id = unique_id.to_owned();
        self.with(move |sql| one(sql, "unique_id", &unique_id)).await
    }

    /// A mailbox by its name.
    pub async fn named(&self, name: &str) -> Result<Option<Known>, MirrorError> {
        let name = name.to_owned();
        self.with(move |sql| one(sql, "name", &name)).await
    }

    /// All mailboxes of a user, by name.
    pub async fn mailboxes(&self, user: &str) -> Result<Vec<Known>, MirrorError> {
        let user = user.to_owned();
        self.with(move |sql| {
            let statement = "SELECT name, user, container, body FROM mailbox WHERE user = ?1 ORDER BY name";
            let mut statement = sql.prepare_cached(statement)?;
            let found = statement.query_map([user], known)?.collect::<Result<Vec<_>, _>>()?;
            found.into_iter().map(readable).collect()
        })
        .await
    }

    /// All users of which something is known.
    pub async fn users(&self) -> Result<Vec<String>, MirrorError> {
        self.with(|sql| {
            let mut statement = sql.prepare("SELECT DISTINCT user FROM mailbox ORDER BY user")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The records of a mailbox, by UID; of these only, if some are named.
    pub async fn records(&self, unique_id: &str, only: Option<Vec<u32>>) -> Result<Vec<Record>, MirrorError> {
        let unique_id = unique_id.to_owned();
        self.with(move |sql| records(sql, &unique_id, only.as_deref())).await
    }

    /// Writes a mailbox and records of it; what it was called before doesn't matter.
    pub async fn put(&self, known: Known, changed: Vec<Record>) -> Result<(), MirrorError> {
        self.with(move |sql| {
            let Known { mailbox, user, container } = known;
            let body = serde_json::to_string(&mailbox).map_err(|error| MirrorError(error.to_string()))?;
            let container = container.map(|id| id.0.cast_signed());
            let statement = "INSERT INTO mailbox (unique_id, name, user, container, body) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (unique_id) DO UPDATE SET name = ?2, user = ?3, container = ?4, body = ?5";
            sql.execute(statement, params![mailbox.unique_id, mailbox.name, user, container, body])?;
            let statement = "INSERT INTO record (unique_id, uid, guid, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (unique_id, uid) DO UPDATE SET guid = ?3, body = ?4";
            let mut statement = sql.prepare_cached(statement)?;
            for record in changed {
                let body = postcard::to_stdvec(&record).map_err(|error| MirrorError(error.to_string()))?;
                statement.execute(params![mailbox.unique_id, record.uid, record.guid, body])?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets a mailbox with its records.
    pub async fn forget(&self, unique_id: &str) -> Result<(), MirrorError> {
        let unique_id = unique_id.to_owned();
        self.with(move |sql| {
            sql.execute("DELETE FROM record WHERE unique_id = ?1", [&unique_id])?;
            sql.execute("DELETE FROM mailbox WHERE unique_id = ?1", [&unique_id])?;
            Ok(())
        })
        .await
    }

    /// Notes which contents an account has.
    pub async fn note_contents(&self, user: &str, found: Vec<(String, BlobHash, u64)>) -> Result<(), MirrorError> {
        let user = user.to_owned();
        self.with(move |sql| {
            let statement = "INSERT OR REPLACE INTO content (user, guid, blob, size) VALUES (?1, ?2, ?3, ?4)";
            let mut statement = sql.prepare_cached(statement)?;
            for (guid, blob, size) in found {
                statement.execute(params![user, guid, blob.0.as_slice(), size.cast_signed()])?;
            }
            Ok(())
        })
        .await
    }

    /// The content with this SHA-1 in an account, if it has it.
    pub async fn content(&self, user: &str, guid: &str) -> Result<Option<(BlobHash, u64)>, MirrorError> {
        let (user, guid) = (user.to_owned(), guid.to_owned());
        self.with(move |sql| {
            let mut statement = sql.prepare_cached("SELECT blob, size FROM content WHERE user = ?1 AND guid = ?2")?;
            let read = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?));
            let found = statement.query_row([user, guid], read).optional()?;
            Ok(found.and_then(|(blob, size)| Some((BlobHash::from_slice(&blob)?, size.cast_unsigned()))))
        })
        .await
    }

    /// Forgets a content that the account has no more.
    pub async fn forget_content(&self, user: &str, guid: &str) -> Result<(), MirrorError> {
        let (user, guid) = (user.to_owned(), guid.to_owned());
        self.with(move |sql| {
            sql.execute("DELETE FROM content WHERE user = ?1 AND guid = ?2", [user, guid])?;
            Ok(())
        })
        .await
    }

    /// The facts of a kind about a user, by name.
    pub async fn facts(&self, kind: Fact, user: &str) -> Result<Vec<(String, Vec<u8>)>, MirrorError> {
        let user = user.to_owned();
        self.with(move |sql| {
            let statement = "SELECT name, body FROM fact WHERE kind = ?1 AND user = ?2 ORDER BY name";
            let mut statement = sql.prepare_cached(statement)?;
            let found = statement.query_map([kind.name(), &user], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Writes a fact; `None` forgets it.
    pub async fn set_fact(&self, kind: Fact, user: &str, name: &str, body: Option<Vec<u8>>) -> Result<(), MirrorError> {
        let (user, name) = (user.to_owned(), name.to_owned());
        self.with(move |sql| {
            match body {
                Some(body) => {
                    let statement = "INSERT OR REPLACE INTO fact (kind, user, name, body) VALUES (?1, ?2, ?3, ?4)";
                    sql.execute(statement, params![kind.name(), user, name, body])?;
                }
                None => {
                    let statement = "DELETE FROM fact WHERE kind = ?1 AND user = ?2 AND name = ?3";
                    sql.execute(statement, params![kind.name(), user, name])?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Notes for people that something of a user could not be brought.
    pub async fn trouble(&self, user: &str, text: String) -> Result<(), MirrorError> {
        tracing::warn!(user, text, "the old server has something that can't be brought");
        self.set_fact(Fact::Trouble, user, &text, Some(Vec::new())).await
    }
}

/// The sums over all records of a mailbox.
pub fn sums<'a>(records: impl Iterator<Item = &'a Record>) -> Sums {
    let mut sums = Sums::default();
    records.for_each(|record| sums.toggle(record));
    sums
}

type Raw = (String, Option<i64>, String);

fn known(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(1)?, row.get(2)?, row.get(3)?))
}

fn readable((user, container, body): Raw) -> Result<Known, MirrorError> {
    let mailbox = serde_json::from_str(&body).map_err(|error| MirrorError(error.to_string()))?;
    Ok(Known { mailbox, user, container: container.map(|id| ContainerId(id.cast_unsigned())) })
}

fn one(sql: &Transaction<'_>, column: &str, value: &str) -> Result<Option<Known>, MirrorError> {
    let statement = format!("SELECT name, user, container, body FROM mailbox WHERE {column} = ?1");
    let found = sql.prepare_cached(&statement)?.query_row([value], known).optional()?;
    found.map(readable).transpose()
}

fn records(sql: &Transaction<'_>, unique_id: &str, only: Option<&[u32]>) -> Result<Vec<Record>, MirrorError> {
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    match only {
        None => {
            let mut statement = sql.prepare_cached("SELECT body FROM record WHERE unique_id = ?1 ORDER BY uid")?;
            bodies.extend(statement.query_map([unique_id], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?);
        }
        Some(uids) => {
            let mut statement = sql.prepare_cached("SELECT body FROM record WHERE unique_id = ?1 AND uid = ?2")?;
            for uid in uids {
                bodies.extend(statement.query_row(params![unique_id, uid], |row| row.get(0)).optional()?);
            }
        }
    }
    let read = |body: Vec<u8>| postcard::from_bytes(&body).map_err(|error| MirrorError(error.to_string()));
    bodies.into_iter().map(read).collect()
}
