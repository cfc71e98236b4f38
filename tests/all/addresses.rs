//! Nodes whose address changes: only their own configuration is told, the others learn it.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::addresses::free;
use sterna_testkit::installation::Installation;
use sterna_testkit::wait::until;

/// How long it may take until everybody knows.
const LEARN_TIMEOUT: Duration = Duration::from_secs(40);

/// Gives a node that is stopped another port for other nodes, in its configuration only.
fn move_to_another_port(installation: &Installation, name: &str) -> String {
    let node = installation.node(name);
    let old = node.at.cluster.to_string();
    let [new] = free(node.at.cluster.ip()).map(|free| free.to_string());
    let path = installation.folder().join(name).join("sterna.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&old), "{text}");
    fs::write(&path, text.replace(&old, &new)).unwrap();
    new
}

/// Waits until a node's copy of the directory has this address of another one.
fn knows(installation: &Installation, at: &str, of: &str, address: &str) {
    until(&format!("{at} knows where {of} is"), LEARN_TIMEOUT, || {
        let output = installation.admin(at, &["--json", "server", "get", of]);
        let value: Value = serde_json::from_slice(&output.stdout).ok()?;
        (value["address"] == address).then_some(())
    });
}

#[test]
fn the_others_learn_the_new_address_of_a_node() {
    let mut installation = Installation::standard();
    installation.ignore_disk();
    let deliver = |installation: &Installation| {
        let at = installation.node("main").at;
        until("mail for ana", LEARN_TIMEOUT, || {
            let sent = at.lmtp().ok()?.send(&["ana@tern.test"], b"Subject: found\r\n\r\nHello.\r\n", 1).ok()?;
            sent[0].starts_with("250").then_some(())
        });
    };
    deliver(&installation);

    installation.stop("alpha");
    let alpha = move_to_another_port(&installation, "alpha");
    installation.serve("alpha");
    knows(&installation, "main", "alpha", &alpha);
    knows(&installation, "beta", "alpha", &alpha);
    deliver(&installation);

    installation.stop("main");
    let main = move_to_another_port(&installation, "main");
    installation.serve("main");
    knows(&installation, "alpha", "main", &main);
    knows(&installation, "beta", "main", &main);
    installation.admin_ok("main", &["status"]);
    deliver(&installation);

    // What an administrator says of a server stays until its configuration says something new.
    installation.admin_ok("main", &["server", "set", "beta", "--address", "192.0.2.7:7700"]);
    installation.stop("beta");
    installation.serve("beta");
    knows(&installation, "beta", "beta", "192.0.2.7:7700");
    let status = installation.admin("main", &["status"]);
    assert!(String::from_utf8_lossy(&status.stdout).starts_with("! beta: does not answer"));
}
