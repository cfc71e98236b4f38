//! Every name belongs to one owner; renaming, deleting and making again.

use sterna_account::Digest;
use sterna_base::{AccountId, Epoch, JobId, Modseq};
use sterna_directory::request::{DomainPatch, NewDomain, NewGroup, NewJob, NewShared, UserPatch};
use sterna_directory::{Core, Cursor, JobKind, Member, Mode, Request, RequestError, RowKind, StorageError};

use crate::common::{ALPHA, BETA, Main, new_user};

fn code<T: std::fmt::Debug>(result: Result<T, RequestError>) -> &'static str {
    let error = result.unwrap_err();
    assert!(!error.remedy().is_empty());
    error.code()
}

fn delete(main: &mut Main, id: AccountId, kind: RowKind) -> Result<(), RequestError> {
    main.submit(Request::DeleteEntry { id, kind, expect: None }).map(|_| ())
}

#[test]
fn an_address_has_one_owner_among_all_kinds() {
    let mut main = Main::new();
    main.domain("demo.test", &["demo.example"]);
    main.user("ana@demo.test", &["a@demo.test"]);
    main.group("team@demo.test", &[]);
    main.shared("info@demo.test");
    for taken in ["ana@demo.test", "A@demo.test", "TEAM@demo.example", "info@demo.test"] {
        assert_eq!(code(main.try_user(new_user(taken, &[]))), "taken", "{taken} as an address");
        assert_eq!(code(main.try_user(new_user("new@demo.test", &[taken]))), "taken", "{taken} as an alias");
        let group = NewGroup { address: taken.into(), ..NewGroup::default() };
        assert_eq!(code(main.submit(Request::CreateGroup(group))), "taken", "{taken} as a group");
        let (id, new) = (main.reserve(ALPHA), NewShared { address: taken.into(), ..NewShared::default() });
        assert_eq!(code(main.submit(Request::CreateShared { id, new, server: ALPHA })), "taken", "{taken} shared");
    }
    let Err(RequestError::Taken { name, owner, .. }) = main.try_user(new_user("team@demo.example", &[])) else {
        panic!()
    };
    assert_eq!((name.as_str(), owner), ("team@demo.test", "group"));
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn a_domain_name_is_a_name_or_an_alias_once() {
    let mut main = Main::new();
    let first = main.domain("one.test", &["uno.test"]);
    let second = main.domain("two.test", &[]);
    let create = |name: &str, alias: &str| {
        Request::CreateDomain(NewDomain { name: name.into(), aliases: vec![alias.into()], ..NewDomain::default() })
    };
    for (name, alias) in
        [("ONE.test", "x.test"), ("uno.test", "x.test"), ("x.test", "one.test"), ("x.test", "Uno.Test")]
    {
        assert_eq!(code(main.submit(create(name, alias))), "taken", "{name} {alias}");
    }
    let patch = DomainPatch { aliases: Some(vec!["uno.test".into()]), ..DomainPatch::default() };
    let steal = Request::SetDomain { id: second, expect: None, patch: patch.clone() };
    assert_eq!(code(main.submit(steal.clone())), "taken");
    let give_up = DomainPatch { aliases: Some(vec![]), ..DomainPatch::default() };
    main.submit(Request::SetDomain { id: first, expect: None, patch: give_up }).unwrap();
    main.submit(steal).unwrap();
    assert_eq!(main.core.reader().domain_named("uno.test").unwrap().unwrap().value.id, second);
}

#[test]
fn a_domain_goes_when_its_last_address_went() {
    let mut main = Main::new();
    let (one, two) = (main.domain("one.test", &[]), main.domain("two.test", &[]));
    let ana = main.user("ana@one.test", &["ana@two.test"]);
    for id in [one, two] {
        assert_eq!(code(main.submit(Request::DeleteDomain { id, expect: None })), "in-use");
    }
    delete(&mut main, ana, RowKind::User).unwrap();
    for id in [one, two] {
        main.submit(Request::DeleteDomain { id, expect: None }).unwrap();
    }
    assert_eq!(main.core.reader().domain_count().unwrap(), 0);
    assert_ne!(main.domain("one.test", &[]), one, "an id is never given again");
}

#[test]
fn a_user_made_again_is_another_user() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let first = main.user("ana@demo.test", &[]);
    let group = main.group("team@demo.test", &[Member::Local(first)]);
    delete(&mut main, first, RowKind::User).unwrap();
    let reader = main.core.reader();
    assert_eq!(reader.placement(first).unwrap(), None);
    assert_eq!(reader.members(group, None, 10).unwrap(), []);
    assert_eq!(reader.accounts_on(ALPHA).unwrap(), 0);
    assert_eq!(code(delete(&mut main, first, RowKind::User)), "no-such");
    let second = main.user("ana@demo.test", &[]);
    assert_ne!(first, second);
    assert_eq!(main.core.reader().members(group, None, 10).unwrap(), [], "the new one is in no group");
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn leaving_a_group_is_one_row() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let members: Vec<Member> = (0..5).map(|n| Member::Local(main.user(&format!("u{n}@demo.test"), &[]))).collect();
    let group = main.group("team@demo.test", &members);
    let done = main.submit(Request::SetMembers { id: group, add: vec![], remove: members[..1].to_vec() }).unwrap();
    let since = sterna_directory::Cursor::since(Modseq(done.modseq.0 - 1));
    let rows = main.core.reader().changes_since(&since, 100).unwrap().rows;
    assert_eq!(rows.iter().map(|row| (row.kind, row.content.is_some())).collect::<Vec<_>>(), [(9, false)]);
    assert_eq!(main.core.reader().member_count(group).unwrap(), 4);
}

#[test]
fn names_change_hands() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let (ana, ben) = (main.user("ana@demo.test", &["boss@demo.test"]), main.user("ben@demo.test", &[]));
    let set = |id, address: Option<&str>, aliases: &[&str], login: Option<&str>| Request::SetUser {
        id,
        expect: None,
        patch: UserPatch {
            address: address.map(str::to_owned),
            aliases: Some(aliases.iter().map(|alias| (*alias).to_owned()).collect()),
            login: Some(login.map(str::to_owned)),
            ..UserPatch::default()
        },
    };
    assert_eq!(code(main.submit(set(ben, None, &["boss@demo.test"], None))), "taken");
    main.submit(set(ana, Some("anna@demo.test"), &["ana@demo.test"], Some("boss"))).unwrap();
    assert_eq!(code(main.submit(set(ben, None, &[], Some("BOSS")))), "taken");
    main.submit(set(ben, None, &["boss@demo.test"], Some("ben"))).unwrap();
    let reader = main.core.reader();
    for (login, id) in [("anna@demo.test", ana), ("ana@demo.test", ana), ("boss", ana), ("boss@demo.test", ben)] {
        assert_eq!(reader.user_by_login(login).unwrap().unwrap().value.entry.id, id, "{login}");
    }
    assert_eq!(reader.check().unwrap(), [""; 0]);
}

#[test]
fn a_stale_reader_does_not_overwrite() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let id = main.user("ana@demo.test", &[]);
    let read = main.core.reader().user(id).unwrap().unwrap().modseq;
    let set = |expect, name: &str| {
        let patch = UserPatch { display_name: Some(name.into()), ..UserPatch::default() };
        Request::SetUser { id, expect, patch }
    };
    main.submit(set(Some(read), "Ana")).unwrap();
    assert_eq!(code(main.submit(set(Some(read), "Anna"))), "changed");
    let same = main.submit(set(None, "Ana")).unwrap();
    assert!(!same.changed, "what is already so takes no modseq");
}

#[test]
fn making_an_account_can_be_repeated_and_its_id_must_be_reserved() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let create = |id, address: &str| Request::CreateUser { id, new: new_user(address, &[]), server: ALPHA };
    assert_eq!(code(main.submit(create(AccountId(1), "ana@demo.test"))), "invalid");
    let id = main.reserve(ALPHA);
    main.submit(create(id, "ana@demo.test")).unwrap();
    assert!(!main.submit(create(id, "ana@demo.test")).unwrap().changed, "the answer was lost");
    assert_eq!(code(main.submit(create(id, "ben@demo.test"))), "taken");
    let placement = main.core.reader().placement(id).unwrap().unwrap().value;
    assert_eq!((placement.server, placement.epoch), (ALPHA, Epoch(1)));
}

#[test]
fn a_store_without_a_placement_is_remembered_until_it_is_gone() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let create = |id, server| Request::CreateUser { id, new: new_user("ana@demo.test", &[]), server };
    let given_up = main.reserve(ALPHA);
    assert_eq!(
        code(main.submit(Request::StoreGone { account: given_up, server: ALPHA })),
        "invalid",
        "it may still be wanted"
    );
    main.submit(Request::GiveUpAccount { account: given_up }).unwrap();
    assert_eq!(code(main.submit(create(given_up, ALPHA))), "invalid", "its store may be gone any moment");
    let id = main.reserve(ALPHA);
    assert_eq!(code(main.submit(create(id, BETA))), "invalid", "its store was made elsewhere");
    main.submit(create(id, ALPHA)).unwrap();
    let pending = |main: &Main| main.core.reader().pending_stores(None, 10).unwrap();
    assert_eq!(pending(&main).iter().map(|store| store.account).collect::<Vec<_>>(), [given_up]);
    delete(&mut main, id, RowKind::User).unwrap();
    let found = pending(&main);
    assert_eq!((found.len(), found[1].account, found[1].server, found[1].deleting), (2, id, ALPHA, true));
    for account in [given_up, id, id] {
        main.submit(Request::StoreGone { account, server: ALPHA }).unwrap();
    }
    assert_eq!(pending(&main), []);
}

#[test]
fn what_is_tried_out_is_not_done() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let before = main.core.reader().head().unwrap();
    let clock = main.clock.clone();
    let request = Request::CreateUser { id: AccountId(0), new: new_user("ana@demo.test", &[]), server: ALPHA };
    assert!(main.core.submit(&request, &clock, true).unwrap().changed);
    assert_eq!(main.core.reader().head().unwrap(), before);
    assert_eq!(code(main.submit(request)), "invalid", "in earnest an id must be reserved");
}

#[test]
fn everything_is_there_after_opening_again() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let id = main.user("ana@demo.test", &[]);
    let head = main.core.reader().head().unwrap();
    main.reopen();
    assert_eq!(main.core.reader().head().unwrap(), head);
    assert_eq!(main.core.reader().entry_at("ana@demo.test").unwrap().unwrap().value.entry().id, id);
    assert!(main.reserve(ALPHA) > id);
    assert!(main.core.reader().head().unwrap().modseq > Modseq(head.modseq.0));
}

#[test]
fn a_crash_at_any_commit_leaves_a_directory_that_checks() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let folder = tempfile::tempdir().unwrap();
    for n in 0..12 {
        main.user(&format!("u{n}@demo.test"), &[]);
        // What a crash leaves: the file and its log as they are, without a closing checkpoint.
        let copy = folder.path().join(format!("{n}.db"));
        let path = main.folder.path().join("directory.db");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let found = Core::open(&copy, Mode::Main(crate::common::INSTALLATION)).unwrap();
        assert_eq!(found.reader().check().unwrap(), [""; 0]);
        assert_eq!(found.reader().head().unwrap(), main.core.reader().head().unwrap());
        assert_eq!(found.reader().entry_count(RowKind::User).unwrap(), n + 1);
        drop(found);
        // And when the last write was torn: the commits before it.
        std::fs::copy(&path, &copy).unwrap();
        let log = std::fs::read(path.with_extension("db-wal")).unwrap();
        std::fs::write(copy.with_extension("db-wal"), &log[..log.len() - 100]).unwrap();
        let _ = std::fs::remove_file(copy.with_extension("db-shm"));
        let found = Core::open(&copy, Mode::Main(crate::common::INSTALLATION)).unwrap();
        assert_eq!(found.reader().check().unwrap(), [""; 0]);
        assert!(found.reader().entry_count(RowKind::User).unwrap() <= n + 1);
    }
}

#[test]
fn a_later_format_is_left_alone() {
    let main = Main::new();
    let path = main.folder.path().join("directory.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute("UPDATE dir_head SET format = 4", []).unwrap();
    let error = Core::open(&path, Mode::Copy).err().unwrap();
    assert!(matches!(error, StorageError::NewerFormat { found: 4, known: 3 }), "{error}");
}

/// Makes of a file what format 1 would have made of it.
fn write_as_format_1(main: &Main) {
    let conn = rusqlite::Connection::open(main.folder.path().join("directory.db")).unwrap();
    conn.execute_batch(
        "DROP TABLE dir_copy; DROP TABLE dir_move; DROP TABLE dir_job; DROP TABLE dir_pending_store;
        DROP TABLE dir_share; DROP TABLE dir_link;
        CREATE TABLE dir_pending_store (account_id BIGINT NOT NULL PRIMARY KEY);
        INSERT INTO dir_pending_store SELECT CAST(substr(row_key, 16, 1) AS INTEGER) FROM dir_row WHERE kind = 10;
        UPDATE dir_row SET row_key = substr(row_key, 1, 16) WHERE kind = 10;
        DELETE FROM dir_count WHERE name LIKE 'copies/%' OR name LIKE 'moves/%';
        UPDATE dir_head SET format = 1;",
    )
    .unwrap();
    let mut digest = Digest::default();
    for row in main.core.reader().changes_since(&Cursor::start(), 1000).unwrap().rows {
        digest.add(row.digest());
    }
    conn.execute("UPDATE dir_head SET digest = $1", [digest.to_string()]).unwrap();
}

/// A copy of an older version carries rows that it doesn't know; the version that does makes their indexes.
#[test]
fn rows_that_format_1_only_carried_are_found() {
    let mut main = crate::move_steps::main_with_accounts();
    let moves = vec![(AccountId(1), BETA), (AccountId(2), BETA)];
    let (kind, what, by) = (JobKind::Move, "away".into(), String::new());
    main.submit(Request::BeginJob(NewJob { id: None, kind, what, moves, by })).unwrap();
    main.submit(Request::StartMove { account: AccountId(1) }).unwrap();
    write_as_format_1(&main);
    main.reopen();
    let reader = main.core.reader();
    assert_eq!((reader.copy_count(BETA).unwrap(), reader.move_count(BETA).unwrap()), (1, 2));
    assert_eq!(reader.active_jobs(JobId(0), 10).unwrap().len(), 1);
    assert_eq!(reader.check().unwrap(), [""; 0]);
}

#[test]
fn a_file_of_format_1_is_read_with_its_keys() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let (kept, given_up) = (main.reserve(ALPHA), main.reserve(BETA));
    main.submit(Request::GiveUpAccount { account: given_up }).unwrap();
    write_as_format_1(&main);
    main.reopen();
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
    let stores = main.core.reader().pending_stores(None, 10).unwrap();
    assert_eq!(
        stores.iter().map(|store| (store.account, store.server)).collect::<Vec<_>>(),
        [(kept, ALPHA), (given_up, BETA)]
    );
    main.submit(Request::CreateUser { id: kept, new: new_user("ana@demo.test", &[]), server: ALPHA }).unwrap();
    main.submit(Request::StoreGone { account: given_up, server: BETA }).unwrap();
    assert_eq!(main.core.reader().pending_stores(None, 10).unwrap(), []);
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn damage_is_found() {
    for sql in [
        "DELETE FROM dir_address",
        "UPDATE dir_row SET content = '{}' WHERE kind = 1",
        "UPDATE dir_count SET value = value + 1",
        "DELETE FROM dir_row WHERE kind = 8",
        "UPDATE dir_head SET digest = '00'",
    ] {
        let mut main = Main::new();
        main.domain("demo.test", &[]);
        main.user("ana@demo.test", &[]);
        let conn = rusqlite::Connection::open(main.folder.path().join("directory.db")).unwrap();
        conn.execute(sql, []).unwrap();
        assert!(!main.core.reader().check().is_ok_and(|problems| problems.is_empty()), "{sql}");
    }
}
