//! What the main node remembers of administration besides the directory: who is signed in, who did what, and what was
//! answered to requests that clients may repeat. It is a SQLite file of its own in the node's folder: none of it is
//! needed to serve mail, so none of it travels to other nodes with every change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::{AccountId, Timestamp};

/// The file's name in the node's folder.
const FILE_NAME: &str = "administration.sqlite";

/// The format that this version writes. Parameters of its statements are numbered in the order of their appearance:
/// SQLite takes `$2` for a name.
const FORMAT: i64 = 1;

/// Lines of the record that are kept.
const AUDIT_LINES_MAX: i64 = 500_000;

/// Sessions of one user; a further one ends the one that was used longest ago.
const SESSIONS_PER_ACCOUNT_MAX: i64 = 50;

/// How long an answer is kept for a client that repeats its request, in milliseconds: a day.
const ANSWERS_KEPT_MS: i64 = 24 * 3600 * 1000;

/// Answers that are kept for one who asks; a further one takes the place of the oldest.
const ANSWERS_EACH_MAX: i64 = 1000;

const TABLES: &str = "
CREATE TABLE session (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    account BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    peer TEXT NOT NULL,
    agent TEXT NOT NULL
);
CREATE INDEX session_by_account ON session (account, used_at);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    via TEXT NOT NULL,
    peer TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER NOT NULL,
    subject BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX audit_by_subject ON audit (subject, number);
CREATE TABLE answer (
    who TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    at BIGINT NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (who, key)
);
CREATE INDEX answer_by_time ON answer (at);
";

/// Why something was not remembered or found.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The file can't be read or written.
    #[error("{FILE_NAME}: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file can't be made.
    #[error("{FILE_NAME}: {0}")]
    Io(#[from] std::io::Error),
    /// A later version wrote it.
    #[error("{FILE_NAME} has format {0}, and this version knows {FORMAT}")]
    NewerFormat(i64),
    /// The node is ending.
    #[error("the node is ending")]
    Ending,
}

/// The file. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    conn: Arc<Mutex<Connection>>,
    /// For long looks at the record, which nobody who signs in waits for.
    looking: Arc<Mutex<Connection>>,
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names it in lists; not secret.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub used_at: Timestamp,
    /// When it ends whatever happens.
    pub ends_at: Timestamp,
    /// Where it began.
    pub peer: String,
    /// What the browser says that it is.
    pub agent: String,
}

/// One line of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RecordedLine")]
pub struct AuditLine {
    /// Rising.
    pub number: i64,
    /// When.
    #[serde(skip)]
    pub at: Timestamp,
    /// Who, for people.
    pub who: String,
    /// How they came in.
    pub via: String,
    /// From where.
    pub peer: String,
    /// What was asked.
    pub method: String,
    /// Of what.
    pub path: String,
    /// What came of it.
    pub status: u16,
    /// Whose account it was about.
    pub subject: Option<AccountId>,
    /// What was sent, without secrets.
    pub body: String,
}

/// Which lines of the record are wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Before this number: the page after another one.
    pub before: Option<i64>,
    /// At least this old, and not older.
    pub since: Option<Timestamp>,
    /// Only what this one did.
    pub who: Option<String>,
    /// Only what was about this account.
    pub subject: Option<AccountId>,
    /// Only what is about administrators who work as users.
    pub sudo: bool,
    /// Only what was done, and not what was refused.
    pub done: bool,
    /// Only requests that look at something, or only others.
    pub looking: Option<bool>,
    /// Only where path or body have this text.
    pub text: Option<String>,
    /// Most lines.
    pub limit: usize,
}

/// What a client that repeats a request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// What was asked, by hash.
    pub request: String,
    /// The status; 0 while the first one is still at it.
    pub status: u16,
    /// Headers that belong to the answer, in JSON.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
}

fn number(id: AccountId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

fn account(number: i64) -> AccountId {
    AccountId(number.unsigned_abs())
}

impl Records {
    /// Opens the file, and makes it where there is none. Blocks.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn open(folder: &Path) -> Result<Self, RecordsError> {
        let path = folder.join(FILE_NAME);
        let conn = Connection::open(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        match conn.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => conn.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"))?,
            FORMAT => {}
            newer => return Err(RecordsError::NewerFormat(newer)),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let looking = Connection::open_with_flags(&path, flags)?;
        Ok(Records { conn: Arc::new(Mutex::new(conn)), looking: Arc::new(Mutex::new(looking)) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, RecordsError> {
        run_on(self.conn.clone(), work).await
    }

    /// Notes that somebody is signed in; `hash` is that of the cookie.
    pub async fn begin_session(&self, session: Session, hash: String) -> Result<(), RecordsError> {
        self.run(move |conn| {
            let tx = conn.transaction()?;
            tx.execute("DELETE FROM session WHERE ends_at <= $1", [session.created_at.0])?;
            let sql = "DELETE FROM session WHERE id IN
                (SELECT id FROM session WHERE account = $1 ORDER BY used_at DESC LIMIT -1 OFFSET $2)";
            tx.execute(sql, params![number(session.account), SESSIONS_PER_ACCOUNT_MAX - 1])?;
            let sql = "INSERT INTO session (id, hash, account, created_at, used_at, ends_at, peer, agent)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
            let Session { id, account, created_at, used_at, ends_at, peer, agent } = session;
            tx.execute(sql, params![id, hash, number(account), created_at.0, used_at.0, ends_at.0, peer, agent])?;
            tx.commit()
        })
        .await
    }

    /// The session of this hash, if it goes on.
    pub async fn session(&self, hash: String, now: Timestamp) -> Result<Option<Session>, RecordsError> {
        self.run(move |conn| {
            let sql = "SELECT id, account, created_at, used_at, ends_at, peer, agent FROM session
                WHERE hash = $1 AND ends_at > $2";
            conn.prepare_cached(sql)?.query_row(params![hash, now.0], session_of).optional()
        })
        .await
    }

    /// Notes that a session was used.
    pub async fn use_session(&self, id: String, at: Timestamp) -> Result<(), RecordsError> {
        self.run(move |conn| {
            conn.execute("UPDATE session SET used_at = $1 WHERE id = $2", params![at.0, id]).map(|_| ())
        })
        .await
    }

    /// Who is signed in: all, or one user; the one used last first.
    pub async fn sessions(&self, of: Option<AccountId>, now: Timestamp) -> Result<Vec<Session>, RecordsError> {
        self.run(move |conn| {
            let sql = "SELECT id, account, created_at, used_at, ends_at, peer, agent FROM session
                WHERE ends_at > $1 AND ($2 IS NULL OR account = $2) ORDER BY used_at DESC, id LIMIT 10000";
            let mut statement = conn.prepare_cached(sql)?;
            statement.query_map(params![now.0, of.map(number)], session_of)?.collect()
        })
        .await
    }

    /// Ends a session; `false` when there is none of this id.
    pub async fn end_session(&self, id: String) -> Result<bool, RecordsError> {
        self.run(move |conn| Ok(conn.execute("DELETE FROM session WHERE id = $1", [id])? > 0)).await
    }

    /// Ends all sessions of a user but one.
    pub async fn end_sessions(&self, of: AccountId, but: Option<String>) -> Result<usize, RecordsError> {
        self.run(move |conn| {
            let sql = "DELETE FROM session WHERE account = $1 AND id IS NOT $2";
            conn.execute(sql, params![number(of), but])
        })
        .await
    }

    /// Writes a line; gives its number, which is given by the file.
    pub async fn note(&self, line: AuditLine) -> Result<i64, RecordsError> {
        self.run(move |conn| {
            let sql = "INSERT INTO audit (at, who, via, peer, method, path, status, subject, body)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            let AuditLine { at, who, via, peer, method, path, status, subject, body, .. } = line;
            let subject = subject.map(number);
            conn.prepare_cached(sql)?.execute(params![at.0, who, via, peer, method, path, status, subject, body])?;
            let number = conn.last_insert_rowid();
            let sql = "DELETE FROM audit WHERE number <= $1";
            conn.prepare_cached(sql)?.execute([number - AUDIT_LINES_MAX])?;
            Ok(number)
        })
        .await
    }

    /// Notes what came of a request whose line was written before it was done.
    pub async fn note_status(&self, line: i64, status: u16) -> Result<(), RecordsError> {
        self.run(move |conn| {
            conn.execute("UPDATE audit SET status = $2 WHERE number = $1", params![line, status]).map(|_| ())
        })
        .await
    }

    /// Lines of the record, the newest first.
    pub async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditLine>, RecordsError> {
        run_on(self.looking.clone(), move |conn| {
            let sql = "SELECT number, at, who, via, peer, method, path, status, subject, body FROM audit
                WHERE ($1 IS NULL OR number < $1) AND ($2 IS NULL OR at >= $2) AND ($3 IS NULL OR who = $3 OR substr(who, 1, length($3) + 4) = $3 || ' as ')
                    AND ($4 IS NULL OR subject = $4)
                    AND ($5 IS NULL OR instr(lower(path), $5) > 0 OR instr(lower(body), $5) > 0)
                    AND ($6 = 0 OR via LIKE 'sudo %' OR path LIKE '%/sudo' OR path LIKE '%/sudo/%')
                    AND ($7 = 0 OR status < 400) AND ($8 IS NULL OR (method IN ('GET', 'HEAD')) = $8)
                ORDER BY number DESC LIMIT $9";
            let AuditFilter { before, since, who, subject, sudo, done, looking, text, limit } = filter;
            let (since, subject) = (since.map(|at| at.0), subject.map(number));
            let (text, limit) = (text.map(|text| text.to_lowercase()), i64::try_from(limit).unwrap_or(i64::MAX));
            let mut statement = conn.prepare_cached(sql)?;
            statement.query_map(params![before, since, who, subject, text, sudo, done, looking, limit], line_of)?.collect()
        })
        .await
    }

    /// What was answered to a request of this key; notes that it is being answered when nothing was.
    pub async fn begin_answer(
        &self,
        who: String,
        key: String,
        request: String,
        now: Timestamp,
    ) -> Result<Option<KeptAnswer>, RecordsError> {
        self.run(move |conn| {
            let tx = conn.transaction()?;
            tx.execute("DELETE FROM answer WHERE at < $1", [now.0 - ANSWERS_KEPT_MS])?;
            let sql = "SELECT request, status, headers, body FROM answer WHERE who = $1 AND key = $2";
            let kept = |row: &Row<'_>| {
                Ok(KeptAnswer { request: row.get(0)?, status: row.get(1)?, headers: row.get(2)?, body: row.get(3)? })
            };
            let found = tx.query_row(sql, params![who, key], kept).optional()?;
            if found.is_none() {
                let sql = "DELETE FROM answer WHERE who = $1 AND status > 0 AND key IN
                    (SELECT key FROM answer WHERE who = $1 ORDER BY at DESC LIMIT -1 OFFSET $2)";
                tx.execute(sql, params![who, ANSWERS_EACH_MAX])?;
                let sql = "INSERT INTO answer (who, key, request, at, status, headers, body)
                    VALUES ($1, $2, $3, $4, 0, '', X'')";
                tx.execute(sql, params![who, key, request, now.0])?;
            }
            tx.commit()?;
            Ok(found)
        })
        .await
    }

    /// Keeps an answer; `None` forgets that it was begun, so that a repetition is a new request.
    pub async fn end_answer(&self, who: String, key: String, answer: Option<KeptAnswer>) -> Result<(), RecordsError> {
        self.run(move |conn| match answer {
            Some(KeptAnswer { status, headers, body, .. }) => {
                let sql = "UPDATE answer SET status = $1, headers = $2, body = $3 WHERE who = $4 AND key = $5";
                conn.execute(sql, params![status, headers, body, who, key]).map(|_| ())
            }
            None => conn.execute("DELETE FROM answer WHERE who = $1 AND key = $2", params![who, key]).map(|_| ()),
        })
        .await
    }

    /// Forgets answers that were begun and never given: the node ended meanwhile. Blocks.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn forget_unanswered(&self) -> Result<(), RecordsError> {
        self.conn.lock().execute("DELETE FROM answer WHERE status = 0", [])?;
        Ok(())
    }
}

async fn run_on<T: Send + 'static>(
    conn: Arc<Mutex<Connection>>,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, RecordsError> {
    let done = tokio::task::spawn_blocking(move || work(&mut conn.lock())).await;
    Ok(done.map_err(|_| RecordsError::Ending)??)
}

fn session_of(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get(0)?,
        account: account(row.get(1)?),
        created_at: Timestamp(row.get(2)?),
        used_at: Timestamp(row.get(3)?),
        ends_at: Timestamp(row.get(4)?),
        peer: row.get(5)?,
        agent: row.get(6)?,
    })
}

fn line_of(row: &Row<'_>) -> rusqlite::Result<AuditLine> {
    Ok(AuditLine {
        number: row.get(0)?,
        at: Timestamp(row.get(1)?),
        who: row.get(2)?,
        via: row.get(3)?,
        peer: row.get(4)?,
        method: row.get(5)?,
        path: row.get(6)?,
        status: row.get(7)?,
        subject: row.get::<_, Option<i64>>(8)?.map(account),
        body: row.get(9)?,
    })
}
