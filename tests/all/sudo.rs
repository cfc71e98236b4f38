//! An administrator works as a user: with a reason, for a while, and never unseen.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sterna_testkit::http::Http;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::raw::Raw;
use sterna_testkit::wait::until;

const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// What is in the inbox, as one text.
fn inbox(imap: &mut Imap) -> String {
    imap.command("SELECT INBOX").unwrap();
    let found = imap.command("UID FETCH 1:* (BODY.PEEK[])").unwrap();
    found.literals.iter().map(|message| String::from_utf8_lossy(message)).collect()
}

#[test]
fn an_administrator_works_as_a_user_who_sees_it_and_can_end_it() {
    let mut installation = Installation::new();
    installation.start_main("main,data", Place::default());
    installation.join_and_serve("edge", "edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(BEN, "main");
    installation.admin_ok("main", &["config", "set", "language", "de"]);
    let at = installation.node("edge").at;
    until("the edge knows ben", PATIENCE, || at.login(BEN).ok());

    let refused = installation.admin("main", &["session", "sudo", BEN, "--reason", " "]);
    assert!(!refused.status.success() && errors(&refused).contains("reason"), "{}", errors(&refused));
    let sudo = ["--json", "session", "sudo", BEN, "--reason", "ticket 4711"];
    let made = json(&installation.admin_ok("main", &sudo));
    let password = text(&made, "password").to_owned();
    let try_imap = || Imap::login(&at.host.to_string(), at.ports.imap, BEN, &password).ok();
    let (mut imap, _) = until("the edge takes it", PATIENCE, try_imap);

    // The user is told, in the domain's language, with the reason.
    let told = inbox(&mut imap);
    assert!(told.contains("ticket 4711") && told.contains("Ein Administrator arbeitet als Sie"), "{told}");

    // Nothing is sent in somebody else's name.
    let login = Raw::connect(at.host, at.ports.submission);
    let mut smtp = login.unwrap();
    smtp.expect("220").unwrap();
    smtp.send(b"EHLO client.test\r\n").unwrap();
    smtp.expect("250 ").unwrap();
    let plain = STANDARD.encode(format!("\0{BEN}\0{password}"));
    smtp.send(format!("AUTH PLAIN {plain}\r\n").as_bytes()).unwrap();
    smtp.expect("535").unwrap();

    // Nobody is given access, no script goes on afterwards, and nothing is written that could invite somebody.
    let refused = imap.command("SETACL INBOX anyone lr").unwrap();
    assert!(refused.status.starts_with("NO [NOPERM]"), "{refused:?}");
    let login = Some((BEN, password.as_str()));
    let dav = |method: &str, headers: &[(&str, &str)], path: &str| {
        let mut http = Http::connect(at.host, at.ports.http, login).unwrap();
        http.request(method, path, headers, "").unwrap().status
    };
    let calendar = "/dav/calendars/ben@tern.test/Calendar/";
    assert_eq!(dav("PROPFIND", &[("Depth", "0")], calendar), 207);
    for method in ["PUT", "POST", "DELETE", "MKCOL", "MOVE", "COPY", "PROPPATCH", "ACL", "LOCK"] {
        assert_eq!(dav(method, &[], &format!("{calendar}x.ics")), 403, "{method}");
    }
    let mut sieve = Raw::connect(at.host, at.ports.managesieve).unwrap();
    sieve.expect("OK").unwrap();
    sieve.send(format!("AUTHENTICATE \"PLAIN\" \"{plain}\"\r\n").as_bytes()).unwrap();
    sieve.expect("NO").unwrap();

    // In the API it opens the user's own things, for reading.
    let main = installation.node("main").at;
    let bearer = format!("Bearer {}", text(&made, "token"));
    let ask = |method: &str, path: &str, body: &str| {
        let mut http = Http::connect(main.host, main.ports.http, None).unwrap();
        let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
        let answer = http.request(method, path, &headers, body).unwrap();
        (answer.status, answer.body)
    };
    let (status, own) = ask("GET", "/api/v1/me/sudo", "");
    assert_eq!(status, 200, "{own}");
    assert_eq!(text(&json(&own)["open"][0], "reason"), "ticket 4711");
    for (method, path, body) in [
        ("POST", "/api/v1/me/app-passwords", r#"{"name": "mine"}"#),
        ("GET", "/api/v1/users", ""),
        ("DELETE", &*format!("/api/v1/me/sudo/{}", text(&made, "id")), ""),
    ] {
        assert_eq!(ask(method, path, body).0, 403, "{method} {path}");
    }

    // Every use is in the record, as the one as the other.
    let record = json(&installation.admin_ok("main", &["--json", "audit", "--about", BEN]));
    let lines: Vec<(String, String, String)> = record
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (text(line, "who").to_owned(), text(line, "method").to_owned(), text(line, "path").to_owned()))
        .collect();
    let has = |method: &str, path: &str| {
        lines.iter().any(|(who, by, of)| who.ends_with(" as ben@tern.test") && by == method && of == path)
    };
    assert!(has("LOGIN", "imap") && has("GET", "/api/v1/me/sudo"), "{lines:?}");
    assert!(lines.iter().any(|(who, by, of)| !who.contains(" as ") && by == "POST" && of.ends_with("/sudo")));

    // Where nothing can be recorded nobody works as somebody else; the user's own log-in goes on.
    installation.kill("main");
    let alone = Imap::login(&at.host.to_string(), at.ports.imap, BEN, &password);
    assert!(alone.is_err(), "let in without a record");
    installation.serve("main");
    let (_, _) = until("the edge takes it again", PATIENCE, try_imap);

    // Ended, it ends the sessions that it opened.
    let mut idle = Raw::connect(at.host, at.ports.imap).unwrap();
    let command = format!("l LOGIN {BEN} {password}\r\n");
    idle.send(command.as_bytes()).unwrap();
    idle.expect("l OK").unwrap();
    installation.admin_ok("main", &["session", "sudo-end", BEN, text(&made, "id"), "--yes"]);
    idle.expect("* BYE").unwrap();
    until("the end of it", PATIENCE, || try_imap().is_none().then_some(()));
    assert_eq!(ask("GET", "/api/v1/me/sudo", "").0, 401);
}
