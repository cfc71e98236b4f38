//! SEARCH: every key, and how keys are combined.

use sterna_base::{ManualClock, Timestamp};

use crate::dialog::{Client, Server};

/// Four messages: flags, internal date, and message.
const MAIL: [(&str, &str, &str); 4] = [
    (
        r"(\Seen $Tern)",
        " 1-Feb-2026 23:30:00 +0000",
        "Date: Sat, 31 Jan 2026 10:00:00 +0100\r\nFrom: Ana <ana@x.test>\r\nTo: bob@x.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\none",
    ),
    (
        r"(\Answered \Draft)",
        " 2-Feb-2026 00:30:00 +0000",
        "Date: Sun, 1 Feb 2026 23:59:00 -0800\r\nFrom: Bob <bob@x.test>\r\nCc: ana@x.test\r\nSubject: Re: two\r\nX-Kind: a b\r\n\r\ntwo",
    ),
    (
        r"(\Flagged \Deleted)",
        " 3-Feb-2026 12:00:00 +0000",
        "From: cy@x.test\r\nBcc: Dee <dee@x.test>\r\nSubject: a long\r\n  folded one\r\n\r\nthree, and more",
    ),
    ("()", "28-Feb-2025 12:00:00 +0000", "Date: nonsense\r\n\r\nfour"),
];

async fn mailbox(server: &Server) -> Client {
    let mut client = server.login().await;
    for (flags, date, message) in MAIL {
        let start = format!("a APPEND INBOX {flags} \"{date}\" {{{}+}}\r\n{message}\r\n", message.len());
        client.send(start.as_bytes()).await;
        client.say("S: a OK *").await;
    }
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    client
}

#[tokio::test]
async fn keys_find_what_they_name() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    for (keys, found) in [
        ("ALL", " 1 2 3 4"),
        ("SEEN", " 1"),
        ("UNSEEN", " 2 3 4"),
        ("ANSWERED", " 2"),
        ("UNANSWERED", " 1 3 4"),
        ("FLAGGED", " 3"),
        ("UNFLAGGED", " 1 2 4"),
        ("DELETED", " 3"),
        ("UNDELETED", " 1 2 4"),
        ("DRAFT", " 2"),
        ("UNDRAFT", " 1 3 4"),
        ("KEYWORD $tern", " 1"),
        ("UNKEYWORD $Tern", " 2 3 4"),
        ("KEYWORD none", ""),
        ("NEW", ""),
        ("OLD", " 1 2 3 4"),
        ("FROM ana", " 1"),
        ("FROM \"ANA <\"", " 1"),
        ("TO bob", " 1"),
        ("CC ANA@X", " 2"),
        ("BCC dee", " 3"),
        ("SUBJECT two", " 2"),
        ("CHARSET UTF-8 SUBJECT {7+}\\r\\nGrüße", " 1"),
        ("SUBJECT \"long folded\"", ""),
        ("HEADER x-kind \"a b\"", " 2"),
        ("HEADER Cc \"\"", " 2"),
        ("HEADER Date \"\"", " 1 2 4"),
        ("BODY three", " 3"),
        ("BODY ana", ""),
        ("TEXT ana", " 1 2"),
        ("ON 1-Feb-2026", " 1"),
        ("ON \"02-Feb-2026\"", " 2"),
        ("SINCE 2-Feb-2026", " 2 3"),
        ("BEFORE 2-Feb-2026", " 1 4"),
        ("SENTON 1-Feb-2026", " 2"),
        ("SENTBEFORE 1-Feb-2026", " 1"),
        ("SENTSINCE 31-Jan-2026", " 1 2"),
        ("YOUNGER 1", ""),
        ("OLDER 4294967295", ""),
        ("OLDER 1", " 1 2 3 4"),
        ("LARGER 100", " 1 2"),
        ("SMALLER 25", " 4"),
        ("UID 2:3", " 2 3"),
        ("2:3 FLAGGED", " 3"),
        ("NOT 1", " 2 3 4"),
        ("NOT NOT SEEN", " 1"),
        ("OR SEEN DELETED", " 1 3"),
        ("OR (SEEN FLAGGED) (NOT SEEN NOT FLAGGED DRAFT)", " 2"),
        ("(UNSEEN (FLAGGED))", " 3"),
        ("NOT (OR SEEN OR DRAFT DELETED)", " 4"),
        ("OR UID 1 OR 3 UID 4 UNDELETED", " 1 4"),
        ("SEEN BODY two", ""),
        ("OR SEEN BODY two", " 1 2"),
    ] {
        client.say(&format!("C: c SEARCH {keys}\nS: * SEARCH{found}\nS: c OK *")).await;
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    let deep = format!("{}ALL{}", "(".repeat(70), ")".repeat(70));
    let many = "ALL ".repeat(1001);
    for keys in [
        "()",
        "NOT",
        "OR SEEN",
        "HEADER From",
        "FROM",
        "ON yesterday",
        "OLDER 0",
        "YOUNGER -1",
        "YOUNGER 4294967296",
        "LARGER x",
        "LARGER -1",
        "KEYWORD \\Seen",
        "UID",
        "UID x",
        "NONSENSE",
        "ALL)",
        "(ALL",
        "RETURN (ALL)",
        "RETURN ALL",
        "CHARSET UTF-8",
        "MODSEQ",
        &deep,
        &many,
    ] {
        client.say(&format!("C: c SEARCH {keys}\nS: c BAD *\nC: n NOOP\nS: n OK *")).await;
    }
}

#[tokio::test]
async fn ages_are_counted_from_now() {
    let mut server = Server::start().await;
    let then = Timestamp::from_seconds(1_769_992_200); // 2-Feb-2026 00:30:00 +0000
    server.restart_at(ManualClock::at(then.plus_ms(60_000)));
    let mut client = mailbox(&server).await;
    for (keys, found) in [
        ("YOUNGER 59", " 3"),
        ("YOUNGER 60", " 2 3"),
        ("OLDER 59", " 1 2 4"),
        ("OLDER 60", " 1 2 4"),
        ("OLDER 61", " 1 4"),
        ("YOUNGER 90000 OLDER 60", " 1 2"),
    ] {
        client.say(&format!("C: c SEARCH {keys}\nS: * SEARCH{found}\nS: c OK *")).await;
    }
}

#[tokio::test]
async fn there_is_no_charset_after_utf8_accept() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    client
        .say(
            r"
        C: a ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: a OK *
        C: b SEARCH RETURN (COUNT) CHARSET UTF-8 SEEN
        S: * ESEARCH * COUNT 1
        S: b OK *
        C: c ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: c OK *
        C: d SEARCH CHARSET UTF-8 SEEN
        S: d BAD *
        C: e SEARCH CHARSET KOI8-R SEEN
        S: e BAD *
        C: f SEARCH RETURN (COUNT) SEEN
        S: * ESEARCH * COUNT 1
        S: f OK *
    ",
        )
        .await;
}

#[tokio::test]
async fn markup_is_no_text() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let message = "Subject: news\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n\
        Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        <div style=3D\"color: red\">K=FC<i>ste</i>n&shy;se&euml;schwalbe</div><!-- hidden -->\r\n--b--\r\n";
    client.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()).await;
    client.say("S: a OK *\nC: s SELECT INBOX\nS: ...\nS: s OK *").await;
    for (keys, found) in [
        ("BODY kustenseeschwalbe", " 1"),
        ("TEXT \"text/html\"", " 1"),
        ("BODY <div", ""),
        ("TEXT color", ""),
        ("BODY hidden", ""),
        ("NOT BODY style", " 1"),
    ] {
        client.say(&format!("C: c SEARCH {keys}\nS: * SEARCH{found}\nS: c OK *")).await;
    }
}
