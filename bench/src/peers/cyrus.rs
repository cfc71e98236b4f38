//! Debian's Cyrus IMAP, unpacked beside the installed server (Debian lets only one be installed). Cyrus flushes its
//! index, its spool and its databases before it acknowledges; nothing has to be switched on for that.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Server, USERS, free_port, lazy_writes_library, loopback, terminate, wait_for, wait_until_free};
use crate::client::Imap;
use crate::dav::DavServer;
use crate::dav::client::Client;

/// A running Cyrus.
pub struct Cyrus {
    folder: PathBuf,
    programs: PathBuf,
    imap: u16,
    imaps: u16,
    lmtp: u16,
    http: Option<u16>,
    process: Child,
}

impl Cyrus {
    /// Unpacks it if need be, writes its configuration, starts it and makes the mailboxes.
    pub fn start(folder: &Path) -> Result<Self> {
        Cyrus::start_on(folder, None)
    }

    /// The same with calendars and address books.
    pub fn start_with_dav(folder: &Path) -> Result<Self> {
        Cyrus::start_on(folder, Some(free_port()?))
    }

    fn start_on(folder: &Path, http: Option<u16>) -> Result<Self> {
        let programs = unpacked(&folder.join("program"), http.is_some())?;
        for part in ["conf/db", "conf/socket", "conf/proc", "conf/log", "conf/lock", "spool", "run"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let (imap, imaps, lmtp) = (free_port()?, free_port()?, free_port()?);
        crate::tls::certificate(folder)?;
        fs::write(folder.join("imapd.conf"), imapd_conf(folder))?;
        fs::write(folder.join("cyrus.conf"), cyrus_conf(folder, &programs, [imap, imaps, lmtp], http))?;
        Command::new("chown").args(["-R", "cyrus"]).arg(folder).status()?;
        Command::new("chmod").args(["755"]).arg(folder.parent().context("a parent")?).status()?;
        let process = spawn(folder, &programs, false)?;
        let mut cyrus = Cyrus { folder: folder.to_owned(), programs, imap, imaps, lmtp, http, process };
        wait_for(loopback(imap), &mut cyrus.process)?;
        let mut admin = Imap::login(loopback(imap), "admin", "x")?;
        for user in 0..USERS {
            admin.command(&format!("CREATE user/u{user}"))?;
        }
        Ok(cyrus)
    }

    /// Makes the mailboxes of further users.
    pub fn make(&self, users: std::ops::Range<u32>) -> Result<()> {
        let mut admin = Imap::login(loopback(self.imap), "admin", "x")?;
        users.into_iter().try_for_each(|user| admin.command(&format!("CREATE user/u{user}")).map(drop))
    }

    /// Starts another one with the files that lie there, as a copy of this one's brought them.
    pub fn moved_to(&self, folder: &Path) -> Result<Self> {
        let (imap, imaps, lmtp) = (free_port()?, free_port()?, free_port()?);
        let programs = self.programs.clone();
        fs::create_dir_all(folder.join("run"))?;
        fs::write(folder.join("imapd.conf"), imapd_conf(folder))?;
        fs::write(folder.join("cyrus.conf"), cyrus_conf(folder, &programs, [imap, imaps, lmtp], None))?;
        Command::new("chown").arg("cyrus").arg(folder).arg(folder.join("run")).status()?;
        let process = spawn(folder, &programs, false)?;
        let mut cyrus = Cyrus { folder: folder.to_owned(), programs, imap, imaps, lmtp, http: None, process };
        wait_for(loopback(imap), &mut cyrus.process)?;
        Ok(cyrus)
    }
}

/// The folder of the unpacked packages.
fn unpacked(target: &Path, with_dav: bool) -> Result<PathBuf> {
    fs::create_dir_all(target)?;
    let packages: &[&str] =
        if with_dav { &["cyrus-common", "cyrus-imapd", "cyrus-caldav"] } else { &["cyrus-common", "cyrus-imapd"] };
    for package in packages {
        let mut download = Command::new("apt-get");
        download.args(["-qq", "download", package]).current_dir(target).stdout(Stdio::null()).stderr(Stdio::null());
        ensure!(download.status()?.success(), "apt-get download {package} failed");
    }
    for entry in fs::read_dir(target)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            ensure!(Command::new("dpkg").arg("-x").arg(&path).arg(target).status()?.success(), "dpkg -x failed");
        }
    }
    Ok(target.to_owned())
}

fn spawn(folder: &Path, programs: &Path, lazy_writes: bool) -> Result<Child> {
    let mut command = Command::new(programs.join("usr/lib/cyrus/bin/master"));
    command.arg("-D").arg("-C").arg(folder.join("imapd.conf")).arg("-M").arg(folder.join("cyrus.conf"));
    command.arg("-p").arg(folder.join("run/master.pid"));
    command.env("LD_LIBRARY_PATH", programs.join("usr/lib/x86_64-linux-gnu"));
    if lazy_writes {
        command.env("LD_PRELOAD", lazy_writes_library()?);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting Cyrus")
}

fn imapd_conf(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "configdirectory: {folder}/conf
partition-default: {folder}/spool
defaultpartition: default
mboxname_lockpath: {folder}/conf/lock
cyrus_user: cyrus
admins: admin
unixhierarchysep: yes
altnamespace: yes
allowplaintext: yes
tls_server_cert: {folder}/certificate.pem
tls_server_key: {folder}/key.pem
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
lmtpsocket: {folder}/conf/socket/lmtp
idlesocket: {folder}/conf/socket/idle
servername: localhost
virtdomains: userid
httpmodules: caldav carddav
caldav_allowscheduling: on
defaultdomain: bench.test
"
    )
}

fn cyrus_conf(folder: &Path, programs: &Path, [imap, imaps, lmtp]: [u16; 3], http: Option<u16>) -> String {
    let (folder, bin) = (folder.display(), programs.join("usr/lib/cyrus/bin"));
    let bin = bin.display();
    let http = http.map_or(String::new(), |http| {
        format!("  http cmd=\"{bin}/httpd -C {folder}/imapd.conf -U 1000\" listen=\"127.0.0.1:{http}\" prefork=2 maxchild=200\n")
    });
    format!(
        "START {{
  recover cmd=\"{bin}/ctl_cyrusdb -C {folder}/imapd.conf -r\"
  idled cmd=\"{bin}/idled -C {folder}/imapd.conf\"
}}
SERVICES {{
  imap cmd=\"{bin}/imapd -C {folder}/imapd.conf -U 1000\" listen=\"127.0.0.1:{imap}\" prefork=4 maxchild=3000
  imaps cmd=\"{bin}/imapd -s -C {folder}/imapd.conf -U 1000\" listen=\"127.0.0.1:{imaps}\" prefork=1 maxchild=3000
  lmtp cmd=\"{bin}/lmtpd -C {folder}/imapd.conf -a\" listen=\"127.0.0.1:{lmtp}\" prefork=4 maxchild=200
{http}}}
EVENTS {{
}}
"
    )
}

impl Server for Cyrus {
    fn name(&self) -> &'static str {
        "cyrus"
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
        Server::stop(self)?;
        self.process = spawn(&self.folder, &self.programs, lazy_writes)?;
        wait_for(loopback(self.imap), &mut self.process)
    }
    fn processes(&self) -> Vec<u32> {
        vec![self.process.id()]
    }
    /// Its index would need its database of conversations, which makes deliveries slower; it searches without.
    fn index(&self, _user: u32) -> Result<bool> {
        Ok(false)
    }
    /// Each is a process of three megabytes: ten thousand don't fit.
    fn most_sessions(&self) -> u32 {
        2000
    }
    fn stop(&mut self) -> Result<()> {
        terminate(&mut self.process)?;
        [self.imap, self.imaps, self.lmtp].into_iter().chain(self.http).try_for_each(wait_until_free)
    }
}

impl DavServer for Cyrus {
    fn http(&self) -> SocketAddr {
        loopback(self.http.unwrap_or_default())
    }
    fn login(&self, user: u32) -> (String, String) {
        Server::login(self, user)
    }
    fn calendar(&self, user: u32) -> String {
        format!("/dav/calendars/user/u{user}/Default/")
    }
    fn book(&self, user: u32) -> String {
        format!("/dav/addressbooks/user/u{user}/Default/")
    }
    fn outbox(&self, user: u32) -> Option<String> {
        Some(format!("/dav/calendars/user/u{user}/Outbox/"))
    }
    fn address(&self, user: u32) -> String {
        format!("u{user}@bench.test")
    }
    /// Both are made when the user logs in for the first time.
    fn prepare(&self, user: u32) -> Result<()> {
        let mut client = Client::new(self.http(), Server::login(self, user));
        for path in [DavServer::calendar(self, user), self.book(user)] {
            client.request("PROPFIND", &path, &[("Depth", "0")], b"")?;
        }
        Ok(())
    }
    fn restart(&mut self, lazy_writes: bool) -> Result<()> {
        Server::restart(self, lazy_writes)
    }
    fn stop(&mut self) -> Result<()> {
        Server::stop(self)
    }
}
