//! What is left to do after a change of the machine: settings and DNS that still name the old one, and its address.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use sterna_testkit::binary::have;
use sterna_testkit::dns::DnsServer;
use sterna_testkit::installation::{Installation, errors, succeeded};
use sterna_testkit::network::Network;

use super::migrating::{NEW, OLD, WITHIN, is_so};

/// A machine of the network that knows the old one.
const NEIGHBOUR: &str = "neighbour";
/// The address that the world knows.
const SERVICE: &str = "10.77.0.200";
/// How long a neighbour knocks.
const KNOCK: Duration = Duration::from_secs(2);

/// A machine whose place was taken, each in a network of its own; the new one asks that DNS.
fn switched(network: &Network, settings: &[&[&str]]) -> (Installation, DnsServer) {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", network.place(OLD));
    installation.admin_ok(OLD, &["domain", "create", "tern.test"]);
    installation.create_user("ana@tern.test", OLD);
    for setting in settings {
        installation.admin_ok(OLD, &[&["config", "set"], *setting].concat());
    }
    let dns = network.inside(NEW, DnsServer::start);
    installation.set_nameserver(dns.address);
    let token = installation.admin_ok(OLD, &["--json", "migrate", "token"]);
    let token: Value = serde_json::from_str(&token).unwrap();
    let paired = installation.migrate_from(NEW, OLD, token["token"].as_str().unwrap(), network.place(NEW));
    succeeded("migrate from", &paired);
    installation.serve(NEW);
    is_so(&installation, ("everything is equal", WITHIN), &[OLD], |state| {
        state["copies"]["accounts"] == 1 && state["copies"]["equal"] == 1
    });
    (installation, dns)
}

fn switch(installation: &Installation) {
    installation.admin_ok(OLD, &["migrate", "switch", "--yes", "--detach"]);
    is_so(installation, ("it is switched", WITHIN), &[NEW], |state| state["phase"] == "switched");
}

fn afterwards(installation: &Installation, more: &[&str]) -> Value {
    let output = installation.admin(NEW, &[&["--json", "migrate", "afterwards"], more].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", errors(&output)))
}

fn refused(output: &std::process::Output, says: &str) {
    assert!(!output.status.success() && errors(output).contains(says), "{}", errors(output));
}

#[test]
fn what_names_the_old_machine_is_shown_and_changed() {
    let Some(network) = Network::new(&[OLD, NEW]) else { return };
    let (old, new) = (network.address(OLD).to_string(), network.address(NEW).to_string());
    let networks = format!("198.51.100.0/24 {old}");
    let unknown = format!("{old}:2525");
    let (installation, dns) = switched(
        &network,
        &[
            &["mail.networks", &networks],
            &["unknown-recipients", &unknown, "--domain", "tern.test"],
            &["relay.host", "elsewhere.test"],
            &["external-url", "https://mail.tern.test"],
        ],
    );
    dns.address("mail.tern.test", network.address(OLD));
    let read = |name: &str, more: &[&str]| {
        let text = installation.admin_ok(NEW, &[&["--json", "config", "get", name], more].concat());
        serde_json::from_str::<Value>(&text).unwrap()["value"].as_str().unwrap().to_owned()
    };

    // Before the switch it is shown, and nothing is changed.
    let shown = installation.admin(OLD, &["migrate", "afterwards"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let lines = ["mail.networks", &format!("- {networks}"), &format!("+ 198.51.100.0/24 {new}/32")];
    assert!(lines.iter().all(|line| shown.contains(line)), "{shown}");
    assert!(!shown.contains("elsewhere.test"), "{shown}");
    refused(&installation.admin(OLD, &["migrate", "afterwards", "--accept", "--yes"]), "Switch first");

    switch(&installation);
    let left = afterwards(&installation, &[]);
    let ids: Vec<_> = left["changes"].as_array().unwrap().iter().map(|change| change["id"].clone()).collect();
    assert_eq!(ids, ["mail.networks", "tern.test/unknown-recipients"]);
    // The old machine shows it, too, and nobody changes it there.
    refused(&installation.admin(OLD, &["migrate", "afterwards", "--accept", "--yes"]), NEW);
    assert!(!installation.admin(NEW, &["migrate", "afterwards"]).status.success(), "something is left to do");
    installation.admin_ok(NEW, &["migrate", "afterwards", "--accept", "--yes"]);
    assert_eq!(read("mail.networks", &[]), format!("198.51.100.0/24 {new}/32"));
    assert_eq!(read("unknown-recipients", &["--domain", "tern.test"]), format!("{new}:2525"));
    assert_eq!(read("relay.host", &[]), "elsewhere.test");
    assert!(installation.admin_ok(NEW, &["config", "history"]).contains("mail.networks"));
    assert_eq!(afterwards(&installation, &[])["changes"], json!([]));

    // DNS leads to the old machine until somebody changes it.
    let name = |found: &Value| {
        let names = found["names"].as_array().unwrap();
        names.iter().find(|name| name["name"] == "mail.tern.test").cloned().unwrap_or_else(|| panic!("{found}"))
    };
    let (before, wanted) = (name(&afterwards(&installation, &[])), json!([new]));
    assert_eq!((&before["state"], &before["wanted"]), (&json!("old"), &wanted), "{before}");
    dns.remove("mail.tern.test");
    dns.address("mail.tern.test", network.address(NEW));
    assert_eq!(name(&afterwards(&installation, &["--watch"]))["state"], "done");
}

#[test]
fn the_new_machine_takes_the_old_ones_address() {
    if !have(&["arping"]) {
        return;
    }
    let Some(network) = Network::new(&[OLD, NEW, NEIGHBOUR]) else { return };
    let run = |node: &str, command: &[&str]| succeeded(&format!("{command:?}"), &network.run(node, command));
    run(OLD, &["ip", "address", "add", &format!("{SERVICE}/24"), "dev", "eth0"]);
    let (installation, _dns) = switched(&network, &[]);
    switch(&installation);
    let service: IpAddr = SERVICE.parse().unwrap();
    // Nobody listens there: who has the address says so.
    let knock = || {
        let at = SocketAddr::new(service, 9);
        let found = network.inside(NEIGHBOUR, || TcpStream::connect_timeout(&at, KNOCK));
        assert_eq!(found.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    };
    let known_as = || {
        let shown = run(NEIGHBOUR, &["ip", "neighbour", "show", SERVICE]);
        shown.split_ascii_whitespace().skip_while(|word| *word != "lladdr").nth(1).unwrap_or_default().to_owned()
    };
    let hardware = |node: &str| {
        let shown = run(node, &["cat", "/sys/class/net/eth0/address"]);
        shown.trim().to_owned()
    };
    knock();
    assert_eq!(known_as(), hardware(OLD));
    let take = ["migrate", "take-address", SERVICE, "--yes"];
    let inside = |node: &str, arguments: &[&str]| network.inside(node, || installation.admin(node, arguments));
    refused(&inside(NEW, &take), "another machine has");
    let own = network.address(OLD).to_string();
    refused(&inside(OLD, &["migrate", "release-address", &own, "--yes"]), "sterna server set");
    succeeded("release", &inside(OLD, &["migrate", "release-address", SERVICE, "--yes"]));
    succeeded("take", &inside(NEW, &take));
    // The neighbour was told, and did not have to ask.
    assert_eq!(known_as(), hardware(NEW));
    knock();
    assert!(succeeded("again", &inside(NEW, &take)).contains("already"));
}
