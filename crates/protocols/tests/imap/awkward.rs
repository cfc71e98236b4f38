//! What awkward clients send: literals of every kind, refused commands with literals behind them, and everything in one
//! packet.

use crate::dialog::Server;

#[tokio::test]
async fn nothing_behind_a_refused_command_is_done() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a APPEND INBOX {3+}
        C: abc x {15+}
        C+ b DELETE Junk\r\n\r\n
        S: a BAD *
        C: c NONSENSE {15+}
        C+ d DELETE Junk\r\n\r\n
        S: c BAD *
        C: e LIST "" Junk
        S: * LIST (*) "/" Junk
        S: e OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn commands_may_come_in_one_packet_and_letter_by_letter() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let packet = "a CREATE {3+}\r\nOne\r\nb NOOP\r\nc APPEND One {2+}\r\nhi\r\nd STATUS One (MESSAGES)\r\n";
    client.send(packet.as_bytes()).await;
    client.say("S: a OK *\nS: b OK *\nS: c OK [APPENDUID * 1] *\nS: * STATUS One (MESSAGES 1)\nS: d OK *").await;
    for byte in packet.replace("One", "Two").bytes() {
        client.send(&[byte]).await;
    }
    client.say("S: a OK *\nS: b OK *\nS: c OK [APPENDUID * 1] *\nS: * STATUS Two (MESSAGES 1)\nS: d OK *").await;
    server.check().await;
}

#[tokio::test]
async fn searches_that_can_not_be_read_are_refused_by_their_reason() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b SEARCH CHARSET KOI8-R TEXT x
        S: b NO [BADCHARSET (UTF-8)] *
        C: c SEARCH SINCE 30-Feb-2026
        S: c BAD *
        C: d SEARCH RETURN (SAVE) ALL
        S: d OK *
        C: e FETCH $ FLAGS
        S: e OK *
        C: f UID SEARCH RETURN () $
        S: * ESEARCH (TAG "f") UID
        S: f OK *
        C: g SEARCH
        S: g BAD *
    "#,
        )
        .await;
}
