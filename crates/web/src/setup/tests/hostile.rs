//! Requests that nobody's browser makes by itself.

use axum::body::Body;
use http::{StatusCode, header};

use super::{ADMINISTRATOR, PLACE, World, encoded};

#[tokio::test]
async fn forms_of_other_sites_change_nothing() {
    let world = World::new();
    let mut browser = world.inside().await;
    browser.get("/setup/administrator").await;
    let (token, fields) = (browser.token(), ADMINISTRATOR);
    // Without the token, with another one, with an empty one.
    for wrong in [None, Some(""), Some("00"), Some(&token[1..])] {
        let with: Vec<_> = wrong.map(|token| ("token", token)).into_iter().chain(fields).collect();
        assert_eq!(browser.post("/setup/administrator", &with).await.status, StatusCode::FORBIDDEN, "{wrong:?}");
    }
    // With the right one, from another site.
    for (name, value) in
        [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
    {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = browser.request("POST", "/setup/administrator").header(name, value);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = browser.send(request.body(Body::from(format!("token={token}&{}", body.join("&")))).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{value}");
    }
    assert!(world.setup.state().answers.administrator.is_none());
    // A code that somebody else's page sends is not looked at, and is still good afterwards.
    let (code, mut victim) = (world.code().await, world.browser());
    let request = victim.request("POST", "/setup").header("sec-fetch-site", "cross-site");
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = victim.send(request.body(Body::from(format!("code={code}"))).unwrap()).await;
    assert!(answer.status == StatusCode::FORBIDDEN && victim.cookies.is_empty());
    assert_eq!(victim.post("/setup", &[("code", &code)]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_cookie_that_somebody_else_chose_is_no_session() {
    let world = World::new();
    let mut browser = world.browser();
    browser.cookies.push(("__Host-sterna-setup".into(), "fixed".into()));
    let code = world.code().await;
    assert_eq!(browser.get("/setup/administrator").await.status, StatusCode::FORBIDDEN);
    browser.post("/setup", &[("code", &code)]).await;
    assert_ne!(browser.cookies[0].1, "fixed");
    browser.cookies[0].1 = "fixed".into();
    assert_eq!(browser.get("/setup/administrator").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_typed_never_becomes_markup() {
    let world = World::new();
    let mut browser = world.inside().await;
    let evil = "\"><script>alert(1)</script>";
    let fields = [("name", evil), ("local_part", "ana"), ADMINISTRATOR[2], ADMINISTRATOR[3]];
    assert_eq!(browser.submit("/setup/administrator", &fields).await.status, StatusCode::SEE_OTHER);
    for (page, fields) in [
        ("administrator", vec![("local_part", evil), ("name", evil)]),
        ("place", vec![("url", evil), ("domain", evil)]),
    ] {
        let answer = browser.submit(&format!("/setup/{page}"), &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!answer.body.contains("<script>alert") && answer.body.contains("&lt;script&gt;"), "{page}");
    }
    browser.submit("/setup/place", &PLACE).await;
    for (page, fields) in [
        ("certificate", vec![("kind", "files"), ("certificate", evil), ("key", "/x.missing")]),
        ("people", vec![("people", "</textarea><script>alert(1)</script> x")]),
        ("proof", vec![("elsewhere", evil)]),
    ] {
        let answer = browser.submit(&format!("/setup/{page}"), &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
        assert!(!answer.body.contains("<script>alert"), "{page}: {}", answer.body);
    }
}

#[tokio::test]
async fn wrong_huge_and_foreign_answers_are_told_at_their_fields() {
    let world = World::new();
    let mut browser = world.inside().await;
    browser.submit("/setup/administrator", &ADMINISTRATOR).await;
    let long = "x".repeat(5000);
    for url in ["https://u@mail.tern.test", "https://mail.tern.test:84430", "http://mail.tern.test", "https://", &long]
    {
        let answer = browser.submit("/setup/place", &[("url", url), ("domain", "tern.test")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}");
        assert!(answer.body.contains("href=\"#url\""), "{url}: {}", answer.body);
    }
    for domain in ["tern", "te rn.test", "tern..test", "-tern.test", "١٢٧.٠.٠.١", &long] {
        let fields = [("url", "https://mail.tern.test"), ("domain", domain)];
        let answer = browser.submit("/setup/place", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{domain}");
        assert!(answer.body.contains("href=\"#domain\""), "{domain}: {}", answer.body);
    }
    assert!(world.model.domains.lock().is_empty());
    // Digits of another language are digits.
    let fields = [("url", "https://mail.tern.test:٨٤٤٣"), ("domain", "tern.test")];
    assert_eq!(browser.submit("/setup/place", &fields).await.location, "/setup/checks");
    assert_eq!(*world.model.domains.lock(), [("tern.test".to_owned(), "https://mail.tern.test:8443".to_owned())]);
}

#[tokio::test]
async fn bodies_that_are_no_forms_are_refused() {
    let world = World::new();
    let mut browser = world.inside().await;
    browser.get("/setup/administrator").await;
    let token = browser.token();
    let mut send = async |kind: Option<&str>, body: Vec<u8>| {
        let mut request = browser.request("POST", "/setup/administrator");
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        browser.send(request.body(Body::from(body)).unwrap()).await.status
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(send(None, format!("token={token}").into()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(Some("application/json"), b"{}".to_vec()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(Some(form), b"token=%ff".to_vec()).await, StatusCode::BAD_REQUEST);
    assert_eq!(send(Some(form), b"name=%00".to_vec()).await, StatusCode::BAD_REQUEST);
    let huge = format!("token={token}&name={}", "x".repeat(2 << 20));
    assert_eq!(send(Some(form), huge.into()).await, StatusCode::PAYLOAD_TOO_LARGE);
    let long =
        format!("token={token}&name={}&local_part=ana&password={1}&again={1}", "x".repeat(900_000), "y".repeat(20));
    assert_eq!(send(Some(form), long.into()).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(world.setup.state().answers.administrator.is_none());
}

#[tokio::test]
async fn every_page_is_sent_with_a_strict_policy_and_loads_nothing_from_elsewhere() {
    let world = World::new();
    let mut browser = world.inside().await;
    browser.submit("/setup/administrator", &ADMINISTRATOR).await;
    browser.submit("/setup/place", &PLACE).await;
    let pages =
        ["administrator", "place", "checks", "dns", "certificate", "storage", "backup", "people", "proof", "nothing"];
    for page in pages {
        let answer = browser.get(&format!("/setup/{page}")).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::X_FRAME_OPTIONS], "DENY");
        for wrong in [" style=", " onclick=", "javascript:", "src=\"http", "href=\"http"] {
            assert!(!answer.body.contains(wrong), "{page} has {wrong}");
        }
        for link in answer.body.split(" href=\"/setup/assets/").skip(1) {
            let path = format!("/setup/assets/{}", link.split('"').next().unwrap());
            let asset = browser.get(&path).await;
            assert_eq!(asset.status, StatusCode::OK, "{path}");
            assert!(asset.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        }
    }
    assert_eq!(browser.get("/setup/assets/0/nothing.css").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/setup/assets/0/base.css").await.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn events_are_for_the_session_only() {
    let world = World::new();
    let mut outside = world.browser();
    assert_eq!(outside.get("/setup/live/checks").await.status, StatusCode::FORBIDDEN);
    let mut browser = world.inside().await;
    assert_eq!(browser.get("/setup/live/nothing").await.status, StatusCode::NOT_FOUND);
}
