//! Certificates from an authority, by themselves (ACME): with Pebble, which looks at names as a real one does.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sterna_testkit::addresses;
use sterna_testkit::authority::{CUSTOMER, Pebble, PebbleConfig};
use sterna_testkit::binary::have;
use sterna_testkit::installation::{Doors, Installation, Place};
use sterna_testkit::wait::until;
use sterna_testkit::web::Web;

/// How long an order may take.
const WAIT: Duration = Duration::from_secs(90);

/// One machine that the world knows as mail.tern.test.
fn one() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user("ana@tern.test", "main");
    installation.admin_ok("main", &["config", "set", "external-url", "https://mail.tern.test"]);
    installation.dns.address("mail.tern.test", installation.node("main").at.host);
    installation
}

/// An authority that looks at names as the world does.
pub fn pebble(installation: &Installation, is_for_customers: bool) -> Pebble {
    let ports = installation.node("main").at.ports;
    let dns = installation.dns.address;
    Pebble::start(&PebbleConfig { http_port: ports.http, tls_port: ports.https, dns, is_for_customers })
}

fn enable(installation: &Installation, directory: &str, roots: &str, more: &[&str]) {
    let file = installation.folder().join("roots.pem");
    std::fs::write(&file, roots).unwrap();
    let file = file.to_string_lossy();
    let usual = ["certificate", "enable", "--directory", directory, "--agree-to-terms", "--roots", &file];
    installation.admin_ok("main", &[&usual[..], more].concat());
}

fn asked(installation: &Installation, arguments: &[&str]) -> Value {
    let text = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn status(installation: &Installation) -> Value {
    asked(installation, &["certificate", "status"])
}

/// What the directory has.
fn certificate(installation: &Installation) -> Option<Value> {
    let listed = asked(installation, &["certificate", "list"]);
    let items = listed.as_array().or_else(|| listed["items"].as_array()).cloned().unwrap_or_default();
    items.into_iter().next()
}

fn wait_for(installation: &Installation, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let start = Instant::now();
    until(&format!("{what}, or {WAIT:?} are over"), WAIT * 2, || {
        last = status(installation);
        (is_it(&last) || start.elapsed() > WAIT).then_some(())
    });
    assert!(is_it(&last), "{what}: {last:#}\n{}", installation.node("main").log());
    last
}

fn wait_until_good(installation: &Installation) -> Value {
    wait_for(installation, "there is a certificate", |status| status["state"] == "good");
    certificate(installation).expect("a certificate")
}

/// What a port shows to whoever asks for this name: issuer, serial number and names, as openssl prints them.
pub fn shown(at: Doors, port: u16, name: &str) -> String {
    let place = format!("{}:{port}", at.host);
    let name = if name.is_empty() { "-noservername".to_owned() } else { format!("-servername {name}") };
    let script = format!(
        "openssl s_client -connect {place} {name} </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial -ext \
         subjectAltName"
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn serial(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("serial=")).unwrap_or_default()
}

#[test]
fn every_edge_answers_the_authority_and_shows_what_it_issued() {
    if !have(&["pebble", "openssl"]) {
        return;
    }
    let mut installation = one();
    let main = installation.node("main").at;
    // The world is led to another edge, which has the same ports at another address.
    let IpAddr::V4(host) = main.host else { panic!("{}", main.host) };
    let [a, b, c, d] = host.octets();
    let host = IpAddr::V4(Ipv4Addr::new(a, b, c ^ 1, d));
    let [cluster] = addresses::free(host);
    let outer = Doors { host, ports: main.ports, cluster };
    installation.join_and_serve("outer", "edge", Place { at: Some(outer), ..Place::default() });
    for (name, address) in [("shop.tern.test", host), ("autoconfig.tern.test", host)] {
        installation.dns.address(name, address);
    }
    installation.dns.address("autodiscover.tern.test", "192.0.2.7".parse().unwrap());
    let before = shown(outer, main.ports.imaps, "shop.tern.test");
    assert!(!before.contains("Pebble") && before.contains("DNS:outer"), "{before}");

    let pebble = pebble(&installation, false);
    enable(
        &installation,
        &pebble.directory(),
        &pebble.roots(),
        &["--challenge", "tls-alpn-01", "--also", "shop.tern.test", "--contact", "ana@tern.test"],
    );
    let issued = wait_until_good(&installation);
    assert_eq!(issued["names"], json!(["autoconfig.tern.test", "mail.tern.test", "shop.tern.test"]));
    let left_out = status(&installation)["left_out"].clone();
    let why = left_out.as_array().unwrap().iter().find(|one| one["name"] == "autodiscover.tern.test").unwrap();
    assert_eq!(why["why"], "autodiscover.tern.test leads to 192.0.2.7, which is not this installation");
    for (at, port) in
        [(main, main.ports.imaps), (main, main.ports.https), (outer, main.ports.imaps), (outer, main.ports.https)]
    {
        let found = until("the new certificate is shown", WAIT, || {
            let found = shown(at, port, "shop.tern.test");
            found.contains("Pebble Intermediate").then_some(found)
        });
        assert!(found.0.contains("DNS:autoconfig.tern.test"), "{}", found.0);
        // Also to those who name no host, as there are no files of the administrator's.
        assert!(shown(at, port, "").contains("Pebble Intermediate"));
    }
    let first = serial(&shown(main, main.ports.https, "mail.tern.test")).to_owned();

    // The same by documents at port 80, for one more name.
    installation.admin_ok("main", &["config", "set", "acme.challenges", "http-01"]);
    installation.dns.address("cloud.tern.test", host);
    installation.admin_ok("main", &["config", "set", "acme.names", "shop.tern.test cloud.tern.test"]);
    let wider = |status: &Value| {
        status["state"] == "good" && certificate(&installation).unwrap()["names"].to_string().contains("cloud")
    };
    wait_for(&installation, "a certificate with one more name", wider);
    until("the second certificate is shown", WAIT, || {
        let found = shown(outer, main.ports.https, "cloud.tern.test");
        (serial(&found) != first && found.contains("DNS:cloud.tern.test")).then_some(())
    });
    // Nothing was answered but what was asked for, and nothing is answered any more.
    let mut http = sterna_testkit::http::Http::connect(host, main.ports.http, None).unwrap();
    assert_eq!(http.request("GET", "/.well-known/acme-challenge/x", &[], "").unwrap().status, 404);
    let answer = http.request("GET", "/.well-known/acme-challenge/..%2f..%2fetc", &[], "").unwrap();
    assert_eq!(answer.status, 404);

    // The key is in no answer and no log; both nodes show it after a start without the authority.
    drop(pebble);
    for name in ["main", "outer"] {
        assert!(!installation.node(name).log().contains("PRIVATE KEY"));
        installation.stop(name);
        installation.serve(name);
        let at = installation.node(name).at;
        assert!(shown(at, at.ports.imaps, "cloud.tern.test").contains("Pebble Intermediate"), "{name}");
    }
    assert!(!asked(&installation, &["certificate", "list"]).to_string().contains("PRIVATE"));
}

#[test]
fn failures_are_told_with_what_to_do_and_nothing_is_lost_by_them() {
    if !have(&["pebble", "openssl"]) {
        return;
    }
    let installation = one();
    let at = installation.node("main").at;
    let is_told = |word: &str| {
        let failing =
            |status: &Value| status["state"] == "failing" && status["failure"]["what"].to_string().contains(word);
        let status = wait_for(&installation, &format!("a failure with {word:?}"), failing);
        assert!(
            !status["failure"]["remedy"].as_str().unwrap().is_empty() && !status["not_before"].is_null(),
            "{status}"
        );
        let problems = asked_problems(&installation);
        assert!(problems.contains(word), "{problems}");
        status
    };
    // Nobody answers there.
    let [gone] = addresses::free(Ipv4Addr::LOCALHOST);
    enable(&installation, &format!("https://{gone}/dir"), "", &[]);
    is_told("can't be reached");
    // Somebody who is no authority, with a certificate that is trusted.
    let web = Web::start(gone, "127.0.0.1");
    web.says("<html>It works!</html>");
    let roots = std::fs::read_to_string(web.certificate()).unwrap();
    enable(&installation, &format!("https://{gone}/directory"), &roots, &[]);
    is_told("can't be understood");
    // An authority that has no nonces, and one that talks without end.
    let page = format!(
        "{{\"newNonce\":\"https://{gone}/n\",\"newAccount\":\"https://{gone}/a\",\"newOrder\":\"https://{gone}/o\"}}"
    );
    web.says(&page);
    enable(&installation, &format!("https://{gone}/nonces"), &roots, &[]);
    is_told("can't be understood");
    web.says(&" ".repeat(1024 * 1024));
    enable(&installation, &format!("https://{gone}/endless"), &roots, &[]);
    is_told("limit");
    // People are served meanwhile, with the certificate that there was.
    at.login("ana@tern.test").unwrap();
    assert!(!shown(at, at.ports.imaps, "mail.tern.test").contains("Pebble"));
    // One that issues for its customers only.
    let pebble = pebble(&installation, true);
    enable(&installation, &pebble.directory(), &pebble.roots(), &[]);
    let told = is_told("externalAccountRequired");
    assert!(told["failure"]["remedy"].as_str().unwrap().contains("acme.eab-key"), "{told}");
    // Its key is known now, and the name leads to where nobody answers.
    let key = installation.folder().join("eab-key");
    std::fs::write(&key, CUSTOMER.1).unwrap();
    let own = ["--eab-key-id", CUSTOMER.0, "--eab-key-file", &key.to_string_lossy(), "--also", "dead.tern.test"];
    installation.dns.address("dead.tern.test", "127.99.99.99".parse().unwrap());
    enable(&installation, &pebble.directory(), &pebble.roots(), &own);
    // The others need not wait for that one, which is told.
    let issued = wait_until_good(&installation);
    assert_eq!(issued["names"], json!(["mail.tern.test"]));
    let left_out = status(&installation)["left_out"].clone();
    let why = left_out.as_array().unwrap().iter().find(|one| one["name"] == "dead.tern.test").unwrap();
    assert!(why["why"].as_str().unwrap().contains("127.99.99.99") && !why["again_at"].is_null(), "{why}");
    let problems = asked_problems(&installation);
    assert!(problems.contains("without dead.tern.test") && !problems.contains("no new certificate"), "{problems}");
    // Who disables it keeps the certificate; who removes that too is back where it began.
    installation.admin_ok("main", &["certificate", "disable"]);
    until("the certificate is shown", WAIT, || {
        shown(at, at.ports.imaps, "mail.tern.test").contains("Pebble").then_some(())
    });
    installation.admin_ok("main", &["certificate", "remove", "--yes"]);
    until("the certificate is gone", WAIT, || {
        (!shown(at, at.ports.imaps, "mail.tern.test").contains("Pebble")).then_some(())
    });
    assert!(!installation.admin("main", &["certificate", "enable"]).status.success(), "terms that nobody agreed to");
}

fn asked_problems(installation: &Installation) -> String {
    // It fails when there are problems, and says which.
    let output = installation.admin("main", &["--json", "status"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    status["problems"].to_string()
}

#[test]
fn what_the_authority_wants_renewed_is_renewed_once_and_its_absence_costs_nothing() {
    if !have(&["pebble", "openssl"]) {
        return;
    }
    let installation = one();
    let at = installation.node("main").at;
    let mut pebble = pebble(&installation, false);
    // Pebble says nothing of renewal; a directory in front of it does, and wants everything back at once (RFC 9773).
    let [place] = addresses::free(Ipv4Addr::LOCALHOST);
    let web = Web::start(place, "127.0.0.1");
    let roots = std::fs::read_to_string(web.certificate()).unwrap() + &pebble.roots();
    let mut page = pebble.urls();
    page["renewalInfo"] = json!(format!("https://{place}/renewal"));
    page["suggestedWindow"] = json!({"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"});
    web.says(&page.to_string());
    enable(&installation, &format!("https://{place}/dir"), &roots, &[]);
    let told = |status: &Value| status["state"] == "good" && status["renews_as_told"] == true && is_later(status);
    wait_for(&installation, "it was renewed, and not again and again", told);
    let orders = pebble.said().matches("POST /order-plz").count();
    assert!(orders >= 2, "{}", pebble.said());
    let before = serial(&shown(at, at.ports.https, "mail.tern.test")).to_owned();

    // The authority is away: what there is is shown on, and it is said.
    pebble.stop();
    installation.admin_ok("main", &["certificate", "renew"]);
    let status = wait_for(&installation, "a failure", |status| status["state"] == "failing");
    assert!(status["failure"]["what"].to_string().contains("can't be reached"), "{status}");
    assert_eq!(serial(&shown(at, at.ports.https, "mail.tern.test")), before);
    // It comes back and knows nobody any more: a new account is made.
    pebble.serve();
    installation.admin_ok("main", &["certificate", "renew"]);
    until("a certificate of the new account is shown", WAIT, || {
        let found = shown(at, at.ports.https, "mail.tern.test");
        (!serial(&found).is_empty() && serial(&found) != before).then_some(())
    });
}

/// Whether the next renewal is hours away.
fn is_later(status: &Value) -> bool {
    let at = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d", "+5 hours"]).output().unwrap();
    at("renew_at").as_str() > String::from_utf8_lossy(&now.stdout).trim()
}
