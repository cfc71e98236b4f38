//! Debian's Cyrus IMAP with its replication, for what comes from there. Debian lets only one IMAP server be installed,
//! and that is Dovecot: Cyrus is unpacked into a folder.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::addresses;
use crate::daemon::Daemon;
use crate::imap::Imap;
use crate::wait::until;

/// Its packages.
const PACKAGES: &[&str] = &["cyrus-common", "cyrus-imapd", "cyrus-replication", "cyrus-caldav"];

/// Its user, and the number of that user, which nobody else has.
const USER: &str = "cyrus";
const USER_ID: u32 = 61_235;

/// Who may do everything; any password is right.
pub const ADMIN: &str = "admin";

/// A running Cyrus with a configuration and a spool of its own. It ends when it is dropped.
pub struct Cyrus {
    /// Where it speaks IMAP, on loopback.
    pub port: u16,
    /// Where it speaks CalDAV and CardDAV, without TLS.
    pub http: u16,
    /// Where it speaks ManageSieve, without TLS.
    pub managesieve: u16,
    daemon: Daemon,
    sync_port: u16,
}

impl Cyrus {
    /// Starts one that replicates to this port of loopback, as this login with this password.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(sync_port: u16, who: (&str, &str)) -> Self {
        Cyrus::start_with(sync_port, who, "")
    }

    /// The same with more lines in its `imapd.conf`; `FOLDER` is its folder there.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start_with(sync_port: u16, (login, password): (&str, &str), settings: &str) -> Self {
        let ports = addresses::free(Ipv4Addr::LOCALHOST).map(|free| free.port());
        let [port, http, managesieve] = ports;
        let mut daemon = Daemon::new("Cyrus");
        let folder = daemon.folder().to_owned();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["db", "socket", "proc", "log", "lock", "sync", "user", "quota", "sieve"] {
            fs::create_dir_all(folder.join("conf").join(part)).unwrap();
        }
        fs::create_dir_all(folder.join("spool")).unwrap();
        fs::create_dir_all(folder.join("archive")).unwrap();
        fs::create_dir_all(folder.join("meta")).unwrap();
        let settings = settings.replace("FOLDER", &folder.to_string_lossy());
        let configuration = configuration(&folder, sync_port, login, password) + &settings;
        fs::write(folder.join("imapd.conf"), configuration).unwrap();
        fs::write(folder.join("cyrus.conf"), services(&folder, ports)).unwrap();
        for (file, entry) in [
            ("passwd", format!("{USER}:x:{USER_ID}:{USER_ID}::/:/bin/false")),
            ("group", format!("{USER}:x:{USER_ID}:\nmail:x:8:")),
        ] {
            let known = fs::read_to_string(Path::new("/etc").join(file)).unwrap();
            let others = known.lines().filter(|line| !line.starts_with(USER) && !line.starts_with("mail:"));
            let text: String = others.chain([&*entry]).flat_map(|line| [line, "\n"]).collect();
            fs::write(folder.join(file), text).unwrap();
        }
        for part in ["conf", "spool", "archive", "meta"] {
            let owner = format!("{USER_ID}:{USER_ID}");
            assert!(Command::new("chown").args(["-R", &owner]).arg(folder.join(part)).status().unwrap().success());
        }
        let mut command = within(&folder, "usr/lib/cyrus/bin/master");
        command.arg("-D").arg("-C").arg(folder.join("imapd.conf")).arg("-M").arg(folder.join("cyrus.conf"));
        command.arg("-p").arg(folder.join("conf/master.pid"));
        daemon.start(&mut command, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        Cyrus { port, http, managesieve, daemon, sync_port }
    }

    /// A session of IMAP.
    ///
    /// # Panics
    /// When it can't be had.
    pub fn login(&self, user: &str) -> Imap {
        Imap::login("127.0.0.1", self.port, user, "x").unwrap()
    }

    /// Runs one of its programs as its user: `sync_client -u ana`.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let folder = self.daemon.folder();
        let mut command = within(folder, &format!("usr/lib/cyrus/bin/{program}"));
        command.arg("-C").arg(folder.join("imapd.conf")).args(arguments).output().unwrap()
    }

    /// Replicates with these arguments; what `sync_client -v -v -l` said. Commands to the other side begin with `>`.
    ///
    /// # Panics
    /// When it fails.
    pub fn replicate(&self, arguments: &[&str]) -> String {
        let output = self.run("sync_client", &[&["-v", "-v", "-l"], arguments].concat());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "sync_client {arguments:?} to {}: {said}", self.sync_port);
        said
    }

    /// Replicates on and on (`sync_client -r`), until the process is ended.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn rolling(&self) -> Child {
        let folder = self.daemon.folder();
        let mut command = within(folder, "usr/lib/cyrus/bin/sync_client");
        command.arg("-C").arg(folder.join("imapd.conf")).args(["-r", "-l", "-v"]);
        // The first one brings what is there already.
        self.replicate(&["-A"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Ends it, as a power cut would; its files stay.
    pub fn kill(&mut self) {
        self.daemon.stop();
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.daemon.folder()
    }
}

/// A program of Cyrus, in a mount namespace that knows its user; what it starts belongs to its group of processes.
fn within(folder: &Path, program: &str) -> Command {
    let script = "mount --bind \"$1/passwd\" /etc/passwd && mount --bind \"$1/group\" /etc/group && \
                  shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(folder).arg(unpacked().join(program));
    command.env("LD_LIBRARY_PATH", unpacked().join("usr/lib/x86_64-linux-gnu"));
    command
}

/// The packages, unpacked once for all tests of a run.
fn unpacked() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("sterna-cyrus").tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut download = Command::new("apt-get");
        download.args(["-qq", "download"]).args(PACKAGES).current_dir(folder.path());
        let output = download.output().unwrap();
        assert!(output.status.success(), "apt-get download: {}", String::from_utf8_lossy(&output.stderr));
        for file in fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|extension| extension == "deb") {
                let unpacked = Command::new("dpkg").arg("-x").arg(&file).arg(folder.path()).status();
                assert!(unpacked.unwrap().success(), "{}", file.display());
            }
        }
        folder
    });
    folder.path()
}

/// Waits until something of Cyrus has come.
pub fn wait_for<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    until(what, Duration::from_secs(60), probe).0
}

fn configuration(folder: &Path, sync_port: u16, login: &str, password: &str) -> String {
    let folder: PathBuf = folder.to_owned();
    let folder = folder.display();
    format!(
        "configdirectory: {folder}/conf
partition-default: {folder}/spool
archivepartition-default: {folder}/archive
archive_enabled: no
defaultpartition: default
mboxname_lockpath: {folder}/conf/lock
sievedir: {folder}/conf/sieve
cyrus_user: {USER}
admins: {ADMIN}
unixhierarchysep: yes
altnamespace: yes
allowplaintext: yes
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
servername: localhost
httpmodules: caldav carddav
delete_mode: delayed
expunge_mode: delayed
sync_log: yes
sync_host: 127.0.0.1
sync_port: {sync_port}
sync_authname: {login}
sync_password: {password}
sync_repeat_interval: 1
lmtpsocket: {folder}/conf/socket/lmtp
idlesocket: {folder}/conf/socket/idle
"
    )
}

fn services(folder: &Path, [port, http, managesieve]: [u16; 3]) -> String {
    let (folder, bin) = (folder.display(), unpacked().join("usr/lib/cyrus/bin"));
    let bin = bin.display();
    format!(
        "START {{
  recover cmd=\"{bin}/ctl_cyrusdb -C {folder}/imapd.conf -r\"
}}
SERVICES {{
  imap cmd=\"{bin}/imapd -C {folder}/imapd.conf -U 1000\" listen=\"127.0.0.1:{port}\" prefork=1
  http cmd=\"{bin}/httpd -C {folder}/imapd.conf -U 1000\" listen=\"127.0.0.1:{http}\" prefork=0
  sieve cmd=\"{bin}/timsieved -C {folder}/imapd.conf\" listen=\"127.0.0.1:{managesieve}\" prefork=0
}}
EVENTS {{
}}
"
    )
}
