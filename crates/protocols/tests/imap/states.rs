//! Commands in the wrong state, and extensions that are switched on.

use crate::dialog::Server;

#[tokio::test]
async fn commands_belong_to_states() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for line in [
        "ENABLE CONDSTORE",
        "NAMESPACE",
        "LIST \"\" *",
        "LSUB \"\" *",
        "STATUS INBOX (MESSAGES)",
        "CREATE x",
        "DELETE x",
        "RENAME x y",
        "SUBSCRIBE x",
        "UNSUBSCRIBE x",
        "IDLE",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "UID FETCH 1 FLAGS",
        "APPEND INBOX {3}",
    ] {
        client.say(&format!("C: a {line}\nS: a BAD *\nC: n NOOP\nS: n OK *")).await;
    }
    client.say("C: l LOGIN ana pw\nS: l OK *").await;
    for line in [
        "LOGIN ana pw",
        "AUTHENTICATE PLAIN",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "UID EXPUNGE 1",
        "SEARCH ALL",
        "UID SEARCH ALL",
        "FETCH 1 FLAGS",
        "STORE 1 +FLAGS (\\Seen)",
        "COPY 1 Trash",
        "UID MOVE 1 Trash",
    ] {
        client.say(&format!("C: a {line}\nS: a BAD *\nC: n NOOP\nS: n OK *")).await;
    }
    // A SELECT that fails leaves nothing selected.
    client
        .say(
            r"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b SELECT Nowhere
        S: * OK [CLOSED] *
        S: b NO [NONEXISTENT] *
        C: c SEARCH ALL
        S: c BAD *
        C: d EXAMINE INBOX
        S: * FLAGS (*)
        S: * OK [PERMANENTFLAGS ()] *
        S: ...
        S: d OK [READ-ONLY] *
        C: e STORE 1 +FLAGS (\Seen)
        S: e NO *
        C: f EXPUNGE
        S: f NO *
        C: g UID MOVE 1 Trash
        S: g NO *
        C: h CHECK
        S: h OK *
        C: i CLOSE
        S: i OK *
        C: j UNSELECT
        S: j BAD *
    ",
        )
        .await;
}

#[tokio::test]
async fn nobody_sends_messages_before_log_in() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.say("C: a APPEND INBOX {100000+}\nS: * BYE Log in first").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn log_ins_take_their_forms_and_are_counted() {
    let server = Server::start().await;
    for dialog in [
        "C: a AUTHENTICATE PLAIN AGFuYQBwdw==\nS: a OK [CAPABILITY *] *",
        "C: a AUTHENTICATE PLAIN\nS: +*\nC: AGFuYQBwdw==\nS: a OK *",
        "C: a AUTHENTICATE LOGIN\nS: + *\nC: YW5h\nS: + *\nC: cHc=\nS: a OK *",
        "C: a AUTHENTICATE LOGIN YW5h\nS: + *\nC: cHc=\nS: a OK *",
        "C: a LOGIN {3}\nS: + *\nC: ana {2}\nS: + *\nC: pw\nS: a OK *",
        "C: a LOGIN \"ana\" {2+}\nC: pw\nS: a OK *",
        "C: a AUTHENTICATE PLAIN\nS: +*\nC: *\nS: a BAD *",
        "C: a AUTHENTICATE PLAIN\nS: +*\nC: no base64!\nS: a BAD *",
        "C: a AUTHENTICATE PLAIN =\nS: a BAD *",
        "C: a AUTHENTICATE GSSAPI\nS: a NO *",
        "C: a AUTHENTICATE PLAIN Ym9iAGFuYQBwdw==\nS: a NO [AUTHENTICATIONFAILED] *",
    ] {
        server.connect().await.say(&format!("{dialog}\nC: n NOOP\nS: n OK *")).await;
    }
    let mut client = server.connect().await;
    for _ in 0..4 {
        client.say("C: a LOGIN ana wrong\nS: a NO [AUTHENTICATIONFAILED] *").await;
    }
    client.say("C: a LOGIN ana wrong\nS: * BYE *").await;
}

#[tokio::test]
async fn bad_commands_are_counted_in_a_row() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for _ in 0..19 {
        client.say("C: a NONSENSE\nS: a BAD *").await;
    }
    client.say("C: n NOOP\nS: n OK *").await;
    for _ in 0..19 {
        client.say("C: a NONSENSE\nS: a BAD *").await;
    }
    client.say("C: a NONSENSE\nS: a BAD *\nS: * BYE *").await;
}

#[tokio::test]
async fn what_is_said_about_the_server() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .say(
            r#"
        C: a CAPABILITY
        S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID AUTH=PLAIN AUTH=LOGIN
        S: a OK *
        C: b ID NIL
        S: * ID ("name" "Sterna")
        S: b OK *
        C: c ID ("name" "Tern" "version" NIL)
        S: * ID (*)
        S: c OK *
        C: d ID ("name")
        S: d BAD *
        C: l LOGIN ana pw
        S: l OK [CAPABILITY * IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE * CONDSTORE *] *
        C: e NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other users/" "/")) (("Shared folders/" "/"))
        S: e OK *
        C: f ENABLE X-NONE
        S: * ENABLED
        S: f OK *
        C: g ENABLE condstore CONDSTORE utf8=accept
        S: * ENABLED CONDSTORE UTF8=ACCEPT
        S: g OK *
        C: h ENABLE
        S: h BAD *
    "#,
        )
        .await;
}

#[tokio::test]
async fn a_connection_goes_on_with_another_user() {
    let server = Server::shared().await;
    let mut client = server.connect().await;
    client
        .say(
            r"
        C: a UNAUTHENTICATE
        S: a BAD *
        C: b LOGIN ana pw
        S: b OK [CAPABILITY * UNAUTHENTICATE *] *
        C: c ENABLE CONDSTORE UTF8=ACCEPT
        S: * ENABLED CONDSTORE UTF8=ACCEPT
        S: c OK *
        C: d APPEND INBOX (\Deleted) {3+}
        C: abc
        S: d OK *
        C: e SELECT INBOX
        S: ...
        S: e OK *
        C: f UNAUTHENTICATE
        S: f OK [CAPABILITY * AUTH=PLAIN AUTH=LOGIN] *
        C: g FETCH 1 FLAGS
        S: g BAD *
        C: h LOGIN bob pw
        S: h OK *
        C: i SELECT INBOX
        S: ...
        S: * 0 EXISTS
        S: ...
        S: i OK *
        C: j CREATE Entw&APw-rfe
        S: j OK *
        C: k LIST {0+}
        C:  E*
        S: * LIST (*) */* Entw&APw-rfe
        S: k OK *
        C: l UNAUTHENTICATE
        S: l OK *
        C: m AUTHENTICATE PLAIN AGFuYQBwdw==
        S: m OK *
        C: n STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 1)
        S: n OK *
    ",
        )
        .await;
}
