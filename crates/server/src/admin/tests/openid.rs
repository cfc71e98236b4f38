//! Signing in with OpenID Connect, with a small provider: what goes right, and everything that must not.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sterna_directory::rights::SecondFactor;
use sterna_directory::{Request, Scope};
use tower::ServiceExt;

use super::super::records::Records;
use super::super::sessions::From;
use super::Node;
use crate::openid::sign_in;
use crate::openid::token::tests::Signer;

/// A provider of one person after the other.
struct Provider {
    issuer: String,
    signer: Mutex<Signer>,
    /// What it says in addition, or otherwise.
    says: Mutex<Value>,
    /// What it was asked for at the token endpoint.
    asked: Mutex<HashMap<String, String>>,
    keys_asked: Mutex<usize>,
    iss_supported: Mutex<bool>,
}

type Shared = State<Arc<Provider>>;

async fn provider() -> Arc<Provider> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let provider = Arc::new(Provider {
        issuer,
        signer: Mutex::new(Signer::new("one")),
        says: Mutex::new(json!({})),
        asked: Mutex::default(),
        keys_asked: Mutex::new(0),
        iss_supported: Mutex::new(false),
    });
    let about = async |State(provider): Shared| {
        let at = &provider.issuer;
        Json(json!({
            "issuer": at, "authorization_endpoint": format!("{at}/authorize?tenant=1"),
            "token_endpoint": format!("{at}/token"), "jwks_uri": format!("{at}/keys"),
            "end_session_endpoint": format!("{at}/logout"),
            "authorization_response_iss_parameter_supported": *provider.iss_supported.lock(),
        }))
    };
    let keys = async |State(provider): Shared| {
        *provider.keys_asked.lock() += 1;
        Json(json!({"keys": [{"kty": "future"}, provider.signer.lock().jwk()]}))
    };
    let token = async |State(provider): Shared, headers: HeaderMap, body: String| {
        let uri: axum::http::Uri = format!("/?{body}").parse().unwrap();
        let Query(asked) = Query::<HashMap<String, String>>::try_from_uri(&uri).unwrap();
        let basic = headers.get("authorization").is_some_and(|value| value == "Basic c3Rlcm5hOnMlMjZjcmV0");
        assert!(basic, "the secret proves who asks: {headers:?}");
        let mut claims = json!({
            "iss": provider.issuer, "aud": "sterna", "sub": "7", "email": "ana@demo.test", "email_verified": true,
            // The clock of the tests.
            "iat": 1000, "exp": 1300,
        });
        let says = provider.says.lock().clone();
        claims.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
        *provider.asked.lock() = asked;
        let signer = provider.signer.lock();
        let header = says.get("header").cloned().unwrap_or_else(|| json!({"alg": "ES256", "kid": signer.kid}));
        Json(json!({"access_token": "a", "token_type": "Bearer", "id_token": signer.token(header, &claims)}))
    };
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(about))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .with_state(provider.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    provider
}

/// The main node with ana, and a browser.
struct Stage {
    node: Node,
    records: Records,
    provider: Arc<Provider>,
    pages: Router,
}

impl Stage {
    async fn new() -> Self {
        let mut node = Node::main().await;
        let records = Records::open(node.folder.path()).unwrap();
        node.state.records = Some(records.clone());
        node.post(
            "users",
            json!({
                "address": "ana@demo.test", "aliases": ["lima@demo.test"], "password": "sesame", "server": "alpha",
            }),
        )
        .await
        .unwrap();
        let provider = provider().await;
        let stage = Stage { pages: sign_in::router(node.state.clone()), node, records, provider };
        for (name, value) in [
            ("openid.issuer", &*stage.provider.issuer),
            ("openid.client-id", "sterna"),
            ("openid.client-secret", "s&cret"),
        ] {
            stage.set(name, value).await;
        }
        stage
    }

    async fn set(&self, name: &str, value: &str) {
        let value = Some(value.to_owned());
        let request =
            Request::PutSetting { expect: None, scope: Scope::System, name: name.into(), value, by: String::new() };
        self.node.state.directory.submit(request).await.unwrap();
    }

    /// Where it leads, and the cookies that it sets.
    async fn visit(&self, path: &str, cookie: &str) -> (String, Vec<String>) {
        let from = From { peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), encrypted: true };
        self.visit_from(path, cookie, from).await
    }

    async fn visit_from(&self, path: &str, cookie: &str, from: From) -> (String, Vec<String>) {
        let request = axum::http::Request::get(path).header("host", "mail.demo.test").header("cookie", cookie);
        let pages = self.pages.clone().layer(Extension(from));
        let response = pages.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 303, "{path}");
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
        let cookies = response.headers().get_all(header::SET_COOKIE).iter().map(text).collect();
        (text(&response.headers()[header::LOCATION]), cookies)
    }

    /// Begins; gives the parameters that the provider gets, and the browser's cookie.
    async fn begin(&self, to: &str) -> (HashMap<String, String>, String) {
        let (place, cookies) = self.visit(&format!("/admin/openid/start?to={to}"), "").await;
        assert!(place.starts_with(&format!("{}/authorize?tenant=1&", self.provider.issuer)), "{place}");
        let uri: axum::http::Uri = place.parse().unwrap();
        let Query(parameters) = Query::try_from_uri(&uri).unwrap();
        let cookie = cookies[0].split(';').next().unwrap().to_owned();
        assert!(cookies[0].contains("Secure; HttpOnly; SameSite=Lax"), "{}", cookies[0]);
        (parameters, cookie)
    }

    /// Goes all the way; gives where it ends and whether there is a session.
    async fn sign_in(&self, says: Value, more: &str) -> (String, bool) {
        let (parameters, cookie) = self.begin("/admin/people/users").await;
        self.back(&parameters, &cookie, says, more).await
    }

    async fn back(
        &self,
        parameters: &HashMap<String, String>,
        cookie: &str,
        says: Value,
        more: &str,
    ) -> (String, bool) {
        let mut all = json!({"nonce": parameters["nonce"]});
        all.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
        *self.provider.says.lock() = all;
        let path = format!("/admin/openid/callback?state={}&code=c{more}", parameters["state"]);
        let (place, cookies) = self.visit(&path, cookie).await;
        let session =
            cookies.iter().any(|cookie| cookie.starts_with("__Host-sterna=") && cookie.contains("SameSite=Strict"));
        (place, session)
    }

    async fn is_refused(&self, says: Value, more: &str, code: &str) {
        let before = self.sessions().await;
        let found = self.sign_in(says.clone(), more).await;
        assert_eq!(found, (format!("/admin/?openid={code}"), false), "{says} {more}");
        assert_eq!(self.sessions().await, before);
    }

    async fn forget(&self) {
        let path = "/api/v1/users/ana@demo.test/openid";
        let gone = self.node.client.send(hyper::Method::DELETE, path, None).await.unwrap();
        assert!(gone.changed);
    }

    async fn sessions(&self) -> usize {
        self.records.sessions(None, self.node.state.directory.now()).await.unwrap().len()
    }
}

#[tokio::test]
async fn somebody_who_is_here_signs_in_and_is_granted_nothing() {
    let stage = Stage::new().await;
    let (parameters, cookie) = stage.begin("/admin/people/users?text=a").await;
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "sterna"),
        ("redirect_uri", "https://mail.demo.test/admin/openid/callback"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameters[name], value);
    }
    let (place, session) = stage.back(&parameters, &cookie, json!({"email_verified": true}), "").await;
    assert_eq!((place.as_str(), session), ("/admin/people/users?text=a", true));
    let asked = stage.provider.asked.lock().clone();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, asked["code_verifier"].as_bytes());
    assert_eq!(parameters["code_challenge"], URL_SAFE_NO_PAD.encode(digest.as_ref()), "PKCE");
    assert_eq!((asked["code"].as_str(), asked["redirect_uri"].as_str()), ("c", parameters["redirect_uri"].as_str()));
    let ana = stage.node.get(&["users", "ana@demo.test"]).await.unwrap();
    assert_eq!(ana["admin"], false);
    // The same answer once more is nothing.
    assert_eq!(stage.back(&parameters, &cookie, json!({}), "").await, ("/admin/?openid=expired".to_owned(), false));
    assert_eq!(stage.sessions().await, 1);

    // By another claim; and signing out there.
    stage.forget().await;
    stage.set("openid.claim", "preferred_username").await;
    assert!(
        stage.sign_in(json!({"preferred_username": "ANA@demo.example"}), "").await.1,
        "her address by the domain's other name"
    );
    let (place, _) = stage.visit("/admin/openid/logout", "").await;
    let back = "client_id=sterna&post_logout_redirect_uri=https%3A%2F%2Fmail.demo.test%2Fadmin%2F";
    assert_eq!(place, format!("{}/logout?{back}", stage.provider.issuer));
}

#[tokio::test]
async fn what_the_provider_says_wrongly_signs_nobody_in() {
    let stage = Stage::new().await;
    for says in [
        json!({"iss": "https://evil.test"}),
        json!({"aud": "other"}),
        json!({"aud": ["sterna", "other"]}),
        json!({"exp": 900}),
        json!({"iat": 5000}),
        json!({"nonce": "other"}),
        json!({"header": {"alg": "none"}}),
        json!({"header": {"alg": "HS256", "kid": "one"}}),
        json!({"header": {"alg": "ES256", "kid": "two"}}),
    ] {
        stage.is_refused(says, "", "refused").await;
    }
    stage.is_refused(json!({}), "&iss=https%3A%2F%2Fevil.test", "refused").await;
    stage.is_refused(json!({}), "&error=access_denied", "refused").await;
    for says in [
        json!({"email": "nobody@demo.test"}),
        json!({"email": ""}),
        json!({"email": 7}),
        json!({"email_verified": false}),
        json!({"email_verified": "false"}),
        json!({"email_verified": null}),
        json!({"email": "lima@demo.test"}),
    ] {
        stage.is_refused(says, "", "unknown").await;
    }
    assert!(stage.node.get(&["users", "nobody@demo.test"]).await.is_err(), "nobody is made");
    stage.node.patch(&["users", "ana@demo.test"], json!({"suspended": true})).await.unwrap();
    stage.is_refused(json!({}), "", "unknown").await;
    stage.node.patch(&["users", "ana@demo.test"], json!({"suspended": false})).await.unwrap();
    assert!(stage.sign_in(json!({}), "").await.1);
}

#[tokio::test]
async fn states_are_of_one_browser_and_one_sign_in() {
    let stage = Stage::new().await;
    let (parameters, cookie) = stage.begin("/admin/").await;
    let expired = ("/admin/?openid=expired".to_owned(), false);
    assert_eq!(stage.back(&parameters, "", json!({}), "").await, expired, "no cookie");
    let other = stage.begin("/admin/").await;
    assert_eq!(stage.back(&parameters, &other.1, json!({}), "").await, expired, "another browser's");
    let forged = HashMap::from([("state".to_owned(), "x".repeat(43)), ("nonce".to_owned(), "n".to_owned())]);
    assert_eq!(stage.back(&forged, &cookie, json!({}), "").await, expired);
    assert!(stage.back(&parameters, &cookie, json!({}), "").await.1, "others didn't end it");
    // The answer to one sign-in is none to another: their nonces differ.
    let (first, second) = (stage.begin("/admin/").await, stage.begin("/admin/").await);
    let mixed = stage.back(&second.0, &second.1, json!({"nonce": first.0["nonce"]}), "").await;
    assert_eq!(mixed, ("/admin/?openid=refused".to_owned(), false));
    let (parameters, cookie) = stage.begin("/admin/").await;
    stage.node.clock.advance_ms(11 * 60 * 1000);
    assert_eq!(stage.back(&parameters, &cookie, json!({}), "").await, expired, "too late");
}

#[tokio::test]
async fn nobody_is_led_elsewhere_and_nothing_goes_unencrypted() {
    let stage = Stage::new().await;
    for to in [
        "https://evil.test/",
        "//evil.test/",
        "/admin//evil.test",
        "/\\evil.test",
        "/api/v1/users",
        "/admin/../x",
        "/admin/openid/logout",
        "/adminx",
        "javascript:alert(1)",
        "/admin/%0d%0aSet-Cookie:x=y",
    ] {
        let (parameters, cookie) = stage.begin(to).await;
        let (place, session) = stage.back(&parameters, &cookie, json!({}), "").await;
        assert_eq!((place.as_str(), session), ("/admin/", true), "{to}");
    }
    let plain = From { peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), encrypted: false };
    for path in ["/admin/openid/start", "/admin/openid/callback?state=a&code=b"] {
        assert_eq!(stage.visit_from(path, "", plain).await.0, "/admin/?openid=not-encrypted", "{path}");
    }
    let long = format!("/admin/openid/callback?state={}&code=c", "s".repeat(9000));
    assert_eq!(stage.visit(&long, "").await.0, "/admin/?openid=expired");
}

#[tokio::test]
async fn keys_change_and_answers_say_from_whom_they_are() {
    let stage = Stage::new().await;
    assert!(stage.sign_in(json!({}), "").await.1);
    assert!(stage.sign_in(json!({}), "").await.1);
    assert_eq!(*stage.provider.keys_asked.lock(), 1, "keys are kept");
    // A key of the same name by somebody else isn't asked for again.
    *stage.provider.signer.lock() = Signer::new("one");
    stage.is_refused(json!({}), "", "refused").await;

    // One of a new name is.
    *stage.provider.signer.lock() = Signer::new("two");
    assert!(stage.sign_in(json!({}), "").await.1);
    assert_eq!(*stage.provider.keys_asked.lock(), 2);

    let fresh = Stage::new().await;
    *fresh.provider.iss_supported.lock() = true;
    fresh.is_refused(json!({}), "", "refused").await;
    let own = format!("&iss={}", fresh.provider.issuer.replace(':', "%3A").replace('/', "%2F"));
    assert!(fresh.sign_in(json!({}), &own).await.1);
    // Who has a second factor here must have used one there.
    let account =
        sterna_base::AccountId(fresh.node.get(&["users", "ana@demo.test"]).await.unwrap()["id"].as_u64().unwrap());
    let factor = SecondFactor {
        account,
        totp_sealed: "sealed".into(),
        last_step: 0,
        recovery: Vec::new(),
        created_at: fresh.node.state.directory.now(),
    };
    let request = Request::SetSecondFactor { account, factor: Some(factor) };
    fresh.node.state.directory.submit(request).await.unwrap();
    fresh.is_refused(json!({}), &own, "second-factor").await;
    fresh.is_refused(json!({"amr": ["pwd"]}), &own, "second-factor").await;
    assert!(fresh.sign_in(json!({"amr": ["pwd", "mfa"]}), &own).await.1);
}

#[tokio::test]
async fn a_secret_is_of_the_provider_that_gave_it() {
    let stage = Stage::new().await;
    let secret = async || {
        let read = |reader: &sterna_directory::Reader<'_>| reader.setting(Scope::System, "openid.client-secret");
        stage.node.state.directory.read(read).await.unwrap()
    };
    stage.set("openid.issuer", &stage.provider.issuer).await;
    assert!(secret().await.is_some());
    stage.set("openid.issuer", "https://evil.test").await;
    assert!(secret().await.is_none(), "it would be sent there");
}

#[tokio::test]
async fn from_the_first_sign_in_on_it_is_the_provider_s_own_name_that_counts() {
    let stage = Stage::new().await;
    let zoe = json!({"address": "zoe@demo.test", "password": "sesame", "server": "alpha"});
    stage.node.post("users", zoe).await.unwrap();
    assert!(stage.sign_in(json!({}), "").await.1);
    // Her address there is given to somebody else: who has it now isn't she, and she is still she.
    stage.is_refused(json!({"sub": "8"}), "", "unknown").await;
    assert!(stage.sign_in(json!({"email": "other@demo.test", "email_verified": false}), "").await.1);
    assert!(stage.sign_in(json!({"sub": "9", "email": "zoe@demo.test"}), "").await.1, "somebody else, who is new");
    let now = stage.node.state.directory.now();
    let sessions = stage.records.sessions(None, now).await.unwrap();
    let ana = stage.node.get(&["users", "ana@demo.test"]).await.unwrap()["id"].as_u64().unwrap();
    assert_eq!(sessions.iter().filter(|session| session.account.0 == ana).count(), 2);
    for says in [json!({"sub": ""}), json!({"sub": null})] {
        stage.is_refused(says, "", "refused").await;
    }
    // Forgotten, the next who proves the address is bound.
    stage.forget().await;
    assert!(stage.sign_in(json!({"sub": "8"}), "").await.1);
    stage.is_refused(json!({}), "", "unknown").await;
}
