//! More walks through the console in a browser: people and domains, and two administrators at once (`ui/walk/`).

use std::path::Path;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, PASSWORD, Place};

use crate::walks;

const ADA: &str = "ada@tern.test";

/// Runs a walk on an installation of one machine, with an administrator and a user.
fn walk(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
    let driver = folder.join("node_modules/playwright-core/package.json");
    if !have(&["node", "chromium", &driver.to_string_lossy()]) {
        return;
    }
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    for user in [ADA, "ben@tern.test"] {
        installation.create_user(user, "main");
    }
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let at = installation.node("main").at;
    let mut node = Command::new("node");
    node.arg(folder.join("walk").join(name))
        .env("TOOLS", &folder)
        .env("SHOTS", std::env::var("STERNA_SHOTS").unwrap_or_default())
        .env("BASE", format!("https://{}:{}", at.host, at.ports.https))
        .envs([("LOGIN", ADA), ("PASSWORD", PASSWORD), ("DOMAIN", "tern.test")]);
    walks::run(&mut node, |words| panic!("nothing is asked: {words:?}"));
}

#[test]
fn an_administrator_looks_after_people_and_domains() {
    walk("people.mjs");
}

#[test]
fn two_administrators_do_not_undo_each_other() {
    walk("together.mjs");
}
