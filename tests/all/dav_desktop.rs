//! What desktops mount and keep: files by GNOME's gio, calendars, tasks and contacts by Evolution's data server. Both
//! run in a session of their own, without windows.

use std::fs;
use std::path::Path;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, PASSWORD};

use crate::dav_rights::{Dav, event};

const ANA: &str = "ana@tern.test";

/// Runs a script in a session of its own; it must succeed. What it says.
fn in_session(home: &Path, script: &str) -> String {
    let run = home.join("run");
    fs::create_dir_all(&run).unwrap();
    fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut command = Command::new("timeout");
    command.args(["300", "dbus-run-session", "--", "sh", "-e", "-c", script]);
    command.env("HOME", home).env("XDG_RUNTIME_DIR", &run).env("LC_ALL", "C.UTF-8");
    for (name, folder) in [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_CACHE_HOME", "cache")] {
        command.env(name, home.join(folder));
    }
    // Nobody has a keyring here, nor a screen.
    command.env_remove("DISPLAY").env("GIO_USE_VOLUME_MONITOR", "unix").env("GSETTINGS_BACKEND", "memory");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn gio_mounts_files_and_works_on_them() {
    if !have(&["gio", "dbus-run-session"]) {
        return;
    }
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let files = "/dav/files/ana@tern.test/";
    ana.is(201, "PUT", &format!("{files}written%20elsewhere.txt"), &[], "terns\n");
    let home = tempfile::tempdir().unwrap();
    let at = installation.node("main").at;
    let url = format!("dav://ana%40tern.test@{}:{}{files}", at.host, at.ports.http);
    let local = home.path().join("here.txt");
    fs::write(&local, "gulls\n").unwrap();
    let script = format!(
        "u='{url}'\nprintf '{PASSWORD}\\n' | gio mount \"$u\" >/dev/null\ngio list \"$u\"\n\
         gio cat \"$u/written%20elsewhere.txt\"\ngio mkdir \"$u/a folder\"\n\
         gio copy {local} \"$u/a folder/one.txt\"\ngio copy \"$u/a folder/one.txt\" \"$u/two.txt\"\n\
         gio move \"$u/two.txt\" \"$u/a folder/three.txt\"\ngio rename \"$u/a folder/three.txt\" four.txt\n\
         printf 'skuas\\n' | gio save \"$u/a folder/one.txt\"\ngio remove \"$u/written%20elsewhere.txt\"\n\
         gio list \"$u/a folder\"\ngio mount -u \"$u\"\n",
        local = local.display()
    );
    let said = in_session(home.path(), &script);
    assert!(said.contains("written elsewhere.txt\nterns\n"), "{said}");
    assert!(said.contains("one.txt") && said.contains("four.txt") && !said.contains("three.txt"), "{said}");
    ana.is(404, "GET", &format!("{files}written%20elsewhere.txt"), &[], "");
    assert_eq!(ana.is(200, "GET", &format!("{files}a%20folder/one.txt"), &[], "").body, "skuas\n");
    assert_eq!(ana.is(200, "GET", &format!("{files}a%20folder/four.txt"), &[], "").body, "gulls\n");
    installation.is_sound();
}

#[test]
fn evolution_keeps_events_tasks_and_contacts() {
    if !have(&["/usr/libexec/evolution-source-registry", "dbus-run-session", "/usr/bin/python3"]) {
        return;
    }
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    let calendar = "/dav/calendars/ana@tern.test/Calendar/";
    let written = event("elsewhere").replace("secret elsewhere", "Written elsewhere");
    ana.is(201, "PUT", &format!("{calendar}elsewhere.ics"), &[], &written);
    let home = tempfile::tempdir().unwrap();
    let at = installation.node("main").at;
    let program = home.path().join("evolution.py");
    fs::write(&program, include_str!("desktop/evolution.py")).unwrap();
    let script =
        format!("/usr/bin/python3 {} http://{}:{} {ANA} '{PASSWORD}'", program.display(), at.host, at.ports.http);
    let said = in_session(home.path(), &script);
    for line in ["events: By Evolution, Written elsewhere", "events: Changed by Evolution", "tasks: A task"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("cards: Arctic Tern"), "{said}");
    ana.is(404, "GET", &format!("{calendar}elsewhere.ics"), &[], "");
    let export = |kind: &str, name: &str| installation.admin_ok("main", &["export", kind, ANA, "--collection", name]);
    assert!(export("ics", "Calendar").contains("SUMMARY:Changed by Evolution"));
    assert!(export("ics", "Tasks").contains("SUMMARY:A task"));
    assert!(export("vcf", "Contacts").contains("FN:Arctic Tern"));
    installation.is_sound();
}
