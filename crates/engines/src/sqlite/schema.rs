//! The tables of an account, in SQL that PostgreSQL reads too. Every table begins with the account, so that one
//! database can hold many.
//!
//! `CLUSTERED` becomes SQLite's `WITHOUT ROWID`: rows stand in the order of their primary key, so that opening a folder
//! reads its narrow rows one after the other. That is not for wide rows: SQLite keeps whole rows in the inner pages of
//! such a tree, and reads them to compare keys. Wide rows are `NUMBERED`, which becomes SQLite's own key of a row; a
//! database of many accounts takes `BIGINT` and the key `(account, blob)` there. Bodies are in a table of their own, so
//! that summaries are read without passing over them.
//!
//! Parameters are written `?1`: SQLite takes `$1` for a name and numbers it by its first appearance. An engine for
//! PostgreSQL turns one into the other.

use std::cmp::Ordering;

use rusqlite::Connection;
use sterna_account::StoreError;

use super::error::store_error;

/// The format that this version writes.
pub const FORMAT: u32 = 6;

/// One step for each format: what turns a file of the format before into this one. The first makes an empty file into
/// format 1.
const STEPS: &[&str] = &[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4, FORMAT_5, FORMAT_6];

const FORMAT_1: &str = "
CREATE TABLE account (
  account BIGINT NOT NULL,
  modseq BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  role INTEGER NOT NULL,
  next_container BIGINT NOT NULL,
  next_blob BIGINT NOT NULL,
  last_uid_validity BIGINT NOT NULL,
  bytes_max BIGINT,
  items_max BIGINT,
  bytes_used BIGINT NOT NULL,
  items_used BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  PRIMARY KEY (account)
) CLUSTERED;
CREATE TABLE container (
  account BIGINT NOT NULL,
  container BIGINT NOT NULL,
  parent BIGINT NOT NULL,
  kind INTEGER NOT NULL,
  name TEXT NOT NULL,
  special_use INTEGER NOT NULL,
  uid_validity BIGINT NOT NULL,
  uid_next BIGINT NOT NULL,
  modseq BIGINT NOT NULL,
  highest_modseq BIGINT NOT NULL,
  items BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  unseen BIGINT NOT NULL,
  deleted BIGINT NOT NULL,
  deleted_bytes BIGINT NOT NULL,
  keywords TEXT NOT NULL,
  digest BYTEA NOT NULL,
  PRIMARY KEY (account, container)
) CLUSTERED;
CREATE UNIQUE INDEX container_name ON container (account, parent, kind, name);
CREATE INDEX container_modseq ON container (account, modseq);
CREATE TABLE container_deleted (
  account BIGINT NOT NULL,
  container BIGINT NOT NULL,
  modseq BIGINT NOT NULL,
  PRIMARY KEY (account, container)
) CLUSTERED;
CREATE INDEX container_deleted_modseq ON container_deleted (account, modseq);
CREATE TABLE item (
  account BIGINT NOT NULL,
  container BIGINT NOT NULL,
  uid BIGINT NOT NULL,
  modseq BIGINT NOT NULL,
  flags INTEGER NOT NULL,
  keywords_low BIGINT NOT NULL,
  keywords_high BIGINT NOT NULL,
  blob BIGINT NOT NULL,
  size BIGINT NOT NULL,
  internal_date BIGINT NOT NULL,
  saved_at BIGINT NOT NULL,
  name TEXT,
  PRIMARY KEY (account, container, uid)
) CLUSTERED;
CREATE INDEX item_modseq ON item (account, modseq, container, uid);
CREATE UNIQUE INDEX item_name ON item (account, container, name) WHERE name IS NOT NULL;
CREATE TABLE expunged (
  account BIGINT NOT NULL,
  container BIGINT NOT NULL,
  uid BIGINT NOT NULL,
  modseq BIGINT NOT NULL,
  expunged_at BIGINT NOT NULL,
  blob BIGINT,
  size BIGINT NOT NULL,
  flags INTEGER NOT NULL,
  keywords_low BIGINT NOT NULL,
  keywords_high BIGINT NOT NULL,
  internal_date BIGINT NOT NULL,
  name TEXT,
  PRIMARY KEY (account, container, uid)
) CLUSTERED;
CREATE INDEX expunged_modseq ON expunged (account, modseq, container, uid);
CREATE INDEX expunged_retained ON expunged (account, expunged_at) WHERE blob IS NOT NULL;
CREATE TABLE blob (
  account BIGINT NOT NULL,
  blob BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  size BIGINT NOT NULL,
  refs BIGINT NOT NULL,
  in_file INTEGER NOT NULL,
  summary BYTEA,
  PRIMARY KEY (account, blob)
) CLUSTERED;
CREATE UNIQUE INDEX blob_hash ON blob (account, hash);
CREATE TABLE blob_data (
  account BIGINT NOT NULL,
  blob BIGINT NOT NULL,
  data BYTEA NOT NULL,
  PRIMARY KEY (account, blob)
) CLUSTERED;
CREATE TABLE operation (
  account BIGINT NOT NULL,
  operation BYTEA NOT NULL,
  done_at BIGINT NOT NULL,
  answer BYTEA NOT NULL,
  PRIMARY KEY (account, operation)
) CLUSTERED;
";

/// Rights of others.
const FORMAT_2: &str = "ALTER TABLE container ADD COLUMN acl TEXT NOT NULL DEFAULT '';";

/// Kept answers get numbers, so that a copy can ask for those after the last it has; the last number is in the
/// account's row, because purging must not give one again. `progress` is how far a follower got.
const FORMAT_3: &str = "
ALTER TABLE account ADD COLUMN operations BIGINT NOT NULL DEFAULT 0;
CREATE TABLE operation_numbered (
  account BIGINT NOT NULL,
  number BIGINT NOT NULL,
  operation BYTEA NOT NULL,
  done_at BIGINT NOT NULL,
  answer BYTEA NOT NULL,
  PRIMARY KEY (account, number)
) CLUSTERED;
INSERT INTO operation_numbered (account, number, operation, done_at, answer)
  SELECT account, ROW_NUMBER() OVER (PARTITION BY account ORDER BY done_at, operation), operation, done_at, answer
  FROM operation;
DROP TABLE operation;
ALTER TABLE operation_numbered RENAME TO operation;
CREATE UNIQUE INDEX operation_id ON operation (account, operation);
UPDATE account SET operations = (SELECT count(*) FROM operation WHERE operation.account = account.account);
CREATE TABLE progress (
  account BIGINT NOT NULL,
  modseq BIGINT NOT NULL,
  container BIGINT NOT NULL,
  uid BIGINT NOT NULL,
  answers BIGINT NOT NULL,
  is_equal INTEGER NOT NULL,
  PRIMARY KEY (account)
) CLUSTERED;
";

/// Where standby copies took over.
const FORMAT_4: &str = "
CREATE TABLE fork (
  account BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  modseq BIGINT NOT NULL,
  container BIGINT NOT NULL,
  uid BIGINT NOT NULL,
  answers BIGINT NOT NULL,
  PRIMARY KEY (account, epoch)
) CLUSTERED;
";

/// Bodies and summaries by number alone: they were clustered, and every look-up read several of them.
const FORMAT_5: &str = "
CREATE TABLE blob_numbered (
  account BIGINT NOT NULL,
  blob NUMBERED,
  hash BYTEA NOT NULL,
  size BIGINT NOT NULL,
  refs BIGINT NOT NULL,
  in_file INTEGER NOT NULL,
  summary BYTEA
);
INSERT INTO blob_numbered (account, blob, hash, size, refs, in_file, summary)
  SELECT account, blob, hash, size, refs, in_file, summary FROM blob ORDER BY blob;
DROP TABLE blob;
ALTER TABLE blob_numbered RENAME TO blob;
CREATE UNIQUE INDEX blob_hash ON blob (account, hash);
CREATE TABLE blob_data_numbered (
  account BIGINT NOT NULL,
  blob NUMBERED,
  data BYTEA NOT NULL
);
INSERT INTO blob_data_numbered (account, blob, data) SELECT account, blob, data FROM blob_data ORDER BY blob;
DROP TABLE blob_data;
ALTER TABLE blob_data_numbered RENAME TO blob_data;
";

/// What calendar objects and cards call themselves; and what changed in one container, for collections that clients
/// keep in step with: mail has no names, and its deliveries keep none of these.
const FORMAT_6: &str = "
ALTER TABLE item ADD COLUMN object_uid TEXT;
CREATE UNIQUE INDEX item_object_uid ON item (account, container, object_uid) WHERE object_uid IS NOT NULL;
CREATE INDEX item_named_modseq ON item (account, container, modseq, uid) WHERE name IS NOT NULL;
CREATE INDEX expunged_container_modseq ON expunged (account, container, modseq, uid);
";

/// Brings a file to [`FORMAT`], each step in a transaction of its own together with its number.
///
/// # Errors
/// [`StoreError::NewerFormat`] when a newer version wrote it.
pub fn migrate(conn: &Connection) -> Result<(), StoreError> {
    migrate_through(conn, STEPS)
}

/// For who reads a file and must not change it.
///
/// # Errors
/// [`StoreError::NewerFormat`] or [`StoreError::OlderFormat`].
pub fn must_be_current(conn: &Connection) -> Result<(), StoreError> {
    let found: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(store_error)?;
    match found.cmp(&FORMAT) {
        Ordering::Less => Err(StoreError::OlderFormat { found, supported: FORMAT }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::NewerFormat { found, supported: FORMAT }),
    }
}

/// The same with other steps: tests have formats of their own.
pub fn migrate_through(conn: &Connection, steps: &[&str]) -> Result<(), StoreError> {
    let found: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(store_error)?;
    if found as usize > steps.len() {
        return Err(StoreError::NewerFormat { found, supported: steps.len() as u32 });
    }
    for (format, step) in (1u32..).zip(steps).skip(found as usize) {
        let step = step.replace("CLUSTERED", "WITHOUT ROWID").replace("BYTEA", "BLOB");
        let step = step.replace("NUMBERED", "INTEGER PRIMARY KEY");
        let run = || {
            // Rolls back when it is dropped before the commit.
            let transaction = conn.unchecked_transaction()?;
            transaction.execute_batch(&step)?;
            transaction.pragma_update(None, "user_version", format)?;
            transaction.commit()
        };
        run().map_err(store_error)?;
    }
    Ok(())
}

const _: () = assert!(STEPS.len() == FORMAT as usize);
