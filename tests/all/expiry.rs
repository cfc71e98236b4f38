//! Mail for servers that never answer: its sender is told that it waits, and told once more when it is given up.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::addresses;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::smtp::Smtp;
use sterna_testkit::time::off_by;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn waiting(installation: &Installation) -> Vec<Value> {
    serde_json::from_str(&installation.admin_ok("main", &["--json", "queue", "list"])).unwrap()
}

fn mails(installation: &Installation) -> Vec<String> {
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    ana.command("SELECT INBOX").unwrap();
    let answer = ana.command("UID FETCH 1:* (BODY.PEEK[])").unwrap();
    answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// Sends from ana to somebody far away, with parameters of RCPT (RFC 3461).
fn send(smtp: &mut Smtp, to: &str, parameters: &str) {
    for line in [&format!("MAIL FROM:<{ANA}> RET=HDRS ENVID=tern-{to}"), &format!("RCPT TO:<{to}>{parameters}"), "DATA"]
    {
        let reply = smtp.command(line).unwrap();
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
    }
    let reply = smtp.command(&format!("From: {ANA}\r\nSubject: for {to}\r\n\r\nThe terns are back.\r\n.")).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
}

/// The machine is off until then.
fn switch_on_after(installation: &mut Installation, place: Place) {
    installation.stop("main");
    installation.put("main", place);
    installation.serve("main");
}

fn has_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn mail_that_nobody_takes_is_told_of_when_it_is_late_and_given_up_after_its_time() {
    let (Some(late), Some(over)) = (off_by("+5h"), off_by("+121h")) else { return };
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    let [closed] = addresses::free(Ipv4Addr::LOCALHOST);
    installation.admin_ok("main", &["config", "set", "relay.host", &closed.to_string()]);
    installation.admin_ok("main", &["config", "set", "language", "fr", "--domain", "tern.test"]);
    let mut smtp = installation.node("main").at.submission(ANA).unwrap();
    for (to, parameters) in [
        ("zoe@far.test", " ORCPT=rfc822;zoe@far.test"),
        ("silent@far.test", " NOTIFY=NEVER"),
        ("only@far.test", " NOTIFY=FAILURE"),
    ] {
        send(&mut smtp, to, parameters);
    }
    let tried = |item: &Value| item["last_reply"].as_str().is_some_and(|said| !said.is_empty());
    until("a first try of each", PATIENCE, || {
        Some(waiting(&installation)).filter(|all| all.len() == 3 && all.iter().all(tried))
    });
    assert_eq!(mails(&installation), Vec::<String>::new(), "nobody is told of a first try");

    switch_on_after(&mut installation, late);
    let told = until("what is late", PATIENCE, || mails(&installation).pop()).0;
    has_all(&told, &["Content-Language: fr\r\n", "Action: delayed\r\n", "Final-Recipient: rfc822; zoe@far.test\r\n"]);
    has_all(&told, &["Original-Envelope-Id: tern-zoe@far.test\r\n", "Will-Retry-Until: ", "Connection refused"]);
    assert_eq!(waiting(&installation).len(), 3, "all of them are tried on");

    switch_on_after(&mut installation, over);
    until("an empty queue", PATIENCE, || waiting(&installation).is_empty().then_some(()));
    let all = until("who was told", PATIENCE, || Some(mails(&installation)).filter(|all| all.len() == 3)).0;
    for to in ["zoe@far.test", "only@far.test"] {
        let told = all[1..].iter().find(|mail| mail.contains(&format!("Final-Recipient: rfc822; {to}\r\n")));
        let told = told.unwrap_or_else(|| panic!("{to} is missing: {all:?}"));
        has_all(
            told,
            &["Action: failed\r\n", "Status: 5.4.7\r\n", "Connection refused", "Content-Type: text/rfc822-headers"],
        );
        has_all(told, &[&format!("Subject: for {to}\r\n")]);
        assert!(!told.contains("The terns are back."), "headers were asked for: {told}");
    }
    // The trace says it, too, of the one whose sender wanted to hear nothing.
    let trace: Value =
        serde_json::from_str(&installation.admin_ok("main", &["--json", "trace", "silent@far.test"])).unwrap();
    let events = trace["messages"][0]["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["what"] == "failed"), "{trace}");
    assert!(!all.iter().any(|mail| mail.contains("silent@far.test")), "{all:?}");
}
