//! Who is kept from bringing mail: by rates, by block lists, by greylisting.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::smtp::Smtp;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const ZOE: &str = "zoe@far.test";
const PATIENCE: Duration = Duration::from_secs(60);
/// On every list that a test asks: by the rules a list must have it (RFC 5782 section 5).
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// One node that does everything, with ana as postmaster.
fn one() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    installation.admin_ok("main", &["domain", "set", "tern.test", "--postmaster", ANA]);
    installation
}

fn set(installation: &Installation, name: &str, value: &str) {
    installation.admin_ok("main", &["config", "set", name, value]);
}

/// A client with an address of its own.
struct Client(Smtp);

impl Client {
    fn connect(installation: &Installation, from: Ipv4Addr) -> Self {
        let at = installation.node("main").at;
        Client(Smtp::connect_from(from.into(), (at.host, at.ports.smtp).into(), "EHLO").unwrap())
    }

    /// The reply to a recipient, or to the sender when that is refused.
    fn rcpt(&mut self, from: &str, to: &str) -> String {
        self.0.command("RSET").unwrap();
        let reply = self.0.command(&format!("MAIL FROM:<{from}>")).unwrap();
        if reply.starts_with("250") { self.0.command(&format!("RCPT TO:<{to}>")).unwrap() } else { reply }
    }

    fn deliver(&mut self, from: &str, to: &str) -> String {
        self.0.command("RSET").unwrap();
        let message = format!("From: <{from}>\r\nSubject: terns\r\n\r\nThe terns are back.\r\n");
        self.0.deliver(from, &[to], message.as_bytes()).unwrap()
    }
}

fn traced(installation: &Installation, text: &str) -> String {
    let found = || {
        let output = installation.admin("main", &["trace", text]);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    until("an event in the trace", PATIENCE, found).0
}

#[test]
fn hosts_on_a_block_list_reach_postmaster_only() {
    let installation = one();
    installation.dns.address("2.0.0.127.bl.test", "127.0.0.4".parse().unwrap());
    installation.dns.txt("2.0.0.127.bl.test", "Spam source, see https://bl.test/2");
    set(&installation, "mail.block-lists", "bl.test=127.0.0.2-11 other.test");
    let refused = || {
        let reply = Client::connect(&installation, LISTED).rcpt(ZOE, ANA);
        reply.starts_with("550").then_some(reply)
    };
    let reply = until("the list in force", PATIENCE, refused).0;
    assert_eq!(reply, "550 5.7.1 127.0.0.2 is listed by bl.test: Spam source, see https://bl.test/2\r\n");
    let mut listed = Client::connect(&installation, LISTED);
    assert!(listed.rcpt(ZOE, "nobody@tern.test").starts_with("550 5.7.1"), "it learns of no address");
    assert!(listed.deliver(ZOE, "postmaster@tern.test").starts_with("250"));
    assert!(Client::connect(&installation, Ipv4Addr::new(127, 0, 0, 3)).rcpt(ZOE, ANA).starts_with("250"));
    assert!(traced(&installation, ANA).contains("550 5.7.1 127.0.0.2 is listed by bl.test"));
    // Who is trusted is not asked, and users are not.
    let mut ana = installation.node("main").at.submission(ANA).unwrap();
    assert!(ana.deliver(ANA, &[ANA], b"Subject: own\r\n\r\nx\r\n").unwrap().starts_with("250"));
    set(&installation, "mail.networks", "127.0.0.2");
    let taken = || Client::connect(&installation, LISTED).rcpt(ZOE, ANA).starts_with("250").then_some(());
    until("the network in force", PATIENCE, taken);
    set(&installation, "mail.networks", "");

    set(&installation, "mail.block-lists-action", "mark");
    until("marking in force", PATIENCE, || {
        Client::connect(&installation, LISTED).deliver(ZOE, ANA).starts_with("250").then_some(())
    });
    let mut imap = installation.node("main").at.login(ANA).unwrap();
    imap.command("SELECT INBOX").unwrap();
    until("a message that is marked", PATIENCE, || {
        let answer = imap.command("UID SEARCH HEADER X-DNSBL-Listed \"bl.test (127.0.0.4)\"").unwrap();
        Client::connect(&installation, LISTED).deliver(ZOE, ANA);
        answer.lines.iter().any(|line| line.starts_with("* SEARCH ")).then_some(())
    });
}

#[test]
fn lists_that_keep_silent_keep_nobody_out() {
    let mut installation = Installation::new();
    let (silent, _udp, _tcp) = sterna_testkit::dns::silent();
    installation.set_nameserver(silent);
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    set(&installation, "mail.dmarc", "off");
    set(&installation, "mail.block-lists", "bl.test");
    // The first may wait for DNS; the answer is the same.
    for from in [2, 3, 4] {
        let reply = Client::connect(&installation, Ipv4Addr::new(127, 0, 0, from)).rcpt(ZOE, ANA);
        assert!(reply.starts_with("250"), "{reply}");
    }
}

#[test]
fn unknown_senders_come_again_and_known_ones_do_not_wait() {
    let mut installation = one();
    set(&installation, "mail.greylist-delay-seconds", "1");
    set(&installation, "mail.greylist", "on");
    let stranger = Ipv4Addr::new(127, 0, 1, 9);
    let deferred = || {
        let reply = Client::connect(&installation, stranger).rcpt(ZOE, ANA);
        reply.starts_with("450").then_some(reply)
    };
    let reply = until("greylisting in force", PATIENCE, deferred).0;
    assert!(reply.starts_with("450 4.7.1 You are new here: come again in 1 seconds"), "{reply}");
    assert!(traced(&installation, ANA).contains("greylisted"));
    let unknown = Client::connect(&installation, stranger).rcpt(ZOE, "nobody@tern.test");
    assert!(unknown.starts_with("550 5.1.1"), "{unknown}");
    until("a second try", PATIENCE, || {
        Client::connect(&installation, stranger).deliver(ZOE, ANA).starts_with("250").then_some(())
    });
    installation.stop("main");
    installation.serve("main");
    assert!(Client::connect(&installation, stranger).rcpt(ZOE, ANA).starts_with("250"), "it is remembered");
    // A client that may send for the domain is no bot.
    installation.dns.txt("spf.test", "v=spf1 ip4:127.0.0.0/8 -all");
    let reply = Client::connect(&installation, Ipv4Addr::new(127, 0, 2, 9)).rcpt("zoe@spf.test", ANA);
    assert!(reply.starts_with("250"), "{reply}");
    // And one that brought mail which passed DMARC is believed for its whole network.
    installation.dns.txt("_dmarc.spf.test", "v=DMARC1; p=none");
    let reply = Client::connect(&installation, Ipv4Addr::new(127, 0, 3, 9)).deliver("zoe@spf.test", ANA);
    assert!(reply.starts_with("250"), "{reply}");
    let reply = Client::connect(&installation, Ipv4Addr::new(127, 0, 3, 77)).rcpt("new@far.test", ANA);
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn a_flood_is_held_back_and_told() {
    let installation = one();
    set(&installation, "submission.messages-per-hour", "3");
    set(&installation, "mail.client-messages-per-hour", "4");
    let at = installation.node("main").at;
    let submit = || {
        let mut smtp = at.submission(ANA).unwrap();
        smtp.deliver(ANA, &[ANA], b"Subject: buy terns\r\n\r\nx\r\n").unwrap()
    };
    // Those before the settings were heard of are counted, too.
    let refused = until("the limit of users", PATIENCE, || Some(submit()).filter(|reply| !reply.starts_with("250"))).0;
    assert_eq!(refused, "450 4.7.1 You have sent too many messages within an hour; try again later\r\n");
    assert!(traced(&installation, ANA).contains("450 4.7.1 You have sent too many messages"));
    let output = installation.admin("main", &["--json", "status"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let what = |problem: &Value| problem["what"].as_str().unwrap().to_owned();
    let told: Vec<_> = status["problems"].as_array().unwrap().iter().map(what).collect();
    assert!(told.iter().any(|what| what.starts_with("ana@tern.test wanted to send more messages")), "{told:?}");

    let mut client = Client::connect(&installation, LISTED);
    let over = until("the limit of clients", PATIENCE, || {
        Some(client.rcpt(ZOE, ANA)).filter(|reply| !reply.starts_with("250"))
    });
    assert_eq!(over.0, "421 4.7.0 Too many messages from your host; try again later\r\n");
    assert!(client.0.command("NOOP").is_err(), "the connection is closed");
    assert!(Client::connect(&installation, Ipv4Addr::new(127, 0, 0, 9)).rcpt(ZOE, ANA).starts_with("250"));
}
