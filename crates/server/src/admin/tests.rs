//! The API through its socket, with the client of the command line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use hyper::Method;
use serde_json::{Value, json};
use std::sync::Mutex;
use sterna_account::Quota;
use sterna_account::service::{Authenticator, LoginAttempt};
use sterna_base::{AccountId, Epoch, InstallationId, ManualClock, Modseq, NodeId, Secret, Timestamp};
use sterna_cluster::{NodeRoles, NodeStatus};
use sterna_directory::{Authentication, Directory, Mode, PasswordCost, Request, Roles};
use tempfile::TempDir;

use super::doors::{
    AdminState, JoinToken, NodeInfo, Provision, ProvisionError, StoreReport, TokenError, TokenRequest, Tokens,
};
use super::principal::Principal;
use super::{bin, router, socket, sweep};
use crate::cli::client::{Answer, CliError, Client, path};
use crate::cli::{Cli, Command, Exit};
use crate::sources::run::Sources;

const ALPHA: NodeId = NodeId([0xa; 16]);
const BETA: NodeId = NodeId([0xb; 16]);

/// Writes down what is asked of the servers; beta is down when told so.
#[derive(Default)]
struct Servers {
    log: Mutex<Vec<String>>,
    beta_is_down: Mutex<bool>,
    alpha_is_down: Mutex<bool>,
    /// Bytes of every account.
    bytes: AtomicU64,
    /// Bytes free on every disk; 0 is unknown.
    free: AtomicU64,
    /// Changes that every copy lacks.
    behind: AtomicU64,
    /// Whether no copy was ever complete.
    is_incomplete: AtomicBool,
    /// Releases that beta is behind.
    beta_is_older: AtomicU32,
}

impl Servers {
    fn note(&self, what: String, server: NodeId) -> Result<(), ProvisionError> {
        let is_down = match server {
            ALPHA => *self.alpha_is_down.lock().unwrap(),
            BETA => *self.beta_is_down.lock().unwrap(),
            _ => false,
        };
        if is_down {
            return Err(ProvisionError::Unreachable { server, cause: "connection refused".into() });
        }
        self.log.lock().unwrap().push(what);
        Ok(())
    }
}

fn name(server: NodeId) -> &'static str {
    match server {
        ALPHA => "alpha",
        BETA => "beta",
        _ => "gamma",
    }
}

#[async_trait]
impl Provision for Servers {
    async fn create(&self, account: AccountId, server: NodeId, epoch: Epoch) -> Result<(), ProvisionError> {
        self.note(format!("create {account} on {} epoch {epoch}", name(server)), server)
    }

    async fn delete(&self, account: AccountId, server: NodeId, _epoch: Option<Epoch>) -> Result<(), ProvisionError> {
        self.note(format!("delete {account} on {}", name(server)), server)
    }

    async fn set_quota(&self, account: AccountId, server: NodeId, max: Option<u64>) -> Result<(), ProvisionError> {
        self.note(format!("quota {account} {max:?}"), server)
    }

    async fn usage(&self, _account: AccountId) -> Result<Quota, ProvisionError> {
        Ok(Quota { bytes_max: None, items_max: None, bytes_used: self.bytes.load(Relaxed), items_used: 2 })
    }

    async fn store(&self, account: AccountId, server: NodeId) -> Result<StoreReport, ProvisionError> {
        self.note(format!("store {account} on {}", name(server)), server)?;
        let behind = self.behind.load(Relaxed);
        Ok(StoreReport {
            modseq: Modseq(10 - behind),
            source_modseq: Some(Modseq(10)),
            is_complete: !self.is_incomplete.load(Relaxed),
            ..StoreReport::default()
        })
    }

    async fn status(&self, server: NodeId) -> Result<NodeStatus, ProvisionError> {
        self.note(String::from("status"), server)?;
        Ok(NodeStatus {
            node: server,
            version: "0".into(),
            release: 5 - if server == BETA { self.beta_is_older.load(Relaxed) } else { 0 },
            roles: NodeRoles::new(),
            now: Timestamp(1_000_000),
            disk_free_bytes: self.free.load(Relaxed),
            disk_bytes: self.free.load(Relaxed) * 2,
            accounts: 0,
            store_format: 0,
            copies: Default::default(),
            asides: None,
            dane_off: None,
            load_hundredths: 0,
            directory_modseq: u64::MAX,
            started_at: None,
            main_address: None,
            certificate_not_after: None,
            client_certificate_not_after: None,
            client_certificate_modseq: None,
            waiting_for: Vec::new(),
            over_limits: Vec::new(),
            filters_down: Vec::new(),
            endpoints: Vec::new(),
            installed: Vec::new(),
            version_failed: None,
            waiting_mail: Some(0),
            addresses: Vec::new(),
            firewall: sterna_cluster::FirewallStatus::default(),
        })
    }
}

struct NoTokens;

#[async_trait]
impl Tokens for NoTokens {
    async fn issue(&self, request: TokenRequest) -> Result<JoinToken, TokenError> {
        let token = Some(Secret::new("st-secret"));
        Ok(JoinToken { id: "t1".into(), token, request, expires_at: Timestamp(0) })
    }

    async fn list(&self) -> Result<Vec<JoinToken>, TokenError> {
        Ok(Vec::new())
    }

    async fn revoke(&self, _id: &str) -> Result<bool, TokenError> {
        Ok(false)
    }
}

struct Node {
    folder: TempDir,
    clock: ManualClock,
    state: AdminState,
    servers: Arc<Servers>,
    client: Client,
}

impl Node {
    async fn start(mode: Mode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp(1_000_000));
        let path = folder.path().join("directory.db");
        let directory = Directory::open(&path, mode, Arc::new(clock.clone())).unwrap();
        let authentication = Authentication::new(directory.clone(), PasswordCost::TEST, 1).unwrap();
        let servers = Arc::new(Servers { bytes: AtomicU64::new(17), ..Servers::default() });
        let node = NodeInfo {
            id: ALPHA,
            name: "alpha".into(),
            roles: vec!["main".into()],
            version: "0".into(),
            started_at: Timestamp(0),
        };
        let state = AdminState {
            directory,
            authentication: Arc::new(authentication),
            node: Arc::new(node),
            provision: servers.clone(),
            tokens: Arc::new(NoTokens),
            memory: Arc::default(),
            leases: None,
            queue: None,
            dkim: None,
            discovery: None,
            sources: Some(Arc::new(Sources::open(folder.path()).unwrap())),
            checks: None,
            routing: None,
            migration: Default::default(),
            vitals: None,
            records: None,
            local: None,
        };
        let at = folder.path().join("admin.sock");
        let listener = socket::bind(&at).await.unwrap();
        tokio::spawn(socket::serve(listener, router(state.clone()), std::future::pending()));
        Node { client: Client::new(&at), folder, clock, state, servers }
    }

    /// A main node that knows two servers and one domain.
    async fn main() -> Self {
        let node = Node::start(Mode::Main(InstallationId([1; 16]))).await;
        for (id, name, roles) in
            [(ALPHA, "alpha", Roles::ALL), (BETA, "beta", Roles { data: true, ..Roles::default() })]
        {
            let request = Request::PutServer { id, name: name.into(), address: format!("{name}:1"), roles };
            node.state.directory.submit(request).await.unwrap();
        }
        node.post("domains", json!({"name": "demo.test", "aliases": ["demo.example"]})).await.unwrap();
        node
    }

    async fn post(&self, collection: &str, body: Value) -> Result<Answer, CliError> {
        self.client.send(Method::POST, &path(&[collection], &[]), Some(&body)).await
    }

    async fn patch(&self, segments: &[&str], body: Value) -> Result<Answer, CliError> {
        self.client.send(Method::PATCH, &path(segments, &[]), Some(&body)).await
    }

    async fn get(&self, segments: &[&str]) -> Result<Value, CliError> {
        self.client.get(&path(segments, &[])).await
    }

    /// Does a command line; the exit code is what it gives.
    async fn run(&self, words: &[&str]) -> Exit {
        let socket = self.folder.path().join("admin.sock");
        let line = ["sterna", "--quiet", "--socket", socket.to_str().unwrap()].into_iter().chain(words.iter().copied());
        let cli = <Cli as clap::Parser>::try_parse_from(line).unwrap();
        match cli.command {
            Command::Client(command) => crate::cli::run(&cli.global, command).await,
            other => panic!("{other:?}"),
        }
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.servers.log.lock().unwrap())
    }

    /// An account on a server; gives its id.
    async fn account(&self, address: &str, server: &str) -> AccountId {
        let made = self.post("accounts", json!({"address": address, "server": server})).await.unwrap().body;
        AccountId(made["id"].as_u64().unwrap())
    }
}

fn code(result: Result<Answer, CliError>) -> (u16, String) {
    match result {
        Err(CliError::Refused(problem)) => {
            assert!(!problem.remedy.is_empty() && !problem.detail.is_empty(), "{problem:?}");
            (problem.status, problem.code)
        }
        other => panic!("{other:?}"),
    }
}

mod config;
mod contacts;
mod declared;
mod health;
mod moving;
mod openid;
mod passkeys;
mod people_import;
mod rights;
mod scim;

#[tokio::test]
async fn a_user_is_made_with_a_store_and_logs_in() {
    let node = Node::main().await;
    let body = json!({"address": "Ana@demo.example", "password": "sesame", "server": "beta", "quota_bytes": 1000});
    let made = node.post("users", body.clone()).await.unwrap().body;
    assert_eq!((&made["address"], &made["server"]), (&json!("ana@demo.test"), &json!("beta")));
    assert_eq!(made["has_password"], true);
    assert!(made.get("password_hash").is_none());
    let id = made["id"].as_u64().unwrap();
    assert_eq!(node.log(), [format!("create {id} on beta epoch 1"), format!("quota {id} Some(1000)")]);
    let password = Secret::new("sesame");
    let attempt =
        LoginAttempt { login: "ana@demo.test", password: &password, protocol: "test", peer: [127, 0, 0, 1].into() };
    assert_eq!(node.state.authentication.authenticate(attempt).await.unwrap().account, AccountId(id));
    let place = node.get(&["accounts", "ana@demo.test", "where"]).await.unwrap();
    assert_eq!((&place["server"], &place["epoch"]), (&json!("beta"), &json!(1)));

    let again = node.post("users", body).await;
    let Err(CliError::Refused(problem)) = again else { panic!("{again:?}") };
    assert_eq!((problem.status, problem.existing), (409, Some(format!("/api/v1/users/{id}"))));
    assert_eq!(node.log(), [""; 0], "nothing is asked of a server for what can't be made");
}

#[tokio::test]
async fn a_server_that_is_down_gets_no_account_and_leaves_no_entry() {
    let node = Node::main().await;
    *node.servers.beta_is_down.lock().unwrap() = true;
    let body = json!({"address": "ana@demo.test", "password": "x", "server": "beta"});
    assert_eq!(code(node.post("users", body).await), (503, "server-unreachable".into()));
    let Err(CliError::Refused(problem)) = node.get(&["users", "ana@demo.test"]).await else { panic!() };
    assert_eq!(problem.status, 404);
    let status = node.get(&["status"]).await.unwrap();
    assert_eq!(status["servers"][1]["reachable"], false);
    assert_eq!(status["problems"].as_array().map(Vec::len), Some(1));
    assert_eq!(node.run(&["status"]).await, Exit::Failed);
}

#[tokio::test]
async fn stores_that_are_left_behind_are_swept() {
    let node = Node::main().await;
    let forgotten = node.state.directory.reserve_account(BETA).await.unwrap();
    node.post("users", json!({"address": "ana@demo.test", "server": "beta"})).await.unwrap();
    let ana = node.get(&["users", "ana@demo.test"]).await.unwrap()["id"].as_u64().unwrap();
    *node.servers.beta_is_down.lock().unwrap() = true;
    assert_eq!(node.run(&["user", "delete", "ana@demo.test", "--yes", "--forever"]).await, Exit::Done);
    sweep::sweep(&node.state, &mut Default::default()).await.unwrap();
    *node.servers.beta_is_down.lock().unwrap() = false;
    node.log();
    sweep::sweep(&node.state, &mut Default::default()).await.unwrap();
    assert_eq!(node.log(), [format!("delete {ana} on beta")], "the reservation is young");
    node.clock.advance_ms(3_600_000);
    sweep::sweep(&node.state, &mut Default::default()).await.unwrap();
    assert_eq!(node.log(), [format!("delete {forgotten} on beta")]);
    sweep::sweep(&node.state, &mut Default::default()).await.unwrap();
    assert_eq!(node.log(), [""; 0]);
    assert_eq!(node.state.directory.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn who_is_deleted_by_a_slip_comes_back_until_the_time_is_over() {
    let node = Node::main().await;
    let made = node.post("users", json!({"address": "ana@demo.test", "server": "beta"})).await.unwrap();
    let ana = made.body["id"].as_u64().unwrap();
    node.log();
    assert_eq!(node.run(&["user", "delete", "ana@demo.test", "--yes"]).await, Exit::Done);
    let binned = node.get(&["bin"]).await.unwrap();
    assert_eq!(binned["items"][0]["address"], "ana@demo.test");
    assert_eq!(binned["items"][0]["deleted_until"], "1970-01-31T00:16:40Z");
    assert_eq!(node.run(&["user", "get", "ana@demo.test"]).await, Exit::Failed);
    let id = ana.to_string();
    assert_eq!(node.run(&["bin", "restore", &id, "--dry-run"]).await, Exit::Done);
    assert_eq!(node.run(&["bin", "restore", &id]).await, Exit::Done);
    assert_eq!(node.run(&["bin", "restore", &id]).await, Exit::Failed);
    assert_eq!(node.get(&["users", "ana@demo.test"]).await.unwrap()["id"], ana);
    assert_eq!(node.log(), [""; 0], "its store was left alone");

    assert_eq!(node.run(&["user", "delete", "ana@demo.test", "--yes"]).await, Exit::Done);
    node.clock.advance_ms(29 * 24 * 3600 * 1000);
    bin::sweep(&node.state).await.unwrap();
    assert_eq!(node.log(), [""; 0]);
    node.clock.advance_ms(24 * 3600 * 1000);
    bin::sweep(&node.state).await.unwrap();
    assert_eq!(node.log(), [format!("delete {ana} on beta")]);
    assert_eq!(node.get(&["bin"]).await.unwrap()["items"], json!([]));

    node.post("users", json!({"address": "ana@demo.test", "server": "beta"})).await.unwrap();
    assert_eq!(node.run(&["config", "set", "bin-days", "0", "--domain", "demo.test"]).await, Exit::Done);
    assert_eq!(node.run(&["user", "delete", "ana@demo.test", "--yes"]).await, Exit::Done);
    assert_eq!(node.get(&["bin"]).await.unwrap()["items"], json!([]), "this domain keeps nothing");
    assert_eq!(node.state.directory.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn changes_need_the_version_that_was_read_if_they_say_so() {
    let node = Node::main().await;
    let state = &node.state;
    let modseq = state.directory.head().await.unwrap().modseq;
    let send = |tag: String| {
        let request = axum::http::Request::builder()
            .method("PATCH")
            .uri("/api/v1/domains/demo.test")
            .header("if-match", tag)
            .header("content-type", "application/json")
            .extension(Principal::at_socket("root".to_owned()))
            .body(axum::body::Body::from(r#"{"description":"x"}"#))
            .unwrap();
        tower::ServiceExt::oneshot(router(state.clone()), request)
    };
    let stale = send("\"1\"".into()).await.unwrap();
    assert_eq!(stale.status(), 412);
    assert_eq!(stale.headers()["content-type"], "application/problem+json");
    let done = send(format!("\"{modseq}\"")).await.unwrap();
    assert_eq!((done.status().as_u16(), &done.headers()["sterna-changed"]), (200, &"true".parse().unwrap()));
    assert_eq!(done.headers()["etag"], format!("\"{}\"", modseq.next()));
    assert_eq!(send("nonsense".into()).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_copy_answers_reads_and_names_the_main_node_for_writes() {
    let main = Node::main().await;
    let copy = Node::start(Mode::Copy).await;
    let page = main.state.directory.changes_since(sterna_directory::Cursor::start(), 100).await.unwrap();
    copy.state.directory.apply(page).await.unwrap();
    assert_eq!(copy.get(&["domains", "demo.test"]).await.unwrap()["name"], "demo.test");
    for (collection, body) in [
        ("domains", json!({"name": "x.test"})),
        ("users", json!({"address": "x@demo.test"})),
        ("tokens", json!({"roles": ["data"]})),
    ] {
        let refused = copy.post(collection, body).await;
        let Err(CliError::Refused(problem)) = refused else { panic!("{refused:?}") };
        assert_eq!((problem.status, problem.main.as_deref()), (421, Some("alpha (alpha:1)")), "{collection}");
    }
}

#[tokio::test]
async fn what_can_not_be_read_is_a_problem_too() {
    let node = Node::main().await;
    assert_eq!(code(node.post("users", json!({"adress": "x"})).await).1, "malformed");
    assert_eq!(code(node.post("users", json!([])).await).0, 400);
    assert_eq!(code(node.post("nothing", json!({})).await).1, "no-such-path");
    assert_eq!(code(node.post("status", json!({})).await).1, "no-such-method");
    assert_eq!(code(node.post("users", json!({"address": "x@nowhere.test", "password": "x"})).await).1, "no-such");
    assert_eq!(code(node.post("users", json!({"address": "x y@demo.test"})).await).1, "invalid");
    assert_eq!(code(node.post("tokens", json!({"roles": ["main"]})).await).0, 422);
    let large = json!({"name": "x".repeat(super::BODY_BYTES_MAX)});
    assert_eq!(code(node.post("domains", large).await).0, 400);
}

#[tokio::test]
async fn groups_take_members_by_address() {
    let node = Node::main().await;
    for local in ["ana", "ben"] {
        node.post("users", json!({"address": format!("{local}@demo.test")})).await.unwrap();
    }
    let body = json!({"address": "team@demo.test", "members": ["ana@demo.example"], "external_members": true});
    node.post("groups", body).await.unwrap();
    let change = json!({"add": ["ben@demo.test", "eve@elsewhere.test"], "remove": ["ana@demo.test"]});
    let changed = node.patch(&["groups", "team@demo.test", "members"], change.clone()).await.unwrap();
    assert_eq!((changed.changed, &changed.body["member_count"]), (true, &json!(2)));
    assert!(!node.patch(&["groups", "team@demo.test", "members"], change).await.unwrap().changed);
    let members = node.get(&["groups", "team@demo.test", "members"]).await.unwrap();
    let shown: Vec<_> = members["items"].as_array().unwrap().iter().map(|item| item["address"].clone()).collect();
    assert_eq!(shown, ["ben@demo.test", "eve@elsewhere.test"]);
}

#[tokio::test]
async fn listings_come_in_pages() {
    let node = Node::main().await;
    for n in 0..7 {
        node.post("users", json!({"address": format!("u{n}@demo.test")})).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let parameters = [("limit", Some("3")), ("domain", Some("demo.example")), ("after", after.as_deref())];
        let page = node.client.get(&path(&["users"], &parameters)).await.unwrap();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["address"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    let expected: Vec<_> = (0..7).map(|n| format!("u{n}@demo.test")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn listings_are_narrowed_to_what_has_a_text() {
    let node = Node::main().await;
    for (n, name) in ["Élise Dupont", "Ben", "Elisa", "Dora", "Emil"].into_iter().enumerate() {
        let user = json!({"address": format!("u{n}@demo.test"), "display_name": name, "aliases": [format!("z{n}9@demo.test")]});
        node.post("users", user).await.unwrap();
    }
    node.post("accounts", json!({"address": "office@demo.test"})).await.unwrap();
    node.post("resources", json!({"address": "room@demo.test"})).await.unwrap();
    let found = async |collection: &str, text: &str, after: Option<&str>| {
        let parameters = [("limit", Some("2")), ("text", Some(text)), ("after", after)];
        let page = node.client.get(&path(&[collection], &parameters)).await.unwrap();
        let items = page["items"].as_array().unwrap().iter();
        let addresses: Vec<_> = items.map(|item| item["address"].as_str().unwrap().to_owned()).collect();
        (addresses, page["next"].as_str().map(str::to_owned))
    };
    assert_eq!(found("users", " élis ", None).await, (vec!["u0@demo.test".to_owned()], None));
    assert_eq!(found("users", "Z19@", None).await, (vec!["u1@demo.test".to_owned()], None), "another address");
    let (first, next) = found("users", "e", None).await;
    assert_eq!(first, ["u0@demo.test", "u1@demo.test"]);
    let (second, next) = found("users", "e", next.as_deref()).await;
    assert_eq!(second, ["u2@demo.test", "u3@demo.test"]);
    assert_eq!(found("users", "e", next.as_deref()).await, (vec!["u4@demo.test".to_owned()], None));
    assert_eq!(found("resources", "", None).await, (vec!["room@demo.test".to_owned()], None));
    assert_eq!(found("accounts", "office", None).await, (vec!["office@demo.test".to_owned()], None));
    assert_eq!(found("users", "nobody", None).await, (vec![], None));
}

#[tokio::test]
async fn commands_end_with_the_codes_that_scripts_know() {
    let node = Node::main().await;
    let secret = node.folder.path().join("password");
    std::fs::write(&secret, "sesame\n").unwrap();
    let create = ["user", "create", "ana@demo.test", "--name", "Ana", "--password-file", secret.to_str().unwrap()];
    let steps: Vec<(&[&str], Exit)> = vec![
        (&["user", "create", "ana@demo.test", "--no-password", "--dry-run"], Exit::Done),
        (&["user", "get", "ana@demo.test"], Exit::Failed),
        (&create, Exit::Done),
        (&create, Exit::Failed),
        (&["user", "create", "ana@demo.test", "--no-password", "--if-not-exists"], Exit::NothingToDo),
        (&["user", "set", "ana@demo.test", "--quota", "5G", "--admin"], Exit::Done),
        (&["user", "set", "ana@demo.test", "--admin", "yes"], Exit::NothingToDo),
        (&["user", "set", "ana@demo.test"], Exit::Usage),
        (&["user", "set", "ana@demo.test", "--alias", "x y@demo.test"], Exit::Usage),
        (&["user", "list", "--output", "ndjson"], Exit::Done),
        (&["account", "create", "info@demo.test", "--server", "beta"], Exit::Done),
        (&["account", "where", "info@demo.test", "--json"], Exit::Done),
        (&["group", "create", "all@demo.test", "--member", "ana@demo.test"], Exit::Done),
        (&["group", "set", "all@demo.test", "--add-member", "info@demo.test"], Exit::Done),
        (&["group", "set", "all@demo.test", "--add-member", "info@demo.test"], Exit::NothingToDo),
        (&["group", "members", "all@demo.test"], Exit::Done),
        (&["server", "set", "beta", "--accept-new", "no"], Exit::Done),
        (&["account", "create", "x@demo.test", "--server", "beta"], Exit::Failed),
        (&["server", "delete", "beta", "--yes"], Exit::Failed),
        (&["server", "invite", "--roles", "data,edge"], Exit::Done),
        (&["server", "create", "--roles", "main"], Exit::Usage),
        (&["domain", "set", "demo.test", "--postmaster", "ana@demo.test"], Exit::Done),
        (&["domain", "delete", "demo.test", "--yes"], Exit::Failed),
        (&["user", "delete", "ana@demo.test", "--yes", "--dry-run"], Exit::Done),
        (&["user", "delete", "ana@demo.test", "--yes"], Exit::Done),
        (&["user", "get", "ana@demo.test"], Exit::Failed),
        (&["status"], Exit::Done),
    ];
    for (words, expected) in steps {
        assert_eq!(node.run(words).await, expected, "{words:?}");
    }
    let nowhere =
        <Cli as clap::Parser>::try_parse_from(["sterna", "-q", "--socket", "/nonexistent", "status"]).unwrap();
    let Command::Client(command) = nowhere.command else { panic!() };
    assert_eq!(crate::cli::run(&nowhere.global, command).await, Exit::Unreachable);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_a_stale_one_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("s");
    let first = socket::bind(&at).await.unwrap();
    assert_eq!(std::fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(socket::bind(&at).await.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(first);
    socket::bind(&at).await.unwrap();
    let file = folder.path().join("f");
    std::fs::write(&file, "keep").unwrap();
    assert!(socket::bind(&file).await.is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"keep");
}

#[tokio::test]
async fn everything_with_an_address_is_put_into_a_unit_and_found_by_a_text() {
    let node = Node::main().await;
    for (what, more) in [("user", &["--no-password"][..]), ("group", &[]), ("account", &[]), ("resource", &[])] {
        let (address, items) = (format!("a-{what}@demo.test"), format!("{what}s"));
        let create = [&[what, "create", &address, "--name", "Blue", "--unit", "sales"], more].concat();
        assert_eq!(node.run(&create).await, Exit::Done, "{create:?}");
        assert_eq!(node.get(&[&items, &address]).await.unwrap()["unit"], "sales");
        assert_eq!(node.run(&[what, "set", &address, "--unit", "sales/north"]).await, Exit::Done);
        assert_eq!(node.run(&[what, "set", &address, "--unit", "sales/north"]).await, Exit::NothingToDo);
        assert_eq!(node.get(&[&items, &address]).await.unwrap()["unit"], "sales/north");
        assert_eq!(node.run(&[what, "set", &address, "--unit", ""]).await, Exit::Done);
        assert_eq!(node.get(&[&items, &address]).await.unwrap()["unit"], Value::Null);
        assert_eq!(node.run(&[what, "list", "--text", "blue", "--domain", "demo.test"]).await, Exit::Done);
    }
}
