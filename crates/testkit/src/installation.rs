//! An installation of real processes, put together as an administrator does it: each node can be killed, frozen, put
//! behind another program (a network namespace, a false clock) and started again.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::addresses;
use crate::binary;
use crate::dns::DnsServer;
use crate::imap::Imap;
use crate::smtp::Smtp;
use crate::wait::until;

/// How long a node may take to say that it serves.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a node may take to end: longer than it gives its own sessions.
const END_TIMEOUT: Duration = Duration::from_secs(40);

/// Everybody's password.
pub const PASSWORD: &str = "correct horse";

/// A few nodes in a folder of their own. When it is dropped, all nodes are ended, and everything they hold is checked.
pub struct Installation {
    folder: TempDir,
    host: IpAddr,
    nodes: Vec<Node>,
    environment: Vec<(String, String)>,
    nameserver: SocketAddr,
    /// The world's DNS, which all nodes ask: there is nothing in it but what a test puts there.
    pub dns: DnsServer,
}

/// One node, running or not.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Where it listens.
    pub at: Doors,
    /// Not in its folder, which may be on a disk that is full.
    log: PathBuf,
    wrapper: Vec<String>,
    process: Option<Child>,
}

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// Its address for clients.
    pub host: IpAddr,
    /// Its ports there.
    pub ports: Ports,
    /// Where other nodes reach it.
    pub cluster: SocketAddr,
}

/// The ports of a node.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// IMAP with STARTTLS.
    pub imap: u16,
    /// IMAP with TLS.
    pub imaps: u16,
    /// POP3 with STLS.
    pub pop3: u16,
    /// ManageSieve with STARTTLS.
    pub managesieve: u16,
    /// DAV with TLS.
    pub https: u16,
    /// DAV without.
    pub http: u16,
    /// SMTP.
    pub smtp: u16,
    /// Submission with STARTTLS.
    pub submission: u16,
    /// LMTP.
    pub lmtp: u16,
    /// Postfix's lookups by socketmap.
    pub socketmap: u16,
    /// The same by tcp_table, of transports.
    pub transport: u16,
    /// Replication of a Cyrus server.
    pub cyrus: u16,
}

impl Doors {
    /// Ports that nobody has on this address.
    fn free(host: IpAddr) -> Self {
        let [cluster, imap, imaps, pop3, managesieve, https, http, smtp, submission, lmtp, socketmap, transport, cyrus] =
            addresses::free(host).map(|free| free.port());
        let ports =
            Ports { imap, imaps, pop3, managesieve, https, http, smtp, submission, lmtp, socketmap, transport, cyrus };
        Doors { host, ports, cluster: (host, cluster).into() }
    }

    /// Those of a mail exchanger: with port 25, which takes root.
    fn exchanger(host: IpAddr) -> Self {
        let mut doors = Doors::free(host);
        doors.ports.smtp = 25;
        doors
    }
}

/// Where a node is to run, if not simply here.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Where it listens; free ports of this machine when left out.
    pub at: Option<Doors>,
    /// The program that starts it, with its arguments: `ip netns exec NAME`.
    pub wrapper: Vec<String>,
    /// Its folder; one beside the others when left out.
    pub dir: Option<PathBuf>,
}

impl Default for Installation {
    fn default() -> Self {
        Installation::new()
    }
}

impl Installation {
    /// An empty one, with a loopback address of its own: so nobody else takes a port between its choice and its use.
    ///
    /// # Panics
    /// When there is no folder to be had.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
        let [a, b, c]: [u8; 3] = sterna_base::ids::random_bytes();
        let host = IpAddr::V4(Ipv4Addr::new(127, a | 1, b, c.clamp(1, 254)));
        let dns = DnsServer::start();
        let (nodes, environment, nameserver) = (Vec::new(), Vec::new(), dns.address);
        Installation { folder, host, nodes, environment, nameserver, dns }
    }

    /// A main node that is an edge too, the data servers alpha and beta, and ana on alpha, ben on beta.
    pub fn standard() -> Self {
        let mut installation = Installation::new();
        installation.start_main("main,edge", Place::default());
        installation.join_and_serve("alpha", "data", Place::default());
        installation.join_and_serve("beta", "data", Place::default());
        installation.admin_ok("main", &["domain", "create", "tern.test"]);
        installation.create_user("ana@tern.test", "alpha");
        installation.create_user("ben@tern.test", "beta");
        installation
    }

    /// Nobody is told of a disk that is nearly full from now on: it is the machine's that the tests run on, not the
    /// installation's, and `sterna status` would not be silent about it.
    pub fn ignore_disk(&self) {
        self.admin_ok("main", &["setting", "set", "reports.disk-free-percent", "0"]);
    }

    /// A place for a node that other servers find by MX records, at an address that nobody else has; it takes root.
    pub fn exchanger(&self) -> Place {
        Place { at: Some(Doors::exchanger(self.host)), ..Place::default() }
    }

    /// Whom nodes that are set up from now on ask for DNS instead of [`Installation::dns`].
    pub fn set_nameserver(&mut self, nameserver: SocketAddr) {
        self.nameserver = nameserver;
    }

    /// The folder with the nodes' folders.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder with a node's armed failpoints; not in its own, which may be on a disk that is full.
    pub(crate) fn failpoints(&self, name: &str) -> PathBuf {
        self.folder.path().join("failpoints").join(name)
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node by its name.
    ///
    /// # Panics
    /// When there is none.
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Runs `sterna migrate from` for a node that takes the place of one, and gives it free ports if that went well.
    pub fn migrate_from(&mut self, name: &str, main: &str, token: &str, place: Place) -> Output {
        let main = self.node(main).at.cluster.to_string();
        self.set_up(name, place, &["migrate", "from", &main, "--token", token])
    }

    /// Runs `sterna init` for a node, and gives it free ports if that went well.
    pub fn init(&mut self, name: &str, roles: &str, place: Place, more: &[&str]) -> Output {
        self.set_up(name, place, &[&["init", "--roles", roles], more].concat())
    }

    fn set_up(&mut self, name: &str, place: Place, command: &[&str]) -> Output {
        let dir = place.dir.unwrap_or_else(|| self.folder.path().join(name));
        let at = place.at.unwrap_or_else(|| Doors::free(self.host));
        let (text, address) = (dir.to_string_lossy().into_owned(), at.cluster.to_string());
        let more = ["--dir", &text, "--name", name, "--address", &address, "--cluster-listen", &address];
        let arguments = [command, &more].concat();
        let log = self.folder.path().join(format!("{name}.log"));
        let node = Node { name: name.to_owned(), log, dir, at, wrapper: place.wrapper, process: None };
        let output = node.command(&arguments).output().unwrap_or_else(|error| panic!("sterna init: {error}"));
        if output.status.success() {
            node.listen(self.nameserver);
            self.nodes.retain(|other| other.name != name);
            self.nodes.push(node);
        }
        output
    }

    /// A node with nothing but a `sterna.toml` that says where to listen, which is started: it makes an installation,
    /// and waits to be set up. What it prints is in its log.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub fn start_empty(&mut self, name: &str) {
        let (dir, at) = (self.folder.path().join(name), Doors::free(self.host));
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let text = format!(
            "name = \"{name}\"\nroles = [\"main\", \"data\", \"edge\"]\n\
             [cluster]\nlisten = \"{0}\"\naddress = \"{0}\"\n",
            at.cluster
        );
        let path = dir.join("sterna.toml");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // As `useradd --create-home` leaves it.
        fs::write(dir.join(".bashrc"), "").unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let log = self.folder.path().join(format!("{name}.log"));
        let node = Node { name: name.to_owned(), log, dir, at, wrapper: Vec::new(), process: None };
        node.listen(self.nameserver);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let text = format!("# This comment is the administrator's.\n{text}");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.nodes.push(node);
        self.serve(name);
    }

    /// A node whose folder was made elsewhere, as a copy that listens where nobody else does. It is not started.
    ///
    /// # Panics
    /// When the folder can't be copied, or has no configuration.
    pub fn adopt(&mut self, name: &str, folder: &Path) {
        let (dir, at) = (self.folder.path().join(name), Doors::free(self.host));
        let copied = Command::new("cp").arg("-a").arg(folder).arg(&dir).output();
        succeeded("cp", &copied.unwrap_or_else(|error| panic!("cp: {error}")));
        let path = dir.join("sterna.toml");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cluster: toml::Table =
            ["listen", "address"].into_iter().map(|key| (key.to_owned(), at.cluster.to_string().into())).collect();
        table.insert("cluster".into(), toml::Value::Table(cluster));
        fs::write(&path, table.to_string()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let log = self.folder.path().join(format!("{name}.log"));
        let node = Node { name: name.to_owned(), log, dir, at, wrapper: Vec::new(), process: None };
        node.listen(self.nameserver);
        self.nodes.push(node);
    }

    /// Sets up the main node and starts it.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub fn start_main(&mut self, roles: &str, place: Place) {
        succeeded("sterna init", &self.init("main", roles, place, &[]));
        self.serve("main");
    }

    /// A node joins with a token of its own and is started.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub fn join_and_serve(&mut self, name: &str, roles: &str, place: Place) {
        let (main, token) = (self.node("main").at.cluster.to_string(), self.token(&["--roles", roles]));
        let joined = self.init(name, roles, place, &["--join", &main, "--token", &token]);
        succeeded("sterna init", &joined);
        self.serve(name);
    }

    /// Starts a node and waits until it says that it serves. It ends with the thread that calls this.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub fn serve(&mut self, name: &str) {
        let ended = self.try_serve(name);
        assert!(ended.is_none(), "{name} does not serve: {ended:?}, {}", self.node(name).log());
    }

    /// The same for a node that may refuse to start: its exit status then.
    ///
    /// # Panics
    /// When it neither serves nor ends in time.
    pub fn try_serve(&mut self, name: &str) -> Option<ExitStatus> {
        let (environment, failpoints) = (self.environment.clone(), self.failpoints(name));
        fs::create_dir_all(&failpoints).unwrap_or_else(|error| panic!("{}: {error}", failpoints.display()));
        let node = self.node_mut(name);
        let socket = node.dir.join("notify.sock");
        let _ = fs::remove_file(&socket);
        let ready = UnixDatagram::bind(&socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        let log = fs::OpenOptions::new().create(true).append(true).open(&node.log);
        let log = log.unwrap_or_else(|error| panic!("{}: {error}", node.log.display()));
        let dir = node.dir.to_string_lossy().into_owned();
        let mut command = node.command(&["serve", "--dir", &dir]);
        let printed = log.try_clone().unwrap_or_else(|error| panic!("{}: {error}", node.log.display()));
        command.stdin(Stdio::null()).stdout(printed).stderr(log);
        command.env("STERNA_END_WITH_PARENT", "1").env("NOTIFY_SOCKET", &socket);
        command.env("STERNA_FAILPOINTS", &failpoints).envs(environment);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("starting {name}: {error}"));
        ready.set_nonblocking(true).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        let mut state = [0; 256];
        let (ended, _) = until(&format!("{name} serves or ends"), READY_TIMEOUT, || match ready.recv(&mut state) {
            Ok(length) if state[..length].starts_with(b"READY=1") => Some(None),
            _ => process.try_wait().ok().flatten().map(Some),
        });
        node.process = ended.is_none().then_some(process);
        ended
    }

    /// Starts a node under another program from now on; where it listens and keeps its data stays as it is.
    pub fn put(&mut self, name: &str, place: Place) {
        self.node_mut(name).wrapper = place.wrapper;
    }

    /// A variable in the environment of every node that is started from now on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Waits until a node has ended by itself, however it ended.
    ///
    /// # Panics
    /// When it doesn't end in time.
    pub fn wait_for_end(&mut self, name: &str) {
        let node = self.node_mut(name);
        let Some(mut process) = node.process.take() else { panic!("{name} does not run") };
        until(&format!("{name} ends"), END_TIMEOUT, || process.try_wait().ok().flatten());
    }

    /// kill -9.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn kill(&mut self, name: &str) {
        let node = self.node_mut(name);
        let process = node.process.take();
        let killed = process.map(|mut process| process.kill().and_then(|()| process.wait()));
        assert!(killed.is_some_and(|killed| killed.is_ok()), "{name} does not run");
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When it ends badly, or not in time.
    pub fn stop(&mut self, name: &str) {
        let node = self.node_mut(name);
        node.signal("-TERM");
        let Some(mut process) = node.process.take() else { panic!("{name} does not run") };
        let ended = until(&format!("{name} ends"), END_TIMEOUT, || process.try_wait().ok().flatten()).0;
        assert!(ended.success(), "{name} ended with {ended}: {}", node.log());
    }

    /// SIGSTOP: it does nothing, and its connections stay open.
    pub fn freeze(&self, name: &str) {
        self.node(name).signal("-STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self, name: &str) {
        self.node(name).signal("-CONT");
    }

    /// Runs an administration command at a node.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn admin(&self, node: &str, arguments: &[&str]) -> Output {
        let output = self.admin_command(node, arguments).output();
        output.unwrap_or_else(|error| panic!("sterna {arguments:?}: {error}"))
    }

    /// An administration command at a node, not yet run; it says nothing if nobody takes its output.
    pub fn admin_command(&self, node: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::sterna());
        command.arg("--socket").arg(self.node(node).dir.join("admin.sock")).args(arguments);
        command
    }

    /// The same, and returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn admin_ok(&self, node: &str, arguments: &[&str]) -> String {
        succeeded(&format!("{arguments:?}"), &self.admin(node, arguments))
    }

    /// A token from the main node.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self, more: &[&str]) -> String {
        let text = self.admin_ok("main", &[&["--json", "server", "invite"], more].concat());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        value["token"].as_str().unwrap_or_else(|| panic!("no token in {text}")).to_owned()
    }

    /// A user with [`PASSWORD`] and an account on this server.
    ///
    /// # Panics
    /// When it can't be created.
    pub fn create_user(&self, address: &str, server: &str) {
        let path = self.folder.path().join("password");
        fs::write(&path, PASSWORD).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.to_string_lossy();
        self.admin_ok("main", &["user", "create", address, "--server", server, "--password-file", &path]);
    }
}

impl Doors {
    /// Logs in at this edge.
    ///
    /// # Errors
    /// When it can't be reached or refuses.
    pub fn login(self, user: &str) -> std::io::Result<Imap> {
        Imap::login(&self.host.to_string(), self.ports.imap, user, PASSWORD)
    }

    /// A connection for DAV as this user.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn dav(self, user: &str) -> std::io::Result<crate::http::Http> {
        crate::http::Http::connect(self.host, self.ports.http, Some((user, PASSWORD)))
    }

    /// An SMTP connection that was greeted.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn smtp(self) -> std::io::Result<Smtp> {
        Smtp::connect(&self.host.to_string(), self.ports.smtp, "EHLO")
    }

    /// A connection for submission, logged in.
    ///
    /// # Errors
    /// When it can't be reached or refuses.
    pub fn submission(self, user: &str) -> std::io::Result<Smtp> {
        let mut smtp = Smtp::connect(&self.host.to_string(), self.ports.submission, "EHLO")?;
        smtp.log_in(user, PASSWORD)?;
        Ok(smtp)
    }

    /// An LMTP connection that was greeted.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn lmtp(self) -> std::io::Result<Smtp> {
        Smtp::connect(&self.host.to_string(), self.ports.lmtp, "LHLO")
    }
}

impl Node {
    /// Its process.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().map(Child::id).unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    /// What it logged since it was set up.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let binary = binary::sterna();
        let mut command = match self.wrapper.split_first() {
            None => Command::new(binary),
            Some((program, first)) => {
                let mut command = Command::new(program);
                command.args(first).arg(binary);
                command
            }
        };
        command.args(arguments);
        command
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process_id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {name} {}", self.name);
    }

    /// Writes where it listens, and whom it asks for DNS, into its configuration.
    fn listen(&self, nameserver: SocketAddr) {
        let path = self.dir.join("sterna.toml");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let Doors { host, ports, .. } = self.at;
        let services = [
            ("imap", ports.imap),
            ("imaps", ports.imaps),
            ("pop3", ports.pop3),
            ("managesieve", ports.managesieve),
            ("https", ports.https),
            ("http", ports.http),
            ("smtp", ports.smtp),
            ("submission", ports.submission),
            ("lmtp", ports.lmtp),
            ("socketmap", ports.socketmap),
            ("cyrus", ports.cyrus),
        ];
        let at = |port: u16| toml::Value::String(format!("{host}:{port}"));
        let mut listen: toml::Table =
            services.iter().map(|(service, port)| ((*service).to_owned(), at(*port))).collect();
        let tables: toml::Table = [("transport".to_owned(), at(ports.transport))].into_iter().collect();
        listen.insert("tcp_tables".into(), toml::Value::Table(tables));
        table.insert("listen".into(), toml::Value::Table(listen));
        table.insert("plaintext_login".into(), "loopback".into());
        table.insert("nameservers".into(), vec![nameserver.to_string()].into());
        fs::write(&path, table.to_string()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let running: Vec<String> = self.nodes.iter().filter(|n| n.process.is_some()).map(|n| n.name.clone()).collect();
        if std::thread::panicking() {
            for node in &mut self.nodes {
                if let Some(process) = &mut node.process {
                    let _ = process.kill().and_then(|()| process.wait().map(drop));
                }
            }
            return;
        }
        running.iter().for_each(|name| self.thaw(name));
        // Edges first: the others would make their sessions wait.
        running.iter().rev().for_each(|name| self.stop(name));
        for node in &self.nodes {
            let output = binary::run(&["check", "--deep", "--dir", &node.dir.to_string_lossy()]);
            succeeded(&format!("sterna check of {}", node.name), &output);
        }
    }
}

/// What it printed.
///
/// # Panics
/// When it failed.
pub fn succeeded(what: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}: {text}{}", errors(output));
    text
}

/// What it said on standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
