//! What tests of changes of machines do and wait for.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::installation::{Installation, errors};
use sterna_testkit::moving::ShowLogs;
use sterna_testkit::wait::until;

/// What the old machine is called, where there are two.
pub const OLD: &str = "main";
/// What the new one is called.
pub const NEW: &str = "fresh";

/// How long a step may take, on a machine that does other things as well.
pub const WITHIN: Duration = Duration::from_secs(150);

/// The steps of a switch at which somebody may end, and who comes by there.
pub const ENDS: [(&str, &str); 8] = [
    (OLD, "migration-fetching"),
    (NEW, "migration-fetched-one"),
    (OLD, "migration-handing-over"),
    (OLD, "migration-handed-over"),
    (NEW, "migration-installed-one"),
    (NEW, "migration-planned"),
    (NEW, "main-committing"),
    (NEW, "migration-entered"),
];

/// How far it is, by a node; `None` while that can't say.
pub fn state(installation: &Installation, node: &str) -> Option<Value> {
    let output = installation.admin(node, &["--json", "migrate", "status"]);
    output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
}

/// Waits for a state that one of these nodes tells of: whichever is the main one just now.
pub fn is_so(
    installation: &Installation,
    (what, within): (&str, Duration),
    nodes: &[&str],
    is: impl Fn(&Value) -> bool,
) {
    let _show = ShowLogs(installation);
    until(what, within, || {
        let said = nodes.iter().filter_map(|node| state(installation, node));
        said.into_iter().any(|state| is(&state)).then_some(())
    });
}

/// Asks for a step until it is taken: while mail comes, an account may lack more than a moment's changes just now, and
/// it is refused for that. Who ends there may not live to answer.
pub fn is_taken(
    installation: &Installation,
    (node, action): (&str, &str),
    within: Duration,
    end: Option<(&str, &str)>,
) {
    let _show = ShowLogs(installation);
    until(&format!("{node} takes {action}"), within, || {
        let asked = installation.admin(node, &["migrate", action, "--yes", "--detach"]);
        let is_over = || end.is_some_and(|(node, failpoint)| installation.is_reached(node, failpoint));
        if asked.status.success() || is_over() {
            return Some(());
        }
        let said = errors(&asked);
        assert!(said.contains("equal") || said.contains("answer"), "{said}");
        None
    });
}
