//! Passkeys in a browser with a virtual authenticator: made, used besides the password and instead of it, taken away
//! (`ui/walk/passkeys.mjs`).

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, PASSWORD};

const ADA: &str = "ada@tern.test";

/// A name for the browser, which keeps no passkeys for numbers.
const NAME: &str = "mail.tern.test";

#[test]
fn an_administrator_signs_in_with_a_passkey() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
    // `cargo xtask test` installs them, and so does `npm --prefix ui ci`.
    let driver = folder.join("node_modules/playwright-core/package.json");
    if !have(&["node", "chromium", "openssl", &driver.to_string_lossy()]) {
        return;
    }
    let installation = Installation::standard();
    installation.create_user(ADA, "alpha");
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let at = installation.node("main").at;
    let mut walk = Command::new("node")
        .arg(folder.join("walk/passkeys.mjs"))
        .env("TOOLS", &folder)
        .env("SHOTS", std::env::var("STERNA_SHOTS").unwrap_or_default())
        .env("BASE", format!("https://{NAME}:{}", at.ports.https))
        .env("RESOLVE", format!("MAP {NAME} {}", at.host))
        .env("SPKI", key_hash(&format!("{}:{}", at.host, at.ports.https)))
        .envs([("LOGIN", ADA), ("PASSWORD", PASSWORD)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("node: {error}"));
    let (mut said, mut out) = (String::new(), BufReader::new(walk.stdout.take().unwrap()));
    while !said.ends_with("ready for passkeys alone\n") && out.read_line(&mut said).unwrap() > 0 {}
    if said.ends_with("ready for passkeys alone\n") {
        let listed = installation.admin_ok("main", &["--output", "ndjson", "passkey", "list", ADA]);
        assert!(listed.contains("Pocket key") && listed.contains(NAME), "{listed}");
        installation.admin_ok("main", &["config", "set", "console.passkeys", "instead-of-password"]);
        walk.stdin.take().unwrap().write_all(b"on\n").unwrap();
    }
    let (mut rest, mut errors) = (String::new(), String::new());
    out.read_to_string(&mut rest).unwrap();
    walk.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let status = walk.wait().unwrap();
    assert!(status.success(), "{said}{rest}{errors}");
    let listed = installation.admin_ok("main", &["--output", "ndjson", "passkey", "list", ADA]);
    assert!(!listed.contains("Pocket key"), "{listed}");
}

/// The hash of the key of the certificate that a listener shows, as Chromium takes it.
fn key_hash(at: &str) -> String {
    let script = "openssl s_client -connect \"$0\" </dev/null 2>/dev/null | openssl x509 -pubkey -noout \
                  | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64";
    let output = Command::new("sh").args(["-c", script, at]).output().unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
