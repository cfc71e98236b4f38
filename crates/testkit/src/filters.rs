//! Debian's content filters: ClamAV with a signature of our own, rspamd without a network, and milters.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::addresses;
use crate::daemon::Daemon;
use crate::wait::until;

/// How long rspamd may take to make the databases of what it learns.
const DATABASES_MADE_WITHIN: Duration = Duration::from_secs(60);

/// What ClamAV is taught to find.
pub const INFECTED: &str = "sterna-test-signature-7f3a9c-not-a-virus";

/// What rspamd refuses (<https://spamassassin.apache.org/gtube/>).
pub const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// ClamAV's daemon on a socket in its own folder.
pub struct Clamd {
    daemon: Daemon,
}

impl Clamd {
    /// Starts one that knows one signature, `Tern.Test`, and takes streams of this many bytes.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(stream_bytes_max: u64) -> Self {
        let daemon = Daemon::new("clamd");
        let folder = daemon.folder();
        fs::create_dir(folder.join("db")).unwrap();
        let hex: String = INFECTED.bytes().map(|byte| format!("{byte:02x}")).collect();
        fs::write(folder.join("db/tern.ndb"), format!("Tern.Test:0:*:{hex}\n")).unwrap();
        let place = folder.display();
        let config = format!(
            "LocalSocket {place}/clamd.sock\nDatabaseDirectory {place}/db\nTemporaryDirectory {place}\nForeground yes\n\
             LogFile {place}/clamd.log\nStreamMaxLength {stream_bytes_max}\nMaxThreads 2\nUser root\n"
        );
        fs::write(folder.join("clamd.conf"), config).unwrap();
        let mut clamd = Clamd { daemon };
        clamd.serve();
        clamd
    }

    /// Starts it again after [`Clamd::stop`].
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn serve(&mut self) {
        let (config, socket) = (self.daemon.folder().join("clamd.conf"), self.daemon.folder().join("clamd.sock"));
        let mut command = Command::new("clamd");
        self.daemon.start(command.arg("--config-file").arg(config), || {
            let mut stream = UnixStream::connect(&socket).ok()?;
            stream.write_all(b"zPING\0").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.starts_with("PONG").then_some(())
        });
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Its address as a setting.
    pub fn address(&self) -> String {
        format!("unix:{}/clamd.sock", self.daemon.folder().display())
    }
}

/// rspamd: its controller with a password, and its proxy as a milter.
pub struct Rspamd {
    daemon: Daemon,
    /// Its controller, which looks at messages as its normal worker does, and wants a password.
    pub http: SocketAddr,
    /// Its milter.
    pub milter: SocketAddr,
}

impl Rspamd {
    /// What it wants to hear.
    pub const PASSWORD: &str = "sesame";

    /// Starts one that knows two words: `tern-spam` is six points, `tern-later` a reason to refuse for now.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start() -> Self {
        let daemon = Daemon::new("rspamd");
        let [http, milter] = addresses::free(Ipv4Addr::LOCALHOST);
        let folder = daemon.folder().to_owned();
        fs::write(folder.join("rules.lua"), RSPAMD_RULES).unwrap();
        // The whole list takes it many seconds to learn.
        fs::write(folder.join("tld.dat"), "com\norg\ntest\n").unwrap();
        // Two workers that open databases which aren't there yet come in each other's way, and one of them then does
        // without (`no such table: tokens`): one of them makes these alone.
        let (controller, proxy) = rspamd_conf(&folder, http, milter);
        fs::write(folder.join("rspamd.conf"), &controller).unwrap();
        let mut rspamd = Rspamd { daemon, http, milter };
        rspamd.run(|| true);
        until("databases of what it learns", DATABASES_MADE_WITHIN, || {
            let made = ["ham", "spam"].iter().all(|name| folder.join(format!("{name}.sqlite")).exists());
            (made && rspamd.statistics().is_some()).then_some(())
        });
        rspamd.stop();
        fs::write(folder.join("rspamd.conf"), controller + &proxy).unwrap();
        rspamd.serve();
        rspamd
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Starts it again after [`Rspamd::stop`]; what it has learned it knows.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn serve(&mut self) {
        let milter = self.milter;
        self.run(move || TcpStream::connect(milter).is_ok());
    }

    /// Starts it with the configuration that there is; it is there when its controller answers and this is true.
    fn run(&mut self, also: impl Fn() -> bool) {
        let http = self.http;
        let mut command = Command::new("rspamd");
        // It asks who it is; as root it must be told that this is meant.
        let command = command.args(["-f", "-i", "-u", "root", "-g", "root", "-c"]);
        self.daemon.start(command.arg(self.daemon.folder().join("rspamd.conf")), || {
            let mut stream = TcpStream::connect(http).ok()?;
            stream.write_all(b"GET /ping HTTP/1.0\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            (answer.contains("pong") && also()).then_some(())
        });
    }

    /// What it has learned as spam, and as ham: messages.
    ///
    /// # Panics
    /// When it can't say.
    pub fn learned(&self) -> (u64, u64) {
        self.statistics().unwrap_or_else(|| panic!("it doesn't learn: {}", self.stat()))
    }

    /// The same, if it has both databases.
    fn statistics(&self) -> Option<(u64, u64)> {
        let answer = self.stat();
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let stat: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let files = stat["statfiles"].as_array()?;
        let of = |symbol: &str| files.iter().find(|file| file["symbol"] == symbol)?["revision"].as_u64();
        Some((of("BAYES_SPAM")?, of("BAYES_HAM")?))
    }

    fn stat(&self) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        let request = format!("GET /stat HTTP/1.0\r\nPassword: {}\r\n\r\n", Rspamd::PASSWORD);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

const RSPAMD_RULES: &str = r#"
local function word(name, text, score)
  rspamd_config:register_symbol({
    name = name, score = score, group = 'tern',
    callback = function(task)
      return task:get_content():find(text, 1, true) ~= nil
    end,
  })
end
word('TERN_SPAM', 'tern-spam', 6.5)
rspamd_config:register_symbol({
  name = 'TERN_LATER', type = 'prefilter', score = 0.0,
  callback = function(task)
    if task:get_content():find('tern-later', 1, true) then
      task:set_pre_result('soft reject', 'The terns sleep')
    end
  end,
})
rspamd_config:register_symbol({
  name = 'TERN_HEADERS', type = 'idempotent',
  callback = function(task)
    local user, ip = task:get_user() or 'nobody', task:get_ip()
    task:set_milter_reply({
      add_headers = { ['X-Tern'] = string.format('%s from %s', user, tostring(ip)) },
      remove_headers = { ['X-Gull'] = 0 },
    })
  end,
})
"#;

/// Its configuration with a controller alone, and what adds the proxy to it.
fn rspamd_conf(folder: &Path, http: SocketAddr, milter: SocketAddr) -> (String, String) {
    let (place, password) = (folder.display(), Rspamd::PASSWORD);
    let controller = format!(
        r#"
options {{
  filters = "";
  pidfile = "{place}/rspamd.pid";
  tempdir = "{place}";
  cache_file = "{place}/symbols.cache";
  control_socket = "{place}/control.sock mode=0600";
  rrd = "{place}/rspamd.rrd";
  history_file = "{place}/history";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
  gtube_patterns = "all";
  disable_hyperscan = true;
  url_tld = "{place}/tld.dat";
}}
logging {{ type = "file"; filename = "{place}/rspamd.log"; level = "info"; }}
lua = "{place}/rules.lua";
actions {{ reject = 15; add_header = 6; greylist = 4; }}
worker "controller" {{
  bind_socket = "{http}";
  count = 1;
  password = "{password}";
}}
classifier "bayes" {{
  tokenizer {{ name = "osb"; }}
  backend = "sqlite3";
  cache {{ type = "sqlite3"; path = "{place}/learned.sqlite"; }}
  min_tokens = 1;
  min_learns = 1;
  statfile {{ symbol = "BAYES_HAM"; path = "{place}/ham.sqlite"; spam = false; }}
  statfile {{ symbol = "BAYES_SPAM"; path = "{place}/spam.sqlite"; spam = true; }}
}}
"#
    );
    let proxy = format!(
        r#"
worker "rspamd_proxy" {{
  bind_socket = "{milter}";
  milter = yes;
  count = 1;
  timeout = 60s;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
"#
    );
    (controller, proxy)
}

/// A milter in Python, with libmilter under it.
pub struct PythonMilter {
    daemon: Daemon,
}

impl PythonMilter {
    /// Starts one that: refuses recipients that begin with `cyd`; refuses mail with the subject `refused`, for now with
    /// `later`; throws `discarded` away, puts `odd` aside; and changes everything of `changed`.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start() -> Self {
        let mut milter = PythonMilter { daemon: Daemon::new("python-milter") };
        fs::write(milter.daemon.folder().join("tern.py"), PYTHON_MILTER).unwrap();
        milter.serve();
        milter
    }

    /// Starts it again after [`PythonMilter::stop`].
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn serve(&mut self) {
        let (script, socket) = (self.daemon.folder().join("tern.py"), self.daemon.folder().join("milter.sock"));
        let mut command = Command::new("/usr/bin/python3");
        self.daemon.start(command.arg(script).arg(&socket), || UnixStream::connect(&socket).ok());
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Its address as a setting.
    pub fn address(&self) -> String {
        format!("unix:{}/milter.sock", self.daemon.folder().display())
    }
}

const PYTHON_MILTER: &str = r#"
import os, sys
import Milter

class TernMilter(Milter.Base):
    def __init__(self):
        self.subject = ''
        self.facts = ''
        self.body_bytes = 0

    def connect(self, name, family, address):
        self.facts = 'connect=%s' % (address[0],)
        return Milter.CONTINUE

    def hello(self, name):
        self.facts += ' helo=%s' % name
        return Milter.CONTINUE

    def envfrom(self, path, *params):
        self.facts += ' from=%s user=%s' % (path, self.getsymval('{auth_authen}'))
        return Milter.CONTINUE

    def envrcpt(self, path, *params):
        self.facts += ' rcpt=%s' % path
        if path.startswith('<cyd'):
            self.setreply('550', '5.7.9', 'The milter knows cyd')
            return Milter.REJECT
        return Milter.CONTINUE

    def header(self, name, value):
        if name.lower() == 'subject':
            self.subject = value
        return Milter.CONTINUE

    def body(self, piece):
        self.body_bytes += len(piece)
        return Milter.CONTINUE

    def eom(self):
        if self.subject == 'refused':
            self.setreply('554', '5.7.8', 'The milter refuses')
            return Milter.REJECT
        if self.subject == 'later':
            return Milter.TEMPFAIL
        if self.subject == 'discarded':
            return Milter.DISCARD
        if self.subject == 'odd':
            self.quarantine('the milter finds it odd')
        if self.subject == 'changed':
            self.addheader('X-First', 'inserted', 0)
            self.addheader('X-Last', 'a\n\tb')
            self.chgheader('Subject', 1, 'new')
            self.replacebody(b'x' * 70000 + b'\r\n')
            self.replacebody(b'The end.\r\n')
            self.chgfrom('<gull@other.test>')
            self.addrcpt('<ben@tern.test>')
            self.delrcpt('<ana@tern.test>')
        self.addheader('X-Milter', '%s bytes=%d' % (self.facts, self.body_bytes))
        return Milter.CONTINUE

Milter.factory = TernMilter
Milter.set_flags(Milter.ADDHDRS + Milter.CHGHDRS + Milter.CHGBODY + Milter.ADDRCPT + Milter.DELRCPT
                 + Milter.CHGFROM + Milter.QUARANTINE)
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
Milter.runmilter('tern', 'unix:' + sys.argv[1], 60)
"#;

/// OpenDKIM, which signs what users of a domain send.
pub struct OpenDkim {
    daemon: Daemon,
}

impl OpenDkim {
    /// Starts one for a domain, with a key of its own.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(domain: &str) -> Self {
        let mut daemon = Daemon::new("opendkim");
        let folder = daemon.folder().to_owned();
        let key = folder.join("key.pem");
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let place = folder.display();
        let config = format!(
            "Domain {domain}\nSelector tern\nKeyFile {place}/key.pem\nSocket local:{place}/milter.sock\nMode s\n\
             Canonicalization relaxed/relaxed\nRequireSafeKeys no\nSyslog no\nUserID root\n"
        );
        fs::write(folder.join("opendkim.conf"), config).unwrap();
        let socket = folder.join("milter.sock");
        let mut command = Command::new("opendkim");
        daemon
            .start(command.args(["-f", "-x"]).arg(folder.join("opendkim.conf")), || UnixStream::connect(&socket).ok());
        OpenDkim { daemon }
    }

    /// Its address as a setting.
    pub fn address(&self) -> String {
        format!("unix:{}/milter.sock", self.daemon.folder().display())
    }
}
