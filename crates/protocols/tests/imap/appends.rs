//! Several messages in one command, messages put together from others, and messages that replace one.

use sterna_account::Mutation;
use sterna_account::service::Accounts;
use sterna_base::OperationId;

use crate::dialog::{ANA, BOB, INFO, Server};

/// A draft with two parts, of 133 bytes; the parts are `one` and `two`.
const DRAFT: &str = r#"
    C: a APPEND INBOX {133+}
    C: Subject: draft\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\nX-Part: second\r\n\r\ntwo\r\n--b--\r\n
    S: a OK [APPENDUID * 1] *
"#;

#[tokio::test]
async fn several_messages_are_appended_at_once() {
    let dialog = r#"
        C: a APPEND INBOX (\Seen) {3}
        S: + *
        C+ one
        C:  " 1-Feb-2026 10:00:00 +0000" ~{4+}
        C+ t\0wo
        C:  ($Tern \Flagged) "02-Feb-2026 10:00:00 +0000" {5}
        S: + *
        C: three
        S: a OK [APPENDUID * 1:3] *
        C: b SELECT INBOX
        S: ...
        S: b OK *
        C: c FETCH 1:3 (FLAGS RFC822.SIZE)
        S: * 1 FETCH (FLAGS (\Seen) RFC822.SIZE 3)
        S: * 2 FETCH (FLAGS () RFC822.SIZE 4)
        S: * 3 FETCH (FLAGS (\Flagged $Tern) RFC822.SIZE 5)
        S: c OK *
        C: d FETCH 2:3 INTERNALDATE
        S: * 2 FETCH (INTERNALDATE " 1-Feb-2026 10:00:00 +0000")
        S: * 3 FETCH (INTERNALDATE " 2-Feb-2026 10:00:00 +0000")
        S: d OK *
        C: e CAPABILITY
        S: * CAPABILITY * MULTIAPPEND *
        S: e OK *
    "#;
    Server::start().await.dialog(dialog).await;
}

#[tokio::test]
async fn all_of_several_messages_are_appended_or_none() {
    let dialog = r#"
        C: a APPEND INBOX {3+}
        C: one {0+}
        C+ \r\n
        S: a NO *
        C: b APPEND INBOX {3+}
        C: one {0}
        S: b NO *
        C: c APPEND INBOX {3+}
        C: one (\Nonsense) {3+}
        C: two {6+}
        C: x NOOP
        S: c BAD *
        C: d APPEND INBOX {3+}
        C: one (\Seen {3}
        S: d BAD *
        C: e APPEND INBOX {3+}
        C: one {99999999}
        S: e NO [TOOBIG] *
        C: f APPEND Nowhere {3+}
        C: one {3+}
        C: two
        S: f NO [TRYCREATE] *
        C: g APPEND INBOX {3+}
        C: one x
        S: g BAD *
        C: h STATUS INBOX (MESSAGES UIDNEXT)
        S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1)
        S: h OK *
    "#;
    Server::start().await.dialog(dialog).await;
}

#[tokio::test]
async fn more_than_memory_should_hold_is_appended_at_once() {
    let server = Server::start().await;
    let mut client = server.login().await;
    // Fifty small messages are more than the bytes that are held; every tenth is large.
    let mut command = b"a APPEND INBOX".to_vec();
    for number in 0..50_u8 {
        let size = if number % 10 == 0 { 300_000 } else { 120_000 };
        command.extend_from_slice(format!(" {{{size}+}}\r\n").as_bytes());
        command.extend(std::iter::repeat_n(b'a' + number % 26, size));
    }
    command.extend_from_slice(b"\r\n");
    client.send(&command).await;
    client
        .say(
            r"
        S: a OK [APPENDUID * 1:50] *
        C: b EXAMINE INBOX
        S: ...
        S: b OK *
        C: c FETCH 1,40,41,50 (RFC822.SIZE BODY.PEEK[]<119997.9>)
        S: * 1 FETCH (RFC822.SIZE 300000 BODY[]<119997> {9}aaaaaaaaa)
        S: * 40 FETCH (RFC822.SIZE 120000 BODY[]<119997> {3}nnn)
        S: * 41 FETCH (RFC822.SIZE 300000 BODY[]<119997> {9}ooooooooo)
        S: * 50 FETCH (RFC822.SIZE 120000 BODY[]<119997> {3}xxx)
        S: c OK *
    ",
        )
        .await;
    server.check().await;
}

#[tokio::test]
async fn a_message_is_put_together() {
    let server = Server::start().await;
    server.dialog(&format!(r#"{DRAFT}
        C: b APPEND INBOX (\Draft) CATENATE (URL "/INBOX/;UID=1/;section=HEADER" TEXT {{7}}
        S: + *
        C+ --b\r\n\r\n
        C:  URL {{24}}
        S: + *
        C: /INBOX/;UID=1/;SECTION=9 TEXT {{1}}
        S: b NO [BADURL /INBOX/;UID=1/;SECTION=9] *
        C: c APPEND INBOX (\Draft) CATENATE (URL /INBOX/;UID=1/;section=HEADER TEXT ~{{7}}
        S: + *
        C+ --b\r\n\r\n
        C:  URL {{24+}}
        C+ /inbox/;UID=1/;SECTION=1
        C:  TEXT {{5+}}
        C+ \r\n--b
        C:  TEXT {{2+}}
        C+ \r\n
        C:  URL "/INBOX/;UID=1/;SECTION=2.MIME" URL "/INBOX/;UID=1/;SECTION=2/;PARTIAL=1.2")
        S: c OK [APPENDUID * 2] *
        C: d SELECT INBOX
        S: ...
        S: d OK *
        C: e FETCH 2 (FLAGS BODY.PEEK[TEXT])
        S: * 2 FETCH (FLAGS (\Draft) BODY[TEXT] {{62}}--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\nX-Part: second\r\n\r\nwo)
        S: e OK *
        C: f FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: f OK *
    "#)).await;
}

#[tokio::test]
async fn urls_are_read_as_relative_to_the_selected_mailbox() {
    let server = Server::start().await;
    server
        .dialog(&format!(
            r#"{DRAFT}
        C: b CREATE above/one
        S: b OK *
        C: b2 CREATE above/two
        S: b2 OK *
        C: c APPEND INBOX CATENATE (URL ;UID=1/;SECTION=1)
        S: c NO [BADURL ;UID=1/;SECTION=1] *
        C: d APPEND above/one CATENATE (URL INBOX/;UID=1/;SECTION=1)
        S: d OK *
        C: e SELECT above/one
        S: ...
        S: e OK *
        C: f APPEND above/two CATENATE (URL ;UID=1 URL one/;UID=1 URL /above/one/;UID=1)
        S: f OK *
        C: g EXAMINE above/two
        S: ...
        S: g OK *
        C: h FETCH 1 BODY[]
        S: * 1 FETCH (BODY[] {{9}}oneoneone)
        S: h OK *
        C: i APPEND INBOX CATENATE (URL ";UID=1/;SECTION=HEADER.FIELDS%20(Subject)" TEXT {{1+}}
        C: x)
        S: i OK *
    "#
        ))
        .await;
}

#[tokio::test]
async fn urls_that_name_nothing_are_refused_wherever_they_stand() {
    let server = Server::start().await;
    server
        .dialog(&format!(
            r#"{DRAFT}
        C: b APPEND INBOX CATENATE (URL "/INBOX;UIDVALIDITY=1/;UID=1")
        S: b NO [BADURL /INBOX;UIDVALIDITY=1/;UID=1] *
        C: c APPEND INBOX CATENATE (URL /INBOX/;UID=2)
        S: c NO [BADURL *
        C: d APPEND INBOX CATENATE (TEXT {{3+}}
        C+ abc
        C:  URL "imap://example.org/INBOX/;UID=1" TEXT {{6+}}
        C: x NOOP)
        S: d NO [BADURL imap://example.org/INBOX/;UID=1] *
        C: e APPEND INBOX CATENATE (TEXT {{3+}}
        C: abc TEXT {{3}}
        S: + *
        C: abc URL "/No where]/;UID=1" TEXT {{6}}
        S: e NO [BADURL /No%20where%5D/;UID=1] *
        C: f APPEND INBOX CATENATE (URL /INBOX/;UID=1/;SECTION=1.HEADER)
        S: f NO [BADURL *
        C: g APPEND INBOX CATENATE (TEXT {{0+}}
        C: )
        S: g NO *
        C: h APPEND INBOX CATENATE ()
        S: h BAD *
        C: i APPEND INBOX CATENATE (TEXT "abc")
        S: i BAD *
        C: j STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 1)
        S: j OK *
        C: k CAPABILITY
        S: * CAPABILITY * CATENATE *
        S: k OK *
    "#
        ))
        .await;
}

#[tokio::test]
async fn what_is_put_together_can_be_too_big() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let size = 40 * 1024 * 1024;
    client.send(format!("a APPEND INBOX {{{size}+}}\r\n").as_bytes()).await;
    for _ in 0..40 {
        client.send(&b"x".repeat(1024 * 1024)).await;
    }
    client
        .say(
            r"
        C+ \r\n
        S: a OK *
        C: b APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT {3+}
        C: abc URL /INBOX/;UID=1 TEXT {3}
        S: b NO [TOOBIG] *
        C: c APPEND INBOX CATENATE (URL /INBOX/;UID=1/;PARTIAL=41943030 TEXT {3}
        S: + *
        C: abc)
        S: c OK *
        C: d EXAMINE INBOX
        S: ...
        S: d OK *
        C: e FETCH 2 BODY[]
        S: * 2 FETCH (BODY[] {13}xxxxxxxxxxabc)
        S: e OK *
    ",
        )
        .await;
}

#[tokio::test]
async fn a_message_of_somebody_else_is_put_in_where_it_may_be_read() {
    let server = Server::shared().await;
    server.give_info("INBOX", BOB, "lri").await;
    server.give_info("Sent", BOB, "li").await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a APPEND "Shared folders/info@x.test/INBOX" {3+}
        C: abc
        S: a OK *
        C: b APPEND "Shared folders/info@x.test/Sent" CATENATE (URL "/Shared%20folders/info@x.test/INBOX/;UID=1")
        S: b OK *
        C: c APPEND INBOX CATENATE (URL "/Shared%20folders/info@x.test/INBOX/;UID=1" TEXT {1+}
        C: x)
        S: c OK *
        C: d APPEND INBOX CATENATE (URL "/Shared%20folders/info@x.test/Sent/;UID=1")
        S: d NO [BADURL *
        C: e EXAMINE INBOX
        S: ...
        S: e OK *
        C: f FETCH 1 BODY[]
        S: * 1 FETCH (BODY[] {4}abcx)
        S: f OK *
    "#,
    )
    .await;
    server.check().await;
}

#[tokio::test]
async fn a_message_replaces_another() {
    let server = Server::start().await;
    let mut other = server.login().await;
    server
        .dialog(&format!(
            r#"{DRAFT}
        C: b REPLACE 1 INBOX {{3}}
        S: b BAD *
        C: c SELECT INBOX
        S: ...
        S: c OK *
        C: d REPLACE 1 INBOX (\Seen \Draft) {{3}}
        S: + *
        C: two
        S: * OK [APPENDUID * 2] *
        S: * 1 EXPUNGE
        S: * 1 EXISTS
        S: * 1 RECENT
        S: d OK *
        C: e UID REPLACE 2 Drafts CATENATE (URL ;UID=2 TEXT {{4+}}
        C: more)
        S: * OK [APPENDUID * 1] *
        S: * 1 EXPUNGE
        S: e OK *
        C: f SELECT Drafts
        S: ...
        S: f OK *
        C: g FETCH 1 (FLAGS BODY.PEEK[])
        S: * 1 FETCH (FLAGS (*) BODY[] {{7}}twomore)
        S: g OK *
        C: h REPLACE * Drafts {{1+}}
        C: x
        S: * OK [APPENDUID * 2] *
        S: ...
        S: h OK *
    "#
        ))
        .await;
    other
        .say(
            "C: a STATUS INBOX (MESSAGES UIDNEXT)\nS: * STATUS INBOX (MESSAGES 0 UIDNEXT 3)\nS: a OK *\n
            C: b STATUS Drafts (MESSAGES)\nS: * STATUS Drafts (MESSAGES 1)\nS: b OK *\n
            C: c CAPABILITY\nS: * CAPABILITY * REPLACE*\nS: c OK *",
        )
        .await;
}

#[tokio::test]
async fn a_replacement_that_is_refused_leaves_the_message() {
    let server = Server::start().await;
    server
        .dialog(&format!(
            r#"{DRAFT}
        C: c SELECT INBOX
        S: ...
        S: c OK *
        C: d REPLACE 1 Nowhere {{3+}}
        C: abc
        S: d NO [TRYCREATE] *
        C: e REPLACE 1 INBOX {{0}}
        S: e NO *
        C: f REPLACE 1 INBOX {{3+}}
        C: abc {{3+}}
        C: def
        S: f BAD *
        C: g REPLACE 2 INBOX {{3+}}
        C: abc
        S: g BAD *
        C: h UID REPLACE 2 INBOX {{3+}}
        C: abc
        S: h NO *
        C: i REPLACE 1:2 INBOX {{3}}
        S: i BAD *
        C: j EXAMINE INBOX
        S: ...
        S: j OK *
        C: k REPLACE 1 INBOX {{3+}}
        C: abc
        S: k NO *
        C: l FETCH 1:* UID
        S: * 1 FETCH (UID 1)
        S: l OK *
        C: m ENABLE QRESYNC UIDONLY
        S: ...
        S: m OK *
        C: n SELECT INBOX
        S: ...
        S: n OK *
        C: o REPLACE 1 INBOX {{1}}
        S: o BAD [UIDREQUIRED] *
        C: p UID REPLACE 1 INBOX {{1+}}
        C: x
        S: * OK [APPENDUID * 2] *
        S: * VANISHED 1
        S: ...
        S: p OK [HIGHESTMODSEQ *] *
    "#
        ))
        .await;
}

#[tokio::test]
async fn a_replacement_finds_room_where_the_old_message_was() {
    let server = Server::start().await;
    let account = server.accounts.open(ANA).await.unwrap();
    let limit = Mutation::SetQuota { bytes_max: Some(150), items_max: None };
    account.commit(OperationId::random(), vec![limit]).await.unwrap();
    server
        .dialog(&format!(
            r"{DRAFT}
        C: b SELECT INBOX
        S: ...
        S: b OK *
        C: c APPEND INBOX {{10+}}
        C: 0123456789 {{10}}
        S: c NO [OVERQUOTA] *
        C: d REPLACE 1 INBOX {{151}}
        S: d NO [OVERQUOTA] *
        C: e REPLACE 1 INBOX {{10+}}
        C: 0123456789
        S: ...
        S: e OK *
    "
        ))
        .await;
}

#[tokio::test]
async fn a_message_of_somebody_else_is_replaced_by_who_may() {
    let server = Server::shared().await;
    server.give_info("INBOX", BOB, "lrite").await;
    server.give_info("Sent", BOB, "lri").await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a APPEND "Shared folders/info@x.test/INBOX" {3+}
        C: abc {3+}
        C: def
        S: a OK *
        C: b APPEND "Shared folders/info@x.test/Sent" {3+}
        C: abc
        S: b OK *
        C: c SELECT "Shared folders/info@x.test/INBOX"
        S: ...
        S: c OK *
        C: d REPLACE 1 "Shared folders/info@x.test/INBOX" {3+}
        C: new
        S: * OK [APPENDUID * 3] *
        S: * 1 EXPUNGE
        S: ...
        S: d OK *
        C: e REPLACE 1 Drafts {3+}
        C: own
        S: * OK [APPENDUID * 1] *
        S: * 1 EXPUNGE
        S: e OK *
        C: f SELECT "Shared folders/info@x.test/Sent"
        S: ...
        S: f OK *
        C: g REPLACE 1 INBOX {3+}
        C: abc
        S: g NO [NOPERM] *
        C: h STATUS Drafts (MESSAGES)
        S: * STATUS Drafts (MESSAGES 1)
        S: h OK *
    "#,
    )
    .await;
    assert!(server.elsewhere.get(INFO).await.is_ok());
    server.check().await;
}
