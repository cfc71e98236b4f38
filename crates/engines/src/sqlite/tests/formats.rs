//! Files of older and newer versions.

use rusqlite::Connection;
use sterna_account::{Engine, Role, StoreError};
use sterna_base::{AccountId, Epoch, Timestamp};

use crate::sqlite::{SqliteEngine, schema};

#[test]
fn a_newer_file_is_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::new(folder.path());
    let account = AccountId(5);
    engine.create(account, Epoch(1), Role::Active, Timestamp(0)).unwrap();
    let path = engine.folder(account).join("account.sqlite");
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", schema::FORMAT + 1).unwrap();
    drop(conn);
    let before = std::fs::read(&path).unwrap();
    let error = engine.open(account).err();
    let found = schema::FORMAT + 1;
    assert_eq!(error, Some(StoreError::NewerFormat { found, supported: schema::FORMAT }));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn steps_run_once_each_and_a_failing_one_leaves_the_file_as_it_was() {
    let conn = Connection::open_in_memory().unwrap();
    schema::migrate_through(&conn, &["CREATE TABLE a (x BIGINT NOT NULL, PRIMARY KEY (x)) CLUSTERED;"]).unwrap();
    conn.execute_batch("INSERT INTO a VALUES (1)").unwrap();
    let broken = ["CREATE TABLE a (x);", "ALTER TABLE a ADD COLUMN y BIGINT; SELECT nothing FROM nowhere;"];
    assert!(schema::migrate_through(&conn, &broken).is_err());
    let version = |conn: &Connection| conn.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(version(&conn), 1);
    assert!(conn.prepare("SELECT y FROM a").is_err());
    let good = ["CREATE TABLE a (x);", "ALTER TABLE a ADD COLUMN y BIGINT NOT NULL DEFAULT 7;"];
    schema::migrate_through(&conn, &good).unwrap();
    assert_eq!(version(&conn), 2);
    assert_eq!(conn.query_row("SELECT x + y FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 8);
}
