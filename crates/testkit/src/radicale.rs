//! Debian's Radicale, for calendars and address books that come from elsewhere: users with a password each.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use crate::addresses;
use crate::binary;
use crate::daemon::Daemon;
use crate::http::{Answer, Http};

/// Everybody's password.
pub const PASSWORD: &str = "there: \u{e4}";

/// A running Radicale, ended and removed when it is dropped.
pub struct Radicale {
    /// Where it listens, on loopback.
    pub port: u16,
    daemon: Daemon,
}

impl Radicale {
    /// Starts it with these users, or `None` with a printed reason where it isn't installed.
    ///
    /// # Panics
    /// When it doesn't come up; in CI also where it can't be started.
    pub fn start(users: &[&str]) -> Option<Self> {
        if !binary::have(&["radicale"]) {
            return None;
        }
        let [port] = addresses::free(Ipv4Addr::LOCALHOST).map(|free| free.port());
        let mut daemon = Daemon::new("radicale");
        let folder = daemon.folder().to_owned();
        let users: String = users.iter().map(|user| format!("{user}:{PASSWORD}\n")).collect();
        let shown = folder.display();
        let configuration = format!(
            "[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = htpasswd\nhtpasswd_filename = {shown}/users\n\
             htpasswd_encryption = plain\ndelay = 0\n[rights]\ntype = owner_only\n\
             [storage]\nfilesystem_folder = {shown}/collections\n[logging]\nlevel = warning\n"
        );
        let written = fs::write(folder.join("users"), users);
        written.and_then(|()| fs::write(folder.join("config"), configuration)).unwrap();
        let mut command = Command::new("radicale");
        command.arg("--config").arg(folder.join("config"));
        daemon.start(&mut command, || Http::connect(IpAddr::V4(Ipv4Addr::LOCALHOST), port, None).ok());
        Some(Radicale { port, daemon })
    }

    /// Where clients begin.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Ends it; what it has stays.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Asks as this user; it ends each connection after its answer.
    ///
    /// # Panics
    /// When it refuses, or doesn't answer.
    pub fn ask(&self, user: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut http = Http::connect(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port, Some((user, PASSWORD))).unwrap();
        let answer = http.request(method, path, &[], body).unwrap();
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    }
}
