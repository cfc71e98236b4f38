//! Limits that administrators change: at them, and one past them.

use sterna_base::session_limits::SessionLimits;

use crate::dialog::Server;

/// The smallest that can be set.
async fn server() -> Server {
    let mut server = Server::start().await;
    server.within(SessionLimits {
        imap_contexts: 1,
        imap_header_fields: 16,
        imap_line_bytes: 8192,
        imap_literal_bytes: 8192,
        imap_literals: 8,
        imap_mailbox_name_bytes: 255,
        imap_nesting: 8,
        imap_search_keys: 16,
        imap_searched_mailboxes: 1,
        imap_set_ranges: 64,
        per_account: 2,
        ..SessionLimits::DEFAULT
    });
    server
}

/// So many of these, with something between.
fn repeated(what: &str, between: &str, times: usize) -> String {
    vec![what; times].join(between)
}

#[tokio::test]
async fn commands_may_be_so_large() {
    let server = server().await;
    let mut client = server.login().await;
    client.say("C: a SELECT INBOX\nS: ...\nS: a OK *").await;
    let literals = |count: usize| format!("SEARCH {}", repeated("TEXT {1+}\\r\\nx", " ", count));
    for (fits, too_much, answer) in [
        (
            format!("SEARCH SUBJECT {}", "x".repeat(8000)),
            format!("SEARCH SUBJECT {}", "x".repeat(8192)),
            "BAD [TOOBIG] *",
        ),
        (
            format!("LOGIN a {{8000+}}\\r\\n{}", "x".repeat(8000)),
            format!("LOGIN a {{8193+}}\\r\\n{}", "x".repeat(8193)),
            "BAD [TOOBIG] *",
        ),
        (literals(8), literals(9), "BAD [TOOBIG] *"),
        (
            format!("FETCH {} UID", repeated("1", ",", 64)),
            format!("FETCH {} UID", repeated("1", ",", 65)),
            "BAD Syntax *",
        ),
        (
            format!("SEARCH {}", repeated("SEEN", " ", 16)),
            format!("SEARCH {}", repeated("SEEN", " ", 17)),
            "BAD Syntax *",
        ),
        (
            format!("SEARCH {}SEEN{}", "(".repeat(8), ")".repeat(8)),
            format!("SEARCH {}SEEN{}", "(".repeat(9), ")".repeat(9)),
            "BAD Syntax *",
        ),
        (
            format!("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS ({})]", repeated("To", " ", 16)),
            format!("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS ({})]", repeated("To", " ", 17)),
            "BAD Syntax *",
        ),
        (
            format!("CREATE {}/{}", "x".repeat(127), "y".repeat(127)),
            format!("CREATE {}/{}", "x".repeat(127), "z".repeat(128)),
            "NO [LIMIT] *",
        ),
    ] {
        client.say(&format!("C: b {fits}")).await;
        let mut line = client.line().await;
        while line.starts_with("* ") {
            line = client.line().await;
        }
        assert!(
            !line.contains("TOOBIG") && !line.contains("Syntax") && !line.contains("LIMIT"),
            "{}: {line}",
            &fits[..fits.len().min(100)]
        );
        client.say(&format!("C: c {too_much}\nS: c {answer}")).await;
    }
}

#[tokio::test]
async fn results_and_mailboxes_may_be_so_many() {
    let server = server().await;
    let mut client = server.login().await;
    client
        .say(
            r#"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b SEARCH RETURN (UPDATE COUNT) SEEN
        S: * ESEARCH *
        S: b OK *
        C: c SORT RETURN (UPDATE COUNT) (SIZE) UTF-8 SEEN
        S: * ESEARCH *
        S: * NO [NOUPDATE "c"] *
        S: c OK *
        C: d ESEARCH IN (mailboxes INBOX) SEEN
        S: d OK *
        C: e ESEARCH IN (mailboxes (INBOX Trash)) SEEN
        S: e NO [LIMIT] *
    "#,
        )
        .await;
}

#[tokio::test]
async fn a_user_may_have_so_many_sessions() {
    let server = server().await;
    let mut first = server.login().await;
    let _second = server.login().await;
    let mut third = server.connect().await;
    third.say("C: a LOGIN ana pw\nS: a NO [LIMIT] *\nC: b NOOP\nS: b OK *").await;
    // Another user is another matter.
    first.say("C: a UNAUTHENTICATE\nS: a OK *").await;
    third.say("C: c LOGIN ana pw\nS: c OK *").await;
    first.say("C: b LOGIN ana pw\nS: b NO [LIMIT] *").await;
    third.say("C: d LOGOUT\nS: * BYE *\nS: d OK *").await;
    assert_eq!(third.rest().await, "");
    first.say("C: c LOGIN ana pw\nS: c OK *").await;
}

#[tokio::test]
async fn who_says_nothing_sensible_is_sent_away() {
    let mut server = Server::start().await;
    server.within(SessionLimits { bad_commands: 3, failed_logins: 2, line_bytes: 1024, ..SessionLimits::DEFAULT });
    let mut client = server.connect().await;
    client.say("C: a NONSENSE\nS: a BAD *\nC: b NONSENSE\nS: b BAD *\nC: c NONSENSE\nS: c BAD *\nS: * BYE *").await;
    assert_eq!(client.rest().await, "");
    let mut client = server.connect().await;
    client.say("C: a LOGIN ana no\nS: a NO *\nC: b LOGIN ana no\nS: ...\nS: * BYE *").await;
    assert_eq!(client.rest().await, "");
    let mut client = server.connect().await;
    client.say(&format!("C: a AUTHENTICATE PLAIN\nS: +*\nC: {}\nS: * BYE *", "x".repeat(1025))).await;
    assert_eq!(client.rest().await, "");
}
