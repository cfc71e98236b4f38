//! More walks through the console in a browser: people and domains, two administrators at once, the mail flow, servers
//! (`ui/walk/`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Doors, Installation, PASSWORD, Place, succeeded};
use sterna_testkit::network::Network;
use sterna_testkit::wait::until;

use crate::updates::{NEW, Programs};
use crate::walks::{self, Hands};

const ADA: &str = "ada@tern.test";

/// How long something may take that a walk waits for.
const WAIT: Duration = Duration::from_secs(60);

/// Whether there is what a walk needs; says what is missing.
fn can_walk() -> bool {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/node_modules/playwright-core/package.json");
    have(&["node", "chromium", &driver.to_string_lossy()])
}

/// An installation of one machine, with the administrator who walks and a user.
fn one_machine() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    for user in [ADA, "ben@tern.test"] {
        installation.create_user(user, "main");
    }
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    installation
}

/// Where browsers find the console of a node.
fn base(at: Doors) -> String {
    format!("https://{}:{}", at.host, at.ports.https)
}

/// Runs a walk through the console at this place; it asks what a browser can't do.
fn walk(name: &str, at: Doors, answer: impl FnMut(&[&str]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
    let mut node = Command::new("node");
    node.arg(folder.join("walk").join(name))
        .env("TOOLS", &folder)
        .env("SHOTS", std::env::var("STERNA_SHOTS").unwrap_or_default())
        .env("BASE", base(at))
        .envs([("LOGIN", ADA), ("PASSWORD", PASSWORD), ("DOMAIN", "tern.test")]);
    walks::run(&mut node, answer);
}

fn walk_alone(name: &str) {
    if can_walk() {
        let installation = one_machine();
        walk(name, installation.node("main").at, |words| panic!("nothing is asked: {words:?}"));
    }
}

#[test]
fn an_administrator_looks_after_people_and_domains() {
    walk_alone("people.mjs");
}

#[test]
fn two_administrators_do_not_undo_each_other() {
    walk_alone("together.mjs");
}

/// Sends a message to the outside, as the administrator, and tells what the server said.
fn send(at: Doors, to: &str, bytes: usize) -> String {
    let text =
        format!("From: {ADA}\r\nTo: {to}\r\nSubject: walked\r\n\r\n{}", "The terns are back.\r\n".repeat(bytes / 21));
    at.submission(ADA).unwrap().deliver(ADA, &[to], text.as_bytes()).unwrap()
}

fn has_mail(at: Doors, user: &str) -> bool {
    let mut imap = at.login(user).unwrap();
    let lines = imap.command("STATUS INBOX (MESSAGES)").unwrap().lines;
    let junk = imap.command("STATUS Junk (MESSAGES)").unwrap().lines;
    lines.iter().chain(&junk).any(|line| line.contains("STATUS") && !line.contains("MESSAGES 0"))
}

#[test]
fn an_administrator_looks_after_the_mail_flow() {
    if !can_walk() {
        return;
    }
    let mut hands = Hands::of(one_machine());
    let at = hands.installation.node("main").at;
    let mut far = Installation::new();
    far.start_main("main,edge,data", Place::default());
    far.admin_ok("main", &["domain", "create", "far.test"]);
    for user in ["zoe@far.test", "ben@far.test", "eve@far.test"] {
        far.create_user(user, "main");
    }
    let there = far.node("main").at;
    walk("mail.mjs", at, |words| match words {
        ["far"] => format!("{}:{}", there.host, there.ports.smtp),
        ["send", to] => {
            let said = send(at, to, 21);
            if said.starts_with("250") { "accepted".to_owned() } else { said }
        }
        ["arrived", user] => {
            until("the message", WAIT, || has_mail(there, user).then_some(()));
            "arrived".to_owned()
        }
        ["too-large", to] => {
            let said =
                until("the limit", WAIT, || Some(send(at, to, 2_000_000)).filter(|said| !said.starts_with("250")));
            said.0.chars().take(3).collect()
        }
        other => hands.answer(other),
    });
}

#[test]
fn an_administrator_looks_after_servers() {
    if !can_walk() {
        return;
    }
    let installation = Installation::standard();
    installation.create_user(ADA, "beta");
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let at = installation.node("main").at;
    let mut hands = Hands::of(installation);
    walk("servers.mjs", at, |words| hands.answer(words));
}

#[test]
fn an_administrator_changes_a_machine() {
    if !can_walk() {
        return;
    }
    let installation = Installation::standard();
    installation.create_user(ADA, "beta");
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let at = installation.node("main").at;
    let mut hands = Hands::of(installation);
    walk("migration.mjs", at, |words| hands.answer(words));
}

#[test]
fn an_administrator_changes_the_main_node() {
    if !can_walk() {
        return;
    }
    let mut hands = Hands::of(one_machine());
    let at = hands.installation.node("main").at;
    walk("successor.mjs", at, |words| match words {
        ["where", name] => base(hands.installation.node(name).at),
        other => hands.answer(other),
    });
}

#[test]
fn an_administrator_accepts_what_names_the_new_machine() {
    if !can_walk() {
        return;
    }
    let Some(network) = Network::new(&["main", "alpha", "fresh"]) else { return };
    quiet(&network);
    let mut installation = Installation::new();
    installation.start_main("main,edge", network.place("main"));
    installation.join_and_serve("alpha", "data", network.place("alpha"));
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ADA, "alpha");
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let networks = format!("198.51.100.0/24 {}", network.address("alpha"));
    installation.admin_ok("main", &["config", "set", "mail.networks", &networks]);
    installation.admin_ok("main", &["config", "set", "external-url", "https://mail.tern.test"]);
    let made = installation.admin_ok("main", &["--json", "migrate", "token", "--server", "alpha"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap();
    succeeded("from", &installation.migrate_from("fresh", "main", token, network.place("fresh")));
    installation.serve("fresh");
    installation.admin_ok("main", &["migrate", "status", "--wait"]);
    until("it is switched", WAIT, || {
        installation.admin("main", &["migrate", "switch", "--yes"]).status.success().then_some(())
    });
    let at = installation.node("main").at;
    network.inside("main", || {
        walk("afterwards.mjs", at, |words| match words {
            ["address", name] => network.address(name).to_string(),
            other => panic!("nobody knows {other:?}"),
        });
    });
}

#[test]
fn an_administrator_looks_after_rooms_certificates_and_versions() {
    if !can_walk() {
        return;
    }
    let mut hands = Hands::of(one_machine());
    let at = hands.installation.node("main").at;
    walk("rules.mjs", at, |words| hands.answer(words));
}

/// An address that comes by itself is a change of the network for browsers, which break off what they load.
fn quiet(network: &Network) {
    let quiet = network.run("main", &["sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1"]);
    assert!(quiet.status.success(), "{quiet:?}");
}

#[test]
fn an_administrator_guards_the_ports_between_machines() {
    if !can_walk() || !have(&["nft"]) {
        return;
    }
    let Some(network) = Network::new(&["main", "alpha", "stranger"]) else { return };
    quiet(&network);
    let mut installation = Installation::new();
    installation.start_main("main", network.place("main"));
    installation.ignore_disk();
    installation.join_and_serve("alpha", "data", network.place("alpha"));
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ADA, "alpha");
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let at = installation.node("main").at;
    let mut hands = Hands::of(installation);
    network.inside("main", || {
        walk("firewall.mjs", at, |words| match words {
            ["knock"] => {
                let is_let_in = network.reaches("stranger", hands.installation.node("alpha").at.cluster);
                if is_let_in { "let in" } else { "kept out" }.to_owned()
            }
            ["stranger"] => network.address("stranger").to_string(),
            other => hands.answer(other),
        });
    });
}

#[test]
fn an_administrator_updates_the_servers() {
    if !can_walk() {
        return;
    }
    let programs = Programs::new();
    let mut installation = Installation::new();
    installation.start_main("main,edge", programs.place());
    installation.join_and_serve("alpha", "data", programs.place());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    for user in [ADA, "one@tern.test"] {
        installation.create_user(user, "alpha");
    }
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    // The first version that starts in a folder is the latest that is there.
    programs.install(NEW);
    let at = installation.node("main").at;
    let mut hands = Hands::of(installation);
    let mut messages = 0;
    walk("updates.mjs", at, |words| match words {
        ["told"] => {
            let farewell = hands.client.take().unwrap().command("NOOP").map(|answer| answer.status);
            assert!(farewell.is_err() || farewell.as_ref().is_ok_and(|said| said.contains("BYE")), "{farewell:?}");
            "it was told so".to_owned()
        }
        ["arrives", address] => {
            messages += 1;
            send(at, address, 21);
            let expected = format!("MESSAGES {messages}");
            let mut imap = walks::connect(&hands.installation, address);
            until("the message", WAIT, || {
                let said = imap.command("STATUS INBOX (MESSAGES)").unwrap();
                said.lines.iter().any(|line| line.contains(&expected)).then_some(())
            });
            "arrived".to_owned()
        }
        other => hands.answer(other),
    });
}
