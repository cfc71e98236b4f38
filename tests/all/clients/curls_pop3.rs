//! curl by POP3, encrypted in every way.

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};

use super::{login, run};

#[test]
fn curl_lists_reads_and_removes_by_pop3() {
    if !have(&["curl"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let mut imap = login(&demo, user);
        let message = "Subject: by curl\r\n\r\n.a line\r\n..another\r\n";
        assert!(imap.append("INBOX", message.as_bytes()).unwrap().ok());
        let list = curl(&demo, user, "", &[]);
        let (last, octets) = list.lines().last().and_then(|line| line.split_once(' ')).unwrap();
        assert_eq!(octets, message.len().to_string());
        for more in [&["--login-options", "AUTH=PLAIN"][..], &["--login-options", "AUTH=LOGIN"], &["--sasl-ir"]] {
            assert_eq!(curl(&demo, user, last, more), message, "{more:?}");
        }
        assert_eq!(curl(&demo, user, last, &["--ssl-reqd", "--insecure"]), message);
        let top = curl(&demo, user, "", &["--request", &format!("TOP {last} 1")]);
        assert_eq!(top, "Subject: by curl\r\n\r\n.a line\r\n");
        let ids = curl(&demo, user, "", &["--request", "UIDL"]);
        assert_eq!(ids.lines().count(), list.lines().count());
        curl(&demo, user, last, &["--request", "DELE", "--list-only", "--head"]);
        assert_eq!(curl(&demo, user, "", &[]).lines().count(), list.lines().count() - 1);
        let (address, port) = (&user.address, demo.at.pop3s.port);
        let (url, account) = (format!("pop3s://127.0.0.1:{port}/1"), format!("{address}:{}", user.password));
        let first = run("curl", &["--silent", "--show-error", "--insecure", "--user", &account, &url]);
        assert!(first.contains("\r\n\r\n"), "{first}");
    }
}

fn curl(demo: &Demo, user: &User, path: &str, more: &[&str]) -> String {
    let url = format!("pop3://{}:{}/{path}", demo.at.pop3.host, demo.at.pop3.port);
    let login = format!("{}:{}", user.address, user.password);
    run("curl", &[&["--silent", "--show-error", "--user", &login, &url], more].concat())
}
