//! Other programs of the mail world, both ways: Exim, the test programs of Postfix, msmtp.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sterna_testkit::addresses;
use sterna_testkit::binary::{have, have_root};
use sterna_testkit::exim::Exim;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, PASSWORD, succeeded};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const GUS: &str = "gus@gulls.test";
const PATIENCE: Duration = Duration::from_secs(120);

fn count(imap: &mut Imap) -> usize {
    let answer = imap.command("STATUS INBOX (MESSAGES)").unwrap();
    let count = answer.lines.iter().find_map(|line| line.split("MESSAGES ").nth(1)?.trim_end_matches(')').parse().ok());
    count.unwrap_or_else(|| panic!("{:?}", answer.lines))
}

fn text(imap: &mut Imap, number: usize) -> String {
    imap.command("SELECT INBOX").unwrap();
    let answer = imap.command(&format!("FETCH {number} BODY.PEEK[]")).unwrap();
    answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn message(from: &str, subject: &str) -> Vec<u8> {
    format!("From: {from}\r\nSubject: {subject}\r\n\r\n.The terns\r\nare back: caf\u{e9}.\r\n").into_bytes()
}

/// A process that is ended when it goes.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait().map(drop));
    }
}

#[test]
fn mail_goes_to_an_exim_and_comes_from_one() {
    if !have(&["apt-get", "dpkg", "unshare"]) || !have_root() {
        return;
    }
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let exim = Exim::start(SocketAddr::new(at.host, at.ports.smtp));
    installation.admin_ok("main", &["config", "set", "mail.routes", &format!("gulls.test={}", exim.address)]);
    let mut ana = at.login(ANA).unwrap();

    exim.submit(GUS, ANA, &message(GUS, "from the gulls"));
    until("mail from Exim", PATIENCE, || (count(&mut ana) == 1).then_some(()));
    let received = text(&mut ana, 1);
    assert!(received.contains("with ESMTPS") && received.contains("\r\n.The terns\r\n"), "{received}");
    assert!(received.starts_with(&format!("Return-Path: <{GUS}>\r\n")), "{received}");
    // What is refused here comes back to its sender, by Exim's own notification with our words.
    exim.submit(GUS, "nobody@tern.test", &message(GUS, "to nobody"));
    let told = exim.wait_for(1).remove(0);
    assert!(
        told.contains("550 5.1.1 No such address here") && told.contains("Final-Recipient: rfc822;nobody"),
        "{told}"
    );

    let send = |to: &[&str], subject: &str| {
        let reply = at.submission(ANA).unwrap().deliver(ANA, to, &message(ANA, subject)).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    };
    until("the route in force", PATIENCE, || {
        send(&[GUS], "to the gulls");
        let queue = installation.admin_ok("main", &["--json", "queue", "list"]);
        let is_known = exim.log().contains("to the gulls") || exim.log().contains(" <= ana@tern.test");
        (is_known || !queue.contains("domain:gulls.test")).then_some(())
    });
    let received = exim.wait_for(2).into_iter().find(|text| text.contains("Subject: to the gulls")).unwrap();
    assert!(
        received.contains("with esmtps") && received.contains("\n.The terns\nare back: caf\u{e9}.\n"),
        "{received}"
    );
    assert!(received.contains("Return-path: <ana@tern.test>"), "{received}");

    send(&["nobody@gulls.test", GUS], "to one who is not");
    until("our notification", PATIENCE, || (count(&mut ana) == 2).then_some(()));
    let told = text(&mut ana, 2);
    for part in ["Final-Recipient: rfc822; nobody@gulls.test", "no such gull", "Subject: to one who is not"] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    assert!(!told.contains(GUS), "it arrived there: {told}");
    let empty = || (installation.admin_ok("main", &["--json", "queue", "list"]).trim() == "[]").then_some(());
    until("an empty queue", PATIENCE, empty);
}

#[test]
fn smtp_source_fills_and_smtp_sink_takes() {
    const MESSAGES: usize = 200;
    if !have(&["smtp-source", "smtp-sink"]) {
        return;
    }
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let target = format!("{}:{}", at.host, at.ports.smtp);
    let source = |more: &[&str]| {
        let mut command = Command::new("smtp-source");
        command.args(["-m", &MESSAGES.to_string(), "-s", "10", "-l", "20000", "-f", "zoe@far.test"]);
        let output = command.args(more).arg(format!("inet:{target}")).output().unwrap();
        succeeded("smtp-source", &output);
    };
    source(&["-t", ANA]);
    let mut ana = at.login(ANA).unwrap();
    assert_eq!(count(&mut ana), MESSAGES, "each was acknowledged, and is there once");
    source(&["-d", "-t", BEN]);
    assert_eq!(count(&mut at.login(BEN).unwrap()), MESSAGES, "also on one connection for many");

    let [relay] = addresses::free(Ipv4Addr::LOCALHOST);
    let folder = tempfile::tempdir().unwrap();
    let sink = Command::new("smtp-sink")
        .args(["-c", "-u", "nobody", "-d", "message-", &relay.to_string(), "100"])
        .current_dir({
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
            folder.path()
        })
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _sink = Ended(sink);
    until("smtp-sink", PATIENCE, || TcpStream::connect(relay).ok());
    installation.admin_ok("main", &["config", "set", "relay.host", &relay.to_string()]);
    installation.admin_ok("main", &["config", "set", "mail.networks", "127.0.0.0/8"]);
    let taken = || {
        let reply = at.smtp().unwrap().deliver("zoe@far.test", &["sam@sink.test"], &message("zoe@far.test", "x"));
        reply.unwrap().starts_with("250").then_some(())
    };
    until("the networks in force", PATIENCE, taken);
    source(&["-t", "sam@sink.test"]);
    let kept = || {
        let files = fs::read_dir(folder.path()).unwrap().flatten();
        let is_whole = |path: &std::path::Path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.contains("X-Rcpt-Args: <sam@sink.test>") && text.len() > 20_000
        };
        let whole = files.filter(|file| is_whole(&file.path())).count();
        (whole >= MESSAGES).then_some(whole)
    };
    assert_eq!(until("all in smtp-sink", PATIENCE, kept).0, MESSAGES);
    let empty = || (installation.admin_ok("main", &["--json", "queue", "list"]).trim() == "[]").then_some(());
    until("an empty queue", PATIENCE, empty);
}

#[test]
fn msmtp_hands_in() {
    if !have(&["msmtp"]) {
        return;
    }
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("msmtprc");
    let settings = format!(
        "account default\nhost {}\nport {}\nauth plain\nuser {ANA}\npassword \"{PASSWORD}\"\nfrom {ANA}\ntls on\n\
         tls_starttls on\ntls_certcheck off\n",
        at.host, at.ports.submission
    );
    fs::write(&config, settings).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let send = |from: &str, to: &str| {
        let mail = folder.path().join("mail");
        fs::write(&mail, message(from, "by msmtp")).unwrap();
        let mut command = Command::new("msmtp");
        command.arg("-C").arg(&config).args(["-f", from, "--", to]).stdin(fs::File::open(&mail).unwrap());
        command.output().unwrap()
    };
    succeeded("msmtp", &send(ANA, BEN));
    let mut ben = at.login(BEN).unwrap();
    assert_eq!(count(&mut ben), 1);
    let received = text(&mut ben, 1);
    assert!(received.contains("with ESMTPSA") && received.contains("\r\n.The terns\r\n"), "{received}");
    let refused = send(BEN, BEN);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("You may not send with this address"), "{said}");
    let refused = send(ANA, "nobody@tern.test");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("No such address here"), "{said}");
}
