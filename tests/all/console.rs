//! The console in a browser: what an administrator does in it, from signing in to signing out, with a user who moves
//! between two data servers meanwhile (`ui/walk/`).

use std::path::{Path, PathBuf};
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, PASSWORD};

const ADA: &str = "ada@tern.test";

/// The folder of the console's sources, with the packages that drive a browser, which `cargo xtask test` installs.
fn walk() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
    if folder.join("node_modules/playwright-core").exists() {
        return Some(folder);
    }
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!is_ci, "CI skips nothing, and {}/node_modules is not there", folder.display());
    eprintln!("skipped: the packages of ui/ are not installed (npm --prefix ui ci)");
    None
}

#[test]
fn an_administrator_does_in_a_browser_what_the_command_line_does() {
    if !have(&["node", "chromium"]) {
        return;
    }
    let Some(folder) = walk() else { return };
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
