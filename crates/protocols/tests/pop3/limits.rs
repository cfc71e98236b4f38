//! Clients that say too much, or nonsense.

use crate::pop::Pop;

#[tokio::test]
async fn nonsense_is_answered_for_a_while() {
    let pop = Pop::with(&[]).await;
    let mut client = pop.login().await;
    for _ in 0..2 {
        for _ in 0..19 {
            client.say("C: EHLO x\nS: -ERR Unknown command").await;
        }
        client.say("C: NOOP\nS: +OK *").await;
    }
    for line in ["", "STAT 1", "RETR", "TOP 1", "LIST x", "USER", "AUTH a b c", "XTND XLST Subject", "\0\0"] {
        client.send(format!("{line}\r\n").as_bytes()).await;
        client.say("S: -ERR *").await;
    }
    for _ in 0..10 {
        client.say("C: LAST\nS: -ERR Unknown command").await;
    }
    client.say("C: LAST\nS: -ERR Unknown command\nS: -ERR Too many bad commands").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn lines_without_end_end_the_session() {
    let pop = Pop::with(&["Subject: a\r\n\r\n"]).await;
    let mut client = pop.login().await;
    client.say("C: DELE 1\nS: +OK *").await;
    client.send(&b"x".repeat(20_000)).await;
    client.send(b"\r\nQUIT\r\n").await;
    assert_eq!(client.rest().await, "-ERR The line is too long\r\n");
    let mut client = pop.connect().await;
    client.say("C: AUTH PLAIN\nS: +*").await;
    client.send(&b"QUJD".repeat(5_000)).await;
    assert_eq!(client.rest().await, "-ERR The line is too long\r\n");
    pop.dialog("C: STAT\nS: +OK 1 14").await;
}

#[tokio::test]
async fn a_person_at_a_terminal_is_understood() {
    let pop = Pop::with(&["Subject: a\r\n\r\n"]).await;
    let mut client = pop.connect().await;
    client.send(b"user ana\npass pw\nlist 1\nquit\n").await;
    client.say("S: +OK *\nS: +OK *\nS: +OK 1 14\nS: +OK *").await;
}
