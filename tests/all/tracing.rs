//! "Where is my mail?", asked of an installation with several edges.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::installation::Installation;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn trace(installation: &Installation, words: &[&str]) -> Vec<Value> {
    let words = [&["--json", "trace"], words].concat();
    let output = installation.admin("main", &words);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["not_asked"], Value::Array(vec![]));
    answer["messages"].as_array().unwrap().clone()
}

fn whats(message: &Value) -> Vec<(&str, &str)> {
    let events = message["events"].as_array().unwrap();
    events.iter().map(|event| (event["what"].as_str().unwrap(), event["recipient"].as_str().unwrap())).collect()
}

#[test]
fn a_message_is_followed_from_its_sender_to_the_other_server() {
    let Some((installation, postfix)) = crate::sending::world() else { return };
    let at = installation.node("main").at;
    let message = format!("From: {ANA}\r\nMessage-ID: <tern-1@tern.test>\r\nSubject: x\r\n\r\nThe terns are back.\r\n");
    let to = [BEN, "zoe@far.test", "nobody@far.test"];
    let reply = at.submission(ANA).unwrap().deliver(ANA, &to, message.as_bytes()).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    postfix.wait_for("zoe", 1);
    let told = || {
        let found = trace(&installation, &["<tern-1@tern.test>"]);
        let is_over = whats(found.first()?).contains(&("failed", "nobody@far.test"))
            && whats(&found[0]).contains(&("sent", "zoe@far.test"));
        is_over.then(|| found[0].clone())
    };
    let found = until("the end of the message in the trace", PATIENCE, told).0;
    assert!(whats(&found).contains(&("delivered", BEN)), "{found}");
    assert_eq!((&found["sender"], &found["edge"]), (&Value::from(ANA), &Value::from("main")));
    assert!(found["origin"].as_str().unwrap().starts_with("ana@tern.test from 127."), "{found}");
    let events = found["events"].as_array().unwrap();
    let failed = events.iter().find(|event| event["what"] == "failed").unwrap();
    assert!(failed["detail"].as_str().unwrap().starts_with("550 5.1.1"), "{failed}");
    let delivered = events.iter().find(|event| event["what"] == "delivered").unwrap();
    assert_eq!((&delivered["destination"], &delivered["server"]), (&Value::from(BEN), &Value::from("beta")));

    // The notification to ana has a timeline of its own.
    let about = format!("notification about {}", found["id"].as_str().unwrap());
    until("the notification in the trace", PATIENCE, || {
        let all = trace(&installation, &[ANA]);
        let told = all.iter().find(|message| message["origin"] == about.as_str())?;
        whats(told).contains(&("delivered", ANA)).then_some(())
    });
    assert_eq!(trace(&installation, &["<tern-1@tern.test>", "--account", BEN]).len(), 1);
    let refused = at.smtp().unwrap().deliver("x@other.test", &["eve@tern.test"], b"x\r\n").unwrap();
    assert!(refused.starts_with("550"), "{refused}");
    let eve = until("the refusal in the trace", PATIENCE, || trace(&installation, &["eve@tern.test"]).pop()).0;
    assert_eq!((whats(&eve), &eve["id"]), (vec![("refused", "eve@tern.test")], &Value::Null));
    let output = installation.admin("main", &["trace", "nothing@tern.test"]);
    assert_eq!(output.status.code(), Some(3), "nothing to show");
}

#[test]
fn every_edge_is_asked() {
    let installation = Installation::standard();
    let edges: Vec<String> = installation.nodes().iter().map(|node| node.name.clone()).collect();
    for (number, name) in edges.iter().enumerate() {
        let at = installation.node(name).at;
        if let Ok(mut smtp) = at.smtp() {
            let message = format!("Message-ID: <edge-{number}@far.test>\r\n\r\nx\r\n");
            let reply = smtp.deliver("zoe@far.test", &[ANA], message.as_bytes()).unwrap();
            assert!(reply.starts_with("250"), "{reply}");
            let id = format!("<edge-{number}@far.test>");
            let found = until("the message in the trace", PATIENCE, || trace(&installation, &[&*id]).pop()).0;
            assert_eq!(found["edge"], name.as_str());
        }
    }
}
