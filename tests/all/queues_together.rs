//! The queues of all edges, seen and worked on from the main node, and what the servers measure of themselves.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::addresses;
use sterna_testkit::http::Http;
use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::wait::until;

const ANA: &str = "ana@near.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn queue(installation: &Installation, more: &[&str]) -> BTreeSet<(String, String, String)> {
    let text = installation.admin_ok("main", &[&["--json", "queue", "list"], more].concat());
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let field = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let row =
        |row: &Value| (field(row, "server"), row["recipients"][0].as_str().unwrap().to_owned(), field(row, "state"));
    rows.iter().map(row).collect()
}

fn row(server: &str, recipient: &str, state: &str) -> (String, String, String) {
    (server.to_owned(), recipient.to_owned(), state.to_owned())
}

#[test]
fn what_waits_on_any_edge_is_seen_and_held_from_the_main_node_and_a_silent_edge_is_named() {
    let mut installation = Installation::new();
    installation.start_main("main,data", Place::default());
    for edge in ["east", "west"] {
        installation.join_and_serve(edge, "edge", Place::default());
    }
    installation.admin_ok("main", &["domain", "create", "near.test"]);
    installation.create_user(ANA, "main");
    let [closed] = addresses::free(Ipv4Addr::LOCALHOST);
    installation.admin_ok("main", &["config", "set", "relay.host", &closed.to_string()]);
    for edge in ["east", "west"] {
        let to = format!("{edge}@far.test");
        let message = format!("From: {ANA}\r\nTo: {to}\r\nSubject: to {to}\r\n\r\nTerns.\r\n");
        let at = installation.node(edge).at;
        until("the edge takes mail for elsewhere", PATIENCE, || {
            let reply = at.submission(ANA).ok()?.deliver(ANA, &[&to], message.as_bytes()).ok()?;
            reply.starts_with("250").then_some(())
        });
    }
    let (east, west) = (row("east", "east@far.test", "waiting"), row("west", "west@far.test", "waiting"));
    assert_eq!(queue(&installation, &[]), [east.clone(), west.clone()].into());
    assert_eq!(queue(&installation, &["--server", "west"]), [west.clone()].into());

    // By its id a message is found wherever it is, and what is done reaches the edge that has it.
    let text = installation.admin_ok("main", &["--json", "queue", "list", "--server", "west"]);
    let id = serde_json::from_str::<Vec<Value>>(&text).unwrap()[0]["id"].as_str().unwrap().to_owned();
    assert!(installation.admin_ok("main", &["--json", "queue", "show", &id]).contains("west@far.test"));
    installation.admin_ok("main", &["queue", "hold", &id]);
    let held = row("west", "west@far.test", "held");
    assert_eq!(queue(&installation, &["--held"]), [held.clone()].into());
    // Named, only there: what it is not the right edge for is not done.
    assert!(!installation.admin("main", &["queue", "release", &id, "--server", "east"]).status.success());
    assert_eq!(queue(&installation, &["--held"]), [held].into());

    // One after the other, also by the smallest pages.
    let made = installation.admin_ok("main", &["--json", "token", "create", "pages"]);
    let token: Value = serde_json::from_str(&made).unwrap();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let at = installation.node("main").at;
    let page = |after: Option<&str>| {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let mut http = Http::connect(at.host, at.ports.http, None).unwrap();
        let path = format!("/api/v1/queue?limit=1{after}");
        let answer = http.request("GET", &path, &[("Authorization", &bearer)], "").unwrap();
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    let first = page(None);
    assert_eq!((&first["items"][0]["server"], first["items"].as_array().unwrap().len()), (&Value::from("east"), 1));
    let second = page(Some(first["next"].as_str().unwrap()));
    assert_eq!((&second["items"][0]["server"], &second["next"]), (&Value::from("west"), &Value::Null));

    // What every server measures of itself.
    let text = installation.admin_ok("main", &["--json", "graphs"]);
    let graphs: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&graphs["step_seconds"], &graphs["unreachable"]), (&Value::from(300), &Value::Array(Vec::new())));
    let series = graphs["series"].as_array().unwrap();
    for (server, metric) in [("main", "disk_bytes"), ("east", "queue_messages"), ("west", "sessions")] {
        let found = series.iter().find(|series| series["server"] == server && series["metric"] == metric);
        let values = found.unwrap_or_else(|| panic!("no {metric} of {server}: {text}"))["values"].as_array().unwrap();
        assert!(values.len() == 288 && values.iter().any(Value::is_number), "{values:?}");
    }

    // An edge that is away is named, and the others are shown.
    installation.kill("west");
    let output = installation.admin("main", &["queue", "list"]);
    let (said, shown) = (errors(&output), String::from_utf8_lossy(&output.stdout).into_owned());
    assert!(said.contains("west does not answer") && shown.contains("east@far.test"), "{said}{shown}");
    assert!(!installation.admin("main", &["queue", "list", "--server", "west"]).status.success());
    let output = installation.admin("main", &["graphs"]);
    assert!(errors(&output).contains("west does not answer"), "{}", errors(&output));
    // It tells what it has when it is back.
    installation.serve("west");
    until("west's queue", PATIENCE, || (queue(&installation, &["--held"]).len() == 1).then_some(()));
}
