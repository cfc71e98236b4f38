//! The link: once, for an hour, for one browser.

use http::{StatusCode, header};

use super::super::guesses::{GUESSES_MAX, WAIT_MS};
use super::super::{LINK_MS, SESSION_MS};
use super::World;

#[tokio::test]
async fn a_link_works_once_and_the_cookie_is_for_this_site_only() {
    let world = World::new();
    let (code, mut one, mut two) = (world.code().await, world.browser(), world.browser());
    let answer = one.post("/setup", &[("code", &code.to_lowercase().replace('-', " "))]).await;
    assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/setup/administrator"));
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-sterna-setup="), "{cookie}");
    for attribute in ["; Path=/", "; HttpOnly", "; Secure", "; SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert_eq!(two.post("/setup", &[("code", &code)]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(two.get("/setup/administrator").await.location, "/setup");
    assert_eq!(one.get("/setup/administrator").await.status, StatusCode::OK);
    // Neither the code nor the secret of the session is in the file.
    let file = std::fs::read_to_string(world.folder.path().join("setup.toml")).unwrap();
    assert!(!file.contains(&code.replace('-', "")) && !file.contains(&one.cookies[0].1), "{file}");
}

#[tokio::test]
async fn a_link_ends_after_an_hour_and_a_new_one_ends_the_former() {
    let world = World::new();
    let (old, mut browser) = (world.code().await, world.browser());
    world.clock.advance_ms(LINK_MS);
    assert_eq!(browser.post("/setup", &[("code", &old)]).await.status, StatusCode::FORBIDDEN);
    let (former, latest) = (world.code().await, world.code().await);
    assert_eq!(browser.post("/setup", &[("code", &former)]).await.status, StatusCode::FORBIDDEN);
    world.clock.advance_ms(LINK_MS - 1);
    assert_eq!(browser.post("/setup", &[("code", &latest)]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_second_browser_takes_over_and_the_first_is_told() {
    let world = World::new();
    let mut first = world.inside().await;
    first.submit("/setup/administrator", &super::ADMINISTRATOR).await;
    let mut second = world.inside().await;
    // The answers are there; the one who had them is outside.
    assert_eq!(second.get("/setup").await.location, "/setup/place");
    let answer = first.submit("/setup/place", &super::PLACE).await;
    assert!(answer.status == StatusCode::FORBIDDEN && answer.body.contains("another browser"), "{}", answer.body);
    assert!(world.model.domains.lock().is_empty());
    assert_eq!(second.submit("/setup/place", &super::PLACE).await.location, "/setup/checks");
}

#[tokio::test]
async fn a_session_survives_a_restart_and_ends_after_a_day() {
    let mut world = World::new();
    let mut browser = world.inside().await;
    world.restart();
    browser.router = super::router(world.setup.clone());
    assert_eq!(browser.get("/setup/administrator").await.status, StatusCode::OK);
    world.clock.advance_ms(SESSION_MS);
    assert_eq!(browser.get("/setup/administrator").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_guesses_waits_although_the_next_guess_is_right() {
    let world = World::new();
    let (code, mut guessing, mut other) = (world.code().await, world.browser(), world.browser());
    other.address = "192.0.2.8".parse().unwrap();
    for wrong in 0..GUESSES_MAX {
        let guess = format!("AAAA-BBBB-CCCC-DDD{wrong}");
        assert_eq!(guessing.post("/setup", &[("code", &guess)]).await.status, StatusCode::FORBIDDEN);
    }
    let answer = guessing.post("/setup", &[("code", &code)]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers[header::RETRY_AFTER], "60");
    assert_eq!(guessing.get("/setup/administrator").await.location, "/setup");
    // Nobody else is kept out, and after the wait the right one is right.
    assert_eq!(other.post("/setup", &[("code", "AAAA-BBBB-CCCC-DDDD")]).await.status, StatusCode::FORBIDDEN);
    world.clock.advance_ms(WAIT_MS);
    assert_eq!(guessing.post("/setup", &[("code", &code)]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn two_at_once_with_one_link_are_one_inside() {
    let world = World::new();
    let code = world.code().await;
    let (mut one, mut two) = (world.browser(), world.browser());
    let (first, second) = tokio::join!(async { one.post("/setup", &[("code", &code)]).await.status }, async {
        two.post("/setup", &[("code", &code)]).await.status
    });
    let mut both = [first, second];
    both.sort();
    assert_eq!(both, [StatusCode::SEE_OTHER, StatusCode::FORBIDDEN]);
}
