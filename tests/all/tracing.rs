//! "Where is my mail?", asked of an installation with several edges.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::http::Http;
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

/// What a user is told of their own mail, by a node.
fn own_trace(installation: &Installation, node: &str, user: &str, query: &str) -> Vec<Value> {
    let mut http = installation.node(node).at.dav(user).unwrap();
    let answer = http.request("GET", &format!("/api/v1/own/trace{query}"), &[], "").unwrap();
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("private, no-store")), "{answer:?}");
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["not_asked"], Value::Array(vec![]));
    answer["messages"].as_array().unwrap().clone()
}

#[test]
fn users_see_their_own_mail_and_nobody_elses() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    // Ben is among the hidden recipients. Nobody who writes ana's address into an envelope learns who else got it.
    for (number, sender) in ["zoe@far.test", ANA].into_iter().enumerate() {
        let message = format!("From: zoe@far.test\r\nMessage-ID: <own-{number}@far.test>\r\n\r\nx\r\n");
        let reply = at.smtp().unwrap().deliver(sender, &[ANA, BEN], message.as_bytes()).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    let message = format!("From: {ANA}\r\nMessage-ID: <own-2@tern.test>\r\n\r\nx\r\n");
    let reply = at.submission(ANA).unwrap().deliver(ANA, &[BEN], message.as_bytes()).unwrap();
    assert!(reply.starts_with("250"), "{reply}");

    let told = |user: &str| {
        let mut messages = own_trace(&installation, "main", user, "");
        messages.sort_by_key(|message| message["message_id"].as_str().map(str::to_owned));
        let is_whole = messages.len() == 3 && messages.iter().all(|message| !whats(message).is_empty());
        is_whole.then_some(messages)
    };
    let ana = until("ana's trace", PATIENCE, || told(ANA)).0;
    for message in &ana[..2] {
        let recipients: Vec<&str> = whats(message).iter().map(|(_, recipient)| *recipient).collect();
        assert!(recipients.contains(&ANA) && !recipients.contains(&BEN), "{message}");
    }
    assert!(whats(&ana[2]).contains(&("delivered", BEN)), "the sender sees where it went: {}", ana[2]);
    let ben = until("ben's trace", PATIENCE, || told(BEN)).0;
    assert!(ben.iter().all(|message| !message["events"].to_string().contains(ANA)), "{ben:?}");

    assert_eq!(own_trace(&installation, "main", BEN, "?text=%3Cown-1@far.test%3E").len(), 1);
    assert_eq!(own_trace(&installation, "main", ANA, "?text=carl@tern.test").len(), 0);
    let ask = |method: &str, path: &str, user: Option<&str>| {
        let mut http = match user {
            Some(user) => at.dav(user).unwrap(),
            None => Http::connect(at.host, at.ports.http, None).unwrap(),
        };
        http.request(method, path, &[], "").unwrap()
    };
    assert_eq!(ask("GET", "/api/v1/own/trace", None).status, 401);
    assert_eq!(ask("POST", "/api/v1/own/trace", Some(ANA)).status, 405);
    assert_eq!(ask("GET", "/api/v1/users", Some(ANA)).status, 401, "that is for who signed in, or has a token");
    let wrong = ask("GET", "/api/v1/own/trace?limit=many", Some(ANA));
    assert_eq!((wrong.status, wrong.header("content-type")), (400, Some("application/problem+json")));
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
            // Whichever edge the user asks.
            for asked in &edges {
                if installation.node(asked).at.smtp().is_ok() {
                    let query = format!("?text=edge-{number}@far.test");
                    assert_eq!(own_trace(&installation, asked, ANA, &query)[0]["edge"], name.as_str());
                }
            }
        }
    }
}
