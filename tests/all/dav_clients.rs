//! Programs that people keep calendars, contacts, tasks and files with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sterna_testkit::binary::have;
use sterna_testkit::http::Http;
use sterna_testkit::installation::{Installation, PASSWORD};

const ANA: &str = "ana@tern.test";

fn base(installation: &Installation) -> String {
    let at = installation.node("main").at;
    format!("http://{}:{}", at.host, at.ports.http)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a program in a home of its own; it must succeed.
fn run(home: &Path, program: &str, arguments: &[&str]) -> String {
    let output = try_run(home, program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output));
    text(&output)
}

fn try_run(home: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", home).env("LC_ALL", "C.UTF-8").env("TZ", "Europe/Berlin");
    command.env_remove("XDG_CONFIG_HOME").env("PYTHONWARNINGS", "ignore");
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// A folder with the calendars, lists and cards of ana, kept in step by vdirsyncer.
fn vdirsyncer(home: &Path, base: &str, name: &str) -> String {
    let local = home.join(name);
    fs::create_dir_all(&local).unwrap();
    let (local, status) = (local.display(), home.join(format!("{name}-status")).display().to_string());
    let config = home.join(format!("{name}.conf"));
    let pair = |pair: &str, kind: &str, extension: &str| {
        format!(
            "[pair {pair}]\na = \"{pair}_here\"\nb = \"{pair}_there\"\ncollections = [\"from a\", \"from b\"]\n\
             conflict_resolution = \"b wins\"\nmetadata = [\"displayname\"]\n\
             [storage {pair}_here]\ntype = \"filesystem\"\npath = \"{local}/{pair}\"\nfileext = \"{extension}\"\n\
             [storage {pair}_there]\ntype = \"{kind}\"\nurl = \"{base}/\"\nusername = \"{ANA}\"\npassword = \"{PASSWORD}\"\n"
        )
    };
    let (calendars, cards) = (pair("calendars", "caldav", ".ics"), pair("cards", "carddav", ".vcf"));
    fs::write(&config, format!("[general]\nstatus_path = \"{status}\"\n{calendars}{cards}")).unwrap();
    config.display().to_string()
}

fn event(uid: &str, summary: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20250101T000000Z\r\n\
         DTSTART:20250310T100000Z\r\nDTEND:20250310T110000Z\r\nSUMMARY:{summary}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

#[test]
fn vdirsyncer_carries_changes_both_ways_and_knows_a_conflict() {
    if !have(&["vdirsyncer", "khal", "todoman", "khard"]) {
        return;
    }
    let installation = Installation::standard();
    let (base, home) = (base(&installation), tempfile::tempdir().unwrap());
    let home = home.path();
    let (one, two) = (vdirsyncer(home, &base, "one"), vdirsyncer(home, &base, "two"));
    let sync = |config: &str| run(home, "vdirsyncer", &["-c", config, "sync"]);
    let discover = |config: &str| {
        let shell = format!("yes | vdirsyncer -c '{config}' discover");
        run(home, "sh", &["-c", &shell]);
    };
    discover(&one);
    discover(&two);
    let calendar = home.join("one/calendars/Calendar");
    fs::write(calendar.join("a.ics"), event("a", "Written at home")).unwrap();
    // A collection that is emptied is one that vdirsyncer asks about.
    fs::write(calendar.join("b.ics"), event("b", "Stays")).unwrap();
    sync(&one);
    sync(&two);
    let elsewhere = home.join("two/calendars/Calendar");
    assert_eq!(files(&elsewhere).len(), 2);
    // Both change the same event before they meet again: the server's, which is the first one's, wins.
    let is_first = |name: &String| fs::read_to_string(elsewhere.join(name)).unwrap().contains("UID:a");
    let there = elsewhere.join(files(&elsewhere).into_iter().find(is_first).unwrap());
    fs::write(calendar.join("a.ics"), event("a", "First")).unwrap();
    fs::write(&there, event("a", "Second")).unwrap();
    sync(&one);
    sync(&two);
    assert!(fs::read_to_string(&there).unwrap().contains("SUMMARY:First"));
    // What is deleted at one place is deleted at the other.
    fs::remove_file(&there).unwrap();
    sync(&two);
    sync(&one);
    assert_eq!(files(&calendar), ["b.ics"]);

    // The programs that work on these folders.
    let configuration = home.join("khal.conf");
    let path = calendar.display();
    fs::write(
        &configuration,
        format!("[calendars]\n[[own]]\npath = {path}\n[locale]\nlocal_timezone = Europe/Berlin\ndefault_timezone = Europe/Berlin\n\
                 timeformat = %H:%M\ndateformat = %d.%m.%Y\nlongdateformat = %d.%m.%Y\ndatetimeformat = %d.%m.%Y %H:%M\n\
                 longdatetimeformat = %d.%m.%Y %H:%M\n[sqlite]\npath = {}\n[default]\ndefault_calendar = own\n", home.join("khal.db").display()),
    )
    .unwrap();
    let khal = configuration.display().to_string();
    run(home, "khal", &["-c", &khal, "new", "-r", "weekly", "05.05.2025", "09:00", "10:00", "Terns", "at", "khal"]);
    let tasks = home.join("one/calendars/Tasks");
    let todo = home.join("todo.py");
    fs::write(&todo, format!("path = \"{}\"\ndate_format = \"%Y-%m-%d\"\ntime_format = \"%H:%M\"\ndefault_list = \"Tasks\"\ncache_path = \"{}\"\n", tasks.display(), home.join("todo.sqlite").display())).unwrap();
    let todo = todo.display().to_string();
    run(home, "todoman", &["--config", &todo, "new", "--list", "Tasks", "Count the terns"]);
    sync(&one);
    sync(&two);
    let shown = run(home, "khal", &["-c", &khal, "list", "12.05.2025", "1d"]);
    assert!(shown.contains("Terns at khal"), "{shown}");
    let list = run(home, "todoman", &["--config", &todo, "list"]);
    assert!(list.contains("Count the terns"), "{list}");
    assert_eq!((files(&elsewhere).len(), files(&home.join("two/calendars/Tasks")).len()), (2, 1));
    // And khard on the cards.
    let cards = home.join("one/cards/Contacts");
    fs::write(
        cards.join("z.vcf"),
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:z\r\nFN:Zoe Far\r\nN:Far;Zoe;;;\r\nEMAIL:zoe@far.test\r\nEND:VCARD\r\n",
    )
    .unwrap();
    sync(&one);
    sync(&two);
    let khard = home.join("khard.conf");
    fs::write(
        &khard,
        format!(
            "[addressbooks]\n[[own]]\npath = {}\n[general]\ndefault_action = list\n",
            home.join("two/cards/Contacts").display()
        ),
    )
    .unwrap();
    let listed = run(home, "khard", &["-c", &khard.display().to_string(), "email", "--parsable", "zoe"]);
    assert!(listed.contains("zoe@far.test"), "{listed}");
    installation_checks(&base);
}

/// Free-busy of what khal made, over another connection.
fn installation_checks(base: &str) {
    let authority = base.strip_prefix("http://").unwrap();
    let (host, port) = authority.split_once(':').unwrap();
    let mut http = Http::connect(host.parse().unwrap(), port.parse().unwrap(), Some((ANA, PASSWORD))).unwrap();
    let body = "<C:free-busy-query xmlns:C='urn:ietf:params:xml:ns:caldav'>\
        <C:time-range start='20250512T000000Z' end='20250513T000000Z'/></C:free-busy-query>";
    let answer = http.request("REPORT", "/dav/calendars/ana@tern.test/Calendar/", &[("Depth", "1")], body).unwrap();
    assert!(answer.body.contains("20250512T070000Z/20250512T080000Z"), "{answer:?}");
}

const PYTHON: &str = r#"
import sys, datetime, caldav
url, user, password = sys.argv[1:]
client = caldav.DAVClient(url, username=user, password=password)
principal = client.principal()
names = sorted(c.name for c in principal.calendars())
assert names == ["Calendar", "Tasks"], names
made = principal.make_calendar(name="Fähren", cal_id="ferries")
event = made.save_event(
    dtstart=datetime.datetime(2025, 3, 1, 8), dtend=datetime.datetime(2025, 3, 1, 9),
    summary="Ferry", rrule={"FREQ": "WEEKLY"})
found = made.date_search(datetime.datetime(2025, 3, 15), datetime.datetime(2025, 3, 16), expand=True)
assert len(found) == 1 and "20250315T080000" in found[0].data, [f.data for f in found]
objects = made.objects_by_sync_token(load_objects=True)
assert len(list(objects)) == 1
event.vobject_instance.vevent.summary.value = "Late ferry"
event.save()
changed = list(made.objects_by_sync_token(sync_token=objects.sync_token, load_objects=True))
assert len(changed) == 1 and "Late ferry" in changed[0].data, changed
event.delete()
assert made.events() == []
made.delete()
assert sorted(c.name for c in principal.calendars()) == names
print("done")
"#;

#[test]
fn pythons_caldav_makes_and_queries_calendars() {
    if !have(&["python3"]) {
        return;
    }
    let installation = Installation::standard();
    let home = tempfile::tempdir().unwrap();
    let url = format!("{}/dav/", base(&installation));
    // The distribution's, which has the distribution's module.
    let said = run(home.path(), "/usr/bin/python3", &["-c", PYTHON, &url, ANA, PASSWORD]);
    assert!(said.contains("done"), "{said}");
}

#[test]
fn litmus_finds_webdav_as_the_rfc_has_it() {
    if !have(&["litmus"]) {
        return;
    }
    let installation = Installation::standard();
    let home = tempfile::tempdir().unwrap();
    let url = format!("{}/dav/files/{ANA}/", base(&installation));
    let shell = format!("cd '{}' && litmus -k '{url}' '{ANA}' '{PASSWORD}'", home.path().display());
    let said = run(home.path(), "sh", &["-c", &shell]);
    assert!(!said.contains("FAIL"), "{said}");
}

#[test]
fn cadaver_and_curl_carry_files() {
    if !have(&["cadaver", "curl"]) {
        return;
    }
    let installation = Installation::standard();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let authority = base(&installation).replace("http://", "");
    let host = authority.split(':').next().unwrap();
    fs::write(home.join(".netrc"), format!("machine {host}\nlogin {ANA}\npassword \"{PASSWORD}\"\n")).unwrap();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(home.join("large.bin"), &large).unwrap();
    fs::write(home.join("note.txt"), "terns\n").unwrap();
    let commands = "mkcol a\ncd a\nput note.txt\nput large.bin\nlock note.txt\nunlock note.txt\ncopy note.txt copy.txt\n\
        move copy.txt moved.txt\npropset note.txt colour grey\npropget note.txt colour\nls\nquit\n";
    fs::write(home.join("commands"), commands).unwrap();
    let url = format!("http://{authority}/dav/files/{ANA}/");
    let said = run(home, "sh", &["-c", &format!("cd '{}' && cadaver -t '{url}' < commands", home.display())]);
    assert!(said.contains("moved.txt") && said.contains("grey"), "{said}");
    let login = format!("{ANA}:{PASSWORD}");
    let out = home.join("back.bin").display().to_string();
    run(home, "curl", &["--fail", "--silent", "--user", &login, "--output", &out, &format!("{url}a/large.bin")]);
    assert_eq!(fs::read(home.join("back.bin")).unwrap(), large);
    // Over TLS with HTTP/2, as browsers come.
    let at = installation.node("main").at;
    let secure = format!("https://{}:{}/dav/files/{ANA}/a/note.txt", at.host, at.ports.https);
    let got = run(
        home,
        "curl",
        &["--fail", "--silent", "--insecure", "--http2", "--user", &login, "--write-out", "%{http_version}", &secure],
    );
    assert_eq!(got, "terns\n2");
}
