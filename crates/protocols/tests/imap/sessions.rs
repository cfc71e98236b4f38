//! Several sessions on one mailbox, states, and log-in.

use crate::dialog::Server;

#[tokio::test]
async fn states_are_kept_apart() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .say(
            r#"
        C: a SELECT INBOX
        S: a BAD *
        C: b LOGIN ana wrong
        S: b NO [AUTHENTICATIONFAILED] *
        C: c AUTHENTICATE PLAIN AGFuYQBwdw==
        S: c OK [CAPABILITY IMAP4rev1 IMAP4rev2 *] *
        C: d FETCH 1 FLAGS
        S: d BAD *
        C: e ENABLE IMAP4rev2 CONDSTORE
        S: * ENABLED IMAP4rev2 CONDSTORE
        S: e OK *
        C: f SELECT INBOX
        S: * FLAGS (*)
        S: * OK [PERMANENTFLAGS (*)] *
        S: * 0 EXISTS
        S: * LIST () "/" "INBOX"
        S: ...
        S: f OK [READ-WRITE] *
        C: g LOGOUT
        S: * BYE *
        S: g OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn expunges_are_told_only_where_numbers_may_change() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    for _ in 0..3 {
        one.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    two.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    one.say(
        r"
        C: s SELECT INBOX
        S: ...
        S: s OK *
        C: b STORE 2 +FLAGS (\Deleted)
        S: ...
        S: b OK *
        C: c EXPUNGE
        S: * 2 EXPUNGE
        S: c OK *
        C: d APPEND INBOX {3+}
        C: abc
        S: * 3 EXISTS
        S: * 1 RECENT
        S: d OK *
    ",
    )
    .await;
    two.say(
        r"
        C: b FETCH 3 UID
        S: * 3 FETCH (UID 3)
        S: * 2 FETCH (UID 2 FLAGS (\Deleted))
        S: * 4 EXISTS
        S: * 1 RECENT
        S: b OK *
        C: c STORE 3 +FLAGS (\Flagged)
        S: * 3 FETCH (UID 3 FLAGS (\Flagged))
        S: c OK *
        C: d NOOP
        S: * 2 EXPUNGE
        S: d OK *
        C: e FETCH 2:3 UID
        S: * 2 FETCH (UID 3)
        S: * 3 FETCH (UID 4)
        S: e OK *
    ",
    )
    .await;
    one.say("C: e NOOP\nS: * 2 FETCH (UID 3 FLAGS (\\Flagged))\nS: e OK *").await;
    server.check().await;
}

#[tokio::test]
async fn idle_tells_at_once() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    two.say("C: s SELECT INBOX\nS: ...\nS: s OK *\nC: i IDLE\nS: + *").await;
    one.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    two.say("S: * 1 EXISTS\nS: * 1 RECENT\nC: DONE\nS: i OK *").await;
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.send(b"a SELECT INBOX\r\nb APPEND INBOX {3+}\r\nabc\r\nc FETCH 1 UID\r\nd LOGOUT\r\n").await;
    client
        .say("S: ...\nS: a OK *\nS: * 1 EXISTS\nS: * 1 RECENT\nS: b OK *\nS: * 1 FETCH (UID 1)\nS: c OK *\nS: * BYE *\nS: d OK *")
        .await;
}

#[tokio::test]
async fn several_expunges_are_numbered_one_after_the_other() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    for _ in 0..5 {
        one.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    for client in [&mut one, &mut two] {
        client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    }
    one.say("C: b UID STORE 2 +FLAGS.SILENT (\\Deleted)\nS: b OK *\nC: c EXPUNGE\nS: * 2 EXPUNGE\nS: c OK *").await;
    two.say("C: n NOOP\nS: ...\nS: * 2 EXPUNGE\nS: n OK *").await;
    one.say("C: d UID STORE 1,4 +FLAGS.SILENT (\\Deleted)\nS: d OK *").await;
    one.say("C: e EXPUNGE\nS: * 1 EXPUNGE\nS: * 2 EXPUNGE\nS: e OK *").await;
    two.say("C: n NOOP\nS: ...\nS: * 1 EXPUNGE\nS: * 2 EXPUNGE\nS: n OK *").await;
    for client in [&mut one, &mut two] {
        client.say("C: f FETCH 1:* UID\nS: * 1 FETCH (UID 3)\nS: * 2 FETCH (UID 5)\nS: f OK *").await;
    }
    server.check().await;
}

#[tokio::test]
async fn new_mail_is_recent_for_who_hears_of_it_first_and_only_in_rev1() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    let mut rev2 = server.login().await;
    rev2.say("C: e ENABLE IMAP4rev2\nS: * ENABLED IMAP4rev2\nS: e OK *").await;
    for client in [&mut one, &mut rev2] {
        client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    }
    for _ in 0..2 {
        two.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    one.say(
        r"
        C: n NOOP
        S: * 2 EXISTS
        S: * 2 RECENT
        S: n OK *
        C: f FETCH 2 FLAGS
        S: * 2 FETCH (FLAGS (\Recent))
        S: f OK *
        C: r SEARCH RECENT
        S: * SEARCH 1 2
        S: r OK *
    ",
    )
    .await;
    rev2.say("C: n NOOP\nS: * 2 EXISTS\nS: n OK *\nC: f FETCH 2 FLAGS\nS: * 2 FETCH (FLAGS ())\nS: f OK *").await;
    two.say("C: s SELECT INBOX\nS: ...\nS: * 2 EXISTS\nS: * 0 RECENT\nS: ...\nS: s OK *").await;
}
