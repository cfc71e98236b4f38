//! swaks delivers by every way, curl reads.

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};

use super::run;

#[test]
fn swaks_delivers_by_smtp_and_lmtp_and_curl_reads_it() {
    if !have(&["swaks", "curl"]) {
        return;
    }
    let demo = Demo::start();
    for (user, marker) in [(demo.user('a'), "tern-on-alpha"), (demo.user('b'), "tern-on-beta")] {
        swaks(&demo, user, "ESMTP", demo.at.smtp.port, &format!("{marker}-smtp"), &[]);
        swaks(&demo, user, "LMTP", demo.at.lmtp.port, &format!("{marker}-lmtp"), &[]);
        let login = ["--auth", "PLAIN", "--auth-user", &user.address, "--auth-password", &user.password, "--from"];
        let login = [&login[..], &[user.address.as_str()]].concat();
        swaks(&demo, user, "ESMTP", demo.at.submission.port, &format!("{marker}-submission"), &login);
        for way in ["smtp", "lmtp", "submission"] {
            let subject = format!("{marker}-{way}");
            let uids = curl(&demo, user, "INBOX", &["-X", &format!("UID SEARCH SUBJECT {subject}")]);
            let uid = uids.trim().rsplit(' ').next().unwrap_or_default().to_owned();
            assert!(uid.parse::<u32>().is_ok(), "{way}: {uids}");
            let message = curl(&demo, user, &format!("INBOX;UID={uid}"), &[]);
            assert!(message.contains(&format!("Subject: {subject}")), "{message}");
        }
    }
}

fn swaks(demo: &Demo, user: &User, protocol: &str, port: u16, subject: &str, more: &[&str]) {
    let header = format!("Subject: {subject}");
    let port = port.to_string();
    let mut arguments = vec!["--silent", "2", "--protocol", protocol, "--server", &demo.at.smtp.host, "--port", &port];
    arguments.extend(["--to", &user.address, "--header", &header, "--body", "The terns are back."]);
    if more.is_empty() {
        arguments.extend(["--from", "sender@elsewhere.test"]);
    }
    arguments.extend(more);
    run("swaks", &arguments);
}

fn curl(demo: &Demo, user: &User, path: &str, more: &[&str]) -> String {
    let url = format!("imap://{}:{}/{path}", demo.at.imap.host, demo.at.imap.port);
    let login = format!("{}:{}", user.address, user.password);
    run("curl", &[&["--silent", "--show-error", "--user", &login, &url], more].concat())
}
