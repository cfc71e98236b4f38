//! Debian's Dovecot, for what is held against it: small mailboxes, any user, any password, no flushes.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{addresses, binary, wait};

/// How long it may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Who may log in as everybody, with [`MASTER_PASSWORD`] (SASL PLAIN with another authorization identity).
pub const MASTER: &str = "master";
/// That one's password.
pub const MASTER_PASSWORD: &str = "master-password";

/// A running Dovecot, ended and removed when it is dropped.
pub struct Dovecot {
    /// Where it speaks IMAP, on loopback.
    pub port: u16,
    process: Child,
    folder: TempDir,
}

impl Dovecot {
    /// Starts it, or `None` with a printed reason where it isn't installed or we may not: its processes change users.
    ///
    /// # Panics
    /// When it doesn't come up; in CI also where it can't be started.
    pub fn start() -> Option<Self> {
        Dovecot::with("sdbox")
    }

    /// The same with Maildirs ([`Dovecot::maildir`]).
    ///
    /// # Panics
    /// See [`Dovecot::start`].
    pub fn with_maildirs() -> Option<Self> {
        Dovecot::with("maildir")
    }

    fn with(format: &str) -> Option<Self> {
        if !binary::have_root() || !binary::have(&["doveadm"]) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
        let [port] = addresses::free(Ipv4Addr::LOCALHOST).map(|free| free.port());
        let path = folder.path().join("dovecot.conf");
        let written = fs::create_dir(folder.path().join("mail"))
            .and_then(|()| fs::write(&path, configuration(folder.path(), port, format)));
        written.unwrap_or_else(|error| panic!("the configuration of Dovecot: {error}"));
        let owned = Command::new("chown").args(["-R", "dovecot"]).arg(folder.path()).status();
        assert!(owned.is_ok_and(|status| status.success()), "the folder becomes Dovecot's");
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(&path).env("TZ", "UTC").stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("starting dovecot: {error}"));
        let dovecot = Dovecot { port, process, folder };
        wait::until("Dovecot listens", START_TIMEOUT, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        Some(dovecot)
    }

    /// The files of a user's messages in a mailbox, by their UIDs, the first one first.
    pub fn files(&self, user: &str, mailbox: &str) -> Vec<PathBuf> {
        let folder = self.folder.path().join("mail").join(user).join("mailboxes").join(mailbox).join("dbox-Mails");
        let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("u.")?.parse::<u32>().ok();
        let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = files.filter(|path| number(path).is_some()).collect();
        files.sort_by_key(number);
        files
    }

    /// The folder of a user's mail.
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.folder.path().join("mail").join(user)
    }

    /// Gives a user this Maildir; what lies there is Dovecot's from then on.
    ///
    /// # Panics
    /// When it can't be copied.
    pub fn give_maildir(&self, user: &str, from: &Path) {
        let to = self.maildir(user);
        for (program, arguments) in [("cp", ["-r", "--preserve=timestamps"]), ("chown", ["-R", "dovecot"])] {
            let mut command = Command::new(program);
            command.args(arguments);
            let command = if program == "cp" { command.arg(from).arg(&to) } else { command.arg(&to) };
            assert!(command.status().is_ok_and(|status| status.success()), "{program} {}", to.display());
        }
    }

    /// What it wrote into its log, for people.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// Bodies and indexes of its own format: a Maildir is looked at no more than once a second. The names are those that an
/// account of ours begins with.
fn configuration(folder: &Path, port: u16, format: &str) -> String {
    let folder = folder.display();
    format!(
        "base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
import_environment = TZ
mail_location = {format}:{folder}/mail/%u
mail_fsync = never
mail_max_userip_connections = 100
first_valid_uid = 0
passdb {{
  driver = static
  args = user={MASTER} password={MASTER_PASSWORD}
  master = yes
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={folder}/mail/%u allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
"
    )
}
