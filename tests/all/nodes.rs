//! Nodes that join, and what goes on when one is missing.

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

#[test]
fn each_wrong_token_is_told_what_is_wrong_with_it() {
    let mut installation = Installation::new();
    installation.start_main("main", Place::default());
    let main = installation.node("main").at.cluster.to_string();
    let join = |installation: &mut Installation, node: &str, token: &str| {
        installation.init(node, "data", Place::default(), &["--join", &main, "--token", token])
    };

    let token = installation.token(&["--roles", "data"]);
    assert!(join(&mut installation, "alpha", &token).status.success());
    let used = join(&mut installation, "beta", &token);
    assert!(!used.status.success() && errors(&used).contains("used"), "{}", errors(&used));

    let mut wrong = installation.token(&["--roles", "data"]);
    let last = if wrong.ends_with('a') { 'b' } else { 'a' };
    wrong.pop();
    wrong.push(last);
    let refused = join(&mut installation, "beta", &wrong);
    assert!(!refused.status.success() && errors(&refused).contains("token"), "{}", errors(&refused));

    let nonsense = join(&mut installation, "beta", "please");
    assert!(!nonsense.status.success() && errors(&nonsense).contains("token"), "{}", errors(&nonsense));
    let half = installation.folder().join("beta/sterna.toml");
    assert!(!half.exists(), "a failed join leaves no half node behind");
}

#[test]
fn a_folder_with_a_node_in_it_is_not_set_up_again() {
    let mut installation = Installation::new();
    assert!(installation.init("main", "main,data,edge", Place::default(), &[]).status.success());
    let again = installation.init("main", "main,data,edge", Place::default(), &[]);
    assert!(!again.status.success());
    assert!(errors(&again).contains("already"), "{}", errors(&again));
}
