//! What other domains want of TLS is done, between two installations.

use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::have_root;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;
use sterna_testkit::web::Web;

const ZOE: &str = "zoe@far.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the page of far.test's policy is. Nobody else takes it.
const WEB: &str = "127.255.254.1";

fn send(near: &Installation, subject: &str) {
    let message = format!("From: ana@near.test\r\nTo: {ZOE}\r\nSubject: {subject}\r\n\r\nThe terns are back.\r\n");
    let mut smtp = near.node("main").at.submission("ana@near.test").unwrap();
    let reply = smtp.deliver("ana@near.test", &[ZOE], message.as_bytes()).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
}

fn queue(near: &Installation) -> Vec<Value> {
    serde_json::from_str(&near.admin_ok("main", &["--json", "queue", "list"])).unwrap()
}

fn count(imap: &mut Imap) -> usize {
    imap.command("SELECT INBOX").unwrap();
    let answer = imap.command("UID SEARCH ALL").unwrap();
    let line = answer.lines.iter().find(|line| line.starts_with("* ") && line.contains("SEARCH")).unwrap();
    line.split_whitespace().filter(|word| word.parse::<u32>().is_ok()).count()
}

fn policy(mode: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: mx.far.test\r\nmax_age: 86400\r\n")
}

#[test]
fn mail_waits_for_servers_that_are_as_their_domain_says() {
    if !have_root() {
        return;
    }
    let web = Web::start(format!("{WEB}:443").parse().unwrap(), "mta-sts.far.test");
    let mut near = Installation::new();
    let trust = format!("SSL_CERT_FILE={}", web.certificate().display());
    near.start_main("main,edge,data", Place { wrapper: vec!["env".to_owned(), trust], ..Place::default() });
    near.admin_ok("main", &["domain", "create", "near.test"]);
    near.create_user("ana@near.test", "main");
    let mut far = Installation::new();
    far.set_nameserver(near.dns.address);
    let place = far.exchanger();
    let exchanger = place.at.unwrap().host;
    far.start_main("main,edge,data", place);
    far.admin_ok("main", &["domain", "create", "far.test"]);
    far.create_user(ZOE, "main");
    near.dns.mx("far.test", 10, "mx.far.test");
    near.dns.address("mx.far.test", exchanger);
    near.dns.address("mta-sts.far.test", WEB.parse().unwrap());
    near.dns.txt("_mta-sts.far.test", "v=STSv1; id=1;");
    web.says(&policy("enforce"));

    // The server's certificate is its own.
    send(&near, "enforced");
    let waiting = until("a deferral", PATIENCE, || queue(&near).pop().filter(|item| item["attempts"] == 1)).0;
    assert!(waiting["last_reply"].as_str().unwrap().contains("certificate"), "{waiting}");
    assert_eq!(web.asked(), 1);
    let status = near.admin("main", &["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("DANE is off on main: "), "{status}");

    // The policy outlives a restart and the page.
    web.says("gone");
    near.stop("main");
    near.serve("main");
    near.admin_ok("main", &["queue", "retry", "--all"]);
    until("another try", PATIENCE, || queue(&near).pop().filter(|item| item["attempts"] == 2));
    assert_eq!(web.asked(), 1);

    // The domain changes its mind.
    web.says(&policy("testing"));
    near.dns.remove("_mta-sts.far.test");
    near.dns.txt("_mta-sts.far.test", "v=STSv1; id=2;");
    near.admin_ok("main", &["queue", "retry", "--all"]);
    let mut zoe = far.node("main").at.login(ZOE).unwrap();
    until("the message", PATIENCE, || (count(&mut zoe) == 1).then_some(()));
    until("an empty queue", PATIENCE, || queue(&near).is_empty().then_some(()));
}
