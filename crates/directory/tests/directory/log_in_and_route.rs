//! Who gets in, and where mail goes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::common::{BETA, INSTALLATION, Main, new_user};
use sterna_account::scram::{self, ScramVerifier};
use sterna_account::service::{
    Authenticator, BearerAttempt, ExternalAttempt, Login, LoginAttempt, LoginError, Recipients, ScramAttempt,
    ScramChallenge,
};
use sterna_base::{AccountId, Secret, Timestamp};
use sterna_directory::auth::bearer::{Bearer, Introspection, OauthSettings};
use sterna_directory::auth::bind::{BindAnswer, BindCheck};
use sterna_directory::auth::sudo::{SudoRecord, SudoUse};
use sterna_directory::request::{DomainPatch, GroupPatch, NewUser, UserPatch};
use sterna_directory::rights::{Grant, NewAppPassword, Subject, Sudo, hash_of_app_password};
use sterna_directory::routing::{Recipient, RoutingError, resolve};
use sterna_directory::{
    Authentication, Directory, Link, Mapping, Member, Mode, PasswordCost, Request, Scope, Source, SourceKind, password,
    settings,
};

fn route(main: &Main, address: &str) -> Result<Vec<AccountId>, RoutingError> {
    resolve(&main.core.reader(), address).map(|found| found.accounts)
}

fn local(id: AccountId) -> Member {
    Member::Local(id)
}

#[test]
fn an_address_leads_to_its_account_in_any_spelling() {
    let mut main = Main::new();
    main.domain("demo.test", &["demo.example"]);
    let ana = main.user("Ana@demo.test", &["ana.lima@demo.test"]);
    let info = main.shared("info@demo.test");
    for address in ["ana@demo.test", "ANA@Demo.Test", "ana.lima@demo.example", "\"ana\"@demo.test"] {
        assert_eq!(route(&main, address).unwrap(), [ana], "{address}");
    }
    assert_eq!(route(&main, "info@demo.example").unwrap(), [info]);
    assert!(matches!(route(&main, "ben@demo.test"), Err(RoutingError::NoSuchAddress)));
    assert!(matches!(route(&main, "ana@other.test"), Err(RoutingError::NotLocal)));
    for nonsense in ["", "@", "ana", "ana@", "@demo.test"] {
        assert!(route(&main, nonsense).is_err(), "{nonsense}");
    }
}

#[test]
fn plus_addressing_gives_the_detail_and_an_own_address_goes_first() {
    let mut main = Main::new();
    let domain = main.domain("demo.test", &[]);
    let ana = main.user("ana@demo.test", &[]);
    let lists = main.user("ana+lists@demo.test", &[]);
    let found = resolve(&main.core.reader(), "Ana+Work+2@demo.test").unwrap();
    assert_eq!(found, Recipient { accounts: vec![ana], external: vec![], detail: Some("Work+2".into()) });
    assert_eq!(route(&main, "ana+lists@demo.test").unwrap(), [lists]);
    assert_eq!(resolve(&main.core.reader(), "ana+lists+x@demo.test").unwrap().accounts, [ana]);
    let (name, value) = (settings::PLUS_SEPARATORS.to_owned(), Some("-".to_owned()));
    main.submit(Request::PutSetting { expect: None, scope: Scope::Domain(domain), name, value, by: "root".into() })
        .unwrap();
    assert!(matches!(route(&main, "ana+work@demo.test"), Err(RoutingError::NoSuchAddress)));
    assert_eq!(route(&main, "ana-work@demo.test").unwrap(), [ana]);
}

#[test]
fn groups_are_expanded_through_cycles_of_every_length() {
    for length in 1..=12 {
        let mut main = Main::new();
        main.domain("demo.test", &[]);
        let mut groups = Vec::new();
        let mut users = Vec::new();
        for n in 0..length {
            let user = main.user(&format!("u{n}@demo.test"), &[]);
            groups.push(main.group(&format!("g{n}@demo.test"), &[local(user)]));
            users.push(user);
        }
        for n in 0..length {
            let next = groups[(n + 1) % length];
            let added = main.add(groups[n], local(next));
            assert_eq!(added.is_ok(), length > 1, "a group is never its own member, larger cycles may be");
        }
        let mut found = route(&main, "g0@demo.test").unwrap();
        found.sort_unstable();
        assert_eq!(found, users, "cycle of {length}");
    }
}

#[test]
fn a_group_gives_each_account_once_and_leaves_suspended_ones_out() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let (ana, ben) = (main.user("ana@demo.test", &[]), main.user("ben@demo.test", &[]));
    let inner = main.group("inner@demo.test", &[local(ana), local(ben)]);
    let outer = main.group("outer@demo.test", &[local(ana), local(inner)]);
    assert_eq!(route(&main, "outer@demo.test").unwrap(), [ana, ben]);
    let patch = UserPatch { suspended: Some(true), ..UserPatch::default() };
    main.submit(Request::SetUser { id: ana, expect: None, patch }).unwrap();
    assert_eq!(route(&main, "outer@demo.test").unwrap(), [ben]);
    assert!(matches!(route(&main, "ana@demo.test"), Err(RoutingError::Suspended)));
    main.submit(Request::SetMembers { id: inner, add: vec![], remove: vec![local(ben)] }).unwrap();
    let nobody = route(&main, "outer@demo.test");
    assert!(matches!(nobody, Err(RoutingError::Suspended)), "its last member may be back: {nobody:?}");
    main.submit(Request::SetMembers { id: outer, add: vec![], remove: vec![local(ana), local(inner)] }).unwrap();
    let nobody = route(&main, "outer@demo.test");
    assert!(matches!(nobody, Err(RoutingError::NoSuchAddress)), "mail that nobody gets is not taken: {nobody:?}");
}

#[test]
fn external_members_need_permission() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let group = main.group("all@demo.test", &[]);
    let outside = Member::External("Eve@Elsewhere.Example".into());
    assert_eq!(main.add(group, outside.clone()).unwrap_err().code(), "invalid");
    let allow = |allowed| Request::SetGroup {
        id: group,
        expect: None,
        patch: GroupPatch { external_members: Some(allowed), ..GroupPatch::default() },
    };
    main.submit(allow(true)).unwrap();
    main.add(group, outside).unwrap();
    assert_eq!(resolve(&main.core.reader(), "all@demo.test").unwrap().external, ["Eve@elsewhere.example"]);
    let inside = main.add(group, Member::External("x@demo.test".into())).unwrap_err();
    assert_eq!(inside.code(), "invalid", "addresses of the installation are named by their entry");
    assert_eq!(main.submit(allow(false)).unwrap_err().code(), "in-use");
}

#[test]
fn postmaster_is_always_somebody() {
    let mut main = Main::new();
    let domain = main.domain("demo.test", &["demo.example"]);
    let ana = main.user("ana@demo.test", &[]);
    assert!(matches!(route(&main, "postmaster@demo.test"), Err(RoutingError::NoPostmaster)));
    let patch = UserPatch { admin: Some(true), ..UserPatch::default() };
    main.submit(Request::SetUser { id: ana, expect: None, patch }).unwrap();
    for address in ["Postmaster@demo.test", "postmaster@demo.example", "postmaster"] {
        assert_eq!(route(&main, address).unwrap(), [ana], "{address}");
    }
    let ben = main.user("ben@demo.test", &[]);
    let (name, value) = (settings::POSTMASTER.to_owned(), Some("ben@demo.example".to_owned()));
    main.submit(Request::PutSetting {
        expect: None,
        scope: Scope::Domain(domain),
        name: name.clone(),
        value,
        by: "root".into(),
    })
    .unwrap();
    assert_eq!(route(&main, "postmaster@demo.test").unwrap(), [ben]);
    main.submit(Request::DeleteEntry { id: ben, kind: sterna_directory::RowKind::User, expect: None }).unwrap();
    assert_eq!(route(&main, "postmaster@demo.test").unwrap(), [ana], "a stale setting doesn't refuse mail");
    let own = main.shared("postmaster@demo.test");
    assert_eq!(route(&main, "postmaster@demo.test").unwrap(), [own]);
}

#[test]
fn renaming_a_domain_moves_its_addresses() {
    let mut main = Main::new();
    let id = main.domain("demo.test", &[]);
    let ana = main.user("ana@demo.test", &[]);
    let patch = DomainPatch {
        name: Some("new.test".into()),
        aliases: Some(vec!["demo.test".into()]),
        ..DomainPatch::default()
    };
    main.submit(Request::SetDomain { id, expect: None, patch }).unwrap();
    assert_eq!(route(&main, "ana@new.test").unwrap(), [ana]);
    assert_eq!(route(&main, "ana@demo.test").unwrap(), [ana]);
}

fn attempt<'a>(login: &'a str, password: &'a Secret, peer: u8) -> LoginAttempt<'a> {
    LoginAttempt { login, password, protocol: "test", peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, peer)) }
}

/// The directory of a [`Main`] behind its asynchronous face, with log-ins.
fn serve(main: Main) -> (tempfile::TempDir, Directory, Authentication) {
    let Main { folder, core, clock } = main;
    drop(core);
    let path = folder.path().join("directory.db");
    let directory = Directory::open(&path, Mode::Main(INSTALLATION), Arc::new(clock)).unwrap();
    let authentication = Authentication::new(directory.clone(), PasswordCost::TEST, 2).unwrap();
    (folder, directory, authentication)
}

#[tokio::test]
async fn a_user_logs_in_by_login_and_by_every_address() {
    let mut main = Main::new();
    main.domain("demo.test", &["demo.example"]);
    let mut new = crate::common::new_user("ana@demo.test", &["ana.lima@demo.test"]);
    new.login = Some("Ana".into());
    let ana = main.try_user(new).unwrap();
    main.shared("info@demo.test");
    let (_folder, _, authentication) = serve(main);
    let right = Secret::new("sesame");
    for login in ["ana", "ANA", "ana@demo.test", "ana.lima@demo.example", " ana "] {
        let found = authentication.authenticate(attempt(login, &right, 1)).await;
        assert_eq!(
            found,
            Ok(Login { account: ana, address: "ana@demo.test".into(), is_sudo: false, app_password: None }),
            "{login}"
        );
    }
    for login in ["", "ben", "info@demo.test", "ana+x@demo.test", &"a".repeat(1000)] {
        let found = authentication.authenticate(attempt(login, &right, 2)).await;
        assert_eq!(found, Err(LoginError::Invalid), "{login}");
    }
}

#[tokio::test]
async fn a_remembered_success_ends_with_the_password_and_with_suspension() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let id = main.user("ana@demo.test", &[]);
    let (_folder, directory, authentication) = serve(main);
    let (old, new) = (Secret::new("sesame"), Secret::new("other"));
    for _ in 0..2 {
        assert!(authentication.authenticate(attempt("ana@demo.test", &old, 1)).await.is_ok());
    }
    let hash = password::hash(&new, PasswordCost::TEST).unwrap();
    let patch = UserPatch { password_hash: Some(Some(hash)), ..UserPatch::default() };
    directory.submit(Request::SetUser { id, expect: None, patch }).await.unwrap();
    let answer = authentication.authenticate(attempt("ana@demo.test", &old, 1)).await;
    assert_eq!(answer, Err(LoginError::Invalid));
    assert!(authentication.authenticate(attempt("ana@demo.test", &new, 1)).await.is_ok());
    let patch = UserPatch { suspended: Some(true), ..UserPatch::default() };
    directory.submit(Request::SetUser { id, expect: None, patch }).await.unwrap();
    let answer = authentication.authenticate(attempt("ana@demo.test", &new, 1)).await;
    assert_eq!(answer, Err(LoginError::Invalid));
}

/// Proves to know a password; `Ok` is whether the server did, too.
async fn prove(authentication: &Authentication, login: &str, password: &str, peer: u8) -> Result<bool, LoginError> {
    let attempt = ScramAttempt { login, protocol: "test", peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, peer)) };
    let ScramChallenge { salt, iterations } = authentication.scram_challenge(&attempt).await?;
    let message = format!("{login} {password} {peer}");
    let proof = scram::client_proof(password, &salt, iterations, message.as_bytes());
    let (found, signature) = authentication.scram_verify(&attempt, message.as_bytes(), &proof).await?;
    assert_eq!(found.address, "ana@demo.test");
    let mut known = [0; 16];
    known.copy_from_slice(&salt);
    let known = ScramVerifier::new(password, known, iterations);
    Ok(known.verify(message.as_bytes(), &proof) == Some(signature))
}

#[tokio::test]
async fn a_password_is_proved_without_being_shown() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let id = main.user("ana@demo.test", &[]);
    main.user("ben@demo.test", &[]);
    let (_folder, directory, authentication) = serve(main);
    assert!(!authentication.offers_scram().await);
    let (_, scram) = authentication.hash(Secret::new("p\u{e4}ss\u{a0}word")).await.unwrap();
    assert_eq!(scram, None, "not kept unless somebody wants it");
    let (name, value) = (settings::SCRAM.to_owned(), Some("offer".to_owned()));
    let offer = Request::PutSetting { expect: None, scope: Scope::System, name, value, by: "root".into() };
    directory.submit(offer).await.unwrap();
    assert!(authentication.offers_scram().await);
    let (hash, scram) = authentication.hash(Secret::new("p\u{e4}ss\u{a0}word")).await.unwrap();
    assert!(scram.is_some());
    let patch = UserPatch { password_hash: Some(Some(hash)), scram, ..UserPatch::default() };
    directory.submit(Request::SetUser { id, expect: None, patch }).await.unwrap();
    assert_eq!(prove(&authentication, "ana@demo.test", "p\u{e4}ss word", 1).await, Ok(true));
    for (login, password) in [
        ("ana@demo.test", "sesame"),
        ("ben@demo.test", "sesame"), // has no verifier
        ("nobody@demo.test", "sesame"),
    ] {
        assert_eq!(prove(&authentication, login, password, 2).await, Err(LoginError::Invalid), "{login}");
        let attempt = ScramAttempt { login, protocol: "test", peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3)) };
        let challenges = [
            authentication.scram_challenge(&attempt).await.unwrap(),
            authentication.scram_challenge(&attempt).await.unwrap(),
        ];
        assert_eq!(challenges[0], challenges[1], "always the same");
        assert_eq!((challenges[0].salt.len(), challenges[0].iterations), (16, 4096), "{login}");
    }
    // A new password that comes as a hash from elsewhere leaves nothing of the old one.
    let hash = password::hash(&Secret::new("new"), PasswordCost::TEST).unwrap();
    let patch = UserPatch { password_hash: Some(Some(hash)), ..UserPatch::default() };
    directory.submit(Request::SetUser { id, expect: None, patch }).await.unwrap();
    let answer = prove(&authentication, "ana@demo.test", "p\u{e4}ss word", 4).await;
    assert_eq!(answer, Err(LoginError::Invalid));
    // Guessing is slowed down as it is with passwords.
    let mut waits = 0;
    for n in 0..10 {
        let answer = prove(&authentication, "ana@demo.test", &format!("guess{n}"), 5).await;
        waits += usize::from(matches!(answer, Err(LoginError::TooMany { .. })));
    }
    assert_eq!(waits, 4);
}

/// An issuer of tokens that are called by whose they are and, after a slash, by the provider's own name for them.
struct Issuer;

#[async_trait::async_trait]
impl Introspection for Issuer {
    async fn introspect(&self, settings: &OauthSettings, token: &Secret) -> Result<Option<Bearer>, String> {
        match &settings.signed {
            None => assert_eq!((&*settings.url, &*settings.user_field), ("https://id.test/", "username")),
            Some(signed) => {
                let whose = (&*signed.issuer, &*signed.audience, &*settings.user_field);
                assert_eq!(whose, ("https://id.test", "sterna", "email"));
            }
        }
        match token.expose() {
            "down" => Err("it is down".to_owned()),
            token => Ok(token.strip_prefix("of-").map(|whose| {
                let (user, subject) = whose.split_once('/').unwrap_or((whose, "?"));
                Bearer { user: (!user.is_empty()).then(|| user.to_owned()), subject: Some(subject.to_owned()) }
            })),
        }
    }
}

#[tokio::test]
async fn a_token_is_its_owners() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let ana = main.user("ana@demo.test", &["lima@demo.test"]);
    let ben = main.user("ben@demo.test", &[]);
    let (_folder, directory, authentication) = serve(main);
    let authentication = authentication.with_introspection(Arc::new(Issuer));
    assert!(!authentication.offers_bearer().await);
    let (name, value) = (settings::OAUTH_URL.to_owned(), Some("https://id.test/".to_owned()));
    directory
        .submit(Request::PutSetting { expect: None, scope: Scope::System, name, value, by: "root".into() })
        .await
        .unwrap();
    assert!(authentication.offers_bearer().await);
    let ask = async |login: Option<&str>, token: &str| {
        let (token, peer) = (Secret::new(token), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let found = authentication.bearer(BearerAttempt { login, token: &token, protocol: "test", peer }).await;
        found.map(|login| login.account)
    };
    assert_eq!(ask(None, "of-ana@demo.test").await, Ok(ana));
    assert_eq!(ask(Some("lima@demo.test"), "of-ANA@demo.test").await, Ok(ana));
    for (login, token) in [
        (Some("ben@demo.test"), "of-ana@demo.test"),
        (Some("nobody@demo.test"), "of-ana@demo.test"),
        (None, "of-nobody@demo.test"),
        (None, "expired"),
    ] {
        assert_eq!(ask(login, token).await, Err(LoginError::Invalid), "{login:?} {token}");
    }
    assert_eq!(ask(None, "down").await, Err(LoginError::Unavailable("it is down".to_owned())));
    // Where signatures are believed nobody is asked, and an address that passes from one to another says nobody.
    let set = async |name: &str, value: &str| {
        let (name, value) = (name.to_owned(), Some(value.to_owned()));
        directory
            .submit(Request::PutSetting { expect: None, scope: Scope::System, name, value, by: "root".into() })
            .await
    };
    assert!(set(settings::OAUTH_TOKENS, "both").await.is_err());
    set(settings::OAUTH_TOKENS, "verify").await.unwrap();
    assert!(!authentication.offers_bearer().await, "nobody's");
    set(settings::OPENID_ISSUER, "https://id.test").await.unwrap();
    set(settings::OPENID_CLIENT_ID, "sterna").await.unwrap();
    assert!(authentication.offers_bearer().await);
    assert_eq!(ask(None, "of-ana@demo.test").await, Ok(ana));
    assert_eq!(ask(None, "of-lima@demo.test").await, Err(LoginError::Invalid));
    // Who signed in once is known by the provider's own name, whatever addresses pass from one to another there.
    let since = directory.now();
    let subject = Subject { issuer: "https://id.test".into(), subject: "7".into(), account: ana, since };
    directory.submit(Request::BindSubject(subject.clone())).await.unwrap();
    for token in ["of-ana@demo.test/7", "of-/7", "of-ben@demo.test/7"] {
        assert_eq!(ask(None, token).await, Ok(ana), "{token}");
    }
    assert_eq!(ask(None, "of-ana@demo.test/8").await, Err(LoginError::Invalid), "somebody else has her address there");
    assert_eq!(ask(None, "of-/8").await, Err(LoginError::Invalid));
    for (number, who) in [("7", ben), ("8", ana)] {
        let other = Subject { subject: number.into(), account: who, ..subject.clone() };
        assert_eq!(directory.submit(Request::BindSubject(other)).await.unwrap_err().code(), "in-use", "{number}");
    }
    directory.submit(Request::ForgetSubjects { account: ana }).await.unwrap();
    assert_eq!(ask(None, "of-ana@demo.test/8").await, Ok(ana));
    let elsewhere = Subject { issuer: "https://former.test".into(), ..subject.clone() };
    directory.submit(Request::BindSubject(elsewhere)).await.unwrap();
    assert_eq!(ask(None, "of-ana@demo.test/8").await, Ok(ana), "bound at another provider");
    let patch = UserPatch { suspended: Some(true), ..UserPatch::default() };
    directory.submit(Request::SetUser { id: ana, expect: None, patch }).await.unwrap();
    assert_eq!(ask(Some("ana@demo.test"), "of-ana@demo.test").await, Err(LoginError::Invalid));
}

#[tokio::test]
async fn a_certificate_is_its_owners() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let ana = main.user("ana@demo.test", &["lima@demo.test"]);
    let ben = main.user("ben@demo.test", &[]);
    let (_folder, directory, authentication) = serve(main);
    let ask = async |authorize: Option<&str>, addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let attempt = ExternalAttempt { addresses: &addresses, authorize, protocol: "test", peer };
        authentication.external(attempt).await.map(|login| login.account)
    };
    assert_eq!(ask(None, &["Ana@demo.test"]).await, Ok(ana));
    assert_eq!(ask(None, &["ana@elsewhere.test", "lima@demo.test"]).await, Ok(ana));
    assert_eq!(ask(Some("lima@demo.test"), &["ana@demo.test"]).await, Ok(ana));
    assert_eq!(ask(Some("ben@demo.test"), &["ana@demo.test", "ben@demo.test"]).await, Ok(ben));
    for (authorize, addresses) in [
        (Some("ben@demo.test"), &["ana@demo.test"][..]),
        (Some("nobody@demo.test"), &["ana@demo.test"]),
        (None, &["nobody@demo.test"]),
        (None, &[]),
        (Some(""), &[""]),
    ] {
        assert_eq!(ask(authorize, addresses).await, Err(LoginError::Invalid), "{authorize:?} {addresses:?}");
    }
    let patch = UserPatch { suspended: Some(true), ..UserPatch::default() };
    directory.submit(Request::SetUser { id: ana, expect: None, patch }).await.unwrap();
    assert_eq!(ask(None, &["ana@demo.test"]).await, Err(LoginError::Invalid));
}

#[tokio::test]
async fn guessing_is_slowed_down_where_it_comes_from() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    main.user("ana@demo.test", &[]);
    let (_folder, _, authentication) = serve(main);
    let mut waits = 0;
    for n in 0..10 {
        let guess = Secret::new(format!("guess{n}"));
        let answer = authentication.authenticate(attempt("ana@demo.test", &guess, 1)).await;
        waits += usize::from(matches!(answer, Err(LoginError::TooMany { .. })));
    }
    assert_eq!(waits, 4, "six are looked at: five are free, the sixth starts the waiting");
    let right = Secret::new("sesame");
    assert!(authentication.authenticate(attempt("ana@demo.test", &right, 2)).await.is_ok(), "not locked out");
    // A telephone that repeats one old password never makes anybody wait.
    let stale = Secret::new("stale");
    for _ in 0..50 {
        let answer = authentication.authenticate(attempt("ana@demo.test", &stale, 3)).await;
        assert_eq!(answer, Err(LoginError::Invalid));
    }
    assert!(authentication.authenticate(attempt("ana@demo.test", &right, 3)).await.is_ok());
}

#[tokio::test]
async fn a_user_sends_as_the_own_addresses_only() {
    let mut main = Main::new();
    main.domain("demo.test", &["demo.example"]);
    let ana = main.user("ana@demo.test", &["a@demo.test"]);
    main.user("ben@demo.test", &[]);
    main.group("team@demo.test", &[local(ana)]);
    let (_folder, directory, _) = serve(main);
    let login = Login { account: ana, address: "ana@demo.test".into(), is_sudo: false, app_password: None };
    for own in ["ana@demo.test", "A@demo.example", "ana+news@demo.test"] {
        assert_eq!(directory.may_send_as(&login, own).await, Ok(true), "{own}");
    }
    for other in ["ben@demo.test", "team@demo.test", "x@demo.test", "ana@elsewhere.test", "postmaster@demo.test"] {
        assert_eq!(directory.may_send_as(&login, other).await, Ok(false), "{other}");
    }
    let patch = GroupPatch { internal_senders_only: Some(true), ..GroupPatch::default() };
    let id = directory.read(|reader| reader.entry_at("team@demo.test")).await.unwrap().unwrap().value.entry().id;
    directory.submit(Request::SetGroup { id, expect: None, patch }).await.unwrap();
    assert_eq!(directory.may_write_to(None, "Team@demo.example").await, Ok(false), "strangers stay outside");
    assert_eq!(directory.may_write_to(Some(&login), "team@demo.test").await, Ok(true));
    assert_eq!(directory.may_write_to(None, "ana@demo.test").await, Ok(true));
    let route = directory.route("team@demo.test").await.unwrap();
    assert_eq!(route.targets.iter().map(|target| target.account).collect::<Vec<_>>(), [ana]);
    assert_eq!(directory.placement(ana).await.unwrap().map(|p| p.server != BETA), Some(true));
}

/// A source that says what the test wants.
struct Elsewhere(parking_lot::Mutex<BindAnswer>);

#[async_trait::async_trait]
impl BindCheck for Elsewhere {
    async fn check(&self, _: &Source, _: &str, _: &Secret) -> BindAnswer {
        self.0.lock().clone()
    }
}

/// Somebody who comes from the source “ldap” and has no password here.
fn from_elsewhere(main: &mut Main) -> AccountId {
    let domain = main.domain("demo.test", &[]);
    let id = main.try_user(NewUser { password_hash: None, ..new_user("ana@demo.test", &[]) }).unwrap();
    let kind = SourceKind::OpenLdap;
    let source = Source {
        name: "ldap".into(),
        kind,
        domain,
        urls: vec!["ldaps://ldap.test".into()],
        start_tls: false,
        ca: String::new(),
        bind_dn: String::new(),
        password_sealed: String::new(),
        base: "dc=test".into(),
        user_filter: kind.user_filter().to_owned(),
        group_base: String::new(),
        group_filter: String::new(),
        mapping: Mapping::preset(kind),
        logins: true,
        outage_minutes: 60,
        adopt: false,
        every_minutes: 10,
        full_every_hours: 24,
        removals_percent_max: 10,
        enabled: true,
        created_at: sterna_base::Timestamp(0),
    };
    main.submit(Request::PutSource { source: Box::new(source), expect: None }).unwrap();
    let (external_id, dn) = ("7".to_owned(), "uid=ana,dc=test".to_owned());
    let link = Link { account: id, source: "ldap".into(), external_id, dn, login: "ana".into(), suspended: false };
    let request = Box::new(Request::SetUser { id, expect: None, patch: UserPatch::default() });
    main.submit(Request::Linked { link, request }).unwrap();
    id
}

#[tokio::test]
async fn a_source_is_asked_guessed_at_and_forgotten() {
    let mut main = Main::new();
    let id = from_elsewhere(&mut main);
    let (_folder, directory, authentication) = serve(main);
    let source = Arc::new(Elsewhere(parking_lot::Mutex::new(BindAnswer::Right)));
    let authentication = authentication.with_sources(source.clone());
    let right = Secret::new("sesame");
    assert!(authentication.authenticate(attempt("ana@demo.test", &right, 1)).await.is_ok());

    // While it is away what it took is good, and guesses at that are counted as ever.
    let patch = UserPatch { display_name: Some("Ana".into()), ..UserPatch::default() };
    directory.submit(Request::SetUser { id, expect: None, patch }).await.unwrap();
    *source.0.lock() = BindAnswer::Unavailable("down".into());
    let mut answers = Vec::new();
    for n in 0..10 {
        let guess = Secret::new(format!("guess{n}"));
        answers.push(authentication.authenticate(attempt("ana@demo.test", &guess, 2)).await.unwrap_err());
    }
    assert!(matches!(answers[0], LoginError::Unavailable(_)), "it may be right there: {answers:?}");
    assert!(matches!(answers[9], LoginError::TooMany { .. }), "{answers:?}");
    assert!(authentication.authenticate(attempt("ana@demo.test", &right, 1)).await.is_ok());

    // Whoever administers is let in by nobody elsewhere.
    *source.0.lock() = BindAnswer::Right;
    let admin = |admin| UserPatch { admin: Some(admin), ..UserPatch::default() };
    directory.submit(Request::SetUser { id, expect: None, patch: admin(true) }).await.unwrap();
    let refused = authentication.authenticate(attempt("ana@demo.test", &right, 3)).await;
    assert_eq!(refused, Err(LoginError::Invalid));
    directory.submit(Request::SetUser { id, expect: None, patch: admin(false) }).await.unwrap();
    assert!(authentication.authenticate(attempt("ana@demo.test", &right, 4)).await.is_ok());

    // Without the source nothing that was right is.
    directory.submit(Request::DeleteSource { name: "ldap".into(), expect: None }).await.unwrap();
    assert_eq!(authentication.authenticate(attempt("ana@demo.test", &right, 4)).await, Err(LoginError::Invalid));
}

#[test]
fn whom_an_administrator_suspends_no_source_lets_in() {
    let mut main = Main::new();
    let id = from_elsewhere(&mut main);
    let patch = || UserPatch { suspended: Some(true), ..UserPatch::default() };
    let by_source = |main: &Main| main.core.reader().link(id).unwrap().unwrap().suspended;
    let link = Link { suspended: true, ..main.core.reader().link(id).unwrap().unwrap() };
    let request = Box::new(Request::SetUser { id, expect: None, patch: patch() });
    main.submit(Request::Linked { link, request }).unwrap();
    assert!(by_source(&main), "it may take that back");
    main.submit(Request::SetUser { id, expect: None, patch: UserPatch::default() }).unwrap();
    assert!(by_source(&main), "a change of something else says nothing");
    main.submit(Request::SetUser { id, expect: None, patch: patch() }).unwrap();
    assert!(!by_source(&main));
}

/// Notes nothing down, and says that it did.
struct Desk;

#[async_trait::async_trait]
impl SudoRecord for Desk {
    async fn note(&self, _: SudoUse) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test]
async fn an_administrator_s_password_for_a_mailbox_is_none_of_the_user_s_and_ends_with_the_administrator_s_own() {
    let mut main = Main::new();
    main.domain("demo.test", &[]);
    let (ana, boss) = (main.user("ana@demo.test", &[]), main.user("boss@demo.test", &[]));
    let role = "platform-administrator".to_owned();
    let grant = Grant { account: boss, role, scope: Scope::System, unit: String::new() };
    main.submit(Request::SetGrant { grant, granted: true }).unwrap();
    let typed = "abcde-fghij-klmno-pq234";
    let hash = hash_of_app_password(typed).unwrap();
    let sudo = Sudo { by: "boss".into(), account: Some(boss), reason: "ticket".into(), hash: String::new() };
    let new = NewAppPassword {
        account: ana,
        id: "s1".into(),
        name: "sudo: boss".into(),
        hash: hash.clone(),
        protocols: vec!["imap".into()],
        expires_at: Some(Timestamp(10_000_000)),
        sudo: Some(sudo),
    };
    main.submit(Request::CreateAppPassword(new)).unwrap();
    let row = main.core.reader().app_passwords(ana).unwrap().remove(0).value;
    assert_eq!(
        (row.hash.as_str(), row.kept_hash()),
        ("", hash.as_str()),
        "an older version has nothing to compare with"
    );
    let (_folder, directory, authentication) = serve(main);
    let authentication = authentication.with_sudo(Arc::new(Desk));
    let (secret, peer) = (Secret::new(typed), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let log_in = async || {
        let attempt = LoginAttempt { login: "ana@demo.test", password: &secret, protocol: "imap", peer };
        authentication.authenticate(attempt).await
    };
    let login = log_in().await.unwrap();
    assert_eq!((login.is_sudo, login.app_password.as_deref()), (true, Some("s1")));
    // The administrator gets another password: what was made with the former one is over.
    let hash = password::hash(&Secret::new("new sesame"), PasswordCost::TEST).unwrap();
    let patch = UserPatch { password_hash: Some(Some(hash)), ..UserPatch::default() };
    directory.submit(Request::SetUser { id: boss, expect: None, patch }).await.unwrap();
    assert_eq!(log_in().await, Err(LoginError::Invalid));
    let now = directory.now();
    let over = directory.read(move |reader| reader.sudos_over(now)).await.unwrap();
    assert_eq!(over, [(ana, "s1".to_owned())]);
}
