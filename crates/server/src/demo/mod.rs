//! `sterna demo`: an installation of three nodes on this machine, with two users who have mail.
//!
//! Nothing in it is special: the nodes are child processes of this program, the data servers join with real tokens, the
//! users are made through the administration API, and their mail goes in by IMAP.

mod corpus;
#[cfg(test)]
mod corpus_tests;
mod fill;
mod ports;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

use crate::child::{self, Node};
use crate::cli::{DemoArgs, Exit, GlobalArgs, Output};
use crate::config::{Config, PlaintextLogin};
use ports::Ports;

const DOMAIN: &str = "demo.test";

/// What a demonstration keeps in its folder to start again.
#[derive(Serialize, Deserialize)]
struct State {
    /// The ports: the nodes know each other by id, but a node that is down can't be asked for its new address.
    port_base: u16,
    users: Vec<User>,
}

/// A user of the demonstration.
#[derive(Clone, Serialize, Deserialize)]
struct User {
    address: String,
    password: String,
    server: String,
}

/// Which port does what.
#[derive(Clone, Copy)]
enum Service {
    Imap,
    Imaps,
    Smtp,
    Submission,
    Submissions,
    Lmtp,
    Main,
    Alpha,
    Beta,
    Pop3,
    Pop3s,
    ManageSieve,
    Https,
    Http,
}

/// Runs until Ctrl-C.
#[allow(clippy::print_stderr)]
pub async fn run(global: &GlobalArgs, arguments: DemoArgs) -> Exit {
    match demonstrate(global, arguments).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("sterna demo: {error:#}");
            Exit::Failed
        }
    }
}

async fn demonstrate(global: &GlobalArgs, arguments: DemoArgs) -> Result<()> {
    let (folder, _temporary) = folder(arguments.dir)?;
    let state_file = folder.join("demo.json");
    let kept: Option<State> = std::fs::read(&state_file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let ports = match (arguments.port_base, &kept) {
        (Some(base), Some(kept)) if base != kept.port_base => {
            anyhow::bail!("the nodes in {} have the ports from {} on", folder.display(), kept.port_base)
        }
        (Some(base), _) => Ports::fixed(base),
        (None, Some(kept)) => Ports::again(kept.port_base)?,
        (None, None) => Ports::free()?,
    };
    let interrupted = tokio::signal::ctrl_c();
    let mut nodes = Vec::new();
    let result = tokio::select! {
        biased;
        _ = interrupted => Ok(()),
        result = stand(global, &folder, &ports, kept, &state_file, &mut nodes) => result,
    };
    let mut stopped = Vec::new();
    for node in nodes.into_iter().rev() {
        stopped.push(node.stop().await);
    }
    result.and(stopped.into_iter().collect())
}

/// Brings everything up, says so, and stays until a node ends.
async fn stand(
    global: &GlobalArgs,
    folder: &Path,
    ports: &Ports,
    kept: Option<State>,
    state_file: &Path,
    nodes: &mut Vec<Node>,
) -> Result<()> {
    progress("starting the main node");
    let fresh = kept.is_none();
    let (main, socket) = (folder.join("main"), folder.join("main/admin.sock"));
    if fresh {
        init_main(&main, ports).await?;
    }
    configure(&main, ports, Service::Main)?;
    nodes.push(Node::start(&main).await?);
    for (name, service) in [("alpha", Service::Alpha), ("beta", Service::Beta)] {
        let data = folder.join(name);
        if fresh {
            progress(&format!("{name} joins with a token"));
            join(&socket, &data, name, ports, service).await?;
        }
        configure(&data, ports, service)?;
        nodes.push(Node::start(&data).await?);
    }
    let users = match kept {
        Some(state) => state.users,
        None => {
            let users = people(&socket).await?;
            for (seed, user) in users.iter().enumerate() {
                progress(&format!("writing mail for {}", user.address));
                fill::fill(ports.at(Service::Imap as u16), user, DOMAIN, seed as u64).await?;
            }
            let state = State { port_base: ports.base(), users };
            sterna_base::atomic_file::write(state_file, &serde_json::to_vec(&state)?, 0o600)?;
            state.users
        }
    };
    for user in &users {
        fill::wait_until_served(ports.at(Service::Imap as u16), user).await?;
    }
    announce(global, ports, &socket, &users);
    let ended = futures_of(nodes).await;
    anyhow::bail!("{ended}; its log is in {}", folder.display())
}

async fn futures_of(nodes: &mut [Node]) -> String {
    let [main, alpha, beta] = nodes else { return std::future::pending().await };
    tokio::select! {
        ended = main.ended() => ended,
        ended = alpha.ended() => ended,
        ended = beta.ended() => ended,
    }
}

/// The folder asked for, or one that goes when we go.
fn folder(asked: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>)> {
    if let Some(folder) = asked {
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        return Ok((folder.canonicalize()?, None));
    }
    let temporary = tempfile::Builder::new().prefix("sterna-demo-").tempdir()?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

async fn init_main(folder: &Path, ports: &Ports) -> Result<()> {
    let address = ports.at(Service::Main as u16).to_string();
    let folder = folder.to_string_lossy();
    let arguments = ["init", "--dir", &folder, "--name", "main", "--roles", "main,edge", "--address", &address];
    child::run(&[&arguments[..], &["--cluster-listen", &address]].concat()).await.map(drop)
}

async fn join(socket: &Path, folder: &Path, name: &str, ports: &Ports, service: Service) -> Result<()> {
    let socket = socket.to_string_lossy();
    let invitation = child::run(&["--socket", &socket, "--json", "server", "invite", "--roles", "data"]).await?;
    let invitation: serde_json::Value = serde_json::from_str(&invitation)?;
    let token = invitation["token"].as_str().context("the invitation has a token")?;
    let (main, own) = (ports.at(Service::Main as u16).to_string(), ports.at(service as u16).to_string());
    let folder = folder.to_string_lossy();
    let arguments = ["init", "--dir", &folder, "--name", name, "--roles", "data", "--join", &main, "--token", token];
    child::run(&[&arguments[..], &["--address", &own, "--cluster-listen", &own]].concat()).await.map(drop)
}

/// Gives a node this run's ports. Everything listens on loopback only, which is why it may take plain log-ins.
fn configure(folder: &Path, ports: &Ports, service: Service) -> Result<()> {
    let mut config = Config::read(folder)?;
    let own = ports.at(service as u16);
    config.cluster.listen = own;
    config.cluster.address = own.to_string();
    config.plaintext_login = PlaintextLogin::Loopback;
    let at = |service: Service| Some(ports.at(service as u16));
    config.listen.imap = at(Service::Imap);
    config.listen.imaps = at(Service::Imaps);
    config.listen.pop3 = at(Service::Pop3);
    config.listen.pop3s = at(Service::Pop3s);
    config.listen.managesieve = at(Service::ManageSieve);
    config.listen.https = at(Service::Https);
    config.listen.http = at(Service::Http);
    config.listen.smtp = at(Service::Smtp);
    config.listen.submission = at(Service::Submission);
    config.listen.submissions = at(Service::Submissions);
    config.listen.lmtp = at(Service::Lmtp);
    Ok(config.write(folder)?)
}

/// The domain, and ana on alpha, ben on beta.
async fn people(socket: &Path) -> Result<Vec<User>> {
    let socket = socket.to_string_lossy();
    child::run(&["--socket", &socket, "domain", "create", DOMAIN]).await?;
    let mut users = Vec::new();
    for (name, full_name, server) in [("ana", "Ana Tavares", "alpha"), ("ben", "Ben Okoye", "beta")] {
        let address = format!("{name}@{DOMAIN}");
        let password = password();
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &password)?;
        let password_file = file.path().to_string_lossy();
        let arguments = ["--socket", &socket, "user", "create", &address, "--name", full_name, "--server", server];
        child::run(&[&arguments[..], &["--password-file", &password_file]].concat()).await?;
        users.push(User { address, password, server: server.to_owned() });
    }
    let first = &users[0].address;
    child::run(&["--socket", &socket, "admin", "grant", first, "platform-administrator"]).await?;
    Ok(users)
}

/// Twelve letters that can be read aloud: enough for a server that only this machine reaches.
fn password() -> String {
    let letters = b"abcdefghjkmnpqrstuvwxyz23456789x";
    let bytes: [u8; 12] = sterna_base::ids::random_bytes();
    bytes.iter().map(|byte| char::from(letters[usize::from(byte % 32)])).collect()
}

#[allow(clippy::print_stdout)]
fn announce(global: &GlobalArgs, ports: &Ports, socket: &Path, users: &[User]) {
    let at = |service: Service, tls: &str| {
        let address = ports.at(service as u16);
        json!({ "host": address.ip().to_string(), "port": address.port(), "tls": tls })
    };
    if global.format() != Output::Table {
        let line = json!({
            "imap": at(Service::Imap, "starttls"),
            "imaps": at(Service::Imaps, "implicit"),
            "pop3": at(Service::Pop3, "starttls"),
            "pop3s": at(Service::Pop3s, "implicit"),
            "managesieve": at(Service::ManageSieve, "starttls"),
            "https": at(Service::Https, "implicit"),
            "http": at(Service::Http, "none"),
            "smtp": at(Service::Smtp, "starttls"),
            "submission": at(Service::Submission, "starttls"),
            "submissions": at(Service::Submissions, "implicit"),
            "lmtp": at(Service::Lmtp, "starttls"),
            "admin": { "socket": socket },
            "users": users,
            "servers": ["alpha", "beta"],
        });
        println!("{line}");
        return;
    }
    let port = |service: Service| ports.at(service as u16).port();
    println!("\nSterna is running: a main node, and two data servers that joined it.\n");
    println!("  IMAP        127.0.0.1:{} (STARTTLS), 127.0.0.1:{} (TLS)", port(Service::Imap), port(Service::Imaps));
    println!("  POP3        127.0.0.1:{} (STLS), 127.0.0.1:{} (TLS)", port(Service::Pop3), port(Service::Pop3s));
    println!("  ManageSieve 127.0.0.1:{} (STARTTLS)", port(Service::ManageSieve));
    println!("  console     https://127.0.0.1:{}/admin/", port(Service::Https));
    println!("  DAV         https://127.0.0.1:{}/dav/", port(Service::Https));
    println!("              http://127.0.0.1:{}/dav/ (this machine only)", port(Service::Http));
    println!("  SMTP        127.0.0.1:{}", port(Service::Smtp));
    println!(
        "  submission  127.0.0.1:{} (STARTTLS), 127.0.0.1:{} (TLS)",
        port(Service::Submission),
        port(Service::Submissions)
    );
    println!("  LMTP        127.0.0.1:{}\n", port(Service::Lmtp));
    for user in users {
        println!("  {}  password {}  lives on {}", user.address, user.password, user.server);
    }
    if let [ana, ..] = users {
        println!("\n{} administers all of it, in the console, too.", ana.address);
        let (imap, smtp) = (port(Service::Imap), port(Service::Smtp));
        println!("\nTry:\n");
        println!("  curl -u {}:{} 'imap://127.0.0.1:{imap}/INBOX;MAILINDEX=1'", ana.address, ana.password);
        println!("  curl -u {}:{} 'pop3://127.0.0.1:{}/1'", ana.address, ana.password, port(Service::Pop3));
        let (http, home) = (port(Service::Http), format!("dav/calendars/{}/", ana.address));
        println!("  curl -u {}:{} -X PROPFIND -H 'Depth: 1' http://127.0.0.1:{http}/{home}", ana.address, ana.password);
        println!("  swaks --server 127.0.0.1 --port {smtp} --from you@example.org --to {}", ana.address);
        println!("  sterna --socket {} account where {}", socket.display(), ana.address);
    }
    println!("\nCtrl-C ends it.");
}

#[allow(clippy::print_stderr)]
fn progress(line: &str) {
    eprintln!("sterna demo: {line}");
}
