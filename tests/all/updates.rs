//! Another version of the program takes over: nobody is refused, nothing that was acknowledged is lost, and whoever is
//! killed at any step comes back as one of the two versions.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::failpoints::Strike;
use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::wait::{pass, until};
use tempfile::TempDir;

pub(crate) const OLD: &str = "0.1.0";
pub(crate) const NEW: &str = "0.2.0";

/// Between two who knock at one door.
const KNOCK_PAUSE: Duration = Duration::from_millis(10);

/// For another version to serve, on a machine that does other things as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One build, installed as several versions: it takes the name of its folder for its version.
pub(crate) struct Programs {
    folder: TempDir,
}

impl Programs {
    pub(crate) fn new() -> Self {
        // On the disk of the build, so that a version costs nothing but a link.
        let beside = binary::sterna().parent().unwrap().to_owned();
        let programs = Programs { folder: tempfile::Builder::new().prefix("versions-").tempdir_in(beside).unwrap() };
        programs.install(OLD);
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/launcher.sh");
        let folder = programs.folder.path().display();
        // The program that the tests start by themselves is left out: which one runs is the launcher's business.
        let text = format!("shift\nSTERNA_PROGRAMS={folder} exec sh {} \"$@\"\n", launcher.display());
        programs.script("run", &text);
        programs
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn install(&self, version: &str) {
        let folder = self.folder.path().join(version);
        fs::create_dir(&folder).unwrap();
        fs::hard_link(binary::sterna(), folder.join("sterna")).unwrap();
    }

    /// A machine with these versions.
    pub(crate) fn place(&self) -> Place {
        Place { wrapper: vec![self.folder.path().join("run").to_string_lossy().into_owned()], ..Place::default() }
    }
}

/// A machine that does everything, with a user.
pub(crate) fn machine(programs: &Programs) -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", programs.place());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user("ana@tern.test", "main");
    installation
}

/// What a server says of itself; `None` while it doesn't.
fn server(installation: &Installation, name: &str) -> Option<Value> {
    let output = installation.admin("main", &["--json", "server", "get", name]);
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

/// Waits until the version answers and its trial is over, which comes a moment later.
pub(crate) fn runs(installation: &Installation, name: &str, version: &str) {
    let trial = installation.node(name).dir.join("version.trial");
    until(&format!("{name} runs {version}"), PATIENCE, || {
        server(installation, name).filter(|server| server["version"] == version && !trial.exists()).map(drop)
    });
}

fn run_version(installation: &Installation, name: &str, version: &str) {
    installation.admin_ok("main", &["server", "run-version", name, version]);
    runs(installation, name, version);
}

#[test]
fn nobody_is_refused_while_another_version_takes_over() {
    let programs = Programs::new();
    let installation = machine(&programs);
    programs.install(NEW);
    let at = installation.node("main").at;
    let process = installation.node("main").process_id();
    let mut imap = at.login("ana@tern.test").unwrap();
    assert!(imap.command("CREATE Work").unwrap().ok());
    let (uid_validity, _) = uid_status(&mut imap, "INBOX").unwrap();
    let (ledger, refused, knocks, ended) =
        (Ledger::default(), AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let end = ledger.end_later();
        for sender in 0..2 {
            let ledger = &ledger;
            scope.spawn(move || ledger.deliver(|| at.lmtp(), "ana@tern.test", sender));
        }
        scope.spawn(|| ledger.work(|| at.login("ana@tern.test"), "Work", 0));
        let ports = [at.ports.imap, at.ports.smtp, at.ports.submission, at.ports.https, at.ports.managesieve];
        let doors = ports.map(|port| SocketAddr::new(at.host, port)).into_iter().chain([at.cluster]);
        let (ended, refused, knocks) = (&ended, &refused, &knocks);
        for door in doors {
            scope.spawn(move || {
                while !ended.load(Ordering::SeqCst) {
                    pass(KNOCK_PAUSE);
                    match TcpStream::connect_timeout(&door, PATIENCE) {
                        Ok(_) => knocks.fetch_add(1, Ordering::SeqCst),
                        Err(_) => refused.fetch_add(1, Ordering::SeqCst),
                    };
                }
            });
        }
        ledger.grows_by(20);
        run_version(&installation, "main", NEW);
        ledger.grows_by(20);
        // And back: until formats are moved on, nothing is lost by that.
        run_version(&installation, "main", OLD);
        ledger.grows_by(20);
        ended.store(true, Ordering::SeqCst);
        drop(end);
    });
    assert_eq!(refused.load(Ordering::SeqCst), 0, "of {} connections", knocks.load(Ordering::SeqCst));
    assert_eq!(installation.node("main").process_id(), process, "the service manager sees one process");
    let farewell = imap.command("NOOP").map(|answer| answer.status);
    assert!(farewell.is_err() || farewell.as_ref().is_ok_and(|said| said.contains("BYE")), "{farewell:?}");
    let mut imap = at.login("ana@tern.test").unwrap();
    ledger.compare(&mut imap, "INBOX", "lmtp-", uid_validity);
    assert_eq!(fs::read_to_string(installation.node("main").dir.join("version")).unwrap().trim(), OLD);
    assert!(!installation.node("main").dir.join("version.trial").exists());
}

#[test]
fn a_node_that_is_killed_at_any_step_comes_back_as_one_of_the_two() {
    let programs = Programs::new();
    let mut installation = machine(&programs);
    programs.install(NEW);
    let steps = [
        // The new version was not tried yet: it is tried now.
        ("handover-recorded", NEW),
        ("handover-stopped", NEW),
        // It had its try.
        ("version-starts", OLD),
        ("version-serves", OLD),
    ];
    for (failpoint, after) in steps {
        installation.arm("main", failpoint, Strike::End);
        installation.admin("main", &["server", "run-version", "main", NEW]);
        installation.ends_at("main", failpoint);
        installation.serve("main");
        let found = server(&installation, "main").unwrap();
        assert_eq!(found["version"], after, "killed at {failpoint}");
        let failed = if after == OLD { Value::from(NEW) } else { Value::Null };
        assert_eq!(found["version_failed"], failed, "killed at {failpoint}");
        // Asked again, it arrives.
        run_version(&installation, "main", NEW);
        assert_eq!(server(&installation, "main").unwrap()["version_failed"], Value::Null);
        run_version(&installation, "main", OLD);
    }
}

#[test]
fn what_cannot_run_here_does_not() {
    let programs = Programs::new();
    let mut installation = machine(&programs);
    let refused = |installation: &Installation, version: &str| {
        let output = installation.admin("main", &["server", "run-version", "main", version]);
        assert!(!output.status.success(), "{version}");
        runs(installation, "main", OLD);
        errors(&output)
    };
    assert!(refused(&installation, "0.9.9").contains("apt install sterna-0.9.9"));
    // Put there by hand, under another name.
    let says = |version: &str, release: u32| {
        let facts =
            format!("{{\"version\":\"{version}\",\"release\":{release},\"store_format\":99,\"directory_format\":99}}");
        format!("[ \"$1\" = facts ] && echo '{facts}'\n")
    };
    programs.script("0.3.0/sterna", &says("0.2.9", 1));
    assert!(refused(&installation, "0.3.0").contains("replaced by hand"));
    // A release too far.
    programs.script("0.4.0/sterna", &says("0.4.0", 9));
    assert!(refused(&installation, "0.4.0").contains("neighbours only"));
    // One that says it is fine, and isn't: the service manager starts the node again, and the version before serves.
    programs.script("0.5.0/sterna", &says("0.5.0", 2));
    installation.admin_ok("main", &["server", "run-version", "main", "0.5.0"]);
    installation.wait_for_end("main");
    installation.serve("main");
    let found = server(&installation, "main").unwrap();
    assert_eq!((&found["version"], &found["version_failed"]), (&OLD.into(), &"0.5.0".into()));
}
