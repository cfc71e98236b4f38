//! QRESYNC (RFC 7162 section 3.2) and UIDONLY (RFC 9586).

use crate::dialog::{Client, Server};

/// Nine messages; 2, 3 and 7 are expunged, and 5 was read after that.
async fn mailbox(server: &Server) -> (Client, String) {
    let mut client = server.login().await;
    for _ in 0..9 {
        client.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    client.send(b"b STATUS INBOX (HIGHESTMODSEQ UIDVALIDITY)\r\n").await;
    let status = client.line().await;
    client.say("S: b OK *").await;
    let numbers: Vec<&str> = status.split([' ', '(', ')']).filter(|word| word.parse::<u64>().is_ok()).collect();
    let known = format!("{} {}", numbers[1], numbers[0]);
    client
        .say(
            r"
        C: c SELECT INBOX
        S: ...
        S: c OK *
        C: d STORE 2:3,7 +FLAGS.SILENT (\Deleted)
        S: ...
        S: d OK *
        C: e EXPUNGE
        S: * 2 EXPUNGE
        S: * 2 EXPUNGE
        S: * 5 EXPUNGE
        S: e OK *
        C: f UID STORE 5 +FLAGS.SILENT (\Seen)
        S: ...
        S: f OK *
    ",
        )
        .await;
    (client, known)
}

#[tokio::test]
async fn a_client_that_was_away_hears_only_of_changes() {
    let server = Server::start().await;
    let (_, known) = mailbox(&server).await;
    let (validity, modseq) = known.split_once(' ').unwrap();
    let mut client = server.login().await;
    client
        .say(&format!(
            r"
        C: a SELECT INBOX (QRESYNC ({known}))
        S: a BAD *
        C: b ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: b OK *
        C: c SELECT INBOX (QRESYNC ({known}))
        S: ...
        S: * 6 EXISTS
        S: ...
        S: * OK [HIGHESTMODSEQ *] *
        S: * OK [MAILBOXID *] *
        S: * VANISHED (EARLIER) 2:3,7
        S: * 3 FETCH (UID 5 FLAGS (\Seen) MODSEQ (*))
        S: c OK *
        C: d SELECT INBOX (QRESYNC ({known} 3:6 (1:3 1,4,5)))
        S: * OK [CLOSED] *
        S: ...
        S: * VANISHED (EARLIER) 3
        S: * 3 FETCH (UID 5 FLAGS (\Seen) MODSEQ (*))
        S: d OK *
        C: e SELECT INBOX (QRESYNC ({validity} {modseq} 8:9))
        S: ...
        S: * OK [MAILBOXID *] *
        S: e OK *
        C: f SELECT INBOX (QRESYNC (1 {modseq}))
        S: ...
        S: * OK [MAILBOXID *] *
        S: f OK *
        C: g SELECT INBOX (QRESYNC ({validity} 9999999))
        S: ...
        S: * OK [MAILBOXID *] *
        S: g OK *
        C: h UID FETCH 1:6 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)
        S: * VANISHED (EARLIER) 2:3
        S: * 3 FETCH (UID 5 FLAGS (\Seen) MODSEQ (*))
        S: h OK *
    "
        ))
        .await;
    for wrong in [
        "SELECT INBOX (QRESYNC)".to_owned(),
        format!("SELECT INBOX (QRESYNC ({validity}))"),
        format!("SELECT INBOX (QRESYNC ({validity} {modseq} 1:*))"),
        format!("SELECT INBOX (QRESYNC ({validity} {modseq} (1:2)))"),
        "UID FETCH 1:6 (FLAGS) (VANISHED)".to_owned(),
        format!("FETCH 1:6 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)"),
    ] {
        client.say(&format!("C: a {wrong}\nS: a BAD *\nC: n NOOP\nS: n OK *")).await;
    }
    server
        .dialog(&format!(
            r"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b UID FETCH 1:6 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)
        S: b BAD *
    "
        ))
        .await;
}

#[tokio::test]
async fn expunges_are_told_by_uid_and_where_they_may_be() {
    let server = Server::start().await;
    let (mut other, _) = mailbox(&server).await;
    let mut client = server.login().await;
    client
        .say(
            r"
        C: a ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: a OK *
        C: b SELECT INBOX
        S: ...
        S: b OK *
    ",
        )
        .await;
    other
        .say("C: a UID STORE 1,9 +FLAGS.SILENT (\\Deleted)\nS: ...\nS: a OK *\nC: b UID EXPUNGE 1,9\nS: ...\nS: b OK *")
        .await;
    client
        .say(
            r"
        C: c FETCH 2 UID
        S: * 2 FETCH (UID 4)
        S: ...
        S: c OK *
        C: d SEARCH ALL
        S: * SEARCH 1 2 3 4 5 6
        S: d OK *
        C: e NOOP
        S: * VANISHED 1,9
        S: e OK *
        C: f UID STORE 4,6 +FLAGS (\Deleted)
        S: * 1 FETCH (UID 4 FLAGS (\Deleted) MODSEQ (*))
        S: * 3 FETCH (UID 6 FLAGS (\Deleted) MODSEQ (*))
        S: f OK *
        C: g UID EXPUNGE 4
        S: * VANISHED 4
        S: g OK [HIGHESTMODSEQ *] *
        C: h UID MOVE 8 Trash
        S: * OK [COPYUID *] *
        S: * VANISHED 8
        S: h OK [HIGHESTMODSEQ *] *
        C: i CLOSE
        S: i OK [HIGHESTMODSEQ *] *
        C: j STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 1)
        S: j OK *
    ",
        )
        .await;
    server.check().await;
}

#[tokio::test]
async fn without_numbers_everything_is_named_by_uid() {
    let server = Server::start().await;
    let (mut other, known) = mailbox(&server).await;
    let mut client = server.login().await;
    client
        .say(&format!(
            r"
        C: a ENABLE UIDONLY QRESYNC
        S: * ENABLED UIDONLY QRESYNC
        S: a OK *
        C: b SELECT INBOX (QRESYNC ({known}))
        S: * FLAGS (*)
        S: * OK [PERMANENTFLAGS (*)] *
        S: * 6 EXISTS
        S: * 0 RECENT
        S: * OK [UIDVALIDITY *] *
        S: ...
        S: * VANISHED (EARLIER) 2:3,7
        S: * 5 UIDFETCH (FLAGS (\Seen) MODSEQ (*))
        S: b OK *
        C: c UID FETCH 4:5 (UID RFC822.SIZE)
        S: * 4 UIDFETCH (RFC822.SIZE 3)
        S: * 5 UIDFETCH (RFC822.SIZE 3)
        S: c OK *
        C: d UID STORE 4 +FLAGS (\Deleted)
        S: * 4 UIDFETCH (FLAGS (\Deleted) MODSEQ (*))
        S: d OK *
        C: e UID STORE 4 +FLAGS.SILENT (\Flagged)
        S: * 4 UIDFETCH (MODSEQ (*))
        S: e OK *
        C: f EXPUNGE
        S: * VANISHED 4
        S: f OK *
        C: g UID SEARCH UID 5:6
        S: * SEARCH 5 6
        S: g OK *
        C: h UID FETCH 5 UID
        S: * 5 UIDFETCH (UID 5)
        S: h OK *
        C: i SELECT INBOX (QRESYNC ({known} 1:9 (1 1)))
        S: i BAD [UIDREQUIRED] *
    "
        ))
        .await;
    other.say("C: a UID STORE 6 +FLAGS.SILENT (\\Answered)\nS: ...\nS: a OK *").await;
    client.say("C: a NOOP\nS: * 6 UIDFETCH (FLAGS (\\Answered) MODSEQ (*))\nS: a OK *").await;
    for refused in [
        "FETCH 1 FLAGS",
        "STORE 1 FLAGS ()",
        "SEARCH ALL",
        "SORT (DATE) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "COPY 1 Trash",
        "MOVE 1 Trash",
        "UID SEARCH NOT 1:2",
    ] {
        client.say(&format!("C: a {refused}\nS: a BAD [UIDREQUIRED] *\nC: n NOOP\nS: n OK *")).await;
    }
}
