//! The command line as administrators and their scripts use it: what it prints, how it ends, what it says to do next.

use std::process::Output;

use serde_json::{Value, json};
use sterna_testkit::binary::run;
use sterna_testkit::installation::{Installation, PASSWORD, Place, errors, succeeded};

/// Items that every account begins with: the subscriptions to its first folders.
const FIRST_ITEMS: u64 = 6;

/// A main node that does everything, with the domain tern.test.
fn one_machine() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.ignore_disk();
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation
}

fn json_of(installation: &Installation, arguments: &[&str]) -> Value {
    let text = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {}", errors(output)))
}

/// How a command ends, and what it says on standard error.
fn ends(installation: &Installation, arguments: &[&str]) -> (i32, String) {
    let output = installation.admin("main", arguments);
    (code(&output), errors(&output))
}

/// The names of an object's fields: what scripts rely on.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

#[test]
fn every_command_finds_the_node_of_its_folder() {
    let installation = one_machine();
    let folder = installation.folder().join("main").to_string_lossy().into_owned();
    for arguments in [["status"].as_slice(), &["domain", "list"], &["check"]] {
        succeeded("a command with --dir", &run(&[&["--dir", &folder], arguments].concat()));
    }
    let nobody = run(&["status", "--dir", "/nonexistent"]);
    assert_eq!(code(&nobody), 69);
    assert!(errors(&nobody).contains("/nonexistent/admin.sock") && errors(&nobody).contains("--dir"));
    let missing = run(&["serve", "--dir", "/nonexistent"]);
    assert_eq!(code(&missing), 78);
    assert!(errors(&missing).contains("sterna init"), "{}", errors(&missing));
    assert_eq!(code(&run(&["check", "--dir", "/nonexistent"])), 78);
    assert_eq!(code(&run(&["user", "get"])), 2);
}

#[test]
fn a_wrong_init_leaves_nothing_in_the_way_of_a_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("node").to_string_lossy().into_owned();
    for wrong in [["--name", "Mail One"], ["--address", "nowhere"], ["--roles", "boss"], ["--roles", "data"]] {
        let output = run(&[&["init", "--dir", &dir], &wrong[..]].concat());
        assert_eq!(code(&output), 1, "{wrong:?}");
    }
    succeeded("sterna init", &run(&["init", "--dir", &dir, "--name", "mail1"]));
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
        assert_eq!(mode & 0o007, 0, "others can't read {}", entry.path().display());
    }
}

#[test]
fn man_pages_and_completions_are_about_every_command() {
    let folder = tempfile::tempdir().unwrap();
    succeeded("sterna man", &run(&["man", &folder.path().to_string_lossy()]));
    for page in [
        "sterna",
        "sterna-user-create",
        "sterna-account-where",
        "sterna-account-move",
        "sterna-job-follow",
        "sterna-server-drain",
        "sterna-search-rebuild",
        "sterna-config-set",
        "sterna-check",
    ] {
        let text = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH NAME") && text.contains("\\-\\-json"), "{page}");
    }
    let main = std::fs::read_to_string(folder.path().join("sterna.1")).unwrap();
    assert!(main.contains("the node does not answer"), "the exit codes");
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeded("sterna completion", &run(&["completion", shell]));
        assert!(script.contains("full-mailbox") && script.contains("invite"), "{shell}");
    }
}

#[test]
fn exit_codes_say_what_happened() {
    let installation = one_machine();
    installation.create_user("ana@tern.test", "main");
    let (taken, said) = ends(&installation, &["domain", "create", "tern.test"]);
    assert_eq!(taken, 1);
    assert!(said.contains("taken") && said.lines().count() == 2, "what happened and what to do: {said}");
    assert_eq!(ends(&installation, &["domain", "create", "tern.test", "--if-not-exists"]).0, 3);
    assert_eq!(ends(&installation, &["user", "set", "ana@tern.test", "--name", "Ana"]).0, 0);
    assert_eq!(ends(&installation, &["user", "set", "ana@tern.test", "--name", "Ana"]).0, 3);
    assert_eq!(ends(&installation, &["user", "set", "ana@tern.test"]).0, 2);
    let (gone, said) = ends(&installation, &["user", "get", "nobody@tern.test"]);
    assert!(gone == 1 && said.contains("sterna user list"), "{said}");
    let (unasked, said) = ends(&installation, &["user", "delete", "ana@tern.test"]);
    assert!(unasked == 2 && said.contains("--yes"), "{said}");
    let (in_use, said) = ends(&installation, &["domain", "delete", "tern.test", "--yes"]);
    assert!(in_use == 1 && said.contains("ana@tern.test"), "{said}");
    assert_eq!(ends(&installation, &["user", "delete", "ana@tern.test", "--yes", "--dry-run"]).0, 0);
    assert_eq!(ends(&installation, &["user", "delete", "ana@tern.test", "--yes"]).0, 0);
    assert_eq!(ends(&installation, &["domain", "delete", "tern.test", "--yes"]).0, 0);
}

#[test]
fn json_keeps_its_fields() {
    let installation = one_machine();
    installation.create_user("ana@tern.test", "main");
    installation.admin_ok("main", &["account", "create", "info@tern.test"]);
    installation.admin_ok("main", &["group", "create", "all@tern.test", "--member", "ana@tern.test"]);
    let entry = ["address", "aliases", "created_at", "display_name", "id", "kind", "senders"];
    let with = |more: &[&'static str]| {
        let mut all = [&entry, more].concat();
        all.sort_unstable();
        all
    };
    let forward = ["forward_only", "forward_to"];
    let user = with(&[
        "admin",
        "forward_only",
        "forward_to",
        "has_password",
        "has_scram",
        "login",
        "quota_bytes",
        "server",
        "suspended",
    ]);
    let usage = ["used_bytes", "used_items"];
    assert_eq!(fields(&json_of(&installation, &["user", "list"])[0]), user);
    let mut of_one = [&user[..], &usage].concat();
    of_one.sort_unstable();
    assert_eq!(fields(&json_of(&installation, &["user", "get", "ana@tern.test"])), of_one);
    let shared = with(&[&forward[..], &["quota_bytes", "server", "suspended"]].concat());
    assert_eq!(fields(&json_of(&installation, &["account", "list"])[0]), shared);
    let group = with(&["external_members", "internal_senders_only", "member_count", "suspended"]);
    assert_eq!(fields(&json_of(&installation, &["group", "list"])[0]), group);
    let domain = [
        "aliases",
        "contacts_inside",
        "created_at",
        "description",
        "full_mailbox",
        "id",
        "name",
        "plus_separators",
        "postmaster",
        "retention_days",
        "servers",
        "suspended",
    ];
    assert_eq!(fields(&json_of(&installation, &["domain", "get", "tern.test"])), domain);
    assert_eq!(json_of(&installation, &["domain", "list"])[0]["name"], "tern.test");
    let place = json_of(&installation, &["account", "where", "ana@tern.test"]);
    let where_fields =
        ["account", "address", "copies", "epoch", "job", "moving_to", "server", "server_address", "server_id"];
    assert_eq!(fields(&place), where_fields);
    assert_eq!(place["server"], "main");
    assert_eq!(json_of(&installation, &["group", "members", "all@tern.test"])[0]["address"], "ana@tern.test");
    let lines = installation.admin_ok("main", &["--output", "ndjson", "user", "list"]);
    assert_eq!(lines.lines().count(), 1);
}

#[test]
fn status_shows_every_server_and_problems_first() {
    let mut installation = one_machine();
    installation.join_and_serve("alpha", "data", Place::default());
    let status = json_of(&installation, &["status"]);
    assert_eq!(status["problems"], json!([]));
    assert_eq!(fields(&status), ["directory", "node", "problems", "servers"]);
    let servers = status["servers"].as_array().unwrap();
    assert_eq!(servers.iter().map(|server| &server["name"]).collect::<Vec<_>>(), ["alpha", "main"]);
    for server in servers {
        assert_eq!(server["reachable"], true);
        assert_eq!(server["version"], status["node"]["version"]);
        assert!(server["free_bytes"].as_u64() > Some(0), "{server}");
        assert!(server["certificate_not_after"].as_str() > Some("2026"), "{server}");
    }
    assert!(servers[1]["client_certificate_not_after"].is_string(), "main is an edge");
    assert!(installation.admin_ok("main", &["status"]).starts_with("All is well."));

    installation.kill("alpha");
    installation.admin_ok("main", &["server", "set", "main", "--accept-new", "no"]);
    installation.admin_ok("main", &["server", "set", "alpha", "--weight", "0"]);
    let output = installation.admin("main", &["status"]);
    assert_eq!(code(&output), 1);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("! alpha: does not answer"), "{text}");
    assert!(text.contains("sterna server set alpha --address"), "{text}");
    assert!(text.contains("! no server takes new accounts"), "{text}");
    let (refused, said) = ends(&installation, &["account", "create", "info@tern.test"]);
    assert!(refused == 1 && said.contains("alpha has weight 0") && said.contains("main takes no new"), "{said}");
}

#[test]
fn a_move_is_shown_before_it_is_begun_and_refusals_are_clear() {
    let mut installation = one_machine();
    installation.join_and_serve("alpha", "data", Place::default());
    installation.create_user("ana@tern.test", "main");
    installation.create_user("ben@tern.test", "main");
    let to_alpha = ["account", "move", "--domain", "tern.test", "--to", "alpha", "--dry-run"];
    let plan = json_of(&installation, &to_alpha);
    assert_eq!(fields(&plan), ["bytes", "expected_seconds", "job", "moves", "refused", "there", "unknown_sizes"]);
    let moves = plan["moves"].as_array().unwrap();
    assert_eq!(moves.len(), 2);
    assert_eq!(fields(&moves[0]), ["account", "address", "bytes", "from", "has_copy", "to"]);
    assert!(moves[0]["bytes"].is_u64(), "its server says how large it is: {plan}");
    let shown = installation.admin_ok("main", &to_alpha);
    assert!(shown.contains("alpha: +2 accounts") && shown.contains("main: -2 accounts"), "{shown}");

    let (there, said) = ends(&installation, &["account", "move", "ana@tern.test", "--to", "main"]);
    assert!(there == 3 && said.contains("ana@tern.test is there already"), "{said}");
    let (unknown, said) = ends(&installation, &["account", "move", "ana@tern.test", "--to", "nowhere"]);
    assert!(unknown == 1 && said.contains("sterna server list"), "{said}");
    let (never, said) = ends(&installation, &["account", "move", "ana@tern.test", "--back"]);
    assert!(never == 1 && said.contains("no copy of it is kept"), "{said}");
    for wrong in [&["account", "move", "--to", "alpha"][..], &["account", "move", "ana@tern.test"]] {
        assert_eq!(ends(&installation, wrong).0, 2, "{wrong:?}");
    }
    let (full, said) = ends(&installation, &["server", "remove", "main", "--yes"]);
    assert!(full == 1 && said.contains("2 accounts live there") && said.contains("server drain main"), "{said}");

    installation.kill("alpha");
    let (down, said) = ends(&installation, &["account", "move", "ana@tern.test", "--to", "alpha"]);
    assert!(down == 75 && said.contains("alpha doesn't answer") && said.contains("nothing was begun"), "{said}");
    let servers = json_of(&installation, &["server", "list"]);
    assert_eq!((&servers[0]["name"], &servers[0]["answers"]), (&json!("alpha"), &json!(false)));
    assert!(servers[0]["cause"].is_string() && servers[0]["since"].is_string(), "{servers}");
    assert_eq!(json_of(&installation, &["job", "list"]), json!([]));
}

#[test]
fn names_lead_where_they_were_set_to_lead() {
    let installation = one_machine();
    let at = installation.node("main").at;
    installation.create_user("ana@tern.test", "main");
    installation.admin_ok("main", &["domain", "set", "tern.test", "--alias", "sterna.test"]);
    installation.admin_ok("main", &["user", "set", "ana@tern.test", "--alias", "a@tern.test", "--login", "ana"]);
    installation.admin_ok("main", &["account", "create", "info@tern.test"]);
    installation.admin_ok("main", &["group", "create", "team@tern.test", "--member", "ana@tern.test"]);
    let nested = ["group", "create", "all@tern.test", "--member", "team@tern.test", "--member", "info@tern.test"];
    installation.admin_ok("main", &nested);

    let mut lmtp = at.lmtp().unwrap();
    for address in ["ana@sterna.test", "a@tern.test", "ana+lists@tern.test", "all@sterna.test", "info@tern.test"] {
        let replies = lmtp.send(&[address], b"Subject: names\r\n\r\nHello.\r\n", 1).unwrap();
        assert!(replies[0].starts_with("250"), "{address}: {replies:?}");
    }
    assert_eq!(json_of(&installation, &["user", "get", "ana"])["used_items"], FIRST_ITEMS + 4);
    assert_eq!(json_of(&installation, &["account", "get", "info@tern.test"])["used_items"], FIRST_ITEMS + 2);
    assert!(at.login("ana").is_ok() && at.login("a@sterna.test").is_ok());

    let password = installation.folder().join("new password");
    std::fs::write(&password, format!("{PASSWORD} but newer\n")).unwrap();
    let set = ["user", "set", "ana@tern.test", "--password-file", &password.to_string_lossy()];
    installation.admin_ok("main", &set);
    assert!(at.login("ana").is_err(), "the old password is over");
    installation.admin_ok("main", &["user", "set", "ana@tern.test", "--suspended", "yes"]);
    let replies = lmtp.send(&["ana@tern.test"], b"Subject: away\r\n\r\nHello.\r\n", 1);
    assert!(replies.is_err(), "no recipient is left: {replies:?}");
}

#[test]
fn a_quota_is_set_shown_and_held() {
    let installation = one_machine();
    let at = installation.node("main").at;
    installation.create_user("ana@tern.test", "main");
    let set = json_of(&installation, &["user", "set", "ana@tern.test", "--quota", "1k"]);
    assert_eq!(set["quota_bytes"], 1024);
    let message = format!("Subject: large\r\n\r\n{}\r\n", "x".repeat(600));
    let mut lmtp = at.lmtp().unwrap();
    let mut deliver = || lmtp.send(&["ana@tern.test"], message.as_bytes(), 1).unwrap().remove(0);
    assert!(deliver().starts_with("250"));
    assert!(deliver().starts_with("452 4.2.2"));
    let refusal = at.login("ana@tern.test").unwrap().append("INBOX", message.as_bytes()).unwrap();
    assert!(format!("{refusal:?}").contains("[OVERQUOTA]"), "{refusal:?}");
    installation.admin_ok("main", &["domain", "set", "tern.test", "--full-mailbox", "refuse"]);
    assert!(deliver().starts_with("552 5.2.2"));
    let shown = json_of(&installation, &["user", "get", "ana@tern.test"]);
    assert_eq!((&shown["used_items"], shown["used_bytes"].as_u64() > Some(600)), (&json!(FIRST_ITEMS + 1), true));
    assert_eq!(
        json_of(&installation, &["user", "set", "ana@tern.test", "--quota", "none"])["quota_bytes"],
        Value::Null
    );
    assert!(deliver().starts_with("250"));
}

#[test]
fn expunged_messages_go_when_their_time_is_over() {
    let mut installation = one_machine();
    let at = installation.node("main").at;
    installation.create_user("ana@tern.test", "main");
    assert_eq!(json_of(&installation, &["domain", "get", "tern.test"])["retention_days"], 7);
    installation.admin_ok("main", &["setting", "set", "retention-days", "30"]);
    assert_eq!(json_of(&installation, &["domain", "get", "tern.test"])["retention_days"], 30);
    installation.admin_ok("main", &["domain", "set", "tern.test", "--retention-days", "0"]);
    assert_eq!(ends(&installation, &["setting", "set", "retention-days", "soon"]).0, 2);
    assert_eq!(ends(&installation, &["setting", "get", "colour"]).0, 1);

    at.lmtp().unwrap().send(&["ana@tern.test"], b"Subject: gone\r\n\r\nSoon.\r\n", 1).unwrap();
    let mut ana = at.login("ana@tern.test").unwrap();
    for command in ["SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "LOGOUT"] {
        ana.command(command).unwrap();
    }
    installation.stop("main");
    installation.serve("main");
    let purged = |log: String| log.lines().any(|line| line.contains("purged") && line.contains("rows=1"));
    let node = installation.node("main");
    sterna_testkit::wait::until("the purge", std::time::Duration::from_secs(20), || purged(node.log()).then_some(()));
}

#[test]
fn check_works_while_mail_arrives_and_finds_what_is_wrong() {
    let mut installation = one_machine();
    let at = installation.node("main").at;
    installation.create_user("ana@tern.test", "main");
    installation.create_user("ben@tern.test", "main");
    let folder = installation.folder().join("main");
    let dir = folder.to_string_lossy().into_owned();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut lmtp = at.lmtp().unwrap();
            for _ in 0..50 {
                let message = b"Subject: during a check\r\n\r\nHello.\r\n";
                assert!(lmtp.send(&["ana@tern.test"], message, 1).unwrap()[0].starts_with("250"));
            }
        });
        for _ in 0..5 {
            succeeded("a check online", &run(&["check", "--deep", "--dir", &dir]));
        }
    });
    let status = at.login("ana@tern.test").unwrap().command("STATUS INBOX (MESSAGES)").unwrap();
    assert!(status.lines.iter().any(|line| line.contains("MESSAGES 50")), "{status:?}");
    let one = run(&["--json", "check", "--dir", &dir, "ana@tern.test"]);
    let one: Value = serde_json::from_str(&succeeded("a check of one account", &one)).unwrap();
    assert_eq!(one, json!({ "accounts": 1, "findings": [] }));
    assert_eq!(code(&run(&["check", "--dir", &dir, "nobody@tern.test"])), 1);

    installation.stop("main");
    // Ben's.
    let (store, kept) = (folder.join("accounts/02/2"), folder.join("kept"));
    std::fs::rename(&store, &kept).unwrap();
    let lost = run(&["check", "--dir", &dir]);
    assert_eq!(code(&lost), 1);
    assert!(String::from_utf8_lossy(&lost.stdout).contains("account 2: "), "{lost:?}");
    let mut torn = std::fs::read(kept.join("account.sqlite")).unwrap();
    let middle = torn.len() / 2;
    torn[middle..].fill(0x5a);
    std::fs::create_dir(&store).unwrap();
    std::fs::write(store.join("account.sqlite"), torn).unwrap();
    let torn = run(&["check", "--dir", &dir]);
    assert_eq!(code(&torn), 1);
    assert!(String::from_utf8_lossy(&torn.stdout).contains("account 2: "), "{torn:?}");
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&kept, &store).unwrap();
    succeeded("a check offline", &run(&["check", "--deep", "--dir", &dir]));
    let directory = folder.join("directory.sqlite");
    std::fs::rename(&directory, folder.join("kept.sqlite")).unwrap();
    let lost = run(&["check", "--dir", &dir]);
    assert!(code(&lost) == 1 && String::from_utf8_lossy(&lost.stdout).contains("directory: "), "{lost:?}");
    assert!(!directory.exists(), "a check makes nothing");
    std::fs::rename(folder.join("kept.sqlite"), &directory).unwrap();
}

#[test]
fn an_administrator_begins_with_the_rights_on_a_shared_mailbox() {
    let installation = one_machine();
    let at = installation.node("main").at;
    for user in ["ana@tern.test", "ben@tern.test"] {
        installation.create_user(user, "main");
    }
    installation.admin_ok("main", &["account", "create", "info@tern.test"]);
    installation.admin_ok("main", &["group", "create", "team@tern.test", "--member", "ben@tern.test"]);
    let acl = |arguments: &[&str]| json_of(&installation, &[&["account", "acl"], arguments].concat());
    assert_eq!(acl(&["list", "info@tern.test"]), json!([]));
    let given = acl(&["set", "info@tern.test", "team@tern.test", "lrswited"]);
    assert_eq!(given.as_array().unwrap().len(), 6, "{given}");
    let listed = acl(&["set", "info@tern.test", "ana@tern.test", "lra", "--mailbox", "INBOX"]);
    let first = json!({ "kind": "mailbox", "mailbox": "INBOX", "identifier": "ana@tern.test", "rights": "lra" });
    assert!(listed.as_array().unwrap().contains(&first), "{listed}");
    let (mut ana, mut ben) = (at.login("ana@tern.test").unwrap(), at.login("ben@tern.test").unwrap());
    assert!(ben.append("\"Shared folders/info@tern.test/INBOX\"", b"Subject: x\r\n\r\ny\r\n").unwrap().ok());
    assert!(ana.command("SETACL \"Shared folders/info@tern.test/INBOX\" anyone l").unwrap().ok());
    let again = ["account", "acl", "set", "info@tern.test", "team@tern.test", "lrswite", "--mailbox", "INBOX"];
    assert_eq!(ends(&installation, &again).0, 3, "it was already so");
    for (arguments, code) in [
        (["set", "info@tern.test", "nobody@tern.test", "l"], 1),
        (["set", "info@tern.test", "anyone", "lz"], 2),
        (["set", "ana@tern.test", "ana@tern.test", "l"], 2),
        (["set", "team@tern.test", "anyone", "l"], 1),
    ] {
        assert_eq!(ends(&installation, &[&["account", "acl"], &arguments[..]].concat()).0, code, "{arguments:?}");
    }
    acl(&["delete", "info@tern.test", "team@tern.test"]);
    acl(&["delete", "info@tern.test", "anyone"]);
    assert!(!ben.command("SELECT \"Shared folders/info@tern.test/INBOX\"").unwrap().ok());
    let seen = ben.command("LIST \"\" *").unwrap();
    assert!(!seen.lines.iter().any(|line| line.contains("Shared folders")), "{seen:?}");
    // Whoever is renamed keeps what they have; who is gone is shown as such, and can be taken out.
    installation.admin_ok("main", &["user", "set", "ana@tern.test", "--address", "anna@tern.test"]);
    assert_eq!(acl(&["list", "info@tern.test"])[0]["identifier"], "anna@tern.test");
    assert!(ana.command("STATUS \"Shared folders/info@tern.test/INBOX\" (MESSAGES)").unwrap().ok());
    installation.admin_ok("main", &["user", "delete", "anna@tern.test", "--yes"]);
    let gone = acl(&["list", "info@tern.test"])[0]["identifier"].as_str().unwrap().to_owned();
    assert!(gone.starts_with('#'), "{gone}");
    acl(&["delete", "info@tern.test", &gone]);
    assert_eq!(acl(&["list", "info@tern.test"]), json!([]));
}
