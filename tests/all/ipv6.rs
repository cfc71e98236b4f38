//! Mail by IPv6, both ways, and by IPv4 where that fails.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::have_ipv6;
use sterna_testkit::dns::DnsServer;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::smtp::Smtp;
use sterna_testkit::wait;

const ANA: &str = "ana@near.test";
const ZOE: &str = "zoe@far.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// An address of this machine that nobody else has, until it is dropped.
struct Address(Ipv6Addr);

impl Address {
    fn new() -> Self {
        let [a, b, c, d]: [u8; 4] = sterna_base::ids::random_bytes();
        let words = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
        let address = Address(Ipv6Addr::new(0xfd5e, 0x7e57, words[0], words[1], 0, 0, 0, 1));
        address.change("add", &["nodad"]);
        address
    }

    fn change(&self, what: &str, more: &[&str]) {
        let text = format!("{}/128", self.0);
        let arguments = [&["-6", "addr", what, &text, "dev", "lo"], more].concat();
        assert!(Command::new("ip").args(&arguments).status().unwrap().success(), "ip {arguments:?}");
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.change("del", &[]);
    }
}

fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait::until(what, PATIENCE, look).0
}

/// An exchanger of far.test: by IPv6 at this address, or else by IPv4 at its own.
fn far(zone: &DnsServer, six: Option<&Address>) -> Installation {
    let mut far = Installation::new();
    far.set_nameserver(zone.address);
    let place = far.exchanger();
    assert!(far.init("main", "main,edge,data", place, &[]).status.success());
    if let Some(six) = six {
        let (at, path) = (far.node("main").at, far.node("main").dir.join("sterna.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        let (own, other) = (format!("smtp = \"{}:25\"", at.host), format!("smtp = \"[{}]:25\"", six.0));
        assert!(text.contains(&own), "{text}");
        std::fs::write(&path, text.replace(&own, &other)).unwrap();
    }
    far.serve("main");
    far.admin_ok("main", &["domain", "create", "far.test"]);
    far.create_user(ZOE, "main");
    far
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: {ANA}\r\nTo: {ZOE}\r\nMessage-ID: <{subject}@near.test>\r\nSubject: {subject}\r\n\r\nTerns.\r\n")
        .into()
}

/// The messages in zoe's INBOX.
fn inbox(far: &Installation) -> Vec<String> {
    let mut imap: Imap = far.node("main").at.login(ZOE).unwrap();
    imap.command("SELECT INBOX").unwrap();
    let answer = imap.command("UID FETCH 1:* (BODY.PEEK[])").unwrap();
    answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn send(near: &Installation, subject: &str) {
    let mut smtp = near.node("main").at.submission(ANA).unwrap();
    let reply = smtp.deliver(ANA, &[ZOE], &message(subject)).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
}

/// What the other server said, as the sender's server remembers it.
fn relayed(near: &Installation, subject: &str) -> String {
    let text = near.admin_ok("main", &["--json", "trace", &format!("<{subject}@near.test>")]);
    let found: Value = serde_json::from_str(&text).unwrap();
    found.to_string()
}

#[test]
fn mail_goes_by_ipv6_first_and_by_ipv4_when_nobody_is_there() {
    if !have_ipv6() {
        return;
    }
    let zone = DnsServer::start();
    let (six, other) = (Address::new(), Address::new());
    let (mut by_six, by_four) = (far(&zone, Some(&six)), far(&zone, None));
    let mut near = Installation::new();
    near.set_nameserver(zone.address);
    near.start_main("main,edge,data", Place::default());
    near.admin_ok("main", &["domain", "create", "near.test"]);
    near.create_user(ANA, "main");
    // One exchanger with both addresses.
    zone.mx("far.test", 10, "mx.far.test");
    zone.address("mx.far.test", IpAddr::V6(six.0));
    zone.address("mx.far.test", by_four.node("main").at.host);
    // Who connects here from the first address comes from it, as loopback has it.
    zone.txt("near.test", &format!("v=spf1 ip6:{} -all", six.0));

    send(&near, "six");
    let arrived = until("the message", || inbox(&by_six).pop());
    assert!(arrived.contains(&format!("[IPv6:{}]", six.0)), "{arrived}");
    assert!(arrived.contains("spf=pass") && arrived.contains(&format!("client-ip={}", six.0)), "{arrived}");
    let told = until("the end of the try", || Some(relayed(&near, "six")).filter(|told| told.contains("250")));
    assert!(told.contains(&format!("mx.far.test [{}]", six.0)), "{told}");
    assert!(inbox(&by_four).is_empty());

    // Somebody else's address is not one of near.test.
    let to = SocketAddr::new(IpAddr::V6(six.0), 25);
    let mut stranger = Smtp::connect_from(IpAddr::V6(other.0), to, "EHLO").unwrap();
    assert!(stranger.deliver(ANA, &[ZOE], &message("forged")).unwrap().starts_with("250"));
    let forged = inbox(&by_six).pop().unwrap();
    assert!(forged.contains("spf=fail") && forged.contains(&format!("[IPv6:{}]", other.0)), "{forged}");

    // Nobody is there by IPv6: the same exchanger is asked by IPv4, in the same try.
    by_six.stop("main");
    send(&near, "four");
    let arrived = until("the message", || inbox(&by_four).pop());
    assert!(arrived.contains("Subject: four"), "{arrived}");
    let told = until("the end of the try", || Some(relayed(&near, "four")).filter(|told| told.contains("250")));
    assert!(told.contains(&format!("mx.far.test [{}]", by_four.node("main").at.host)), "{told}");
    assert!(!told.contains("deferred"), "{told}");
}
