//! The console in a browser: what an administrator does in it, from signing in to signing out, with a user who moves
//! between two data servers meanwhile (`ui/walk/`).

use std::path::Path;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, PASSWORD};

const ADA: &str = "ada@tern.test";

#[test]
fn an_administrator_does_in_a_browser_what_the_command_line_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
    // `cargo xtask test` installs them, and so does `npm --prefix ui ci`.
    let driver = folder.join("node_modules/playwright-core/package.json");
    if !have(&["node", "chromium", &driver.to_string_lossy()]) {
        return;
    }
    let installation = Installation::standard();
    installation.create_user(ADA, "alpha");
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let at = installation.node("main").at;
    let shots = std::env::var("STERNA_SHOTS").unwrap_or_default();
    let output = Command::new("node")
        .arg(folder.join("walk/walk.mjs"))
        .env("TOOLS", &folder)
        .env("SHOTS", shots)
        .env("BASE", format!("https://{}:{}", at.host, at.ports.https))
        .envs([("LOGIN", ADA), ("PASSWORD", PASSWORD), ("DOMAIN", "tern.test"), ("FROM", "alpha"), ("TO", "beta")])
        .output()
        .unwrap_or_else(|error| panic!("node: {error}"));
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
}
