//! SCIM as Entra and Okta speak it, and what it must refuse.

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::middleware::from_fn;
use serde_json::{Value, json};
use sterna_base::{AccountId, DomainId, Timestamp};
use sterna_directory::rights::{Area, Permission, Permissions, Rights, Subject, builtin_roles};
use sterna_directory::{Reader, Request, Scope};
use tower::ServiceExt;

use super::super::principal::{Principal, Via};
use super::super::router;
use super::Node;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A provisioning program.
struct Program(Router);

/// Status, headers, body.
type Answer = (u16, HeaderMap, Value);

impl Program {
    /// With the rights of an administrator of one domain.
    async fn of_domain(node: &Node, domain: u64) -> Self {
        let permissions: Permissions =
            builtin_roles().into_iter().find(|role| role.name == "domain-administrator").unwrap().permits();
        let mut rights = Rights::default();
        rights.add(Scope::Domain(DomainId(domain)), "", permissions);
        Self::with(node, rights)
    }

    fn with(node: &Node, rights: Rights) -> Self {
        let principal =
            Principal { name: "“entra”".into(), account: None, rights, via: Via::Token("t".into()), peer: None };
        let insert = from_fn(move |mut request: axum::extract::Request, next: axum::middleware::Next| {
            request.extensions_mut().insert(principal.clone());
            next.run(request)
        });
        Program(router(node.state.clone()).layer(insert))
    }

    async fn ask_with(&self, method: &str, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let uri = format!("/scim/v2{}", path.replace(' ', "%20").replace('"', "%22"));
        let mut request = axum::http::Request::builder().method(method).uri(uri).header("host", "mail.demo.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.header("content-type", "application/scim+json");
        let response = self.0.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let (status, headers, body) = self.ask_with(method, path, body, &[]).await;
        if !body.is_null() {
            assert_eq!(headers["content-type"], "application/scim+json", "{path}: {body}");
        }
        (status, body)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, Value::Null).await
    }

    /// How many a filter finds.
    async fn count(&self, path: &str) -> u64 {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body["totalResults"].as_u64().unwrap()
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.ask("POST", path, body).await;
        assert_eq!(status, 201, "{made}");
        made
    }
}

fn ana() -> Value {
    json!({
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Ana.Lima@demo.test",
        "active": true,
        "displayName": "Ana Lima",
        "emails": [{"primary": true, "type": "work", "value": "ana@demo.test"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Ana Lima", "familyName": "Lima", "givenName": "Ana"},
        "roles": []
    })
}

fn operations(operations: Value) -> Value {
    json!({"schemas": [PATCH], "Operations": operations})
}

#[tokio::test]
async fn entra_provisions_a_user_changes_and_disables_them() {
    let node = Node::main().await;
    let entra = Program::of_domain(&node, 1).await;
    // First it asks whether there is one; an empty list is no error.
    assert_eq!(entra.count("/Users?filter=userName eq \"Ana.Lima@demo.test\"").await, 0);
    let (status, headers, made) = entra.ask_with("POST", "/Users", ana(), &[]).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(headers["location"], format!("https://mail.demo.test/scim/v2/Users/{id}"));
    assert_eq!(made["userName"], "Ana.Lima@demo.test");
    assert_eq!(made["externalId"], "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef");
    assert_eq!(made["emails"][0], json!({"value": "ana@demo.test", "type": "work", "primary": true}));
    let user = node.get(&["users", "ana@demo.test"]).await.unwrap();
    assert_eq!((&user["aliases"], &user["admin"]), (&json!(["ana.lima@demo.test"]), &json!(false)));
    assert!(!node.log().is_empty(), "there is an account");
    for filter in [
        "userName eq \"ana.LIMA@demo.test\"",
        "externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\"",
        "displayName co \"lima\" and active eq true",
    ] {
        assert_eq!(entra.count(&format!("/Users?filter={filter}")).await, 1, "{filter}");
    }

    let renamed = operations(json!([
        {"op": "Replace", "path": "displayName", "value": "Ana Costa"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "costa@demo.test"},
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sea"},
    ]));
    let (status, body) = entra.ask("PATCH", &format!("/Users/{id}"), renamed).await;
    assert_eq!((status, &body["displayName"]), (200, &json!("Ana Costa")), "{body}");
    let user = node.get(&["users", "costa@demo.test"]).await.unwrap();
    assert_eq!(user["id"].to_string(), id, "it is the same account");
    assert!(user["aliases"].as_array().unwrap().contains(&json!("ana@demo.test")), "mail still arrives");

    let off = operations(json!([{"op": "Replace", "path": "active", "value": "False"}]));
    let (status, body) = entra.ask("PATCH", &format!("/Users/{id}"), off).await;
    assert_eq!((status, &body["active"]), (200, &json!(false)));
    assert_eq!(node.get(&["users", "costa@demo.test"]).await.unwrap()["suspended"], true);

    // Deleted means suspended and not shown; the same one made again has the account that was.
    assert_eq!(entra.ask("DELETE", &format!("/Users/{id}"), Value::Null).await.0, 204);
    assert_eq!(entra.get(&format!("/Users/{id}")).await.0, 404);
    assert_eq!(entra.count("/Users").await, 0);
    assert_eq!(node.get(&["users", "costa@demo.test"]).await.unwrap()["suspended"], true);
    let again = entra.made("/Users", ana()).await;
    assert_eq!((again["id"].as_str(), &again["active"]), (Some(id.as_str()), &json!(true)));
}

#[tokio::test]
async fn okta_replaces_whole_users_and_deactivates_without_a_path() {
    let node = Node::main().await;
    let okta = Program::of_domain(&node, 1).await;
    let body = json!({
        "schemas": [USER], "userName": "ben@demo.test", "name": {"givenName": "Ben", "familyName": "Ochs"},
        "emails": [{"primary": true, "value": "ben@demo.test", "type": "work"}], "password": "t1m-and-tern",
        "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [], "active": true
    });
    let made = okta.made("/Users", body.clone()).await;
    assert_eq!(made["displayName"], "Ben Ochs");
    assert!(made.get("password").is_none());
    assert_eq!(node.get(&["users", "ben@demo.test"]).await.unwrap()["has_password"], true);
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let mut changed = body;
    changed["name"]["familyName"] = "Ox".into();
    let (status, put) = okta.ask("PUT", &path, changed).await;
    assert_eq!((status, &put["displayName"]), (200, &json!("Ben Ox")), "{put}");
    let (status, off) =
        okta.ask("PATCH", &path, operations(json!([{"op": "replace", "value": {"active": false}}]))).await;
    assert_eq!((status, &off["active"]), (200, &json!(false)));
    let (_, on) = okta.ask("PATCH", &path, operations(json!([{"op": "replace", "value": {"active": true}}]))).await;
    assert_eq!(on["active"], true);

    let group = okta.made("/Groups", json!({"schemas": [GROUP], "displayName": "Sea Birds", "members": []})).await;
    let at = format!("/Groups/{}", group["id"].as_str().unwrap());
    let member = json!([{"value": made["id"], "display": "ben@demo.test"}]);
    let add = operations(json!([{"op": "add", "path": "members", "value": member}]));
    let (status, body) = okta.ask("PATCH", &at, add).await;
    assert_eq!((status, &body["members"][0]["value"]), (200, &made["id"]), "{body}");
    let found = node.get(&["groups", "sea-birds@demo.test", "members"]).await.unwrap();
    assert!(found.to_string().contains("ben@demo.test"), "{found}");
    let bare = okta.get(&format!("{at}?excludedAttributes=members")).await.1;
    assert!(bare.get("members").is_none() && bare["displayName"] == "Sea Birds", "{bare}");
    let named =
        format!("/Groups?filter=displayName eq \"sea birds\" and members eq \"{}\"", made["id"].as_str().unwrap());
    assert_eq!(okta.count(&named).await, 1);
    let renamed = json!([{"op": "replace", "value": {"id": group["id"], "displayName": "Terns"}}]);
    assert_eq!(okta.ask("PATCH", &at, operations(renamed)).await.1["displayName"], "Terns");
    let gone = json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", made["id"].as_str().unwrap())}]);
    assert_eq!(okta.ask("PATCH", &at, operations(gone)).await.1["members"], json!([]));
    assert_eq!(okta.ask("DELETE", &at, Value::Null).await.0, 204);
    assert_eq!(okta.get(&at).await.0, 404);
}

#[tokio::test]
async fn versions_pages_and_what_there_is() {
    let node = Node::main().await;
    let program = Program::of_domain(&node, 1).await;
    for n in 0..5 {
        program.made("/Users", json!({"userName": format!("p{n}@demo.test")})).await;
    }
    let (_, page) = program.get("/Users?startIndex=2&count=2&attributes=userName").await;
    assert_eq!((&page["totalResults"], &page["startIndex"], &page["itemsPerPage"]), (&json!(5), &json!(2), &json!(2)));
    assert_eq!(page["Resources"][0]["userName"], "p1@demo.test");
    assert!(page["Resources"][0].get("emails").is_none() && page["Resources"][0].get("id").is_some());
    assert_eq!(program.get("/Users?count=0").await.1["Resources"], json!([]));
    let searched = json!({"filter": "userName sw \"p\"", "count": 1, "attributes": ["userName"]});
    assert_eq!(program.ask("POST", "/Users/.search", searched).await.1["totalResults"], 5);

    let path = format!("/Users/{}", page["Resources"][0]["id"].as_str().unwrap());
    let (_, headers, body) = program.ask_with("GET", &path, Value::Null, &[]).await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(body["meta"]["version"], tag);
    assert_eq!(program.ask_with("GET", &path, Value::Null, &[("if-none-match", &tag)]).await.0, 304);
    let change = operations(json!([{"op": "replace", "path": "displayName", "value": "P"}]));
    assert_eq!(program.ask_with("PATCH", &path, change.clone(), &[("if-match", &tag)]).await.0, 200);
    let late = operations(json!([{"op": "replace", "path": "displayName", "value": "Q"}]));
    assert_eq!(program.ask_with("PATCH", &path, late.clone(), &[("if-match", &tag)]).await.0, 412);
    assert_eq!(program.ask_with("PATCH", &path, late, &[("if-match", "\"x\"")]).await.0, 412);

    let (_, config) = program.get("/ServiceProviderConfig").await;
    assert_eq!((&config["patch"]["supported"], &config["bulk"]["supported"]), (&json!(true), &json!(false)));
    assert_eq!(program.get("/ResourceTypes/User").await.1["schema"], USER);
    assert_eq!(program.get(&format!("/Schemas/{GROUP}")).await.1["name"], "Group");
    assert_eq!(program.get("/Schemas").await.1["totalResults"], 2);
}

#[tokio::test]
async fn what_must_not_be_is_refused_as_scim_says() {
    let node = Node::main().await;
    node.post("domains", json!({"name": "other.test"})).await.unwrap();
    for (address, admin) in [("root@demo.test", true), ("zoe@other.test", false)] {
        node.post("users", json!({"address": address, "server": "alpha", "admin": admin, "password": "sesame"}))
            .await
            .unwrap();
    }
    let program = Program::of_domain(&node, 1).await;
    let id = |value: Value| value["id"].to_string();
    let root = id(node.get(&["users", "root@demo.test"]).await.unwrap());
    let zoe = id(node.get(&["users", "zoe@other.test"]).await.unwrap());
    program.made("/Users", ana()).await;
    let off = operations(json!([{"op": "replace", "path": "active", "value": false}]));
    let (big, deep) = ("x".repeat(9000), "(".repeat(40));
    for (method, path, body, status, kind) in [
        ("POST", "/Users".to_owned(), ana(), 409, json!("uniqueness")),
        ("POST", "/Users".into(), json!({"userName": "x@other.test"}), 400, json!("invalidValue")),
        ("POST", "/Users".into(), json!({"userName": "x"}), 400, json!("invalidValue")),
        ("POST", "/Users".into(), json!({"displayName": "x"}), 400, json!("invalidValue")),
        ("POST", "/Users".into(), json!({"userName": "y@demo.test", "active": "maybe"}), 400, json!("invalidValue")),
        ("POST", "/Users".into(), json!([1]), 400, json!("invalidSyntax")),
        ("GET", "/Users?filter=userName".into(), Value::Null, 400, json!("invalidFilter")),
        ("GET", format!("/Users?filter=userName eq \"{big}\""), Value::Null, 400, json!("invalidFilter")),
        ("GET", format!("/Users?filter={deep}"), Value::Null, 400, json!("invalidFilter")),
        ("GET", "/Users/999999".into(), Value::Null, 404, Value::Null),
        ("GET", "/Users/abc".into(), Value::Null, 404, Value::Null),
        // Of another domain there is nobody; an administrator is nobody's to suspend.
        ("GET", format!("/Users/{zoe}"), Value::Null, 404, Value::Null),
        ("PATCH", format!("/Users/{zoe}"), off.clone(), 404, Value::Null),
        ("PATCH", format!("/Users/{root}"), off.clone(), 403, Value::Null),
        ("DELETE", format!("/Users/{root}"), Value::Null, 403, Value::Null),
        ("PATCH", format!("/Users/{root}"), json!({"Operations": 1}), 400, json!("invalidSyntax")),
        (
            "POST",
            "/Groups".into(),
            json!({"displayName": "g", "members": [{"value": zoe}]}),
            400,
            json!("invalidValue"),
        ),
        ("POST", "/Groups".into(), json!({"displayName": "///"}), 400, json!("invalidValue")),
        ("POST", "/Bulk".into(), json!({}), 404, Value::Null),
        ("PUT", "/Users".into(), json!({}), 405, Value::Null),
    ] {
        let is_patch_of_root = path.ends_with(&root) && body == json!({"Operations": 1});
        let (found, answer) = program.ask(method, &path, body).await;
        if is_patch_of_root {
            assert!(found == 400 || found == 403, "{answer}");
            continue;
        }
        assert_eq!((found, &answer["scimType"]), (status, &kind), "{method} {path}: {answer}");
        assert_eq!(answer["status"], status.to_string(), "{method} {path}");
        assert_eq!(answer["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    }
    assert_eq!(node.get(&["users", "root@demo.test"]).await.unwrap()["suspended"], false);

    // Who may only read, or nothing.
    let reader = builtin_roles().into_iter().find(|role| role.name == "read-only").unwrap().permits();
    let mut rights = Rights::default();
    rights.add(Scope::Domain(DomainId(1)), "", reader);
    let program = Program::with(&node, rights);
    assert_eq!(program.count("/Users").await, 2);
    assert_eq!(program.ask("POST", "/Users", json!({"userName": "y@demo.test"})).await.0, 403);
    let nobody = Program::with(&node, Rights::default());
    assert_eq!(nobody.get("/Users").await.0, 403);
    let response =
        router(node.state.clone()).oneshot(axum::http::Request::get("/scim/v2/Users").body(Body::empty()).unwrap());
    assert_eq!(response.await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_former_mailbox_is_for_whom_it_was() {
    let node = Node::main().await;
    let program = Program::of_domain(&node, 1).await;
    let made = program.made("/Users", ana()).await;
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let given = operations(json!([{"op": "replace", "path": "name.givenName", "value": "Anna"}]));
    assert_eq!(program.ask("PATCH", &path, given).await.1["displayName"], "Anna Lima", "the other part stays");
    assert_eq!(program.ask("DELETE", &path, Value::Null).await.0, 204);
    // Another person gets the address that she had.
    let mut other = ana();
    other["userName"] = "ana.young@demo.test".into();
    other["externalId"] = "another".into();
    let (status, refused) = program.ask("POST", "/Users", other).await;
    assert_eq!((status, &refused["scimType"]), (409, &json!("uniqueness")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("deleted"), "{refused}");
    // She comes back under another address; who was let in as her is not let in any more.
    let account = AccountId(made["id"].as_str().unwrap().parse().unwrap());
    let (issuer, subject) = ("https://id.test".into(), "7".into());
    let subject = Subject { issuer, subject, account, since: Timestamp(1) };
    node.state.directory.submit(Request::BindSubject(subject)).await.unwrap();
    let mut back = ana();
    back["emails"][0]["value"] = "costa@demo.test".into();
    let again = program.made("/Users", back).await;
    assert_eq!(again["id"], made["id"]);
    assert!(node.get(&["users", "costa@demo.test"]).await.unwrap()["aliases"].to_string().contains("ana@demo.test"));
    let bound = node.state.directory.read(move |reader: &Reader<'_>| reader.subjects_of(account)).await.unwrap();
    assert_eq!(bound, []);
}

#[tokio::test]
async fn passwords_need_the_permission_to_give_them() {
    let node = Node::main().await;
    let mut rights = Rights::default();
    let people: Permissions = [Permission::read(Area::People), Permission::write(Area::People)].into_iter().collect();
    rights.add(Scope::Domain(DomainId(1)), "", people);
    let program = Program::with(&node, rights);
    let mut with_password = ana();
    with_password["password"] = "t1m-and-tern".into();
    assert_eq!(program.ask("POST", "/Users", with_password.clone()).await.0, 403);
    let made = program.made("/Users", ana()).await;
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let set = operations(json!([{"op": "replace", "path": "password", "value": "t1m-and-tern"}]));
    assert_eq!(program.ask("PATCH", &path, set).await.0, 403);
    assert_eq!(program.ask("PUT", &path, with_password.clone()).await.0, 403);
    assert_eq!(program.ask("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(program.ask("POST", "/Users", with_password).await.0, 403, "nor of who comes back");
    assert_eq!(node.get(&["users", "ana@demo.test"]).await.unwrap()["has_password"], false);
}

#[tokio::test]
async fn a_group_changes_though_a_member_was_deleted() {
    let node = Node::main().await;
    let program = Program::of_domain(&node, 1).await;
    let mut ids = Vec::new();
    for name in ["p0", "p1", "p2"] {
        ids.push(program.made("/Users", json!({"userName": format!("{name}@demo.test")})).await["id"].clone());
    }
    let members = json!([{"value": ids[0]}, {"value": ids[1]}]);
    let group = program.made("/Groups", json!({"displayName": "staff", "members": members})).await;
    let at = format!("/Groups/{}", group["id"].as_str().unwrap());
    assert_eq!(program.ask("DELETE", &format!("/Users/{}", ids[0].as_str().unwrap()), Value::Null).await.0, 204);
    let add = operations(json!([{"op": "add", "path": "members", "value": [{"value": ids[2]}, {"value": ids[2]}]}]));
    let (status, body) = program.ask("PATCH", &at, add).await;
    assert_eq!(status, 200, "{body}");
    let shown: Vec<&Value> = body["members"].as_array().unwrap().iter().map(|member| &member["value"]).collect();
    assert_eq!(shown, [&ids[1], &ids[2]]);
    // Whoever isn't seen stays in it, whatever the program says of the others.
    let put = json!({"displayName": "staff", "members": [{"value": ids[0]}, {"value": ids[1]}]});
    assert_eq!(program.ask("PUT", &at, put).await.0, 200);
    let found = node.get(&["groups", "staff@demo.test", "members"]).await.unwrap().to_string();
    assert!(found.contains("p0@") && found.contains("p1@") && !found.contains("p2@"), "{found}");
    assert_eq!(program.ask("DELETE", &at, Value::Null).await.0, 204);
    assert!(node.get(&["bin"]).await.unwrap().to_string().contains("staff@demo.test"), "it can be had back");

    // A group of an administrator's can be filled, and stays theirs.
    node.post("groups", json!({"address": "own@demo.test"})).await.unwrap();
    let id = node.get(&["groups", "own@demo.test"]).await.unwrap()["id"].to_string();
    let renamed = operations(json!([{"op": "replace", "path": "displayName", "value": "Own"}]));
    assert_eq!(program.ask("PATCH", &format!("/Groups/{id}"), renamed).await.0, 200);
    assert_eq!(program.ask("DELETE", &format!("/Groups/{id}"), Value::Null).await.0, 403);
}

#[tokio::test]
async fn of_two_who_make_the_same_person_at_once_one_does() {
    let node = Node::main().await;
    let entra = Program::of_domain(&node, 1).await;
    let person = |name: &str, id: &str, address: &str| {
        let emails = json!([{"primary": true, "value": format!("{address}@demo.test")}]);
        json!({"schemas": [USER], "userName": name, "externalId": id, "emails": emails})
    };
    for (one, other) in [
        (person("lima", "", "l1"), person("Lima", "", "l2")),
        (person("costa", "c", "c1"), person("costa2", "c", "c2")),
        (person("reis", "r1", "r"), person("reis2", "r2", "r")),
    ] {
        let (one, other) = tokio::join!(entra.ask("POST", "/Users", one), entra.ask("POST", "/Users", other));
        let (made, refused) = if one.0 == 201 { (one, other) } else { (other, one) };
        assert_eq!((made.0, refused.0, &refused.1["scimType"]), (201, 409, &json!("uniqueness")), "{refused:?}");
    }
    assert_eq!(entra.count("/Users").await, 3);
    let (status, refused) = entra.ask("POST", "/Users", person("costa3", "c", "c3")).await;
    assert_eq!((status, &refused["scimType"]), (409, &json!("uniqueness")));
    // Groups have ids of their own.
    let crew = |name: &str| json!({"schemas": [GROUP], "displayName": name, "externalId": "c"});
    entra.made("/Groups", crew("crew")).await;
    assert_eq!(entra.ask("POST", "/Groups", crew("crew2")).await.0, 409);
    // Nor does somebody become another by a change; what they are called in another case is the same name.
    let find = async |filter: &str| entra.get(&format!("/Users?filter={filter}")).await.1["Resources"][0].clone();
    let lima = find("userName eq \"LIMA\"").await["id"].as_str().unwrap().to_owned();
    // Either of the two was the first.
    let reis = find("userName sw \"reis\"").await["userName"].as_str().unwrap().to_owned();
    let rename = |name: &str| operations(json!([{"op": "replace", "path": "userName", "value": name}]));
    assert_eq!(entra.ask("PATCH", &format!("/Users/{lima}"), rename("porto")).await.0, 200, "nobody has it");
    assert_eq!(entra.ask("PATCH", &format!("/Users/{lima}"), rename(&reis.to_uppercase())).await.0, 409);
    assert_eq!(entra.ask("PATCH", &format!("/Users/{lima}"), rename("Porto")).await.0, 200);
    // Another domain's program has its own names.
    node.post("domains", json!({"name": "other.test"})).await.unwrap();
    let domain = node.get(&["domains", "other.test"]).await.unwrap()["id"].as_u64().unwrap();
    let okta = Program::of_domain(&node, domain).await;
    let elsewhere = json!({"schemas": [USER], "userName": "reis", "externalId": "c", "emails": ["reis@other.test"]});
    okta.made("/Users", elsewhere).await;
}
