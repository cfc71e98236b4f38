//! Shares: who finds whose mailboxes.

use sterna_account::Identifier;
use sterna_base::AccountId;
use sterna_directory::{Core, Done, Member, Mode, Request, RequestError, RowKind, Share};

use crate::common::*;

fn share(main: &mut Main, owner: AccountId, grantee: Identifier, shares: bool) -> Result<Done, RequestError> {
    main.submit(Request::SetShare { share: Share { owner, grantee }, shares })
}

fn seen(main: &Main, account: AccountId) -> Vec<(String, bool)> {
    let sharing = main.core.reader().sharing(account).unwrap();
    sharing.owners.into_iter().map(|owner| (owner.address, owner.shared_mailbox)).collect()
}

#[test]
fn one_sees_who_shares_with_oneself_ones_groups_and_everybody() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let [ana, bob, eva] = ["ana", "bob", "eva"].map(|name| main.user(&format!("{name}@demo.test"), &[]));
    let info = main.shared("info@demo.test");
    let inner = main.group("inner@demo.test", &[Member::Local(bob)]);
    let outer = main.group("outer@demo.test", &[Member::Local(inner)]);
    main.add(inner, Member::Local(outer)).unwrap();
    share(&mut main, ana, Identifier::Entry(bob), true).unwrap();
    share(&mut main, info, Identifier::Entry(outer), true).unwrap();
    share(&mut main, eva, Identifier::Anyone, true).unwrap();
    let [a, e, i] = [("ana@demo.test", false), ("eva@demo.test", false), ("info@demo.test", true)]
        .map(|(address, shared)| (address.to_owned(), shared));
    assert_eq!(seen(&main, bob), [a, e.clone(), i]);
    assert_eq!(seen(&main, ana), [e]);
    assert_eq!(seen(&main, eva), []);
    let groups = main.core.reader().sharing(bob).unwrap().groups;
    assert_eq!(groups, [inner, outer].into());
    main.reopen();
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn a_share_is_noted_once_and_forgotten_once() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let [ana, bob] = ["ana", "bob"].map(|name| main.user(&format!("{name}@demo.test"), &[]));
    let noted = share(&mut main, ana, Identifier::Entry(bob), true).unwrap().modseq;
    assert_eq!(share(&mut main, ana, Identifier::Entry(bob), true).unwrap().modseq, noted);
    share(&mut main, ana, Identifier::Entry(bob), false).unwrap();
    let forgotten = share(&mut main, ana, Identifier::Entry(bob), false).unwrap().modseq;
    assert_eq!(forgotten, noted.next());
    assert_eq!(seen(&main, bob), []);
    for (owner, grantee) in [(AccountId(999), Identifier::Anyone), (ana, Identifier::Entry(AccountId(999)))] {
        assert!(matches!(share(&mut main, owner, grantee, true), Err(RequestError::NoSuch { .. })));
    }
}

#[test]
fn who_is_deleted_shares_nothing_and_is_shared_nothing() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let [ana, bob, eva] = ["ana", "bob", "eva"].map(|name| main.user(&format!("{name}@demo.test"), &[]));
    share(&mut main, ana, Identifier::Entry(bob), true).unwrap();
    share(&mut main, bob, Identifier::Entry(eva), true).unwrap();
    share(&mut main, ana, Identifier::Entry(eva), true).unwrap();
    main.submit(Request::DeleteEntry { id: bob, kind: RowKind::User, expect: None }).unwrap();
    assert_eq!(main.core.reader().grantees_of(ana).unwrap(), [Identifier::Entry(eva)]);
    assert_eq!(seen(&main, eva).len(), 1);
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn a_copy_has_the_same_shares() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let [ana, bob] = ["ana", "bob"].map(|name| main.user(&format!("{name}@demo.test"), &[]));
    share(&mut main, ana, Identifier::Entry(bob), true).unwrap();
    let mut copy = Core::open(&main.folder.path().join("copy.db"), Mode::Copy).unwrap();
    let page = main.core.reader().changes_since(&copy.reader().head().unwrap().position, 1000).unwrap();
    copy.apply(&page).unwrap();
    assert_eq!(copy.reader().sharing(bob).unwrap(), main.core.reader().sharing(bob).unwrap());
    assert_eq!(copy.reader().check().unwrap(), [""; 0]);
}

#[test]
fn a_file_from_before_there_were_shares_gets_their_index() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let [ana, bob] = ["ana", "bob"].map(|name| main.user(&format!("{name}@demo.test"), &[]));
    share(&mut main, ana, Identifier::Entry(bob), true).unwrap();
    let conn = rusqlite::Connection::open(main.folder.path().join("directory.db")).unwrap();
    // As a copy of the version before has it: the row was carried, and there was no index over it.
    conn.execute_batch("DROP TABLE dir_share; DROP TABLE dir_link; UPDATE dir_head SET format = 2").unwrap();
    main.reopen();
    assert_eq!(seen(&main, bob).len(), 1);
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}
