//! External contacts: in the book of their domain, members of its groups, and nobody who logs in.

use sterna_account::{Account, ItemParts};
use sterna_base::{AccountId, DomainId};
use sterna_directory::request::GroupPatch;
use sterna_directory::routing::resolve;
use sterna_directory::{ContactPatch, Created, Directory, DomainBook, Member, Mode, Request, RequestError};

use crate::common::{INSTALLATION, Main};

fn named(address: &str, name: &str) -> ContactPatch {
    ContactPatch { address: Some(address.into()), display_name: Some(name.into()), ..ContactPatch::default() }
}

fn create(main: &mut Main, domain: DomainId, new: ContactPatch) -> Result<AccountId, RequestError> {
    match main.submit(Request::CreateContact { domain, new })?.created {
        Some(Created::Account(id)) => Ok(id),
        other => panic!("{other:?}"),
    }
}

fn external(address: &str) -> Member {
    Member::External(address.to_owned())
}

fn well(main: &Main) {
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn a_group_that_takes_nobody_outside_takes_contacts_of_its_domain() {
    let mut main = Main::new();
    let (demo, other) = (main.domain("demo.test", &[]), main.domain("other.test", &[]));
    let eve = create(&mut main, demo, named("Eve@Far.example", "Eve Far")).unwrap();
    create(&mut main, other, named("max@far.example", "Max")).unwrap();
    let team = main.group("team@demo.test", &[external("eve@far.example")]);
    assert_eq!(resolve(&main.core.reader(), "team@demo.test").unwrap().external, ["Eve@far.example"], "as it is kept");
    for stranger in ["zoe@far.example", "max@far.example"] {
        let said = main.add(team, external(stranger)).unwrap_err();
        assert_eq!(said.code(), "invalid", "{stranger}: {said}");
    }
    let patch = ContactPatch { address: Some("eve@near.example".into()), ..ContactPatch::default() };
    main.submit(Request::SetContact { id: eve, expect: None, patch }).unwrap();
    assert_eq!(resolve(&main.core.reader(), "team@demo.test").unwrap().external, ["eve@near.example"], "it follows");
    let contact = main.core.reader().contact(eve).unwrap().unwrap().value;
    assert_eq!(main.core.reader().groups_with(&contact, 10).unwrap(), [team]);
    well(&main);
    main.submit(Request::DeleteContact { id: eve, expect: None }).unwrap();
    assert!(main.core.reader().members(team, None, 10).unwrap().is_empty());
    well(&main);
}

#[test]
fn a_member_by_other_letters_becomes_the_contact() {
    let mut main = Main::new();
    let demo = main.domain("demo.test", &[]);
    let team = main.group("team@demo.test", &[]);
    let patch = GroupPatch { external_members: Some(true), ..GroupPatch::default() };
    main.submit(Request::SetGroup { id: team, expect: None, patch }).unwrap();
    main.add(team, external("Tax@far.example")).unwrap();
    let tax = create(&mut main, demo, named("tax@far.example", "")).unwrap();
    main.add(team, external("TAX@far.example")).unwrap();
    assert_eq!(main.core.reader().members(team, None, 10).unwrap(), [external("tax@far.example")]);
    let contact = main.core.reader().contact(tax).unwrap().unwrap().value;
    assert_eq!(main.core.reader().groups_with(&contact, 10).unwrap(), [team]);
    let remove = Request::SetMembers { id: team, add: vec![], remove: vec![external("Tax@far.example")] };
    main.submit(remove).unwrap();
    assert!(main.core.reader().members(team, None, 10).unwrap().is_empty());
    well(&main);
}

#[test]
fn strangers_keep_a_group_open() {
    let mut main = Main::new();
    let demo = main.domain("demo.test", &[]);
    create(&mut main, demo, named("eve@far.example", "")).unwrap();
    let team = main.group("team@demo.test", &[external("eve@far.example")]);
    let mut opens = |open: bool| {
        let patch = GroupPatch { external_members: Some(open), ..GroupPatch::default() };
        main.submit(Request::SetGroup { id: team, expect: None, patch }).map(drop).map_err(|error| error.to_string())
    };
    opens(true).unwrap();
    opens(false).unwrap();
    opens(true).unwrap();
    main.add(team, external("zoe@far.example")).unwrap();
    let patch = GroupPatch { external_members: Some(false), ..GroupPatch::default() };
    let said = main.submit(Request::SetGroup { id: team, expect: None, patch }).unwrap_err();
    assert!(said.code() == "in-use" && said.to_string().contains("zoe@far.example"), "{said}");
}

#[test]
fn an_address_is_outside_and_once_in_a_domain() {
    let mut main = Main::new();
    let (demo, other) = (main.domain("demo.test", &["demo.example"]), main.domain("other.test", &[]));
    let eve = create(&mut main, demo, named("eve@far.example", "Eve")).unwrap();
    let refused = |main: &mut Main, domain, address: &str| create(main, domain, named(address, "")).unwrap_err().code();
    assert_eq!(refused(&mut main, demo, "EVE@far.example"), "taken");
    assert_eq!(refused(&mut main, demo, "ana@demo.example"), "invalid", "it is ours");
    assert_eq!(refused(&mut main, demo, "ana@other.test"), "invalid", "so is this");
    assert_eq!(refused(&mut main, demo, "nobody"), "invalid");
    assert_eq!(create(&mut main, demo, ContactPatch::default()).unwrap_err().code(), "invalid");
    assert_eq!(refused(&mut main, DomainId(99), "x@far.example"), "no-such");
    create(&mut main, other, named("eve@far.example", "Eve, known to both")).unwrap();
    assert_eq!(main.core.reader().contacts_at("Eve@far.example").unwrap().len(), 2);
    let seen = main.core.reader().contact(eve).unwrap().unwrap().modseq;
    let patch = ContactPatch { note: Some("from the fair".into()), ..ContactPatch::default() };
    main.submit(Request::SetContact { id: eve, expect: Some(seen), patch: patch.clone() }).unwrap();
    let late = main.submit(Request::SetContact { id: eve, expect: Some(seen), patch }).unwrap_err();
    assert_eq!(late.code(), "changed");
    well(&main);
    main.submit(Request::DeleteDomain { id: other, expect: None }).unwrap();
    assert_eq!(main.core.reader().contacts_at("eve@far.example").unwrap().len(), 1);
    well(&main);
}

#[test]
fn a_domain_that_comes_here_brings_its_people_into_groups() {
    let mut main = Main::new();
    let demo = main.domain("demo.test", &[]);
    create(&mut main, demo, named("eve@far.example", "Eve")).unwrap();
    main.group("team@demo.test", &[external("eve@far.example")]);
    assert_eq!(main.core.reader().contacts_within(&["far.example"], 10).unwrap(), 1);
    main.domain("far.example", &[]);
    let found = resolve(&main.core.reader(), "team@demo.test").unwrap();
    assert_eq!(found.external, ["eve@far.example"], "nobody has the address here yet, and it isn't dropped");
    let eve = main.user("eve@far.example", &[]);
    let found = resolve(&main.core.reader(), "team@demo.test").unwrap();
    assert_eq!((found.accounts, found.external.len()), (vec![eve], 0));
}

#[test]
fn pages_of_contacts_go_by_domain_and_address() {
    let mut main = Main::new();
    let (demo, other) = (main.domain("demo.test", &[]), main.domain("other.test", &[]));
    for (domain, address) in
        [(other, "b@x.example"), (demo, "C@x.example"), (demo, "a@x.example"), (other, "a@y.test2")]
    {
        create(&mut main, domain, named(address, "")).unwrap();
    }
    let reader = main.core.reader();
    let (mut seen, mut after): (Vec<String>, Option<(DomainId, String)>) = (Vec::new(), None);
    loop {
        let place = after.as_ref().map(|(domain, address)| (*domain, address.as_str()));
        let page = reader.contacts(None, place, 3).unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.value.domain, last.value.address.clone()));
        seen.extend(page.into_iter().map(|found| found.value.address));
    }
    assert_eq!(seen, ["a@x.example", "C@x.example", "a@y.test2", "b@x.example"]);
    let rest = reader.contacts(Some(demo), Some((demo, "a@x.example")), 10).unwrap();
    assert_eq!(rest.len(), 1);
}

#[tokio::test]
async fn the_book_has_them_and_an_index_that_an_older_version_left_behind_is_made_again() {
    let mut main = Main::new();
    let (demo, other) = (main.domain("demo.test", &[]), main.domain("other.test", &[]));
    main.user("ana@demo.test", &[]);
    let phone = Some("+49 30 1234".to_owned());
    let eve = create(&mut main, demo, ContactPatch { phone, ..named("eve@far.example", "Eve Far") }).unwrap();
    main.group("team@demo.test", &[]);
    // As if a version without contacts had followed.
    let file = main.folder.path().join("directory.db");
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.execute_batch("DROP TABLE dir_contact").unwrap();
    drop(conn);
    main.reopen();
    assert_eq!(main.core.reader().contact_at(demo, "eve@far.example").unwrap().unwrap().value.id, eve);

    let Main { core, clock, folder } = main;
    drop(core);
    let directory = Directory::open(&file, Mode::Main(INSTALLATION), std::sync::Arc::new(clock)).unwrap();
    let book = DomainBook::new(directory.clone(), demo);
    let container = book.containers().await.unwrap().remove(0).id;
    let all = book.item_flags(container, sterna_base::Uid(0), 100).await.unwrap();
    assert_eq!(all.len(), 3, "hers, the contact's, and the group's, by number: {all:?}");
    assert!(all.is_sorted_by_key(|item| item.uid));
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let card = book.item_named(container, &format!("{eve}.vcf"), parts).await.unwrap().unwrap();
    let text = String::from_utf8(card.body.unwrap().to_vec()).unwrap();
    for part in ["FN:Eve Far", "eve@far.example", "TEL:+49 30 1234"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let others = DomainBook::new(directory.clone(), other);
    assert!(others.item_named(container, &format!("{eve}.vcf"), parts).await.unwrap().is_none());
    let before = book.head().await.unwrap().modseq;
    directory.submit(Request::DeleteContact { id: eve, expect: None }).await.unwrap();
    let told = book.changes(sterna_account::Cursor::since(before), 10).await.unwrap();
    assert!(matches!(&told.rows[..], [sterna_account::Change::Expunged(_)]), "{:?}", told.rows);
    drop(folder);
}
