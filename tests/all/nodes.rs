//! What goes on when a node is missing.

use std::time::Duration;

use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::wait::until;

/// How long an edge may take to follow a change of the directory.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn log_ins_and_delivery_go_on_while_the_main_node_is_down() {
    let mut installation = Installation::new();
    installation.start_main("main", Place::default());
    installation.join_and_serve("alpha", "data", Place::default());
    installation.join_and_serve("edge", "edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user("ana@tern.test", "alpha");
    until("the edge knows ana", FOLLOW_TIMEOUT, || {
        installation.admin("edge", &["user", "get", "ana@tern.test"]).status.success().then_some(())
    });

    installation.kill("main");

    let edge = installation.node("edge").at;
    let replies = edge.lmtp().unwrap().send(&["ana@tern.test"], b"Subject: still here\r\n\r\nHello.\r\n", 1).unwrap();
    assert!(replies[0].starts_with("250"), "{replies:?}");
    let mut reader = edge.login("ana@tern.test").unwrap();
    assert!(reader.command("SELECT INBOX").unwrap().lines.iter().any(|line| line == "* 1 EXISTS"));

    // A change needs the main node, and the refusal says so.
    let refused = installation.admin("edge", &["domain", "create", "other.test"]);
    assert!(!refused.status.success());
    assert!(errors(&refused).contains("main"), "{}", errors(&refused));
}
