//! Debian's Postfix as the rest of the mail world: it takes mail for one address of its domain into a Maildir, and
//! sends all other mail to one host.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::addresses;
use crate::wait::until;

/// Its domain.
pub const FAR: &str = "far.test";

/// How long it may take to begin and to deliver.
const PATIENCE: Duration = Duration::from_secs(60);

/// The services that a small Postfix needs beside its listener.
const SERVICES: &str = "pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
";

/// A Postfix with a configuration and folders of its own. It ends when it is dropped.
pub struct Postfix {
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    runs: bool,
}

impl Postfix {
    /// Starts one that sends mail for others to `next_hop`. It offers STARTTLS, has `zoe@far.test`, refuses
    /// `nobody@far.test`, and says of `later@far.test` that it should be tried later.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(next_hop: SocketAddr) -> Self {
        Self::start_with(next_hop, "")
    }

    /// The same with more lines in `main.cf`; they take the place of those that are usual.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start_with(next_hop: SocketAddr, more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sterna-postfix").tempdir_in("/var/tmp").unwrap();
        let [address] = addresses::free(Ipv4Addr::LOCALHOST);
        let mut postfix = Postfix { folder, address, runs: false };
        postfix.configure(next_hop, more);
        postfix.serve();
        postfix
    }

    fn configure(&self, next_hop: SocketAddr, more: &str) {
        let folder = self.folder.path();
        for part in ["conf", "spool", "data", "mail", "log"] {
            fs::create_dir(folder.join(part)).unwrap();
        }
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let certificate = rcgen::generate_simple_self_signed([format!("mx.{FAR}")]).unwrap();
        let pem = certificate.signing_key.serialize_pem() + &certificate.cert.pem();
        fs::write(folder.join("conf/chain.pem"), pem).unwrap();
        fs::write(folder.join("conf/main.cf"), with_more(&main_cf(folder, next_hop), more)).unwrap();
        let listener = format!("{} inet n - n - - smtpd\n", self.address);
        fs::write(folder.join("conf/master.cf"), listener + SERVICES).unwrap();
        for part in ["data", "mail"] {
            assert!(Command::new("chown").arg("postfix").arg(folder.join(part)).status().unwrap().success());
        }
    }

    /// Starts it again after [`Postfix::stop`].
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn serve(&mut self) {
        let output = self.control("start");
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), self.log());
        self.runs = true;
        until("Postfix", PATIENCE, || TcpStream::connect(self.address).ok());
    }

    /// Ends it; what it has it keeps.
    pub fn stop(&mut self) {
        if std::mem::take(&mut self.runs) {
            self.control("stop");
        }
    }

    fn control(&self, what: &str) -> Output {
        let conf = self.folder.path().join("conf");
        Command::new("postfix").arg("-c").arg(conf).arg(what).output().unwrap()
    }

    /// The folder of its configuration.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("conf")
    }

    /// Its first process, from which all others descend.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn master(&self) -> u32 {
        let id = fs::read_to_string(self.folder.path().join("spool/pid/master.pid")).unwrap();
        id.trim().parse().unwrap()
    }

    /// Asks for a key as Postfix itself would; `None` when there is none.
    ///
    /// # Panics
    /// When it can't be told.
    pub fn look_up(&self, table: &str, key: &str) -> Option<String> {
        let conf = self.folder.path().join("conf");
        let output = Command::new("postmap").arg("-c").arg(conf).args(["-q", key, table]).output().unwrap();
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(errors.is_empty(), "{table} {key}: {errors}");
        output.status.success().then(|| said.trim_end().to_owned())
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

    /// The messages that came for a user, in no order.
    pub fn messages(&self, user: &str) -> Vec<String> {
        let folder = self.folder.path().join("mail").join(user).join("new");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned()).collect()
    }

    /// Waits until so many messages are there for a user, and gives them.
    pub fn wait_for(&self, user: &str, count: usize) -> Vec<String> {
        let all = || Some(self.messages(user)).filter(|messages| messages.len() >= count);
        until(&format!("{count} messages for {user} in Postfix"), PATIENCE, all).0
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log/mail.log")
    }
}

impl Drop for Postfix {
    #[allow(clippy::print_stderr)] // a test that fails is understood from it
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("Postfix: {}", self.log());
        }
    }
}

/// Postfix warns of parameters that are set twice.
fn with_more(main_cf: &str, more: &str) -> String {
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let replaced: Vec<String> = more.lines().map(name).collect();
    let kept = main_cf.lines().filter(|line| !replaced.contains(&name(line)));
    kept.chain(more.lines()).flat_map(|line| [line, "\n"]).collect()
}

fn main_cf(folder: &Path, next_hop: SocketAddr) -> String {
    let id = |option: &str| {
        let output = Command::new("id").args([option, "postfix"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (uid, gid, folder) = (id("-u"), id("-g"), folder.display());
    format!(
        "compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_bind_address = 127.0.0.1
myhostname = mx.{FAR}
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [{}]:{}
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {FAR}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{zoe@{FAR} = zoe/}} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_chain_files = {folder}/conf/chain.pem
smtpd_tls_security_level = may
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{nobody@{FAR} = 550 5.1.1 no such tern}}, \
         {{later@{FAR} = 450 4.2.1 the tern is away}} }}, permit_mynetworks, reject
minimal_backoff_time = 1s
queue_run_delay = 1s
",
        next_hop.ip(),
        next_hop.port()
    )
}
