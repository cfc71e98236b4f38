//! Limits of sessions, changed while the nodes run.

use std::time::Duration;

use sterna_testkit::installation::{Installation, errors};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";

/// How long an edge may take to hear of a setting.
const HEARD_WITHIN: Duration = Duration::from_secs(40);

#[test]
fn a_limit_that_is_set_holds_for_the_next_sessions() {
    let installation = Installation::standard();
    let main = installation.node("main").at;
    let refused = installation.admin("main", &["setting", "set", "session.per-account", "0"]);
    assert!(!refused.status.success() && errors(&refused).contains("from 1 to"), "{}", errors(&refused));
    let list = installation.admin_ok("main", &["setting", "list"]);
    assert!(list.contains("session.per-account") && list.contains("imap.set-ranges"), "{list}");

    let mut first = main.login(ANA).unwrap();
    installation.admin_ok("main", &["setting", "set", "session.per-account", "1"]);
    until("a second session is refused", HEARD_WITHIN, || main.login(ANA).err().map(drop));
    assert!(first.command("NOOP").unwrap().ok(), "those that were there stay");
    installation.admin_ok("main", &["setting", "set", "session.per-account", ""]);
    until("a second session is let in", HEARD_WITHIN, || main.login(ANA).ok().map(drop));
}
