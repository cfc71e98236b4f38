//! Debian's Exim as the rest of the mail world: it takes mail for one address of its domain into a Maildir, and sends
//! all other mail to one host, by TLS only.
//!
//! Debian lets only one mail server be installed, and that is Postfix: Exim is unpacked into a folder. It looks for its
//! user in /etc/passwd, so it runs in a mount namespace that has one with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::addresses;
use crate::wait::until;

/// Its domain.
pub const GULLS: &str = "gulls.test";

/// Its user, and the number of that user, which nobody else has.
const USER: &str = "Debian-exim";
const USER_ID: u32 = 61_234;

/// How long it may take to begin and to deliver.
const PATIENCE: Duration = Duration::from_secs(60);

/// An Exim with a configuration and folders of its own. It ends when it is dropped.
pub struct Exim {
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    process: Option<Child>,
}

impl Exim {
    /// Starts one that sends mail for others to `next_hop`. It offers STARTTLS, has `gus@gulls.test`, and refuses all
    /// others there.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(next_hop: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("sterna-exim").tempdir_in("/var/tmp").unwrap();
        let [address] = addresses::free(Ipv4Addr::LOCALHOST);
        let mut exim = Exim { folder, address, process: None };
        exim.configure(next_hop);
        exim.serve();
        exim
    }

    fn configure(&self, next_hop: SocketAddr) {
        let folder = self.folder.path();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["spool", "log", "mail"] {
            fs::create_dir(folder.join(part)).unwrap();
        }
        let certificate = rcgen::generate_simple_self_signed([format!("mx.{GULLS}")]).unwrap();
        fs::write(folder.join("certificate.pem"), certificate.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        fs::write(folder.join("exim.conf"), configuration(folder, self.address, next_hop)).unwrap();
        for (file, entry) in [
            ("passwd", format!("{USER}:x:{USER_ID}:{USER_ID}::/:/bin/false")),
            ("group", format!("{USER}:x:{USER_ID}:")),
        ] {
            let known = fs::read_to_string(Path::new("/etc").join(file)).unwrap();
            let others = known.lines().filter(|line| !line.starts_with(USER));
            let text: String = others.chain([&*entry]).flat_map(|line| [line, "\n"]).collect();
            fs::write(folder.join(file), text).unwrap();
        }
        for part in ["spool", "log", "mail", "key.pem"] {
            let owner = format!("{USER_ID}:{USER_ID}");
            assert!(Command::new("chown").arg(owner).arg(folder.join(part)).status().unwrap().success());
        }
    }

    fn serve(&mut self) {
        let folder = self.folder.path();
        let script = "mount --bind \"$1/passwd\" /etc/passwd && mount --bind \"$1/group\" /etc/group && \
                      exec \"$2\" -C \"$1/exim.conf\" -bdf -q1s";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(folder).arg(unpacked().join("usr/sbin/exim4"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.process = Some(process);
        until("Exim", PATIENCE, || TcpStream::connect(self.address).ok());
    }

    /// Hands it a message as a user of its machine would.
    ///
    /// # Panics
    /// When it doesn't take it.
    pub fn submit(&self, from: &str, to: &str, message: &[u8]) {
        let host = self.address.ip().to_string();
        let mut smtp = crate::smtp::Smtp::connect(&host, self.address.port(), "EHLO").unwrap();
        let replies = smtp.deliver(from, &[to], message).unwrap();
        assert!(replies.starts_with("250"), "{replies}");
    }

    /// Waits until so many messages are there for gus, and gives them, in no order.
    pub fn wait_for(&self, count: usize) -> Vec<String> {
        let folder = self.folder.path().join("mail/gus/new");
        let messages = || {
            let files = fs::read_dir(&folder).into_iter().flatten().flatten();
            let read = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            let messages: Vec<String> = files.map(|file| read(file.path())).collect();
            (messages.len() >= count).then_some(messages)
        };
        until(&format!("{count} messages in Exim"), PATIENCE, messages).0
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join("log").join(name)).unwrap_or_default();
        ["mainlog", "paniclog", "rejectlog"].map(read).concat()
    }
}

impl Drop for Exim {
    #[allow(clippy::print_stderr)] // a test that fails is understood from it
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // The daemon is this very process: unshare and the shell have become it.
            let _ = process.kill().and_then(|()| process.wait().map(drop));
        }
        if std::thread::panicking() {
            eprintln!("Exim: {}", self.log());
        }
    }
}

/// The folder of the unpacked package; it is fetched once for all tests of a process.
fn unpacked() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("sterna-exim-program").tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut download = Command::new("apt-get");
        download.args(["-qq", "download", "exim4-daemon-light"]).current_dir(folder.path());
        let output = download.output().unwrap();
        assert!(output.status.success(), "apt-get download: {}", String::from_utf8_lossy(&output.stderr));
        let package = fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .find(|entry| entry.path().extension().is_some_and(|extension| extension == "deb"));
        let unpacked = Command::new("dpkg").arg("-x").arg(package.unwrap().path()).arg(folder.path()).status();
        assert!(unpacked.unwrap().success(), "dpkg -x");
        folder
    });
    folder.path()
}

fn configuration(folder: &Path, listen: SocketAddr, next_hop: SocketAddr) -> String {
    let (exim, folder) = (unpacked().join("usr/sbin/exim4"), folder.display());
    format!(
        "primary_hostname = mx.{GULLS}
exim_path = {exim}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/spool/exim.pid
local_interfaces = {ip}
daemon_smtp_ports = {port}
disable_ipv6 = true
keep_environment =
never_users =
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = recipients
tls_advertise_hosts = *
dsn_advertise_hosts = *
tls_certificate = {folder}/certificate.pem
tls_privatekey = {folder}/key.pem

begin acl
recipients:
  deny domains = {GULLS}
    ! local_parts = gus
    message = no such gull
  accept

begin routers
here:
  driver = accept
  domains = {GULLS}
  transport = maildir
elsewhere:
  driver = manualroute
  route_list = * {hop_ip}::{hop_port}
  self = send
  transport = remote

begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail/gus
  maildir_format
  create_directory
  return_path_add
  envelope_to_add
  user = {USER}
remote:
  driver = smtp
  hosts_require_tls = *
  hosts_try_dane =

begin retry
* * F,1h,1s
",
        exim = exim.display(),
        ip = listen.ip(),
        port = listen.port(),
        hop_ip = next_hop.ip(),
        hop_port = next_hop.port(),
    )
}
