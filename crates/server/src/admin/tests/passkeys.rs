//! Passkeys through the API: made by a session, used besides the password and instead of it, refused when they are
//! somebody else's, for another page, answered twice, or copied.

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use serde_json::{Value, json};
use sterna_account::service::{Authenticator, LoginAttempt};
use sterna_base::{AccountId, Secret};
use sterna_directory::rights::Rights;
use tower::ServiceExt;

use super::super::principal::{Principal, Via};
use super::super::records::Records;
use super::super::router;
use super::super::sessions::From;
use super::Node;
use crate::webauthn::test_authenticator::TestAuthenticator;
use crate::webauthn::{decode, encode};

const HOST: &str = "mail.demo.test:8443";
const ORIGIN: &str = "https://mail.demo.test:8443";
const RP: &str = "mail.demo.test";
const CONSOLE: &str = "/api/v1/session";

/// A node with two people, and one of them as the API sees them: as a session, and before there is one.
struct Stage {
    node: Node,
    account: AccountId,
    signed_in: Router,
    nobody: Router,
}

impl Stage {
    async fn new() -> Self {
        let mut node = Node::main().await;
        node.state.records = Some(Records::open(node.folder.path()).unwrap());
        for address in ["ana@demo.test", "ben@demo.test"] {
            node.post("users", json!({"address": address, "password": "sesame", "server": "alpha"})).await.unwrap();
        }
        let ana = node.get(&["users", "ana@demo.test"]).await.unwrap();
        let account = AccountId(ana["id"].as_u64().unwrap());
        let (name, via) = ("ana@demo.test".to_owned(), Via::Session("s".to_owned()));
        let ana = Principal { name, account: Some(account), rights: Rights::default(), via, peer: None };
        let nobody = from_outside(router(node.state.clone()));
        let insert = from_fn(move |mut request: axum::extract::Request, next: axum::middleware::Next| {
            request.extensions_mut().insert(ana.clone());
            next.run(request)
        });
        let signed_in = nobody.clone().layer(insert);
        Stage { node, account, signed_in, nobody }
    }

    async fn ask(&self, router: &Router, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = axum::http::Request::builder().method(method).uri(path).header("host", HOST);
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn question(&self) -> Vec<u8> {
        let (status, options) = self.ask(&self.nobody, "POST", "/api/v1/session/passkey-challenge", json!({})).await;
        assert_eq!((status, &options["rpId"]), (200, &json!(RP)), "{options}");
        decode(options["challenge"].as_str().unwrap()).unwrap()
    }

    /// Makes a passkey of an authenticator.
    async fn register(&self, authenticator: &TestAuthenticator, password: &str) -> (u16, String) {
        let (status, options) = self.ask(&self.signed_in, "POST", "/api/v1/me/passkeys/challenge", json!({})).await;
        assert_eq!((status, &options["rp"]["id"]), (200, &json!(RP)), "{options}");
        let challenge = decode(options["challenge"].as_str().unwrap()).unwrap();
        let data = TestAuthenticator::client_data("webauthn.create", &challenge, ORIGIN);
        let response = json!({
            "clientDataJSON": encode(&data),
            "attestationObject": encode(&authenticator.attestation(RP)),
        });
        let body = json!({"name": "Key", "password": password, "credential": {"response": response}});
        let (status, made) = self.ask(&self.signed_in, "POST", "/api/v1/me/passkeys", body).await;
        (status, made["id"].as_str().or(made["code"].as_str()).unwrap_or_default().to_owned())
    }

    /// What an authenticator answers to a question.
    fn answer(&self, authenticator: &TestAuthenticator, challenge: &[u8], origin: &str) -> Value {
        let data = TestAuthenticator::client_data("webauthn.get", challenge, origin);
        let (said, signature) = authenticator.assertion(RP, &data);
        json!({
            "id": encode(&authenticator.credential),
            "response": {
                "clientDataJSON": encode(&data),
                "authenticatorData": encode(&said),
                "signature": encode(&signature),
                "userHandle": encode(&self.account.0.to_be_bytes()),
            },
        })
    }

    async fn sign_in(&self, body: Value) -> (u16, String) {
        let (status, answer) = self.ask(&self.nobody, "POST", CONSOLE, body).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Whether a mail program is let in with the password.
    async fn mail_program(&self) -> bool {
        let password = Secret::new("sesame");
        let (login, peer) = ("ana@demo.test", [192, 0, 2, 7].into());
        let attempt = LoginAttempt { login, password: &password, protocol: "imap", peer };
        self.node.state.authentication.authenticate(attempt).await.is_ok()
    }

    async fn set(&self, value: &str) {
        self.node.patch(&["settings", "console.passkeys"], json!({"value": value})).await.unwrap();
    }
}

fn from_outside(router: Router) -> Router {
    router.layer(from_fn(|mut request: axum::extract::Request, next: axum::middleware::Next| {
        request.extensions_mut().insert(From { peer: [192, 0, 2, 7].into(), encrypted: true });
        next.run(request)
    }))
}

fn with_password(passkey: &Value) -> Value {
    json!({"login": "ana@demo.test", "password": "sesame", "passkey": passkey})
}

fn wrong() -> (u16, String) {
    (401, "wrong-passkey".to_owned())
}

#[tokio::test]
async fn a_passkey_is_asked_for_besides_the_password() {
    let stage = Stage::new().await;
    let mut key = TestAuthenticator::new();
    let password = json!({"login": "ana@demo.test", "password": "sesame"});
    assert_eq!(stage.sign_in(password.clone()).await.0, 201, "none is asked for yet");
    assert_eq!(stage.register(&key, "not it").await, (401, "wrong-password".to_owned()));
    assert_eq!(stage.register(&key, "sesame").await.0, 201);
    assert_eq!(stage.register(&key, "sesame").await, (422, "invalid".to_owned()), "twice");
    assert_eq!(stage.sign_in(password).await, (401, "second-factor-needed".to_owned()));
    key.count = 2;
    let answer = stage.answer(&key, &stage.question().await, ORIGIN);
    let wrong_password = json!({"login": "ana@demo.test", "password": "x", "passkey": answer});
    assert_eq!(stage.sign_in(wrong_password).await, (401, "wrong-password".to_owned()));
    assert_eq!(stage.sign_in(json!({"passkey": answer})).await, wrong(), "it is not enough by itself");
    let answer = stage.answer(&key, &stage.question().await, ORIGIN);
    assert_eq!(stage.sign_in(with_password(&answer)).await.0, 201);
    assert_eq!(stage.sign_in(with_password(&answer)).await, wrong(), "the same answer again");
    // An administrator sees it, and takes it away when it is lost.
    let listed = stage.node.get(&["users", "ana@demo.test", "passkeys"]).await.unwrap();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let root = from_fn(move |mut request: axum::extract::Request, next: axum::middleware::Next| {
        request.extensions_mut().insert(Principal::at_socket("root".into()));
        next.run(request)
    });
    let root = router(stage.node.state.clone()).layer(root);
    let path = format!("/api/v1/users/ana@demo.test/passkeys/{id}");
    assert_eq!(stage.ask(&root, "DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(stage.sign_in(json!({"login": "ana@demo.test", "password": "sesame"})).await.0, 201);
}

#[tokio::test]
async fn answers_of_others_and_copies_are_refused() {
    let stage = Stage::new().await;
    let (mut key, other) = (TestAuthenticator::new(), TestAuthenticator::new());
    assert_eq!(stage.register(&key, "sesame").await.0, 201);
    key.count = 5;
    let question = stage.question().await;
    let evil = stage.answer(&key, &question, "https://evil.test");
    assert_eq!(stage.sign_in(with_password(&evil)).await, wrong(), "another page asked");
    let used_up = stage.answer(&key, &question, ORIGIN);
    assert_eq!(stage.sign_in(with_password(&used_up)).await, wrong(), "the question was used up by that");
    let made_up = stage.answer(&key, &[7; 32], ORIGIN);
    assert_eq!(stage.sign_in(with_password(&made_up)).await, wrong(), "nobody asked that");
    let mut stranger = stage.answer(&other, &stage.question().await, ORIGIN);
    assert_eq!(stage.sign_in(with_password(&stranger)).await, wrong(), "not known here");
    stranger = stage.answer(&other, &stage.question().await, ORIGIN);
    stranger["id"] = json!(encode(&key.credential));
    assert_eq!(stage.sign_in(with_password(&stranger)).await, wrong(), "signed by another key");
    let answer = stage.answer(&key, &stage.question().await, ORIGIN);
    let as_ben = json!({"login": "ben@demo.test", "password": "sesame", "passkey": answer});
    assert_eq!(stage.sign_in(as_ben).await, wrong(), "somebody else's");
    let late = stage.answer(&key, &stage.question().await, ORIGIN);
    stage.node.clock.advance_ms(5 * 60 * 1000 + 1);
    assert_eq!(stage.sign_in(with_password(&late)).await, wrong(), "too late");
    let answer = stage.answer(&key, &stage.question().await, ORIGIN);
    assert_eq!(stage.sign_in(with_password(&answer)).await.0, 201);
    for count in [5, 4, 0] {
        key.count = count;
        let copy = stage.answer(&key, &stage.question().await, ORIGIN);
        assert_eq!(stage.sign_in(with_password(&copy)).await, wrong(), "a copy that counts {count}");
        stage.node.clock.advance_ms(3_600_000);
    }
    key.count = 6;
    let answer = stage.answer(&key, &stage.question().await, ORIGIN);
    assert_eq!(stage.sign_in(with_password(&answer)).await.0, 201);
    // Nor is one of a name's answers good for making one.
    let (_, options) = stage.ask(&stage.signed_in, "POST", "/api/v1/me/passkeys/challenge", json!({})).await;
    let making = decode(options["challenge"].as_str().unwrap()).unwrap();
    key.count = 7;
    assert_eq!(stage.sign_in(with_password(&stage.answer(&key, &making, ORIGIN))).await, wrong());
}

#[tokio::test]
async fn a_passkey_alone_lets_in_where_that_is_allowed() {
    let stage = Stage::new().await;
    let mut key = TestAuthenticator::new();
    assert_eq!(stage.register(&key, "sesame").await.0, 201);
    stage.set("instead-of-password").await;
    key.count = 2;
    let alone = json!({"passkey": stage.answer(&key, &stage.question().await, ORIGIN)});
    assert_eq!(stage.sign_in(alone).await.0, 201);
    // Only touched, without finger, face or PIN.
    (key.count, key.flags) = (3, 0b001);
    let touched = json!({"passkey": stage.answer(&key, &stage.question().await, ORIGIN)});
    assert_eq!(stage.sign_in(touched).await, wrong());
    key.flags = 0b101;
    stage.node.patch(&["users", "ana@demo.test"], json!({"suspended": true})).await.unwrap();
    let alone = json!({"passkey": stage.answer(&key, &stage.question().await, ORIGIN)});
    assert_eq!(stage.sign_in(alone).await, wrong(), "suspended");
    stage.node.patch(&["users", "ana@demo.test"], json!({"suspended": false})).await.unwrap();
    stage.set("off").await;
    let (status, answer) = stage.ask(&stage.nobody, "POST", "/api/v1/session/passkey-challenge", json!({})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("passkeys-off")));
    let password = json!({"login": "ana@demo.test", "password": "sesame"});
    assert_eq!(stage.sign_in(password).await.0, 201, "nothing is asked for that can't be given");
    assert!(stage.mail_program().await, "and programs go on with the password");
    stage.set("second-factor").await;
    assert!(!stage.mail_program().await, "they need an app password");
    assert!(stage.node.patch(&["settings", "console.passkeys"], json!({"value": "sometimes"})).await.is_err());
}
