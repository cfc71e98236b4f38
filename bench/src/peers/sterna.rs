//! Sterna itself, as an administrator would set it up: on one machine, or with a data server of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::dav::DavServer;

use super::{Server, USERS, free_port, lazy_writes_library, loopback, terminate, wait_for};

const DOMAIN: &str = "bench.test";
const PASSWORD: &str = "correct horse";
/// How long the feeding of an index may take.
const INDEX_TIMEOUT: Duration = Duration::from_secs(1800);

/// How many nodes do the work.
#[derive(Clone, Copy, PartialEq)]
pub enum Layout {
    /// One with all roles, as the peers are measured.
    OneNode,
    /// Sessions on one node, accounts on another.
    TwoNodes,
    /// Sessions on one node, accounts on two others, between which they can be moved.
    ThreeNodes,
    /// The same, with every second account on the second one.
    Spread,
}

/// A running Sterna.
pub struct Sterna {
    layout: Layout,
    /// Folder of each node and where it listens; the main node's first.
    nodes: Vec<(PathBuf, u16)>,
    processes: Vec<Child>,
    imap: u16,
    imaps: u16,
    lmtp: u16,
    smtp: u16,
    http: u16,
}

impl Sterna {
    /// Sets up the nodes, starts them, and makes the users.
    pub fn start(folder: &Path, layout: Layout) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (imap, imaps, lmtp) = (free_port()?, free_port()?, free_port()?);
        let (smtp, http, cluster) = (free_port()?, free_port()?, free_port()?);
        let main = folder.join("main");
        let address = format!("127.0.0.1:{cluster}");
        let roles = if layout == Layout::OneNode { "main,data,edge" } else { "main,edge" };
        init(&main, roles, &address, &[])?;
        let services = [("imap", imap), ("imaps", imaps), ("lmtp", lmtp), ("smtp", smtp), ("http", http)];
        configure(&main.join("sterna.toml"), &services)?;
        let (nodes, processes) = (vec![(main, imap)], Vec::new());
        let mut sterna = Sterna { layout, nodes, processes, imap, imaps, lmtp, smtp, http };
        sterna.spawn(false)?;
        let data_servers: &[&str] = match layout {
            Layout::OneNode => &[],
            Layout::TwoNodes => &["data"],
            Layout::ThreeNodes | Layout::Spread => &["alpha", "beta"],
        };
        for name in data_servers {
            let token = sterna.admin(&["server", "invite", "--roles", "data", "--json"])?;
            let token: serde_json::Value = serde_json::from_str(&token)?;
            let token = token["token"].as_str().context("a token")?;
            let data = folder.join(name);
            let port = free_port()?;
            init(&data, "data", &format!("127.0.0.1:{port}"), &["--join", &address, "--token", token])?;
            sterna.nodes.push((data, port));
        }
        if !data_servers.is_empty() {
            Server::restart(&mut sterna, false)?;
        }
        sterna.people()?;
        Ok(sterna)
    }

    fn people(&self) -> Result<()> {
        self.admin(&["domain", "create", DOMAIN])?;
        self.make(0..USERS)
    }

    /// Makes users.
    pub fn make(&self, users: std::ops::Range<u32>) -> Result<()> {
        let password_file = self.nodes[0].0.join("bench-password");
        fs::write(&password_file, PASSWORD)?;
        let password_file = password_file.to_string_lossy();
        for user in users {
            let address = format!("u{user}@{DOMAIN}");
            let mut create = vec!["user", "create", &address, "--password-file", &password_file];
            match self.layout {
                Layout::ThreeNodes => create.extend(["--server", "alpha"]),
                Layout::Spread => create.extend(["--server", if user % 2 == 0 { "alpha" } else { "beta" }]),
                Layout::OneNode | Layout::TwoNodes => {}
            }
            self.admin(&create)?;
        }
        Ok(())
    }

    /// A new machine that is paired with this one and follows it, in a folder beside. It is stopped with the others.
    pub fn successor(&mut self, name: &str) -> Result<PathBuf> {
        let main = self.nodes[0].0.clone();
        let folder = main.with_file_name(name);
        let token: serde_json::Value = serde_json::from_str(&self.admin(&["--json", "migrate", "token"])?)?;
        let (token, address) = (token["token"].as_str(), token["address"].as_str());
        let (token, address) = (token.context("a token")?, address.context("an address")?);
        let (cluster, imap) = (format!("127.0.0.1:{}", free_port()?), free_port()?);
        let mut command = Command::new(program()?);
        command.arg("--dir").arg(&folder).args(["migrate", "from", address, "--token", token, "--name", name]);
        run(command.args(["--address", &cluster, "--cluster-listen", &cluster]))?;
        let services = ["imaps", "lmtp", "smtp", "http"].map(|service| free_port().map(|port| (service, port)));
        let services = services.into_iter().chain([Ok(("imap", imap))]).collect::<Result<Vec<_>>>()?;
        configure(&folder.join("sterna.toml"), &services)?;
        let mut process = spawn(&folder, false)?;
        wait_for(loopback(imap), &mut process)?;
        self.processes.push(process);
        Ok(folder)
    }

    /// Runs an administration command at the node of this folder; what it printed.
    pub fn admin_at(folder: &Path, arguments: &[&str]) -> Result<String> {
        run(Command::new(program()?).arg("--socket").arg(folder.join("admin.sock")).args(arguments))
    }

    /// Runs a command about the folder of a node; what it printed.
    pub fn about(folder: &Path, arguments: &[&str]) -> Result<String> {
        run(Command::new(program()?).arg("--dir").arg(folder).args(arguments))
    }

    /// The folder of the main node.
    pub fn folder(&self) -> &Path {
        &self.nodes[0].0
    }

    /// Where it takes mail from other servers.
    pub fn smtp(&self) -> SocketAddr {
        loopback(self.smtp)
    }

    /// Runs an administration command; what it printed.
    pub fn admin(&self, arguments: &[&str]) -> Result<String> {
        let socket = self.nodes[0].0.join("admin.sock");
        run(Command::new(program()?).arg("--socket").arg(socket).args(arguments))
    }

    /// Starts all nodes, the main node last: it finds its data servers there.
    fn spawn(&mut self, lazy_writes: bool) -> Result<()> {
        for (folder, port) in self.nodes.iter().rev() {
            let mut process = spawn(folder, lazy_writes)?;
            wait_for(loopback(*port), &mut process)?;
            self.processes.push(process);
        }
        Ok(())
    }
}

fn init(folder: &Path, roles: &str, address: &str, more: &[&str]) -> Result<()> {
    let name = folder.file_name().unwrap_or_default();
    let mut command = Command::new(program()?);
    command.args(["init", "--roles", roles, "--address", address, "--cluster-listen", address, "--name"]).arg(name);
    run(command.arg("--dir").arg(folder).args(more)).map(drop)
}

/// The release build beside this program.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().context("a folder")?.join("sterna");
    ensure!(path.exists(), "{} is missing: cargo build --release --package sterna-server", path.display());
    Ok(path)
}

/// Runs a command to its end; what it printed.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Replaces the section on listeners; everything else stays as an installation has it, except that log-ins without TLS
/// are taken from this machine, as on the peers.
fn configure(path: &Path, services: &[(&str, u16)]) -> Result<()> {
    let text = fs::read_to_string(path)?.replace("plaintext_login = \"never\"", "plaintext_login = \"loopback\"");
    let before = text.split("\n[listen]").next().unwrap_or_default();
    let after = text.split("\n[listen]").nth(1).and_then(|rest| rest.split_once("\n[")).map(|(_, rest)| rest);
    let after = after.map(|rest| format!("[{rest}")).unwrap_or_default();
    let listen: String = services.iter().map(|(name, port)| format!("{name} = \"127.0.0.1:{port}\"\n")).collect();
    let listen = format!("[listen]\n{listen}");
    Ok(fs::write(path, format!("{before}\n{listen}{after}"))?)
}

fn spawn(folder: &Path, lazy_writes: bool) -> Result<Child> {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(program()?);
    command.args(["serve", "--dir"]).arg(folder).stdout(Stdio::null()).stderr(log);
    if lazy_writes {
        command.env("LD_PRELOAD", lazy_writes_library()?);
    }
    Ok(command.spawn()?)
}

impl Server for Sterna {
    fn name(&self) -> &'static str {
        match self.layout {
            Layout::OneNode => "sterna",
            Layout::TwoNodes => "sterna-two",
            Layout::ThreeNodes | Layout::Spread => "sterna-three",
        }
    }
    fn imap(&self) -> SocketAddr {
        loopback(self.imap)
    }
    fn imaps(&self) -> SocketAddr {
        loopback(self.imaps)
    }
    fn lmtp(&self) -> SocketAddr {
        loopback(self.lmtp)
    }
    fn login(&self, user: u32) -> (String, String) {
        (Server::address(self, user), PASSWORD.to_owned())
    }
    fn address(&self, user: u32) -> String {
        format!("u{user}@{DOMAIN}")
    }
    fn restart(&mut self, lazy_writes: bool) -> Result<()> {
        Server::stop(self)?;
        self.spawn(lazy_writes)
    }
    fn processes(&self) -> Vec<u32> {
        self.processes.iter().map(Child::id).collect()
    }
    /// The index is fed in the background, on the node that has the account.
    fn index(&self, user: u32) -> Result<bool> {
        let owner = &self.nodes.last().context("a node")?.0;
        let mut status = Command::new(program()?);
        status.arg("--socket").arg(owner.join("admin.sock")).args([
            "search",
            "status",
            &Server::address(self, user),
            "--json",
        ]);
        let deadline = Instant::now() + INDEX_TIMEOUT;
        loop {
            let told: serde_json::Value = serde_json::from_str(&run(&mut status)?)?;
            let told = told.get(0).unwrap_or(&told);
            if told["lag"] == 0 {
                return Ok(true);
            }
            ensure!(Instant::now() < deadline, "the index is not fed: {told}");
            std::thread::park_timeout(Duration::from_millis(500));
        }
    }
    fn stop(&mut self) -> Result<()> {
        while let Some(mut process) = self.processes.pop() {
            terminate(&mut process)?;
        }
        Ok(())
    }
}

impl Drop for Sterna {
    /// A measurement that ends, well or not, leaves no server behind.
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl DavServer for Sterna {
    fn http(&self) -> SocketAddr {
        loopback(self.http)
    }
    fn login(&self, user: u32) -> (String, String) {
        Server::login(self, user)
    }
    fn calendar(&self, user: u32) -> String {
        format!("/dav/calendars/{}/Calendar/", Server::address(self, user))
    }
    fn book(&self, user: u32) -> String {
        format!("/dav/addressbooks/{}/Contacts/", Server::address(self, user))
    }
    fn outbox(&self, user: u32) -> Option<String> {
        Some(format!("/dav/calendars/{}/outbox/", Server::address(self, user)))
    }
    fn address(&self, user: u32) -> String {
        Server::address(self, user)
    }
    fn restart(&mut self, lazy_writes: bool) -> Result<()> {
        Server::restart(self, lazy_writes)
    }
    fn stop(&mut self) -> Result<()> {
        Server::stop(self)
    }
}
