//! A running demonstration: three nodes, two users, on free ports.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use crate::binary;

/// The line that `sterna demo --json` prints once everything answers.
#[derive(Clone, Debug, Deserialize)]
pub struct Addresses {
    /// IMAP with STARTTLS.
    pub imap: Port,
    /// IMAP with TLS from the first byte.
    pub imaps: Port,
    /// POP3 with STLS.
    pub pop3: Port,
    /// POP3 with TLS from the first byte.
    pub pop3s: Port,
    /// ManageSieve with STARTTLS.
    pub managesieve: Port,
    /// DAV with TLS.
    pub https: Port,
    /// DAV without, for programs that take no certificate of our own.
    pub http: Port,
    /// Mail from other servers.
    pub smtp: Port,
    /// Mail from users, with STARTTLS.
    pub submission: Port,
    /// Mail from a mail server that trusts us.
    pub lmtp: Port,
    /// The administration socket of the main node.
    pub admin: Admin,
    /// The users: ana and ben.
    pub users: Vec<User>,
    /// The data servers.
    pub servers: Vec<String>,
}

/// Where something listens.
#[derive(Clone, Debug, Deserialize)]
pub struct Port {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The administration socket.
#[derive(Clone, Debug, Deserialize)]
pub struct Admin {
    /// Its path.
    pub socket: PathBuf,
}

/// A user of the demonstration.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// Address and login.
    pub address: String,
    /// Password.
    pub password: String,
    /// Name of the data server that holds the account.
    pub server: String,
}

/// A demonstration in a folder of its own; ended, and its accounts checked, when it is dropped.
pub struct Demo {
    /// What it printed.
    pub at: Addresses,
    folder: TempDir,
    process: Child,
}

impl Demo {
    /// Starts it and waits until everything answers.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
        let (process, at) = launch(folder.path());
        Demo { at, folder, process }
    }

    /// Ends it as Ctrl-C does and starts it again from the same folder; whether all nodes had ended by themselves.
    ///
    /// # Panics
    /// When it doesn't come up again.
    pub fn restart(&mut self) -> bool {
        let ended = self.end();
        (self.process, self.at) = launch(self.folder.path());
        ended
    }

    /// The folder with the nodes' data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A user by the first letter of its address.
    ///
    /// # Panics
    /// When there is none.
    pub fn user(&self, initial: char) -> &User {
        let found = self.at.users.iter().find(|user| user.address.starts_with(initial));
        found.unwrap_or_else(|| panic!("no user {initial}"))
    }

    /// Runs an administration command against the main node and returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn admin(&self, arguments: &[&str]) -> String {
        let socket = self.at.admin.socket.to_string_lossy().into_owned();
        let output = binary::run(&[&["--socket", &socket], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "sterna {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends it as Ctrl-C does; whether all nodes ended by themselves.
    fn end(&mut self) -> bool {
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        self.process.wait().is_ok_and(|status| status.success())
    }
}

fn launch(folder: &Path) -> (Child, Addresses) {
    let mut process = Command::new(binary::sterna())
        .args(["demo", "--json", "--dir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("starting the demo: {error}"));
    let mut line = String::new();
    if let Some(output) = process.stdout.take() {
        let _ = BufReader::new(output).read_line(&mut line);
    }
    let addresses = serde_json::from_str(&line);
    (process, addresses.unwrap_or_else(|error| panic!("the demo printed {line:?}: {error}")))
}

impl Drop for Demo {
    fn drop(&mut self) {
        let ended = self.end();
        if std::thread::panicking() {
            return;
        }
        assert!(ended, "every node ends when it is told to");
        for server in &self.at.servers {
            let data = self.folder.path().join(server);
            let output = binary::run(&["check", "--dir", &data.to_string_lossy()]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "sterna check of {server}: {text}{errors}");
        }
    }
}
