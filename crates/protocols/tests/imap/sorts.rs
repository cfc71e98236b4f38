//! SORT, THREAD (RFC 5256, 5957) and results by position (RFC 5267, 9394).

use crate::dialog::{Client, Server};

const MAIL: [(&str, &str); 6] = [
    (
        " 6-Feb-2026 12:00:00 +0000",
        "Date: Sun, 1 Feb 2026 10:00:00 +0100\r\nFrom: zoe@a.test\r\nTo: Kim <b@x.test>\r\n\
         Message-ID: <1@x>\r\nSubject: Report\r\n\r\none",
    ),
    (
        " 5-Feb-2026 12:00:00 +0000",
        "Date: Sun, 1 Feb 2026 08:00:00 -0500\r\nFrom: Ada <yan@b.test>\r\nTo: a@x.test\r\nCc: c@x.test\r\n\
         Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Re: report\r\n\r\ntwo, longer",
    ),
    (
        " 4-Feb-2026 12:00:00 +0000",
        "From: =?utf-8?q?=C3=84nne?= <xu@c.test>\r\nMessage-ID: <3@x>\r\nSubject: [list] apples\r\n\r\nthree",
    ),
    (
        " 3-Feb-2026 12:00:00 +0000",
        "Date: Sun, 1 Feb 2026 09:00:00 +0000\r\nFrom: friends:zed@d.test;\r\nCc: B@x.test\r\n\
         Message-ID: <4@x>\r\nReferences: <1@x>\r\n <2@x>\r\nSubject: REPORT (fwd)\r\n\r\nfour",
    ),
    (
        " 2-Feb-2026 12:00:00 +0000",
        "Date: nonsense\r\nFrom: \"\" <Wim@e.test>\r\nSubject: Zebras\r\nReferences: <9@x>\r\nMessage-ID: <5@x>\r\n\r\nfive",
    ),
    (" 1-Feb-2026 12:00:00 +0000", "Subject: Re: Zebras\r\nReferences: <9@x>\r\n\r\nsix"),
];

async fn mailbox(server: &Server) -> Client {
    let mut client = server.login().await;
    for (date, message) in MAIL {
        let start = format!("a APPEND INBOX \"{date}\" {{{}+}}\r\n{message}\r\n", message.len());
        client.send(start.as_bytes()).await;
        client.say("S: a OK *").await;
    }
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    client
}

#[tokio::test]
async fn messages_are_ordered_by_each_key() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    for (criteria, found) in [
        ("ARRIVAL", "6 5 4 3 2 1"),
        ("REVERSE ARRIVAL", "1 2 3 4 5 6"),
        // Without a date that can be read: when it came. 1 and 4 were sent at the same moment.
        ("DATE", "1 4 6 2 5 3"),
        ("REVERSE DATE", "3 5 2 6 1 4"),
        ("SIZE", "6 3 5 1 4 2"),
        ("SUBJECT", "3 1 2 4 5 6"),
        ("REVERSE SUBJECT", "5 6 1 2 4 3"),
        ("SUBJECT REVERSE ARRIVAL", "3 1 2 4 5 6"),
        ("SUBJECT ARRIVAL", "3 4 2 1 6 5"),
        ("FROM", "6 4 5 3 2 1"),
        ("TO", "3 4 5 6 2 1"),
        ("CC", "1 3 5 6 4 2"),
        ("DISPLAYFROM", "6 2 3 4 5 1"),
        ("DISPLAYTO", "3 4 5 6 2 1"),
    ] {
        client.say(&format!("C: c SORT ({criteria}) UTF-8 ALL\nS: * SORT {found}\nS: c OK *")).await;
    }
    client
        .say(
            r"
        C: a UID SORT (REVERSE SIZE) US-ASCII 2:4 SUBJECT report
        S: * SORT 2 4
        S: a OK *
        C: b SORT (DATE) UTF-8 SEEN
        S: * SORT
        S: b OK *
        C: c SORT (DATE) KOI8-R SUBJECT {1+}
        C: x
        S: c NO [BADCHARSET (UTF-8)] *
        C: d SORT (DATE) UTF-8 MODSEQ 1 2:3
        S: * SORT 2 3 (MODSEQ *)
        S: d OK *
    ",
        )
        .await;
    for wrong in [
        "SORT (DATE) ALL",
        "SORT () UTF-8 ALL",
        "SORT (COLOUR) UTF-8 ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        "SORT DATE UTF-8 ALL",
        "SORT (DATE) UTF-8",
        "THREAD UTF-8 ALL",
        "THREAD JWZ UTF-8 ALL",
        "THREAD REFERENCES UTF-8",
    ] {
        client.say(&format!("C: a {wrong}\nS: a BAD *\nC: n NOOP\nS: n OK *")).await;
    }
}

#[tokio::test]
async fn threads_are_those_of_the_references_or_of_the_subjects() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    client
        .say(
            r"
        C: a THREAD REFERENCES UTF-8 ALL
        S: * THREAD (1 2 4)((6)(5))(3)
        S: a OK *
        C: b UID THREAD REFERENCES UTF-8 2:5
        S: * THREAD (2 4)(5)(3)
        S: b OK *
        C: c THREAD ORDEREDSUBJECT US-ASCII ALL
        S: * THREAD (1 (4)(2))(6 5)(3)
        S: c OK *
        C: d THREAD REFERENCES UTF-8 SEEN
        S: * THREAD
        S: d OK *
        C: e THREAD REFERENCES UTF-16 ALL
        S: e NO [BADCHARSET (UTF-8)] *
    ",
        )
        .await;
}

#[tokio::test]
async fn results_are_named_by_their_ends_and_positions() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    client
        .say(
            r#"
        C: a SORT RETURN (MIN MAX COUNT) (ARRIVAL) UTF-8 ALL
        S: * ESEARCH (TAG "a") MIN 6 MAX 1 COUNT 6
        S: a OK *
        C: b UID SORT RETURN () (SUBJECT ARRIVAL) UTF-8 ALL
        S: * ESEARCH (TAG "b") UID ALL 3:4,2,1,6,5
        S: b OK *
        C: c SORT RETURN (PARTIAL 2:3 COUNT) (ARRIVAL) UTF-8 ALL
        S: * ESEARCH (TAG "c") COUNT 6 PARTIAL (2:3 5,4)
        S: c OK *
        C: d SORT RETURN (ALL) (ARRIVAL) UTF-8 SEEN
        S: * ESEARCH (TAG "d")
        S: d OK *
        C: e UID SEARCH RETURN (PARTIAL -1:-2) ALL
        S: * ESEARCH (TAG "e") UID PARTIAL (-1:-2 5:6)
        S: e OK *
        C: f SEARCH RETURN (PARTIAL 9:3) ALL
        S: * ESEARCH (TAG "f") PARTIAL (9:3 3:6)
        S: f OK *
        C: g SEARCH RETURN (PARTIAL 7:9) ALL
        S: * ESEARCH (TAG "g") PARTIAL (7:9 NIL)
        S: g OK *
        C: h SEARCH RETURN (SAVE PARTIAL -1:-2 MIN) ALL
        S: * ESEARCH (TAG "h") MIN 1 PARTIAL (-1:-2 5:6)
        S: h OK *
        C: i SEARCH $
        S: * SEARCH 1 5 6
        S: i OK *
        C: j SORT RETURN (SAVE) (ARRIVAL) UTF-8 2:3
        S: j OK *
        C: k UID FETCH $ UID
        S: * 2 FETCH (UID 2)
        S: * 3 FETCH (UID 3)
        S: k OK *
        C: l UID FETCH 1:* (UID) (PARTIAL -1:-2)
        S: * 5 FETCH (UID 5)
        S: * 6 FETCH (UID 6)
        S: l OK *
        C: m STORE 2 +FLAGS.SILENT (\Seen)
        S: m OK *
        C: n UID FETCH 1:* (UID) (PARTIAL 1:5 CHANGEDSINCE 1)
        S: * 1 FETCH (UID 1 MODSEQ (*))
        S: ...
        S: n OK *
        C: o UID FETCH 2:3 (UID) (PARTIAL 3:4)
        S: o OK *
    "#,
        )
        .await;
    for wrong in [
        "SEARCH RETURN (ALL PARTIAL 1:2) ALL",
        "SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL",
        "SEARCH RETURN (PARTIAL 0:2) ALL",
        "SEARCH RETURN (PARTIAL 1:-2) ALL",
        "SEARCH RETURN (PARTIAL -1:2) ALL",
        "SEARCH RETURN (PARTIAL 1:*) ALL",
        "SEARCH RETURN (PARTIAL 2) ALL",
        "FETCH 1:* (FLAGS) (PARTIAL 1:2)",
        "UID FETCH 1:* (FLAGS) ()",
        "UID FETCH 1:* (FLAGS) (PARTIAL 1:2 PARTIAL 1:2)",
        "UID FETCH 1:* (FLAGS) (SOME 1:2)",
    ] {
        client.say(&format!("C: a {wrong}\nS: a BAD *\nC: n NOOP\nS: n OK *")).await;
    }
}

#[tokio::test]
async fn expunges_wait_during_what_numbers_messages() {
    let server = Server::start().await;
    let (mut one, mut two) = (mailbox(&server).await, server.login().await);
    two.say("C: s SELECT INBOX\nS: ...\nS: s OK *\nC: t UID EXPUNGE 1\nS: t OK *").await;
    two.say("C: u STORE 6 +FLAGS.SILENT (\\Deleted)\nS: u OK *\nC: v EXPUNGE\nS: * 6 EXPUNGE\nS: v OK *").await;
    one.say(
        r"
        C: a SORT (ARRIVAL) UTF-8 ALL
        S: * SORT 5 4 3 2 1
        S: * 6 FETCH (UID 6 FLAGS (\Deleted))
        S: a OK *
        C: b THREAD ORDEREDSUBJECT UTF-8 5:6
        S: * THREAD (5)
        S: b OK *
        C: c UID SORT (ARRIVAL) UTF-8 ALL
        S: ...
        S: * 6 EXPUNGE
        S: c OK *
    ",
    )
    .await;
}
