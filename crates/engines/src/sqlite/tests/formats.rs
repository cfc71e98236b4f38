//! Files of older and newer versions.

use rusqlite::Connection;
use sterna_account::follow::Progress;
use sterna_account::{Commit, Engine, Role, StoreError};
use sterna_base::{AccountId, Epoch, Modseq, OperationId, Timestamp};

use super::history::assert_sound;
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

/// A file that version 1 wrote: two messages, a named one, a keyword, a tombstone, a deleted folder, five commits. The
/// ids of its operations don't rise with the commits; those of the third and the fourth were done at the same time.
pub const WRITTEN_BY_FORMAT_1: &[u8] = include_bytes!("format-1.sqlite");

#[test]
fn a_file_of_format_1_is_brought_to_this_one_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::new(folder.path());
    let account = AccountId(9);
    std::fs::create_dir_all(engine.folder(account)).unwrap();
    std::fs::write(engine.folder(account).join("account.sqlite"), WRITTEN_BY_FORMAT_1).unwrap();
    for _ in 0..2 {
        let mut store = engine.open(account).unwrap();
        assert_sound(store.as_mut());
        let head = store.head().unwrap();
        let known = (Modseq(5), Epoch(3), Role::Active, "18881f6c3346d5c4a2a2497cc9feca84".to_owned());
        assert_eq!((head.modseq, head.epoch, head.role, head.digest.to_string()), known);
        let page = store.page(&Progress::start(), 99, 99).unwrap();
        let answers: Vec<_> = page.answers.iter().map(|kept| (kept.number, kept.operation.0[0])).collect();
        assert_eq!(answers, [(1, 9), (2, 7), (3, 3), (4, 8), (5, 5)]);
        assert_eq!((page.last_answer, store.progress().unwrap().answers), (5, 5));
    }
    let mut store = engine.open(account).unwrap();
    let again = Commit { operation: OperationId([7; 16]), epoch: Epoch(3), mutations: Vec::new() };
    let answer = store.commit(&[again], Timestamp(0)).unwrap().remove(0).unwrap();
    assert!(answer.repeated && answer.outcomes.len() == 2);
    let other = tempfile::tempdir().unwrap();
    let other = SqliteEngine::new(other.path());
    other.create(account, Epoch(3), Role::Follower, Timestamp(0)).unwrap();
    let mut copy = other.open(account).unwrap();
    let page = store.page(&Progress::start(), 99, 99).unwrap();
    let blobs = store.copied_blobs(&page.blobs(), u64::MAX).unwrap();
    assert!(copy.follow(&page, blobs, Timestamp(0)).unwrap().is_equal);
    assert_sound(copy.as_mut());
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
