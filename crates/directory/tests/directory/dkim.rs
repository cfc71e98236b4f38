//! Keys that domains sign with: what they are used for, and when they go.

use sterna_base::DomainId;
use sterna_directory::{DKIM_KEYS_MAX, DkimState, NewDkimKey, Request};

use crate::common::Main;

const RSA: &str = "rsa-2048";

fn create(main: &mut Main, domain: DomainId, selector: &str, algorithm: &str) -> Result<(), &'static str> {
    let [selector, algorithm, public, sealed] = [selector, algorithm, "AAAA", "sealed"].map(str::to_owned);
    let new = NewDkimKey { domain, selector, algorithm, public, sealed };
    main.submit(Request::CreateDkimKey(new)).map(drop).map_err(|error| error.code())
}

fn set(main: &mut Main, domain: DomainId, selector: &str, state: DkimState) {
    main.submit(Request::SetDkimKey { domain, selector: selector.to_owned(), state }).unwrap();
}

fn delete(main: &mut Main, domain: DomainId, selector: &str) -> Result<(), &'static str> {
    let request = Request::DeleteDkimKey { domain, selector: selector.to_owned() };
    main.submit(request).map(drop).map_err(|error| error.code())
}

fn states(main: &Main, domain: DomainId) -> Vec<(String, DkimState)> {
    let keys = main.core.reader().dkim_keys(domain).unwrap();
    keys.into_iter().map(|found| (found.value.selector, found.value.state)).collect()
}

#[test]
fn a_new_key_takes_over_from_the_one_of_its_kind() {
    let mut main = Main::new();
    let (domain, other) = (main.domain("demo.test", &[]), main.domain("other.test", &[]));
    for (domain, selector, algorithm) in
        [(domain, "a", RSA), (domain, "b", "ed25519"), (domain, "c", RSA), (other, "a", RSA)]
    {
        create(&mut main, domain, selector, algorithm).unwrap();
    }
    for selector in ["a", "b"] {
        set(&mut main, domain, selector, DkimState::Active);
    }
    set(&mut main, other, "a", DkimState::Active);
    set(&mut main, domain, "c", DkimState::Active);
    use DkimState::{Active, Retired};
    let expected = [("a", Retired), ("b", Active), ("c", Active)].map(|(name, state)| (name.to_owned(), state));
    assert_eq!(states(&main, domain), expected);
    assert_eq!(states(&main, other), [("a".to_owned(), Active)], "other domains have keys of their own");
    assert!(delete(&mut main, domain, "c").is_err(), "it is in use");
    assert_eq!(delete(&mut main, domain, "a"), Ok(()));
    assert_eq!(states(&main, domain), expected[1..]);
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn keys_have_names_of_their_own_and_go_with_their_domain() {
    let mut main = Main::new();
    let domain = main.domain("demo.test", &[]);
    for wrong in ["", "A", "a.b", "a b", "-a", &"a".repeat(64)] {
        assert!(create(&mut main, domain, wrong, RSA).is_err(), "{wrong}");
    }
    create(&mut main, domain, "s", RSA).unwrap();
    assert!(create(&mut main, domain, "s", RSA).is_err(), "the name is taken");
    for number in 1..DKIM_KEYS_MAX {
        create(&mut main, domain, &format!("s{number}"), RSA).unwrap();
    }
    assert!(create(&mut main, domain, "more", RSA).is_err(), "there is a limit");
    assert!(delete(&mut main, domain, "none").is_err());
    main.submit(Request::DeleteDomain { id: domain, expect: None }).unwrap();
    assert_eq!(main.core.reader().all_dkim_keys().unwrap(), []);
    assert!(create(&mut main, domain, "s", RSA).is_err(), "there is no such domain");
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}
