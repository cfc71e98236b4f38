//! What administrators are told without asking, and when they ask.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};
use sterna_account::service::{Envelope, Message, MessageBody, Reception, Refusal, Sender};
use sterna_directory::Mode;
use sterna_mailflow::trace::Trace;
use tokio_util::sync::CancellationToken;

use super::Node;
use crate::admin::sessions::From;
use crate::admin::vitals::Vitals;
use crate::admin::{AdminState, Morning};
use crate::cli::Exit;
use crate::web::health;

/// Takes every message, and keeps what it says.
#[derive(Default)]
struct Letters(Mutex<Vec<(Vec<String>, String)>>);

#[async_trait]
impl Reception for Letters {
    async fn sender(&self, _sender: &Sender, _address: &str) -> Result<(), Refusal> {
        Ok(())
    }

    async fn recipient(&self, _sender: &Sender, _from: &str, _address: &str) -> Result<(), Refusal> {
        Ok(())
    }

    async fn deliver(&self, envelope: Envelope, message: Message) -> Vec<Result<(), Refusal>> {
        let to: Vec<String> = envelope.recipients.iter().map(|to| to.address.clone()).collect();
        let MessageBody::Inline(content) = message.body else { panic!("it is short") };
        let answers = to.iter().map(|_| Ok(())).collect();
        self.0.lock().unwrap().push((to, String::from_utf8_lossy(&content).into_owned()));
        answers
    }
}

/// Looks once, as at present it is wanted.
async fn look(morning: &Morning) {
    let hour = morning.hour().await.unwrap();
    morning.round(hour, &jiff::tz::TimeZone::UTC).await.unwrap();
}

#[tokio::test]
async fn administrators_hear_in_the_morning_of_what_changed_and_of_nothing_else() {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let node = Node::main().await;
    node.post("users", json!({"address": "ana@demo.test", "server": "alpha", "admin": true})).await.unwrap();
    let letters: Arc<Letters> = Arc::default();
    let reception: Arc<dyn Reception> = letters.clone();
    let taken = Arc::new(move || Some(reception.clone()));
    let morning = Morning::new(node.state.clone(), taken, "mail.demo.test".to_owned(), node.folder.path());
    let told = || std::mem::take(&mut *letters.0.lock().unwrap());
    node.clock.advance_ms(8 * 3600 * 1000);
    look(&morning).await;
    // What a new installation has to look at is told, if anything.
    told();
    node.clock.advance_ms(DAY_MS);
    look(&morning).await;
    assert_eq!(told(), [], "nothing changed");

    *node.servers.beta_is_down.lock().unwrap() = true;
    node.clock.advance_ms(3600 * 1000);
    look(&morning).await;
    assert!(told().is_empty(), "it was looked at this morning");
    node.clock.advance_ms(DAY_MS);
    look(&morning).await;
    let [(to, text)] = &told()[..] else { panic!("one letter") };
    assert_eq!(to, &["ana@demo.test"]);
    assert!(text.contains("Auto-Submitted: auto-generated") && text.contains("beta: does not answer"), "{text}");
    node.clock.advance_ms(DAY_MS);
    look(&morning).await;
    assert!(told().is_empty(), "it is told once");

    *node.servers.beta_is_down.lock().unwrap() = false;
    node.run(&["config", "set", "reports.health-to", "ops@far.test eva@far.test"]).await;
    node.clock.advance_ms(DAY_MS);
    look(&morning).await;
    let [(first, text), (second, _)] = &told()[..] else { panic!("one letter for each") };
    assert_eq!((&first[..], &second[..]), (&["ops@far.test".to_owned()][..], &["eva@far.test".to_owned()][..]));
    assert!(text.contains("Mended:"), "{text}");
    node.run(&["config", "set", "reports.health", "off"]).await;
    *node.servers.beta_is_down.lock().unwrap() = true;
    node.clock.advance_ms(DAY_MS);
    look(&morning).await;
    assert!(told().is_empty());
}

#[tokio::test]
async fn everybody_is_told_in_their_language() {
    let node = Node::main().await;
    for (domain, language) in [("loin.test", "fr"), ("fern.test", "de")] {
        node.post("domains", json!({"name": domain})).await.unwrap();
        node.run(&["config", "set", "--domain", domain, "language", language]).await;
        let body = json!({"address": format!("ana@{domain}"), "server": "alpha", "admin": true});
        node.post("users", body).await.unwrap();
    }
    let letters: Arc<Letters> = Arc::default();
    let reception: Arc<dyn Reception> = letters.clone();
    let taken = Arc::new(move || Some(reception.clone()));
    let morning = Morning::new(node.state.clone(), taken, "mail.demo.test".to_owned(), node.folder.path());
    *node.servers.beta_is_down.lock().unwrap() = true;
    node.clock.advance_ms(8 * 3600 * 1000);
    look(&morning).await;
    let told = letters.0.lock().unwrap();
    let text_to = |address: &str| {
        let found = told.iter().find(|(to, _)| to == &[address.to_owned()]);
        found.map(|(_, text)| text.clone()).unwrap_or_else(|| panic!("nothing to {address}"))
    };
    assert_eq!(told.len(), 2);
    assert!(text_to("ana@loin.test").contains("Nouveau"), "{told:?}");
    assert!(text_to("ana@fern.test").contains("Neu:"), "{told:?}");
}

/// What `/readyz` answers.
async fn readiness(state: &AdminState) -> (u16, String) {
    let answer = health::ready(State(state.clone())).await;
    let status = answer.status().as_u16();
    let text = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn a_node_is_ready_between_its_start_and_its_end() {
    let mut node = Node::main().await;
    let stop = CancellationToken::new();
    let vitals = Vitals::new(stop.clone(), Trace::none(), Arc::default());
    node.state.vitals = Some(vitals.clone());
    let (status, text) = readiness(&node.state).await;
    assert!(status == 503 && text.contains("starts"), "{status} {text}");
    vitals.serve();
    assert_eq!(readiness(&node.state).await, (200, "ready\n".to_owned()));
    stop.cancel();
    let (status, text) = readiness(&node.state).await;
    assert!(status == 503 && text.contains("ends"), "{status} {text}");
}

#[tokio::test]
async fn a_copy_without_a_directory_is_not_ready_and_says_why() {
    let node = Node::start(Mode::Copy).await;
    let (status, text) = readiness(&node.state).await;
    assert!(status == 503 && text.contains("from the main node"), "{status} {text}");
}

#[tokio::test]
async fn numbers_are_for_this_machine_and_for_tokens_only() {
    let node = Node::main().await;
    let status = async |peer: &str, encrypted: bool, authorization: Option<&str>| {
        let from = From { peer: peer.parse().unwrap(), encrypted };
        let mut headers = HeaderMap::new();
        if let Some(text) = authorization {
            headers.insert("authorization", text.parse().unwrap());
        }
        health::metrics(State(node.state.clone()), Extension(from), headers).await.status().as_u16()
    };
    assert_eq!(status("127.0.0.1", false, None).await, 200);
    assert_eq!(status("::ffff:127.0.0.1", false, None).await, 200);
    for (peer, encrypted, authorization) in [
        ("192.0.2.1", true, None),
        ("192.0.2.1", true, Some("Bearer 0123456789abcdef")),
        ("192.0.2.1", true, Some("Basic YTpi")),
    ] {
        assert_eq!(status(peer, encrypted, authorization).await, 401, "{authorization:?}");
    }
    let made = async |permissions: Value| {
        let body = json!({"name": "prometheus", "permissions": permissions});
        let answer = node.post("api-tokens", body).await.unwrap();
        answer.body["token"].as_str().unwrap().to_owned()
    };
    let token = format!("Bearer {}", made(json!(["servers:read"])).await);
    assert_eq!(status("192.0.2.1", true, Some(&token)).await, 200);
    assert_eq!(status("192.0.2.1", false, Some(&token)).await, 401, "somebody may have read along");
    let other = format!("Bearer {}", made(json!(["domains:read"])).await);
    assert_eq!(status("192.0.2.1", true, Some(&other)).await, 401);
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_what_is_fine() {
    let node = Node::main().await;
    let found = node.get(&["doctor"]).await.unwrap();
    assert_eq!(found["unknown"], json!(["DNS of demo.test: this node doesn't ask DNS"]));
    *node.servers.beta_is_down.lock().unwrap() = true;
    assert_eq!(node.run(&["doctor"]).await, Exit::Failed);
    let found = node.get(&["doctor"]).await.unwrap();
    assert!(found["problems"][0]["what"].as_str().unwrap().contains("does not answer"), "{found}");
}
