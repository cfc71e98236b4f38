//! What administrators are told without asking, and when they ask.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use sterna_account::service::{Envelope, Message, MessageBody, Reception, Refusal, Sender};

use super::Node;
use crate::admin::Morning;
use crate::cli::Exit;

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

#[tokio::test]
async fn administrators_hear_in_the_morning_of_what_changed_and_of_nothing_else() {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let node = Node::main().await;
    node.post("users", json!({"address": "ana@demo.test", "server": "alpha", "admin": true})).await.unwrap();
    let letters: Arc<Letters> = Arc::default();
    let reception: Arc<dyn Reception> = letters.clone();
    let taken = Arc::new(move || Some(reception.clone()));
    let morning = Morning::new(node.state.clone(), taken, "mail.demo.test".to_owned(), node.folder.path());
    let utc = jiff::tz::TimeZone::UTC;
    let told = || std::mem::take(&mut *letters.0.lock().unwrap());
    node.clock.advance_ms(8 * 3600 * 1000);
    morning.round(&utc).await.unwrap();
    // What a new installation has to look at is told, if anything.
    told();
    node.clock.advance_ms(DAY_MS);
    morning.round(&utc).await.unwrap();
    assert_eq!(told(), [], "nothing changed");

    *node.servers.beta_is_down.lock().unwrap() = true;
    node.clock.advance_ms(3600 * 1000);
    morning.round(&utc).await.unwrap();
    assert!(told().is_empty(), "it was looked at this morning");
    node.clock.advance_ms(DAY_MS);
    morning.round(&utc).await.unwrap();
    let [(to, text)] = &told()[..] else { panic!("one letter") };
    assert_eq!(to, &["ana@demo.test"]);
    assert!(text.contains("Auto-Submitted: auto-generated") && text.contains("beta: does not answer"), "{text}");
    node.clock.advance_ms(DAY_MS);
    morning.round(&utc).await.unwrap();
    assert!(told().is_empty(), "it is told once");

    *node.servers.beta_is_down.lock().unwrap() = false;
    node.run(&["config", "set", "reports.health-to", "ops@far.test eva@far.test"]).await;
    node.clock.advance_ms(DAY_MS);
    morning.round(&utc).await.unwrap();
    let [(first, text), (second, _)] = &told()[..] else { panic!("one letter for each") };
    assert_eq!((&first[..], &second[..]), (&["ops@far.test".to_owned()][..], &["eva@far.test".to_owned()][..]));
    assert!(text.contains("Mended:"), "{text}");
    node.run(&["config", "set", "reports.health", "off"]).await;
    *node.servers.beta_is_down.lock().unwrap() = true;
    node.clock.advance_ms(DAY_MS);
    morning.round(&utc).await.unwrap();
    assert!(told().is_empty());
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
