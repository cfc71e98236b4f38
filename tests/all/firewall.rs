//! The ports between the machines, guarded by nftables in networks of their own: who is let in, and what happens to
//! rules that nobody confirms.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::installation::Installation;
use sterna_testkit::network::Network;
use sterna_testkit::wait::until;

/// How long nodes may take to follow, on busy machines.
const FOLLOW: Duration = Duration::from_secs(60);

struct Scene {
    network: Network,
    installation: Installation,
}

impl Scene {
    fn new() -> Option<Self> {
        if !binary::have(&["nft"]) {
            return None;
        }
        let network = Network::new(&["main", "alpha", "stranger"])?;
        let mut installation = Installation::new();
        installation.start_main("main", network.place("main"));
        installation.join_and_serve("alpha", "data", network.place("alpha"));
        Some(Scene { network, installation })
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        self.network.reaches(from, self.installation.node(to).at.cluster)
    }

    fn wait_until_reached(&self, from: &str, to: &str, expected: bool) {
        let what = format!("{from} reaches {to}: {expected}");
        until(&what, FOLLOW, || (self.reaches(from, to) == expected).then_some(()));
    }

    fn sterna(&self, arguments: &[&str]) -> Value {
        let said = self.installation.admin_ok("main", &[&["--json", "firewall"], arguments].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Waits until all servers have the rules, and keeps them.
    fn confirm(&self) {
        until("all servers have the rules", FOLLOW, || {
            self.installation.admin("main", &["firewall", "confirm"]).status.success().then_some(())
        });
    }

    /// What is said when something is refused.
    fn said_no(&self, arguments: &[&str]) -> String {
        let output = self.installation.admin("main", arguments);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn states(&self) -> Vec<String> {
        let shown = self.sterna(&["show"]);
        let servers = shown["servers"].as_array().unwrap().clone();
        servers.iter().map(|server| server["state"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn servers_reach_each_other_and_strangers_reach_nobody() {
    let Some(mut scene) = Scene::new() else { return };
    assert!(scene.reaches("stranger", "main") && scene.reaches("stranger", "alpha"));
    let planned = scene.sterna(&["on", "--dry-run"]);
    assert!(planned["servers"][0]["rules"].as_str().unwrap().contains("counter drop"), "{planned}");
    assert_eq!(scene.states(), ["off", "off"]);

    scene.installation.admin_ok("main", &["firewall", "on"]);
    scene.confirm();
    assert_eq!(scene.states(), ["on", "on"]);
    assert!(!scene.reaches("stranger", "main") && !scene.reaches("stranger", "alpha"));
    assert!(scene.reaches("main", "alpha") && scene.reaches("alpha", "main"));

    // Who is to join is let in where servers join, and nowhere else.
    scene.installation.token(&["beta"]);
    scene.wait_until_reached("stranger", "main", true);
    assert!(!scene.reaches("stranger", "alpha"));
    let tokens = scene.installation.admin_ok("main", &["--json", "server", "invitations"]);
    let tokens = serde_json::from_str::<Value>(&tokens).unwrap();
    let id = tokens[0]["id"].as_str().unwrap_or_else(|| panic!("{tokens}"));
    scene.installation.admin_ok("main", &["server", "revoke", id]);
    scene.wait_until_reached("stranger", "main", false);

    // A node that is killed leaves its rules, and finds them.
    scene.installation.kill("alpha");
    assert!(scene.reaches("alpha", "main"));
    scene.installation.serve("alpha");
    until("alpha is back", FOLLOW, || (scene.states() == ["on", "on"]).then_some(()));
    assert!(!scene.reaches("stranger", "alpha"));

    // Somebody takes all rules of the machine away.
    let flushed = scene.network.run("alpha", &["nft", "flush", "ruleset"]);
    assert!(flushed.status.success(), "{flushed:?}");
    scene.wait_until_reached("stranger", "alpha", false);

    let stranger = scene.network.address("stranger").to_string();
    scene.installation.admin_ok("main", &["firewall", "allow", &stranger]);
    scene.wait_until_reached("stranger", "alpha", true);
    scene.confirm();
    scene.installation.admin_ok("main", &["firewall", "off"]);
    scene.confirm();
    assert_eq!(scene.states(), ["off", "off"]);
    let listed = scene.network.run("alpha", &["nft", "list", "tables"]);
    assert!(listed.stdout.is_empty(), "{listed:?}");
}

#[test]
fn rules_that_nobody_confirms_are_taken_back_even_where_nobody_can_say_so() {
    let Some(mut scene) = Scene::new() else { return };
    // Nobody may keep what shuts a server out.
    scene.network.cut("alpha");
    scene.installation.admin_ok("main", &["firewall", "on", "--confirm-within", "3600"]);
    let refused = scene.said_no(&["firewall", "confirm"]);
    assert!(refused.contains("alpha"), "{refused}");
    scene.installation.admin_ok("main", &["firewall", "back"]);
    scene.network.heal("alpha");

    let done = scene.said_no(&["firewall", "back"]);
    assert!(done.contains("confirmed"), "{done}");
    until("alpha answers", FOLLOW, || (scene.states() == ["off", "off"]).then_some(()));
    scene.installation.admin_ok("main", &["firewall", "on", "--confirm-within", "10"]);
    scene.wait_until_reached("stranger", "alpha", false);
    // The main node is gone before it can take anything back.
    scene.installation.kill("main");
    scene.wait_until_reached("stranger", "alpha", true);
    scene.installation.serve("main");
    until("all is as before", FOLLOW, || (scene.states() == ["off", "off"]).then_some(()));
    let shown = scene.sterna(&["show"]);
    assert!(!shown["on"].as_bool().unwrap() && shown["confirm_by"].is_null(), "{shown}");
}
