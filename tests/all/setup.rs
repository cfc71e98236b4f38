//! The first start and the setup, of the real program: by the link that it prints, and by a file of answers.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::Duration;

use sterna_testkit::binary::have;
use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::{Installation, PASSWORD, Place};
use sterna_testkit::wait::until;

use crate::certificates;

pub const ANA: &str = "ana@tern.test";
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A browser without JavaScript.
pub struct Browser {
    host: IpAddr,
    port: u16,
    cookie: String,
}

impl Browser {
    fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let mut http = Http::connect(self.host, self.port, None).unwrap();
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let answer = http.request(method, path, &[("Cookie", &self.cookie), kind], body).unwrap();
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        answer
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    /// Fills in the form of a page and sends it; where that leads.
    pub fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let page = self.get(path);
        let token = page.body.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let token = token.unwrap_or_else(|| panic!("no form at {path}: {page:?}"));
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let answer = self.send("POST", path, &format!("token={token}&{}", fields.join("&")));
        let said = answer.body.split("role=\"alert\"").nth(1).unwrap_or_default().to_owned();
        assert!(matches!(answer.status, 200 | 303), "{path}: {} {said}", answer.status);
        answer.header("location").unwrap_or_default().to_owned()
    }

    /// Loads a page until this stands on it.
    fn wait_for(&mut self, path: &str, text: &str) -> String {
        until(&format!("{text:?} at {path}"), PATIENCE, || Some(self.get(path).body).filter(|page| page.contains(text)))
            .0
    }
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A new installation, and a browser that followed the link in its log.
pub fn begun() -> (Installation, Browser) {
    let mut installation = Installation::new();
    installation.start_empty("main");
    let node = installation.node("main");
    let log = node.log();
    let link = log.split_whitespace().find(|word| word.contains("/setup#")).unwrap_or_else(|| panic!("no link: {log}"));
    let (page, code) = link.split_once('#').unwrap();
    assert_eq!(page, format!("https://{}:{}/setup", node.at.host, node.at.ports.https));
    assert!(log.contains('█') && log.contains("SHA-256 fingerprint"), "{log}");
    let mut browser = Browser { host: node.at.host, port: node.at.ports.http, cookie: String::new() };
    assert_eq!(browser.get("/").header("location"), Some("/setup"));
    let answer = browser.send("POST", "/setup", &format!("code={code}"));
    assert_eq!(answer.header("location"), Some("/setup/administrator"), "{answer:?}");
    assert_eq!(browser.send("POST", "/setup", &format!("code={code}")).status, 403, "it works once");
    (installation, browser)
}

pub fn administrator_and_place(browser: &mut Browser) {
    let who = [("name", "Ana"), ("local_part", "ana"), ("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(browser.submit("/setup/administrator", &who), "/setup/place");
    let place = [("url", "https://mail.tern.test"), ("domain", "tern.test")];
    assert_eq!(browser.submit("/setup/place", &place), "/setup/checks");
}

#[test]
fn an_empty_machine_becomes_an_installation_with_a_data_server_and_mail_that_arrives() {
    let (mut installation, mut browser) = begun();
    let too_early = installation.node("main").at.smtp().unwrap().deliver("zoe@far.test", &[ANA], b"x\r\n").unwrap();
    assert!(too_early.starts_with("451"), "nobody is told that there is no such domain: {too_early}");
    administrator_and_place(&mut browser);
    // A double click, and then another mind: one domain, one administrator.
    let first = [("url", "https://mail.tern.test"), ("domain", "other.test")];
    browser.submit("/setup/place", &first);
    administrator_and_place(&mut browser);
    assert_eq!(installation.admin_ok("main", &["--output", "ndjson", "domain", "list"]).lines().count(), 1);
    assert_eq!(installation.admin_ok("main", &["--output", "ndjson", "user", "list"]).lines().count(), 1);

    let token = browser.submit("/setup/storage", &[("action", "invite"), ("server_name", "alpha")]);
    assert_eq!(token, "/setup/storage");
    let page = browser.wait_for("/setup/storage", "--token ");
    let command = page.split("class=\"copied\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |name: &str| words[words.iter().position(|word| *word == name).unwrap() + 1].to_owned();
    assert_eq!((words[3], words[4], after("--roles").as_str()), ("sterna", "init", "data"), "{command}");
    let (main, token) = (after("--join"), after("--token"));
    let joined = installation.init("alpha", "data", Place::default(), &["--join", &main, "--token", &token]);
    assert!(joined.status.success(), "{joined:?}");
    installation.serve("alpha");
    let page = browser.wait_for("/setup/storage", "name=\"selected\" value=\"alpha\"");
    assert!(!page.contains("--token "), "who has joined needs no command");
    assert!(page.contains("the same as here"), "its clock was compared: {page}");
    // One that doesn't answer holds no page up, and is told.
    installation.freeze("alpha");
    browser.wait_for("/setup/storage", "class=\"state bad\"");
    installation.thaw("alpha");
    until("it answers again", PATIENCE, || {
        (!browser.get("/setup/storage").body.contains("class=\"state bad\"")).then_some(())
    });
    assert_eq!(browser.submit("/setup/storage", &[("action", "select"), ("selected", "alpha")]), "/setup/backup");
    assert_eq!(browser.submit("/setup/people", &[("people", "ben, Ben Example")]), "/setup/proof");
    let lives = installation.admin_ok("main", &["--json", "account", "where", "ben@tern.test"]);
    assert!(lives.contains("alpha"), "the chosen server: {lives}");

    assert_eq!(browser.submit("/setup/proof", &[("action", "send"), ("elsewhere", "")]), "/setup/proof");
    browser.wait_for("/setup/proof", "has arrived in the mailbox of ana@tern.test");
    browser.submit("/setup/proof", &[("action", "finish")]);

    // The node starts again by itself under its name, with the comment of its administrator still in its file.
    let at = installation.node("main").at;
    until("the greeting under the new name", PATIENCE, || {
        let greeting = at.smtp().ok()?.deliver("", &["nobody@tern.test"], b"x\r\n").ok();
        let log = installation.node("main").log();
        (greeting.is_some() && log.matches("the node serves").count() == 2).then_some(())
    });
    let file = fs::read_to_string(installation.node("main").dir.join("sterna.toml")).unwrap();
    assert!(file.contains("the administrator's") && file.contains("hostname = \"mail.tern.test\""), "{file}");
    let over = browser.get("/setup");
    assert!(over.status == 200 && over.body.contains("/admin/"), "{over:?}");
    assert_eq!(browser.get("/setup/administrator").header("location"), Some("/setup"));
    assert_eq!(browser.get("/").header("location"), Some("/admin/"));
    // No second link, neither by itself nor by command; and the password is the one that was typed.
    assert_eq!(installation.node("main").log().matches("/setup#").count(), 1);
    assert_ne!(installation.admin("main", &["setup", "link"]).status.code(), Some(0));
    let mut imap = at.login(ANA).unwrap();
    imap.command("SELECT INBOX").unwrap();
    let found = imap.command("UID SEARCH HEADER Subject \"Sterna is set up\"").unwrap();
    assert!(found.lines.iter().any(|line| line.starts_with("* SEARCH 1")), "{found:?}");
}

#[test]
fn records_and_checks_are_what_dns_and_the_machine_say() {
    let (installation, mut browser) = begun();
    let host = installation.node("main").at.host;
    installation.dns.address("mail.tern.test", host);
    administrator_and_place(&mut browser);
    // The machine's port 25 is another one here: the exchanger is named by hand.
    installation.admin_ok("main", &["config", "set", "discovery.exchangers", "mail.tern.test"]);
    let page = browser.wait_for("/setup/dns", "records are as they should be");
    assert!(page.contains("10 mail.tern.test.") && page.contains("DNS doesn’t have it."), "{page}");
    let zone = browser.get("/setup/zone").body;
    assert!(zone.contains("tern.test. 3600 IN MX 10 mail.tern.test."), "{zone}");
    installation.dns.mx("tern.test", 10, "mail.tern.test");
    installation.dns.txt("tern.test", "some-verification=1");
    installation.dns.txt("tern.test", "v=spf1 -all");
    for line in zone.lines().filter(|line| line.contains("_domainkey")) {
        let (name, text) = line.split_once(". 3600 IN TXT ").unwrap();
        let text: String = text.split('"').skip(1).step_by(2).collect();
        installation.dns.txt(name, &text);
    }
    browser.submit("/setup/dns", &[("action", "again")]);
    let page = browser.wait_for("/setup/dns", "3 of ");
    assert!(page.contains("DNS says: v=spf1 -all"), "{page}");
    // What signs is used as soon as DNS has it.
    let keys = installation.admin_ok("main", &["--output", "ndjson", "dkim", "list", "tern.test"]);
    assert_eq!(keys.matches("\"active\"").count(), 2, "{keys}");

    // Somebody else's mail server, at port 25 of another address of this machine; that takes root.
    let away = IpAddr::V4(Ipv4Addr::new(127, 25, 25, 1 + host.to_string().len() as u8));
    let server = TcpListener::bind((away, 25));
    installation.dns.mx("gmail.com", 5, "mx.far.test");
    installation.dns.address("mx.far.test", away);
    if let Ok(server) = server {
        std::thread::spawn(move || {
            for mut stream in server.incoming().flatten() {
                let _ = stream.write_all(b"220 mx.far.test\r\n");
            }
        });
        browser.submit("/setup/checks", &[("action", "again")]);
        browser.wait_for("/setup/checks", "mx.far.test answers.");
    }
    let page = browser.wait_for("/setup/checks", "Every service listens.");
    assert!(page.contains(&format!("mail.tern.test leads to {host}.")), "{page}");
    assert!(page.contains("free.") && page.contains("Memory"), "{page}");
}

#[test]
fn a_port_that_somebody_has_is_told_and_stops_nothing() {
    let (mut installation, mut browser) = begun();
    administrator_and_place(&mut browser);
    installation.stop("main");
    let at = installation.node("main").at;
    let held: Vec<TcpListener> =
        [at.ports.imap, at.ports.https].iter().map(|port| TcpListener::bind((at.host, *port)).unwrap()).collect();
    installation.serve("main");
    // The session is still good, and the log says that the pages are at another port; it has no link into them.
    let page = browser.wait_for("/setup/checks", "can’t listen");
    for port in [at.ports.imap, at.ports.https] {
        assert!(page.contains(&format!("{}:{port}", at.host)), "{port}: {page}");
    }
    let log = installation.node("main").log();
    let place = log.lines().rfind(|line| line.contains("the setup is not finished")).unwrap();
    assert!(place.contains("/setup") && !place.contains(&format!(":{}/", at.ports.https)), "{place}");
    drop(held);
}

#[test]
fn a_file_of_answers_sets_up_everything() {
    let mut installation = Installation::new();
    installation.start_empty("main");
    let template = installation.admin_ok("main", &["setup", "--answers-template"]);
    let path = installation.folder().join("answers.toml");
    let answers = format!(
        "{}\n[[people]]\naddress = \"ben@tern.test\"\n",
        template
            .replace("example.org", "tern.test")
            .replace("password = \"\"", &format!("password = \"{PASSWORD}\""))
            .replace("\nkind = \"self-signed\"", "\nkind = \"acme\"\nterms_agreed = true\n")
    );
    fs::write(&path, answers).unwrap();
    let path = path.to_string_lossy().into_owned();
    assert_ne!(installation.admin("main", &["setup", "--answers", &path]).status.code(), Some(0), "nobody was asked");
    let report = installation.admin_ok("main", &["--json", "setup", "--answers", &path, "--yes"]);
    assert!(report.contains(ANA), "{report}");
    let at = installation.node("main").at;
    until("the node has started again", PATIENCE, || {
        (installation.node("main").log().matches("the node serves").count() == 2).then_some(())
    });
    at.login(ANA).unwrap();
    // No name leads here: nobody is asked before that is mended, and it is said.
    let status = installation.admin_ok("main", &["--json", "certificate", "status"]);
    assert!(
        status.contains("\"letsencrypt\"") && status.contains("none of the installation's names leads here"),
        "{status}"
    );
    assert!(installation.admin_ok("main", &["--output", "ndjson", "user", "list"]).contains("ben@tern.test"));
    let again = installation.admin("main", &["setup", "--answers", &path, "--yes"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("the setup of this installation is over"), "{again:?}");
}

#[test]
fn an_installation_made_by_init_has_no_setup_until_somebody_wants_it() {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    assert!(!installation.node("main").log().contains("/setup#"));
    let at = installation.node("main").at;
    let mut browser = Browser { host: at.host, port: at.ports.http, cookie: String::new() };
    assert_eq!(browser.send("POST", "/setup", "code=AAAA-AAAA-AAAA-AAAA").status, 200);
    // While it is empty, the pages can be had; afterwards not.
    let link = installation.admin_ok("main", &["setup", "link"]);
    let code = link.split_whitespace().find_map(|word| word.split_once("/setup#")).unwrap().1.to_owned();
    let answer = browser.send("POST", "/setup", &format!("code={code}"));
    assert_eq!(answer.header("location"), Some("/setup/administrator"), "{answer:?}");
    let mut other = Installation::new();
    other.start_main("main,data,edge", Place::default());
    other.admin_ok("main", &["domain", "create", "tern.test"]);
    let refused = other.admin("main", &["setup", "link"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is over"), "{refused:?}");
}

#[test]
fn a_program_sets_up_over_https_with_the_code_and_never_again() {
    let mut installation = Installation::new();
    installation.start_empty("main");
    let at = installation.node("main").at;
    let log = installation.node("main").log();
    let link = log.split_whitespace().find(|word| word.contains("/setup#")).unwrap_or_else(|| panic!("no link: {log}"));
    let (_, code) = link.split_once('#').unwrap();
    let answers = format!(
        r#"{{"administrator": {{"name": "Ana", "local_part": "ana", "password": "{PASSWORD}"}},
            "place": {{"url": "https://mail.tern.test", "domain": "tern.test"}}}}"#
    );
    let ask = |method: &str, code: &str, body: &str| {
        let mut http = Http::connect(at.host, at.ports.http, None)?;
        let bearer = format!("Bearer {code}");
        let headers = [("Content-Type", "application/json"), ("Authorization", &*bearer)];
        http.request(method, "/api/v1/setup", &headers, body)
    };
    let open = ask("GET", "", "").unwrap();
    assert!(open.status == 200 && open.body.contains("true"), "{open:?}");
    for (wrong, body, status) in [("", &*answers, 401), ("ABCD-EFGH", &answers, 401), (code, "{", 400)] {
        assert_eq!(ask("POST", wrong, body).unwrap().status, status, "{wrong:?} {body}");
    }
    let done = ask("POST", code, &answers).unwrap();
    assert!(done.status == 200 && done.body.contains(ANA), "{done:?}");
    for (method, body) in [("GET", ""), ("POST", &*answers)] {
        // The node starts again meanwhile, under its new name.
        until("the setup is over", PATIENCE, || ask(method, code, body).ok().filter(|answer| answer.status == 409));
    }
    until("the administrator logs in", PATIENCE, || at.login(ANA).ok());
}

/// A certificate and its key, made for a name; where they are.
fn pair(folder: &std::path::Path, name: &str) -> (String, String) {
    let place = |kind: &str| folder.join(format!("{name}.{kind}")).to_string_lossy().into_owned();
    let (certificate, key) = (place("crt"), place("key"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")])
        .args(["-out", &certificate, "-keyout", &key])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    (certificate, key)
}

#[test]
fn certificates_are_chosen_in_the_setup_and_shown_without_a_restart() {
    if !have(&["openssl"]) {
        return;
    }
    let (installation, mut browser) = begun();
    let at = installation.node("main").at;
    installation.dns.address("mail.tern.test", at.host);
    administrator_and_place(&mut browser);
    let wait_for = |name: &str| {
        until(&format!("{name} is shown"), PATIENCE, || {
            certificates::shown(at, at.ports.imaps, "mail.tern.test").contains(name).then_some(())
        });
    };
    for name in ["first.tern.test", "second.tern.test"] {
        let (certificate, key) = pair(installation.folder(), name);
        let fields = [("kind", "files"), ("certificate", certificate.as_str()), ("key", key.as_str())];
        assert_eq!(browser.submit("/setup/certificate", &fields), "/setup/storage");
        wait_for(name);
    }
    browser.wait_for("/setup/certificate", "second.tern.test");
    assert_eq!(installation.node("main").log().matches("the node serves").count(), 1, "nothing was restarted");
}
