//! What becomes of mail that users send, besides going out: large attachments become links, and addresses are
//! collected.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_testkit::http::Http;
use sterna_testkit::installation::Installation;
use sterna_testkit::wait::until;

/// How long what goes on in the background may take.
const WAIT: Duration = Duration::from_secs(30);

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

fn lines(text: &str) -> String {
    text.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect()
}

/// A message with an attachment of this length.
pub fn message(subject: &str, kind: &str, length: usize) -> String {
    let content: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
    format!(
        "From: {ANA}\r\nTo: {BEN}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/{kind}; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee there.\r\n\
         --b\r\nContent-Type: application/pdf; name=\"May report.pdf\"\r\n\
         Content-Disposition: attachment; filename=\"May report.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}--b\r\nContent-Type: text/plain\r\n\r\nBye.\r\n--b--\r\n",
        lines(&STANDARD.encode(content))
    )
}

pub fn send(installation: &Installation, text: &str) {
    let mut smtp = installation.node("main").at.submission(ANA).unwrap();
    let reply = smtp.deliver(ANA, &[BEN], text.as_bytes()).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
}

/// The whole message of this subject that ben has.
fn received(installation: &Installation, subject: &str) -> String {
    let mut imap = installation.node("main").at.login(BEN).unwrap();
    imap.command("SELECT INBOX").unwrap();
    let found = imap.command(&format!("UID SEARCH SUBJECT \"{subject}\"")).unwrap().lines.join("");
    let uid = found.split_whitespace().next_back().unwrap_or_default().to_owned();
    let answer = imap.command(&format!("UID FETCH {uid} BODY.PEEK[]")).unwrap();
    let text = answer.literals.first().unwrap_or_else(|| panic!("{subject}: {found} {answer:?}"));
    String::from_utf8_lossy(text).into_owned()
}

#[test]
fn large_attachments_become_links_that_lead_to_them() {
    let installation = Installation::standard();
    let set = |name: &str, value: &str| {
        installation.admin_ok("main", &["config", "set", name, value, "--domain", "tern.test"]);
    };
    installation.admin_ok("main", &["config", "set", "external-url", "https://mail.tern.test"]);
    installation.admin_ok("main", &["dkim", "generate", "tern.test", "--algorithm", "ed25519", "--selector", "s1"]);
    installation.admin_ok("main", &["dkim", "activate", "tern.test", "s1", "--unchecked"]);
    send(&installation, &message("before", "mixed", 200_000));
    assert!(received(&installation, "before").contains("May report.pdf"), "off unless it is set");

    // Whoever sees ana's files sees nothing of what she sends to others.
    installation.admin_ok("main", &["account", "acl", "set", ANA, BEN, "lr", "--folder", "/"]);
    set("attachments.detach-bytes", "150000");
    set("language", "de");
    for (subject, kind, length) in
        [("small", "mixed", 100_000), ("signed", "signed; protocol=\"application/pgp-signature\"", 200_000)]
    {
        send(&installation, &message(subject, kind, length));
        let text = received(&installation, subject);
        assert!(text.contains("filename=\"May report.pdf\"") && !text.contains("/share/"), "{subject}");
    }
    for (subject, length) in [("large", 200_000), ("huge", 3_000_000)] {
        send(&installation, &message(subject, "mixed", length));
        let text = received(&installation, subject);
        assert!(text.len() < 10_000 && !text.contains("application/pdf"), "{subject}: {} bytes", text.len());
        assert!(text.contains("See there.") && text.contains("Bye.") && text.contains("DKIM-Signature: "), "{text}");
        let part = text.split("charset=utf-8").nth(1).unwrap().split("\r\n\r\n").nth(1).unwrap();
        let said = STANDARD.decode(part.split("--b").next().unwrap().replace(['\r', '\n'], "")).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("Der Anhang „May report.pdf“") && said.contains("https://mail.tern.test/share/"));
        let path = said.split("https://mail.tern.test").nth(1).unwrap().trim();
        let at = installation.node("main").at;
        let got = Http::connect(at.host, at.ports.http, None).unwrap().request("HEAD", path, &[], "").unwrap();
        assert_eq!((got.status, got.header("content-length")), (200, Some(length.to_string().as_str())), "{got:?}");
    }
    let mut ben = installation.node("main").at.dav(BEN).unwrap();
    let mut seen = |path: &str| ben.request("PROPFIND", path, &[("Depth", "0")], "").unwrap().status;
    assert_eq!(seen("/dav/files/ana@tern.test/"), 207);
    assert_eq!(seen("/dav/files/ana@tern.test/Attachments/"), 404);
    // They are ana's files, under names of their own.
    let mut ana = installation.node("main").at.dav(ANA).unwrap();
    let listed = ana.request("PROPFIND", "/dav/files/ana@tern.test/Attachments/", &[("Depth", "1")], "").unwrap();
    assert!(
        listed.body.contains("/May%20report.pdf<") && listed.body.contains("/May%20report%20(2).pdf<"),
        "{listed:?}"
    );

    // A program that sends the same message again, because it did not hear of the first try, makes no second link.
    let again = message("again", "mixed", 200_000).replace("May report", "June report");
    send(&installation, &again);
    send(&installation, &again);
    let listed = ana.request("PROPFIND", "/dav/files/ana@tern.test/Attachments/", &[("Depth", "1")], "").unwrap();
    assert_eq!(listed.body.matches("/June%20report").count(), 1, "{listed:?}");
    let links = installation.admin_ok("main", &["--json", "file", "links", ANA]);
    assert_eq!(links.matches("June report").count(), 1, "{links}");
    // Its copy is a file of its own.
    let [from, to] =
        ["June%20report.pdf", "Copy.pdf"].map(|name| format!("/dav/files/ana@tern.test/Attachments/{name}"));
    assert_eq!(ana.request("COPY", &from, &[("Destination", &to)], "").unwrap().status, 201);

    // Without room for it the message goes as it came.
    installation.admin_ok("main", &["user", "set", ANA, "--quota", "3700k"]);
    until("the quota holds", WAIT, || {
        let shown = installation.admin_ok("main", &["--json", "user", "get", ANA]);
        shown.contains("3788800").then_some(())
    });
    send(&installation, &message("no room", "mixed", 500_000));
    assert!(received(&installation, "no room").contains("filename=\"May report.pdf\""));
}

#[test]
fn addresses_are_collected_once_where_that_is_wanted() {
    let installation = Installation::standard();
    let text = |name: &str| format!("From: {ANA}\r\nTo: {name} <{BEN}>\r\nSubject: x\r\n\r\nx\r\n");
    let book = "/dav/addressbooks/ana@tern.test/Collected/";
    let listed = || {
        let mut ana = installation.node("main").at.dav(ANA).unwrap();
        ana.request("PROPFIND", book, &[("Depth", "1")], "").unwrap()
    };
    send(&installation, &text("Nobody"));
    installation.admin_ok("main", &["config", "set", "contacts.collect", "on", "--domain", "tern.test"]);
    send(&installation, &text("Ben Tern"));
    until("ben is collected", WAIT, || listed().body.contains(".vcf").then_some(()));
    send(&installation, &text("Another Name"));
    let listed = listed();
    assert_eq!(listed.body.matches(".vcf</D:href>").count(), 1, "{listed:?}");
    let vcf = installation.admin_ok("main", &["export", "vcf", ANA, "--collection", "Collected"]);
    assert!(vcf.contains("FN:Ben Tern\r\n") && vcf.contains("EMAIL:ben@tern.test"), "{vcf}");
}
