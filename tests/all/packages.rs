//! Packages and their repository, in a Debian of their own: installed beside each other, removed without a trace, and
//! nothing that was tampered with or is out of date.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use sterna_testkit::binary::{self, have, have_root};
use sterna_testkit::installation::{errors, succeeded};
use sterna_testkit::wait::until;
use tempfile::TempDir;

/// The distribution that packages are tried in.
const SUITE: &str = "bookworm";

/// Where it comes from.
const MIRROR: &str = "http://deb.debian.org/debian";

/// The file that names all others of the repository.
const SIGNED: &str = "dists/stable/InRelease";

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program to its end.
fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn ok(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Packages of one build as several versions, a key, and a repository that a web server shows.
pub(crate) struct Repository {
    folder: TempDir,
    key: String,
    server: Child,
    address: String,
    /// What was asked of the web server.
    log: PathBuf,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sterna-").tempdir_in("/var/tmp").unwrap();
        let gnupg = folder.path().join("gnupg");
        fs::create_dir(&gnupg).unwrap();
        ok(Command::new("chmod").arg("700").arg(&gnupg));
        // Before the times of all that is signed in this test.
        let who = "Sterna test <test@tern.test>";
        let parameters = ["--batch", "--passphrase", "", "--quick-generate-key", who, "ed25519", "sign", "never"];
        ok(Command::new("faketime").args(["90 days ago", "gpg"]).args(parameters).env("GNUPGHOME", &gnupg));
        let listed = ok(Command::new("gpg").args(["--list-keys", "--with-colons"]).env("GNUPGHOME", &gnupg));
        let key = listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned();
        let (shown, log) = (folder.path().join("shown"), folder.path().join("asked.log"));
        fs::create_dir(&shown).unwrap();
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(&shown)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.split(" port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let address = format!("http://127.0.0.1:{port}");
        Repository { folder, key, server, address, log }
    }

    pub(crate) fn shown(&self) -> PathBuf {
        self.folder.path().join("shown")
    }

    /// Packs the program as this version; the packages.
    pub(crate) fn pack(&self, version: &str) -> Vec<PathBuf> {
        let out = self.folder.path().join(format!("packages-{version}"));
        let mut xtask = xtask();
        xtask
            .args(["package", "--fast", "--version", version, "--binary"])
            .arg(binary::sterna())
            .arg("--out")
            .arg(&out);
        ok(&mut xtask);
        let found = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
        found.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect()
    }

    /// Puts packages into the repository and signs it, `when` as faketime understands it.
    pub(crate) fn publish(&self, when: Option<&str>, packages: &[PathBuf]) -> Output {
        self.publish_with(when, packages, &[])
    }

    /// The same, with further arguments.
    pub(crate) fn publish_with(&self, when: Option<&str>, packages: &[PathBuf], more: &[&str]) -> Output {
        let xtask = xtask();
        let mut command = match when {
            Some(when) => {
                let mut command = Command::new("faketime");
                command.arg(when).arg(xtask.get_program());
                command
            }
            None => xtask,
        };
        command.arg("repository").arg(self.shown()).arg("--key").arg(&self.key).args(more).args(packages);
        run(command.env("GNUPGHOME", self.folder.path().join("gnupg")))
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = self.server.kill().and_then(|()| self.server.wait());
        // The agent would look after a folder that isn't there any more.
        let mut end = Command::new("gpgconf");
        let _ = end.args(["--kill", "all"]).env("GNUPGHOME", self.folder.path().join("gnupg")).output();
    }
}

/// The tasks of this workspace.
fn xtask() -> Command {
    let status = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "sterna-xtask"]).status();
    assert!(status.is_ok_and(|status| status.success()), "xtask builds");
    Command::new(binary::sterna().with_file_name("xtask"))
}

/// A Debian in a folder.
struct Debian {
    folder: TempDir,
}

impl Debian {
    fn new(repository: &Repository) -> Self {
        let folder = tempfile::Builder::new().prefix("sterna-").tempdir_in("/var/tmp").unwrap();
        let root = folder.path().join("root");
        // What the scripts need, so that nothing is fetched from elsewhere afterwards.
        let include = "--include=adduser,init-system-helpers,ca-certificates";
        ok(Command::new("debootstrap").args(["--variant=minbase", include, SUITE]).arg(&root).arg(MIRROR));
        let debian = Debian { folder };
        ok(Command::new("mount").args(["--types", "proc", "proc"]).arg(debian.path("proc")));
        debian.write("etc/apt/sources.list", "");
        let key = fs::read(repository.shown().join("sterna.asc")).unwrap();
        fs::create_dir_all(debian.path("etc/apt/keyrings")).unwrap();
        fs::write(debian.path("etc/apt/keyrings/sterna.asc"), key).unwrap();
        let source = format!(
            "Types: deb\nURIs: {}\nSuites: stable\nComponents: main\nSigned-By: /etc/apt/keyrings/sterna.asc\n",
            repository.address
        );
        debian.write("etc/apt/sources.list.d/sterna.sources", &source);
        debian
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// A program in it, not yet run.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.path("")).args(arguments).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
        command.env("LC_ALL", "C");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    fn ok(&self, arguments: &[&str]) -> String {
        succeeded(&format!("{arguments:?}"), &self.run(arguments))
    }

    /// Both, apt's words of trouble are on either.
    fn apt(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.run(&[&["apt-get", "-y", "-q", "-o", "Acquire::Retries=0"], arguments].concat());
        (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(&output)))
    }

    /// The files of the program that are there.
    fn files(&self) -> String {
        let places = "/usr/bin/sterna /usr/lib/sterna /etc/sterna /etc/apt/apt.conf.d/01sterna /usr/share/doc/sterna* \
             /usr/lib/systemd/system/sterna* /etc/systemd/system/*/sterna* /usr/share/man/man1/sterna*";
        self.ok(&["sh", "-c", &format!("find {places} ! -type d 2> /dev/null | sort || true")])
    }

    /// Starts the node as its unit does, and waits until it serves.
    fn serve(&self) -> Child {
        let serve = ["/usr/bin/sterna", "serve", "--dir", "/var/lib/sterna"];
        let as_user = ["setpriv", "--reuid", "sterna", "--regid", "sterna", "--clear-groups"];
        let mut node = self.command(&[&as_user[..], &serve].concat());
        let log = fs::File::create(self.folder.path().join("node.log")).unwrap();
        node.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut node = node.spawn().unwrap();
        until("the node serves", PATIENCE, || {
            let ended = node.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?} {}", fs::read_to_string(self.folder.path().join("node.log")).unwrap());
            self.run(&["sterna", "--json", "server", "list"]).status.success().then_some(())
        });
        node
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path("proc")).output();
    }
}

/// The version that a running node says it is.
fn running(debian: &Debian) -> String {
    let said = debian.ok(&["sterna", "--json", "server", "list"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{said}: {error}"));
    said[0]["version"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

fn end(mut node: Child) {
    ok(Command::new("kill").arg(node.id().to_string()));
    assert!(node.wait().unwrap().success());
}

/// Changes one byte in the middle of a file; what it was.
fn tamper(path: &Path) -> Vec<u8> {
    let whole = fs::read(path).unwrap();
    let mut other = whole.clone();
    other[whole.len() / 2] ^= 0x20;
    fs::write(path, other).unwrap();
    whole
}

#[test]
fn packages_lie_beside_each_other_and_leave_nothing() {
    if !have_root() || !have(&["debootstrap", "apt-ftparchive", "dpkg-shlibdeps", "strip", "gpg", "faketime"]) {
        return;
    }
    let repository = Repository::new();
    let old = repository.pack("0.1.0");
    succeeded("xtask repository", &repository.publish(None, &old));
    let debian = Debian::new(&repository);

    // A first version, by the list that is named by its hash.
    let (went_well, said) = debian.apt(&["update"]);
    assert!(went_well, "{said}");
    let asked = fs::read_to_string(&repository.log).unwrap();
    assert!(asked.contains("/by-hash/SHA256/"), "{asked}");
    let (went_well, said) = debian.apt(&["install", "sterna"]);
    assert!(went_well, "{said}");
    assert_eq!(debian.ok(&["sterna", "--version"]), "sterna 0.1.0\n");
    let depends = debian.ok(&["dpkg-query", "-W", "-f", "${Depends}", "sterna"]);
    assert!(depends.starts_with("sterna-0.1.0 | sterna-program,"), "{depends}");
    assert_eq!(debian.ok(&["stat", "-c", "%U:%G %a", "/var/lib/sterna"]), "sterna:sterna 750\n");
    assert!(debian.path("etc/systemd/system/multi-user.target.wants/sterna.service").is_symlink());
    assert!(debian.path("usr/share/man/man1/sterna-serve.1.gz").exists(), "{}", debian.files());
    assert!(debian.path("usr/share/bash-completion/completions/sterna").exists());
    units_are_understood(&debian);

    // It serves, and a newer version beside it changes nothing.
    let places = "name = \"mail1\"\nroles = [\"main\", \"data\"]\n[cluster]\nlisten = \"127.0.0.1:0\"\n\
         address = \"mail1:7700\"\n[listen]\n";
    debian.write("var/lib/sterna/sterna.toml", places);
    debian.ok(&["chown", "sterna:sterna", "/var/lib/sterna/sterna.toml"]);
    let node = debian.serve();
    assert_eq!(running(&debian), "0.1.0");
    let new = repository.pack("0.2.0");
    succeeded("xtask repository", &repository.publish(None, &new));
    assert!(debian.apt(&["update"]).0);
    let (went_well, said) = debian.apt(&["dist-upgrade"]);
    assert!(went_well, "{said}");
    let (went_well, said) = debian.apt(&["install", "sterna-0.2.0"]);
    assert!(went_well && debian.path("usr/lib/sterna/0.2.0/sterna").exists(), "{said}");
    assert_eq!((running(&debian).as_str(), debian.ok(&["sterna", "--version"]).as_str()), ("0.1.0", "sterna 0.1.0\n"));
    end(node);
    let node = debian.serve();
    assert_eq!(running(&debian), "0.1.0");
    end(node);

    // Nothing takes away the version that is to run: neither apt by itself, nor somebody by mistake.
    let (went_well, said) = debian.apt(&["autoremove"]);
    assert!(went_well && debian.path("usr/lib/sterna/0.1.0/sterna").exists(), "{said}");
    let (went_well, said) = debian.apt(&["remove", "sterna-0.1.0"]);
    assert!(!went_well && said.contains("is the version that runs here"), "{said}");
    assert!(debian.path("usr/lib/sterna/0.1.0/sterna").exists());
    debian.write("var/lib/sterna/version.trial", "0.2.0\n");
    let (went_well, said) = debian.apt(&["remove", "sterna-0.2.0"]);
    assert!(!went_well && said.contains("the one to go back to"), "{said}");
    fs::remove_file(debian.path("var/lib/sterna/version.trial")).unwrap();

    // Another version has one try; what can't serve is not tried twice.
    let program = debian.path("usr/lib/sterna/0.3.0");
    fs::create_dir(&program).unwrap();
    fs::write(program.join("sterna"), "#!/bin/sh\nexit 1\n").unwrap();
    ok(Command::new("chmod").arg("755").arg(program.join("sterna")));
    debian.write("var/lib/sterna/version", "0.3.0\n");
    debian.write("var/lib/sterna/version.trial", "0.1.0\n");
    let serve = ["sterna", "serve", "--dir", "/var/lib/sterna"];
    assert_eq!(debian.run(&serve).status.code(), Some(1));
    debian.ok(&["chown", "-R", "sterna:sterna", "/var/lib/sterna"]);
    let node = debian.serve();
    assert_eq!(running(&debian), "0.1.0");
    assert_eq!(fs::read_to_string(debian.path("var/lib/sterna/version.failed")).unwrap(), "0.3.0\n");
    end(node);
    fs::remove_dir_all(&program).unwrap();
    debian.write("var/lib/sterna/version", "0.4.0\n");
    let output = debian.run(&serve);
    assert_eq!(output.status.code(), Some(78), "{}", errors(&output));
    assert!(errors(&output).contains("apt install sterna-0.4.0"), "{}", errors(&output));
    debian.write("var/lib/sterna/version", "0.1.0\n");

    // A machine that is to join makes no installation of its own.
    let (went_well, said) = debian.apt(&["install", "sterna-data", "sterna-edge"]);
    assert!(went_well, "{said}");
    let drop_in = debian.path("usr/lib/systemd/system/sterna.service.d/data.conf");
    assert!(fs::read_to_string(drop_in).unwrap().contains("ConditionPathExists=/var/lib/sterna/sterna.toml"));
    debian.ok(&["mkdir", "-p", "/etc/sterna"]);
    debian.write("etc/sterna/join", "127.0.0.1:9\nnot-a-token\n");
    let output = debian.run(&["env", "STERNA_DIR=/root/empty", "/usr/lib/sterna/join"]);
    assert!(errors(&output).contains("no join token"), "{}", errors(&output));
    debian.ok(&["rm", "-r", "/etc/sterna"]);

    tampered_and_old(&repository, &debian, &new);

    // Everything goes but people's mail.
    let all = ["purge", "sterna", "sterna-data", "sterna-edge", "sterna-0.1.0", "sterna-0.2.0"];
    let (went_well, said) = debian.apt(&all);
    assert!(went_well && said.contains("mail and settings are kept"), "{said}");
    assert_eq!(debian.files(), "");
    assert!(debian.path("var/lib/sterna/directory.sqlite").exists());
    assert_eq!(debian.ok(&["sh", "-c", "dpkg -l 'sterna*' 2> /dev/null | grep -c '^.[^n]  *sterna' || true"]), "0\n");
}

/// The service manager understands every line of the units.
fn units_are_understood(debian: &Debian) {
    let root = format!("--root={}", debian.path("").display());
    let units = ["sterna.service", "sterna-join.service"];
    let verified = run(Command::new("systemd-analyze").args(["verify", "--man=no", &root]).args(units));
    // The rest of a system, which isn't in this one, is none of our business.
    let said = errors(&verified);
    let findings = said.lines().filter(|line| line.contains("sterna") && !line.contains("sysinit.target not found"));
    assert_eq!(findings.collect::<Vec<_>>(), [] as [&str; 0]);
}

/// What was tampered with, is half there or out of date is not installed.
fn tampered_and_old(repository: &Repository, debian: &Debian, new: &[PathBuf]) {
    let shown = repository.shown();
    let reinstall = ["install", "--reinstall", "--download-only", "sterna-0.2.0"];
    let name = "sterna-0.2.0_0.2.0_";
    let pool = fs::read_dir(shown.join("pool/main")).unwrap().map(|entry| entry.unwrap().path());
    let package = pool.into_iter().find(|path| path.to_string_lossy().contains(name)).unwrap();

    debian.ok(&["apt-get", "clean"]);
    let whole = tamper(&package);
    let (went_well, said) = debian.apt(&reinstall);
    assert!(!went_well && said.contains("Hash Sum mismatch"), "{said}");
    fs::remove_file(&package).unwrap();
    let (went_well, said) = debian.apt(&reinstall);
    assert!(!went_well && said.contains("404"), "{said}");
    fs::write(&package, &whole).unwrap();
    let (went_well, said) = debian.apt(&reinstall);
    assert!(went_well, "{said}");

    let signed = tamper(&shown.join(SIGNED));
    let (_, said) = debian.apt(&["update"]);
    assert!(said.contains("invalid") || said.contains("not signed") || said.contains("Clearsigned"), "{said}");
    fs::write(shown.join(SIGNED), &signed).unwrap();

    // The same packages as of long ago: neither an old list nor one without an end is taken for the present.
    succeeded("xtask repository", &repository.publish(Some("30 days ago"), &[]));
    let (_, said) = debian.apt(&["update"]);
    assert!(said.contains("expired"), "{said}");
    succeeded("xtask repository", &repository.publish(None, &[]));
    let (went_well, said) = debian.apt(&["update"]);
    assert!(went_well && !said.contains("expired"), "{said}");

    // A version that was published stays what it was.
    let changed = repository.folder.path().join(package.file_name().unwrap());
    fs::copy(&new[0], &changed).unwrap();
    fs::write(&changed, "something else").unwrap();
    let output = repository.publish(None, &[changed]);
    assert!(errors(&output).contains("a change needs a new version"), "{}", errors(&output));
}
