//! Mail that goes further than its address says: forwards, and addresses that don't exist here.

use sterna_base::AccountId;
use sterna_directory::request::{SharedPatch, UserPatch};
use sterna_directory::routing::{FORWARDS_DEPTH_MAX, RoutingError, resolve};
use sterna_directory::settings::{CATCH_ALL, UNKNOWN_RECIPIENTS};
use sterna_directory::{Member, Request, Scope};

use crate::common::Main;

fn forward(main: &mut Main, id: AccountId, to: &[&str], only: bool) -> Result<(), &'static str> {
    let forward_to = Some(to.iter().map(|to| (*to).to_owned()).collect());
    let patch = UserPatch { forward_to, forward_only: Some(only), ..UserPatch::default() };
    main.submit(Request::SetUser { id, expect: None, patch }).map(drop).map_err(|error| error.code())
}

fn found(main: &Main, address: &str) -> (Vec<AccountId>, Vec<String>) {
    let found = resolve(&main.core.reader(), address).unwrap();
    (found.accounts, found.external)
}

fn set(main: &mut Main, scope: Scope, name: &str, value: &str) {
    let (name, value) = (name.to_owned(), Some(value.to_owned()));
    main.submit(Request::PutSetting { expect: None, scope, name, value, by: "root".into() }).unwrap();
}

#[test]
fn mail_is_sent_on_with_and_without_a_copy() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let (ana, ben) = (main.user("ana@demo.test", &[]), main.user("ben@demo.test", &[]));
    let info = main.shared("info@demo.test");
    forward(&mut main, ana, &["Ana@Home.Example", "ben@demo.test"], false).unwrap();
    assert_eq!(found(&main, "ana@demo.test"), (vec![ana, ben], vec!["Ana@home.example".to_owned()]));
    forward(&mut main, ana, &["ana@home.example"], true).unwrap();
    assert_eq!(found(&main, "ana+x@demo.test"), (vec![], vec!["ana@home.example".to_owned()]));
    let patch = SharedPatch { forward_to: Some(vec!["ana@demo.test".into()]), ..SharedPatch::default() };
    main.submit(Request::SetShared { id: info, expect: None, patch }).unwrap();
    let (accounts, external) = found(&main, "info@demo.test");
    assert_eq!((accounts, external), (vec![info], vec!["ana@home.example".to_owned()]), "through two of them");
    main.group("team@demo.test", &[Member::Local(ana), Member::Local(ben)]);
    assert_eq!(found(&main, "team@demo.test"), (vec![ben], vec!["ana@home.example".to_owned()]));
    forward(&mut main, ana, &[], true).unwrap();
    assert_eq!(found(&main, "ana@demo.test"), (vec![ana], vec![]), "with nobody to send on to, it stays");
    assert_eq!(forward(&mut main, ana, &["nonsense"], false), Err("invalid"));
    assert_eq!(forward(&mut main, ana, &["x@a.test"; 33], false), Err("limit"));
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn what_is_sent_on_to_nobody_stays() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let (ana, ben) = (main.user("ana@demo.test", &[]), main.user("ben@demo.test", &[]));
    forward(&mut main, ana, &["ben@demo.test"], true).unwrap();
    forward(&mut main, ben, &["ana@demo.test"], true).unwrap();
    assert_eq!(found(&main, "ana@demo.test").0, [ben], "around in a circle somebody keeps it");
    assert_eq!(found(&main, "ben@demo.test").0, [ana]);
    forward(&mut main, ana, &["gone@demo.test"], true).unwrap();
    assert_eq!(found(&main, "ana@demo.test").0, [ana], "to somebody who left");
    main.group("team@demo.test", &[Member::Local(ana)]);
    assert_eq!(found(&main, "team@demo.test").0, [ana], "as a member of a group, too");
    let patch = UserPatch { suspended: Some(true), forward_to: Some(vec![]), ..UserPatch::default() };
    main.submit(Request::SetUser { id: ben, expect: None, patch }).unwrap();
    forward(&mut main, ana, &["ben@demo.test"], true).unwrap();
    assert_eq!(found(&main, "ana@demo.test").0, [ana], "to somebody who is suspended");
}

#[test]
fn a_long_row_of_forwards_ends_with_somebody() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let users: Vec<_> = (0..FORWARDS_DEPTH_MAX + 5).map(|n| main.user(&format!("u{n}@demo.test"), &[])).collect();
    for (number, &user) in users.iter().enumerate() {
        forward(&mut main, user, &[&*format!("u{}@demo.test", number + 1)], true).unwrap();
    }
    assert_eq!(found(&main, "u0@demo.test").0, [users[FORWARDS_DEPTH_MAX]]);
}

#[test]
fn unknown_addresses_lead_to_the_catch_all_or_to_the_other_half() {
    let mut main = Main::new();
    let domain = Scope::Domain(main.domain("demo.test", &["demo.example"]));
    main.domain("other.test", &[]);
    let (ana, ben) = (main.user("ana@demo.test", &[]), main.user("ben@other.test", &[]));
    set(&mut main, domain, UNKNOWN_RECIPIENTS, "old.demo.test:26");
    assert_eq!(found(&main, "eve@demo.example"), (vec![], vec!["eve@demo.example".to_owned()]));
    assert_eq!(found(&main, "ana+x@demo.test").0, [ana]);
    let nobody = resolve(&main.core.reader(), "eve@other.test");
    assert!(matches!(nobody, Err(RoutingError::NoSuchAddress)), "{nobody:?}");
    let split = main.core.reader().domains_with(UNKNOWN_RECIPIENTS).unwrap();
    let split: Vec<_> = split.iter().map(|(domain, hop)| (&*domain.name, &**hop)).collect();
    assert_eq!(split, [("demo.test", "old.demo.test:26")]);
    set(&mut main, domain, CATCH_ALL, "ben@other.test");
    assert_eq!(found(&main, "eve@demo.test").0, [ben]);
    set(&mut main, domain, CATCH_ALL, "all@elsewhere.example");
    assert_eq!(found(&main, "eve@demo.test"), (vec![], vec!["all@elsewhere.example".to_owned()]));
    set(&mut main, Scope::System, UNKNOWN_RECIPIENTS, "old.test");
    assert_eq!(main.core.reader().domains_with(UNKNOWN_RECIPIENTS).unwrap().len(), 2);
}
