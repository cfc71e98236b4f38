//! Certificates by DNS (DANE, RFC 7672) between two installations, in a world whose DNS is signed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::{have, have_root};
use sterna_testkit::dns::DnsServer;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;

const ZOE: &str = "zoe@far.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// DANE-EE, the public key, its SHA-256: what RFC 7672 section 3.1 recommends.
const DANE_EE_KEY_SHA256: (u8, u8, u8) = (3, 1, 1);

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Makes a certificate that nobody signed, and says what DNS must have of its key.
fn certificate(folder: &Path) -> Vec<u8> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (key, made, public) = (path("key.pem"), path("certificate.pem"), path("public.der"));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
    openssl(&[&["req", "-x509", "-subj", "/CN=nobody.test", "-keyout", &key, "-out", &made], &curve[..]].concat());
    openssl(&["pkey", "-in", &key, "-pubout", "-outform", "DER", "-out", &public]);
    openssl(&["dgst", "-sha256", "-binary", &public])
}

/// Puts lines in front of a node's `sterna.toml`, and starts it.
fn serve_with(installation: &mut Installation, lines: &str) {
    let path = installation.node("main").dir.join("sterna.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{lines}\n{text}")).unwrap();
    installation.serve("main");
}

fn near(zone: &DnsServer) -> Installation {
    let mut near = Installation::new();
    near.set_nameserver(zone.address);
    assert!(near.init("main", "main,edge,data", Place::default(), &[]).status.success());
    let anchors = near.folder().join("anchors");
    fs::write(&anchors, zone.anchors_text()).unwrap();
    serve_with(&mut near, &format!("trust_anchors = {anchors:?}"));
    near.admin_ok("main", &["domain", "create", "near.test"]);
    near.create_user("ana@near.test", "main");
    near
}

/// The exchanger of far.test, whose certificate only DNS vouches for.
fn far(zone: &DnsServer) -> (Installation, Vec<u8>) {
    let mut far = Installation::new();
    far.set_nameserver(zone.address);
    let place = far.exchanger();
    zone.mx("far.test", 10, "mx.far.test");
    zone.address("mx.far.test", place.at.unwrap().host);
    assert!(far.init("main", "main,edge,data", place, &[]).status.success());
    let folder = far.folder().to_owned();
    let key = certificate(&folder);
    let (made, private) = (folder.join("certificate.pem"), folder.join("key.pem"));
    serve_with(&mut far, &format!("tls = {{ certificate = {made:?}, key = {private:?} }}"));
    far.admin_ok("main", &["domain", "create", "far.test"]);
    far.create_user(ZOE, "main");
    (far, key)
}

fn send(near: &Installation, subject: &str) {
    let message = format!(
        "From: ana@near.test\r\nTo: {ZOE}\r\nMessage-ID: <{subject}@near.test>\r\nSubject: {subject}\r\n\r\nThe terns.\r\n"
    );
    let mut smtp = near.node("main").at.submission("ana@near.test").unwrap();
    let reply = smtp.deliver("ana@near.test", &[ZOE], message.as_bytes()).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
}

fn queue(near: &Installation) -> Vec<Value> {
    serde_json::from_str(&near.admin_ok("main", &["--json", "queue", "list"])).unwrap()
}

/// Waits until the one message in the queue was tried so often, and gives the reason why it still waits.
fn waits(near: &Installation, attempts: u64) -> String {
    let tried = || queue(near).pop().filter(|item| item["attempts"] == attempts);
    let item = until("another try", PATIENCE, tried).0;
    item["last_reply"].as_str().unwrap_or_else(|| panic!("{item}")).to_owned()
}

fn arrives(near: &Installation, zoe: &mut Imap, count: usize) {
    let there = || {
        zoe.command("SELECT INBOX").unwrap();
        let answer = zoe.command("UID SEARCH ALL").unwrap();
        let line = answer.lines.iter().find(|line| line.starts_with("* ") && line.contains("SEARCH")).unwrap();
        let found = line.split_whitespace().filter(|word| word.parse::<u32>().is_ok()).count();
        (found == count).then_some(())
    };
    until("the message", PATIENCE, there);
    until("an empty queue", PATIENCE, || queue(near).is_empty().then_some(()));
}

/// It ends with an error where there are problems of other kinds.
fn status(near: &Installation) -> String {
    String::from_utf8_lossy(&near.admin("main", &["status"]).stdout).into_owned()
}

/// What is said of the machine's resolver, and what is wrong.
fn doctor(near: &Installation) -> (String, String) {
    let output = near.admin("main", &["--json", "doctor"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    (found["fine"].to_string(), found["problems"].to_string())
}

#[test]
fn mail_goes_to_the_server_whose_certificate_dns_has() {
    if !have_root() || !have(&["openssl"]) {
        return;
    }
    let zone = DnsServer::signed();
    let (far, key) = far(&zone);
    let mut near = near(&zone);
    let mut zoe = far.node("main").at.login(ZOE).unwrap();

    zone.tlsa("mx.far.test", 25, DANE_EE_KEY_SHA256, &key);
    send(&near, "right");
    arrives(&near, &mut zoe, 1);
    assert!(!status(&near).contains("DANE is off"));
    let (_, problems) = doctor(&near);
    assert!(!problems.contains("DANE"), "{problems}");

    // Somebody else's key: nothing is sent, and it is said why. The connection that was good is not used on.
    near.stop("main");
    near.serve("main");
    zone.remove("_25._tcp.mx.far.test");
    zone.tlsa("mx.far.test", 25, DANE_EE_KEY_SHA256, &[7; 32]);
    send(&near, "wrong");
    let why = waits(&near, 1);
    assert!(why.contains("certificate"), "{why}");
    let told = || {
        let output = near.admin("main", &["--json", "trace", "<wrong@near.test>"]);
        let found: Value = serde_json::from_slice(&output.stdout).ok()?;
        let events = found["messages"][0]["events"].as_array()?.clone();
        events.into_iter().find(|event| event["what"] == "deferred")
    };
    let event = until("the try in the trace", PATIENCE, told).0;
    assert!(event["detail"].as_str().unwrap().contains("certificate"), "{event}");

    // Addresses that nobody signed are not those of a signed domain.
    zone.remove("_25._tcp.mx.far.test");
    zone.tlsa("mx.far.test", 25, DANE_EE_KEY_SHA256, &key);
    zone.forge("mx.far.test", "127.0.0.66".parse().unwrap());
    near.admin_ok("main", &["queue", "retry", "--all"]);
    let why = waits(&near, 2);
    assert!(!why.contains("certificate"), "{why}");

    zone.remove("mx.far.test");
    zone.address("mx.far.test", far.node("main").at.host);
    near.admin_ok("main", &["queue", "retry", "--all"]);
    arrives(&near, &mut zoe, 2);

    // Behind a name server without signatures DANE is off, which is said, and mail goes as it would without.
    let plain = DnsServer::start();
    plain.mx("far.test", 10, "mx.far.test");
    plain.address("mx.far.test", far.node("main").at.host);
    plain.tlsa("mx.far.test", 25, DANE_EE_KEY_SHA256, &[7; 32]);
    near.stop("main");
    let path = near.node("main").dir.join("sterna.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&zone.address.to_string(), &plain.address.to_string())).unwrap();
    near.serve("main");
    let off = || doctor(&near).1.contains("DANE").then_some(());
    until("the doctor's word, before any mail", PATIENCE, off);
    assert!(status(&near).contains("DANE is off on main: "));
    send(&near, "unproven");
    arrives(&near, &mut zoe, 3);
}
