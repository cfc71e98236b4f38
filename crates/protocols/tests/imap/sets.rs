//! Sets of messages at their edges, and messages that somebody else expunged.

use crate::dialog::Server;

#[tokio::test]
async fn an_empty_mailbox_has_no_numbers() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: s SELECT INBOX
        S: ...
        S: s OK *
        C: a FETCH * FLAGS
        S: a BAD *
        C: b FETCH 1:* FLAGS
        S: b BAD *
        C: c STORE * +FLAGS (\Seen)
        S: c BAD *
        C: d COPY 1:* Trash
        S: d BAD *
        C: e UID FETCH * FLAGS
        S: e OK *
        C: f UID FETCH 1:* (FLAGS ENVELOPE)
        S: f OK *
        C: g UID STORE 1:* +FLAGS (\Seen)
        S: g OK *
        C: h UID COPY 1:* Trash
        S: h OK *
        C: i UID MOVE * Trash
        S: i OK *
        C: j UID EXPUNGE 1:*
        S: j OK *
        C: k SEARCH 1:*
        S: * SEARCH
        S: k OK *
        C: l UID SEARCH UID * SEEN
        S: * SEARCH
        S: l OK *
        C: m SEARCH RETURN (MIN MAX COUNT ALL) ALL
        S: * ESEARCH (TAG "m") COUNT 0
        S: m OK *
        C: n FETCH 0 FLAGS
        S: n BAD *
        C: o FETCH 1:0 FLAGS
        S: o BAD *
        C: p UID FETCH 4294967296 FLAGS
        S: p BAD *
        C: q FETCH 1, FLAGS
        S: q BAD *
        C: r UID COPY 1:* Nowhere
        S: r NO [TRYCREATE] *
    "#,
        )
        .await;
}

/// Six messages, the third and fourth of which are gone.
const SIX: &str = r"
    C: a UID STORE 3:4 +FLAGS.SILENT (\Deleted)
    S: a OK *
    C: b EXPUNGE
    S: * 3 EXPUNGE
    S: * 3 EXPUNGE
    S: b OK *
";

#[tokio::test]
async fn sets_may_go_beyond_the_end_by_uid_only() {
    let server = Server::start().await;
    let mut client = server.login().await;
    for _ in 0..6 {
        client.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    client.say(SIX).await;
    client
        .say(
            r#"
        C: c FETCH 5 FLAGS
        S: c BAD *
        C: d FETCH 4:9 FLAGS
        S: d BAD *
        C: e FETCH *:3 UID
        S: * 3 FETCH (UID 5)
        S: * 4 FETCH (UID 6)
        S: e OK *
        C: f UID FETCH 3:4 FLAGS
        S: f OK *
        C: g UID FETCH 2,4:5,900:1000 UID
        S: * 2 FETCH (UID 2)
        S: * 3 FETCH (UID 5)
        S: g OK *
        C: h UID FETCH 1000:* UID
        S: * 4 FETCH (UID 6)
        S: h OK *
        C: i FETCH 4,1,1:2 UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 2)
        S: * 4 FETCH (UID 6)
        S: i OK *
        C: j SEARCH 3:100
        S: * SEARCH 3 4
        S: j OK *
        C: k UID SEARCH NOT UID 5:*
        S: * SEARCH 1 2
        S: k OK *
        C: l UID COPY 2:5 Trash
        S: l OK [COPYUID * 2,5 1:2] *
        C: m UID MOVE 3:4 Trash
        S: m OK *
        C: n UID STORE 3:4 +FLAGS (\Seen)
        S: n OK *
        C: o UID STORE 1 +FLAGS (\Deleted)
        S: ...
        S: o OK *
        C: p UID EXPUNGE 2:*
        S: p OK *
        C: q SEARCH RETURN (SAVE) UID 2,6
        S: q OK *
        C: r UID STORE $ +FLAGS.SILENT (\Flagged)
        S: r OK *
        C: t FETCH $ (UID FLAGS)
        S: * 2 FETCH (UID 2 FLAGS (\Flagged))
        S: * 4 FETCH (UID 6 FLAGS (\Flagged))
        S: t OK *
        C: u SEARCH RETURN (SAVE) CHARSET X-NONE ALL
        S: u NO [BADCHARSET (UTF-8)] *
        C: v FETCH $ FLAGS
        S: v OK *
        C: w CLOSE
        S: w OK *
        C: x STATUS INBOX (MESSAGES DELETED UIDNEXT)
        S: * STATUS INBOX (MESSAGES 3 DELETED 0 UIDNEXT 7)
        S: x OK *
    "#,
        )
        .await;
    server.check().await;
}

#[tokio::test]
async fn what_somebody_else_expunged_is_not_there_and_numbers_stay() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    for _ in 0..6 {
        one.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    for client in [&mut one, &mut two] {
        client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    }
    one.say(SIX).await;
    two.say(
        r"
        C: a FETCH 3:5 (UID RFC822.SIZE)
        S: * 5 FETCH (UID 5 RFC822.SIZE 3)
        S: * 3 FETCH (UID 3 FLAGS (\Deleted*))
        S: * 4 FETCH (UID 4 FLAGS (\Deleted*))
        S: a OK [EXPUNGEISSUED] *
        C: b SEARCH 5
        S: * SEARCH 5
        S: b OK *
        C: c NOOP
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: c OK *
        C: d SEARCH ALL
        S: * SEARCH 1 2 3 4
        S: d OK *
    ",
    )
    .await;
}
