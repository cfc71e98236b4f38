//! The bin: what comes back, and what doesn't.

use sterna_account::Identifier;
use sterna_base::{AccountId, Epoch, Timestamp};
use sterna_directory::request::{NewDomain, UserPatch};
use sterna_directory::rights::{Grant, NewAppPassword, Subject};
use sterna_directory::{Core, Done, Member, Mode, Request, RequestError, RowKind, Scope, Share};

use crate::common::*;
use crate::move_calls::{assert_well, code};
use crate::move_steps;

const UNTIL: Timestamp = Timestamp(9_000_000);

fn bin(main: &mut Main, id: AccountId, kind: RowKind) -> Result<Done, RequestError> {
    main.submit(Request::BinEntry { id, kind, expect: None, until: UNTIL, by: "root".into() })
}

fn restore(main: &mut Main, id: AccountId, address: Option<&str>) -> Result<Done, RequestError> {
    main.submit(Request::RestoreEntry { id, address: address.map(str::to_owned) })
}

fn is_known(main: &Main, text: &str) -> bool {
    main.core.reader().entry_at(text).unwrap().is_some()
}

#[test]
fn who_is_in_the_bin_is_nowhere_else_and_comes_back_whole() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let [ana, bob] =
        ["ana", "bob"].map(|name| main.user(&format!("{name}@demo.test"), &[&format!("{name}1@demo.test")]));
    let all = main.group("all@demo.test", &[Member::Local(ana), Member::Local(bob)]);
    for share in [(ana, bob), (bob, ana)].map(|(owner, with)| Share { owner, grantee: Identifier::Entry(with) }) {
        main.submit(Request::SetShare { share, shares: true }).unwrap();
    }
    let hash = "0".repeat(64);
    let new = NewAppPassword {
        account: ana,
        id: "a1".into(),
        name: "phone".into(),
        hash,
        protocols: vec![],
        expires_at: None,
        sudo: None,
    };
    main.submit(Request::CreateAppPassword(new)).unwrap();
    let before = main.core.reader().user(ana).unwrap().unwrap().value;
    let placed = main.core.reader().placement(ana).unwrap().unwrap().value;
    bin(&mut main, ana, RowKind::User).unwrap();

    let reader = main.core.reader();
    assert!(reader.entry(ana).unwrap().is_none() && reader.user(ana).unwrap().is_none());
    assert!(!is_known(&main, "ana@demo.test") && !is_known(&main, "ana1@demo.test"));
    assert!(reader.user_by_login("ana@demo.test").unwrap().is_none());
    assert_eq!(reader.members(all, None, 10).unwrap(), [Member::Local(bob)]);
    assert_eq!(reader.sharing(bob).unwrap().owners, []);
    assert_eq!(reader.placement(ana).unwrap().unwrap().value, placed, "its store is kept");
    assert_eq!(reader.pending_stores_of(ana).unwrap(), []);
    assert_well(&main);
    assert_eq!(code(bin(&mut main, ana, RowKind::User)), "no-such");

    restore(&mut main, ana, None).unwrap();
    let reader = main.core.reader();
    assert_eq!(reader.user(ana).unwrap().unwrap().value, before);
    assert_eq!(reader.members(all, None, 10).unwrap(), [Member::Local(ana), Member::Local(bob)]);
    assert_eq!(reader.sharing(bob).unwrap().owners.len(), 1);
    assert_eq!(reader.sharing(ana).unwrap().owners.len(), 1);
    assert_eq!(reader.app_passwords(ana).unwrap().len(), 1);
    assert_eq!(reader.all_deleted(AccountId(0), 10).unwrap(), []);
    assert_well(&main);
    assert_eq!(code(restore(&mut main, ana, None)), "no-such");
}

#[test]
fn who_it_is_at_a_provider_is_not_forgotten_in_the_bin() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let [ana, bob] = ["ana", "bob"].map(|name| main.user(&format!("{name}@demo.test"), &[]));
    let subject = |account: AccountId, subject: &str| Subject {
        issuer: "https://id.test".into(),
        subject: subject.into(),
        account,
        since: Timestamp(1),
    };
    main.submit(Request::BindSubject(subject(ana, "7"))).unwrap();
    bin(&mut main, ana, RowKind::User).unwrap();
    assert!(main.core.reader().subject("https://id.test", "7").unwrap().is_none());
    restore(&mut main, ana, None).unwrap();
    // Whoever has the address there by now is somebody else.
    assert_eq!(code(main.submit(Request::BindSubject(subject(ana, "9")))), "in-use");
    assert_eq!(main.core.reader().subjects_of(ana).unwrap(), [subject(ana, "7")]);
    // Who became somebody else meanwhile stays that.
    bin(&mut main, ana, RowKind::User).unwrap();
    main.submit(Request::BindSubject(subject(bob, "7"))).unwrap();
    restore(&mut main, ana, None).unwrap();
    assert_eq!(main.core.reader().subjects_of(ana).unwrap(), []);
    assert_eq!(main.core.reader().subjects_of(bob).unwrap(), [subject(bob, "7")]);
    assert_well(&main);
}

#[test]
fn what_was_taken_meanwhile_is_not_taken_back() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let ana = main.user("ana@demo.test", &["a@demo.test", "b@demo.test"]);
    main.submit(Request::SetUser {
        id: ana,
        expect: None,
        patch: UserPatch { login: Some(Some("ana".into())), ..UserPatch::default() },
    })
    .unwrap();
    bin(&mut main, ana, RowKind::User).unwrap();
    let other = main.user("ana@demo.test", &["a@demo.test"]);
    main.submit(Request::SetUser {
        id: other,
        expect: None,
        patch: UserPatch { login: Some(Some("ana".into())), ..UserPatch::default() },
    })
    .unwrap();
    assert_eq!(code(restore(&mut main, ana, None)), "taken");
    restore(&mut main, ana, Some("anna@demo.test")).unwrap();
    let back = main.core.reader().user(ana).unwrap().unwrap().value;
    assert_eq!((back.entry.aliases.len(), back.login), (1, None), "b@demo.test was free");
    assert_eq!(main.core.reader().entry_at("ana@demo.test").unwrap().unwrap().value.entry().id, other);
    assert_well(&main);
}

#[test]
fn a_domain_that_went_away_needs_another_address() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let gone = main.domain("gone.test", &[]);
    let ana = main.user("ana@gone.test", &[]);
    bin(&mut main, ana, RowKind::User).unwrap();
    main.submit(Request::DeleteDomain { id: gone, expect: None }).unwrap();
    assert_eq!(code(restore(&mut main, ana, None)), "no-such");
    main.submit(Request::CreateDomain(NewDomain { name: "gone.test".into(), ..NewDomain::default() })).unwrap();
    assert_eq!(code(restore(&mut main, ana, None)), "no-such", "it is another domain of that name");
    restore(&mut main, ana, Some("ana@gone.test")).unwrap();
    assert_well(&main);
}

#[test]
fn rights_do_not_come_back() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let ana = main.user("ana@demo.test", &[]);
    main.submit(Request::SetUser {
        id: ana,
        expect: None,
        patch: UserPatch { admin: Some(true), ..UserPatch::default() },
    })
    .unwrap();
    let grant = Grant { account: ana, role: "help-desk".into(), scope: Scope::System, unit: String::new() };
    main.submit(Request::SetGrant { grant, granted: true }).unwrap();
    bin(&mut main, ana, RowKind::User).unwrap();
    restore(&mut main, ana, None).unwrap();
    let reader = main.core.reader();
    assert!(!reader.user(ana).unwrap().unwrap().value.admin);
    assert!(reader.grants(ana).unwrap().is_empty());
    assert_well(&main);
}

#[test]
fn a_group_of_many_comes_back_with_those_who_are_still_there() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let users: Vec<AccountId> = (0..30).map(|n| main.user(&format!("u{n}@demo.test"), &[])).collect();
    let members: Vec<Member> = users.iter().copied().map(Member::Local).collect();
    let inner = main.group("inner@demo.test", &members);
    let outer = main.group("outer@demo.test", &[Member::Local(inner)]);
    bin(&mut main, inner, RowKind::Group).unwrap();
    assert_eq!(main.core.reader().members(outer, None, 10).unwrap(), []);
    main.submit(Request::DeleteEntry { id: users[3], kind: RowKind::User, expect: None }).unwrap();
    assert_well(&main);
    restore(&mut main, inner, None).unwrap();
    assert_eq!(main.core.reader().member_count(inner).unwrap(), 29);
    assert_eq!(main.core.reader().members(outer, None, 10).unwrap(), [Member::Local(inner)]);
    assert_well(&main);
    let mut copy = Core::open(&main.folder.path().join("copy.db"), Mode::Copy).unwrap();
    let page = main.core.reader().changes_since(&copy.reader().head().unwrap().position, 1000).unwrap();
    copy.apply(&page).unwrap();
    assert_eq!(copy.reader().check().unwrap(), [""; 0]);
}

#[test]
fn what_is_purged_leaves_its_stores_to_be_deleted() {
    let mut main = move_steps::main_with_accounts();
    let (ana, ben) = (crate::move_calls::ANA, crate::move_calls::BEN);
    bin(&mut main, ana, RowKind::User).unwrap();
    // It is moved like any other meanwhile.
    crate::move_calls::move_to(&mut main, ana, BETA);
    assert_well(&main);
    main.submit(Request::PurgeEntry { id: ana }).unwrap();
    let stores = main.core.reader().pending_stores(None, 100).unwrap();
    let stores: Vec<_> = stores.into_iter().map(|store| (store.account, store.server, store.epoch)).collect();
    assert_eq!(stores, [(ana, ALPHA, Some(Epoch(2))), (ana, BETA, Some(Epoch(2)))]);
    assert!(main.core.reader().deleted(ana).unwrap().is_none());
    assert_eq!(code(main.submit(Request::PurgeEntry { id: ben })), "no-such", "he is not in the bin");
    assert_well(&main);
}
