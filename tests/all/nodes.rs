//! Nodes that join, and what goes on when one is missing.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sterna_testkit::binary::{run, sterna};
use sterna_testkit::imap::Imap;
use sterna_testkit::smtp::Smtp;
use tempfile::TempDir;

/// An installation put together by hand, as an administrator does it.
struct Installation {
    folder: TempDir,
    nodes: Vec<(String, Child)>,
}

impl Installation {
    fn new() -> Self {
        Installation { folder: tempfile::tempdir().unwrap(), nodes: Vec::new() }
    }

    fn dir(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    fn init(&self, node: &str, roles: &str, more: &[&str]) -> std::process::Output {
        let (dir, port) = (self.dir(node), free_port());
        let (dir, address) = (dir.to_string_lossy().into_owned(), format!("127.0.0.1:{port}"));
        let arguments = ["init", "--dir", &dir, "--name", node, "--roles", roles];
        let addresses = ["--address", &address, "--cluster-listen", &address];
        run(&[&arguments[..], &addresses, more].concat())
    }

    fn cluster_address(&self, node: &str) -> String {
        let text = fs::read_to_string(self.dir(node).join("sterna.toml")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("address = ")).unwrap();
        line.trim_matches('"').to_owned()
    }

    /// Gives an edge free ports for IMAP and LMTP and returns them.
    fn listen(&self, node: &str) -> (u16, u16) {
        let path = self.dir(node).join("sterna.toml");
        let text = fs::read_to_string(&path).unwrap();
        let (imap, lmtp) = (free_port(), free_port());
        let listen = format!("[listen]\nimap = \"127.0.0.1:{imap}\"\nlmtp = \"127.0.0.1:{lmtp}\"\n");
        let text = text.replace("plaintext_login = \"never\"", "plaintext_login = \"loopback\"");
        let (before, after) = text.split_once("\n[listen]").unwrap();
        let after = after.split_once("\n[").map(|(_, rest)| format!("[{rest}")).unwrap_or_default();
        fs::write(&path, format!("{before}\n{listen}{after}")).unwrap();
        (imap, lmtp)
    }

    fn serve(&mut self, node: &str) {
        let log = fs::File::create(self.dir(node).join("log")).unwrap();
        let mut command = Command::new(sterna());
        command.args(["serve", "--dir"]).arg(self.dir(node)).stdout(Stdio::null()).stderr(log);
        command.env("STERNA_END_WITH_PARENT", "1");
        self.nodes.push((node.to_owned(), command.spawn().unwrap()));
        self.wait_for(node, &["status"]);
    }

    fn kill(&mut self, node: &str) {
        let at = self.nodes.iter().position(|(name, _)| name == node).unwrap();
        let (_, mut process) = self.nodes.remove(at);
        process.kill().unwrap();
        process.wait().unwrap();
    }

    fn admin(&self, node: &str, arguments: &[&str]) -> std::process::Output {
        let socket = self.dir(node).join("admin.sock").to_string_lossy().into_owned();
        run(&[&["--socket", &socket], arguments].concat())
    }

    /// Repeats a command until it succeeds; the number of tries is the bound.
    fn wait_for(&self, node: &str, arguments: &[&str]) {
        for _ in 0..200 {
            if self.admin(node, arguments).status.success() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.dir(node).join("log")).unwrap_or_default();
        panic!("{node} never answered {arguments:?}: {log}");
    }

    fn token(&self, more: &[&str]) -> String {
        let output = self.admin("main", &[&["--json", "server", "invite"], more].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        value["token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for (_, process) in &mut self.nodes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn errors(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn password_file(folder: &Path) -> String {
    let path = folder.join("password");
    fs::write(&path, "correct horse").unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn log_ins_and_delivery_go_on_while_the_main_node_is_down() {
    let mut installation = Installation::new();
    assert!(installation.init("main", "main", &[]).status.success());
    installation.serve("main");
    let main = installation.cluster_address("main");
    for (node, role) in [("alpha", "data"), ("edge", "edge")] {
        let token = installation.token(&["--roles", role]);
        let joined = installation.init(node, role, &["--join", &main, "--token", &token]);
        assert!(joined.status.success(), "{}", errors(&joined));
    }
    let (imap, lmtp) = installation.listen("edge");
    installation.serve("alpha");
    installation.serve("edge");
    assert!(installation.admin("main", &["domain", "create", "tern.test"]).status.success());
    let password = password_file(installation.folder.path());
    let created = installation.admin("main", &["user", "create", "ana@tern.test", "--password-file", &password]);
    assert!(created.status.success(), "{}", errors(&created));
    installation.wait_for("edge", &["user", "get", "ana@tern.test"]);

    installation.kill("main");

    let mut sender = Smtp::connect("127.0.0.1", lmtp, "LHLO").unwrap();
    let replies = sender.send(&["ana@tern.test"], b"Subject: still here\r\n\r\nHello.\r\n", 1).unwrap();
    assert!(replies[0].starts_with("250"), "{replies:?}");
    let mut reader = Imap::login("127.0.0.1", imap, "ana@tern.test", "correct horse").unwrap();
    assert!(reader.command("SELECT INBOX").unwrap().lines.iter().any(|line| line == "* 1 EXISTS"));

    // A change needs the main node, and the refusal says so.
    let refused = installation.admin("edge", &["domain", "create", "other.test"]);
    assert!(!refused.status.success());
    assert!(errors(&refused).contains("main"), "{}", errors(&refused));
}

#[test]
fn each_wrong_token_is_told_what_is_wrong_with_it() {
    let mut installation = Installation::new();
    assert!(installation.init("main", "main", &[]).status.success());
    installation.serve("main");
    let main = installation.cluster_address("main");
    let join = |node: &str, token: &str| installation.init(node, "data", &["--join", &main, "--token", token]);

    let token = installation.token(&["--roles", "data"]);
    assert!(join("alpha", &token).status.success());
    let used = join("beta", &token);
    assert!(!used.status.success() && errors(&used).contains("used"), "{}", errors(&used));

    let mut wrong = installation.token(&["--roles", "data"]);
    let last = if wrong.ends_with('a') { 'b' } else { 'a' };
    wrong.pop();
    wrong.push(last);
    let refused = join("beta", &wrong);
    assert!(!refused.status.success() && errors(&refused).contains("token"), "{}", errors(&refused));

    let nonsense = join("beta", "please");
    assert!(!nonsense.status.success() && errors(&nonsense).contains("token"), "{}", errors(&nonsense));
    assert!(!installation.dir("beta").join("sterna.toml").exists(), "a failed join leaves no half node behind");
}

#[test]
fn a_folder_with_a_node_in_it_is_not_set_up_again() {
    let installation = Installation::new();
    assert!(installation.init("main", "main,data,edge", &[]).status.success());
    let again = installation.init("main", "main,data,edge", &[]);
    assert!(!again.status.success());
    assert!(errors(&again).contains("already"), "{}", errors(&again));
}
