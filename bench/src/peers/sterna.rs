//! Sterna itself: one node with all roles, as an administrator would set it up on one machine.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Server, USERS, free_port, lazy_writes_library, loopback, terminate, wait_for};

const DOMAIN: &str = "bench.test";
const PASSWORD: &str = "correct horse";

/// A running Sterna.
pub struct Sterna {
    folder: PathBuf,
    imap: u16,
    lmtp: u16,
    process: Child,
}

impl Sterna {
    /// Sets up a node, starts it, and makes the users.
    pub fn start(folder: &Path) -> Result<Self> {
        let (imap, lmtp, cluster) = (free_port()?, free_port()?, free_port()?);
        let address = format!("127.0.0.1:{cluster}");
        let init = ["init", "--name", "bench", "--address", &address, "--cluster-listen", &address, "--dir"];
        run(Command::new(program()?).args(init).arg(folder))?;
        configure(&folder.join("sterna.toml"), imap, lmtp)?;
        let mut process = spawn(folder, false)?;
        wait_for(loopback(imap), &mut process)?;
        let sterna = Sterna { folder: folder.to_owned(), imap, lmtp, process };
        sterna.people()?;
        Ok(sterna)
    }

    fn people(&self) -> Result<()> {
        self.admin(&["domain", "create", DOMAIN])?;
        let password_file = self.folder.join("bench-password");
        fs::write(&password_file, PASSWORD)?;
        let password_file = password_file.to_string_lossy();
        for user in 0..USERS {
            self.admin(&["user", "create", &format!("u{user}@{DOMAIN}"), "--password-file", &password_file])?;
        }
        Ok(())
    }

    fn admin(&self, arguments: &[&str]) -> Result<()> {
        let socket = self.folder.join("admin.sock");
        run(Command::new(program()?).arg("--socket").arg(socket).args(arguments))
    }
}

/// The release build beside this program.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().context("a folder")?.join("sterna");
    ensure!(path.exists(), "{} is missing: cargo build --release --package sterna-server", path.display());
    Ok(path)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Replaces the section on listeners; everything else stays as an installation has it, except that log-ins without TLS
/// are taken from this machine, as on the peers.
fn configure(path: &Path, imap: u16, lmtp: u16) -> Result<()> {
    let text = fs::read_to_string(path)?.replace("plaintext_login = \"never\"", "plaintext_login = \"loopback\"");
    let before = text.split("\n[listen]").next().unwrap_or_default();
    let after = text.split("\n[listen]").nth(1).and_then(|rest| rest.split_once("\n[")).map(|(_, rest)| rest);
    let after = after.map(|rest| format!("[{rest}")).unwrap_or_default();
    let listen = format!("[listen]\nimap = \"127.0.0.1:{imap}\"\nlmtp = \"127.0.0.1:{lmtp}\"\n");
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
        "sterna"
    }
    fn imap(&self) -> SocketAddr {
        loopback(self.imap)
    }
    fn lmtp(&self) -> SocketAddr {
        loopback(self.lmtp)
    }
    fn login(&self, user: u32) -> (String, String) {
        (self.address(user), PASSWORD.to_owned())
    }
    fn address(&self, user: u32) -> String {
        format!("u{user}@{DOMAIN}")
    }
    fn restart(&mut self, lazy_writes: bool) -> Result<()> {
        self.stop()?;
        self.process = spawn(&self.folder, lazy_writes)?;
        wait_for(loopback(self.imap), &mut self.process)
    }
    fn process(&self) -> u32 {
        self.process.id()
    }
    fn stop(&mut self) -> Result<()> {
        terminate(&mut self.process)
    }
}
