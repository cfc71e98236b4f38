//! Commands on messages.

use crate::dialog::Server;

const ONE: &str = r"
    C: a APPEND INBOX (\Seen $Tern) {29+}
    C: Subject: one\r\n\r\nfirst message
    S: a OK [APPENDUID * 1] *
    C: b SELECT INBOX
    S: ...
    S: b OK [READ-WRITE] *
";

#[tokio::test]
async fn a_message_is_appended_and_fetched() {
    let server = Server::start().await;
    server.dialog(&format!(r#"{ONE}
        C: c FETCH 1 (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)
        S: * 1 FETCH (UID 1 FLAGS (\Seen $Tern) RFC822.SIZE 29 ENVELOPE (NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL) BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 13 0 NIL NIL NIL NIL))
        S: c OK *
        C: d UID FETCH 1 (BODY[HEADER.FIELDS (Subject)] BODY.PEEK[TEXT]<0.5> BODY[2])
        S: * 1 FETCH (UID 1 BODY[HEADER.FIELDS (Subject)] {{16}}Subject: one\r\n\r\n BODY[TEXT]<0> {{5}}first BODY[2] NIL)
        S: d OK *
        C: e FETCH 2 FLAGS
        S: e BAD *
        C: f UID FETCH 5:* FLAGS
        S: * 1 FETCH (UID 1 FLAGS (\Seen $Tern))
        S: f OK *
    "#)).await;
}

#[tokio::test]
async fn flags_are_stored_and_told() {
    let server = Server::start().await;
    server
        .dialog(&format!(
            r#"{}
        C: c STORE 1 +FLAGS (\Flagged)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged \Seen $Tern))
        S: c OK *
        C: d STORE 1 -FLAGS.SILENT ($Tern)
        S: d OK *
        C: e FETCH 1 (FLAGS MODSEQ)
        S: * 1 FETCH (FLAGS (\Flagged \Seen) MODSEQ (*))
        S: e OK *
        C: f STORE 1 (UNCHANGEDSINCE 1) FLAGS (\Answered)
        S: f OK [MODIFIED 1] *
        C: g STORE 1 FLAGS (\Nonsense)
        S: g BAD *
        C: h SEARCH FLAGGED SUBJECT oNe TEXT first NOT DELETED
        S: * SEARCH 1
        S: h OK *
        C: i UID SEARCH RETURN (MIN COUNT ALL) KEYWORD $Tern
        S: * ESEARCH (TAG "i") UID COUNT 0
        S: i OK *
        C: j STORE 1 +FLAGS (\Deleted)
        S: ...
        S: j OK *
        C: k EXPUNGE
        S: * 1 EXPUNGE
        S: k OK *
    "#,
            ONE
        ))
        .await;
}

#[tokio::test]
async fn messages_are_copied_and_moved() {
    let server = Server::start().await;
    server
        .dialog(
            &format!(
                r#"{}
        C: c COPY 1 Trash
        S: c OK [COPYUID * 1 1] *
        C: d MOVE 1 Trash
        S: * OK [COPYUID * 1 2] *
        S: * 1 EXPUNGE
        S: d OK *
        C: e COPY 1 Nowhere
        S: e BAD *
        C: f STATUS Trash (MESSAGES UIDNEXT UNSEEN SIZE)
        S: * STATUS Trash (MESSAGES 2 UIDNEXT 3 UNSEEN 0 SIZE 58)
        S: f OK *
    "#,
                ONE
            )
            .replace("e COPY 1:* Nowhere", "e COPY 1 Nowhere"),
        )
        .await;
}

#[tokio::test]
async fn what_can_not_be_appended_leaves_the_session_in_step() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a APPEND Nowhere {3+}
        C: abc
        S: a NO [TRYCREATE] *
        C: b APPEND INBOX {999999999}
        S: b NO [TOOBIG] *
        C: c APPEND INBOX (\See {3}
        S: c BAD *
        C: d APPEND INBOX {3}
        S: + *
        C: abc
        S: d OK *
        C: e NOOP
        S: e OK *
        C: f FETCH 1 FLAGS
        S: f BAD *
        C: g NONSENSE
        S: g BAD *
    "#,
        )
        .await;
}

#[tokio::test]
async fn an_unknown_transfer_encoding_is_not_decoded() {
    let dialog = r"
        C: a APPEND INBOX {39+}
        C: Content-Transfer-Encoding: x-foo\r\n\r\nabc
        S: a OK *
        C: s SELECT INBOX
        S: ...
        S: s OK *
        C: b FETCH 1 (UID BINARY.PEEK[1])
        S: b NO [UNKNOWN-CTE] *
        C: c FETCH 1 BINARY.SIZE[1]
        S: c NO [UNKNOWN-CTE] *
        C: d FETCH 1 BODY.PEEK[1]
        S: * 1 FETCH (BODY[1] {3}abc)
        S: d OK *
    ";
    Server::start().await.dialog(dialog).await;
}
