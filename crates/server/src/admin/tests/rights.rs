//! Who may do what by the API, and what is recorded of it.

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use hyper::StatusCode;
use serde_json::{Value, json};
use sterna_account::Identifier;
use sterna_base::{AccountId, DomainId, Timestamp};
use sterna_directory::rights::{Area, Permission, Permissions, Rights, builtin_roles};
use sterna_directory::{Reader, Scope};
use tower::ServiceExt;

use super::super::imports::identified;
use super::super::principal::{Principal, Via};
use super::super::problem::Problem;
use super::super::records::{AuditFilter, AuditLine, Records};
use super::super::router;
use super::Node;

/// Two domains, and somebody with a role in the first.
async fn node() -> (Node, Records) {
    let mut node = Node::main().await;
    let records = Records::open(node.folder.path()).unwrap();
    node.state.records = Some(records.clone());
    node.post("domains", json!({"name": "other.test"})).await.unwrap();
    for (address, admin) in
        [("ana@demo.test", false), ("ben@demo.test", false), ("zoe@other.test", false), ("root@demo.test", true)]
    {
        let body = json!({"address": address, "password": "sesame", "server": "alpha", "admin": admin});
        node.post("users", body).await.unwrap();
    }
    node.patch(&["users", "ben@demo.test"], json!({"unit": "sales/north"})).await.unwrap();
    (node, records)
}

fn role(name: &str) -> Permissions {
    builtin_roles().into_iter().find(|role| role.name == name).unwrap().permits()
}

fn somebody(scope: Scope, unit: &str, permissions: Permissions) -> Principal {
    let mut rights = Rights::default();
    rights.add(scope, unit, permissions);
    let (name, account) = ("ana@demo.test".to_owned(), Some(AccountId(1)));
    Principal { name, account, rights, via: Via::Session("s".to_owned()), peer: None }
}

/// The API as one of its users has it.
struct Face(Router);

impl Face {
    fn of(node: &Node, principal: Principal) -> Self {
        let insert = from_fn(move |mut request: axum::extract::Request, next: axum::middleware::Next| {
            request.extensions_mut().insert(principal.clone());
            next.run(request)
        });
        Face(router(node.state.clone()).layer(insert))
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask_with(method, path, body, &[]).await
    }

    async fn ask_with(&self, method: &str, path: &str, body: Value, headers: &[(&str, &str)]) -> (StatusCode, Value) {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.header("content-type", "application/json").header("content-length", body.len());
        let response = self.0.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The status and, of a problem, the code.
    async fn outcome(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, body) = self.ask(method, path, body).await;
        (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn addresses(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().filter_map(|item| item["address"].as_str()).collect()
}

#[tokio::test]
async fn a_domain_s_administrator_sees_and_changes_that_domain_only() {
    let (node, _) = node().await;
    let face = Face::of(&node, somebody(Scope::Domain(DomainId(1)), "", role("domain-administrator")));
    let (_, users) = face.ask("GET", "/api/v1/users", Value::Null).await;
    assert_eq!(addresses(&users), ["ana@demo.test", "ben@demo.test", "root@demo.test"]);
    let (_, domains) = face.ask("GET", "/api/v1/domains", Value::Null).await;
    assert_eq!(domains["items"].as_array().unwrap().len(), 1);
    let denied = (403, "not-permitted".to_owned());
    let hidden = (404, "no-such".to_owned());
    let done = (200, String::new());
    let of = |method: &'static str, path: &'static str, body: Value| face.outcome(method, path, body);
    assert_eq!(of("PATCH", "/api/v1/users/ben@demo.test", json!({"display_name": "Ben"})).await, done);
    assert_eq!(of("GET", "/api/v1/users/zoe@other.test", Value::Null).await, hidden);
    assert_eq!(of("PATCH", "/api/v1/users/zoe@other.test", json!({"display_name": "x"})).await, hidden);
    assert_eq!(of("DELETE", "/api/v1/users/zoe@other.test", Value::Null).await, hidden);
    assert_eq!(of("POST", "/api/v1/users", json!({"address": "new@other.test"})).await, denied);
    assert_eq!(of("POST", "/api/v1/users", json!({"address": "new@demo.test"})).await.0, 201);
    // An address of another domain, an administrator, a place on a server, a domain's name: not theirs to give.
    let aliases = json!({"aliases": ["boss@other.test"]});
    assert_eq!(of("PATCH", "/api/v1/users/ben@demo.test", aliases).await, denied);
    assert_eq!(of("PATCH", "/api/v1/users/ben@demo.test", json!({"admin": true})).await, denied);
    let placed = json!({"address": "x@demo.test", "server": "alpha"});
    assert_eq!(of("POST", "/api/v1/users", placed).await, denied);
    assert_eq!(of("PATCH", "/api/v1/domains/demo.test", json!({"aliases": ["other.example"]})).await, denied);
    assert_eq!(of("PATCH", "/api/v1/domains/demo.test", json!({"description": "x"})).await, done);
    assert_eq!(of("PATCH", "/api/v1/settings/postmaster?domain=other.test", json!({"value": "x@y.z"})).await, denied);
    for path in ["/api/v1/servers", "/api/v1/jobs", "/api/v1/queue", "/api/v1/audit", "/api/v1/settings"] {
        assert_eq!(of("GET", path, Value::Null).await, denied, "{path}");
    }
    // Nobody changes somebody who may do more.
    assert_eq!(of("PATCH", "/api/v1/users/root@demo.test", json!({"password": "mine"})).await, denied);
    assert_eq!(of("DELETE", "/api/v1/users/root@demo.test", Value::Null).await, denied);
    assert_eq!(of("POST", "/api/v1/users/root@demo.test/app-passwords", json!({"name": "x"})).await, denied);
}

#[tokio::test]
async fn contacts_of_a_unit_are_its_administrators() {
    let (node, _) = node().await;
    for (address, domain, unit) in
        [("a@far.test", "demo.test", "sales"), ("b@far.test", "demo.test", ""), ("a@far.test", "other.test", "")]
    {
        let body = json!({"address": address, "domain": domain, "unit": unit});
        node.post("contacts", body).await.unwrap();
    }
    let face = Face::of(&node, somebody(Scope::Domain(DomainId(1)), "sales", role("domain-administrator")));
    let of = |method: &'static str, path: &'static str, body: Value| face.outcome(method, path, body);
    let (_, seen) = face.ask("GET", "/api/v1/contacts", Value::Null).await;
    assert_eq!(addresses(&seen), ["a@far.test"]);
    let (status, one) = face.ask("GET", "/api/v1/contacts/a@far.test", Value::Null).await;
    assert_eq!((status.as_u16(), &one["domain"]), (200, &json!("demo.test")), "another's of that address is not told");
    assert_eq!(of("PATCH", "/api/v1/contacts/a@far.test", json!({"note": "x"})).await.0, 200);
    assert_eq!(of("PATCH", "/api/v1/contacts/a@far.test", json!({"unit": ""})).await.0, 403);
    assert_eq!(of("PATCH", "/api/v1/contacts/b@far.test", json!({"note": "x"})).await.0, 404);
    assert_eq!(of("DELETE", "/api/v1/contacts/b@far.test", Value::Null).await.0, 404);
    let new = |unit: &str, domain: &str| json!({"address": "n@far.test", "domain": domain, "unit": unit});
    assert_eq!(of("POST", "/api/v1/contacts", new("", "demo.test")).await.0, 403);
    assert_eq!(of("POST", "/api/v1/contacts", new("sales", "other.test")).await.0, 403);
    assert_eq!(of("POST", "/api/v1/contacts", new("sales/north", "demo.test")).await.0, 201);
    let reader = Face::of(&node, somebody(Scope::System, "", role("read-only")));
    assert_eq!(reader.outcome("DELETE", "/api/v1/contacts/b@far.test", Value::Null).await.0, 403);
    // One key makes one contact; what was changed meanwhile is not written over.
    let whole = Face::of(&node, Principal::at_socket("root".into()));
    let once = json!({"address": "once@far.test", "domain": "demo.test"});
    for _ in 0..2 {
        let keyed = [("idempotency-key", "k-1")];
        assert_eq!(whole.ask_with("POST", "/api/v1/contacts", once.clone(), &keyed).await.0, 201);
    }
    let stale = [("if-match", "\"1\"")];
    let (status, _) = whole.ask_with("PATCH", "/api/v1/contacts/once@far.test", json!({"note": "x"}), &stale).await;
    assert_eq!(status.as_u16(), 412);
}

#[tokio::test]
async fn a_setting_that_another_changed_meanwhile_is_not_written_over() {
    let (node, _) = node().await;
    let face = Face::of(&node, Principal::at_socket("root".into()));
    let at = "/api/v1/settings/retention-days?domain=demo.test";
    let set = async |days: &str, tag: &str| {
        face.ask_with("PATCH", at, json!({ "value": days }), &[("if-match", tag)]).await.0.as_u16()
    };
    assert_eq!(set("9", "\"0\"").await, 200, "nobody had set it there");
    assert_eq!(set("10", "\"0\"").await, 412);
    let seen = node.client.send(hyper::Method::PATCH, at, Some(&json!({"value": "11"}))).await.unwrap().body;
    assert_eq!(seen["value"], "11");
    assert_eq!(set("12", "*").await, 200);
}

#[tokio::test]
async fn what_is_no_object_gets_nowhere() {
    let (node, _) = node().await;
    let face = Face::of(&node, somebody(Scope::Domain(DomainId(1)), "", role("domain-administrator")));
    // Structs can be read from lists, too: here the last field says who is an administrator.
    let list = json!([null, null, "me", null, null, "newpassword", null, true]);
    for body in [list, json!("x"), json!(3)] {
        let (status, code) = face.outcome("PATCH", "/api/v1/users/ana@demo.test", body.clone()).await;
        assert_eq!((status, code.as_str()), (400, "malformed"), "{body}");
    }
    let ana = node.get(&["users", "ana@demo.test"]).await.unwrap();
    assert_eq!((&ana["admin"], &ana["login"]), (&json!(false), &Value::Null));
    // Nor does the socket take one.
    let list = json!([null, null, "me"]);
    assert!(node.patch(&["users", "ana@demo.test"], list).await.is_err());
}

#[tokio::test]
async fn a_suspended_administrator_is_still_one() {
    let (node, _) = node().await;
    node.patch(&["users", "root@demo.test"], json!({"suspended": true})).await.unwrap();
    let face = Face::of(&node, somebody(Scope::Domain(DomainId(1)), "", role("domain-administrator")));
    for body in [json!({"suspended": false}), json!({"password": "mine"}), json!({"suspended": false, "password": "x"})]
    {
        assert_eq!(face.outcome("PATCH", "/api/v1/users/root@demo.test", body).await.0, 403);
    }
}

#[tokio::test]
async fn what_cannot_be_tried_is_not_done() {
    let (node, _) = node().await;
    let face = Face::of(&node, Principal::at_socket("root".into()));
    for (method, path) in [("POST", "/api/v1/queue"), ("DELETE", "/api/v1/session"), ("DELETE", "/api/v1/sessions/x")] {
        let (status, code) = face.outcome(method, &format!("{path}?dry_run=true"), json!({})).await;
        assert_eq!((status, code.as_str()), (400, "no-dry-run"), "{method} {path}");
    }
}

#[tokio::test]
async fn looking_at_people_is_not_reading_what_they_have() {
    let (node, _) = node().await;
    let face = Face::of(&node, somebody(Scope::System, "", role("read-only")));
    for path in ["objects", "links", "files/links", "sieve", "files/versions"] {
        let (status, _) = face.outcome("GET", &format!("/api/v1/accounts/ben@demo.test/{path}"), Value::Null).await;
        assert_eq!(status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_help_desk_gives_passwords_and_nothing_else() {
    let (node, _) = node().await;
    let face = Face::of(&node, somebody(Scope::Domain(DomainId(1)), "sales", role("help-desk")));
    let (_, users) = face.ask("GET", "/api/v1/users", Value::Null).await;
    assert_eq!(addresses(&users), ["ben@demo.test"]);
    assert_eq!(face.outcome("PATCH", "/api/v1/users/ben@demo.test", json!({"password": "new"})).await.0, 200);
    let both = json!({"password": "new", "display_name": "x"});
    assert_eq!(face.outcome("PATCH", "/api/v1/users/ben@demo.test", both).await.0, 403);
    assert_eq!(face.outcome("PATCH", "/api/v1/users/ana@demo.test", json!({"password": "new"})).await.0, 404);
    assert_eq!(face.outcome("DELETE", "/api/v1/users/ben@demo.test", Value::Null).await.0, 403);
}

#[tokio::test]
async fn nobody_grants_what_they_have_not() {
    let (node, _) = node().await;
    let face = Face::of(&node, somebody(Scope::Domain(DomainId(1)), "", role("domain-administrator")));
    let grant = |user: &str, role: &str, domain: Value| json!({"user": user, "role": role, "domain": domain});
    let demo = || json!("demo.test");
    let given = face.outcome("POST", "/api/v1/grants", grant("ben@demo.test", "help-desk", demo())).await;
    assert_eq!(given, (200, String::new()));
    for (user, role, domain) in [
        ("ben@demo.test", "platform-administrator", Value::Null),
        ("ben@demo.test", "platform-administrator", demo()),
        ("ben@demo.test", "read-only", demo()),
        ("ben@demo.test", "help-desk", json!("other.test")),
        ("ben@demo.test", "help-desk", Value::Null),
    ] {
        let (status, _) = face.outcome("POST", "/api/v1/grants", grant(user, role, domain)).await;
        assert_eq!(status, 403, "{user} {role}");
    }
    let taken = face.outcome("DELETE", "/api/v1/grants", grant("ben@demo.test", "help-desk", demo())).await;
    assert_eq!(taken, (200, String::new()));
    let own = json!({"permissions": ["servers:write"]});
    assert_eq!(face.outcome("PUT", "/api/v1/roles/mine", own).await.0, 403);
}

#[tokio::test]
async fn tokens_permit_what_their_maker_still_may() {
    let (node, _) = node().await;
    let root = Face::of(&node, Principal { account: Some(AccountId(4)), ..Principal::at_socket("root".into()) });
    let body = json!({"name": "backup", "permissions": ["people:read"], "domain": "demo.test"});
    let (status, made) = root.ask("POST", "/api/v1/api-tokens", body).await;
    assert_eq!(status, 201);
    let text = made["token"].as_str().unwrap();
    let principal = super::super::api_tokens::principal_of(&node.state, text).await.unwrap();
    let face = Face::of(&node, principal);
    let (_, users) = face.ask("GET", "/api/v1/users", Value::Null).await;
    assert_eq!(users["items"].as_array().unwrap().len(), 3);
    assert_eq!(face.outcome("PATCH", "/api/v1/users/ben@demo.test", json!({"display_name": "x"})).await.0, 403);
    // A token makes no tokens and passwords, and ends no sessions without the permission.
    assert_eq!(face.outcome("POST", "/api/v1/users/ben@demo.test/app-passwords", json!({"name": "x"})).await.0, 403);
    assert_eq!(face.outcome("GET", "/api/v1/sessions", Value::Null).await.0, 403);
    assert_eq!(face.outcome("POST", "/api/v1/api-tokens", json!({"name": "more"})).await.0, 403);
    for wrong in ["", "sterna_", "sterna_x_y", &format!("{text}0"), &text[..text.len() - 1]] {
        assert!(super::super::api_tokens::principal_of(&node.state, wrong).await.is_err(), "{wrong}");
    }
    node.patch(&["users", "root@demo.test"], json!({"admin": false})).await.unwrap();
    let principal = super::super::api_tokens::principal_of(&node.state, text).await.unwrap();
    assert!(principal.rights.is_empty());
}

#[tokio::test]
async fn what_is_done_is_recorded_without_secrets() {
    let (node, records) = node().await;
    let face = Face::of(&node, somebody(Scope::Domain(DomainId(1)), "", role("domain-administrator")));
    face.ask("PATCH", "/api/v1/users/ben@demo.test", json!({"password": "sesame2"})).await;
    face.ask("DELETE", "/api/v1/users/zoe@other.test", Value::Null).await;
    face.ask("PATCH", "/api/v1/users/ben@demo.test?dry_run=true", json!({"display_name": "x"})).await;
    let lines = records.audit(AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.method.as_str(), line.path.as_str(), line.status)).collect();
    let expected = [("DELETE", "/api/v1/users/zoe@other.test", 404), ("PATCH", "/api/v1/users/ben@demo.test", 200)];
    assert_eq!(told, expected);
    assert_eq!(lines[1].who, "ana@demo.test");
    assert_eq!(lines[1].subject, Some(AccountId(2)));
    assert!(!lines[1].body.contains("sesame2"), "{}", lines[1].body);
    let of_ben = AuditFilter { limit: 10, subject: Some(AccountId(2)), ..AuditFilter::default() };
    assert_eq!(records.audit(of_ben).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_sent_twice_is_done_once() {
    let (node, _) = node().await;
    let face = Face::of(&node, Principal::at_socket("root".into()));
    let body = json!({"address": "twice@demo.test", "server": "alpha"});
    let key = [("idempotency-key", "k1")];
    let (status, first) = face.ask_with("POST", "/api/v1/users", body.clone(), &key).await;
    assert_eq!(status, 201);
    let (status, again) = face.ask_with("POST", "/api/v1/users", body.clone(), &key).await;
    assert_eq!((status, &again["id"]), (StatusCode::CREATED, &first["id"]), "{again}");
    let (status, without) = face.ask("POST", "/api/v1/users", body).await;
    assert_eq!((status, without["code"].as_str()), (StatusCode::CONFLICT, Some("taken")));
    let other = json!({"address": "other@demo.test", "server": "alpha"});
    let (status, reused) = face.ask_with("POST", "/api/v1/users", other, &key).await;
    assert_eq!((status, reused["code"].as_str()), (StatusCode::CONFLICT, Some("idempotency-key-reused")));
    // What is shown once is not kept.
    let key = [("idempotency-key", "k2")];
    let token = json!({"name": "x"});
    assert_eq!(face.ask_with("POST", "/api/v1/api-tokens", token.clone(), &key).await.0, 201);
    let (status, second) = face.ask_with("POST", "/api/v1/api-tokens", token, &key).await;
    assert_eq!((status, second["code"].as_str()), (StatusCode::CONFLICT, Some("secret-not-repeated")));
}

#[tokio::test]
async fn who_says_who_lets_people_in_may_do_as_much_as_they() {
    let (node, _) = node().await;
    let only = |areas: &[Area]| {
        let permissions = areas.iter().flat_map(|area| [Permission::read(*area), Permission::write(*area)]).collect();
        somebody(Scope::System, "", permissions)
    };
    let denied = (403, "not-permitted".to_owned());
    let settings = Face::of(&node, only(&[Area::Settings]));
    let openid = "/api/v1/settings/openid.issuer";
    assert_eq!(settings.outcome("PATCH", openid, json!({"value": "https://evil.test"})).await, denied);
    let postmaster = "/api/v1/settings/postmaster";
    assert_eq!(settings.outcome("PATCH", postmaster, json!({"value": "root@demo.test"})).await.0, 200);
    let mut all = only(&[]);
    all.rights = Rights::all();
    assert_eq!(Face::of(&node, all.clone()).outcome("PATCH", openid, json!({"value": "https://id.test"})).await.0, 200);
    let changes = Face::of(&node, all.clone()).ask("GET", "/api/v1/setting-changes", Value::Null).await.1;
    let number = &changes["items"][0]["change"];
    assert_eq!(settings.outcome("POST", "/api/v1/setting-changes", json!({"revert": number})).await, denied);
    all.via = Via::Token("t".to_owned());
    assert_eq!(Face::of(&node, all).outcome("PATCH", openid, json!({"value": null})).await, denied, "a program");

    // A source makes people, and says which passwords are right.
    let make = json!({"name": "ldap", "domain": "demo.test", "urls": ["ldaps://evil.test"], "base": "dc=test"});
    for areas in [&[Area::Domains][..], &[Area::Domains, Area::People], &[Area::Domains, Area::Passwords]] {
        let face = Face::of(&node, only(areas));
        assert_eq!(face.outcome("POST", "/api/v1/sources", make.clone()).await, denied, "{areas:?}");
        assert_eq!(face.outcome("PATCH", "/api/v1/sources/ldap", json!({"adopt": true})).await, denied);
        assert_eq!(face.outcome("POST", "/api/v1/sources/ldap/runs", json!({})).await, denied);
    }
    let mut program = only(&[Area::Domains, Area::People, Area::Passwords]);
    program.via = Via::Token("t".to_owned());
    let urls = json!({"urls": ["ldaps://evil.test"]});
    assert_eq!(Face::of(&node, program).outcome("PATCH", "/api/v1/sources/ldap", urls).await, denied, "a program");
}

#[tokio::test]
async fn nobody_imports_mail_into_the_account_of_somebody_above_them() {
    let (node, _) = node().await;
    let face = Face::of(&node, somebody(Scope::System, "", role("domain-administrator")));
    let import = |target: &str| {
        let account = json!({"login": "x", "password": "x", "target": target});
        // Nobody listens there: what is permitted begins, and fails then.
        json!({"host": "127.0.0.1", "port": 1, "encryption": "none", "mode": "pass", "accounts": [account]})
    };
    let refused = face.outcome("POST", "/api/v1/imports", import("root@demo.test")).await;
    assert_eq!(refused, (403, "not-permitted".to_owned()));
    assert_eq!(face.outcome("POST", "/api/v1/imports", import("ben@demo.test")).await.0, 201);
}

#[tokio::test]
async fn names_of_other_servers_are_those_of_the_account_s_domain() {
    let (node, _) = node().await;
    let read = |reader: &Reader<'_>| -> Result<_, Problem> {
        let id = |address: &str| Ok::<_, Problem>(reader.entry_at(address)?.unwrap().value.entry().id);
        let (ben, zoe) = (id("ben@demo.test")?, id("zoe@other.test")?);
        Ok((
            [identified(reader, zoe, "ben")?, identified(reader, ben, "ben")?, identified(reader, zoe, "anyone")?],
            [None, Some(Identifier::Entry(ben)), Some(Identifier::Domain(DomainId(2)))],
        ))
    };
    let (found, expected) = node.state.directory.read(read).await.unwrap();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn only_who_may_works_as_somebody_and_never_as_somebody_who_may_more() {
    let (node, _) = node().await;
    let sudo: Permissions = [Permission::write(Area::Sudo), Permission::read(Area::People)].into_iter().collect();
    let north = somebody(Scope::Domain(DomainId(1)), "sales", sudo);
    let why = || json!({"reason": "ticket 7"});
    let path = |user: &str| format!("/api/v1/users/{user}/sudo");
    let face = Face::of(&node, north.clone());
    // Nobody is there to be told: that comes after everything else, and then it isn't done.
    let untold = (503, "user-not-told".to_owned());
    assert_eq!(face.outcome("POST", &path("ben@demo.test"), why()).await, untold);
    for body in [json!({"reason": ""}), json!({"reason": "a\nb"}), json!({"reason": "x", "lifetime_seconds": 99_999})] {
        assert_eq!(face.outcome("POST", &path("ben@demo.test"), body.clone()).await.0, 400, "{body}");
    }
    // Another unit, another domain, somebody who may more, oneself.
    for user in ["root@demo.test", "zoe@other.test"] {
        assert!(face.outcome("POST", &path(user), why()).await.0 >= 403, "{user}");
    }
    let everywhere = Face::of(&node, somebody(Scope::System, "", sudo));
    assert_eq!(everywhere.outcome("POST", &path("zoe@other.test"), why()).await, untold);
    assert_eq!(everywhere.outcome("POST", &path("root@demo.test"), why()).await, (403, "not-permitted".to_owned()));
    for (rights, via) in [
        (role("domain-administrator"), Via::Session("s".to_owned())),
        (role("help-desk"), Via::Session("s".to_owned())),
        (sudo, Via::Token("t".to_owned())),
        (sudo, Via::Sudo("s".to_owned())),
    ] {
        let principal = Principal { via: via.clone(), ..somebody(Scope::System, "", rights) };
        assert_eq!(Face::of(&node, principal).outcome("POST", &path("ben@demo.test"), why()).await.0, 403, "{via:?}");
    }
}

#[tokio::test]
async fn neither_refused_requests_nor_looks_push_the_reason_out_of_what_a_user_sees() {
    let (node, records) = node().await;
    let ben = AccountId(2);
    let note = async |method: &str, path: &str, status: u16| {
        let line = AuditLine {
            number: 0,
            at: Timestamp(1),
            who: "root as ben@demo.test".to_owned(),
            via: "sudo s1".to_owned(),
            peer: String::new(),
            method: method.to_owned(),
            path: path.to_owned(),
            status,
            subject: Some(ben),
            body: String::new(),
        };
        records.note(line).await.unwrap()
    };
    note("POST", "/api/v1/users/2/sudo", 201).await;
    note("LOGIN", "imap", 200).await;
    for number in 0..250 {
        note("GET", &format!("/api/v1/me/sudo?{number}"), 200).await;
        note("POST", "/api/v1/users", 403).await;
    }
    let via = Via::Session("s".to_owned());
    let principal = Principal { account: Some(ben), via, ..somebody(Scope::System, "", role("help-desk")) };
    let face = Face::of(&node, principal);
    let (status, first) = face.ask("GET", "/api/v1/me/sudo", Value::Null).await;
    assert_eq!(status, 200, "{first}");
    let methods = |page: &Value| {
        let uses = page["uses"].as_array().unwrap().iter();
        uses.map(|one| one["method"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let shown = methods(&first);
    assert_eq!((shown.len(), &shown[200..]), (202, &["LOGIN".to_owned(), "POST".to_owned()][..]));
    let after = first["next"].as_str().unwrap();
    let (_, second) = face.ask("GET", &format!("/api/v1/me/sudo?after={after}"), Value::Null).await;
    assert_eq!((methods(&second).len(), &second["next"]), (52, &Value::Null), "what wasn't shown, and what is always");
}
