//! Debian's PostgreSQL in a folder of the test, reached by a socket in it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::daemon::Daemon;

/// Who runs it: PostgreSQL refuses to be root.
const USER: &str = "postgres";

/// Where Debian has the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A running one. It ends when it is dropped.
pub struct Postgres {
    daemon: Daemon,
    programs: PathBuf,
}

impl Postgres {
    /// The folder with the programs of the newest version; `None` when there is none.
    pub fn programs() -> Option<PathBuf> {
        let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let newest = versions.filter(|path| path.join("bin/postgres").exists()).max_by_key(number)?;
        Some(newest.join("bin"))
    }

    /// Starts one with nothing in it.
    ///
    /// # Panics
    /// When it is not installed, or doesn't begin.
    pub fn start() -> Self {
        let programs = Postgres::programs().expect("PostgreSQL is installed");
        let daemon = Daemon::new("PostgreSQL");
        let folder = daemon.folder().to_owned();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["data", "socket"] {
            fs::create_dir(folder.join(part)).unwrap();
            if rustix::process::geteuid().is_root() {
                assert!(Command::new("chown").arg(USER).arg(folder.join(part)).status().unwrap().success());
            }
        }
        let mut postgres = Postgres { daemon, programs };
        let data = folder.join("data");
        let mut initdb = postgres.command("initdb");
        initdb.arg("-D").arg(&data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = postgres.command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(folder.join("socket"));
        server.args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let mut ready = postgres.command("pg_isready");
        ready.arg("-h").arg(folder.join("socket")).stdout(Stdio::null());
        let ready = std::cell::RefCell::new(ready);
        postgres
            .daemon
            .start(&mut server, || ready.borrow_mut().status().is_ok_and(|status| status.success()).then_some(()));
        postgres
    }

    /// One of its programs, as the user who may run it.
    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        if !rustix::process::geteuid().is_root() {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(path).current_dir("/");
        command
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(program);
        command.arg("-h").arg(self.daemon.folder().join("socket")).args(["-U", USER]).args(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = piped.spawn().unwrap();
        running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        output
    }

    /// Makes a database with these statements.
    ///
    /// # Panics
    /// When it refuses one.
    pub fn create(&self, database: &str, statements: &str) {
        self.run("createdb", &[database], "");
        self.execute(database, statements);
    }

    /// Gives a database these statements.
    ///
    /// # Panics
    /// When it refuses one.
    pub fn execute(&self, database: &str, statements: &str) {
        self.run("psql", &["-q", "-v", "ON_ERROR_STOP=1", "-d", database], statements);
    }

    /// Writes a dump of a database into a file, with these options of `pg_dump`.
    ///
    /// # Panics
    /// When it fails.
    pub fn dump(&self, database: &str, options: &[&str], file: &Path) {
        let dump = self.run("pg_dump", &[options, &["-d", database]].concat(), "");
        fs::write(file, dump.stdout).unwrap();
    }

    /// Makes a database out of a plain dump.
    ///
    /// # Panics
    /// When it fails.
    pub fn restore(&self, database: &str, file: &Path) {
        let dump = fs::read_to_string(file).unwrap();
        self.run("createdb", &[database], "");
        self.run("psql", &["-q", "-v", "ON_ERROR_STOP=1", "-d", database], &dump);
    }
}
