//! Settings are looked back on, and their changes undone.

use sterna_directory::settings::{KNOWN, POSTMASTER, RELAY_HOST, RELAY_PASSWORD, RELAY_USER, SECRET, SRS_KEYS};
use sterna_directory::{Request, RequestError, Scope};

use crate::common::Main;

fn set(main: &mut Main, scope: Scope, name: &str, value: Option<&str>, by: &str) {
    let (name, value, by) = (name.to_owned(), value.map(str::to_owned), by.to_owned());
    main.submit(Request::PutSetting { expect: None, scope, name, value, by }).unwrap();
}

fn revert(main: &mut Main, change: u64) -> Result<(), &'static str> {
    let undone = main.submit(Request::RevertSetting { change, by: "ben".into() });
    undone.map(drop).map_err(|error| {
        assert!(!error.remedy().is_empty());
        error.code()
    })
}

fn value(main: &Main, scope: Scope, name: &str) -> Option<String> {
    main.core.reader().setting(scope, name).unwrap().map(|found| found.value.value)
}

#[test]
fn every_change_says_who_when_from_and_to() {
    let mut main = Main::new();
    let domain = Scope::Domain(main.domain("demo.test", &[]));
    set(&mut main, Scope::System, RELAY_HOST, Some("one.test"), "ana");
    set(&mut main, Scope::System, RELAY_HOST, Some("one.test"), "ana");
    set(&mut main, Scope::System, RELAY_HOST, Some("two.test"), "ben");
    set(&mut main, domain, POSTMASTER, Some("ana@demo.test"), "ana");
    set(&mut main, domain, POSTMASTER, None, "ana");
    let changes = main.core.reader().setting_changes().unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.number, &*change.by, change.scope, change.before.as_deref(), change.after.as_deref()))
        .collect();
    let expected = [
        (1, "ana", Scope::System, None, Some("one.test")),
        (2, "ben", Scope::System, Some("one.test"), Some("two.test")),
        (3, "ana", domain, None, Some("ana@demo.test")),
        (4, "ana", domain, Some("ana@demo.test"), None),
    ];
    assert_eq!(told, expected, "what changes nothing is no change");
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn a_change_is_undone_unless_another_followed() {
    let mut main = Main::new();
    set(&mut main, Scope::System, RELAY_HOST, Some("one.test"), "ana");
    set(&mut main, Scope::System, RELAY_HOST, Some("two.test"), "ana");
    set(&mut main, Scope::System, RELAY_USER, Some("us"), "ana");
    assert_eq!(revert(&mut main, 1), Err("changed-again"));
    assert_eq!(revert(&mut main, 99), Err("no-such"));
    revert(&mut main, 2).unwrap();
    assert_eq!(value(&main, Scope::System, RELAY_HOST).as_deref(), Some("one.test"));
    assert_eq!(value(&main, Scope::System, RELAY_USER).as_deref(), Some("us"), "others stay");
    let undoing = main.core.reader().setting_changes().unwrap().pop().unwrap();
    assert_eq!((undoing.number, undoing.reverts, &*undoing.by), (4, Some(2), "ben"));
    revert(&mut main, 4).unwrap();
    assert_eq!(value(&main, Scope::System, RELAY_HOST).as_deref(), Some("two.test"), "undoing can be undone");
}

#[test]
fn secrets_are_not_looked_back_on() {
    let mut main = Main::new();
    set(&mut main, Scope::System, RELAY_PASSWORD, Some("first"), "ana");
    set(&mut main, Scope::System, RELAY_PASSWORD, Some("second"), "ana");
    let changes = main.core.reader().setting_changes().unwrap();
    assert_eq!((changes[0].before.as_deref(), changes[0].after.as_deref()), (None, Some(SECRET)));
    let again = main.submit(Request::RevertSetting { change: 2, by: String::new() });
    assert!(matches!(again, Err(RequestError::SecretNotKept { .. })), "{again:?}");
    assert_eq!(value(&main, Scope::System, RELAY_PASSWORD).as_deref(), Some("second"));
    set(&mut main, Scope::System, SRS_KEYS, Some("made"), "the main node");
    let gone = main.submit(Request::RevertSetting { change: 3, by: String::new() });
    assert!(matches!(gone, Err(RequestError::SecretNotKept { .. })), "{gone:?}");
    assert_eq!(value(&main, Scope::System, SRS_KEYS).as_deref(), Some("made"));
    assert!(KNOWN.iter().any(|(name, _)| *name == SRS_KEYS), "administrators change it");
}

#[test]
fn the_oldest_changes_make_room() {
    let mut main = Main::new();
    for number in 0..1030 {
        set(&mut main, Scope::System, RELAY_HOST, Some(&format!("host{number}.test")), "ana");
    }
    let changes = main.core.reader().setting_changes().unwrap();
    assert_eq!((changes.len(), changes[0].number), (1024, 7));
    assert_eq!(revert(&mut main, 6), Err("no-such"));
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}
