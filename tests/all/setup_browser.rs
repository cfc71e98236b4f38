//! The setup in a real browser, with JavaScript and without: `tests/browser/setup.mjs` walks it.

use std::path::Path;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::installation::Installation;

use crate::walks::{self, Hands};

/// Walks all of it; the browser's findings end up in the panic.
fn walk(mode: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = folder.join("../ui");
    // `cargo xtask test` installs them, and so does `npm --prefix ui ci`.
    let driver = tools.join("node_modules/playwright-core/package.json");
    if !have(&["node", "chromium", &driver.to_string_lossy()]) {
        return;
    }
    let mut installation = Installation::new();
    installation.start_empty("main");
    let log = installation.node("main").log();
    let link = log.split_whitespace().find(|word| word.contains("/setup#")).unwrap_or_else(|| panic!("no link: {log}"));
    let mut node = Command::new("node");
    node.arg(folder.join("browser/setup.mjs")).args([link, mode]).env("TOOLS", &tools);
    node.args(std::env::var_os("STERNA_SHOTS"));
    let mut hands = Hands::of(installation);
    walks::run(&mut node, |words| match words {
        ["link"] => {
            let text = hands.installation.admin_ok("main", &["setup", "link"]);
            text.split_whitespace().find(|word| word.contains("/setup#")).unwrap_or_default().to_owned()
        }
        ["where", address] => {
            let place = hands.installation.admin_ok("main", &["--json", "account", "where", address]);
            let place: serde_json::Value = serde_json::from_str(&place).unwrap();
            place["server"].as_str().unwrap_or_default().to_owned()
        }
        other => hands.answer(other),
    });
}

#[test]
fn the_setup_is_walked_with_javascript() {
    walk("script");
}

#[test]
fn the_setup_is_walked_without_javascript() {
    walk("no-script");
}
