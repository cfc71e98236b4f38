//! The description of the API at `/api`, held against what a real installation answers, by schemathesis: requests are
//! made from the description, right ones and wrong ones, and the answers have to be as it says.

use std::path::PathBuf;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::installation::Installation;
use sterna_testkit::moving::ShowLogs;

/// How long it asks, in seconds.
const MAX_SECONDS: &str = "75";

/// What is drawn: a change is judged by what it changes.
const SEED: &str = "1";

/// One: Python before 3.13 fails now and then when two threads parse Python's own syntax at once (`AST constructor
/// recursion depth mismatch`), as the tool does to describe what it draws.
const WORKERS: &str = "1";

/// What has to hold. `positive_data_acceptance` is left out: a schema can't say which domains there are, so that most
/// of what fits it names nothing that exists. `negative_data_rejection` is, too: parameters that an endpoint doesn't
/// know are ignored.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,\
                      missing_required_header,use_after_free,ignored_auth";

/// Endpoints that are not asked: streams that go on for minutes, what would end the test itself because who asks is
/// signed out, the firewall of the machine that tests, and what deletes all that a list has: the tool takes the list
/// for what was deleted, because its path has a parameter, and the empty list for a mistake.
const LEFT_OUT: [&str; 6] = [
    "get-events",
    "get-jobs-job-events",
    "delete-session",
    "post-session",
    "put-firewall",
    "delete-servers-server-orphans",
];

#[test]
fn the_api_answers_as_it_is_described() {
    let Some(schemathesis) = schemathesis() else { return };
    let installation = Installation::standard();
    installation.create_user("ada@tern.test", "alpha");
    let made = installation.admin_ok("main", &["--json", "token", "create", "schemathesis"]);
    let token = field(&made, "token");
    let at = installation.node("main").at;
    let mut command = Command::new(schemathesis);
    command
        .arg("run")
        .arg(format!("https://{}:{}/api", at.host, at.ports.https))
        .args(["--tls-verify", "false", "--workers", WORKERS, "--no-color", "--continue-on-failure"])
        .args(["--max-time", MAX_SECONDS, "--seed", SEED, "--checks", CHECKS, "--no-shrink"])
        .args(["--suppress-health-check", "all", "--request-timeout", "20"])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        .current_dir(installation.folder());
    for id in LEFT_OUT {
        command.args(["--exclude-operation-id", id]);
    }
    let _show = ShowLogs(&installation);
    let output = command.output().unwrap_or_else(|error| panic!("schemathesis: {error}"));
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("Test cases"), "nothing was asked: {said}");
    // It is still there, and well.
    installation.ignore_disk();
    installation.admin_ok("main", &["status"]);
}

/// The value of a field in the JSON that a command printed.
fn field(json: &str, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {json}")).to_owned()
}

/// Where `cargo xtask test` puts it; Debian has no package of it.
fn schemathesis() -> Option<PathBuf> {
    let program = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/schemathesis"));
    if !program.exists() {
        have(&["schemathesis"]);
        return None;
    }
    Some(program)
}
