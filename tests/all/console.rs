//! The console in a browser: what an administrator does in it, from signing in to signing out, with a user who moves
//! between two data servers meanwhile (`ui/walk/`).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, PASSWORD};
use sterna_testkit::wait::until;

use crate::walks::{self, Hands};

const ADA: &str = "ada@tern.test";

/// How long a message may take.
const WAIT: Duration = Duration::from_secs(40);

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
    let mut hands = Hands::of(installation);
    let mut node = Command::new("node");
    node.arg(folder.join("walk/walk.mjs"))
        .env("TOOLS", &folder)
        .env("SHOTS", shots)
        .env("BASE", format!("https://{}:{}", at.host, at.ports.https))
        .envs([("LOGIN", ADA), ("PASSWORD", PASSWORD), ("DOMAIN", "tern.test"), ("FROM", "alpha"), ("TO", "beta")]);
    walks::run(&mut node, |words| match words {
        ["goes-on", address] => {
            let said = at.smtp().unwrap().deliver("zoe@far.test", &[address], b"Subject: moved\r\n\r\nx\r\n").unwrap();
            assert!(said.starts_with("250"), "{said}");

            // The session that began on the other server sees it arrive on this one.
            let imap = hands.client.as_mut().unwrap();
            let start = Instant::now();
            loop {
                let noop = imap.command("NOOP").unwrap();
                let found = imap.command("UID SEARCH ALL").unwrap();
                let uids = found.lines.iter().find_map(|line| line.trim_end().strip_prefix("* SEARCH "));
                // A stranger's message may be taken for junk: either way it is on the new server.
                let junk = imap.command("STATUS Junk (MESSAGES)").unwrap();
                if uids.is_some() || junk.lines.iter().any(|line| line.contains("MESSAGES 1")) {
                    break;
                }
                let trace = hands.installation.admin("main", &["trace", address]);
                assert!(start.elapsed() < WAIT, "{noop:?} {found:?} {}", String::from_utf8_lossy(&trace.stdout));
            }
            "the session lives".to_owned()
        }
        ["is-over", _] => {
            let imap = hands.client.as_mut().unwrap();
            until("the session has ended", Duration::from_secs(60), || {
                let said = imap.command("NOOP");
                let is_over =
                    said.is_err() || said.is_ok_and(|said| said.lines.iter().any(|line| line.starts_with("* BYE")));
                is_over.then_some(())
            });
            "over".to_owned()
        }
        other => hands.answer(other),
    });
}
