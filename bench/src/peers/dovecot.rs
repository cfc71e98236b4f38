//! Debian's Dovecot: Maildir, `mail_fsync = always`, so that an acknowledgement means what ours means.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

use super::{Server, free_port, lazy_writes_library, loopback, terminate, wait_for, wait_until_free};

/// A running Dovecot.
pub struct Dovecot {
    folder: PathBuf,
    imap: u16,
    imaps: u16,
    lmtp: u16,
    process: Child,
}

impl Dovecot {
    /// Writes its configuration and starts it.
    pub fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("mail"))?;
        let (imap, imaps, lmtp) = (free_port()?, free_port()?, free_port()?);
        crate::tls::certificate(folder)?;
        fs::write(folder.join("dovecot.conf"), configuration(folder, imap, imaps, lmtp))?;
        Command::new("chown").args(["-R", "dovecot"]).arg(folder).status()?;
        Command::new("chmod").args(["755"]).arg(folder.parent().context("a parent")?).status()?;
        let process = spawn(folder, false)?;
        let mut dovecot = Dovecot { folder: folder.to_owned(), imap, imaps, lmtp, process };
        wait_for(loopback(imap), &mut dovecot.process)?;
        Ok(dovecot)
    }
}

fn spawn(folder: &Path, lazy_writes: bool) -> Result<Child> {
    let mut command = Command::new("dovecot");
    command.arg("-F").arg("-c").arg(folder.join("dovecot.conf"));
    if lazy_writes {
        command.env("LD_PRELOAD", lazy_writes_library()?);
    }
    command.spawn().context("starting dovecot: is dovecot-core installed?")
}

fn configuration(folder: &Path, imap: u16, imaps: u16, lmtp: u16) -> String {
    let folder = folder.display();
    format!(
        "base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap lmtp
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_username_format = %Ln
listen = 127.0.0.1
import_environment = $import_environment LD_PRELOAD
mail_location = maildir:{folder}/mail/%u/Maildir
mail_fsync = always
first_valid_uid = 0
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
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = 2
  client_limit = 4000
}}
service imap {{
  process_limit = 12000
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  client_limit = 18000
}}
service anvil {{
  client_limit = 18000
}}
mail_max_userip_connections = 12000
default_vsz_limit = 4G
mail_plugins = fts fts_xapian
plugin {{
  fts = xapian
  fts_xapian = partial=3 full=20
  fts_autoindex = no
}}
namespace inbox {{
  inbox = yes
}}
"
    )
}

impl Server for Dovecot {
    fn name(&self) -> &'static str {
        "dovecot"
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
        (format!("u{user}"), "x".to_owned())
    }
    fn address(&self, user: u32) -> String {
        format!("u{user}")
    }
    fn restart(&mut self, lazy_writes: bool) -> Result<()> {
        self.stop()?;
        self.process = spawn(&self.folder, lazy_writes)?;
        wait_for(loopback(self.imap), &mut self.process)
    }
    fn processes(&self) -> Vec<u32> {
        vec![self.process.id()]
    }
    /// Every APPEND to a large Maildir writes its list of UIDs anew: a hundred thousand would take an hour.
    fn fill(&self, user: u32, messages: &mut dyn Iterator<Item = Vec<u8>>) -> Result<bool> {
        let folder = self.folder.join(format!("mail/u{user}/Maildir/cur"));
        crate::client::Imap::login(self.imap(), &self.login(user).0, &self.login(user).1)?.command("SELECT INBOX")?;
        let owner = fs::metadata(&folder)?;
        for (number, message) in messages.enumerate() {
            let path = folder.join(format!("1800000000.M{number}P1.bench,S={}:2,", message.len()));
            fs::write(&path, message)?;
            std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(true)
    }
    /// Its index of parts of words (Xapian), made at once and not while mail comes in.
    fn index(&self, user: u32) -> Result<bool> {
        let mut command = Command::new("doveadm");
        command.arg("-c").arg(self.folder.join("dovecot.conf"));
        let status = command.args(["index", "-u", &self.login(user).0, "INBOX"]).status()?;
        ensure!(status.success(), "doveadm index ended with {status}");
        Ok(true)
    }
    fn stop(&mut self) -> Result<()> {
        terminate(&mut self.process)?;
        [self.imap, self.imaps, self.lmtp].into_iter().try_for_each(wait_until_free)
    }
}
